//! How it stands at one moment: what was measured, and what that is worth.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Readiness,
    conditions::{Condition, Name},
    document, sentence,
};
use crate::core::Millis;

/// How it stands at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The moment.
    pub at: Millis,
    /// How often it had been measured by then in this life.
    pub serial: u64,
    /// What was measured.
    pub readiness: Readiness,
    /// What that is worth; none before anything was judged.
    pub conditions: Vec<Condition>,
}

impl Report {
    /// Whether the daemon does what it is for.
    #[must_use]
    pub fn ready(&self) -> bool {
        let mut required = self.conditions.iter().filter(|c| c.name.is_required());
        !self.conditions.is_empty() && required.all(|c| c.ok)
    }

    /// Whether updates come in.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.condition(Name::Telegram).is_some_and(|c| c.ok)
    }

    /// One of the conditions.
    #[must_use]
    pub fn condition(&self, name: Name) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.name == name)
    }

    /// In one line, for people: "polling, 3 conversations, 1 turn running".
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence::sentence(&self.readiness, &self.conditions)
    }

    /// All of it as JSON.
    #[must_use]
    pub fn document(&self) -> String {
        document::document(self)
    }
}

/// Looks at the daemon.
#[async_trait]
pub trait Sight: Send + Sync {
    /// How it stands, as of at most a second ago. Waits no longer than a moment: of what does not answer, that is told.
    async fn look(&self) -> Arc<Report>;

    /// Whether the process is alive at all; if not, what is late.
    ///
    /// # Errors
    /// What is late, as a sentence.
    fn alive(&self) -> Result<(), String>;
}
