//! What a message says about others: whose it is, where it was forwarded, and what it replies to.
//!
//! As tolerant as the rest: what is of another type than documented is absent, who is of an unknown kind is somebody.

use serde_json::{Map, Value};

use super::{attachments, integer, string, text};
use crate::core::{inbound::Replied, mark::Who};

/// Longest text that is taken over from a message that is replied to, in characters: more is never shown.
const LONGEST: usize = 4096;

/// Whose message this is, where it was forwarded.
pub(super) fn origin(message: &Map<String, Value>) -> Option<Who> {
    if let Some(origin) = message.get("forward_origin") {
        return Some(of_origin(origin));
    }
    // Servers from before 2024 tell it so.
    if let Some(user) = message.get("forward_from").and_then(account) {
        return Some(user);
    }
    if let Some(chat) = message.get("forward_from_chat") {
        return Some(of_chat(chat, string(message, "forward_signature")));
    }
    if let Some(name) = string(message, "forward_sender_name") {
        return Some(Who::Hidden { name });
    }
    message.contains_key("forward_date").then_some(Who::Unknown)
}

/// `MessageOrigin`.
fn of_origin(origin: &Value) -> Who {
    let Some(fields) = origin.as_object() else {
        return Who::Unknown;
    };
    let signed = || string(fields, "author_signature");
    let known = match fields.get("type").and_then(Value::as_str) {
        Some("user") => fields.get("sender_user").and_then(account),
        Some("hidden_user") => string(fields, "sender_user_name").map(|name| Who::Hidden { name }),
        Some("chat") => fields
            .get("sender_chat")
            .map(|chat| of_chat(chat, signed())),
        Some("channel") => fields.get("chat").map(|chat| of_chat(chat, signed())),
        _ => None,
    };
    known.unwrap_or(Who::Unknown)
}

/// `User`.
fn account(user: &Value) -> Option<Who> {
    let fields = user.as_object()?;
    let first = string(fields, "first_name").unwrap_or_default();
    let last = string(fields, "last_name").unwrap_or_default();
    Some(Who::Account {
        id: integer(fields, "id")?,
        name: format!("{first} {last}").trim().to_owned(),
        username: string(fields, "username"),
    })
}

/// `Chat`, as a sender.
fn of_chat(chat: &Value, signed: Option<String>) -> Who {
    let Some(fields) = chat.as_object() else {
        return Who::Unknown;
    };
    let title = string(fields, "title").unwrap_or_default();
    let username = string(fields, "username");
    if fields.get("type").and_then(Value::as_str) == Some("channel") {
        Who::Channel {
            title,
            username,
            signed,
        }
    } else {
        Who::Chat { title, username }
    }
}

/// What this message replies to.
pub(super) fn reply(message: &Map<String, Value>) -> Option<Replied> {
    let chosen = message
        .get("quote")
        .and_then(Value::as_object)
        // Without this Telegram itself chose the passage, to show it.
        .filter(|quote| quote.get("is_manual") == Some(&Value::Bool(true)))
        .and_then(|quote| string(quote, "text"))
        .filter(|text| !text.is_empty());
    if let Some(fields) = message.get("reply_to_message").and_then(Value::as_object) {
        let message_id = integer(fields, "message_id");
        // In a topic whatever replies to nothing replies to the message that began the topic.
        let begins_topic = fields.contains_key("forum_topic_created")
            || (message.get("is_topic_message") == Some(&Value::Bool(true))
                && message_id.is_some()
                && message_id == integer(message, "message_thread_id"));
        if begins_topic {
            return None;
        }
        let who = match (fields.get("sender_chat"), fields.get("from")) {
            (Some(chat @ Value::Object(_)), _) => of_chat(chat, string(fields, "author_signature")),
            (_, Some(user)) => account(user).unwrap_or(Who::Unknown),
            _ => Who::Unknown,
        };
        return Some(replied(message_id, who, chosen, text(fields), fields));
    }
    // A message of another chat. Its text is not given, only what was chosen of it.
    let fields = message.get("external_reply")?.as_object()?;
    let who = fields.get("origin").map_or(Who::Unknown, of_origin);
    let quote = message.get("quote").and_then(Value::as_object);
    let text = quote.and_then(|quote| string(quote, "text"));
    Some(replied(None, who, chosen, text.unwrap_or_default(), fields))
}

fn replied(
    message_id: Option<i64>,
    who: Who,
    chosen: Option<String>,
    text: String,
    fields: &Map<String, Value>,
) -> Replied {
    Replied {
        message_id,
        who,
        chosen: chosen.is_some(),
        text: chosen.unwrap_or(text).chars().take(LONGEST).collect(),
        kind: attachments(fields).into_iter().next().map(|file| file.kind),
    }
}
