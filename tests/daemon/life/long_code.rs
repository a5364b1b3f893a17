//! Long code of an answer goes as a file: not lost, not doubled, in its place, whatever happens on the way.

use telexd_botapi::{Config, Fault, FaultKind, ShownMessage};

use crate::support::{ADMIN, FAST, USER, World, talk, wait_until};

const LINES: usize = 900;

/// An answer with code of so many lines in its middle.
fn prompt() -> String {
    prompt_in(0)
}

/// The same, with so many milliseconds between two of about fifty pieces of the code.
fn prompt_in(delay_ms: u64) -> String {
    let tool = r#""tool": "Bash", "input": {"command": "echo 1 "}"#;
    format!(
        "@fake [{{\"text\": \"Here is `src/main.rs`:\\n\\n```rust\\n// begins\", {tool}}},\
         {{\"text\": \"let value = compute_it(12345);\\n\", \"repeat\": {LINES}, \"chunk\": 600, \"delay_ms\": {delay_ms}, {tool}}},\
         {{\"text\": \"// ends\\n```\\n\\nThat is all of it.\"}}]"
    )
}

const TEXT: &str =
    "Here is src/main.rs:\n\nmain.rs: 904 lines, as a file below\n\nThat is all of it.";
const CAPTION: &str = "main.rs (904 lines)";

fn code() -> String {
    let lines = "let value = compute_it(12345);\n".repeat(LINES);
    format!("// begins\n\n{lines}\n// ends\n")
}

async fn world(more: &str) -> World {
    World::with(Config::default(), &format!("{FAST}\n[answers]\n{more}\n")).await
}

fn is_whole(m: &ShownMessage) -> bool {
    m.text == TEXT && m.buttons.is_empty()
}

fn files(messages: &[ShownMessage]) -> Vec<ShownMessage> {
    let there = messages.iter().filter(|m| m.file.is_some() && !m.deleted);
    there.cloned().collect()
}

async fn answered(world: &World, chat: i64) -> Vec<ShownMessage> {
    let shown = world
        .wait_chat(chat, "the answer and its file are there", |m| {
            m.iter().any(is_whole) && !files(m).is_empty()
        })
        .await;
    shown.into_iter().filter(|m| !m.deleted).collect()
}

fn content(world: &World, message: &ShownMessage) -> String {
    let bytes = world
        .api
        .file(&message.file.as_ref().unwrap().file_id)
        .unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn it_stands_below_its_answer_and_the_next_keeps_its_place() {
    let world = world("").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, &prompt_in(60));
    user.send_text(USER, "say next");
    // Before the answer and its file are there, the next has its place.
    let in_line = |m: &ShownMessage| m.history.iter().any(|v| v.text == "In line: number 2.");
    world
        .wait_chat(USER, "the second is in line", |m| m.iter().any(in_line))
        .await;
    world.wait_shows(USER, "next").await;
    let there = answered(&world, USER).await;
    let texts: Vec<&str> = there
        .iter()
        .filter(|m| m.from_bot)
        .map(|m| m.text.as_str())
        .collect();
    // The place of the second in line was there before the file.
    assert_eq!(texts, [TEXT, "next", CAPTION]);
    let file = files(&there)[0].clone();
    let sent = file.file.clone().unwrap();
    assert_eq!(
        (sent.kind.as_str(), sent.name.as_deref()),
        ("document", Some("main.rs"))
    );
    assert_eq!(content(&world, &file), code());
    // While it was written, nothing of it took a sixth message.
    let messages = world.api.view(|v| v.messages(USER));
    let of_bot = messages.iter().filter(|m| m.from_bot).count();
    assert!((3..=7).contains(&of_bot), "{of_bot}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_wants_no_files_gets_messages_and_so_does_a_chat_that_takes_none() {
    let world = world("file_after_messages = 0").await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_text(USER, &prompt());
    let ends = |m: &[ShownMessage]| m.iter().any(|m| m.text.ends_with("That is all of it."));
    let there = world.wait_chat(USER, "the answer is there", ends).await;
    assert!(there.iter().filter(|m| !m.deleted).count() >= 5 && files(&there).is_empty());
    // Changed while it runs; Telegram refuses.
    ada.send_text(ADMIN, "/config answers.file_after_messages 2");
    world.wait_told(ADMIN, "answers.file_after_messages").await;
    world.api.fault(Fault::always(
        "sendDocument",
        FaultKind::refused(
            400,
            "Bad Request: not enough rights to send documents to the chat",
        ),
    ));
    ada.send_text(ADMIN, &prompt());
    let there = world
        .wait_chat(ADMIN, "the code is there as messages", |m| {
            m.iter().any(|m| m.text == TEXT)
                && m.iter()
                    .any(|m| m.text.ends_with("// ends") && m.buttons.is_empty())
        })
        .await;
    let from = there
        .iter()
        .position(|m| m.text.starts_with("main.rs, 1 of "))
        .unwrap();
    let of = there.len() - from;
    let texts = there[from..].iter().enumerate().map(|(number, m)| {
        let line = format!("main.rs, {} of {of}\n", number + 1);
        m.text.strip_prefix(&line).expect(&m.text)
    });
    assert_eq!(texts.collect::<Vec<_>>().join("\n"), code().trim_end());
    daemon.stop().await;
    world.end_all().await;
}

/// Killed when the file is about to go, when Telegram has it, and when that is recorded.
#[tokio::test]
async fn killed_on_its_way_it_is_not_lost_and_a_second_copy_says_so() {
    let mut seconds = 0;
    for (point, nth) in [
        ("outbox-claimed", 1),
        ("outbox-wire-done", 1),
        ("outbox-wire-done", 2),
        ("outbox-recorded", 1),
        ("outbox-recorded", 2),
    ] {
        let world = world("").await;
        let daemon = world.start();
        // The file is held back, and with it what comes after.
        let flood = FaultKind::TooManyRequests {
            retry_after: 1,
            parameters: true,
            header: true,
        };
        world.api.fault(Fault::once("sendDocument", flood));
        world.api.user(USER, "Uma").send_text(USER, &prompt());
        wait_until(
            "the file is held back",
            || {
                world.query("SELECT count(*) FROM rate_limits WHERE scope NOT LIKE 'prompt:%'")
                    == Some(1)
            },
            || world.log(),
        )
        .await;
        daemon.kill();
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", &format!("{point}:{nth}"))]);
        daemon.wait().await;
        drop(daemon);
        let daemon = world.start_ready().await;
        let there = answered(&world, USER).await;
        world.wait_sent().await;
        let files = files(&world.api.view(|v| v.bot_messages(USER)));
        for file in &files {
            assert_eq!(content(&world, file), code(), "{point} {nth}");
        }
        let plain = files.iter().filter(|m| m.text == CAPTION).count();
        let marked = files
            .iter()
            .filter(|m| m.text == format!("(may be a repeat)\n{CAPTION}"))
            .count();
        assert!(
            plain <= 1 && marked <= 1,
            "{point} {nth}: {:#?}",
            talk(&there)
        );
        assert_eq!(plain + marked, files.len());
        seconds += usize::from(files.len() == 2);
        daemon.stop().await;
        world.end_all().await;
    }
    assert!(
        seconds > 0,
        "none was killed between the wire and the record"
    );
}
