//! What a newer prompt does while a turn runs: it ends that turn, or the agent is given it while it works.
//!
//! What it is to do stands in the store ([`crate::gateway::queue::newer`]); here it is done. A prompt that the agent is given
//! while it works is submitted like any other, beside the turn that runs, and written into the same input. Then the agent
//! tells what it makes of it. It takes it into what it works on: the result of that is the end of both. Or it begins with it
//! afterwards: as soon as the other is over, it is the turn that runs. What was never begun with goes back into the queue,
//! where it can be known that it was not; where it cannot, its person is asked.

use tracing::{error, info};
use uuid::Uuid;

use super::{Active, Lane, Live, RETRY, draft, ending::Fate, submit::Given, work};
use crate::{
    core::{
        Millis,
        busy::{self, Newer},
        event::{AgentEvent, PromptState},
        ids::{ConversationId, InboxId, RunId, TurnId},
        turn::{Ending, Heard, Turn},
        words,
    },
    gateway::{
        gate::Gate,
        mode,
        ports::Exit,
        queue::{Queue, newer},
        show,
    },
    store::{
        StoreError, Tx,
        rows::{AttachmentState, Session, Target, TurnEnd, TurnRow, TurnState, Urgency},
    },
};

/// A prompt that the agent was given while it worked on another.
#[derive(Clone)]
pub(super) struct Beside {
    pub(super) turn: TurnId,
    pub(super) machine: Turn,
    pub(super) reply_to: Option<i64>,
    /// Whether it may be in the agent's input.
    pub(super) written: bool,
}

impl Beside {
    /// The turn that runs, where it is one that was given beside another.
    pub(super) fn of(active: &Active) -> Self {
        Self {
            turn: active.turn,
            machine: active.machine.clone(),
            reply_to: active.reply_to,
            written: true,
        }
    }

    /// The turn that a process had when it ended, told apart: one that was given beside another and was not begun with is none
    /// that ran.
    pub(super) fn late(active: Option<&Active>) -> (Option<Self>, Option<Active>) {
        match active {
            Some(active) if active.machine.may_go_back() => (Some(Self::of(active)), None),
            active => (None, active.cloned()),
        }
    }
}

/// The agent that works, as the transaction sees it that looks for what newer prompts do.
pub(super) struct Door {
    run: RunId,
    session: Uuid,
    gate: Gate,
    queue: Queue,
    // The newest choice of a permission mode that it was told.
    told: Option<String>,
    over: TurnId,
    // How many it was given into that turn.
    beside: usize,
    // Whether that turn can be ended for a newer one: it was not told to end.
    ends: bool,
    // Whether it is given anything as long as that turn runs.
    takes: bool,
}

/// What is to be done for a newer prompt.
pub(super) enum Next {
    Nothing,
    /// What runs ends.
    Interrupt,
    /// This is recorded as given; it is to be written.
    Hand(Box<Given>),
}

impl Door {
    /// Looks for what is to be done, and records it.
    pub(super) fn look(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        session: Option<&Session>,
        now: Millis,
    ) -> Result<Next, StoreError> {
        let mut all = newer::all(tx, conversation)?;
        all.retain(|one| one.over == self.over);
        if all.is_empty() {
            return Ok(Next::Nothing);
        }
        // Not those alone that are next: one that is handed in need not be the first that waits.
        let open = tx.turns_open(conversation)?;
        let waits = open.iter().filter(|t| t.state == TurnState::Queued);
        let waits: Vec<TurnId> = waits.map(|turn| turn.id).collect();
        // During a pause what runs goes on to its end: nothing is given after it.
        if self.ends && !self.gate.closed() && busy::interrupts(&all, self.over, &waits) {
            return Ok(Next::Interrupt);
        }
        let Some(next) = busy::handed_next(&all, self.over, &waits) else {
            return Ok(Next::Nothing);
        };
        let current = session.is_some_and(|session| session.session_id == self.session);
        let full = self.beside >= busy::MOST_BESIDE;
        if !self.takes || !current || full {
            // It is one that waits like any other.
            let not_handed = |one: &Newer| one.over != self.over || one.turn != next;
            newer::retain(tx, conversation, not_handed, now)?;
            self.queue.refresh(tx, conversation, now)?;
            return Ok(Next::Nothing);
        }
        let chosen = mode::chosen(tx, conversation)?;
        if self.gate.closed()
            || chosen.is_some_and(|chosen| !chosen.lets_begin(self.told.as_deref()))
        {
            return Ok(Next::Nothing);
        }
        let found = open.iter().find(|turn| turn.id == next);
        let Some((turn, uuid)) = found.and_then(|turn| Some((turn, turn.uuid?))) else {
            return Ok(Next::Nothing);
        };
        let files = tx.attachments(next)?;
        // Whoever fetches them has this lane look again.
        if files.iter().any(|f| f.state == AttachmentState::Wanted) {
            return Ok(Next::Nothing);
        }
        let machine = Turn::beside(uuid);
        let json = json(&machine)?;
        tx.turn_submitted(next, &self.run, uuid, &json, now)?;
        tx.session_used(self.session, now)?;
        self.queue.handed(tx, turn, now)?;
        let reply_to = self.queue.reply_to(turn);
        Ok(Next::Hand(Box::new(Given::beside(
            turn.clone(),
            uuid,
            machine,
            reply_to,
            files,
            now,
        ))))
    }
}

fn json(machine: &Turn) -> Result<String, StoreError> {
    work::to_json(machine)
        .ok_or_else(|| StoreError::Other("a turn's state cannot be written".to_owned()))
}

/// What lines of the agent change for the prompts beside.
#[derive(Default)]
pub(super) struct Along {
    pub(super) beside: Vec<Beside>,
    // The agent has begun with these, newly.
    taken: Vec<TurnId>,
    // These it does not have any more.
    back: Vec<Beside>,
    // Prompts of the newest result.
    consumed: Vec<Uuid>,
    // These end with the turn that ran, in this state.
    ended: Vec<(Beside, TurnState)>,
    // Runs from now on.
    promoted: Option<Beside>,
}

impl Along {
    pub(super) fn of(live: &Live) -> Self {
        Self {
            beside: live.beside.clone(),
            ..Self::default()
        }
    }

    /// Takes one event. True: the turn that runs was given beside another, and the agent does not have it any more.
    pub(super) fn on(&mut self, event: &AgentEvent, active: Option<&Active>) -> bool {
        match event {
            AgentEvent::Result(result) => self.consumed.clone_from(&result.prompts),
            AgentEvent::Prompt { uuid, state } => {
                let at = self.beside.iter().position(|b| b.machine.is_of(*uuid));
                if let Some(at) = at {
                    match self.beside[at].machine.hears_beside(*state) {
                        Heard::Nothing => {}
                        Heard::Taken => self.taken.push(self.beside[at].turn),
                        Heard::Back => {
                            let back = self.beside.remove(at);
                            self.back.push(back);
                        }
                    }
                    return false;
                }
                let gone = active.filter(|active| {
                    *state == PromptState::Cancelled
                        && active.machine.is_of(*uuid)
                        && active.machine.may_go_back()
                });
                if let Some(active) = gone {
                    self.back.push(Beside::of(active));
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    /// The turn that ran is over: with this ending, or it went back into the queue before it began. What was taken into it
    /// ends with it; of the others the first is the turn that runs now.
    pub(super) fn over(&mut self, ending: Option<&Ending>) {
        let all = std::mem::take(&mut self.beside);
        for mut one in all {
            let with =
                one.machine.is_taken() || self.consumed.iter().any(|uuid| one.machine.is_of(*uuid));
            match ending {
                Some(ending) if with => {
                    self.ended.push((one, super::ending::state_of(ending)));
                }
                None if with => self.back.push(one),
                _ if self.promoted.is_none() => {
                    one.machine.goes_alone();
                    self.promoted = Some(one);
                }
                _ => self.beside.push(one),
            }
        }
    }

    /// The agent could not begin with anything.
    pub(super) fn not_begun(&mut self) {
        self.back.append(&mut self.beside);
    }

    /// The turn that runs from now on.
    pub(super) fn promoted(&self) -> Option<&Beside> {
        self.promoted.as_ref()
    }

    /// What is to be recorded of it.
    pub(super) fn change(&self, lane: &Lane) -> Result<AlongChange, StoreError> {
        let taken = self.beside.iter().filter(|b| self.taken.contains(&b.turn));
        let taken = taken.map(|b| Ok((b.turn, json(&b.machine)?)));
        let back = self.back.iter();
        let back = back.map(|b| (b.turn, lane.deps.dice.uuid(), b.machine.is_kept()));
        let ended = self.ended.iter();
        let ended = ended.map(|(b, state)| Ok((b.turn, *state, json(&b.machine)?)));
        let promoted = self.promoted.as_ref().map(|b| {
            Ok::<_, StoreError>(Promoted {
                turn: b.turn,
                machine: json(&b.machine)?,
                shown: show::running(
                    lane.deps.renderer.as_ref(),
                    &b.machine.view(),
                    lane.stoppable(b.turn),
                    b.reply_to,
                ),
            })
        });
        Ok(AlongChange {
            taken: taken.collect::<Result<_, StoreError>>()?,
            back: back.collect(),
            ended: ended.collect::<Result<_, StoreError>>()?,
            promoted: promoted.transpose()?,
        })
    }
}

struct Promoted {
    turn: TurnId,
    machine: String,
    shown: Vec<crate::core::text::Shown>,
}

/// The same, to be committed together with those lines.
#[derive(Default)]
pub(super) struct AlongChange {
    taken: Vec<(TurnId, String)>,
    back: Vec<(TurnId, Uuid, bool)>,
    ended: Vec<(TurnId, TurnState, String)>,
    promoted: Option<Promoted>,
}

impl AlongChange {
    /// To be called after what the same lines change of the turn that ran.
    pub(super) fn apply(
        self,
        tx: &Tx<'_>,
        queue: &Queue,
        target: Target,
        now: Millis,
    ) -> Result<(), StoreError> {
        for (turn, machine) in self.taken {
            tx.turn_machine(turn, &machine)?;
            if let Some(row) = tx.turn(turn)? {
                queue.taken_in(tx, &row, now)?;
            }
        }
        for (turn, state, machine) in self.ended {
            end(tx, queue, turn, state, Some(machine), now)?;
        }
        for (turn, fresh, kept) in self.back {
            if let Some(row) = tx.turn(turn)? {
                queue.comes_back(tx, &row, fresh, kept, now)?;
            }
        }
        if let Some(promoted) = self.promoted {
            tx.turn_machine(promoted.turn, &promoted.machine)?;
            if queue.drafts() {
                // What said that the agent was given it goes: the answer comes below the one before.
                draft::release(tx, promoted.turn, now)?;
            } else {
                let urgency = Urgency::Message;
                work::put(tx, target, promoted.turn, &promoted.shown, urgency, now)?;
            }
        }
        Ok(())
    }
}

/// Ends a turn whose prompt was taken into another's answer.
fn end(
    tx: &Tx<'_>,
    queue: &Queue,
    turn: TurnId,
    state: TurnState,
    machine: Option<String>,
    now: Millis,
) -> Result<(), StoreError> {
    let end = TurnEnd {
        state,
        machine,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, now)?;
    match tx.turn(turn)? {
        Some(row) => queue.taken_in(tx, &row, now),
        None => Ok(()),
    }
}

/// What becomes of a prompt beside a turn whose process is gone.
#[derive(Debug, PartialEq)]
pub(super) enum Left {
    /// It ends as the turn that it was taken into.
    With(TurnState),
    /// It is in line again.
    Back,
    /// Nobody can know whether the agent took it in.
    Unsure,
}

/// Decides about it. `other`: what becomes of the turn that ran, if one did, and how many tools it had begun.
///
/// A process whose end is on record said all that it did before it ended, so what it did not begin with it did not touch.
/// One that was lost together with its supervisor may have said something that never reached the disk.
pub(super) fn left(
    one: &Beside,
    other: Option<(&Fate, u32)>,
    exit: Option<&Exit>,
    readable: bool,
) -> Left {
    if one.machine.is_taken() {
        return match other {
            Some((Fate::Over(ending), _)) => Left::With(super::ending::state_of(ending)),
            Some((Fate::Again, _)) => Left::Back,
            Some((Fate::Ask(_), _)) | None => Left::Unsure,
        };
    }
    let tools = other.map_or(0, |(_, tools)| tools);
    if !one.written || (readable && (exit.is_some() || tools == 0)) {
        Left::Back
    } else {
        Left::Unsure
    }
}

/// Records what becomes of it.
pub(super) fn settle(
    tx: &Tx<'_>,
    queue: &Queue,
    one: &Beside,
    left: &Left,
    fresh: Uuid,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(row) = tx.turn(one.turn)?.filter(|turn| !turn.state.over()) else {
        return Ok(());
    };
    match left {
        Left::With(state) => {
            let machine = work::to_json(&one.machine);
            end(tx, queue, one.turn, *state, machine, now)
        }
        Left::Back => queue.comes_back(tx, &row, fresh, one.machine.is_kept(), now),
        Left::Unsure => queue.asks_again(tx, &row, fresh, now),
    }
}

/// A stop by the person: what the agent was given before that and has not begun with is kept if it comes back. Returns which.
pub(super) fn keep(
    tx: &Tx<'_>,
    beside: Vec<Beside>,
    before: InboxId,
) -> Result<Vec<TurnId>, StoreError> {
    let mut kept = Vec::new();
    for mut one in beside {
        let sent = tx.turn(one.turn)?.is_some_and(|turn| {
            turn.state == TurnState::Submitted
                && turn.parts.first().is_none_or(|part| part.inbox < before)
        });
        if sent && !one.machine.is_taken() {
            one.machine.keep();
            tx.turn_machine(one.turn, &json(&one.machine)?)?;
            kept.push(one.turn);
        }
    }
    Ok(kept)
}

impl Lane {
    /// The agent, if it works on a turn.
    pub(super) fn door(&self) -> Option<Door> {
        let live = self.run.as_ref()?;
        let active = live.active.as_ref()?;
        if self.unsettled.is_some() || self.comeback.is_some() {
            return None;
        }
        let goes_on = !active.machine.interrupt_requested() && live.ending.is_none();
        // Lines that come before a prompt are before it.
        if live.stuck.is_some() || !live.unsent.is_empty() {
            return None;
        }
        Some(Door {
            run: live.id.clone(),
            session: live.session,
            gate: self.deps.gate.clone(),
            queue: self.queue(),
            told: live.mode.request().map(str::to_owned),
            over: active.turn,
            beside: live.beside.len(),
            ends: goes_on,
            takes: goes_on && !live.mode.outdated() && !self.revoked(),
        })
    }

    /// Does what a newer prompt wants. False: nothing was to be done.
    pub(super) async fn make_way(&mut self, next: Next) -> bool {
        match next {
            Next::Nothing => false,
            Next::Interrupt => {
                fail::fail_point!("newer-interrupts");
                self.interrupt_as(Turn::interrupt_for_newer).await;
                true
            }
            Next::Hand(given) => {
                self.write_beside(*given).await;
                true
            }
        }
    }

    /// Writes a prompt that is recorded as given to the agent while it works.
    async fn write_beside(&mut self, given: Given) {
        fail::fail_point!("beside-committed");
        let (turn, uuid, machine, reply_to, files) = given.into_parts();
        let line = self.prompt_line(uuid, &turn, files).await;
        let Some(live) = &self.run else { return };
        if !self.append(live, &line) {
            let backend = &self.deps.backend;
            let control = &live.followed.control;
            match control.input_contains(&|line| backend.is_prompt(line, uuid)) {
                Ok(false) => return self.not_handed(&turn).await,
                Ok(true) => {}
                // The agent tells, or the end of its process does.
                Err(cause) => error!(run = %live.id, %cause, "cannot read the agent's input"),
            }
        }
        fail::fail_point!("beside-written");
        info!(conversation = self.conversation.id.0, run = %live.id, turn = turn.id.0, "the agent is given a message while it works");
        if let Some(live) = &mut self.run {
            live.beside.push(Beside {
                turn: turn.id,
                machine,
                reply_to,
                written: true,
            });
        }
    }

    /// The disk refused it: it waits like any other.
    async fn not_handed(&mut self, turn: &TurnRow) {
        let (queue, fresh, now) = (self.queue(), self.deps.dice.uuid(), self.deps.clock.now());
        let id = turn.id;
        let done = self
            .deps
            .store
            .tx(move |tx| {
                let Some(row) = tx.turn(id)? else {
                    return Ok(());
                };
                queue.comes_back(tx, &row, fresh, false, now)?;
                let shown = show::note(words::DISK_FULL.as_str(), Vec::new(), queue.reply_to(&row));
                work::put(tx, queue.target(), id, &[shown], Urgency::Progress, now)
            })
            .await;
        if self
            .note_failure(done, "cannot put a prompt back into the queue")
            .is_none()
            && let Some(live) = &mut self.run
        {
            // Recorded as given and not written: as such it is settled when the process ends.
            live.beside.push(Beside {
                turn: id,
                machine: turn.uuid.map_or_else(|| Turn::new(None), Turn::beside),
                reply_to: None,
                written: false,
            });
        }
        self.retry_at = Some(tokio::time::Instant::now() + RETRY);
    }

    /// The prompts beside the turn that runs, each with a uuid under which it may be given again.
    pub(super) fn beside_with_uuids(&self) -> Vec<(Beside, Uuid)> {
        let live = self.run.iter();
        let beside = live.flat_map(|live| &live.beside).cloned();
        beside.map(|one| (one, self.deps.dice.uuid())).collect()
    }

    /// Takes note of which prompts are kept if they come back.
    pub(super) fn note_kept(&mut self, kept: &[TurnId]) {
        let live = self.run.iter_mut();
        let beside = live.flat_map(|live| &mut live.beside);
        for one in beside.filter(|one| kept.contains(&one.turn)) {
            one.machine.keep();
        }
    }
}

#[cfg(test)]
mod tests;
