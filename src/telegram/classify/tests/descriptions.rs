//! What the Bot API server says to the methods that telexd calls, after its sources: how `fail_query` words the errors of
//! the server itself and of the library below it.

use super::*;

/// Refusals of one very call, and why.
const REFUSALS: &[(i64, &str, Reason)] = &[
    (
        400,
        "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
        Reason::NotModified,
    ),
    (
        400,
        "Bad Request: MESSAGE_NOT_MODIFIED",
        Reason::NotModified,
    ),
    (
        400,
        "Bad Request: wrong HTTP URL specified",
        Reason::EntitiesInvalid,
    ),
    (
        400,
        "Bad Request: reply markup is too long",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: object expected as reply markup",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: can't parse reply keyboard markup JSON object",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: can't parse keyboard button: Can't find field \"text\"",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: BUTTON_TYPE_INVALID",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: BUTTON_DATA_INVALID",
        Reason::ButtonsInvalid,
    ),
    (
        400,
        "Bad Request: inline keyboard expected",
        Reason::ButtonsInvalid,
    ),
    (403, "Forbidden: user is deactivated", Reason::Blocked),
    (
        403,
        "Forbidden: bot was blocked by the user",
        Reason::Blocked,
    ),
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
    (400, "Bad Request: USER_PRIVACY_RESTRICTED", Reason::Blocked),
    (
        400,
        "Bad Request: PRIVACY_PREMIUM_REQUIRED",
        Reason::Blocked,
    ),
    (
        400,
        "Bad Request: PREMIUM_ACCOUNT_REQUIRED",
        Reason::Blocked,
    ),
    (
        400,
        "Bad Request: ALLOW_PAYMENT_REQUIRED_5",
        Reason::Blocked,
    ),
    (400, "Bad Request: YOU_BLOCKED_USER", Reason::Blocked),
    (403, "Forbidden: the group chat was deleted", Reason::Kicked),
    (
        403,
        "Forbidden: bot was kicked from the group chat",
        Reason::Kicked,
    ),
    (
        403,
        "Forbidden: bot is not a member of the group chat",
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
    (
        403,
        "Forbidden: bot is not a member of the channel chat",
        Reason::Kicked,
    ),
    (400, "Bad Request: private chat not found", Reason::ChatGone),
    (400, "Bad Request: chat not found", Reason::ChatGone),
    (400, "Bad Request: chat_id is empty", Reason::ChatGone),
    (400, "Bad Request: user not found", Reason::ChatGone),
    (400, "Bad Request: PEER_ID_INVALID", Reason::ChatGone),
    (400, "Bad Request: USER_ID_INVALID", Reason::ChatGone),
    (400, "Bad Request: CHAT_ID_INVALID", Reason::ChatGone),
    (400, "Bad Request: CHANNEL_PRIVATE", Reason::ChatGone),
    (
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        Reason::ChatGone,
    ),
    (
        400,
        "Bad Request: have no write access to the chat",
        Reason::NoRights,
    ),
    (
        400,
        "Bad Request: have no rights to send a message",
        Reason::NoRights,
    ),
    (
        400,
        "Bad Request: not enough rights to send text messages to the chat",
        Reason::NoRights,
    ),
    (
        400,
        "Bad Request: need administrator rights in the channel chat",
        Reason::NoRights,
    ),
    (400, "Bad Request: CHAT_WRITE_FORBIDDEN", Reason::NoRights),
    (400, "Bad Request: CHAT_ADMIN_REQUIRED", Reason::NoRights),
    (400, "Bad Request: CHAT_RESTRICTED", Reason::NoRights),
    (
        400,
        "Bad Request: CHAT_SEND_PLAIN_FORBIDDEN",
        Reason::NoRights,
    ),
    (400, "Bad Request: USER_BANNED_IN_CHANNEL", Reason::NoRights),
    (400, "Bad Request: PEER_FLOOD", Reason::NoRights),
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
        "Bad Request: message identifier is not specified",
        Reason::EditTargetGone,
    ),
    (
        400,
        "Bad Request: MESSAGE_ID_INVALID",
        Reason::EditTargetGone,
    ),
    (
        400,
        "Bad Request: MESSAGE_EDIT_TIME_EXPIRED",
        Reason::EditTargetGone,
    ),
    (
        400,
        "Bad Request: MESSAGE_AUTHOR_REQUIRED",
        Reason::EditTargetGone,
    ),
    (
        400,
        "Bad Request: message to delete not found",
        Reason::DeleteTargetGone,
    ),
    (
        400,
        "Bad Request: message can't be deleted",
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
    (400, "Bad Request: QUOTE_TEXT_INVALID", Reason::ReplyGone),
    (
        400,
        "Bad Request: message thread not found",
        Reason::ThreadGone,
    ),
    (
        400,
        "Bad Request: invalid message thread identifier specified",
        Reason::ThreadGone,
    ),
    (400, "Bad Request: TOPIC_CLOSED", Reason::ThreadGone),
    (400, "Bad Request: TOPIC_DELETED", Reason::ThreadGone),
    (400, "Bad Request: TOPIC_ID_INVALID", Reason::ThreadGone),
    (
        400,
        "Bad Request: the chat is not a forum",
        Reason::ThreadGone,
    ),
    (
        400,
        "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 5",
        Reason::EntitiesInvalid,
    ),
    (
        400,
        "Bad Request: can't parse MessageEntity: Field \"offset\" must be of type Number",
        Reason::EntitiesInvalid,
    ),
    (
        400,
        "Bad Request: ENTITY_BOUNDS_INVALID",
        Reason::EntitiesInvalid,
    ),
    (
        400,
        "Bad Request: ENTITIES_TOO_LONG",
        Reason::EntitiesInvalid,
    ),
    (400, "Bad Request: message is too long", Reason::TooLong),
    (400, "Bad Request: MESSAGE_TOO_LONG", Reason::TooLong),
    (
        400,
        "Bad Request: message caption is too long",
        Reason::TooLong,
    ),
    (400, "Bad Request: message text is empty", Reason::Empty),
    (400, "Bad Request: message must be non-empty", Reason::Empty),
    (400, "Bad Request: text must be non-empty", Reason::Empty),
    (
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
        Reason::QueryTooOld,
    ),
    (400, "Bad Request: QUERY_ID_INVALID", Reason::QueryTooOld),
    (400, "Bad Request: file is too big", Reason::FileGone),
    (
        400,
        "Bad Request: wrong file_id or the file is temporarily unavailable",
        Reason::FileGone,
    ),
    (
        400,
        "Bad Request: wrong file identifier/HTTP URL specified",
        Reason::FileGone,
    ),
    (
        400,
        "Bad Request: wrong remote file identifier specified: can't unserialize it",
        Reason::FileGone,
    ),
    (400, "Bad Request: invalid file_id", Reason::FileGone),
    (400, "Bad Request: FILE_REFERENCE_EXPIRED", Reason::FileGone),
    (400, "Bad Request", Reason::Malformed),
    (
        400,
        "Bad Request: parameter \"text\" is required",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: can't parse reply parameters JSON object",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: object expected as reply parameters",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: expected an Array of message identifiers",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: can't parse commands JSON object",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: expected an Array of BotCommand",
        Reason::Malformed,
    ),
    (400, "Bad Request: BOT_COMMAND_INVALID", Reason::Malformed),
    (400, "Bad Request: BOT_COMMANDS_TOO_MUCH", Reason::Malformed),
    (
        400,
        "Bad Request: wrong parameter action in request",
        Reason::Malformed,
    ),
    (400, "Bad Request: file_id not specified", Reason::Malformed),
    (
        400,
        "Bad Request: invalid user_id specified",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: strings must be encoded in UTF-8",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: unsupported content-type",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: unsupported parse_mode",
        Reason::Malformed,
    ),
    (
        400,
        "Bad Request: the bot has already been closed",
        Reason::Malformed,
    ),
    (400, "Bad Request: BOT_METHOD_INVALID", Reason::Malformed),
    (413, "Request Entity Too Large", Reason::Malformed),
    (414, "URI Too Long", Reason::Malformed),
    (431, "Request Header Fields Too Large", Reason::Malformed),
];

/// What concerns every call.
const OTHERS: &[(i64, &str, CallClass, Reason)] = &[
    (401, "Unauthorized", CallClass::Unauthorized, Reason::Other),
    (
        401,
        "Unauthorized: invalid token specified",
        CallClass::Unauthorized,
        Reason::Other,
    ),
    (
        401,
        "Unauthorized: invalid api-id/api-hash",
        CallClass::Unauthorized,
        Reason::Other,
    ),
    (
        421,
        "Misdirected Request: unallowed token specified",
        CallClass::Unauthorized,
        Reason::Other,
    ),
    (400, "Logged out", CallClass::Unauthorized, Reason::Other),
    (404, "Not Found", CallClass::Unauthorized, Reason::Other),
    (
        404,
        "Not Found: method not found",
        CallClass::Fatal,
        Reason::Other,
    ),
    (
        405,
        "Method Not Allowed: HTTP method is not supported",
        CallClass::Fatal,
        Reason::Other,
    ),
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
    (
        500,
        "Internal Server Error",
        CallClass::Ambiguous,
        Reason::Other,
    ),
    (
        500,
        "Internal Server Error: restart",
        CallClass::Ambiguous,
        Reason::Other,
    ),
    (
        500,
        "Internal Server Error: Request aborted",
        CallClass::Ambiguous,
        Reason::Other,
    ),
    (
        500,
        "Internal Server Error: too Many Requests: retry after -1",
        CallClass::Ambiguous,
        Reason::Other,
    ),
    (502, "Bad Gateway", CallClass::Ambiguous, Reason::Other),
    (
        503,
        "Service Unavailable",
        CallClass::Ambiguous,
        Reason::Other,
    ),
    (504, "Gateway Timeout", CallClass::Ambiguous, Reason::Other),
    (600, "?", CallClass::Ambiguous, Reason::Unknown),
    (200, "?", CallClass::Ambiguous, Reason::Unknown),
    (0, "", CallClass::Ambiguous, Reason::Unknown),
    (
        -400,
        "Bad Request: chat not found",
        CallClass::Ambiguous,
        Reason::Unknown,
    ),
    (
        400,
        "Bad Request: A_NEW_ONE",
        CallClass::Rejected,
        Reason::Unknown,
    ),
    (
        402,
        "Payment Required",
        CallClass::Rejected,
        Reason::Unknown,
    ),
];

#[test]
fn each_has_its_class_and_its_reason() {
    for (code, description, reason) in REFUSALS {
        let wanted = (CallClass::Rejected, *reason);
        assert_eq!(answered(*code, description), wanted, "{code} {description}");
    }
    for (code, description, class, reason) in OTHERS {
        let wanted = (class.clone(), *reason);
        assert_eq!(answered(*code, description), wanted, "{code} {description}");
    }
}

/// With another beginning of the sentence, in another case, with more behind it: versions of the server differ in that.
#[test]
fn small_changes_of_the_wording_change_nothing() {
    for (code, description, reason) in REFUSALS.iter().filter(|row| row.1 != "Bad Request") {
        for other in [
            description.to_uppercase(),
            description.to_lowercase(),
            description.replacen("Bad Request: ", "", 1),
            format!("{description} (and more)"),
        ] {
            let wanted = (CallClass::Rejected, *reason);
            assert_eq!(answered(*code, &other), wanted, "{code} {other}");
        }
    }
}
