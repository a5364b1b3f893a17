//! telexd as a process of its own, so that it can really be killed; and the host's hold on it.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getpid, getppid},
};
use telexd::{
    app,
    config::{self, Surroundings},
    gateway::ports::SupervisorCommand,
    store::Store,
    systemd::log,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{complain, home};

/// First argument of the daemon.
pub const DAEMON: &str = "--as-daemon";
/// First argument of a supervisor.
pub const SUPERVISOR: &str = "--as-supervisor";

/// How long a killed daemon stays away, so that one can see that the agent goes on, and write to it meanwhile.
const AWAY: Duration = Duration::from_secs(3);
/// How long an end in order may take; telexd promises 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(6);
/// Variables that a daemon gets.
const KEPT: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "TERM",
    "SHELL",
    "USER",
    "RUST_BACKTRACE",
];

/// Runs telexd. Arguments: process id of the host, configuration file.
pub fn main(args: &[OsString]) -> ExitCode {
    let [host, file] = args else {
        complain("the daemon is started by the demo");
        return ExitCode::from(2);
    };
    // The host's end is ours, however it ends. If it was gone before the call, nothing would tell us.
    let tied = prctl::set_pdeathsig(Signal::SIGKILL).is_ok();
    if !tied || host.to_string_lossy() != getppid().to_string() {
        return ExitCode::FAILURE;
    }
    match serve(Path::new(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&format!("{why:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(file: &Path) -> anyhow::Result<()> {
    let loaded = config::load(file, &Surroundings::default())?;
    let settings = &loaded.settings;
    log::start(log::level(settings.log_level.into()), app::LOG_KINDS);
    let (store, _thread) = Store::open(&settings.state_directory)?;
    let supervisor = SupervisorCommand {
        program: std::env::current_exe()?.into(),
        args: vec![SUPERVISOR.into()],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let mut term = signal(SignalKind::terminate())?;
        let asked = shutdown.clone();
        tokio::spawn(async move {
            while term.recv().await.is_some() {
                asked.cancel();
            }
        });
        app::serve(loaded, store, supervisor, shutdown).await
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// What the host knows of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs; it may not have asked for messages yet.
    Runs(Pid),
    /// It was killed and comes back by itself.
    Killed(Pid),
    /// It ended by itself.
    Ended(ExitStatus),
}

/// The host's hold on the daemon.
pub struct Daemon {
    home: PathBuf,
    config: PathBuf,
    child: Option<Child>,
    back_at: Option<Instant>,
    killed: bool,
}

impl Daemon {
    /// Starts it.
    ///
    /// # Errors
    /// The system's.
    pub fn start(home: &Path, config: &Path) -> std::io::Result<Self> {
        let mut daemon = Self {
            home: home.to_owned(),
            config: config.to_owned(),
            child: None,
            back_at: None,
            killed: false,
        };
        daemon.launch()?;
        Ok(daemon)
    }

    fn launch(&mut self) -> std::io::Result<()> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(home::log(&self.home))?;
        let child = Command::new(std::env::current_exe()?)
            .arg(DAEMON)
            .arg(getpid().to_string())
            .arg(&self.config)
            .env_clear()
            .envs(KEPT.iter().filter_map(|n| Some((n, std::env::var_os(n)?))))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // The keys of the terminal are not for it.
            .process_group(0)
            .spawn()?;
        self.child = Some(child);
        self.back_at = None;
        self.killed = false;
        Ok(())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<Pid> {
        let id = self.child.as_ref()?.id()?;
        i32::try_from(id).ok().map(Pid::from_raw)
    }

    /// SIGKILL. It comes back after a while. Where it is away, it comes back at once.
    pub fn kill(&mut self) {
        match self.pid() {
            Some(pid) => {
                self.killed = true;
                let _ = kill(pid, Signal::SIGKILL);
            }
            None => self.back_at = Some(Instant::now()),
        }
    }

    /// Waits for the next change: an end, or the return. Nothing is lost where it is dropped.
    ///
    /// # Errors
    /// It could not be started again.
    pub async fn changed(&mut self) -> std::io::Result<State> {
        if let Some(child) = &mut self.child {
            let pid = child.id().and_then(|id| i32::try_from(id).ok());
            let status = child.wait().await?;
            self.child = None;
            return Ok(match pid {
                Some(pid) if self.killed => {
                    self.back_at = Some(Instant::now() + AWAY);
                    State::Killed(Pid::from_raw(pid))
                }
                _ => State::Ended(status),
            });
        }
        match self.back_at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
        // Once: where it fails, somebody has to ask for it again.
        self.back_at = None;
        self.launch()?;
        self.pid()
            .map(State::Runs)
            .ok_or_else(|| std::io::Error::other("the daemon has no process id"))
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It did not end in time, or not with success.
    pub async fn stop(mut self) -> Result<(), String> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let _ = kill(pid, Signal::SIGTERM);
        match timeout(STOP_WITHIN, child.wait()).await {
            Ok(Ok(status)) if status.success() || self.killed => Ok(()),
            Ok(Ok(status)) => Err(format!("the daemon did not end in order ({status})")),
            Ok(Err(e)) => Err(format!("the daemon was lost: {e}")),
            Err(_) => Err("the daemon did not end in time".to_owned()),
        }
    }
}

/// The last line that the daemon wrote to its journal.
pub fn last_words(home: &Path) -> Option<String> {
    let text = std::fs::read_to_string(home::log(home)).ok()?;
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_that_fails_is_told_once_and_tried_again_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = Daemon {
            // Nowhere to write its log to.
            home: dir.path().join("nowhere"),
            config: dir.path().join("none"),
            child: None,
            back_at: None,
            killed: false,
        };
        for _ in 0..2 {
            daemon.kill();
            assert!(daemon.changed().await.is_err());
            let more = timeout(Duration::from_millis(100), daemon.changed()).await;
            assert!(more.is_err(), "it was tried again by itself");
        }
    }
}
