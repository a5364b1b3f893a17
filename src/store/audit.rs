//! Who did what.

use rusqlite::params;

use super::{columns::at_most, error::StoreError, rows::AuditEntry, tx::Tx};

impl Tx<'_> {
    /// Notes an act and gives the number of its line. Belongs in the transaction of the act.
    ///
    /// # Errors
    /// The database's.
    pub fn audit_add(&self, entry: &AuditEntry) -> Result<i64, StoreError> {
        self.insert(
            "INSERT INTO audit (at, who, action, target, result) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                entry.at,
                entry.who,
                entry.action,
                entry.target,
                entry.result
            ],
        )
    }

    /// Takes a line away again: for what others can add, and must not fill the database with.
    ///
    /// # Errors
    /// The database's.
    pub fn audit_remove(&self, id: i64) -> Result<(), StoreError> {
        self.change("DELETE FROM audit WHERE id = ?1", [id])?;
        Ok(())
    }

    /// The last `limit` acts, oldest of them first.
    ///
    /// # Errors
    /// The database's.
    pub fn audit_tail(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let mut newest = self.all(
            "SELECT at, who, action, target, result FROM audit ORDER BY id DESC LIMIT ?1",
            [at_most(limit)],
            |row| {
                Ok(AuditEntry {
                    at: row.get(0)?,
                    who: row.get(1)?,
                    action: row.get(2)?,
                    target: row.get(3)?,
                    result: row.get(4)?,
                })
            },
        )?;
        newest.reverse();
        Ok(newest)
    }
}
