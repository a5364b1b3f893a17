//! What is long over and nobody asks for any more is deleted. Rows of inbox and outbox have rules of their own, beside them.

use rusqlite::params;

use super::{columns::at_most, error::StoreError, tx::Tx};
use crate::core::{Millis, ids::TurnId};

impl Tx<'_> {
    /// Deletes, of each at most `limit`, turns, runs and sessions that were over before `before`; whether there may be more.
    ///
    /// - A turn goes with its parts, its questions and what is known of its files. Kept are the last one of each
    ///   conversation, those of which something is still in the outbox, and those whose files are not deleted yet.
    /// - A run goes when its directory has gone and no turn names it.
    /// - A session goes when it is not its conversation's any more.
    ///
    /// # Errors
    /// The database's.
    pub fn past_prune(&self, before: Millis, limit: usize) -> Result<bool, StoreError> {
        let turns: Vec<TurnId> = self.all(
            "SELECT t.id FROM turns AS t WHERE t.ended_at IS NOT NULL AND t.ended_at < ?1
             AND EXISTS (SELECT 1 FROM turns AS n WHERE n.conversation = t.conversation AND n.ended_at IS NOT NULL
                         AND (n.ended_at, n.id) > (t.ended_at, t.id))
             AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.turn = t.id)
             AND NOT EXISTS (SELECT 1 FROM attachments AS a WHERE a.turn = t.id AND a.state IN ('wanted', 'here'))
             LIMIT ?2",
            params![before, at_most(limit)],
            |row| row.get(0),
        )?;
        for turn in &turns {
            self.change("DELETE FROM questions WHERE turn = ?1", [turn])?;
            self.change("DELETE FROM attachments WHERE turn = ?1", [turn])?;
            self.change("DELETE FROM turns WHERE id = ?1", [turn])?;
        }
        let runs = self.change(
            "DELETE FROM runs WHERE id IN (
                 SELECT r.id FROM runs AS r WHERE r.ended_at IS NOT NULL AND r.cleared = 1 AND r.ended_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM turns AS t WHERE t.run = r.id)
                 AND NOT EXISTS (SELECT 1 FROM questions AS q WHERE q.run = r.id) LIMIT ?2)",
            params![before, at_most(limit)],
        )?;
        let sessions = self.change(
            "DELETE FROM sessions WHERE session_id IN (
                 SELECT session_id FROM sessions WHERE current = 0 AND last_used < ?1 LIMIT ?2)",
            params![before, at_most(limit)],
        )?;
        Ok([turns.len(), runs, sessions].contains(&limit))
    }
}
