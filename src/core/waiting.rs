//! For how long prompts have been waiting for an agent, and for nothing else. Pure.
//!
//! A prompt that somebody held back, that was kept by a pause, or that waited for a person's answer was made long before it
//! begins to wait. So what was not there at the look before counts from that look on. Of a life that has just begun nothing
//! earlier is known; there, prompts count from when they were made.

use std::collections::BTreeMap;

use super::{Millis, ids::TurnId};

/// Looks again and again at what waits.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    since: BTreeMap<TurnId, Millis>,
    /// When it was last looked.
    looked: Option<Millis>,
}

impl Waiting {
    /// All turns that wait now, with when they were made; whether a pause keeps them. Gives since when the one has been
    /// waiting that waits longest.
    pub fn look(&mut self, all: &[(TurnId, Millis)], paused: bool, now: Millis) -> Option<Millis> {
        let before = std::mem::take(&mut self.since);
        let looked = self.looked.replace(now);
        if paused {
            return None;
        }
        self.since = all
            .iter()
            .map(|(turn, made)| {
                let since = match before.get(turn) {
                    Some(since) => *since,
                    None => looked.map_or(*made, |looked| looked.max(*made)),
                };
                // A clock that was set back has nothing begin in the future.
                (*turn, since.min(now))
            })
            .collect();
        self.since.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TurnId = TurnId(1);
    const B: TurnId = TurnId(2);

    #[test]
    fn what_waits_since_before_this_life_counts_from_when_it_was_made() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.look(&[(A, 10), (B, 20)], false, 100), Some(10));
        assert_eq!(waiting.look(&[(B, 20)], false, 105), Some(20));
        assert_eq!(waiting.look(&[], false, 110), None);
    }

    #[test]
    fn what_was_held_back_counts_from_when_it_was_let_go() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.look(&[], false, 100), None);
        assert_eq!(waiting.look(&[(A, 10)], false, 105), Some(100));
        assert_eq!(waiting.look(&[(A, 10), (B, 107)], false, 110), Some(100));
        assert_eq!(waiting.look(&[(B, 107)], false, 115), Some(107));
        // Held, and let go again.
        assert_eq!(waiting.look(&[(A, 10), (B, 107)], false, 120), Some(107));
        assert_eq!(waiting.look(&[(A, 10)], false, 125), Some(115));
    }

    #[test]
    fn a_pause_does_not_count() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.look(&[(A, 10)], true, 100), None);
        assert_eq!(waiting.look(&[(A, 10)], true, 200), None);
        assert_eq!(waiting.look(&[(A, 10)], false, 205), Some(200));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_age() {
        let mut waiting = Waiting::default();
        waiting.look(&[(A, 100)], false, 100);
        assert_eq!(waiting.look(&[(A, 100), (B, 50)], false, 50), Some(50));
    }
}
