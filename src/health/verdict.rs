//! Whether the daemon is alive enough to be left alone. Pure.
//!
//! Only what a restart mends counts: a runtime, a database thread or a poll loop that stands still. A Telegram that
//! cannot be reached, a full disk or a slow agent do not: the loop turns, with longer and longer waits.

use std::{fmt, time::Duration};

/// How long ago each part gave a sign of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beats {
    /// The runtime ran a task of ours.
    pub runtime: Duration,
    /// The database's thread answered.
    pub store: Duration,
    /// By how much the poll loop is over the time for which it had said that it would be back. It says so before
    /// each wait, so that a long one that is meant is not taken for an end.
    pub intake_overdue: Duration,
}

/// How long ago each may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the runtime.
    pub runtime: Duration,
    /// For the database's thread.
    pub store: Duration,
    /// For the poll loop, beyond what it said.
    pub intake: Duration,
}

impl Limits {
    /// Those that go with a watchdog of this interval. The database has more time than the others, because a disk may
    /// stand still for seconds and a restart would only make it worse.
    #[must_use]
    pub fn of(interval: Duration) -> Self {
        Self {
            runtime: interval / 2,
            store: interval,
            intake: interval / 2,
        }
    }
}

/// A part that can stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The runtime, with everything that runs on it.
    Runtime,
    /// The database's thread.
    Store,
    /// The poll loop.
    Intake,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Runtime => "the runtime",
            Self::Store => "the database",
            Self::Intake => "the poll loop",
        })
    }
}

/// The parts that are late, with how long they have been silent. A runtime that stands still holds up whatever
/// reports for the others, so then it alone is named.
#[must_use]
pub fn late(beats: &Beats, limits: &Limits) -> Vec<(Part, Duration)> {
    if beats.runtime > limits.runtime {
        return vec![(Part::Runtime, beats.runtime)];
    }
    let mut late = Vec::new();
    if beats.store > limits.store {
        late.push((Part::Store, beats.store));
    }
    if beats.intake_overdue > limits.intake {
        late.push((Part::Intake, beats.intake_overdue));
    }
    late
}

/// The same as a sentence; `None` where nothing is late.
#[must_use]
pub fn told(late: &[(Part, Duration)]) -> Option<String> {
    let parts: Vec<String> = late
        .iter()
        .map(|(part, since)| match part {
            Part::Intake => format!("{part} is {:.1} s overdue", since.as_secs_f64()),
            _ => format!("{part} has not answered for {:.1} s", since.as_secs_f64()),
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        runtime: Duration::from_secs(15),
        store: Duration::from_secs(30),
        intake: Duration::from_secs(15),
    };

    fn beats(runtime: u64, store: u64, intake: u64) -> Beats {
        Beats {
            runtime: Duration::from_secs(runtime),
            store: Duration::from_secs(store),
            intake_overdue: Duration::from_secs(intake),
        }
    }

    #[test]
    fn each_part_is_named() {
        assert_eq!(Limits::of(Duration::from_secs(30)), LIMITS);
        let told = |b| told(&late(&b, &LIMITS));
        assert_eq!(told(Beats::default()), None);
        assert_eq!(told(beats(15, 30, 15)), None);
        assert_eq!(
            told(beats(16, 0, 0)).unwrap(),
            "the runtime has not answered for 16.0 s"
        );
        assert_eq!(
            told(beats(0, 31, 16)).unwrap(),
            "the database has not answered for 31.0 s and the poll loop is 16.0 s overdue"
        );
        // Nobody else can be judged then.
        assert_eq!(late(&beats(16, 99, 99), &LIMITS).len(), 1);
    }

    proptest! {
        /// Nothing is late within its limit, and what is beyond it is never passed over.
        #[test]
        fn late_is_what_is_beyond_its_limit(runtime in 0_u64..60, store in 0_u64..60, intake in 0_u64..60) {
            let found = late(&beats(runtime, store, intake), &LIMITS);
            let any = runtime > 15 || store > 30 || intake > 15;
            prop_assert_eq!(!found.is_empty(), any);
            prop_assert_eq!(found.iter().any(|(part, _)| *part == Part::Runtime), runtime > 15);
        }
    }
}
