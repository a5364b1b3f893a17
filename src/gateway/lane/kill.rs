//! A run that is to end by an administrator's order.
//!
//! The order is a setting until the run is over, so that a daemon that is killed in between carries it out at its next
//! start.

use tokio::{sync::mpsc, time::Instant};
use tracing::info;

use super::{Lane, millis};
use crate::{
    core::{Millis, ids::RunId, turn::Turn},
    gateway::admin::Outcome,
    store::{StoreError, Tx},
};

/// Beginning of the names of these settings; the run's id follows.
const KEY: &str = "kill.";

/// Records the order.
pub(crate) fn order_kill(
    tx: &Tx<'_>,
    run: &RunId,
    by: &str,
    now: Millis,
) -> Result<(), StoreError> {
    tx.setting_set(&format!("{KEY}{run}"), by, now)
}

/// Whether there is such an order.
pub(super) fn kill_ordered(tx: &Tx<'_>, run: &RunId) -> Result<bool, StoreError> {
    Ok(tx.setting(&format!("{KEY}{run}"))?.is_some())
}

/// The run is over.
pub(super) fn kill_done(tx: &Tx<'_>, run: &RunId) -> Result<(), StoreError> {
    tx.setting_unset(&format!("{KEY}{run}"))
}

impl Lane {
    /// Ends the process: by its own hand if it is quick, else by force. Whoever gave `caller` is told by its drop.
    pub(super) async fn kill(&mut self, run: &RunId, caller: Option<mpsc::Sender<Outcome>>) {
        let Some(live) = self.run.as_mut().filter(|live| live.id == *run) else {
            // It is over, or it will be taken up and found ordered to end.
            return;
        };
        live.killers.extend(caller);
        if live.killed {
            return;
        }
        live.killed = true;
        info!(conversation = self.conversation.id.0, run = %run, "an administrator ends the agent");
        // Its person is told by whom.
        self.interrupt_as(Turn::interrupt_by_admin).await;
        self.end_killed();
    }

    /// Has the process end within the time that an interrupt has.
    pub(super) fn end_killed(&mut self) {
        if self.run.as_ref().is_some_and(|live| live.active.is_none()) {
            self.end_run();
        }
        let until = Instant::now() + millis(self.deps.config.get().interrupt_grace);
        if let Some(live) = &mut self.run {
            live.ending = Some(live.ending.map_or(until, |at| at.min(until)));
        }
    }
}
