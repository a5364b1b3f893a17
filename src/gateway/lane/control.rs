//! What people order while the agent works: interrupts, answers to its questions.

use tokio::time::Instant;
use tracing::info;

use super::{
    Ack, Decision, Lane, LaneMsg, Open, Reply, Way, ending::Stage, millis, output, window, work,
};
use crate::{
    core::{
        Millis,
        actor::Actor,
        ids::TurnId,
        text::Button,
        turn::{Ending, Turn, View},
        words::{self, queue as said},
    },
    gateway::{admin::Outcome, ports::Answer, queue, show},
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
    let Way::Update { inbox, reply } = &ack.way else {
        return Ok(None);
    };
    let message = match reply {
        Reply::Message { target, reply_to } => {
            let shown = show::note(said.text, said.buttons.clone(), *reply_to);
            Some(tx.out_show(*target, None, Urgency::Message, &shown, now)?)
        }
        Reply::Silence => None,
        Reply::Press { callback_id } => {
            let text: String = said.text.chars().take(PRESS).collect();
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
                said::too_late(words::STOP, queue::since(row.state))
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
            .tx(move |tx| stage.stop(tx, &ack, turn, json.as_deref(), own))
            .await;
        fail::fail_point!("lane-stopping");
        // A stop works even when the store does not; it is recorded and answered when the store works again.
        match self.note_failure(done, "cannot record an interrupt") {
            None => self.redo.push(LaneMsg::Interrupt { ack: again, turn }),
            Some(stops) => again.told(if stops && !ends_already {
                Outcome::Done
            } else {
                Outcome::NoChange
            }),
        }
        if running {
            self.press_on();
        }
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
        let line = self
            .deps
            .backend
            .interrupt(&self.deps.dice.uuid().to_string());
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

    /// A question that is open from now on.
    pub(super) fn open(&self, row: i64) -> Open {
        Open {
            row,
            until: Instant::now() + millis(self.deps.config.get().approval_timeout),
        }
    }

    /// A person decided about a question of the agent.
    pub(super) async fn decide(&mut self, question: i64, decision: Decision, ack: Ack) {
        let (answer, line) = match decision {
            Decision::Once => (
                Answer::Allow {
                    input: None,
                    remember: false,
                },
                words::approval::ALLOWED,
            ),
            Decision::Session => (
                Answer::Allow {
                    input: None,
                    remember: true,
                },
                words::approval::ALLOWED_SESSION,
            ),
            Decision::Deny => (
                Answer::Deny {
                    message: words::approval::DENIED_TO_AGENT.to_owned(),
                },
                words::approval::DENIED,
            ),
        };
        if !self
            .settle_question(question, answer, line, Some(ack.clone()))
            .await
        {
            self.redo.push(LaneMsg::Decide {
                question,
                decision,
                ack,
            });
        }
    }

    /// Denies what nobody answered in time.
    pub(super) async fn deny_unanswered(&mut self) {
        let now = Instant::now();
        let active = self.run.iter().filter_map(|live| live.active.as_ref());
        let due: Vec<i64> = active
            .flat_map(|active| &active.questions)
            .filter(|q| q.until <= now)
            .map(|q| q.row)
            .collect();
        for row in due {
            let answer = Answer::Deny {
                message: words::approval::UNANSWERED_TO_AGENT.to_owned(),
            };
            if !self
                .settle_question(row, answer, words::approval::UNANSWERED, None)
                .await
            {
                return;
            }
        }
    }

    /// Commits the answer, then gives it to the agent. False: the store refused it.
    async fn settle_question(
        &mut self,
        row: i64,
        answer: Answer,
        line: &'static str,
        ack: Option<Ack>,
    ) -> bool {
        let (now, target) = (self.deps.clock.now(), self.target());
        // It always can be written as JSON.
        let json = serde_json::to_string(&answer).unwrap_or_default();
        let asked = ack.clone();
        let done = self
            .deps
            .store
            .tx(move |tx| {
                let question = tx.question(row)?;
                let fresh = tx.question_answered(row, &json, now)?;
                if let (true, Some(question)) = (fresh, &question) {
                    output::show_question(tx, target, question, line, now)?;
                }
                if let Some(ack) = &ack {
                    let before = question.as_ref().and_then(|row| row.answer.as_deref());
                    let text = match (fresh, before) {
                        (true, _) => line,
                        (false, Some("\"withdrawn\"")) => words::approval::NOT_ASKED_ANY_MORE,
                        (false, _) => words::approval::ANSWERED_ALREADY,
                    };
                    acknowledge(
                        tx,
                        ack,
                        "approve",
                        &format!("question {row}: {line}"),
                        text,
                        now,
                    )?;
                }
                Ok(question.filter(|_| fresh))
            })
            .await;
        let Some(question) = self.note_failure(done, "cannot record an answer to a question")
        else {
            return false;
        };
        if let Some(asked) = asked {
            asked.told(if question.is_some() {
                Outcome::Done
            } else {
                Outcome::NoChange
            });
        }
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            active.questions.retain(|q| q.row != row);
        }
        let Some(question) = question else {
            return true;
        };
        fail::fail_point!("lane-answered");
        let bytes = self.answer_line(&question.question, &answer);
        if self
            .run
            .as_ref()
            .is_some_and(|live| live.id == question.run)
        {
            self.send(&bytes);
        }
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            // The agent says nothing while its tool runs, and that may be long.
            if !active
                .machine
                .answered(&question.question.request_id)
                .is_empty()
            {
                self.show_again(Urgency::Progress).await;
            }
        }
        true
    }

    /// Shows the running turn as it is by what we know, without a word of the agent.
    pub(super) async fn show_again(&mut self, urgency: Urgency) {
        let Some(mut active) = self.run.as_ref().and_then(|live| live.active.clone()) else {
            return;
        };
        let Some(json) = work::to_json(&active.machine) else {
            return;
        };
        let by_draft = self.by_draft(&mut active);
        let view = active.machine.view();
        let renderer = self.deps.renderer.as_ref();
        let shown = (!by_draft).then(|| {
            show::running(
                renderer,
                &view,
                self.stoppable(active.turn),
                active.reply_to,
            )
        });
        let (turn, target, now) = (active.turn, self.target(), self.deps.clock.now());
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.turn_machine(turn, &json)?;
                match shown {
                    Some(shown) => work::put(tx, target, turn, &shown, urgency, now),
                    None => Ok(()),
                }
            })
            .await;
        let shown = self.note_failure(done, "cannot show what the agent does");
        if let Some(live) = &mut self.run {
            live.active = Some(active);
        }
        if shown.is_some() && by_draft {
            self.sketch(&view);
        }
    }
}
