//! Settings in use: what the files say and what is changed while the daemon runs, and how both change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    signal::unix::Signal,
    sync::{Notify, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    agents, alerts, observer,
    pulse::Pulse,
    values::{gateway_config, pacing},
};
use crate::{
    agent::claude::ClaudeConfig,
    config::{
        Base, Loaded, Problem, Problems, Settings,
        changes::{Changes, take_over},
        runtime::{AFTER_RESTART, FILES_ONLY, Refused, Setting},
    },
    core::{actor::Actor, live::Live, messages},
    gateway::{
        self, BotName,
        alerts::Alerting,
        handle::Admin,
        ports::{Reloaded, SettingInfo, SettingRefused, Tunables},
        slots::Slots,
    },
    health::conditions::Rules,
    systemd::{log, notify},
    telegram::delivery::pacing::PacingRule,
};

/// Reads the configuration as the start did.
pub type Source = Box<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>;

/// Changes by key, as TOML.
type Stored = BTreeMap<String, String>;

/// Settings in use, where they are in use.
pub(super) struct InUse {
    state: Mutex<State>,
    revision: AtomicU64,
    source: Option<Arc<Source>>,
    /// One reload after the other: what was read first must not be put in use last.
    reloads: Semaphore,
    pulse: Arc<Pulse>,
    by_systemd: bool,
    bot_name: BotName,
    pub(super) gateway: Live<gateway::Config>,
    pub(super) agent: Live<ClaudeConfig>,
    pub(super) pacing: Live<PacingRule>,
    /// Beyond how many messages of an answer its long code goes as files.
    pub(super) file_after: Live<usize>,
    pub(super) slots: Slots,
    pub(super) rules: Live<Rules>,
    pub(super) alerting: Live<Alerting>,
    /// Interval of the service manager's watchdog.
    watchdog: Option<Duration>,
    /// Told of each change.
    pub(super) changed: Arc<Notify>,
}

/// What settings do not tell.
pub(super) struct Surroundings {
    /// Whether agents are started by systemd.
    pub(super) by_systemd: bool,
    /// Interval of the service manager's watchdog.
    pub(super) watchdog: Option<Duration>,
    /// Name of the bot.
    pub(super) bot_name: BotName,
}

/// What the settings in use are made of.
struct State {
    settings: Settings,
    base: Base,
    stored: Stored,
    /// Of `stored`.
    revision: u64,
    /// People who were let in beside the lists.
    let_in: BTreeSet<i64>,
    /// Of `let_in`.
    let_in_revision: u64,
}

/// The settings at a start: as many of the changes hold as go with the files.
pub(super) fn at_start(loaded: Loaded, stored: &Stored) -> (Settings, Base) {
    let (settings, left) = loaded.base.settings_as_far(stored);
    left_out(&left);
    (settings.unwrap_or(loaded.settings), loaded.base)
}

fn left_out(keys: &[String]) {
    for key in keys {
        warn!(
            "{key} was changed at run time to what does not go with the files any more; /config reset {key} takes that back"
        );
    }
}

impl InUse {
    pub(super) fn new(
        (settings, base): (Settings, Base),
        stored: Stored,
        let_in: BTreeSet<i64>,
        source: Option<Source>,
        pulse: Arc<Pulse>,
        Surroundings {
            by_systemd,
            watchdog,
            bot_name,
        }: Surroundings,
    ) -> Self {
        Self {
            rules: Live::new(rules(&settings, watchdog)),
            alerting: Live::new(alerts::alerting(&settings.alerts)),
            watchdog,
            gateway: Live::new(gateway_config(&settings, &let_in, bot_name.clone())),
            agent: Live::new(agents::config(&settings, by_systemd)),
            pacing: Live::new(pacing(&settings)),
            file_after: Live::new(settings.answers.file_after),
            slots: Slots::new(settings.agent.max_processes),
            changed: Arc::default(),
            revision: AtomicU64::new(0),
            source: source.map(Arc::new),
            reloads: Semaphore::new(1),
            pulse,
            by_systemd,
            bot_name,
            state: Mutex::new(State {
                settings,
                base,
                stored,
                revision: 0,
                let_in,
                let_in_revision: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held for a computation only, never over an await.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other settings in use, as far as that is possible.
    fn replace(&self, state: &mut State, new: Settings) -> Changes {
        let (after, changes) = take_over(&state.settings, new);
        if !changes.live.is_empty() {
            self.gateway
                .set(gateway_config(&after, &state.let_in, self.bot_name.clone()));
            self.agent.set(agents::config(&after, self.by_systemd));
            self.pacing.set(pacing(&after));
            self.file_after.set(after.answers.file_after);
            self.slots.resize(after.agent.max_processes);
            self.rules.set(rules(&after, self.watchdog));
            self.alerting.set(alerts::alerting(&after.alerts));
            self.changed.notify_one();
            if after.log_level != state.settings.log_level {
                log::set_level(log::level(after.log_level.into()));
            }
        }
        state.settings = after;
        changes
    }

    /// Other files, and the changes that hold beside them. Also gives the keys whose values are others now.
    fn take(&self, loaded: Loaded) -> (Changes, Vec<String>) {
        let mut state = self.state();
        let before = state.base.list(&state.stored);
        let (settings, left) = loaded.base.settings_as_far(&state.stored);
        left_out(&left);
        let files_only = Stored::new();
        let files = state.base.list(&files_only);
        for (old, new) in files.iter().zip(loaded.base.list(&files_only)) {
            if old.value() != new.value() && state.stored.contains_key(&new.key) {
                let key = new.key;
                warn!(
                    "{key} was changed in the files and does not hold, for it was changed at run time, too; \
                     telexctl config reset {key} takes that back"
                );
            }
        }
        state.base = loaded.base;
        let changes = self.replace(&mut state, settings.unwrap_or(loaded.settings));
        let after = state.base.list(&state.stored);
        // Both list every key, in the same order.
        let keys = before
            .iter()
            .zip(after)
            .filter(|(before, after)| before.value() != after.value())
            .map(|(_, after)| after.key)
            .collect();
        (changes, keys)
    }
}

#[async_trait]
impl Tunables for InUse {
    fn list(&self, changes: &Stored) -> Vec<SettingInfo> {
        self.state()
            .base
            .list(changes)
            .into_iter()
            .map(shown)
            .collect()
    }

    fn one(&self, changes: &Stored, key: &str) -> Result<SettingInfo, SettingRefused> {
        self.state()
            .base
            .one(changes, key)
            .map(shown)
            .map_err(refusal)
    }

    fn change(
        &self,
        changes: &Stored,
        key: &str,
        value: Option<&str>,
    ) -> Result<(String, Stored), SettingRefused> {
        self.state()
            .base
            .change(changes, key, value)
            .map_err(refusal)
    }

    fn revision(&self) -> u64 {
        self.revision.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn apply(&self, revision: u64, changes: Stored) {
        let mut state = self.state();
        if revision <= state.revision {
            return;
        }
        let (settings, _) = state.base.settings_as_far(&changes);
        state.revision = revision;
        state.stored = changes;
        if let Some(settings) = settings {
            let changes = self.replace(&mut state, settings);
            debug!(
                live = changes.live.join(", "),
                restart = changes.restart.join(", "),
                "settings were changed at run time"
            );
        }
    }

    fn let_in(&self, revision: u64, people: BTreeSet<i64>) {
        let mut state = self.state();
        if revision <= state.let_in_revision {
            return;
        }
        state.let_in_revision = revision;
        state.let_in = people;
        let config = gateway_config(&state.settings, &state.let_in, self.bot_name.clone());
        self.gateway.set(config);
        self.changed.notify_one();
    }

    async fn reload(&self) -> Result<Reloaded, String> {
        let Some(source) = self.source.clone() else {
            return Err("this daemon was not started from files".to_owned());
        };
        // Never closed.
        let _turn = self.reloads.acquire().await;
        notify::reloading();
        // A file system that hangs must not hold up the rest.
        let (left, done) = match tokio::task::spawn_blocking(move || source()).await {
            Ok(Ok(loaded)) => {
                let warnings = loaded.warnings.clone();
                let (changes, keys) = self.take(loaded);
                let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
                let reloaded = Reloaded {
                    live: owned(&changes.live),
                    restart: owned(&changes.restart),
                    keys,
                };
                (taken(&warnings, &changes), Ok(reloaded))
            }
            Ok(Err(problems)) => (refused(&problems), Err(problems.to_string())),
            Err(cause) => {
                error!(%cause, "the configuration could not be read again");
                (None, Err("the files could not be read".to_owned()))
            }
        };
        self.pulse.reloaded(left);
        notify::ready();
        done
    }
}

fn rules(settings: &Settings, watchdog: Option<Duration>) -> Rules {
    observer::rules(&settings.health, settings.telegram.poll_timeout, watchdog)
}

fn shown(setting: Setting) -> SettingInfo {
    let (value, source) = match setting.entry.value {
        Some((value, origin)) => (Some(value), origin.to_string()),
        None => (None, "default".to_owned()),
    };
    SettingInfo {
        after_restart: AFTER_RESTART.contains(&&*setting.key),
        files_only: FILES_ONLY.contains(&&*setting.key),
        key: setting.key,
        value,
        default: setting.default,
        source,
        kind: setting.entry.kind.to_owned(),
        range: setting.entry.allowed,
        about: setting.entry.about.to_owned(),
    }
}

fn refusal(why: Refused) -> SettingRefused {
    match why {
        Refused::NoSuchKey { given, nearest } => SettingRefused {
            unknown: true,
            what: format!("there is no setting {given}"),
            remedy: format!("the nearest are {}", nearest.join(", ")),
        },
        Refused::FilesOnly { key, file } => SettingRefused {
            unknown: false,
            what: format!("{key} is set in files only"),
            remedy: format!(
                "set it in {} on the server, and then: systemctl reload telexd",
                file.display()
            ),
        },
        Refused::Value { key, what, remedy } => SettingRefused {
            unknown: false,
            what: format!("{key}: {what}"),
            remedy,
        },
    }
}

/// Reloads at each SIGHUP until `shutdown`.
pub(super) async fn at_hangups(mut hangups: Signal, admin: Admin, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            hangup = hangups.recv() => if hangup.is_none() { return },
        }
        if let Err(cause) = admin.reload(Actor::Signal).await {
            debug!(%cause, "a reload was refused, or not recorded");
        }
    }
}

fn taken(warnings: &[Problem], changes: &Changes) -> Option<String> {
    for warning in warnings {
        warn!("{warning}");
    }
    let live = changes.live.join(", ");
    if changes.live.is_empty() && changes.restart.is_empty() {
        info!("the configuration was read again: nothing has changed");
    } else if !changes.live.is_empty() {
        info!(
            event = messages::CONFIG_RELOADED,
            changed = live,
            "the configuration was read again and holds"
        );
    }
    if changes.restart.is_empty() {
        return None;
    }
    let restart = changes.restart.join(", ");
    warn!("a changed setting holds only after a restart (systemctl restart telexd): {restart}");
    Some(format!("restart to apply {restart}"))
}

fn refused(problems: &Problems) -> Option<String> {
    for problem in &problems.0 {
        error!("{problem}");
    }
    error!(
        event = messages::RELOAD_REFUSED,
        problems = problems.0.len(),
        "the configuration is wrong, so the settings stay as they were; telexd check tells when it is right"
    );
    let all: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    Some(format!(
        "configuration refused, the settings before hold: {}",
        all.join(" | ")
    ))
}
