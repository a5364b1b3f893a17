//! The daemon ends in order and is started again by the service manager. Agents go on meanwhile.

use super::{
    Act, Admin, AdminError, Deed, Outcome,
    confirm::{Pressed, Wish},
};
use crate::{
    core::{Millis, words},
    gateway::{lane::Ack, show},
    store::{
        StoreError, Tx,
        rows::{OutboxId, Wanted},
    },
};

/// Setting that holds the message which says that it is restarting.
const KEY: &str = "restarting";

impl Admin {
    /// Ends the daemon to be started again. Returns when that is recorded; the end follows at once.
    ///
    /// # Errors
    /// Nobody is there to start it again; the store's.
    pub async fn restart(&self, by: impl Into<Ack>) -> Result<(), AdminError> {
        self.restart_as(by.into(), None).await
    }

    pub(super) async fn restart_as(
        &self,
        ack: Ack,
        pressed: Option<Pressed>,
    ) -> Result<(), AdminError> {
        let possible = self.deps.restart.possible();
        self.act(&ack, "restart", move |tx, now| {
            if !possible {
                return Ok(Act {
                    on: String::new(),
                    done: Err(AdminError::NobodyRestarts),
                });
            }
            if let Some(pressed) = &pressed
                && let Some(message) = pressed.used(tx, words::admin::RESTARTING.as_str(), now)?
            {
                tx.setting_set(KEY, &message.0.to_string(), now)?;
            }
            Ok(Act {
                on: String::new(),
                done: Ok(Deed::new(
                    (),
                    Outcome::Done,
                    words::admin::RESTARTING.as_str(),
                )),
            })
        })
        .await?;
        self.deps.restart.order();
        self.deps.shutdown.cancel();
        Ok(())
    }

    /// Asks whether the daemon is to be restarted, with buttons.
    pub(in crate::gateway) async fn ask_restart(&self, ack: Ack) -> Result<(), AdminError> {
        let possible = self.deps.restart.possible();
        self.ask(ack, Wish::Restart, move |_| {
            Ok(if possible {
                Ok(words::admin::RESTART.to_owned())
            } else {
                Err(AdminError::NobodyRestarts)
            })
        })
        .await
    }
}

/// After a start: what said that it is restarting says that it is back.
pub(in crate::gateway) fn is_back(tx: &Tx<'_>, now: Millis) -> Result<(), StoreError> {
    let Some(json) = tx.setting(KEY)? else {
        return Ok(());
    };
    tx.setting_unset(KEY)?;
    let Ok(message) = json.parse() else {
        return Ok(());
    };
    if let Some(row) = tx.out_row(OutboxId(message))?
        && let Wanted::Show(shown) = row.wanted
    {
        let back = show::note(words::admin::BACK.as_str(), Vec::new(), shown.reply_to);
        tx.out_again(row.id, &back, now)?;
    }
    Ok(())
}
