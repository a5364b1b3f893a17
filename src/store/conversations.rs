//! Conversations, people and the moving of chats.

use rusqlite::{Row, params};

use super::{
    columns::Natural,
    error::StoreError,
    rows::{Conversation, OutboxId},
    tx::Tx,
};
use crate::core::{
    Millis,
    ids::{ConversationId, ConversationKey},
};

/// The columns of a conversation, which come first.
pub(super) fn conversation(row: &Row<'_>) -> rusqlite::Result<Conversation> {
    Ok(Conversation {
        id: row.get(0)?,
        key: ConversationKey {
            bot_id: row.get(1)?,
            chat_id: row.get(2)?,
            thread_id: row.get(3)?,
            user_id: row.get(4)?,
        },
        created_at: row.get(5)?,
    })
}

impl Tx<'_> {
    /// The conversation with this key; it is made where it is not there.
    ///
    /// # Errors
    /// The database's.
    pub fn conversation_open(
        &self,
        key: &ConversationKey,
        now: Millis,
    ) -> Result<Conversation, StoreError> {
        let found = self.first(
            "SELECT id, bot_id, chat_id, thread_id, user_id, created_at FROM conversations
             WHERE chat_id = ?1 AND thread_id = ?2 AND user_id = ?3 AND bot_id = ?4",
            [key.chat_id, key.thread_id, key.user_id, key.bot_id],
            conversation,
        )?;
        if let Some(found) = found {
            return Ok(found);
        }
        let id = self.insert(
            "INSERT INTO conversations (bot_id, chat_id, thread_id, user_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            [key.bot_id, key.chat_id, key.thread_id, key.user_id, now],
        )?;
        Ok(Conversation {
            id: ConversationId(id),
            key: *key,
            created_at: now,
        })
    }

    /// The conversation with this id.
    ///
    /// # Errors
    /// The database's.
    pub fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        self.first(
            "SELECT id, bot_id, chat_id, thread_id, user_id, created_at FROM conversations WHERE id = ?1",
            [id],
            conversation,
        )
    }

    /// Conversations with a turn that is not over or with a live run, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn conversations_with_work(&self) -> Result<Vec<Conversation>, StoreError> {
        self.all(
            "SELECT id, bot_id, chat_id, thread_id, user_id, created_at FROM conversations
             WHERE id IN (SELECT conversation FROM turns WHERE ended_at IS NULL
                          UNION SELECT conversation FROM runs WHERE ended_at IS NULL)
             ORDER BY id",
            [],
            conversation,
        )
    }

    /// How many conversations there are.
    ///
    /// # Errors
    /// The database's.
    pub fn conversation_count(&self) -> Result<u64, StoreError> {
        self.only("SELECT count(*) FROM conversations", [], |row| {
            Ok(row.get::<_, Natural>(0)?.0)
        })
    }

    /// Notes the person and the name that the chat shows now.
    ///
    /// # Errors
    /// The database's.
    pub fn person_seen(&self, user_id: i64, name: &str, now: Millis) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO people (user_id, name, first_seen, last_seen) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, last_seen = excluded.last_seen",
            params![user_id, name, now],
        )?;
        Ok(())
    }

    /// Name of a person, as last seen.
    ///
    /// # Errors
    /// The database's.
    pub fn person_name(&self, user_id: i64) -> Result<Option<String>, StoreError> {
        self.first(
            "SELECT name FROM people WHERE user_id = ?1",
            [user_id],
            |row| row.get(0),
        )
    }

    /// A group became a supergroup, with a new chat id.
    ///
    /// - Conversations get the new id. Where the new chat has a conversation with the same person and topic already,
    ///   the old one stays as it is, so that its turns run to their end.
    /// - Outbox rows that are still to be done, and all of turns that are not over, go to the new chat. Message ids
    ///   start anew there, so what is known of the old messages is forgotten: later content is a new message.
    /// - A rate limit is carried over; the longer one counts.
    ///
    /// # Errors
    /// The database's.
    pub fn chat_migrated(&self, old_chat: i64, new_chat: i64) -> Result<(), StoreError> {
        if old_chat == new_chat {
            return Ok(());
        }
        self.change(
            "UPDATE OR IGNORE conversations SET chat_id = ?2 WHERE chat_id = ?1",
            [old_chat, new_chat],
        )?;
        // Through the same code as every other change of a row, so that its rules hold.
        let moving: Vec<OutboxId> = self.all(
            "SELECT id FROM outbox WHERE chat_id = ?1 AND (done_at IS NULL
                 OR EXISTS (SELECT 1 FROM turns WHERE turns.id = outbox.turn AND turns.ended_at IS NULL))",
            [old_chat],
            |row| row.get(0),
        )?;
        for id in moving {
            self.out_change(id, None, |stored| {
                stored.row.target.chat_id = new_chat;
                stored.row.message_id = None;
                stored.row.sent_revision = 0;
            })?;
        }
        self.change(
            "INSERT INTO rate_limits (scope, until, set_at)
             SELECT 'chat:' || ?2, until, set_at FROM rate_limits WHERE scope = 'chat:' || ?1
             ON CONFLICT (scope) DO UPDATE SET until = max(until, excluded.until)",
            [old_chat, new_chat],
        )?;
        self.change(
            "DELETE FROM rate_limits WHERE scope = 'chat:' || ?1",
            [old_chat],
        )?;
        self.touch_outbox();
        Ok(())
    }
}
