//! A mark of a life that the watchdog is about to end: a file in the state directory, for the database may be what stands
//! still. It names the life, so one that is left over says nothing of another.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::warn;

use crate::core::life::Starved;

/// Name of the file.
const NAME: &str = "watchdog.json";

/// Makes the mark, and takes it back.
pub(super) struct Mark(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// Number of this life; 0: not known yet, then there is nothing to mark.
    life: AtomicU64,
    /// What stands still, if something does.
    late: Mutex<Option<String>>,
    /// Held while the file is written.
    writing: Mutex<()>,
}

impl Mark {
    pub(super) fn new(state: &Path) -> Self {
        Self(Arc::new(Shared {
            path: state.join(NAME),
            life: AtomicU64::new(0),
            late: Mutex::new(None),
            writing: Mutex::new(()),
        }))
    }

    /// What an earlier life left.
    pub(super) fn found(&self) -> Option<Starved> {
        let bytes = fs::read(&self.0.path).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// This life has a number, and what an earlier one left was read.
    pub(super) fn begins(&self, life: u64) {
        self.0.life.store(life, Ordering::SeqCst);
        self.changed();
    }

    /// A look at what is late. Does not block: the disk may be what stands still.
    pub(super) fn look(&self, found: &Result<(), String>) {
        let late = found.as_ref().err();
        {
            let mut was = self.0.late.lock().unwrap_or_else(PoisonError::into_inner);
            if was.is_some() == late.is_some() {
                return;
            }
            *was = late.cloned();
        }
        self.changed();
    }

    fn changed(&self) {
        let shared = Arc::clone(&self.0);
        let writer = std::thread::Builder::new()
            .name("watchdog-mark".to_owned())
            .spawn(move || shared.write());
        if let Err(cause) = writer {
            warn!(%cause, "cannot note whether the watchdog is about to end telexd");
        }
    }
}

impl Shared {
    /// Brings the file to what holds now, whichever of several writers comes last.
    fn write(&self) {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let late = self
            .late
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let life = self.life.load(Ordering::SeqCst);
        let done = match late {
            // What is there was left by an earlier life, and is yet to be read.
            _ if life == 0 => Ok(()),
            Some(about) => self.put(&Starved { life, about }),
            None => match fs::remove_file(&self.path) {
                Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        if let Err(cause) = done {
            warn!(%cause, "cannot note whether the watchdog is about to end telexd; if it does, that is told as a crash");
        }
    }
}

impl Shared {
    /// Writes the file, which is never there in part.
    fn put(&self, mark: &Starved) -> std::io::Result<()> {
        let json = serde_json::to_vec(mark)?;
        let draft = self.path.with_extension("new");
        fs::write(&draft, json)?;
        fs::rename(&draft, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn wait(what: &str, mut met: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(10);
        while !met() {
            assert!(Instant::now() < until, "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_is_there_while_something_is_late() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark::new(dir.path());
        let late = |about: &str| Err(about.to_owned());
        fs::write(dir.path().join(NAME), r#"{"life":3,"about":"old"}"#).unwrap();
        // Without a number there is nothing to say, and what an earlier life said stays until it was read.
        mark.look(&late("x"));
        mark.0.write();
        mark.look(&Ok(()));
        mark.0.write();
        assert_eq!(mark.found().map(|mark| mark.life), Some(3));
        mark.begins(4);
        wait("what is left over goes", || mark.found().is_none());
        mark.look(&late("the runtime"));
        mark.look(&late("the runtime, for longer"));
        wait("the mark is there", || mark.found().is_some());
        let found = mark.found().unwrap();
        assert_eq!((found.life, found.about.as_str()), (4, "the runtime"));
        mark.look(&Ok(()));
        wait("it is taken back", || mark.found().is_none());
        fs::write(dir.path().join(NAME), "half").unwrap();
        assert_eq!(mark.found(), None);
    }
}
