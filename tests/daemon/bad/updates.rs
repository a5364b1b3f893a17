//! Odd updates and odd messages.

use serde_json::json;
use telexd_botapi::Outgoing;

use crate::support::{USER, World, shows, texts, wait_until};

/// A message as Telegram would send it, with this as further fields (JSON, without braces). `id`: message id.
fn message(id: i64, fields: &str) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    format!(
        r#"{{"message_id":{id},"date":{now},"from":{{"id":{USER},"is_bot":false,"first_name":"Uma"}},"chat":{{"id":{USER},"type":"private","first_name":"Uma"}},{fields}}}"#
    )
}

fn update(id: i64, fields: &str) -> String {
    format!(r#"{{"message":{}}}"#, message(id, fields))
}

#[tokio::test]
async fn updates_of_unknown_kinds_and_unreadable_ones_are_kept_and_hold_up_nobody() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say before");
    for odd in [
        r#"{"dream_journal":{"pages":3}}"#,
        r#"{}"#,
        r#"{"message":5}"#,
        r#"{"message":{"text":"no chat"}}"#,
        r#"{"message":{"chat":{"id":"x"},"message_id":1}}"#,
        r#"{"callback_query":[]}"#,
        r#"{"my_chat_member":{"chat":null}}"#,
        r#"{"edited_message":{"message_id":1e999999,"chat":{"id":1002}}}"#,
    ] {
        world.api.inject(odd).unwrap();
    }
    // No id at all, one that is no number, one beyond any number: Telegram's library would be stuck for ever.
    world
        .api
        .inject_verbatim(900_000_200, r#"{"update_id":"twelve","dream":{}}"#)
        .unwrap();
    user.send_text(USER, "say after");
    world.wait_shows(USER, "after").await;
    assert_eq!(
        texts(&world.api.view(|v| v.bot_messages(USER))),
        ["before", "after"]
    );
    daemon.stop().await;
    let count = |verdict: &str| {
        world.query(&format!(
            "SELECT count(*) FROM inbox WHERE verdict = '{verdict}' AND done_at IS NOT NULL"
        ))
    };
    assert_eq!(
        count("unreadable"),
        Some(6),
        "kept, and marked as what they are"
    );
    assert_eq!(count("ignored"), Some(3));
    assert_eq!(count("prompt"), Some(2));
    assert_eq!(
        world.logged("cannot be read; it is kept"),
        6,
        "each is told once: {}",
        world.log()
    );
    assert_eq!(world.logged("could not be read"), 0, "{}", world.log());
    world.end_all().await;
}

#[tokio::test]
async fn an_update_of_64_kib_is_taken_whole() {
    let world = World::new().await;
    let daemon = world.start();
    let words: String = (0..6000).map(|n| format!("word{n:05} ")).collect();
    let text = format!("say {}", words.trim());
    let update = update(900, &format!(r#""text":"{text}""#));
    assert!(update.len() > 60_000 && update.len() < 64 * 1024);
    world.api.inject(&update).unwrap();
    let last = "word05999";
    let shown = world
        .wait_chat(USER, "all of the answer is there", |m| {
            m.last()
                .is_some_and(|m| m.text.ends_with(last) && m.buttons.is_empty())
        })
        .await;
    let together: Vec<String> = shown
        .iter()
        .flat_map(|m| m.text.split_whitespace().map(str::to_owned))
        .collect();
    assert_eq!(together, words.split_whitespace().collect::<Vec<_>>());
    assert!(shown.iter().all(|m| m.text.encode_utf16().count() <= 4096));
    assert_eq!(world.reached(&text), 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn half_surrogates_in_messages_and_in_answers_cost_one_character_only() {
    let world = World::new().await;
    let daemon = world.start();
    world
        .api
        .inject(&update(
            900,
            r#""text":"say left \ud83d right \ude00 whole \ud83d\ude00""#,
        ))
        .unwrap();
    world
        .wait_shows(USER, "left \u{fffd} right \u{fffd} whole 😀")
        .await;
    assert_eq!(
        world.reached("say left \u{fffd} right \u{fffd} whole 😀"),
        1
    );
    world
        .api
        .user(USER, "Uma")
        .send_text(USER, "say half a {surrogate} it is");
    world
        .wait_chat(USER, "the answer is there", |m| {
            m.iter().any(|m| {
                m.text.starts_with("half a ") && m.text.ends_with(" it is") && m.buttons.is_empty()
            })
        })
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn messages_without_words_are_answered_and_run_nothing() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let nothing = "That message has no text that I could pass on.";
    let no_file = "I cannot pass that on: I take texts, photos, documents, voice, audio and video.";
    let too_large = "❌ That file is too large: Telegram lets bots take files of up to 20 MB only.";
    let sticker = json!({"file_id": "CAAC", "file_unique_id": "x", "emoji": "👍", "width": 1, "height": 1, "type": "regular"});
    let mut wanted: Vec<&str> = Vec::new();
    for (message, answer) in [
        (Outgoing::text(""), nothing),
        (Outgoing::text(" \n\u{a0} "), nothing),
        (Outgoing::text("").with("sticker", sticker), no_file),
        (
            Outgoing::text("").with("location", json!({"latitude": 1.5, "longitude": 2.5})),
            no_file,
        ),
        (
            Outgoing::text("").with("hologram", json!({"of": "a kind from the future"})),
            no_file,
        ),
        (
            Outgoing::claimed_document("huge.iso", "application/octet-stream", 21 * 1024 * 1024),
            too_large,
        ),
    ] {
        user.send(USER, message);
        wanted.push(answer);
        world.wait_chat(USER, answer, |m| texts(m) == wanted).await;
    }
    assert_eq!(world.evidence().reached().len(), 0, "nothing was run");

    // With words the words go through, and what does not is told.
    user.send(
        USER,
        Outgoing::claimed_document("huge.iso", "application/octet-stream", 21 * 1024 * 1024)
            .caption("@fake say captioned"),
    );
    world
        .wait_chat(USER, "both are there", |m| {
            shows(m, "captioned") && texts(m).iter().filter(|t| *t == too_large).count() == 2
        })
        .await;
    user.send(
        USER,
        Outgoing::text("")
            .with("dice", json!({"emoji": "🎲", "value": 3}))
            .caption("say small"),
    );
    world.wait_shows(USER, "small").await;
    assert_eq!(world.evidence().reached().len(), 2);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn emoji_to_the_limit_and_writing_from_right_to_left_pass_unharmed() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // Two units each, 4096 in all; with the echo's words before it the answer needs a second message.
    let faces = "😀".repeat(2048);
    assert_eq!(faces.encode_utf16().count(), 4096);
    user.send_text(USER, &faces);
    let shown = world
        .wait_chat(USER, "both messages are there", |m| {
            m.len() == 2 && m.iter().all(|m| m.buttons.is_empty())
        })
        .await;
    let together: String = shown.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(together.chars().filter(|c| *c == '😀').count(), 2048);
    assert!(!together.contains('\u{fffd}'));
    assert!(shown.iter().all(|m| m.text.encode_utf16().count() <= 4096));
    assert_eq!(world.reached(&faces), 1);

    let hebrew = "שלום עולם abc (1) עברית";
    user.send_text(USER, &format!("say {hebrew}"));
    world.wait_shows(USER, hebrew).await;
    // Families and flags are several characters that belong together.
    let joined = "👨‍👩‍👧‍👦 🇩🇪 e\u{301}";
    user.send_text(USER, &format!("say {joined}"));
    world.wait_shows(USER, joined).await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn ids_that_fall_back_and_updates_that_come_twice() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(USER, "high").await;
    // As after a week of silence: Telegram numbers from anew, far below.
    world.api.reset_update_ids(500);
    world.says(USER, "low").await;
    world.says(USER, "lower").await;
    wait_until(
        "the low ids are confirmed",
        || world.api.pending_updates().is_empty(),
        || world.log(),
    )
    .await;

    // The very same update again, before and after a restart: no second prompt.
    let twice = format!(
        r#"{{"update_id":700,"message":{}}}"#,
        message(990, r#""text":"say twice""#)
    );
    world.api.inject_verbatim(700, &twice).unwrap();
    world.api.inject_verbatim(700, &twice).unwrap();
    world.wait_shows(USER, "twice").await;
    // Numbered from anew twice more. An old update that is then sent again is known even so…
    world.api.reset_update_ids(900_500_000);
    world.says(USER, "up").await;
    // Killed while it does not know yet that the answer arrived, it would send it again with a mark.
    world.wait_sent().await;
    daemon.kill();
    world.api.reset_update_ids(700);
    world.api.inject_verbatim(700, &twice).unwrap();
    let daemon = world.start();
    world.says(USER, "last").await;
    // … and another one of the same id is not.
    world.api.reset_update_ids(900_600_000);
    world.says(USER, "far").await;
    world.api.reset_update_ids(700);
    let other = format!(
        r#"{{"update_id":700,"message":{}}}"#,
        message(5000, r#""text":"say other""#)
    );
    world.api.inject_verbatim(700, &other).unwrap();
    world.wait_shows(USER, "other").await;
    assert_eq!(
        texts(&world.api.view(|v| v.bot_messages(USER))),
        [
            "high", "low", "lower", "twice", "up", "last", "far", "other"
        ],
        "{:#?}\n{}",
        world.evidence().reached(),
        world.log()
    );
    assert!(world.evidence().reached().iter().all(|r| r.times == 1));
    daemon.stop().await;
    world.end_all().await;
}
