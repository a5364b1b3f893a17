//! Messages in quick succession are one prompt: when its window closes, what it takes, and what belongs together whether
//! messages are collected or not. How the parts are joined stands in [`super::compose`].
//!
//! Everything is a function of the messages and of the times at which they were received, so that a restarted daemon comes
//! to the same window from the rows it finds.

use super::{Millis, compose::MAY_GO_ON, mark::Mark, text::units};

/// How many parts are waited for at most where each may be followed by another, in waits: a stream of them ends.
const MOST_WAITS: Millis = 4;
/// An album has ten parts at most; those of one that has begun are taken beyond the limit.
const ALBUM: usize = 10;

/// Lengths of the window, all in milliseconds, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// From the first message on, when it stays alone.
    pub first_ms: u32,
    /// From the newest message on, once there are two.
    pub idle_ms: u32,
    /// From the first message on, at most.
    pub max_ms: u32,
    /// From a message on that is likely a part of something larger.
    pub parts_ms: u32,
    /// Most messages of one prompt.
    pub max_parts: u32,
    /// Most bytes of the texts of one prompt.
    pub max_bytes: u32,
}

impl Default for WindowRule {
    fn default() -> Self {
        Self {
            first_ms: 1_000,
            idle_ms: 4_000,
            max_ms: 30_000,
            parts_ms: 1_500,
            max_parts: 100,
            max_bytes: 256_000,
        }
    }
}

/// A message that is held.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// When it was received.
    pub at: Millis,
    /// Length of its text in UTF-16 units.
    pub units: usize,
    /// What stands beside it.
    pub mark: &'a Mark,
}

impl<'a> Held<'a> {
    /// A message with this text.
    #[must_use]
    pub fn of(at: Millis, text: &str, mark: &'a Mark) -> Self {
        Self {
            at,
            units: units(text),
            mark,
        }
    }

    /// Whether others are likely to follow that belong to it: parts of its album, the rest of a paste that an app cut,
    /// messages that are forwarded together with it.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.mark.album.is_some() || self.mark.forwarded.is_some() || self.units > MAY_GO_ON
    }

    /// Whether `next`, which comes right after it, goes on with it.
    #[must_use]
    pub fn goes_on_with(&self, next: &Held<'_>) -> bool {
        match (&self.mark.album, &next.mark.album) {
            (Some(one), Some(other)) if one == other => return true,
            (None, None) => {}
            // Albums that are forwarded together.
            _ => return self.mark.forwarded.is_some() && next.mark.forwarded.is_some(),
        }
        match (&self.mark.forwarded, &next.mark.forwarded) {
            (Some(_), Some(_)) => true,
            (None, None) => self.units > MAY_GO_ON && next.units > 0,
            _ => false,
        }
    }
}

impl WindowRule {
    /// For those whose batching is off: each message is a prompt, but for what is a part of something.
    #[must_use]
    pub fn apart(self) -> Self {
        Self {
            first_ms: 0,
            idle_ms: 0,
            ..self
        }
    }

    /// Whether messages are collected only where they are parts of something.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.first_ms == 0 && self.idle_ms == 0
    }

    /// Whether a message that comes alone is a prompt at once.
    #[must_use]
    pub fn passes(&self, message: &Held<'_>) -> bool {
        self.is_apart() && (self.parts_ms == 0 || !message.is_part())
    }

    /// When a window that holds these messages closes; `None` for no message. The order in which they came is theirs;
    /// those that came at once may stand in any.
    ///
    /// Never later than `max_ms` after the first, but for the parts of something that has begun: those are waited for
    /// four times `parts_ms` longer at most.
    #[must_use]
    pub fn closes_at(&self, held: &[Held<'_>]) -> Option<Millis> {
        let first = held.iter().map(|one| one.at).min()?;
        let newest = held.iter().map(|one| one.at).max()?;
        let alone = first.saturating_add(self.first_ms.into());
        let end = if held.len() == 1 {
            alone
        } else {
            alone.max(newest.saturating_add(self.idle_ms.into()))
        };
        let end = end.min(first.saturating_add(self.max_ms.into()));
        let part = held
            .iter()
            // Of an album any may be the last that comes; of the others only the last that came is followed.
            .filter(|one| one.mark.album.is_some() || (one.at == newest && one.is_part()))
            .map(|one| one.at.saturating_add(self.parts_ms.into()))
            .max();
        let longest = first
            .saturating_add(self.max_ms.into())
            .saturating_add(MOST_WAITS * Millis::from(self.parts_ms));
        Some(part.map_or(end, |part| end.max(part.min(longest))))
    }

    /// Whether a message belongs to the window of the one that came before it and is still held.
    #[must_use]
    pub fn takes(&self, last: &Held<'_>, next: &Held<'_>) -> bool {
        !self.is_apart() || last.goes_on_with(next)
    }

    /// Whether so many messages with so many bytes of text may become more by a message of `more` bytes. `same_album`: one
    /// that goes on with an album of theirs.
    #[must_use]
    pub fn fits(&self, parts: usize, bytes: u64, more: usize, same_album: bool) -> bool {
        let most_parts = usize::try_from(self.max_parts).unwrap_or(usize::MAX);
        let (beyond_parts, beyond_bytes) = if same_album {
            (ALBUM, u64::from(self.max_bytes))
        } else {
            (0, 0)
        };
        parts < most_parts.saturating_add(beyond_parts)
            && bytes.saturating_add(more as u64) <= u64::from(self.max_bytes) + beyond_bytes
    }

    /// Milliseconds from `now` until it closes; 0 when that is past or there is no message. Never more than it can be
    /// open, also when the clock was set back since the messages came.
    #[must_use]
    pub fn remaining_ms(&self, held: &[Held<'_>], now: Millis) -> u64 {
        let most = u64::from(self.max_ms) + u64::from(self.parts_ms) * MOST_WAITS.unsigned_abs();
        let left = self
            .closes_at(held)
            .map_or(0, |end| end.saturating_sub(now));
        u64::try_from(left).unwrap_or(0).min(most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::{mark::Who, text::MESSAGE_UNITS};

    const RULE: WindowRule = WindowRule {
        first_ms: 1_000,
        idle_ms: 4_000,
        max_ms: 30_000,
        parts_ms: 1_500,
        max_parts: 100,
        max_bytes: 256_000,
    };

    const NONE: &Mark = &Mark {
        forwarded: None,
        reply: None,
        album: None,
    };

    fn plain(at: Millis) -> Held<'static> {
        Held {
            at,
            units: 5,
            mark: NONE,
        }
    }

    fn all(times: &[Millis]) -> Vec<Held<'static>> {
        times.iter().copied().map(plain).collect()
    }

    fn long(at: Millis) -> Held<'static> {
        Held {
            units: MESSAGE_UNITS,
            ..plain(at)
        }
    }

    fn album(id: &str) -> Mark {
        Mark {
            album: Some(id.to_owned()),
            ..Mark::default()
        }
    }

    fn forwarded() -> Mark {
        Mark {
            forwarded: Some(Who::Unknown),
            ..Mark::default()
        }
    }

    fn with(at: Millis, mark: &Mark) -> Held<'_> {
        Held { at, units: 5, mark }
    }

    #[test]
    fn the_window_of_the_design() {
        assert_eq!(WindowRule::default(), RULE);
        for (times, end) in [
            (&[][..], None),
            (&[100], Some(1_100)),
            (&[100, 600], Some(4_600)),
            (&[600, 100, 200], Some(4_600)),
            (&[100, 100], Some(4_100)),
            (&[0, 3_000, 27_000], Some(30_000)),
        ] {
            assert_eq!(RULE.closes_at(&all(times)), end, "{times:?}");
        }
    }

    #[test]
    fn parts_of_something_are_waited_for_also_where_nothing_is_collected() {
        let apart = RULE.apart();
        let (one, other, forwarded) = (album("1"), album("2"), forwarded());
        assert!(apart.passes(&plain(0)) && !RULE.passes(&plain(0)));
        for part in [long(0), with(0, &one), with(0, &forwarded)] {
            assert!(!apart.passes(&part));
            assert_eq!(apart.closes_at(&[part]), Some(1_500));
            assert!(
                WindowRule {
                    parts_ms: 0,
                    ..apart
                }
                .passes(&part)
            );
        }
        // The rest of a paste is not followed by anything.
        assert_eq!(apart.closes_at(&[long(0), plain(300)]), Some(300));
        assert_eq!(apart.closes_at(&[long(0), long(300)]), Some(1_800));
        // Of an album any part may be the last.
        let album = [with(0, &one), with(300, &one)];
        assert_eq!(apart.closes_at(&album), Some(1_800));
        // What is collected is waited for as ever, and an album at its end is not torn.
        assert_eq!(
            RULE.closes_at(&[plain(0), with(29_500, &one)]),
            Some(31_000)
        );
        assert_eq!(
            RULE.closes_at(&[plain(0), with(29_500, NONE)]),
            Some(30_000)
        );

        for (last, next, takes) in [
            (plain(0), plain(1), false),
            (long(0), plain(1), true),
            (long(0), with(1, &one), false),
            (with(0, &one), with(1, &one), true),
            (with(0, &one), with(1, &other), false),
            (with(0, &one), plain(1), false),
            (with(0, &forwarded), with(1, &forwarded), true),
            (with(0, &forwarded), plain(1), false),
            (plain(0), with(1, &forwarded), false),
        ] {
            assert_eq!(apart.takes(&last, &next), takes, "{last:?} {next:?}");
            assert!(RULE.takes(&last, &next));
        }
        let nothing = Held {
            units: 0,
            ..plain(1)
        };
        assert!(
            !apart.takes(&long(0), &nothing),
            "a file alone is no rest of a paste"
        );
    }

    #[test]
    fn a_prompt_holds_only_so_much() {
        let rule = WindowRule {
            max_parts: 3,
            max_bytes: 100,
            ..RULE
        };
        for (parts, bytes, more, same_album, fits) in [
            (2, 50, 50, false, true),
            (2, 50, 51, false, false),
            (3, 0, 1, false, false),
            (3, 0, 1, true, true),
            (12, 150, 50, true, true),
            (13, 0, 1, true, false),
            (0, 0, 101, false, false),
        ] {
            assert_eq!(
                rule.fits(parts, bytes, more, same_album),
                fits,
                "{parts} {bytes} {more}"
            );
        }
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        assert_eq!(RULE.remaining_ms(&all(&[1_000_000]), 0), 36_000);
        assert_eq!(RULE.remaining_ms(&all(&[1_000_000]), 1_000_400), 600);
        assert_eq!(RULE.remaining_ms(&all(&[1_000_000]), 2_000_000), 0);
        assert_eq!(RULE.remaining_ms(&[], 5), 0);
        assert_eq!(
            RULE.remaining_ms(&all(&[i64::MAX, i64::MIN]), i64::MIN),
            30_000
        );
    }

    fn any_rule() -> impl Strategy<Value = WindowRule> {
        (0u32..10_000, 0u32..10_000, 0u32..100_000, 0u32..5_000).prop_map(
            |(first_ms, idle_ms, max_ms, parts_ms)| WindowRule {
                first_ms,
                idle_ms,
                max_ms,
                parts_ms,
                ..RULE
            },
        )
    }

    /// Times, lengths and marks.
    fn any_held() -> impl Strategy<Value = Vec<(Millis, usize, Mark)>> {
        let mark = prop_oneof![
            3 => Just(Mark::default()),
            1 => "[12]".prop_map(|id| album(&id)),
            1 => Just(forwarded()),
        ];
        prop::collection::vec((any::<i64>(), 0usize..MESSAGE_UNITS, mark), 1..20)
    }

    fn held(all: &[(Millis, usize, Mark)]) -> Vec<Held<'_>> {
        all.iter()
            .map(|(at, units, mark)| Held {
                at: *at,
                units: *units,
                mark,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn never_longer_than_allowed_and_never_before_the_first(rule in any_rule(), parts in any_held()) {
            let first = parts.iter().map(|(at, ..)| *at).min().unwrap();
            let end = rule.closes_at(&held(&parts)).unwrap();
            let most = i64::from(rule.max_ms) + 4 * i64::from(rule.parts_ms);
            prop_assert!(end >= first);
            prop_assert!(end <= first.saturating_add(most));
        }

        #[test]
        fn order_does_not_matter(rule in any_rule(), parts in any_held()) {
            let mut sorted = parts.clone();
            sorted.sort_by_key(|(at, ..)| *at);
            prop_assert_eq!(rule.closes_at(&held(&parts)), rule.closes_at(&held(&sorted)));
        }

        #[test]
        fn a_further_message_never_shortens_it(
            rule in any_rule(), times in prop::collection::vec(0i64..100_000, 1..20), later in 0i64..50_000,
        ) {
            let newest = *times.iter().max().unwrap();
            let mut more = times.clone();
            more.push(newest + later);
            prop_assert!(rule.closes_at(&all(&more)) >= rule.closes_at(&all(&times)));
        }

        /// Taking messages one by one, as they come, gives the same end as looking at the rows afterwards.
        #[test]
        fn recomputing_agrees_with_living_through_it(
            rule in any_rule(), gaps in prop::collection::vec((0i64..8_000, any::<bool>()), 1..30),
        ) {
            let album = album("1");
            let mut taken: Vec<Held<'_>> = Vec::new();
            let mut timer = None;
            let mut at = 0;
            for (gap, part) in gaps {
                at += gap;
                if timer.is_some_and(|end| at >= end) {
                    break;
                }
                taken.push(if part { with(at, &album) } else { plain(at) });
                timer = rule.closes_at(&taken);
            }
            let end = timer.unwrap();
            taken.reverse();
            prop_assert_eq!(rule.closes_at(&taken), Some(end));
            let most = i64::from(rule.max_ms) + 4 * i64::from(rule.parts_ms);
            prop_assert_eq!(i64::try_from(rule.remaining_ms(&taken, 0)).unwrap(), end.min(most));
        }

        /// A message alone is a prompt at once exactly where its window would close at once.
        #[test]
        fn what_passes_is_never_waited_for(rule in any_rule(), parts in any_held()) {
            let message = held(&parts)[0];
            let rule = rule.apart();
            let waited = rule.closes_at(&[message]).unwrap() > message.at;
            prop_assert_eq!(rule.passes(&message), !waited || message.at == i64::MAX);
        }

        /// However messages come, each is in a prompt, and no prompt holds more than it may but for an album.
        #[test]
        fn what_does_not_fit_goes_to_the_next(
            sizes in prop::collection::vec(0usize..60, 0..200), max_parts in 1u32..20, max_bytes in 60u32..500,
        ) {
            let rule = WindowRule { max_parts, max_bytes, ..RULE };
            let mut prompts: Vec<Vec<usize>> = vec![Vec::new()];
            for size in &sizes {
                let open = prompts.last().unwrap();
                let bytes: usize = open.iter().sum();
                if !open.is_empty() && !rule.fits(open.len(), bytes as u64, *size, false) {
                    prompts.push(Vec::new());
                }
                prompts.last_mut().unwrap().push(*size);
            }
            prop_assert_eq!(prompts.concat(), sizes);
            for prompt in prompts {
                prop_assert!(prompt.len() <= max_parts as usize);
                prop_assert!(prompt.iter().sum::<usize>() <= max_bytes as usize);
            }
        }
    }
}
