//! Deadlines that Telegram set (429). Scopes: `all`, `chat:ID`.

use rusqlite::params;

use super::{error::StoreError, tx::Tx};
use crate::core::Millis;

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
}
