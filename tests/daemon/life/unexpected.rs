//! After an end that nobody asked for, people are told once; a damaged database ends the daemon with a clear word.

use std::{fs, os::unix::fs::FileExt as _};

use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::support::{ADMIN, MARK, USER, World, texts};

const PART: &str = "restarted after a crash";

/// How often this chat was told.
fn told(world: &World, chat: i64) -> usize {
    world
        .api
        .view(|v| texts(&v.bot_messages(chat)))
        .iter()
        .filter(|text| text.contains(PART))
        .count()
}

#[tokio::test]
async fn a_crash_is_told_once_to_admins_and_to_those_who_wait() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(ADMIN, "one").await;
    world.says(USER, "two").await;
    daemon.stop().await;
    // After a stop by order there is nothing to tell.
    let daemon = world.start();
    world.says(USER, "three").await;
    world.api.user(USER, "Uma").send_text(USER, "slow 50 x60");
    world
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    assert_eq!((told(&world, ADMIN), told(&world, USER)), (0, 0));
    daemon.kill();

    let daemon = world.start();
    let shown = world.wait_told(ADMIN, PART).await;
    assert!(shown.iter().any(|m| m.text.contains("journalctl")));
    let shown = world.wait_told(USER, PART).await;
    assert!(
        shown
            .iter()
            .any(|m| m.text.contains("Your work goes on") && !m.text.contains("journalctl")),
        "{shown:#?}"
    );
    world
        .wait_chat(USER, "the whole answer is there", |m| {
            m.iter()
                .any(|m| m.text.contains("piece 00060") && m.buttons.is_empty())
        })
        .await;
    daemon.kill();
    // Again within minutes: not again.
    let daemon = world.start();
    world.says(ADMIN, "four").await;
    world.says(USER, "five").await;
    daemon.stop().await;
    assert_eq!((told(&world, ADMIN), told(&world, USER)), (1, 1));
    world.end_all().await;
}

#[tokio::test]
async fn killed_while_it_tells_it_still_tells_once() {
    for point in [
        "store-before-commit",
        "store-after-commit",
        "outbox-claimed",
        "outbox-recorded",
    ] {
        for nth in 1..=4 {
            let world = World::new().await;
            let daemon = world.start();
            world.says(ADMIN, "zero").await;
            world.says(USER, "one").await;
            daemon.kill();
            let at = format!("{point}:{nth}");
            let mut daemon = world.start_with(&[("TELEXD_KILL_AT", &at)]);
            // Whether it comes by that point at all is not what is asked here.
            if !point.starts_with("outbox") || nth == 1 {
                assert_eq!(daemon.wait().await.code(), None, "{at}: {}", world.log());
            }
            daemon.kill();
            let daemon = world.start();
            world.wait_told(ADMIN, PART).await;
            world.says(USER, "two").await;
            daemon.stop().await;
            // Killed while the message was on the wire, it is sent again and says so.
            let shown = world.api.view(|v| texts(&v.bot_messages(ADMIN)));
            let plain = |text: &&String| text.contains(PART) && !text.starts_with(MARK);
            assert!(told(&world, ADMIN) >= 1, "{at}: {}", world.log());
            assert!(
                shown.iter().filter(plain).count() <= 1,
                "{at}: {}",
                world.log()
            );
            assert_eq!(told(&world, USER), 0, "{at}: {}", world.log());
            world.end_all().await;
        }
    }
}

#[tokio::test]
async fn a_machine_that_went_down_is_told_to_admins_in_other_words() {
    let world = World::new().await;
    let boot = |n: u8| format!("{n:032x}");
    let (first, second) = (boot(1), boot(2));
    let daemon = world.start_with(&[("TELEXD_BOOT_ID", &first)]);
    world.says(ADMIN, "zero").await;
    world.says(USER, "one").await;
    daemon.kill();
    let daemon = world.start_with(&[("TELEXD_BOOT_ID", &second)]);
    world.wait_told(ADMIN, "without a shutdown").await;
    world.says(USER, "two").await;
    daemon.stop().await;
    let daemon = world.start_with(&[("TELEXD_BOOT_ID", &first)]);
    world.says(ADMIN, "three").await;
    daemon.stop().await;
    let shown = world.api.view(|v| texts(&v.bot_messages(ADMIN)));
    assert_eq!(shown.len(), 3, "{shown:#?}");
    assert_eq!((told(&world, ADMIN), told(&world, USER)), (0, 0));
    world.end_all().await;
}

#[tokio::test]
async fn a_database_that_is_damaged_while_it_works_ends_it_and_is_set_aside() {
    let world = World::new().await;
    let mut daemon = world.start_ready().await;
    world.says(USER, "one").await;
    // Another connection takes the log into the file, so that the daemon has to read the file again.
    let database = world.path("state/telexd.db");
    let other = Connection::open(&database).unwrap();
    other
        .execute_batch(
            "UPDATE settings SET updated_at = updated_at + 1; PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
    let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    let size = usize::try_from(file.metadata().unwrap().len()).unwrap();
    file.write_all_at(&vec![0xa5; size - 4096], 4096).unwrap();
    drop(file);
    world.api.user(USER, "Uma").send_text(USER, "say two");
    let status = daemon.wait().await;
    assert_eq!(status.code(), Some(1), "{status}\n{}", world.log());
    world.wait_log("is damaged; telexd ends").await;
    drop(other);
    // systemd starts it again; that start sets the file aside and waits for a person.
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("it is kept as") && said.contains("Restore a backup"),
        "{said}"
    );
    let daemon = world.start();
    // What was not confirmed to Telegram comes again.
    world.wait_shows(USER, "two").await;
    daemon.signal(Signal::SIGTERM);
    drop(daemon);
    world.end_all().await;
}
