//! How the life before this one ended, and who is told. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Millis;

/// Least time between two notices of a crash to one person: a daemon that crashes again and again must not flood.
pub const NOTICE_EVERY: Millis = 10 * 60 * 1000;

/// So many crashes within [`LOOP_WITHIN`] are a loop.
pub const LOOP: usize = 3;
/// Within which time crashes belong together.
pub const LOOP_WITHIN: Millis = 30 * 60 * 1000;

/// What is kept of a life; stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Life {
    /// Which start of the machine it belongs to; `None` where that cannot be known.
    pub boot: Option<String>,
    /// Whether it was told to end, or ended by its own decision.
    pub ended: bool,
    /// When whom was last told of a crash, by Telegram user id.
    pub told: BTreeMap<i64, Millis>,
    /// How many lives there were, this one included.
    pub starts: u64,
    /// How many of those before ended otherwise than in order.
    pub crashes: u64,
    /// When lives began that came after a crash, as far as that was within [`LOOP_WITHIN`].
    pub recent: Vec<Millis>,
}

/// What a life leaves that the watchdog is about to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starved {
    /// Which: its number, [`Life::starts`].
    pub life: u64,
    /// What stood still, as a sentence.
    pub about: String,
}

/// How the life before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was none, or it ended in order: a stop, a restart by hand, an upgrade, a shutdown of the machine.
    InOrder,
    /// It was ended from outside, or by a fault of its own, while the machine went on.
    Crashed,
    /// The whole machine ended without a shutdown.
    MachineLost,
}

impl Life {
    /// How this life, the one before, ended, seen from a start of the machine.
    #[must_use]
    pub fn end_of(before: Option<&Self>, boot: Option<&str>) -> Before {
        match before {
            None => Before::InOrder,
            Some(life) if life.ended => Before::InOrder,
            // What cannot be known is taken for the more frequent case.
            Some(life) => match (life.boot.as_deref(), boot) {
                (Some(then), Some(now)) if then != now => Before::MachineLost,
                _ => Before::Crashed,
            },
        }
    }

    /// Whether this mark was left by the life before, so that the watchdog ended it.
    #[must_use]
    pub fn was_starved(before: Option<&Self>, mark: &Starved) -> bool {
        before.is_some_and(|before| before.starts == mark.life)
    }

    /// How many crashes there were of late.
    #[must_use]
    pub fn crashed_lately(&self) -> usize {
        self.recent.len()
    }

    /// The life that begins now. Whom it told long ago is forgotten.
    #[must_use]
    pub fn begin(before: Option<&Self>, boot: Option<&str>, now: Millis) -> Self {
        let still = |at: Millis| !may_be_told(Some(at), now);
        let (starts, crashes) = before.map_or((0, 0), |before| (before.starts, before.crashes));
        let end = Self::end_of(before, boot);
        let crashed = end != Before::InOrder;
        let lately = |at: &Millis| (0..LOOP_WITHIN).contains(&now.saturating_sub(*at));
        let earlier = before.map_or(&[][..], |before| &before.recent);
        let mut recent: Vec<Millis> = earlier.iter().copied().filter(lately).collect();
        if end == Before::Crashed {
            recent.push(now);
        }
        // What a hundred more would add is nothing.
        recent.drain(..recent.len().saturating_sub(100));
        Self {
            starts: starts.saturating_add(1),
            crashes: crashes.saturating_add(crashed.into()),
            boot: boot.map(str::to_owned),
            ended: false,
            recent,
            told: before.map_or_else(BTreeMap::new, |before| {
                before
                    .told
                    .iter()
                    .filter(|(_, at)| still(**at))
                    .map(|(person, at)| (*person, *at))
                    .collect()
            }),
        }
    }

    /// Whether this person is to be told now; notes that they are.
    pub fn tell(&mut self, person: i64, now: Millis) -> bool {
        let tell = may_be_told(self.told.get(&person).copied(), now);
        if tell {
            self.told.insert(person, now);
        }
        tell
    }
}

/// A time in the future is one of a clock that was set back: it holds nobody up.
fn may_be_told(last: Option<Millis>, now: Millis) -> bool {
    last.is_none_or(|last| !(0..NOTICE_EVERY).contains(&now.saturating_sub(last)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn life(boot: Option<&str>, ended: bool) -> Life {
        Life {
            boot: boot.map(str::to_owned),
            ended,
            ..Life::default()
        }
    }

    #[test]
    fn ends() {
        for (before, boot, wanted) in [
            (None, Some("a"), Before::InOrder),
            (Some(life(Some("a"), true)), Some("a"), Before::InOrder),
            (Some(life(Some("a"), true)), Some("b"), Before::InOrder),
            (Some(life(Some("a"), false)), Some("a"), Before::Crashed),
            (Some(life(Some("a"), false)), Some("b"), Before::MachineLost),
            (Some(life(None, false)), Some("b"), Before::Crashed),
            (Some(life(Some("a"), false)), None, Before::Crashed),
        ] {
            assert_eq!(
                Life::end_of(before.as_ref(), boot),
                wanted,
                "{before:?} {boot:?}"
            );
        }
    }

    #[test]
    fn lives_and_crashes_are_counted() {
        let counts = |life: &Life| (life.starts, life.crashes);
        let first = Life::begin(None, Some("a"), 0);
        assert_eq!(counts(&first), (1, 0));
        let mut second = Life::begin(Some(&first), Some("a"), 0);
        assert_eq!(counts(&second), (2, 1));
        second.ended = true;
        let third = Life::begin(Some(&second), Some("a"), 0);
        assert_eq!(counts(&third), (3, 1));
        assert_eq!(counts(&Life::begin(Some(&third), Some("b"), 0)), (4, 2));
    }

    #[test]
    fn crashes_in_short_order_are_a_loop() {
        let mut life = Life::begin(None, Some("a"), 0);
        let mut lately = Vec::new();
        for now in [1, 2, 3].map(|n| n * LOOP_WITHIN / 4) {
            life = Life::begin(Some(&life), Some("a"), now);
            lately.push(life.crashed_lately());
        }
        assert_eq!(lately, [1, 2, LOOP]);
        // Not what ended with the machine, and not for ever.
        life = Life::begin(Some(&life), Some("b"), LOOP_WITHIN);
        assert_eq!(life.crashed_lately(), LOOP);
        life = Life::begin(Some(&life), Some("b"), 3 * LOOP_WITHIN);
        assert_eq!(life.crashed_lately(), 1);
        // A clock that was set back.
        life = Life::begin(Some(&life), Some("b"), 0);
        assert_eq!(life.crashed_lately(), 1);
        for _ in 0..500 {
            life = Life::begin(Some(&life), Some("b"), 5);
        }
        assert_eq!(life.crashed_lately(), 100);
    }

    #[test]
    fn a_mark_of_the_watchdogs_is_of_one_life() {
        let mark = Starved {
            life: 2,
            about: String::new(),
        };
        let first = Life::begin(None, None, 0);
        let second = Life::begin(Some(&first), None, 0);
        let third = Life::begin(Some(&second), None, 0);
        let starved = [None, Some(&first), Some(&second), Some(&third)];
        assert_eq!(
            starved.map(|before| Life::was_starved(before, &mark)),
            [false, false, true, false]
        );
    }

    #[test]
    fn old_and_new_records_are_read() {
        let read = |json| serde_json::from_str::<Life>(json).unwrap();
        assert_eq!(read("{}"), Life::default());
        assert_eq!(read("{\"ended\":true,\"later\":1}"), life(None, true));
        let mut one = life(Some("a"), false);
        one.tell(7, 5);
        assert_eq!(read(&serde_json::to_string(&one).unwrap()), one);
    }

    proptest! {
        /// However often it crashes, nobody is told twice within ten minutes, and everybody once if it crashes late.
        #[test]
        fn crashes_do_not_flood(gaps in proptest::collection::vec(0_i64..2_000_000, 1..40)) {
            let (mut now, mut before, mut told) = (1_000_000_000_i64, None, Vec::new());
            for gap in gaps {
                now += gap;
                let mut life = Life::begin(before.as_ref(), Some("a"), now);
                if life.tell(7, now) {
                    told.push(now);
                }
                before = Some(life);
            }
            prop_assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= NOTICE_EVERY), "{:?}", told);
            let last = told.last().copied().unwrap();
            prop_assert!(now - last < NOTICE_EVERY, "the last crash went untold though nobody was told before it");
        }
    }
}
