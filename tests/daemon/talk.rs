//! Talks with the scripted agent: what a person sees.

use nix::sys::signal::Signal;
use telexd_botapi::ShownMessage;

use crate::support::{ADMIN, DEADLINE, USER, World, shows, texts, wait_until};

#[tokio::test]
async fn a_message_is_answered_and_the_next_one_goes_to_the_same_process() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say Hello **there**");
    let shown = world
        .wait_chat(USER, "the answer is there", |m| shows(m, "Hello there"))
        .await;
    assert_eq!(
        texts(&shown),
        ["Hello there"],
        "one message: the placeholder became the answer"
    );
    user.send_text(USER, "say Again");
    world
        .wait_chat(USER, "the second answer is there", |m| shows(m, "Again"))
        .await;
    let evidence = world.evidence();
    assert_eq!(evidence.of("start").count(), 1, "the process was kept warm");
    assert_eq!(
        evidence
            .reached()
            .iter()
            .map(|r| r.times)
            .collect::<Vec<_>>(),
        [1, 1]
    );
    assert!(daemon.stop().await.as_secs() < 5);
    world.end_all().await;
}

#[tokio::test]
async fn strangers_get_nothing() {
    let world = World::new().await;
    let daemon = world.start();
    world.api.user(666, "Mallory").send_text(666, "say leak");
    world.api.user(666, "Mallory").send_text(666, "/status");
    world.api.user(USER, "Uma").send_text(USER, "say ok");
    world
        .wait_chat(USER, "the answer is there", |m| shows(m, "ok"))
        .await;
    assert_eq!(
        world
            .api
            .view(|v| v.messages(666))
            .iter()
            .filter(|m| m.from_bot)
            .count(),
        0
    );
    assert_eq!(world.api.view(|v| v.chat_actions(666)).len(), 0);
    assert_eq!(world.evidence().reached().len(), 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_slow_lane_holds_up_nobody_and_commands_are_answered_at_once() {
    let world = World::new().await;
    let daemon = world.start();
    let (slow, quick) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    slow.send_text(USER, "hang");
    world
        .wait_chat(USER, "the turn is running", |m| {
            m.iter().any(|m| !m.buttons.is_empty())
        })
        .await;
    slow.send_text(USER, "say second");
    world
        .wait_chat(USER, "the second is in line", |m| {
            shows(m, "In line: number 2.")
        })
        .await;
    quick.send_text(ADMIN, "say quick");
    world
        .wait_chat(ADMIN, "the other lane has answered", |m| shows(m, "quick"))
        .await;
    slow.send_text(USER, "/status");
    world
        .wait_chat(USER, "the status is there", |m| {
            m.iter().any(|m| m.text.starts_with("Working for"))
        })
        .await;
    slow.send_text(USER, "/interrupt");
    world
        .wait_chat(USER, "it is interrupted and the next is kept", |m| {
            m.iter().any(|m| m.text.ends_with("— Interrupted"))
                && m.iter().any(|m| m.text.starts_with("1 message is kept"))
        })
        .await;
    slow.send_text(USER, "/queue run");
    world
        .wait_chat(USER, "the next has its turn", |m| shows(m, "second"))
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_stop_button_stops_and_an_old_one_is_explained() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 50 x400");
    let shown = world
        .wait_chat(USER, "there is a stop button", |m| {
            m.iter().any(|m| !m.buttons.is_empty())
        })
        .await;
    let button = shown.iter().find(|m| !m.buttons.is_empty()).unwrap();
    let data = button.buttons[0][0].data.clone().unwrap();
    user.press(USER, button.message_id, &data).unwrap();
    world
        .wait_chat(USER, "it is interrupted", |m| {
            m.iter().any(|m| m.text.ends_with("— Interrupted"))
        })
        .await;
    user.press_stale(USER, button.message_id, &data);
    world
        .api
        .wait_for(DEADLINE, |v| v.callback_answers().len() == 2)
        .await
        .unwrap();
    let answers = world.api.view(|v| v.callback_answers());
    assert_eq!(
        answers[1].text.as_deref(),
        Some("“Stop” is no longer of use: that answer was stopped already.")
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn questions_are_asked_and_answered_by_buttons() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let mut asked = Vec::new();
    for (press, answer) in [(0, "allowed"), (1, "denied")] {
        user.send_text(USER, "ask");
        let is_new = |m: &ShownMessage| {
            m.text.starts_with("May the agent use")
                && !m.buttons.is_empty()
                && !asked.contains(&m.message_id)
        };
        let shown = world
            .wait_chat(USER, "the question is there", |m| m.iter().any(is_new))
            .await;
        let question = shown.into_iter().find(is_new).unwrap();
        asked.push(question.message_id);
        let data = question.buttons[0][press].data.clone().unwrap();
        // Another person of this server may not decide.
        world
            .api
            .user(1003, "Eve")
            .press_stale(USER, question.message_id, &data);
        user.press(USER, question.message_id, &data).unwrap();
        world
            .wait_chat(USER, answer, |m| {
                m.iter().any(|m| {
                    m.text.contains(answer) && m.buttons.is_empty() && !m.text.starts_with("May")
                })
            })
            .await;
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_agent_goes_on_over_a_stop_and_is_taken_up() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 20 x100");
    world
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.history.len() > 2)
        })
        .await;
    daemon.signal(Signal::SIGTERM);
    daemon.signal(Signal::SIGINT);
    assert!(daemon.stop().await.as_secs() < 5);
    assert!(!world.processes().is_empty(), "the agent goes on");
    wait_until(
        "the agent has ended its answer alone",
        || world.evidence().reached().iter().any(|r| r.answered == 1),
        || world.log(),
    )
    .await;
    let daemon = world.start();
    let shown = world
        .wait_chat(USER, "the whole answer is there", |m| {
            m.iter().any(|m| m.buttons.is_empty() && m.text.len() > 100)
        })
        .await;
    assert_eq!(texts(&shown).len(), 1);
    assert_eq!(world.evidence().reached()[0].times, 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn clear_begins_a_new_session() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say one");
    world.wait_chat(USER, "answered", |m| shows(m, "one")).await;
    user.send_text(USER, "/clear");
    world
        .wait_chat(USER, "cleared", |m| {
            m.iter()
                .any(|m| m.text.starts_with("Done: the next message"))
        })
        .await;
    user.send_text(USER, "say two");
    world.wait_chat(USER, "answered", |m| shows(m, "two")).await;
    let reached = world.evidence().reached();
    assert_ne!(reached[0].session, reached[1].session);
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}
