//! What becomes of files.

use std::fs;

use telexd_botapi::{Fault, FaultKind, Outgoing};

use super::{kept, mode, path_in, prompts};
use crate::support::{ADMIN, USER, World, wait_until};

#[tokio::test]
async fn a_document_is_kept_and_told_by_its_path() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_document(
        USER,
        "Plan (2).pdf",
        "application/pdf",
        "%PDF content",
        "@fake say read",
    );
    world.wait_shows(USER, "read").await;
    let given = prompts(&world);
    assert_eq!(given.len(), 1);
    let path = path_in(&given[0]);
    assert_eq!(
        given[0],
        format!(
            "@fake say read\n\n[A file was sent with this message:\n- {} (document, application/pdf, 12 bytes)]",
            path.display()
        )
    );
    assert!(path.ends_with("1-Plan_2_.pdf"), "{}", path.display());
    assert_eq!(fs::read(&path).unwrap(), b"%PDF content");
    assert_eq!(kept(&world), std::slice::from_ref(&path));
    // Whoever is led there may read it, and nobody is but by the daemon.
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755));
    assert_eq!(mode(&world.path("state/files")), 0o700);
    let secret = world.api.token().split_once(':').unwrap().1.to_owned();
    assert!(!world.log().contains(&secret));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn each_kind_is_taken_and_the_file_alone_is_a_prompt() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    for (n, kind) in ["video", "video_note", "audio", "animation"]
        .into_iter()
        .enumerate()
    {
        user.send(USER, Outgoing::file(kind, None, format!("bytes of {kind}")));
        wait_until("it is given", || prompts(&world).len() > n, || world.log()).await;
        let given = prompts(&world);
        let path = path_in(&given[n]);
        assert!(given[n].starts_with("[A file was sent"), "{}", given[n]);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("bytes of {kind}")
        );
    }
    // A sticker is no file to an agent, and a place is none at all.
    user.send(USER, Outgoing::file("sticker", None, "x"));
    world.wait_told(USER, "I cannot pass that on: I take").await;
    assert_eq!(prompts(&world).len(), 4);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_path_of_the_server_that_is_not_to_be_read_is_told_as_such() {
    let world = World::new().await;
    let daemon = world.start_ready().await;
    let user = world.api.user(USER, "Uma");
    // As a Bot API server with --local answers one that was not told of its folder.
    world.api.fault(Fault::once(
        "getFile",
        FaultKind::Answer {
            status: 200,
            content_type: "application/json".to_owned(),
            body: r#"{"ok":true,"result":{"file_id":"f","file_unique_id":"u","file_path":"/etc/hostname"}}"#
                .into(),
        },
    ));
    user.send_document(USER, "a.txt", "text/plain", "content", "@fake say one");
    world.wait_shows(USER, "one").await;
    world.wait_told(USER, "I may not read that file").await;
    assert!(
        world.log().contains("telegram.local_files"),
        "{}",
        world.log()
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn odd_names_lead_nowhere() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let long = "x".repeat(5000);
    let names = [
        "../../x",
        "/etc/passwd",
        "-rf",
        ".bashrc",
        "a\nb\u{1b}[31m",
        "\u{202e}fdp.exe",
        "",
        &long,
    ];
    for (n, name) in names.into_iter().enumerate() {
        user.send_document(USER, name, "not a type\n", format!("content {n}"), "");
        wait_until("it is given", || prompts(&world).len() > n, || world.log()).await;
    }
    let (given, files) = (prompts(&world), kept(&world));
    assert_eq!((given.len(), files.len()), (names.len(), names.len()));
    for (n, prompt) in given.iter().enumerate() {
        let path = path_in(prompt);
        assert!(files.contains(&path), "{prompt}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("content {n}"));
        // The frame, and one line for the file, whatever it is called.
        assert_eq!(prompt.lines().count(), 2, "{prompt}");
        assert!(!prompt.contains("not a type"), "{prompt}");
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn bad_files_are_told_of_and_the_text_goes_on() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // Announced: nothing is asked of Telegram.
    user.send(
        USER,
        Outgoing::claimed_document("big.iso", "application/x-iso", 3_000_000_000)
            .caption("@fake say one"),
    );
    world.wait_shows(USER, "one").await;
    world
        .wait_told(
            USER,
            "too large: Telegram lets bots take files of up to 20 MB",
        )
        .await;
    user.send_document(USER, "none.txt", "text/plain", "", "@fake say two");
    world.wait_shows(USER, "two").await;
    world.wait_told(USER, "empty (0 bytes)").await;
    let asked = |method: &str| {
        world
            .api
            .calls()
            .iter()
            .filter(|c| c.method == method)
            .count()
    };
    assert_eq!(asked("getFile"), 0);
    // Alone it is no prompt.
    user.send_document(USER, "none.txt", "text/plain", "", "");
    // Telegram says so itself.
    world.api.fault(Fault::once(
        "getFile",
        FaultKind::refused(400, "Bad Request: file is too big"),
    ));
    user.send_document(USER, "c.bin", "x/y", "content", "@fake say three");
    world.wait_shows(USER, "three").await;
    world.api.fault(Fault::once(
        "getFile",
        FaultKind::refused(
            400,
            "Bad Request: wrong file_id or the file is temporarily unavailable",
        ),
    ));
    user.send_document(USER, "d.bin", "x/y", "content", "@fake say four");
    world.wait_shows(USER, "four").await;
    world.wait_told(USER, "no longer has that file").await;
    let given = prompts(&world);
    assert_eq!(given.len(), 4, "{given:#?}");
    for (prompt, why) in given.iter().zip([
        "larger than 20 MB",
        "it is empty",
        "larger than 20 MB",
        "no longer had it",
    ]) {
        assert!(
            prompt.contains("not available, ") && prompt.contains(why),
            "{prompt}"
        );
    }
    assert!(kept(&world).is_empty());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn with_files_off_the_text_still_goes() {
    let world = World::new().await;
    world.drop_in("20-off", &format!("[features]\nfiles = [{ADMIN}]\n"));
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_document(USER, "a.txt", "text/plain", "content", "say read");
    world.wait_shows(USER, "read").await;
    world.wait_told(USER, "so I passed on your text only").await;
    user.send_photo(USER, "content", "");
    world.wait_told(USER, "I do not take files here").await;
    assert_eq!(prompts(&world), ["say read"]);
    assert!(
        world
            .api
            .calls()
            .iter()
            .all(|call| call.method != "getFile")
    );
    // On for somebody else.
    world.api.user(ADMIN, "Ada").send_document(
        ADMIN,
        "a.txt",
        "text/plain",
        "content",
        "@fake say taken",
    );
    world.wait_shows(ADMIN, "taken").await;
    assert_eq!(kept(&world).len(), 1);
    daemon.stop().await;
    world.end_all().await;
}
