use proptest::prelude::*;

use super::*;

mod descriptions;

const NOW: Millis = 1_700_000_000_000;

fn answered(code: i64, description: &str) -> (CallClass, Reason) {
    classify(
        &Evidence {
            http: u16::try_from(code).ok(),
            answered: true,
            code: Some(code),
            description: Some(description),
            ..Evidence::default()
        },
        NOW,
    )
}

#[test]
fn refusals_by_their_texts() {
    for (code, description, reason) in [
        (
            400,
            "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
            Reason::NotModified,
        ),
        (
            400,
            "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 5",
            Reason::EntitiesInvalid,
        ),
        (
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0",
            Reason::EntitiesInvalid,
        ),
        (
            400,
            "Bad Request: ENTITY_BOUNDS_INVALID",
            Reason::EntitiesInvalid,
        ),
        (
            400,
            "Bad Request: ENTITY_TEXTURL_INVALID",
            Reason::EntitiesInvalid,
        ),
        (400, "Bad Request: message is too long", Reason::TooLong),
        (400, "Bad Request: MESSAGE_TOO_LONG", Reason::TooLong),
        (
            400,
            "Bad Request: message caption is too long",
            Reason::TooLong,
        ),
        (400, "Bad Request: MEDIA_CAPTION_TOO_LONG", Reason::TooLong),
        (400, "Bad Request: message text is empty", Reason::Empty),
        (400, "Bad Request: text must be non-empty", Reason::Empty),
        (
            400,
            "Bad Request: message to edit not found",
            Reason::EditTargetGone,
        ),
        (
            400,
            "Bad Request: message can't be edited",
            Reason::EditTargetGone,
        ),
        (
            400,
            "Bad Request: there is no text in the message to edit",
            Reason::EditTargetGone,
        ),
        (
            400,
            "Bad Request: MESSAGE_ID_INVALID",
            Reason::EditTargetGone,
        ),
        (
            400,
            "Bad Request: message identifier is not specified",
            Reason::EditTargetGone,
        ),
        (
            400,
            "Bad Request: message to delete not found",
            Reason::DeleteTargetGone,
        ),
        (
            400,
            "Bad Request: message can't be deleted for everyone",
            Reason::DeleteTargetGone,
        ),
        (
            400,
            "Bad Request: message to be replied not found",
            Reason::ReplyGone,
        ),
        (
            400,
            "Bad Request: message to reply not found",
            Reason::ReplyGone,
        ),
        (
            400,
            "Bad Request: replied message not found",
            Reason::ReplyGone,
        ),
        (
            400,
            "Bad Request: message thread not found",
            Reason::ThreadGone,
        ),
        (400, "Bad Request: TOPIC_CLOSED", Reason::ThreadGone),
        (400, "Bad Request: TOPIC_DELETED", Reason::ThreadGone),
        (
            400,
            "Bad Request: invalid message thread identifier specified",
            Reason::ThreadGone,
        ),
        (400, "Bad Request: chat not found", Reason::ChatGone),
        (400, "Bad Request: chat_id is empty", Reason::ChatGone),
        (400, "Bad Request: PEER_ID_INVALID", Reason::ChatGone),
        (400, "Bad Request: user not found", Reason::ChatGone),
        (
            400,
            "Bad Request: group chat was deactivated",
            Reason::Kicked,
        ),
        (400, "Bad Request: USER_IS_BLOCKED", Reason::Blocked),
        (
            400,
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
            Reason::QueryTooOld,
        ),
        (
            400,
            "Bad Request: query is too old and response timeout expired or query id is invalid",
            Reason::QueryTooOld,
        ),
        (400, "Bad Request: QUERY_ID_INVALID", Reason::QueryTooOld),
        (
            400,
            "Bad Request: BUTTON_DATA_INVALID",
            Reason::ButtonsInvalid,
        ),
        (
            400,
            "Bad Request: BUTTON_URL_INVALID",
            Reason::ButtonsInvalid,
        ),
        (
            400,
            "Bad Request: REPLY_MARKUP_TOO_LONG",
            Reason::ButtonsInvalid,
        ),
        (
            400,
            "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
            Reason::ButtonsInvalid,
        ),
        (
            400,
            "Bad Request: not enough rights to send text messages to the chat",
            Reason::NoRights,
        ),
        (
            400,
            "Bad Request: have no rights to send a message",
            Reason::NoRights,
        ),
        (
            400,
            "Bad Request: need administrator rights in the channel chat",
            Reason::NoRights,
        ),
        (400, "Bad Request: CHAT_WRITE_FORBIDDEN", Reason::NoRights),
        (
            400,
            "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN",
            Reason::NoRights,
        ),
        (400, "Bad Request: file is too big", Reason::FileGone),
        (
            400,
            "Bad Request: wrong file_id or the file is temporarily unavailable",
            Reason::FileGone,
        ),
        (
            400,
            "Bad Request: TEXTDRAFT_PEER_INVALID",
            Reason::Malformed,
        ),
        (
            400,
            "Bad Request: something of the year 2030",
            Reason::Unknown,
        ),
        (400, "", Reason::Unknown),
        (
            403,
            "Forbidden: bot was blocked by the user",
            Reason::Blocked,
        ),
        (403, "Forbidden: user is deactivated", Reason::Blocked),
        (
            403,
            "Forbidden: bot can't initiate conversation with a user",
            Reason::Blocked,
        ),
        (
            403,
            "Forbidden: bot can't send messages to bots",
            Reason::Blocked,
        ),
        (
            403,
            "Forbidden: bot was kicked from the group chat",
            Reason::Kicked,
        ),
        (
            403,
            "Forbidden: bot was kicked from the supergroup chat",
            Reason::Kicked,
        ),
        (
            403,
            "Forbidden: bot was kicked from the channel chat",
            Reason::Kicked,
        ),
        (
            403,
            "Forbidden: bot is not a member of the supergroup chat",
            Reason::Kicked,
        ),
        (403, "Forbidden: the group chat was deleted", Reason::Kicked),
        (403, "Forbidden: CHAT_WRITE_FORBIDDEN", Reason::NoRights),
        (404, "Bad Request: chat not found", Reason::ChatGone),
        (413, "Request Entity Too Large", Reason::Malformed),
    ] {
        assert_eq!(
            answered(code, description),
            (CallClass::Rejected, reason),
            "{code} {description}"
        );
    }
}

#[test]
fn conflicts_and_bad_tokens() {
    for (code, description, class, reason) in [
        (
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            CallClass::Conflict,
            Reason::Other,
        ),
        (
            409,
            "Conflict: terminated by setWebhook request",
            CallClass::Conflict,
            Reason::Other,
        ),
        (
            409,
            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            CallClass::Conflict,
            Reason::WebhookActive,
        ),
        (401, "Unauthorized", CallClass::Unauthorized, Reason::Other),
        (
            401,
            "Unauthorized: invalid token specified",
            CallClass::Unauthorized,
            Reason::Other,
        ),
        (404, "Not Found", CallClass::Unauthorized, Reason::Other),
    ] {
        assert_eq!(
            answered(code, description),
            (class, reason),
            "{description}"
        );
    }
}

#[test]
fn waits_are_found_wherever_they_stand() {
    let base = Evidence {
        http: Some(429),
        answered: true,
        code: Some(429),
        ..Evidence::default()
    };
    for (evidence, wait_s) in [
        (
            Evidence {
                retry_after_s: Some(7),
                description: Some("Too Many Requests: retry after 9"),
                ..base
            },
            7,
        ),
        (
            Evidence {
                description: Some("Too Many Requests: retry after 9"),
                ..base
            },
            9,
        ),
        (
            Evidence {
                description: Some("Too Many Requests"),
                ..base
            },
            DEFAULT_WAIT_S,
        ),
        (
            Evidence {
                description: Some("Too Many Requests: retry after soon"),
                ..base
            },
            DEFAULT_WAIT_S,
        ),
        (
            Evidence {
                http: Some(429),
                retry_after_s: Some(3),
                ..Evidence::default()
            },
            3,
        ),
        (
            Evidence {
                http: Some(429),
                ..Evidence::default()
            },
            DEFAULT_WAIT_S,
        ),
        (
            Evidence {
                code: Some(420),
                description: Some("FLOOD_WAIT"),
                retry_after_s: Some(4),
                ..base
            },
            4,
        ),
        (
            Evidence {
                retry_after_s: Some(10_072),
                ..base
            },
            10_072,
        ),
        (
            Evidence {
                retry_after_s: Some(u64::MAX),
                ..base
            },
            LONGEST_WAIT_S,
        ),
    ] {
        let wait_ms = Millis::try_from(wait_s).unwrap() * 1000 + EXTRA_WAIT_MS;
        assert_eq!(
            classify(&evidence, NOW).0,
            CallClass::WaitUntil(NOW + wait_ms),
            "{evidence:?}"
        );
    }
}

#[test]
fn a_moved_chat_says_where_it_is() {
    let evidence = Evidence {
        http: Some(400),
        answered: true,
        code: Some(400),
        description: Some("Bad Request: group chat was upgraded to a supergroup chat"),
        migrate_to: Some(-1005),
        ..Evidence::default()
    };
    assert_eq!(
        classify(&evidence, NOW),
        (CallClass::Rejected, Reason::Migrated(-1005))
    );
}

#[test]
fn only_what_was_never_sent_is_safe() {
    for (transport, class) in [
        (Transport::Unmade, CallClass::Fatal),
        (Transport::NotSent, CallClass::Safe),
        (Transport::Timeout, CallClass::Ambiguous),
        (Transport::Broken, CallClass::Ambiguous),
    ] {
        let evidence = Evidence {
            transport: Some(transport),
            ..Evidence::default()
        };
        assert_eq!(classify(&evidence, NOW).0, class);
    }
    for (http, class) in [
        (200, CallClass::Ambiguous),
        (302, CallClass::Safe),
        (403, CallClass::Safe),
        (404, CallClass::Safe),
        (407, CallClass::Safe),
        (408, CallClass::Ambiguous),
        (413, CallClass::Rejected),
        (500, CallClass::Ambiguous),
        (502, CallClass::Ambiguous),
        (504, CallClass::Ambiguous),
        (511, CallClass::Safe),
    ] {
        let evidence = Evidence {
            http: Some(http),
            ..Evidence::default()
        };
        assert_eq!(
            classify(&evidence, NOW).0,
            class,
            "{http} without an answer of Telegram's"
        );
    }
    for (code, description) in [
        (500, "Internal Server Error"),
        (500, "Internal Server Error: restart"),
        (502, "Bad Gateway"),
        (504, "Gateway Timeout"),
        (0, "?"),
        (200, "ok but not ok"),
        (-1, ""),
    ] {
        assert_eq!(
            answered(code, description).0,
            CallClass::Ambiguous,
            "{code}"
        );
    }
}

proptest! {
    #[test]
    fn never_panics_and_never_calls_an_answered_failure_safe(
        http in any::<Option<u16>>(), code in any::<Option<i64>>(), description in any::<Option<String>>(),
        retry in any::<Option<u64>>(), migrate in any::<Option<i64>>(), now in any::<i64>(),
    ) {
        let evidence = Evidence {
            transport: None, breakage: None, http, answered: true, code, description: description.as_deref(),
            retry_after_s: retry, migrate_to: migrate,
        };
        let (class, _) = classify(&evidence, now);
        prop_assert_ne!(class, CallClass::Safe);
    }
}
