//! Somebody writes more than is taken: the rest is kept, they are told once, and nobody else notices.

use crate::support::{ADMIN, USER, World, texts, wait_until};

const TOO_FAST: &str = "⏸️ That is more than I take within a minute.";

#[tokio::test]
async fn what_comes_too_fast_is_kept_in_its_order_and_told_once() {
    let world = World::new().await;
    world.drop_in("10-pace", "[messages]\nper_minute = 5\n");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    for n in 1..=8 {
        uma.send_text(USER, &format!("say number {n}"));
    }
    world.wait_told(USER, TOO_FAST).await;
    for n in 1..=5 {
        world.wait_shows(USER, &format!("number {n}")).await;
    }
    // Commands are no prompts, and others have their own pace.
    world.says(ADMIN, "meanwhile").await;
    uma.send_text(USER, "/queue");
    world
        .wait_told(USER, "3 messages are kept and wait for your word:")
        .await;
    // It is known over a kill: what follows is kept, too, without another word.
    daemon.kill();
    let daemon = world.start_ready().await;
    uma.send_text(USER, "say number 9");
    let kept = "SELECT count(*) FROM turns WHERE state = 'held'";
    wait_until(
        "it is kept",
        || world.query(kept) == Some(4),
        || world.log(),
    )
    .await;
    let reached = || {
        (1..=9)
            .filter(|n| world.reached(&format!("say number {n}")) > 0)
            .count()
    };
    assert_eq!(reached(), 5);
    uma.send_text(USER, "/queue run");
    for n in 6..=9 {
        world.wait_shows(USER, &format!("number {n}")).await;
    }
    let evidence = world.evidence();
    let given: Vec<_> = evidence
        .of("prompt")
        .map(|p| p["text"].as_str().unwrap().to_owned())
        .collect();
    let own: Vec<_> = given
        .iter()
        .filter(|text| text.starts_with("say number"))
        .collect();
    let expected: Vec<String> = (1..=9).map(|n| format!("say number {n}")).collect();
    assert_eq!(own, expected.iter().collect::<Vec<_>>());
    let told = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(
        told.iter()
            .filter(|text| text.starts_with(TOO_FAST))
            .count(),
        1,
        "{told:#?}"
    );
    daemon.stop().await;
    world.end_all().await;
}
