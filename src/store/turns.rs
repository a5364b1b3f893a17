//! Turns and the parts of their prompts.

use std::collections::HashMap;

use rusqlite::{Row, params};
use uuid::Uuid;

use super::{
    columns::{Natural, UuidText, Word as _, at_most},
    error::StoreError,
    rows::{NewTurn, TurnEnd, TurnPart, TurnRow, TurnState},
    tx::{Tx, one},
};
use crate::core::{
    Millis,
    happened::Happened,
    ids::{ConversationId, RunId, TurnId},
    mark::Mark,
    tally::Count,
};

/// Without its parts.
fn turn(row: &Row<'_>) -> rusqlite::Result<TurnRow> {
    Ok(TurnRow {
        id: row.get(0)?,
        conversation: row.get(1)?,
        uuid: row.get::<_, Option<UuidText>>(2)?.map(|uuid| uuid.0),
        state: row.get(3)?,
        parts: Vec::new(),
        run: row.get(4)?,
        machine: row.get(5)?,
        created_at: row.get(6)?,
        submitted_at: row.get(7)?,
        ended_at: row.get(8)?,
        cost_usd: row.get(9)?,
        duration_ms: row.get::<_, Option<Natural>>(10)?.map(|ms| ms.0),
        attempts: row.get(11)?,
        place: row.get(12)?,
    })
}

/// From the columns inbox, message_id, text, received_at and mark.
pub(super) fn part(row: &Row<'_>) -> rusqlite::Result<TurnPart> {
    part_from(row, 0)
}

/// The same from these columns, the first of which has this number.
fn part_from(row: &Row<'_>, first: usize) -> rusqlite::Result<TurnPart> {
    Ok(TurnPart {
        inbox: row.get(first)?,
        message_id: row.get(first + 1)?,
        text: row.get(first + 2)?,
        received_at: row.get(first + 3)?,
        mark: row.get::<_, Option<Mark>>(first + 4)?.unwrap_or_default(),
    })
}

/// A turn that is over stays as it is: what comes late is an error, so that it takes its other effects back with it.
pub(super) fn not_over(changed: usize, id: TurnId) -> Result<(), StoreError> {
    one(changed, || {
        format!("turn {id} is not there or is over already")
    })
}

impl Tx<'_> {
    /// Makes a turn. Its run, where it has one, must be there ([`Tx::run_add`] comes first).
    ///
    /// # Errors
    /// A uuid that another turn has; the database's.
    pub fn turn_add(&self, new: &NewTurn, now: Millis) -> Result<TurnId, StoreError> {
        let id = TurnId(self.insert(
            "INSERT INTO turns (conversation, uuid, state, run, created_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                new.conversation,
                new.uuid.map(UuidText),
                new.state,
                new.run,
                now,
                new.state.over().then_some(now)
            ],
        )?);
        for part in &new.parts {
            self.part_insert(id, part)?;
        }
        // What an agent says by itself has a turn without a prompt.
        if new.state != TurnState::Submitted {
            self.counts(Count::Prompt);
        }
        if new.state.over() {
            self.counts(Count::Turn(new.state.word(), None));
        }
        Ok(id)
    }

    /// Adds a part to the end of a prompt that was not given to the agent yet.
    ///
    /// # Errors
    /// No such turn, or its prompt is with the agent already (the part would be lost); the database's.
    pub fn turn_part_add(&self, turn: TurnId, part: &TurnPart) -> Result<(), StoreError> {
        let open = self.first(
            "SELECT 1 FROM turns WHERE id = ?1 AND state IN ('collecting', 'held', 'queued')",
            [turn],
            |_| Ok(()),
        )?;
        if open.is_none() {
            return Err(StoreError::Other(format!(
                "turn {turn} takes no more parts"
            )));
        }
        self.part_insert(turn, part)
    }

    fn part_insert(&self, turn: TurnId, part: &TurnPart) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO turn_parts (turn, position, inbox, message_id, text, received_at, mark)
             VALUES (?1, (SELECT ifnull(max(position), 0) + 1 FROM turn_parts WHERE turn = ?1), ?2, ?3, ?4, ?5, ?6)",
            params![
                turn,
                part.inbox,
                part.message_id,
                part.text,
                part.received_at,
                (!part.mark.is_empty()).then_some(&part.mark)
            ],
        )?;
        Ok(())
    }

    /// The turn with this id, with its parts.
    ///
    /// # Errors
    /// The database's.
    pub fn turn(&self, id: TurnId) -> Result<Option<TurnRow>, StoreError> {
        let found = self.first(
            "SELECT id, conversation, uuid, state, run, machine, created_at, submitted_at, ended_at, cost_usd,
                    duration_ms, attempts, place FROM turns WHERE id = ?1",
            [id],
            turn,
        )?;
        found.map(|turn| self.with_parts(turn)).transpose()
    }

    /// Turns of the conversation that are not over, in the order in which they are to run.
    ///
    /// # Errors
    /// The database's.
    pub fn turns_open(&self, conversation: ConversationId) -> Result<Vec<TurnRow>, StoreError> {
        let open = self.all(
            "SELECT id, conversation, uuid, state, run, machine, created_at, submitted_at, ended_at, cost_usd,
                    duration_ms, attempts, place FROM turns WHERE conversation = ?1 AND ended_at IS NULL ORDER BY place, id",
            [conversation],
            turn,
        )?;
        // All parts at once: one question for each turn is what makes a long queue slow.
        let parts = self.all(
            "SELECT p.turn, p.inbox, p.message_id, p.text, p.received_at, p.mark
             FROM turns AS t JOIN turn_parts AS p ON p.turn = t.id
             WHERE t.conversation = ?1 AND t.ended_at IS NULL ORDER BY p.turn, p.position",
            [conversation],
            |row| Ok((row.get::<_, TurnId>(0)?, part_from(row, 1)?)),
        )?;
        let mut of: HashMap<TurnId, Vec<TurnPart>> = HashMap::new();
        for (turn, part) in parts {
            of.entry(turn).or_default().push(part);
        }
        let with_parts = open.into_iter().map(|mut turn| {
            turn.parts = of.remove(&turn.id).unwrap_or_default();
            turn
        });
        Ok(with_parts.collect())
    }

    /// Those of [`Tx::turns_open`] with which it goes on: all that are collected or with an agent, and the first so many that
    /// are queued. However many wait, it costs the same.
    ///
    /// # Errors
    /// The database's.
    pub fn turns_ahead(
        &self,
        conversation: ConversationId,
        queued: usize,
    ) -> Result<Vec<TurnRow>, StoreError> {
        let ahead = self.all(
            "SELECT id, conversation, uuid, state, run, machine, created_at, submitted_at, ended_at, cost_usd,
                    duration_ms, attempts, place FROM turns WHERE id IN (
                 SELECT id FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND state IN ('collecting', 'submitted')
                 UNION ALL
                 SELECT * FROM (SELECT id FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND state = 'queued'
                                ORDER BY place, id LIMIT ?2))
             ORDER BY place, id",
            params![conversation, at_most(queued)],
            turn,
        )?;
        ahead
            .into_iter()
            .map(|turn| self.with_parts(turn))
            .collect()
    }

    /// How many turns of the conversation are in this state, which is that of open ones, and the first so many of them, in
    /// the order in which they are to run. However many there are, only those are read.
    ///
    /// # Errors
    /// The database's.
    pub fn turns_of_state(
        &self,
        conversation: ConversationId,
        state: TurnState,
        most: usize,
    ) -> Result<(usize, Vec<TurnRow>), StoreError> {
        let count = self.only(
            "SELECT count(*) FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND state = ?2",
            params![conversation, state],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )?;
        let first = self.all(
            "SELECT id, conversation, uuid, state, run, machine, created_at, submitted_at, ended_at, cost_usd,
                    duration_ms, attempts, place FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND state = ?2
             ORDER BY place, id LIMIT ?3",
            params![conversation, state, at_most(most)],
            turn,
        )?;
        let first = first.into_iter().map(|turn| self.with_parts(turn));
        Ok((
            usize::try_from(count).unwrap_or(usize::MAX),
            first.collect::<Result<_, _>>()?,
        ))
    }

    fn with_parts(&self, mut turn: TurnRow) -> Result<TurnRow, StoreError> {
        turn.parts = self.all(
            "SELECT inbox, message_id, text, received_at, mark FROM turn_parts WHERE turn = ?1 ORDER BY position",
            [turn.id],
            part,
        )?;
        Ok(turn)
    }

    /// Sets the state; one that is [`TurnState::over`] ends the turn.
    ///
    /// # Errors
    /// No such turn, or it is over already; the database's.
    pub fn turn_state(&self, id: TurnId, state: TurnState, now: Millis) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE turns SET state = ?2, ended_at = ?3 WHERE id = ?1 AND ended_at IS NULL",
            params![id, state, state.over().then_some(now)],
        )?;
        not_over(changed, id)?;
        if state.over() {
            self.counts(Count::Turn(state.word(), None));
        }
        Ok(())
    }

    /// The prompt is with the run, under this uuid. The run must be there ([`Tx::run_add`] comes first).
    ///
    /// # Errors
    /// No such turn or run, or the turn is over already; a uuid that another turn has; the database's.
    pub fn turn_submitted(
        &self,
        id: TurnId,
        run: &RunId,
        uuid: Uuid,
        machine: &str,
        now: Millis,
    ) -> Result<(), StoreError> {
        let created: Option<Millis> = self.first(
            "UPDATE turns SET state = 'submitted', run = ?2, uuid = ?3, machine = ?4, submitted_at = ?5
             WHERE id = ?1 AND ended_at IS NULL RETURNING created_at",
            params![id, run, UuidText(uuid), machine, now],
            |row| row.get(0),
        )?;
        not_over(usize::from(created.is_some()), id)?;
        if let Some(created) = created {
            self.counts(Count::Given(now.saturating_sub(created)));
        }
        Ok(())
    }

    /// Stores the state machine (JSON). Belongs in the transaction of [`Tx::run_offset`].
    ///
    /// # Errors
    /// No such turn; the database's.
    pub fn turn_machine(&self, id: TurnId, machine: &str) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE turns SET machine = ?2 WHERE id = ?1",
            params![id, machine],
        )?;
        one(changed, || format!("there is no turn {id}"))
    }

    /// Ends a turn. A machine that is not given stays as it was.
    ///
    /// # Errors
    /// No such turn, it is over already, or the given state is not over; the database's.
    pub fn turn_ended(&self, id: TurnId, end: &TurnEnd, now: Millis) -> Result<(), StoreError> {
        if !end.state.over() {
            return Err(StoreError::Other(format!(
                "turn {id}: {:?} is not the end of a turn",
                end.state
            )));
        }
        let ended: Option<(ConversationId, Option<Millis>)> = self.first(
            "UPDATE turns SET state = ?2, machine = ifnull(?3, machine), cost_usd = ?4, duration_ms = ?5, ended_at = ?6
             WHERE id = ?1 AND ended_at IS NULL RETURNING conversation, submitted_at",
            params![id, end.state, end.machine, end.cost_usd, end.duration_ms.map(Natural), now],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        not_over(usize::from(ended.is_some()), id)?;
        let Some((conversation, given)) = ended else {
            return Ok(());
        };
        let took = given.map(|given| now.saturating_sub(given));
        self.counts(Count::Turn(end.state.word(), took));
        if end.state == TurnState::Failed {
            self.happens(Happened::TurnFailed {
                turn: id,
                conversation,
            });
        }
        Ok(())
    }

    /// The turn is to be run from its beginning, under a fresh uuid: queued, without run and machine, and before those that
    /// wait in its conversation.
    ///
    /// # Errors
    /// No such turn, or it is over already; a uuid that another turn has; the database's.
    pub fn turn_requeued(&self, id: TurnId, fresh: Uuid) -> Result<(), StoreError> {
        self.turn_back(id, fresh, TurnState::Queued)?;
        self.turn_first(id)
    }

    /// The agent that was given the turn never looked at it: it is queued or held again, under a fresh uuid, without run and
    /// machine, at the place that it had.
    ///
    /// # Errors
    /// No such turn, it is over already, or the state is neither; a uuid that another turn has; the database's.
    pub fn turn_back(&self, id: TurnId, fresh: Uuid, state: TurnState) -> Result<(), StoreError> {
        if !matches!(state, TurnState::Queued | TurnState::Held) {
            return Err(StoreError::Other(format!(
                "turn {id}: {state:?} waits for nothing"
            )));
        }
        let changed = self.change(
            "UPDATE turns SET state = ?3, uuid = ?2, run = NULL, machine = NULL, submitted_at = NULL
             WHERE id = ?1 AND ended_at IS NULL",
            params![id, UuidText(fresh), state],
        )?;
        not_over(changed, id)
    }

    /// Counts that the process which had the turn was lost.
    ///
    /// # Errors
    /// No such turn, or it is over already; the database's.
    pub fn turn_attempted(&self, id: TurnId) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE turns SET attempts = attempts + 1 WHERE id = ?1 AND ended_at IS NULL",
            [id],
        )?;
        not_over(changed, id)
    }

    /// The turn of the conversation that was over last.
    ///
    /// # Errors
    /// The database's.
    pub fn turn_last_over(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<TurnRow>, StoreError> {
        let found = self.first(
            "SELECT id, conversation, uuid, state, run, machine, created_at, submitted_at, ended_at, cost_usd,
                    duration_ms, attempts, place FROM turns WHERE conversation = ?1 AND ended_at IS NOT NULL
             ORDER BY ended_at DESC, id DESC LIMIT 1",
            [conversation],
            turn,
        )?;
        found.map(|turn| self.with_parts(turn)).transpose()
    }

    /// The turn of the conversation that was given to an agent last.
    ///
    /// # Errors
    /// The database's.
    pub fn turn_last_given(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<TurnId>, StoreError> {
        let open = self.first(
            "SELECT id FROM turns WHERE conversation = ?1 AND ended_at IS NULL AND submitted_at IS NOT NULL
             ORDER BY id DESC LIMIT 1",
            [conversation],
            |row| row.get(0),
        )?;
        if open.is_some() {
            return Ok(open);
        }
        self.first(
            "SELECT id FROM turns WHERE conversation = ?1 AND ended_at IS NOT NULL AND submitted_at IS NOT NULL
             ORDER BY ended_at DESC, id DESC LIMIT 1",
            [conversation],
            |row| row.get(0),
        )
    }
}
