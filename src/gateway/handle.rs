//! The only face of the gateway towards the other rooms.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{
    Deps,
    dispatch::{self, Arrival},
    lanes::Lanes,
    ports::Reception,
    recover,
};
use crate::{
    core::{ids::InboxId, inbound::Inbound},
    store::StoreError,
};

/// Updates that may wait for the dispatcher. A full queue holds intake back, which is what Telegram's own queue is for.
const WAITING_ROOM: usize = 256;

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    lanes: Lanes,
    arrivals: mpsc::Sender<Arrival>,
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
        deps.tasks
            .spawn(dispatch::run(Arc::clone(&deps), lanes.clone(), waiting));
        deps.tasks.spawn(recover::collect(Arc::clone(&deps)));
        Ok(Self { lanes, arrivals })
    }

    /// Number of conversations that have a lane at the moment.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.count()
    }
}

#[async_trait]
impl Reception for Gateway {
    async fn accept(&self, id: InboxId, bot_id: i64, inbound: Inbound) {
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
