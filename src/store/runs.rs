//! Runs: the record of agent processes. Rows are never deleted.

use rusqlite::{Row, params};

use super::{
    columns::{Natural, UuidText},
    error::StoreError,
    rows::{RunRow, RunStatus},
    tx::{Tx, one},
};
use crate::core::{
    Millis,
    happened::Happened,
    ids::RunId,
    tally::{Count, run_end},
};

fn run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get(0)?,
        conversation: row.get(1)?,
        session_id: row.get::<_, UuidText>(2)?.0,
        who: row.get(3)?,
        command: row.get(4)?,
        status: row.get(5)?,
        offset: row.get::<_, Natural>(6)?.0,
        started_at: row.get(7)?,
        ended_at: row.get(8)?,
        exit: row.get(9)?,
    })
}

/// The kind of an end, from its record.
fn how(exit: &str) -> Option<&'static str> {
    #[derive(serde::Deserialize)]
    struct Exit<'a> {
        #[serde(borrow)]
        how: std::borrow::Cow<'a, str>,
    }
    let exit: Option<Exit<'_>> = serde_json::from_str(exit).ok()?;
    exit.map(|exit| run_end(&exit.how))
}

impl RunStatus {
    /// Whether the process is gone.
    #[must_use]
    pub fn over(self) -> bool {
        !matches!(self, Self::Starting | Self::Running)
    }
}

impl Tx<'_> {
    /// Makes a run.
    ///
    /// # Errors
    /// [`StoreError::LiveRun`] when the session has a run that is starting or running; the database's.
    pub fn run_add(&self, new: &RunRow) -> Result<(), StoreError> {
        if !new.status.over() {
            let live = self.first(
                "SELECT 1 FROM runs WHERE session_id = ?1 AND ended_at IS NULL",
                [UuidText(new.session_id)],
                |_| Ok(()),
            )?;
            if live.is_some() {
                return Err(StoreError::LiveRun {
                    session: new.session_id,
                });
            }
        }
        self.change(
            "INSERT INTO runs (id, conversation, session_id, who, command, status, output_offset, started_at, ended_at, exit)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                new.id,
                new.conversation,
                UuidText(new.session_id),
                new.who,
                new.command,
                new.status,
                Natural(new.offset),
                new.started_at,
                new.ended_at,
                new.exit
            ],
        )?;
        if !new.status.over() {
            self.counts(Count::RunStarted);
            self.happens(Happened::RunStarted {
                run: new.id.clone(),
                conversation: new.conversation,
                person: new.who,
                started_at: new.started_at,
            });
        }
        Ok(())
    }

    /// The run with this id.
    ///
    /// # Errors
    /// The database's.
    pub fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        self.first(
            "SELECT id, conversation, session_id, who, command, status, output_offset, started_at, ended_at, exit
             FROM runs WHERE id = ?1",
            [id],
            run,
        )
    }

    /// Runs that are starting or running, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn runs_live(&self) -> Result<Vec<RunRow>, StoreError> {
        self.all(
            "SELECT id, conversation, session_id, who, command, status, output_offset, started_at, ended_at, exit
             FROM runs WHERE ended_at IS NULL ORDER BY started_at, id",
            [],
            run,
        )
    }

    /// The output of the run was taken up to here (bytes). Belongs in the transaction of what was taken.
    ///
    /// # Errors
    /// No such run, or its offset is beyond that already (lines would be taken twice); the database's.
    pub fn run_offset(&self, id: &RunId, offset: u64) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE runs SET output_offset = ?2 WHERE id = ?1 AND output_offset <= ?2",
            params![id, Natural(offset)],
        )?;
        one(changed, || {
            format!("run {id} is not there, or its output was taken beyond {offset} already")
        })
    }

    /// The supervisor was seen. A run that is over stays over.
    ///
    /// # Errors
    /// The database's.
    pub fn run_running(&self, id: &RunId) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE runs SET status = 'running' WHERE id = ?1 AND status = 'starting'",
            [id],
        )?;
        if changed > 0 {
            self.happens(Happened::RunRunning { run: id.clone() });
        }
        Ok(())
    }

    /// How many runs are starting or running.
    ///
    /// # Errors
    /// The database's.
    pub fn runs_live_count(&self) -> Result<u64, StoreError> {
        self.only(
            "SELECT count(*) FROM runs WHERE ended_at IS NULL",
            [],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )
    }

    /// How many runs have ended since `since` for want of memory. Of no use for times before those of which directories are
    /// kept.
    ///
    /// # Errors
    /// The database's.
    pub fn runs_out_of_memory(&self, since: Millis) -> Result<u64, StoreError> {
        self.only(
            "SELECT count(*) FROM runs WHERE ended_at IS NOT NULL AND cleared = 0 AND ended_at >= ?1
             AND CASE WHEN json_valid(exit) THEN json_extract(exit, '$.how') END = 'out_of_memory'",
            [since],
            |row| Ok(row.get::<_, Natural>(0)?.0),
        )
    }

    /// Ends a run; `exit` is JSON of `Exit`. Of a run that is over already the first record stays.
    ///
    /// # Errors
    /// The given status is not over; no such run; the database's.
    pub fn run_ended(
        &self,
        id: &RunId,
        status: RunStatus,
        exit: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        if !status.over() {
            return Err(StoreError::Other(format!(
                "run {id}: {status:?} is not the end of a run"
            )));
        }
        let conversation = self.first(
            "UPDATE runs SET status = ?2, exit = ?3, ended_at = ?4 WHERE id = ?1 AND ended_at IS NULL
             RETURNING conversation",
            params![id, status, exit, now],
            |row| row.get(0),
        )?;
        match conversation {
            Some(conversation) => {
                self.counts(Count::RunEnded(exit.and_then(how)));
                self.happens(Happened::RunEnded {
                    run: id.clone(),
                    conversation,
                    result: status.as_str(),
                });
            }
            None if self.run(id)?.is_none() => {
                return Err(StoreError::Other(format!("there is no run {id}")));
            }
            None => {}
        }
        Ok(())
    }

    /// Runs that were over before `before`, that no open turn refers to and whose directory was not yet reported
    /// as removed ([`Tx::run_cleared`]): their directories may go. Oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn runs_over_before(&self, before: Millis) -> Result<Vec<RunId>, StoreError> {
        self.all(
            "SELECT id FROM runs WHERE ended_at IS NOT NULL AND cleared = 0 AND ended_at < ?1
             AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.run = runs.id AND turns.ended_at IS NULL)
             ORDER BY ended_at",
            [before],
            |row| row.get(0),
        )
    }

    /// The directory of the run is gone: [`Tx::runs_over_before`] does not name it again. The row stays as the record.
    ///
    /// # Errors
    /// The database's.
    pub fn run_cleared(&self, id: &RunId) -> Result<(), StoreError> {
        self.change(
            "UPDATE runs SET cleared = 1 WHERE id = ?1 AND ended_at IS NOT NULL",
            [id],
        )?;
        Ok(())
    }
}
