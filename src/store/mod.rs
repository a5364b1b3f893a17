//! The database: one SQLite file, one thread that owns it.
//!
//! Other rooms give a closure to [`Store::tx`]; it runs on the owning thread, in a write transaction, with a [`Tx`]
//! whose methods are all that may be done. What is acknowledged is on the disk (write-ahead log, `synchronous=FULL`).
//! Requests that wait together are committed together, so that many lanes cost one `fsync`.

mod attachments;
mod audit;
mod columns;
mod conversations;
mod error;
mod files;
mod inbox;
mod limits;
mod line;
mod open;
mod outbox;
mod outbox_due;
mod outbox_rows;
mod overviews;
mod pairings;
mod parts;
mod past;
pub mod peek;
mod questions;
pub mod rows;
mod runs;
pub mod schema;
mod sessions;
mod settings;
#[cfg(test)]
mod tests;
mod thread;
mod turns;
mod tx;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{broadcast, mpsc, oneshot};

use self::thread::{Owner, QUEUE, Request, Shared, Task};
pub use self::{
    error::{OpenError, StoreError},
    schema::{MigrateReport, migrate_to},
    tx::Tx,
};
use crate::core::{happened::Happened, tally::Tally};

/// Handle to the owning thread; cheap to clone.
#[derive(Clone)]
pub struct Store {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    path: Arc<PathBuf>,
}

/// The owning thread. It ends when all [`Store`] handles are dropped or [`Store::close`] was called.
pub struct StoreThread(std::thread::JoinHandle<()>);

impl StoreThread {
    /// Waits for the end of the thread. Blocking.
    ///
    /// # Errors
    /// The thread panicked.
    pub fn join(self) -> std::thread::Result<()> {
        self.0.join()
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl Store {
    /// Opens or creates `DIRECTORY/telexd.db`, brings it to the newest schema (after a backup) and starts the owning
    /// thread. Blocking; to be called before the runtime.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do. A damaged file is set aside, never overwritten.
    pub fn open(directory: &Path) -> Result<(Self, StoreThread), OpenError> {
        Self::open_counting(directory, None)
    }

    /// The same; a check or a migration that takes long lets `progress` grow while it goes on.
    ///
    /// # Errors
    /// As for [`Store::open`].
    pub fn open_counting(
        directory: &Path,
        progress: Option<Arc<AtomicU64>>,
    ) -> Result<(Self, StoreThread), OpenError> {
        let stamp = files::stamp_now();
        let mut opened = open::open(directory, &stamp, true, progress)?;
        schema::bring_to(&mut opened, directory, schema::NEWEST, &stamp)?;
        opened.quiet()?;
        let open::Opened {
            connection,
            lock,
            path,
            ..
        } = opened;
        let (sender, requests) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let failed = |cause: String| OpenError::Other {
            path: path.clone(),
            cause,
        };
        let clock = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| failed(format!("its clock could not be started: {error}")))?;
        let owner = Owner {
            connection,
            requests,
            clock,
            in_log: 0,
            shared: Arc::clone(&shared),
            lock,
        };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || owner.serve())
            .map_err(|error| failed(format!("its thread could not be started: {error}")))?;
        let store = Self {
            requests: sender,
            shared,
            path: Arc::new(path),
        };
        Ok((store, StoreThread(thread)))
    }

    /// Runs the closure in a write transaction on the owning thread; returns after the COMMIT. Requests that wait
    /// together are committed together, each in a savepoint: one that fails takes back only itself.
    ///
    /// The closure must not block on anything but the database. A future that is dropped while it waits does not stop
    /// the transaction: it happens whole, or not at all. A panic in the closure is an error of its caller's.
    ///
    /// # Errors
    /// The closure's, or why the COMMIT failed; then nothing of it was done.
    pub async fn tx<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::Run(Box::new(Task::new(f, reply))))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Returns after a committed transaction touched the outbox so that something may be due. What happened since the
    /// last call counts, once. For one waiter: the delivery.
    pub async fn outbox_touched(&self) {
        self.shared.outbox.notified().await;
    }

    /// What happens from now on, after it is committed. Who falls behind by much misses something.
    #[must_use]
    pub fn happened(&self) -> broadcast::Receiver<Happened> {
        self.shared.happened.subscribe()
    }

    /// Finishes what was asked for before, takes the log into the database and closes it. Later requests are answered
    /// with [`StoreError::Closed`]. May be called again.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).await.is_ok() {
            // An error: somebody else closed it.
            drop(answer.await);
        }
    }

    /// Bytes that the database takes on the disk, its log included; backups are not counted.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        files::size(&self.path) + files::size(&files::with_suffix(&self.path, "-wal"))
    }

    /// Returns once a transaction has found the database damaged. For one waiter. Nothing that is asked of it from then
    /// on can be relied upon.
    pub async fn damaged(&self) {
        self.shared.damaged.notified().await;
    }

    /// How long the last commit that wrote something took, until it was on the disk. `None` before the first.
    #[must_use]
    pub fn last_write(&self) -> Option<Duration> {
        match self.shared.write_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(Duration::from_micros(us)),
        }
    }

    /// The counters of this life. What is written here counts in them, once it is committed.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// A number that is another one for each write that is not of the same millisecond.
    #[must_use]
    pub fn last_write_mark(&self) -> u64 {
        self.shared.write_at_ms.load(Ordering::Relaxed)
    }

    /// How long ago that was.
    #[must_use]
    pub fn last_write_ago(&self) -> Duration {
        let at = Duration::from_millis(self.shared.write_at_ms.load(Ordering::Relaxed));
        self.shared.zero.elapsed().saturating_sub(at)
    }

    /// Bytes that are left for the daemon on the disk of the database; `None`: the system does not tell.
    #[must_use]
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = nix::sys::statvfs::statvfs(self.path.parent()?).ok()?;
        Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }

    /// Commits since the start: with the number of requests it tells how many share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }
}
