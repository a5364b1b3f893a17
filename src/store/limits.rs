//! Deadlines that Telegram set (429), scopes `all` and `chat:ID`; and how far ahead of time somebody is who repeats an
//! order, scopes `ORDER:PERSON`,
//! or whose messages come fast, scopes `prompt:PERSON` and `kept:PERSON`.

use rusqlite::params;

use super::{error::StoreError, tx::Tx};
use crate::core::{Millis, tally::Count};

impl Tx<'_> {
    /// Nothing is sent in this scope before `until`. A later deadline that is there already stays.
    ///
    /// # Errors
    /// The database's.
    pub fn limit_set(&self, scope: &str, until: Millis, now: Millis) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO rate_limits (scope, until, set_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (scope) DO UPDATE SET until = max(until, excluded.until), set_at = excluded.set_at",
            params![scope, until, now],
        )?;
        if scope == "all" || scope.starts_with("chat:") {
            self.counts(Count::Throttled(until.saturating_sub(now)));
        }
        self.touch_outbox();
        Ok(())
    }

    /// The deadline of a scope; it may have passed.
    ///
    /// # Errors
    /// The database's.
    pub fn limit(&self, scope: &str) -> Result<Option<Millis>, StoreError> {
        self.first(
            "SELECT until FROM rate_limits WHERE scope = ?1",
            [scope],
            |row| row.get(0),
        )
    }

    /// Deletes deadlines that have passed.
    ///
    /// # Errors
    /// The database's.
    pub fn limits_prune(&self, now: Millis) -> Result<(), StoreError> {
        self.change("DELETE FROM rate_limits WHERE until <= ?1", [now])?;
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
