//! Networks that fail, daemons that die, files that are slow.

use std::{fs, time::Duration};

use telexd_botapi::{Fault, FaultKind, ShownMessage};

use super::{kept, path_in, prompts};
use crate::support::{ADMIN, USER, World, talk, wait_until};

#[tokio::test]
async fn what_fails_on_the_way_is_fetched_again() {
    let content = "0123456789".repeat(5000);
    for (method, kind) in [
        ("getFile", FaultKind::ResetAfter),
        ("getFile", FaultKind::Html(502)),
        ("file", FaultKind::TruncatedBody),
        ("file", FaultKind::ResetBefore),
        // The link is no longer good: another one is asked for.
        ("file", FaultKind::refused(404, "Not Found")),
    ] {
        let world = World::new().await;
        world.api.fault(Fault::once(method, kind.clone()));
        let daemon = world.start();
        world.api.user(USER, "Uma").send_document(
            USER,
            "a.txt",
            "text/plain",
            content.clone(),
            "@fake say had",
        );
        world.wait_shows(USER, "had").await;
        let given = prompts(&world);
        assert_eq!(given.len(), 1, "{kind:?}");
        let path = path_in(&given[0]);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(kept(&world), [path]);
        assert!(
            world.log().contains("fetching a file failed"),
            "{}",
            world.log()
        );
        let secret = world.api.token().split_once(':').unwrap().1.to_owned();
        assert!(!world.log().contains(&secret));
        daemon.stop().await;
        world.end_all().await;
    }
}

/// Waits for the answer, which may carry the mark of a possible repeat.
async fn had(world: &World) {
    let done = |m: &ShownMessage| m.text.ends_with("had") && m.buttons.is_empty();
    world
        .wait_chat(USER, "the answer is there", |m| m.iter().any(done))
        .await;
}

#[tokio::test]
async fn telegrams_wait_is_obeyed() {
    let world = World::new().await;
    let wait = FaultKind::TooManyRequests {
        retry_after: 2,
        parameters: true,
        header: false,
    };
    world.api.fault(Fault::once("getFile", wait));
    let daemon = world.start();
    world
        .api
        .user(USER, "Uma")
        .send_document(USER, "a.txt", "text/plain", "x", "@fake say had");
    world.wait_shows(USER, "had").await;
    let asked: Vec<i64> = world
        .api
        .calls()
        .into_iter()
        .filter(|call| call.method == "getFile")
        .map(|call| call.at)
        .collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[1] - asked[0] >= 2000, "{asked:?}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_file_that_hangs_holds_up_its_own_conversation_alone() {
    let world = World::new().await;
    let hang = world
        .api
        .fault(Fault::once("file", FaultKind::Hang { taken: true }));
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_document(USER, "a.txt", "text/plain", "slow", "@fake say file");
    wait_until(
        "it hangs",
        || world.api.calls().iter().any(|call| call.method == "file"),
        || world.log(),
    )
    .await;
    let waits = world.wait_shows(USER, "Fetching your file…").await;
    assert_eq!(waits[0].buttons[0][0].text, "Stop");
    user.send_text(USER, "say after");
    let other = world.api.user(ADMIN, "Ada");
    for n in 0..5 {
        other.send_document(
            ADMIN,
            "b.txt",
            "text/plain",
            "quick",
            &format!("@fake say quick {n}"),
        );
        world.wait_shows(ADMIN, &format!("quick {n}")).await;
    }
    // A command waits for nothing.
    user.send_text(USER, "/status");
    world.wait_told(USER, "2 messages in line").await;
    assert_eq!(prompts(&world).len(), 5);
    world.api.cancel_fault(hang);
    world.wait_shows(USER, "after").await;
    // In the order in which they came.
    let given = prompts(&world);
    let at = |what: &str| given.iter().position(|p| p.starts_with(what)).unwrap();
    assert!(at("@fake say file") < at("say after"), "{given:#?}");
    assert_eq!(given.len(), 7);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_it_fetches_fetches_again() {
    let world = World::new().await;
    let hang = world
        .api
        .fault(Fault::once("file", FaultKind::Hang { taken: true }));
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_document(USER, "a.txt", "text/plain", "content", "@fake say had");
    let begun = || {
        kept(&world)
            .iter()
            .any(|path| path.to_string_lossy().contains(".new-"))
    };
    wait_until("the file is begun", begun, || world.log()).await;
    daemon.kill();
    world.api.cancel_fault(hang);
    assert!(prompts(&world).is_empty());
    let daemon = world.start();
    had(&world).await;
    let given = prompts(&world);
    assert_eq!(given.len(), 1);
    assert_eq!(kept(&world), [path_in(&given[0])]);
    daemon.stop().await;
    world.end_all().await;
}

/// Killed at each point of the way of a file: it is had, once, and the prompt is given once.
#[tokio::test]
async fn a_daemon_that_is_killed_anywhere_loses_no_file() {
    for point in [
        "dispatch-before-commit",
        "dispatch-after-commit",
        "file-fetched",
        "file-before-commit",
        "file-after-commit",
        "lane-submitted",
        "lane-appended",
    ] {
        let world = World::new().await;
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", &format!("{point}:1"))]);
        let user = world.api.user(USER, "Uma");
        user.send_document(USER, "a.txt", "text/plain", point, "@fake say had");
        daemon.wait().await;
        let daemon = world.start();
        had(&world).await;
        let given = prompts(&world);
        assert_eq!(given.len(), 1, "{point}: {given:#?}");
        let path = path_in(&given[0]);
        assert_eq!(fs::read_to_string(&path).unwrap(), point);
        assert_eq!(kept(&world), [path], "{point}");
        // What was on its way to Telegram when it died may be there a second time, with its mark; the answer is not.
        let mut shown = talk(&world.api.view(|v| v.bot_messages(USER)));
        shown.retain(|text| text.ends_with("had"));
        assert_eq!(shown.len(), 1, "{point}: {shown:#?}");
        daemon.stop().await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn a_stop_while_a_file_is_fetched_is_quick() {
    let world = World::new().await;
    world
        .api
        .fault(Fault::once("file", FaultKind::Hang { taken: true }));
    let daemon = world.start();
    world
        .api
        .user(USER, "Uma")
        .send_document(USER, "a.txt", "text/plain", "x", "@fake say had");
    let asked = || world.api.calls().iter().any(|call| call.method == "file");
    wait_until("it hangs", asked, || world.log()).await;
    assert!(daemon.stop().await < Duration::from_secs(4));
    let daemon = world.start();
    world.wait_shows(USER, "had").await;
    daemon.stop().await;
    world.end_all().await;
}
