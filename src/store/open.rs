//! Opening: directory, lock, file, health, schema; in this order, each with its own error.

use std::{
    ffi::c_int,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::{
    error::{OpenError, no_room},
    files::{self, DATABASE, Lock},
    schema,
};

/// Databases up to this size, in bytes, are checked at every start; larger ones after an unclean end only, because
/// the check reads the whole file.
const CHECK_ALWAYS: u64 = 16 << 20;

/// A connection to a healthy database of a schema that this program knows.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) lock: Lock,
    pub(super) path: PathBuf,
    /// Its schema; 0 where it is new and empty.
    pub(super) version: u32,
}

/// Steps of SQLite's virtual machine per step of progress: some milliseconds of work.
const PROGRESS_STEP: c_int = 100_000;

/// Takes the lock and opens the database, creating an empty one where there is none, without migrating it.
///
/// Work that may take long counts in `progress`; [`Opened::quiet`] ends that.
pub(super) fn open(
    directory: &Path,
    stamp: &str,
    create: bool,
    progress: Option<Arc<AtomicU64>>,
) -> Result<Opened, OpenError> {
    let lock = Lock::take(directory)?;
    let path = directory.join(DATABASE);
    let wal = files::with_suffix(&path, "-wal");
    let unclean = files::size(&wal) > 0;
    let size = match fs::metadata(&path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => {
            return Err(OpenError::Other {
                path,
                cause: "it is not a file: move it away".to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(cause) => return Err(OpenError::Unreadable { path, cause }),
    };
    if size == 0 && unclean {
        // SQLite would throw the log away, and with it what was committed last.
        return Err(aside(
            directory,
            &path,
            stamp,
            "it is missing or empty beside a log (-wal) that is not".to_owned(),
        ));
    }
    if size == 0 && !create {
        return Err(OpenError::NoDatabase { path });
    }
    // SQLite would silently open a file read-only where it may not write, and create a new one readable for others.
    match files::private(&path) {
        Ok(file) => drop(file),
        Err(error) if files::is_full(&error) => {
            return Err(OpenError::Full {
                path: directory.to_owned(),
            });
        }
        Err(cause) => return Err(OpenError::Unreadable { path, cause }),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let other = |error: rusqlite::Error| OpenError::Other {
        path: path.clone(),
        cause: error.to_string(),
    };
    let mut connection = Connection::open_with_flags(&path, flags).map_err(other)?;
    if let Some(progress) = progress {
        let count = move || {
            progress.fetch_add(1, Ordering::Relaxed);
            fail::fail_point!("store-progress");
            false
        };
        connection
            .progress_handler(PROGRESS_STEP, Some(count))
            .map_err(other)?;
    }
    let check = size <= CHECK_ALWAYS || unclean;
    match prepare(&connection, check) {
        Ok(Health::Good(version)) if version > schema::NEWEST => Err(OpenError::Newer {
            path,
            found: version,
            newest: schema::NEWEST,
        }),
        Ok(Health::Good(version)) => Ok(Opened {
            connection,
            lock,
            path,
            version,
        }),
        Ok(Health::Foreign) => Err(OpenError::Foreign { path }),
        Ok(Health::NoLog) => Err(OpenError::Other {
            path,
            cause: "its file system (a network one?) has no write-ahead log: use a local disk"
                .to_owned(),
        }),
        Ok(Health::Damaged(detail)) => {
            drop(connection);
            Err(aside(directory, &path, stamp, detail))
        }
        Err(error) => {
            let error = failure(&connection, directory, &path, &error);
            drop(connection);
            match error {
                Failure::Damaged(detail) => Err(aside(directory, &path, stamp, detail)),
                Failure::Told(error) => Err(error),
            }
        }
    }
}

impl Opened {
    /// From now on no progress is counted.
    pub(super) fn quiet(&mut self) -> Result<(), OpenError> {
        self.connection
            .progress_handler(0, None::<fn() -> bool>)
            .map_err(|error| OpenError::Other {
                path: self.path.clone(),
                cause: error.to_string(),
            })
    }
}

enum Health {
    Good(u32),
    Foreign,
    Damaged(String),
    /// The file system has no shared memory for a write-ahead log.
    NoLog,
}

/// Looks at the file before anything is written to it, then sets the connection up.
fn prepare(connection: &Connection, check: bool) -> rusqlite::Result<Health> {
    // A damaged file is evidence: closing it must not write the log into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    // In KiB when negative.
    connection.pragma_update(None, "cache_size", -2048)?;

    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let new = version == 0 && application == 0 && tables == 0;
    if !new && application != schema::APPLICATION_ID {
        return Ok(Health::Foreign);
    }
    // A newer schema may hold what this SQLite does not understand: its version is what to tell.
    if check && version <= schema::NEWEST {
        let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if found != "ok" {
            return Ok(Health::Damaged(found.replace('\n', " ")));
        }
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    if version > schema::NEWEST {
        return Ok(Health::Good(version));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let journal: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if journal != "wal" {
        return Ok(Health::NoLog);
    }
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is needed to take a savepoint back is no file: it would be one of another folder, with troubles of its own.
    connection.pragma_update(None, "temp_store", "memory")?;
    // The owning thread takes the log into the database when it has nothing to do. This many pages of 4 KiB are for when
    // it always has.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 4000, |_| Ok(()))?;
    // After a burst the log shrinks to this many bytes again.
    connection.pragma_update_and_check(None, "journal_size_limit", 4 << 20, |_| Ok(()))?;
    // Without this, SQLite compiles a statement anew whenever a value is bound that a partial index might care about:
    // a third of what a transaction costs. A plan that depends on values is one that no test has seen.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // More than there are statements.
    connection.set_prepared_statement_cache_capacity(256);
    Ok(Health::Good(version))
}

/// What an error of SQLite's at start means. To be asked before the next call of the connection.
pub(super) enum Failure {
    Damaged(String),
    Told(OpenError),
}

pub(super) fn failure(
    connection: &Connection,
    directory: &Path,
    path: &Path,
    error: &rusqlite::Error,
) -> Failure {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Failure::Damaged(error.to_string())
        }
        _ if no_room(connection) => Failure::Told(OpenError::Full {
            path: directory.to_owned(),
        }),
        _ => Failure::Told(OpenError::Other {
            path: path.to_owned(),
            cause: error.to_string(),
        }),
    }
}

fn aside(directory: &Path, path: &Path, stamp: &str, detail: String) -> OpenError {
    match files::set_aside(directory, stamp) {
        Ok(kept) => OpenError::Corrupt {
            path: path.to_owned(),
            kept,
            detail,
        },
        Err(cause) => OpenError::CorruptInPlace {
            path: path.to_owned(),
            detail,
            cause,
        },
    }
}
