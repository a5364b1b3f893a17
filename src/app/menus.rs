//! The menus of commands in Telegram: one for everybody, and one in the private chat of each admin.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    core::{
        backoff::{Backoff, BackoffRule},
        command::{self, CommandInfo},
        live::Live,
        policy::Role,
        trouble::CallClass,
    },
    gateway::{self, ports::Clock},
    store::{Store, StoreError},
    telegram::{
        client::{CallError, Client},
        menu::{self, Scope},
    },
};

/// Setting under which the chats are kept that have a menu of their own.
const KEY: &str = "menu.chats";

pub(super) struct Menus {
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) config: Live<gateway::Config>,
    pub(super) clock: Arc<dyn Clock>,
    /// Told when there may be a change.
    pub(super) changed: Arc<Notify>,
}

/// What Telegram was told in this life.
#[derive(Default)]
struct Told {
    everybody: bool,
    chats: BTreeSet<i64>,
}

impl Menus {
    /// Tells Telegram the menus, now and after each change, until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut told = Told::default();
        let mut backoff = Backoff::new(BackoffRule::POLL);
        loop {
            let nap = tokio::select! {
                () = shutdown.cancelled() => return,
                done = self.round(&mut told) => match done {
                    Ok(()) => None,
                    Err(cause) => {
                        debug!(%cause, "cannot tell Telegram the commands yet");
                        Some(Duration::from_millis(backoff.failed(0.5)))
                    }
                },
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(nap.unwrap_or_default()), if nap.is_some() => {}
            }
        }
    }

    async fn round(&self, told: &mut Told) -> anyhow::Result<()> {
        if !told.everybody {
            self.tell(Scope::Everybody, Role::User).await?;
            // Also where Telegram refused it: it would again.
            told.everybody = true;
        }
        let access = self.config.get().access.clone();
        let admins: BTreeSet<i64> = access
            .admins()
            .filter(|id| access.role_of_id(*id) == Role::Admin)
            .collect();
        let before = self.stored().await?;
        // Recorded before anything is told, so that none is forgotten.
        self.record(&before, &before.union(&admins).copied().collect())
            .await?;
        let mut have: BTreeSet<i64> = before.clone();
        for gone in before.difference(&admins) {
            told.chats.remove(gone);
            match menu::forget(&self.client, *gone).await {
                Ok(()) => {}
                Err(cause) if cause.class == CallClass::Rejected => {
                    debug!(%cause, "a menu cannot be taken away");
                }
                Err(cause) => return Err(anyhow::anyhow!("{cause}")),
            }
            have.remove(gone);
        }
        for admin in &admins {
            if told.chats.contains(admin) {
                continue;
            }
            if self.tell(Scope::Chat(*admin), Role::Admin).await? {
                told.chats.insert(*admin);
            }
            have.insert(*admin);
        }
        let union: BTreeSet<i64> = before.union(&admins).copied().collect();
        self.record(&union, &have).await?;
        Ok(())
    }

    /// Tells one menu. False: Telegram refused it; whoever never wrote to the bot has no chat with it.
    async fn tell(&self, scope: Scope, role: Role) -> anyhow::Result<bool> {
        let commands: Vec<&'static CommandInfo> = command::commands_for(role).collect();
        match menu::tell(&self.client, scope, commands.into_iter()).await {
            Ok(()) => Ok(true),
            Err(cause) if cause.class == CallClass::Rejected => {
                self.rejected(scope, &cause);
                Ok(false)
            }
            Err(cause) => Err(anyhow::anyhow!("{cause}")),
        }
    }

    fn rejected(&self, scope: Scope, cause: &CallError) {
        match scope {
            Scope::Everybody => warn!(%cause, "Telegram does not take the commands"),
            Scope::Chat(person) => {
                debug!(person, %cause, "no menu for somebody who has not written to the bot yet");
            }
        }
    }

    async fn stored(&self) -> Result<BTreeSet<i64>, StoreError> {
        let key = self.key();
        let json = self.store.tx(move |tx| tx.setting(&key)).await?;
        Ok(json
            .and_then(|json| serde_json::from_str(&json).ok())
            .unwrap_or_default())
    }

    async fn record(
        &self,
        before: &BTreeSet<i64>,
        chats: &BTreeSet<i64>,
    ) -> Result<(), StoreError> {
        if before == chats {
            return Ok(());
        }
        let (key, now) = (self.key(), self.clock.now());
        // Numbers only: it always can be written.
        let json = serde_json::to_string(chats).unwrap_or_default();
        self.store
            .tx(move |tx| tx.setting_set(&key, &json, now))
            .await
    }

    fn key(&self) -> String {
        format!("{KEY}.{}", self.client.bot_id())
    }
}
