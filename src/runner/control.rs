//! Writing to a run: input lines and the bell.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use fail::fail_point;
use nix::libc;
use tokio::sync::Notify;

use super::{
    directory::{RunDirs, RunPaths, Standing},
    engine::Launcher,
    room,
};
use crate::{core::ids::RunId, gateway::ports::RunControl};

/// Bell byte: look at the input.
pub(crate) const LOOK: u8 = b'i';
/// Bell byte: end the agent.
pub(crate) const TERMINATE: u8 = b't';
/// Disk space for the input is kept in steps of this many bytes.
const ROOM: u64 = 64 * 1024;

/// Control of one run.
pub(crate) struct Control {
    run: RunId,
    dirs: Arc<RunDirs>,
    launcher: Arc<dyn Launcher>,
    paths: RunPaths,
    /// The input, opened at the first use.
    input: Mutex<Option<Input>>,
    /// A termination that could not be rung (the bell was full): the follower rings again.
    unheard: AtomicBool,
    /// Whether the run was told to end.
    asked: AtomicBool,
    /// Wakes the follower.
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Input {
    file: File,
    /// Up to where disk space is kept.
    room: u64,
}

impl Control {
    pub(crate) fn new(
        run: RunId,
        dirs: Arc<RunDirs>,
        launcher: Arc<dyn Launcher>,
        wake: Arc<Notify>,
    ) -> Self {
        let paths = dirs.paths(&run);
        Self {
            run,
            dirs,
            launcher,
            paths,
            input: Mutex::new(None),
            unheard: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            wake,
        }
    }

    /// Rings. `false`: nobody can have heard it.
    fn ring(&self, byte: u8) -> bool {
        match self.paths.open_bell() {
            // A full bell is heard as soon as the supervisor runs again; any byte makes it look.
            Ok(Some(mut bell)) => bell.write(&[byte]).is_ok_and(|n| n == 1),
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(run = %self.run, %error, "cannot ring");
                false
            }
        }
    }

    /// Has the supervisor look at the input.
    pub(crate) fn look(&self) {
        self.ring(LOOK);
    }

    /// Whether the run was told to end by this daemon.
    pub(crate) fn was_asked_to_end(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Rings again for a termination that was not heard. To be called from time to time.
    pub(crate) fn ring_again(&self) {
        if self.unheard.swap(false, Ordering::SeqCst) {
            self.terminate();
        }
    }
}

impl RunControl for Control {
    fn append(&self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if !lines.ends_with(b"\n") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "input must end with a newline",
            ));
        }
        {
            // A panic while it was held can leave a torn tail at worst, and that is cut below.
            let mut slot = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            let input = match &mut *slot {
                Some(input) => input,
                empty => empty.insert(Input::open(&self.paths)?),
            };
            let old = input.cut_torn_tail()?;
            fail_point!("runner-append-before", |_| Err(io::Error::other(
                "failpoint"
            )));
            input.keep_room(old, lines.len() as u64)?;
            if let Err(error) = input.write(lines) {
                input.roll_back(old);
                return Err(error);
            }
        }
        fail_point!("runner-append-after", |_| Err(io::Error::other(
            "failpoint"
        )));
        self.look();
        Ok(())
    }

    fn input_contains(&self, predicate: &dyn Fn(&[u8]) -> bool) -> io::Result<bool> {
        let mut reader = BufReader::with_capacity(64 * 1024, File::open(self.paths.input())?);
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            // Without its newline it is the torn tail, or the end of the file.
            if line.pop() != Some(b'\n') {
                return Ok(false);
            }
            if predicate(&line) {
                return Ok(true);
            }
        }
    }

    fn terminate(&self) {
        match self.dirs.withdraw(&self.run) {
            Ok(Standing::Alive) => {
                if !self.ring(TERMINATE) {
                    self.unheard.store(true, Ordering::SeqCst);
                }
                // Once: it goes on by itself.
                if !self.asked.swap(true, Ordering::SeqCst) {
                    self.launcher.end(&self.run, &self.dirs.profile(&self.run));
                }
            }
            Ok(_) => self.wake.notify_one(),
            Err(error) => {
                tracing::error!(run = %self.run, %error, "cannot end the run; tried again");
                self.unheard.store(true, Ordering::SeqCst);
            }
        }
    }
}

impl Input {
    fn open(paths: &RunPaths) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(paths.input())?;
        Ok(Self { file, room: 0 })
    }

    /// Cuts what stands behind the last newline, which only a daemon that was killed in the middle of a write can
    /// have left. Returns the size. The supervisor never forwards beyond the last newline, so nothing is taken back
    /// from the agent.
    fn cut_torn_tail(&self) -> io::Result<u64> {
        let size = self.file.metadata()?.len();
        let whole = whole_lines(&self.file, size)?;
        if whole < size {
            self.file.set_len(whole)?;
        }
        Ok(whole)
    }

    /// Keeps disk space for the bytes, so that a full disk shows before the first byte is written and no half
    /// line, and no half of several lines, can come of it.
    fn keep_room(&mut self, size: u64, more: u64) -> io::Result<()> {
        let end = size + more;
        if end <= self.room {
            return Ok(());
        }
        self.room = size + room::keep(&self.file, size, more, more.max(ROOM))?;
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        #[cfg(feature = "failpoints")]
        if fail::list()
            .iter()
            .any(|(name, _)| name == "runner-append-torn")
        {
            let (first, second) = lines.split_at(lines.len() / 2);
            self.file.write_all(first)?;
            fail_point!("runner-append-torn", |_| Err(io::Error::from(
                io::ErrorKind::StorageFull
            )));
            return self.file.write_all(second);
        }
        self.file.write_all(lines)
    }

    /// After a failed write: back to the old size. Where whole lines got in, they stay, as the agent may have them
    /// already.
    fn roll_back(&mut self, old: u64) {
        let undone = self.file.metadata().and_then(|m| {
            let whole = whole_lines(&self.file, m.len())?.max(old);
            self.file.set_len(whole)
        });
        self.room = 0;
        if let Err(error) = undone {
            // The next append, or the next daemon, cuts it.
            tracing::error!(%error, "cannot cut a half written line");
        }
    }
}

/// Offset behind the last newline of the first `size` bytes, 0 if there is none.
pub(crate) fn whole_lines(file: &File, size: u64) -> io::Result<u64> {
    last_newline(file, 0, size)
}

/// Offset behind the last newline between the two offsets, `from` if there is none.
pub(crate) fn last_newline(file: &File, from: u64, to: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut buffer = Vec::new();
    let mut end = to;
    // The newline is the last byte but for a torn tail: one byte first, then whole blocks.
    let mut step = 1;
    while end > from {
        let start = end.saturating_sub(step).max(from);
        buffer.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.read_exact_at(&mut buffer, start)?;
        if let Some(at) = buffer.iter().rposition(|b| *b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
        step = STEP;
    }
    Ok(from)
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
