//! Which row goes next, and when.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Tools, Way, attempt},
    drafts::{Sketcher, Traffic},
    pacing::Pacing,
};
use crate::{
    core::{Millis, messages},
    store::{
        StoreError, Tx,
        rows::{DueRow, OutboxId, Urgency},
    },
    telegram::chance,
};

/// Rows that are read at once, at first.
const PAGE: usize = 64;

/// Rows that are read at most at once.
const LARGEST_PAGE: usize = 4096;

/// Longest sleep towards a known time, in milliseconds: the wall clock may be set meanwhile.
const LONGEST_SLEEP_MS: u64 = 60_000;

/// Wait after the database could not be read, in milliseconds.
const STORE_RETRY_MS: u64 = 1_000;

/// A row under way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    row: OutboxId,
    /// Chat that it keeps busy; none for a press.
    chat: Option<i64>,
    /// Whether it is a message that is new.
    first: bool,
}

pub(super) struct Worker {
    tools: Arc<Tools>,
    sketcher: Sketcher,
    shutdown: CancellationToken,
    pacing: Pacing,
    tasks: JoinSet<Result<Way, StoreError>>,
    flights: HashMap<Id, Flight>,
    busy_rows: HashSet<OutboxId>,
    busy_chats: HashSet<i64>,
    /// Failures in a row to reach Telegram at all, over all rows.
    outage: u32,
    /// Nothing is started before then.
    shut_until: Millis,
    /// Latest reading of the clock; none before the first.
    seen: Option<Millis>,
    page: usize,
}

impl Worker {
    pub(super) fn new(tools: Arc<Tools>, sketcher: Sketcher, shutdown: CancellationToken) -> Self {
        Self {
            pacing: Pacing::new(*tools.config.pacing.get()),
            tools,
            sketcher,
            shutdown,
            tasks: JoinSet::new(),
            flights: HashMap::new(),
            busy_rows: HashSet::new(),
            busy_chats: HashSet::new(),
            outage: 0,
            shut_until: Millis::MIN,
            seen: None,
            page: PAGE,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), StoreError> {
        if !self.recover().await? {
            return Ok(());
        }
        let mut stop_at: Option<Instant> = None;
        loop {
            let open = stop_at.is_none_or(|at| Instant::now() < at);
            let wake = if open {
                self.start_what_is_due(stop_at.is_none()).await?
            } else {
                None
            };

            if let Some(stop_at) = stop_at {
                // Stopping: go on only for what can still go out in time.
                let in_time = wake.is_some_and(|wake| Instant::now() + wake < stop_at);
                if self.flights.is_empty() && !in_time {
                    return Ok(());
                }
                if Instant::now() >= stop_at + self.tools.config.landing {
                    // A first send that is cut off here is found as "on the wire" by the next life.
                    self.tasks.shutdown().await;
                    return Ok(());
                }
            }
            let store = self.tools.store.clone();
            let shutdown = self.shutdown.clone();
            let nap = async {
                let limit = stop_at.map(|at| {
                    let end = if open {
                        at
                    } else {
                        at + self.tools.config.landing
                    };
                    end.saturating_duration_since(Instant::now())
                });
                match wake.into_iter().chain(limit).min() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled(), if stop_at.is_none() => {
                    stop_at = Some(Instant::now() + self.tools.config.flush);
                }
                Some(landed) = self.tasks.join_next_with_id(), if !self.flights.is_empty() => {
                    self.landed(landed)?;
                    while let Some(landed) = self.tasks.try_join_next_with_id() {
                        self.landed(landed)?;
                    }
                }
                () = store.outbox_touched() => {
                    // Those whom the same transaction has answered go first: one may have a prompt on its way.
                    tokio::task::yield_now().await;
                }
                () = self.sketcher.news(), if stop_at.is_none() => {}
                () = nap => {}
            }
        }
    }

    /// Marks what was on the wire when an earlier life ended. `false`: stopped before that could be done.
    async fn recover(&self) -> Result<bool, StoreError> {
        loop {
            let now = self.tools.clock.now();
            match self.tools.store.tx(move |tx| tx.out_recover(now)).await {
                Ok(0) => return Ok(true),
                Ok(ambiguous) => {
                    tracing::warn!(
                        event = messages::MESSAGE_UNCERTAIN,
                        ambiguous,
                        "messages may have been sent before the last end; they go again, marked"
                    );
                    return Ok(true);
                }
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(error) => {
                    tracing::error!(event = error.kind(), %error, "cannot look after the outbox");
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(false),
                () = tokio::time::sleep(Duration::from_millis(STORE_RETRY_MS)) => {}
            }
        }
    }

    /// Starts what may go now; tells after how long to look again (`None`: when something changes). `drafts`: whether
    /// these go as well.
    async fn start_what_is_due(&mut self, drafts: bool) -> Result<Option<Duration>, StoreError> {
        loop {
            let now = self.tools.clock.now();
            if self.seen.is_none_or(|seen| now < seen) {
                let seen = self.seen;
                let told = self.tools.store.tx(move |tx| tx.clock_set_back(seen, now));
                match told.await {
                    Ok(0) => {}
                    Ok(by_ms) => tracing::warn!(
                        by_ms,
                        "the clock was set back; what waits to be sent waits no longer for that"
                    ),
                    Err(StoreError::Closed) => return Err(StoreError::Closed),
                    Err(error) => {
                        tracing::error!(%error, "cannot bring the outbox into line with the clock");
                        return Ok(Some(Duration::from_millis(STORE_RETRY_MS)));
                    }
                }
            }
            self.seen = Some(now);
            self.pacing.change(*self.tools.config.pacing.get());
            // No such wait is longer than this, unless the clock was set back.
            let longest = Millis::try_from(LONGEST_SLEEP_MS).unwrap_or(Millis::MAX);
            self.shut_until = self.shut_until.min(now.saturating_add(longest));
            if now < self.shut_until {
                return Ok(wait_until(Some(self.shut_until), now));
            }
            let shared = self.pacing.all_ready_at(now);
            if shared > now {
                return self.start_presses(now, shared).await;
            }
            let page = self.page;
            let sketched = drafts.then(|| self.sketcher.chats());
            let read = self.read(move |tx| {
                let held = held(tx, sketched.as_deref())?;
                Ok((tx.out_due(now, page)?, tx.out_next_due(now)?, held))
            });
            let Some((mut rows, next_due, held)) = read.await? else {
                return Ok(Some(Duration::from_millis(STORE_RETRY_MS)));
            };
            let full = rows.len() >= page;
            // Who waited longest goes first among equals, or a few busy chats would use up what all share.
            rows.sort_by_key(|row| {
                let last = row.chat_id.map(|chat| self.pacing.last(chat, now));
                (row.urgency, last, row.id)
            });
            let mut wake = next_due;
            let mut started = false;
            let mut waiting = HashSet::new();
            for row in rows {
                match self.may_start(&row, now) {
                    May::Now => {
                        self.start(&row, now);
                        started = true;
                    }
                    May::At(at) => {
                        waiting.extend(row.chat_id);
                        wake = Some(wake.map_or(at, |wake| wake.min(at)));
                    }
                    May::AfterAnother => {
                        waiting.extend(row.chat_id);
                    }
                }
            }
            if let Some(held) = held {
                let busy = |chat| waiting.contains(&chat) || self.busy_chats.contains(&chat);
                let look = self.sketcher.start(&mut Traffic {
                    now,
                    pacing: &mut self.pacing,
                    busy: &busy,
                    held: &held,
                });
                wake = wake.into_iter().chain(look).min();
            }
            if full && !started && self.page < LARGEST_PAGE && self.has_room() {
                // All that were read have to wait; others behind them may not.
                self.page = (self.page * 4).min(LARGEST_PAGE);
                continue;
            }
            if !full {
                self.page = PAGE;
            }
            return Ok(wait_until(wake, now));
        }
    }

    /// The same while what all chats share is used up until `shared`: answers to presses take nothing of it. Under load
    /// this is so nearly all the time, and a look at every chat for each change would leave the store little time for
    /// anything else.
    async fn start_presses(
        &mut self,
        now: Millis,
        shared: Millis,
    ) -> Result<Option<Duration>, StoreError> {
        let read = self.read(move |tx| tx.out_due_presses(now, PAGE));
        let Some((rows, next_due)) = read.await? else {
            return Ok(Some(Duration::from_millis(STORE_RETRY_MS)));
        };
        for row in rows {
            if matches!(self.may_start(&row, now), May::Now) {
                self.start(&row, now);
            }
        }
        let wake = next_due.map_or(shared, |next| next.min(shared));
        Ok(wait_until(Some(wake), now))
    }

    /// `None`: it cannot be read at present.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        match self.tools.store.tx(look).await {
            Ok(read) => Ok(Some(read)),
            Err(StoreError::Closed) => Err(StoreError::Closed),
            Err(error) => {
                tracing::error!(event = error.kind(), %error, "cannot read the outbox");
                Ok(None)
            }
        }
    }

    /// How many calls of a kind may be under way; during an outage one tries for all.
    fn most(&self) -> usize {
        if self.outage > 0 {
            1
        } else {
            self.tools.config.parallel.max(1)
        }
    }

    fn has_room(&self) -> bool {
        self.busy_chats.len() < self.most()
    }

    fn may_start(&self, row: &DueRow, now: Millis) -> May {
        if self.busy_rows.contains(&row.id) {
            return May::AfterAnother;
        }
        let Some(chat) = row.chat_id else {
            let presses = self.busy_rows.len() - self.busy_chats.len();
            return if presses < self.most() {
                May::Now
            } else {
                May::AfterAnother
            };
        };
        if self.busy_chats.contains(&chat) || !self.has_room() {
            return May::AfterAnother;
        }
        if let Some(left) = self.sketcher.hold(row) {
            let ms = Millis::try_from(left.as_millis()).unwrap_or(0);
            return May::At(now.saturating_add(ms.max(1)));
        }
        let patient = row.urgency == Urgency::Progress;
        match self.pacing.ready_at(chat, now, patient) {
            at if at <= now => May::Now,
            at => May::At(at),
        }
    }

    fn start(&mut self, row: &DueRow, now: Millis) {
        let flight = Flight {
            row: row.id,
            chat: row.chat_id,
            first: row.first,
        };
        self.busy_rows.insert(flight.row);
        if let Some(chat) = flight.chat {
            self.busy_chats.insert(chat);
            self.pacing.take(chat, now);
        }
        let tools = Arc::clone(&self.tools);
        let task = self
            .tasks
            .spawn(async move { attempt(&tools, flight.row).await });
        self.flights.insert(task.id(), flight);
    }

    fn landed(
        &mut self,
        landed: Result<(Id, Result<Way, StoreError>), JoinError>,
    ) -> Result<(), StoreError> {
        let (task, result) = match landed {
            Ok((task, result)) => (task, Some(result)),
            Err(error) => {
                // Only where panics unwind, so not in the shipped program. What was on the wire stays so.
                tracing::error!(%error, "a delivery broke");
                (error.id(), None)
            }
        };
        let now = self.tools.clock.now();
        if let Some(flight) = self.flights.remove(&task) {
            self.busy_rows.remove(&flight.row);
            if let Some(chat) = flight.chat {
                self.busy_chats.remove(&chat);
                if matches!(result, Some(Ok(Way::Limited))) {
                    self.pacing.refused(chat, now);
                }
                if flight.first {
                    self.sketcher.board().covered(chat);
                }
            }
        }
        match result {
            Some(Ok(Way::Open | Way::Limited)) => {
                if self.outage > 0 {
                    tracing::info!(failures = self.outage, "Telegram answers again");
                }
                self.outage = 0;
                self.shut_until = Millis::MIN;
            }
            Some(Ok(Way::Shut)) => {
                self.outage = self.outage.saturating_add(1);
                let wait = self
                    .tools
                    .config
                    .outage
                    .delay_ms(self.outage, chance::share(&*self.tools.dice));
                self.shut(now, wait);
            }
            Some(Ok(Way::Refused)) => {
                self.outage = self.outage.saturating_add(1);
                let wait = u64::try_from(self.tools.config.refused.as_millis()).unwrap_or(u64::MAX);
                self.shut(now, wait);
            }
            Some(Err(StoreError::Closed)) => return Err(StoreError::Closed),
            Some(Err(error)) => {
                tracing::error!(event = error.kind(), %error, "cannot claim a message of the outbox");
                self.shut(now, STORE_RETRY_MS);
            }
            Some(Ok(Way::Untried)) | None => {}
        }
        Ok(())
    }

    fn shut(&mut self, now: Millis, wait_ms: u64) {
        self.shut_until = now.saturating_add(Millis::try_from(wait_ms).unwrap_or(Millis::MAX));
    }
}

/// How long to wait until that moment, `now` being now.
fn wait_until(at: Option<Millis>, now: Millis) -> Option<Duration> {
    at.map(|at| {
        let ms = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
        Duration::from_millis(ms.clamp(1, LONGEST_SLEEP_MS))
    })
}

/// Deadlines of Telegram's for these chats; `None` where there are no chats.
fn held(tx: &Tx<'_>, chats: Option<&[i64]>) -> Result<Option<HashMap<i64, Millis>>, StoreError> {
    let Some(chats) = chats.filter(|chats| !chats.is_empty()) else {
        return Ok(None);
    };
    let mut held = HashMap::new();
    for chat in chats {
        let until = tx.chat_limit(*chat)?;
        held.extend(until.map(|until| (*chat, until)));
    }
    Ok(Some(held))
}

/// Whether a row may go.
enum May {
    Now,
    /// Then, if nothing else changes.
    At(Millis),
    /// When something that is under way has ended.
    AfterAnother,
}
