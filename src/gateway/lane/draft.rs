//! A running answer as a draft: shown without a row, for the answer is one once it is whole.
//!
//! Whether a turn is shown so is told by the store alone: a private chat, the feature on, and no message of the turn there.
//! So nothing of it need be remembered: a daemon that is killed in mid-answer finds no row, and goes on with a draft; and
//! where a draft is refused, the row that is written then says that the turn goes on in messages.
//!
//! A turn that had to wait has a message that says so. It is taken away when the turn begins: the answer before it has come
//! as a new message meanwhile, below that one, and answers stand in the order of the questions.

use std::sync::Arc;

use super::{Active, Lane};
use crate::{
    core::{
        Millis,
        ids::TurnId,
        turn::{Turn, View},
    },
    gateway::{
        ports::{Draft, DraftPlace},
        queue::has_message,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{Slot, TurnState, Urgency},
    },
};

/// Where a running answer is shown.
#[derive(Clone)]
pub(super) enum Face {
    /// In messages.
    Messages,
    /// As a draft; `None` before it was first shown, and when no more of it is to be shown.
    Draft(Option<Arc<dyn Draft>>),
}

impl Face {
    /// Of a turn that is given, or taken up.
    pub(super) fn of(draft: bool) -> Self {
        if draft {
            Self::Draft(None)
        } else {
            Self::Messages
        }
    }

    /// No more of the draft is shown.
    pub(super) fn end(&mut self) {
        if let Self::Draft(draft) = self {
            *draft = None;
        }
    }

    fn open(&self) -> Option<Arc<dyn Draft>> {
        match self {
            Self::Draft(draft) => draft.clone(),
            Self::Messages => None,
        }
    }
}

/// Whether the answer of this turn can be a draft: it has no message.
///
/// # Errors
/// The database's.
pub(super) fn is_free(tx: &Tx<'_>, turn: TurnId) -> Result<bool, StoreError> {
    Ok(!has_message(tx, Slot::first(turn))?)
}

/// The turn begins: the message that said that it waits goes.
///
/// # Errors
/// The database's.
pub(super) fn release(tx: &Tx<'_>, turn: TurnId, now: Millis) -> Result<(), StoreError> {
    tx.out_release(Slot::first(turn), now)
}

impl Lane {
    /// Whether this conversation's running answers are drafts.
    pub(super) fn drafts(&self) -> bool {
        self.queue().drafts()
    }

    /// Whether the running turn is shown as a draft; if not, it is shown in messages from now on. Opens the draft where
    /// that is still to be done.
    pub(super) fn by_draft(&self, active: &mut Active) -> bool {
        let Face::Draft(draft) = &active.face else {
            return false;
        };
        if active.machine.interrupt_requested() {
            // What comes next is its end. An app that was told to stop it shows no more of it anyway.
            active.face = Face::Draft(None);
            return true;
        }
        let draft = match draft {
            _ if !self.drafts() => None,
            Some(draft) => Some(Arc::clone(draft)).filter(|draft| !draft.is_refused()),
            None => self.open_draft(active.turn),
        };
        let open = draft.is_some();
        active.face = draft.map_or(Face::Messages, |draft| Face::Draft(Some(draft)));
        open
    }

    /// What is to be shown of a running turn now.
    pub(super) fn view_of(&self, active: &Active) -> View {
        self.manner().view(active, self.deps.clock.now())
    }

    fn open_draft(&self, turn: TurnId) -> Option<Arc<dyn Draft>> {
        let key = &self.conversation.key;
        self.deps.drafts.open(DraftPlace {
            chat_id: key.chat_id,
            thread_id: key.thread_id,
            id: turn.0,
            can_stop: self.stoppable(turn).is_some(),
        })
    }

    /// Shows the turn as it is, where it is shown as a draft. To be called after the commit of what it shows.
    pub(super) fn sketch(&self, view: &View) {
        if let Some(draft) = self.sketching() {
            draft.show(show::draft(self.deps.renderer.as_ref(), view));
        }
    }

    /// The draft of the running turn.
    pub(super) fn sketching(&self) -> Option<Arc<dyn Draft>> {
        self.run.as_ref()?.active.as_ref()?.face.open()
    }

    /// Shows the running turn for the first time in this life, where it is to be a draft.
    pub(super) async fn begin_draft(&mut self) {
        let Some(mut active) = self.run.as_ref().and_then(|live| live.active.clone()) else {
            return;
        };
        if matches!(active.face, Face::Messages) {
            return;
        }
        let by_draft = self.by_draft(&mut active);
        let view = self.view_of(&active);
        if let Some(live) = &mut self.run {
            live.active = Some(active);
        }
        if by_draft {
            self.sketch(&view);
        } else {
            self.show_again(Urgency::Message).await;
        }
    }

    /// Telegram does not show the draft: the turn goes on in messages, from what there is so far.
    pub(super) async fn draft_refused(&mut self) {
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            active.face = Face::Messages;
            self.show_again(Urgency::Message).await;
        }
        self.type_on();
    }

    /// No more of the draft is shown: the turn is about to end.
    pub(super) fn end_draft(&mut self) {
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            active.face.end();
        }
    }

    /// The first turn of the queue has to wait after all, so its person gets a message that says so.
    pub(super) async fn reassure(&mut self, turn: TurnId) {
        let (queue, now) = (self.queue(), self.deps.clock.now());
        let told = self
            .deps
            .store
            .tx(move |tx| match tx.turn(turn)? {
                Some(turn) if turn.state == TurnState::Queued => queue.reassure(tx, &turn, now),
                _ => Ok(()),
            })
            .await;
        self.note_failure(told, "cannot tell that a message waits");
    }
}

/// When the draft of the running turn is refused.
pub(super) async fn refused(draft: Option<Arc<dyn Draft>>) {
    match draft {
        Some(draft) => draft.refused().await,
        None => std::future::pending().await,
    }
}

/// A turn whose machine is this one, with nothing asked of it yet.
impl Active {
    pub(super) fn begun(
        turn: TurnId,
        machine: Turn,
        reply_to: Option<i64>,
        face: Face,
        since: Millis,
    ) -> Self {
        Self {
            turn,
            since,
            tick: None,
            machine,
            reply_to,
            questions: Vec::new(),
            escalate: None,
            unheard: None,
            face,
        }
    }
}
