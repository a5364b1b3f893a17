//! Messages in quick succession are one prompt: when its window closes. How its parts are joined stands in
//! [`super::compose`].
//!
//! Everything is a function of the times at which the messages were received, so that a restarted daemon comes to the
//! same window from the rows it finds.

use super::Millis;

/// Lengths of the window, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// From the first message on, when it stays alone.
    pub first_ms: u32,
    /// From the newest message on, once there are two.
    pub idle_ms: u32,
    /// From the first message on, at most.
    pub max_ms: u32,
}

impl Default for WindowRule {
    fn default() -> Self {
        Self {
            first_ms: 1_000,
            idle_ms: 4_000,
            max_ms: 30_000,
        }
    }
}

impl WindowRule {
    /// A window that is never open: each message is a prompt of its own. For people whose batching is off.
    pub const OFF: Self = Self {
        first_ms: 0,
        idle_ms: 0,
        max_ms: 0,
    };

    /// When a window that holds messages received at these times closes; `None` for no message. Their order does not
    /// matter. Parts of an album and of a paste that Telegram cut count as the messages that they are.
    ///
    /// A further message never makes it close earlier, and never later than `max_ms` after the first.
    #[must_use]
    pub fn closes_at(&self, received_at: &[Millis]) -> Option<Millis> {
        let first = *received_at.iter().min()?;
        let newest = *received_at.iter().max()?;
        let alone = first.saturating_add(self.first_ms.into());
        let end = if received_at.len() == 1 {
            alone
        } else {
            alone.max(newest.saturating_add(self.idle_ms.into()))
        };
        Some(end.min(first.saturating_add(self.max_ms.into())))
    }

    /// Whether a message received at `at` still belongs to the window of these. An empty window takes any; a message
    /// from exactly the end on opens the next one.
    #[must_use]
    pub fn takes(&self, received_at: &[Millis], at: Millis) -> bool {
        self.closes_at(received_at).is_none_or(|end| at < end)
    }

    /// Milliseconds from `now` until it closes; 0 when that is past or there is no message. At most `max_ms`, also
    /// when the clock was set back since the messages came.
    #[must_use]
    pub fn remaining_ms(&self, received_at: &[Millis], now: Millis) -> u64 {
        let left = self
            .closes_at(received_at)
            .map_or(0, |end| end.saturating_sub(now));
        u64::try_from(left).unwrap_or(0).min(self.max_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: WindowRule = WindowRule {
        first_ms: 1_000,
        idle_ms: 4_000,
        max_ms: 30_000,
    };

    #[test]
    fn the_window_of_the_design() {
        assert_eq!(WindowRule::default(), RULE);
        assert_eq!(RULE.closes_at(&[]), None);
        assert_eq!(RULE.closes_at(&[100]), Some(1_100));
        assert_eq!(RULE.closes_at(&[100, 600]), Some(4_600));
        assert_eq!(RULE.closes_at(&[600, 100, 200]), Some(4_600));
        assert_eq!(RULE.closes_at(&[100, 100]), Some(4_100));
        assert_eq!(RULE.closes_at(&[0, 3_000, 27_000]), Some(30_000));
    }

    #[test]
    fn the_end_belongs_to_the_next() {
        assert!(RULE.takes(&[], 0));
        assert!(RULE.takes(&[0], 999));
        assert!(!RULE.takes(&[0], 1_000));
        assert!(!WindowRule::OFF.takes(&[5], 5));
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        assert_eq!(RULE.remaining_ms(&[1_000_000], 0), 30_000);
        assert_eq!(RULE.remaining_ms(&[1_000_000], 1_000_400), 600);
        assert_eq!(RULE.remaining_ms(&[1_000_000], 2_000_000), 0);
        assert_eq!(RULE.remaining_ms(&[], 5), 0);
        assert_eq!(RULE.remaining_ms(&[i64::MAX, i64::MIN], i64::MIN), 30_000);
    }

    fn any_rule() -> impl Strategy<Value = WindowRule> {
        (0u32..10_000, 0u32..10_000, 0u32..100_000).prop_map(|(first_ms, idle_ms, max_ms)| {
            WindowRule {
                first_ms,
                idle_ms,
                max_ms,
            }
        })
    }

    proptest! {
        #[test]
        fn never_longer_than_allowed_and_never_before_the_first(
            rule in any_rule(), times in prop::collection::vec(any::<i64>(), 1..20),
        ) {
            let first = *times.iter().min().unwrap();
            let end = rule.closes_at(&times).unwrap();
            prop_assert!(end >= first);
            prop_assert!(end <= first.saturating_add(rule.max_ms.into()));
        }

        #[test]
        fn order_does_not_matter(rule in any_rule(), times in prop::collection::vec(0i64..100_000, 1..20)) {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            prop_assert_eq!(rule.closes_at(&times), rule.closes_at(&sorted));
        }

        #[test]
        fn a_further_message_never_shortens_it(
            rule in any_rule(), times in prop::collection::vec(0i64..100_000, 1..20), later in 0i64..50_000,
        ) {
            let newest = *times.iter().max().unwrap();
            let mut more = times.clone();
            more.push(newest + later);
            prop_assert!(rule.closes_at(&more) >= rule.closes_at(&times));
        }

        /// Taking messages one by one, as they come, gives the same end as looking at the rows afterwards.
        #[test]
        fn recomputing_agrees_with_living_through_it(
            rule in any_rule(), gaps in prop::collection::vec(0i64..8_000, 1..30),
        ) {
            let mut held: Vec<Millis> = Vec::new();
            let mut timer = None;
            let mut at = 0;
            for gap in gaps {
                at += gap;
                if timer.is_some_and(|end| at >= end) {
                    break;
                }
                prop_assert!(rule.takes(&held, at));
                held.push(at);
                timer = rule.closes_at(&held);
            }
            let end = timer.unwrap();
            held.reverse();
            prop_assert_eq!(rule.closes_at(&held), Some(end));
            prop_assert_eq!(i64::try_from(rule.remaining_ms(&held, 0)).unwrap(), end.min(rule.max_ms.into()));
        }
    }
}
