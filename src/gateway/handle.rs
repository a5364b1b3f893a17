//! The only face of the gateway towards the other rooms.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc};

use super::{
    Deps,
    dispatch::{self, Arrival, Underway},
    files,
    lanes::Lanes,
    ports::{Admission, Reception},
    recover,
};
pub use super::{
    admin::{
        Admin, AdminError, Configured, ConversationInfo, Outcome, PairingInfo, Paused, PersonInfo,
        Refusal, Resumed, RunInfo,
    },
    ports::{Reloaded, SettingInfo},
};
use crate::{
    core::{happened::Happened, ids::InboxId, inbound::Inbound},
    store::StoreError,
};

/// Updates that may wait for the dispatcher. A full queue holds intake back, which is what Telegram's own queue is for.
const WAITING_ROOM: usize = 256;

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    deps: Arc<Deps>,
    lanes: Lanes,
    arrivals: mpsc::Sender<Arrival>,
    underway: Underway,
}

impl Gateway {
    /// Takes up what an earlier life left, then starts the dispatcher. To be called before intake starts.
    ///
    /// # Errors
    /// The store's, when what was left cannot be read.
    pub async fn start(deps: Arc<Deps>) -> Result<Self, StoreError> {
        let lanes = Lanes::new(Arc::clone(&deps));
        recover::run(&deps, &lanes).await?;
        let (arrivals, waiting) = mpsc::channel(WAITING_ROOM);
        let underway = Underway::default();
        deps.tasks.spawn(dispatch::run(
            Arc::clone(&deps),
            lanes.clone(),
            waiting,
            underway.clone(),
        ));
        deps.tasks
            .spawn(files::worker::run(Arc::clone(&deps), lanes.clone()));
        deps.tasks.spawn(recover::collect(Arc::clone(&deps)));
        Ok(Self {
            deps,
            lanes,
            arrivals,
            underway,
        })
    }

    /// What administrators may order.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(Arc::clone(&self.deps), self.lanes.clone())
    }

    /// What happens from now on. Who falls behind by much misses something.
    #[must_use]
    pub fn happened(&self) -> broadcast::Receiver<Happened> {
        self.deps.store.happened()
    }

    /// Number of conversations that have a lane at the moment.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.count()
    }
}

#[async_trait]
impl Reception for Gateway {
    fn admit(&self, bot_id: i64, inbound: &Inbound) -> Option<Admission> {
        // Updates are acted on in order: none may overtake one that the dispatcher has.
        self.underway
            .none()
            .then(|| dispatch::admission(&self.deps, &self.lanes, bot_id, inbound))
            .flatten()
    }

    async fn accept(&self, id: InboxId, bot_id: i64, inbound: Inbound) {
        self.underway.add();
        // Closed only when the daemon stops; the row is in the inbox and comes again.
        let _ = self
            .arrivals
            .send(Arrival {
                id,
                bot_id,
                inbound,
            })
            .await;
    }
}
