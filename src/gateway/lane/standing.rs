//! Agents that stand ready: lent to the transaction that enters a prompt, so that it is given in the same one.
//!
//! A prompt that comes while its agent waits would else need two commits, one after the other, and somebody waits for
//! both. So a lane that has nothing to do lays its agent out here, and does nothing more with it before it has taken it
//! back. Either it gets it back as it was, or somebody has taken it: then it waits for what became of that, which takes
//! one transaction. So an agent is never in two hands.
//!
//! What is lost on the way (the daemon killed, a transaction refused) is what may be lost on the long way as well: a
//! turn that is recorded as given and whose prompt is not in the agent's input, or nothing at all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    Lane, Wake,
    submit::{Given, Giving, Ready},
};
use crate::{
    core::ids::{ConversationId, ConversationKey, TurnId},
    store::{StoreError, Tx},
};

/// The agents that are laid out, at most one for a conversation.
#[derive(Clone, Default)]
pub struct Standing(Arc<Mutex<HashMap<ConversationKey, Lent>>>);

/// An agent in the hands of whoever enters a prompt. Dropped, it is back with its lane.
pub struct Lent {
    ready: Ready,
    back: oneshot::Sender<Box<Given>>,
}

/// A prompt that is recorded as given; its lane is to be told of it after the commit.
pub struct Handed {
    given: Box<Given>,
    back: oneshot::Sender<Box<Given>>,
}

/// What a lane holds while its agent is laid out.
pub(super) type Offer = oneshot::Receiver<Box<Given>>;

impl Standing {
    /// Lays an agent out.
    pub(super) fn lay_out(&self, key: &ConversationKey, ready: Ready) -> Offer {
        let (back, offer) = oneshot::channel();
        self.lock().insert(*key, Lent { ready, back });
        offer
    }

    /// The agent is not to be had any more. What a transaction recorded as given to it, if somebody had it: its prompt is
    /// still to be written.
    pub(super) async fn take_back(
        &self,
        key: &ConversationKey,
        offer: Offer,
    ) -> Option<Box<Given>> {
        let here = self.lock().remove(key);
        match here {
            Some(_) => None,
            None => offer.await.ok(),
        }
    }

    /// The agent of this conversation, if one is laid out.
    #[must_use]
    pub fn take(&self, key: &ConversationKey) -> Option<Lent> {
        self.lock().remove(key)
    }

    // Held for a look-up only, never over an await.
    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Lent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Lays the agent out for whoever enters a prompt, if nothing else is to be done with it.
    pub(super) fn lay_out(&mut self) {
        if self.window.is_some() || self.retry_at.is_some() || !self.redo.is_empty() {
            return;
        }
        if let Some(ready) = self.ready() {
            self.offer = Some(self.lanes.standing().lay_out(&self.conversation.key, ready));
        }
    }

    /// Takes the agent back, and writes the prompt that it was given meanwhile.
    pub(super) async fn take_back(&mut self, woken: &mut Wake) {
        let Some(offer) = self.offer.take() else {
            return;
        };
        let given = match woken {
            Wake::Back(given) => given.take(),
            _ => {
                self.lanes
                    .standing()
                    .take_back(&self.conversation.key, offer)
                    .await
            }
        };
        if let Some(given) = given {
            self.write_prompt(*given).await;
        }
    }
}

/// When an agent that was lent is back, and what it was given.
pub(super) async fn back(offer: &mut Option<Offer>) -> Option<Box<Given>> {
    match offer {
        Some(offer) => offer.await.ok(),
        None => std::future::pending().await,
    }
}

impl Lent {
    /// Records the conversation's next turn as given to the agent, if it may be.
    ///
    /// # Errors
    /// The database's.
    pub fn give(
        self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        giving: Giving,
    ) -> Result<Option<Handed>, StoreError> {
        let (open, session) = (
            tx.turns_ahead(conversation, 1)?,
            tx.session_current(conversation)?,
        );
        let given = self.ready.give(tx, &open, session.as_ref(), giving)?;
        Ok(given.map(|given| Handed {
            given: Box::new(given),
            back: self.back,
        }))
    }
}

impl Handed {
    /// Whether it is this turn.
    #[must_use]
    pub fn is(&self, turn: TurnId) -> bool {
        self.given.turn() == turn
    }

    /// Has the lane write the prompt. To be called after the commit.
    pub fn tell(self) {
        // A lane that is not there any more belongs to a daemon that stops. The next one finds the turn.
        let _ = self.back.send(self.given);
    }
}
