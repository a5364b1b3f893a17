//! Files that people sent: which are to be fetched, which are there.

use rusqlite::{Row, params};

use super::{
    columns::{Natural, at_most},
    error::StoreError,
    rows::{AttachmentJob, AttachmentRow, AttachmentState, Conversation, NewAttachment},
    tx::{Tx, one},
};
use crate::core::{
    Millis,
    ids::{ConversationId, ConversationKey, InboxId, TurnId},
};

fn attachment(row: &Row<'_>) -> rusqlite::Result<AttachmentRow> {
    Ok(AttachmentRow {
        id: row.get(0)?,
        turn: row.get(1)?,
        inbox: row.get(2)?,
        kind: row.get(3)?,
        file_id: row.get(4)?,
        name: row.get(5)?,
        mime: row.get(6)?,
        size: row.get::<_, Option<Natural>>(7)?.map(|size| size.0),
        state: row.get(8)?,
        trouble: row.get(9)?,
        transcript: row.get(10)?,
        attempts: row.get(11)?,
    })
}

impl Tx<'_> {
    /// Enters a file of a turn: to be fetched, or refused at once.
    ///
    /// # Errors
    /// No such turn or conversation; the database's.
    pub fn attachment_add(
        &self,
        turn: TurnId,
        conversation: ConversationId,
        inbox: InboxId,
        new: &NewAttachment,
        now: Millis,
    ) -> Result<i64, StoreError> {
        let state = if new.refused.is_some() {
            AttachmentState::Refused
        } else {
            AttachmentState::Wanted
        };
        self.insert(
            "INSERT INTO attachments (turn, conversation, inbox, kind, file_id, name, mime, size, state, trouble,
                                      not_before, created_at, done_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)",
            params![
                turn,
                conversation,
                inbox,
                new.kind,
                new.file_id,
                new.name,
                new.mime,
                new.size.map(|size| Natural(size.min(1 << 62))),
                state,
                new.refused,
                now,
                new.refused.as_ref().map(|_| now),
            ],
        )
    }

    /// Forgets the files of a part: others stand in their place.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments_drop(&self, turn: TurnId, inbox: InboxId) -> Result<(), StoreError> {
        self.change(
            "DELETE FROM attachments WHERE turn = ?1 AND inbox = ?2",
            params![turn, inbox],
        )?;
        Ok(())
    }

    /// Whether a file is still to be fetched.
    ///
    /// # Errors
    /// The database's.
    pub fn attachment_is_wanted(&self, id: i64) -> Result<bool, StoreError> {
        let found = self.first(
            "SELECT 1 FROM attachments WHERE id = ?1 AND state = 'wanted'",
            [id],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Files of the turn, in the order in which they came.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments(&self, turn: TurnId) -> Result<Vec<AttachmentRow>, StoreError> {
        self.all(
            "SELECT id, turn, inbox, kind, file_id, name, mime, size, state, trouble, transcript, attempts
             FROM attachments WHERE turn = ?1 ORDER BY id",
            [turn],
            attachment,
        )
    }

    /// Whether a file of the turn is still to be fetched.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments_awaited(&self, turn: TurnId) -> Result<bool, StoreError> {
        let found = self.first(
            "SELECT 1 FROM attachments WHERE turn = ?1 AND state = 'wanted' LIMIT 1",
            [turn],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// Files that are to be fetched now: of each conversation at most `of_each`, the longest due first; the first of each
    /// before the second of any, so that who sends thousands holds up nobody.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments_due(
        &self,
        now: Millis,
        of_each: usize,
    ) -> Result<Vec<AttachmentJob>, StoreError> {
        self.all(
            "SELECT a.id, a.turn, a.inbox, a.kind, a.file_id, a.name, a.mime, a.size, a.state, a.trouble, a.transcript,
                    a.attempts, c.id, c.bot_id, c.chat_id, c.thread_id, c.user_id, c.created_at
             FROM (SELECT *, row_number() OVER (PARTITION BY conversation ORDER BY not_before, id) AS place
                   FROM attachments WHERE state = 'wanted' AND not_before <= ?1) AS a
             JOIN conversations AS c ON c.id = a.conversation
             WHERE a.place <= ?2 ORDER BY a.place, a.not_before, a.id",
            params![now, at_most(of_each)],
            |row| {
                Ok(AttachmentJob {
                    row: attachment(row)?,
                    conversation: Conversation {
                        id: row.get(12)?,
                        key: ConversationKey {
                            bot_id: row.get(13)?,
                            chat_id: row.get(14)?,
                            thread_id: row.get(15)?,
                            user_id: row.get(16)?,
                        },
                        created_at: row.get(17)?,
                    },
                })
            },
        )
    }

    /// When the next file that is not due yet will be.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments_next(&self, now: Millis) -> Result<Option<Millis>, StoreError> {
        self.first(
            "SELECT not_before FROM attachments WHERE state = 'wanted' AND not_before > ?1
             ORDER BY not_before LIMIT 1",
            [now],
            |row| row.get(0),
        )
    }

    /// The file is in its place.
    ///
    /// # Errors
    /// It is not wanted; the database's.
    pub fn attachment_here(
        &self,
        id: i64,
        size: u64,
        transcript: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE attachments SET state = 'here', size = ?2, transcript = ?3, trouble = NULL, done_at = ?4
             WHERE id = ?1 AND state = 'wanted'",
            params![id, Natural(size), transcript, now],
        )?;
        one(changed, || format!("file {id} is not wanted"))
    }

    /// The file will not be had.
    ///
    /// # Errors
    /// It is not wanted; the database's.
    pub fn attachment_refused(&self, id: i64, why: &str, now: Millis) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE attachments SET state = 'refused', trouble = ?2, done_at = ?3 WHERE id = ?1 AND state = 'wanted'",
            params![id, why, now],
        )?;
        one(changed, || format!("file {id} is not wanted"))
    }

    /// The file is to be tried again then. `counts`: this was a try. `waits_for` is kept until the next outcome.
    ///
    /// # Errors
    /// It is not wanted; the database's.
    pub fn attachment_later(
        &self,
        id: i64,
        not_before: Millis,
        counts: bool,
        waits_for: Option<&str>,
    ) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE attachments SET not_before = ?2, attempts = attempts + ?3, trouble = ifnull(?4, trouble)
             WHERE id = ?1 AND state = 'wanted'",
            params![id, not_before, i64::from(counts), waits_for],
        )?;
        one(changed, || format!("file {id} is not wanted"))
    }

    /// Whether the turn of a file is over, so that nobody waits for it.
    ///
    /// # Errors
    /// The database's.
    pub fn turn_is_over(&self, turn: TurnId) -> Result<bool, StoreError> {
        let open = self.first(
            "SELECT 1 FROM turns WHERE id = ?1 AND ended_at IS NULL",
            [turn],
            |_| Ok(()),
        )?;
        Ok(open.is_none())
    }

    /// Bytes that the files of a conversation take.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments_size(&self, conversation: ConversationId) -> Result<u64, StoreError> {
        self.only(
            "SELECT ifnull(sum(size), 0) FROM attachments WHERE conversation = ?1 AND state = 'here'",
            [conversation],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )
    }

    /// Marks the oldest file of a conversation as deleted and tells its name and size; one that an open turn needs stays.
    /// Nothing where there is none.
    ///
    /// # Errors
    /// The database's.
    pub fn attachment_oldest_gone(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<(String, u64)>, StoreError> {
        self.first(
            "UPDATE attachments SET state = 'gone' WHERE id = (
                 SELECT a.id FROM attachments AS a JOIN turns AS t ON t.id = a.turn
                 WHERE a.conversation = ?1 AND a.state = 'here' AND t.ended_at IS NOT NULL ORDER BY a.id LIMIT 1)
             RETURNING name, ifnull(size, 0)",
            [conversation],
            |row| Ok((row.get(0)?, row.get::<_, Natural>(1)?.0)),
        )
    }

    /// Marks files that came before `at` as deleted and tells where they are: conversation and name. Those that an open
    /// turn needs stay.
    ///
    /// # Errors
    /// The database's.
    pub fn attachments_expire(
        &self,
        at: Millis,
        limit: usize,
    ) -> Result<Vec<(ConversationId, String)>, StoreError> {
        self.all(
            "UPDATE attachments SET state = 'gone' WHERE id IN (
                 SELECT a.id FROM attachments AS a JOIN turns AS t ON t.id = a.turn
                 WHERE a.state = 'here' AND a.done_at < ?1 AND t.ended_at IS NOT NULL ORDER BY a.done_at LIMIT ?2)
             RETURNING conversation, name",
            params![at, at_most(limit)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// Names of the files of a conversation that are there.
    ///
    /// # Errors
    /// The database's.
    pub fn attachment_names(
        &self,
        conversation: ConversationId,
    ) -> Result<Vec<String>, StoreError> {
        self.all(
            "SELECT name FROM attachments WHERE conversation = ?1 AND state = 'here' ORDER BY id",
            [conversation],
            |row| row.get(0),
        )
    }
}
