//! What a test sees: messages as a person would, calls as the server got them, and news of both.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    state::{DRAFT_TTL_MS, State},
    text::Entity,
};

/// A button below a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// Label.
    pub text: String,
    /// `callback_data`.
    #[serde(
        rename = "callback_data",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<String>,
    /// `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// One state of a message's content.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    /// When it came to be, milliseconds since the Unix epoch by the server's clock.
    pub at: i64,
    /// Text, or the caption of a file.
    pub text: String,
    /// Formatting.
    pub entities: Vec<Entity>,
    /// Rows of inline buttons.
    pub buttons: Vec<Vec<Button>>,
}

/// A message as the chat shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownMessage {
    /// Its id in the chat.
    pub message_id: i64,
    /// Chat.
    pub chat_id: i64,
    /// Topic, if any.
    pub thread_id: Option<i64>,
    /// Whether the bot wrote it.
    pub from_bot: bool,
    /// Id of its author.
    pub from: i64,
    /// Text, or the caption of a file, as it is now.
    pub text: String,
    /// Formatting as it is now.
    pub entities: Vec<Entity>,
    /// Rows of inline buttons as they are now.
    pub buttons: Vec<Vec<Button>>,
    /// Message that it answers.
    pub reply_to: Option<i64>,
    /// File that it carries.
    pub file: Option<ShownFile>,
    /// Every state of its content, the first included.
    pub history: Vec<Version>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// When it was sent, milliseconds since the Unix epoch by the server's clock.
    pub at: i64,
}

/// A file in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownFile {
    /// `document`, `photo`, ….
    pub kind: String,
    /// Its `file_id`.
    pub file_id: String,
    /// File name, if it has one.
    pub name: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still under way.
    Open,
    /// Taken and answered `ok`.
    Done,
    /// Refused with this `error_code` and description.
    Refused(u16, String),
    /// Taken, and by an injected fault the answer was lost, cut or spoilt.
    AnswerLost,
    /// Not taken, by an injected fault.
    NotTaken,
}

/// A request that came in with the right token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// Counts calls, from 0.
    pub number: u64,
    /// Method as Telegram spells it where it is known, else as it came.
    pub method: String,
    /// Parameters; those that came as JSON inside a form are taken apart.
    pub params: Value,
    /// Uploaded files: field, file name, bytes.
    pub files: Vec<(String, String, u64)>,
    /// When it came, milliseconds since the Unix epoch by the server's clock.
    pub at: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// A `sendChatAction`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownAction {
    /// Chat.
    pub chat_id: i64,
    /// Topic, if any.
    pub thread_id: Option<i64>,
    /// `typing`, ….
    pub action: String,
    /// When, milliseconds since the Unix epoch by the server's clock. It shows for 5 s or until the next message.
    pub at: i64,
}

/// A `sendMessageDraft`: what a private chat shows of a message that is being written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownDraft {
    /// Chat.
    pub chat_id: i64,
    /// Topic, if any.
    pub thread_id: Option<i64>,
    /// Its id.
    pub draft_id: i64,
    /// Text so far; empty: "Thinking…".
    pub text: String,
    /// Formatting.
    pub entities: Vec<Entity>,
    /// Whether it has a button that stops it.
    pub can_stop: bool,
    /// Whether it stays when it is stopped.
    pub keep_on_stop: bool,
    /// When, milliseconds since the Unix epoch by the server's clock. It shows for 30 s or until the bot's next message.
    pub at: i64,
}

/// An `answerCallbackQuery`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallbackAnswer {
    /// Query.
    pub id: String,
    /// Who pressed.
    pub user_id: i64,
    /// Text of the notice.
    pub text: Option<String>,
    /// Whether it is an alert.
    pub show_alert: bool,
    /// When, milliseconds since the Unix epoch by the server's clock.
    pub at: i64,
}

/// News for subscribers. Slow ones lose the oldest.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A message appeared.
    Sent(ShownMessage),
    /// A message changed; it is given as it is now.
    Edited(ShownMessage),
    /// A message is gone.
    Deleted {
        /// Chat.
        chat_id: i64,
        /// Message.
        message_id: i64,
    },
    /// A chat action.
    Action(ShownAction),
    /// A pressed button was answered.
    CallbackAnswered(CallbackAnswer),
    /// A draft is streamed into a private chat.
    Draft(ShownDraft),
    /// The list of commands changed.
    Commands,
}

impl State {
    /// Messages of a chat, oldest first, deleted ones included.
    #[must_use]
    pub fn messages(&self, chat: i64) -> Vec<ShownMessage> {
        self.chats
            .get(&chat)
            .map(|c| c.messages.values().map(|m| m.shown(chat)).collect())
            .unwrap_or_default()
    }

    /// Messages of the bot that stand in a chat, oldest first.
    #[must_use]
    pub fn bot_messages(&self, chat: i64) -> Vec<ShownMessage> {
        self.messages(chat)
            .into_iter()
            .filter(|m| m.from_bot && !m.deleted)
            .collect()
    }

    /// One message.
    #[must_use]
    pub fn message(&self, chat: i64, message_id: i64) -> Option<ShownMessage> {
        self.chats
            .get(&chat)?
            .messages
            .get(&message_id)
            .map(|m| m.shown(chat))
    }

    /// Texts of the bot's messages that stand in a chat, oldest first.
    #[must_use]
    pub fn bot_texts(&self, chat: i64) -> Vec<String> {
        self.bot_messages(chat)
            .into_iter()
            .map(|m| m.text)
            .collect()
    }

    /// Calls, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.iter().cloned().collect()
    }

    /// Calls of a method (any case of letters), oldest first.
    #[must_use]
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.calls
            .iter()
            .filter(|c| c.method.eq_ignore_ascii_case(method))
            .cloned()
            .collect()
    }

    /// Number of calls of a method, without copying them.
    #[must_use]
    pub fn count_of(&self, method: &str) -> usize {
        self.calls
            .iter()
            .filter(|c| c.method.eq_ignore_ascii_case(method))
            .count()
    }

    /// Why the calls file is not whole, where it could not be written.
    #[must_use]
    pub fn calls_file_trouble(&self) -> Option<&str> {
        self.calls_file_trouble.as_deref()
    }

    /// Chat actions of a chat, oldest first.
    #[must_use]
    pub fn chat_actions(&self, chat: i64) -> Vec<ShownAction> {
        self.actions
            .iter()
            .filter(|a| a.chat_id == chat)
            .cloned()
            .collect()
    }

    /// Every state of every draft that a chat has shown, oldest first.
    #[must_use]
    pub fn drafts(&self, chat: i64) -> Vec<ShownDraft> {
        self.drafts
            .iter()
            .filter(|d| d.chat_id == chat)
            .cloned()
            .collect()
    }

    /// The draft that a chat shows at this time, in the topic or outside of all.
    #[must_use]
    pub fn draft_at(&self, chat: i64, thread: Option<i64>, now_ms: i64) -> Option<ShownDraft> {
        self.on_show
            .get(&(chat, thread))
            .filter(|draft| now_ms - draft.at < DRAFT_TTL_MS)
            .cloned()
    }

    /// Answers to pressed buttons, oldest first.
    #[must_use]
    pub fn callback_answers(&self) -> Vec<CallbackAnswer> {
        self.callback_answers.iter().cloned().collect()
    }

    /// Ids of the updates that wait, in order.
    #[must_use]
    pub fn pending_updates(&self) -> Vec<i64> {
        self.queue.pending()
    }

    /// Highest update id that the bot confirmed.
    #[must_use]
    pub fn confirmed_offset(&self) -> Option<i64> {
        self.queue.confirmed()
    }

    /// Updates that went out of date before they were confirmed.
    #[must_use]
    pub fn expired_updates(&self) -> u64 {
        self.queue.expired()
    }

    /// Whether a getUpdates is waiting for updates right now.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        self.poll.waiting.is_some()
    }

    /// Kinds of updates that the bot asked for; `None`: the default.
    #[must_use]
    pub fn allowed_updates(&self) -> Option<Vec<String>> {
        self.queue
            .allowed()
            .map(|kinds| kinds.iter().cloned().collect())
    }

    /// Commands set for a scope (`{"type":"default"}` where `None`) and language (empty: any), as `(command, description)`.
    #[must_use]
    pub fn commands(&self, scope: Option<&Value>, language: &str) -> Vec<(String, String)> {
        let key = (crate::methods::scope_key(scope), language.to_owned());
        self.commands
            .get(&key)
            .map(|list| {
                list.iter()
                    .map(|c| {
                        (
                            c["command"].as_str().unwrap_or_default().to_owned(),
                            c["description"].as_str().unwrap_or_default().to_owned(),
                        )
                    })
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Faults that struck so far.
    #[must_use]
    pub fn faults_struck(&self) -> u64 {
        self.faults.struck()
    }

    /// Faults that are armed.
    #[must_use]
    pub fn faults_armed(&self) -> usize {
        self.faults.armed()
    }
}
