//! What has happened, for those who watch from outside. Names and numbers only, never what people wrote.

use super::{
    Millis,
    ids::{ConversationId, RunId, TurnId},
};

/// Something that is in the database by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// An agent is being started.
    RunStarted {
        /// Its run.
        run: RunId,
        /// The conversation that it serves.
        conversation: ConversationId,
        /// Telegram user id of the person for whom.
        person: i64,
        /// When.
        started_at: Millis,
    },
    /// Its supervisor was seen.
    RunRunning {
        /// Its run.
        run: RunId,
    },
    /// An agent has ended.
    RunEnded {
        /// Its run.
        run: RunId,
        /// The conversation that it served.
        conversation: ConversationId,
        /// How: `completed`, `killed`, `failed`, `lost`.
        result: &'static str,
    },
    /// A turn is over, without an answer.
    TurnFailed {
        /// The turn.
        turn: TurnId,
        /// Its conversation.
        conversation: ConversationId,
    },
    /// An agent asks whether it may do something.
    QuestionAsked {
        /// Number of the question.
        question: i64,
        /// The turn in which it is asked.
        turn: TurnId,
    },
    /// Settings have changed, by an order or because files were read again.
    ConfigChanged {
        /// Their keys, as `section.name`.
        keys: Vec<String>,
    },
    /// Somebody who is not known asks to be let in.
    PairingRequested {
        /// Telegram user id of the person.
        person: i64,
    },
}
