//! Sessions of the agent. One per conversation is current; the others stay as history.

use rusqlite::{Row, params};
use uuid::Uuid;

use super::{
    columns::{UuidText, json},
    error::StoreError,
    rows::{Session, SessionMetadata},
    tx::{Tx, one},
};
use crate::core::{Millis, ids::ConversationId};

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        session_id: row.get::<_, UuidText>(0)?.0,
        conversation: row.get(1)?,
        created_at: row.get(2)?,
        last_used: row.get(3)?,
        metadata: json(row, 4)?,
    })
}

impl Tx<'_> {
    /// The session that the next prompt of the conversation goes to.
    ///
    /// # Errors
    /// The database's.
    pub fn session_current(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<Session>, StoreError> {
        self.first(
            "SELECT session_id, conversation, created_at, last_used, metadata FROM sessions
             WHERE conversation = ?1 AND current = 1",
            [conversation],
            session,
        )
    }

    /// Makes a session the current one of the conversation; the one before stays as history. A session that the
    /// conversation had earlier keeps its metadata.
    ///
    /// # Errors
    /// The session belongs to another conversation; the database's.
    pub fn session_start(
        &self,
        conversation: ConversationId,
        session_id: Uuid,
        now: Millis,
    ) -> Result<Session, StoreError> {
        self.session_forget(conversation)?;
        let metadata = to_json(&SessionMetadata::default())?;
        self.first(
            "INSERT INTO sessions (session_id, conversation, created_at, last_used, metadata, current)
             VALUES (?1, ?2, ?3, ?3, ?4, 1)
             ON CONFLICT (session_id) DO UPDATE SET current = 1, last_used = excluded.last_used
                 WHERE conversation = excluded.conversation
             RETURNING session_id, conversation, created_at, last_used, metadata",
            params![UuidText(session_id), conversation, now, metadata],
            session,
        )?
        .ok_or_else(|| {
            StoreError::Other(format!("session {session_id} belongs to another conversation"))
        })
    }

    /// Notes the use of a session.
    ///
    /// # Errors
    /// No such session; the database's.
    pub fn session_used(&self, session_id: Uuid, now: Millis) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE sessions SET last_used = ?2 WHERE session_id = ?1",
            params![UuidText(session_id), now],
        )?;
        one(changed, || format!("there is no session {session_id}"))
    }

    /// Replaces the free facts of a session. A cost that is not a number counts as 0.
    ///
    /// # Errors
    /// No such session; the database's.
    pub fn session_metadata(
        &self,
        session_id: Uuid,
        metadata: &SessionMetadata,
    ) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE sessions SET metadata = ?2 WHERE session_id = ?1",
            params![UuidText(session_id), to_json(metadata)?],
        )?;
        one(changed, || format!("there is no session {session_id}"))
    }

    /// From here on the conversation has no current session.
    ///
    /// # Errors
    /// The database's.
    pub fn session_forget(&self, conversation: ConversationId) -> Result<(), StoreError> {
        self.change(
            "UPDATE sessions SET current = 0 WHERE conversation = ?1 AND current = 1",
            [conversation],
        )?;
        Ok(())
    }
}

/// JSON knows no NaN and no infinity: serde writes `null`, which would not read back.
fn to_json(metadata: &SessionMetadata) -> Result<String, StoreError> {
    let mut metadata = metadata.clone();
    if !metadata.total_cost_usd.is_finite() {
        metadata.total_cost_usd = 0.0;
    }
    serde_json::to_string(&metadata)
        .map_err(|error| StoreError::Other(format!("session metadata: {error}")))
}
