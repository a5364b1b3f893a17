//! Parts of prompts that are not with an agent yet.

use rusqlite::{Row, params};

use super::{
    columns::Natural,
    error::StoreError,
    rows::{Collected, PartOf, TurnPart, TurnState},
    turns::part,
    tx::{Tx, one},
};
use crate::core::{
    Millis,
    ids::{ConversationId, InboxId, TurnId},
};

/// How long people can change a message, in milliseconds.
const EDITABLE: Millis = 48 * 60 * 60 * 1000;

/// Rows of one turn are far below what does not fit.
fn count(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

impl Tx<'_> {
    /// The turn of the conversation that is being collected.
    ///
    /// # Errors
    /// The database's.
    pub fn turn_collected(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<Collected>, StoreError> {
        let open: Option<TurnId> = self.first(
            "SELECT id FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND state = 'collecting' ORDER BY id LIMIT 1",
            [conversation],
            |row| row.get(0),
        )?;
        match open {
            Some(turn) => self.collected(turn),
            None => Ok(None),
        }
    }

    /// The same of any turn; nothing for one without parts.
    ///
    /// # Errors
    /// The database's.
    pub fn collected(&self, turn: TurnId) -> Result<Option<Collected>, StoreError> {
        let last = self.first(
            "SELECT inbox, message_id, text, received_at, mark FROM turn_parts WHERE turn = ?1
             ORDER BY position DESC LIMIT 1",
            [turn],
            part,
        )?;
        let Some(last) = last else { return Ok(None) };
        self.first(
            "SELECT count(*), count(*) - count(mark ->> 'album') + count(DISTINCT mark ->> 'album'),
                    sum(octet_length(text)),
                    (SELECT message_id FROM turn_parts WHERE turn = ?1 ORDER BY position LIMIT 1)
             FROM turn_parts WHERE turn = ?1",
            [turn],
            |row| {
                let first: i64 = row.get(3)?;
                Ok(Collected {
                    turn,
                    parts: count(row.get(0)?),
                    messages: count(row.get(1)?),
                    bytes: row.get::<_, Natural>(2)?.0,
                    first: Some(first).filter(|id| *id != TurnPart::NO_MESSAGE),
                    last: last.clone(),
                })
            },
        )
    }

    /// The turn of the conversation that has parts of this album and was not given to the agent yet.
    ///
    /// # Errors
    /// The database's.
    pub fn turn_of_album(
        &self,
        conversation: ConversationId,
        album: &str,
    ) -> Result<Option<(TurnId, TurnState)>, StoreError> {
        self.first(
            "SELECT t.id, t.state FROM turns AS t
             WHERE t.conversation = ?1 AND t.ended_at IS NULL AND t.state IN ('collecting', 'held', 'queued')
             AND EXISTS (SELECT 1 FROM turn_parts AS p WHERE p.turn = t.id AND p.mark ->> 'album' = ?2)
             ORDER BY t.id DESC LIMIT 1",
            params![conversation, album],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// The part that came with this message, in the newest turn that has it: an open one, or one that was over in the last
    /// two days, for which Telegram lets people change a message.
    ///
    /// # Errors
    /// The database's.
    pub fn part_of_message(
        &self,
        conversation: ConversationId,
        message_id: i64,
        now: Millis,
    ) -> Result<Option<PartOf>, StoreError> {
        let read = |row: &Row<'_>| {
            Ok(PartOf {
                conversation,
                turn: row.get(0)?,
                state: row.get(1)?,
                inbox: row.get(2)?,
                text: row.get(3)?,
            })
        };
        let open = self.first(
            "SELECT t.id, t.state, p.inbox, p.text FROM turns AS t JOIN turn_parts AS p ON p.turn = t.id
             WHERE t.conversation = ?1 AND t.ended_at IS NULL AND p.message_id = ?2 ORDER BY t.id DESC LIMIT 1",
            params![conversation, message_id],
            read,
        )?;
        if open.is_some() {
            return Ok(open);
        }
        self.first(
            "SELECT t.id, t.state, p.inbox, p.text FROM turns AS t JOIN turn_parts AS p ON p.turn = t.id
             WHERE t.conversation = ?1 AND t.ended_at IS NOT NULL AND t.ended_at > ?3 AND p.message_id = ?2
             ORDER BY t.id DESC LIMIT 1",
            params![conversation, message_id, now.saturating_sub(EDITABLE)],
            read,
        )
    }

    /// Replaces the text of a part that no agent has yet.
    ///
    /// # Errors
    /// No such part, or an agent has it; the database's.
    pub fn part_edit(&self, turn: TurnId, inbox: InboxId, text: &str) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE turn_parts SET text = ?3 WHERE turn = ?1 AND inbox = ?2 AND turn IN (
                 SELECT id FROM turns WHERE id = ?1 AND state IN ('collecting', 'held', 'queued'))",
            params![turn, inbox, text],
        )?;
        one(changed, || format!("turn {turn} has no such part any more"))
    }

    /// The newest turn of the conversation that is held.
    ///
    /// # Errors
    /// The database's.
    pub fn turn_held(&self, conversation: ConversationId) -> Result<Option<TurnId>, StoreError> {
        self.first(
            "SELECT id FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND state = 'held' ORDER BY id DESC LIMIT 1",
            [conversation],
            |row| row.get(0),
        )
    }
}
