//! How the life before this one ended, and who is told. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Millis;

/// Least time between two notices of a crash to one person: a daemon that crashes again and again must not flood.
pub const NOTICE_EVERY: Millis = 10 * 60 * 1000;

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

    /// The life that begins now. Whom it told long ago is forgotten.
    #[must_use]
    pub fn begin(before: Option<&Self>, boot: Option<&str>, now: Millis) -> Self {
        let recent = |at: Millis| !may_be_told(Some(at), now);
        let (starts, crashes) = before.map_or((0, 0), |before| (before.starts, before.crashes));
        let crashed = Self::end_of(before, boot) != Before::InOrder;
        Self {
            starts: starts.saturating_add(1),
            crashes: crashes.saturating_add(crashed.into()),
            boot: boot.map(str::to_owned),
            ended: false,
            told: before.map_or_else(BTreeMap::new, |before| {
                before
                    .told
                    .iter()
                    .filter(|(_, at)| recent(**at))
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
