//! "typing…" in the chats where something is being done.

use std::{collections::HashMap, sync::Arc, time::Duration};

use teloxide_core::{payloads::SendChatAction, types::ChatAction};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::{
    client::Client,
    delivery::content::{recipient, thread},
};
use crate::{
    core::trouble::CallClass,
    gateway::ports::{Clock, Presence},
};

/// Signs of life that may wait; more are dropped.
const QUEUE: usize = 64;

/// Calls at once; signs of life beyond are dropped.
const PARALLEL: usize = 8;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Shortest time between two signs in one chat: Telegram shows each for about five seconds.
pub const EVERY: Duration = Duration::from_secs(4);

/// The gateway's face of it.
#[derive(Clone, Debug)]
pub struct TelegramPresence(mpsc::Sender<(i64, i64)>);

impl Presence for TelegramPresence {
    fn typing(&self, chat_id: i64, thread_id: i64) {
        // Full: one "typing…" less is no loss.
        let _ = self.0.try_send((chat_id, thread_id));
    }
}

/// Starts the task behind it, which ends when the last [`TelegramPresence`] is dropped. `every`: [`EVERY`].
///
/// Must be called within a runtime.
#[must_use]
pub fn spawn(
    client: Client,
    clock: Arc<dyn Clock>,
    every: Duration,
) -> (TelegramPresence, tokio::task::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let task = tokio::spawn(run(client, clock, every, receiver));
    (TelegramPresence(sender), task)
}

async fn run(
    client: Client,
    clock: Arc<dyn Clock>,
    every: Duration,
    mut receiver: mpsc::Receiver<(i64, i64)>,
) {
    /// Where, and until when Telegram wants to hear nothing.
    type Told = ((i64, i64), Option<Duration>);

    let mut quiet_until: HashMap<(i64, i64), Instant> = HashMap::new();
    let mut calls: JoinSet<Told> = JoinSet::new();
    loop {
        let place = tokio::select! {
            Some(told) = calls.join_next(), if !calls.is_empty() => {
                if let Ok((place, Some(wait))) = told {
                    quiet_until.insert(place, Instant::now() + wait);
                }
                continue;
            }
            place = receiver.recv() => match place {
                Some(place) => place,
                // Dropping the calls under way loses a sign of life at most.
                None => return,
            },
        };
        let now = Instant::now();
        quiet_until.retain(|_, until| *until > now);
        if quiet_until.contains_key(&place) || calls.len() >= PARALLEL {
            continue;
        }
        let Ok(thread) = thread(place.1) else {
            continue;
        };
        quiet_until.insert(place, now + every);
        let mut payload = SendChatAction::new(recipient(place.0), ChatAction::Typing);
        payload.message_thread_id = thread;
        let (client, clock) = (client.clone(), Arc::clone(&clock));
        calls.spawn(async move {
            let failed =
                match tokio::time::timeout(CALL_TIMEOUT, client.send_chat_action(&payload)).await {
                    Ok(Ok(())) | Err(_) => return (place, None),
                    Ok(Err(error)) => error,
                };
            tracing::debug!(chat = place.0, error = %failed, "no sign of life");
            match failed.class {
                CallClass::WaitUntil(until) => {
                    let ms = u64::try_from(until.saturating_sub(clock.now())).unwrap_or(0);
                    (place, Some(Duration::from_millis(ms)))
                }
                _ => (place, None),
            }
        });
    }
}
