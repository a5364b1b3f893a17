//! Has administrators told of what is not well: looks at each report on how it all stands, and lets
//! [`crate::core::alerts`] decide.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{observer::Looker, values::millis};
use crate::{
    config,
    core::{
        Millis,
        alerts::{Alert, Figures, Local, Seen, State, Watch, step},
        live::Live,
    },
    gateway::{
        self,
        alerts::{Alerting, record, stored},
        ports::Clock,
    },
    health::{Report, Trouble, conditions::Name},
    store::{Store, StoreError},
};

/// Tells administrators.
pub(super) struct Teller {
    pub(super) store: Store,
    pub(super) looker: Arc<Looker>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) alerting: Live<Alerting>,
    pub(super) config: Live<gateway::Config>,
}

impl Teller {
    /// Until `shutdown`. To be begun after [`gateway::life::begin`], which tells of the life before.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut reports = self.looker.reports();
        let mut state: Option<State> = None;
        let mut watch = Watch::default();
        let mut failed = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                changed = reports.changed() => if changed.is_err() { return },
            }
            let report = Arc::clone(&reports.borrow_and_update());
            if report.conditions.is_empty() || !report.readiness.ready {
                continue;
            }
            match self.look(&report, &mut state, &mut watch).await {
                Ok(()) => failed = false,
                Err(StoreError::Closed) => return,
                // It is decided anew with the next report.
                Err(cause) if !failed => {
                    failed = true;
                    warn!(%cause, "administrators cannot be told of what is not well; it is tried again");
                }
                Err(_) => {}
            }
        }
    }

    async fn look(
        &self,
        report: &Report,
        state: &mut Option<State>,
        watch: &mut Watch,
    ) -> Result<(), StoreError> {
        let before = match state {
            Some(state) => state,
            None => state.insert(stored(&self.store).await?),
        };
        let alerting = self.alerting.get();
        let now = self.clock.now();
        let moment = alerting.moment(now, millis(report.readiness.up));
        let rule = alerting.rule(&self.config.get().access);
        let step = step(before, watch, moment, &seen(report), &rule);
        if step.state == *before && step.tell.is_empty() {
            return Ok(());
        }
        let (begun, over) = (step.begun.clone(), step.over.clone());
        let (told, after) = (step.tell.len(), step.state.clone());
        record(
            &self.store,
            step,
            Alerting::clone(&alerting),
            moment.at,
            now,
        )
        .await?;
        *before = after;
        for alert in begun {
            warn!(alert = alert.as_str(), told, "not well");
        }
        for alert in over {
            info!(alert = alert.as_str(), told, "well again");
        }
        Ok(())
    }
}

/// What a report says of each alert.
fn seen(report: &Report) -> Vec<Seen> {
    let now = &report.readiness;
    let of = |alert, bad, evidence, figures| Seen {
        alert,
        bad,
        evidence,
        figures,
    };
    let plain = |alert, bad| of(alert, bad, 0, Figures::default());
    // Whether updates come in: else it is not known whether Telegram would still complain.
    let polls = now.polling.trouble.is_none() && now.polling.completed.is_some();
    let complains = |does: bool| {
        if does {
            Some(true)
        } else {
            polls.then_some(false)
        }
    };
    let condition = |alert, name, known: bool| {
        let found = report.condition(name);
        let found = found.filter(|condition| known && condition.value.is_some());
        let figures = found.map(|condition| Figures {
            value: condition.value,
            limit: condition.limit,
            about: None,
        });
        let bad = found.map(|condition| !condition.ok);
        of(alert, bad, now.write_mark, figures.unwrap_or_default())
    };
    let waits = match condition(Alert::Queue, Name::Queue, !now.paused) {
        // There is no value where nothing waits.
        seen if seen.bad.is_none() && !now.paused => plain(Alert::Queue, Some(false)),
        seen => seen,
    };
    vec![
        // They happened, if they did, before this life.
        plain(Alert::Crash, Some(false)),
        plain(Alert::CrashLoop, Some(false)),
        plain(Alert::Watchdog, Some(false)),
        plain(Alert::Conflict, complains(now.polling.contested)),
        plain(
            Alert::Unauthorized,
            complains(now.polling.trouble == Some(Trouble::TokenRefused)),
        ),
        condition(Alert::Disk, Name::Disk, true),
        // A write of long ago says nothing.
        condition(Alert::Database, Name::Writes, true),
        condition(Alert::OutOfMemory, Name::Agents, true),
        waits,
    ]
}

/// How administrators are told, by the settings.
pub(super) fn alerting(alerts: &config::Alerts) -> Alerting {
    let zone = match &alerts.time_zone {
        None => TimeZone::system(),
        Some(name) => TimeZone::get(name).unwrap_or_else(|cause| {
            warn!(%cause, "the time zone {name} is not known any more; UTC is used");
            TimeZone::UTC
        }),
    };
    Alerting {
        off: alerts.off.clone(),
        quiet: alerts.quiet,
        wall: Arc::new(move |at| local(at, &zone)),
        ahead,
    }
}

/// What the clock on the wall shows.
fn local(at: Millis, zone: &TimeZone) -> Local {
    let at = Timestamp::from_millisecond(at).unwrap_or_default();
    let there = zone.to_datetime(at);
    let number = |n: i8| u8::try_from(n).unwrap_or_default();
    Local {
        month: number(there.month()),
        day: number(there.day()),
        minute: u16::from(number(there.hour())) * 60 + u16::from(number(there.minute())),
    }
}

/// By how much a test sets the time ahead.
fn ahead() -> Millis {
    #[cfg(feature = "failpoints")]
    return crate::failpoints::ahead();
    #[cfg(not(feature = "failpoints"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_on_the_wall_goes_forward_and_back_an_hour() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // 2026-03-29 01:00 UTC, when summer begins there, and 2026-10-25 01:00 UTC, when it ends.
        for (at, wanted) in [
            (1_774_745_999_000, (3, 29, 119)),
            (1_774_746_000_000, (3, 29, 180)),
            (1_792_889_999_000, (10, 25, 179)),
            (1_792_890_000_000, (10, 25, 120)),
        ] {
            let there = local(at, &zone);
            assert_eq!((there.month, there.day, there.minute), wanted, "{at}");
        }
    }
}
