//! One truth about readiness: who looks at the daemon's health looks here.
//!
//! [`Readiness`] holds what is known, [`sentence()`] says it to people, [`late`] decides for the watchdog. All of it is
//! pure: whoever fills it in (`app`) brings the time along.

mod sentence;
mod verdict;

use std::time::Duration;

pub use self::{
    sentence::sentence,
    verdict::{Beats, Limits, Part, late, told},
};

/// What is known of the daemon at one moment. Durations reach back from that moment, by a clock that nobody sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readiness {
    /// How updates come in.
    pub polling: Polling,
    /// Conversations that are active.
    pub conversations: usize,
    /// Turns that are with an agent.
    pub running: u64,
    /// Turns that wait for one.
    pub queued: u64,
    /// Agents that live.
    pub processes: u64,
    /// Bytes that the database takes on the disk.
    pub database: u64,
    /// Whether all that a start has to do is done.
    pub ready: bool,
    /// Age of the oldest update that was not acted on yet.
    pub oldest_in: Option<Duration>,
    /// For how long something has been waiting to be sent.
    pub oldest_out: Option<Duration>,
    /// How long the last write to the database took, until it was on the disk.
    pub write: Option<Duration>,
    /// Age of the last sign of life of the runtime.
    pub beat: Duration,
    /// What the last reload left to be said.
    pub reload: Option<String>,
}

/// How updates come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Polling {
    /// Whether Telegram has answered anything yet: the first poll may last long because nobody writes.
    pub reached: bool,
    /// Since the last poll that Telegram answered.
    pub completed: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
    /// Since the first of them.
    pub failing: Option<Duration>,
    /// Until the next try, while it waits for that.
    pub next_try: Option<Duration>,
    /// What fails, while it does.
    pub trouble: Option<Trouble>,
}

/// What keeps updates from coming in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or none that held; why, in a word or two.
    Unreachable(String),
    /// Telegram asks to wait.
    Throttled,
    /// Telegram does not accept the token.
    TokenRefused,
    /// Another program polls with the same token.
    Conflict,
    /// Telegram refuses; its words.
    Refused(String),
    /// What came cannot be stored; why.
    Storage(String),
    /// Telegram repeats what cannot be confirmed.
    NoProgress,
}
