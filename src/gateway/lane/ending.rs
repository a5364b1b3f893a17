//! The end of a run, and what becomes of the turn that it had.

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Active, Lane, Live, Open, output, work};
use crate::{
    core::{
        ids::RunId,
        trouble::{Category, Trouble},
        turn::{Ending, Outcome, Turn},
        words,
    },
    gateway::{
        ports::{Answer, Exit, NotStarted, Remains},
        show,
    },
    store::rows::{RunRow, RunStatus, TurnEnd, TurnRow, TurnState, Urgency},
};

/// How often a turn is given to an agent whose process is then lost without a record.
const MOST_ATTEMPTS: i64 = 3;

/// What becomes of a turn whose process is gone.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// It ended, in one way or another.
    Over(Ending),
    /// It goes back into the queue: the agent cannot have done anything yet.
    Again,
    /// The agent had begun to use tools: the person decides.
    Ask(u32),
}

/// Decides about the turn of a process that is gone.
///
/// A process that ended by itself, by a signal or by the administrator's hand left a record, and its turn is over.
/// One without a record was lost together with its supervisor (power loss, reboot).
pub(super) fn fate(machine: &mut Turn, exit: Option<&Exit>, attempts: i64) -> Fate {
    let trouble = match exit {
        Some(exit) => exit_trouble(exit),
        None if attempts + 1 >= MOST_ATTEMPTS => agent_trouble(words::RESTARTED_TOO_OFTEN),
        None if machine.interrupt_requested() => agent_trouble(words::AGENT_STOPPED),
        None => {
            return match machine.tools_begun() {
                0 => Fate::Again,
                tools => Fate::Ask(tools),
            };
        }
    };
    // A finished machine has been committed as finished; there is nothing to decide then.
    Fate::Over(
        machine
            .process_gone(trouble)
            .map_or(Ending::Completed, |outcome| outcome.ending),
    )
}

/// The stored state of an ended turn.
pub(super) fn state_of(ending: &Ending) -> TurnState {
    match ending {
        Ending::Completed => TurnState::Completed,
        Ending::Interrupted => TurnState::Interrupted,
        Ending::Failed(_) => TurnState::Failed,
    }
}

/// A trouble with the agent.
pub(super) fn agent_trouble(detail: &str) -> Trouble {
    Trouble {
        category: Category::Agent,
        detail: Some(detail.to_owned()),
        wait_s: None,
    }
}

/// Whether a turn failed because the agent does not know its session any more.
pub(super) fn session_unknown(outcome: &Outcome) -> bool {
    matches!(&outcome.ending, Ending::Failed(trouble) if trouble.is_unknown_session())
}

fn exit_trouble(exit: &Exit) -> Trouble {
    let detail = match exit {
        Exit::Code { .. } => words::AGENT_STOPPED.to_owned(),
        Exit::Signal { signal } => words::agent_killed(*signal),
        Exit::NotStarted { why } => match why {
            NotStarted::NotFound { program } => words::agent_not_found(program),
            NotStarted::TooOld { found, oldest } => words::agent_too_old(found, oldest),
            NotStarted::Directory { .. } => words::AGENT_DIRECTORY.to_owned(),
            NotStarted::EnvironmentFile { .. } | NotStarted::Other { .. } => {
                words::AGENT_NOT_STARTED.to_owned()
            }
        },
    };
    Trouble {
        category: Category::Agent,
        detail: Some(detail),
        wait_s: None,
    }
}

fn status_of(exit: Option<&Exit>) -> RunStatus {
    match exit {
        Some(Exit::Code { code: 0 }) => RunStatus::Completed,
        Some(Exit::Signal { .. }) => RunStatus::Killed,
        Some(_) => RunStatus::Failed,
        None => RunStatus::Lost,
    }
}

impl Lane {
    /// The run is over and its output taken to the end.
    pub(super) async fn run_ended(&mut self, exit: Option<Exit>) {
        let Some(live) = self.run.take() else { return };
        self.deps.slots.busy(self.conversation.id);
        let asked_for = live.ending.is_some();
        match &exit {
            Some(Exit::NotStarted { why }) => {
                tracing::error!(conversation = self.conversation.id.0, run = %live.id, ?why, "the agent could not be started");
            }
            Some(exit) => {
                info!(conversation = self.conversation.id.0, run = %live.id, ?exit, "agent ended");
            }
            None => {
                warn!(conversation = self.conversation.id.0, run = %live.id, "the agent's supervisor is gone and left no record");
            }
        }
        self.cold = self.window.is_some() && live.active.is_none();
        let failed_start = matches!(exit, Some(Exit::NotStarted { .. }));
        if !self
            .settle(
                &live.id,
                live.active.as_ref(),
                exit.as_ref(),
                failed_start && !asked_for,
            )
            .await
        {
            // The store refused; the run stays as it is for us and is settled when the store works again.
            self.run = Some(Live {
                stuck: Some(Vec::new()),
                ..live
            });
            self.unsettled = Some(exit);
            return;
        }
        drop(live);
        self.typing_at = None;
        self.advance().await;
    }

    /// One transaction: the run's record, the fate of its turn, what the person sees.
    /// With `fail_next`, a turn that was only waiting for this process fails with it, so that a broken installation
    /// is told instead of tried for ever.
    async fn settle(
        &mut self,
        run: &RunId,
        active: Option<&Active>,
        exit: Option<&Exit>,
        fail_next: bool,
    ) -> bool {
        let (run, status, now) = (run.clone(), status_of(exit), self.deps.clock.now());
        // It always can be written as JSON: numbers and strings.
        let exit_json = exit.and_then(|exit| serde_json::to_string(exit).ok());
        let (conversation, target, fresh) =
            (self.conversation.id, self.target(), self.deps.dice.uuid());
        let private = self.conversation.key.chat_id == self.conversation.key.user_id;
        let renderer = std::sync::Arc::clone(&self.deps.renderer);
        let active = active.cloned();
        let exit = exit.cloned();
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.run_ended(&run, status, exit_json.as_deref(), now)?;
                let (turn, mut machine) = match active {
                    Some(active) => (tx.turn(active.turn)?, active.machine),
                    None if fail_next => (
                        tx.turns_open(conversation)?
                            .into_iter()
                            .find(|t| t.state == TurnState::Queued),
                        Turn::new(None),
                    ),
                    None => (None, Turn::new(None)),
                };
                let Some(turn) = turn.filter(|turn| !turn.state.over()) else {
                    return Ok(());
                };
                let reply_to = turn
                    .parts
                    .first()
                    .map(|part| part.message_id)
                    .filter(|_| !private);
                let fate = fate(&mut machine, exit.as_ref(), turn.attempts);
                output::close_questions(tx, target, turn.id, words::WITHDRAWN, now)?;
                settle_turn(
                    tx,
                    renderer.as_ref(),
                    target,
                    &turn,
                    &machine,
                    &fate,
                    reply_to,
                    fresh,
                    now,
                )?;
                output::renumber(tx, target, conversation, now)
            })
            .await;
        self.note_failure(done, "cannot record the end of a run")
            .is_some()
    }

    /// Tries again to record the end of a run.
    pub(super) async fn settle_again(&mut self) {
        if let Some(exit) = self.unsettled.take() {
            self.run_ended(exit).await;
        }
    }

    /// A turn that is said to be with a process that this lane does not have.
    pub(super) async fn orphaned(&mut self, turn: TurnRow) -> bool {
        warn!(
            conversation = self.conversation.id.0,
            turn = turn.id.0,
            "a turn is without its run"
        );
        let mut machine = read_machine(&turn);
        let (target, now, fresh) = (self.target(), self.deps.clock.now(), self.deps.dice.uuid());
        let reply_to = self.reply_to(turn.parts.first().map(|part| part.message_id));
        let renderer = std::sync::Arc::clone(&self.deps.renderer);
        let done = self
            .deps
            .store
            .tx(move |tx| {
                let fate = fate(&mut machine, None, turn.attempts);
                output::close_questions(tx, target, turn.id, words::WITHDRAWN, now)?;
                settle_turn(
                    tx,
                    renderer.as_ref(),
                    target,
                    &turn,
                    &machine,
                    &fate,
                    reply_to,
                    fresh,
                    now,
                )
            })
            .await;
        self.note_failure(done, "cannot settle a turn without its run")
            .is_some()
    }

    /// Takes up a run of an earlier daemon.
    pub(super) async fn take_up(&mut self, row: RunRow) {
        if self.run.is_some() {
            warn!(conversation = self.conversation.id.0, run = %row.id, "a second run of one conversation is ended");
            if let Ok(other) = self.deps.runner.attach(&row.id, row.offset).await {
                other.control.terminate();
            }
            return;
        }
        let remains = self.deps.runner.inspect(&row.id).await;
        info!(conversation = self.conversation.id.0, run = %row.id, ?remains, "a run of an earlier life");
        let id = self.conversation.id;
        let read =
            self.deps
                .store
                .tx(move |tx| {
                    let turn = tx.turns_open(id)?.into_iter().find(|t| {
                        t.state == TurnState::Submitted && t.run.as_ref() == Some(&row.id)
                    });
                    let questions = turn
                        .as_ref()
                        .map(|t| tx.questions_of(t.id))
                        .transpose()?
                        .unwrap_or_default();
                    Ok((row, turn, questions))
                })
                .await;
        let Some((row, turn, questions)) = self.note_failure(read, "cannot read the turn of a run")
        else {
            return;
        };
        let active = turn.as_ref().map(|turn| Active {
            turn: turn.id,
            machine: read_machine(turn),
            reply_to: self.reply_to(turn.parts.first().map(|part| part.message_id)),
            questions: questions
                .iter()
                .filter(|q| q.answer.is_none())
                .map(|q| Open {
                    row: q.id,
                    asked_at: q.asked_at,
                })
                .collect(),
            escalate: None,
        });
        let followed = match remains {
            Remains::Alive | Remains::Over => self.deps.runner.attach(&row.id, row.offset).await,
            Remains::NeverStarted | Remains::Missing => {
                self.settle(&row.id, active.as_ref(), None, false).await;
                return;
            }
        };
        let followed = match followed {
            Ok(followed) => followed,
            Err(cause) => {
                tracing::error!(conversation = self.conversation.id.0, run = %row.id, %cause, "cannot take up a run");
                self.settle(&row.id, active.as_ref(), None, false).await;
                return;
            }
        };
        let live = Live {
            id: row.id,
            session: row.session_id,
            resumed: true,
            followed,
            active,
            stuck: None,
            ending: None,
            idle_since: Instant::now(),
            _place: self.deps.slots.take_for_running(),
        };
        if remains == Remains::Alive {
            self.catch_up(&live, turn.as_ref(), &questions);
        }
        let interrupted = live
            .active
            .as_ref()
            .is_some_and(|a| a.machine.interrupt_requested());
        self.run = Some(live);
        if interrupted {
            self.press_on();
        }
        self.type_on();
    }

    /// Writes what an earlier daemon had committed but, killed, had not written: the prompt, answers to questions.
    fn catch_up(
        &self,
        live: &Live,
        turn: Option<&TurnRow>,
        questions: &[crate::store::rows::QuestionRow],
    ) {
        let backend = &self.deps.backend;
        let contains = |predicate: &dyn Fn(&[u8]) -> bool| {
            live.followed
                .control
                .input_contains(predicate)
                .unwrap_or_else(|cause| {
                    // Better not to write than to write twice.
                    tracing::error!(run = %live.id, %cause, "cannot read the agent's input");
                    true
                })
        };
        if let Some((turn, uuid)) = turn.and_then(|turn| Some((turn, turn.uuid?)))
            && !contains(&|line| backend.is_prompt(line, uuid))
        {
            info!(run = %live.id, turn = turn.id.0, "a prompt that was about to be given is given now");
            self.append(live, &backend.prompt(uuid, &work::prompt_text(turn)));
        }
        for row in questions {
            let Some(Ok(answer)) = row.answer.as_deref().map(serde_json::from_str::<Answer>) else {
                continue;
            };
            let line = self.answer_line(&row.question, &answer);
            let bare = line.strip_suffix(b"\n").unwrap_or(&line);
            if !contains(&|written| written == bare) {
                self.append(live, &line);
            }
        }
    }
}

fn read_machine(turn: &TurnRow) -> Turn {
    turn.machine
        .as_deref()
        .and_then(|json| serde_json::from_str(json).inspect_err(|cause| warn!(turn = turn.id.0, %cause, "the stored state of a turn is not readable")).ok())
        .unwrap_or_else(|| Turn::new(turn.uuid))
}

#[allow(
    clippy::too_many_arguments,
    reason = "one call site's worth of facts, all needed in one transaction"
)]
fn settle_turn(
    tx: &crate::store::Tx<'_>,
    renderer: &dyn crate::gateway::ports::Renderer,
    target: crate::store::rows::Target,
    turn: &TurnRow,
    machine: &Turn,
    fate: &Fate,
    reply_to: Option<i64>,
    fresh: uuid::Uuid,
    now: crate::core::Millis,
) -> Result<(), crate::store::StoreError> {
    match fate {
        Fate::Over(ending) => {
            let end = TurnEnd {
                state: state_of(ending),
                machine: work::to_json(machine),
                cost_usd: None,
                duration_ms: None,
            };
            tx.turn_ended(turn.id, &end, now)?;
            work::put(
                tx,
                target,
                turn.id,
                &show::over(renderer, &machine.view(), ending, reply_to),
                Urgency::Message,
                now,
            )
        }
        // Nobody asked for it and nothing was done: there is nothing to run again.
        Fate::Again if turn.parts.is_empty() => {
            let end = TurnEnd {
                state: TurnState::Discarded,
                machine: None,
                cost_usd: None,
                duration_ms: None,
            };
            tx.turn_ended(turn.id, &end, now)
        }
        Fate::Again => {
            tx.turn_attempted(turn.id)?;
            tx.turn_requeued(turn.id, fresh, now)?;
            if machine.begun() {
                let shown = show::note(words::RUN_AGAIN, Vec::new(), reply_to);
                work::put(tx, target, turn.id, &[shown], Urgency::Message, now)?;
            }
            Ok(())
        }
        Fate::Ask(tools) => {
            tx.turn_machine(turn.id, &work::to_json(machine).unwrap_or_default())?;
            tx.turn_state(turn.id, TurnState::Asked, now)?;
            let buttons = vec![vec![
                words::button(words::CONTINUE, format!("c:{}", turn.id)),
                words::button(words::LEAVE_IT, format!("l:{}", turn.id)),
            ]];
            let shown = show::closing(
                renderer,
                &machine.view(),
                &words::continue_after(*tools),
                buttons,
                reply_to,
            );
            work::put(tx, target, turn.id, &shown, Urgency::Message, now)
        }
    }
}
