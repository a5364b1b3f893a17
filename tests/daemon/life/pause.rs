//! A pause: messages are taken, kept and answered; none is given to an agent before its end.

use crate::support::{ADMIN, USER, World, talk, wait_until};

const GUEST: i64 = 1003;

/// A world with a guest and one place for an agent.
async fn world() -> World {
    let world = World::new().await;
    world.drop_in(
        "10-people",
        &format!("[access]\nusers = [{USER}, {GUEST}]\n[agent]\nmax_processes = 1\n"),
    );
    world
}

fn audited(world: &World, what: &str) -> i64 {
    world
        .query(&format!("SELECT count(*) FROM audit WHERE {what}"))
        .unwrap()
}

#[tokio::test]
async fn it_keeps_messages_over_a_kill_and_its_end_runs_them_in_their_order() {
    let world = world().await;
    let daemon = world.start();
    let (uma, gus, ada) = (
        world.api.user(USER, "Uma"),
        world.api.user(GUEST, "Gus"),
        world.api.user(ADMIN, "Ada"),
    );
    uma.send_text(USER, "hang");
    world.wait_told(USER, "words of an answer").await;
    uma.send_text(USER, "say one");
    world.wait_told(USER, "In line: number 2.").await;
    ada.send_text(ADMIN, "/pause upgrade of the disk");
    world
        .wait_told(
            ADMIN,
            "Paused: messages are kept, and run after /resume. The one answer that is being written",
        )
        .await;
    // Who waited before is told, too.
    let shown = world.wait_told(USER, "yours is number 1.").await;
    let text = &shown.last().unwrap().text;
    assert!(
        text.starts_with("Paused by Ada since 20") && text.contains("(upgrade of the disk)"),
        "{text}"
    );
    gus.send_text(GUEST, "say two");
    world.wait_told(GUEST, "yours is number 2.").await;
    uma.send_text(USER, "say three");
    world.wait_told(USER, "yours is number 3.").await;
    ada.send_text(ADMIN, "say four");
    world.wait_told(ADMIN, "yours is number 4.").await;

    // What runs ends as it is, and nothing follows it. (A stop of its own person's would keep what they have in line.)
    ada.send_text(ADMIN, "/killall");
    let asked = world.wait_told(ADMIN, "End the one agent").await;
    let asked = asked.last().unwrap();
    ada.press_labelled(ADMIN, asked.message_id, "End all")
        .unwrap();
    world.wait_told(USER, "— Ended by an administrator").await;
    daemon.kill();
    let daemon = world.start();
    for (person, chat) in [(&uma, USER), (&ada, ADMIN)] {
        person.send_text(chat, "/status");
        world.wait_told(chat, "Paused by Ada since 20").await;
    }
    ada.send_text(ADMIN, "/pause again");
    world
        .wait_told(ADMIN, "No change: paused by Ada since")
        .await;
    gus.send_text(GUEST, "say five");
    let shown = world.wait_told(GUEST, "yours is number 5.").await;
    assert!(talk(&shown).iter().all(|text| !text.contains("again")));
    assert_eq!(world.evidence().reached().len(), 1, "only what ran before");

    ada.send_text(ADMIN, "/resume");
    world
        .wait_told(ADMIN, "Resumed: the 5 messages in line are run now")
        .await;
    world.wait_shows(USER, "three").await;
    world.wait_shows(ADMIN, "four").await;
    world.wait_shows(GUEST, "five").await;
    let evidence = world.evidence();
    let mut seen: Vec<(u64, &str)> = evidence
        .of("begun")
        .map(|line| {
            (
                line["at_ms"].as_u64().unwrap(),
                line["text"].as_str().unwrap(),
            )
        })
        .collect();
    seen.sort_unstable();
    let order: Vec<&str> = seen.iter().map(|(_, text)| *text).collect();
    let first = |text: &str| order.iter().position(|t| *t == text).unwrap();
    // One conversation after the other, by who came first, and each in its order.
    assert!(first("say one") < first("say three"), "{order:?}");
    assert!(first("say one") < first("say two"), "{order:?}");
    assert!(first("say two") < first("say four"), "{order:?}");
    assert!(first("say two") < first("say five"), "{order:?}");
    ada.send_text(ADMIN, "/resume");
    world
        .wait_told(ADMIN, "No change: nothing is paused.")
        .await;
    world.says(USER, "at once").await;
    for (action, result, times) in [
        ("pause", "done", 1),
        ("pause", "no-change", 1),
        ("resume", "done", 1),
        ("resume", "no-change", 1),
    ] {
        let what =
            format!("action = '{action}' AND result = '{result}' AND who = 'telegram:{ADMIN}'");
        assert_eq!(audited(&world, &what), times, "{what}");
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn only_admins_may_and_a_reason_is_one_short_line() {
    let world = world().await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    for command in ["/pause", "/resume"] {
        uma.send_text(USER, command);
    }
    world
        .wait_chat(USER, "both are refused", |m| {
            m.iter().filter(|m| m.text.contains("not yours")).count() == 2
        })
        .await;
    assert_eq!(audited(&world, "result = 'refused: NotAllowed'"), 2);
    uma.send_text(USER, "/help");
    let shown = world.wait_told(USER, "/interrupt").await;
    assert!(shown.iter().all(|m| !m.text.contains("/pause")));
    for (reason, told) in [
        ("two\nlines", "holds a line break"),
        ("a\u{202e}b", "control character"),
        (&*"x".repeat(201), "has 201 characters"),
    ] {
        ada.send_text(ADMIN, &format!("/pause {reason}"));
        let shown = world.wait_told(ADMIN, told).await;
        let text = &shown.last().unwrap().text;
        assert!(
            text.ends_with("on one line of at most 200 characters."),
            "{text}"
        );
    }
    assert_eq!(audited(&world, "result = 'refused: InvalidArgument'"), 3);
    assert_eq!(audited(&world, "result = 'done'"), 0);
    world.says(USER, "nothing is paused").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn messages_that_are_collected_wait_as_one() {
    let world = World::with(
        telexd_botapi::Config::default(),
        "[batching]\nfirst_ms = 300\nidle_ms = 300\nmax_ms = 900\n[delivery]\nchat_interval_ms = 0\n",
    )
    .await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    ada.send_text(ADMIN, "/pause");
    world.wait_told(ADMIN, "Paused: messages are kept").await;
    uma.send_text(USER, "say one");
    uma.send_text(USER, "and two");
    world.wait_told(USER, "yours is number 1.").await;
    assert_eq!(
        world.evidence().of("start").count(),
        0,
        "no agent is started ahead"
    );
    ada.send_text(ADMIN, "/resume");
    world
        .wait_told(ADMIN, "the one message in line is run now")
        .await;
    wait_until(
        "both came as one",
        || {
            let seen = world.evidence().reached();
            seen.len() == 1 && seen[0].text.contains("and two")
        },
        || world.log(),
    )
    .await;
    daemon.stop().await;
    world.end_all().await;
}
