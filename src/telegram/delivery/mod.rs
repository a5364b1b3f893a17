//! The outbox worker: brings about what its rows want.
//!
//! One call at a time for each chat, several chats at once, each paced for itself, so that one chat's limits
//! and failures hold up nobody else. Answers to presses go ahead of everything. A row is taken as it stands when
//! its turn comes, so of many edits only the newest is made. Drafts go in the gaps between rows.

pub mod content;
pub mod drafts;
pub mod outcome;
pub mod pacing;

mod attempt;
mod worker;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use self::{
    attempt::Tools,
    drafts::{DraftBoard, Sketcher},
    pacing::PacingRule,
    worker::Worker,
};
use super::client::Client;
use crate::{
    core::{Millis, backoff::BackoffRule, live::Live},
    gateway::ports::{Clock, Dice},
    store::{Store, StoreError},
};

/// Numbers of the delivery.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// Most calls at once; at least 1. Answers to presses may be as many again.
    pub parallel: usize,
    /// How fast calls may follow each other; may change at any moment.
    pub pacing: Live<PacingRule>,
    /// Waits after failures of one row that may be its own.
    pub retry: BackoffRule,
    /// Waits after sends of one row that may have been done: each repeat may be one too many.
    pub ambiguous: BackoffRule,
    /// Waits of the whole delivery while Telegram cannot be reached.
    pub outage: BackoffRule,
    /// Wait of the whole delivery after the token was refused.
    pub refused: Duration,
    /// Age from which an answer to a press is worthless, in milliseconds.
    pub press_life_ms: Millis,
    /// How long what is due may still be started after the order to stop.
    pub flush: Duration,
    /// How long after that calls under way are awaited.
    pub landing: Duration,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            parallel: 16,
            pacing: Live::new(PacingRule::default()),
            retry: BackoffRule {
                base_ms: 1_000,
                factor: 2.0,
                cap_ms: 60_000,
                jitter: 0.2,
                stable_ms: 60_000,
            },
            ambiguous: BackoffRule {
                base_ms: 2_000,
                factor: 3.0,
                cap_ms: 900_000,
                jitter: 0.2,
                stable_ms: 60_000,
            },
            outage: BackoffRule {
                base_ms: 500,
                factor: 1.8,
                cap_ms: 15_000,
                jitter: 0.2,
                stable_ms: 0,
            },
            refused: Duration::from_secs(30),
            press_life_ms: 60_000,
            flush: Duration::from_secs(2),
            landing: Duration::from_secs(1),
        }
    }
}

/// What the delivery works with.
pub struct Delivery {
    /// Bot API.
    pub client: Client,
    /// Where the rows are.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance in the waits.
    pub dice: Arc<dyn Dice>,
    /// Running answers that are shown as drafts.
    pub drafts: DraftBoard,
    /// Numbers.
    pub config: DeliveryConfig,
}

/// Runs the delivery until `shutdown`. First marks what an earlier life left on the wire (`out_recover`).
///
/// After `shutdown` what is due is still sent for [`DeliveryConfig::flush`]; the rest stays in its rows. Only one
/// delivery may run on a store.
///
/// # Errors
/// The store was closed under it.
pub async fn run(delivery: Delivery, shutdown: CancellationToken) -> Result<(), StoreError> {
    let Delivery {
        client,
        store,
        clock,
        dice,
        drafts,
        config,
    } = delivery;
    let sketcher = Sketcher::new(drafts, client.clone());
    let tools = Tools {
        client,
        store,
        clock,
        dice,
        config,
    };
    Worker::new(Arc::new(tools), sketcher, shutdown).run().await
}
