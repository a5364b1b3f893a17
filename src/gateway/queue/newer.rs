//! Prompts that come while another of their conversation runs, and what they do about that ([`core::busy`](crate::core::busy)).
//!
//! What a prompt is to do is recorded in the transaction that puts it in line, so it holds over a kill; the lane, which alone
//! has the agent, looks at it and does it. It is a setting, by conversation. What was to be done about a turn that
//! does not run any more counts for nothing, and goes when the next one is given.

use super::{
    Queue, has_message,
    list::{BUTTONS, listed, setting},
};
use crate::{
    core::{
        Millis,
        busy::{Busy, Newer, takes_more},
        ids::{ConversationId, TurnId},
        turn::Turn,
        words::{self, queue as said},
    },
    gateway::{lane::limits_over, show},
    store::{
        StoreError, Tx,
        rows::{Slot, TurnRow, TurnState, Urgency},
    },
};

/// Beginning of the names of these settings; the conversation's number follows.
const KEY: &str = "queue.newer.";

/// What is recorded of the prompts of a conversation, in the order in which they came. What cannot be read counts as nothing.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn all(
    tx: &Tx<'_>,
    conversation: ConversationId,
) -> Result<Vec<Newer>, StoreError> {
    let json = tx.setting(&format!("{KEY}{conversation}"))?;
    Ok(json
        .and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default())
}

/// Only those remain of which this says so.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn retain(
    tx: &Tx<'_>,
    conversation: ConversationId,
    keep: impl Fn(&Newer) -> bool,
    now: Millis,
) -> Result<(), StoreError> {
    let before = all(tx, conversation)?;
    let after: Vec<_> = before.iter().copied().filter(keep).collect();
    if after.len() < before.len() {
        write(tx, conversation, &after, now)?;
    }
    Ok(())
}

fn write(
    tx: &Tx<'_>,
    conversation: ConversationId,
    all: &[Newer],
    now: Millis,
) -> Result<(), StoreError> {
    let key = format!("{KEY}{conversation}");
    if all.is_empty() {
        return tx.setting_unset(&key);
    }
    let json = serde_json::to_string(all)
        .map_err(|cause| StoreError::Other(format!("what newer messages do: {cause}")))?;
    tx.setting_set(&key, &json, now)
}

/// The turn that an agent works on; not one that it was given into that. Whoever wants to know which it is asks here: neither
/// the order of the line tells it nor a clock.
pub(in crate::gateway) fn running(open: &[TurnRow]) -> Option<&TurnRow> {
    let given = || open.iter().filter(|t| t.state == TurnState::Submitted);
    let beside = |turn: &TurnRow| turn.machine.as_deref().is_some_and(Turn::is_stored_beside);
    // Where there is one alone, nothing is read of it.
    let alone = given().nth(1).is_none();
    given()
        .find(|turn| alone || !beside(turn))
        // Its agent is gone, and what becomes of them is not recorded yet.
        .or_else(|| given().min_by_key(|turn| turn.id))
}

/// What a prompt that waits does about the turn that runs.
pub(super) fn does(newer: &[Newer], turn: TurnId, running: Option<TurnId>) -> Option<Busy> {
    let is_it = |one: &&Newer| one.turn == turn && Some(one.over) == running;
    newer.iter().find(is_it).map(|one| one.does)
}

impl Queue {
    /// A person's new prompt is in line from now on: as by [`Queue::entered`], and where another of theirs runs, it does what
    /// the settings say.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn arrives(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        turn: TurnId,
        now: Millis,
    ) -> Result<(), StoreError> {
        // Nothing would be won by an end of what runs: nothing is given to an agent before the pause is over.
        if self.busy == Busy::Queue || self.gate.closed() {
            return self.entered(tx, conversation, turn, now);
        }
        let open = tx.turns_ahead(conversation, 1)?;
        let Some(over) = running(&open).map(|turn| turn.id) else {
            return self.entered(tx, conversation, turn, now);
        };
        let mut newer = all(tx, conversation)?;
        newer.retain(|one| one.over == over);
        let given = open.iter().filter(|t| t.state == TurnState::Submitted);
        let beside = given.count().saturating_sub(1);
        if self.busy == Busy::Steer && !takes_more(&newer, over, beside) {
            return self.entered(tx, conversation, turn, now);
        }
        let ends = self.busy == Busy::Interrupt;
        if ends {
            // Behind those that end the same answer and came before it.
            match waiting_to_end(tx, &newer)?.iter().max_by_key(seat) {
                Some(last) => tx.turn_behind(turn, last.id)?,
                None => tx.turn_first(turn)?,
            }
        }
        newer.push(Newer {
            turn,
            over,
            does: self.busy,
        });
        write(tx, conversation, &newer, now)?;
        self.show(tx, conversation, &[turn], ends, now)
    }

    /// The agent is given a prompt while it works: nothing more is to be done for it, and its message says so.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn handed(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        now: Millis,
    ) -> Result<(), StoreError> {
        retain(tx, turn.conversation, |one| one.turn != turn.id, now)?;
        self.says(tx, turn, &said::GOES_TO_AGENT, Urgency::Message, now)
    }

    /// The agent has begun with it, beside what it worked on.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn taken_in(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.says(tx, turn, &said::TAKEN_IN, Urgency::Progress, now)
    }

    fn says(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        text: &str,
        urgency: Urgency,
        now: Millis,
    ) -> Result<(), StoreError> {
        let shown = show::note(text, Vec::new(), self.reply_to(turn));
        let slot = Some(Slot::first(turn.id));
        tx.out_show(self.target(), slot, urgency, &shown, now)?;
        Ok(())
    }

    /// A prompt that the agent had and did not look at is in line again, at its place; or it waits for its person's word.
    ///
    /// # Errors
    /// No such turn, or it is over already; the database's.
    pub(in crate::gateway) fn comes_back(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        fresh: uuid::Uuid,
        kept: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (id, conversation) = (turn.id, turn.conversation);
        limits_over(tx, id, now)?;
        if !kept {
            tx.turn_back(id, fresh, TurnState::Queued)?;
            // What ended the answer that this was given into goes before it, in its order.
            let mut last = None;
            for one in waiting_to_end(tx, &all(tx, conversation)?)? {
                match last {
                    _ if seat(&&one) < seat(&turn) => {}
                    Some(last) => tx.turn_behind(one.id, last)?,
                    None => tx.turn_first(one.id)?,
                }
                last = Some(one.id);
            }
            return self.show(tx, conversation, &[id], true, now);
        }
        tx.turn_back(id, fresh, TurnState::Held)?;
        tx.out_retract(id, 0, Slot::NOTICE, now)?;
        match listed(tx, &setting(conversation))? {
            Some(_) => self.refresh(tx, conversation, now),
            None => self.list(tx, conversation, BUTTONS, now),
        }
    }

    /// Nobody can know whether the agent took a prompt in: its person is asked whether it is to run.
    ///
    /// # Errors
    /// No such turn, or it is over already; the database's.
    pub(in crate::gateway) fn asks_again(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        fresh: uuid::Uuid,
        now: Millis,
    ) -> Result<(), StoreError> {
        let id = turn.id;
        limits_over(tx, id, now)?;
        tx.turn_back(id, fresh, TurnState::Held)?;
        // What was known of it stays with it, and by that it is known what is asked.
        tx.turn_machine(id, turn.machine.as_deref().unwrap_or("{}"))?;
        self.ask_again(tx, turn, now)?;
        self.refresh(tx, turn.conversation, now)
    }

    fn ask_again(&self, tx: &Tx<'_>, turn: &TurnRow, now: Millis) -> Result<(), StoreError> {
        let id = turn.id;
        let buttons = vec![vec![
            words::button(words::RUN.as_str(), format!("r:{id}")),
            words::button(words::DISCARD.as_str(), format!("d:{id}")),
        ]];
        let text = said::perhaps_taken(&super::excerpt(turn));
        let shown = show::note(text, buttons, self.reply_to(turn));
        tx.out_show(
            self.target(),
            Some(Slot::first(id)),
            Urgency::Message,
            &shown,
            now,
        )?;
        Ok(())
    }

    /// A prompt that is held was changed by its person: where they are asked whether it is to run although an agent may have
    /// taken it in, the question shows it as it is now.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::gateway) fn changed(
        &self,
        tx: &Tx<'_>,
        turn: TurnId,
        now: Millis,
    ) -> Result<(), StoreError> {
        match tx.turn(turn)? {
            Some(row) if had_by_agent(&row) && has_message(tx, Slot::first(turn))? => {
                self.ask_again(tx, &row, now)
            }
            _ => Ok(()),
        }
    }
}

/// Whether an agent was given a prompt that is held, so that its person is asked about that, and not about its age.
///
/// # Errors
/// The database's.
pub(in crate::gateway) fn perhaps_taken(tx: &Tx<'_>, turn: TurnId) -> Result<bool, StoreError> {
    Ok(tx.turn(turn)?.is_some_and(|turn| had_by_agent(&turn)))
}

fn had_by_agent(turn: &TurnRow) -> bool {
    turn.state == TurnState::Held && turn.machine.is_some()
}

/// Those in line that are to end the answer that is being written, in the order in which they came.
fn waiting_to_end(tx: &Tx<'_>, newer: &[Newer]) -> Result<Vec<TurnRow>, StoreError> {
    let mut waiting = Vec::new();
    for one in newer.iter().filter(|one| one.does == Busy::Interrupt) {
        let row = tx.turn(one.turn)?;
        waiting.extend(row.filter(|turn| turn.state == TurnState::Queued));
    }
    Ok(waiting)
}

/// Where a turn stands in its line; smaller comes first.
fn seat(turn: &&TurnRow) -> (i64, TurnId) {
    (turn.place, turn.id)
}
