//! How long a turn takes, as its status line says it, and when that may be said anew.
//!
//! It is the least of what is shown. So it is said along with whatever else is, and alone only where a chat has been still
//! for a while: what it takes of a chat's allowance is then missed by nobody, and one that says nothing but that comes at
//! most once in that while, however many turns run there.

use super::Millis;

/// In a group, where people share twenty messages a minute, it comes so much more seldom.
const GROUP: Millis = 3;

/// Added to the wait after one: its edit counts from when it was made.
const SLACK_MS: Millis = 250;

/// Longest wait, whatever the clock says.
const LONGEST_MS: Millis = 86_400_000;

/// How often it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockRule {
    /// In a private chat, in milliseconds; 0: never, and with nothing else either.
    pub every_ms: Millis,
}

/// What goes on in a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stir {
    /// Telegram takes nothing before then.
    pub held_until: Option<Millis>,
    /// Something waits to be shown there, or is on its way.
    pub busy: bool,
    /// When something was last shown there.
    pub last: Option<Millis>,
}

impl ClockRule {
    /// How long a turn that began `since` takes, in seconds; `None` as long as that is not worth a word.
    #[must_use]
    pub fn elapsed_s(self, since: Millis, now: Millis) -> Option<u64> {
        let passed = now.saturating_sub(since);
        (self.every_ms > 0 && passed >= self.every_ms)
            .then(|| u64::try_from(passed / 1000).unwrap_or(0))
    }

    /// How often it is said in such a chat, in milliseconds; `None`: never.
    #[must_use]
    pub fn every(self, group: bool) -> Option<Millis> {
        let times = if group { GROUP } else { 1 };
        (self.every_ms > 0).then(|| self.every_ms.saturating_mul(times))
    }

    /// Whether it may be said alone now.
    ///
    /// # Errors
    /// Not now: to be asked again in so many milliseconds.
    pub fn admit(every: Millis, stir: Stir, now: Millis) -> Result<(), Millis> {
        if let Some(until) = stir.held_until.filter(|until| *until > now) {
            return Err(until.saturating_sub(now).min(LONGEST_MS));
        }
        if stir.busy {
            return Err(every);
        }
        match stir.last {
            // Of a later time than now: the clock was set back.
            Some(last) if last > now => Err(every),
            Some(last) if now.saturating_sub(last) < every => Err(every - (now - last)),
            _ => Ok(()),
        }
    }

    /// How long it is not said again after it was, in milliseconds.
    #[must_use]
    pub fn after_one(every: Millis) -> Millis {
        every.saturating_add(SLACK_MS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: ClockRule = ClockRule { every_ms: 10_000 };

    #[test]
    fn what_is_short_is_not_worth_a_word() {
        for (passed, shown) in [
            (0, None),
            (9_999, None),
            (10_000, Some(10)),
            (42_900, Some(42)),
            (-5_000, None),
        ] {
            assert_eq!(RULE.elapsed_s(1_000_000, 1_000_000 + passed), shown);
        }
        let never = ClockRule::default();
        assert_eq!(never.elapsed_s(0, 1_000_000), None);
        assert_eq!((never.every(false), never.every(true)), (None, None));
        assert_eq!(
            (RULE.every(false), RULE.every(true)),
            (Some(10_000), Some(30_000))
        );
    }

    #[test]
    fn it_waits_for_whatever_else_goes_on() {
        let still = Stir::default();
        let now = 1_000_000;
        let held = |until| Stir {
            held_until: Some(until),
            ..still
        };
        let last = |at| Stir {
            last: Some(at),
            ..still
        };
        let busy = Stir {
            busy: true,
            ..last(now - 60_000)
        };
        for (stir, answer) in [
            (still, Ok(())),
            (held(now), Ok(())),
            (held(now + 600_000), Err(600_000)),
            (held(Millis::MAX), Err(LONGEST_MS)),
            (busy, Err(10_000)),
            (last(now - 10_000), Ok(())),
            (last(now - 4_000), Err(6_000)),
            (last(now + 1), Err(10_000)),
        ] {
            assert_eq!(ClockRule::admit(10_000, stir, now), answer, "{stir:?}");
        }
    }

    proptest! {
        /// Several turns of one chat ask whenever they were told to: together they say it at most once in the time, and
        /// each comes to say it.
        #[test]
        fn many_turns_say_it_as_seldom_as_one(
            turns in 1_usize..6, every in 1_000_i64..60_000, wire in 0_i64..900,
        ) {
            let mut asks: Vec<Millis> = (0..turns).map(|i| 1_000_000 + i as Millis).collect();
            let (mut last, mut said) = (None, vec![0; turns]);
            let mut times: Vec<Millis> = Vec::new();
            let until = 1_000_000 + every * 40;
            loop {
                let (who, now) = asks.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
                if now > until {
                    break;
                }
                let stir = Stir { busy: last.is_some_and(|at| at > now), last: last.filter(|at| *at <= now), ..Stir::default() };
                match ClockRule::admit(every, stir, now) {
                    Ok(()) => {
                        said[who] += 1;
                        times.push(now);
                        last = Some(now + wire);
                        asks[who] = now + ClockRule::after_one(every);
                    }
                    Err(wait) => {
                        prop_assert!(wait > 0);
                        asks[who] = now + wait;
                    }
                }
            }
            for two in times.windows(2) {
                prop_assert!(two[1] - two[0] >= every);
            }
            prop_assert!(times.len() >= 15, "{times:?}");
        }
    }
}
