//! What a lane is told, and how those who ask are answered.

use tokio::sync::{mpsc, oneshot};

use crate::{
    core::{
        actor::Actor,
        ids::{InboxId, RunId, TurnId},
        limits::Limit,
    },
    gateway::admin::Outcome,
    store::rows::{RunRow, Target},
};

/// Who orders something, and how they are answered.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Who, for the audit.
    pub who: Actor,
    /// How.
    pub way: Way,
}

/// By which way an order came, and its answer goes.
#[derive(Clone, Debug)]
pub enum Way {
    /// By a command or a press.
    Update {
        /// The update, which is thereby done.
        inbox: InboxId,
        /// How to answer.
        reply: Reply,
    },
    /// By a call, which waits for the outcome where it cannot have it at once.
    Call(Option<mpsc::Sender<Outcome>>),
}

impl Ack {
    /// Of a command or a press of somebody in Telegram.
    pub fn update(inbox: InboxId, person: i64, reply: Reply) -> Self {
        Self {
            who: Actor::Telegram(person),
            way: Way::Update { inbox, reply },
        }
    }

    /// The update that it answers.
    pub fn inbox(&self) -> Option<InboxId> {
        match self.way {
            Way::Update { inbox, .. } => Some(inbox),
            Way::Call(_) => None,
        }
    }

    /// Whether it answers a press.
    pub fn is_press(&self) -> bool {
        matches!(
            self.way,
            Way::Update {
                reply: Reply::Press { .. },
                ..
            }
        )
    }

    /// Tells a call that waits. To be called after the commit.
    pub fn told(&self, outcome: Outcome) {
        if let Way::Call(Some(caller)) = &self.way {
            // Who does not wait any more does not want to know.
            let _ = caller.try_send(outcome);
        }
    }
}

impl From<Actor> for Ack {
    fn from(who: Actor) -> Self {
        Self {
            who,
            way: Way::Call(None),
        }
    }
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
    /// Not at all: there is nothing to answer to, and what becomes of it is to be seen.
    Silence,
    /// By an answer to the press.
    Press {
        /// Telegram's id of the press.
        callback_id: String,
    },
}

/// What a lane is told.
#[derive(Debug)]
pub enum LaneMsg {
    /// The store may hold something new for it.
    Woken,
    /// The same; what is given is dropped once it has done what it can for now.
    Go(oneshot::Sender<()>),
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
    /// A turn is given more time, if it still runs and this limit is near.
    Longer {
        /// Which.
        turn: TurnId,
        /// Against which limit; `None`: the one that is near.
        limit: Option<Limit>,
        /// Answer.
        ack: Ack,
    },
    /// A run is to end; recorded already. `caller` is dropped when it is over.
    Kill {
        /// Which.
        run: RunId,
        /// Who waits for it.
        caller: Option<mpsc::Sender<Outcome>>,
    },
    /// Another conversation needs the place of an idle process.
    GiveWay,
}
