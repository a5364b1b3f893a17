//! The demo as a program, and what it leaves behind.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// For everything that is waited for.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The program. `cargo test` builds it together with the tests; where only some of them are built, it is built here.
pub fn path() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/PROFILE/deps/TEST
    let folder = test.parent().unwrap().parent().unwrap().to_owned();
    let path = folder.join("examples/demo");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let newest = [
        "src",
        "tests/demo",
        "tests/botapi/src",
        "tests/scripted_agent/src",
    ]
    .map(|part| newest(&root.join(part)))
    .into_iter()
    .max()
    .unwrap();
    if path
        .metadata()
        .and_then(|m| m.modified())
        .is_ok_and(|built| built >= newest)
    {
        return path;
    }
    // It may take minutes, and wait for another cargo: whoever looks why a test is slow or was ended finds this.
    crate::demo::complain("this test builds the demo first, which is older than its sources");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args([
            "build",
            "--quiet",
            "--offline",
            "--workspace",
            "--example",
            "demo",
        ])
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(root);
    // What cargo tells a test of its own package makes it build others anew, and again the next time without.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|own| told.starts_with(own))
        {
            build.env_remove(&name);
        }
    }
    if cfg!(feature = "failpoints") {
        build.args(["--features", "failpoints"]);
    }
    if !folder.ends_with("debug") {
        build.arg("--profile").arg(folder.file_name().unwrap());
    }
    assert!(
        build.status().unwrap().success(),
        "the demo cannot be built"
    );
    // Cargo leaves a program alone that is up to date, so its age says nothing from here on.
    // (Opened for reading: it may be running.)
    let program = fs::File::open(&path).unwrap();
    program.set_modified(SystemTime::now()).unwrap();
    path
}

fn newest(path: &Path) -> SystemTime {
    let own = path.metadata().unwrap().modified().unwrap();
    match fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| newest(&entry.unwrap().path()))
            .fold(own, SystemTime::max),
        Err(_) => own,
    }
}

/// A place for the demo to lie in, which tells what it has left behind.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        // Short: the demo goes elsewhere where sockets would get too long a path.
        Self(
            tempfile::Builder::new()
                .prefix("d")
                .tempdir_in("/tmp")
                .unwrap(),
        )
    }

    /// The demo with these arguments.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("TMPDIR", self.0.path());
        command
    }

    /// Talks to it through a pipe.
    pub fn talk(&self, args: &[&str], lines: &str) -> Output {
        let mut child = self
            .command(path())
            .arg("--scripted")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    }

    /// Processes that have this place in their command line, with it.
    pub fn processes(&self) -> Vec<(Pid, String)> {
        let place = self.0.path().to_str().unwrap();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| {
                let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                line.contains(place).then_some((Pid::from_raw(pid), line))
            })
            .collect()
    }

    /// The one process with this in its command line.
    pub fn process(&self, part: &str) -> Pid {
        until(&format!("a process with {part}"), || {
            let all = self.processes();
            all.iter()
                .find(|(_, line)| line.contains(part))
                .map(|(pid, _)| *pid)
        })
    }

    /// Waits until nothing is left.
    pub fn is_clean(&self) {
        until("no process is left", || {
            self.processes().is_empty().then_some(())
        });
        until("no file is left", || {
            fs::read_dir(self.0.path())
                .unwrap()
                .next()
                .is_none()
                .then_some(())
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only where the test has failed.
        for (pid, _) in self.processes() {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Waits for a condition that nobody announces.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
