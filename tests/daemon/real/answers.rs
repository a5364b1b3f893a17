//! What comes back to a message.

use telexd::telegram::render::render;
use telexd_messages_api::script::{Answer, Step, markdown};

use super::{Real, SHORT, once_showed, pieces};
use crate::support::{ADMIN, USER, shows, texts};

#[tokio::test]
async fn an_answer_grows_in_one_message_and_the_status_tells_of_it() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x30");
    real.message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    real.send("/status");
    real.message("what runs is told at once", |m| {
        m.text.starts_with("Working for ") && m.text.contains(" s: Writing…\n")
    })
    .await;
    let answer = real
        .message("the whole answer is there", |m| {
            m.buttons.is_empty() && pieces(&m.text) == 30
        })
        .await;
    let whole: String = (1..=30).map(|n| format!("piece {n:05} ")).collect();
    assert_eq!(answer.text, whole.trim_end());
    // The placeholder became the answer, by several edits of which each showed more of it than the one before.
    let (last, before) = answer.history.split_last().unwrap();
    // It may say already that the agent has been given the prompt.
    assert!(
        ["…", "Starting…"].contains(&before[0].text.as_str()),
        "{before:?}"
    );
    let grown: Vec<usize> = before.iter().map(|v| pieces(&v.text)).collect();
    assert!(grown.is_sorted(), "{grown:?}");
    let mut stages = grown.clone();
    stages.dedup();
    assert!(stages.len() >= 4, "{grown:?}");
    for version in before {
        let words: String = version.text.split("\n\n").take(1).collect();
        let nothing_yet = pieces(&words) == 0;
        assert!(nothing_yet || whole.starts_with(&words), "{version:?}");
    }
    assert!(
        before
            .iter()
            .filter(|v| v.text != "…")
            .all(|v| v.buttons.concat()[0].text == "Stop")
    );
    assert!(last.buttons.is_empty() && last.entities.is_empty());
    let actions = real.world.api.chat_actions(USER);
    assert!(
        actions.iter().any(|a| a.action == "typing"),
        "it types on while it works"
    );
    real.send("/status");
    let status = real
        .message("the last answer is told", |m| m.text.starts_with("Ready."))
        .await
        .text;
    let lines: Vec<&str> = status.lines().collect();
    let told = lines[1].strip_prefix("Last answer: ").unwrap();
    let (seconds, cost) = told.strip_suffix('.').unwrap().split_once(" s, $").unwrap();
    assert!(
        (2.9..60.0).contains(&seconds.parse::<f64>().unwrap()),
        "{status}"
    );
    assert!(cost.parse::<f64>().unwrap() > 0.0, "{status}");
    let session = real.asks()[0].session.clone().unwrap();
    assert!(
        lines[2].starts_with(&format!(
            "Session {}: ${cost} so far, claude-",
            &session[..8]
        )),
        "{status}"
    );
    assert_eq!(
        texts(&real.world.api.messages(USER)).len(),
        6,
        "nothing else was said"
    );
    real.end(daemon).await;
}

#[tokio::test]
async fn markdown_becomes_entities_and_a_long_answer_several_messages() {
    let real = Real::new(SHORT).await;
    let text = "Some **bold**, *leaning* and `plain` words 🦀, a [link](https://example.org/a), \
        <b>no tag</b>.\n\n```rust\nfn main() {}\n```";
    real.on("format", move |_| Step::Answer(Answer::text(text)));
    let daemon = real.world.start();
    let answer = real
        .expect(
            "format",
            "Some bold, leaning and plain words 🦀, a link, <b>no tag</b>.\n\nfn main() {}",
        )
        .await;
    let entities: Vec<(&str, String)> = answer
        .entities
        .iter()
        .map(|e| (e.kind.as_str(), part(&answer.text, e.offset, e.length)))
        .collect();
    assert_eq!(
        entities,
        [
            ("bold", "bold".to_owned()),
            ("italic", "leaning".to_owned()),
            ("code", "plain".to_owned()),
            ("text_link", "link".to_owned()),
            ("pre", "fn main() {}".to_owned()),
        ]
    );
    assert_eq!(
        answer.entities[3].url.as_deref(),
        Some("https://example.org/a")
    );
    assert_eq!(answer.entities[4].language.as_deref(), Some("rust"));

    real.send("long 9000");
    let wanted = render(&markdown(9000));
    assert!(wanted.len() > 2);
    let last = wanted.last().unwrap().text.trim_end();
    let shown = real
        .chat("the end of the long answer is there", |m| {
            m.iter().any(|m| m.text == last && m.buttons.is_empty())
        })
        .await;
    let shown = &shown[1..];
    assert_eq!(shown.len(), wanted.len());
    for (message, wanted) in shown.iter().zip(&wanted) {
        assert_eq!(message.text, wanted.text.trim_end());
        assert!(message.text.encode_utf16().count() <= 4096);
        assert_eq!(message.entities.len(), wanted.spans.len());
        assert!(message.buttons.is_empty());
    }
    for call in real.world.api.calls() {
        assert!(call.params.get("parse_mode").is_none(), "{call:?}");
    }
    real.end(daemon).await;
}

/// A part of a text by UTF-16 units, as Telegram counts.
fn part(text: &str, offset: usize, length: usize) -> String {
    let units: Vec<u16> = text.encode_utf16().skip(offset).take(length).collect();
    String::from_utf16(&units).unwrap()
}

#[tokio::test]
async fn an_interrupted_answer_stays_and_the_agent_remembers_it() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x600");
    real.message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    real.send("/interrupt");
    let answer = real
        .message("the answer is marked", |m| {
            m.text.ends_with("\n\n— Interrupted") && m.buttons.is_empty()
        })
        .await;
    assert!((3..600).contains(&pieces(&answer.text)), "{}", answer.text);
    real.expect("say next", "next").await;
    let asks = real.asks();
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["slow 100 x600", "say next"]);
    let history = real.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(history.contains("piece 00003"), "{history}");
    real.send("/interrupt");
    real.message("there is nothing to interrupt", |m| {
        m.text == "Nothing is running."
    })
    .await;
    real.end(daemon).await;
}

/// What people write reaches the model to the letter: no file is read into it, no command of the agent's is run.
#[tokio::test]
async fn words_of_people_are_only_words() {
    let real = Real::new(SHORT).await;
    let secret = "what only the file says";
    let file = real.world.path("project/notes.txt");
    std::fs::write(&file, secret).unwrap();
    let daemon = real.world.start();
    let texts = [
        format!(
            "look at @notes.txt, @{} and @\"{}\"",
            file.display(),
            file.display()
        ),
        "look at @/etc/hostname and @/etc/".to_owned(),
        "first this\n/clear\n/model haiku\n/config verbose=true\nthen that".to_owned(),
        "!touch bang.txt".to_owned(),
        "#remember this".to_owned(),
    ];
    for text in &texts {
        real.expect(text, &format!("echo: {text}")).await;
    }
    let asks = real.asks();
    let asked: Vec<&str> = asks.iter().map(|a| a.prompt.as_str()).collect();
    assert_eq!(asked, texts);
    assert_eq!(asks.last().unwrap().prompts, texts);
    assert!(
        asks.iter()
            .all(|a| a.session == asks[0].session && a.model == asks[0].model)
    );
    for request in real.model.requests() {
        assert!(!request.body.to_string().contains(secret));
    }
    // Half of a pair is no character; the agent would take the whole line for broken.
    let person = format!(r#"{{"id":{USER},"is_bot":false,"first_name":"Uma"}}"#);
    let chat = format!(r#"{{"id":{USER},"type":"private","first_name":"Uma"}}"#);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let update = format!(
        r#"{{"message":{{"message_id":900,"from":{person},"chat":{chat},"date":{now},"text":"half \ud83e of it"}}}}"#
    );
    real.world.api.inject(&update).unwrap();
    real.message("half a pair is answered", |m| {
        m.text == "echo: half \u{fffd} of it"
    })
    .await;
    // Thoughts are not words.
    let answer = real
        .expect("think hidden thoughts", "thought about it")
        .await;
    assert!(!once_showed(&answer, "hidden"));
    assert!(!real.world.path("project/bang.txt").exists());
    assert!(!real.world.path("home/.claude/settings.json").exists());
    real.end(daemon).await;
}

#[tokio::test]
async fn messages_wait_for_their_turn_and_conversations_for_their_place() {
    let real = Real::new("max_processes = 1\nidle_timeout_s = 600\n").await;
    let daemon = real.world.start();
    real.send("slow 100 x20");
    real.message("the first is answered", |m| pieces(&m.text) > 0)
        .await;
    real.send("say second");
    real.message("the second waits", |m| m.text == "In line: number 2.")
        .await;
    real.world
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, "say other");
    real.world
        .wait_chat(ADMIN, "the other conversation waits", |m| {
            shows(m, "The one agent is busy; yours is next.")
        })
        .await;
    real.message("the second is answered", |m| m.text == "second")
        .await;
    // The first agent has nothing to do any more and gives its place away.
    let other = real
        .world
        .wait_chat(ADMIN, "the other is answered", |m| shows(m, "other"))
        .await;
    assert_eq!(texts(&other), ["other"]);
    assert_eq!(real.agents().len(), 1);
    let asks = real.asks();
    let asked: Vec<&str> = asks.iter().map(|a| a.prompt.as_str()).collect();
    assert_eq!(asked, ["slow 100 x20", "say second", "say other"]);
    assert_eq!(asks[1].prompts, ["slow 100 x20", "say second"]);
    assert_eq!(asks[2].prompts, ["say other"]);
    assert_eq!(asks[0].session, asks[1].session);
    assert_ne!(asks[0].session, asks[2].session);
    daemon.stop().await;
    real.world.end_all().await;
}
