//! The batching window: messages in quick succession are collected, shown as such, and become one prompt.
//!
//! All of it is in the store, so that a crash in the window loses nothing. The rule for its length is
//! [`WindowRule`](crate::core::batching::WindowRule).

use std::time::Duration;

use tokio::time::Instant;

use super::Lane;
use crate::{
    core::{Millis, batching::Held, ids::TurnId, words},
    gateway::{files, queue::Queue, show},
    store::{
        StoreError, Tx,
        rows::{Slot, Target, TurnEnd, TurnPart, TurnRow, TurnState, Urgency},
    },
};

/// Shows how many messages are collected, from the second on, with what a person can do about them.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn show_collected(
    tx: &Tx<'_>,
    target: Target,
    turn: TurnId,
    messages: usize,
    reply_to: Option<i64>,
    now: Millis,
) -> Result<(), StoreError> {
    if messages < 2 {
        return Ok(());
    }
    let buttons = vec![vec![
        words::button(words::SEND_NOW.as_str(), format!("n:{turn}")),
        words::button(words::DISCARD.as_str(), format!("d:{turn}")),
    ]];
    let shown = show::note(words::collecting(messages), buttons, reply_to);
    tx.out_show(
        target,
        Some(Slot::collecting(turn)),
        Urgency::Message,
        &shown,
        now,
    )?;
    Ok(())
}

/// The window of a turn closes: it is in the queue from now on. What said that it was collected becomes its first message,
/// unless that stands above some of the person's own: then the answer is to come below. A turn that holds nothing for an
/// agent, because no part of an album could be taken, is discarded.
///
/// # Errors
/// The turn is over; the database's.
pub(in crate::gateway) fn close(
    tx: &Tx<'_>,
    queue: &Queue,
    turn: &TurnRow,
    now: Millis,
) -> Result<(), StoreError> {
    if files::missing::is_vain(tx, turn)? {
        files::missing::show(tx, queue.target(), turn.id, queue.reply_to(turn), now)?;
        return discard(tx, turn.id, now);
    }
    tx.turn_state(turn.id, TurnState::Queued, now)?;
    if let Some(row) = tx.out_slot(Slot::collecting(turn.id))? {
        let newest = turn.parts.iter().map(|part| part.message_id).max();
        if row.message_id.is_none_or(|shown| newest < Some(shown)) {
            tx.out_renumber(row.id, 0)?;
        } else {
            retract_collected(tx, turn.id, now)?;
        }
    }
    queue.arrives(tx, turn.conversation, turn.id, now)
}

/// The turn is never run, and nothing says any more that it waits.
///
/// # Errors
/// The turn is over; the database's.
pub(in crate::gateway) fn discard(
    tx: &Tx<'_>,
    turn: TurnId,
    now: Millis,
) -> Result<(), StoreError> {
    let end = TurnEnd {
        state: TurnState::Discarded,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, now)?;
    retract_collected(tx, turn, now)?;
    tx.out_retract(turn, 0, Slot::NOTICE, now)
}

/// Nothing says any more that messages are collected.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn retract_collected(
    tx: &Tx<'_>,
    turn: TurnId,
    now: Millis,
) -> Result<(), StoreError> {
    let number = Slot::collecting(turn).number;
    tx.out_retract(turn, number, number + 1, now)
}

impl Lane {
    /// Counted from now, so that a clock that was set back cannot hold the window open.
    pub(super) fn window_of(&self, turn: &TurnRow) -> Instant {
        let held: Vec<Held<'_>> = turn.parts.iter().map(TurnPart::held).collect();
        let rule = self.deps.config.get().window(self.conversation.key.user_id);
        let left = rule.remaining_ms(&held, self.deps.clock.now());
        Instant::now() + Duration::from_millis(left)
    }

    pub(super) async fn close_window(&mut self, turn: TurnId) -> bool {
        self.window = None;
        self.force_window = false;
        self.cold = false;
        let (queue, now) = (self.queue(), self.deps.clock.now());
        let done = self
            .deps
            .store
            .tx(move |tx| {
                // Closed meanwhile by the person, or discarded.
                let Some(turn) = tx.turn(turn)?.filter(|t| t.state == TurnState::Collecting) else {
                    return Ok(());
                };
                close(tx, &queue, &turn, now)
            })
            .await;
        self.note_failure(done, "cannot close a batching window")
            .is_some()
    }
}
