//! Settings that people change while the daemon runs.

use rusqlite::params;

use super::{error::StoreError, tx::Tx};
use crate::core::{Millis, happened::Happened};

impl Tx<'_> {
    /// Value of a setting.
    ///
    /// # Errors
    /// The database's.
    pub fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.first("SELECT value FROM settings WHERE key = ?1", [key], |row| {
            row.get(0)
        })
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// The database's.
    pub fn setting_set(&self, key: &str, value: &str, now: Millis) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
            params![key, value, now],
        )?;
        Ok(())
    }

    /// Takes a setting away.
    ///
    /// # Errors
    /// The database's.
    pub fn setting_unset(&self, key: &str) -> Result<(), StoreError> {
        self.change("DELETE FROM settings WHERE key = ?1", [key])?;
        Ok(())
    }

    /// Tells those who watch, after the commit, that settings of the configuration have changed.
    pub fn config_changed(&self, keys: Vec<String>) {
        if !keys.is_empty() {
            self.happens(Happened::ConfigChanged { keys });
        }
    }

    /// All settings by key: key, value, time of the last change.
    ///
    /// # Errors
    /// The database's.
    pub fn settings(&self) -> Result<Vec<(String, String, Millis)>, StoreError> {
        self.all(
            "SELECT key, value, updated_at FROM settings ORDER BY key",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
    }
}
