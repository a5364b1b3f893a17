//! The end of a run, and what becomes of the turn that it had.

use std::sync::Arc;

use tracing::{info, warn};
use uuid::Uuid;

use super::{
    Active, Lane, Live,
    beside::{self, Beside, Left},
    exits::{agent_trouble, exit_trouble, failed, not_started, status_of},
    kill::kill_done,
    output,
    take_up::read_machine,
    work,
};
use crate::{
    core::{
        Millis,
        ids::RunId,
        messages,
        text::Shown,
        turn::{Ending, Outcome, Turn},
        words,
    },
    gateway::{
        approval::Board,
        ports::{Exit, Renderer},
        queue::Queue,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{Target, TurnEnd, TurnRow, TurnState, Urgency},
    },
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
/// A process that ended by itself, by a signal or by the administrator's hand left a record, and its turn is over
/// unless it was never looked at. One without a record was lost together with its supervisor (power loss, reboot).
pub(super) fn fate(machine: &mut Turn, exit: Option<&Exit>, attempts: i64, start: Start) -> Fate {
    let untouched = !machine.begun() && !machine.interrupt_requested();
    let trouble = match exit {
        // The agent refuses an id that it has on disk already, with no word on its output: an earlier process was
        // lost after it had begun its history. The next one resumes it.
        Some(Exit::Code { code: 1 }) if untouched && start == Start::Fresh && attempts == 0 => {
            return Fate::Again;
        }
        // It was about to end when it was given the prompt, and never looked at it.
        Some(
            Exit::Signal { .. }
            | Exit::Code { code: 129.. }
            | Exit::TimeLimit { .. }
            | Exit::Stopped,
        ) if untouched && attempts + 1 < MOST_ATTEMPTS => {
            return Fate::Again;
        }
        Some(exit) => exit_trouble(exit),
        None if start == Start::Unreadable => agent_trouble(words::OUTPUT_DAMAGED.as_str()),
        None if attempts + 1 >= MOST_ATTEMPTS => agent_trouble(words::RESTARTED_TOO_OFTEN.as_str()),
        None if machine.interrupt_requested() => agent_trouble(words::AGENT_STOPPED.as_str()),
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

/// Whether a turn failed because the agent does not know its session any more.
pub(super) fn session_unknown(outcome: &Outcome) -> bool {
    matches!(&outcome.ending, Ending::Failed(trouble) if trouble.is_unknown_session())
}

/// How a process was started, and what is known of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It was to resume its session.
    Resumed,
    /// It was to make its session.
    Fresh,
    /// It could not be started: a turn that was only waiting for it fails with it, so that a broken installation is
    /// told instead of tried for ever.
    Refused,
    /// It never came to be, and that is nobody's fault.
    Never,
    /// It is over, and what it said cannot be read.
    Unreadable,
}

impl Lane {
    /// The run is over and its output taken to the end.
    pub(super) async fn run_ended(&mut self, exit: Option<Exit>) {
        let Some(live) = self.run.take() else { return };
        self.deps.slots.busy(self.conversation.id);
        let asked_for = live.ending.is_some();
        match &exit {
            Some(Exit::NotStarted { why }) => {
                tracing::error!(event = not_started(why), conversation = self.conversation.id.0, run = %live.id, kind = why.kind(), "the agent could not be started: {why}");
            }
            Some(exit) => match failed(exit) {
                Some(event) if !asked_for => {
                    warn!(event, conversation = self.conversation.id.0, run = %live.id, ?exit, "an agent failed");
                }
                _ => {
                    info!(conversation = self.conversation.id.0, run = %live.id, ?exit, "agent ended");
                }
            },
            None => {
                warn!(event = messages::AGENT_VANISHED, conversation = self.conversation.id.0, run = %live.id, "the agent's supervisor is gone and left no record");
            }
        }
        self.cold = self.window.is_some() && live.active.is_none();
        let start = match &exit {
            Some(Exit::NotStarted { .. }) if !asked_for => Start::Refused,
            _ if live.resumed => Start::Resumed,
            _ => Start::Fresh,
        };
        let had = (live.active.as_ref(), &live.beside[..]);
        if !self.settle(&live.id, had, exit.as_ref(), start).await {
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
    pub(super) async fn settle(
        &mut self,
        run: &RunId,
        (active, beside): (Option<&Active>, &[Beside]),
        exit: Option<&Exit>,
        start: Start,
    ) -> bool {
        let (run, status, now) = (run.clone(), status_of(exit), self.deps.clock.now());
        // It always can be written as JSON: numbers and strings.
        let exit_json = exit.and_then(|exit| serde_json::to_string(exit).ok());
        let conversation = self.conversation.id;
        let stage = self.stage(now);
        let (late, active) = Beside::late(active);
        let beside = late.into_iter().chain(beside.iter().cloned());
        let beside: Vec<_> = beside.map(|one| (one, self.deps.dice.uuid())).collect();
        let exit = exit.cloned();
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.run_ended(&run, status, exit_json.as_deref(), now)?;
                kill_done(tx, &run)?;
                let (turn, mut machine) = match active {
                    Some(active) => (tx.turn(active.turn)?, active.machine),
                    None if start == Start::Refused => (
                        tx.turns_ahead(conversation, 1)?
                            .into_iter()
                            .find(|t| t.state == TurnState::Queued),
                        Turn::new(None),
                    ),
                    None => (None, Turn::new(None)),
                };
                let turn = turn.filter(|turn| !turn.state.over());
                let other = match &turn {
                    Some(turn) => {
                        let tools = machine.tools_begun();
                        let fate = fate(&mut machine, exit.as_ref(), turn.attempts, start);
                        stage.settle(tx, turn, &machine, &fate, start)?;
                        Some((fate, tools))
                    }
                    None => None,
                };
                let other = other.as_ref().map(|(fate, tools)| (fate, *tools));
                let readable = start != Start::Unreadable;
                // After that turn: where both go back it is before them.
                for (one, fresh) in beside {
                    let left = beside::left(&one, other, exit.as_ref(), readable);
                    beside::settle(tx, &stage.queue, &one, &left, fresh, now)?;
                }
                Ok(())
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
        let stage = self.stage(self.deps.clock.now());
        if machine.is_beside() || machine.may_go_back() {
            return self.orphaned_beside(&turn, machine).await;
        }
        let done = self
            .deps
            .store
            .tx(move |tx| {
                let fate = fate(&mut machine, None, turn.attempts, Start::Resumed);
                stage.settle(tx, &turn, &machine, &fate, Start::Resumed)
            })
            .await;
        self.note_failure(done, "cannot settle a turn without its run")
            .is_some()
    }

    /// The same of one that was given beside another.
    async fn orphaned_beside(&mut self, turn: &TurnRow, machine: Turn) -> bool {
        let one = Beside {
            turn: turn.id,
            machine,
            reply_to: None,
            written: true,
        };
        let (queue, fresh, now) = (self.queue(), self.deps.dice.uuid(), self.deps.clock.now());
        let done = self
            .deps
            .store
            .tx(move |tx| beside::settle(tx, &queue, &one, &Left::Unsure, fresh, now))
            .await;
        self.note_failure(done, "cannot settle a turn without its run")
            .is_some()
    }

    pub(super) fn stage(&self, now: Millis) -> Stage {
        let key = &self.conversation.key;
        Stage {
            renderer: Arc::clone(&self.deps.renderer),
            queue: self.queue(),
            board: self.board(),
            target: self.target(),
            private: key.chat_id == key.user_id,
            uuid: self.deps.dice.uuid(),
            now,
        }
    }
}

/// Where and when the end of a turn is settled.
pub(super) struct Stage {
    pub(super) renderer: Arc<dyn Renderer>,
    pub(super) queue: Queue,
    pub(super) board: Board,
    pub(super) target: Target,
    pub(super) private: bool,
    pub(super) uuid: Uuid,
    pub(super) now: Millis,
}

impl Stage {
    /// Brings the turn to its fate, and what the person sees with it.
    pub(super) fn settle(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        machine: &Turn,
        fate: &Fate,
        start: Start,
    ) -> Result<(), StoreError> {
        output::close_questions(tx, &self.board, turn.id, self.now)?;
        let shown = match fate {
            Fate::Over(ending) => self.over(tx, turn, machine, ending)?,
            // Nobody asked for it, so nobody misses it: there is no prompt to run again.
            Fate::Again if turn.parts.is_empty() => {
                self.over(tx, turn, machine, &Ending::Interrupted)?
            }
            Fate::Again => {
                if start != Start::Never {
                    tx.turn_attempted(turn.id)?;
                }
                tx.turn_requeued(turn.id, self.uuid)?;
                let begun = machine.begun();
                let told = begun.then(|| {
                    show::note(words::RUN_AGAIN.as_str(), Vec::new(), self.reply_to(turn))
                });
                told.into_iter().collect()
            }
            Fate::Ask(tools) => {
                if let Some(json) = work::to_json(machine) {
                    tx.turn_machine(turn.id, &json)?;
                }
                tx.turn_state(turn.id, TurnState::Asked, self.now)?;
                let buttons = vec![vec![
                    words::button(words::CONTINUE.as_str(), format!("c:{}", turn.id)),
                    words::button(words::LEAVE_IT.as_str(), format!("l:{}", turn.id)),
                ]];
                show::closing(
                    self.renderer.as_ref(),
                    &machine.view(),
                    &words::continue_after(*tools),
                    buttons,
                    self.reply_to(turn),
                )
            }
        };
        // Before what is told of this turn: where it is in the queue again it is not one that merely waits.
        self.queue.refresh(tx, turn.conversation, self.now)?;
        if shown.is_empty() {
            return Ok(());
        }
        work::put(tx, self.target, turn.id, &shown, Urgency::Message, self.now)
    }

    /// Ends the turn. Returns what the person sees of it, nothing where there is nothing to tell.
    fn over(
        &self,
        tx: &Tx<'_>,
        turn: &TurnRow,
        machine: &Turn,
        ending: &Ending,
    ) -> Result<Vec<Shown>, StoreError> {
        let end = TurnEnd {
            state: state_of(ending),
            machine: work::to_json(machine),
            cost_usd: None,
            duration_ms: None,
        };
        tx.turn_ended(turn.id, &end, self.now)?;
        let view = machine.view();
        if turn.parts.is_empty() && view.answer.is_empty() {
            return Ok(Vec::new());
        }
        Ok(show::over(
            self.renderer.as_ref(),
            &view,
            ending,
            self.reply_to(turn),
        ))
    }

    fn reply_to(&self, turn: &TurnRow) -> Option<i64> {
        turn.message().filter(|_| !self.private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{AgentEvent, PromptState};

    fn machine(tools: u32) -> Turn {
        let uuid = Uuid::from_u128(7);
        let mut machine = Turn::new(Some(uuid));
        machine.on(&AgentEvent::Prompt {
            uuid,
            state: PromptState::Started,
        });
        for index in 0..tools {
            machine.on(&AgentEvent::Tool {
                message_id: "m".into(),
                id: format!("t{index}"),
                name: "Bash".into(),
                input: serde_json::json!({"command": "true"}),
            });
        }
        machine
    }

    #[test]
    fn a_lost_process_is_run_again_only_before_tools() {
        assert_eq!(fate(&mut machine(0), None, 0, Start::Resumed), Fate::Again);
        assert_eq!(fate(&mut machine(3), None, 0, Start::Resumed), Fate::Ask(3));
    }

    #[test]
    fn a_prompt_that_ends_every_machine_is_not_tried_for_ever() {
        assert_eq!(fate(&mut machine(0), None, 1, Start::Resumed), Fate::Again);
        assert!(matches!(
            fate(&mut machine(0), None, 2, Start::Resumed),
            Fate::Over(Ending::Failed(_))
        ));
    }

    #[test]
    fn an_interrupted_turn_stays_interrupted_however_its_process_ends() {
        let exits = [
            None,
            Some(Exit::Signal { signal: 9 }),
            Some(Exit::Code { code: 1 }),
        ];
        for exit in exits {
            let mut machine = machine(2);
            machine.interrupt();
            let fate = fate(&mut machine, exit.as_ref(), 0, Start::Fresh);
            assert_eq!(fate, Fate::Over(Ending::Interrupted), "{exit:?}");
        }
    }

    #[test]
    fn a_process_that_died_alone_is_told_as_what_it_is() {
        let Fate::Over(Ending::Failed(trouble)) = fate(
            &mut machine(1),
            Some(&Exit::Signal { signal: 9 }),
            0,
            Start::Resumed,
        ) else {
            panic!("it is over");
        };
        assert!(
            trouble.sentence().contains("signal 9"),
            "{}",
            trouble.sentence()
        );
    }

    #[test]
    fn a_prompt_that_a_dying_process_never_looked_at_is_run_again() {
        let mut silent = Turn::new(Some(Uuid::from_u128(7)));
        for exit in [
            Exit::Signal { signal: 9 },
            Exit::Code { code: 143 },
            Exit::Stopped,
        ] {
            assert_eq!(
                fate(&mut silent, Some(&exit), 0, Start::Resumed),
                Fate::Again
            );
        }
        let last = fate(
            &mut silent,
            Some(&Exit::Signal { signal: 9 }),
            2,
            Start::Resumed,
        );
        assert!(matches!(last, Fate::Over(Ending::Failed(_))));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_not_run_again() {
        let fate = fate(&mut machine(0), None, 0, Start::Unreadable);
        assert!(matches!(fate, Fate::Over(Ending::Failed(_))));
    }

    #[test]
    fn a_session_that_is_on_disk_already_is_resumed_once() {
        let refused = Exit::Code { code: 1 };
        let silent = || Turn::new(Some(Uuid::from_u128(7)));
        assert_eq!(
            fate(&mut silent(), Some(&refused), 0, Start::Fresh),
            Fate::Again
        );
        for (attempts, start) in [(1, Start::Fresh), (0, Start::Resumed)] {
            assert!(matches!(
                fate(&mut silent(), Some(&refused), attempts, start),
                Fate::Over(Ending::Failed(_))
            ));
        }
    }
}
