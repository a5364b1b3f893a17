//! What a failed call to Telegram means. Pure.
//!
//! Decided by what is certain first (was the request ever sent, HTTP status, `error_code`,
//! `parameters`), then by the beginning or a telling part of Telegram's description: the texts carry
//! changing details, and new ones appear with every version of the server.

use super::breakage::Breakage;
use crate::core::{Millis, trouble::CallClass};

/// Where a call broke before an answer was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The request could not even be made.
    Unmade,
    /// No connection came about (DNS, refused, unreachable, TLS): nothing was sent.
    NotSent,
    /// Time ran out after the request may have been written.
    Timeout,
    /// The connection broke after the request may have been written.
    Broken,
}

/// What is known of a failed call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Where it broke, if no whole answer came.
    pub transport: Option<Transport>,
    /// What broke it then.
    pub breakage: Option<Breakage>,
    /// HTTP status.
    pub http: Option<u16>,
    /// Whether the body was an answer of a Bot API server (a JSON object with `ok`).
    pub answered: bool,
    /// `error_code`.
    pub code: Option<i64>,
    /// `description`.
    pub description: Option<&'a str>,
    /// `parameters.retry_after` or the header `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// `parameters.migrate_to_chat_id`.
    pub migrate_to: Option<i64>,
}

/// Why Telegram refused, as far as something can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The message looks like that already.
    NotModified,
    /// The entities do not fit the text.
    EntitiesInvalid,
    /// The text is too long.
    TooLong,
    /// The text is empty.
    Empty,
    /// The message to be edited is gone, or can no longer be edited.
    EditTargetGone,
    /// The message to be deleted is gone, or can no longer be deleted.
    DeleteTargetGone,
    /// The message to be replied to is gone.
    ReplyGone,
    /// The topic is gone or closed.
    ThreadGone,
    /// There is no such chat, or the bot is not in it.
    ChatGone,
    /// The person has blocked the bot, is deleted, or never wrote to it.
    Blocked,
    /// The bot was removed from the chat.
    Kicked,
    /// The bot may not write there.
    NoRights,
    /// The chat has another id now.
    Migrated(i64),
    /// The press is too old to be answered, or was answered.
    QueryTooOld,
    /// The buttons are not acceptable.
    ButtonsInvalid,
    /// A webhook is set, so polling is refused.
    WebhookActive,
    /// The file is gone, its id is wrong, or it is too large.
    FileGone,
    /// The request itself is not as it should be: a fault of ours.
    Malformed,
    /// Something that the class alone says all about.
    Other,
    /// Nobody thought of this one.
    Unknown,
}

/// Wait after a 429 that does not say how long, in seconds.
const DEFAULT_WAIT_S: u64 = 5;

/// Longest wait that is believed, in seconds; real ones of three hours have been seen.
const LONGEST_WAIT_S: u64 = 7 * 24 * 3600;

/// Waited beyond what Telegram asks for, in milliseconds: its clock and ours are not in step.
const EXTRA_WAIT_MS: Millis = 500;

/// Decides what a failed call means. `now` is the time of the answer.
#[must_use]
pub fn classify(evidence: &Evidence<'_>, now: Millis) -> (CallClass, Reason) {
    if let Some(transport) = evidence.transport {
        let class = match transport {
            Transport::Unmade => CallClass::Fatal,
            Transport::NotSent => CallClass::Safe,
            Transport::Timeout | Transport::Broken => CallClass::Ambiguous,
        };
        return (class, Reason::Other);
    }

    let lower = evidence
        .description
        .unwrap_or_default()
        .to_ascii_lowercase();
    let description = strip_status(&lower);
    let http = evidence.http.unwrap_or(0);
    // A proxy on the way may answer in Telegram's place; then there is only the status to go by.
    let code = match evidence.code {
        Some(code) if evidence.answered => u16::try_from(code).unwrap_or(0),
        _ => http,
    };

    // These two are said by parameters and hold whatever the code is.
    if let Some(to) = evidence.migrate_to {
        return (CallClass::Rejected, Reason::Migrated(to));
    }
    if code == 429 || code == 420 || (evidence.answered && evidence.retry_after_s.is_some()) {
        let wait_s = evidence
            .retry_after_s
            .or_else(|| number_after(description, "retry after "))
            .unwrap_or(DEFAULT_WAIT_S)
            .min(LONGEST_WAIT_S);
        let wait_ms = Millis::try_from(wait_s.saturating_mul(1000)).unwrap_or(Millis::MAX);
        let until = now.saturating_add(wait_ms).saturating_add(EXTRA_WAIT_MS);
        return (CallClass::WaitUntil(until), Reason::Other);
    }

    if !evidence.answered {
        return (without_answer(http), Reason::Other);
    }
    match code {
        // The second is what a server says that was told to serve other bots only.
        401 | 421 => (CallClass::Unauthorized, Reason::Other),
        // What somebody ordered by `logOut`, until the token is used again there.
        400 if description == "logged out" => (CallClass::Unauthorized, Reason::Other),
        // The bare text is what the server says to an unknown path, so to a malformed token.
        404 if matches!(description, "" | "not found") => (CallClass::Unauthorized, Reason::Other),
        // Such a server is none of the Bot API, or one of another time.
        404 if description.contains("method not found") => (CallClass::Fatal, Reason::Other),
        405 => (CallClass::Fatal, Reason::Other),
        409 if description.contains("webhook") && !description.contains("setwebhook") => {
            (CallClass::Conflict, Reason::WebhookActive)
        }
        409 => (CallClass::Conflict, Reason::Other),
        403 => (CallClass::Rejected, forbidden(description)),
        413 | 414 | 431 => (CallClass::Rejected, Reason::Malformed),
        400..=499 => (CallClass::Rejected, bad_request(description)),
        500..=599 => (CallClass::Ambiguous, Reason::Other),
        // An error that comes as success, or with a code of which nothing is known.
        _ => (CallClass::Ambiguous, Reason::Unknown),
    }
}

/// Class of an answer that no Bot API server wrote.
fn without_answer(http: u16) -> CallClass {
    match http {
        // "Request timeout" is said after part of the request has been taken.
        408 => CallClass::Ambiguous,
        // Too large for something on the way, and it will stay so.
        413 | 414 | 431 => CallClass::Rejected,
        // A redirect (not followed) or a refusal by something on the way: it did not get through.
        300..=499 | 511 => CallClass::Safe,
        // Success with a body that says nothing, or a gateway whose other side may have acted.
        _ => CallClass::Ambiguous,
    }
}

fn forbidden(description: &str) -> Reason {
    table(
        description,
        &[
            ("bot was blocked by the user", Reason::Blocked),
            ("user is deactivated", Reason::Blocked),
            ("bot can't initiate conversation", Reason::Blocked),
            ("bot can't send messages to bots", Reason::Blocked),
            ("bot was kicked", Reason::Kicked),
            ("bot is not a member", Reason::Kicked),
            ("the group chat was deleted", Reason::Kicked),
            ("the group chat was deactivated", Reason::Kicked),
        ],
    )
    .unwrap_or(Reason::NoRights)
}

fn bad_request(description: &str) -> Reason {
    if description == "bad request" {
        return Reason::Malformed;
    }
    table(
        description,
        &[
            ("message is not modified", Reason::NotModified),
            ("message_not_modified", Reason::NotModified),
            ("can't parse entities", Reason::EntitiesInvalid),
            ("can't parse message text", Reason::EntitiesInvalid),
            ("entity_bounds_invalid", Reason::EntitiesInvalid),
            ("entities_too_long", Reason::EntitiesInvalid),
            ("entity_", Reason::EntitiesInvalid),
            ("can't parse messageentity", Reason::EntitiesInvalid),
            ("wrong http url", Reason::EntitiesInvalid),
            ("message is too long", Reason::TooLong),
            ("message_too_long", Reason::TooLong),
            ("message caption is too long", Reason::TooLong),
            ("media_caption_too_long", Reason::TooLong),
            ("text is too long", Reason::TooLong),
            ("message text is empty", Reason::Empty),
            ("message must be non-empty", Reason::Empty),
            ("text must be non-empty", Reason::Empty),
            ("message_empty", Reason::Empty),
            ("message to edit not found", Reason::EditTargetGone),
            ("message can't be edited", Reason::EditTargetGone),
            (
                "there is no text in the message to edit",
                Reason::EditTargetGone,
            ),
            ("message_edit_time_expired", Reason::EditTargetGone),
            ("message_author_required", Reason::EditTargetGone),
            ("message_id_invalid", Reason::EditTargetGone),
            (
                "message identifier is not specified",
                Reason::EditTargetGone,
            ),
            ("message to delete not found", Reason::DeleteTargetGone),
            ("message can't be deleted", Reason::DeleteTargetGone),
            ("message_delete_forbidden", Reason::DeleteTargetGone),
            ("message to be replied not found", Reason::ReplyGone),
            ("message to reply not found", Reason::ReplyGone),
            ("replied message not found", Reason::ReplyGone),
            ("reply_message_id_invalid", Reason::ReplyGone),
            ("quote_text_invalid", Reason::ReplyGone),
            ("message thread not found", Reason::ThreadGone),
            ("topic_closed", Reason::ThreadGone),
            ("topic_deleted", Reason::ThreadGone),
            ("topic_id_invalid", Reason::ThreadGone),
            ("topic not found", Reason::ThreadGone),
            ("invalid message thread", Reason::ThreadGone),
            ("the chat is not a forum", Reason::ThreadGone),
            ("chat not found", Reason::ChatGone),
            ("chat_id is empty", Reason::ChatGone),
            ("peer_id_invalid", Reason::ChatGone),
            ("chat_id_invalid", Reason::ChatGone),
            ("channel_private", Reason::ChatGone),
            ("user not found", Reason::ChatGone),
            ("user_id_invalid", Reason::ChatGone),
            ("upgraded to a supergroup", Reason::ChatGone),
            ("group chat was deactivated", Reason::Kicked),
            ("group chat was deleted", Reason::Kicked),
            ("user_is_blocked", Reason::Blocked),
            ("input_user_deactivated", Reason::Blocked),
            ("user_is_bot", Reason::Blocked),
            ("you_blocked_user", Reason::Blocked),
            ("privacy", Reason::Blocked),
            ("premium_account_required", Reason::Blocked),
            ("allow_payment_required", Reason::Blocked),
            ("query is too old", Reason::QueryTooOld),
            ("query id is invalid", Reason::QueryTooOld),
            ("query_id_invalid", Reason::QueryTooOld),
            ("button_", Reason::ButtonsInvalid),
            ("reply_markup_", Reason::ButtonsInvalid),
            ("reply markup", Reason::ButtonsInvalid),
            ("keyboard", Reason::ButtonsInvalid),
            ("text buttons are unallowed", Reason::ButtonsInvalid),
            ("not enough rights", Reason::NoRights),
            ("have no rights", Reason::NoRights),
            ("need administrator rights", Reason::NoRights),
            ("no write access", Reason::NoRights),
            ("peer_flood", Reason::NoRights),
            ("chat_write_forbidden", Reason::NoRights),
            ("chat_admin_required", Reason::NoRights),
            ("chat_restricted", Reason::NoRights),
            ("chat_send_", Reason::NoRights),
            ("chat_guest_send_forbidden", Reason::NoRights),
            ("user_banned_in_channel", Reason::NoRights),
            ("file is too big", Reason::FileGone),
            ("wrong file", Reason::FileGone),
            ("wrong remote file", Reason::FileGone),
            ("file not found", Reason::FileGone),
            ("file_reference_", Reason::FileGone),
            ("temporarily unavailable", Reason::FileGone),
            ("file_id_invalid", Reason::FileGone),
            ("invalid file", Reason::FileGone),
            // What only a fault of this program brings about.
            ("parameter \"", Reason::Malformed),
            ("can't parse", Reason::Malformed),
            ("object expected", Reason::Malformed),
            ("expected an", Reason::Malformed),
            ("must be encoded in utf-8", Reason::Malformed),
            ("unsupported content-type", Reason::Malformed),
            ("unsupported parse_mode", Reason::Malformed),
            ("wrong parameter", Reason::Malformed),
            ("method is available only for", Reason::Malformed),
            ("bot_method_invalid", Reason::Malformed),
            ("bot_invalid", Reason::Malformed),
            ("url_invalid", Reason::Malformed),
            ("textdraft_", Reason::Malformed),
            ("bot_command_", Reason::Malformed),
            ("bot_commands_", Reason::Malformed),
            ("command name is invalid", Reason::Malformed),
            ("command description", Reason::Malformed),
            ("command must be non-empty", Reason::Malformed),
            ("invalid language code", Reason::Malformed),
            ("not specified", Reason::Malformed),
            ("invalid user_id specified", Reason::Malformed),
            ("the bot has already been closed", Reason::Malformed),
        ],
    )
    .unwrap_or(Reason::Unknown)
}

fn table(description: &str, entries: &[(&str, Reason)]) -> Option<Reason> {
    entries
        .iter()
        .find(|(part, _)| description.contains(part))
        .map(|(_, reason)| *reason)
}

/// The description without the name of the status that most of them begin with.
fn strip_status(description: &str) -> &str {
    for status in [
        "bad request: ",
        "forbidden: ",
        "conflict: ",
        "unauthorized: ",
    ] {
        if let Some(rest) = description.strip_prefix(status) {
            return rest;
        }
    }
    description
}

fn number_after(text: &str, mark: &str) -> Option<u64> {
    let (_, rest) = text.split_once(mark)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests;
