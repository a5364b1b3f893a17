//! Deadlines that Telegram set for a chat (429), scopes `chat:ID`; and how far ahead of time somebody is by what they do, one
//! scope for each pace that is kept.

use rusqlite::params;

use super::{error::StoreError, tx::Tx};
use crate::core::{Millis, tally::Count};

/// How long what has passed is kept, in milliseconds. Messages count by when they were sent, which may be some time ago where
/// nobody was there to take them.
const KEPT: Millis = 3_600_000;

impl Tx<'_> {
    /// Nothing is sent to this chat before `until`. A later deadline that is there already stays.
    ///
    /// # Errors
    /// The database's.
    pub fn chat_limit_set(
        &self,
        chat_id: i64,
        until: Millis,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO rate_limits (scope, until, set_at) VALUES ('chat:' || ?1, ?2, ?3)
             ON CONFLICT (scope) DO UPDATE SET until = max(until, excluded.until), set_at = excluded.set_at",
            params![chat_id, until, now],
        )?;
        self.counts(Count::Throttled(until.saturating_sub(now)));
        self.touch_outbox();
        Ok(())
    }

    /// The deadline of a chat; it may have passed.
    ///
    /// # Errors
    /// The database's.
    pub fn chat_limit(&self, chat_id: i64) -> Result<Option<Millis>, StoreError> {
        self.pace(&format!("chat:{chat_id}"))
    }

    /// How far the uses of this scope have led, whatever stood there before. No `chat:ID`.
    ///
    /// # Errors
    /// The database's.
    pub fn pace_set(&self, scope: &str, ahead: Millis, now: Millis) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO rate_limits (scope, until, set_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (scope) DO UPDATE SET until = excluded.until, set_at = excluded.set_at",
            params![scope, ahead, now],
        )?;
        Ok(())
    }

    /// How far the uses of this scope have led; that may have passed.
    ///
    /// # Errors
    /// The database's.
    pub fn pace(&self, scope: &str) -> Result<Option<Millis>, StoreError> {
        self.first(
            "SELECT until FROM rate_limits WHERE scope = ?1",
            [scope],
            |row| row.get(0),
        )
    }

    /// Deletes what has passed, and was not set lately.
    ///
    /// # Errors
    /// The database's.
    pub fn limits_prune(&self, now: Millis) -> Result<(), StoreError> {
        self.change(
            "DELETE FROM rate_limits WHERE until <= ?1 AND set_at <= ?1 - ?2",
            [now, KEPT],
        )?;
        Ok(())
    }

    /// The clock was ahead, until it was set back: if something that waits was entered later than `now`, all that
    /// waits for a time waits for one that is earlier by as much. Returns by how much, in milliseconds; 0 where
    /// nothing is from the future. `seen` is the latest reading of the clock that the caller knows of.
    ///
    /// # Errors
    /// The database's.
    pub fn clock_set_back(&self, seen: Option<Millis>, now: Millis) -> Result<Millis, StoreError> {
        let entered: Option<Millis> = self.only(
            "SELECT max(at) FROM (SELECT max(waiting_since) AS at FROM outbox WHERE done_at IS NULL
                                  UNION ALL SELECT max(set_at) FROM rate_limits)",
            [],
            |row| row.get(0),
        )?;
        let by = seen.max(entered).map_or(0, |at| at.saturating_sub(now));
        if by <= 0 {
            return Ok(0);
        }
        self.change(
            "UPDATE outbox SET not_before = not_before - ?1, waiting_since = min(waiting_since, ?2)
             WHERE done_at IS NULL",
            params![by, now],
        )?;
        self.change(
            "UPDATE rate_limits SET until = until - ?1, set_at = min(set_at, ?2)",
            params![by, now],
        )?;
        self.touch_outbox();
        Ok(by)
    }
}
