//! Schema steps, up and down, over databases of every schema that was ever released.
//!
//! `tests/fixtures/db/vN.db` is a database of schema N with rows in every table; it is kept for ever. To make the
//! one of a new schema: write its rows as `tests/fixtures/db/vN.sql`, then run
//!
//! ```text
//! TELEXD_WRITE_DB_FIXTURES=1 cargo test --lib store::tests::migrations::every_schema_has_its_fixture
//! ```
//!
//! which writes those that are missing and never overwrites one.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use rusqlite::{Connection, types::Value};

use super::*;
use crate::core::pairing::Answer;
use crate::store::{
    OpenError, migrate_to,
    rows::{OutState, Wanted},
    schema::{NEWEST, walk},
};

fn fixture(version: u32, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/db/v{version}.{extension}"))
}

fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("telexd.db")
}

/// A state directory with a copy of the fixture.
fn copy(version: u32) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(fixture(version, "db"), database(&directory)).unwrap();
    directory
}

/// Brings an empty database to a schema.
fn build(connection: &Connection, version: u32) {
    walk(connection, 0, version, ToString::to_string).unwrap();
}

/// The schema as SQL, without what SQLite keeps for itself.
fn schema(connection: &Connection) -> BTreeMap<String, String> {
    connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

type Rows = BTreeMap<String, Vec<Vec<Value>>>;

/// All rows of all tables.
fn rows(path: &Path) -> Rows {
    let connection = Connection::open(path).unwrap();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    tables
        .into_iter()
        .map(|table| {
            let mut statement = connection
                .prepare(&format!("SELECT * FROM {table} ORDER BY rowid"))
                .unwrap();
            let columns = statement.column_count();
            let rows = statement
                .query_map([], |row| (0..columns).map(|n| row.get(n)).collect())
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            (table, rows)
        })
        .collect()
}

fn version(path: &Path) -> u32 {
    Connection::open(path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

fn backups(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().contains(".backup-"))
        .collect()
}

#[test]
fn every_schema_has_its_fixture() {
    for version in 1..=NEWEST {
        let path = fixture(version, "db");
        if std::env::var_os("TELEXD_WRITE_DB_FIXTURES").is_some() && !path.exists() {
            let connection = Connection::open(&path).unwrap();
            // Small pages make a small file; nothing depends on their size.
            connection.pragma_update(None, "page_size", 512).unwrap();
            build(&connection, version);
            connection
                .execute_batch(&fs::read_to_string(fixture(version, "sql")).unwrap())
                .unwrap();
            connection.execute_batch("VACUUM").unwrap();
        }
        // Its schema is the one that the steps make today: a step that was released has not been changed since.
        let fresh = Connection::open_in_memory().unwrap();
        build(&fresh, version);
        let directory = copy(version);
        let kept = Connection::open(database(&directory)).unwrap();
        assert_eq!(schema(&kept), schema(&fresh), "schema {version}");
        for (table, rows) in rows(&database(&directory)) {
            assert!(!rows.is_empty(), "v{version}.db has no row in {table}");
        }
    }
}

#[test]
fn every_old_database_opens() {
    for old in 1..=NEWEST {
        let directory = copy(old);
        let before = rows(&database(&directory));
        let db = Db::at(directory);
        let backups = backups(db.path());
        if old == NEWEST {
            assert_eq!(backups, [""; 0].map(PathBuf::from));
        } else {
            assert_eq!(backups.len(), 1);
            assert_eq!(version(&backups[0]), old);
            assert_eq!(rows(&backups[0]), before);
        }
        db.tx(|tx| {
            let pending = tx.inbox_pending(9)?;
            assert_eq!(pending.len(), 1);
            assert_eq!(
                pending[0].raw,
                r#"{"update_id":101,"message":{"text":"\ud83d lone"}}"#
            );
            assert_eq!(tx.poll_offset(7)?, Some(103));
            assert_eq!(tx.person_name(1001)?.as_deref(), Some("Ann"));
            let conversation = ConversationId(1);
            assert_eq!(tx.conversation(conversation)?.unwrap().key.chat_id, 1001);
            let session = tx.session_current(conversation)?.unwrap();
            assert!(session.metadata.begun);
            let open = tx.turns_open(conversation)?;
            assert_eq!((open.len(), open[0].parts.len()), (1, 2));
            assert_eq!((open[0].state, open[0].attempts), (TurnState::Submitted, 1));
            let last = tx.turn_last_over(conversation)?.unwrap();
            assert_eq!(
                (last.id, last.cost_usd, last.duration_ms),
                (TurnId(1), Some(0.125), Some(40))
            );
            let live = tx.runs_live()?;
            assert_eq!((live.len(), live[0].offset), (1, 4096));
            let out: Vec<_> = (1..=4)
                .map(|id| Ok(tx.out_row(crate::store::rows::OutboxId(id))?.unwrap()))
                .collect::<Result<_, StoreError>>()?;
            assert_eq!(out[0].message_id, Some(43));
            assert_eq!(
                (&out[1].wanted, out[1].state),
                (&Wanted::Gone, OutState::Sending)
            );
            assert!(
                matches!(&out[2].wanted, Wanted::PressAnswer { text, .. } if text == "Stopped")
            );
            assert!(matches!(&out[3].wanted, Wanted::Show(shown) if shown.body.spans.len() == 1));
            assert_eq!(tx.chat_limit(1001)?, Some(6000));
            assert_eq!(tx.setting("batching")?.as_deref(), Some("false"));
            // Ids go on where they were.
            assert!(
                tx.inbox_add(
                    7,
                    &[crate::store::rows::RawUpdate {
                        update_id: 1,
                        raw: String::new()
                    }],
                    1
                )?[0]
                    .0
                    > 5
            );
            Ok(())
        });
        if old >= 2 {
            db.tx(|tx| {
                assert_eq!(tx.questions_open(TurnId(2))?.len(), 1);
                assert_eq!(tx.audit_tail(9)?.len(), 1);
                Ok(())
            });
        }
        if old >= 3 {
            db.tx(|tx| {
                let asks = tx.pairing_of(1003)?.unwrap();
                assert_eq!(tx.pairing(&asks.request.code)?, Some(asks.clone()));
                assert_eq!((asks.name.as_str(), asks.notices.len()), ("Eve", 1));
                let answers: Vec<_> = tx.pairings()?.iter().map(|p| p.request.answer).collect();
                assert_eq!(answers, [None, Some(Answer::Accepted)]);
                assert_eq!(tx.paired()?[0].accepted_by, "telegram:1001");
                Ok(())
            });
        }
    }
}

/// From every schema to every other and back: what both have room for is unchanged.
#[test]
fn there_and_back_again() {
    for from in 1..=NEWEST {
        for to in 1..=NEWEST {
            let directory = copy(from);
            let path = database(&directory);
            let before = rows(&path);
            let there = migrate_to(directory.path(), to).unwrap();
            assert_eq!((there.from, there.to), (from, to));
            assert_eq!(version(&path), to);
            let fresh = Connection::open_in_memory().unwrap();
            build(&fresh, to);
            assert_eq!(
                schema(&Connection::open(&path).unwrap()),
                schema(&fresh),
                "{from} to {to}"
            );
            match &there.backup {
                None => assert_eq!(from, to),
                Some(backup) => {
                    assert_eq!(rows(backup), before);
                    assert!(
                        there.to_string().contains(backup.to_str().unwrap()),
                        "{there}"
                    );
                }
            }
            let back = migrate_to(directory.path(), from).unwrap();
            assert_eq!((back.from, back.to), (to, from));
            let after = rows(&path);
            assert_eq!(
                after.keys().collect::<Vec<_>>(),
                before.keys().collect::<Vec<_>>()
            );
            // Tables that the lower of the two has were never dropped.
            let lower = copy(from.min(to));
            let kept = rows(&database(&lower));
            for (table, rows) in &after {
                if let Some(old) = kept.get(table) {
                    // Columns are added behind the others; those that the lower does not have were dropped.
                    let width = old[0].len();
                    let cut = |rows: &[Vec<Value>]| -> Vec<Vec<Value>> {
                        rows.iter().map(|row| row[..width].to_vec()).collect()
                    };
                    let wanted = cut(&before[table]);
                    assert_eq!(cut(rows), wanted, "{from} to {to} and back: {table}");
                } else {
                    assert_eq!(
                        rows,
                        &Vec::<Vec<Value>>::new(),
                        "{table} was dropped on the way"
                    );
                }
            }
            // And it is of use.
            drop(Db::at(directory));
        }
    }
}

#[test]
fn every_step_has_a_way_back() {
    for version in (1..=NEWEST).rev() {
        let connection = Connection::open_in_memory().unwrap();
        build(&connection, version);
        walk(&connection, version, version - 1, ToString::to_string).unwrap();
        let fresh = Connection::open_in_memory().unwrap();
        build(&fresh, version - 1);
        assert_eq!(schema(&connection), schema(&fresh), "{version} and back");
    }
}

#[test]
fn a_new_database_has_no_backup() {
    let db = Db::new();
    assert_eq!(backups(db.path()).len(), 0);
    assert_eq!(version(&db.path().join("telexd.db")), NEWEST);
}

#[test]
fn a_schema_that_is_not_there_is_refused() {
    let directory = copy(1);
    for wanted in [0, NEWEST + 1, u32::MAX] {
        let error = migrate_to(directory.path(), wanted).unwrap_err();
        assert!(matches!(error, OpenError::NoSuchSchema { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("1 to {NEWEST}")),
            "{error}"
        );
    }
    assert_eq!(version(&database(&directory)), 1);
}

#[test]
fn without_a_database_there_is_nothing_to_migrate() {
    let directory = tempfile::tempdir().unwrap();
    let error = migrate_to(directory.path(), 1).unwrap_err();
    assert!(matches!(error, OpenError::NoDatabase { .. }), "{error}");
    assert!(!database(&directory).exists());
}

#[test]
fn the_newest_backups_are_kept() {
    let directory = copy(1);
    // What an interrupted one left, and what is none of ours.
    let part = directory
        .path()
        .join("telexd.db.backup-v1-20200101T000000Z.part");
    let other = directory.path().join("telexd.db.backup-by-hand");
    let old = directory
        .path()
        .join("telexd.db.backup-v1-20200101T000000Z");
    for path in [&part, &other, &old] {
        fs::write(path, "").unwrap();
    }
    let mut made = Vec::new();
    for n in 0..9 {
        let report = migrate_to(directory.path(), if n % 2 == 0 { 2 } else { 1 }).unwrap();
        let backup = report.backup.unwrap();
        assert!(backup.exists(), "the backup that the report names");
        made.push(backup);
    }
    assert!(!part.exists() && !old.exists() && other.exists());
    let mut there = backups(directory.path());
    there.retain(|path| *path != other);
    assert_eq!(there.len(), 5);
    for path in &made[4..] {
        assert!(there.contains(path), "{path:?} is one of the newest five");
    }
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let directory = copy(1);
    // In the way of step 2, which makes `questions` and then `audit`.
    Connection::open(database(&directory))
        .unwrap()
        .execute_batch("CREATE TABLE audit (x TEXT) STRICT")
        .unwrap();
    let before = rows(&database(&directory));
    let error = Store::open(directory.path()).err().unwrap();
    assert!(
        matches!(error, OpenError::Migration { from: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("as before"), "{error}");
    assert_eq!(version(&database(&directory)), 1);
    assert_eq!(rows(&database(&directory)), before);
    Connection::open(database(&directory))
        .unwrap()
        .execute_batch("DROP TABLE audit")
        .unwrap();
    drop(Db::at(directory));
}

#[test]
fn broken_references_stop_a_migration() {
    let directory = copy(1);
    let connection = Connection::open(database(&directory)).unwrap();
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM conversations WHERE id = 1")
        .unwrap();
    drop(connection);
    let error = Store::open(directory.path()).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("refers to one that is not there"),
        "{error}"
    );
    assert_eq!(version(&database(&directory)), 1);
}

/// Environment variable that makes this test binary the process with a limit.
const LIMITED: &str = "TELEXD_TEST_MIGRATE_DIRECTORY";

#[test]
fn without_room_for_the_backup_nothing_is_migrated() {
    if let Some(directory) = std::env::var_os(LIMITED) {
        let error = Store::open(Path::new(&directory)).err().unwrap();
        println!("told: {error}");
        return;
    }
    let directory = copy(1);
    Connection::open(database(&directory))
        .unwrap()
        .execute_batch(
            "INSERT INTO settings VALUES ('big', zeroblob(0) || hex(zeroblob(200000)), 1)",
        )
        .unwrap();
    let before = rows(&database(&directory));
    let output = Command::new("/bin/sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 100; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("store::tests::migrations::without_room_for_the_backup_nothing_is_migrated")
        .env(LIMITED, directory.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("told: there is no room"), "{text}");
    assert_eq!(version(&database(&directory)), 1);
    assert_eq!(rows(&database(&directory)), before);
    assert_eq!(backups(directory.path()).len(), 0);
    let db = Db::at(directory);
    assert_eq!(backups(db.path()).len(), 1);
}
