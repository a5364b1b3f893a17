//! The run directories: making them, telling how a run stands, giving a run away at most once, deleting.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    libc,
    sys::stat::Mode,
    unistd::mkfifo,
};

use serde::{Deserialize, Serialize};

use super::{fds::reason, room, wire};
use crate::{
    core::{ids::RunId, profile::Profile},
    gateway::ports::{Exit, RunnerError, Spec},
};

/// Most bytes of an exit record that are looked at.
const MOST_RECORD: u64 = 64 * 1024;
/// Room kept for the exit record, so that a full disk cannot swallow it.
const RECORD_ROOM: u64 = 4096;
/// How long to wait for the lock of a daemon that is just ending.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Paths of one run.
#[derive(Clone, Debug)]
pub(crate) struct RunPaths {
    dir: PathBuf,
}

impl RunPaths {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
    pub(crate) fn spec(&self) -> PathBuf {
        self.dir.join("spec.json")
    }
    pub(crate) fn input(&self) -> PathBuf {
        self.dir.join("input.jsonl")
    }
    pub(crate) fn output(&self) -> PathBuf {
        self.dir.join("output.jsonl")
    }
    pub(crate) fn errors(&self) -> PathBuf {
        self.dir.join("stderr.log")
    }
    pub(crate) fn record(&self) -> PathBuf {
        self.dir.join("exit.json")
    }
    pub(crate) fn bell(&self) -> PathBuf {
        self.dir.join("bell")
    }

    /// A write end of the bell; `None` when nobody holds a read end, or the bell was taken away.
    ///
    /// # Errors
    /// The system's, for anything else.
    pub(crate) fn open_bell(&self) -> io::Result<Option<File>> {
        match open_fifo(OpenOptions::new().write(true), &self.bell()) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What `exit.json` says.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read_record(&self) -> io::Result<Record> {
        let file = open(OpenOptions::new().read(true), &self.record())?;
        let mut bytes = Vec::new();
        file.take(MOST_RECORD).read_to_end(&mut bytes)?;
        Ok(Record::parse(&bytes))
    }

    /// The end of `stderr.log` as one line of at most 500 characters, for people.
    pub(crate) fn last_words(&self) -> Option<String> {
        let bytes = std::fs::read(self.errors()).ok()?;
        let tail = &bytes[bytes.len().saturating_sub(4096)..];
        let text = String::from_utf8_lossy(tail);
        let line = text.lines().rev().find(|l| !l.trim().is_empty())?;
        Some(line.trim().chars().take(500).collect())
    }
}

/// Content of `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// Empty: nobody has taken the run.
    Untouched,
    /// Taken; no whole record.
    Taken,
    /// Over. `None`: a whole line that is not a record.
    Over(Option<Ended>),
}

/// The exit record: how the agent ended, and what helps to tell why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// How.
    #[serde(flatten)]
    pub(crate) exit: Exit,
    /// Whether the supervisor was told to end it by a signal, and not over the bell: then it was not the daemon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) by_signal: bool,
}

/// What `spec.json` holds besides the spec.
#[derive(Serialize)]
struct Kept<'a> {
    #[serde(flatten)]
    spec: &'a Spec,
    boot: Option<String>,
}

/// Of `spec.json` what others than the supervisor want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct About {
    /// Profile that the run was prepared with.
    #[serde(default)]
    pub(crate) profile: Profile,
    /// The boot of the machine in which that was; see [`boot_id`].
    #[serde(default)]
    pub(crate) boot: Option<String>,
}

impl About {
    /// Whether the machine has started anew since.
    pub(crate) fn is_of_another_boot(&self) -> bool {
        let now = boot_id();
        self.boot.is_some() && now.is_some() && self.boot != now
    }
}

/// What the kernel calls this boot; no two are called the same. The unit of the daemon hides the file and has the
/// variable.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = std::env::var("TELEXD_BOOT_ID")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/random/boot_id"))
        .ok()?;
    let id = id.trim().replace('-', "");
    (!id.is_empty()).then_some(id)
}

impl Record {
    fn parse(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Untouched;
        }
        let text = bytes.trim_ascii_start();
        if text.is_empty() || !text.ends_with(b"\n") {
            return Self::Taken;
        }
        Self::Over(serde_json::from_slice(text).ok())
    }
}

/// How a run stands; see the module's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No such directory.
    Missing,
    /// Complete, and a supervisor may still take it.
    Prepared,
    /// Never taken, and nobody can any more.
    Withdrawn,
    /// A supervisor has it.
    Alive,
    /// Its supervisor has ended.
    Over,
}

/// Opens a file of a run: close-on-exec, no symlink.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Opens a FIFO of a run without waiting for the other end.
fn open_fifo(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

/// All run directories of one state directory. One daemon at a time.
#[derive(Debug)]
pub(crate) struct RunDirs {
    root: PathBuf,
    /// Held while a standing is looked at and acted upon.
    gate: Mutex<()>,
    lock: Mutex<Option<Flock<File>>>,
}

impl RunDirs {
    /// Makes `<state>/runs` if needed, locks it and clears away what a killed daemon left half made.
    ///
    /// # Errors
    /// A sentence for the administrator.
    pub(crate) fn open(state: &Path) -> Result<Self, RunnerError> {
        let root = state.join("runs");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(|e| trouble("make the run directories", &root, &e))?;
        // Later the working directory may be another one.
        let root = root
            .canonicalize()
            .map_err(|e| trouble("find the run directories", &root, &e))?;
        let path = root.join(".lock");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|e| trouble("open the lock", &path, &e))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        let lock = loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => break lock,
                Err((_, Errno::EWOULDBLOCK)) if Instant::now() > deadline => {
                    return Err(RunnerError {
                        what: format!("cannot lock {}", path.display()),
                        cause: "another telexd works with this state directory".to_owned(),
                        remedy: "stop it, or give this one a state directory of its own".to_owned(),
                        no_room: false,
                    });
                }
                Err((back, Errno::EWOULDBLOCK)) => {
                    file = back;
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err((_, errno)) => return Err(trouble("lock", &path, &errno.into())),
            }
        };
        let dirs = Self {
            root,
            gate: Mutex::new(()),
            lock: Mutex::new(Some(lock)),
        };
        dirs.sweep();
        Ok(dirs)
    }

    /// Lets another daemon have the directories.
    pub(crate) fn unlock(&self) {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    fn gate(&self) -> MutexGuard<'_, ()> {
        // The lock guards an order of acts on disk, no data that a panic could leave half changed.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn paths(&self, run: &RunId) -> RunPaths {
        RunPaths {
            dir: self.root.join(run.as_str()),
        }
    }

    /// Deletes directories that were being made or being deleted when a daemon was killed.
    fn sweep(&self) {
        for name in self.names() {
            if name.starts_with(".new-") || name.starts_with(".old-") {
                let path = self.root.join(&name);
                if let Err(error) = std::fs::remove_dir_all(&path) {
                    tracing::warn!(path = %path.display(), %error, "cannot delete a leftover");
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        match std::fs::read_dir(&self.root) {
            Ok(entries) => entries
                .filter_map(|e| e.ok()?.file_name().into_string().ok())
                .collect(),
            Err(error) => {
                tracing::error!(path = %self.root.display(), %error, "cannot list the run directories");
                Vec::new()
            }
        }
    }

    /// Run directories that are there.
    pub(crate) fn list(&self) -> Vec<RunId> {
        self.names()
            .iter()
            .filter_map(|n| RunId::parse(n))
            .collect()
    }

    /// Makes the directory of a run. It appears complete or not at all, and survives a power loss.
    ///
    /// # Errors
    /// A sentence for the administrator; nothing is left behind.
    pub(crate) fn prepare(&self, spec: &Spec) -> Result<RunPaths, RunnerError> {
        let paths = self.paths(&spec.run);
        let draft = RunPaths {
            dir: self.root.join(format!(".new-{}", spec.run)),
        };
        let made = fill(&draft, spec)
            .and_then(|()| {
                if paths.dir.exists() {
                    return Err(io::Error::from(io::ErrorKind::AlreadyExists));
                }
                std::fs::rename(&draft.dir, &paths.dir)
            })
            .and_then(|()| File::open(&self.root)?.sync_all());
        match made {
            Ok(()) => Ok(paths),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&draft.dir);
                Err(trouble("prepare the run directory", &paths.dir, &error))
            }
        }
    }

    /// What is known of a run from its preparation; the defaults where that cannot be read, as of a run that is not
    /// there.
    pub(crate) fn about(&self, run: &RunId) -> About {
        std::fs::read(self.paths(run).spec())
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// Profile that a run was prepared with.
    pub(crate) fn profile(&self, run: &RunId) -> Profile {
        self.about(run).profile
    }

    /// How the run stands.
    ///
    /// # Errors
    /// The system's, where the files cannot be read.
    pub(crate) fn standing(&self, run: &RunId) -> io::Result<Standing> {
        let _gate = self.gate();
        look(&self.paths(run))
    }

    /// Makes sure that a run that nobody has taken is taken by nobody, and tells how it stands then.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn withdraw(&self, run: &RunId) -> io::Result<Standing> {
        let _gate = self.gate();
        let paths = self.paths(run);
        let standing = look(&paths)?;
        if standing == Standing::Prepared {
            std::fs::remove_file(paths.bell())?;
            return Ok(Standing::Withdrawn);
        }
        Ok(standing)
    }

    /// Gives the run away: `send` gets the reply for the supervisor and the descriptors in their order, and must not
    /// return `Ok` before they are sent. Refused (with the reason) unless the run is [`Standing::Prepared`].
    ///
    /// # Errors
    /// A reason for the supervisor.
    pub(crate) fn give<T>(
        &self,
        run: &RunId,
        send: impl FnOnce(Vec<u8>, &[BorrowedFd<'_>]) -> io::Result<T>,
    ) -> Result<T, Refusal> {
        let _gate = self.gate();
        let paths = self.paths(run);
        match look(&paths).map_err(Refusal::from)? {
            Standing::Prepared => {}
            Standing::Missing => return Err(Refusal::Never("there is no such run")),
            Standing::Withdrawn => return Err(Refusal::Never("the run was withdrawn")),
            Standing::Alive => return Err(Refusal::Never("the run has a supervisor already")),
            Standing::Over => return Err(Refusal::Never("the run is over")),
        }
        let spec: Spec = serde_json::from_slice(&std::fs::read(paths.spec())?)
            .map_err(|_| Refusal::Never("the spec cannot be read"))?;
        if spec.run != *run {
            return Err(Refusal::Never("the spec is for another run"));
        }
        let mut spec = spec;
        let inbox = spec.inbox.as_ref().filter(|inbox| inbox.is_copied());
        let inbox = inbox.and_then(|inbox| {
            // Without its files an agent works as well.
            File::open(&inbox.from)
                .inspect_err(|error| tracing::error!(%run, %error, "cannot hand over the files that people sent"))
                .ok()
        });
        if inbox.is_none() {
            spec.inbox = None;
        }
        let frame = wire::frame(&wire::Reply::Spec(Box::new(spec)))
            .ok_or(Refusal::Never("the spec is too long"))?;
        let append = |path: &Path| open(OpenOptions::new().append(true), path);
        let input = open(OpenOptions::new().read(true), &paths.input())?;
        let output = append(&paths.output())?;
        let errors = append(&paths.errors())?;
        let record = append(&paths.record())?;
        // Closed again before the gate is left: else it would count as a living supervisor.
        let bell = open_fifo(OpenOptions::new().read(true).write(true), &paths.bell())?;
        let five: [BorrowedFd<'_>; wire::FDS] = [
            input.as_fd(),
            output.as_fd(),
            errors.as_fd(),
            record.as_fd(),
            bell.as_fd(),
        ];
        let fds: Vec<_> = five
            .into_iter()
            .chain(inbox.as_ref().map(AsFd::as_fd))
            .collect();
        send(frame, &fds).map_err(Refusal::from)
    }

    /// Deletes the directory of a run that has no supervisor. Killed half way it leaves nothing with the run's name.
    ///
    /// # Errors
    /// The system's; a living run is an error too.
    pub(crate) fn remove(&self, run: &RunId) -> io::Result<()> {
        let old = self.root.join(format!(".old-{run}"));
        {
            let _gate = self.gate();
            let paths = self.paths(run);
            match look(&paths) {
                Ok(Standing::Missing) => return Ok(()),
                Ok(Standing::Alive) => {
                    return Err(io::Error::new(
                        io::ErrorKind::ResourceBusy,
                        "its supervisor lives",
                    ));
                }
                // Whatever is wrong with it: it is to go.
                Ok(_) | Err(_) => {}
            }
            std::fs::rename(&paths.dir, &old)?;
        }
        std::fs::remove_dir_all(&old)
    }
}

/// Why a run was not given away.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// For ever.
    Never(&'static str),
    /// The supervisor may come again.
    Trouble(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Trouble(error)
    }
}

/// Reads the facts. The order matters: a record that appears between the two looks is still seen.
fn look(paths: &RunPaths) -> io::Result<Standing> {
    match std::fs::symlink_metadata(&paths.dir) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Standing::Missing),
        Err(e) => return Err(e),
    }
    if let Record::Over(_) = paths.read_record()? {
        return Ok(Standing::Over);
    }
    if paths.open_bell()?.is_some() {
        return Ok(Standing::Alive);
    }
    if paths.read_record()? != Record::Untouched {
        return Ok(Standing::Over);
    }
    if paths.bell().symlink_metadata().is_err() {
        return Ok(Standing::Withdrawn);
    }
    Ok(Standing::Prepared)
}

fn fill(draft: &RunPaths, spec: &Spec) -> io::Result<()> {
    if draft.dir.exists() {
        std::fs::remove_dir_all(&draft.dir)?;
    }
    DirBuilder::new().mode(0o700).create(&draft.dir)?;
    let create = |path: PathBuf| {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
    };
    let mut file = create(draft.spec())?;
    let boot = boot_id();
    file.write_all(&wire::line(&Kept { spec, boot }))?;
    file.sync_all()?;
    create(draft.input())?;
    room::keep_first(&create(draft.output())?)?;
    create(draft.errors())?;
    let record = create(draft.record())?;
    room::keep(&record, 0, RECORD_ROOM, RECORD_ROOM)?;
    mkfifo(&draft.bell(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    File::open(&draft.dir)?.sync_all()
}

/// A sentence for the administrator about a file.
pub(crate) fn trouble(doing: &str, path: &Path, error: &io::Error) -> RunnerError {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "let the user of telexd write there",
        _ if is_full(error) => "make room on that file system",
        io::ErrorKind::ReadOnlyFilesystem => "choose a state directory on a writable file system",
        io::ErrorKind::NotFound => "make the directory, or correct the path",
        io::ErrorKind::NotADirectory => "a file is where a directory is needed: move it away",
        io::ErrorKind::AlreadyExists => "delete it if nothing uses it any more",
        _ => "see the system's reason",
    };
    RunnerError {
        what: format!("cannot {doing} {}", path.display()),
        cause: reason(error),
        remedy: remedy.to_owned(),
        no_room: is_full(error),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
