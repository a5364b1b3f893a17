//! Launching without systemd: the supervisor is started detached, in a session of its own.

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use async_trait::async_trait;
use nix::libc;
use tokio::{process::Command, sync::oneshot};

use super::{
    directory::{RunDirs, RunPaths, trouble},
    engine::{Engine, Launcher},
    fds,
    follow::Departure,
    handoff::{Doors, SameUser},
    usage,
};
use crate::{
    core::{profile::Profile, trouble::ServiceTrouble},
    gateway::ports::{NotStarted, RunnerError, Spec, SupervisorCommand, Usage},
};

/// Variables that a supervisor gets from the daemon: nothing else of the daemon's environment, which may hold
/// secrets.
const KEPT: [&str; 6] = ["PATH", "HOME", "LANG", "TERM", "SHELL", "USER"];

impl Engine {
    /// Runs whose supervisors are started by the daemon itself: for the demo, tests and systems without systemd. They
    /// outlive the daemon, whether it ends in order or is killed.
    ///
    /// Opens `<state_dir>/runs` (made if absent, one daemon at a time), listens at `socket_path` and starts the tasks
    /// on the current tokio runtime. `supervisor.program` is a path, or a name that is searched in `PATH`.
    ///
    /// # Errors
    /// A sentence for the administrator: directory not writable, another daemon, no supervisor, …
    pub fn direct(
        state_dir: impl Into<PathBuf>,
        socket_path: impl Into<PathBuf>,
        supervisor: SupervisorCommand,
    ) -> Result<Self, RunnerError> {
        let (state_dir, socket) = (state_dir.into(), socket_path.into());
        // The supervisor may have another working directory.
        let socket = std::path::absolute(&socket).map_err(|e| trouble("use", &socket, &e))?;
        let launcher = Arc::new(Direct {
            program: find(&supervisor.program)?,
            args: supervisor.args,
            socket: socket.clone(),
        });
        let dirs = RunDirs::open(&state_dir)?;
        Self::new(dirs, &socket, Doors::Own, launcher, Arc::new(SameUser))
    }
}

/// The supervisor's program as a path that does not depend on the working directory.
fn find(program: &OsStr) -> Result<PathBuf, RunnerError> {
    let path = Path::new(program);
    let runnable = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let found = if program.as_encoded_bytes().contains(&b'/') {
        std::path::absolute(path).ok().filter(|p| runnable(p))
    } else {
        std::env::var_os("PATH").and_then(|all| {
            std::env::split_paths(&all)
                .map(|dir| dir.join(path))
                .find(|p| runnable(p))
        })
    };
    found.ok_or_else(|| RunnerError {
        what: format!("cannot find the supervisor {}", path.display()),
        cause: "no such program".to_owned(),
        remedy: "install telexd-run, beside telexd or in PATH".to_owned(),
        no_room: false,
    })
}

/// A profile that a launcher without profiles was asked for.
fn no_profiles(profile: &Profile) -> String {
    format!(
        "the profile {profile} needs systemd, and agents are started directly here; take it out of access.profiles and \
         agent.profile, or set agent.launcher = \"systemd\""
    )
}

struct Direct {
    program: PathBuf,
    args: Vec<OsString>,
    socket: PathBuf,
}

#[async_trait]
impl Launcher for Direct {
    async fn usage(&self) -> Usage {
        let socket = self.socket.clone();
        tokio::task::spawn_blocking(move || usage::below_supervisors(&socket))
            .await
            .unwrap_or_default()
    }

    async fn start(&self, spec: &Spec, paths: &RunPaths) -> Result<Departure, RunnerError> {
        if !spec.profile.is_standard() {
            // Without the sandbox that somebody wanted for it, it had better not run.
            let detail = no_profiles(&spec.profile);
            let trouble = ServiceTrouble::Missing;
            return Ok(Box::pin(std::future::ready(NotStarted::Service {
                trouble,
                detail,
            })));
        }
        let errors = OpenOptions::new()
            .append(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(paths.errors())
            .map_err(|e| trouble("open", &paths.errors(), &e))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .arg(spec.run.as_str())
            .arg(&self.socket)
            .env_clear()
            .envs(KEPT.iter().filter_map(|n| Some((n, std::env::var_os(n)?))))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .kill_on_drop(false);
        fds::in_own_session(command.as_std_mut());
        let mut child = command
            .spawn()
            .map_err(|e| trouble("start the supervisor", &self.program, &e))?;
        let (sender, receiver) = oneshot::channel();
        // Reaps it. Not one of the tasks that a shutdown waits for: where it is dropped, tokio reaps.
        tokio::spawn(async move {
            let words = match child.wait().await {
                Ok(status) => format!("its supervisor ended too early ({status})"),
                Err(error) => format!("its supervisor was lost ({error})"),
            };
            // Nobody listens any more once the run was taken.
            let _ = sender.send(NotStarted::Other { detail: words });
        });
        Ok(Box::pin(async move {
            match receiver.await {
                Ok(why) => why,
                Err(_) => std::future::pending().await,
            }
        }))
    }
}
