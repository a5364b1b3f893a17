//! What people and agents write is theirs: at the usual level none of it is in the log.

use crate::support::{ADMIN, USER, World, wait_until};

/// Nobody writes this by chance.
const WORD: &str = "Zwiebelkuchen";

#[tokio::test]
async fn what_people_and_agents_write_is_not_logged() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let admin = world.api.user(ADMIN, "Ada");
    // Prompts and answers, commands of all kinds, known and not, right and wrong.
    world.says(USER, WORD).await;
    for text in [
        format!("/nosuchcommand {WORD}"),
        format!("/kill {WORD}"),
        format!("/allow {WORD}"),
        format!("/start {WORD}"),
    ] {
        user.send_text(USER, &text);
    }
    for text in [
        format!("/pause {WORD}"),
        "/resume".to_owned(),
        format!("/config agent.model {WORD}\u{202e}"),
        format!("/config {WORD} 1"),
        format!("/kill {WORD}"),
        format!("/users remove {WORD}"),
        format!("/pair accept {WORD}"),
    ] {
        admin.send_text(ADMIN, &text);
    }
    // Somebody who is not let in, a file, an agent's question, an update that cannot be read, one that is no message.
    world.api.user(3003, WORD).send_text(3003, WORD);
    user.send_document(
        USER,
        &format!("{WORD}.txt"),
        "text/plain",
        "x",
        &format!("@fake say {WORD} read"),
    );
    world.wait_shows(USER, &format!("{WORD} read")).await;
    world
        .api
        .inject(&format!(r#"{{"message":"{WORD}"}}"#))
        .unwrap();
    world
        .api
        .inject(&format!(r#"{{"poll":{{"id":"1","question":"{WORD}"}}}}"#))
        .unwrap();
    user.send_text(USER, &format!("say {WORD} at the end"));
    world.wait_shows(USER, &format!("{WORD} at the end")).await;
    wait_until(
        "all orders are answered",
        || world.api.view(|v| v.bot_messages(ADMIN)).len() >= 7,
        || world.log(),
    )
    .await;
    daemon.stop().await;
    let log = world.log();
    assert!(log.contains("refused: not a known person"), "{log}");
    let told: Vec<&str> = log.lines().filter(|line| line.contains(WORD)).collect();
    assert_eq!(told, Vec::<&str>::new());
    world.end_all().await;
}
