//! Which outbox rows are due: the ordering rules, as SQL.
//!
//! - A row is due when it is pending, its `not_before` has come and no deadline of Telegram's for its chat holds it.
//! - A chat has at most one row on the wire, and so at most one row due: the first by urgency, then by id.
//! - A message that was never sent does not overtake an earlier one of the same chat that was never sent either,
//!   even when that one has a later `not_before`. Edits and deletions of messages that are there may.
//! - Answers to presses belong to no chat: each is on its own.

use rusqlite::{Row, params};

use super::{
    columns::at_most,
    error::StoreError,
    rows::{DueRow, Slot},
    tx::Tx,
};
use crate::core::{Millis, clock::Stir};

/// Chats with something that is not out yet. (A press belongs to none.) Found by leaps, not by a look at every row.
macro_rules! chats {
    () => {
        "WITH RECURSIVE chats (chat) AS (
             SELECT min(chat_id) FROM outbox WHERE done_at IS NULL AND chat_id IS NOT NULL
             UNION ALL
             SELECT (SELECT min(o.chat_id) FROM outbox AS o WHERE o.done_at IS NULL AND o.chat_id > chats.chat)
             FROM chats WHERE chat IS NOT NULL)"
    };
}

/// Nothing of the chat is on the wire.
macro_rules! free {
    () => {
        "chat IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox AS s WHERE s.state = 'sending' AND s.chat_id = chat)"
    };
}

/// Rows of a chat that only time can hold: its first message that was never sent,
macro_rules! unsent {
    () => {
        "SELECT * FROM (SELECT u.id, u.urgency, u.state, u.not_before FROM outbox AS u INDEXED BY outbox_unsent
             WHERE u.done_at IS NULL AND u.kind = 'show' AND u.message_id IS NULL AND u.chat_id = chats.chat
             ORDER BY u.id LIMIT 1) WHERE state = 'pending'"
    };
}

/// and what is to be done about messages that are there.
macro_rules! changes {
    () => {
        "SELECT c.id, c.urgency, c.state, c.not_before FROM outbox AS c INDEXED BY outbox_changes
         WHERE c.done_at IS NULL AND (kind = 'gone' OR message_id IS NOT NULL) AND c.chat_id = chats.chat
         AND c.state = 'pending'"
    };
}

/// Answers to presses that wait for nothing but time.
macro_rules! presses {
    () => {
        "FROM outbox AS p WHERE p.done_at IS NULL AND p.chat_id IS NULL AND p.state = 'pending'"
    };
}

/// Columns in the order in which [`due_row`] reads them. No bodies: these may be a megabyte each, of thousands of rows, and few
/// of them start.
macro_rules! due_columns {
    () => {
        "id, chat_id, turn, number, urgency, message_id, kind = 'show' AND message_id IS NULL"
    };
}

fn due_row(row: &Row<'_>) -> rusqlite::Result<DueRow> {
    let (turn, number): (Option<_>, Option<_>) = (row.get(2)?, row.get(3)?);
    Ok(DueRow {
        id: row.get(0)?,
        chat_id: row.get(1)?,
        slot: turn.zip(number).map(|(turn, number)| Slot { turn, number }),
        urgency: row.get(4)?,
        message_id: row.get(5)?,
        first: row.get(6)?,
    })
}

impl Tx<'_> {
    /// Rows that are to go out now, most urgent first, at most `limit` and at most one per chat.
    ///
    /// # Errors
    /// The database's.
    pub fn out_due(&self, now: Millis, limit: usize) -> Result<Vec<DueRow>, StoreError> {
        self.all(
            concat!(
                chats!(),
                " SELECT ",
                due_columns!(),
                " FROM outbox WHERE id IN (
                      SELECT (SELECT id FROM (
                          SELECT id, urgency FROM (",
                unsent!(),
                "         ) WHERE not_before <= ?1
                          UNION ALL
                          SELECT id, urgency FROM (",
                changes!(),
                "         AND c.not_before <= ?1 ORDER BY c.urgency, c.id LIMIT 1)
                      ) ORDER BY urgency, id LIMIT 1)
                      FROM chats WHERE ",
                free!(),
                "     AND NOT EXISTS (SELECT 1 FROM rate_limits AS l WHERE l.scope = 'chat:' || chat AND l.until > ?1)
                      UNION ALL
                      SELECT p.id ",
                presses!(),
                "     AND p.not_before <= ?1)
                  ORDER BY urgency, id LIMIT ?2"
            ),
            params![now, at_most(limit)],
            due_row,
        )
    }

    /// Of the rows that [`Tx::out_due`] would find, the answers to presses, and when the next of these is due that is not
    /// due now. This asks about no chat.
    ///
    /// # Errors
    /// The database's.
    pub fn out_due_presses(
        &self,
        now: Millis,
        limit: usize,
    ) -> Result<(Vec<DueRow>, Option<Millis>), StoreError> {
        let due = self.all(
            concat!(
                "SELECT ",
                due_columns!(),
                " FROM outbox WHERE id IN (SELECT p.id ",
                presses!(),
                " AND p.not_before <= ?1) ORDER BY id LIMIT ?2"
            ),
            params![now, at_most(limit)],
            due_row,
        )?;
        let next = self.only(
            concat!(
                "SELECT min(p.not_before) ",
                presses!(),
                " AND p.not_before > ?1"
            ),
            [now],
            |row| row.get(0),
        )?;
        Ok((due, next))
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
                chats!(),
                ", limits (chat, until) AS MATERIALIZED (
                     SELECT chat, (SELECT l.until FROM rate_limits AS l WHERE l.scope = 'chat:' || chat)
                     FROM chats WHERE ",
                free!(),
                ")
                 SELECT min(ready) FROM (
                     SELECT (SELECT min(ready) FROM (
                         SELECT max(not_before, ifnull(chats.until, not_before)) AS ready FROM (
                             SELECT not_before FROM (",
                unsent!(),
                "            ) UNION ALL SELECT not_before FROM (",
                changes!(),
                "            ))) WHERE ready > ?1) AS ready FROM limits AS chats
                     UNION ALL
                     SELECT p.not_before AS ready ",
                presses!(),
                ") WHERE ready > ?1"
            ),
            [now],
            |row| row.get(0),
        )
    }
}
