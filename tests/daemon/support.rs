//! A world for one test: a Bot API, a state directory, an agent, and the daemon as a child process.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd_botapi::{BotApi, Config, ShownMessage};
use telexd_scripted_agent::history::Evidence;
use tempfile::TempDir;

use crate::shared;
pub use crate::shared::{ADMIN, FAST, MARK, USER, breathe, fast, shows, texts, wait_within};

/// The one deadline for whatever a test waits for.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// Everything that a test needs; dropping it leaves nothing behind.
pub struct World {
    pub api: BotApi,
    pub dir: TempDir,
    /// How long is waited for whatever is to be seen in a chat.
    pub patience: Duration,
    extra: String,
}

impl World {
    /// A world with the scripted agent and with batching off.
    pub async fn new() -> Self {
        Self::with(Config::default(), "").await
    }

    /// A world with further lines of configuration (whole sections that the base does not have).
    pub async fn with(config: Config, extra: &str) -> Self {
        let api = BotApi::start(config).await.unwrap();
        let dir = tempfile::Builder::new()
            .prefix("telexd-")
            .tempdir()
            .unwrap();
        for sub in ["state", "home", "project"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let world = Self {
            api,
            dir,
            patience: DEADLINE,
            extra: extra.to_owned(),
        };
        fs::write(world.path("token"), format!("{}\n", world.api.token())).unwrap();
        nix::sys::stat::fchmodat(
            nix::fcntl::AT_FDCWD,
            &world.path("token"),
            nix::sys::stat::Mode::from_bits_truncate(0o600),
            nix::sys::stat::FchmodatFlags::FollowSymlink,
        )
        .unwrap();
        world.agent_environment(&[]);
        world.write_config(&telexd_scripted_agent::binary(), "");
        world
    }

    /// A path in this world's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Variables of the agent; `HOME` is always this world's.
    pub fn agent_environment(&self, more: &[(&str, &str)]) {
        let mut text = format!("HOME={}\n", self.path("home").display());
        for (name, value) in more {
            text.push_str(&format!("{name}={value}\n"));
        }
        fs::write(self.path("agent.env"), text).unwrap();
    }

    /// Writes the configuration for an agent program; `agent` are further lines of its section.
    pub fn write_config(&self, program: &Path, agent: &str) {
        let text = format!(
            "[telegram]\ntoken_file = \"{token}\"\napi_url = \"{url}\"\n\n[access]\nadmins = [{ADMIN}]\nusers = [{USER}]\n\n\
             [agent]\ncommand = \"{program}\"\ndirectory = \"{project}\"\nlauncher = \"direct\"\nenvironment_file = \"{env}\"\n{agent}\n\
             [state]\ndirectory = \"{state}\"\n\n{extra}",
            token = self.path("token").display(),
            url = self.api.url(),
            program = program.display(),
            project = self.path("project").display(),
            env = self.path("agent.env").display(),
            state = self.path("state").display(),
            extra = if self.extra.is_empty() {
                FAST
            } else {
                &self.extra
            },
        );
        fs::write(self.path("telexd.toml"), text).unwrap();
    }

    /// Starts the daemon.
    pub fn start(&self) -> Daemon {
        self.start_with(&[])
    }

    /// Starts the daemon with further variables.
    pub fn start_with(&self, env: &[(&str, &str)]) -> Daemon {
        self.start_arguments(&[], env)
    }

    /// Starts the daemon with further arguments and variables.
    pub fn start_arguments(&self, arguments: &[&str], env: &[(&str, &str)]) -> Daemon {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("daemon.log"))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_telexd"));
        command
            .arg("--config")
            .arg(self.path("telexd.toml"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Daemon {
            child: Some(command.spawn().unwrap()),
        }
    }

    /// What the daemon has logged so far, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// What the scripted agents have seen.
    pub fn evidence(&self) -> Evidence {
        Evidence::read(&self.path("home")).unwrap()
    }

    /// Waits until the chat satisfies the condition, and fails with what is there if it never does.
    pub async fn wait_chat(
        &self,
        chat: i64,
        what: &str,
        condition: impl Fn(&[ShownMessage]) -> bool,
    ) -> Vec<ShownMessage> {
        let said = || format!("the daemon says:\n{}", self.log());
        shared::wait_chat(&self.api, self.patience, chat, what, condition, said).await
    }

    /// Processes that belong to this world: agents, supervisors and what they started.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let marker = self.dir.path().as_os_str().as_encoded_bytes().to_vec();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<i32>().ok())
            else {
                continue;
            };
            if pid == i32::try_from(std::process::id()).unwrap() {
                continue;
            }
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let (cmdline, environ) = (read("cmdline"), read("environ"));
            if contains(&cmdline, &marker) || contains(&environ, &marker) {
                found.push((pid, String::from_utf8_lossy(&cmdline).replace('\0', " ")));
            }
        }
        found
    }

    /// Ends whatever still runs in this world, for tests that leave agents behind on purpose.
    pub async fn end_all(&self) {
        wait_until(
            "all processes have ended",
            || {
                let left = self.processes();
                for (pid, _) in &left {
                    let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
                }
                left.is_empty()
            },
            || format!("{:#?}", self.processes()),
        )
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Also when a test fails: no process outlives it.
        for (pid, _) in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The daemon as a child process; killed when dropped.
pub struct Daemon {
    child: Option<Child>,
}

impl Daemon {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().unwrap().id()).unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    /// Waits for it to end by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < until, "the daemon does not end");
            breathe().await;
        }
    }

    /// SIGTERM, and waits for a clean end. Returns how long it took.
    pub async fn stop(mut self) -> Duration {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM);
        let status = self.wait().await;
        assert_eq!(
            (status.code(), status.signal()),
            (Some(0), None),
            "the daemon did not end well"
        );
        begun.elapsed()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a condition that nothing announces, with the one deadline.
pub async fn wait_until(
    what: &str,
    condition: impl FnMut() -> bool,
    otherwise: impl Fn() -> String,
) {
    wait_within(DEADLINE, what, condition, otherwise).await;
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

/// Texts without what is said after a crash, for tests that kill the daemon for another reason.
pub fn talk(messages: &[ShownMessage]) -> Vec<String> {
    let mut texts = texts(messages);
    texts.retain(|text| !text.contains("I was restarted after a crash."));
    texts
}
