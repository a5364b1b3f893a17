//! What the loop does where a poll fails: new connections, waits, and what is told of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Loop, PollTrouble, REPEAT_MS, Stop};
use crate::{
    core::{messages, stall::Remedy, trouble::CallClass},
    telegram::{chance, classify::Reason, client::CallError},
};

/// From when on an outage is one that an administrator should know of.
pub(super) const LONG_OUTAGE: Duration = Duration::from_secs(60);

impl Loop {
    /// Whether the machine slept, or its clock was set forward. Connections from before are not to be relied on then.
    pub(super) fn slept(&mut self) -> bool {
        let (wall, running) = (self.intake.clock.now(), self.up_ms());
        if !self.leap.leapt(wall, running) {
            return false;
        }
        tracing::info!("the machine slept, or its clock was set forward; new connections are made");
        self.renew();
        true
    }

    fn renew(&self) {
        if let Err(cause) = self.intake.client.renew() {
            tracing::warn!(%cause, "cannot set up new connections; the old ones go on");
        }
    }

    pub(super) fn answered(&mut self) {
        self.stall.answered(self.up_ms());
        self.answered = Instant::now();
    }

    /// A poll came to nothing on the way.
    async fn unanswered(&mut self) -> Result<(), Stop> {
        match self.stall.unanswered(self.up_ms()) {
            Remedy::Patience => {}
            Remedy::Renew => {
                tracing::info!(
                    times = self.stall.renewed(),
                    "no poll is answered; new connections are made"
                );
                self.renew();
            }
            Remedy::RenewOrEnd => {
                self.renew();
                let asked = tokio::select! {
                    biased;
                    () = self.shutdown.cancelled() => return Err(Stop::Shutdown),
                    asked = self.intake.client.get_me() => asked,
                };
                if asked.is_ok() {
                    let minutes = self.answered.elapsed().as_secs() / 60;
                    tracing::error!(
                        event = messages::POLL_STALLED,
                        minutes,
                        "no poll is answered and new connections do not help, though Telegram answers other calls; \
                         telexd ends, to be started anew"
                    );
                    return Err(Stop::Stalled { minutes });
                }
            }
        }
        Ok(())
    }

    pub(super) async fn call_failed(&mut self, error: CallError) -> Result<(), Stop> {
        // Whoever answered: where a gateway or a proxy stands in Telegram's place, new connections mend nothing.
        if error.http.is_some() {
            self.answered();
        } else {
            self.unanswered().await?;
        }
        if error.is_garbled() {
            // One update that breaks the answer must not hold up the rest for ever.
            self.limit = 1;
        }
        let webhook = error.reason == Reason::WebhookActive && !self.webhook_tried;
        if webhook {
            self.webhook_tried = true;
            let removed = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Stop::Shutdown),
                removed = self.intake.client.delete_webhook() => removed,
            };
            match removed {
                Ok(()) => {
                    tracing::warn!(
                        event = messages::WEBHOOK_REMOVED,
                        "removed a webhook of this bot, as it kept updates from coming in"
                    );
                    return Ok(());
                }
                Err(error) => tracing::warn!(%error, "cannot remove the webhook of this bot"),
            }
        }
        self.failed(PollTrouble::Call(error.class.clone()), error.to_string())
            .await
    }

    /// Tells of a failure and waits as long as it asks for.
    pub(super) async fn failed(&mut self, trouble: PollTrouble, error: String) -> Result<(), Stop> {
        let dice = chance::share(&*self.intake.dice);
        let now = self.intake.clock.now();
        let wait_ms = match &trouble {
            PollTrouble::Call(CallClass::WaitUntil(until)) => self
                .network
                .failed(dice)
                .max(u64::try_from(until.saturating_sub(now)).unwrap_or(0)),
            PollTrouble::Call(CallClass::Conflict) => self.conflict.failed(dice),
            PollTrouble::Call(CallClass::Unauthorized | CallClass::Fatal) => {
                self.unauthorized.failed(dice)
            }
            PollTrouble::NoProgress => self.network.failed(dice).max(REPEAT_MS),
            _ => self.network.failed(dice),
        };
        let wait = Duration::from_millis(wait_ms);
        let lasting = self.tell(&trouble, &error, wait_ms);
        let contested = self.conflict_told;
        self.intake.health.send_modify(|health| {
            let at = Instant::now();
            health.failures = health.failures.saturating_add(1);
            health.failing_since.get_or_insert(now);
            health.failing_since_at.get_or_insert(at);
            health.next_try_at = at.checked_add(wait);
            health.back_by = at.checked_add(wait);
            health.trouble = Some(trouble);
            health.lasting = lasting;
            health.contested = contested;
            health.error = Some(error);
        });
        self.wait(wait).await
    }

    /// Logs a failure, as often as it helps. Whether it is one that administrators should know of.
    fn tell(&mut self, trouble: &PollTrouble, error: &str, wait_ms: u64) -> bool {
        let before = self.intake.health.borrow().clone();
        let failures = before.failures.saturating_add(1);
        let same = trouble.is_same_class(before.trouble.as_ref());
        match trouble {
            PollTrouble::Call(CallClass::Conflict) => return self.tell_conflict(error),
            PollTrouble::Call(CallClass::Unauthorized) => {
                if !same {
                    tracing::error!(
                        event = messages::TOKEN_REFUSED,
                        error,
                        "Telegram does not accept the bot's token; get a valid one from @BotFather"
                    );
                }
                return true;
            }
            PollTrouble::Call(CallClass::Fatal) => {
                if !same {
                    tracing::error!(
                        event = messages::POLL_IMPOSSIBLE,
                        error,
                        "no updates can come in like this; is the address of the Bot API right (telegram.api_url)?"
                    );
                }
                return true;
            }
            _ => {}
        }
        let long = before
            .failing_since_at
            .is_some_and(|since| since.elapsed() >= LONG_OUTAGE);
        // A long outage is told of at a falling rate: 1st, 2nd, 4th, 8th, … failure.
        if !same || failures.is_power_of_two() {
            let event = long.then_some(messages::TELEGRAM_UNREACHABLE);
            tracing::warn!(event, failures, wait_ms, error, "no updates come in");
        } else {
            tracing::debug!(failures, wait_ms, error, "no updates come in");
        }
        long
    }

    /// Another poller is no news for as long as a poll of our own earlier life may still hang at Telegram's; then it is told
    /// once, until there was none for a while.
    fn tell_conflict(&mut self, error: &str) -> bool {
        let since = *self.conflict_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.intake.client.poll_timeout() {
            tracing::info!(error, "another poll with this bot's token came in between");
            return false;
        }
        if !std::mem::replace(&mut self.conflict_told, true) {
            tracing::error!(
                event = messages::POLL_CONFLICT,
                error,
                "another program polls with this bot's token; only one can get the updates"
            );
        }
        true
    }

    /// Waits, but not on where the machine slept: all may be well again.
    async fn wait(&mut self, wait: Duration) -> Result<(), Stop> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Stop::Shutdown),
                () = tokio::time::sleep(left.min(self.intake.config.look_every)) => {}
            }
            if self.slept() {
                return Ok(());
            }
        }
    }
}
