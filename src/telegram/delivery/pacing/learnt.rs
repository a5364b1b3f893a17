//! What refusals teach: Telegram's real limits are known to nobody, so after each 429 it goes half as fast, and after a
//! while without one as before again.

use crate::core::Millis;

/// Most times that the pace is halved: an eighth is slow enough for whatever it is.
pub(super) const MOST: u32 = 3;
/// How long without a refusal until it goes twice as fast again, in milliseconds.
const RECOVERY: Millis = 60_000;
/// So many chats that are refused within so many milliseconds are a matter of all chats.
const CHATS: usize = 3;
const TOGETHER: Millis = 10_000;

/// How much slower than the rule it goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Learnt {
    halvings: u32,
    since: Millis,
}

impl Learnt {
    /// How often the pace is halved now. A clock that was set back makes it neither worse nor last.
    pub(super) fn halvings(self, now: Millis) -> u32 {
        let recovered = now.saturating_sub(self.since).unsigned_abs() / RECOVERY.unsigned_abs();
        self.halvings
            .saturating_sub(u32::try_from(recovered).unwrap_or(u32::MAX))
    }

    /// Whether there never was a refusal.
    pub(super) fn is_fresh(self) -> bool {
        self.halvings == 0
    }

    pub(super) fn refused(&mut self, now: Millis) {
        *self = Self {
            halvings: (self.halvings(now) + 1).min(MOST),
            since: now,
        };
    }
}

/// Which chats were refused lately.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(i64, Millis)>);

impl Refusals {
    /// One more; whether it is a matter of all chats.
    pub(super) fn add(&mut self, chat_id: i64, now: Millis) -> bool {
        self.0
            .retain(|(chat, at)| *chat != chat_id && (now - TOGETHER..=now).contains(at));
        self.0.push((chat_id, now));
        let all = self.0.len() >= CHATS;
        if all {
            self.0.clear();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_refusal_halves_and_each_minute_without_one_doubles() {
        let mut learnt = Learnt::default();
        let now = 1_000_000;
        assert_eq!(learnt.halvings(now), 0);
        for halvings in [1, 2, 3, 3] {
            learnt.refused(now);
            assert_eq!(learnt.halvings(now), halvings);
        }
        for (later, halvings) in [(59_999, 3), (60_000, 2), (120_000, 1), (180_000, 0)] {
            assert_eq!(learnt.halvings(now + later), halvings);
        }
        learnt.refused(now + 120_000);
        assert_eq!(learnt.halvings(now + 120_000), 2);
        assert_eq!(
            learnt.halvings(now - 1_000_000),
            0,
            "the clock was set back"
        );
    }

    #[test]
    fn several_chats_at_once_are_a_matter_of_all() {
        let mut refusals = Refusals::default();
        assert!(!refusals.add(1, 100));
        assert!(!refusals.add(1, 200), "the same");
        assert!(!refusals.add(2, 300));
        assert!(!refusals.add(3, 10_250), "the first is too long ago");
        assert!(refusals.add(4, 10_260));
        assert!(!refusals.add(5, 10_270), "counted from the beginning");
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_ends(steps in prop::collection::vec(0_i64..100_000, 0..100)) {
            let (mut learnt, mut refusals, mut now) = (Learnt::default(), Refusals::default(), 0);
            for step in steps {
                now += step;
                learnt.refused(now);
                refusals.add(step, now);
                prop_assert!(learnt.halvings(now) <= MOST && refusals.0.len() < CHATS);
            }
            prop_assert_eq!(learnt.halvings(now + RECOVERY * Millis::from(MOST)), 0);
        }
    }
}
