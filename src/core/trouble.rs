//! What goes wrong, in two views: eight categories for people, classes for the gateway.

use serde::{Deserialize, Serialize};

use super::Millis;

/// The eight categories that a person is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The network.
    Network,
    /// Something took too long.
    Timeout,
    /// Too much in a short time.
    RateLimit,
    /// Not allowed.
    Permission,
    /// Not there.
    NotFound,
    /// Not understood.
    InvalidInput,
    /// The agent.
    Agent,
    /// Anything else.
    Generic,
}

/// A trouble as a person is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Category.
    pub category: Category,
    /// Where the cause is known: one more sentence, never vaguer than the category's own.
    pub detail: Option<String>,
    /// For [`Category::RateLimit`]: how long to wait, in seconds.
    pub wait_s: Option<u64>,
}

/// What the gateway does about a failed call to Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallClass {
    /// It never left this machine: may be repeated.
    Safe,
    /// Telegram asks to wait until then (absolute).
    WaitUntil(Millis),
    /// Telegram refused this very call: not to be repeated as it is.
    Rejected,
    /// It may or may not have been done.
    Ambiguous,
    /// Another program polls with the same token, or a webhook is set (409).
    Conflict,
    /// The token is not valid (401, or 404 for the whole method path).
    Unauthorized,
}
