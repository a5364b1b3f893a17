//! What administrators may order, by whatever way the order comes: a slash command, the bus, a signal.
//!
//! Each operation is one transaction: the act, its line in the audit and, for an order from Telegram, its answer and the
//! mark that the update is done. What follows from it (a lane that is told, a wait that ends) comes after the commit.
//! Who may order what is decided by whoever lets the order in: the policy for Telegram, polkit for the bus.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | the frame of an operation |
//! | `error.rs` | why something is refused, and what to do about it |
//! | `pause.rs` | pause and resume |
//! | `runs.rs` | ending runs, turns and sessions; answers to questions |
//! | `send.rs` | prompts of administrators |
//! | `restart.rs` | the daemon's own end and start |
//! | `confirm.rs` | orders that ask first |
//! | `config.rs` | settings |
//! | `lists.rs` | what there is |
//! | `pairing.rs` | people who ask to be let in, and those who were |
//! | `refusals.rs` | calls that did not come to be orders |

pub(super) mod config;
mod confirm;
mod error;
mod lists;
mod pairing;
mod pause;
mod refusals;
mod restart;
mod runs;
mod send;

use std::sync::Arc;

use tracing::info;
use uuid::Uuid;

pub use self::{
    config::{Configured, Reloaded, changes_in, stored},
    error::AdminError,
    lists::{ConversationInfo, PersonInfo, RunInfo},
    pairing::{PairingInfo, let_in},
    pause::{Paused, Resumed},
    refusals::Refusal,
};
pub(super) use self::{
    pairing::{free_code, tidy},
    restart::is_back,
};
use super::{
    Deps,
    lane::{self, Ack, Said},
    lanes::Lanes,
};
use crate::{
    core::{Millis, actor::Actor, messages, pace::Pace, text::Button, words},
    store::{StoreError, Tx},
};

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It was so already.
    NoChange,
    /// It is accepted and holds after a restart.
    AfterRestart,
}

impl Outcome {
    /// Its name for programs: `done`, `no-change`, `after-restart`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoChange => "no-change",
            Self::AfterRestart => "after-restart",
        }
    }
}

/// The operations. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    deps: Arc<Deps>,
    lanes: Lanes,
}

/// What an operation did within its transaction.
struct Act<T> {
    /// On what, for the audit.
    on: String,
    done: Result<Deed<T>, AdminError>,
}

/// Something that was not refused.
struct Deed<T> {
    value: T,
    outcome: Outcome,
    /// What somebody in Telegram is told.
    text: String,
    buttons: Vec<Vec<Button>>,
    /// Number of what is asked, if it is a question.
    question: Option<Uuid>,
}

impl<T> Deed<T> {
    fn new(value: T, outcome: Outcome, text: impl Into<String>) -> Self {
        Self {
            value,
            outcome,
            text: text.into(),
            buttons: Vec::new(),
            question: None,
        }
    }
}

impl Admin {
    pub(super) fn new(deps: Arc<Deps>, lanes: Lanes) -> Self {
        Self { deps, lanes }
    }

    /// Does something in one transaction with its record and its answer.
    async fn act<T: Send + 'static>(
        &self,
        ack: &Ack,
        action: &'static str,
        f: impl FnOnce(&Tx<'_>, Millis) -> Result<Act<T>, StoreError> + Send + 'static,
    ) -> Result<T, AdminError> {
        let now = self.deps.clock.now();
        let asked = ack.clone();
        let act = self
            .deps
            .store
            .tx(move |tx| {
                let act = match too_often(tx, &asked, action, now)? {
                    Some(why) => Act {
                        on: String::new(),
                        done: Err(why),
                    },
                    None => f(tx, now)?,
                };
                let (result, text, buttons) = match &act.done {
                    Ok(deed) => (
                        deed.outcome.as_str().to_owned(),
                        deed.text.clone(),
                        deed.buttons.clone(),
                    ),
                    Err(why) => (
                        format!("refused: {}", why.kind()),
                        words::admin::refused(&why.to_string(), &why.remedy()),
                        Vec::new(),
                    ),
                };
                let said = Said {
                    action,
                    on: &act.on,
                    result: &result,
                    text: &text,
                    buttons,
                };
                let message = lane::acknowledge_by(tx, &asked, &said, now)?;
                let question = act.done.as_ref().ok().and_then(|deed| deed.question);
                if let Some((nonce, message)) = question.zip(message) {
                    confirm::shown(tx, nonce, message, now)?;
                }
                Ok((act, result))
            })
            .await;
        let (act, result) = act?;
        fail::fail_point!("admin-committed");
        info!(event = messages::ADMIN_ACT, who = %ack.who, action, result, "an administrator's order");
        act.done.map(|deed| deed.value)
    }
}

/// How often one person may order this in Telegram. Whoever has the server's own bus is not slowed down.
fn pace(action: &str) -> Option<Pace> {
    let (every_ms, burst) = match action {
        "clear" => (6_000, 10),
        "kill" => (6_000, 10),
        "kill-all" => (30_000, 2),
        "pairing-accept" | "pairing-reject" | "remove-person" => (3_000, 20),
        "config-set" | "config-reset" | "debug" => (3_000, 20),
        "ask" => (10_000, 5),
        "restart" => (60_000, 2),
        "pause" | "resume" => (3_000, 10),
        _ => return None,
    };
    Some(Pace { every_ms, burst })
}

/// Counts an order; an error if there were too many lately.
pub(super) fn too_often(
    tx: &Tx<'_>,
    ack: &Ack,
    action: &str,
    now: Millis,
) -> Result<Option<AdminError>, StoreError> {
    let (Actor::Telegram(person), Some(pace)) = (&ack.who, pace(action)) else {
        return Ok(None);
    };
    let scope = format!("{action}:{person}");
    match pace.admit(tx.pace(&scope)?, now) {
        Ok(ahead) => {
            tx.pace_set(&scope, ahead, now)?;
            Ok(None)
        }
        Err(until) => Ok(Some(AdminError::RateLimited {
            wait_ms: until.saturating_sub(now),
        })),
    }
}

/// For the desk: what was refused is answered; what the store refused is to be tried again.
pub(super) fn answered<T>(done: Result<T, AdminError>) -> Result<(), StoreError> {
    match done {
        Err(AdminError::Store(cause)) => Err(cause),
        _ => Ok(()),
    }
}

/// For the desk: a list, which only the store can refuse.
pub(super) fn read<T>(listed: Result<T, AdminError>) -> Result<T, StoreError> {
    listed.map_err(|why| match why {
        AdminError::Store(cause) => cause,
        other => StoreError::Other(other.to_string()),
    })
}
