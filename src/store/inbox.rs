//! Updates, as they came.

use rusqlite::params;

use super::{
    columns::{Natural, Word as _, at_most},
    error::StoreError,
    rows::{InboxRow, RawUpdate, Verdict},
    tx::{Tx, one},
};
use crate::core::{Millis, ids::InboxId, tally::Count};

/// How much longer than others an update is kept that could not be read.
const KEEP_UNREADABLE: Millis = 30 * 24 * 60 * 60 * 1000;

impl Tx<'_> {
    /// Inserts what is new, in order; returns the ids of the new rows.
    ///
    /// An update is known when a row with the same bot, update id *and* text is there. Ids may fall back and
    /// repeat with other content after a reset of the server's queue: that is new.
    ///
    /// # Errors
    /// The database's.
    pub fn inbox_add(
        &self,
        bot_id: i64,
        updates: &[RawUpdate],
        now: Millis,
    ) -> Result<Vec<InboxId>, StoreError> {
        let mut new = Vec::new();
        for update in updates {
            let id: Option<InboxId> = self.first(
                "INSERT INTO inbox (bot_id, update_id, raw, received_at)
                 SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (
                     SELECT 1 FROM inbox WHERE bot_id = ?1 AND update_id = ?2 AND raw = ?3)
                 RETURNING id",
                params![bot_id, update.update_id, update.raw, now],
                |row| row.get(0),
            )?;
            if id.is_some() {
                self.counts(Count::Update);
            }
            new.extend(id);
        }
        Ok(new)
    }

    /// Next `offset` for `getUpdates`: last id of the last batch + 1. `None` before the first batch.
    ///
    /// # Errors
    /// The database's.
    pub fn poll_offset(&self, bot_id: i64) -> Result<Option<i64>, StoreError> {
        self.first(
            "SELECT next_offset FROM poll_offsets WHERE bot_id = ?1",
            [bot_id],
            |row| row.get(0),
        )
    }

    /// Sets what [`Tx::poll_offset`] tells; it may also fall.
    ///
    /// # Errors
    /// The database's.
    pub fn set_poll_offset(&self, bot_id: i64, offset: i64) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO poll_offsets (bot_id, next_offset) VALUES (?1, ?2)
             ON CONFLICT (bot_id) DO UPDATE SET next_offset = excluded.next_offset",
            [bot_id, offset],
        )?;
        Ok(())
    }

    /// Updates that are not yet acted on, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub fn inbox_pending(&self, limit: usize) -> Result<Vec<InboxRow>, StoreError> {
        self.all(
            "SELECT id, bot_id, update_id, raw, received_at FROM inbox
             WHERE done_at IS NULL ORDER BY id LIMIT ?1",
            [at_most(limit)],
            |row| {
                Ok(InboxRow {
                    id: row.get(0)?,
                    bot_id: row.get(1)?,
                    update_id: row.get(2)?,
                    raw: row.get(3)?,
                    received_at: row.get(4)?,
                })
            },
        )
    }

    /// Marks an update as acted on. Belongs in the transaction of its effects: an update that was acted on
    /// already is an error, so that the effects do not come twice.
    ///
    /// # Errors
    /// No such update, or it is done already; the database's.
    pub fn inbox_done(&self, id: InboxId, verdict: Verdict, now: Millis) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE inbox SET verdict = ?2, done_at = ?3 WHERE id = ?1 AND done_at IS NULL",
            params![id, verdict, now],
        )?;
        one(changed, || {
            format!("update {id} of the inbox is not there or was acted on already")
        })?;
        self.counts(Count::Acted(verdict.word()));
        Ok(())
    }

    /// When the update was committed here; `None` if it is not in the inbox.
    ///
    /// # Errors
    /// The database's.
    pub fn inbox_received_at(&self, id: InboxId) -> Result<Option<Millis>, StoreError> {
        self.first("SELECT received_at FROM inbox WHERE id = ?1", [id], |row| {
            row.get(0)
        })
    }

    /// How many updates wait to be acted on, and when the oldest of them came.
    ///
    /// # Errors
    /// The database's.
    pub fn inbox_backlog(&self) -> Result<(u64, Option<Millis>), StoreError> {
        self.only(
            "SELECT count(*), min(received_at) FROM inbox WHERE done_at IS NULL",
            [],
            |row| Ok((row.get::<_, Natural>(0)?.0, row.get(1)?)),
        )
    }

    /// Deletes updates that were acted on before `before`; returns how many. Kept are: those of turns that are not
    /// over, and unreadable ones until 30 days before `before` (which must not lie in the future).
    ///
    /// Telegram offers an update for 24 hours: what is deleted earlier would be new if it were offered again.
    ///
    /// # Errors
    /// The database's.
    pub fn inbox_prune(&self, before: Millis) -> Result<u64, StoreError> {
        let deleted = self.change(
            "DELETE FROM inbox WHERE done_at IS NOT NULL AND done_at < ?1
             AND (verdict <> 'unreadable' OR done_at < ?2)
             AND NOT EXISTS (SELECT 1 FROM turn_parts JOIN turns ON turns.id = turn_parts.turn
                             WHERE turn_parts.inbox = inbox.id AND turns.ended_at IS NULL)",
            [before, before.saturating_sub(KEEP_UNREADABLE)],
        )?;
        Ok(deleted as u64)
    }
}
