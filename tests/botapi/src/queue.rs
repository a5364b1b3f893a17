//! The queue of updates, confirmed by offset.

use std::collections::{BTreeSet, VecDeque};

/// Updates that the queue holds at most; then the oldest go.
const MAX_UPDATES: usize = 100_000;
/// An answer to getUpdates holds at most this many bytes of updates (but one at least).
const MAX_ANSWER: usize = 4 << 20;
/// Kinds that are not delivered unless asked for.
const OFF_BY_DEFAULT: &[&str] = &["chat_member", "message_reaction", "message_reaction_count"];

/// A waiting update.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub id: i64,
    /// The whole update as JSON text, so that what no JSON library can hold gets through.
    pub json: String,
    /// Time in milliseconds from which on it is no longer given out.
    pub expires_ms: i64,
}

/// Updates that wait for the bot.
#[derive(Debug)]
pub(crate) struct Queue {
    updates: VecDeque<Queued>,
    next_id: i64,
    /// Kinds asked for; `None`: the default.
    allowed: Option<BTreeSet<String>>,
    confirmed: Option<i64>,
    expired: u64,
}

impl Queue {
    pub(crate) fn new(first_id: i64) -> Self {
        Self {
            updates: VecDeque::new(),
            next_id: first_id,
            allowed: None,
            confirmed: None,
            expired: 0,
        }
    }

    /// Whether updates of this kind are taken in.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        match &self.allowed {
            Some(kinds) => kinds.contains(kind),
            None => !OFF_BY_DEFAULT.contains(&kind),
        }
    }

    /// Sets the kinds asked for. An empty list is the default.
    pub(crate) fn allow(&mut self, kinds: BTreeSet<String>) {
        self.allowed = if kinds.is_empty() { None } else { Some(kinds) };
    }

    pub(crate) fn allowed(&self) -> Option<&BTreeSet<String>> {
        self.allowed.as_ref()
    }

    /// Takes the next id.
    pub(crate) fn take_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// The id sequence goes on here; what waits is lost, as after a reset at Telegram.
    pub(crate) fn reset(&mut self, next_id: i64) {
        self.updates.clear();
        self.next_id = next_id;
    }

    pub(crate) fn push(&mut self, update: Queued) {
        if self.updates.len() >= MAX_UPDATES {
            self.updates.pop_front();
        }
        self.next_id = update.id + 1;
        self.updates.push_back(update);
    }

    pub(crate) fn expire(&mut self, now_ms: i64) {
        let before = self.updates.len();
        self.updates.retain(|u| u.expires_ms > now_ms);
        self.expired += (before - self.updates.len()) as u64;
    }

    /// Reads from `offset` on and confirms everything before it.
    pub(crate) fn read(&mut self, offset: i64, limit: usize, now_ms: i64) -> Vec<Queued> {
        self.expire(now_ms);
        let tail = self.next_id;
        let head = self.updates.front().map_or(tail, |u| u.id);
        let from = if offset < 0 { tail + offset } else { offset };
        // Far in the future or the past, or none: everything from the beginning, nothing confirmed.
        if from > 0 && from <= tail + 10 && from >= head - 100_000 {
            let before = self.updates.len();
            self.updates.retain(|u| u.id >= from);
            if offset > 0 || self.updates.len() < before {
                self.confirmed = Some(from - 1);
            }
        }
        let mut bytes = 0;
        let mut batch = Vec::new();
        for update in self.updates.iter().take(limit) {
            bytes += update.json.len();
            if bytes > MAX_ANSWER && !batch.is_empty() {
                break;
            }
            batch.push(update.clone());
        }
        batch
    }

    pub(crate) fn clear(&mut self) {
        self.updates.clear();
    }

    pub(crate) fn pending(&self) -> Vec<i64> {
        self.updates.iter().map(|u| u.id).collect()
    }

    /// Highest id that the bot confirmed.
    pub(crate) fn confirmed(&self) -> Option<i64> {
        self.confirmed
    }

    /// Updates that went out of date before they were confirmed.
    pub(crate) fn expired(&self) -> u64 {
        self.expired
    }
}
