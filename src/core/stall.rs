//! When polls that are not answered call for more than patience, and when the machine slept.
//!
//! Time comes from the caller. A connection may be dead without anybody having said so: routers forget, machines sleep, name
//! servers change. New connections cost little, so they are made first; only where those do not help either, although
//! Telegram answers other calls, is it the process itself that is stuck, and a restart by the service manager the remedy.

use super::Millis;

/// Numbers of a [`Stall`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallRule {
    /// How much longer the very first answer may take: after a boot the network comes late. In milliseconds.
    pub grace_ms: Millis,
    /// For how long no poll may be answered before connections are made anew, and again after that. In milliseconds.
    pub after_ms: Millis,
    /// How often that may fail to help.
    pub renewals: u32,
}

impl StallRule {
    /// For the poll loop: three polls' worth, a minute and a half more at the start, and three new beginnings.
    pub const POLL: Self = Self {
        grace_ms: 90_000,
        after_ms: 120_000,
        renewals: 3,
    };
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing yet.
    Patience,
    /// New connections.
    Renew,
    /// New connections, and where Telegram answers another call, an end.
    RenewOrEnd,
}

/// Watches polls. `now` is milliseconds of a clock that cannot be set.
#[derive(Clone, Debug)]
pub struct Stall {
    rule: StallRule,
    since: Millis,
    renewed: u32,
}

impl Stall {
    /// Begins now.
    #[must_use]
    pub fn new(rule: StallRule, now: Millis) -> Self {
        Self {
            rule,
            since: now.saturating_add(rule.grace_ms),
            renewed: 0,
        }
    }

    /// A poll was answered, whatever the answer: the way is open. Answers to other calls do not count, for they say
    /// nothing about polls.
    pub fn answered(&mut self, now: Millis) {
        self.since = now;
        self.renewed = 0;
    }

    /// A poll was not answered.
    pub fn unanswered(&mut self, now: Millis) -> Remedy {
        if now.saturating_sub(self.since) < self.rule.after_ms {
            return Remedy::Patience;
        }
        self.since = now;
        self.renewed = self.renewed.saturating_add(1);
        if self.renewed > self.rule.renewals {
            Remedy::RenewOrEnd
        } else {
            Remedy::Renew
        }
    }

    /// How often connections were made anew since the last answer.
    #[must_use]
    pub fn renewed(&self) -> u32 {
        self.renewed
    }
}

/// How much faster than the clock that cannot be set the other one must have gone before that counts, in milliseconds.
const LEAP_MS: Millis = 20_000;

/// Notices that the machine slept, or that its clock was set forward, which look alike: the clock of days goes on while the
/// one that counts running time stands still.
#[derive(Clone, Debug)]
pub struct Leap {
    wall: Millis,
    running: Millis,
}

impl Leap {
    /// Begins now, by both clocks.
    #[must_use]
    pub fn new(wall: Millis, running: Millis) -> Self {
        Self { wall, running }
    }

    /// Whether there was a leap since it was last asked. A clock that was set back is none.
    pub fn leapt(&mut self, wall: Millis, running: Millis) -> bool {
        let by_wall = wall.saturating_sub(self.wall);
        let by_running = running.saturating_sub(self.running);
        *self = Self { wall, running };
        by_wall.saturating_sub(by_running) >= LEAP_MS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: StallRule = StallRule {
        grace_ms: 50,
        after_ms: 100,
        renewals: 2,
    };

    #[test]
    fn first_patience_then_new_connections_then_an_end() {
        let mut stall = Stall::new(RULE, 1000);
        let mut told = Vec::new();
        for now in [1010, 1140, 1150, 1160, 1249, 1250, 1350, 1450, 1451] {
            told.push(stall.unanswered(now));
        }
        use Remedy::{Patience, Renew, RenewOrEnd};
        assert_eq!(
            told,
            [
                Patience, Patience, Renew, Patience, Patience, Renew, RenewOrEnd, RenewOrEnd,
                Patience
            ]
        );
        assert_eq!(stall.renewed(), 4);
        stall.answered(1500);
        assert_eq!(stall.renewed(), 0);
        assert_eq!(stall.unanswered(1599), Patience);
        assert_eq!(stall.unanswered(1600), Renew);
    }

    #[test]
    fn sleep_is_noticed_once_and_a_clock_set_back_is_no_sleep() {
        let mut leap = Leap::new(1_000_000, 10);
        assert!(!leap.leapt(1_005_000, 5_010));
        assert!(leap.leapt(5_000_000, 10_010));
        assert!(!leap.leapt(5_005_000, 15_010));
        assert!(!leap.leapt(0, 20_010));
        assert!(!leap.leapt(5_000, 25_010));
        assert!(!leap.leapt(i64::MIN, i64::MAX));
    }

    proptest! {
        #[test]
        fn no_end_while_polls_are_answered(times in proptest::collection::vec((1..99_i64, any::<bool>()), 1..200)) {
            let mut stall = Stall::new(RULE, 0);
            let mut now = 0;
            let mut last = RULE.grace_ms;
            for (step, answered) in times {
                now += step;
                if answered {
                    stall.answered(now);
                    last = now;
                } else if stall.unanswered(now) == Remedy::RenewOrEnd {
                    // Three times as long as anybody was patient, at least.
                    prop_assert!(now - last >= 3 * RULE.after_ms);
                }
            }
        }

        #[test]
        fn an_even_clock_never_leaps(steps in proptest::collection::vec(0..100_000_i64, 1..50)) {
            let mut leap = Leap::new(0, 0);
            let mut now = 0;
            for step in steps {
                now += step;
                prop_assert!(!leap.leapt(now, now));
            }
        }
    }
}
