//! Questions of the agent that wait, or waited, for a person.

use rusqlite::{Row, params};

use super::{
    columns::json,
    error::StoreError,
    rows::{QuestionRow, Target},
    tx::Tx,
};
use crate::core::{
    Millis,
    event::Question,
    happened::Happened,
    ids::{RunId, TurnId},
};

fn question(row: &Row<'_>) -> rusqlite::Result<QuestionRow> {
    Ok(QuestionRow {
        id: row.get(0)?,
        turn: row.get(1)?,
        run: row.get(2)?,
        question: json(row, 3)?,
        asked_at: row.get(4)?,
        answer: row.get(5)?,
        progress: row.get(6)?,
    })
}

/// Columns of [`question`], in order.
macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT q.id, q.turn, q.run, q.question, q.asked_at, q.answer, q.progress FROM questions AS q ",
            $rest
        )
    };
}

pub(super) const UNDER_WAY: &str = columns!(
    "INDEXED BY questions_open_by_request
     JOIN turns AS t ON t.id = q.turn JOIN conversations AS c ON c.id = t.conversation
     WHERE q.answer IS NULL AND q.progress IS NOT NULL AND c.bot_id = ?1 AND c.chat_id = ?2 AND c.thread_id = ?3
     ORDER BY q.id"
);

impl Tx<'_> {
    /// Notes a question; returns its id, which stands in the buttons. One that is open already under the same
    /// request id keeps its row.
    ///
    /// # Errors
    /// No such turn or run; the database's.
    pub fn question_add(
        &self,
        turn: TurnId,
        run: &RunId,
        question: &Question,
        now: Millis,
    ) -> Result<i64, StoreError> {
        let open = self.first(
            "SELECT id FROM questions WHERE run = ?1 AND request_id = ?2 AND answer IS NULL",
            params![run, question.request_id],
            |row| row.get(0),
        )?;
        if let Some(id) = open {
            return Ok(id);
        }
        let text = serde_json::to_string(question)
            .map_err(|error| StoreError::Other(format!("question: {error}")))?;
        let id = self.insert(
            "INSERT INTO questions (turn, run, request_id, question, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![turn, run, question.request_id, text, now],
        )?;
        self.happens(Happened::QuestionAsked { question: id, turn });
        Ok(id)
    }

    /// Notes a question that is answered already, without news of it for anybody; returns its id.
    ///
    /// # Errors
    /// No such turn or run; the database's.
    pub fn question_decided(
        &self,
        turn: TurnId,
        run: &RunId,
        question: &Question,
        answer_json: &str,
        now: Millis,
    ) -> Result<i64, StoreError> {
        let text = serde_json::to_string(question)
            .map_err(|error| StoreError::Other(format!("question: {error}")))?;
        self.insert(
            "INSERT INTO questions (turn, run, request_id, question, asked_at, answer, answered_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5)",
            params![turn, run, question.request_id, text, now, answer_json],
        )
    }

    /// The question with this id.
    ///
    /// # Errors
    /// The database's.
    pub fn question(&self, id: i64) -> Result<Option<QuestionRow>, StoreError> {
        self.first(columns!("WHERE q.id = ?1"), [id], question)
    }

    /// Questions of the turn without an answer, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn questions_open(&self, turn: TurnId) -> Result<Vec<QuestionRow>, StoreError> {
        self.all(
            columns!("WHERE q.turn = ?1 AND q.answer IS NULL ORDER BY q.id"),
            [turn],
            question,
        )
    }

    /// All questions of the turn, answered or not, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn questions_of(&self, turn: TurnId) -> Result<Vec<QuestionRow>, StoreError> {
        self.all(
            columns!("WHERE q.turn = ?1 ORDER BY q.id"),
            [turn],
            question,
        )
    }

    /// Whether a question of the turn was denied by this rule of the configuration. Looked for from the newest on, so that an
    /// agent that runs into the same rule again and again costs no more each time.
    ///
    /// # Errors
    /// The database's.
    pub fn question_denied_by(&self, turn: TurnId, rule: &str) -> Result<bool, StoreError> {
        let found = self.first(
            "SELECT 1 FROM questions WHERE turn = ?1
             AND CASE WHEN json_valid(answer) THEN answer ->> '$.deny.rule' END = ?2 ORDER BY id DESC LIMIT 1",
            params![turn, rule],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// The rules by which questions of the turn were denied, each once, in the order in which they first were.
    ///
    /// # Errors
    /// The database's.
    pub fn questions_denied_by(&self, turn: TurnId) -> Result<Vec<String>, StoreError> {
        self.all(
            "SELECT CASE WHEN json_valid(answer) THEN answer ->> '$.deny.rule' END AS rule FROM questions
             WHERE turn = ?1 AND rule IS NOT NULL GROUP BY rule ORDER BY min(id)",
            [turn],
            |row| row.get(0),
        )
    }

    /// The newest question of the run with this request id.
    ///
    /// # Errors
    /// The database's.
    pub fn question_by_request(
        &self,
        run: &RunId,
        request_id: &str,
    ) -> Result<Option<QuestionRow>, StoreError> {
        self.first(
            columns!("WHERE q.run = ?1 AND q.request_id = ?2 ORDER BY q.id DESC LIMIT 1"),
            params![run, request_id],
            question,
        )
    }

    /// Open questions of a bot in a chat and topic that somebody has begun to answer, by id.
    ///
    /// # Errors
    /// The database's.
    pub fn questions_under_way(
        &self,
        bot_id: i64,
        target: Target,
    ) -> Result<Vec<QuestionRow>, StoreError> {
        self.all(
            UNDER_WAY,
            (bot_id, target.chat_id, target.thread_id),
            question,
        )
    }

    /// Stores what was answered so far; `false` if the question is answered already, or there is none.
    ///
    /// # Errors
    /// The database's.
    pub fn question_progress(&self, id: i64, progress_json: &str) -> Result<bool, StoreError> {
        let changed = self.change(
            "UPDATE questions SET progress = ?2 WHERE id = ?1 AND answer IS NULL",
            params![id, progress_json],
        )?;
        Ok(changed == 1)
    }

    /// Stores the answer; `false` if there was one already, or no such question.
    ///
    /// # Errors
    /// The database's.
    pub fn question_answered(
        &self,
        id: i64,
        answer_json: &str,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let changed = self.change(
            "UPDATE questions SET answer = ?2, answered_at = ?3 WHERE id = ?1 AND answer IS NULL",
            params![id, answer_json, now],
        )?;
        Ok(changed == 1)
    }
}
