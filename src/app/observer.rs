//! How it all stands: measured in one place, at most once a second however many ask, and told to everybody alike: the
//! service manager, the bus, and whoever asks over HTTP.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    own,
    pulse::{Pulse, stand_still},
};
use crate::{
    core::{Millis, ids::TurnId, live::Live, meter::Meter, waiting::Waiting},
    gateway::{
        handle::Gateway,
        ports::{Clock, Runner, Usage},
    },
    health::{
        Cpu, Limits, Memory, Readiness, Report, Sight, Write,
        conditions::{Judge, Rules},
    },
    store::{Store, StoreError},
    systemd::herald::Herald,
};

/// How old an answer may be: of many who ask at once, one has it measured.
const FRESH: Duration = Duration::from_secs(1);
/// How long somebody who asks waits for a measurement. After that they are told what is known without it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two sentences while something is wrong: they count down to the next try.
const COUNTDOWN: Duration = Duration::from_secs(1);

/// Of how long agents that ran out of memory are counted.
const HOUR: Millis = 60 * 60 * 1000;

/// Looks at how it all stands.
pub(super) struct Looker {
    pub(super) pulse: Arc<Pulse>,
    pub(super) store: Store,
    pub(super) gateway: Gateway,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Live<Rules>,
    seen: Mutex<Seen>,
    reports: watch::Sender<Arc<Report>>,
    wanted: Notify,
}

/// What was measured.
#[derive(Default)]
struct Seen {
    counts: Counts,
    waiting: Waiting,
    /// Since when a prompt has been waiting for an agent.
    oldest_prompt: Option<Millis>,
    memory: Memory,
    cpu: Cpu,
    meter: Meter,
    judge: Judge,
    serial: u64,
    /// When the last whole measurement was over.
    at: Option<Instant>,
    /// Since when the database has been owing an answer.
    asked: Option<Instant>,
}

/// What the database knows.
#[derive(Clone, Debug, Default)]
struct Counts {
    running: u64,
    queued: u64,
    processes: u64,
    oldest_in: Option<Millis>,
    oldest_out: Option<Millis>,
    prompts: Vec<(TurnId, Millis)>,
    out_of_memory: u64,
}

impl Looker {
    pub(super) fn new(
        pulse: Arc<Pulse>,
        store: Store,
        gateway: Gateway,
        runner: Arc<dyn Runner>,
        clock: Arc<dyn Clock>,
        rules: Live<Rules>,
    ) -> Arc<Self> {
        Arc::new(Self {
            pulse,
            store,
            gateway,
            runner,
            clock,
            rules,
            seen: Mutex::default(),
            reports: watch::Sender::new(Arc::default()),
            wanted: Notify::new(),
        })
    }

    /// How it stands, whenever that changes.
    pub(super) fn reports(&self) -> watch::Receiver<Arc<Report>> {
        self.reports.subscribe()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Held for a computation only, never over an await.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was measured a moment ago, if it was.
    fn fresh(&self) -> Option<Arc<Report>> {
        let at = self.seen().at?;
        (at.elapsed() < FRESH).then(|| Arc::clone(&self.reports.borrow()))
    }

    /// Asks the database.
    async fn ask(store: Store, at: Millis) -> Result<Counts, StoreError> {
        store
            .tx(move |tx| {
                if store_frozen() {
                    stand_still();
                }
                Ok(Counts {
                    running: tx.turns_running()?,
                    queued: tx.turns_waiting()?,
                    processes: tx.runs_live_count()?,
                    oldest_in: tx.inbox_backlog()?.1,
                    oldest_out: tx.out_backlog()?.1,
                    prompts: tx.turns_queued()?,
                    out_of_memory: tx.runs_out_of_memory(at - HOUR)?,
                })
            })
            .await
    }

    /// What is to be told now, with what was measured last.
    fn report(&self) -> Report {
        let mut seen = self.seen();
        let at = self.clock.now();
        let readiness = self.readiness(at, &seen);
        let conditions = seen.judge.judge(at, &readiness, &self.rules.get());
        Report {
            at,
            serial: seen.serial,
            readiness,
            conditions,
        }
    }

    fn readiness(&self, at: Millis, seen: &Seen) -> Readiness {
        let age = |since: Millis| {
            Duration::from_millis(u64::try_from(at.saturating_sub(since)).unwrap_or(0))
        };
        let (beat, overdue) = self.pulse.ages();
        let counts = &seen.counts;
        Readiness {
            polling: self.pulse.polling(),
            conversations: self.gateway.lanes(),
            running: counts.running,
            queued: counts.queued,
            processes: counts.processes,
            database: self.store.size_bytes(),
            ready: self.pulse.is_ready(),
            up: self.pulse.up(),
            paused: self.gateway.admin().paused().is_some(),
            oldest_in: counts.oldest_in.map(age),
            oldest_out: counts.oldest_out.map(age),
            oldest_prompt: seen.oldest_prompt.map(age),
            out_of_memory: counts.out_of_memory,
            write: self.store.last_write().map(|took| Write {
                took,
                ago: self.store.last_write_ago(),
            }),
            write_mark: self.store.last_write_mark(),
            beat,
            overdue,
            unanswered: seen.asked.map(|at| at.elapsed()).unwrap_or_default(),
            disk_free: self.store.free_bytes(),
            memory: seen.memory,
            cpu: seen.cpu,
            reload: self.pulse.reload(),
        }
    }

    /// Notes what was measured.
    fn take(&self, counts: Option<Counts>, usage: Option<Usage>) {
        let own = usage.is_some().then(own::usage);
        let (at, paused) = (self.clock.now(), self.gateway.admin().paused().is_some());
        let mut seen = self.seen();
        seen.asked = None;
        seen.serial += 1;
        if let Some(counts) = counts {
            seen.oldest_prompt = seen.waiting.look(&counts.prompts, paused, at);
            seen.counts = counts;
        }
        if let Some(usage) = usage {
            seen.at = Some(Instant::now());
            let told = !usage.cpu.is_empty();
            let spent = seen.meter.take(usage.cpu);
            seen.cpu.agents = (told || !spent.is_zero()).then_some(spent);
            seen.memory.agents = usage.memory;
        }
        if let Some((memory, limit, cpu)) = own {
            seen.memory.daemon = memory;
            seen.memory.limit = limit;
            seen.cpu.daemon = cpu;
        }
    }
}

#[async_trait]
impl Sight for Looker {
    async fn look(&self) -> Arc<Report> {
        // Nobody measures any more.
        if self.pulse.is_stopping() {
            return Arc::new(self.report());
        }
        if let Some(report) = self.fresh() {
            return report;
        }
        let mut reports = self.reports.subscribe();
        self.wanted.notify_one();
        let measured = async {
            loop {
                // Looked at after the subscription, so that nothing is missed between the two.
                if let Some(report) = self.fresh() {
                    return report;
                }
                if reports.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, measured)
            .await
            .unwrap_or_else(|_| Arc::new(self.report()))
    }

    fn alive(&self) -> Result<(), String> {
        self.pulse.check(&self.rules.get().watchdog)
    }
}

/// Measures how it all stands: now and then, which is the database's sign of life, and when somebody asks.
pub(super) struct Observer {
    pub(super) looker: Arc<Looker>,
    /// Between two measurements that nobody asks for.
    pub(super) period: Duration,
}

/// A question to the database, and perhaps to others, under way.
type Asking = Pin<Box<dyn Future<Output = (Result<Counts, StoreError>, Option<Usage>)> + Send>>;

impl Observer {
    /// Until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let looker = &self.looker;
        let mut polls = looker.pulse.polls();
        let mut asking: Option<Asking> = Some(self.question(false));
        let mut asked_at = Instant::now();
        loop {
            let trouble = looker.pulse.polling().trouble.is_some() || asking.is_some();
            let nap = if trouble {
                self.period.min(COUNTDOWN)
            } else {
                self.period
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                found = answer(&mut asking) => {
                    asking = None;
                    let counts = match found.0 {
                        Ok(counts) => Some(counts),
                        Err(StoreError::Closed) => return,
                        // An answer all the same.
                        Err(cause) => {
                            debug!(%cause, "cannot count what is open");
                            None
                        }
                    };
                    looker.pulse.answered();
                    looker.take(counts, found.1);
                }
                () = looker.wanted.notified(), if asking.is_none() => {
                    if looker.fresh().is_none() {
                        asking = Some(self.question(true));
                        asked_at = Instant::now();
                    }
                    continue;
                }
                _ = polls.changed() => {}
                () = looker.pulse.news() => {}
                () = tokio::time::sleep(nap) => {}
            }
            if asking.is_none() && asked_at.elapsed() >= self.period {
                asking = Some(self.question(false));
                asked_at = Instant::now();
            }
            self.tell();
        }
    }

    /// Asks; those who look from outside are told as well what everything takes.
    fn question(&self, whole: bool) -> Asking {
        let looker = Arc::clone(&self.looker);
        looker.seen().asked = Some(Instant::now());
        Box::pin(async move {
            let usage = async {
                if whole {
                    Some(looker.runner.usage().await)
                } else {
                    None
                }
            };
            let at = looker.clock.now();
            tokio::join!(Looker::ask(looker.store.clone(), at), usage)
        })
    }

    fn tell(&self) {
        let report = Arc::new(self.looker.report());
        self.looker.reports.send_replace(report);
    }
}

/// Tells the service manager how it stands, whenever that changes, until `shutdown`.
pub(super) async fn tell_manager(
    herald: Arc<Herald>,
    mut reports: watch::Receiver<Arc<Report>>,
    shutdown: CancellationToken,
) {
    loop {
        let sentence = {
            let report = reports.borrow_and_update();
            // Before the first measurement there is nothing to tell.
            (!report.conditions.is_empty()).then(|| report.sentence())
        };
        if let Some(sentence) = sentence {
            herald.status(sentence);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = reports.changed() => if changed.is_err() { return },
        }
    }
}

async fn answer(asking: &mut Option<Asking>) -> (Result<Counts, StoreError>, Option<Usage>) {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

/// Where the limits are.
pub(super) fn rules(
    health: &crate::config::Health,
    poll_timeout: Duration,
    watchdog: Option<Duration>,
) -> Rules {
    Rules {
        // A poll may take this and ten seconds; what comes with it has half a minute.
        poll: poll_timeout + Duration::from_secs(40),
        watchdog: Limits::of(watchdog.unwrap_or(Duration::from_secs(30))),
        answer: Duration::from_secs(5),
        inbox: Duration::from_secs(60),
        outbox: Duration::from_secs(300),
        queue: health.queue,
        out_of_memory: health.out_of_memory,
        write: health.write,
        disk: health.disk_free,
    }
}

/// Whether a test wants the database's thread to stand still from now on.
fn store_frozen() -> bool {
    fail::fail_point!("store-frozen", |_| true);
    false
}
