//! Everything that the server knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    config::Config,
    faults::Faults,
    flood::Flood,
    observe::{
        Button, Call, CallbackAnswer, Change, ShownAction, ShownDraft, ShownFile, ShownMessage,
        Version,
    },
    queue::{Queue, Queued},
    text::Entity,
};

/// Messages wait this long.
pub(crate) const MESSAGE_TTL_MS: i64 = 24 * 3600 * 1000;
/// Callback queries wait, and may be answered, this long.
pub(crate) const CALLBACK_TTL_MS: i64 = 150 * 1000;
/// A draft shows this long.
pub(crate) const DRAFT_TTL_MS: i64 = 30 * 1000;
/// Chat actions, drafts, callback answers and versions of one message that are kept.
const MAX_KEPT: usize = 10_000;

/// Kind of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChatKind {
    Private,
    Group,
    Supergroup,
}

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct Human {
    pub id: i64,
    pub first_name: String,
    pub username: Option<String>,
    pub blocked_bot: bool,
}

impl Human {
    pub(crate) fn json(&self) -> Value {
        let mut user = json!({"id": self.id, "is_bot": false, "first_name": self.first_name, "language_code": "en"});
        if let Some(name) = &self.username {
            user["username"] = json!(name);
        }
        user
    }
}

/// A file at the server.
#[derive(Clone, Debug)]
pub(crate) struct StoredFile {
    pub kind: &'static str,
    pub unique_id: String,
    pub path: String,
    pub name: Option<String>,
    pub mime: Option<String>,
    /// Size that is told; larger than `bytes` where a test only claims a large file.
    pub size: u64,
    pub bytes: Bytes,
    pub width: u32,
    pub height: u32,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub id: i64,
    pub at_ms: i64,
    pub edited_ms: Option<i64>,
    pub from: i64,
    pub from_bot: bool,
    pub thread: Option<i64>,
    pub reply_to: Option<i64>,
    pub text: String,
    pub entities: Vec<Entity>,
    pub markup: Option<Value>,
    pub file: Option<String>,
    pub shown_file: Option<ShownFile>,
    /// Further fields of the message's JSON, as given by a test.
    pub extra: Map<String, Value>,
    pub history: VecDeque<Version>,
    pub deleted: bool,
}

impl Message {
    pub(crate) fn new(
        id: i64,
        at_ms: i64,
        from: i64,
        from_bot: bool,
        text: String,
        entities: Vec<Entity>,
    ) -> Self {
        Self {
            id,
            at_ms,
            edited_ms: None,
            from,
            from_bot,
            thread: None,
            reply_to: None,
            text,
            entities,
            markup: None,
            file: None,
            shown_file: None,
            extra: Map::new(),
            history: VecDeque::new(),
            deleted: false,
        }
    }

    /// Notes the content as it is now.
    pub(crate) fn note(&mut self, at: i64) {
        if self.history.len() >= MAX_KEPT {
            self.history.pop_front();
        }
        let version = Version {
            at,
            text: self.text.clone(),
            entities: self.entities.clone(),
            buttons: buttons(self.markup.as_ref()),
        };
        self.history.push_back(version);
    }

    pub(crate) fn shown(&self, chat_id: i64) -> ShownMessage {
        ShownMessage {
            message_id: self.id,
            chat_id,
            thread_id: self.thread,
            from_bot: self.from_bot,
            from: self.from,
            text: self.text.clone(),
            entities: self.entities.clone(),
            buttons: buttons(self.markup.as_ref()),
            reply_to: self.reply_to,
            file: self.shown_file.clone(),
            history: self.history.iter().cloned().collect(),
            deleted: self.deleted,
            at: self.at_ms,
        }
    }
}

/// Inline buttons of a keyboard.
pub(crate) fn buttons(markup: Option<&Value>) -> Vec<Vec<Button>> {
    markup
        .and_then(|m| m.get("inline_keyboard"))
        .and_then(|rows| serde_json::from_value(rows.clone()).ok())
        .unwrap_or_default()
}

/// A chat.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    pub id: i64,
    pub kind: ChatKind,
    pub title: String,
    pub username: Option<String>,
    pub forum: bool,
    pub topics: BTreeSet<i64>,
    pub messages: BTreeMap<i64, Message>,
    pub next_message_id: i64,
    pub kicked: bool,
    pub migrated_to: Option<i64>,
    /// Whether the bot may delete what others wrote.
    pub bot_is_admin: bool,
}

impl Chat {
    pub(crate) fn new(id: i64, kind: ChatKind, title: &str) -> Self {
        Self {
            id,
            kind,
            title: title.to_owned(),
            username: None,
            forum: false,
            topics: BTreeSet::new(),
            messages: BTreeMap::new(),
            next_message_id: 1,
            kicked: false,
            migrated_to: None,
            bot_is_admin: false,
        }
    }

    pub(crate) fn is_group(&self) -> bool {
        self.kind != ChatKind::Private
    }

    /// The `chat` field of a message.
    pub(crate) fn json(&self) -> Value {
        let mut chat = match self.kind {
            ChatKind::Private => {
                json!({"id": self.id, "type": "private", "first_name": self.title})
            }
            ChatKind::Group => json!({"id": self.id, "type": "group", "title": self.title,
                "all_members_are_administrators": false}),
            ChatKind::Supergroup => {
                json!({"id": self.id, "type": "supergroup", "title": self.title})
            }
        };
        if let Some(name) = &self.username {
            chat["username"] = json!(name);
        }
        if self.forum {
            chat["is_forum"] = json!(true);
        }
        chat
    }
}

/// A pressed button.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    pub at_ms: i64,
    pub user: i64,
}

/// A webhook; stored, never called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Webhook {
    pub url: String,
    pub max_connections: i64,
    pub allowed: Vec<String>,
}

/// Who polls.
#[derive(Debug, Default)]
pub(crate) struct Poll {
    pub next: u64,
    /// The poll that waits for updates.
    pub waiting: Option<u64>,
    pub previous_offset: Option<i64>,
    /// Real time, since pollers are paced by it.
    pub previous_start: Option<std::time::Instant>,
    pub next_conflict: Option<std::time::Instant>,
    /// Counts setWebhook calls, which end a waiting poll.
    pub webhook_set: u64,
}

/// Everything that the server knows, at one instant; for [`crate::BotApi::wait_for`] and [`crate::BotApi::view`].
pub struct State {
    pub(crate) bot_id: i64,
    pub(crate) bot_user: Value,
    pub(crate) queue: Queue,
    pub(crate) people: BTreeMap<i64, Human>,
    pub(crate) chats: BTreeMap<i64, Chat>,
    /// Private chats and basic groups share one sequence of message ids.
    pub(crate) next_message_id: i64,
    pub(crate) calls: VecDeque<Call>,
    pub(crate) calls_total: u64,
    /// Why the calls file is not whole.
    pub(crate) calls_file_trouble: Option<String>,
    pub(crate) actions: VecDeque<ShownAction>,
    /// Every state of every draft, oldest first.
    pub(crate) drafts: VecDeque<ShownDraft>,
    /// What is on show, by chat and topic, unless its time is over.
    pub(crate) on_show: BTreeMap<(i64, Option<i64>), ShownDraft>,
    /// Drafts of which the person wants no more, by chat and id.
    pub(crate) stopped_drafts: BTreeSet<(i64, i64)>,
    pub(crate) callbacks: BTreeMap<String, Callback>,
    pub(crate) next_callback: u64,
    pub(crate) callback_answers: VecDeque<CallbackAnswer>,
    pub(crate) commands: BTreeMap<(String, String), Vec<Value>>,
    pub(crate) files: BTreeMap<String, StoredFile>,
    pub(crate) next_file: u64,
    pub(crate) next_album: i64,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) faults: Faults,
    pub(crate) flood: Flood,
    pub(crate) poll: Poll,
    /// News not yet handed to subscribers.
    pub(crate) news: Vec<Change>,
    pub(crate) keep_calls: usize,
    pub(crate) keep_messages: usize,
}

impl State {
    pub(crate) fn new(config: &Config, bot_id: i64) -> Self {
        let bot_user = json!({"id": bot_id, "is_bot": true, "first_name": config.first_name, "username": config.username});
        Self {
            bot_id,
            bot_user,
            queue: Queue::new(config.first_update_id),
            people: BTreeMap::new(),
            chats: BTreeMap::new(),
            next_message_id: 1,
            calls: VecDeque::new(),
            calls_total: 0,
            calls_file_trouble: None,
            actions: VecDeque::new(),
            drafts: VecDeque::new(),
            on_show: BTreeMap::new(),
            stopped_drafts: BTreeSet::new(),
            callbacks: BTreeMap::new(),
            next_callback: 1,
            callback_answers: VecDeque::new(),
            commands: BTreeMap::new(),
            files: BTreeMap::new(),
            next_file: 1,
            next_album: 0,
            webhook: None,
            faults: Faults::default(),
            flood: Flood::new(config.flood),
            poll: Poll::default(),
            news: Vec::new(),
            keep_calls: config.keep_calls.max(1),
            keep_messages: config.keep_messages.max(1),
        }
    }

    /// Takes the next message id of a chat.
    pub(crate) fn take_message_id(&mut self, chat: i64) -> i64 {
        match self.chats.get_mut(&chat) {
            Some(chat) if chat.kind == ChatKind::Supergroup => {
                chat.next_message_id += 1;
                chat.next_message_id - 1
            }
            _ => {
                self.next_message_id += 1;
                self.next_message_id - 1
            }
        }
    }

    /// Puts a message into its chat, notes its first version and tells it.
    pub(crate) fn put_message(&mut self, chat_id: i64, mut message: Message) {
        let at = message.at_ms;
        message.note(at);
        let Some(chat) = self.chats.get_mut(&chat_id) else {
            return;
        };
        self.news.push(Change::Sent(message.shown(chat_id)));
        if message.from_bot {
            // What was streamed has come, as far as the chat can tell.
            self.on_show.remove(&(chat_id, message.thread));
        }
        if chat.messages.len() >= self.keep_messages {
            chat.messages.pop_first();
        }
        chat.messages.insert(message.id, message);
    }

    /// A message as Bot API JSON.
    pub(crate) fn message_json(&self, chat_id: i64, message_id: i64) -> Value {
        let Some(chat) = self.chats.get(&chat_id) else {
            return Value::Null;
        };
        let Some(message) = chat.messages.get(&message_id) else {
            return Value::Null;
        };
        let mut body = self.bare_message_json(chat, message);
        if let Some(answered) = message
            .reply_to
            .and_then(|id| chat.messages.get(&id))
            .filter(|m| !m.deleted)
        {
            // A reply inside the reply is not given.
            body["reply_to_message"] = self.bare_message_json(chat, answered);
        }
        body
    }

    fn bare_message_json(&self, chat: &Chat, message: &Message) -> Value {
        let from = if message.from_bot {
            self.bot_user.clone()
        } else {
            self.people.get(&message.from).map_or_else(
                || json!({"id": message.from, "is_bot": false, "first_name": "?"}),
                Human::json,
            )
        };
        let mut body = json!({
            "message_id": message.id,
            "from": from,
            "chat": chat.json(),
            "date": message.at_ms / 1000,
        });
        if let Some(at) = message.edited_ms {
            body["edit_date"] = json!(at / 1000);
        }
        if let Some(thread) = message.thread {
            body["message_thread_id"] = json!(thread);
            body["is_topic_message"] = json!(true);
        }
        let entities = if message.entities.is_empty() {
            None
        } else {
            serde_json::to_value(&message.entities).ok()
        };
        let file = message
            .file
            .as_ref()
            .and_then(|id| Some((id, self.files.get(id)?)));
        if let Some((id, file)) = file {
            let mut item =
                json!({"file_id": id, "file_unique_id": file.unique_id, "file_size": file.size});
            if file.kind == "photo" {
                item["width"] = json!(file.width);
                item["height"] = json!(file.height);
                body["photo"] = json!([item]);
            } else {
                if let Some(name) = &file.name {
                    item["file_name"] = json!(name);
                }
                if let Some(mime) = &file.mime {
                    item["mime_type"] = json!(mime);
                }
                body[file.kind] = item;
            }
            if !message.text.is_empty() {
                body["caption"] = json!(message.text);
            }
            if let Some(entities) = entities {
                body["caption_entities"] = entities;
            }
        } else {
            if !message.text.is_empty() {
                body["text"] = json!(message.text);
            }
            if let Some(entities) = entities {
                body["entities"] = entities;
            }
        }
        if let Some(markup) = message
            .markup
            .as_ref()
            .filter(|m| m.get("inline_keyboard").is_some())
        {
            body["reply_markup"] = markup.clone();
        }
        for (name, value) in &message.extra {
            body[name.as_str()] = value.clone();
        }
        body
    }

    /// Queues an update of this kind if the bot asked for such; gives its id.
    pub(crate) fn push_update(
        &mut self,
        kind: &str,
        content: &Value,
        now_ms: i64,
        ttl_ms: i64,
    ) -> Option<i64> {
        if !self.queue.wants(kind) {
            return None;
        }
        let id = self.queue.take_id();
        let json = json!({"update_id": id, kind: content}).to_string();
        self.queue.push(Queued {
            id,
            json,
            expires_ms: now_ms + ttl_ms,
        });
        Some(id)
    }

    pub(crate) fn note_action(&mut self, action: ShownAction) {
        if self.actions.len() >= MAX_KEPT {
            self.actions.pop_front();
        }
        self.news.push(Change::Action(action.clone()));
        self.actions.push_back(action);
    }

    /// A draft, shown unless the person wants no more of it.
    pub(crate) fn note_draft(&mut self, draft: ShownDraft) {
        if self
            .stopped_drafts
            .contains(&(draft.chat_id, draft.draft_id))
        {
            return;
        }
        if self.drafts.len() >= MAX_KEPT {
            self.drafts.pop_front();
        }
        self.news.push(Change::Draft(draft.clone()));
        self.on_show
            .insert((draft.chat_id, draft.thread_id), draft.clone());
        self.drafts.push_back(draft);
    }

    pub(crate) fn note_callback_answer(&mut self, answer: CallbackAnswer) {
        if self.callback_answers.len() >= MAX_KEPT {
            self.callback_answers.pop_front();
        }
        self.news.push(Change::CallbackAnswered(answer.clone()));
        self.callback_answers.push_back(answer);
    }

    /// Notes a call; its number finds it again.
    pub(crate) fn note_call(&mut self, mut call: Call) -> u64 {
        call.number = self.calls_total;
        self.calls_total += 1;
        if self.calls.len() >= self.keep_calls {
            self.calls.pop_front();
        }
        let number = call.number;
        self.calls.push_back(call);
        number
    }

    pub(crate) fn settle_call(&mut self, number: u64, outcome: crate::observe::Outcome) {
        let first = self.calls_total - self.calls.len() as u64;
        if let Some(call) = number
            .checked_sub(first)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| self.calls.get_mut(at))
        {
            call.outcome = outcome;
        }
    }
}
