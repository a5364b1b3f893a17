//! SIGHUP: the configuration is read again, and what can be changed while the daemon runs is changed.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{signal::unix::Signal, sync::Notify};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{agents, gateway_config, pacing, pulse::Pulse};
use crate::{
    agent::claude::ClaudeConfig,
    config::{
        Loaded, Problems, Settings,
        changes::{Changes, take_over},
    },
    core::{live::Live, messages},
    gateway::{self, BotName, slots::Slots},
    systemd::{log, notify},
    telegram::delivery::pacing::PacingRule,
};

/// Reads the configuration as the start did.
pub type Source = Box<dyn Fn() -> Result<Loaded, Problems> + Send + Sync>;

/// Settings in use, where they are in use.
pub(super) struct InUse {
    settings: Mutex<Settings>,
    by_systemd: bool,
    bot_name: BotName,
    pub(super) gateway: Live<gateway::Config>,
    pub(super) agent: Live<ClaudeConfig>,
    pub(super) pacing: Live<PacingRule>,
    pub(super) slots: Slots,
    /// Told of each change.
    pub(super) changed: Arc<Notify>,
}

impl InUse {
    pub(super) fn new(settings: Settings, by_systemd: bool, bot_name: BotName) -> Self {
        Self {
            gateway: Live::new(gateway_config(&settings, bot_name.clone())),
            agent: Live::new(agents::config(&settings, by_systemd)),
            pacing: Live::new(pacing(&settings)),
            slots: Slots::new(settings.agent.max_processes),
            changed: Arc::default(),
            by_systemd,
            bot_name,
            settings: Mutex::new(settings),
        }
    }

    /// Puts other settings in use, as far as that is possible.
    fn replace(&self, new: Settings) -> Changes {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let (after, changes) = take_over(&settings, new);
        if !changes.live.is_empty() {
            self.gateway
                .set(gateway_config(&after, self.bot_name.clone()));
            self.agent.set(agents::config(&after, self.by_systemd));
            self.pacing.set(pacing(&after));
            self.slots.resize(after.agent.max_processes);
            self.changed.notify_one();
            // What was asked for over the bus meanwhile stays where this says nothing new.
            if after.log_level != settings.log_level {
                log::set_level(log::level(after.log_level.into()));
            }
        }
        *settings = after;
        changes
    }
}

/// Reloads at each SIGHUP until `shutdown`.
pub(super) async fn at_hangups(
    mut hangups: Signal,
    source: Source,
    in_use: Arc<InUse>,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
) {
    let source = Arc::new(source);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            hangup = hangups.recv() => if hangup.is_none() { return },
        }
        notify::reloading();
        // A file system that hangs must not hold up the rest.
        let read = Arc::clone(&source);
        let left = match tokio::task::spawn_blocking(move || read()).await {
            Ok(Ok(loaded)) => Some(taken(&in_use, loaded)),
            Ok(Err(problems)) => Some(refused(&problems)),
            Err(cause) => {
                error!(%cause, "the configuration could not be read again");
                None
            }
        };
        pulse.reloaded(left.flatten());
        notify::ready();
    }
}

fn taken(in_use: &InUse, loaded: Loaded) -> Option<String> {
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let changes = in_use.replace(loaded.settings);
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
