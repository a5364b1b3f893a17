//! How calls have gone, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use super::call_error::CallError;
use crate::core::trouble::CallClass;

/// Counts of all calls of a client since it was made. Reading one takes no lock.
#[derive(Debug, Default)]
pub struct Tally {
    well: AtomicU64,
    classes: [AtomicU64; CLASSES.len()],
    unknown: AtomicU64,
}

/// Names of the classes, in the order of [`place`].
pub const CLASSES: [&str; 7] = [
    "safe",
    "wait",
    "rejected",
    "ambiguous",
    "conflict",
    "unauthorized",
    "fatal",
];

fn place(class: &CallClass) -> usize {
    match class {
        CallClass::Safe => 0,
        CallClass::WaitUntil(_) => 1,
        CallClass::Rejected => 2,
        CallClass::Ambiguous => 3,
        CallClass::Conflict => 4,
        CallClass::Unauthorized => 5,
        CallClass::Fatal => 6,
    }
}

impl Tally {
    pub(super) fn went_well(&self) {
        self.well.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, error: &CallError) {
        if let Some(count) = self.classes.get(place(&error.class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if error.is_unknown() {
            self.unknown.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls that did what they should.
    #[must_use]
    pub fn well(&self) -> u64 {
        self.well.load(Ordering::Relaxed)
    }

    /// Calls that failed, by the name of their class.
    #[must_use]
    pub fn failures(&self) -> [(&'static str, u64); CLASSES.len()] {
        std::array::from_fn(|at| (CLASSES[at], self.classes[at].load(Ordering::Relaxed)))
    }

    /// How many of those were of a kind that telexd does not know.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}
