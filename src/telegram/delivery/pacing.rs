//! How fast calls may follow each other. Pure: time comes in, nothing sleeps.
//!
//! Three limits that Telegram documents: so many messages per second to one chat, per minute to one group,
//! per second over all. Edits count like messages. Each is kept by one number, the time at which its
//! allowance is whole again. What Telegram refuses nonetheless makes it slower for a while ([`learnt`]).

mod learnt;

use std::collections::HashMap;

use self::learnt::{Learnt, Refusals};
use crate::core::Millis;

/// Limits. 0 means: no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacingRule {
    /// Milliseconds between calls to one chat in the long run.
    pub chat_interval_ms: u32,
    /// Calls to one chat that may follow each other at once after a pause; at least 1.
    pub chat_burst: u32,
    /// Calls per minute to one group.
    pub group_per_minute: u32,
    /// Calls per second over all chats.
    pub overall_per_second: u32,
}

impl Default for PacingRule {
    fn default() -> Self {
        Self {
            chat_interval_ms: 1_000,
            chat_burst: 3,
            group_per_minute: 20,
            overall_per_second: 30,
        }
    }
}

/// One limit: an interval and how many calls may come before it is kept to.
#[derive(Clone, Copy, Debug)]
struct Limit {
    interval: Millis,
    burst: Millis,
    /// How far ahead a level can be.
    most: Millis,
}

impl Limit {
    fn new(interval: Millis, burst: Millis) -> Self {
        Self {
            interval,
            burst,
            most: burst * interval,
        }
    }

    /// As slow as was learnt; then nothing comes in a burst.
    fn slowed(self, learnt: Learnt, now: Millis) -> Self {
        let halvings = learnt.halvings(now);
        Self {
            interval: self.interval << halvings,
            burst: if halvings == 0 { self.burst } else { 1 },
            // What was used at a slower pace than now keeps its time; at such a pace, that is one call.
            most: if learnt.is_fresh() {
                self.most
            } else {
                self.most.max(self.interval << learnt::MOST)
            },
        }
    }
}

/// When the allowance of a limit is whole again.
#[derive(Clone, Copy, Debug, Default)]
struct Level(Millis);

impl Level {
    /// When the next call is allowed. `patient` leaves the burst to others.
    fn ready_at(self, limit: Limit, now: Millis, patient: bool) -> Millis {
        let spare = if patient {
            0
        } else {
            (limit.burst - 1) * limit.interval
        };
        self.sound(limit, now) - spare
    }

    fn take(&mut self, limit: Limit, now: Millis) {
        self.0 = self.sound(limit, now).max(now) + limit.interval;
    }

    /// The level, or the highest that there can be: it is higher only if the clock was set back.
    fn sound(self, limit: Limit, now: Millis) -> Millis {
        self.0.min(now.saturating_add(limit.most))
    }
}

/// What was used of one chat's allowance.
#[derive(Clone, Copy, Debug, Default)]
struct Chat {
    chat: Level,
    group: Level,
    /// Of drafts, which take nothing of the others.
    draft: Level,
    last: Millis,
    learnt: Learnt,
}

impl Chat {
    /// Whether something of its allowances is used.
    fn at_work(self, now: Millis) -> bool {
        let levels = [self.chat, self.group, self.draft];
        levels.iter().any(|level| level.0 > now)
            || self.last == now
            || self.learnt.halvings(now) > 0
    }
}

/// What was used of all allowances.
#[derive(Debug)]
pub struct Pacing {
    rule: PacingRule,
    overall: Level,
    learnt: Learnt,
    refusals: Refusals,
    chats: HashMap<i64, Chat>,
    /// Chats at which the map is looked through for those at rest.
    sweep_at: usize,
}

/// Fewest chats that are worth looking through.
const SWEEP_FROM: usize = 1024;

impl Pacing {
    /// Nothing has been used.
    #[must_use]
    pub fn new(rule: PacingRule) -> Self {
        Self {
            rule,
            overall: Level::default(),
            learnt: Learnt::default(),
            refusals: Refusals::default(),
            chats: HashMap::new(),
            sweep_at: SWEEP_FROM,
        }
    }

    /// Other limits from now on. What was used under the old ones counts no longer than the new ones allow for.
    pub fn change(&mut self, rule: PacingRule) {
        self.rule = rule;
    }

    /// Telegram refused a call to this chat for coming too early (429).
    pub fn refused(&mut self, chat_id: i64, now: Millis) {
        self.chats.entry(chat_id).or_default().learnt.refused(now);
        if self.refusals.add(chat_id, now) {
            self.learnt.refused(now);
        }
    }

    /// When a call to this chat is allowed; not after `now`: at once. A `patient` call (an edit on the way)
    /// keeps to the long-run interval, so that the burst is there for a new message. After a refusal there is no burst for
    /// anybody, for a while.
    #[must_use]
    pub fn ready_at(&self, chat_id: i64, now: Millis, patient: bool) -> Millis {
        let used = self.chats.get(&chat_id).copied().unwrap_or_default();
        let mut at = Millis::MIN;
        if let Some(limit) = self.chat_limit(used.learnt, now) {
            at = at.max(used.chat.ready_at(limit, now, patient));
        }
        if let Some(limit) = self.group_limit(chat_id, used.learnt, now) {
            at = at.max(used.group.ready_at(limit, now, patient));
        }
        at.max(self.all_ready_at(now))
    }

    /// When a call is allowed to any chat at all.
    #[must_use]
    pub fn all_ready_at(&self, now: Millis) -> Millis {
        let limit = self.overall_limit(now);
        limit.map_or(Millis::MIN, |limit| {
            self.overall.ready_at(limit, now, false)
        })
    }

    /// Counts a call to this chat.
    pub fn take(&mut self, chat_id: i64, now: Millis) {
        let learnt = self.learnt_of(chat_id);
        let (chat, group, overall) = (
            self.chat_limit(learnt, now),
            self.group_limit(chat_id, learnt, now),
            self.overall_limit(now),
        );
        let used = self.chats.entry(chat_id).or_default();
        used.last = now;
        if let Some(limit) = chat {
            used.chat.take(limit, now);
        }
        if let Some(limit) = group {
            used.group.take(limit, now);
        }
        if let Some(limit) = overall {
            self.overall.take(limit, now);
        }
        if self.chats.len() >= self.sweep_at {
            self.chats.retain(|_, used| used.at_work(now));
            self.sweep_at = (self.chats.len() * 2).max(SWEEP_FROM);
        }
    }

    /// When a draft may go to this chat: when the whole allowance for messages is there, and no sooner after another draft
    /// than one message after another. It takes nothing of the chat's allowance, and of that over all only what no
    /// burst needs.
    #[must_use]
    pub fn draft_ready_at(&self, chat_id: i64, now: Millis) -> Millis {
        let used = self.chats.get(&chat_id).copied().unwrap_or_default();
        let mut at = Millis::MIN;
        if let Some(limit) = self.chat_limit(used.learnt, now) {
            at = at.max(used.chat.ready_at(limit, now, true));
            at = at.max(used.draft.ready_at(limit, now, true));
        }
        if let Some(limit) = self.group_limit(chat_id, used.learnt, now) {
            at = at.max(used.group.ready_at(limit, now, true));
        }
        if let Some(limit) = self.overall_limit(now) {
            at = at.max(self.overall.ready_at(limit, now, true));
        }
        at
    }

    /// Counts a draft.
    pub fn take_draft(&mut self, chat_id: i64, now: Millis) {
        let learnt = self.learnt_of(chat_id);
        let (chat, overall) = (self.chat_limit(learnt, now), self.overall_limit(now));
        if let Some(limit) = chat {
            self.chats
                .entry(chat_id)
                .or_default()
                .draft
                .take(limit, now);
        }
        if let Some(limit) = overall {
            self.overall.take(limit, now);
        }
    }

    /// When a call to this chat was last counted: who waited longest goes first. A clock that was set back makes nobody last
    /// for longer than until now.
    #[must_use]
    pub fn last(&self, chat_id: i64, now: Millis) -> Millis {
        self.chats
            .get(&chat_id)
            .map_or(Millis::MIN, |used| used.last.min(now))
    }

    fn learnt_of(&self, chat_id: i64) -> Learnt {
        self.chats
            .get(&chat_id)
            .map_or_else(Learnt::default, |used| used.learnt)
    }

    fn chat_limit(&self, learnt: Learnt, now: Millis) -> Option<Limit> {
        let limit = (self.rule.chat_interval_ms > 0).then(|| {
            Limit::new(
                self.rule.chat_interval_ms.into(),
                self.rule.chat_burst.max(1).into(),
            )
        });
        Some(limit?.slowed(learnt, now))
    }

    /// Groups have negative ids. Burst and interval are such that no minute sees more than the limit.
    fn group_limit(&self, chat_id: i64, learnt: Learnt, now: Millis) -> Option<Limit> {
        let per_minute = Millis::from(self.rule.group_per_minute);
        if chat_id >= 0 || per_minute == 0 {
            return None;
        }
        let burst = (per_minute / 4).max(1);
        let limit = Limit::new(ceil_div(60_000, (per_minute - burst).max(1)), burst);
        Some(limit.slowed(learnt, now))
    }

    fn overall_limit(&self, now: Millis) -> Option<Limit> {
        let per_second = Millis::from(self.rule.overall_per_second);
        let limit = (per_second > 0).then(|| {
            let burst = (per_second / 4).max(1);
            Limit::new(ceil_div(1000, (per_second - burst).max(1)), burst)
        });
        Some(limit?.slowed(self.learnt, now))
    }
}

/// `a / b`, rounded up; both above 0.
fn ceil_div(a: Millis, b: Millis) -> Millis {
    (a + b - 1) / b
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes as many calls as allowed and returns their times.
    fn calls(rule: PacingRule, chats: &[i64], until: Millis, step: Millis) -> Vec<(Millis, i64)> {
        let mut pacing = Pacing::new(rule);
        let mut out = Vec::new();
        let mut now = 1_000_000;
        while now < 1_000_000 + until {
            for chat in chats {
                while pacing.ready_at(*chat, now, false) <= now {
                    pacing.take(*chat, now);
                    out.push((now, *chat));
                    assert!(out.len() < 100_000, "no limit at all");
                }
            }
            now += step;
        }
        out
    }

    fn most_in_window(calls: &[(Millis, i64)], chat: Option<i64>, window: Millis) -> usize {
        let times: Vec<_> = calls
            .iter()
            .filter(|(_, c)| chat.is_none_or(|chat| chat == *c))
            .map(|(at, _)| *at)
            .collect();
        times
            .iter()
            .map(|from| {
                times
                    .iter()
                    .filter(|at| (*from..*from + window).contains(at))
                    .count()
            })
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_burst_then_one_per_interval() {
        let rule = PacingRule {
            chat_interval_ms: 1000,
            chat_burst: 3,
            group_per_minute: 0,
            overall_per_second: 0,
        };
        let calls = calls(rule, &[7], 10_000, 10);
        assert_eq!(calls.iter().filter(|(at, _)| *at == 1_000_000).count(), 3);
        assert_eq!(calls.len(), 3 + 9);
    }

    #[test]
    fn a_refusal_makes_it_slower_for_a_while_and_for_that_chat_alone() {
        let mut pacing = Pacing::new(PacingRule::default());
        let now = 1_000_000;
        pacing.refused(7, now);
        assert!(pacing.ready_at(7, now, false) <= now);
        pacing.take(7, now);
        assert_eq!(pacing.ready_at(7, now, false), now + 2_000, "no burst");
        pacing.take(8, now);
        assert!(pacing.ready_at(8, now, false) <= now);
        let later = now + 60_000;
        for _ in 0..3 {
            assert!(pacing.ready_at(7, later, false) <= later);
            pacing.take(7, later);
        }
        // Several chats: all of them.
        for chat in 1..=3 {
            pacing.refused(chat, later);
        }
        pacing.take(9, later);
        assert!(pacing.ready_at(10, later, false) > later + 60);
    }

    #[test]
    fn a_patient_call_leaves_the_burst() {
        let mut pacing = Pacing::new(PacingRule {
            chat_interval_ms: 1000,
            chat_burst: 3,
            group_per_minute: 0,
            overall_per_second: 0,
        });
        pacing.take(7, 5_000);
        assert_eq!(pacing.ready_at(7, 5_000, true), 6_000);
        assert!(pacing.ready_at(7, 5_000, false) <= 5_000);
    }

    #[test]
    fn a_draft_waits_for_messages_and_no_message_waits_for_a_draft() {
        let mut pacing = Pacing::new(PacingRule {
            overall_per_second: 0,
            ..PacingRule::default()
        });
        let now = 5_000;
        assert!(pacing.draft_ready_at(7, now) <= now);
        pacing.take_draft(7, now);
        assert_eq!(pacing.draft_ready_at(7, now), 6_000, "one in a second");
        for patient in [false, true] {
            assert!(pacing.ready_at(7, now, patient) <= now);
        }
        for _ in 0..3 {
            pacing.take(7, now);
        }
        assert_eq!(pacing.draft_ready_at(7, now), 8_000, "after all of these");
    }

    #[test]
    fn drafts_leave_the_burst_over_all_to_messages() {
        let mut pacing = Pacing::new(PacingRule::default());
        let mut drafts = 0;
        for chat in 1..100 {
            if pacing.draft_ready_at(chat, 5_000) <= 5_000 {
                pacing.take_draft(chat, 5_000);
                drafts += 1;
            }
        }
        assert_eq!(drafts, 1);
        let messages = (1..100).filter(|chat| {
            let free = pacing.ready_at(*chat, 5_000, false) <= 5_000;
            if free {
                pacing.take(*chat, 5_000);
            }
            free
        });
        assert_eq!(messages.count(), 6);
    }

    #[test]
    fn no_minute_of_a_group_sees_more_than_the_limit() {
        let rule = PacingRule {
            chat_interval_ms: 0,
            chat_burst: 1,
            group_per_minute: 20,
            overall_per_second: 0,
        };
        let calls = calls(rule, &[-5], 300_000, 50);
        let most = most_in_window(&calls, Some(-5), 60_000);
        assert!((15..=20).contains(&most), "{most}");
    }

    #[test]
    fn no_second_sees_more_than_the_limit_over_all() {
        let rule = PacingRule {
            chat_interval_ms: 100,
            chat_burst: 5,
            group_per_minute: 0,
            overall_per_second: 30,
        };
        let chats: Vec<i64> = (1..200).collect();
        let calls = calls(rule, &chats, 20_000, 5);
        let most = most_in_window(&calls, None, 1000);
        assert!((20..=30).contains(&most), "{most}");
    }

    #[test]
    fn however_long_an_answer_is_edited_in_a_group_its_end_finds_room() {
        const GROUP: i64 = -5;
        let mut pacing = Pacing::new(PacingRule::default());
        let (begun, mut edits) = (1_000_000, Vec::new());
        // Edits as fast as they may, and at any moment of it the end: a whole answer of several messages.
        for now in (begun..begun + 180_000).step_by(100) {
            if pacing.ready_at(GROUP, now, true) <= now {
                pacing.take(GROUP, now);
                edits.push((now, GROUP));
            }
            let mut end = Pacing {
                chats: pacing.chats.clone(),
                ..Pacing::new(PacingRule::default())
            };
            // As many as the chat's own burst lets through, and one that waits no longer than two intervals of it.
            for _ in 0..2 {
                assert!(end.ready_at(GROUP, now, false) <= now, "at {now}");
                end.take(GROUP, now);
            }
            for late in [1_000, 2_000] {
                assert!(end.ready_at(GROUP, now + late, false) <= now + late);
                end.take(GROUP, now + late);
            }
        }
        let most = most_in_window(&edits, Some(GROUP), 60_000);
        assert!(
            (12..=16).contains(&most),
            "{most} edits in a minute leave four for other messages"
        );
    }

    #[test]
    fn zero_means_no_limit() {
        let pacing = Pacing::new(PacingRule {
            chat_interval_ms: 0,
            chat_burst: 0,
            group_per_minute: 0,
            overall_per_second: 0,
        });
        assert!(pacing.ready_at(-5, 0, true) <= 0);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_a_chat() {
        let mut pacing = Pacing::new(PacingRule::default());
        for _ in 0..10 {
            pacing.take(-7, 1_000_000_000);
        }
        let earlier = 1_000;
        assert!(pacing.ready_at(-7, earlier, true) <= earlier + 60_000);
        assert_eq!(pacing.last(-7, earlier), earlier);
        // Nor one that was refused before that, even long ago.
        pacing.refused(-7, 1_000_000_000);
        for _ in 0..10 {
            pacing.take(-7, 1_000_600_000);
        }
        assert!(pacing.ready_at(-7, earlier, true) <= earlier + 60_000);
    }

    #[test]
    fn chats_at_rest_are_forgotten() {
        let mut pacing = Pacing::new(PacingRule {
            overall_per_second: 0,
            ..PacingRule::default()
        });
        for chat in 0..100_000_i64 {
            pacing.take(chat, chat * 10);
        }
        assert!(
            pacing.chats.len() <= 2 * SWEEP_FROM,
            "{}",
            pacing.chats.len()
        );
    }

    proptest! {
        #[test]
        fn waiting_until_ready_is_always_enough(
            interval in 0_u32..5000, burst in 0_u32..6, group in 0_u32..60, overall in 0_u32..60,
            takes in prop::collection::vec((-3_i64..3, 0_i64..3000), 1..60), patient in any::<bool>(),
        ) {
            let mut pacing = Pacing::new(PacingRule {
                chat_interval_ms: interval, chat_burst: burst, group_per_minute: group, overall_per_second: overall,
            });
            let mut now = 10_000;
            for (chat, pause) in takes {
                now = pacing.ready_at(chat, now, patient).max(now);
                prop_assert!(pacing.ready_at(chat, now, patient) <= now);
                pacing.take(chat, now);
                now += pause;
                if pause % 7 == 0 {
                    pacing.refused(chat, now);
                }
            }
        }
    }
}
