//! Acting as a person.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    methods,
    observe::Change,
    outgoing::Outgoing,
    shared::Shared,
    state::{
        CALLBACK_TTL_MS, Callback, Chat, ChatKind, Human, MESSAGE_TTL_MS, Message, State, buttons,
    },
    text::{Entity, MAX_TEXT},
};

/// Messages of an album, at most.
const MAX_ALBUM: usize = 10;

/// A button that a person wanted to press is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchButton {
    /// What was looked for.
    pub wanted: String,
    /// Labels and data of the buttons that are there.
    pub there: Vec<String>,
}

impl std::fmt::Display for NoSuchButton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no button {:?}; there are {:?}", self.wanted, self.there)
    }
}

impl std::error::Error for NoSuchButton {}

/// The person's private chat shows no draft that could be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDraft;

impl std::fmt::Display for NoDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no draft with a button that stops it")
    }
}

impl std::error::Error for NoDraft {}

/// A person. Clones are the same person.
#[derive(Clone)]
pub struct Person {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: i64,
}

impl Person {
    /// The person with this id, made where there is none.
    pub(crate) fn of(shared: &Arc<Shared>, id: i64, first_name: &str) -> Self {
        shared.change(|state| {
            state.people.entry(id).or_insert_with(|| Human {
                id,
                first_name: first_name.to_owned(),
                username: None,
                blocked_bot: false,
            });
        });
        Self {
            shared: Arc::clone(shared),
            id,
        }
    }

    /// Telegram id, which is also the id of the private chat with the bot.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Writes a text; gives the message's id. `chat`: the person's own id for the private chat, else a group (made as
    /// a supergroup where there is none).
    pub fn send_text(&self, chat: i64, text: &str) -> i64 {
        self.send(chat, Outgoing::text(text))
    }

    /// Writes a text into a topic (made where there is none).
    pub fn send_in_topic(&self, chat: i64, thread: i64, text: &str) -> i64 {
        self.send(chat, Outgoing::text(text).thread(thread))
    }

    /// Writes a text into a group.
    pub fn send_group(&self, chat: i64, text: &str) -> i64 {
        self.send(chat, Outgoing::text(text))
    }

    /// Pastes a text of any length: it is cut into messages of 4096 UTF-16 units, as Telegram's apps do.
    pub fn paste(&self, chat: i64, text: &str) -> Vec<i64> {
        let mut parts: Vec<String> = vec![String::new()];
        let mut units = 0;
        for character in text.chars() {
            if units + character.len_utf16() > MAX_TEXT {
                parts.push(String::new());
                units = 0;
            }
            units += character.len_utf16();
            if let Some(part) = parts.last_mut() {
                part.push(character);
            }
        }
        parts
            .iter()
            .map(|part| self.send_text(chat, part))
            .collect()
    }

    /// Sends a file as a document.
    pub fn send_document(
        &self,
        chat: i64,
        name: &str,
        mime: &str,
        bytes: impl Into<Bytes>,
        caption: &str,
    ) -> i64 {
        self.send(chat, Outgoing::document(name, mime, bytes).caption(caption))
    }

    /// Sends a photo.
    pub fn send_photo(&self, chat: i64, bytes: impl Into<Bytes>, caption: &str) -> i64 {
        self.send(chat, Outgoing::photo(bytes).caption(caption))
    }

    /// Sends any message; gives its id.
    pub fn send(&self, chat: i64, message: Outgoing) -> i64 {
        let now = self.shared.now_ms();
        let sees_all = self.shared.config.can_read_all_group_messages;
        let name = self.shared.config.username.clone();
        self.shared.change(|state| {
            ensure_chat(state, chat, self.id);
            let at = now - message.age_ms;
            let id = state.take_message_id(chat);
            let mut entities = message.entities;
            if message.file.is_none() && message.origin.is_none() {
                entities.extend(command_entities(&message.text));
            }
            let addressed = !entities.iter().all(|e| e.kind != "bot_command")
                || message.text.contains(&format!("@{name}"))
                || message.reply_to.is_some_and(|to| {
                    state
                        .chats
                        .get(&chat)
                        .and_then(|c| c.messages.get(&to))
                        .is_some_and(|m| m.from_bot)
                });
            let mut sent = Message::new(id, at, self.id, false, message.text, entities);
            if let Some(thread) = message.thread {
                if let Some(chat) = state.chats.get_mut(&chat) {
                    chat.topics.insert(thread);
                }
                sent.thread = Some(thread);
            }
            sent.reply_to = message.reply_to;
            sent.extra = message.extra;
            if let Some(origin) = &message.origin {
                let origin = origin.json(at / 1000);
                sent.extra.insert("forward_origin".to_owned(), origin);
            }
            let answered = message
                .reply_to
                .and_then(|to| state.chats.get(&chat)?.messages.get(&to));
            if let Some(passage) = &message.quote
                && let Some(at) = answered.and_then(|answered| answered.text.find(passage))
                && let Some(before) = answered.and_then(|answered| answered.text.get(..at))
            {
                let position = before.encode_utf16().count();
                let quote = json!({"text": passage, "position": position, "is_manual": true});
                sent.extra.insert("quote".to_owned(), quote);
            }
            if let Some(file) = message.file {
                let file_id = methods::store(
                    state,
                    file.kind,
                    file.name.as_deref(),
                    file.mime.as_deref(),
                    file.bytes,
                    file.claimed,
                );
                sent.shown_file = methods::shown(state, &file_id);
                sent.file = Some(file_id);
            }
            state.put_message(chat, sent);
            let in_group = state.chats.get(&chat).is_some_and(Chat::is_group);
            let admin = state.chats.get(&chat).is_some_and(|c| c.bot_is_admin);
            let kicked = state.chats.get(&chat).is_some_and(|c| c.kicked);
            // A bot in privacy mode sees of a group only what is addressed to it.
            if !kicked && (!in_group || sees_all || admin || addressed) {
                let body = state.message_json(chat, id);
                state.push_update("message", &body, at, MESSAGE_TTL_MS);
            }
            id
        })
    }

    /// Sends these as one album, of at most ten: each is a message and an update of its own, with one id for all. Gives
    /// their ids.
    pub fn send_album(&self, chat: i64, parts: Vec<Outgoing>) -> Vec<i64> {
        let id = self.shared.change(|state| {
            state.next_album += 1;
            format!("{}", 13_900_000_000_000_000_i64 + state.next_album)
        });
        let parts = parts.into_iter().take(MAX_ALBUM);
        parts.map(|part| self.send(chat, part.album(&id))).collect()
    }

    /// Changes the text (or caption) of an own message.
    pub fn edit(&self, chat: i64, message_id: i64, text: &str) {
        self.change_own(chat, message_id, |message| {
            text.clone_into(&mut message.text);
            message.entities = if message.file.is_none() {
                command_entities(text)
            } else {
                Vec::new()
            };
        });
    }

    /// Puts another file in the place of that of an own message, or one where there was none.
    pub fn edit_file(&self, chat: i64, message_id: i64, with: Outgoing) {
        let Some(file) = with.file else { return };
        let file_id = self.shared.change(|state| {
            methods::store(
                state,
                file.kind,
                file.name.as_deref(),
                file.mime.as_deref(),
                file.bytes,
                file.claimed,
            )
        });
        self.change_own(chat, message_id, |message| message.file = Some(file_id));
    }

    /// Has the bot see an own message again, as edited, though nothing of its content is: as when Telegram finds a preview
    /// of its link.
    pub fn touch(&self, chat: i64, message_id: i64) {
        self.change_own(chat, message_id, |_| {});
    }

    fn change_own(&self, chat: i64, message_id: i64, change: impl FnOnce(&mut Message)) {
        let now = self.shared.now_ms();
        self.shared.change(|state| {
            let Some(message) = state
                .chats
                .get_mut(&chat)
                .and_then(|c| c.messages.get_mut(&message_id))
            else {
                return;
            };
            change(message);
            message.edited_ms = Some(now);
            message.note(now);
            let shown = message.shown(chat);
            state.news.push(Change::Edited(shown));
            let body = state.message_json(chat, message_id);
            state.push_update("edited_message", &body, now, MESSAGE_TTL_MS);
        });
    }

    /// Deletes a message; bots are not told.
    pub fn delete(&self, chat: i64, message_id: i64) {
        self.shared.change(|state| {
            if let Some(message) = state
                .chats
                .get_mut(&chat)
                .and_then(|c| c.messages.get_mut(&message_id))
            {
                message.deleted = true;
                state.news.push(Change::Deleted {
                    chat_id: chat,
                    message_id,
                });
            }
        });
    }

    /// Presses the button with this data; gives the id of the query.
    ///
    /// # Errors
    /// There is no such button below that message now.
    pub fn press(&self, chat: i64, message_id: i64, data: &str) -> Result<String, NoSuchButton> {
        self.press_where(chat, message_id, data, |d, _| d == data)
    }

    /// Presses the button with this label; gives the id of the query.
    ///
    /// # Errors
    /// There is no such button below that message now.
    pub fn press_labelled(
        &self,
        chat: i64,
        message_id: i64,
        label: &str,
    ) -> Result<String, NoSuchButton> {
        self.press_where(chat, message_id, label, |_, l| l == label)
    }

    /// Presses a button that is no longer there (its app shows an old state).
    pub fn press_stale(&self, chat: i64, message_id: i64, data: &str) -> String {
        self.shared
            .change(|state| self.callback(state, chat, message_id, data))
    }

    fn press_where(
        &self,
        chat: i64,
        message_id: i64,
        wanted: &str,
        is_it: impl Fn(&str, &str) -> bool,
    ) -> Result<String, NoSuchButton> {
        self.shared.change(|state| {
            let message = state
                .chats
                .get(&chat)
                .and_then(|c| c.messages.get(&message_id))
                .filter(|m| !m.deleted && m.from_bot);
            let there: Vec<(String, String)> = message
                .map(|m| buttons(m.markup.as_ref()))
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .filter_map(|b| Some((b.data?, b.text)))
                .collect();
            match there.iter().find(|(data, label)| is_it(data, label)) {
                Some((data, _)) => {
                    let data = data.clone();
                    Ok(self.callback(state, chat, message_id, &data))
                }
                None => Err(NoSuchButton {
                    wanted: wanted.to_owned(),
                    there: there
                        .into_iter()
                        .map(|(data, label)| format!("{label} ({data})"))
                        .collect(),
                }),
            }
        })
    }

    fn callback(&self, state: &mut State, chat: i64, message_id: i64, data: &str) -> String {
        let now = self.shared.now_ms();
        let id = format!(
            "{}",
            7_000_000_000_000_i64 + state.next_callback.cast_signed()
        );
        state.next_callback += 1;
        if state.callbacks.len() >= 10_000 {
            state.callbacks.pop_first();
        }
        state.callbacks.insert(
            id.clone(),
            Callback {
                at_ms: now,
                user: self.id,
            },
        );
        let from = state.people.get(&self.id).map_or(Value::Null, Human::json);
        let mut query = json!({
            "id": id, "from": from, "chat_instance": format!("{}", chat.wrapping_mul(7_919)), "data": data,
        });
        let message = state.message_json(chat, message_id);
        if !message.is_null() {
            query["message"] = message;
        }
        state.push_update("callback_query", &query, now, CALLBACK_TTL_MS);
        id
    }

    /// Blocks the bot: it is told, and every send to this person fails from now on.
    pub fn block_bot(&self) {
        self.set_blocked(true);
    }

    /// Takes the block back.
    pub fn unblock_bot(&self) {
        self.set_blocked(false);
    }

    fn set_blocked(&self, blocked: bool) {
        let now = self.shared.now_ms();
        self.shared.change(|state| {
            ensure_chat(state, self.id, self.id);
            let Some(person) = state.people.get_mut(&self.id) else { return };
            if person.blocked_bot == blocked {
                return;
            }
            person.blocked_bot = blocked;
            let from = person.json();
            let member = json!({"status": "member", "user": state.bot_user});
            let kicked = json!({"status": "kicked", "user": state.bot_user, "until_date": 0});
            let (old, new) = if blocked { (member, kicked) } else { (kicked, member) };
            let chat = state.chats.get(&self.id).map_or(Value::Null, Chat::json);
            let body = json!({"chat": chat, "from": from, "date": now / 1000, "old_chat_member": old, "new_chat_member": new});
            state.push_update("my_chat_member", &body, now, MESSAGE_TTL_MS);
        });
    }

    /// Presses Stop below the draft that the private chat shows; gives the draft's id. From then on nothing more of it
    /// is shown; what is there stays if the bot wanted that.
    ///
    /// # Errors
    /// There is no draft there now, or none with that button.
    pub fn stop_draft(&self, thread: Option<i64>) -> Result<i64, NoDraft> {
        let now = self.shared.now_ms();
        self.shared.change(|state| {
            let draft = state
                .draft_at(self.id, thread, now)
                .filter(|draft| draft.can_stop)
                .ok_or(NoDraft)?;
            state.stopped_drafts.insert((self.id, draft.draft_id));
            if draft.keep_on_stop {
                if let Some(kept) = state.on_show.get_mut(&(self.id, thread)) {
                    kept.can_stop = false;
                }
            } else {
                state.on_show.remove(&(self.id, thread));
            }
            self.tell_stopped(state, draft.draft_id, thread, now);
            Ok(draft.draft_id)
        })
    }

    /// Presses Stop below a draft that is no longer there, or never was (an app that shows an old state).
    pub fn stop_draft_stale(&self, draft_id: i64, thread: Option<i64>) {
        let now = self.shared.now_ms();
        self.shared
            .change(|state| self.tell_stopped(state, draft_id, thread, now));
    }

    fn tell_stopped(&self, state: &mut State, draft_id: i64, thread: Option<i64>, now: i64) {
        let chat = state.chats.get(&self.id).map_or(Value::Null, Chat::json);
        let mut body = json!({"chat": chat, "draft_id": draft_id});
        if let Some(thread) = thread {
            body["message_thread_id"] = json!(thread);
        }
        state.push_update("stopped_message_generation", &body, now, MESSAGE_TTL_MS);
    }
}

/// Makes the chat where there is none: the person's own private one, else a supergroup.
fn ensure_chat(state: &mut State, chat: i64, person: i64) {
    if state.chats.contains_key(&chat) {
        return;
    }
    let made = if chat == person {
        let (name, username) = state.people.get(&person).map_or_else(
            || ("?".to_owned(), None),
            |p| (p.first_name.clone(), p.username.clone()),
        );
        Chat {
            username,
            ..Chat::new(chat, ChatKind::Private, &name)
        }
    } else {
        Chat::new(chat, ChatKind::Supergroup, "group")
    };
    state.chats.insert(chat, made);
}

/// The `/command` words of a text, as the server marks them.
fn command_entities(text: &str) -> Vec<Entity> {
    let mut entities = Vec::new();
    let mut offset = 0;
    let mut at_word_start = true;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character == '/' && at_word_start {
            let name: String = rest
                .as_str()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '@')
                .collect();
            if name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                entities.push(Entity {
                    kind: "bot_command".to_owned(),
                    offset,
                    length: name.len() + 1,
                    url: None,
                    language: None,
                    extra: Map::new(),
                });
            }
        }
        at_word_start = character.is_whitespace();
        offset += character.len_utf16();
    }
    entities
}
