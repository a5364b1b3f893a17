//! Answers as drafts while they are written: nothing of it is a message before the whole answer is one.

use telexd_botapi::{Config, Fault, FaultKind, ShownDraft, ShownMessage};

use crate::support::{ADMIN, DEADLINE, USER, World, fast, talk, texts, wait_until};

const GROUP: i64 = -1_000_000_000_556;

/// A world in which drafts are on for the user, with further features.
async fn world(features: &str) -> World {
    let on = format!("batching = false\ndrafts = [{USER}]\n{features}");
    World::with(Config::default(), &fast(&on)).await
}

/// Waits until the user's chat shows a draft that satisfies the condition.
async fn draft(world: &World, what: &str, is_it: impl Fn(&ShownDraft) -> bool) -> ShownDraft {
    let read = |v: &telexd_botapi::View| v.drafts(USER).into_iter().rev().find(&is_it);
    let met = world.api.wait_for_some(DEADLINE, read).await;
    met.unwrap_or_else(|_| {
        let there = world.api.view(|v| v.drafts(USER));
        panic!(
            "waited in vain until {what}; there were {there:#?}\n{:#?}\n{}",
            texts(&world.api.view(|v| v.messages(USER))),
            world.log()
        )
    })
}

fn interrupted(messages: &[ShownMessage]) -> bool {
    messages.iter().any(|m| m.text.ends_with("— Interrupted"))
}

fn pieces(text: &str) -> usize {
    text.matches("piece ").count()
}

#[tokio::test]
async fn a_draft_grows_and_the_answer_is_one_message() {
    let world = world("").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // A fresh process, and one that waits already.
    for (round, count) in [(1, 60), (2, 61)] {
        user.send_text(USER, &format!("slow 20 x{count}"));
        let begun = draft(&world, "the answer begins", |d| {
            d.draft_id == round && pieces(&d.text) > 0
        })
        .await;
        assert!(
            begun.can_stop && begun.text.ends_with("Writing…"),
            "{begun:?}"
        );
        let shown = world
            .wait_chat(USER, "the answer is there", |m| {
                m.iter().any(|m| pieces(&m.text) == count)
            })
            .await;
        assert_eq!(shown.len(), usize::try_from(round).unwrap());
        assert_eq!(world.api.draft(USER), None);
    }
    for message in world.api.view(|v| v.bot_messages(USER)) {
        assert_eq!(message.history.len(), 1, "it was never edited");
    }
    let drafts = world.api.view(|v| v.drafts(USER));
    let of_first: Vec<_> = drafts.iter().filter(|d| d.draft_id == 1).collect();
    assert!(of_first.len() > 3, "{of_first:#?}");
    for two in of_first.windows(2) {
        assert!(pieces(&two[0].text) <= pieces(&two[1].text), "{two:#?}");
    }
    assert_eq!(
        world.api.chat_actions(USER),
        [],
        "the draft says enough of what goes on"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_has_not_asked_for_it_and_groups_see_no_draft() {
    let world = world("").await;
    world.api.supergroup(GROUP, "The team", false);
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_group(GROUP, "slow 20 x30");
    ada.send_text(ADMIN, "slow 20 x30");
    for chat in [GROUP, ADMIN] {
        let shown = world
            .wait_chat(chat, "the answer is there", |m| {
                m.iter()
                    .any(|m| pieces(&m.text) == 30 && m.buttons.is_empty())
            })
            .await;
        assert_eq!(shown.len(), 1);
        assert!(shown[0].history.len() > 2, "it was edited as it grew");
    }
    assert_eq!(world.api.view(|v| v.count_of("sendMessageDraft")), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_drafts_own_button_stops_the_answer() {
    let world = world("").await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_text(USER, "slow 20 x2000");
    let shown = draft(&world, "the answer begins", |d| pieces(&d.text) > 1).await;
    // What is not this person's draft stops nothing: one of another chat, one that never was, one of a topic.
    ada.send_text(ADMIN, "say hello");
    world.wait_shows(ADMIN, "hello").await;
    ada.stop_draft_stale(shown.draft_id, None);
    ada.stop_draft_stale(999_999, None);
    uma.stop_draft_stale(shown.draft_id, Some(5));
    uma.stop_draft_stale(-1, None);
    world.api.user(666, "Mallory").send_text(666, "hi");
    world
        .api
        .user(666, "Mallory")
        .stop_draft_stale(shown.draft_id, None);
    wait_until(
        "all of these are taken",
        || {
            let taken = "SELECT count(*) FROM inbox WHERE verdict IN ('ignored', 'refused')";
            world.query(taken) == Some(6)
        },
        || world.log(),
    )
    .await;
    let further = pieces(&shown.text) + 20;
    draft(&world, "it goes on", |d| pieces(&d.text) >= further).await;

    assert_eq!(uma.stop_draft(None), Ok(shown.draft_id));
    let there = world
        .wait_chat(USER, "it is interrupted", interrupted)
        .await;
    assert_eq!(texts(&there).len(), 1, "{:#?}", texts(&there));
    assert!(pieces(&there[0].text) >= further && there[0].buttons.is_empty());
    let audited = format!(
        "SELECT count(*) FROM audit WHERE action = 'interrupt' AND who = 'telegram:{USER}' AND target = 'turn {}'",
        shown.draft_id
    );
    assert_eq!(world.query(&audited), Some(1));
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE action = 'interrupt'"),
        Some(1)
    );
    // An old one does no harm, whatever runs meanwhile.
    uma.send_text(USER, "slow 20 x60");
    draft(&world, "the next begins", |d| {
        d.draft_id != shown.draft_id && pieces(&d.text) > 0
    })
    .await;
    uma.stop_draft_stale(shown.draft_id, None);
    world
        .wait_chat(USER, "the next is whole", |m| {
            m.iter().any(|m| pieces(&m.text) == 60)
        })
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn without_the_button_a_command_stops_it() {
    let world = world("stop_button = false\n").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 20 x2000");
    let shown = draft(&world, "the answer begins", |d| pieces(&d.text) > 1).await;
    assert!(!shown.can_stop);
    assert!(user.stop_draft(None).is_err());
    user.send_text(USER, "/interrupt");
    let there = world
        .wait_chat(USER, "it is interrupted", interrupted)
        .await;
    assert_eq!(texts(&there).len(), 2, "{:#?}", texts(&there));
    assert_eq!(texts(&there)[0], "Stopping…");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_in_mid_answer_goes_on_and_answers_once() {
    let world = world("").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 20 x150");
    let before = draft(&world, "the answer begins", |d| pieces(&d.text) > 3).await;
    daemon.kill();
    let daemon = world.start();
    let known = pieces(&before.text);
    let after = draft(&world, "the draft goes on", |d| pieces(&d.text) > known + 5).await;
    assert_eq!(after.draft_id, before.draft_id);
    daemon.kill();
    // Over while nobody is there: the next life finds it whole.
    wait_until(
        "the agent has ended its answer alone",
        || world.evidence().reached().iter().any(|r| r.answered == 1),
        || world.log(),
    )
    .await;
    let daemon = world.start();
    let shown = world
        .wait_chat(USER, "the answer is there", |m| {
            m.iter().any(|m| pieces(&m.text) == 150)
        })
        .await;
    assert_eq!(talk(&shown).len(), 1, "{:#?}", texts(&shown));
    assert!(!talk(&shown)[0].contains("may be a repeat"));
    assert_eq!(world.evidence().reached()[0].times, 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_telegram_refuses_is_shown_in_messages() {
    let too_many = FaultKind::TooManyRequests {
        retry_after: 3600,
        parameters: true,
        header: false,
    };
    // At once, and in mid-answer.
    for (kind, before) in [
        (
            FaultKind::refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID"),
            0,
        ),
        (FaultKind::refused(404, "Not Found: method not found"), 0),
        (too_many, 0),
        (
            FaultKind::refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID"),
            4,
        ),
    ] {
        let world = world("").await;
        let daemon = world.start();
        let user = world.api.user(USER, "Uma");
        let what = format!("{kind:?}");
        if before == 0 {
            world
                .api
                .fault(Fault::always("sendMessageDraft", kind.clone()));
        }
        user.send_text(USER, "slow 20 x100");
        if before > 0 {
            draft(&world, "the answer begins", |d| pieces(&d.text) >= before).await;
            world.api.fault(Fault::always("sendMessageDraft", kind));
        }
        let running = world
            .wait_chat(USER, "it is a message", |m| {
                m.iter().any(|m| !m.buttons.is_empty())
            })
            .await;
        assert_eq!(running[0].buttons[0][0].text, "Stop", "{what}");
        let shown = world
            .wait_chat(USER, "the answer is there", |m| {
                m.iter()
                    .any(|m| pieces(&m.text) == 100 && m.buttons.is_empty())
            })
            .await;
        assert_eq!(texts(&shown).len(), 1, "{what}: {:#?}", texts(&shown));
        assert!(shown[0].history.len() > 2, "{what}: it was edited");
        let tried = world.api.view(|v| v.drafts(USER).len());
        assert_eq!(
            world.api.view(|v| v.count_of("sendMessageDraft")),
            tried + 1,
            "{what}: once was enough"
        );
        daemon.stop().await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_questions() {
    let world = world("").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 20 x150");
    draft(&world, "the first runs", |d| pieces(&d.text) > 1).await;
    user.send_text(USER, "slow 20 x80");
    let waits = world.wait_shows(USER, "In line: number 2.").await;
    draft(&world, "the draft is there again", |d| d.at >= waits[0].at).await;
    // What said that it waits goes when it begins, and its answer comes below the other's.
    let second = draft(&world, "the second begins", |d| {
        d.draft_id > 1 && pieces(&d.text) > 0
    })
    .await;
    assert!(pieces(&second.text) < 80, "{second:?}");
    let shown = world
        .wait_chat(USER, "both are over", |m| {
            m.iter().any(|m| pieces(&m.text) == 80)
        })
        .await;
    let counts: Vec<_> = shown.iter().map(|m| pieces(&m.text)).collect();
    assert_eq!(counts, [150, 80], "{:#?}", texts(&shown));
    assert!(shown.iter().all(|m| m.history.len() == 1));
    // Its own stop keeps what waits, as the button of a message does.
    user.send_text(USER, "slow 20 x2000");
    draft(&world, "the third runs", |d| {
        d.draft_id > second.draft_id && pieces(&d.text) > 0
    })
    .await;
    user.send_text(USER, "say fourth");
    world.wait_shows(USER, "In line: number 2.").await;
    wait_until(
        "the draft is there again",
        || user.stop_draft(None).is_ok(),
        || world.log(),
    )
    .await;
    world
        .wait_chat(USER, "it is interrupted", interrupted)
        .await;
    world
        .wait_told(USER, "1 message is kept and waits for your word")
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_question_in_mid_answer_leaves_the_draft() {
    let world = world("").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "ask");
    let shown = world
        .wait_chat(USER, "the question is there", |m| {
            m.iter().any(|m| m.text.starts_with("May the agent use"))
        })
        .await;
    let asked = shown[0].clone();
    let waits = draft(&world, "the draft says that it waits", |d| {
        d.text.contains("Waiting for your approval")
    })
    .await;
    assert!(
        waits.text.contains("I should like to make a file."),
        "{waits:?}"
    );
    let data = asked.buttons[0][0].data.clone().unwrap();
    user.press(USER, asked.message_id, &data).unwrap();
    let shown = world.wait_told(USER, "allowed").await;
    assert_eq!(texts(&shown).len(), 2, "{:#?}", texts(&shown));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn of_a_long_answer_the_draft_shows_the_end() {
    let world = world("").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 4 x1000");
    let long = draft(&world, "it is too long for one", |d| {
        d.text.starts_with("…\n") && d.text.contains("piece 00700")
    })
    .await;
    let units = long.text.encode_utf16().count();
    assert!((3000..=4096).contains(&units), "{units}");
    let shown = world
        .wait_chat(USER, "the answer is there", |m| {
            m.iter().map(|m| pieces(&m.text)).sum::<usize>() == 1000
        })
        .await;
    assert_eq!(texts(&shown).len(), 3);
    assert!(shown.iter().all(|m| m.history.len() == 1));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn it_can_be_switched_while_an_answer_is_written() {
    let world = world("").await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_text(USER, "slow 20 x200");
    draft(&world, "the answer begins", |d| pieces(&d.text) > 1).await;
    ada.send_text(ADMIN, "/config features.drafts off");
    let shown = world
        .wait_chat(USER, "it goes on as a message", |m| {
            m.iter()
                .any(|m| !m.buttons.is_empty() && pieces(&m.text) > 1)
        })
        .await;
    assert_eq!(texts(&shown).len(), 1);
    ada.send_text(ADMIN, "/config features.drafts on");
    world.wait_told(ADMIN, "features.drafts = true").await;
    let drafts = world.api.view(|v| v.drafts(USER).len());
    let shown = world
        .wait_chat(USER, "the answer is there", |m| {
            m.iter()
                .any(|m| pieces(&m.text) == 200 && m.buttons.is_empty())
        })
        .await;
    assert_eq!(texts(&shown).len(), 1);
    assert_eq!(
        world.api.view(|v| v.drafts(USER).len()),
        drafts,
        "a message that is there stays what it is"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_collected_or_waits_for_a_file_has_a_message_until_it_begins() {
    let on = format!("drafts = [{USER}]\n\n[batching]\nfirst_ms = 300\nidle_ms = 300");
    let world = World::with(Config::default(), &fast(&on)).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // One that came alone.
    user.send_text(USER, "slow 20 x80");
    draft(&world, "the answer begins", |d| pieces(&d.text) > 0).await;
    let shown = world
        .wait_chat(USER, "the answer is there", |m| {
            m.iter().any(|m| pieces(&m.text) == 80)
        })
        .await;
    assert_eq!((shown.len(), shown[0].history.len()), (1, 1));
    // Several: what said so goes.
    user.send_text(USER, "one");
    user.send_text(USER, "two");
    world.wait_told(USER, "Collecting").await;
    let shown = world
        .wait_chat(USER, "they are answered", |m| {
            m.iter().any(|m| m.text.contains("echo: one")) && m.len() == 2
        })
        .await;
    assert_eq!(shown[1].history.len(), 1);
    // One whose file is still on its way.
    let hang = world
        .api
        .fault(Fault::once("file", FaultKind::Hang { taken: false }));
    user.send_document(USER, "a.txt", "text/plain", "content", "say got it");
    world.wait_shows(USER, "Fetching your file…").await;
    world.api.cancel_fault(hang);
    let shown = world
        .wait_chat(USER, "it is answered", |m| {
            m.iter().any(|m| m.text.contains("got it")) && m.len() == 3
        })
        .await;
    assert_eq!(shown[2].history.len(), 1);
    daemon.stop().await;
    world.end_all().await;
}
