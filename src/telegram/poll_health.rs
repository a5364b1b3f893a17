//! How polling goes, as the loop tells it.

use tokio::time::Instant;

use crate::core::{Millis, trouble::CallClass};

/// What keeps updates from coming in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollTrouble {
    /// The call fails.
    Call(CallClass),
    /// The updates came but cannot be stored; they are not confirmed, so nothing is lost.
    Storage,
    /// Telegram repeats updates that cannot be confirmed because they have no id.
    NoProgress,
}

/// How polling goes.
#[derive(Clone, Debug, Default)]
pub struct PollHealth {
    /// When a poll last completed, by the wall clock.
    pub last_completed: Option<Millis>,
    /// The same by a clock that cannot be set.
    pub last_completed_at: Option<Instant>,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Millis>,
    /// The same by a clock that cannot be set.
    pub failing_since_at: Option<Instant>,
    /// When it tries again, while it waits for that.
    pub next_try_at: Option<Instant>,
    /// By when the loop said, before its last wait, that it would be back. `None` before it begins. Changes without
    /// waking anybody.
    pub back_by: Option<Instant>,
    /// What fails, while it does.
    pub trouble: Option<PollTrouble>,
    /// Whether it is of a kind, or has gone on for so long, that administrators should know.
    pub lasting: bool,
    /// Whether another program polls with the same token, for longer than a poll of our own earlier life may last. Also
    /// between two failures, until there was none for a while.
    pub contested: bool,
    /// Its text, one line.
    pub error: Option<String>,
}

impl PollTrouble {
    /// Whether it is the one that was there before, whatever its deadline.
    pub(super) fn is_same_class(&self, before: Option<&Self>) -> bool {
        match (before, self) {
            (Some(Self::Call(before)), Self::Call(now)) => {
                std::mem::discriminant(before) == std::mem::discriminant(now)
            }
            (Some(before), now) => before == now,
            (None, _) => false,
        }
    }
}
