//! One truth about readiness: who looks at the daemon's health looks here.
//!
//! [`Readiness`] holds what is known, the [conditions] say whether it will do, a [`Report`] is both: as a document for
//! machines ([`Report::document`]), as a [sentence](Report::sentence) for people, as gauges beside the counters
//! ([metrics]). [`late`] decides for the watchdog, by the same measures. All of that is pure: whoever fills it in (`app`)
//! brings the time along. [http] gives it to whoever asks.

pub mod conditions;
mod document;
pub mod http;
pub mod metrics;
mod report;
mod sentence;
mod verdict;

use std::time::Duration;

pub use self::{
    report::{Report, Sight},
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
    /// Since the beginning of this life.
    pub up: Duration,
    /// Whether an administrator has paused everything.
    pub paused: bool,
    /// Age of the oldest update that was not acted on yet.
    pub oldest_in: Option<Duration>,
    /// For how long something has been waiting to be sent.
    pub oldest_out: Option<Duration>,
    /// For how long a prompt has been waiting for an agent.
    pub oldest_prompt: Option<Duration>,
    /// Agents that ran out of memory within the last hour.
    pub out_of_memory: u64,
    /// The last write to the database.
    pub write: Option<Write>,
    /// A number that is another one for each write that is not of the same millisecond.
    pub write_mark: u64,
    /// Age of the last sign of life of the runtime.
    pub beat: Duration,
    /// For how long the database has been owing an answer.
    pub unanswered: Duration,
    /// By how much the poll loop is over the time for which it had said that it would be back.
    pub overdue: Duration,
    /// Bytes that are left on the disk of the database; `None`: that could not be told.
    pub disk_free: Option<u64>,
    /// Memory.
    pub memory: Memory,
    /// Processor time since the beginning of this life.
    pub cpu: Cpu,
    /// What the last reload left to be said.
    pub reload: Option<String>,
}

/// A write to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// How long it took until it was on the disk.
    pub took: Duration,
    /// How long ago that was.
    pub ago: Duration,
}

/// Memory, in bytes. `None`: that could not be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What the daemon takes.
    pub daemon: Option<u64>,
    /// What its service may take.
    pub limit: Option<u64>,
    /// What all agents take together.
    pub agents: Option<u64>,
}

/// Processor time. `None`: that could not be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Of the daemon.
    pub daemon: Option<Duration>,
    /// Of all agents together, as far as it was seen: never falls.
    pub agents: Option<Duration>,
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
    /// Whether another program polls with the same token, for longer than a poll of an earlier life may last; also between
    /// two failures.
    pub contested: bool,
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

impl Trouble {
    /// One word for it, and the words of others about it.
    #[must_use]
    pub fn word(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Unreachable(why) => ("unreachable", Some(why)),
            Self::Throttled => ("throttled", None),
            Self::TokenRefused => ("token-refused", None),
            Self::Conflict => ("conflict", None),
            Self::Refused(words) => ("refused", Some(words)),
            Self::Storage(why) => ("storage", Some(why)),
            Self::NoProgress => ("no-progress", None),
        }
    }
}
