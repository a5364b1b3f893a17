//! How agents are started, and with what.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tracing::{info, warn};

use super::Misconfigured;
use crate::{
    agent::claude::ClaudeConfig,
    config::{Launcher, Settings},
    gateway::ports::SupervisorCommand,
    runner::{self, Engine},
};

/// Whether agents are started by systemd; says so.
pub(super) fn by_systemd(settings: &Settings) -> bool {
    match settings.agent.launcher {
        Launcher::Direct => {
            info!("agents are started directly, as the configuration says");
            false
        }
        Launcher::Systemd => {
            info!("agents are started by systemd, as the configuration says");
            true
        }
        Launcher::Auto => match runner::look() {
            runner::Systemd::Here(template) => {
                info!(template = %template.display(), "agents are started by systemd, which runs this machine");
                true
            }
            runner::Systemd::Not(why) => {
                info!(why, "agents are started directly");
                false
            }
        },
    }
}

pub(super) fn runner(
    settings: &Settings,
    by_systemd: bool,
    supervisor: SupervisorCommand,
) -> Result<Engine> {
    let (state, socket) = (
        settings.state_directory.clone(),
        handoff_socket(&settings.state_directory),
    );
    if !by_systemd {
        return Ok(Engine::direct(state, socket, supervisor)?);
    }
    // Where the configuration itself says systemd, checking it has said so already.
    if settings.agent.launcher == Launcher::Auto
        && let Some(file) = &settings.agent.environment_file
    {
        warn!(
            file = %file.display(),
            "agent.environment_file is not used where agents are started by systemd; put the lines into \
             /etc/telexd/agent.env, or name the file with LoadCredential=agent-env:FILE in `systemctl edit \
             telexd-agent@.service`"
        );
    }
    Ok(Engine::by_systemd(state, socket)?)
}

pub(super) fn config(settings: &Settings, by_systemd: bool) -> ClaudeConfig {
    let agent = &settings.agent;
    ClaudeConfig {
        command: agent.command.clone(),
        directory: agent.directory.clone(),
        environment_file: agent.environment_file.clone().filter(|_| !by_systemd),
        trust_project: agent.trust_project,
        model: agent.model.clone(),
        output_limit: agent.output_limit,
    }
}

/// Below which directory agents see copies of the files that people sent; `None` where they see the daemon's own.
///
/// The units of agents have a `/var/tmp` of their own: on the disk, seen by no other, and gone with the unit. It does not
/// matter there as which user an agent runs, and no agent needs a folder that the daemon may write to.
pub(super) fn inboxes(by_systemd: bool) -> Option<PathBuf> {
    by_systemd.then(|| PathBuf::from("/var/tmp/telexd-inbox"))
}

/// The socket on which supervisors take their hand-off: in the runtime directory that systemd made, else with the state.
fn handoff_socket(state: &Path) -> PathBuf {
    std::env::var_os("RUNTIME_DIRECTORY")
        .map_or_else(|| state.to_owned(), PathBuf::from)
        .join("handoff.sock")
}

/// `telexd-run` stands beside this program, or where the package puts it.
pub(super) fn find_supervisor() -> Result<SupervisorCommand> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = [
        folder.join("telexd-run"),
        folder.join("../libexec/telexd/telexd-run"),
    ];
    match places.iter().find(|place| place.is_file()) {
        Some(found) => Ok(SupervisorCommand {
            program: found.into(),
            args: Vec::new(),
        }),
        None => bail!(Misconfigured(format!(
            "telexd-run is not there: neither {} nor {}; install the package again",
            places[0].display(),
            places[1].display()
        ))),
    }
}
