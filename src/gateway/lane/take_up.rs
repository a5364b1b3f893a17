//! Taking up what an earlier daemon left: a run that lives, or that ended meanwhile, and the turn that it had.

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Active, Lane, Live, Open, RETRY, ending::Start, work};
use crate::{
    core::turn::Turn,
    gateway::ports::{Answer, Followed, Remains},
    store::{
        StoreError, Tx,
        rows::{QuestionRow, RunRow, RunStatus, TurnRow, TurnState},
    },
};

impl Lane {
    /// Takes up a run of an earlier daemon. What cannot be read or reached is tried until it can: a run that lives and
    /// is thought lost would be given its prompt twice.
    pub(super) async fn take_up(&mut self, row: RunRow) {
        if self.run.is_some() {
            self.end_second(row).await;
            return;
        }
        let remains = self.deps.runner.inspect(&row.id).await;
        info!(conversation = self.conversation.id.0, run = %row.id, ?remains, "a run of an earlier life");
        let (id, run) = (self.conversation.id, row.id.clone());
        let read = move |tx: &Tx<'_>| {
            let turn = tx
                .turns_open(id)?
                .into_iter()
                .find(|t| t.state == TurnState::Submitted && t.run.as_ref() == Some(&run));
            let questions = match &turn {
                Some(turn) => tx.questions_of(turn.id)?,
                None => Vec::new(),
            };
            Ok((turn, questions))
        };
        let Some((turn, questions)) = self.insist("read the turn of a run", read).await else {
            return;
        };
        let active = turn.as_ref().map(|turn| self.active(turn, &questions));
        let followed = match remains {
            Remains::Alive | Remains::Over => self.attach(&row, remains).await,
            Remains::NeverStarted | Remains::Missing => None,
        };
        let Some(followed) = followed else {
            while !self
                .settle(&row.id, active.as_ref(), None, Start::default())
                .await
            {
                if self.pause().await {
                    return;
                }
            }
            return;
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

    fn active(&self, turn: &TurnRow, questions: &[QuestionRow]) -> Active {
        Active {
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
        }
    }

    /// Follows the run. `None`: it is over and what is left of it cannot be read, or the daemon stops.
    async fn attach(&self, row: &RunRow, remains: Remains) -> Option<Followed> {
        loop {
            match self.deps.runner.attach(&row.id, row.offset).await {
                Ok(followed) => return Some(followed),
                Err(cause) => {
                    error!(conversation = self.conversation.id.0, run = %row.id, %cause, "cannot take up a run");
                    if remains != Remains::Alive || self.pause().await {
                        return None;
                    }
                }
            }
        }
    }

    /// A conversation has one run at a time. Another one can only come of a fault, and must not go on working.
    async fn end_second(&mut self, row: RunRow) {
        warn!(conversation = self.conversation.id.0, run = %row.id, "a second run of one conversation is ended");
        if let Ok(other) = self.deps.runner.attach(&row.id, row.offset).await {
            other.control.terminate();
        }
        let now = self.deps.clock.now();
        let done = self
            .deps
            .store
            .tx(move |tx| tx.run_ended(&row.id, RunStatus::Killed, None, now))
            .await;
        self.note_failure(done, "cannot record the end of a second run");
    }

    /// A transaction that is tried until the store takes it. `None`: the daemon stops.
    async fn insist<T: Send + 'static>(
        &self,
        what: &str,
        f: impl Fn(&Tx<'_>) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Option<T> {
        loop {
            match self.deps.store.tx(f.clone()).await {
                Ok(value) => return Some(value),
                Err(cause) => {
                    error!(conversation = self.conversation.id.0, %cause, "cannot {what}; it is tried again");
                    if self.pause().await {
                        return None;
                    }
                }
            }
        }
    }

    /// Waits a while; true if the daemon stops meanwhile.
    async fn pause(&self) -> bool {
        tokio::select! {
            () = self.deps.shutdown.cancelled() => true,
            () = tokio::time::sleep(RETRY) => false,
        }
    }

    /// Writes what an earlier daemon had committed but, killed, had not written: the prompt, answers to questions.
    fn catch_up(&self, live: &Live, turn: Option<&TurnRow>, questions: &[QuestionRow]) {
        let backend = &self.deps.backend;
        let contains = |predicate: &dyn Fn(&[u8]) -> bool| {
            live.followed
                .control
                .input_contains(predicate)
                .unwrap_or_else(|cause| {
                    // Better not to write than to write twice.
                    error!(run = %live.id, %cause, "cannot read the agent's input");
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

/// The stored state of a turn; a fresh one where there is none, or none that can be read.
pub(super) fn read_machine(turn: &TurnRow) -> Turn {
    let Some(json) = &turn.machine else {
        return Turn::new(turn.uuid);
    };
    serde_json::from_str(json).unwrap_or_else(|cause| {
        warn!(turn = turn.id.0, %cause, "the stored state of a turn is not readable");
        Turn::new(turn.uuid)
    })
}
