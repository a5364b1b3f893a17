//! How often somebody may repeat what is destructive or costs much; how many messages of theirs become prompts.
//!
//! Each use moves one moment into the future by `every_ms` (the generic cell rate algorithm); what lies further ahead than
//! `burst` uses is refused. So one number for a person and an order is all that has to be kept.

use super::Millis;

/// A pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// One use in so many milliseconds, in the long run. At least 1.
    pub every_ms: Millis,
    /// So many at once. At least 1.
    pub burst: Millis,
}

impl Pace {
    /// Whether one more use is allowed now. `ahead` is the moment that the uses so far have led to.
    ///
    /// # Errors
    /// Not before this moment.
    pub fn admit(self, ahead: Option<Millis>, now: Millis) -> Result<Millis, Millis> {
        let reach = self.every_ms.saturating_mul(self.burst);
        let most = now.saturating_add(reach);
        // No use leads further than that: the clock was set back since, or this one is older than those before it. What
        // they led to says nothing about now then, and must not lock anybody out until the time has come round again.
        let ahead = ahead.filter(|ahead| *ahead <= most);
        let next = ahead.unwrap_or(now).max(now).saturating_add(self.every_ms);
        if next <= most {
            Ok(next)
        } else {
            Err(now.saturating_add(next.saturating_sub(most)))
        }
    }
}

/// What becomes of something that may come too fast and is kept then, not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    On,
    /// It is kept. `first`: none before it was.
    Kept {
        /// Whether those before it went on.
        first: bool,
    },
}

/// How somebody's flow stands: what [`Pace::flow`] goes on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The moment that the uses so far have led to.
    pub ahead: Option<Millis>,
    /// Until when what comes is kept.
    pub keeps_until: Option<Millis>,
}

impl Pace {
    /// The same for what comes in a row and must stay in it: once one is kept, all are that follow within `calm_ms` of the one
    /// before.
    #[must_use]
    pub fn flow(self, standing: Standing, now: Millis, calm_ms: Millis) -> (Flow, Standing) {
        let keeps = Standing {
            keeps_until: Some(now.saturating_add(calm_ms)),
            ..standing
        };
        // A clock that was set back by much must not keep anything for longer than ever was meant.
        let over = |until| until <= now || until > now.saturating_add(calm_ms);
        if standing.keeps_until.is_some_and(|until| !over(until)) {
            return (Flow::Kept { first: false }, keeps);
        }
        match self.admit(standing.ahead, now) {
            Ok(next) => {
                let on = Standing {
                    ahead: Some(next),
                    keeps_until: None,
                };
                (Flow::On, on)
            }
            Err(_) => (Flow::Kept { first: true }, keeps),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_and_then_one_by_one() {
        let pace = Pace {
            every_ms: 10,
            burst: 2,
        };
        assert_eq!(pace.admit(None, 100), Ok(110));
        assert_eq!(pace.admit(Some(110), 100), Ok(120));
        assert_eq!(pace.admit(Some(120), 100), Err(110));
        assert_eq!(pace.admit(Some(120), 109), Err(110));
        assert_eq!(pace.admit(Some(120), 110), Ok(130));
        assert_eq!(pace.admit(Some(1), 500), Ok(510), "long ago");
        assert_eq!(
            pace.admit(Some(9_999), 100),
            Ok(110),
            "the clock was set back"
        );
        assert_eq!(pace.admit(Some(121), 100), Ok(110), "by little");
    }

    #[test]
    fn messages_that_were_sent_long_before_those_that_came_first_are_not_too_fast() {
        let pace = Pace {
            every_ms: 10,
            burst: 2,
        };
        let mut standing = Standing::default();
        for sent_at in [100_000, 5_000, 90_000, 200_000] {
            let (flow, next) = pace.flow(standing, sent_at, 100);
            assert_eq!(flow, Flow::On, "{sent_at}");
            standing = next;
        }
    }

    #[test]
    fn what_is_kept_is_kept_until_there_is_calm() {
        let pace = Pace {
            every_ms: 10,
            burst: 2,
        };
        let (mut standing, mut seen) = (Standing::default(), Vec::new());
        for now in [100, 101, 102, 103, 150, 249, 349, 350, 351, 10] {
            let (flow, next) = pace.flow(standing, now, 100);
            standing = next;
            seen.push((now, flow));
        }
        let kept = |first| Flow::Kept { first };
        assert_eq!(
            seen,
            [
                (100, Flow::On),
                (101, Flow::On),
                (102, kept(true)),
                (103, kept(false)),
                (150, kept(false)),
                (249, kept(false)),
                (349, Flow::On),
                (350, Flow::On),
                (351, kept(true)),
                (10, Flow::On),
            ]
        );
    }

    proptest! {
        #[test]
        fn a_flow_that_is_kept_stays_so_without_calm(
            every_ms in 1i64..1000, burst in 1i64..20, steps in prop::collection::vec(0i64..500, 1..200),
        ) {
            let pace = Pace { every_ms, burst };
            let (mut now, mut standing, mut keeps) = (1_000_000, Standing::default(), false);
            for step in steps {
                now += step;
                let (flow, next) = pace.flow(standing, now, 500);
                // No step is so long that there is calm.
                let kept = flow == Flow::Kept { first: false };
                prop_assert!(!keeps || kept);
                keeps = flow != Flow::On;
                standing = next;
            }
        }

        #[test]
        fn never_more_than_the_burst_and_the_time(
            every_ms in 1i64..1000, burst in 1i64..20, steps in prop::collection::vec(0i64..500, 1..200),
        ) {
            let pace = Pace { every_ms, burst };
            let (mut now, mut ahead, mut used) = (1_000_000, None, 0);
            let begun = now;
            for step in steps {
                now += step;
                match pace.admit(ahead, now) {
                    Ok(next) => {
                        prop_assert!(next > now);
                        ahead = Some(next);
                        used += 1;
                    }
                    Err(until) => {
                        prop_assert!(until > now && until <= now + every_ms);
                        prop_assert!(pace.admit(ahead, until).is_ok(), "when it says so, it may");
                        prop_assert!(pace.admit(ahead, until - 1).is_err());
                    }
                }
                prop_assert!(used <= burst + (now - begun) / every_ms);
            }
        }
    }
}
