//! Answers that do not get through at once.

use telexd_botapi::{Fault, FaultKind};

use crate::{
    rig::wait_long,
    support::{ADMIN, MARK, USER, World, texts, wait_until},
};

/// An answer that is edited for sure: one that comes at once may be there before its placeholder is sent.
const SLOWLY: &str = "slow 30 x20";
/// Its end.
const SAID: &str = "piece 00020";

/// A fault of one call to the user's chat.
fn fault(method: &str, kind: FaultKind) -> Fault {
    Fault::once(method, kind).when(|call| call.params["chat_id"].as_i64() == Some(USER))
}

#[tokio::test]
async fn a_long_wait_that_telegram_asks_for_outlives_the_daemon_and_holds_up_nobody_else() {
    let world = World::new().await;
    let daemon = world.start();
    let too_many = FaultKind::TooManyRequests {
        retry_after: 6,
        parameters: true,
        header: false,
    };
    world.api.fault(fault("sendMessage", too_many));
    world.api.user(USER, "Uma").send_text(USER, "say patient");
    wait_until(
        "it was refused",
        || world.api.view(|v| v.faults_struck()) == 1,
        || world.log(),
    )
    .await;
    let refused_at = world.writes(USER)[0].at;
    wait_until(
        "the wait is stored",
        || {
            world.query("SELECT count(*) FROM rate_limits WHERE scope NOT LIKE 'prompt:%'")
                == Some(1)
        },
        || world.log(),
    )
    .await;
    daemon.kill();
    let daemon = world.start();
    world.says(ADMIN, "quick").await;
    world.wait_shows(USER, "patient").await;
    let writes = world.writes(USER);
    assert!(
        writes[1].at >= refused_at + 6_000,
        "{} ms after",
        writes[1].at - refused_at
    );
    let quick = world.writes(ADMIN)[0].at;
    assert!(quick < writes[1].at, "the other chat did not wait");
    // Nothing was ambiguous in it, so nothing is marked, and there is one message.
    assert_eq!(
        texts(&world.api.view(|v| v.bot_messages(USER))),
        ["patient"]
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn sends_of_which_nobody_knows_whether_they_arrived_go_again_with_a_mark() {
    for (kind, arrived) in [
        (FaultKind::Html(502), false),
        (FaultKind::ResetBefore, false),
        (FaultKind::ResetAfter, true),
        (FaultKind::TruncatedBody, true),
    ] {
        let world = World::new().await;
        let daemon = world.start();
        // The greeting is never edited, so that both messages stay as they were sent.
        world.api.fault(fault("sendMessage", kind.clone()));
        world.api.user(USER, "Uma").send_text(USER, "/help");
        let marked = |t: &String| t.starts_with(MARK);
        let shown = world
            .wait_chat(USER, "the repeat is there", |m| texts(m).iter().any(marked))
            .await;
        let shown = texts(&shown);
        assert_eq!(
            shown.len(),
            if arrived { 2 } else { 1 },
            "{kind:?}: {shown:#?}"
        );
        assert_eq!(shown.iter().filter(|t| marked(t)).count(), 1);
        if arrived {
            assert_eq!(shown[1].strip_prefix(MARK).unwrap().trim_start(), shown[0]);
        }
        assert_eq!(
            world.logged("may or may not have been sent"),
            1,
            "{}",
            world.log()
        );
        // The row tells both facts.
        let sql = "SELECT count(*) FROM outbox WHERE ambiguous > 0 AND state = 'done'";
        wait_until(
            "it is recorded",
            || world.query(sql) == Some(1),
            || world.log(),
        )
        .await;
        daemon.stop().await;
    }
}

#[tokio::test]
async fn edits_that_fail_are_simply_made_again() {
    for kind in [
        FaultKind::Html(500),
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
        FaultKind::TruncatedBody,
    ] {
        let world = World::new().await;
        let daemon = world.start();
        world.api.fault(fault("editMessageText", kind.clone()));
        world.api.user(USER, "Uma").send_text(USER, SLOWLY);
        let shown = world.wait_told(USER, SAID).await;
        assert_eq!(world.api.view(|v| v.faults_struck()), 1, "{kind:?}");
        assert_eq!(shown.len(), 1, "{kind:?}: {:?}", texts(&shown));
        daemon.stop().await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn refusals_without_a_deadline_and_an_answer_whose_message_is_gone() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // Telegram's 429 without parameters names the wait in its text only.
    let bare = FaultKind::TooManyRequests {
        retry_after: 1,
        parameters: false,
        header: false,
    };
    world.api.fault(fault("editMessageText", bare));
    user.send_text(USER, SLOWLY);
    world.wait_told(USER, SAID).await;
    assert_eq!(world.api.view(|v| v.faults_struck()), 1);
    // Deleted by the person while the agent works: the answer comes as a new message.
    user.send_text(USER, "slow 30 x40");
    let shown = world
        .wait_chat(USER, "the answer has begun", |m| {
            m.len() == 2 && m[1].text.contains("piece 00002")
        })
        .await;
    user.delete(USER, shown.last().unwrap().message_id);
    world
        .wait_chat(USER, "the whole answer is there", |m| {
            m.len() == 2 && m[1].text.contains("piece 00040") && m[1].buttons.is_empty()
        })
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn somebody_who_blocks_the_bot_disturbs_nobody_and_may_come_back() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 20 x60");
    world
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    user.block_bot();
    world.wait_log("bot was blocked by the user").await;
    world.says(ADMIN, "undisturbed").await;
    wait_until(
        "the agent has ended",
        || {
            world
                .evidence()
                .reached()
                .iter()
                .any(|r| r.text.starts_with("slow") && r.answered == 1)
        },
        || world.log(),
    )
    .await;
    user.unblock_bot();
    world.says(USER, "back").await;
    assert_eq!(world.logged("token"), 0, "{}", world.log());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_server_that_fails_for_a_while_gets_everything_in_the_end() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(USER, "before").await;
    let failing = world
        .api
        .fault(Fault::always("editMessageText", FaultKind::Html(502)));
    world.api.user(USER, "Uma").send_text(USER, SLOWLY);
    wait_until(
        "it failed twice",
        || world.api.view(|v| v.faults_struck()) >= 2,
        || world.log(),
    )
    .await;
    world.api.cancel_fault(failing);
    let shown = || world.api.view(|v| v.bot_messages(USER));
    let done = || shown().iter().any(|m| m.text.contains(SAID));
    wait_long("the answer is there", done, || world.log()).await;
    assert_eq!(shown().len(), 2, "{:?}", texts(&shown()));
    daemon.stop().await;
    world.end_all().await;
}
