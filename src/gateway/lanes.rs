//! Which conversations have a lane at the moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc;

use super::{
    Deps,
    lane::{self, LaneMsg, Standing},
};
use crate::core::ids::ConversationId;

/// Messages that may wait for a lane. A lane takes them within milliseconds; a full one makes the sender wait.
const MAILBOX: usize = 64;

/// Finds or starts the lane of a conversation.
#[derive(Clone)]
pub struct Lanes {
    deps: Arc<Deps>,
    // Held for a look-up only, never over an await.
    map: Arc<Mutex<HashMap<ConversationId, mpsc::Sender<LaneMsg>>>>,
    standing: Standing,
}

impl Lanes {
    /// No lanes yet.
    #[must_use]
    pub fn new(deps: Arc<Deps>) -> Self {
        Self {
            deps,
            map: Arc::default(),
            standing: Standing::default(),
        }
    }

    /// Delivers a message to the lane of a conversation, starting it if need be.
    pub async fn send(&self, conversation: ConversationId, msg: LaneMsg) {
        let mut msg = msg;
        loop {
            let sender = self.sender(conversation);
            match sender.send(msg).await {
                Ok(()) => return,
                // That lane was just going home and has left the map: the next look-up starts another.
                Err(mpsc::error::SendError(back)) => msg = back,
            }
            if self.deps.shutdown.is_cancelled() {
                return;
            }
        }
    }

    /// Has the lane of a conversation look at the store, starting it if need be. Never waits: where the mailbox is
    /// full, what stands in it makes the lane look as well.
    pub fn wake(&self, conversation: ConversationId) {
        while !self.deps.shutdown.is_cancelled() {
            match self.sender(conversation).try_send(LaneMsg::Woken) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                // That lane was just going home: the next look-up starts another.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
    }

    /// Delivers a message only if there is a lane and room in its mailbox.
    pub fn nudge(&self, conversation: ConversationId, msg: LaneMsg) {
        let sender = self.lock().get(&conversation).cloned();
        if let Some(sender) = sender {
            let _ = sender.try_send(msg);
        }
    }

    /// Agents that wait for a prompt.
    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Number of lanes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn sender(&self, conversation: ConversationId) -> mpsc::Sender<LaneMsg> {
        let mut map = self.lock();
        if let Some(sender) = map.get(&conversation)
            && !sender.is_closed()
        {
            return sender.clone();
        }
        let (sender, mailbox) = mpsc::channel(MAILBOX);
        map.insert(conversation, sender.clone());
        self.deps.tasks.spawn(lane::run(
            Arc::clone(&self.deps),
            self.clone(),
            conversation,
            mailbox,
        ));
        sender
    }

    /// A lane without work takes itself off; messages that reached it meanwhile go to its successor.
    pub(super) async fn retire(
        &self,
        conversation: ConversationId,
        mut mailbox: mpsc::Receiver<LaneMsg>,
    ) {
        {
            let mut map = self.lock();
            // Closed under the lock: whoever looks the lane up from now on starts a new one.
            mailbox.close();
            if map.get(&conversation).is_some_and(mpsc::Sender::is_closed) {
                map.remove(&conversation);
            }
        }
        while let Some(msg) = mailbox.recv().await {
            Box::pin(self.send(conversation, msg)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ConversationId, mpsc::Sender<LaneMsg>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
