//! What people order while the agent works: interrupts; and how orders are answered.

use tokio::time::Instant;
use tracing::info;

use super::{Ack, Lane, LaneMsg, Reply, Way, beside, ending::Stage, millis, window, work};
use crate::{
    core::{
        Millis,
        actor::Actor,
        ids::TurnId,
        text::Button,
        turn::{Ending, Turn, View},
        words::{self, queue as said},
    },
    gateway::{admin::Outcome, queue, show},
    store::{
        StoreError, Tx,
        rows::{AuditEntry, OutboxId, TurnRow, TurnState, Urgency, Verdict},
    },
};

/// Answers a command or press and marks its update as done.
pub(crate) fn acknowledge(
    tx: &Tx<'_>,
    ack: &Ack,
    action: &str,
    on: &str,
    text: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let said = Said {
        action,
        on,
        result: "ok",
        text,
        buttons: Vec::new(),
    };
    acknowledge_as(tx, ack, &said, now)
}

/// What is told and recorded of an order.
pub(crate) struct Said<'a> {
    /// What was ordered.
    pub(crate) action: &'a str,
    /// On what.
    pub(crate) on: &'a str,
    /// What came of it, for the audit.
    pub(crate) result: &'a str,
    /// What a person in Telegram is told; a press, as much of it as there is room.
    pub(crate) text: &'a str,
    /// Buttons below that; a press has none.
    pub(crate) buttons: Vec<Vec<Button>>,
}

/// Most characters of the answer to a press.
const PRESS: usize = 200;

/// Records an order, answers it and marks its update as done.
pub(crate) fn acknowledge_as(
    tx: &Tx<'_>,
    ack: &Ack,
    said: &Said<'_>,
    now: Millis,
) -> Result<(), StoreError> {
    acknowledge_by(tx, ack, said, now).map(|_| ())
}

/// The same; returns the message by which it was answered, if there is one.
pub(crate) fn acknowledge_by(
    tx: &Tx<'_>,
    ack: &Ack,
    said: &Said<'_>,
    now: Millis,
) -> Result<Option<OutboxId>, StoreError> {
    tx.audit_add(&AuditEntry {
        at: now,
        who: ack.who.to_string(),
        action: said.action.to_owned(),
        target: said.on.to_owned(),
        result: said.result.to_owned(),
    })?;
    answer(tx, ack, said.text, &said.buttons, now)
}

/// Answers an order and marks its update as done, for what is worth no line in the audit; returns the message.
pub(crate) fn answer(
    tx: &Tx<'_>,
    ack: &Ack,
    text: &str,
    buttons: &[Vec<Button>],
    now: Millis,
) -> Result<Option<OutboxId>, StoreError> {
    let Way::Update { inbox, reply } = &ack.way else {
        return Ok(None);
    };
    let message = match reply {
        Reply::Message { target, reply_to } => {
            let shown = show::note(text, buttons.to_vec(), *reply_to);
            Some(tx.out_show(*target, None, Urgency::Message, &shown, now)?)
        }
        Reply::Silence => None,
        Reply::Press { callback_id } => {
            let text: String = text.chars().take(PRESS).collect();
            tx.out_press(callback_id, &text, now)?;
            None
        }
    };
    tx.inbox_done(*inbox, Verdict::Command, now)?;
    Ok(message)
}

impl Stage {
    /// Records a stop and answers it; `json` is the state of the turn, if the agent has it. Whether something stops.
    ///
    /// What its own person stops, stops altogether: what they had sent before and what waits is kept until they say so.
    /// Where somebody else ends a turn, its person's others go on.
    fn stop(
        &self,
        tx: &Tx<'_>,
        ack: &Ack,
        turn: TurnId,
        json: Option<&str>,
        own: bool,
    ) -> Result<bool, StoreError> {
        let row = tx.turn(turn)?;
        let waits = row
            .as_ref()
            .filter(|row| matches!(row.state, TurnState::Queued | TurnState::Collecting));
        let text = match (json, waits, &row) {
            (Some(json), ..) => {
                tx.turn_machine(turn, json)?;
                words::STOPPING.to_owned()
            }
            (None, Some(waits), _) => {
                self.stop_early(tx, waits, !own)?;
                said::STOPPED_EARLY.to_owned()
            }
            (None, None, Some(row)) if ack.is_press() => {
                said::too_late(words::STOP.as_str(), queue::since(row.state))
            }
            (None, None, _) => words::NOTHING_RUNS.to_owned(),
        };
        let stops = json.is_some() || waits.is_some();
        let on = format!("turn {turn}");
        acknowledge(tx, ack, "interrupt", &on, &text, self.now)?;
        if let (true, true, Some(inbox), Some(row)) = (stops, own, ack.inbox(), &row) {
            self.queue.keep(tx, row.conversation, inbox, self.now)?;
        }
        Ok(stops)
    }

    /// A turn ends that no agent had.
    fn stop_early(&self, tx: &Tx<'_>, turn: &TurnRow, by_admin: bool) -> Result<(), StoreError> {
        tx.turn_state(turn.id, TurnState::Interrupted, self.now)?;
        window::retract_collected(tx, turn.id, self.now)?;
        let view = View {
            by_admin,
            ..View::default()
        };
        let renderer = self.renderer.as_ref();
        let reply_to = self.queue.reply_to(turn);
        let shown = show::over(renderer, &view, &Ending::Interrupted, reply_to);
        work::put(tx, self.target, turn.id, &shown, Urgency::Message, self.now)?;
        self.queue.refresh(tx, turn.conversation, self.now)
    }
}

impl Lane {
    /// A turn is to end. The intent is stored before it is carried out.
    pub(super) async fn interrupt(&mut self, ack: Ack, turn: TurnId) {
        let now = self.deps.clock.now();
        let beside = self.run.as_ref().map(|live| live.beside.clone());
        let beside = beside.unwrap_or_default();
        // What was given into an answer is stopped with it.
        let turn = self.answering(turn);
        let active = self
            .run
            .as_mut()
            .and_then(|live| live.active.as_mut())
            .filter(|a| a.turn == turn);
        let own = ack.who == Actor::Telegram(self.conversation.key.user_id);
        let mut ends_already = false;
        let json = active.and_then(|active| {
            ends_already = active.machine.interrupt_requested();
            if own {
                active.machine.interrupt();
            } else {
                active.machine.interrupt_by_admin();
            }
            work::to_json(&active.machine)
        });
        let running = json.is_some();
        let (again, stage) = (ack.clone(), self.stage(now));
        let done = self
            .deps
            .store
            .tx(move |tx| {
                let stops = stage.stop(tx, &ack, turn, json.as_deref(), own)?;
                let kept = match ack.inbox().filter(|_| stops && own) {
                    Some(before) => beside::keep(tx, beside, before)?,
                    None => Vec::new(),
                };
                Ok((stops, kept))
            })
            .await;
        fail::fail_point!("lane-stopping");
        // A stop works even when the store does not; it is recorded and answered when the store works again.
        match self.note_failure(done, "cannot record an interrupt") {
            None => self.redo.push(LaneMsg::Interrupt { ack: again, turn }),
            Some((stops, kept)) => {
                self.note_kept(&kept);
                again.told(if stops && !ends_already {
                    Outcome::Done
                } else {
                    Outcome::NoChange
                });
            }
        }
        if running {
            self.press_on();
        }
    }

    /// The turn that is meant by an order about this one: where it was given into the answer that is being written, that.
    pub(super) fn answering(&self, turn: TurnId) -> TurnId {
        let live = self.run.as_ref();
        let beside = live.filter(|live| live.beside.iter().any(|one| one.turn == turn));
        let active = beside.and_then(|live| live.active.as_ref());
        active.map_or(turn, |active| active.turn)
    }

    /// The conversation was cleared while this turn ran: it ends like one that was interrupted.
    pub(super) async fn interrupt_cleared(&mut self) {
        let active = self.run.as_ref().and_then(|live| live.active.as_ref());
        if active.is_some_and(|active| !active.machine.interrupt_requested()) {
            self.interrupt_as(Turn::interrupt).await;
        }
    }

    /// The turn that runs ends, for the reason that `mark` writes into it.
    pub(super) async fn interrupt_as(&mut self, mark: impl FnOnce(&mut Turn)) {
        let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) else {
            return;
        };
        mark(&mut active.machine);
        if let Some(json) = work::to_json(&active.machine) {
            let turn = active.turn;
            let done = self
                .deps
                .store
                .tx(move |tx| tx.turn_machine(turn, &json))
                .await;
            // What is in memory holds as long as this daemon does; the next one has the order or the cleared session.
            self.note_failure(done, "cannot record an interrupt");
        }
        self.press_on();
    }

    /// Tells the agent to end the turn; the process is told to end if that does not help in time.
    pub(super) fn press_on(&mut self) {
        self.end_draft();
        // What it was given while it worked would else be what it goes on with.
        let given = self
            .run
            .as_ref()
            .is_some_and(|live| !live.beside.is_empty());
        let request = self.deps.dice.uuid().to_string();
        let line = self.deps.backend.interrupt(&request, given);
        let grace = millis(self.deps.config.get().interrupt_grace);
        let Some(live) = &self.run else { return };
        let written = self.append(live, &line);
        info!(conversation = self.conversation.id.0, run = %live.id, "turn interrupted");
        if let Some(live) = &mut self.run {
            if !written {
                live.followed.control.terminate();
            }
            if let Some(active) = &mut live.active
                && active.escalate.is_none()
            {
                active.escalate = Some(Instant::now() + grace);
            }
        }
    }
}
