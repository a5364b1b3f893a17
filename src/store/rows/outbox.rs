//! Rows of the outbox.

use serde::{Deserialize, Serialize};

use crate::core::{Millis, ids::TurnId, limits::Limit, text::Shown};

/// Row id of an outbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutboxId(pub i64);

/// How urgent an outbox row is; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Answer to the press of a button: worthless after seconds.
    Press = 0,
    /// A new message, or the last edit of an answer.
    Message = 1,
    /// An edit on the way.
    Progress = 2,
}

impl Urgency {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Press => "press",
            Self::Message => "message",
            Self::Progress => "progress",
        }
    }
}

/// What an outbox row is to bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A message with this content.
    Show(Shown),
    /// That the message is not there any more.
    Gone,
    /// An answer to a press.
    PressAnswer {
        /// Telegram's id of the press.
        callback_id: String,
        /// At most 200 characters; may be empty.
        text: String,
    },
}

/// Where an outbox row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Chat.
    pub chat_id: i64,
    /// Topic, 0 where there is none.
    pub thread_id: i64,
}

/// Which message of which turn a row is. A row with a slot is one message for ever: later content replaces earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Turn.
    pub turn: TurnId,
    /// 0, 1, …: messages of the answer, in order. Below, and from [`Slot::NOTICE`] on: others.
    pub number: i64,
}

impl Slot {
    /// First number of messages that are not the answer itself (notices, questions).
    pub const NOTICE: i64 = 1000;
    /// First number of messages of the answer that are files; they end below [`Slot::NOTICE`]. Those of its text never
    /// reach it ([`ANSWER_MESSAGES`](crate::core::text::ANSWER_MESSAGES)).
    pub const FILE: i64 = 900;
    /// First number of notices about limits of the turn; they end below 0.
    pub const FIRST_LIMIT: i64 = -2;

    /// The first message of the turn: it says how it waits, and becomes its answer.
    #[must_use]
    pub fn first(turn: TurnId) -> Self {
        Self { turn, number: 0 }
    }

    /// The message that tells that a limit of the turn is near: one about the turn, one about its agent's silence.
    #[must_use]
    pub fn limit(turn: TurnId, limit: Limit) -> Self {
        let number = match limit {
            Limit::Turn => -1,
            Limit::FirstOutput | Limit::Silence | Limit::AfterResult => Self::FIRST_LIMIT,
        };
        Self { turn, number }
    }

    /// The message that tells which parts of an album are missing; it stands for ever.
    #[must_use]
    pub fn missing(turn: TurnId) -> Self {
        Self { turn, number: -10 }
    }

    /// The message that tells that a change of a message was not taken.
    #[must_use]
    pub fn edited(turn: TurnId) -> Self {
        Self { turn, number: -11 }
    }

    /// The message that tells by which rules something was denied to the agent.
    #[must_use]
    pub fn denied(turn: TurnId) -> Self {
        Self { turn, number: -12 }
    }

    /// The message that tells how many messages of a prompt are collected so far. (Questions are numbered by their rows,
    /// from the next number on.)
    #[must_use]
    pub fn collecting(turn: TurnId) -> Self {
        Self {
            turn,
            number: Self::NOTICE,
        }
    }
}

/// State of an outbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutState {
    /// To be done.
    Pending,
    /// On the wire, or was when the daemon died.
    Sending,
    /// What is wanted is there.
    Done,
    /// Telegram refused it for good.
    Rejected,
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRow {
    /// Row id; new messages of a chat go out in this order.
    pub id: OutboxId,
    /// Where.
    pub target: Target,
    /// Which message of which turn, for answers.
    pub slot: Option<Slot>,
    /// How urgent.
    pub urgency: Urgency,
    /// What is wanted.
    pub wanted: Wanted,
    /// Grows with each change of `wanted`.
    pub revision: i64,
    /// Revision that Telegram has, 0 before the first.
    pub sent_revision: i64,
    /// Message id, once it is known.
    pub message_id: Option<i64>,
    /// State.
    pub state: OutState,
    /// How often a send ended ambiguously. Above 0 the text carries a mark ("may be a repeat").
    pub ambiguous: i64,
    /// Whether it goes as plain text because its entities were refused.
    pub plain: bool,
    /// Tries so far, of the present revision.
    pub attempts: i64,
    /// Not before.
    pub not_before: Millis,
    /// Last error, one line.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Millis,
}

/// A row of the outbox that may go out: what decides about its turn, not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// Row id.
    pub id: OutboxId,
    /// Chat; an answer to a press belongs to none.
    pub chat_id: Option<i64>,
    /// Which message of which turn, for answers.
    pub slot: Option<Slot>,
    /// How urgent.
    pub urgency: Urgency,
    /// Message id, once it is known.
    pub message_id: Option<i64>,
    /// Whether it is a message that was never sent.
    pub first: bool,
}

/// What went wrong in the outbox, among the rows that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutCounts {
    /// How many sends ended ambiguously.
    pub ambiguous: u64,
    /// How many rows Telegram refused.
    pub rejected: u64,
}
