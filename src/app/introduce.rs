//! Asks Telegram who we are, and tells it what we understand.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{menus::Menus, pulse::Pulse, system::SystemClock};
use crate::{
    core::{
        backoff::{Backoff, BackoffRule},
        trouble::CallClass,
    },
    gateway::{BotName, ports::Clock as _},
    store::Store,
    telegram::client::Client,
};

/// How long until the bot's name is asked for again after the token was refused.
const REFUSED_WAIT: Duration = Duration::from_secs(30);
/// Setting under which the bot's username is kept.
const BOT_NAME: &str = "bot.username";

/// Under which setting the name of this bot is kept.
pub(super) fn name_key(client: &Client) -> String {
    format!("{BOT_NAME}.{}", client.bot_id())
}

/// Asks Telegram for the bot's name, as soon as it can be reached, and tells it the commands, until `shutdown`.
pub(super) async fn run(
    client: Client,
    store: Store,
    name: BotName,
    pulse: Arc<Pulse>,
    menus: Menus,
    shutdown: CancellationToken,
) {
    tokio::select! {
        () = shutdown.cancelled() => return,
        () = learn_name(&client, &store, &name) => {}
    }
    pulse.reached();
    menus.run(shutdown).await;
}

/// Asks for the bot's name until it is known.
async fn learn_name(client: &Client, store: &Store, name: &BotName) {
    let mut backoff = Backoff::new(BackoffRule::POLL);
    loop {
        let cause = match client.get_me().await {
            Ok(me) => {
                let username = me.username.unwrap_or_default();
                info!(bot = client.bot_id(), username, "Telegram knows this bot");
                name.set(&username);
                let key = name_key(client);
                let now = SystemClock.now();
                if let Err(cause) = store
                    .tx(move |tx| tx.setting_set(&key, &username, now))
                    .await
                {
                    warn!(%cause, "cannot remember the bot's name");
                }
                return;
            }
            Err(cause) => cause,
        };
        // Intake meets the same trouble and tells of it as it should be told.
        debug!(%cause, "cannot ask Telegram for the bot's name yet");
        let wait = Duration::from_millis(backoff.failed(0.5));
        let refused = cause.class == CallClass::Unauthorized;
        tokio::time::sleep(if refused {
            wait.max(REFUSED_WAIT)
        } else {
            wait
        })
        .await;
    }
}
