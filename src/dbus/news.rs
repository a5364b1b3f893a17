//! What is told to whoever listens.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::{broadcast, watch};
use tracing::debug;
use zbus::{
    Connection, fdo::Properties, names::InterfaceName, object_server::SignalEmitter, wire::Variant,
};

use super::{
    PATH,
    desk::Desk,
    manager::{self, Facts, Manager},
    objects::Objects,
};
use crate::{core::happened::Happened, health::Report};

/// Least time between two signals about changed properties.
const CHANGES: Duration = Duration::from_secs(1);

/// Tells who listens that properties have changed.
pub(super) async fn tell_changes(
    connection: &Connection,
    desk: &Desk,
    mut news: watch::Receiver<Arc<Report>>,
) {
    let mut told = Facts::of(&news.borrow_and_update(), desk.admin.paused());
    loop {
        let looked = tokio::select! {
            looked = news.changed() => looked.is_ok(),
            () = desk.ordered.notified() => true,
        };
        if !looked {
            // Nobody looks any more: the daemon is ending.
            return std::future::pending().await;
        }
        let now = Facts::of(&news.borrow_and_update(), desk.admin.paused());
        let changed = now.changed(&told);
        if changed.is_empty() {
            continue;
        }
        if let Err(cause) = properties_changed(connection, changed).await {
            debug!(%cause, "cannot tell of changed properties");
        }
        told = now;
        tokio::time::sleep(CHANGES).await;
    }
}

/// Sends signals about what happens, and lets objects come and go with it.
pub(super) async fn tell_happenings(
    connection: &Connection,
    mut happened: broadcast::Receiver<Happened>,
    mut objects: Objects,
) {
    let emitter = match SignalEmitter::new(connection, PATH) {
        Ok(emitter) => emitter,
        // The path is a constant that is one.
        Err(_) => return std::future::pending().await,
    };
    loop {
        let sent = match happened.recv().await {
            Ok(Happened::RunStarted {
                run,
                conversation,
                person,
                started_at,
            }) => {
                objects.begun(&run, conversation, person, started_at).await;
                Manager::run_started(&emitter, run.as_str(), conversation.0).await
            }
            Ok(Happened::RunRunning { run }) => {
                objects.running(&run).await;
                Ok(())
            }
            Ok(Happened::RunEnded {
                run,
                conversation,
                result,
            }) => {
                let told = Manager::run_ended(&emitter, run.as_str(), conversation.0, result).await;
                objects.over(&run).await;
                told
            }
            Ok(Happened::TurnFailed { turn, conversation }) => {
                Manager::turn_failed(&emitter, turn.0, conversation.0).await
            }
            Ok(Happened::QuestionAsked { question, turn }) => {
                Manager::question_asked(&emitter, question, turn.0).await
            }
            Ok(Happened::ConfigChanged { keys }) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                Manager::config_changed(&emitter, &keys).await
            }
            Ok(Happened::PairingRequested { person }) => {
                Manager::pairing_requested(&emitter, person).await
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                debug!(missed, "the bus is slow; signals were left out");
                objects.look().await;
                continue;
            }
            // The daemon is ending.
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        };
        if let Err(cause) = sent {
            debug!(%cause, "cannot send a signal");
        }
    }
}

async fn properties_changed(
    connection: &Connection,
    changed: HashMap<&str, Variant<'_>>,
) -> zbus::Result<()> {
    let emitter = SignalEmitter::new(connection, PATH)?;
    let interface = InterfaceName::from_static_str(manager::INTERFACE)?;
    Properties::properties_changed(&emitter, interface, changed, Cow::Borrowed(&[])).await
}
