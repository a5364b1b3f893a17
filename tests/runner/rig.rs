//! A state directory, a runner, agents as shell scripts, and waiting with one deadline.

use std::{
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd::{
    core::ids::RunId,
    gateway::ports::{Exit, Followed, Line, Notice, Runner, Spec, SupervisorCommand},
    runner::Engine,
};
use tempfile::TempDir;

/// Deadline of every wait.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The supervisor under test.
pub fn supervisor() -> SupervisorCommand {
    SupervisorCommand {
        program: env!("CARGO_BIN_EXE_telexd-run").into(),
        args: Vec::new(),
    }
}

/// Waits for a condition.
pub async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A run id of its own for each number.
pub fn run_id(number: u8) -> RunId {
    let mut bytes = [0; RunId::LEN];
    bytes[0] = number & 31;
    bytes[1] = number >> 5;
    RunId::from_random(bytes)
}

/// A directory that ends every run in it when it goes.
pub struct Rig {
    pub base: Base,
}

/// A directory of our own, or one of another process.
pub enum Base {
    Own(TempDir),
    Other(PathBuf),
}

impl Base {
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(dir) => dir.path(),
            Self::Other(path) => path,
        }
    }
}

impl Rig {
    pub fn new() -> Self {
        Self {
            base: Base::Own(tempfile::tempdir().unwrap()),
        }
    }

    /// The rig of another process. Its runs are not ours to end: never drop it.
    pub fn at(path: &Path) -> Self {
        Self {
            base: Base::Other(path.to_owned()),
        }
    }

    pub fn state(&self) -> PathBuf {
        self.base.path().join("state")
    }

    pub fn socket(&self) -> PathBuf {
        self.base.path().join("handoff.sock")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.base.path().join(name)
    }

    pub fn runner(&self) -> Engine {
        Engine::direct(self.state(), self.socket(), supervisor()).unwrap()
    }

    pub fn run_file(&self, run: &RunId, name: &str) -> PathBuf {
        self.state().join("runs").join(run.as_str()).join(name)
    }

    /// A run of `sh -c script`, with the directory of the rig as `$BASE` and working directory.
    pub fn spec(&self, number: u8, script: &str) -> Spec {
        Spec {
            run: run_id(number),
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![(
                "BASE".to_owned(),
                self.base.path().to_str().unwrap().to_owned(),
            )],
            environment_file: None,
            directory: self.base.path().to_owned(),
            version_gate: None,
            output_limit: 0,
            profile: Default::default(),
            inbox: None,
        }
    }

    /// Whether somebody has the bell of the run open for reading.
    pub fn is_alive(&self, run: &RunId) -> bool {
        open_bell(&self.run_file(run, "bell")).is_some()
    }
}

fn open_bell(path: &Path) -> Option<std::fs::File> {
    std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .ok()
}

/// Supervisors whose command line names this directory.
pub fn supervisors_of(base: &Path) -> Vec<i32> {
    let base = base.as_os_str().as_encoded_bytes();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            // Empty for a zombie.
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let program = line.split(|b| *b == 0).next()?;
            (program.ends_with(b"/telexd-run") && line.windows(base.len()).any(|w| w == base))
                .then_some(pid)
        })
        .collect()
}

impl Drop for Rig {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = supervisors_of(self.base.path());
            if left.is_empty() || Instant::now() > deadline {
                return;
            }
            for pid in left {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads notices with the deadline.
pub struct Reading {
    pub followed: Followed,
    /// Lines so far.
    pub lines: Vec<Line>,
    queue: std::collections::VecDeque<Line>,
}

impl Reading {
    pub fn new(followed: Followed) -> Self {
        Self {
            followed,
            lines: Vec::new(),
            queue: std::collections::VecDeque::new(),
        }
    }

    /// The next notice as it comes; `None`: the channel has closed.
    pub async fn notice(&mut self) -> Option<Notice> {
        tokio::time::timeout(PATIENCE, self.followed.notices.recv())
            .await
            .expect("no notice came")
    }

    pub async fn started(&mut self) {
        assert_eq!(self.notice().await, Some(Notice::Started));
    }

    /// The next line as text.
    pub async fn line(&mut self) -> String {
        while self.queue.is_empty() {
            match self.notice().await {
                Some(Notice::Lines(lines)) => {
                    assert!(!lines.is_empty());
                    self.queue.extend(lines);
                }
                other => panic!("a line was awaited, not {other:?}"),
            }
        }
        let line = self.queue.pop_front().unwrap();
        self.lines.push(line.clone());
        String::from_utf8(line.bytes).unwrap()
    }

    /// The lines that are left, and the end.
    pub async fn end(&mut self) -> (Vec<String>, Option<Exit>) {
        let mut rest: Vec<Line> = self.queue.drain(..).collect();
        let exit = loop {
            match self.notice().await {
                Some(Notice::Lines(lines)) => rest.extend(lines),
                Some(Notice::Started) => {}
                Some(Notice::Ended(exit)) => break exit,
                other => panic!("the end was awaited, not {other:?}"),
            }
        };
        assert_eq!(self.notice().await, None, "something came after the end");
        let texts = rest
            .iter()
            .map(|l| String::from_utf8(l.bytes.clone()).unwrap())
            .collect();
        self.lines.extend(rest);
        (texts, exit)
    }

    /// Appends input.
    pub fn say(&self, lines: &str) {
        self.followed.control.append(lines.as_bytes()).unwrap();
    }
}

/// Launches.
pub async fn launch(runner: &Engine, spec: &Spec) -> Reading {
    Reading::new(runner.launch(spec).await.unwrap())
}

/// Whether a process is there and not a zombie.
pub fn is_running(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let behind = stat.rfind(')').unwrap();
    !stat[behind + 1..].trim_start().starts_with('Z')
}

/// A pid that a script wrote into a file.
pub async fn pid_in(path: &Path) -> i32 {
    let mut pid = None;
    wait_for("a pid in a file", || {
        pid = std::fs::read_to_string(path)
            .ok()
            .filter(|t| t.ends_with('\n'))
            .and_then(|t| t.trim().parse().ok());
        pid.is_some()
    })
    .await;
    pid.unwrap()
}

/// Waits until none of our children is a zombie: each is reaped.
pub async fn no_zombies() {
    let zombie_of_ours = format!(" Z {} ", std::process::id());
    wait_for("every child to be reaped", || {
        !std::fs::read_dir("/proc").unwrap().any(|entry| {
            let stat = std::fs::read_to_string(entry.unwrap().path().join("stat"));
            stat.is_ok_and(|s| s.contains(&zombie_of_ours))
        })
    })
    .await;
}
