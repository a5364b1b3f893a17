//! Whether the daemon ends to be started again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Shared by all its clones.
#[derive(Clone, Debug)]
pub struct Restart {
    possible: bool,
    wanted: Arc<AtomicBool>,
}

impl Restart {
    /// `possible`: whether somebody is there who starts it again.
    #[must_use]
    pub fn new(possible: bool) -> Self {
        Self {
            possible,
            wanted: Arc::default(),
        }
    }

    /// Whether somebody starts it again.
    #[must_use]
    pub fn possible(&self) -> bool {
        self.possible
    }

    /// Whether that was ordered.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    pub(super) fn order(&self) {
        self.wanted.store(true, Ordering::Release);
    }
}
