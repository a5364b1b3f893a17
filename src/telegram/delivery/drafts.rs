//! Running answers as drafts: shown beside the rows, never in their way.
//!
//! A draft is worth no row, for a lost one is not missed: the answer itself is a row once it is whole. So what is on show
//! stands in memory, the newest content only. A draft goes when its chat has nothing else to send and the whole of its
//! allowance, takes nothing of that, and is renewed, as Telegram shows it for half a minute. What Telegram refuses is
//! handed back: the answer is then shown by messages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{attempt::bad_id, content, pacing::Pacing};
use crate::{
    core::{Millis, text::Formatted, trouble::CallClass},
    gateway::ports::{Clock, Draft, DraftPlace, Drafts},
    store::rows::{DueRow, Slot},
    telegram::{
        breakage::Breakage,
        classify::Reason,
        client::{CallError, Client},
    },
};

/// Age at which a draft is sent again, in milliseconds; Telegram shows it for 30 seconds.
const RENEW_MS: Millis = 20_000;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls at once.
const PARALLEL: usize = 8;

/// How often in a row a draft may fail to get through before the answer is shown otherwise.
const MOST_FAILURES: u32 = 3;

/// Wait after such a failure, in milliseconds, for each that went before.
const FAILURE_WAIT_MS: Millis = 500;

/// How long none is tried after the server said that it does not know them, in milliseconds.
const UNKNOWN_MS: Millis = 3_600_000;

/// How long a first message of an answer waits for a draft of the same answer that is under way. One that arrived behind
/// it would stand below the whole answer for half a minute, like a second one.
const LANDING: Duration = Duration::from_millis(250);

/// The drafts that are open. Cheap to clone.
#[derive(Clone)]
pub struct DraftBoard(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Rung when there is something new to show.
    bell: Notify,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Entry>,
    next_key: u64,
    /// Chats that want no drafts before then.
    quiet: HashMap<i64, Millis>,
    /// The server wants none before then.
    unknown_until: Millis,
}

/// An open draft.
struct Entry {
    place: DraftPlace,
    body: Option<Formatted>,
    /// Grows with each new body.
    revision: u64,
    /// What the chat shows, as far as we know, and since when.
    sent: Option<(u64, Millis)>,
    flying: bool,
    not_before: Millis,
    failures: u32,
    refused: CancellationToken,
}

impl Entry {
    /// When it is to be sent: now, at a time, or not before something changes.
    fn due(&self) -> Option<Millis> {
        if self.flying || self.refused.is_cancelled() {
            return None;
        }
        self.body.as_ref()?;
        let due = match self.sent {
            Some((revision, at)) if revision == self.revision => at.saturating_add(RENEW_MS),
            _ => Millis::MIN,
        };
        Some(due.max(self.not_before))
    }
}

/// A draft in the hands of whoever writes it.
struct Handle {
    shared: Arc<Shared>,
    key: u64,
    refused: CancellationToken,
}

#[async_trait]
impl Draft for Handle {
    fn show(&self, body: Formatted) {
        let mut state = self.shared.lock();
        let Some(entry) = state.open.get_mut(&self.key) else {
            return;
        };
        if entry.body.as_ref() == Some(&body) {
            return;
        }
        // Of one that has something to send already the worker knows when to look.
        let news = entry
            .sent
            .is_some_and(|(revision, _)| revision == entry.revision)
            || entry.body.is_none();
        entry.body = Some(body);
        entry.revision += 1;
        drop(state);
        if news {
            self.shared.bell.notify_one();
        }
    }

    async fn refused(&self) {
        self.refused.cancelled().await;
    }

    fn is_refused(&self) -> bool {
        self.refused.is_cancelled()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().open.remove(&self.key);
    }
}

impl Shared {
    // Held for a look-up only, never over an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drafts for DraftBoard {
    fn open(&self, place: DraftPlace) -> Option<Arc<dyn Draft>> {
        let now = self.0.clock.now();
        let mut state = self.0.lock();
        state.quiet.retain(|_, until| *until > now);
        // No wait is longer, unless the clock was set back.
        state.unknown_until = state.unknown_until.min(now.saturating_add(UNKNOWN_MS));
        if state.unknown_until > now || state.quiet.contains_key(&place.chat_id) {
            return None;
        }
        let key = state.next_key;
        state.next_key += 1;
        let refused = CancellationToken::new();
        let entry = Entry {
            place,
            body: None,
            revision: 0,
            sent: None,
            flying: false,
            not_before: Millis::MIN,
            failures: 0,
            refused: refused.clone(),
        };
        state.open.insert(key, entry);
        Some(Arc::new(Handle {
            shared: Arc::clone(&self.0),
            key,
            refused,
        }))
    }
}

/// A draft that is due, or will be.
#[derive(Clone, Copy, Debug)]
struct Due {
    key: u64,
    chat_id: i64,
    at: Millis,
    /// When the chat was last shown it.
    last: Millis,
}

impl DraftBoard {
    /// Nothing is open.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            bell: Notify::new(),
            clock,
        }))
    }

    /// Chats with an open draft.
    fn chats(&self) -> Vec<i64> {
        let state = self.0.lock();
        let mut chats: Vec<_> = state.open.values().map(|e| e.place.chat_id).collect();
        chats.sort_unstable();
        chats.dedup();
        chats
    }

    /// What is to be sent, who waited longest first.
    fn due(&self) -> Vec<Due> {
        let state = self.0.lock();
        let due = state.open.iter().filter_map(|(key, entry)| {
            Some(Due {
                key: *key,
                chat_id: entry.place.chat_id,
                at: entry.due()?,
                last: entry.sent.map_or(Millis::MIN, |(_, at)| at),
            })
        });
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|due| (due.last, due.key));
        due
    }

    /// It goes to the wire now: where, what, and which revision that is.
    fn take_off(&self, key: u64) -> Option<(DraftPlace, Formatted, u64)> {
        let mut state = self.0.lock();
        let entry = state.open.get_mut(&key)?;
        let body = entry.body.clone()?;
        entry.flying = true;
        Some((entry.place, body, entry.revision))
    }

    /// What came of it.
    fn landed(&self, key: u64, revision: u64, result: &Result<(), CallError>, now: Millis) {
        let mut state = self.0.lock();
        let Some(entry) = state.open.get_mut(&key) else {
            // The answer is there meanwhile, or is shown otherwise.
            return;
        };
        let chat_id = entry.place.chat_id;
        entry.flying = false;
        let error = match result {
            Ok(()) => {
                entry.sent = Some((revision, now));
                entry.failures = 0;
                return;
            }
            Err(error) => error,
        };
        tracing::debug!(chat = chat_id, %error, "a draft is not shown");
        entry.failures += 1;
        let refused = match error.class {
            // It says nothing of messages, so it holds for drafts alone.
            CallClass::WaitUntil(_) | CallClass::Rejected | CallClass::Fatal => true,
            _ => entry.failures >= MOST_FAILURES,
        };
        if refused {
            tracing::info!(chat = chat_id, %error, "a running answer is shown by messages, as its draft was refused");
            entry.refused.cancel();
        } else {
            entry.not_before =
                now.saturating_add(FAILURE_WAIT_MS.saturating_mul(entry.failures.into()));
        }
        match error.class {
            CallClass::WaitUntil(until) => {
                state.quiet.insert(chat_id, until);
            }
            // It does not know the method.
            CallClass::Fatal if error.code.is_some() => {
                state.unknown_until = now.saturating_add(UNKNOWN_MS);
            }
            _ => {}
        }
    }

    /// A message has come, which takes the draft of its chat away.
    pub(super) fn covered(&self, chat_id: i64) {
        let mut state = self.0.lock();
        for entry in state.open.values_mut() {
            if entry.place.chat_id == chat_id {
                entry.sent = None;
            }
        }
    }
}

/// A draft under way.
struct Flight {
    key: u64,
    revision: u64,
    chat_id: i64,
    /// Turn whose answer it is.
    id: i64,
    since: Instant,
}

/// Sends what stands on the board.
pub(super) struct Sketcher {
    board: DraftBoard,
    client: Client,
    tasks: JoinSet<Result<(), CallError>>,
    flights: HashMap<Id, Flight>,
}

async fn send(client: &Client, place: DraftPlace, body: &Formatted) -> Result<(), CallError> {
    let payload = content::draft(place, body).map_err(bad_id)?;
    match tokio::time::timeout(CALL_TIMEOUT, client.send_message_draft(&payload)).await {
        Ok(result) => result,
        Err(_) => Err(CallError {
            method: "sendMessageDraft",
            class: CallClass::Ambiguous,
            reason: Reason::Other,
            http: None,
            code: None,
            description: None,
            breakage: Some(Breakage::TimedOut),
            cause: Some("no answer in time".to_owned()),
        }),
    }
}

/// What stands in the way of drafts at the moment.
pub(super) struct Traffic<'a> {
    pub(super) now: Millis,
    pub(super) pacing: &'a mut Pacing,
    /// Whether the chat has something else on its way, or waiting for its turn.
    pub(super) busy: &'a dyn Fn(i64) -> bool,
    /// Deadlines that Telegram set, by chat.
    pub(super) held: &'a HashMap<i64, Millis>,
}

impl Sketcher {
    pub(super) fn new(board: DraftBoard, client: Client) -> Self {
        Self {
            board,
            client,
            tasks: JoinSet::new(),
            flights: HashMap::new(),
        }
    }

    pub(super) fn board(&self) -> &DraftBoard {
        &self.board
    }

    /// Chats in which something may be to show.
    pub(super) fn chats(&self) -> Vec<i64> {
        self.board.chats()
    }

    /// Sends what may go; tells when to look again, if nothing else happens.
    pub(super) fn start(&mut self, traffic: &mut Traffic<'_>) -> Option<Millis> {
        let mut wake: Option<Millis> = None;
        for due in self.board.due() {
            // What keeps it busy wakes the delivery when it is over.
            if (traffic.busy)(due.chat_id) || self.flights.len() >= PARALLEL {
                continue;
            }
            let held = traffic.held.get(&due.chat_id).copied();
            let at = due
                .at
                .max(held.unwrap_or(Millis::MIN))
                .max(traffic.pacing.draft_ready_at(due.chat_id, traffic.now));
            if at > traffic.now {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
                continue;
            }
            let Some((place, body, revision)) = self.board.take_off(due.key) else {
                continue;
            };
            traffic.pacing.take_draft(due.chat_id, traffic.now);
            let client = self.client.clone();
            let task = self
                .tasks
                .spawn(async move { send(&client, place, &body).await });
            let flight = Flight {
                key: due.key,
                revision,
                chat_id: due.chat_id,
                id: place.id,
                since: Instant::now(),
            };
            self.flights.insert(task.id(), flight);
        }
        wake
    }

    /// How long this row waits for a draft of its own answer that is under way.
    pub(super) fn hold(&self, row: &DueRow) -> Option<Duration> {
        let slot = row.slot.filter(|slot| slot.number < Slot::NOTICE)?;
        if row.message_id.is_some() {
            return None;
        }
        let flight = self
            .flights
            .values()
            .find(|f| Some(f.chat_id) == row.chat_id && f.id == slot.turn.0)?;
        LANDING
            .checked_sub(flight.since.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// Returns when something is new: a draft to show, or the end of a call.
    pub(super) async fn news(&mut self) {
        tokio::select! {
            () = self.board.0.bell.notified() => {}
            Some(landed) = self.tasks.join_next_with_id(), if !self.flights.is_empty() => {
                self.landed(landed);
            }
        }
    }

    fn landed(&mut self, landed: Result<(Id, Result<(), CallError>), JoinError>) {
        let (task, result) = match landed {
            Ok((task, result)) => (task, result),
            Err(error) => {
                tracing::error!(%error, "a draft broke");
                (error.id(), Ok(()))
            }
        };
        if let Some(flight) = self.flights.remove(&task) {
            let now = self.board.0.clock.now();
            self.board.landed(flight.key, flight.revision, &result, now);
        }
    }
}
