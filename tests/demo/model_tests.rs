use serde_json::json;
use telexd_botapi::{Button, CallbackAnswer, ShownAction, Version};

use super::super::town::{ANN, BEN};
use super::*;

fn model() -> Model {
    Model::new("scripted stand-in, not Claude", "no claude", true)
}

fn message(chat: i64, id: i64, text: &str, buttons: &[(&str, &str)]) -> ShownMessage {
    let button = |(label, data): &(&str, &str)| -> Button {
        serde_json::from_value(json!({"text": label, "callback_data": data})).unwrap()
    };
    ShownMessage {
        message_id: id,
        chat_id: chat,
        thread_id: None,
        from_bot: true,
        from: 4242,
        text: text.to_owned(),
        entities: Vec::new(),
        buttons: vec![buttons.iter().map(button).collect()],
        reply_to: None,
        file: None,
        history: vec![Version {
            at: 0,
            text: String::new(),
            entities: Vec::new(),
            buttons: Vec::new(),
        }],
        deleted: false,
        at: 0,
    }
}

fn press(model: &mut Model, code: KeyCode) -> Option<Action> {
    model.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(model: &mut Model, c: char) -> Option<Action> {
    model.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

fn write(model: &mut Model, text: &str) -> Option<Action> {
    for c in text.chars() {
        assert_eq!(press(model, KeyCode::Char(c)), None);
    }
    press(model, KeyCode::Enter)
}

fn texts(chat: &Chat) -> Vec<&str> {
    chat.items
        .iter()
        .filter_map(|item| match item {
            Item::Message(m) => Some(m.text.as_str()),
            Item::Remark(_) => None,
        })
        .collect()
}

#[test]
fn a_line_is_sent_as_the_person_whose_chat_is_shown() {
    let mut model = model();
    let sent = |who, text: &str| {
        Some(Action::Write {
            who,
            text: text.to_owned(),
        })
    };
    assert_eq!(write(&mut model, "hello"), sent(ANN, "hello"));
    assert_eq!(press(&mut model, KeyCode::Tab), None);
    assert_eq!(write(&mut model, "hi"), sent(BEN, "hi"));
    assert_eq!(write(&mut model, ":as ann"), None);
    assert_eq!(write(&mut model, "/status"), sent(ANN, "/status"));
    assert_eq!(write(&mut model, "  "), None);
}

#[test]
fn every_person_has_a_line_of_their_own() {
    let mut model = model();
    model.paste("not sent yet");
    control(&mut model, 'n');
    assert_eq!(model.chat().input.text(), "");
    control(&mut model, 'p');
    assert_eq!(model.chat().input.text(), "not sent yet");
    control(&mut model, 'p');
    assert_eq!(model.current, 2);
}

#[test]
fn an_edit_replaces_in_place_and_marks_other_chats() {
    let mut model = model();
    model.apply(Change::Sent(message(BEN, 1, "a", &[])));
    model.apply(Change::Sent(message(BEN, 2, "b", &[])));
    model.apply(Change::Edited(message(BEN, 1, "a more", &[])));
    assert_eq!(texts(&model.chats[1]), ["a more", "b"]);
    assert!(model.chats[1].unread && !model.chats[0].unread);
    model.turn(1);
    assert!(!model.chats[1].unread);
}

#[test]
fn digits_press_buttons_only_where_there_is_one() {
    let mut model = model();
    model.apply(Change::Sent(message(ANN, 7, "…", &[("Stop", "s:1")])));
    let stop = Some(Action::Press {
        who: ANN,
        message: 7,
        data: "s:1".to_owned(),
        stale: false,
    });
    assert_eq!(press(&mut model, KeyCode::Char('1')), stop);
    assert_eq!(write(&mut model, ":press stop"), stop);
    assert_eq!(press(&mut model, KeyCode::Char('2')), None);
    assert_eq!(model.chat().input.text(), "2");
    assert_eq!(press(&mut model, KeyCode::Char('1')), None);
    assert_eq!(model.chat().input.text(), "21");
    let alt = KeyEvent::new(KeyCode::Char('1'), KeyModifiers::ALT);
    assert_eq!(model.key(alt), stop);
    model.apply(Change::Edited(message(ANN, 7, "done", &[])));
    assert_eq!(model.key(alt), None);
}

#[test]
fn a_button_keeps_its_key_while_others_come_and_go() {
    let mut model = model();
    model.apply(Change::Sent(message(ANN, 1, "", &[("Stop", "s:1")])));
    let two = [("Allow", "q:1:y"), ("Deny", "q:1:n")];
    model.apply(Change::Sent(message(ANN, 2, "", &two)));
    model.apply(Change::Edited(message(ANN, 1, "", &[])));
    assert_eq!(model.chat().keys.key(2, "q:1:y"), Some(2));
    assert_eq!(model.chat().keys.key(2, "q:1:n"), Some(3));
    assert_eq!(model.chat().keys.target(1), None);
    model.apply(Change::Deleted {
        chat_id: ANN,
        message_id: 2,
    });
    assert_eq!(model.chat().keys.target(2), None);
}

#[test]
fn typing_and_notices_pass() {
    let mut model = model();
    model.apply(Change::Action(ShownAction {
        chat_id: ANN,
        thread_id: None,
        action: "typing".to_owned(),
        at: 1000,
    }));
    model.apply(Change::CallbackAnswered(CallbackAnswer {
        id: "1".to_owned(),
        user_id: ANN,
        text: Some("Stopping…".to_owned()),
        show_alert: false,
        at: 2000,
    }));
    assert_eq!(model.tick(2000), Some(6000));
    assert_eq!(model.tick(6500), Some(7000));
    assert!(model.notice.is_some());
    assert_eq!(model.tick(7000), None);
    assert!(model.notice.is_none());
    model.chats[0].typing_until = i64::MAX;
    model.apply(Change::Sent(message(ANN, 1, "an answer", &[])));
    assert_eq!(model.chats[0].typing_until, 0);
}

#[test]
fn lines_for_the_demo_itself() {
    let mut model = model();
    assert_eq!(write(&mut model, ":quit"), Some(Action::Quit));
    assert_eq!(write(&mut model, ":as Zoe"), None);
    assert!(
        model
            .notice
            .clone()
            .is_some_and(|(words, _)| words.contains("Ann, Ben, Eve"))
    );
    assert_eq!(control(&mut model, 'k'), Some(Action::Kill));
    assert_eq!(control(&mut model, 'c'), Some(Action::Quit));
    assert_eq!(control(&mut model, 'd'), Some(Action::Quit));
}

/// What a line leads to.
fn does(model: &mut Model, line: &str) -> Action {
    model.line(line).unwrap().unwrap()
}

#[test]
fn a_line_means_the_newest_message_of_its_chat() {
    let mut model = model();
    for (line, wanted) in [
        (":edit x", "you have written nothing here"),
        (":reply x", "the bot has said nothing here"),
        (":save", "the bot has sent no file here"),
        (":look", "the bot has sent no file here"),
        (":again", "no button was pressed yet"),
        (":press 1", "there is no button 1"),
    ] {
        assert_eq!(model.line(line).unwrap_err(), wanted, "{line}");
    }
    let own = |id| ShownMessage {
        from_bot: false,
        ..message(ANN, id, "mine", &[])
    };
    let carries = |id: i64| ShownMessage {
        file: Some(ShownFile {
            kind: "document".to_owned(),
            file_id: format!("file {id}"),
            name: None,
            size: 7,
        }),
        ..message(ANN, id, "", &[])
    };
    for message in [
        own(1),
        carries(2),
        carries(3),
        own(4),
        message(ANN, 5, "yes", &[]),
    ] {
        model.apply(Change::Sent(message));
    }
    model.apply(Change::Sent(message(BEN, 9, "Ben's", &[])));
    assert_eq!(
        does(&mut model, ":edit new words"),
        Action::Edit {
            who: ANN,
            message: 4,
            text: "new words".to_owned(),
        }
    );
    assert_eq!(
        does(&mut model, ":reply well"),
        Action::Post {
            who: ANN,
            post: Post::Reply {
                to: 5,
                text: "well".to_owned(),
            },
        }
    );
    let newest = carries(3).file.unwrap();
    assert_eq!(does(&mut model, ":look"), Action::Look(newest));
    model.apply(Change::Deleted {
        chat_id: ANN,
        message_id: 3,
    });
    let Action::Save { file, to } = does(&mut model, ":save here") else {
        panic!("it is not stored");
    };
    assert_eq!(file, carries(2).file.unwrap());
    assert_eq!(to.as_deref(), Some("here"));
    let Action::Tell(help) = does(&mut model, ":help") else {
        panic!("no help");
    };
    assert!(help.contains("\n:forward NAME TEXT "), "{help}");
}

#[test]
fn a_button_is_pressed_by_its_words_the_newest_first_and_again_when_it_is_gone() {
    let mut model = model();
    let row = |n: i64| [("Run next", format!("r:{n}")), ("Cancel", format!("c:{n}"))];
    for n in 1..=6 {
        let row = row(n);
        let row: Vec<(&str, &str)> = row.iter().map(|(l, d)| (*l, d.as_str())).collect();
        model.apply(Change::Sent(message(ANN, n, "waits", &row)));
    }
    let pressed = |message: i64, data: &str, stale| Action::Press {
        who: ANN,
        message,
        data: data.to_owned(),
        stale,
    };
    assert_eq!(does(&mut model, ":press cancel"), pressed(6, "c:6", false));
    assert_eq!(does(&mut model, ":press run"), pressed(6, "r:6", false));
    assert_eq!(does(&mut model, ":press next"), pressed(6, "r:6", false));
    // More than there are digits.
    assert_eq!(does(&mut model, ":press 11"), pressed(6, "r:6", false));
    assert_eq!(does(&mut model, ":press 2"), pressed(1, "c:1", false));
    model.apply(Change::Edited(message(ANN, 1, "gone", &[])));
    assert_eq!(does(&mut model, ":again"), pressed(1, "c:1", true));
    assert!(model.line(":press 2").is_err());
}

#[test]
fn a_quick_line_is_an_ordinary_one_on_the_screen() {
    let mut model = model();
    let sent = Action::Write {
        who: ANN,
        text: "hello".to_owned(),
    };
    assert_eq!(write(&mut model, ":quick hello"), Some(sent));
    assert_eq!(write(&mut model, ":file"), None);
    let told = model.notice.clone().map(|(words, _)| words);
    assert_eq!(
        told.as_deref(),
        Some(
            "write it as :file PATH [CAPTION] (send a file of this machine; PNG and JPEG as photos)"
        )
    );
}
