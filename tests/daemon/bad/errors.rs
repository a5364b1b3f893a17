//! An error that nobody thought of: its person is told a number, the log knows it, and nobody else notices.

use rusqlite::Connection;

use crate::support::{ADMIN, USER, World, texts};

const TOLD: &str = "Number of the error: ";

#[tokio::test]
async fn an_error_has_a_number_that_leads_to_the_log_and_touches_nobody_else() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(USER, "before").await;
    // The database takes everything but this one message.
    let database = Connection::open(world.path("state/telexd.db")).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER odd BEFORE INSERT ON turn_parts WHEN NEW.text LIKE '%poison%' \
             BEGIN SELECT RAISE(ABORT, 'nobody thought of this'); END",
        )
        .unwrap();
    world.api.user(USER, "Uma").send_text(USER, "say poison");
    world.says(ADMIN, "meanwhile").await;
    let shown = world.wait_told(USER, TOLD).await;
    let told = texts(&shown);
    let told: Vec<&String> = told.iter().filter(|text| text.contains(TOLD)).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let (_, number) = told[0].split_once(TOLD).unwrap();
    assert_eq!(number.len(), 8, "{number}");
    assert!(!told[0].contains("journalctl"), "{}", told[0]);
    let log = world.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(number)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(
        lines[0].contains(&format!("error_id={number}"))
            && lines[0].contains("nobody thought of this"),
        "{}",
        lines[0]
    );
    // Their own later messages pass it, too.
    world.says(USER, "after").await;

    // It was kept: once the cause is gone it is acted on, here by the next start.
    database.execute_batch("DROP TRIGGER odd").unwrap();
    drop(database);
    daemon.stop().await;
    let daemon = world.start();
    world.wait_shows(USER, "poison").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_error_in_mid_turn_has_a_number_and_the_turn_ends_once_it_is_gone() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(USER, "before").await;
    world.says(ADMIN, "before").await;
    let database = Connection::open(world.path("state/telexd.db")).unwrap();
    // The end of this turn cannot be recorded.
    database
        .execute_batch(
            "CREATE TRIGGER odd BEFORE UPDATE OF ended_at ON turns WHEN NEW.ended_at IS NOT NULL AND EXISTS \
             (SELECT 1 FROM turn_parts WHERE turn = NEW.id AND text LIKE '%poison%') \
             BEGIN SELECT RAISE(ABORT, 'nobody thought of this'); END",
        )
        .unwrap();
    world.api.user(USER, "Uma").send_text(USER, "say poison");
    let shown = world.wait_told(USER, TOLD).await;
    world.says(ADMIN, "meanwhile").await;
    let told = texts(&shown);
    let told: Vec<&String> = told.iter().filter(|text| text.contains(TOLD)).collect();
    let (_, number) = told[0].split_once(TOLD).unwrap();
    let line = format!("error_id={number}");
    assert!(
        world
            .log()
            .lines()
            .any(|found| found.contains(&line) && found.contains("nobody thought of this")),
        "{}",
        world.log()
    );
    database.execute_batch("DROP TRIGGER odd").unwrap();
    drop(database);
    world.wait_shows(USER, "poison").await;
    world.says(USER, "after").await;
    let told = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(
        told.iter().filter(|text| text.contains(TOLD)).count(),
        1,
        "{told:#?}"
    );
    assert_eq!(world.reached("say poison"), 1);
    daemon.stop().await;
    world.end_all().await;
}
