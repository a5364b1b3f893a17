//! From the queue to the agent: places, launching.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    END_GRACE, Lane, LaneMsg, Live, RETRY, beside::Next, limits::Rest, mode::Told, window,
};
use crate::{
    core::{
        Millis,
        ids::{RunId, TurnId},
        messages,
        profile::Profile,
        trouble::{Category, Trouble},
        turn::{Ending, Turn, View},
        words,
    },
    gateway::{
        mode,
        ports::{Exit, InboxOf, Launch, NotStarted},
        show,
    },
    store::{
        StoreError, Tx,
        rows::{RunRow, RunStatus, Session, Slot, Target, TurnEnd, TurnRow, TurnState, Urgency},
    },
};

impl Lane {
    /// Does everything that can be done now for the turns of this conversation.
    pub(super) async fn advance(&mut self) {
        // Each round either changes a state in the store or returns; the bound is for a fault in that reasoning.
        for _ in 0..64 {
            let (id, ready, giving) = (self.conversation.id, self.ready(), self.giving());
            let door = self.door();
            let read = self
                .deps
                .store
                .tx(move |tx| {
                    let (open, session) = (tx.turns_ahead(id, 1)?, tx.session_current(id)?);
                    // In the same transaction as the look: between the two is time that a prompt would wait.
                    let given = match &ready {
                        Some(ready) => ready.give(tx, &open, session.as_ref(), giving)?,
                        None => None,
                    };
                    let next = match &door {
                        Some(door) => door.look(tx, id, session.as_ref(), giving.now)?,
                        None => Next::Nothing,
                    };
                    Ok((open, session, mode::chosen(tx, id)?, given, next))
                })
                .await;
            let Some((open, session, chosen, given, next)) =
                self.note_failure(read, "cannot read the queue")
            else {
                return;
            };
            if let Some(given) = given {
                if self.write_prompt(given).await {
                    continue;
                }
                return;
            }
            if self.make_way(next).await || self.tell_mode(chosen) {
                continue;
            }
            let next = open.iter().find(|turn| turn.state == TurnState::Queued);
            let waits = next.filter(|_| self.drafts()).map(|turn| turn.id);
            if !self.step(open, session).await {
                if let Some(turn) = waits {
                    self.reassure(turn).await;
                }
                return;
            }
        }
        error!(
            conversation = self.conversation.id.0,
            "a lane does not come to rest"
        );
        self.retry_at = Some(Instant::now() + RETRY);
    }

    /// One step; true if the queue is to be looked at again.
    async fn step(&mut self, open: Vec<TurnRow>, session: Option<Session>) -> bool {
        if self.unsettled.is_some() || self.comeback.is_some() {
            return false;
        }
        let revoked = self.revoked();
        if revoked
            && let Some(turn) = open
                .iter()
                .find(|turn| matches!(turn.state, TurnState::Collecting | TurnState::Queued))
        {
            return self.discard(turn.id).await;
        }
        if let Some(orphan) = open.iter().find(|turn| self.is_orphan(turn)) {
            return self.orphaned(orphan.clone()).await;
        }
        let collecting = open.iter().find(|turn| turn.state == TurnState::Collecting);
        self.window = collecting.map(|turn| self.window_of(turn));
        if let Some(turn) = collecting
            && (self.force_window || self.window.is_none_or(|at| at <= Instant::now()))
        {
            return self.close_window(turn.id).await;
        }
        self.force_window = false;
        if collecting.is_none() {
            self.cold = false;
        }
        let next = open
            .into_iter()
            .find(|turn| turn.state == TurnState::Queued);
        let current = session.as_ref().map(|s| s.session_id);
        match &self.run {
            // The conversation was cleared: this process knows what the next prompt must not.
            Some(live) if Some(live.session) != current => {
                // One that it was given while it worked on another and has not begun with is the next agent's.
                let works = live.active.as_ref();
                if works.is_some_and(|active| !active.machine.may_go_back()) {
                    self.interrupt_cleared().await;
                } else if live.ending.is_none() {
                    self.end_run();
                }
                false
            }
            Some(live) if live.active.is_some() || live.ending.is_some() => false,
            // It cannot come to the mode that was chosen, or was told other rules than hold by now.
            Some(live) if live.outdated() => {
                self.end_run();
                false
            }
            // A turn that waited would have been given to it already.
            Some(_) => {
                if next.is_none() || self.deps.gate.closed() {
                    self.rest();
                }
                false
            }
            // Whoever lifts the pause has this lane look again.
            None if self.deps.gate.closed() => {
                self.place = None;
                self.line_up = None;
                false
            }
            None if next.is_some() || (self.window.is_some() && !self.cold) => {
                self.find_place(next.as_ref(), session).await
            }
            None => {
                self.place = None;
                self.line_up = None;
                false
            }
        }
    }

    fn is_orphan(&self, turn: &TurnRow) -> bool {
        let known = self.run.as_ref().is_some_and(|live| {
            let active = live.active.as_ref().map(|active| active.turn);
            let mut beside = live.beside.iter().map(|one| one.turn);
            active == Some(turn.id) || beside.any(|one| one == turn.id)
        });
        turn.state == TurnState::Submitted && !known
    }

    /// A turn of somebody who may not any more: it is never run, and they are told nothing.
    async fn discard(&mut self, turn: TurnId) -> bool {
        warn!(
            conversation = self.conversation.id.0,
            turn = turn.0,
            "a turn is discarded: its author is not allowed any more"
        );
        let now = self.deps.clock.now();
        let done = self
            .deps
            .store
            .tx(move |tx| window::discard(tx, turn, now))
            .await;
        self.note_failure(done, "cannot discard a turn").is_some()
    }

    /// Nothing to do for the process: it is kept warm, unless another conversation wants its place.
    fn rest(&mut self) {
        let Some(live) = &self.run else { return };
        if self.window.is_none() && live.active.is_none() {
            self.deps
                .slots
                .idle(self.conversation.id, self.deps.clock.now());
            if self.deps.slots.waiting() > 0 {
                self.end_if_idle();
            }
        }
    }

    async fn find_place(&mut self, next: Option<&TurnRow>, session: Option<Session>) -> bool {
        if self.line_up.is_none() {
            if self.place.is_none() {
                self.place = self.deps.slots.try_take();
            }
            if self.place.is_some() {
                let again = self.launch(session).await;
                // A launch that did not come about holds up nobody else.
                self.place = None;
                return again;
            }
            let slots = &self.deps.slots;
            self.busy = words::all_busy(slots.total(), slots.waiting());
        }
        if let Some(turn) = next {
            self.tell_busy(turn).await;
        }
        if self.line_up.is_some() {
            return false;
        }
        // Lined up before an idle one is looked for: one that becomes idle meanwhile sees that it is wanted.
        self.line_up = Some(Box::pin(self.deps.slots.take()));
        if let Some(other) = self.deps.slots.evict() {
            self.lanes.nudge(other, LaneMsg::GiveWay);
        }
        false
    }

    /// Whoever is next is told that all agents are busy; also where another is next by now.
    async fn tell_busy(&mut self, turn: &TurnRow) {
        let (target, now, queue) = (self.target(), self.deps.clock.now(), self.queue());
        let slot = Slot::first(turn.id);
        let buttons = queue.of_waiting(turn.id, 0).into_iter().collect();
        let shown = show::note(self.busy.clone(), buttons, queue.reply_to(turn));
        let told = self
            .deps
            .store
            .tx(move |tx| tx.out_show(target, Some(slot), Urgency::Progress, &shown, now))
            .await;
        self.note_failure(told, "cannot tell that all agents are busy");
    }

    /// Starts a process for the current session, or for a new one.
    async fn launch(&mut self, session: Option<Session>) -> bool {
        let id = self.conversation.id;
        let run = self.deps.dice.run_id();
        let (fresh, now) = (self.deps.dice.uuid(), self.deps.clock.now());
        let session = match session {
            Some(session) => session,
            None => {
                let made = self
                    .deps
                    .store
                    .tx(move |tx| tx.session_start(id, fresh, now))
                    .await;
                match self.note_failure(made, "cannot begin a session") {
                    Some(session) => session,
                    None => return false,
                }
            }
        };
        let Some(mode) = self.launch_mode().await else {
            return false;
        };
        let launch = Launch {
            mode,
            session_id: session.session_id,
            resume: session.metadata.begun,
            profile: self.profile(),
            inbox: self.inbox(),
            rules: self.rules(),
        };
        let spec = self.deps.backend.spec(&run, &launch);
        let command = spec.argv.join(" ");
        let row = RunRow {
            id: run.clone(),
            conversation: id,
            session_id: session.session_id,
            who: self.conversation.key.user_id,
            command: command.clone(),
            status: RunStatus::Starting,
            offset: 0,
            started_at: now,
            ended_at: None,
            exit: None,
        };
        match self.deps.store.tx(move |tx| tx.run_add(&row)).await {
            Ok(()) => {}
            Err(StoreError::LiveRun { .. }) => return self.take_up_forgotten().await,
            Err(cause) => {
                self.note_failure::<()>(Err(cause), "cannot record a run");
                return false;
            }
        }
        fail::fail_point!("lane-launch");
        match self.deps.runner.launch(&spec).await {
            Ok(followed) => {
                fail::fail_point!("lane-launched");
                let place = self
                    .place
                    .take()
                    .unwrap_or_else(|| self.deps.slots.take_for_running());
                info!(conversation = id.0, run = %run, resumed = launch.resume, "agent started");
                let live = Live {
                    id: run,
                    session: session.session_id,
                    resumed: launch.resume,
                    followed,
                    active: None,
                    beside: Vec::new(),
                    stuck: None,
                    unsent: Vec::new(),
                    ending: None,
                    idle_since: Instant::now(),
                    rest: Rest::default(),
                    mode: Told::default(),
                    handed: self.handed(&command),
                    killed: false,
                    killers: Vec::new(),
                    _place: place,
                };
                // A lost greeting harms nothing: the agent works without it.
                self.append(&live, &self.deps.backend.hello());
                self.run = Some(live);
                self.no_room = 0;
                true
            }
            Err(cause) => {
                self.place = None;
                error!(event = messages::AGENT_NOT_STARTED, conversation = id.0, run = %run, %cause, "cannot start an agent");
                if cause.no_room {
                    self.no_room_to_launch(run, cause.to_string()).await
                } else {
                    self.not_launched(run, cause.to_string()).await
                }
            }
        }
    }

    /// Where this conversation's files are. Without it an agent works as well, and finds no files.
    fn inbox(&self) -> Option<InboxOf> {
        let made = self.deps.files.places.make(&self.conversation);
        made.inspect_err(|cause| {
            error!(conversation = self.conversation.id.0, %cause, "cannot make the directory for files");
        })
        .ok()
    }

    /// Profile of this conversation's processes.
    fn profile(&self) -> Profile {
        let key = &self.conversation.key;
        let config = self.deps.config.get();
        config.profiles.pick(key.user_id, key.chat_id).clone()
    }

    /// The launch failed on our side: the turn that wanted it is told, so that nobody waits for nothing.
    async fn not_launched(&mut self, run: RunId, cause: String) -> bool {
        let (id, now, target) = (self.conversation.id, self.deps.clock.now(), self.target());
        let private = self.conversation.key.chat_id == self.conversation.key.user_id;
        let exit = not_started(cause);
        let trouble = Trouble {
            category: Category::Agent,
            detail: Some(words::AGENT_NOT_STARTED.to_owned()),
            wait_s: None,
        };
        let deps = Arc::clone(&self.deps);
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.run_ended(&run, RunStatus::Failed, Some(&exit), now)?;
                let Some(turn) = tx
                    .turns_ahead(id, 1)?
                    .into_iter()
                    .find(|t| t.state == TurnState::Queued)
                else {
                    return Ok(());
                };
                let reply_to = turn.message().filter(|_| !private);
                tx.turn_ended(
                    turn.id,
                    &TurnEnd {
                        state: TurnState::Failed,
                        machine: None,
                        cost_usd: None,
                        duration_ms: None,
                    },
                    now,
                )?;
                let shown = show::over(
                    deps.renderer.as_ref(),
                    &View::default(),
                    &Ending::Failed(trouble),
                    reply_to,
                );
                put(tx, target, turn.id, &shown, Urgency::Message, now)
            })
            .await;
        if self
            .note_failure(done, "cannot record a failed launch")
            .is_none()
        {
            return false;
        }
        // Not again ahead of time for the same window.
        self.cold = self.window.is_some();
        true
    }

    /// Ends the process if it has nothing to do.
    pub(super) fn end_if_idle(&mut self) {
        if self
            .run
            .as_ref()
            .is_some_and(|live| live.active.is_none() && live.ending.is_none())
            && self.window.is_none()
        {
            self.end_run();
        }
    }

    /// Asks the process to end; made to, if it does not in time.
    pub(super) fn end_run(&mut self) {
        self.deps.slots.busy(self.conversation.id);
        let line = self.deps.backend.end(&self.deps.dice.uuid().to_string());
        if let Some(live) = &mut self.run
            && live.ending.is_none()
        {
            live.ending = Some(Instant::now() + END_GRACE);
        }
        if let Some(live) = &self.run
            && !self.append(live, &line)
        {
            live.followed.control.terminate();
        }
    }
}

/// Exit record of a run that never began.
pub(super) fn not_started(detail: String) -> String {
    let exit = Exit::NotStarted {
        why: NotStarted::Other { detail },
    };
    // It always can be written as JSON: strings only.
    serde_json::to_string(&exit).unwrap_or_default()
}

/// Brings the messages of a turn to these, and no more than these.
pub(crate) fn put(
    tx: &Tx<'_>,
    target: Target,
    turn: TurnId,
    shown: &[crate::core::text::Shown],
    urgency: Urgency,
    now: Millis,
) -> Result<(), StoreError> {
    let (mut next, mut file) = (0, Slot::FILE);
    for message in shown {
        // What was a text cannot become a file, so these have numbers of their own.
        let (of_kind, end) = match message.file {
            Some(_) => (&mut file, Slot::NOTICE),
            None => (&mut next, Slot::FILE),
        };
        if *of_kind >= end {
            // No answer has so many: see `ANSWER_MESSAGES`. It must not be taken for another message.
            error!(turn = turn.0, "a message of an answer has no number");
            continue;
        }
        let number = *of_kind;
        *of_kind += 1;
        tx.out_show(target, Some(Slot { turn, number }), urgency, message, now)?;
    }
    if file == Slot::FILE {
        return tx.out_retract(turn, next, Slot::NOTICE, now);
    }
    tx.out_retract(turn, next, Slot::FILE, now)?;
    tx.out_retract(turn, file, Slot::NOTICE, now)
}

/// A turn's state as JSON. It always can be written; if not, that is logged and nothing is lost by not going on.
pub(super) fn to_json(machine: &Turn) -> Option<String> {
    serde_json::to_string(machine)
        .inspect_err(|cause| error!(%cause, "cannot write the state of a turn"))
        .ok()
}
