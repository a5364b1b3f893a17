//! Tells administrators what is not well. What is told is decided in [`crate::core::alerts`]; here it becomes rows of the
//! outbox, in one transaction with the record of it: killed before that, the next life decides anew; killed after it, the
//! messages are on their way and are not written again.

use std::{collections::BTreeSet, fmt, sync::Arc};

use tracing::warn;

use super::show;
use crate::{
    core::{
        Millis,
        alerts::{Alert, Local, Moment, Quiet, Rule, State, Step},
        policy::{Access, Role},
        words,
    },
    store::{
        Store, StoreError, Tx,
        rows::{Target, Urgency},
    },
};

/// Setting that holds what was told.
const KEY: &str = "alerts";

/// What the clock on the wall shows at a moment.
pub type Wall = Arc<dyn Fn(Millis) -> Local + Send + Sync>;

/// How administrators are told.
#[derive(Clone)]
pub struct Alerting {
    /// What is not told.
    pub off: BTreeSet<Alert>,
    /// In which hours only what is urgent is.
    pub quiet: Option<Quiet>,
    /// The clock of these hours.
    pub wall: Wall,
    /// By how much a test sets the time ahead, ms.
    pub ahead: fn() -> Millis,
}

impl Default for Alerting {
    /// Everything, at every hour, by UTC.
    fn default() -> Self {
        Self {
            off: BTreeSet::new(),
            quiet: None,
            wall: Arc::new(|at| Local {
                month: 1,
                day: 1,
                // Of a day.
                minute: u16::try_from(at.div_euclid(60_000).rem_euclid(24 * 60)).unwrap_or(0),
            }),
            ahead: || 0,
        }
    }
}

impl fmt::Debug for Alerting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerting")
            .field("off", &self.off)
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}

impl Alerting {
    /// A moment, as alerts see it; `up`: since this process began, ms.
    #[must_use]
    pub fn moment(&self, now: Millis, up: Millis) -> Moment {
        let ahead = (self.ahead)();
        let at = now.saturating_add(ahead);
        Moment {
            at,
            up: up.saturating_add(ahead),
            quiet: self
                .quiet
                .is_some_and(|quiet| quiet.holds((self.wall)(at).minute)),
        }
    }

    /// Who is told of what.
    #[must_use]
    pub fn rule(&self, access: &Access) -> Rule {
        let admins = access.admins();
        Rule {
            off: self.off.clone(),
            admins: admins
                .filter(|admin| access.role_of_id(*admin) == Role::Admin)
                .collect(),
            know: BTreeSet::new(),
        }
    }
}

/// What was told so far.
///
/// # Errors
/// The store's.
pub async fn stored(store: &Store) -> Result<State, StoreError> {
    store.tx(read).await
}

/// Records what a step came to, and puts its messages into the outbox. `at`: the moment of the step; `now`: of the rows.
///
/// # Errors
/// The store's; then nothing was told.
pub async fn record(
    store: &Store,
    step: Step,
    alerting: Alerting,
    at: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    fail::fail_point!("alerts-before-commit");
    store
        .tx(move |tx| write(tx, &step, &alerting, at, now))
        .await?;
    fail::fail_point!("alerts-committed");
    Ok(())
}

pub(super) fn read(tx: &Tx<'_>) -> Result<State, StoreError> {
    let json = tx.setting(KEY)?;
    let state = json.and_then(|json| {
        serde_json::from_str(&json)
            .inspect_err(|cause| warn!(%cause, "the record of what administrators were told is not readable; it begins anew"))
            .ok()
    });
    Ok(state.unwrap_or_default())
}

pub(super) fn write(
    tx: &Tx<'_>,
    step: &Step,
    alerting: &Alerting,
    at: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    let json = serde_json::to_string(&step.state)
        .map_err(|cause| StoreError::Other(format!("what administrators were told: {cause}")))?;
    tx.setting_set(KEY, &json, now)?;
    for (admin, lines) in &step.tell {
        let text = words::alerts::message(lines, at, &*alerting.wall);
        let shown = show::note(text, Vec::new(), None);
        // The private chat with a person has the person's id. Where there is none, or the bot is blocked, Telegram refuses
        // that one message, and the others arrive.
        let target = Target {
            chat_id: *admin,
            thread_id: 0,
        };
        tx.out_show(target, None, Urgency::Message, &shown, now)?;
    }
    Ok(())
}
