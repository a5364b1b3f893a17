//! The poll loop: from `getUpdates` into the inbox, and from there to the gateway.
//!
//! Nothing is confirmed to Telegram before it is committed here: a batch and the offset behind it go into
//! the database in one transaction, and only the next poll, which carries that offset, makes Telegram
//! forget the batch. Killed in between, the next life finds the rows in the inbox, and what it is sent
//! again it knows by id and text.
//!
//! The offset follows the last id of the batch, also downwards: after a long silence Telegram may number
//! from anew. An update without a usable id is kept under [`NO_ID`] and cannot be confirmed by itself; it is
//! confirmed by the next one that has an id. Until then Telegram repeats it and the loop slows down.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

mod failing;

use super::{
    client::{CallError, Client, Polled},
    inbound,
};
use crate::{
    core::{
        Millis,
        backoff::{Backoff, BackoffRule},
        ids::InboxId,
        inbound::Inbound,
        messages,
        stall::{Leap, Stall, StallRule},
    },
    gateway::ports::{Clock, Committed, Dice, Reception},
    store::{Store, StoreError, rows::RawUpdate},
};
use failing::LONG_OUTAGE;

pub use super::poll_health::{PollHealth, PollTrouble};

/// Stands for the id of an update that has none. Telegram's own ids are positive.
pub const NO_ID: i64 = i64::MIN;

/// Most updates per poll.
const BATCH: u8 = 100;

/// Rows of an earlier life that are read at once.
const PENDING_PAGE: usize = 256;

/// Shortest wait before a poll that repeats its offset, in milliseconds: Telegram answers one that comes within half
/// a second with a single update, and behind one that cannot be confirmed nothing else would ever come.
const REPEAT_MS: u64 = 700;

/// How long the loop may take for anything but a poll or a wait that is meant: a batch into the database, the removal
/// of a webhook.
const LONGEST_WORK: Duration = Duration::from_secs(30);

/// How often it is looked whether the machine slept, while the loop waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Why intake ended although nobody told it to.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The store was closed under it, or cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No poll is answered any more, whatever is tried, though Telegram answers other calls.
    #[error(
        "no poll was answered for {minutes} minutes, new connections did not help, and Telegram answers other calls"
    )]
    Stalled {
        /// For how long.
        minutes: u64,
    },
}

/// Waits of the poll loop.
#[derive(Clone, Copy, Debug)]
pub struct IntakeConfig {
    /// After failures of the network, of Telegram or of the disk.
    pub backoff: BackoffRule,
    /// While another program polls with the same token.
    pub conflict: BackoffRule,
    /// While the token is refused, or nothing can work.
    pub unauthorized: BackoffRule,
    /// When polls that are not answered count as stalled.
    pub stall: StallRule,
    /// How often it is looked whether the machine slept.
    pub look_every: Duration,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            backoff: BackoffRule::POLL,
            conflict: BackoffRule {
                base_ms: 5_000,
                cap_ms: 60_000,
                ..BackoffRule::POLL
            },
            unauthorized: BackoffRule {
                base_ms: 30_000,
                cap_ms: 300_000,
                ..BackoffRule::POLL
            },
            stall: StallRule::POLL,
            look_every: LOOK_EVERY,
        }
    }
}

/// What intake works with.
pub struct Intake {
    /// Bot API.
    pub client: Client,
    /// Where updates are kept.
    pub store: Store,
    /// Who acts on them.
    pub reception: Arc<dyn Reception>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance in the waits.
    pub dice: Arc<dyn Dice>,
    /// Waits.
    pub config: IntakeConfig,
    /// Where to tell how it goes.
    pub health: watch::Sender<PollHealth>,
}

/// Runs intake until `shutdown`: first what an earlier life left in the inbox, then poll by poll.
///
/// On `shutdown` it returns at once: a poll under way is dropped (unconfirmed, it comes again), a transaction
/// under way is awaited.
///
/// # Errors
/// See [`IntakeError`].
pub async fn run(intake: Intake, shutdown: CancellationToken) -> Result<(), IntakeError> {
    let looping = Loop {
        network: Backoff::new(intake.config.backoff),
        conflict: Backoff::new(intake.config.conflict),
        unauthorized: Backoff::new(intake.config.unauthorized),
        started: Instant::now(),
        stall: Stall::new(intake.config.stall, 0),
        leap: Leap::new(intake.clock.now(), 0),
        answered: Instant::now(),
        conflict_since: None,
        conflict_told: false,
        webhook_tried: false,
        limit: BATCH,
        intake,
        shutdown,
    };
    match looping.run().await {
        Ok(()) | Err(Stop::Shutdown) => Ok(()),
        Err(Stop::Closed) => Err(StoreError::Closed.into()),
        Err(Stop::Stalled { minutes }) => Err(IntakeError::Stalled { minutes }),
    }
}

/// Why the loop ends.
enum Stop {
    Shutdown,
    Closed,
    Stalled { minutes: u64 },
}

struct Loop {
    intake: Intake,
    shutdown: CancellationToken,
    network: Backoff,
    conflict: Backoff,
    unauthorized: Backoff,
    /// Zero of the clock that the backoffs are given.
    started: Instant,
    stall: Stall,
    leap: Leap,
    /// When a poll was last answered; at first the start.
    answered: Instant,
    /// Since when another poller is met, until there was none for a while.
    conflict_since: Option<Instant>,
    /// Whether that was told.
    conflict_told: bool,
    /// Whether removing a webhook was tried since the last success.
    webhook_tried: bool,
    /// Updates asked for per poll; 1 after an answer that could not be read.
    limit: u8,
}

impl Loop {
    async fn run(mut self) -> Result<(), Stop> {
        self.hand_over_pending().await?;
        let mut offset = self.stored_offset().await?;
        loop {
            self.back_within(self.intake.client.longest_poll());
            if frozen() {
                // A test asks for a loop that never turns again.
                std::future::pending::<()>().await;
            }
            let Some(polled) = self.poll(offset).await? else {
                continue;
            };
            self.back_within(LONGEST_WORK);
            match polled {
                Ok(updates) => {
                    self.completed();
                    match self.keep(updates, &mut offset).await? {
                        Kept::Well => self.well(),
                        Kept::NoProgress => {
                            let text = "updates without an id that Telegram repeats".to_owned();
                            self.failed(PollTrouble::NoProgress, text).await?;
                        }
                        Kept::NotStored(error) => {
                            self.failed(PollTrouble::Storage, error.to_string()).await?;
                        }
                    }
                }
                Err(error) => self.call_failed(error).await?,
            }
        }
    }

    /// Polls once. `None`: the machine slept meanwhile, so whatever was under way is given up; unconfirmed, it comes again.
    async fn poll(
        &mut self,
        offset: Option<i64>,
    ) -> Result<Option<Result<Vec<Polled>, CallError>>, Stop> {
        let client = self.intake.client.clone();
        let mut polling = std::pin::pin!(client.get_updates(offset, self.limit));
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Stop::Shutdown),
                polled = &mut polling => return Ok(Some(polled)),
                () = tokio::time::sleep(self.intake.config.look_every) => {
                    if self.slept() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Gives the gateway what an earlier life committed but did not act on, in order.
    async fn hand_over_pending(&mut self) -> Result<(), Stop> {
        // Rows leave the list when they are acted on, which is later than accepted: hence the id to go on from.
        let mut last = None;
        let mut limit = PENDING_PAGE;
        loop {
            let rows = match self
                .intake
                .store
                .tx(move |tx| tx.inbox_pending(limit))
                .await
            {
                Ok(rows) => rows,
                Err(StoreError::Closed) => return Err(Stop::Closed),
                Err(error) => {
                    self.failed(PollTrouble::Storage, error.to_string()).await?;
                    continue;
                }
            };
            let full = rows.len() >= limit;
            let mut fresh = 0_u32;
            for row in rows {
                if Some(row.id) <= last {
                    continue;
                }
                last = Some(row.id);
                fresh += 1;
                self.accept(row.id, row.bot_id, &row.raw).await?;
            }
            if fresh > 0 {
                tracing::info!(updates = fresh, "took up updates of an earlier run");
            }
            if !full {
                return Ok(());
            }
            if fresh == 0 {
                limit *= 2;
            }
        }
    }

    async fn stored_offset(&mut self) -> Result<Option<i64>, Stop> {
        let bot_id = self.intake.client.bot_id();
        loop {
            match self.intake.store.tx(move |tx| tx.poll_offset(bot_id)).await {
                Ok(offset) => return Ok(offset),
                Err(StoreError::Closed) => return Err(Stop::Closed),
                Err(error) => self.failed(PollTrouble::Storage, error.to_string()).await?,
            }
        }
    }

    /// Commits a batch together with the offset behind it, then hands it over.
    async fn keep(&mut self, updates: Vec<Polled>, offset: &mut Option<i64>) -> Result<Kept, Stop> {
        if updates.is_empty() {
            return Ok(Kept::Well);
        }
        let behind = updates
            .iter()
            .rev()
            .find_map(|update| update.update_id)
            .map(|id| id.saturating_add(1));
        let rows: Vec<RawUpdate> = updates
            .into_iter()
            .map(|update| RawUpdate {
                update_id: update.update_id.unwrap_or(NO_ID),
                raw: update.raw,
            })
            .collect();

        fail::fail_point!("intake-before-commit");
        let entered = self.enter(rows, behind).await;
        fail::fail_point!("intake-after-commit");

        let entered = match entered {
            Ok(entered) => entered,
            Err(StoreError::Closed) => return Err(Stop::Closed),
            // Not confirmed, so Telegram sends the batch again.
            Err(error) => return Ok(Kept::NotStored(error)),
        };
        let unmoved = behind.is_none() || behind == *offset;
        if behind.is_some() {
            *offset = behind;
        }
        match entered {
            Entered::Rows(rows) if rows.is_empty() && unmoved => return Ok(Kept::NoProgress),
            Entered::Rows(rows) => {
                let bot_id = self.intake.client.bot_id();
                for (id, raw) in rows {
                    self.accept(id, bot_id, &raw).await?;
                }
            }
            Entered::Admitted(committed) => {
                committed();
                // It goes before the next poll.
                tokio::task::yield_now().await;
            }
        }
        Ok(Kept::Well)
    }

    /// Commits a batch and the offset behind it. A message that comes alone, when nothing is before it, is acted on in
    /// the same transaction: that is the usual case, and every commit is time that somebody waits.
    async fn enter(
        &self,
        rows: Vec<RawUpdate>,
        behind: Option<i64>,
    ) -> Result<Entered, StoreError> {
        let (bot_id, now) = (self.intake.client.bot_id(), self.intake.clock.now());
        if let [row] = rows.as_slice()
            && let Some(admission) = self
                .intake
                .reception
                .admit(bot_id, &inbound::read(&row.raw))
        {
            let row = row.clone();
            let admitted = self
                .intake
                .store
                .tx(move |tx| {
                    let added = tx.inbox_add(bot_id, &[row], now)?;
                    if let Some(behind) = behind {
                        tx.set_poll_offset(bot_id, behind)?;
                    }
                    added.first().map(|id| admission(tx, *id)).transpose()
                })
                .await;
            match admitted {
                Ok(Some(committed)) => return Ok(Entered::Admitted(committed)),
                Ok(None) => return Ok(Entered::Rows(Vec::new())),
                Err(error @ (StoreError::Closed | StoreError::Full)) => return Err(error),
                // It must be kept, whatever is wrong with acting on it.
                Err(error) => {
                    tracing::warn!(%error, "an update is entered without acting on it yet");
                }
            }
        }
        self.intake
            .store
            .tx(move |tx| {
                let mut fresh = Vec::with_capacity(rows.len());
                for row in rows {
                    // One by one, to know which of them are new.
                    let added = tx.inbox_add(bot_id, std::slice::from_ref(&row), now)?;
                    fresh.extend(added.into_iter().map(|id| (id, row.raw.clone())));
                }
                if let Some(behind) = behind {
                    tx.set_poll_offset(bot_id, behind)?;
                }
                Ok(Entered::Rows(fresh))
            })
            .await
    }

    async fn accept(&self, id: InboxId, bot_id: i64, raw: &str) -> Result<(), Stop> {
        let inbound = inbound::read(raw);
        if let Inbound::Unreadable(why) = &inbound {
            tracing::warn!(event = messages::UPDATE_UNREADABLE, inbox = %id, why, "an update cannot be read; it is kept");
        }
        let mut accepted = self.intake.reception.accept(id, bot_id, inbound);
        loop {
            tokio::select! {
                biased;
                // What is not taken stays in the inbox for the next life.
                () = self.shutdown.cancelled() => return Err(Stop::Shutdown),
                () = &mut accepted => break,
                // Held back, for instance by a full disk: that is no standstill of this loop.
                () = tokio::time::sleep(LONGEST_WORK / 2) => self.back_within(LONGEST_WORK),
            }
        }
        fail::fail_point!("intake-accepted");
        Ok(())
    }

    /// A poll came back with an answer of Telegram's.
    fn completed(&mut self) {
        let now = self.intake.clock.now();
        self.answered();
        // Only the first one is news.
        self.intake.health.send_if_modified(|health| {
            health.last_completed_at = Some(Instant::now());
            health.last_completed.replace(now).is_none()
        });
        self.limit = self.limit.saturating_mul(2).min(BATCH);
        self.webhook_tried = false;
    }

    /// A poll came back and all of it is kept.
    fn well(&mut self) {
        let up = self.up_ms();
        for backoff in [
            &mut self.network,
            &mut self.conflict,
            &mut self.unauthorized,
        ] {
            backoff.succeeded(up);
        }
        if self.conflict.failures() == 0 {
            self.conflict_since = None;
            self.conflict_told = false;
        }
        let contested = self.conflict_told;
        self.intake.health.send_if_modified(|health| {
            std::mem::replace(&mut health.contested, contested) != contested
        });
        let before = self.intake.health.borrow().clone();
        if before.trouble.is_none() {
            return;
        }
        let outage = before
            .failing_since_at
            .map_or(Duration::ZERO, |since| since.elapsed());
        let (long, for_s) = (outage >= LONG_OUTAGE, outage.as_secs());
        let event = long.then_some(messages::TELEGRAM_BACK);
        tracing::info!(
            event,
            failures = before.failures,
            for_s,
            "updates come in again"
        );
        self.intake.health.send_modify(|health| {
            health.failures = 0;
            health.failing_since = None;
            health.failing_since_at = None;
            health.trouble = None;
            health.lasting = false;
            health.error = None;
        });
    }

    /// Says by when this loop will have turned, whatever happens. Wakes nobody.
    fn back_within(&self, longest: Duration) {
        self.intake.health.send_if_modified(|health| {
            health.back_by = Instant::now().checked_add(longest);
            health.next_try_at = None;
            false
        });
    }

    fn up_ms(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }
}

/// Whether a test wants the loop to stand still from now on.
fn frozen() -> bool {
    fail::fail_point!("intake-frozen", |_| true);
    false
}

/// What the transaction of a batch gave.
enum Entered {
    /// New rows with their texts, to be acted on.
    Rows(Vec<(InboxId, String)>),
    /// A prompt that is acted on already, and what is still to be done.
    Admitted(Committed),
}

/// What became of a batch.
enum Kept {
    /// It is in the inbox and handed over.
    Well,
    /// It brought nothing new and cannot be confirmed.
    NoProgress,
    /// It is not in the inbox.
    NotStored(StoreError),
}
