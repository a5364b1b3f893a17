//! A database that cannot be used. It is never overwritten, and a second daemon harms nobody.

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    path::PathBuf,
};

use rusqlite::Connection;

use crate::support::{ADMIN, USER, World};

/// Files that were set aside, without what stands beside them.
fn kept(world: &World) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(world.path("state"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| {
            let name = p.file_name().unwrap().to_string_lossy();
            name.contains(".corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_damaged_database_is_kept_aside_and_the_next_start_works() {
    let world = World::new().await;
    let database = world.path("state/telexd.db");
    let garbage = b"this is no database at all, but somebody's notes".repeat(500);
    fs::write(&database, &garbage).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("is damaged") && said.contains("it is kept as"),
        "{said}"
    );
    let aside = kept(&world);
    assert_eq!(aside.len(), 1);
    assert!(said.contains(&*aside[0].to_string_lossy()), "{said}");
    assert_eq!(fs::read(&aside[0]).unwrap(), garbage);
    assert!(!database.exists());

    // A message that came meanwhile is not lost, and a database of our own that gets damaged fares the same.
    world.api.user(USER, "Uma").send_text(USER, "say waited");
    let daemon = world.start();
    world.wait_shows(USER, "waited").await;
    daemon.stop().await;
    let mut file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&[0xa5; 16 * 1024]).unwrap();
    drop(file);
    let damaged = fs::read(&database).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("is damaged") && said.contains("Restore a backup"),
        "{said}"
    );
    let aside = kept(&world);
    assert_eq!(aside.len(), 2, "the first one is still there");
    assert!(aside.iter().any(|p| fs::read(p).unwrap() == damaged));

    let daemon = world.start();
    world.says(USER, "again").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn agents_that_no_database_knows_any_more_are_ended() {
    let world = World::new().await;
    let daemon = world.start();
    world
        .api
        .user(USER, "Uma")
        .send_text(USER, "slow 100 x5000");
    world.wait_told(USER, "piece 00003").await;
    let runs = world.run_directories();
    assert_eq!(runs.len(), 1);
    daemon.kill();
    for name in ["telexd.db-wal", "telexd.db-shm"] {
        let _ = fs::remove_file(world.path("state").join(name));
    }
    fs::write(world.path("state/telexd.db"), b"no database").unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(world.processes().len() > 1, "the agent works on");

    // What was kept aside may come back, so nothing of it is touched before a new database is begun.
    let daemon = world.start();
    world
        .wait_log("an agent works for a run that the database does not know; it is ended")
        .await;
    world.wait_alone(&daemon).await;
    assert_eq!(world.run_directories(), runs, "its directory is kept");
    world.says(USER, "anew").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_in_the_place_of_the_database_is_left_alone() {
    let world = World::new().await;
    let database = world.path("state/telexd.db");

    fs::create_dir(&database).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it is not a file: move it away"), "{said}");
    fs::remove_dir(&database).unwrap();

    let foreign = Connection::open(&database).unwrap();
    foreign
        .execute_batch("CREATE TABLE recipes (soup TEXT); INSERT INTO recipes VALUES ('leek')")
        .unwrap();
    drop(foreign);
    let before = fs::read(&database).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("is a database of another program"), "{said}");
    assert_eq!(fs::read(&database).unwrap(), before);
    fs::remove_file(&database).unwrap();

    fs::remove_file(world.path("state/telexd.lock")).unwrap();
    fs::remove_dir(world.path("state")).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("is not there: make it"), "{said}");
    fs::write(world.path("state"), "").unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("the state directory"), "{said}");
    fs::remove_file(world.path("state")).unwrap();
    fs::create_dir(world.path("state")).unwrap();

    let daemon = world.start();
    world.says(USER, "mended").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(USER, "one").await;
    daemon.stop().await;
    let database = world.path("state/telexd.db");
    let version = world.query("PRAGMA user_version").unwrap();
    let set = |version: i64| {
        let connection = Connection::open(&database).unwrap();
        connection
            .pragma_update(None, "user_version", version)
            .unwrap();
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
    };
    set(999);
    let before = fs::read(&database).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("has schema 999") && said.contains(&format!("telexd migrate --to {version}")),
        "{said}"
    );
    assert_eq!(fs::read(&database).unwrap(), before);
    set(version);
    let daemon = world.start();
    world.says(USER, "two").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_second_daemon_on_the_same_state_is_refused_and_the_first_unharmed() {
    let world = World::new().await;
    let first = world.start();
    world.api.user(USER, "Uma").send_text(USER, "slow 30 x60");
    world
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    for _ in 0..2 {
        let (code, said) = world.start_fails().await;
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains("another telexd works on the state directory"),
            "{said}"
        );
    }
    // Also a new process can still be handed its run.
    world.says(ADMIN, "unharmed").await;
    world
        .wait_chat(USER, "the answer is whole", |m| {
            m.iter()
                .any(|m| m.text.contains("piece 00060") && m.buttons.is_empty())
        })
        .await;
    assert_eq!(world.evidence().violations(), 0);
    first.stop().await;
    world.end_all().await;
}
