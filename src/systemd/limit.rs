//! How many lines of a kind go into the log in a while.
//!
//! A loop that fails may come by thousands of times a minute. Lines from the same place that say the same count as
//! one kind; of a kind only the first few of a window pass, and one line at the window's end tells how many more
//! there were. Lines that differ in what they say do not hide one another, short of a far larger number per place.

use std::{collections::HashMap, hash::Hasher as _, time::Duration};

/// Lines of a kind that pass in a window.
const BURST: u32 = 10;
/// Lines from one place that pass in a window, whatever they say.
const PLACE_BURST: u32 = 60;
/// The same for lines that somebody asked for by a lower log level.
const DEBUG_BURST: u32 = 1000;
/// A window, from its first line on.
const WINDOW: Duration = Duration::from_secs(30);
/// Kinds that are told apart at once; beyond that only places are.
const MOST_KINDS: usize = 1000;

/// Where a line comes from and what it says, as far as it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The place in the sources.
    pub(super) place: u64,
    /// What it says.
    pub(super) content: u64,
}

/// Lines that were held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// How many.
    pub(super) count: u32,
    /// The first line of their kind.
    pub(super) example: String,
    /// Its priority.
    pub(super) priority: u8,
}

struct Window {
    since: Duration,
    seen: u32,
    held: Held,
}

/// Counts lines. Time is given, as the span since any fixed moment.
#[derive(Default)]
pub(super) struct Limiter {
    kinds: HashMap<Key, Window>,
    places: HashMap<u64, Window>,
}

impl Limiter {
    /// Whether a line passes. Priorities above warnings' (0 to 2) always do.
    pub(super) fn admit(&mut self, key: Key, priority: u8, text: &str, now: Duration) -> bool {
        if priority <= 2 {
            return true;
        }
        let window = || Window {
            since: now,
            seen: 0,
            held: Held {
                count: 0,
                example: text.to_owned(),
                priority,
            },
        };
        let debug = priority >= 7;
        if !debug && (self.kinds.len() < MOST_KINDS || self.kinds.contains_key(&key)) {
            let kind = self.kinds.entry(key).or_insert_with(window);
            if !kind.take(BURST) {
                return false;
            }
        }
        let most = if debug { DEBUG_BURST } else { PLACE_BURST };
        self.places
            .entry(key.place)
            .or_insert_with(window)
            .take(most)
    }

    /// Closes the windows that are over and gives what was held back in them.
    pub(super) fn over(&mut self, now: Duration) -> Vec<Held> {
        self.close(|window| now.saturating_sub(window.since) >= WINDOW)
    }

    /// Closes all windows.
    pub(super) fn finish(&mut self) -> Vec<Held> {
        self.close(|_| true)
    }

    fn close(&mut self, over: impl Fn(&Window) -> bool) -> Vec<Held> {
        let mut held = Vec::new();
        let mut close = |window: &mut Window| {
            let over = over(window);
            if over && window.held.count > 0 {
                held.push(window.held.clone());
            }
            !over
        };
        self.kinds.retain(|_, window| close(window));
        self.places.retain(|_, window| close(window));
        held
    }

    /// Whether something is held back that nobody was told of yet.
    pub(super) fn holds(&self) -> bool {
        let holds = |window: &Window| window.held.count > 0;
        self.kinds.values().any(holds) || self.places.values().any(holds)
    }
}

impl Window {
    fn take(&mut self, most: u32) -> bool {
        if self.seen < most {
            self.seen += 1;
            true
        } else {
            self.held.count = self.held.count.saturating_add(1);
            false
        }
    }
}

/// A number for what texts say: runs of digits count as one sign, for waits and sizes grow in a loop.
pub(super) fn content<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = std::hash::DefaultHasher::new();
    for text in texts {
        let mut digits = false;
        for byte in text.bytes() {
            if !(digits && byte.is_ascii_digit()) {
                hash.write_u8(if byte.is_ascii_digit() { b'0' } else { byte });
            }
            digits = byte.is_ascii_digit();
        }
        hash.write_u8(0xff);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(place: u64, content: u64) -> Key {
        Key { place, content }
    }

    #[test]
    fn a_loop_is_bounded_and_told_of() {
        let mut limiter = Limiter::default();
        let mut passed = 0;
        let mut told = Vec::new();
        // Three minutes at a thousand a second.
        for ms in 0..180_000 {
            let now = Duration::from_millis(ms);
            told.extend(limiter.over(now));
            passed += u32::from(limiter.admit(key(1, 1), 3, "fails", now));
        }
        assert_eq!(passed, 6 * BURST);
        assert!(limiter.holds());
        told.extend(limiter.finish());
        assert!(!limiter.holds());
        assert_eq!(told.len(), 6);
        assert_eq!(
            told.iter().map(|held| held.count).sum::<u32>(),
            180_000 - 6 * BURST
        );
        assert_eq!(
            (told[0].example.as_str(), told[0].priority),
            ("fails", 3),
            "{told:?}"
        );
    }

    #[test]
    fn what_differs_is_not_hidden() {
        let mut limiter = Limiter::default();
        let now = Duration::ZERO;
        for _ in 0..1000 {
            limiter.admit(key(1, 1), 3, "a", now);
        }
        assert!(limiter.admit(key(1, 2), 3, "b", now));
        assert!(limiter.admit(key(2, 1), 3, "c", now));
        assert!(!limiter.admit(key(1, 1), 3, "a", now));
        assert!(
            limiter.admit(key(1, 1), 2, "a panic", now),
            "panics always pass"
        );
    }

    #[test]
    fn ever_new_content_from_one_place_is_bounded_too() {
        let mut limiter = Limiter::default();
        let passed = (0..100_000)
            .filter(|n| limiter.admit(key(1, *n), 4, "x", Duration::ZERO))
            .count();
        assert_eq!(passed, PLACE_BURST as usize);
        assert!(limiter.kinds.len() <= MOST_KINDS);
        let held: u32 = limiter.over(WINDOW).iter().map(|held| held.count).sum();
        assert_eq!(held, 100_000 - PLACE_BURST);
        assert!(limiter.kinds.is_empty() && limiter.places.is_empty());
    }

    #[test]
    fn a_quiet_place_is_never_told_of() {
        let mut limiter = Limiter::default();
        for s in 0..1000 {
            let now = Duration::from_secs(s * 4);
            assert_eq!(limiter.over(now), Vec::new());
            assert!(limiter.admit(key(1, 1), 6, "x", now));
        }
    }

    #[test]
    fn numbers_do_not_make_a_difference_but_words_do() {
        let of = |texts: &[&str]| content(texts.iter().copied());
        assert_eq!(
            of(&["wait 5 s", "disk full"]),
            of(&["wait 1200 s", "disk full"])
        );
        assert_ne!(of(&["a"]), of(&["b"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    }
}
