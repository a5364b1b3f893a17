//! Signs of life of the parts, for the watchdog and whoever asks. Between two beats nothing here wakes up, whatever happens
//! in between: the way of a message is not touched.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    core::trouble::CallClass,
    health::{self, Beats, Limits, Polling, Trouble},
    telegram::intake::{PollHealth, PollTrouble},
};

/// Between two beats without a watchdog, and at most with one.
const SLOWEST: Duration = Duration::from_secs(5);
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

    /// Told when there is something new to say.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// How updates come in, whenever that changes.
    pub(super) fn polls(&self) -> watch::Receiver<PollHealth> {
        self.polls.clone()
    }

    /// How updates come in now.
    pub(super) fn polling(&self) -> Polling {
        Polling {
            reached: self.reached.load(Ordering::Relaxed),
            ..polling(&self.polls.borrow())
        }
    }

    /// Whether the start is over, and the end has not begun.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.is_stopping()
    }

    /// Whether the end has begun.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Since this was made, at the beginning.
    pub(super) fn up(&self) -> Duration {
        self.zero.elapsed()
    }

    /// What the last reload left to be said, if anything.
    pub(super) fn reload(&self) -> Option<String> {
        let left = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        left.clone()
    }

    /// Age of the runtime's last sign of life, and by how much the poll loop is overdue.
    pub(super) fn ages(&self) -> (Duration, Duration) {
        let now = Instant::now();
        (self.since(&self.runtime, now), self.overdue(now))
    }

    /// The database has answered.
    pub(super) fn answered(&self) {
        self.beat(&self.store, Instant::now());
    }

    fn overdue(&self, now: Instant) -> Duration {
        let back_by = self.polls.borrow().back_by;
        back_by.map_or(Duration::ZERO, |by| now.saturating_duration_since(by))
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
        if !self.is_stopping() {
            beats.store = self.since(&self.store, now);
            beats.intake_overdue = self.overdue(now);
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

fn polling(polls: &PollHealth) -> Polling {
    let now = Instant::now();
    let since = |at: Instant| now.saturating_duration_since(at);
    let error = polls.error.as_deref().unwrap_or_default();
    Polling {
        reached: false,
        contested: polls.contested,
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

/// Keeps this thread for good.
pub(super) fn stand_still() -> ! {
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
