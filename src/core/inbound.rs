//! What reaches the gateway from a messenger, in neutral terms.

use serde::{Deserialize, Serialize};

use super::mark::Who;

/// Who wrote or pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Telegram user id.
    pub id: i64,
    /// Name as shown in the chat; may be empty.
    pub name: String,
    /// Whether it is a bot.
    pub is_bot: bool,
}

/// Kind of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChatKind {
    /// One person and the bot.
    Private,
    /// Basic group or supergroup.
    Group,
    /// Channel; nobody is identified there.
    Channel,
    /// A kind that this version does not know.
    Other,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Chat id.
    pub chat_id: i64,
    /// Topic, 0 where there is none.
    pub thread_id: i64,
    /// Kind of the chat.
    pub kind: ChatKind,
}

/// Something that hangs on a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// `photo`, `document`, `voice`, `video`, … as Telegram names the field.
    pub kind: String,
    /// Telegram's file id; empty for what is not a file (`location`, `contact`, `poll`, a kind that this
    /// version does not know).
    pub file_id: String,
    /// Name as the sender gave it. Not to be used as a path.
    pub file_name: Option<String>,
    /// Media type as the sender gave it.
    pub mime: Option<String>,
    /// Size in bytes, where Telegram tells it.
    pub size: Option<u64>,
}

/// The message that another one replies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replied {
    /// Its id in the same chat; absent where it stands in another one.
    pub message_id: Option<i64>,
    /// Who wrote it.
    pub who: Who,
    /// Its text or caption, or the passage that was chosen; empty where there is none.
    pub text: String,
    /// Whether `text` is a passage that the person chose.
    pub chosen: bool,
    /// Kind of the first file that it brought, as Telegram names it.
    pub kind: Option<String>,
}

/// A message of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where.
    pub place: Place,
    /// Who; absent in channels and for anonymous admins.
    pub from: Option<Person>,
    /// Message id in its chat.
    pub message_id: i64,
    /// When it was sent, seconds since the Unix epoch, by Telegram's clock.
    pub date: i64,
    /// Text or caption; empty where there is neither.
    pub text: String,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// Album that it belongs to.
    pub album: Option<String>,
    /// Whose message it is, where it was forwarded.
    pub forwarded: Option<Box<Who>>,
    /// What it replies to.
    pub reply: Option<Box<Replied>>,
    /// Whether it is an edit of an earlier message.
    pub edited: bool,
}

/// A press of a button under one of the bot's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press {
    /// Id by which the press is to be answered.
    pub callback_id: String,
    /// Who pressed.
    pub from: Person,
    /// Where the message with the button stands; absent for inline messages.
    pub place: Option<Place>,
    /// The message with the button.
    pub message_id: Option<i64>,
    /// What the button carries; foreign until proven ours.
    pub data: String,
}

/// A press of the button with which a person stops an answer that is shown as a draft. It does not say who pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Where the draft stands.
    pub place: Place,
    /// Id of the draft; foreign until proven ours.
    pub draft_id: i64,
}

/// An update after reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inbound {
    /// A message or an edit of one.
    Message(Message),
    /// A press of a button.
    Press(Press),
    /// A press of the stop button of a draft.
    Stopped(Stopped),
    /// A group became a supergroup: the same chat goes on under another id.
    Migrated {
        /// Id that it had.
        from: i64,
        /// Id that it has from now on.
        to: i64,
    },
    /// An update of a kind that asks nothing of us; the kind is named.
    Other(String),
    /// An update that could not be read; the reason, without its text.
    Unreadable(String),
}
