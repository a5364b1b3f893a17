//! What the system gives: time, randomness, signals.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use crate::{
    core::{Millis, ids::RunId},
    gateway::ports::{Clock, Dice},
};

/// The system's time.
pub(super) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }
}

/// The system's randomness.
pub(super) struct SystemDice;

impl Dice for SystemDice {
    fn run_id(&self) -> RunId {
        let mut bytes = [0; RunId::LEN];
        if let Err(cause) = getrandom::fill(&mut bytes) {
            // An id that can be guessed is worse than no daemon. Linux refuses this only before its pool is first filled.
            error!(%cause, "the system gives no randomness");
            std::process::abort();
        }
        RunId::from_random(bytes)
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// Every SIGTERM or SIGINT asks for the same thing; a second one while stopping changes nothing.
pub(super) fn stop_on_signals(shutdown: CancellationToken) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            shutdown.cancel();
        }
    });
    Ok(())
}
