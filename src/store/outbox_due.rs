//! Which outbox rows are due: the ordering rules, as SQL.
//!
//! - A row is due when it is pending, its `not_before` has come and no rate limit holds it (`all`, or its chat's).
//! - A chat has at most one row on the wire, and so at most one row due: the first by urgency, then by id.
//! - A message that was never sent does not overtake an earlier one of the same chat that was never sent either,
//!   even when that one has a later `not_before`. Edits and deletions of messages that are there may.
//! - Answers to presses belong to no chat: each is on its own.

use rusqlite::params;

use super::{
    columns::at_most,
    error::StoreError,
    outbox_rows::{out_columns, stored},
    rows::OutRow,
    tx::Tx,
};
use crate::core::{Millis, clock::Stir};

/// Rows that only time can hold. `chat_id` of a press is NULL, which equals nothing.
macro_rules! in_line {
    () => {
        "o.done_at IS NULL AND o.state = 'pending'
         AND NOT EXISTS (SELECT 1 FROM outbox AS s WHERE s.state = 'sending' AND s.chat_id = o.chat_id)
         AND NOT (o.kind = 'show' AND o.message_id IS NULL AND EXISTS (
             SELECT 1 FROM outbox AS e WHERE e.done_at IS NULL AND e.kind = 'show' AND e.message_id IS NULL
             AND e.chat_id = o.chat_id AND e.id < o.id))"
    };
}

impl Tx<'_> {
    /// Rows that are to go out now, most urgent first, at most `limit` and at most one per chat.
    ///
    /// # Errors
    /// The database's.
    pub fn out_due(&self, now: Millis, limit: usize) -> Result<Vec<OutRow>, StoreError> {
        self.all(
            concat!(
                "SELECT ",
                out_columns!(),
                " FROM outbox WHERE id IN (
                      SELECT id FROM (
                          SELECT o.id, row_number() OVER (
                              PARTITION BY o.chat_id, CASE WHEN o.kind = 'press' THEN o.id END
                              ORDER BY o.urgency, o.id) AS place
                          FROM outbox AS o WHERE ",
                in_line!(),
                "         AND o.not_before <= ?1
                          AND NOT EXISTS (SELECT 1 FROM rate_limits AS l
                                          WHERE l.scope IN ('all', 'chat:' || o.chat_id) AND l.until > ?1))
                      WHERE place = 1)
                  ORDER BY urgency, id LIMIT ?2"
            ),
            params![now, at_most(limit)],
            |row| stored(row).map(|stored| stored.row),
        )
    }

    /// What goes on in a chat, but for its limits; of what was shown, what was so after `since`.
    ///
    /// # Errors
    /// The database's.
    pub fn out_stir(&self, chat_id: i64, since: Millis) -> Result<Stir, StoreError> {
        self.only(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE chat_id = ?1 AND done_at IS NULL),
                    (SELECT max(done_at) FROM outbox WHERE +chat_id = ?1 AND done_at > ?2)",
            [chat_id, since],
            |row| {
                Ok(Stir {
                    held_until: None,
                    busy: row.get(0)?,
                    last: row.get(1)?,
                })
            },
        )
    }

    /// When the next row becomes due that is not due now, if nothing else happens. Rows that wait for another row are
    /// not counted: its end wakes the delivery anyway.
    ///
    /// # Errors
    /// The database's.
    pub fn out_next_due(&self, now: Millis) -> Result<Option<Millis>, StoreError> {
        self.only(
            concat!(
                "SELECT min(ready) FROM (
                     SELECT max(o.not_before, ifnull((SELECT max(l.until) FROM rate_limits AS l
                         WHERE l.scope IN ('all', 'chat:' || o.chat_id)), o.not_before)) AS ready
                     FROM outbox AS o WHERE ",
                in_line!(),
                ") WHERE ready > ?1"
            ),
            [now],
            |row| row.get(0),
        )
    }
}
