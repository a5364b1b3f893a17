//! Opening what is there: locked, damaged, foreign, unreadable, newer.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use nix::unistd::{Uid, setfsuid};
use rusqlite::Connection;

use super::*;
use crate::store::{OpenError, files, migrate_to, schema::NEWEST};

/// Why it cannot be opened.
fn refusal(directory: &Path) -> OpenError {
    Store::open(directory).err().expect("it was opened")
}

/// A directory with a database that holds this many settings, closed cleanly.
fn filled(count: usize) -> TempDir {
    let db = Db::new();
    db.tx(move |tx| {
        for n in 0..count {
            tx.setting_set(&format!("{n:05}"), &"x".repeat(200), 1)?;
        }
        Ok(())
    });
    db.close()
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("telexd.db")
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Asserts that the file was set aside with this content, that the error says so, and that the next start works.
fn is_set_aside(directory: TempDir, content: &[u8]) {
    let error = refusal(directory.path());
    let OpenError::Corrupt { kept, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(fs::read(kept).unwrap(), content);
    assert!(!database(&directory).exists());
    let text = error.to_string();
    assert!(
        text.contains(kept.to_str().unwrap()) && text.contains("backup"),
        "{text}"
    );
    let db = Db::at(directory);
    assert_eq!(db.tx(|tx| tx.settings()), []);
}

#[test]
fn a_second_daemon_is_refused() {
    let db = Db::new();
    assert!(matches!(refusal(db.path()), OpenError::Locked { .. }));
    assert!(matches!(
        migrate_to(db.path(), 1),
        Err(OpenError::Locked { .. })
    ));
    let directory = db.close();
    drop(Db::at(directory));
}

#[test]
fn files_are_private() {
    let db = Db::new();
    db.tx(|tx| tx.setting_set("k", "v", 1));
    for name in ["telexd.db", "telexd.db-wal", "telexd.db-shm", "telexd.lock"] {
        let mode = fs::metadata(db.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    let error = refusal(&absent);
    assert!(matches!(error, OpenError::NoDirectory { .. }), "{error}");
    assert!(error.to_string().contains("[state]"));
    assert!(!absent.exists());
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refusal(&file), OpenError::NoDirectory { .. }));
}

/// What an ordinary user is told. Only this thread gives up the right to open everything.
fn refusal_of_an_ordinary_user(directory: &Path) -> OpenError {
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        if Uid::effective().is_root() {
            setfsuid(Uid::from_raw(65_534));
        }
        refusal(&directory)
    })
    .join()
    .unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    set_mode(directory.path(), 0o555);
    let error = refusal_of_an_ordinary_user(directory.path());
    set_mode(directory.path(), 0o755);
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    assert!(error.to_string().contains("chown"), "{error}");
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn a_database_that_cannot_be_read_is_left_alone() {
    let directory = filled(3);
    let before = fs::read(database(&directory)).unwrap();
    set_mode(directory.path(), 0o777);
    set_mode(&directory.path().join("telexd.lock"), 0o666);
    for mode in [0o000, 0o444] {
        set_mode(&database(&directory), mode);
        let error = refusal_of_an_ordinary_user(directory.path());
        assert!(
            matches!(error, OpenError::Unreadable { .. }),
            "{mode:o}: {error}"
        );
        assert!(error.to_string().contains("chown"), "{error}");
    }
    set_mode(&database(&directory), 0o600);
    assert_eq!(fs::read(database(&directory)).unwrap(), before);
    assert_eq!(Db::at(directory).tx(|tx| tx.settings()).len(), 3);
}

#[test]
fn something_else_than_a_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(database(&directory)).unwrap();
    assert!(matches!(refusal(directory.path()), OpenError::Other { .. }));
    assert!(database(&directory).is_dir());
}

#[test]
fn garbage_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = b"this is no database ".repeat(500);
    fs::write(database(&directory), &garbage).unwrap();
    is_set_aside(directory, &garbage);
}

#[test]
fn a_few_bytes_are_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(database(&directory), b"SQLite form").unwrap();
    is_set_aside(directory, b"SQLite form");
}

#[test]
fn a_database_that_was_cut_off_is_set_aside() {
    let directory = filled(500);
    let mut content = fs::read(database(&directory)).unwrap();
    content.truncate(content.len() / 2);
    fs::write(database(&directory), &content).unwrap();
    is_set_aside(directory, &content);
}

#[test]
fn a_database_with_a_page_overwritten_is_set_aside() {
    let directory = filled(500);
    let mut content = fs::read(database(&directory)).unwrap();
    // Far behind the schema, in the pages of the settings.
    let at = content.len() - 3 * 4096;
    content[at..at + 4096].fill(0xa5);
    fs::write(database(&directory), &content).unwrap();
    is_set_aside(directory, &content);
}

#[test]
fn a_damaged_database_takes_its_log_along() {
    let db = Db::at(filled(500));
    db.tx(|tx| tx.setting_set("newest", "1", 1));
    // As after a kill: copies of the files while they are open.
    let copy = tempfile::tempdir().unwrap();
    for name in ["telexd.db", "telexd.db-wal"] {
        fs::copy(db.path().join(name), copy.path().join(name)).unwrap();
    }
    let log = fs::read(copy.path().join("telexd.db-wal")).unwrap();
    let mut content = fs::read(database(&copy)).unwrap();
    let at = content.len() - 3 * 4096;
    content[at..at + 4096].fill(0xa5);
    fs::write(database(&copy), &content).unwrap();
    let error = refusal(copy.path());
    let OpenError::Corrupt { kept, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(fs::read(&kept).unwrap(), content);
    assert_eq!(fs::read(files::with_suffix(&kept, "-wal")).unwrap(), log);
    assert!(!copy.path().join("telexd.db-wal").exists());
}

#[test]
fn a_log_without_its_database_is_not_thrown_away() {
    for leave_empty_file in [false, true] {
        let db = Db::new();
        db.tx(|tx| tx.setting_set("k", "v", 1));
        let copy = tempfile::tempdir().unwrap();
        fs::copy(
            db.path().join("telexd.db-wal"),
            copy.path().join("telexd.db-wal"),
        )
        .unwrap();
        if leave_empty_file {
            fs::write(database(&copy), "").unwrap();
        }
        let log = fs::read(copy.path().join("telexd.db-wal")).unwrap();
        let error = refusal(copy.path());
        let OpenError::Corrupt { kept, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(fs::read(files::with_suffix(&kept, "-wal")).unwrap(), log);
        drop(Db::at(copy));
    }
}

#[test]
fn what_was_set_aside_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    // Within the same second two of these have the same stamp.
    let contents: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n + 65; 5000]).collect();
    let mut kept = Vec::new();
    for content in &contents {
        fs::write(database(&directory), content).unwrap();
        match refusal(directory.path()) {
            OpenError::Corrupt { kept: path, .. } => kept.push(path),
            other => panic!("{other}"),
        }
    }
    for (path, content) in kept.iter().zip(&contents) {
        assert_eq!(&fs::read(path).unwrap(), content);
    }
}

#[test]
fn a_power_loss_before_the_first_page_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(database(&directory), "").unwrap();
    drop(Db::at(directory));
}

#[test]
fn what_is_in_the_log_is_there_after_a_kill() {
    let db = Db::new();
    db.tx(|tx| tx.setting_set("k", "v", 1));
    let copy = tempfile::tempdir().unwrap();
    for name in ["telexd.db", "telexd.db-wal"] {
        fs::copy(db.path().join(name), copy.path().join(name)).unwrap();
    }
    assert_eq!(Db::at(copy).tx(|tx| tx.setting("k")).as_deref(), Some("v"));
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let other = Connection::open(database(&directory)).unwrap();
    other
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    drop(other);
    let before = fs::read(database(&directory)).unwrap();
    let error = refusal(directory.path());
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(database(&directory)).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = filled(1);
    let newer = Connection::open(database(&directory)).unwrap();
    newer
        .pragma_update(None, "user_version", NEWEST + 1)
        .unwrap();
    newer
        .execute_batch("CREATE TABLE from_the_future (x)")
        .unwrap();
    drop(newer);
    let before = fs::read(database(&directory)).unwrap();
    for error in [
        refusal(directory.path()),
        migrate_to(directory.path(), 1).unwrap_err(),
    ] {
        assert!(matches!(error, OpenError::Newer { .. }), "{error}");
        let text = error.to_string();
        for part in [
            format!("schema {}", NEWEST + 1),
            format!("up to {NEWEST}"),
            format!("telexd migrate --to {NEWEST}"),
        ] {
            assert!(text.contains(&part), "{text}");
        }
    }
    assert_eq!(fs::read(database(&directory)).unwrap(), before);
}

#[test]
fn a_stamp_is_a_date() {
    // Checked against `date -u`.
    for (seconds, stamp) in [
        (0, "19700101T000000Z"),
        (951_782_399, "20000228T235959Z"),
        (951_782_400, "20000229T000000Z"),
        (1_709_251_199, "20240229T235959Z"),
        (1_709_251_200, "20240301T000000Z"),
        (1_798_761_599, "20261231T235959Z"),
        (1_798_761_600, "20270101T000000Z"),
        (4_107_542_399, "21000228T235959Z"),
        (4_107_542_400, "21000301T000000Z"),
    ] {
        assert_eq!(files::stamp(seconds), stamp);
    }
}
