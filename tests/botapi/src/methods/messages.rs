//! Sending, editing and deleting messages.

use serde_json::{Value, json};

use super::{markup, thread, writable_chat};
use crate::{
    answer::{ApiError, MethodResult},
    observe::{Change, ShownDraft},
    request::Params,
    state::{ChatKind, Message, State},
    text::{self, Entity, MAX_CAPTION, MAX_TEXT},
};

/// Age from which on a message cannot be deleted any more.
const DELETABLE_MS: i64 = 48 * 3600 * 1000;

/// Which text of a request is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Text,
    Caption,
}

/// Reads a text with its entities and checks both.
pub(super) fn read_text(params: &Params, field: Field) -> Result<(String, Vec<Entity>), ApiError> {
    let (name, entities_name) = match field {
        Field::Text => ("text", "entities"),
        Field::Caption => ("caption", "caption_entities"),
    };
    let raw = params.text(name).unwrap_or_default();
    if raw.is_empty() {
        return if field == Field::Text {
            Err(ApiError::bad_request("message text is empty"))
        } else {
            Ok((String::new(), Vec::new()))
        };
    }
    let entities = match params.word("parse_mode") {
        None => text::parse_entities(params.json(entities_name))?,
        // Markup is not read here: a text without any special character means the same in every mode.
        Some(mode)
            if raw
                .chars()
                .all(|c| c.is_alphanumeric() || c == ' ' || c == ',' || c == '\n') =>
        {
            if !["html", "markdown", "markdownv2"].contains(&mode.to_ascii_lowercase().as_str()) {
                return Err(ApiError::bad_request("unsupported parse_mode"));
            }
            Vec::new()
        }
        Some(_) => {
            return Err(ApiError::bad_request(
                "can't parse entities: this server reads no parse_mode, send entities",
            ));
        }
    };
    // Form bodies bring CR LF.
    let (text, entities) = text::settle(&raw, entities)?;
    if text.is_empty() {
        return if field == Field::Text {
            Err(ApiError::bad_request("text must be non-empty"))
        } else {
            Ok((text, entities))
        };
    }
    let units = text::utf16_len(&text);
    match field {
        Field::Text if units > MAX_TEXT => Err(ApiError::bad_request("message is too long")),
        Field::Caption if units > MAX_CAPTION => {
            Err(ApiError::bad_request("message caption is too long"))
        }
        _ => Ok((text, entities)),
    }
}

/// The message that a new one answers.
pub(super) fn reply_target(
    state: &State,
    chat: i64,
    params: &Params,
) -> Result<Option<i64>, ApiError> {
    let (id, lenient) = match params.json("reply_parameters") {
        Some(Value::Object(reply)) => {
            let id = reply
                .get("message_id")
                .and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()));
            let lenient = reply
                .get("allow_sending_without_reply")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            (id, lenient)
        }
        Some(_) => return Err(ApiError::bad_request("object expected as reply parameters")),
        None => (
            params.number("reply_to_message_id"),
            params.flag("allow_sending_without_reply"),
        ),
    };
    let Some(id) = id.filter(|id| *id != 0) else {
        return Ok(None);
    };
    let found = state
        .chats
        .get(&chat)
        .and_then(|c| c.messages.get(&id))
        .is_some_and(|m| !m.deleted);
    match (found, lenient) {
        (true, _) => Ok(Some(id)),
        (false, true) => Ok(None),
        (false, false) => Err(ApiError::bad_request("message to be replied not found")),
    }
}

/// Counts a message or an edit against the flood limits.
pub(super) fn admit(state: &mut State, chat: i64, now_ms: i64) -> Result<(), ApiError> {
    let group = state
        .chats
        .get(&chat)
        .is_some_and(crate::state::Chat::is_group);
    state
        .flood
        .admit(chat, group, now_ms)
        .map_err(ApiError::too_many)
}

pub(super) fn send(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let (text, entities) = read_text(params, Field::Text)?;
    let markup = markup::parse(params)?;
    let chat = writable_chat(state, params)?;
    let thread = thread(state, chat, params)?;
    let reply_to = reply_target(state, chat, params)?;
    admit(state, chat, now_ms)?;
    let id = state.take_message_id(chat);
    let mut message = Message::new(id, now_ms, state.bot_id, true, text, entities);
    message.thread = thread;
    message.reply_to = reply_to;
    message.markup = markup;
    state.put_message(chat, message);
    Ok(state.message_json(chat, id))
}

/// The bot's message that a request wants to change.
fn editable(state: &State, params: &Params) -> Result<(i64, i64), ApiError> {
    if params.word("inline_message_id").is_some() && params.word("chat_id").is_none() {
        return Err(ApiError::bad_request("MESSAGE_ID_INVALID"));
    }
    let chat = writable_chat(state, params)?;
    let Some(id) = params.number("message_id").filter(|id| *id != 0) else {
        return Err(ApiError::bad_request("message identifier is not specified"));
    };
    let message = state
        .chats
        .get(&chat)
        .and_then(|c| c.messages.get(&id))
        .filter(|m| !m.deleted);
    match message {
        None => Err(ApiError::bad_request("message to edit not found")),
        Some(message) if !message.from_bot => Err(ApiError::bad_request("message can't be edited")),
        Some(_) => Ok((chat, id)),
    }
}

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message";

pub(super) fn edit_text(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let (text, entities) = read_text(params, Field::Text)?;
    // Without a keyboard in the request the message loses the one that it has.
    let markup = markup::parse(params)?;
    let (chat, id) = editable(state, params)?;
    admit(state, chat, now_ms)?;
    change(state, chat, id, now_ms, |message| {
        if message.file.is_some() {
            return Err(ApiError::bad_request(
                "there is no text in the message to edit",
            ));
        }
        if message.text == text && message.entities == entities && message.markup == markup {
            return Err(ApiError::bad_request(NOT_MODIFIED));
        }
        message.text = text;
        message.entities = entities;
        message.markup = markup;
        Ok(())
    })
}

pub(super) fn edit_markup(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let markup = markup::parse(params)?;
    let (chat, id) = editable(state, params)?;
    admit(state, chat, now_ms)?;
    change(state, chat, id, now_ms, |message| {
        if message.markup == markup {
            return Err(ApiError::bad_request(NOT_MODIFIED));
        }
        message.markup = markup;
        Ok(())
    })
}

/// Changes a message, notes the new version and tells it.
fn change(
    state: &mut State,
    chat: i64,
    id: i64,
    now_ms: i64,
    f: impl FnOnce(&mut Message) -> Result<(), ApiError>,
) -> MethodResult {
    let Some(message) = state
        .chats
        .get_mut(&chat)
        .and_then(|c| c.messages.get_mut(&id))
    else {
        return Err(ApiError::bad_request("message to edit not found"));
    };
    f(message)?;
    message.edited_ms = Some(now_ms);
    message.note(now_ms);
    let shown = message.shown(chat);
    state.news.push(Change::Edited(shown));
    Ok(state.message_json(chat, id))
}

pub(super) fn delete(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let chat = writable_chat(state, params)?;
    let Some(id) = params.number("message_id").filter(|id| *id != 0) else {
        return Err(ApiError::bad_request("message identifier is not specified"));
    };
    delete_one(state, chat, id, now_ms)?;
    Ok(json!(true))
}

pub(super) fn delete_many(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let chat = writable_chat(state, params)?;
    let ids: Vec<i64> = match params.values.get("message_ids") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_i64).collect(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Vec::new(),
    };
    if ids.is_empty() {
        return Err(ApiError::bad_request(
            "message identifiers are not specified",
        ));
    }
    if ids.len() > 100 {
        return Err(ApiError::bad_request(
            "too many message identifiers specified",
        ));
    }
    for id in ids {
        // What cannot be found is skipped.
        let _ = delete_one(state, chat, id, now_ms);
    }
    Ok(json!(true))
}

fn delete_one(state: &mut State, chat_id: i64, id: i64, now_ms: i64) -> Result<(), ApiError> {
    let Some(chat) = state.chats.get_mut(&chat_id) else {
        return Err(ApiError::bad_request("chat not found"));
    };
    let may_delete_others = chat.kind == ChatKind::Private || chat.bot_is_admin;
    let Some(message) = chat.messages.get_mut(&id).filter(|m| !m.deleted) else {
        return Err(ApiError::bad_request("message to delete not found"));
    };
    if now_ms - message.at_ms > DELETABLE_MS || (!message.from_bot && !may_delete_others) {
        return Err(ApiError::bad_request("message can't be deleted"));
    }
    message.deleted = true;
    state.news.push(Change::Deleted {
        chat_id,
        message_id: id,
    });
    Ok(())
}

pub(super) fn draft(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let raw = params.text("text").unwrap_or_default();
    // An empty text is one here: "Thinking…".
    let (text, entities) = if raw.trim().is_empty() {
        (String::new(), Vec::new())
    } else {
        read_text(params, Field::Text)?
    };
    let chat_id = writable_chat(state, params)?;
    if state
        .chats
        .get(&chat_id)
        .is_some_and(crate::state::Chat::is_group)
    {
        return Err(ApiError::bad_request("TEXTDRAFT_PEER_INVALID"));
    }
    let Some(draft_id) = params.number("draft_id").filter(|id| *id != 0) else {
        return Err(ApiError::bad_request("draft identifier must be non-zero"));
    };
    let thread_id = thread(state, chat_id, params)?;
    // Whether Telegram counts drafts against the limits of messages is not documented; not here.
    state.note_draft(ShownDraft {
        chat_id,
        thread_id,
        draft_id,
        text,
        entities,
        can_stop: params.flag("can_stop"),
        keep_on_stop: params.flag("keep_on_stop"),
        at: now_ms,
    });
    Ok(json!(true))
}
