//! How long to wait before something that failed is tried again.
//!
//! Randomness and time come from the caller; nothing here sleeps.

use super::Millis;

/// Numbers of a backoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackoffRule {
    /// Wait after the first failure, in milliseconds.
    pub base_ms: u64,
    /// By what each further failure multiplies it; below 1 it counts as 1.
    pub factor: f64,
    /// Longest wait, in milliseconds.
    pub cap_ms: u64,
    /// Part of the wait that randomness may take away, 0 to 1, so that many clients do not come back together.
    pub jitter: f64,
    /// How long all must have gone well, in milliseconds, before the count of failures starts anew.
    pub stable_ms: u64,
}

impl BackoffRule {
    /// For the poll loop: 2 s, times 1.8, at most 30 s, up to a fifth less by chance, forgotten after a good minute.
    pub const POLL: Self = Self {
        base_ms: 2_000,
        factor: 1.8,
        cap_ms: 30_000,
        jitter: 0.2,
        stable_ms: 60_000,
    };

    /// Wait before the next try after `failures` failures in a row, in milliseconds: `base × factor^(failures-1)`,
    /// at most the cap, less a random part. 0 for no failure.
    ///
    /// `dice` is uniform in 0 to 1; 0 gives the whole wait. Values outside are clamped, NaN counts as 0.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the value is between 0 and cap_ms; waits are far below 2^52 ms"
    )]
    pub fn delay_ms(&self, failures: u32, dice: f64) -> u64 {
        if failures == 0 {
            return 0;
        }
        let exponent = i32::try_from(failures - 1).unwrap_or(i32::MAX);
        let grown = self.base_ms as f64 * at_least(self.factor, 1.0).powi(exponent);
        // An overflow to infinity ends at the cap as well.
        let whole = grown.min(self.cap_ms as f64);
        let kept = 1.0 - share(self.jitter) * share(dice);
        ((whole * kept).round() as u64).min(self.cap_ms)
    }
}

/// A number as a share between 0 and 1; NaN is 0.
fn share(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }
}

/// `x`, but not less than `least`; NaN is `least`.
fn at_least(x: f64, least: f64) -> f64 {
    // f64::max gives the other operand for NaN.
    x.max(least)
}

/// Count of failures of one thing that is tried again and again.
///
/// `now` is milliseconds of any clock that the caller keeps to; a monotonic one is best. Going back in time only makes
/// the reset come later.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    rule: BackoffRule,
    failures: u32,
    well_since: Option<Millis>,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(rule: BackoffRule) -> Self {
        Self {
            rule,
            failures: 0,
            well_since: None,
        }
    }

    /// It failed: how long to wait before the next try, in milliseconds.
    ///
    /// Successes that have not yet lasted for `stable_ms` do not shorten the wait: something that fails every other
    /// time is not well.
    pub fn failed(&mut self, dice: f64) -> u64 {
        self.well_since = None;
        self.failures = self.failures.saturating_add(1);
        self.rule.delay_ms(self.failures, dice)
    }

    /// It went well. Once it has done so for `stable_ms`, the count is 0 again.
    pub fn succeeded(&mut self, now: Millis) {
        let since = *self.well_since.get_or_insert(now);
        let stable = i64::try_from(self.rule.stable_ms).unwrap_or(i64::MAX);
        if now.saturating_sub(since) >= stable {
            self.failures = 0;
        }
    }

    /// Failures that still count.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> impl Strategy<Value = BackoffRule> {
        (
            0u64..100_000,
            0.5f64..5.0,
            0u64..10_000_000,
            0.0f64..=1.0,
            0u64..1_000_000,
        )
            .prop_map(|(base_ms, factor, cap_ms, jitter, stable_ms)| BackoffRule {
                base_ms,
                factor,
                cap_ms,
                jitter,
                stable_ms,
            })
    }

    #[test]
    fn the_poll_loop_waits_as_documented() {
        let waits: Vec<u64> = (0..=8)
            .map(|n| BackoffRule::POLL.delay_ms(n, 0.0))
            .collect();
        assert_eq!(
            waits,
            [0, 2000, 3600, 6480, 11664, 20995, 30000, 30000, 30000]
        );
        assert_eq!(BackoffRule::POLL.delay_ms(1, 1.0), 1600);
        assert_eq!(BackoffRule::POLL.delay_ms(u32::MAX, 1.0), 24000);
    }

    #[test]
    fn odd_numbers_are_harmless() {
        let rule = BackoffRule {
            factor: f64::NAN,
            jitter: f64::NAN,
            ..BackoffRule::POLL
        };
        assert_eq!(rule.delay_ms(7, f64::NAN), 2000);
        assert_eq!(BackoffRule::POLL.delay_ms(1, 9.0), 1600);
        assert_eq!(BackoffRule::POLL.delay_ms(1, -9.0), 2000);
    }

    #[test]
    fn only_a_stable_period_forgets() {
        let mut b = Backoff::new(BackoffRule::POLL);
        assert_eq!(b.failed(0.0), 2000);
        b.succeeded(10_000);
        b.succeeded(69_999);
        assert_eq!(b.failed(0.0), 3600);
        b.succeeded(100_000);
        b.succeeded(160_000);
        assert_eq!(b.failures(), 0);
        assert_eq!(b.failed(0.0), 2000);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_forget() {
        let mut b = Backoff::new(BackoffRule::POLL);
        b.failed(0.0);
        b.succeeded(1_000_000);
        b.succeeded(0);
        b.succeeded(i64::MIN);
        assert_eq!(b.failures(), 1);
    }

    proptest! {
        #[test]
        fn bounds_hold(rule in rules(), n in 1u32.., dice in 0.0f64..=1.0) {
            let whole = rule.delay_ms(n, 0.0);
            let wait = rule.delay_ms(n, dice);
            prop_assert!(wait <= whole && whole <= rule.cap_ms);
            #[expect(clippy::cast_precision_loss)]
            let least = whole as f64 * (1.0 - rule.jitter);
            #[expect(clippy::cast_precision_loss)]
            let wait = wait as f64;
            prop_assert!(wait >= least - 1.0);
        }

        #[test]
        fn without_jitter_it_never_shrinks(rule in rules(), n in 1u32..10_000) {
            prop_assert!(rule.delay_ms(n, 0.0) <= rule.delay_ms(n + 1, 0.0));
            prop_assert_eq!(rule.delay_ms(1, 0.0), rule.base_ms.min(rule.cap_ms));
        }

        #[test]
        fn more_luck_never_waits_longer(rule in rules(), n in 1u32..100, a in 0.0f64..=1.0, b in 0.0f64..=1.0) {
            prop_assert!(rule.delay_ms(n, a.max(b)) <= rule.delay_ms(n, a.min(b)));
        }
    }
}
