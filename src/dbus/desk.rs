//! Where orders of callers are handed in.

use std::sync::Arc;

use tokio::{runtime::Handle, sync::Notify};
use zbus::{Connection, message::Header};

use super::{error::Error, gate::Gate};
use crate::{
    core::actor::Actor,
    gateway::handle::{Admin, AdminError},
};

pub(super) struct Desk {
    pub(super) gate: Arc<Gate>,
    pub(super) admin: Admin,
    /// The runtime of the gateway.
    pub(super) gateway: Handle,
    /// Something was ordered here, so properties may have changed.
    pub(super) ordered: Notify,
}

impl Desk {
    /// Who calls, for the audit.
    ///
    /// # Errors
    /// The bus does not say.
    async fn actor(&self, connection: &Connection, header: &Header<'_>) -> Result<Actor, Error> {
        Ok(self.gate.caller(connection, header).await?.actor())
    }

    /// Has something done in the caller's name where the gateway lives, so that what it starts does not end with this
    /// thread. It is done even if the caller does not wait for it.
    ///
    /// # Errors
    /// The order's; the bus does not say who calls.
    pub(super) async fn order<T, F>(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        work: impl FnOnce(Admin, Actor) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, AdminError>> + Send + 'static,
    {
        let who = self.actor(connection, header).await?;
        let done = self.gateway.spawn(work(self.admin.clone(), who)).await;
        self.ordered.notify_one();
        match done {
            Ok(done) => Ok(done?),
            Err(_) => Err(Error::Failed(
                "telexd is ending; try again when it runs".to_owned(),
            )),
        }
    }
}
