//! What can go wrong, told apart as far as a caller acts differently.

use std::{io, path::PathBuf};

use nix::errno::Errno;
use rusqlite::{Connection, ErrorCode, ffi};
use uuid::Uuid;

use crate::core::messages;

/// A transaction was not done. Nothing of it is in the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room: the disk, a quota or a size limit. It works again once there is room.
    #[error(
        "there is no room left for the database: free some space on its disk, or raise the quota"
    )]
    Full,
    /// The file is damaged. The next start sets it aside.
    #[error(
        "the database is damaged: restart telexd to have it set aside, then restore a backup or begin anew"
    )]
    Corrupt,
    /// The session has a live run already; two processes must not write to one session.
    #[error("session {session} has a live run already")]
    LiveRun {
        /// The session.
        session: Uuid,
    },
    /// The store was closed, or its thread is gone.
    #[error("the database is closed")]
    Closed,
    /// Anything else, as a sentence without the values of any row.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// The kind of message that an administrator is to find this under, if there is one.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Full => Some(messages::DISK_FULL),
            Self::Corrupt => Some(messages::DATABASE_DAMAGED),
            Self::LiveRun { .. } | Self::Closed | Self::Other(_) => None,
        }
    }

    /// What an error of this connection's last call means. To be asked before the next call.
    pub(super) fn of(connection: &Connection, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(_) if no_room(connection) => Self::Full,
            _ => Self::Other(format!("database: {error}")),
        }
    }
}

/// Whether the last failure of this connection was for want of room. SQLite says "full" for ENOSPC only; a quota or
/// a limit on the size of files is an I/O error to it.
pub(super) fn no_room(connection: &Connection) -> bool {
    // SAFETY: the handle is valid as long as the connection is borrowed, and the two functions only read from it.
    let (code, errno) = unsafe {
        let handle = connection.handle();
        (
            ffi::sqlite3_errcode(handle) & 0xff,
            ffi::sqlite3_system_errno(handle),
        )
    };
    code == ffi::SQLITE_FULL
        || (code == ffi::SQLITE_IOERR || code == ffi::SQLITE_CANTOPEN)
            && matches!(
                Errno::from_raw(errno),
                Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG
            )
}

impl OpenError {
    /// Whether trying again cannot help before a person has done something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::NoDirectory { .. }
            | Self::NotWritable { .. }
            | Self::Unreadable { .. }
            // The next start begins with an empty database: that is for a person to decide.
            | Self::Corrupt { .. }
            | Self::CorruptInPlace { .. }
            | Self::Newer { .. }
            | Self::Foreign { .. } => true,
            // The other telexd may be one that is just ending, and room may come.
            Self::Locked { .. }
            | Self::Full { .. }
            | Self::NoDatabase { .. }
            | Self::NoSuchSchema { .. }
            | Self::Migration { .. }
            | Self::Other { .. } => false,
        }
    }
}

/// The store could not be opened or migrated. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory is not there.
    #[error(
        "the state directory {0} is not there: make it for the USER that runs telexd, as root: install -d -m 0700 -o \
         USER {0}; or name one that this user can make, with directory under [state]", path.display()
    )]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The state directory cannot be written.
    #[error(
        "the state directory {} cannot be written ({cause}): give it to the user that runs telexd (chown), mode 0700, \
         on a file system that is not read-only", path.display()
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The database file is there but may not be opened for reading and writing.
    #[error(
        "the database {} cannot be opened ({cause}): give it and the files beside it to the user that runs telexd \
         (chown), mode 0600", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Another telexd works on this directory.
    #[error(
        "another telexd works on the state directory {}: stop it first, or give this one a directory of its own", path.display()
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The file is damaged; it is kept aside, and the next start begins with a new one.
    #[error(
        "the database {} is damaged ({detail}); it is kept as {}. Restore a backup (telexd.db.backup-*) under the old \
         name, or start telexd again to begin with a new, empty database", path.display(), kept.display()
    )]
    Corrupt {
        /// Where it was.
        path: PathBuf,
        /// Where it is.
        kept: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// The file is damaged and could not be set aside; it was not touched.
    #[error(
        "the database {} is damaged ({detail}) and could not be set aside ({cause}): move it, and its -wal and -shm files, \
         away by hand, then restore a backup or start telexd again", path.display()
    )]
    CorruptInPlace {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
        /// Why it could not be moved.
        cause: io::Error,
    },
    /// A newer telexd wrote the database.
    #[error(
        "the database {} has schema {found}, this telexd knows schemas up to {newest}: use the newer telexd, or let that \
         one step back with `telexd migrate --to {newest}`", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Newest schema that this program knows.
        newest: u32,
    },
    /// An SQLite database that is not telexd's. It was not touched.
    #[error(
        "{} is a database of another program: move it away, or give telexd a state directory of its own", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// No room. Nothing was changed.
    #[error("there is no room for the database in {}: free some space, or raise the quota, then try again", path.display())]
    Full {
        /// The directory.
        path: PathBuf,
    },
    /// There is no database to migrate.
    #[error("there is no database {}: nothing to migrate; telexd creates one at its first start", path.display())]
    NoDatabase {
        /// Where it would be.
        path: PathBuf,
    },
    /// No such schema.
    #[error("there is no schema {wanted}: give a number from 1 to {newest}")]
    NoSuchSchema {
        /// What was asked for.
        wanted: u32,
        /// Newest schema that this program knows.
        newest: u32,
    },
    /// The migration was given up; the database is as before.
    #[error(
        "the database {} could not be migrated from schema {from} to {to} ({cause}); it is as before",
        path.display()
    )]
    Migration {
        /// The file.
        path: PathBuf,
        /// Schema that it has.
        from: u32,
        /// Schema that it should get.
        to: u32,
        /// Reason.
        cause: String,
    },
    /// Anything else.
    #[error("the database {} cannot be used: {cause}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// Reason.
        cause: String,
    },
}

impl OpenError {
    /// The kind of message that an administrator is to find this under.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Locked { .. } => messages::STATE_LOCKED,
            Self::Corrupt { .. } | Self::CorruptInPlace { .. } => messages::DATABASE_DAMAGED,
            Self::Newer { .. } => messages::DATABASE_NEWER,
            Self::Full { .. } => messages::DISK_FULL,
            Self::NoDirectory { .. }
            | Self::NotWritable { .. }
            | Self::Unreadable { .. }
            | Self::Foreign { .. }
            | Self::NoDatabase { .. }
            | Self::NoSuchSchema { .. }
            | Self::Migration { .. }
            | Self::Other { .. } => messages::STATE_UNUSABLE,
        }
    }
}
