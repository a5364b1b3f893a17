//! Lists for administrators. No texts of people.

use super::{
    columns::{UuidText, at_most, json},
    conversations::conversation,
    error::StoreError,
    rows::{AuditEntry, AuditRow, ConversationRow, PersonRow, WaitingQuestion},
    tx::Tx,
};
use crate::core::event::Question;

pub(super) const CONVERSATIONS: &str =
    "SELECT c.id, c.bot_id, c.chat_id, c.thread_id, c.user_id, c.created_at, p.name, s.session_id, s.last_used
     FROM conversations AS c LEFT JOIN people AS p ON p.user_id = c.user_id
     LEFT JOIN sessions AS s ON s.conversation = c.id AND s.current = 1 ORDER BY c.id";

pub(super) const PEOPLE: &str =
    "SELECT user_id, name, first_seen, last_seen FROM people ORDER BY user_id";

pub(super) const AUDIT: &str = "SELECT id, at, who, action, target, result FROM audit
     WHERE id < ifnull(?1, 9223372036854775807) ORDER BY id DESC LIMIT ?2";

impl Tx<'_> {
    /// All conversations, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn conversations_overview(&self) -> Result<Vec<ConversationRow>, StoreError> {
        self.all(CONVERSATIONS, [], |row| {
            let found = conversation(row)?;
            Ok(ConversationRow {
                id: found.id,
                key: found.key,
                created_at: found.created_at,
                name: row.get(6)?,
                session: row.get::<_, Option<UuidText>>(7)?.map(|uuid| uuid.0),
                last_used: row.get(8)?,
            })
        })
    }

    /// Everybody who was let in at least once, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        self.all(PEOPLE, [], |row| {
            Ok(PersonRow {
                id: row.get(0)?,
                name: row.get(1)?,
                first_seen: row.get(2)?,
                last_seen: row.get(3)?,
            })
        })
    }

    /// Questions of agents that wait for an answer, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn questions_waiting(&self) -> Result<Vec<WaitingQuestion>, StoreError> {
        self.all(
            "SELECT q.id, t.conversation, q.turn, q.run, q.question, q.asked_at
             FROM questions AS q INDEXED BY questions_open_by_request
             JOIN turns AS t ON t.id = q.turn WHERE q.answer IS NULL ORDER BY q.id",
            [],
            |row| {
                Ok(WaitingQuestion {
                    id: row.get(0)?,
                    conversation: row.get(1)?,
                    turn: row.get(2)?,
                    run: row.get(3)?,
                    tool: json::<Question>(row, 4)?.tool,
                    asked_at: row.get(5)?,
                })
            },
        )
    }

    /// The last `limit` acts of the audit before the row with the id `before`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn audit_page(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.all(AUDIT, (before, at_most(limit)), |row| {
            Ok(AuditRow {
                id: row.get(0)?,
                entry: AuditEntry {
                    at: row.get(1)?,
                    who: row.get(2)?,
                    action: row.get(3)?,
                    target: row.get(4)?,
                    result: row.get(5)?,
                },
            })
        })
    }
}
