//! What the daemon still has to do, from its own database. No other sign is exact: between two messages of one long
//! answer a chat looks as it does at the end.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Messages that were taken and not yet acted on, turns that go on by themselves, and messages that are to be sent.
/// Turns that wait for a person are not among them: they would wait for ever.
const OPEN: &str = "
    SELECT (SELECT count(*) FROM inbox WHERE done_at IS NULL)
         + (SELECT count(*) FROM outbox WHERE done_at IS NULL)
         + (SELECT count(*) FROM turns WHERE ended_at IS NULL AND state NOT IN ('held', 'asked')
                AND id NOT IN (SELECT turn FROM questions WHERE answer IS NULL))";

/// Turns that wait for a person.
const WAITING: &str = "
    SELECT count(*) FROM turns WHERE ended_at IS NULL
        AND (state IN ('held', 'asked') OR id IN (SELECT turn FROM questions WHERE answer IS NULL))";

/// What stands in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Books {
    /// What goes on by itself.
    pub open: i64,
    /// What waits for a person.
    pub waiting: i64,
}

/// Reads. `None` where that is not possible at the moment (not there yet, or busy).
pub fn read(database: &Path) -> Option<Books> {
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    // One transaction: both numbers of the same instant.
    let both = format!("SELECT ({OPEN}), ({WAITING})");
    connection
        .query_row(&both, [], |row| {
            Ok(Books {
                open: row.get(0)?,
                waiting: row.get(1)?,
            })
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_tables_are_understood() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("telexd.db");
        assert_eq!(read(&file), None);
        let (store, _thread) = telexd::store::Store::open(directory.path()).unwrap();
        let nothing = Books {
            open: 0,
            waiting: 0,
        };
        assert_eq!(read(&file), Some(nothing));
        drop(store);
    }
}
