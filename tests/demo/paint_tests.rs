use proptest::prelude::*;
use ratatui::{Terminal, backend::TestBackend};
use serde_json::json;
use telexd_botapi::{Change, ShownAction, Version};

use super::super::town::ANN;
use super::*;

fn message(id: i64, from_bot: bool, text: &str) -> ShownMessage {
    ShownMessage {
        message_id: id,
        chat_id: ANN,
        thread_id: None,
        from_bot,
        from: if from_bot { 4242 } else { ANN },
        text: text.to_owned(),
        entities: Vec::new(),
        buttons: Vec::new(),
        reply_to: None,
        file: None,
        history: Vec::new(),
        deleted: false,
        at: 0,
    }
}

fn model() -> Model {
    Model::new("scripted stand-in, not Claude", "no claude", true)
}

fn screen(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn everything_is_there_at_80_by_24() {
    let mut model = model();
    model.health = Health::Runs(4_194_304);
    model.apply(Change::Sent(message(1, false, "hello")));
    let mut answer = message(2, true, "one moment\n\nRunning: make");
    answer.entities =
        serde_json::from_value(json!([{"type": "italic", "offset": 12, "length": 13}])).unwrap();
    answer.buttons =
        serde_json::from_value(json!([[{"text": "Stop", "callback_data": "s:1"}]])).unwrap();
    answer.reply_to = Some(1);
    let version = Version {
        at: 0,
        text: String::new(),
        entities: Vec::new(),
        buttons: Vec::new(),
    };
    answer.history = vec![version; 3];
    model.apply(Change::Sent(answer));
    model.apply(Change::Action(ShownAction {
        chat_id: ANN,
        thread_id: None,
        action: "typing".to_owned(),
        at: 1,
    }));
    model.paste("a message");
    let shown = screen(&model, 80, 24);
    for wanted in [
        "agent: scripted stand-in, not Claude",
        "pid 4194304",
        " Ann…",
        "▌ Ann",
        "▌ hello",
        "▌ telexd · edited 2 times",
        "↳ hello",
        "Running: make",
        "[1 Stop]",
        "telexd is typing…",
        "Ann › a message",
        "Enter send",
        "^K kill -9 the daemon",
        "^C quit",
    ] {
        assert!(shown.contains(wanted), "{wanted} is not in\n{shown}");
    }
}

#[test]
fn the_newest_is_at_the_bottom_and_the_rest_can_be_reached() {
    let mut model = model();
    for n in 1..=30 {
        model.apply(Change::Sent(message(n, true, &format!("message {n:02}"))));
    }
    let bottom = screen(&model, 80, 24);
    assert!(bottom.contains("message 30") && !bottom.contains("message 20"));
    model.chats[0].scroll = 30;
    let up = screen(&model, 80, 24);
    assert!(up.contains("message 20") && !up.contains("message 30"));
    model.chats[0].scroll = 10_000;
    assert!(screen(&model, 80, 24).contains("You are Ann"));
}

#[test]
fn deleted_messages_are_gone() {
    let mut model = model();
    model.apply(Change::Sent(message(1, true, "to be deleted")));
    model.apply(Change::Deleted {
        chat_id: ANN,
        message_id: 1,
    });
    assert!(!screen(&model, 80, 24).contains("to be deleted"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_size_and_any_text(width in 1_u16..120, height in 1_u16..50, text in "\\PC{0,200}", scroll in 0_usize..50) {
        let mut model = model();
        model.apply(Change::Sent(message(1, false, &text)));
        model.apply(Change::Sent(message(2, true, &text)));
        model.chats[0].scroll = scroll;
        model.paste(&text);
        screen(&model, width, height);
    }
}
