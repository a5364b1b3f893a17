//! The thread that owns the connection, and group commit.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{
    runtime::Runtime,
    sync::{Notify, broadcast, mpsc, oneshot},
};

use super::{
    error::StoreError,
    files::Lock,
    tx::{Told, Tx},
};
use crate::core::{happened::Happened, tally::Tally};

/// Requests that may wait before senders wait themselves.
pub(super) const QUEUE: usize = 256;

/// Most closures that one COMMIT covers, so that no caller waits long for others' work.
const GROUP: usize = 64;

/// Without a request for this long, the thread has nothing to do.
const IDLE: Duration = Duration::from_millis(10);

/// Transactions that wrote something, from which on it is worth to take the log into the database.
const WORTH: u32 = 64;

/// What the thread is asked for.
pub(super) enum Request {
    /// A closure.
    Run(Box<dyn Job>),
    /// The end.
    Close(oneshot::Sender<()>),
}

/// A closure and who waits for it.
pub(super) trait Job: Send {
    /// Runs the closure and keeps its result.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError>;
    /// Gives the result, or `whole` where the whole transaction failed. Nobody may be waiting any more.
    fn reply(self: Box<Self>, whole: Option<StoreError>);
}

/// The one [`Job`].
pub(super) struct Task<R, F> {
    closure: Option<F>,
    result: Option<R>,
    /// Why the closure failed, where it did: known before the end of the transaction, told after it.
    error: Option<StoreError>,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<R, F> Task<R, F> {
    pub(super) fn new(closure: F, reply: oneshot::Sender<Result<R, StoreError>>) -> Self {
        Self {
            closure: Some(closure),
            result: None,
            error: None,
            reply,
        }
    }
}

impl<R, F> Job for Task<R, F>
where
    R: Send,
    F: FnOnce(&Tx<'_>) -> Result<R, StoreError> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let Some(closure) = self.closure.take() else {
            return Err(StoreError::Closed);
        };
        // In a release build a panic aborts. Elsewhere it must not take the thread, and everybody's data, with it:
        // the savepoint takes back what the closure did.
        let outcome = catch_unwind(AssertUnwindSafe(|| closure(tx)))
            .unwrap_or_else(|panic| Err(StoreError::Other(told(panic.as_ref()))));
        match outcome {
            Ok(result) => {
                self.result = Some(result);
                Ok(())
            }
            Err(error) => {
                self.error = Some(error.clone());
                Err(error)
            }
        }
    }

    fn reply(self: Box<Self>, whole: Option<StoreError>) {
        let answer = match (self.error.or(whole), self.result) {
            (Some(error), _) => Err(error),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(StoreError::Closed),
        };
        // An error means that the caller's future was dropped: its transaction stands all the same.
        drop(self.reply.send(answer));
    }
}

/// As long as a test wants the disk to take.
fn slow_disk() {
    fail::fail_point!("store-commit");
}

fn told(panic: &(dyn Any + Send)) -> String {
    let reason = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    format!("a transaction panicked: {reason}")
}

/// How much of what happened is kept for who watches slowly.
const KEPT: usize = 256;

/// What handles and thread share.
pub(super) struct Shared {
    /// Wakes the delivery.
    pub(super) outbox: Notify,
    /// Commits so far.
    pub(super) commits: AtomicU64,
    /// Duration of the last commit that wrote something, in microseconds, at least 1; 0 before the first.
    pub(super) write_us: AtomicU64,
    /// When that was, in milliseconds since `zero`.
    pub(super) write_at_ms: AtomicU64,
    /// Zero of that clock.
    pub(super) zero: Instant,
    /// Tells that the database was found to be damaged.
    pub(super) damaged: Notify,
    /// Tells what happened, after the commit.
    pub(super) happened: broadcast::Sender<Happened>,
    /// Counts what was committed.
    pub(super) tally: Tally,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            outbox: Notify::default(),
            commits: AtomicU64::default(),
            write_us: AtomicU64::default(),
            write_at_ms: AtomicU64::default(),
            zero: Instant::now(),
            damaged: Notify::default(),
            happened: broadcast::Sender::new(KEPT),
            tally: Tally::default(),
        }
    }
}

/// The owner of the connection.
pub(super) struct Owner {
    pub(super) connection: Connection,
    pub(super) requests: mpsc::Receiver<Request>,
    /// Waits for requests for a limited time; nothing else runs on it.
    pub(super) clock: Runtime,
    /// Transactions that wrote something since the log was last taken into the database.
    pub(super) in_log: u32,
    pub(super) shared: Arc<Shared>,
    /// Held until the connection is closed.
    pub(super) lock: Lock,
}

impl Owner {
    /// Serves until it is closed or nobody is left to ask.
    pub(super) fn serve(mut self) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = self.next() else {
                break;
            };
            let mut group = VecDeque::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Run(job) => group.push_back(job),
                    Request::Close(reply) => {
                        closing = Some(reply);
                        break;
                    }
                }
                next = (group.len() < GROUP)
                    .then(|| self.requests.try_recv().ok())
                    .flatten();
            }
            while !group.is_empty() {
                self.transaction(&mut group);
            }
        }
        let Self {
            connection,
            requests,
            lock,
            ..
        } = self;
        // Whoever waits in the queue is told that the store is closed.
        drop(requests);
        // The last connection that closes takes the write-ahead log into the database. Where that fails (disk full),
        // the log stays and the next start takes it.
        if let Err((_, error)) = connection.close() {
            tracing::warn!(%error, "the database could not be closed properly; nothing is lost");
        }
        drop(lock);
        if let Some(reply) = closing {
            // An error means that nobody waits for it.
            let _ = reply.send(());
        }
    }

    /// The next request. `None`: nobody is left to ask.
    ///
    /// Taking the log into the database costs two syncs, which nobody should wait for. It is done here while nothing is
    /// asked; where that never happens, SQLite does it within a COMMIT once the log is long (see `open.rs`).
    fn next(&mut self) -> Option<Request> {
        if self.in_log >= WORTH {
            let waited = async { tokio::time::timeout(IDLE, self.requests.recv()).await };
            match self.clock.block_on(waited) {
                Ok(request) => return request,
                Err(_) => self.checkpoint(),
            }
        }
        self.requests.blocking_recv()
    }

    /// Takes the log into the database. Where that fails (full disk), the log stays, and is tried again later.
    fn checkpoint(&mut self) {
        self.in_log = 0;
        let outcome = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|error| StoreError::of(&self.connection, &error));
        self.note_damage(outcome.as_ref().err());
        if let Err(error) = outcome {
            tracing::warn!(event = error.kind(), %error, "the write-ahead log was not taken into the database yet");
        }
    }

    /// Runs jobs from the front in one transaction, commits, and only then answers them. Takes at least one.
    fn transaction(&mut self, waiting: &mut VecDeque<Box<dyn Job>>) {
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            self.note_damage(Some(&error));
            for job in waiting.drain(..) {
                job.reply(Some(error.clone()));
            }
            return;
        }
        // A savepoint costs a copy of every page that is changed: only where there are others to be saved from.
        let alone = waiting.len() == 1;
        let mut ran = Vec::with_capacity(waiting.len());
        let changes_before = self.connection.total_changes();
        let mut told = Told::default();
        let mut outcome = Ok(());
        let mut wrote = None;
        while let Some(mut job) = waiting.pop_front() {
            let step = if alone {
                let tx = Tx::new(&self.connection);
                job.run(&tx).map(|()| tx.told())
            } else {
                self.in_savepoint(job.as_mut())
            };
            ran.push(job);
            match step {
                Ok(more) => {
                    told.outbox |= more.outbox;
                    told.happened.extend(more.happened);
                    told.counts.extend(more.counts);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // Whoever asked for it tells of it.
        let own_fault = alone && outcome.is_err();
        if outcome.is_ok() {
            fail::fail_point!("store-before-commit");
            let (begun, changes) = (Instant::now(), self.connection.total_changes());
            slow_disk();
            outcome = self.execute("COMMIT");
            if changes != changes_before {
                let took = begun.elapsed();
                wrote = Some(took);
                let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.shared.write_us.store(took.max(1), Ordering::Relaxed);
                let at = self.shared.zero.elapsed().as_millis();
                let at = u64::try_from(at).unwrap_or(u64::MAX);
                self.shared.write_at_ms.store(at, Ordering::Relaxed);
                self.in_log = self.in_log.saturating_add(1);
            }
            fail::fail_point!("store-after-commit");
        }
        let whole = outcome.err();
        self.note_damage(whole.as_ref());
        if let Some(error) = &whole {
            if !self.connection.is_autocommit()
                && let Err(error) = self.connection.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "a transaction could not be taken back");
            }
            if !own_fault || !matches!(error, StoreError::Other(_)) {
                self.shared.tally.failure(match error {
                    StoreError::Full => "full",
                    StoreError::Corrupt => "damaged",
                    _ => "other",
                });
                tracing::warn!(event = error.kind(), %error, closures = ran.len(), "a transaction failed");
            }
        } else {
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            self.shared.tally.commit(wrote);
        }
        if whole.is_some() {
            told = Told::default();
        }
        for job in ran {
            job.reply(whole.clone());
        }
        // Last: whoever was answered may have a prompt on its way, and is to be first with its next transaction.
        if told.outbox {
            self.shared.outbox.notify_one();
        }
        for what in told.counts {
            self.shared.tally.count(what);
        }
        for what in told.happened {
            // An error means that nobody watches.
            let _ = self.shared.happened.send(what);
        }
    }

    /// Runs one job so that its failure takes back only itself. `Ok`: what is to be told of it. `Err`: the whole
    /// transaction is lost (SQLite takes it back by itself on some errors, such as a full disk).
    fn in_savepoint(&self, job: &mut dyn Job) -> Result<Told, StoreError> {
        self.execute("SAVEPOINT job")?;
        let tx = Tx::new(&self.connection);
        let outcome = job.run(&tx);
        self.note_damage(outcome.as_ref().err());
        if self.connection.is_autocommit() {
            return Err(outcome.err().unwrap_or_else(|| {
                StoreError::Other("the database took a transaction back".to_owned())
            }));
        }
        match outcome {
            Ok(()) => {
                self.execute("RELEASE job")?;
                Ok(tx.told())
            }
            Err(_) => {
                self.execute("ROLLBACK TO job")?;
                self.execute("RELEASE job")?;
                Ok(Told::default())
            }
        }
    }

    fn note_damage(&self, error: Option<&StoreError>) {
        if let Some(StoreError::Corrupt) = error {
            self.shared.damaged.notify_one();
        }
    }

    fn execute(&self, sql: &'static str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| StoreError::of(&self.connection, &error))
    }
}
