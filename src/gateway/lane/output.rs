//! What the agent says: lines -> events -> state machine -> one transaction with the offset up to which they were taken.

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    Active, Lane, Line,
    beside::{self, Along, AlongChange, Beside},
    draft::Face,
    ending::{self, Fate},
    exits, limits, mode, rules, work,
};
use crate::{
    core::{
        Millis,
        approval::Kind,
        event::{AgentEvent, Question},
        ids::{RunId, TurnId},
        messages,
        text::{Formatted, Shown},
        turn::{Effect, Ending, Outcome, Turn},
        words,
    },
    gateway::{approval::Board, queue::Queue, show},
    store::{
        StoreError, Tx,
        rows::{NewTurn, QuestionRow, Target, TurnEnd, TurnState, Urgency},
    },
};

/// Everything that a batch of lines changes, to be committed at once.
struct Change {
    run: RunId,
    offset: u64,
    queue: Queue,
    target: Target,
    now: Millis,
    // Where questions are shown.
    board: Board,
    session: uuid::Uuid,
    model: Option<String>,
    modes: Vec<mode::News>,
    mode_request: Option<String>,
    turn: Option<TurnChange>,
    along: AlongChange,
}

struct TurnChange {
    id: TurnId,
    machine: String,
    shown: Vec<Shown>,
    reply_to: Option<i64>,
    asked: Vec<Asking>,
    // Rules by which the agent's own program denied something.
    denied: Vec<String>,
    withdrawn: Vec<String>,
    silence_over: bool,
    outcome: Option<Outcome>,
    // The session was not there any more: the turn goes to a new one, with this uuid.
    elsewhere: Option<uuid::Uuid>,
}

/// A question that is new.
struct Asking {
    question: Question,
    // What goes before it, in messages of its own.
    before: Vec<Formatted>,
    // Nobody is asked: this is the answer.
    decided: Option<rules::Decided>,
}

impl Lane {
    /// Takes lines in order. What cannot be committed is kept and tried again; nothing is read meanwhile.
    pub(super) async fn take_lines(&mut self, lines: Vec<Line>) {
        let mut rest = lines;
        while !rest.is_empty() {
            let done = self.take_some(&rest).await;
            let Some((taken, over)) = self.note_failure(done, "cannot record what the agent said")
            else {
                if let Some(live) = &mut self.run {
                    live.stuck = Some(rest);
                }
                return;
            };
            rest.drain(..taken);
            if over {
                self.turn_over().await;
            }
        }
        if self
            .run
            .as_ref()
            .is_some_and(|live| live.outdated() && live.active.is_none())
        {
            self.advance().await;
        }
    }

    /// Takes lines up to the end of a turn, if one ends in them. Returns how many, and whether one ended.
    async fn take_some(&mut self, lines: &[Line]) -> Result<(usize, bool), StoreError> {
        let Some(live) = &self.run else {
            return Ok((lines.len(), false));
        };
        let (run, session, resumed) = (live.id.clone(), live.session, live.resumed);
        let mut active = live.active.clone();
        let mut along = Along::of(live);
        let mut came_back = false;
        let mut model = None;
        let mut asked = Vec::new();
        let mut withdrawn = Vec::new();
        let mut denied = Vec::new();
        let mut outcome = None;
        let mut changed = false;
        let mut rest = live.rest;
        let told = live.mode.clone();
        let mut modes = Vec::new();
        let shows_silence = |active: &Option<Active>| {
            active
                .as_ref()
                .is_some_and(|active| active.machine.watch().shows_silence())
        };
        let showed_silence = shows_silence(&active);
        let thinking = self.manner().thinking;
        let mut taken: usize = 0;
        let mut heard = None;
        for line in lines {
            taken += 1;
            for event in self.deps.backend.decode(&line.bytes) {
                let event = if thinking { event } else { hidden(event) };
                match &event {
                    AgentEvent::Init {
                        model: Some(name), ..
                    } => model = Some(name.clone()),
                    AgentEvent::Malformed(why) => {
                        warn!(run = %run, why, "a line of the agent is not readable");
                    }
                    AgentEvent::Reply {
                        request_id,
                        error: Some(error),
                        ..
                    } => debug!(run = %run, request_id, error, "the agent refused a request"),
                    AgentEvent::Result(result) => denied.extend(self.denied_by(&result.denials)),
                    _ => {}
                }
                modes.extend(told.news(&event));
                if along.on(&event, active.as_ref()) {
                    active = None;
                    came_back = true;
                }
                if active.is_none() && unasked(&event) {
                    active = Some(self.unasked_turn(&run).await?);
                }
                let Some(current) = &mut active else {
                    rest.on(&event, None);
                    continue;
                };
                if unasked(&event) {
                    heard = current.unheard.take().or(heard);
                }
                for effect in current.machine.on(&event) {
                    match effect {
                        Effect::Show => changed = true,
                        Effect::Ask(question) => {
                            let asking = self.asking(question);
                            if asking.decided.is_some() {
                                // It is written once this is committed.
                                let _ = current.machine.answered(&asking.question.request_id);
                            }
                            asked.push(asking);
                        }
                        Effect::Withdraw { request_id } => withdrawn.push(request_id),
                        Effect::Finished(end) => outcome = Some(end),
                    }
                }
                rest.on(&event, Some(&current.machine));
            }
            if outcome.is_some() || came_back {
                break;
            }
        }
        let Some(end) = lines.get(taken.wrapping_sub(1)).map(|line| line.end) else {
            return Ok((0, false));
        };
        let over = outcome.is_some() || came_back;
        let (now, manner) = (self.deps.clock.now(), self.manner());
        let renderer = self.deps.renderer.as_ref();
        let mut sketch = None;
        let turn = match &mut active {
            Some(current) => {
                if changed {
                    current.tick = None;
                }
                let view = manner.view(current, now);
                let by_draft = !over && self.by_draft(current);
                let elsewhere = outcome
                    .as_ref()
                    .filter(|end| resumed && ending::session_unknown(end))
                    .map(|_| self.deps.dice.uuid());
                if let Some(end) = &outcome {
                    match elsewhere {
                        None => along.over(Some(&end.ending)),
                        Some(_) => along.not_begun(),
                    }
                }
                let shown = match &outcome {
                    _ if elsewhere.is_some() => Vec::new(),
                    Some(end) => show::over(renderer, &view, &end.ending, current.reply_to),
                    None if changed && by_draft => {
                        sketch = Some(view);
                        Vec::new()
                    }
                    None if changed => show::running(
                        renderer,
                        &view,
                        self.stoppable(current.turn),
                        current.reply_to,
                    ),
                    None => Vec::new(),
                };
                Some(TurnChange {
                    id: current.turn,
                    machine: work::to_json(&current.machine).ok_or_else(|| {
                        StoreError::Other("a turn's state cannot be written".to_owned())
                    })?,
                    shown,
                    reply_to: current.reply_to,
                    asked,
                    denied,
                    withdrawn,
                    // It speaks again.
                    silence_over: showed_silence && !shows_silence(&active),
                    outcome,
                    elsewhere,
                })
            }
            None if came_back => {
                along.over(None);
                None
            }
            None => None,
        };
        let change = Change {
            run,
            offset: end,
            queue: self.queue(),
            board: self.board(),
            target: self.target(),
            now,
            session,
            model,
            modes: modes.clone(),
            mode_request: told.request().map(str::to_owned),
            turn,
            along: along.change(self)?,
        };
        if let Some(current) = active.as_mut().filter(|_| over) {
            current.face.end();
            self.end_draft();
        }
        fail::fail_point!("codec-before-commit");
        let opened = self.deps.store.tx(move |tx| change.apply(tx)).await?;
        fail::fail_point!("codec-after-commit");
        if let Some(since) = heard {
            let tally = self.deps.store.tally();
            tally.first_output(now.saturating_sub(since));
        }
        let asked: Vec<_> = opened.asked.iter().map(|row| self.open(row)).collect();
        if let Some(live) = &mut self.run {
            live.rest = rest;
            if modes.contains(&mode::News::Refused { another: true }) {
                live.mode.outdate();
            }
        }
        let follows = along.promoted().map(|next| {
            let face = Face::of(self.drafts());
            Active::begun(next.turn, next.machine.clone(), next.reply_to, face, now)
        });
        if let Some(live) = &mut self.run {
            live.beside = along.beside;
            if over {
                live.active = follows;
            } else if let Some(mut current) = active {
                for gone in &opened.closed {
                    current.questions.retain(|q| q.row != *gone);
                }
                current.questions.extend(asked);
                live.active = Some(current);
            }
        }
        for row in &opened.decided {
            self.give_answer(row);
        }
        if let Some(view) = sketch {
            self.sketch(&view);
        }
        if self.typing_at.is_none() {
            self.type_on();
        }
        Ok((taken, over))
    }

    fn asking(&self, mut question: Question) -> Asking {
        let decided = self.decide(&mut question);
        let before = match Kind::of(&question) {
            Kind::Plan(Some(plan)) if decided.is_none() => {
                show::messages_of_plan(self.deps.renderer.as_ref(), &plan)
            }
            _ => Vec::new(),
        };
        Asking {
            question,
            before,
            decided,
        }
    }

    /// The agent speaks without having been asked: background work reports. It gets a turn of its own.
    async fn unasked_turn(&mut self, run: &RunId) -> Result<Active, StoreError> {
        let (run, conversation, now) = (run.clone(), self.conversation.id, self.deps.clock.now());
        let machine = Turn::new(None);
        let json = work::to_json(&machine).unwrap_or_default();
        let turn = self
            .deps
            .store
            .tx(move |tx| {
                let new = NewTurn {
                    conversation,
                    uuid: None,
                    state: TurnState::Submitted,
                    parts: Vec::new(),
                    run: Some(run),
                };
                let turn = tx.turn_add(&new, now)?;
                tx.turn_machine(turn, &json)?;
                Ok(turn)
            })
            .await?;
        self.deps.slots.busy(self.conversation.id);
        let face = Face::of(self.drafts());
        Ok(Active::begun(turn, machine, None, face, now))
    }

    /// After the last transaction of a turn.
    async fn turn_over(&mut self) {
        if let Some(live) = &mut self.run {
            live.idle_since = Instant::now();
            if let Some(ending) = &mut live.ending {
                // It was asked to end while it worked; it may now.
                *ending = (*ending).min(Instant::now() + super::END_GRACE);
            }
        }
        if self.run.as_ref().is_some_and(|live| live.killed) {
            self.end_killed();
        }
        self.typing_at = None;
        self.begin_draft().await;
        self.type_on();
        self.advance().await;
    }

    /// The output is shorter than what was taken of it.
    pub(super) async fn tampered(&mut self, offset: u64, size: u64) {
        let Some(live) = &self.run else { return };
        tracing::error!(event = messages::OUTPUT_TAMPERED, conversation = self.conversation.id.0, run = %live.id, offset, size, "the output of a run was cut or changed from outside; the run is ended");
        let active = live.active.clone();
        self.make_end();
        let Some(active) = active else { return };
        self.fail_turn(active, exits::agent_trouble(words::OUTPUT_DAMAGED.as_str()))
            .await;
    }

    /// Ends the running turn with a trouble, whatever the process does. One that the agent has not begun with fares as what is
    /// beside it.
    pub(super) async fn fail_turn(
        &mut self,
        active: Active,
        trouble: crate::core::trouble::Trouble,
    ) {
        let (late, ran) = Beside::late(Some(&active));
        let over = ran.map(|active| {
            let mut machine = active.machine;
            let ended = machine
                .process_gone(trouble)
                .map_or(Ending::Completed, |outcome| outcome.ending);
            let shown = show::over(
                self.deps.renderer.as_ref(),
                &machine.view(),
                &ended,
                active.reply_to,
            );
            (active.turn, machine, Fate::Over(ended), shown)
        });
        let (target, now, conversation) =
            (self.target(), self.deps.clock.now(), self.conversation.id);
        let (queue, board) = (self.queue(), self.board());
        let late = late.map(|one| (one, self.deps.dice.uuid()));
        let beside = late.into_iter().chain(self.beside_with_uuids());
        let beside: Vec<_> = beside.collect();
        let done = self
            .deps
            .store
            .tx(move |tx| {
                if let Some((turn, machine, Fate::Over(ended), shown)) = &over {
                    let end = TurnEnd {
                        state: ending::state_of(ended),
                        machine: work::to_json(machine),
                        cost_usd: None,
                        duration_ms: None,
                    };
                    tx.turn_ended(*turn, &end, now)?;
                    close_questions(tx, &board, *turn, now)?;
                    work::put(tx, target, *turn, shown, Urgency::Message, now)?;
                }
                // What the process said cannot be trusted.
                let other = over.as_ref();
                let other = other.map(|(_, machine, fate, _)| (fate, machine.tools_begun()));
                for (one, fresh) in beside {
                    let left = beside::left(&one, other, None, false);
                    beside::settle(tx, &queue, &one, &left, fresh, now)?;
                }
                queue.refresh(tx, conversation, now)
            })
            .await;
        if self
            .note_failure(done, "cannot record the end of a turn")
            .is_some()
            && let Some(live) = &mut self.run
        {
            live.active = None;
            live.beside.clear();
            self.typing_at = None;
        }
    }
}

/// What became of questions in a transaction.
#[derive(Default)]
struct Opened {
    asked: Vec<QuestionRow>,
    // Answered by rules; the agent is to be told.
    decided: Vec<QuestionRow>,
    closed: Vec<i64>,
}

impl Change {
    fn apply(mut self, tx: &Tx<'_>) -> Result<Opened, StoreError> {
        let along = std::mem::take(&mut self.along);
        let (queue, target, now) = (self.queue.clone(), self.target, self.now);
        let opened = self.apply_turn(tx)?;
        along.apply(tx, &queue, target, now)?;
        Ok(opened)
    }

    fn apply_turn(self, tx: &Tx<'_>) -> Result<Opened, StoreError> {
        let mut opened = Opened::default();
        tx.run_offset(&self.run, self.offset)?;
        let conversation = tx.run(&self.run)?.map(|run| run.conversation);
        let mut session = match conversation {
            Some(id) => tx
                .session_current(id)?
                .filter(|s| s.session_id == self.session),
            None => None,
        };
        if let (Some(session), Some(model)) = (&mut session, self.model)
            && session.metadata.model.as_ref() != Some(&model)
        {
            session.metadata.model = Some(model);
            tx.session_metadata(self.session, &session.metadata)?;
        }
        for news in self.modes {
            if let Some(id) = conversation {
                let request = self.mode_request.as_deref();
                mode::heard(tx, (id, self.target), request, news, self.now)?;
            }
        }
        let Some(turn) = self.turn else {
            return Ok(opened);
        };
        if let (Some(fresh), Some(conversation)) = (turn.elsewhere, conversation) {
            if let Some(session) = session {
                tx.session_forget(conversation)?;
                // Where it had answered before, there is something that it does not remember.
                if session.metadata.total_cost_usd > 0.0 {
                    let told = show::note(words::SESSION_GONE.as_str(), Vec::new(), None);
                    tx.out_show(self.target, None, Urgency::Message, &told, self.now)?;
                }
            }
            limits::over(tx, turn.id, self.now)?;
            tx.turn_requeued(turn.id, fresh)?;
            return Ok(opened);
        }
        if turn.silence_over {
            limits::silence_over(tx, turn.id, self.now)?;
        }
        let told = rules::Told {
            turn: turn.id,
            target: self.target,
            reply_to: turn.reply_to,
            now: self.now,
        };
        for asking in turn.asked {
            if let Some(decided) = &asking.decided {
                let row = rules::record(tx, &self.run, &asking.question, decided, told)?;
                opened.decided.extend(row);
                continue;
            }
            let id = tx.question_add(turn.id, &self.run, &asking.question, self.now)?;
            let Some(row) = tx.question(id)? else {
                continue;
            };
            let mut reply_to = turn.reply_to;
            for body in asking.before {
                let shown = Shown {
                    body,
                    reply_to: reply_to.take(),
                    ..Shown::default()
                };
                tx.out_show(self.target, None, Urgency::Message, &shown, self.now)?;
            }
            self.board.ask(tx, &row, turn.reply_to)?;
            opened.asked.push(row);
        }
        // After those: a question may come and go within one batch.
        for request in &turn.withdrawn {
            if let Some(row) = tx.question_by_request(&self.run, request)?
                && self.board.withdraw(tx, &row)?
            {
                opened.asked.retain(|asked| asked.id != row.id);
                opened.closed.push(row.id);
            }
        }
        if !turn.denied.is_empty() {
            rules::tell(tx, &turn.denied, told)?;
        }
        match turn.outcome {
            None => {
                tx.turn_machine(turn.id, &turn.machine)?;
                if !turn.shown.is_empty() {
                    work::put(
                        tx,
                        self.target,
                        turn.id,
                        &turn.shown,
                        Urgency::Progress,
                        self.now,
                    )?;
                }
            }
            Some(outcome) => {
                let mut cost = None;
                if let (Some(total), Some(mut session)) = (outcome.total_cost_usd, session) {
                    // The agent tells the running total of the session; the turn's share is the difference.
                    cost = Some((total - session.metadata.total_cost_usd).max(0.0));
                    session.metadata.total_cost_usd = total;
                    tx.session_metadata(self.session, &session.metadata)?;
                    tx.session_used(self.session, self.now)?;
                }
                let end = TurnEnd {
                    state: ending::state_of(&outcome.ending),
                    machine: Some(turn.machine),
                    cost_usd: cost,
                    duration_ms: outcome.duration_ms,
                };
                tx.turn_ended(turn.id, &end, self.now)?;
                close_questions(tx, &self.board, turn.id, self.now)?;
                work::put(
                    tx,
                    self.target,
                    turn.id,
                    &turn.shown,
                    Urgency::Message,
                    self.now,
                )?;
                if let Some(id) = conversation {
                    self.queue.refresh(tx, id, self.now)?;
                }
            }
        }
        Ok(opened)
    }
}

/// What was asked or told beside a turn that is over: nobody answers it any more.
pub(super) fn close_questions(
    tx: &Tx<'_>,
    board: &Board,
    turn: TurnId,
    now: Millis,
) -> Result<(), StoreError> {
    board.close(tx, turn)?;
    limits::over(tx, turn, now)
}

/// What is left of an event for those who are not to see what the agent thinks: it does, and that is all.
fn hidden(event: AgentEvent) -> AgentEvent {
    match event {
        AgentEvent::ThoughtDelta { .. } | AgentEvent::Thought { .. } => AgentEvent::Ignored,
        event => event,
    }
}

/// Whether an event that belongs to no turn begins one.
fn unasked(event: &AgentEvent) -> bool {
    matches!(
        event,
        AgentEvent::MessageStart { .. }
            | AgentEvent::Text { .. }
            | AgentEvent::Tool { .. }
            | AgentEvent::Asked(_)
            | AgentEvent::AssistantError { .. }
    )
}
