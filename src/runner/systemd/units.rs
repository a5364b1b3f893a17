//! Runs as units: starting, checking who comes, ending, and what became of them.

use std::{
    collections::HashSet,
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::{
    bus::{Bus, CallError},
    ends::{self, Facts},
    names,
};
use crate::{
    core::{ids::RunId, profile::Profile, trouble::ServiceTrouble},
    gateway::ports::{Exit, NotStarted, RunnerError, Spec, Usage},
    runner::{
        directory::{About, Ended, RunPaths},
        engine::Launcher,
        follow::Departure,
        handoff::{Doubt, Peer, PeerCheck},
    },
};

/// Pause between two looks at a unit.
const STEP: Duration = Duration::from_millis(100);
/// How long a unit may take from the end of its supervisor to its own: the time that systemd gives it, and some.
const UNIT_ENDS: Duration = Duration::from_secs(30);
/// How long systemd may take over a stop before the unit's processes are killed. The supervisor itself kills after 3 s,
/// systemd after 5 s, so this is for a template that was given more time, and a supervisor that cannot any more.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long a failed unit is kept after the end of its run is known.
const TIDY: Duration = Duration::from_secs(5);
/// How often a call is tried that a bus that is away must not swallow, and the pause between.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);
/// How long systemd may take to tell what agents take.
const USAGE_WITHIN: Duration = Duration::from_secs(1);

/// Units of agents.
pub(super) struct Units {
    bus: Arc<Bus>,
    /// Runs that this daemon has launched: never strangers.
    launched: Arc<Mutex<HashSet<RunId>>>,
}

impl Units {
    pub(super) fn new(bus: Bus) -> Self {
        Self {
            bus: Arc::new(bus),
            launched: Arc::default(),
        }
    }

    fn launched(&self) -> MutexGuard<'_, HashSet<RunId>> {
        locked(&self.launched)
    }
}

fn locked(launched: &Mutex<HashSet<RunId>>) -> MutexGuard<'_, HashSet<RunId>> {
    // Changed by single calls; a panic elsewhere leaves it whole.
    launched.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Launcher for Units {
    async fn start(&self, spec: &Spec, _paths: &RunPaths) -> Result<Departure, RunnerError> {
        self.launched().insert(spec.run.clone());
        let (mut sender, receiver) = oneshot::channel();
        let bus = Arc::clone(&self.bus);
        let (unit, template) = (
            names::unit(&spec.profile, &spec.run),
            names::template(&spec.profile),
        );
        tokio::spawn(async move {
            let why = tokio::select! {
                // The run was taken, or nobody follows it any more.
                () = sender.closed() => return,
                why = bring_up(&bus, &unit, &template) => why,
            };
            let _ = sender.send(why);
        });
        Ok(Box::pin(async move {
            match receiver.await {
                Ok(why) => why,
                Err(_) => std::future::pending().await,
            }
        }))
    }

    fn end(&self, run: &RunId, profile: &Profile) {
        let (bus, unit) = (Arc::clone(&self.bus), names::unit(profile, run));
        tokio::spawn(async move { end(&bus, &unit).await });
    }

    async fn verdict(
        &self,
        run: &RunId,
        about: &About,
        ended: Option<Ended>,
        asked: bool,
    ) -> Option<Exit> {
        self.launched().remove(run);
        let from_outside = ended.as_ref().is_some_and(|e| e.by_signal);
        let plain = match &ended {
            // Lost with the machine, however orderly that went down.
            Some(e) if e.by_signal && !asked && about.is_of_another_boot() => return None,
            Some(e) => matches!(e.exit, Exit::Code { code: ..=128 }) && !from_outside,
            None => false,
        };
        let unit = names::unit(&about.profile, run);
        self.tidy_later(&unit);
        if plain {
            return ended.map(|e| e.exit);
        }
        let facts = self.at_rest(&unit).await;
        let by_systemd = facts.as_ref().and_then(Facts::ended);
        // The supervisor may have been killed before it could say so.
        let from_outside = from_outside || facts.is_some_and(|facts| facts.was_stopped_by_force());
        match by_systemd {
            Some(exit) => Some(exit),
            None if from_outside && !asked => {
                // Not an end of the agent's alone: the next start takes it up.
                self.unless_going_down().await;
                Some(Exit::Stopped)
            }
            None => ended.map(|e| e.exit),
        }
    }

    fn discard(&self, run: &RunId, profile: &Profile) {
        self.launched().remove(run);
        let (bus, unit) = (Arc::clone(&self.bus), names::unit(profile, run));
        tokio::spawn(async move {
            // It has nothing to do any more, and ends by itself at the latest when it is refused its run.
            if let Err(error) = bus.stop(&unit).await {
                tracing::debug!(%unit, %error, "cannot stop a unit without a run");
            }
            let deadline = Instant::now() + UNIT_ENDS;
            while Instant::now() < deadline {
                match bus.unit(&unit).await.as_ref().map(Facts::from) {
                    Ok(facts) if facts.active == "failed" => {
                        let _ = bus.reset_failed(&unit).await;
                        return;
                    }
                    Ok(facts) if !facts.is_over() => sleep(STEP).await,
                    _ => return,
                }
            }
        });
    }

    async fn usage(&self) -> Usage {
        let asked = timeout(USAGE_WITHIN, self.bus.slice(names::SLICE)).await;
        let Ok(Ok(slice)) = asked else {
            return Usage::default();
        };
        let cpu = slice.number("CPUUsageNSec").map(Duration::from_nanos);
        Usage {
            memory: slice.number("MemoryCurrent"),
            cpu: cpu
                .into_iter()
                .map(|spent| (names::SLICE.to_owned(), spent))
                .collect(),
        }
    }

    fn units(&self) -> Option<fn(&Profile, &RunId) -> String> {
        Some(names::unit)
    }

    fn expect(&self, live: Vec<RunId>) {
        let (bus, launched) = (Arc::clone(&self.bus), Arc::clone(&self.launched));
        let live: HashSet<RunId> = live.into_iter().collect();
        tokio::spawn(async move {
            for _ in 0..TRIES {
                match bus.list(&names::PATTERNS).await {
                    Ok(units) => {
                        for unit in units {
                            let Some((_, run)) = names::parse(&unit.name) else {
                                tracing::warn!(unit = %unit.name, "a unit with a name that telexd does not give");
                                continue;
                            };
                            if !live.contains(&run) && !locked(&launched).contains(&run) {
                                stranger(&bus, &unit.name, &unit.active).await;
                            }
                        }
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot look for units of an earlier daemon yet");
                        sleep(PAUSE).await;
                    }
                }
            }
            tracing::warn!("could not look for units of an earlier daemon");
        });
    }
}

impl Units {
    /// What is known of the unit once nothing of it runs.
    async fn at_rest(&self, unit: &str) -> Option<Facts> {
        let deadline = Instant::now() + UNIT_ENDS;
        loop {
            match self.bus.unit(unit).await.as_ref().map(Facts::from) {
                Ok(facts) if facts.is_over() => return Some(facts),
                Ok(facts) if Instant::now() > deadline => {
                    tracing::warn!(
                        unit,
                        state = facts.active,
                        "the unit of a run that is over does not end"
                    );
                    return Some(facts);
                }
                Err(error) if Instant::now() > deadline => {
                    tracing::warn!(unit, %error, "systemd cannot be asked how a run ended");
                    return None;
                }
                _ => sleep(STEP).await,
            }
        }
    }

    /// Waits for ever where the machine is going down.
    async fn unless_going_down(&self) {
        for _ in 0..10 {
            match self.bus.system_state().await.as_deref() {
                Ok("stopping") => return std::future::pending().await,
                Ok(_) => return,
                // The bus may be the first to go.
                Err(_) => sleep(PAUSE / 4).await,
            }
        }
    }

    /// Lets systemd forget the unit where it failed, once what became of the run has been recorded: a daemon that is
    /// killed before can ask again.
    fn tidy_later(&self, unit: &str) {
        let (bus, unit) = (Arc::clone(&self.bus), unit.to_owned());
        tokio::spawn(async move {
            sleep(TIDY).await;
            let known = bus.unit(&unit).await;
            if known.is_ok_and(|known| Facts::from(&known).active == "failed")
                && let Err(error) = bus.reset_failed(&unit).await
            {
                tracing::debug!(%unit, %error, "cannot let systemd forget a failed unit");
            }
        });
    }
}

/// Starts a unit and stays until it is clear that it will not take its run. Then says why.
async fn bring_up(bus: &Bus, unit: &str, template: &str) -> NotStarted {
    match bus.start(unit).await {
        Ok(job) => {
            if let Some(result) = job.end().await
                && result != "done"
            {
                tracing::debug!(unit, result, "the job that starts a unit did not succeed");
            }
        }
        Err(error) => {
            if bus.system_state().await.is_ok_and(|s| s == "stopping") {
                return std::future::pending().await;
            }
            let polkit = bus.has_polkit().await.unwrap_or(true);
            if let Some(why) = ends::refused(&error, unit, polkit) {
                return why;
            }
            return match bus.unit(unit).await.as_ref().map(Facts::from) {
                Ok(facts) if facts.load != "loaded" => facts.not_started(unit, template),
                _ => NotStarted::Service {
                    trouble: ServiceTrouble::Other,
                    detail: format!(
                        "systemd does not start {unit}: {error}; see `systemctl cat {template}`"
                    ),
                },
            };
        }
    }
    // Up, or failed. Where it runs it now asks for its run, and nobody wants to hear from us any more.
    loop {
        match bus.unit(unit).await.as_ref().map(Facts::from) {
            Ok(facts) if facts.is_over() => return facts.not_started(unit, template),
            _ => sleep(STEP).await,
        }
    }
}

/// Stops a unit; kills what does not end.
async fn end(bus: &Bus, unit: &str) {
    let mut killed = false;
    for _ in 0..TRIES {
        match bus.stop(unit).await {
            Ok(()) => {}
            Err(error) if error.kind() == "NoSuchUnit" => return,
            Err(error) => {
                // The supervisor was told over its bell as well.
                tracing::debug!(unit, %error, "cannot stop the unit; tried again");
                sleep(PAUSE).await;
                continue;
            }
        }
        let over = async {
            loop {
                match bus.unit(unit).await.as_ref().map(Facts::from) {
                    Ok(facts) if facts.is_over() => return,
                    _ => sleep(STEP).await,
                }
            }
        };
        if timeout(STOP_LIMIT, over).await.is_ok() {
            return;
        }
        if !killed {
            tracing::warn!(
                unit,
                "an agent does not end; all of its processes are killed"
            );
            killed = true;
        }
        if let Err(error) = bus.kill(unit).await {
            tracing::debug!(unit, %error, "cannot kill the processes of a unit; tried again");
        }
    }
    tracing::error!(unit, "a unit could not be stopped");
}

/// Ends a unit of which nothing is known.
async fn stranger(bus: &Bus, unit: &str, active: &str) {
    if active == "failed" {
        tracing::debug!(
            unit,
            "systemd is let forget a failed unit of an earlier time"
        );
        let _ = bus.reset_failed(unit).await;
    } else if active != "inactive" {
        tracing::warn!(unit, "an agent of which nothing is known is ended");
        end(bus, unit).await;
        let _ = bus.reset_failed(unit).await;
    }
}

#[async_trait]
impl PeerCheck for Units {
    /// The peer must belong to the unit of exactly this run.
    async fn check(&self, peer: &Peer, run: &RunId, profile: &Profile) -> Result<(), Doubt> {
        let pid = peer
            .credentials
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| *pid > 0)
            .ok_or_else(|| Doubt::Never("the peer has no process id here".to_owned()))?;
        let wanted = names::unit(profile, run);
        let found = self
            .bus
            .unit_of(pid, peer.pidfd.as_ref().map(|fd| fd.as_fd()))
            .await
            .map_err(|error| match &error {
                CallError::NoBus(_) => Doubt::Later(format!(
                    "systemd cannot be asked who process {pid} is: {error}"
                )),
                CallError::Refused { .. } => {
                    Doubt::Never(format!("process {pid} is of no unit: {error}"))
                }
            })?;
        if found == wanted {
            Ok(())
        } else {
            Err(Doubt::Never(format!(
                "process {pid} is of {found}, not of {wanted}"
            )))
        }
    }
}
