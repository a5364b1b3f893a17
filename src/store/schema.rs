//! Schema steps over `PRAGMA user_version`, each with its way back.
//!
//! A step that was released is never changed; a new one goes to the end, with a fixture database under
//! `tests/fixtures/db/` (how to make it stands in `tests/migrations.rs` of this room).

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    error::{OpenError, no_room},
    files,
    open::{self, Failure, Opened},
};
use crate::core::messages;

/// `PRAGMA application_id` of telexd's databases: "telx". The first step sets it.
pub(super) const APPLICATION_ID: i64 = 0x7465_6c78;

struct Step {
    up: &'static str,
    down: &'static str,
}

/// Step N (from 1) leads from schema N - 1 to schema N.
const STEPS: [Step; 6] = [
    Step {
        up: include_str!("schema/0001.up.sql"),
        down: include_str!("schema/0001.down.sql"),
    },
    Step {
        up: include_str!("schema/0002.up.sql"),
        down: include_str!("schema/0002.down.sql"),
    },
    Step {
        up: include_str!("schema/0003.up.sql"),
        down: include_str!("schema/0003.down.sql"),
    },
    Step {
        up: include_str!("schema/0004.up.sql"),
        down: include_str!("schema/0004.down.sql"),
    },
    Step {
        up: include_str!("schema/0005.up.sql"),
        down: include_str!("schema/0005.down.sql"),
    },
    Step {
        up: include_str!("schema/0006.up.sql"),
        down: include_str!("schema/0006.down.sql"),
    },
];

/// Newest schema that this program knows.
// The number of steps is a constant of one digit.
#[allow(clippy::cast_possible_truncation)]
pub const NEWEST: u32 = STEPS.len() as u32;

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrateReport {
    /// The database.
    pub path: PathBuf,
    /// Schema before.
    pub from: u32,
    /// Schema now.
    pub to: u32,
    /// Copy of the database as it was before; `None` where nothing was to be done.
    pub backup: Option<PathBuf>,
}

impl fmt::Display for MigrateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        if self.from == self.to {
            return write!(f, "{path} has schema {} already: nothing done", self.to);
        }
        write!(
            f,
            "{path} was migrated from schema {} to {}",
            self.from, self.to
        )?;
        if let Some(backup) = &self.backup {
            write!(f, "; as it was before it is kept as {}", backup.display())?;
        }
        Ok(())
    }
}

/// Brings the database of a state directory to a schema, up or down, after a backup. For `telexd migrate --to N`.
///
/// All steps are one transaction: killed at any point, the database has the old schema or the new one. A way down
/// drops what the older schema has no place for; it stays in the backup. Blocking.
///
/// # Errors
/// Another telexd holds the lock; no database; no such schema; and all of [`Store::open`](super::Store::open).
pub fn migrate_to(directory: &Path, version: u32) -> Result<MigrateReport, OpenError> {
    if !(1..=NEWEST).contains(&version) {
        return Err(OpenError::NoSuchSchema {
            wanted: version,
            newest: NEWEST,
        });
    }
    let stamp = files::stamp_now();
    let mut opened = open::open(directory, &stamp, false, None)?;
    bring_to(&mut opened, directory, version, &stamp)
}

/// Migrates an open database.
pub(super) fn bring_to(
    opened: &mut Opened,
    directory: &Path,
    to: u32,
    stamp: &str,
) -> Result<MigrateReport, OpenError> {
    let from = opened.version;
    let mut report = MigrateReport {
        path: opened.path.clone(),
        from,
        to,
        backup: None,
    };
    if from == to {
        return Ok(report);
    }
    if from > 0 {
        report.backup = Some(backup(&opened.connection, directory, from, stamp).map_err(
            |error| match error {
                BackupError::Full => OpenError::Full {
                    path: directory.to_owned(),
                },
                BackupError::Other(cause) => OpenError::Migration {
                    path: opened.path.clone(),
                    from,
                    to,
                    cause: format!("no backup could be made: {cause}"),
                },
            },
        )?);
    }
    walk(&opened.connection, from, to, |error| {
        match open::failure(&opened.connection, directory, &opened.path, error) {
            Failure::Damaged(cause) | Failure::Told(OpenError::Other { cause, .. }) => {
                OpenError::Migration {
                    path: opened.path.clone(),
                    from,
                    to,
                    cause,
                }
            }
            Failure::Told(other) => other,
        }
    })?;
    opened.version = to;
    if from > 0 {
        tracing::info!(event = messages::DATABASE_MIGRATED, "{report}");
    }
    Ok(report)
}

/// Takes the steps between two schemas in one transaction. `explain` is given the error before anything else is
/// done with the connection.
pub(super) fn walk<E>(
    connection: &Connection,
    from: u32,
    to: u32,
    explain: impl Fn(&rusqlite::Error) -> E,
) -> Result<(), E> {
    // A step may rebuild a table that others refer to. Has no effect within a transaction, so it stands before it.
    connection
        .pragma_update(None, "foreign_keys", false)
        .map_err(|error| explain(&error))?;
    let outcome = steps(connection, from, to).map_err(|error| explain(&error));
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a migration could not be taken back");
    }
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(|error| explain(&error))?;
    outcome
}

fn steps(connection: &Connection, from: u32, to: u32) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if from < to {
        for step in &STEPS[from as usize..to as usize] {
            connection.execute_batch(step.up)?;
        }
    } else {
        for step in STEPS[to as usize..from as usize].iter().rev() {
            connection.execute_batch(step.down)?;
        }
    }
    check_references(connection)?;
    connection.pragma_update(None, "user_version", to)?;
    connection.execute_batch("COMMIT")
}

fn check_references(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut broken = statement.query([])?;
    match broken.next()? {
        None => Ok(()),
        Some(row) => {
            let table: String = row.get(0)?;
            Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
                Some(format!("a row of {table} refers to one that is not there")),
            ))
        }
    }
}

enum BackupError {
    Full,
    Other(String),
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        if files::is_full(&error) {
            Self::Full
        } else {
            Self::Other(error.to_string())
        }
    }
}

/// Copies the database, with what stands in its log, to a file of its own. Under the final name stands only a whole,
/// durable copy.
fn backup(
    connection: &Connection,
    directory: &Path,
    version: u32,
    stamp: &str,
) -> Result<PathBuf, BackupError> {
    let path = files::backup_path(directory, version, stamp);
    let part = files::with_suffix(&path, ".part");
    let outcome = (|| {
        let file = files::private(&part)?;
        let target = part
            .to_str()
            .ok_or_else(|| BackupError::Other("the path is not UTF-8".to_owned()))?;
        connection
            .execute("VACUUM INTO ?1", [target])
            .map_err(|error| {
                if no_room(connection) {
                    BackupError::Full
                } else {
                    BackupError::Other(error.to_string())
                }
            })?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        files::sync_directory(directory)?;
        Ok(())
    })();
    if let Err(error) = outcome {
        // What there is of it is of no use; where it cannot be deleted, the next backup does it.
        drop(fs::remove_file(&part));
        return Err(error);
    }
    if let Err(error) = files::prune_backups(directory) {
        tracing::warn!(%error, "old backups of the database could not be deleted");
    }
    Ok(path)
}
