//! What waits in a conversation, as its person sees it, and what they can do about it.
//!
//! Each prompt in line has a message of its own, which says its place and becomes the answer. After a stop what was in line
//! is kept ([`TurnState::Held`]) until its person says so: that is shown as one list, the last message of the chat, which is
//! kept true as long as anything waits.

mod list;
pub(super) mod newer;

use self::list::BUTTONS;
use super::{Deps, gate::Gate, lane::retract_collected, show};
use crate::core::{
    Millis,
    busy::Busy,
    ids::{ConversationId, ConversationKey, InboxId, TurnId},
    pause::Pause,
    text::{Button, Shown},
    words::{self, queue as said},
};
use crate::store::{
    StoreError, Tx,
    rows::{Slot, Target, TurnEnd, TurnRow, TurnState, Urgency, Wanted},
};

/// So many in line are looked at where something of it has changed: those whose place is told, and whoever may have had one
/// before. Of what a list shows, too, only that is read. So neither a person's long queue nor what is shown of it costs more
/// the longer it is.
const NEAR: usize = words::PLACES + 3;

/// How what waits in one conversation is shown.
#[derive(Clone)]
pub(super) struct Queue {
    gate: Gate,
    key: ConversationKey,
    // Whether an answer has a button that stops it, and a prompt that waits its own.
    stop_button: bool,
    buttons: bool,
    // Whether answers are drafts while they are written.
    drafts: bool,
    // What a prompt does that comes while another runs.
    busy: Busy,
}

/// Where a turn stands that waits.
pub(super) struct At<'a> {
    /// So many others of its conversation wait before it.
    pub(super) before: usize,
    /// So many of them the agent has.
    pub(super) running: usize,
    /// The pause that holds, and its number among all that wait for its end.
    pub(super) pause: Option<(&'a Pause, u64)>,
    /// Whether its files are not all here.
    pub(super) fetching: bool,
    /// What it does about the one that runs, besides waiting.
    pub(super) does: Option<Busy>,
}

impl Queue {
    /// Of the conversation with this key.
    pub(super) fn of(deps: &Deps, key: &ConversationKey) -> Self {
        let config = deps.config.get();
        let features = &config.features;
        let private = key.chat_id == key.user_id;
        Self {
            gate: deps.gate.clone(),
            key: *key,
            stop_button: features.stop_button.is_on(key.user_id),
            buttons: features.queue_buttons.is_on(key.user_id),
            drafts: private && features.drafts.is_on(key.user_id),
            busy: config.busy,
        }
    }

    /// Where its messages go.
    pub(super) fn target(&self) -> Target {
        Target {
            chat_id: self.key.chat_id,
            thread_id: self.key.thread_id,
        }
    }

    /// In groups an answer refers to its question; alone with a person that would be noise.
    pub(super) fn reply_to(&self, turn: &TurnRow) -> Option<i64> {
        let group = self.key.chat_id != self.key.user_id;
        turn.message().filter(|_| group)
    }

    /// Whether answers are drafts while they are written.
    pub(super) fn drafts(&self) -> bool {
        self.drafts
    }

    /// A turn is in line from now on: its message says where. One that is about to run and is going to be a draft has none.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn entered(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        turn: TurnId,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.show(tx, conversation, &[turn], false, now)
    }

    /// A turn in line that was about to run has to wait after all: it has a message, if it had none.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn reassure(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        now: Millis,
    ) -> Result<(), StoreError> {
        let slot = Slot::first(turn.id);
        if has_message(tx, slot)? {
            return Ok(());
        }
        let certain = Self {
            drafts: false,
            ..self.clone()
        };
        certain.entered(tx, turn.conversation, turn.id, now)
    }

    /// Something of it has changed: what is shown of it becomes true.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn refresh(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.show(tx, conversation, &[], true, now)
    }

    /// Shows the place of those that enter and, where that may have changed, of the others.
    fn show(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        entering: &[TurnId],
        others: bool,
        now: Millis,
    ) -> Result<(), StoreError> {
        let pause = self.gate.pause();
        let open = match entering {
            [] if pause.is_none() => tx.turns_ahead(conversation, NEAR)?,
            [turn] if pause.is_none() || !others => near(tx, conversation, *turn)?,
            _ => tx.turns_open(conversation)?,
        };
        let of = |state| open.iter().filter(move |turn| turn.state == state);
        let running = of(TurnState::Submitted).count();
        let (newer, over) = (newer::all(tx, conversation)?, newer::running(&open));
        for (before, turn) in of(TurnState::Queued).enumerate() {
            let enters = entering.contains(&turn.id);
            // One that is run again says so.
            if !enters && (!others || turn.attempts > 0) {
                continue;
            }
            let slot = Slot::first(turn.id);
            // Only those that have a message already; the others get theirs when they are in line.
            if !enters && !has_message(tx, slot)? {
                continue;
            }
            let at_once = pause.is_none() && before + running == 0;
            if self.drafts && at_once && !has_message(tx, slot)? {
                continue;
            }
            let pause = match &pause {
                Some(pause) => Some((pause.as_ref(), tx.turns_waiting_up_to(turn.id)?)),
                None => None,
            };
            let does = newer::does(&newer, turn.id, over.map(|over| over.id));
            let at = At {
                before,
                running,
                pause,
                fetching: tx.attachments_awaited(turn.id)?,
                does,
            };
            let shown = self.message(turn.id, &at, self.reply_to(turn));
            let urgency = if enters {
                Urgency::Message
            } else {
                Urgency::Progress
            };
            tx.out_show(self.target(), Some(slot), urgency, &shown, now)?;
            if enters {
                tx.out_retract(turn.id, 1, Slot::NOTICE, now)?;
            }
        }
        self.refresh_list(tx, conversation, now)
    }

    /// The message of a turn that waits.
    pub(super) fn message(&self, turn: TurnId, at: &At<'_>, reply_to: Option<i64>) -> Shown {
        let (text, buttons) = match at.pause {
            Some((pause, number)) => (
                words::admin::waits(pause, number),
                self.of_waiting(turn, at.before),
            ),
            // About to run: as it is when it does.
            None if at.before + at.running == 0 => {
                let stop = words::button(words::STOP.as_str(), format!("s:{turn}"));
                let text = if at.fetching {
                    words::files::FETCHING.to_owned()
                } else {
                    words::waiting(0)
                };
                (text, self.stop_button.then(|| vec![stop]))
            }
            // The agent gets it when its files are here.
            None if at.does == Some(Busy::Steer) && !at.fetching => {
                (said::GOES_TO_AGENT.to_owned(), None)
            }
            None if at.does == Some(Busy::Interrupt) && at.before == 0 => (
                said::ENDS_AND_IS_NEXT.to_owned(),
                self.of_waiting(turn, at.before),
            ),
            None => (
                words::waiting(at.before + at.running),
                self.of_waiting(turn, at.before),
            ),
        };
        show::note(text, buttons.into_iter().collect(), reply_to)
    }

    /// Buttons of a turn that waits behind so many others of its own conversation.
    pub(super) fn of_waiting(&self, turn: TurnId, before: usize) -> Option<Vec<Button>> {
        let next =
            (before > 0).then(|| words::button(said::RUN_NEXT.as_str(), format!("u:{turn}")));
        let cancel = words::button(said::CANCEL.as_str(), format!("x:{turn}"));
        self.buttons
            .then(|| next.into_iter().chain([cancel]).collect())
    }

    /// A stop: what was sent before that update and waits is kept until its person says so, and listed. Returns how many
    /// there are.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn keep(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        before: InboxId,
        now: Millis,
    ) -> Result<usize, StoreError> {
        let mut kept = 0;
        for turn in tx.turns_open(conversation)? {
            if !waited(&turn, before) {
                continue;
            }
            tx.turn_state(turn.id, TurnState::Held, now)?;
            retract_collected(tx, turn.id, now)?;
            tx.out_retract(turn.id, 0, Slot::NOTICE, now)?;
            kept += 1;
        }
        if kept > 0 {
            self.list(tx, conversation, BUTTONS, now)?;
        }
        Ok(kept)
    }

    /// A turn that waits or is kept runs before the others that wait. False where it does neither.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn next(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let enters = match turn.state {
            TurnState::Queued => None,
            TurnState::Held => Some(turn.id),
            _ => return Ok(false),
        };
        tx.turn_state(turn.id, TurnState::Queued, now)?;
        tx.turn_first(turn.id)?;
        let entering: Vec<_> = enters.into_iter().collect();
        self.show(tx, turn.conversation, &entering, true, now)?;
        Ok(true)
    }

    /// A turn that waits or is kept is never run. False where it does neither.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn drop(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        now: Millis,
    ) -> Result<bool, StoreError> {
        if !waits(turn) {
            return Ok(false);
        }
        self.end(tx, turn, now)?;
        self.refresh(tx, turn.conversation, now)?;
        Ok(true)
    }

    /// The same of several turns of one conversation. What is shown of the others becomes true once, whatever their number.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn drop_all(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        turns: &[TurnRow],
        now: Millis,
    ) -> Result<(), StoreError> {
        for turn in turns.iter().filter(|turn| waits(turn)) {
            self.end(tx, turn, now)?;
        }
        self.refresh(tx, conversation, now)
    }

    fn end(&self, tx: &Tx<'_>, turn: &TurnRow, now: Millis) -> Result<(), StoreError> {
        let end = TurnEnd {
            state: TurnState::Discarded,
            machine: None,
            cost_usd: None,
            duration_ms: None,
        };
        tx.turn_ended(turn.id, &end, now)?;
        let slot = Slot::first(turn.id);
        // What was kept after a stop has no message of its own.
        if has_message(tx, slot)? {
            let shown = show::note(said::DROPPED.as_str(), Vec::new(), self.reply_to(turn));
            tx.out_show(self.target(), Some(slot), Urgency::Message, &shown, now)?;
            tx.out_retract(turn.id, 1, Slot::NOTICE, now)?;
        }
        Ok(())
    }

    /// All that is kept is in line again, in its order. Returns how many there are.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn run_all(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        now: Millis,
    ) -> Result<usize, StoreError> {
        let open = tx.turns_open(conversation)?;
        let kept = open.iter().filter(|turn| turn.state == TurnState::Held);
        let kept: Vec<_> = kept.map(|turn| turn.id).collect();
        for turn in &kept {
            tx.turn_state(*turn, TurnState::Queued, now)?;
        }
        self.show(tx, conversation, &kept, true, now)?;
        Ok(kept.len())
    }

    /// The agent was given a turn: it is in the list no more.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn given(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        turn: TurnId,
        now: Millis,
    ) -> Result<(), StoreError> {
        // What was to be done about others that ran is done, or too late.
        newer::retain(tx, conversation, |one| one.over == turn, now)?;
        self.refresh_list(tx, conversation, now)
    }
}

/// What is ahead in a conversation, and this turn. Where it is not near, it stands right behind those that are.
fn near(
    tx: &Tx<'_>,
    conversation: ConversationId,
    turn: TurnId,
) -> Result<Vec<TurnRow>, StoreError> {
    let mut near = tx.turns_ahead(conversation, NEAR)?;
    if !near.iter().any(|other| other.id == turn) {
        near.extend(tx.turn(turn)?);
    }
    Ok(near)
}

/// Whether a row of the outbox shows this message.
pub(super) fn has_message(tx: &Tx<'_>, slot: Slot) -> Result<bool, StoreError> {
    let row = tx.out_slot(slot)?;
    Ok(row.is_some_and(|row| matches!(row.wanted, Wanted::Show(_))))
}

/// Whether a turn is in line or kept.
pub(super) fn waits(turn: &TurnRow) -> bool {
    matches!(turn.state, TurnState::Queued | TurnState::Held)
}

/// Whether a turn waits for the agent and was sent before that update.
pub(super) fn waited(turn: &TurnRow, before: InboxId) -> bool {
    matches!(turn.state, TurnState::Queued | TurnState::Collecting) && sent_before(turn, before)
}

/// Whether a turn was sent before that update.
pub(super) fn sent_before(turn: &TurnRow, before: InboxId) -> bool {
    turn.parts.first().is_none_or(|part| part.inbox < before)
}

/// The beginning of a prompt.
pub(super) fn excerpt(turn: &TurnRow) -> String {
    let texts = turn.parts.iter().map(|part| part.text.as_str());
    let first = texts.into_iter().find(|text| !text.trim().is_empty());
    said::excerpt(first.unwrap_or_default())
}

/// How it stands with a turn, for whoever pressed a button too late.
pub(super) fn since(state: TurnState) -> said::Since {
    match state {
        TurnState::Collecting => said::Since::Collecting,
        TurnState::Held => said::Since::Kept,
        TurnState::Queued => said::Since::InLine,
        TurnState::Submitted => said::Since::Running,
        TurnState::Asked => said::Since::Asked,
        TurnState::Completed => said::Since::Answered,
        TurnState::Failed => said::Since::Failed,
        TurnState::Interrupted => said::Since::Stopped,
        TurnState::Discarded => said::Since::Dropped,
    }
}

#[cfg(test)]
pub(super) mod tests;
