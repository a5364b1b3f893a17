//! Flood limits, off unless set.

use std::collections::{BTreeMap, VecDeque};

/// How many messages and edits are let through before a 429.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloodLimits {
    /// Per chat within one second.
    pub per_chat_per_second: Option<u32>,
    /// Per group within one minute.
    pub per_group_per_minute: Option<u32>,
    /// Over all chats within one second.
    pub overall_per_second: Option<u32>,
    /// Least `retry_after` of a refusal, in seconds; 1 where it is 0.
    pub least_retry_after: u64,
}

/// Times of what was let through.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    pub limits: FloodLimits,
    per_chat: BTreeMap<i64, VecDeque<i64>>,
    overall: VecDeque<i64>,
}

impl Flood {
    pub(crate) fn new(limits: FloodLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Lets one message through, or says after how many seconds to come back.
    pub(crate) fn admit(&mut self, chat: i64, group: bool, now_ms: i64) -> Result<(), u64> {
        let limits = self.limits;
        let times = self.per_chat.entry(chat).or_default();
        while times.front().is_some_and(|t| *t <= now_ms - 60_000) {
            times.pop_front();
        }
        while self.overall.front().is_some_and(|t| *t <= now_ms - 1_000) {
            self.overall.pop_front();
        }
        let mut wait_ms = 0;
        let mut check = |limit: Option<u32>, window: i64, times: &VecDeque<i64>| {
            let Some(limit) = limit else { return };
            let within = times
                .iter()
                .rev()
                .take_while(|t| **t > now_ms - window)
                .count();
            if within >= limit.max(1) as usize {
                // The one that must leave the window before there is room again.
                let oldest = times
                    .get(times.len() - limit.max(1) as usize)
                    .copied()
                    .unwrap_or(now_ms);
                wait_ms = wait_ms.max(oldest + window - now_ms);
            }
        };
        check(limits.per_chat_per_second, 1_000, times);
        if group {
            check(limits.per_group_per_minute, 60_000, times);
        }
        check(limits.overall_per_second, 1_000, &self.overall);
        if wait_ms > 0 {
            let seconds = u64::try_from((wait_ms + 999) / 1_000).unwrap_or(1);
            return Err(seconds.max(limits.least_retry_after).max(1));
        }
        if limits != FloodLimits::default() {
            times.push_back(now_ms);
            self.overall.push_back(now_ms);
        }
        Ok(())
    }
}
