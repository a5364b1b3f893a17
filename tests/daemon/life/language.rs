//! Another language: what people are told comes from a translation, and nothing of it stays English. (What is said of an
//! order that is refused is one sentence for chat, bus and `telexctl`, in English.)

use telexd_botapi::ShownMessage;

use crate::support::{ADMIN, USER, World, wait_until};

/// A translation of everything, in which each text says what it was between brackets.
fn everything() -> String {
    let template: toml::Table = include_str!("../../../src/core/words/template.toml")
        .parse()
        .unwrap();
    let mut texts = toml::Table::new();
    for (english, value) in template["texts"].as_table().unwrap() {
        let said = format!("⟦{english}⟧");
        let said = match value {
            toml::Value::Table(_) => {
                let forms = [("one", said.clone()), ("other", format!("⟦{{n}}: {said}⟧"))];
                let owned = |(form, text): (&str, String)| (form.to_owned(), text.into());
                toml::Value::Table(forms.into_iter().map(owned).collect())
            }
            _ => said.into(),
        };
        texts.insert(english.clone(), said);
    }
    let mut file = toml::Table::new();
    file.insert("language".to_owned(), "de".into());
    file.insert("texts".to_owned(), texts.into());
    file.to_string()
}

/// What of a text stands in no brackets, without commands and what the agent said.
fn english(text: &str) -> String {
    let mut depth = 0_usize;
    let outside: String = text
        .chars()
        .filter(|c| {
            match c {
                '⟦' => depth += 1,
                '⟧' => depth -= 1,
                _ => return depth == 0,
            }
            false
        })
        .collect();
    assert_eq!(depth, 0, "{text}");
    let word = |word: &&str| !word.starts_with('/') && word.chars().any(char::is_alphabetic);
    outside
        .split_whitespace()
        .filter(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a message says without the translation, its buttons included.
fn untranslated(message: &ShownMessage) -> Vec<String> {
    let buttons = message
        .buttons
        .iter()
        .flatten()
        .map(|button| button.text.as_str());
    let texts = message.history.iter().map(|version| version.text.as_str());
    texts
        .chain(buttons)
        .map(english)
        .filter(|left| !left.is_empty())
        .collect()
}

#[tokio::test]
async fn all_that_people_are_told_is_in_the_language_that_is_set() {
    let world = World::new().await;
    std::fs::write(world.path("de.toml"), everything()).unwrap();
    let file = world.path("de.toml");
    world.drop_in(
        "10-language",
        &format!("[messages]\ntranslation = {file:?}\n"),
    );
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    for command in [
        "/start",
        "/help",
        "/status",
        "/frobnicate",
        "/interrupt",
        "/clear",
        "/queue",
        "/mode",
        "/allow",
    ] {
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        user.send_text(USER, command);
        world.wait_chat(USER, command, |m| m.len() > before).await;
    }
    let admin = world.api.user(ADMIN, "7");
    for command in ["/pause", "/status", "/resume", "/ps", "/users", "/pair"] {
        let before = world.api.view(|v| v.bot_messages(ADMIN)).len();
        admin.send_text(ADMIN, command);
        world.wait_chat(ADMIN, command, |m| m.len() > before).await;
    }
    // An agent that works, what waits behind it, its end by a button, and a crash.
    user.send_text(USER, "hang");
    world.wait_told(USER, "words of an answer").await;
    user.send_text(USER, "say 123");
    let shown = world.wait_told(USER, "⟦In line: number 2.⟧").await;
    let running = shown
        .iter()
        .rfind(|m| m.text.contains("words of an answer"))
        .unwrap();
    let pressed = user
        .press_labelled(USER, running.message_id, "⟦Stop⟧")
        .unwrap();
    assert_eq!(world.press_answer(&pressed).await.unwrap(), "⟦Stopping…⟧");
    world.wait_told(USER, "⟦— Interrupted⟧").await;
    world
        .wait_told(USER, "⟦1 message is kept and waits for your word:⟧")
        .await;
    user.send_text(USER, "die 3");
    world.wait_told(USER, "⟦The agent").await;
    let menu = || world.api.view(|v| v.commands(None, ""));
    wait_until("the menu is there", || !menu().is_empty(), || world.log()).await;

    let mut left: Vec<String> = menu().iter().map(|(_, about)| english(about)).collect();
    for chat in [USER, ADMIN] {
        left.extend(
            world
                .api
                .view(|v| v.bot_messages(chat))
                .iter()
                .flat_map(untranslated),
        );
    }
    // Of the agent, of Telegram and of the settings.
    const THEIRS: [&str; 7] = [
        "words of an answer that dies",
        "words of an answer that never ends",
        "words of an answer",
        "“say",
        "Uma",
        "hang",
        "",
    ];
    left.retain(|text| !THEIRS.contains(&text.as_str()));
    assert_eq!(left, Vec::<String>::new());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_translation_that_cannot_be_used_keeps_the_daemon_from_starting() {
    let world = World::new().await;
    let file = world.path("de.toml");
    world.drop_in(
        "10-language",
        &format!("[messages]\ntranslation = {file:?}\n"),
    );
    let (code, told) = world.start_fails().await;
    assert_eq!(code, 78);
    assert!(
        told.contains("cannot be read: no such file or directory"),
        "{told}"
    );
    std::fs::write(&file, "language = \"de\"\n[texts]\n\"Stop\" = \"{sign}\"\n").unwrap();
    let (code, told) = world.start_fails().await;
    assert_eq!(code, 78);
    assert!(
        told.contains("de.toml:3: the parts in braces are {sign}"),
        "{told}"
    );
}
