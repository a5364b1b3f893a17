//! The line of turns: what waits, in which order, and what is with an agent.

use rusqlite::params;

use super::{
    columns::Natural,
    error::StoreError,
    rows::{InLine, TurnState},
    turns::not_over,
    tx::Tx,
};
use crate::core::{
    Millis,
    ids::{ConversationKey, TurnId},
    queue::{self, Seat},
};

impl Tx<'_> {
    /// The turn comes before all others that wait in its conversation; where it does already, nothing changes.
    ///
    /// # Errors
    /// No such turn, or it is over; the database's.
    pub fn turn_first(&self, id: TurnId) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE turns SET place = min(place, ifnull(
                 (SELECT min(o.place) - 1 FROM turns AS o WHERE o.conversation = turns.conversation
                  AND o.ended_at IS NULL AND o.state IN ('collecting', 'queued') AND o.id <> turns.id
                  AND (o.place, o.id) < (turns.place, turns.id)), place))
             WHERE id = ?1 AND ended_at IS NULL",
            params![id],
        )?;
        not_over(changed, id)
    }

    /// The turn comes right behind that other one, which waits in the same conversation, and before all that wait behind that.
    ///
    /// # Errors
    /// No such turn, or it is over; the other does not wait in the same conversation; the database's.
    pub fn turn_behind(&self, id: TurnId, other: TurnId) -> Result<(), StoreError> {
        let before: Option<i64> = self.first(
            "SELECT o.place FROM turns AS t JOIN turns AS o ON o.conversation = t.conversation
             WHERE t.id = ?1 AND t.ended_at IS NULL AND o.id = ?2 AND o.id <> t.id
             AND o.ended_at IS NULL AND o.state IN ('collecting', 'queued')",
            params![id, other],
            |row| row.get(0),
        )?;
        let Some(place) = before else {
            return Err(StoreError::Other(format!(
                "turn {id} cannot wait behind turn {other}"
            )));
        };
        // Two places are made between the other, with those before it, and those behind: one for this turn.
        self.change(
            "UPDATE turns SET place = place - 2 WHERE conversation = (SELECT conversation FROM turns WHERE id = ?1)
             AND ended_at IS NULL AND state IN ('collecting', 'queued') AND id <> ?1 AND (place, id) <= (?3, ?2)",
            params![id, other, place],
        )?;
        let changed = self.change(
            "UPDATE turns SET place = ?2 WHERE id = ?1 AND ended_at IS NULL",
            params![id, place.saturating_sub(1)],
        )?;
        not_over(changed, id)
    }

    /// Turns that wait for an agent, with when they were made. One that comes after a turn in which the agent asks something
    /// waits for a person, and is not among them.
    ///
    /// # Errors
    /// The database's.
    pub fn turns_queued(&self) -> Result<Vec<(TurnId, Millis)>, StoreError> {
        self.all(
            "SELECT id, created_at FROM turns WHERE ended_at IS NULL AND state = 'queued'
             AND NOT EXISTS (SELECT 1 FROM turns AS o JOIN questions AS q ON q.turn = o.id AND q.answer IS NULL
                 WHERE o.conversation = turns.conversation AND o.ended_at IS NULL)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    /// How many turns wait for the agent: collecting or queued. (Held and asked ones wait for a person.)
    ///
    /// # Errors
    /// The database's.
    pub fn turns_waiting(&self) -> Result<u64, StoreError> {
        self.only(
            "SELECT count(*) FROM turns WHERE ended_at IS NULL AND state IN ('collecting', 'queued')",
            [],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )
    }

    /// How many turns wait for the agent, up to this one, which waits as well: its number in [`Tx::turns_in_line`] without
    /// those that are with an agent.
    ///
    /// # Errors
    /// The database's.
    pub fn turns_waiting_up_to(&self, turn: TurnId) -> Result<u64, StoreError> {
        self.only(
            // Those in front of its seat, which is as far from the first seat of its conversation as the turn is from the
            // first of its turns.
            "WITH own AS (SELECT o.id, o.place FROM turns AS t JOIN turns AS o
                 ON o.conversation = t.conversation AND o.ended_at IS NULL AND o.state IN ('collecting', 'queued')
                 WHERE t.id = ?1)
             SELECT count(*) FROM turns WHERE ended_at IS NULL AND state IN ('collecting', 'queued') AND id <= (
                 SELECT id FROM own ORDER BY id LIMIT 1 OFFSET
                     (SELECT count(*) FROM own WHERE (place, id) < (SELECT place, id FROM own WHERE id = ?1)))",
            [turn],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )
    }

    /// Turns that wait for the agent or are with it, in the order in which they come.
    ///
    /// # Errors
    /// The database's.
    pub fn turns_in_line(&self) -> Result<Vec<InLine>, StoreError> {
        let all = self.all(
            "SELECT t.id, t.state, t.attempts, t.place, c.id, c.bot_id, c.chat_id, c.thread_id, c.user_id FROM turns AS t
             JOIN conversations AS c ON c.id = t.conversation
             WHERE t.ended_at IS NULL AND t.state IN ('collecting', 'queued', 'submitted')",
            [],
            |row| {
                Ok(InLine {
                    turn: row.get(0)?,
                    state: row.get(1)?,
                    attempts: row.get(2)?,
                    place: row.get(3)?,
                    conversation: row.get(4)?,
                    key: ConversationKey {
                        bot_id: row.get(5)?,
                        chat_id: row.get(6)?,
                        thread_id: row.get(7)?,
                        user_id: row.get(8)?,
                    },
                })
            },
        )?;
        Ok(queue::line(all, |turn| Seat {
            conversation: turn.conversation,
            turn: turn.turn,
            place: turn.place,
            given: turn.state == TurnState::Submitted,
        }))
    }

    /// Conversations that wait for an answer: with a turn that is collecting, queued or with an agent; the one whose
    /// turn is oldest first. (Held and asked turns wait for a person.)
    ///
    /// # Errors
    /// The database's.
    pub fn turns_in_flight(&self) -> Result<Vec<ConversationKey>, StoreError> {
        self.all(
            "SELECT c.bot_id, c.chat_id, c.thread_id, c.user_id FROM turns AS t
             JOIN conversations AS c ON c.id = t.conversation
             WHERE t.ended_at IS NULL AND t.state IN ('collecting', 'queued', 'submitted') ORDER BY t.id",
            [],
            |row| {
                Ok(ConversationKey {
                    bot_id: row.get(0)?,
                    chat_id: row.get(1)?,
                    thread_id: row.get(2)?,
                    user_id: row.get(3)?,
                })
            },
        )
    }

    /// How many agents have a turn. (One agent may have been given another prompt into the one that it works on.)
    ///
    /// # Errors
    /// The database's.
    pub fn turns_running(&self) -> Result<u64, StoreError> {
        self.only(
            "SELECT count(DISTINCT run) FROM turns WHERE ended_at IS NULL AND state = 'submitted'",
            [],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )
    }
}
