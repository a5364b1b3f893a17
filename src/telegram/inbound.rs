//! Reads an update as Telegram sent it. Pure, and never in doubt about what to keep.
//!
//! It looks only at the fields that are needed and takes each of them as absent when it has another
//! type than documented. A typed parse of the whole update would lose texts: one entity or message type
//! of a newer Bot API is enough for it to give up on the message.

mod about;

use serde_json::{Map, Value};

use crate::core::{
    inbound::{Attachment, ChatKind, Inbound, Message, Person, Place, Press, Stopped},
    json::repair_surrogates,
};

/// Kinds of updates to ask for. Telegram remembers the last list it got, so it goes with every poll.
pub const ALLOWED_UPDATES: &[&str] = &[
    "message",
    "edited_message",
    "callback_query",
    "stopped_message_generation",
];

/// Longest name of a kind that is taken over from an update.
const KIND_LENGTH: usize = 64;

/// Fields of a message that hold a file.
const FILES: &[&str] = &[
    "animation",
    "audio",
    "document",
    "sticker",
    "video",
    "video_note",
    "voice",
];

/// Fields of a message that say something about it, but are not what it says.
const ABOUT: &[&str] = &[
    "author_signature",
    "business_connection_id",
    "caption",
    "caption_entities",
    "chat",
    "date",
    "direct_messages_topic",
    "edit_date",
    "effect_id",
    "entities",
    "external_reply",
    "forward_date",
    "forward_from",
    "forward_from_chat",
    "forward_from_message_id",
    "forward_origin",
    "forward_sender_name",
    "forward_signature",
    "from",
    "has_media_spoiler",
    "has_protected_content",
    "is_automatic_forward",
    "is_from_offline",
    "is_paid_post",
    "is_topic_message",
    "link_preview_options",
    "media_group_id",
    "message_id",
    "message_thread_id",
    "paid_star_count",
    "photo",
    "quote",
    "reply_markup",
    "reply_to_checklist_task_id",
    "reply_to_message",
    "reply_to_story",
    "sender_boost_count",
    "sender_business_bot",
    "sender_chat",
    "show_caption_above_media",
    "suggested_post_info",
    "text",
    "via_bot",
];

/// Fields of a message that Telegram writes by itself when something happened in the chat.
const SERVICE: &[&str] = &[
    "boost_added",
    "channel_chat_created",
    "chat_background_set",
    "chat_shared",
    "checklist_tasks_added",
    "checklist_tasks_done",
    "connected_website",
    "delete_chat_photo",
    "direct_message_price_changed",
    "forum_topic_closed",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "gift",
    "giveaway_completed",
    "giveaway_created",
    "group_chat_created",
    "left_chat_member",
    "left_chat_participant",
    "message_auto_delete_timer_changed",
    "migrate_from_chat_id",
    "migrate_to_chat_id",
    "new_chat_member",
    "new_chat_members",
    "new_chat_participant",
    "new_chat_photo",
    "new_chat_title",
    "paid_message_price_changed",
    "passport_data",
    "pinned_message",
    "proximity_alert_triggered",
    "refunded_payment",
    "successful_payment",
    "suggested_post_approval_failed",
    "suggested_post_approved",
    "suggested_post_declined",
    "suggested_post_paid",
    "suggested_post_refunded",
    "supergroup_chat_created",
    "unique_gift",
    "users_shared",
    "video_chat_ended",
    "video_chat_participants_invited",
    "video_chat_scheduled",
    "video_chat_started",
    "web_app_data",
    "write_access_allowed",
];

/// Telegram's id of an update, if it has one that fits.
#[must_use]
pub fn update_id(raw: &str) -> Option<i64> {
    /// Only the id, whatever else there is.
    #[derive(serde::Deserialize)]
    struct Id {
        update_id: i64,
    }
    // A list would be taken for the fields in their order.
    if !raw.trim_start().starts_with('{') {
        return None;
    }
    // A duplicate or wrongly typed id, or bytes that are not an object, all mean: no id to go by.
    serde_json::from_str::<Id>(raw).ok().map(|id| id.update_id)
}

/// Reads the JSON of one update. What cannot be read is named as [`Inbound::Unreadable`], without its text.
#[must_use]
pub fn read(raw: &str) -> Inbound {
    let value: Value = match serde_json::from_slice(&repair_surrogates(raw.as_bytes())) {
        Ok(value) => value,
        Err(error) => return Inbound::Unreadable(format!("not JSON: {error}")),
    };
    let Value::Object(update) = value else {
        return Inbound::Unreadable("not a JSON object".to_owned());
    };
    let read = if let Some(message) = update.get("message") {
        message_or_service(message, false)
    } else if let Some(message) = update.get("edited_message") {
        message_or_service(message, true)
    } else if let Some(press) = update.get("callback_query") {
        self::press(press).map(Inbound::Press)
    } else if let Some(stopped) = update.get("stopped_message_generation") {
        self::stopped(stopped).map(Inbound::Stopped)
    } else {
        update
            .keys()
            .find(|key| *key != "update_id")
            .map(|key| Inbound::Other(kind_name(key)))
            .ok_or("an update without content")
    };
    read.unwrap_or_else(|why| Inbound::Unreadable(why.to_owned()))
}

fn message_or_service(value: &Value, edited: bool) -> Result<Inbound, &'static str> {
    let Value::Object(fields) = value else {
        return Err("a message that is not an object");
    };
    let place = place(fields).ok_or("a message without a chat")?;
    let message_id = integer(fields, "message_id").ok_or("a message without an id")?;

    if let Some(to) = integer(fields, "migrate_to_chat_id") {
        return Ok(Inbound::Migrated {
            from: place.chat_id,
            to,
        });
    }

    let text = text(fields);
    let mut attachments = attachments(fields);
    if text.is_empty() && attachments.is_empty() {
        let content = fields
            .keys()
            .filter(|key| !ABOUT.contains(&key.as_str()))
            // What says nothing about itself (a flag of a newer Bot API) is no content.
            .find(|key| SERVICE.contains(&key.as_str()) || fields[*key].is_object());
        match content {
            Some(key) if SERVICE.contains(&key.as_str()) => {
                return Ok(Inbound::Other(format!("message/{}", kind_name(key))));
            }
            Some(key) => attachments.push(Attachment {
                kind: kind_name(key),
                file_id: String::new(),
                file_name: None,
                mime: None,
                size: None,
            }),
            None => {}
        }
    }

    Ok(Inbound::Message(Message {
        place,
        // Who writes in the name of a chat (anonymous admin, linked channel) is not known as a person:
        // `from` is then a stand-in account that many people share.
        from: match fields.get("sender_chat") {
            Some(Value::Object(_)) => None,
            _ => fields.get("from").and_then(person),
        },
        message_id,
        date: integer(fields, "date").unwrap_or(0),
        text,
        attachments,
        album: string(fields, "media_group_id"),
        forwarded: about::origin(fields).map(Box::new),
        reply: about::reply(fields).map(Box::new),
        edited,
    }))
}

fn press(value: &Value) -> Result<Press, &'static str> {
    let Value::Object(fields) = value else {
        return Err("a press that is not an object");
    };
    let message = fields.get("message").and_then(Value::as_object);
    Ok(Press {
        callback_id: string(fields, "id").ok_or("a press without an id")?,
        from: fields
            .get("from")
            .and_then(person)
            .ok_or("a press without a person")?,
        place: message.and_then(place),
        message_id: message.and_then(|message| integer(message, "message_id")),
        data: string(fields, "data").unwrap_or_default(),
    })
}

fn stopped(value: &Value) -> Result<Stopped, &'static str> {
    let Value::Object(fields) = value else {
        return Err("a stop that is not an object");
    };
    let chat = fields.get("chat").and_then(Value::as_object);
    Ok(Stopped {
        place: Place {
            chat_id: chat
                .and_then(|chat| integer(chat, "id"))
                .ok_or("a stop without a chat")?,
            thread_id: integer(fields, "message_thread_id").unwrap_or(0),
            kind: chat.map_or(ChatKind::Other, kind),
        },
        draft_id: integer(fields, "draft_id").ok_or("a stop without a draft")?,
    })
}

fn place(message: &Map<String, Value>) -> Option<Place> {
    let chat = message.get("chat")?.as_object()?;
    // A thread id alone may also be the start of a chain of replies in an ordinary group.
    let in_topic = message.get("is_topic_message") == Some(&Value::Bool(true));
    Some(Place {
        chat_id: integer(chat, "id")?,
        thread_id: if in_topic {
            integer(message, "message_thread_id").unwrap_or(0)
        } else {
            0
        },
        kind: kind(chat),
    })
}

fn kind(chat: &Map<String, Value>) -> ChatKind {
    match chat.get("type").and_then(Value::as_str) {
        Some("private") => ChatKind::Private,
        Some("group" | "supergroup") => ChatKind::Group,
        Some("channel") => ChatKind::Channel,
        _ => ChatKind::Other,
    }
}

fn person(value: &Value) -> Option<Person> {
    let fields = value.as_object()?;
    let first = string(fields, "first_name").unwrap_or_default();
    let last = string(fields, "last_name").unwrap_or_default();
    Some(Person {
        id: integer(fields, "id")?,
        name: format!("{first} {last}").trim().to_owned(),
        is_bot: fields.get("is_bot") == Some(&Value::Bool(true)),
    })
}

fn text(fields: &Map<String, Value>) -> String {
    for key in ["text", "caption"] {
        if let Some(text) = string(fields, key).filter(|text| !text.is_empty()) {
            return text;
        }
    }
    // Rich messages hold their words in nested blocks.
    let mut lines = Vec::new();
    if let Some(rich) = fields.get("rich_message") {
        collect_texts(rich, &mut lines);
    }
    lines.join("\n")
}

/// Every string under a `text` key, in the order in which they stand.
fn collect_texts<'a>(value: &'a Value, lines: &mut Vec<&'a str>) {
    // Deep nesting is no danger: the parser refuses what is deeper than 128.
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "text" => lines.push(text),
                    value => collect_texts(value, lines),
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                collect_texts(value, lines);
            }
        }
        _ => {}
    }
}

fn attachments(fields: &Map<String, Value>) -> Vec<Attachment> {
    let mut found = Vec::new();
    let largest = fields
        .get("photo")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|size| {
            let pixels = |size: &Value| {
                let side = |key| size.get(key).and_then(Value::as_u64).unwrap_or(0);
                side("width").saturating_mul(side("height"))
            };
            Some((pixels(size), file("photo", size)?))
        })
        // Of equal ones the last: Telegram lists them from small to large.
        .max_by_key(|(pixels, _)| *pixels);
    found.extend(largest.map(|(_, photo)| photo));
    found.extend(
        FILES
            .iter()
            // An animation comes a second time as a document, for old clients.
            .filter(|kind| **kind != "document" || !fields.contains_key("animation"))
            .filter_map(|kind| file(kind, fields.get(*kind)?)),
    );
    found
}

fn file(kind: &str, value: &Value) -> Option<Attachment> {
    let fields = value.as_object()?;
    Some(Attachment {
        kind: kind.to_owned(),
        file_id: string(fields, "file_id")?,
        file_name: string(fields, "file_name"),
        mime: string(fields, "mime_type"),
        size: fields.get("file_size").and_then(Value::as_u64),
    })
}

fn integer(fields: &Map<String, Value>, key: &str) -> Option<i64> {
    fields.get(key)?.as_i64()
}

fn string(fields: &Map<String, Value>, key: &str) -> Option<String> {
    Some(fields.get(key)?.as_str()?.to_owned())
}

/// A field name as it may stand in a log line or a metric.
fn kind_name(key: &str) -> String {
    let sound = !key.is_empty()
        && key.len() <= KIND_LENGTH
        && key
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if sound { key } else { "unknown" }.to_owned()
}

#[cfg(test)]
mod tests;
