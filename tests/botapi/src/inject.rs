//! Updates that no person of the server could cause.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    queue::Queued,
    shared::Shared,
    state::{Chat, ChatKind, MESSAGE_TTL_MS, Message, State},
};

/// Text that was to be injected is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnUpdate;

impl fmt::Display for NotAnUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a JSON object")
    }
}

impl std::error::Error for NotAnUpdate {}

/// Queues an update given without `update_id`; gives its id.
pub(crate) fn inject(shared: &Shared, update: &str) -> Result<i64, NotAnUpdate> {
    let inner = check(update)?;
    let now = shared.now_ms();
    Ok(shared.change(|state| {
        make_known(state, update, now);
        let id = state.queue.take_id();
        let comma = if inner == "}" { "" } else { "," };
        let json = format!("{{\"update_id\":{id}{comma}{inner}");
        state.queue.push(Queued {
            id,
            json,
            expires_ms: now + MESSAGE_TTL_MS,
        });
        id
    }))
}

/// Queues a whole update as it is.
pub(crate) fn inject_verbatim(shared: &Shared, id: i64, update: &str) -> Result<(), NotAnUpdate> {
    check(update)?;
    let now = shared.now_ms();
    shared.change(|state| {
        make_known(state, update, now);
        state.queue.push(Queued {
            id,
            json: update.to_owned(),
            expires_ms: now + MESSAGE_TTL_MS,
        });
    });
    Ok(())
}

/// What stands behind the opening brace. Strings are not looked into, so lone surrogates pass.
fn check(update: &str) -> Result<&str, NotAnUpdate> {
    let update = update.trim();
    serde_json::from_str::<BTreeMap<String, &RawValue>>(update).map_err(|_| NotAnUpdate)?;
    Ok(update.strip_prefix('{').ok_or(NotAnUpdate)?.trim_start())
}

#[derive(Deserialize)]
struct Narrow {
    message: Option<NarrowMessage>,
}

#[derive(Deserialize)]
struct NarrowMessage {
    message_id: i64,
    chat: Id,
    from: Option<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: i64,
}

/// Makes chat and message of an injected update known, so that they can be answered.
fn make_known(state: &mut State, update: &str, now: i64) {
    let Ok(Narrow {
        message: Some(message),
    }) = serde_json::from_str::<Narrow>(update)
    else {
        return;
    };
    let chat = message.chat.id;
    state.chats.entry(chat).or_insert_with(|| {
        let kind = if chat > 0 {
            ChatKind::Private
        } else {
            ChatKind::Supergroup
        };
        Chat::new(chat, kind, "injected")
    });
    let from = message.from.map_or(chat, |f| f.id);
    state.next_message_id = state.next_message_id.max(message.message_id + 1);
    if let Some(known) = state.chats.get_mut(&chat) {
        known.next_message_id = known.next_message_id.max(message.message_id + 1);
    }
    state.put_message(
        chat,
        Message::new(
            message.message_id,
            now,
            from,
            false,
            String::new(),
            Vec::new(),
        ),
    );
}
