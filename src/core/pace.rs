//! How often somebody may repeat what is destructive or costs much.
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
        // A clock that was set back by much must not lock anybody out for longer than ever was meant.
        let ahead = ahead.unwrap_or(now).clamp(now, now.saturating_add(reach));
        let next = ahead.saturating_add(self.every_ms);
        let most = now.saturating_add(reach);
        if next <= most {
            Ok(next)
        } else {
            Err(now.saturating_add(next.saturating_sub(most)))
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
            Err(110),
            "the clock was set back"
        );
    }

    proptest! {
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
