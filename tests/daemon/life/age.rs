//! What is old goes: rows by their age, directories of runs, and none of it takes along what is still of use.

use crate::support::{ADMIN, USER, World, wait_until};

/// A little more than a month, in milliseconds.
const LONG: i64 = 31 * 24 * 60 * 60 * 1000;

/// Tables with a row for each message, each prompt, each agent; and what must be left of them.
const TABLES: [(&str, i64); 6] = [
    ("inbox", 0),
    ("outbox", 0),
    // The last one of each conversation.
    ("turns", 2),
    ("turn_parts", 2),
    ("questions", 0),
    ("runs", 2),
];

#[tokio::test]
async fn after_a_month_the_database_holds_what_is_still_of_use() {
    let world = World::new().await;
    world.write_config(&telexd_scripted_agent::binary(), "idle_timeout_s = 1\n");
    let daemon = world.start_ready().await;
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "ask");
    let shown = world.wait_told(USER, "May the agent use").await;
    let question = shown.iter().find(|m| m.text.starts_with("May")).unwrap();
    let data = question.buttons[0][0].data.clone().unwrap();
    user.press(USER, question.message_id, &data).unwrap();
    world.wait_told(USER, "allowed").await;
    world.says(USER, "one").await;
    world.says(ADMIN, "two").await;
    world.says(USER, "three").await;
    // Another session and another agent.
    world.wait_alone(&daemon).await;
    user.send_text(USER, "/clear");
    world.wait_told(USER, "Done: the next message").await;
    world.says(USER, "four").await;
    world.wait_alone(&daemon).await;
    let count = |table: &str| {
        world
            .query(&format!("SELECT count(*) FROM {table}"))
            .unwrap()
    };
    // What the next life would have to record is of today.
    world.wait_sent().await;
    let ended = || count("runs WHERE ended_at IS NULL") == 0;
    wait_until("the end of each run is recorded", ended, || world.log()).await;
    daemon.stop().await;
    assert_eq!(count("sessions"), 3);
    assert_eq!(count("questions"), 1);
    assert!(!world.run_directories().is_empty());
    // A month passes.
    world.change(&format!(
        "UPDATE inbox SET received_at = received_at - {LONG}, done_at = done_at - {LONG};
         UPDATE outbox SET created_at = created_at - {LONG}, done_at = done_at - {LONG};
         UPDATE turns SET created_at = created_at - {LONG}, submitted_at = submitted_at - {LONG}, ended_at = ended_at - {LONG};
         UPDATE questions SET asked_at = asked_at - {LONG}, answered_at = answered_at - {LONG};
         UPDATE runs SET started_at = started_at - {LONG}, ended_at = ended_at - {LONG};
         UPDATE sessions SET last_used = last_used - {LONG};"
    ));
    // The first round takes the directories, the next one the rows of their runs.
    let daemon = world.start_ready().await;
    let gone = || world.run_directories().is_empty() && count("turns") == 2;
    let left = || format!("{:?}\n{}", world.run_directories(), world.log());
    wait_until("the directories and the turns are gone", gone, left).await;
    let uncleared = || world.query("SELECT count(*) FROM runs WHERE cleared = 0") == Some(0);
    wait_until("that is recorded", uncleared, left).await;
    daemon.stop().await;
    let daemon = world.start_ready().await;
    let done = || {
        TABLES
            .iter()
            .all(|(table, rows)| count(table) == *rows && count("sessions") == 2)
    };
    let left = || {
        let rows = TABLES.map(|(table, _)| (table, count(table)));
        format!("{rows:?}\n{}", world.log())
    };
    wait_until("what is old is gone", done, left).await;
    // The conversations go on where they were.
    world.says(USER, "five").await;
    world.says(ADMIN, "six").await;
    let evidence = world.evidence();
    let reached = evidence.reached();
    for (before, after) in [("say four", "say five"), ("say two", "say six")] {
        let session = |text: &str| reached.iter().find(|r| r.text == text).unwrap().session;
        assert_eq!(session(before), session(after));
    }
    assert_eq!(evidence.violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}
