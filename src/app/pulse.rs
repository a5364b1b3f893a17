//! Signs of life of the parts, for the watchdog, and how it all stands, for the status.
//!
//! Runs only where a service manager listens or a bus is there. Between two beats nothing here wakes up, whatever happens in between:
//! the way of a message is not touched.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    core::{Millis, trouble::CallClass},
    dbus::{Seen, Sight},
    gateway::{handle::Gateway, ports::Clock},
    health::{self, Beats, Limits, Polling, Readiness, Trouble},
    store::{Store, StoreError},
    systemd::herald::Herald,
    telegram::intake::{PollHealth, PollTrouble},
};

/// Between two beats without a watchdog, and at most with one.
const SLOWEST: Duration = Duration::from_secs(5);
/// Between two sentences while something is wrong: they count down to the next try.
const COUNTDOWN: Duration = Duration::from_secs(1);
/// Longest quotation of an error, in characters.
const QUOTE: usize = 120;

/// Signs of life. Written by tasks, read by the watchdog's thread.
pub(super) struct Pulse {
    zero: Instant,
    /// Last signs, in milliseconds since `zero`.
    runtime: AtomicU64,
    store: AtomicU64,
    polls: watch::Receiver<PollHealth>,
    stopping: AtomicBool,
    reached: AtomicBool,
    ready: AtomicBool,
    reload: Mutex<Option<String>>,
    news: Notify,
}

impl Pulse {
    pub(super) fn new(polls: watch::Receiver<PollHealth>) -> Arc<Self> {
        Arc::new(Self {
            zero: Instant::now(),
            runtime: AtomicU64::new(0),
            store: AtomicU64::new(0),
            polls,
            stopping: AtomicBool::new(false),
            reached: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            reload: Mutex::new(None),
            news: Notify::new(),
        })
    }

    /// From now on the parts end one after the other, and only the runtime is watched.
    pub(super) fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The start is over.
    pub(super) fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Telegram has answered.
    pub(super) fn reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
        self.news.notify_one();
    }

    /// What the last reload left to be said, if anything.
    pub(super) fn reloaded(&self, left: Option<String>) {
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = left;
        self.news.notify_one();
    }

    /// For the watchdog: what is late, as a sentence. Blocks for no longer than a look.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), String> {
        self.check_at(Instant::now(), limits)
    }

    fn check_at(&self, now: Instant, limits: &Limits) -> Result<(), String> {
        let mut beats = Beats {
            runtime: self.since(&self.runtime, now),
            ..Beats::default()
        };
        if !self.stopping.load(Ordering::Relaxed) {
            beats.store = self.since(&self.store, now);
            let back_by = self.polls.borrow().back_by;
            beats.intake_overdue =
                back_by.map_or(Duration::ZERO, |by| now.saturating_duration_since(by));
        }
        health::told(&health::late(&beats, limits)).map_or(Ok(()), Err)
    }

    fn ms(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.zero);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn beat(&self, part: &AtomicU64, now: Instant) {
        part.store(self.ms(now), Ordering::Relaxed);
    }

    fn since(&self, part: &AtomicU64, now: Instant) -> Duration {
        Duration::from_millis(self.ms(now).saturating_sub(part.load(Ordering::Relaxed)))
    }
}

/// How often the parts give a sign: several times within the limits of the watchdog.
pub(super) fn period(watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(SLOWEST, |interval| (interval / 10).min(SLOWEST))
}

/// Lets the runtime beat until `shutdown` and a little beyond: the runtime's end is the end of the beat.
pub(super) async fn beat(pulse: Arc<Pulse>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if runtime_frozen() {
            stand_still();
        }
        pulse.beat(&pulse.runtime, Instant::now());
    }
}

/// Looks at how it all stands.
pub(super) struct Looker {
    pub(super) pulse: Arc<Pulse>,
    pub(super) store: Store,
    pub(super) gateway: Gateway,
    pub(super) clock: Arc<dyn Clock>,
}

/// Tells how it all stands, whenever that changes.
pub(super) struct Reporter {
    pub(super) looker: Arc<Looker>,
    /// The service manager.
    pub(super) herald: Arc<Herald>,
    /// The bus.
    pub(super) news: watch::Sender<Seen>,
    pub(super) period: Duration,
}

/// What the database knows.
#[derive(Clone, Copy, Default)]
struct Counts {
    running: u64,
    queued: u64,
    processes: u64,
    oldest_in: Option<Millis>,
    oldest_out: Option<Millis>,
}

impl Reporter {
    /// Asks the database now and then, which is its sign of life, and says how it stands, until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let looker = &self.looker;
        let mut polls = looker.pulse.polls.clone();
        let mut counts = Counts::default();
        let mut asked_at: Option<Instant> = None;
        loop {
            if asked_at.is_none_or(|at| at.elapsed() >= self.period) {
                asked_at = Some(Instant::now());
                match looker.ask().await {
                    Ok(found) => counts = found,
                    Err(StoreError::Closed) => return,
                    // An answer all the same.
                    Err(cause) => debug!(%cause, "cannot count what is open"),
                }
                looker.pulse.beat(&looker.pulse.store, Instant::now());
            }
            let seen = looker.seen(&polls.borrow_and_update(), counts);
            self.herald.status(health::sentence(&seen.readiness));
            let nap = if seen.readiness.polling.trouble.is_some() {
                self.period.min(COUNTDOWN)
            } else {
                self.period
            };
            self.news.send_replace(seen);
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = polls.changed() => {}
                () = looker.pulse.news.notified() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }
}

#[async_trait]
impl Sight for Looker {
    async fn look(&self) -> Result<Seen, String> {
        let counts = self.ask().await.map_err(|cause| cause.to_string())?;
        let polls = self.pulse.polls.borrow().clone();
        Ok(self.seen(&polls, counts))
    }
}

impl Looker {
    async fn ask(&self) -> Result<Counts, StoreError> {
        self.store
            .tx(|tx| {
                if store_frozen() {
                    stand_still();
                }
                Ok(Counts {
                    running: tx.turns_running()?,
                    queued: tx.turns_waiting()?,
                    processes: tx.runs_live_count()?,
                    oldest_in: tx.inbox_backlog()?.1,
                    oldest_out: tx.out_backlog()?.1,
                })
            })
            .await
    }

    fn seen(&self, polls: &PollHealth, counts: Counts) -> Seen {
        let at = self.clock.now();
        Seen {
            at,
            readiness: self.readiness(at, polls, counts),
        }
    }

    fn readiness(&self, now: Millis, polls: &PollHealth, counts: Counts) -> Readiness {
        let age = |since: Millis| {
            Duration::from_millis(u64::try_from(now.saturating_sub(since)).unwrap_or(0))
        };
        Readiness {
            polling: Polling {
                reached: self.pulse.reached.load(Ordering::Relaxed),
                ..polling(polls)
            },
            conversations: self.gateway.lanes(),
            running: counts.running,
            queued: counts.queued,
            processes: counts.processes,
            database: self.store.size_bytes(),
            ready: self.pulse.ready.load(Ordering::Relaxed),
            oldest_in: counts.oldest_in.map(age),
            oldest_out: counts.oldest_out.map(age),
            write: self.store.last_write(),
            beat: self.pulse.since(&self.pulse.runtime, Instant::now()),
            reload: self
                .pulse
                .reload
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

fn polling(polls: &PollHealth) -> Polling {
    let now = Instant::now();
    let since = |at: Instant| now.saturating_duration_since(at);
    let error = polls.error.as_deref().unwrap_or_default();
    Polling {
        reached: false,
        completed: polls.last_completed_at.map(since),
        failures: polls.failures,
        failing: polls.failing_since_at.map(since),
        next_try: polls
            .next_try_at
            .map(|at| at.saturating_duration_since(now)),
        trouble: polls.trouble.as_ref().map(|trouble| match trouble {
            PollTrouble::Call(CallClass::Safe | CallClass::Ambiguous) => {
                Trouble::Unreachable(in_short(error))
            }
            PollTrouble::Call(CallClass::WaitUntil(_)) => Trouble::Throttled,
            PollTrouble::Call(CallClass::Rejected | CallClass::Fatal) => {
                Trouble::Refused(quoted(error))
            }
            PollTrouble::Call(CallClass::Conflict) => Trouble::Conflict,
            PollTrouble::Call(CallClass::Unauthorized) => Trouble::TokenRefused,
            PollTrouble::Storage => Trouble::Storage(quoted(error)),
            PollTrouble::NoProgress => Trouble::NoProgress,
        }),
    }
}

fn quoted(error: &str) -> String {
    crate::core::trouble::shortened(error, QUOTE)
}

/// Why no connection comes about or holds, in a word or two where the libraries' words are known, else in theirs.
fn in_short(error: &str) -> String {
    let lower = error.to_ascii_lowercase();
    for (part, word) in [
        ("dns error", "DNS"),
        ("lookup address", "DNS"),
        ("connection refused", "connection refused"),
        ("network is unreachable", "no network"),
        ("no route to host", "no route"),
        ("certificate", "TLS certificate"),
        ("connection reset", "connection reset"),
        ("timed out", "no answer in time"),
        ("timeout", "no answer in time"),
    ] {
        if lower.contains(part) {
            return word.to_owned();
        }
    }
    if let Some(code) = lower.split("http ").nth(1)
        && let Some(code) = code
            .get(..3)
            .filter(|c| c.bytes().all(|b| b.is_ascii_digit()))
    {
        return format!("HTTP {code}");
    }
    quoted(error.rsplit(": ").next().unwrap_or(error))
}

/// Whether a test wants the runtime to stand still from now on.
fn runtime_frozen() -> bool {
    fail::fail_point!("runtime-frozen", |_| true);
    false
}

/// Whether a test wants the database's thread to stand still from now on.
fn store_frozen() -> bool {
    fail::fail_point!("store-frozen", |_| true);
    false
}

/// Keeps this thread for good.
fn stand_still() -> ! {
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_in_short() {
        for (error, wanted) in [
            (
                "getUpdates failed: error sending request: client error (Connect): dns error: failed to lookup address \
                 information: Name or service not known",
                "DNS",
            ),
            (
                "getUpdates failed: error sending request: client error (Connect): tcp connect error: Connection refused \
                 (os error 111)",
                "connection refused",
            ),
            (
                "getUpdates failed: operation timed out",
                "no answer in time",
            ),
            ("getUpdates failed, HTTP 502: Bad Gateway", "HTTP 502"),
            ("getUpdates failed: a: something new", "something new"),
            ("", ""),
        ] {
            assert_eq!(in_short(error), wanted, "{error}");
        }
    }

    #[test]
    fn each_part_is_watched_and_an_outage_is_none() {
        let limits = Limits::of(Duration::from_secs(30));
        let polls = watch::Sender::new(PollHealth::default());
        let pulse = Pulse::new(polls.subscribe());
        let mut now = pulse.zero;
        assert_eq!(pulse.check_at(now, &limits), Ok(()));
        now += Duration::from_secs(16);
        let late = |now| pulse.check_at(now, &limits).unwrap_err();
        assert!(late(now).contains("the runtime"));
        pulse.beat(&pulse.runtime, now);
        assert_eq!(pulse.check_at(now, &limits), Ok(()));
        now += Duration::from_secs(15);
        pulse.beat(&pulse.runtime, now);
        assert!(late(now).contains("the database"));
        pulse.beat(&pulse.store, now);

        // Ten minutes of an outage: the loop says each time when it will be back, and is.
        for _ in 0..20 {
            polls.send_modify(|health| {
                health.trouble = Some(PollTrouble::Call(CallClass::Safe));
                health.back_by = Some(now + Duration::from_secs(30));
            });
            for _ in 0..3 {
                now += Duration::from_secs(10);
                pulse.beat(&pulse.runtime, now);
                pulse.beat(&pulse.store, now);
                assert_eq!(pulse.check_at(now, &limits), Ok(()));
            }
        }
        now += Duration::from_secs(16);
        pulse.beat(&pulse.runtime, now);
        assert!(late(now).contains("the poll loop"));
        pulse.stopping();
        assert_eq!(pulse.check_at(now, &limits), Ok(()));
    }
}
