//! Adds up what several meters show that come, go and begin anew. Pure.

use std::{collections::BTreeMap, time::Duration};

/// A sum that never falls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    last: BTreeMap<String, Duration>,
    total: Duration,
}

impl Meter {
    /// Takes what all meters that are there show now, and gives the sum so far. What one showed after it was last looked
    /// at and before it went is not in it.
    pub fn take(&mut self, seen: impl IntoIterator<Item = (String, Duration)>) -> Duration {
        let mut now = BTreeMap::new();
        for (name, shows) in seen {
            let before = self.last.get(&name).copied().unwrap_or_default();
            // One that shows less has begun anew.
            self.total += shows.checked_sub(before).unwrap_or(shows);
            now.insert(name, shows);
        }
        self.last = now;
        self.total
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn meters_come_and_go() {
        let mut meter = Meter::default();
        let mut take = |seen: &[(&str, u64)]| {
            let seen = seen
                .iter()
                .map(|(n, s)| ((*n).to_owned(), Duration::from_secs(*s)));
            meter.take(seen).as_secs()
        };
        assert_eq!(take(&[]), 0);
        assert_eq!(take(&[("a", 5)]), 5);
        assert_eq!(take(&[("a", 7), ("b", 1)]), 8);
        assert_eq!(take(&[("b", 3)]), 10);
        // Another one of that name.
        assert_eq!(take(&[("a", 2), ("b", 3)]), 12);
        assert_eq!(take(&[("b", 1)]), 13);
        assert_eq!(take(&[]), 13);
    }

    proptest! {
        #[test]
        fn it_never_falls(seen in proptest::collection::vec((0_u8..4, 0_u64..100), 0..60)) {
            let (mut meter, mut last) = (Meter::default(), Duration::ZERO);
            for (name, shows) in seen {
                let total = meter.take([(name.to_string(), Duration::from_secs(shows))]);
                prop_assert!(total >= last);
                last = total;
            }
        }
    }
}
