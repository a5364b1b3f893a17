//! Taking up what an earlier daemon left: a run that lives, or that ended meanwhile, and the turn that it had.

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    Active, Comeback, Lane, Live, RETRY,
    beside::Beside,
    draft::{self, Face},
    ending::Start,
    kill::kill_ordered,
    limits::Rest,
    mode::Told,
};
use crate::{
    core::turn::Turn,
    gateway::{
        mode,
        ports::{Answer, Followed, Remains},
    },
    store::{
        StoreError, Tx,
        rows::{AttachmentRow, QuestionRow, RunRow, RunStatus, TurnRow, TurnState},
    },
};

/// How often a run that is over is tried before it counts as unreadable.
const MOST_TRIES: u32 = 5;

impl Lane {
    /// Takes up a run of an earlier daemon. What cannot be read or reached is tried again: a run that lives and is
    /// thought lost would be given its prompt twice.
    pub(super) async fn take_up(&mut self, comeback: Comeback) {
        if self.run.is_some() {
            self.end_second(comeback.row).await;
            return;
        }
        let Comeback { row, tries } = comeback;
        if !self.try_take_up(&row, tries).await {
            self.retry_at = Some(Instant::now() + RETRY);
            self.comeback = Some(Comeback {
                row,
                tries: tries.saturating_add(1),
            });
        }
    }

    /// False: not now.
    async fn try_take_up(&mut self, row: &RunRow, tries: u32) -> bool {
        let remains = self.deps.runner.inspect(&row.id).await;
        info!(conversation = self.conversation.id.0, run = %row.id, ?remains, "a run of an earlier life");
        let (id, run) = (self.conversation.id, row.id.clone());
        let read = self
            .deps
            .store
            .tx(move |tx| {
                let given = tx.turns_ahead(id, 1)?.into_iter();
                let given = given
                    .filter(|t| t.state == TurnState::Submitted && t.run.as_ref() == Some(&run));
                let (beside, turn): (Vec<_>, Vec<_>) =
                    given.partition(|turn| read_machine(turn).is_beside());
                let turn = turn.into_iter().next();
                let beside = with_files(tx, beside)?;
                let questions = match &turn {
                    Some(turn) => tx.questions_of(turn.id)?,
                    None => Vec::new(),
                };
                let files = match &turn {
                    Some(turn) => tx.attachments(turn.id)?,
                    None => Vec::new(),
                };
                let draft = match &turn {
                    Some(turn) => draft::is_free(tx, turn.id)?,
                    None => false,
                };
                let chosen = mode::chosen(tx, id)?;
                Ok((
                    turn,
                    questions,
                    files,
                    (draft, chosen, beside),
                    kill_ordered(tx, &run)?,
                ))
            })
            .await;
        let Some((turn, questions, files, (draft, chosen, given), killed)) =
            self.note_failure(read, "cannot read the turn of a run")
        else {
            return false;
        };
        let face = Face::of(draft && self.drafts());
        let mut active = turn
            .as_ref()
            .map(|turn| self.active(turn, &questions, face));
        if let Some(active) = active.as_mut().filter(|_| killed) {
            active.machine.interrupt_by_admin();
        }
        let mut beside: Vec<_> = given.iter().map(|(turn, _)| self.beside(turn)).collect();
        let start = match remains {
            Remains::NeverStarted => Start::Never,
            _ => Start::Resumed,
        };
        if matches!(remains, Remains::NeverStarted | Remains::Missing) {
            let had = (active.as_ref(), &beside[..]);
            return self.settle(&row.id, had, None, start).await;
        }
        let followed = match self.deps.runner.attach(&row.id, row.offset).await {
            Ok(followed) => followed,
            Err(cause) => {
                error!(conversation = self.conversation.id.0, run = %row.id, %cause, "cannot take up a run");
                // What is over and stays unreadable may hold a whole answer: it is told, not run again.
                let given_up = remains == Remains::Over && tries >= MOST_TRIES;
                let had = (active.as_ref(), &beside[..]);
                return given_up && self.settle(&row.id, had, None, Start::Unreadable).await;
            }
        };
        for one in &mut beside {
            match self.is_written(one, &followed) {
                Ok(written) => one.written = written,
                Err(cause) => {
                    error!(run = %row.id, %cause, "cannot read the agent's input");
                    return false;
                }
            }
        }
        let mut live = Live {
            id: row.id.clone(),
            session: row.session_id,
            resumed: true,
            followed,
            active,
            beside,
            stuck: None,
            unsent: Vec::new(),
            ending: None,
            idle_since: Instant::now(),
            rest: Rest::default(),
            mode: Told::default(),
            handed: self.handed(&row.command),
            killed,
            killers: Vec::new(),
            _place: self.deps.slots.take_for_running(),
        };
        match self.told_before(&live, chosen.as_ref()) {
            Ok(told) => live.mode = told,
            Err(cause) => {
                error!(run = %row.id, %cause, "cannot read the agent's input");
                return false;
            }
        }
        if remains == Remains::Alive {
            match self
                .missing_input(&live, turn.as_ref(), &questions, files, given)
                .await
            {
                Ok(lines) => {
                    live.beside.iter_mut().for_each(|one| one.written = true);
                    self.run = Some(live);
                    self.send(&lines);
                }
                Err(cause) => {
                    // Better late than twice.
                    error!(run = %row.id, %cause, "cannot read the agent's input");
                    return false;
                }
            }
        } else {
            self.run = Some(live);
        }
        let interrupted = self
            .run
            .as_ref()
            .and_then(|live| live.active.as_ref())
            .is_some_and(|a| a.machine.interrupt_requested());
        if interrupted {
            self.press_on();
        }
        if killed {
            self.end_killed();
        }
        self.begin_draft().await;
        self.type_on();
        true
    }

    /// The store knows a live run of this conversation that the lane does not have: its end could not be recorded.
    pub(super) async fn take_up_forgotten(&mut self) -> bool {
        let id = self.conversation.id;
        let read = self.deps.store.tx(move |tx| tx.runs_live()).await;
        let Some(runs) = self.note_failure(read, "cannot read the live runs") else {
            return false;
        };
        match runs.into_iter().find(|run| run.conversation == id) {
            Some(row) => {
                self.take_up(Comeback { row, tries: 0 }).await;
                self.comeback.is_none()
            }
            None => {
                // Of another conversation: a session belongs to one, so this is a fault and not a race.
                error!(conversation = id.0, "a session has a live run elsewhere");
                self.retry_at = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    /// The follower of the run is gone, the run perhaps not.
    pub(super) async fn lost_sight(&mut self) {
        let Some(live) = self.run.take() else { return };
        warn!(conversation = self.conversation.id.0, run = %live.id, "the follower of a run is gone; it is taken up anew");
        drop(live);
        self.retry_at = Some(Instant::now() + RETRY);
        self.take_up_forgotten().await;
    }

    fn active(&self, turn: &TurnRow, questions: &[QuestionRow], face: Face) -> Active {
        let reply_to = self.reply_to(turn.message());
        let since = turn.submitted_at.unwrap_or(turn.created_at);
        Active {
            questions: questions
                .iter()
                .filter(|q| q.answer.is_none())
                .map(|q| self.open(q))
                .collect(),
            ..Active::begun(turn.id, read_machine(turn), reply_to, face, since)
        }
    }

    fn beside(&self, turn: &TurnRow) -> Beside {
        Beside {
            turn: turn.id,
            machine: read_machine(turn),
            reply_to: self.reply_to(turn.message()),
            written: true,
        }
    }

    /// Whether the prompt is in the input of its run.
    fn is_written(&self, one: &Beside, followed: &Followed) -> std::io::Result<bool> {
        let backend = &self.deps.backend;
        let control = &followed.control;
        match one.machine.uuid() {
            Some(uuid) => control.input_contains(&|line| backend.is_prompt(line, uuid)),
            None => Ok(false),
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

    /// What an earlier daemon had committed but, killed, had not written: the prompt, answers to questions.
    async fn missing_input(
        &self,
        live: &Live,
        turn: Option<&TurnRow>,
        questions: &[QuestionRow],
        files: Vec<AttachmentRow>,
        beside: Vec<(TurnRow, Vec<AttachmentRow>)>,
    ) -> std::io::Result<Vec<u8>> {
        let (backend, control) = (&self.deps.backend, &live.followed.control);
        let mut missing = Vec::new();
        if let Some((turn, uuid)) = turn.and_then(|turn| Some((turn, turn.uuid?)))
            && !control.input_contains(&|line| backend.is_prompt(line, uuid))?
        {
            info!(run = %live.id, turn = turn.id.0, "a prompt that was about to be given is given now");
            missing.extend(self.prompt_line(uuid, turn, files).await);
        }
        for ((turn, files), one) in beside.into_iter().zip(&live.beside) {
            if let Some(uuid) = turn.uuid.filter(|_| !one.written) {
                info!(run = %live.id, turn = turn.id.0, "a prompt that was about to be given while the agent works is given now");
                missing.extend(self.prompt_line(uuid, &turn, files).await);
            }
        }
        for row in questions {
            let Some(Ok(answer)) = row.answer.as_deref().map(serde_json::from_str::<Answer>) else {
                continue;
            };
            let line = self.answer_line(&row.question, &answer);
            let bare = line.strip_suffix(b"\n").unwrap_or(&line);
            if !control.input_contains(&|written| written == bare)? {
                missing.extend(line);
            }
        }
        Ok(missing)
    }
}

/// Turns that an agent was given while it worked, in the order in which it was, each with its files.
fn with_files(
    tx: &Tx<'_>,
    mut turns: Vec<TurnRow>,
) -> Result<Vec<(TurnRow, Vec<AttachmentRow>)>, StoreError> {
    // As they came, so they were given; when that was, is by a clock that may have been set.
    turns.sort_by_key(|turn| turn.id);
    let files = |turn: TurnRow| Ok((tx.attachments(turn.id)?, turn));
    let all = turns.into_iter().map(files);
    all.map(|found| found.map(|(files, turn)| (turn, files)))
        .collect()
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
