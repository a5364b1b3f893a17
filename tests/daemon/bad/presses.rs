//! Presses of buttons: what they carry comes from outside. And questions about messages that come late.

use telexd_botapi::{Outgoing, ShownMessage};

use crate::support::{ADMIN, USER, World, shows};

const OLD: &str = "That button is no longer of use.";
const NOT_YOURS: &str = "🔒 That is not yours to decide.";
const MINUTE: i64 = 60_000;

/// The message with buttons, once there is one.
async fn with_buttons(world: &World, chat: i64, part: &str) -> ShownMessage {
    let is_it = |m: &&ShownMessage| m.text.contains(part) && !m.buttons.is_empty();
    let shown = world
        .wait_chat(chat, &format!("buttons under {part:?}"), |m| {
            m.iter().any(|m| is_it(&m))
        })
        .await;
    shown.iter().find(is_it).unwrap().clone()
}

#[tokio::test]
async fn presses_that_are_foreign_stale_or_another_persons_change_nothing() {
    let world = World::new().await;
    let daemon = world.start();
    let (uma, ada, eve) = (
        world.api.user(USER, "Uma"),
        world.api.user(ADMIN, "Ada"),
        world.api.user(666, "Eve"),
    );
    uma.send_text(USER, "hang");
    ada.send_text(ADMIN, "hang");
    let running = with_buttons(&world, USER, "words of an answer").await;
    let admins = with_buttons(&world, ADMIN, "words of an answer").await;
    let stop = running.buttons[0][0].data.clone().unwrap();
    let admins_stop = admins.buttons[0][0].data.clone().unwrap();
    assert_ne!(stop, admins_stop);

    // A stranger is not even answered. (The presses below come later and are: so this one was seen.)
    let strangers = eve.press_stale(USER, running.message_id, &stop);
    for foreign in [
        "",
        "zzz",
        "s:",
        "s:-1",
        "s:99999999999999999999",
        "q:1:y",
        "s:1 OR 1=1",
        "repeat",
        &"x".repeat(64),
        "\u{0}",
    ] {
        let id = uma.press_stale(USER, running.message_id, foreign);
        assert_eq!(
            world.press_answer(&id).await.as_deref(),
            Some(OLD),
            "{foreign:?}"
        );
    }
    // A turn of another chat, by somebody who may press only here, and by an admin.
    let id = uma.press_stale(USER, running.message_id, &admins_stop);
    assert_eq!(world.press_answer(&id).await.as_deref(), Some(OLD));
    let id = ada.press_stale(ADMIN, admins.message_id, &stop);
    assert_eq!(world.press_answer(&id).await.as_deref(), Some(OLD));
    assert!(
        world
            .api
            .callback_answers()
            .iter()
            .all(|a| a.id != strangers)
    );
    assert!(shows(
        &world.api.view(|v| v.bot_messages(USER)),
        &running.text
    ));

    // The right one works once, and is old from then on.
    let id = uma.press(USER, running.message_id, &stop).unwrap();
    assert_eq!(world.press_answer(&id).await.as_deref(), Some("Stopping…"));
    world.wait_told(USER, "— Interrupted").await;
    let id = uma.press_stale(USER, running.message_id, &stop);
    assert_eq!(
        world.press_answer(&id).await.as_deref(),
        Some("“Stop” is no longer of use: that answer was stopped already.")
    );

    // A press that Telegram has forgotten about cannot be answered any more: no trouble.
    let id = ada.press_stale(ADMIN, admins.message_id, "zzz");
    world.api.forget_callback(&id);
    let id = ada.press(ADMIN, admins.message_id, &admins_stop).unwrap();
    assert_eq!(world.press_answer(&id).await.as_deref(), Some("Stopping…"));
    world.wait_told(ADMIN, "— Interrupted").await;
    world.says(USER, "fine").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn in_a_group_nobody_presses_for_another() {
    let world = World::new().await;
    let group = -1_000_000_000_777;
    world.drop_in("10-people", &format!("[access]\nusers = [{USER}, 1003]\n"));
    let daemon = world.start();
    let (uma, ben, ada) = (
        world.api.user(USER, "Uma"),
        world.api.user(1003, "Ben"),
        world.api.user(ADMIN, "Ada"),
    );
    uma.send_group(group, "hang");
    let running = with_buttons(&world, group, "words of an answer").await;
    let stop = running.buttons[0][0].data.clone().unwrap();
    let id = ben.press(group, running.message_id, &stop).unwrap();
    assert_eq!(world.press_answer(&id).await.as_deref(), Some(NOT_YOURS));
    let id = ada.press(group, running.message_id, &stop).unwrap();
    assert_eq!(
        world.press_answer(&id).await.as_deref(),
        Some("Stopping…"),
        "an admin may"
    );
    world.wait_told(group, "— Ended by an administrator").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn late_messages_are_asked_about_and_both_answers_work_also_after_a_restart() {
    let world = World::new().await;
    let user = world.api.user(USER, "Uma");
    let late = |text: &str, minutes: i64| {
        user.send(USER, Outgoing::text(text).sent_ago_ms(minutes * MINUTE))
    };
    // They came while the daemon was away.
    late("say run me", 20);
    late("say drop me", 185);
    late("say keep me", 30);
    let daemon = world.start();
    user.send_text(USER, "say fresh");
    world.wait_shows(USER, "fresh").await;
    let run = with_buttons(&world, USER, "say run me").await;
    let drop = with_buttons(&world, USER, "say drop me").await;
    let keep = with_buttons(&world, USER, "say keep me").await;
    assert_eq!(
        run.text,
        "Received 20 min ago while I was away: run it?\n\nsay run me"
    );
    assert!(
        drop.text.starts_with("Received 3 h 5 min ago"),
        "{}",
        drop.text
    );
    let labels: Vec<&str> = run
        .buttons
        .iter()
        .flatten()
        .map(|b| b.text.as_str())
        .collect();
    assert_eq!(labels, ["Run", "Discard"]);
    assert_eq!(
        world.evidence().reached().len(),
        1,
        "only the fresh one was run"
    );

    user.press_labelled(USER, run.message_id, "Run").unwrap();
    world.wait_shows(USER, "run me").await;
    daemon.kill();
    let daemon = world.start();
    let id = user
        .press_labelled(USER, drop.message_id, "Discard")
        .unwrap();
    assert_eq!(world.press_answer(&id).await.as_deref(), Some("Discard"));
    world.wait_shows(USER, "Discarded: it was not run.").await;
    let id = user.press_labelled(USER, keep.message_id, "Run").unwrap();
    assert_eq!(world.press_answer(&id).await.as_deref(), Some("Run"));
    world.wait_shows(USER, "keep me").await;
    // Pressed again, or the other way round, by an app that shows an old state.
    let data = |m: &ShownMessage, at: usize| m.buttons[0][at].data.clone().unwrap();
    for (message, at, told) in [
        (
            &drop,
            0,
            "“Run” is no longer of use: that message was dropped and not run.",
        ),
        (
            &run,
            0,
            "“Run” is no longer of use: that answer is finished.",
        ),
        (
            &run,
            1,
            "“Discard” is no longer of use: that answer is finished.",
        ),
        (
            &keep,
            1,
            "“Discard” is no longer of use: that answer is finished.",
        ),
    ] {
        let id = user.press_stale(USER, message.message_id, &data(message, at));
        assert_eq!(world.press_answer(&id).await.as_deref(), Some(told));
    }
    assert_eq!(world.reached("say run me"), 1);
    assert_eq!(world.reached("say drop me"), 0);
    assert_eq!(world.reached("say keep me"), 1);
    daemon.stop().await;
    world.end_all().await;
}
