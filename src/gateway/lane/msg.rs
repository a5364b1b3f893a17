//! What a lane is told, and how those who ask are answered.

use crate::{
    core::ids::{InboxId, TurnId},
    store::rows::{RunRow, Target},
};

/// What a command or a press gets back, and the inbox row that is thereby done.
#[derive(Clone, Debug)]
pub struct Ack {
    /// The update.
    pub inbox: InboxId,
    /// How to answer.
    pub reply: Reply,
    /// Who asked, for the audit: a Telegram user id.
    pub who: i64,
}

/// How a command or press is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// By a message.
    Message {
        /// Where.
        target: Target,
        /// To which message, in groups.
        reply_to: Option<i64>,
    },
    /// By an answer to the press.
    Press {
        /// Telegram's id of the press.
        callback_id: String,
    },
}

/// What a person decided about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, this time.
    Once,
    /// Yes, for the session.
    Session,
    /// No.
    Deny,
}

/// What a lane is told.
#[derive(Debug)]
pub enum LaneMsg {
    /// The store may hold something new for it.
    Woken,
    /// The batching window closes now.
    CloseWindow,
    /// A run of an earlier daemon is this conversation's.
    TakeUp(Box<RunRow>),
    /// A turn is to end, if it still runs.
    Interrupt {
        /// Answer.
        ack: Ack,
        /// Which.
        turn: TurnId,
    },
    /// A question is decided.
    Decide {
        /// Its row.
        question: i64,
        /// How.
        decision: Decision,
        /// Answer.
        ack: Ack,
    },
    /// Another conversation needs the place of an idle process.
    GiveWay,
}
