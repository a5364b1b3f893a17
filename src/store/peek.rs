//! A look at the settings from outside, whether or not a daemon works on the database.

use std::{fmt::Write as _, fs, io, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::files::{self, DATABASE};

/// How long a database that is being written is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keys and values of all settings in the database of a state directory; `None`: there is no database yet. Takes no lock and
/// changes nothing.
///
/// # Errors
/// It cannot be read; a sentence that names the file.
pub fn settings(directory: &Path) -> Result<Option<Vec<(String, String)>>, String> {
    let path = directory.join(DATABASE);
    let cannot = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
    // SQLite would say no more than that it cannot.
    match fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(&error)),
    }
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                uri.push(char::from(*byte));
            }
            // Writing to a String does not fail.
            _ => {
                let _ = write!(uri, "%{byte:02x}");
            }
        }
    }
    uri.push_str("?mode=ro");
    // Without a log beside it all is in the file, and no files have to be made to read it.
    if files::size(&files::with_suffix(&path, "-wal")) == 0 {
        uri.push_str("&immutable=1");
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = || -> rusqlite::Result<Vec<(String, String)>> {
        let connection = Connection::open_with_flags(&uri, flags)?;
        connection.busy_timeout(PATIENCE)?;
        let mut query = connection.prepare("SELECT key, value FROM settings")?;
        query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    };
    read().map(Some).map_err(|cause| cannot(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn settings_are_seen_while_it_runs_after_it_and_before() {
        let dir = tempfile::Builder::new()
            .prefix("a?b#c%41 ")
            .tempdir()
            .unwrap();
        assert_eq!(settings(dir.path()), Ok(None));
        let (store, _thread) = Store::open(dir.path()).unwrap();
        store.tx(|tx| tx.setting_set("k", "v", 1)).await.unwrap();
        let all = Ok(Some(vec![("k".to_owned(), "v".to_owned())]));
        assert_eq!(settings(dir.path()), all);
        store.tx(|tx| tx.setting_set("k", "v", 2)).await.unwrap();
        store.close().await;
        let files = || fs::read_dir(dir.path()).unwrap().count();
        let before = files();
        assert_eq!(settings(dir.path()), all);
        assert_eq!(files(), before, "nothing is left behind");
        fs::write(dir.path().join(DATABASE), "no database at all").unwrap();
        let said = settings(dir.path()).unwrap_err();
        assert!(
            said.contains("telexd.db: ") && said.contains("not a database"),
            "{said}"
        );
    }
}
