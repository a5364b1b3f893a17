//! Rows of the outbox: how they stand in the table, looking at them, deleting old ones.

use rusqlite::{Row, params};

use super::{
    columns::{Natural, json},
    error::StoreError,
    rows::{OutCounts, OutRow, OutboxId, Slot, Target, Wanted},
    tx::Tx,
};
use crate::core::{Millis, ids::TurnId};

/// Most characters of an error that are kept.
const ERROR_CHARS: usize = 300;

/// Columns in the order in which [`stored`] reads them.
macro_rules! out_columns {
    () => {
        "id, kind, chat_id, thread_id, callback_id, turn, number, urgency, body, revision, sent_revision, \
         wire_revision, wire_gone, message_id, state, ambiguous, plain, attempts, not_before, last_error, \
         created_at, waiting_since, done_at"
    };
}
pub(super) use out_columns;

/// A row with what only the store needs of it.
pub(super) struct Stored {
    pub(super) row: OutRow,
    /// Revision that went to the wire last.
    pub(super) wire_revision: i64,
    /// Whether that was the deletion of the message.
    pub(super) wire_gone: bool,
    /// Since when it waits, where it does.
    pub(super) waiting_since: Millis,
    /// When it was done or refused.
    pub(super) done_at: Option<Millis>,
}

pub(super) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let kind: String = row.get(1)?;
    let wanted = match kind.as_str() {
        "show" => Wanted::Show(json(row, 8)?),
        "press" => Wanted::PressAnswer {
            callback_id: row.get(4)?,
            text: row.get(8)?,
        },
        _ => Wanted::Gone,
    };
    let turn: Option<TurnId> = row.get(5)?;
    let number: Option<i64> = row.get(6)?;
    Ok(Stored {
        row: OutRow {
            id: row.get(0)?,
            target: Target {
                chat_id: row.get::<_, Option<i64>>(2)?.unwrap_or(0),
                thread_id: row.get(3)?,
            },
            slot: turn.zip(number).map(|(turn, number)| Slot { turn, number }),
            urgency: row.get(7)?,
            wanted,
            revision: row.get(9)?,
            sent_revision: row.get(10)?,
            message_id: row.get(13)?,
            state: row.get(14)?,
            ambiguous: row.get(15)?,
            plain: row.get(16)?,
            attempts: row.get(17)?,
            not_before: row.get(18)?,
            last_error: row.get(19)?,
            created_at: row.get(20)?,
        },
        wire_revision: row.get(11)?,
        wire_gone: row.get(12)?,
        waiting_since: row.get(21)?,
        done_at: row.get(22)?,
    })
}

/// Kind and body as they stand in the columns.
pub(super) fn body(wanted: &Wanted) -> Result<(&'static str, Option<String>), StoreError> {
    Ok(match wanted {
        Wanted::Show(shown) => (
            "show",
            Some(
                serde_json::to_string(shown)
                    .map_err(|error| StoreError::Other(format!("message: {error}")))?,
            ),
        ),
        Wanted::Gone => ("gone", None),
        Wanted::PressAnswer { text, .. } => ("press", Some(text.clone())),
    })
}

/// An error as it is kept.
pub(super) fn one_line(error: &str) -> String {
    error
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(ERROR_CHARS)
        .collect()
}

impl Tx<'_> {
    /// The row with this id.
    ///
    /// # Errors
    /// The database's.
    pub fn out_row(&self, id: OutboxId) -> Result<Option<OutRow>, StoreError> {
        self.first(
            concat!("SELECT ", out_columns!(), " FROM outbox WHERE id = ?1"),
            [id],
            |row| stored(row).map(|stored| stored.row),
        )
    }

    /// The row of a slot.
    ///
    /// # Errors
    /// The database's.
    pub fn out_slot(&self, slot: Slot) -> Result<Option<OutRow>, StoreError> {
        self.first(
            concat!(
                "SELECT ",
                out_columns!(),
                " FROM outbox WHERE turn = ?1 AND number = ?2"
            ),
            params![slot.turn, slot.number],
            |row| stored(row).map(|stored| stored.row),
        )
    }

    /// The row whose message this is.
    ///
    /// # Errors
    /// The database's.
    pub fn out_at(&self, chat_id: i64, message_id: i64) -> Result<Option<OutRow>, StoreError> {
        self.first(
            concat!(
                "SELECT ",
                out_columns!(),
                " FROM outbox WHERE chat_id = ?1 AND message_id = ?2 ORDER BY id DESC LIMIT 1"
            ),
            [chat_id, message_id],
            |row| stored(row).map(|stored| stored.row),
        )
    }

    /// How many rows are to be done or on the wire, and since when the oldest of them waits.
    ///
    /// # Errors
    /// The database's.
    pub fn out_backlog(&self) -> Result<(u64, Option<Millis>), StoreError> {
        self.only(
            "SELECT count(*), min(waiting_since) FROM outbox WHERE done_at IS NULL",
            [],
            |row| Ok((row.get::<_, Natural>(0)?.0, row.get(1)?)),
        )
    }

    /// What went wrong among the rows that are kept.
    ///
    /// # Errors
    /// The database's.
    pub fn out_counts(&self) -> Result<OutCounts, StoreError> {
        self.only(
            "SELECT (SELECT ifnull(sum(ambiguous), 0) FROM outbox WHERE ambiguous > 0),
                    (SELECT count(*) FROM outbox WHERE state = 'rejected')",
            [],
            |row| {
                Ok(OutCounts {
                    ambiguous: row.get::<_, Natural>(0)?.0,
                    rejected: row.get::<_, Natural>(1)?.0,
                })
            },
        )
    }

    /// Deletes rows that were done or refused before `before`, where their turn is over; returns how many.
    ///
    /// # Errors
    /// The database's.
    pub fn out_prune(&self, before: Millis) -> Result<u64, StoreError> {
        let deleted = self.change(
            "DELETE FROM outbox WHERE done_at IS NOT NULL AND done_at < ?1
             AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.id = outbox.turn AND turns.ended_at IS NULL)",
            [before],
        )?;
        Ok(deleted as u64)
    }
}
