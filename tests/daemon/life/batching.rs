//! Messages in quick succession are one prompt, also over a crash.

use telexd_botapi::Config;

use crate::support::{USER, World, talk, texts, wait_until};

const REST: &str = "[delivery]\nchat_interval_ms = 5\ngroup_per_minute = 1000\noverall_per_second = 1000\n\n[log]\nlevel = \"debug\"\n";

const COLLECTED: &str =
    "SELECT count(*) FROM turn_parts p JOIN turns t ON t.id = p.turn WHERE t.state = 'collecting'";

/// A world with these lengths of the window, in milliseconds.
async fn world(first: u32, idle: u32) -> World {
    let batching = window(first, idle);
    World::with(Config::default(), &format!("{batching}\n{REST}")).await
}

fn window(first: u32, idle: u32) -> String {
    format!("[batching]\nfirst_ms = {first}\nidle_ms = {idle}\nmax_ms = 120000\n")
}

fn prompts(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    evidence
        .of("prompt")
        .map(|p| p["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn collected(world: &World, parts: i64) {
    wait_until(
        &format!("{parts} messages are collected"),
        || world.query(COLLECTED) == Some(parts),
        || world.log(),
    )
    .await;
}

#[tokio::test]
async fn rapid_messages_are_one_prompt_in_their_order_and_later_ones_another() {
    let world = world(400, 600).await;
    let daemon = world.start_ready().await;
    let user = world.api.user(USER, "Uma");
    for text in ["say one", "two", "three"] {
        user.send_text(USER, text);
    }
    world.wait_shows(USER, "one\n\ntwo\n\nthree").await;
    user.send_text(USER, "say four");
    world.wait_shows(USER, "four").await;
    assert_eq!(prompts(&world), ["say one\n\ntwo\n\nthree", "say four"]);
    assert_eq!(texts(&world.api.view(|v| v.bot_messages(USER))).len(), 2);
    assert_eq!(world.evidence().of("start").count(), 1);

    // A paste that Telegram's app cut at 4096 units comes out as it was.
    let paste = format!("say {}", "x1234567 ".repeat(1200));
    assert_eq!(user.paste(USER, paste.trim_end()).len(), 3);
    wait_until(
        "it reached the agent",
        || prompts(&world).len() == 3,
        || world.log(),
    )
    .await;
    assert_eq!(prompts(&world)[2], paste.trim_end());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_command_closes_the_window_and_does_not_wait_in_it() {
    let world = world(60_000, 60_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say early");
    collected(&world, 1).await;
    user.send_text(USER, "/status");
    world.wait_told(USER, "Up for").await;
    world.wait_shows(USER, "early").await;
    assert_eq!(prompts(&world), ["say early"]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_edited_message_counts_as_it_was_last_and_only_until_the_window_closes() {
    let world = world(60_000, 60_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let first = user.send_text(USER, "say drafft");
    let second = user.send_text(USER, "more");
    collected(&world, 2).await;
    user.edit(USER, first, "say draft");
    user.edit(USER, second, "moore");
    user.edit(USER, second, "and more");
    user.send_text(USER, "/help");
    world.wait_shows(USER, "draft\n\nand more").await;
    // Too late: the agent has it. It is no new prompt either.
    user.edit(USER, first, "say something else");
    user.send_text(USER, "say next");
    user.send_text(USER, "/help");
    world.wait_shows(USER, "next").await;
    assert_eq!(prompts(&world), ["say draft\n\nand more", "say next"]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_collected_is_shown_and_goes_when_its_button_is_pressed() {
    let world = world(60_000, 60_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say one");
    collected(&world, 1).await;
    assert_eq!(
        texts(&world.api.view(|v| v.bot_messages(USER))),
        [""; 0],
        "one message alone is not worth a word"
    );
    user.send_text(USER, "two");
    let first = world.wait_shows(USER, "Collecting… (2)").await;
    let last = user.send_text(USER, "three");
    world.wait_shows(USER, "Collecting… (3)").await;
    world.wait_sent().await;
    user.press_labelled(USER, first[0].message_id, "Send now")
        .unwrap();
    let shown = world.wait_shows(USER, "one\n\ntwo\n\nthree").await;
    assert_eq!(prompts(&world), ["say one\n\ntwo\n\nthree"]);
    assert_eq!(
        shown.len(),
        1,
        "nothing is left of the collecting: {shown:#?}"
    );
    assert!(shown[0].message_id > last, "the answer is below the prompt");

    // What came before the count was shown is above it: the message becomes the answer.
    user.send_text(USER, "say four");
    user.send_text(USER, "five");
    let shown = world.wait_shows(USER, "Collecting… (2)").await;
    let count = shown[1].message_id;
    world.wait_sent().await;
    user.press_labelled(USER, count, "Send now").unwrap();
    let shown = world.wait_shows(USER, "four\n\nfive").await;
    assert_eq!(shown.len(), 2, "{shown:#?}");
    assert_eq!(shown[1].message_id, count);

    // A button that is gone, pressed on a phone that has not seen that.
    let turn = world.query("SELECT max(id) FROM turns").unwrap();
    for (data, label) in [
        (format!("n:{turn}"), "Send now"),
        (format!("d:{turn}"), "Discard"),
    ] {
        let id = user.press_stale(USER, count, &data);
        let old = format!("“{label}” is no longer of use: that answer is finished.");
        assert_eq!(world.press_answer(&id).await, Some(old));
    }
    assert_eq!(prompts(&world).len(), 2);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_collected_can_be_discarded_and_the_next_message_begins_anew() {
    let world = world(60_000, 60_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say one");
    user.send_text(USER, "two");
    let shown = world.wait_shows(USER, "Collecting… (2)").await;
    world.wait_sent().await;
    user.press_labelled(USER, shown[0].message_id, "Discard")
        .unwrap();
    world.wait_shows(USER, "Discarded: it was not run.").await;
    user.send_text(USER, "say three");
    user.send_text(USER, "/status");
    world.wait_shows(USER, "three").await;
    assert_eq!(prompts(&world), ["say three"]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_inside_the_window_loses_nothing_and_gives_one_prompt() {
    let world = world(60_000, 60_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say one");
    user.send_text(USER, "two");
    // Shown, too: a message that is on its way at the kill might be there twice, and that is another test's.
    world.wait_shows(USER, "Collecting… (2)").await;
    world.wait_sent().await;
    daemon.kill();
    user.send_text(USER, "three");
    let daemon = world.start();
    collected(&world, 3).await;
    world.wait_shows(USER, "Collecting… (3)").await;
    world.wait_sent().await;
    daemon.kill();
    // The window is counted from when the messages came; by the shorter rule it is over.
    world.drop_in("20-window", &window(1, 1));
    let daemon = world.start();
    world.wait_shows(USER, "one\n\ntwo\n\nthree").await;
    assert_eq!(prompts(&world), ["say one\n\ntwo\n\nthree"]);
    let shown = talk(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(shown.len(), 1, "{shown:#?}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_stop_inside_the_window_keeps_it_for_the_next_life() {
    let world = world(60_000, 60_000).await;
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(USER, "say kept");
    collected(&world, 1).await;
    assert!(daemon.stop().await.as_secs() < 5);
    world.drop_in("20-window", &window(1, 1));
    let daemon = world.start();
    world.wait_shows(USER, "kept").await;
    assert_eq!(prompts(&world), ["say kept"]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_ahead_is_told_of_once_at_the_end_of_the_window() {
    let world = world(300, 300).await;
    let program = world.path("claude");
    world.write_config(&program, "");
    let daemon = world.start_ready().await;
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say one");
    user.send_text(USER, "two");
    world.wait_told(USER, "is not on the server").await;
    std::os::unix::fs::symlink(telexd_scripted_agent::binary(), &program).unwrap();
    user.send_text(USER, "say three");
    world.wait_shows(USER, "three").await;
    let shown = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(shown.len(), 2, "{shown:#?}");
    assert_eq!(prompts(&world), ["say three"]);
    daemon.stop().await;
    world.end_all().await;
}
