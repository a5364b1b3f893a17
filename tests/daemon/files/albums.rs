//! Albums: one prompt, whatever comes between their parts and whichever of them are bad.

use std::fs;

use telexd_botapi::{Config, Fault, FaultKind, Outgoing};

use super::{kept, prompts};
use crate::support::{ADMIN, FAST, USER, World, talk, texts, wait_until};

/// A world where nothing is collected but what belongs together, for which this long is waited, in milliseconds.
async fn apart(parts_ms: u32) -> World {
    let batching = format!("[batching]\nparts_ms = {parts_ms}\n\n{FAST}");
    World::with(Config::default(), &batching).await
}

fn text(name: &str) -> Outgoing {
    Outgoing::document(&format!("{name}.txt"), "text/plain", name.to_owned())
}

/// Names of the files that a prompt lists, in order; those that are missing with a dash.
fn listed(prompt: &str) -> Vec<String> {
    let lines = prompt.split("\n- ").skip(1);
    lines
        .map(|line| match line.split_once(": not available") {
            Some((name, _)) => format!("-{}", &name[name.len() - 5..]),
            None => {
                let path = line.split(" (").next().unwrap();
                path[path.len() - 5..].to_owned()
            }
        })
        .collect()
}

/// Waits until so many prompts are given.
async fn given(world: &World, count: usize) -> Vec<String> {
    wait_until(
        &format!("{count} prompts are given"),
        || prompts(world).len() >= count,
        || world.log(),
    )
    .await;
    prompts(world)
}

const PARTS: &str = "SELECT count(*) FROM turn_parts";

#[tokio::test]
async fn an_album_is_one_prompt_also_where_nothing_is_collected() {
    let world = apart(1_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let parts = vec![
        text("a").caption("@fake say album"),
        text("b"),
        // Some apps give each part the caption of all.
        text("c").caption("@fake say album"),
    ];
    user.send_album(USER, parts);
    world.wait_shows(USER, "album").await;
    let given = prompts(&world);
    assert_eq!(given.len(), 1, "{given:#?}");
    assert!(
        given[0].starts_with("@fake say album\n\n[Files were sent with this message:\n- "),
        "{}",
        given[0]
    );
    assert_eq!(listed(&given[0]), ["a.txt", "b.txt", "c.txt"]);
    assert_eq!(kept(&world).len(), 3);
    // No word of collecting where nothing is.
    let shown = world.api.view(|v| v.bot_messages(USER));
    assert!(shown.iter().all(|m| {
        m.history
            .iter()
            .all(|version| !version.text.contains("Collecting"))
    }));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_comes_between_is_another_prompt_and_a_late_part_is_still_taken() {
    let world = apart(10_000).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // Its turn waits behind this one, so that nobody is in a hurry.
    user.send_text(USER, "slow 20 x100");
    world.wait_told(USER, "piece 00001").await;
    user.send(USER, text("a").album("7").caption("@fake say album"));
    wait_until(
        "it is held",
        || world.query(PARTS) == Some(2),
        || world.log(),
    )
    .await;
    user.send_text(USER, "say between");
    user.send(USER, text("b").album("7"));
    user.send(USER, text("x").album("8").caption("@fake say other"));
    wait_until(
        "all is held",
        || world.query(PARTS) == Some(5),
        || world.log(),
    )
    .await;
    world.wait_shows(USER, "album").await;
    world.wait_shows(USER, "other").await;
    let given = prompts(&world);
    assert_eq!(given.len(), 4, "{given:#?}");
    assert_eq!(listed(&given[1]), ["a.txt", "b.txt"]);
    assert_eq!(given[2], "say between");
    assert_eq!(listed(&given[3]), ["x.txt"]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn bad_parts_are_told_of_once_and_the_rest_goes_on() {
    let collected = "[batching]\nfirst_ms = 500\nidle_ms = 500\nmax_ms = 5000\n\n[delivery]\nchat_interval_ms = 5\n";
    for world in [
        apart(500).await,
        World::with(Config::default(), collected).await,
    ] {
        // Known at once: too large, empty. Found out: Telegram does not have it, and it has no content after all.
        let gone = FaultKind::refused(
            400,
            "Bad Request: wrong file_id or the file is temporarily unavailable",
        );
        let hollow = Fault::once("getFile", gone).when(|call| {
            call.params["file_id"]
                .as_str()
                .unwrap_or_default()
                .contains("00000004")
        });
        world.api.fault(hollow);
        let daemon = world.start();
        let user = world.api.user(USER, "Uma");
        let parts = vec![
            text("a").caption("@fake say album"),
            Outgoing::claimed_document("b.txt", "text/plain", 0),
            Outgoing::claimed_document("c.txt", "text/plain", 3_000_000_000),
            text("d"),
            text("e"),
        ];
        user.send_album(USER, parts);
        world.wait_shows(USER, "album").await;
        let told = world
            .wait_told(USER, "4. d.txt: Telegram no longer had it")
            .await;
        let told: Vec<_> = texts(&told)
            .into_iter()
            .filter(|text| text.contains('❌'))
            .collect();
        assert_eq!(
            told,
            [
                "❌ These parts of your album are not passed on; the rest is:\n2. b.txt: it is empty (0 bytes)\n\
              3. c.txt: it is larger than 20 MB, the most that Telegram gives out\n4. d.txt: Telegram no longer had it"
            ]
        );
        let given = prompts(&world);
        assert_eq!(given.len(), 1, "{given:#?}");
        assert_eq!(
            listed(&given[0]),
            ["a.txt", "-b.txt", "-c.txt", "-d.txt", "e.txt"]
        );
        daemon.stop().await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn where_nothing_is_left_nothing_is_run() {
    let world = apart(300).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let empty = |name| Outgoing::claimed_document(name, "text/plain", 0);
    user.send_album(USER, vec![empty("a.txt"), empty("b.txt")]);
    let shown = world
        .wait_told(USER, "Nothing of your album could be passed on")
        .await;
    assert_eq!(shown.len(), 1, "{shown:#?}");
    // The same of files that turn out to be nothing only when they are fetched.
    let gone = "Bad Request: wrong file_id or the file is temporarily unavailable";
    world
        .api
        .fault(Fault::always("getFile", FaultKind::refused(400, gone)));
    user.send_album(USER, vec![text("c"), text("d")]);
    let shown = world
        .wait_told(USER, "2. d.txt: Telegram no longer had it")
        .await;
    let nothing = |text: &String| text.starts_with("❌ Nothing of your album");
    wait_until(
        "both are told of as nothing",
        || {
            texts(&world.api.view(|v| v.bot_messages(USER)))
                .iter()
                .filter(|t| nothing(t))
                .count()
                == 2
        },
        || format!("{shown:#?}"),
    )
    .await;
    user.send(USER, text("e"));
    world
        .wait_told(USER, "Telegram no longer has that file")
        .await;
    world.api.clear_faults();
    world.says(USER, "word").await;
    assert_eq!(prompts(&world), ["say word"]);
    let left = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert!(left.iter().all(|text| text != "…"), "{left:#?}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn with_files_off_an_album_is_told_of_once_and_its_caption_goes() {
    let world = apart(300).await;
    world.drop_in(
        "20-off",
        &format!("[features]\nbatching = false\nfiles = [{ADMIN}]\n"),
    );
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_album(USER, vec![text("a").caption("@fake say read"), text("b")]);
    world.wait_shows(USER, "read").await;
    user.send_album(USER, vec![text("c"), text("d")]);
    world.wait_told(USER, "Nothing of your album").await;
    let shown = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(shown.len(), 3, "{shown:#?}");
    assert_eq!(prompts(&world).len(), 1);
    assert!(kept(&world).is_empty());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_old_album_is_asked_about_once() {
    let world = apart(300).await;
    let user = world.api.user(USER, "Uma");
    let old = |part: Outgoing| part.sent_ago_ms(20 * 60 * 1000);
    user.send_album(
        USER,
        vec![
            old(text("a").caption("@fake say album")),
            old(text("b")),
            old(text("c")),
        ],
    );
    user.send(USER, old(Outgoing::text("say alone")));
    let daemon = world.start();
    let shown = world.wait_told(USER, "say alone").await;
    assert_eq!(
        texts(&shown),
        [
            "Received 20 min ago while I was away: run it?\n\n@fake say album",
            "Received 20 min ago while I was away: run it?\n\nsay alone"
        ]
    );
    user.press_labelled(USER, shown[0].message_id, "Run")
        .unwrap();
    world.wait_shows(USER, "album").await;
    let given = prompts(&world);
    assert_eq!(listed(&given[0]), ["a.txt", "b.txt", "c.txt"]);
    assert_eq!(given.len(), 1);
    daemon.stop().await;
    world.end_all().await;
}

/// Killed at each point that the parts come by: one prompt, once, with all of them.
#[tokio::test]
async fn a_daemon_that_is_killed_between_the_parts_loses_none() {
    for (point, nth) in [
        ("intake-before-commit", 1),
        ("intake-after-commit", 1),
        ("dispatch-before-commit", 1),
        ("dispatch-before-commit", 3),
        ("dispatch-after-commit", 1),
        ("dispatch-after-commit", 2),
        ("dispatch-after-commit", 3),
        ("store-after-commit", 12),
        ("file-before-commit", 2),
        ("file-after-commit", 2),
        ("lane-launch", 1),
        ("lane-submitted", 1),
        ("lane-appended", 1),
    ] {
        let world = apart(400).await;
        let user = world.api.user(USER, "Uma");
        user.send_album(
            USER,
            vec![
                text("a").caption("@fake say album"),
                Outgoing::claimed_document("b.txt", "text/plain", 0),
                text("c"),
            ],
        );
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", &format!("{point}:{nth}"))]);
        daemon.wait().await;
        let daemon = world.start();
        let answered = |text: &str| text.ends_with("album");
        world
            .wait_chat(USER, "the answer is there", |m| {
                m.iter().any(|m| answered(&m.text) && m.buttons.is_empty())
            })
            .await;
        let given = given(&world, 1).await;
        assert_eq!(given.len(), 1, "{point}:{nth}: {given:#?}");
        assert_eq!(
            listed(&given[0]),
            ["a.txt", "-b.txt", "c.txt"],
            "{point}:{nth}"
        );
        for file in kept(&world) {
            assert_eq!(fs::read(&file).unwrap().len(), 1);
        }
        // What was on its way to Telegram when it died may be there twice, with its mark.
        world.wait_told(USER, "❌").await;
        let told = talk(&world.api.view(|v| v.bot_messages(USER)));
        let unmarked = |text: &&String| text.contains('❌') && !text.contains("(may be a repeat)");
        assert!(
            told.iter().filter(unmarked).count() <= 1,
            "{point}:{nth}: {told:#?}"
        );
        daemon.stop().await;
        world.end_all().await;
    }
}
