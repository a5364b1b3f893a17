//! The state behind its lock, and the ways in which changes are told.

use std::{
    fs::File,
    io::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use tokio::sync::{broadcast, watch};

use crate::{
    config::Config,
    observe::{Call, Change},
    state::State,
};

/// What requests, people and observers share.
pub(crate) struct Shared {
    pub config: Config,
    state: Mutex<State>,
    version: watch::Sender<u64>,
    changes: broadcast::Sender<Change>,
    journal: Option<Mutex<File>>,
}

impl Shared {
    pub(crate) fn new(config: Config, bot_id: i64) -> std::io::Result<Self> {
        let journal = match &config.calls_file {
            Some(path) => Some(Mutex::new(
                File::options().create(true).append(true).open(path)?,
            )),
            None => None,
        };
        let state = Mutex::new(State::new(&config, bot_id));
        Ok(Self {
            config,
            state,
            version: watch::Sender::new(0),
            changes: broadcast::Sender::new(4096),
            journal,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked in a predicate has changed nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&State) -> R) -> R {
        f(&self.lock())
    }

    /// Changes the state and wakes whoever waits for it.
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = f(&mut state);
        // Told under the lock, so that news come in the order of the changes.
        for change in std::mem::take(&mut state.news) {
            let _ = self.changes.send(change);
        }
        drop(state);
        self.version.send_modify(|v| *v = v.wrapping_add(1));
        result
    }

    /// Wakes at every change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.config.clock.now_ms()
    }

    /// Appends a call to the calls file.
    pub(crate) fn journal(&self, call: &Call) -> std::io::Result<()> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let mut line =
            json!({"method": call.method, "params": call.params, "files": call.files, "at": call.at}).to_string();
        line.push('\n');
        journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(line.as_bytes())
    }
}
