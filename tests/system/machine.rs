//! A machine that is a container: systemd-nspawn on an overlay over a root file system, in the network of this host.
//!
//! `tests/system/keeper` runs it and clears up after it, also when the test is killed.

use std::{
    env, fs,
    fs::File,
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Once,
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};
use tokio::{io::AsyncWriteExt as _, process, time::timeout};

use crate::{
    host::{Host, Output, PATIENCE, Release},
    layers,
    shared::breathe,
};

/// What the machine starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A minimal Debian.
    Plain,
    /// That, with the package of telexd installed and nothing configured.
    Installed,
}

/// A container. Dropping it ends and removes whatever is in it.
pub struct Machine {
    release: Release,
    name: String,
    folder: PathBuf,
    lower: String,
    options: Vec<String>,
    keeper: Option<Child>,
    leader: i32,
    // Says that the folder is in use, also between two lives.
    _lock: Flock<File>,
    _layers: layers::Layers,
}

impl Machine {
    /// Boots a machine.
    ///
    /// # Panics
    /// Where machines cannot be run here, saying what is missing, or where it does not come up.
    pub async fn boot(release: Release, layer: Layer) -> Self {
        Self::boot_with(release, layer, &[]).await
    }

    /// Boots a machine in which files or folders of this host can be seen, read-only: each with its path in the machine.
    pub async fn boot_with(release: Release, layer: Layer, binds: &[(&Path, &str)]) -> Self {
        let layers = match layer {
            Layer::Plain => layers::plain(release),
            Layer::Installed => layers::installed(release).await,
        };
        let options = binds
            .iter()
            .map(|(here, there)| format!("--bind-ro={}:{there}", here.display()))
            .collect();
        let mut machine = Self::prepare(release, layers, options);
        machine.start().await;
        machine
    }

    /// A machine that is off.
    pub fn prepare(release: Release, layers: layers::Layers, options: Vec<String>) -> Self {
        let parent = env::temp_dir().join("telexd-machines");
        fs::create_dir_all(&parent).unwrap();
        static PRUNE: Once = Once::new();
        PRUNE.call_once(|| {
            let status = Command::new(keeper())
                .arg("prune")
                .arg(&parent)
                .stdin(Stdio::null())
                .status();
            assert!(
                status.unwrap().success(),
                "clearing up in {}",
                parent.display()
            );
        });
        let folder = tempfile::Builder::new()
            .prefix(&format!("telexd-{}-", release.name()))
            .rand_bytes(8)
            .tempdir_in(&parent)
            .unwrap()
            .keep();
        let name = folder.file_name().unwrap().to_str().unwrap().to_lowercase();
        let file = File::create(folder.join("lock")).unwrap();
        Self {
            release,
            name,
            lower: layers.lower(),
            options,
            keeper: None,
            leader: 0,
            _lock: Flock::lock(file, FlockArg::LockShared).unwrap(),
            _layers: layers,
            folder,
        }
    }

    /// What systemd says of itself: "running", or "degraded" where a unit failed.
    pub async fn state(&self) -> String {
        loop {
            let words = ["systemctl", "is-system-running", "--wait"];
            let state = self.inside(&words, b"", PATIENCE).await.stdout;
            if state.trim() != "degraded" {
                return state.trim().to_owned();
            }
            // A script of the test's that failed is itself a failed unit, for the moment until systemd forgets it.
            let words = [
                "systemctl",
                "list-units",
                "--failed",
                "--plain",
                "--no-legend",
            ];
            let failed = self.inside(&words, b"", PATIENCE).await.stdout;
            if failed.lines().any(|unit| !unit.starts_with("run-")) {
                return "degraded".to_owned();
            }
            breathe().await;
        }
    }

    /// Shuts the machine down in order. [`Host::start`] starts it again.
    pub async fn power_off(&mut self) {
        self.end_with("poweroff", "0").await;
    }

    /// The folder that holds what the machine has written, as `upper`. To be read only, and only while it is off.
    pub fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Name of the machine and of its cgroups.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Paths on this host that are there only as long as the machine is.
    pub fn traces(&self) -> Vec<PathBuf> {
        let cgroups = fs::read_to_string(self.folder.join("cgroups")).unwrap_or_default();
        let mut traces: Vec<PathBuf> = cgroups.lines().map(PathBuf::from).collect();
        traces.push(self.folder.clone());
        traces.push(Path::new("/run/systemd/nspawn/propagate").join(&self.name));
        traces
    }

    /// Process id, on this host, of the machine's first process; 0 while it is off.
    pub fn leader(&self) -> i32 {
        self.leader
    }

    /// Process id of the keeper, which is the first of its group.
    pub fn keeper(&self) -> u32 {
        self.keeper.as_ref().unwrap().id()
    }

    async fn end_with(&mut self, verb: &str, code: &str) {
        let words = ["systemctl", "--no-block", verb];
        let output = self.inside(&words, b"", PATIENCE).await;
        assert!(output.code == 0, "systemctl {verb}: {output}");
        let ended = self.folder.join("ended");
        let until = Instant::now() + PATIENCE;
        while !ended.exists() {
            assert!(Instant::now() < until, "{verb} takes too long");
            breathe().await;
        }
        assert_eq!(
            fs::read_to_string(ended).unwrap().trim(),
            code,
            "{verb}: {}",
            self.console()
        );
        self.end_life("keep\n");
    }

    /// Ends what runs, and with an empty word removes the machine.
    fn end_life(&mut self, word: &str) {
        self.leader = 0;
        let Some(mut keeper) = self.keeper.take() else {
            return;
        };
        let mut input = keeper.stdin.take().unwrap();
        let _ = input.write_all(word.as_bytes());
        drop(input);
        let status = keeper.wait().unwrap();
        // Whoever fails already says enough.
        if !std::thread::panicking() {
            assert!(
                status.success(),
                "clearing up after {}: {}",
                self.name,
                self.console()
            );
        }
    }

    /// The process on this host that is the machine's first.
    fn find_leader(&self) -> Option<i32> {
        let nspawn = fs::read_to_string(self.folder.join("nspawn")).ok()?;
        let nspawn = nspawn.trim();
        let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().find_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name.trim() == "systemd").then(|| pid.parse().ok())?
        })
    }

    fn console(&self) -> String {
        fs::read_to_string(self.folder.join("console.log")).unwrap_or_default()
    }

    /// Runs a program in the namespaces of the machine, but outside of its units.
    async fn inside(&self, words: &[&str], input: &[u8], patience: Duration) -> Output {
        assert!(self.leader != 0, "{} is off", self.name);
        let mut child = process::Command::new("nsenter")
            .arg(format!("--target={}", self.leader))
            .args(["--all", "--"])
            .args(words)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feed = async move {
            // Who does not read to the end says so by its exit code.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        let Ok(output) = timeout(patience, both).await else {
            panic!("{words:?} takes longer than {patience:?}");
        };
        let output = output.unwrap();
        Output {
            code: output.status.code().unwrap_or(255),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Host for Machine {
    fn release(&self) -> Release {
        self.release
    }

    fn loopback(&self) -> &str {
        "127.0.0.1"
    }

    async fn run(&self, script: &str, input: &[u8], patience: Duration) -> Output {
        // As a unit: what comes in by nsenter would keep this host's privileges and stand outside of the machine's cgroups.
        let words = [
            "systemd-run",
            "--quiet",
            "--collect",
            "--wait",
            "--pipe",
            "--service-type=exec",
            "--description=what the test does",
            "--setenv=LC_ALL=C.UTF-8",
            "/bin/bash",
            "-c",
            // systemd would take it for the beginning of a variable.
            &script.replace('$', "$$"),
        ];
        self.inside(&words, input, patience).await
    }

    async fn reboot(&mut self) {
        self.end_with("reboot", "133").await;
        self.start().await;
    }

    async fn kill_hard(&mut self) {
        self.end_life("keep\n");
    }

    async fn start(&mut self) {
        assert!(self.keeper.is_none(), "{} is on", self.name);
        for of_last_life in ["nspawn", "ended"] {
            let _ = fs::remove_file(self.folder.join(of_last_life));
        }
        let mut command = Command::new(keeper());
        command
            .args(["live", &self.name])
            .arg(&self.folder)
            .arg(&self.lower)
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends this test's process group must not end the keeper: it is the one who clears up.
            .process_group(0);
        self.keeper = Some(command.spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while self.leader == 0 {
            let ended = self.folder.join("ended").exists();
            assert!(
                !ended && Instant::now() < until,
                "{} does not start: {}",
                self.name,
                self.console()
            );
            breathe().await;
            self.leader = self.find_leader().unwrap_or(0);
        }
        // At first nobody is there yet who could answer.
        while !matches!(&*self.state().await, "running" | "degraded") {
            assert!(
                Instant::now() < until,
                "{} does not come up: {}",
                self.name,
                self.console()
            );
            breathe().await;
        }
    }

    async fn tail(&self) -> String {
        self.console()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "The journal of {}:\n{}",
                self.name,
                journal_tail(&self.upper())
            );
        }
        self.end_life("");
        // Where it is off there is no keeper that would do it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The last lines of the journal, read from this side: works with a machine that is off or hangs, too.
fn journal_tail(upper: &Path) -> String {
    let output = Command::new("journalctl")
        .args([
            "--quiet",
            "--no-pager",
            "--lines=80",
            "--output=short-precise",
            "--directory",
        ])
        .arg(upper.join("var/log/journal"))
        .output();
    output.map_or_else(
        |e| format!("journalctl: {e}"),
        |o| String::from_utf8_lossy(&o.stdout).into_owned(),
    )
}

/// A script of this folder.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/system")
        .join(name)
}

fn keeper() -> PathBuf {
    script("keeper")
}
