//! The lane of one conversation: an actor that gives its turns to an agent, one after the other, and shows what comes back.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | the loop: messages, news of the run, deadlines |
//! | `msg.rs` | what a lane is told |
//! | `window.rs` | the batching window |
//! | `work.rs` | queue, places, launching |
//! | `submit.rs` | giving a prompt to the agent |
//! | `beside.rs` | what newer prompts do while a turn runs |
//! | `standing.rs` | agents that wait: lent to the transaction that enters a prompt |
//! | `draft.rs` | a running answer as a draft |
//! | `clock.rs` | how long a running answer takes |
//! | `output.rs` | lines of the agent -> state machine -> one transaction |
//! | `ending.rs` | the end of a run and what becomes of its turn |
//! | `exits.rs` | what the end of a process is called: to its person, in the journal, in its record |
//! | `take_up.rs` | runs of an earlier daemon |
//! | `full.rs` | no room on the disk |
//! | `limits.rs` | turns, and agents, that take too long |
//! | `mode.rs` | the permission mode of the agent |
//! | `control.rs` | interrupts; how orders are answered |
//! | `rules.rs` | what rules say to questions |
//! | `questions.rs` | questions that wait, and answers to them |
//! | `kill.rs` | the end of a run by an administrator's order |
//! | `unexpected.rs` | errors that nobody thought of: their number, for the person and the journal |
//!
//! The rule throughout: first the transaction, then the effect that it allows; and whatever a kill leaves
//! between the two is found and done again by `Lane::take_up` in the next life.

mod beside;
mod clock;
mod control;
mod draft;
mod ending;
mod exits;
mod full;
mod kill;
mod limits;
mod mode;
mod msg;
mod output;
mod questions;
mod rules;
mod standing;
mod submit;
mod take_up;
mod unexpected;
pub(in crate::gateway) mod window;
mod work;

pub(super) use control::{Said, acknowledge, acknowledge_as, acknowledge_by, answer};
pub(super) use kill::order_kill;
pub(super) use limits::over as limits_over;
pub use msg::{Ack, LaneMsg, Reply, Way};
pub(super) use standing::{Handed, Lent, Standing};
pub(super) use submit::Giving;
pub(super) use window::retract_collected;

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::Instant};
use tracing::{error, warn};
use uuid::Uuid;

use beside::Beside;
use draft::Face;
use limits::{Meter, Rest};
use standing::Offer;
use submit::Given;
use unexpected::Failing;

use super::{
    Deps,
    admin::Outcome,
    lanes::Lanes,
    ports::{Answer, Exit, Followed, Line, Notice},
    slots::Place,
};
use crate::{
    core::{
        Millis,
        event::Question,
        ids::{ConversationId, RunId, TurnId},
        turn::Turn,
    },
    store::{
        StoreError,
        rows::{Conversation, RunRow, Target},
    },
};

/// How long a lane without work stays, so that a lively talk does not start one per message.
const LINGER: Duration = Duration::from_secs(30);
/// How long until something that the store or the disk refused is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How often "typing…" is renewed; Telegram shows it for five seconds.
const TYPING: Duration = Duration::from_secs(4);
/// How long a process may take to end itself when asked to, before it is made to.
const END_GRACE: Duration = Duration::from_secs(10);
/// The same after an interrupt that did not help.
const END_STEP: Duration = Duration::from_secs(1);

/// The run that a lane has.
struct Live {
    id: RunId,
    session: Uuid,
    resumed: bool,
    followed: Followed,
    active: Option<Active>,
    // Turns that the agent was given while it worked on that one, in the order in which it was.
    beside: Vec<Beside>,
    // Lines that were read but could not be committed; nothing further is read before they are.
    stuck: Option<Vec<Line>>,
    // Lines for the agent that the disk refused; later ones wait behind them.
    unsent: Vec<u8>,
    // Told to end, one way or another; if it has not by then, it is made to. It is given no more prompts.
    ending: Option<Instant>,
    idle_since: Instant,
    rest: Rest,
    mode: mode::Told,
    handed: rules::Handed,
    // An administrator ordered its end; dropped with this, these tell whoever waits for that.
    killed: bool,
    killers: Vec<mpsc::Sender<Outcome>>,
    _place: Place,
}

/// The turn that is running.
#[derive(Clone)]
struct Active {
    turn: TurnId,
    machine: Turn,
    reply_to: Option<i64>,
    questions: Vec<Open>,
    // After an interrupt: when the process is told to end if the turn is not over.
    escalate: Option<Instant>,
    face: Face,
    // When it was given, by the wall clock.
    since: Millis,
    // When its clock goes on.
    tick: Option<Instant>,
    // When its prompt came, as long as the agent has said nothing.
    unheard: Option<Millis>,
}

/// A question that is open.
#[derive(Clone)]
struct Open {
    row: i64,
    // What was answered so far, as it is stored.
    progress: Option<String>,
    // When it is denied, and when words are not waited for any more; by a clock that cannot be set.
    until: Instant,
    words: Option<Instant>,
}

/// A run of an earlier daemon that could not be taken up yet.
struct Comeback {
    row: RunRow,
    tries: u32,
}

struct Lane {
    deps: Arc<Deps>,
    lanes: Lanes,
    conversation: Conversation,
    run: Option<Live>,
    // Held while the agent is laid out for whoever enters a prompt.
    offer: Option<Offer>,
    place: Option<Place>,
    line_up: Option<Pin<Box<dyn Future<Output = Place> + Send + Sync>>>,
    // What whoever is next is told while it waits for a place.
    busy: String,
    window: Option<Instant>,
    force_window: bool,
    // A process that was started ahead for this window did not last: none is started until it closes.
    cold: bool,
    // End of the run that the store has not taken yet.
    unsettled: Option<Option<Exit>>,
    // Nothing is launched before it is clear what became of it.
    comeback: Option<Comeback>,
    // Orders of people that the store has not taken yet.
    redo: Vec<LaneMsg>,
    retry_at: Option<Instant>,
    failing: Failing,
    // Launches in a row that failed for want of room.
    no_room: u32,
    // The turn whose person knows that the rest of the answer may be lost.
    warned: Option<TurnId>,
    typing_at: Option<Instant>,
    home_at: Instant,
    // Up to when passing time has been counted against limits.
    counted: Meter,
}

/// What woke the lane.
enum Wake {
    Msg(Option<LaneMsg>),
    // What came of an agent that was lent.
    Back(Option<Box<Given>>),
    Notice(Option<Notice>),
    Place(Place),
    // The draft of the running turn is not shown.
    Refused,
    Deadline,
    Shutdown,
}

/// Runs a lane until it has nothing to do or the daemon stops. Runs of agents go on.
pub(super) async fn run(
    deps: Arc<Deps>,
    lanes: Lanes,
    id: ConversationId,
    mut mailbox: mpsc::Receiver<LaneMsg>,
) {
    let found = deps.store.tx(move |tx| tx.conversation(id)).await;
    let conversation = match found {
        Ok(Some(conversation)) => conversation,
        Ok(None) => {
            warn!(conversation = id.0, "there is no such conversation");
            return;
        }
        Err(cause) => {
            // What it was to do is in the store; the next message or start finds it.
            error!(conversation = id.0, %cause, "cannot read the conversation");
            tokio::select! {
                () = deps.shutdown.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
            lanes.retire(id, mailbox).await;
            return;
        }
    };
    let mut lane = Lane {
        deps,
        lanes,
        conversation,
        run: None,
        offer: None,
        place: None,
        line_up: None,
        busy: String::new(),
        window: None,
        force_window: false,
        cold: false,
        unsettled: None,
        comeback: None,
        redo: Vec::new(),
        retry_at: None,
        failing: Failing::default(),
        no_room: 0,
        warned: None,
        typing_at: None,
        home_at: Instant::now() + LINGER,
        counted: Meter::new(Instant::now()),
    };
    loop {
        lane.lay_out();
        let mut woken = lane.wait(&mut mailbox).await;
        lane.time_passes();
        // Whatever is to be done, the agent is in these hands first, and what was given to it has its prompt.
        lane.take_back(&mut woken).await;
        match woken {
            Wake::Back(_) => {}
            Wake::Shutdown | Wake::Msg(None) => return,
            Wake::Msg(Some(msg)) => lane.on_message(msg).await,
            Wake::Notice(notice) => lane.on_notice(notice).await,
            Wake::Place(place) => {
                lane.line_up = None;
                lane.place = Some(place);
                lane.advance().await;
            }
            Wake::Refused => lane.draft_refused().await,
            Wake::Deadline => {
                if lane.on_deadline().await {
                    break;
                }
            }
        }
        lane.tell_unexpected().await;
    }
    let Lane {
        lanes,
        conversation,
        ..
    } = lane;
    lanes.retire(conversation.id, mailbox).await;
}

impl Lane {
    async fn wait(&mut self, mailbox: &mut mpsc::Receiver<LaneMsg>) -> Wake {
        self.plan_clock();
        let deadline = self.next_deadline();
        let reading = self.run.as_ref().is_some_and(|live| live.stuck.is_none());
        let sketching = self.sketching();
        tokio::select! {
            biased;
            () = self.deps.shutdown.cancelled() => Wake::Shutdown,
            msg = mailbox.recv() => Wake::Msg(msg),
            given = standing::back(&mut self.offer) => Wake::Back(given),
            place = wait_place(&mut self.line_up) => Wake::Place(place),
            () = draft::refused(sketching) => Wake::Refused,
            notice = wait_notice(&mut self.run), if reading => Wake::Notice(notice),
            () = wait_until(deadline) => Wake::Deadline,
        }
    }

    async fn on_message(&mut self, msg: LaneMsg) {
        // Dropped at the end, for whoever waits for that.
        let _done = match msg {
            LaneMsg::Go(done) => Some(done),
            msg => {
                self.obey(msg).await;
                None
            }
        };
        // After every message, so that one which found the mailbox full is not missed.
        self.look_at_answers().await;
        self.advance().await;
    }

    async fn obey(&mut self, msg: LaneMsg) {
        match msg {
            LaneMsg::Woken | LaneMsg::Go(_) => {}
            LaneMsg::CloseWindow => self.force_window = true,
            LaneMsg::TakeUp(row) => {
                self.take_up(Comeback {
                    row: *row,
                    tries: 0,
                })
                .await;
            }
            LaneMsg::Interrupt { ack, turn } => self.interrupt(ack, turn).await,
            LaneMsg::Longer { turn, limit, ack } => self.give_longer(turn, limit, ack).await,
            LaneMsg::Kill { run, caller } => self.kill(&run, caller).await,
            LaneMsg::GiveWay => self.end_if_idle(),
        }
    }

    async fn on_notice(&mut self, notice: Option<Notice>) {
        match notice {
            Some(Notice::Started) => {
                if let Some(live) = &self.run {
                    let id = live.id.clone();
                    // Only for those who look; nothing is decided by it.
                    let told = self.deps.store.tx(move |tx| tx.run_running(&id)).await;
                    self.note_failure(told, "cannot note that a run has started");
                }
            }
            Some(Notice::Lines(lines)) => self.take_lines(lines).await,
            Some(Notice::Tampered { offset, size }) => self.tampered(offset, size).await,
            Some(Notice::NoRoom) => self.no_room_for_output().await,
            Some(Notice::Ended(exit)) => self.run_ended(exit).await,
            // The follower went away without a word. The run may well live: what is there is looked at again.
            None => self.lost_sight().await,
        }
    }

    /// Earliest moment at which something is due.
    fn next_deadline(&self) -> Option<Instant> {
        let mut due = vec![self.retry_at, self.typing_at, Some(self.home_at)];
        // While the store refuses, what needs it waits for the next try.
        let able = self.retry_at.is_none();
        due.extend(able.then_some(self.window));
        due.push(self.limit_deadline());
        due.push(self.clock_deadline());
        if let Some(live) = &self.run {
            due.push(live.ending);
            due.push(self.idle_deadline());
            if let Some(active) = &live.active {
                due.push(active.escalate);
                due.extend(
                    active
                        .questions
                        .iter()
                        .filter(|_| able)
                        .flat_map(|q| [Some(q.until), q.words]),
                );
            }
        }
        due.into_iter().flatten().min()
    }

    fn idle_deadline(&self) -> Option<Instant> {
        let live = self.run.as_ref()?;
        (live.active.is_none() && live.ending.is_none() && self.window.is_none())
            .then(|| live.idle_since + millis(self.deps.config.get().idle_timeout))
    }

    /// Does what is due. True when the lane has nothing more to do at all.
    async fn on_deadline(&mut self) -> bool {
        let now = Instant::now();
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.home_at <= now {
            if self.run.is_none()
                && self.line_up.is_none()
                && self.window.is_none()
                && self.retry_at.is_none()
            {
                return true;
            }
            self.home_at = now + LINGER;
        }
        if past(self.typing_at) {
            self.type_on();
        }
        if past(self.retry_at) {
            self.retry().await;
        }
        if past(self.window) && self.retry_at.is_none() {
            // However the clock has been set meanwhile.
            self.force_window = true;
            self.advance().await;
        }
        if past(self.idle_deadline()) {
            self.end_if_idle();
        }
        let escalate = self
            .run
            .as_ref()
            .and_then(|live| live.active.as_ref())
            .and_then(|a| a.escalate);
        if past(self.run.as_ref().and_then(|live| live.ending)) {
            self.make_end();
        } else if past(escalate) {
            self.escalate();
        }
        if self.retry_at.is_none() {
            self.deny_unanswered().await;
        }
        if past(self.limit_deadline()) {
            self.limits_due().await;
        }
        if past(self.clock_deadline()) {
            self.clock_due().await;
        }
        false
    }

    /// Does again what the store or the disk refused.
    async fn retry(&mut self) {
        self.retry_at = None;
        if let Some(comeback) = self.comeback.take() {
            self.take_up(comeback).await;
        }
        if self.unsettled.is_some() {
            self.settle_again().await;
        } else if let Some(lines) = self.run.as_mut().and_then(|live| live.stuck.take()) {
            self.take_lines(lines).await;
        }
        self.send(&[]);
        for msg in std::mem::take(&mut self.redo) {
            self.obey(msg).await;
        }
        self.look_at_answers().await;
        if self.retry_at.is_none() {
            self.advance().await;
        }
    }

    /// An interrupt did not help: the process is told to end, and made to if that does not help either.
    fn escalate(&mut self) {
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            active.escalate = None;
        }
        self.end_run();
        let until = Instant::now() + END_STEP;
        if let Some(live) = &mut self.run {
            live.ending = Some(live.ending.map_or(until, |at| at.min(until)));
        }
    }

    /// Makes the process end, and everything that it started.
    fn make_end(&mut self) {
        if let Some(live) = &mut self.run {
            live.followed.control.terminate();
            live.ending = Some(Instant::now() + END_GRACE);
            if let Some(active) = &mut live.active {
                active.escalate = None;
            }
        }
    }

    /// "typing…" now, and again in a while, as long as a turn runs.
    fn type_on(&mut self) {
        let key = &self.conversation.key;
        let active = self.run.as_ref().and_then(|live| live.active.as_ref());
        // A draft says as much, and one sign may hide the other.
        if active.is_some_and(|active| matches!(active.face, Face::Messages)) {
            self.deps.presence.typing(key.chat_id, key.thread_id);
            self.typing_at = Some(Instant::now() + TYPING);
        } else {
            self.typing_at = None;
        }
    }

    fn target(&self) -> Target {
        Target {
            chat_id: self.conversation.key.chat_id,
            thread_id: self.conversation.key.thread_id,
        }
    }

    /// In groups an answer refers to its question; alone with a person that would be noise.
    fn reply_to(&self, message_id: Option<i64>) -> Option<i64> {
        message_id.filter(|_| self.conversation.key.chat_id != self.conversation.key.user_id)
    }

    /// Logs a failure of the store and has the lane look again soon.
    fn note_failure<T>(&mut self, result: Result<T, StoreError>, what: &str) -> Option<T> {
        match result {
            Ok(value) => {
                self.failing.works(what);
                Some(value)
            }
            Err(cause) => {
                error!(event = cause.kind(), conversation = self.conversation.id.0, %cause, "{what}; it is tried again");
                self.failing.fails(what, &cause);
                self.retry_at = Some(Instant::now() + RETRY);
                None
            }
        }
    }

    /// Appends to the input of the run. False: the disk refused it.
    fn append(&self, live: &Live, lines: &[u8]) -> bool {
        match live.followed.control.append(lines) {
            Ok(()) => true,
            Err(cause) => {
                error!(conversation = self.conversation.id.0, run = %live.id, %cause, "cannot write to the agent's input");
                false
            }
        }
    }

    /// Appends to the input of the run, now or, in order, as soon as the disk takes it.
    fn send(&mut self, lines: &[u8]) {
        let Some(mut live) = self.run.take() else {
            return;
        };
        live.unsent.extend_from_slice(lines);
        let mut sent = 0;
        // Line by line: of several, those before the one that was refused are in.
        for line in live.unsent.split_inclusive(|byte| *byte == b'\n') {
            if !self.append(&live, line) {
                self.retry_at = Some(Instant::now() + RETRY);
                break;
            }
            sent += line.len();
        }
        live.unsent.drain(..sent);
        self.run = Some(live);
    }

    fn answer_line(&self, question: &Question, answer: &Answer) -> Vec<u8> {
        self.deps.backend.answer(question, answer)
    }
}

fn millis(ms: Millis) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

async fn wait_place(
    line_up: &mut Option<Pin<Box<dyn Future<Output = Place> + Send + Sync>>>,
) -> Place {
    match line_up {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn wait_notice(run: &mut Option<Live>) -> Option<Notice> {
    match run {
        Some(live) => live.followed.notices.recv().await,
        None => std::future::pending().await,
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
