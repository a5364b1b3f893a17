//! Updates of Telegram's: whatever comes is read, kept apart from what is not for us, and nobody becomes somebody else.

use serde_json::Value;
use telexd::{
    core::{
        files,
        inbound::{Inbound, Message},
        policy::{Access, Role},
    },
    telegram::inbound,
};

const ADMIN: i64 = 1001;
const USER: i64 = 1002;

pub fn holds(data: &[u8]) {
    // HTTP bodies are taken as UTF-8, with replacements.
    let raw = String::from_utf8_lossy(data);
    let read = inbound::read(&raw);
    let id = inbound::update_id(&raw);
    if let Inbound::Unreadable(why) = &read {
        // It is logged, so it must not hold what somebody wrote.
        assert!(why.is_ascii() && why.len() < 120, "{why}");
    }
    let access = Access::new([ADMIN], [USER]);
    match &read {
        Inbound::Message(message) => {
            let expected = match message.from.as_ref().map(|person| person.id) {
                Some(ADMIN) => Role::Admin,
                Some(USER) => Role::User,
                _ => Role::Nobody,
            };
            assert!(access.role_of_message(message) <= expected, "{message:?}");
            names_are_no_paths(message);
        }
        Inbound::Press(press) => {
            let known = [ADMIN, USER].contains(&press.from.id);
            assert!(known || access.role_of_press(press) == Role::Nobody);
        }
        Inbound::Other(kind) => {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_/".contains(c);
            assert!(!kind.is_empty() && kind.len() < 80 && kind.chars().all(plain));
        }
        _ => {}
    }
    // What a plain reader makes of sound JSON is what is found.
    let Ok(sound) = serde_json::from_str::<Value>(&raw) else {
        return;
    };
    if let Some(id) = id {
        assert_eq!(sound["update_id"].as_i64(), Some(id));
    }
    for name in ["message", "edited_message"] {
        let Some(message) = sound.get(name) else {
            continue;
        };
        nothing_is_lost(message, &read);
        break;
    }
}

/// A message with a chat and an id is read, with its words, whatever else is in it.
fn nothing_is_lost(message: &Value, read: &Inbound) {
    let (Some(chat), Some(id)) = (
        message["chat"]["id"].as_i64(),
        message["message_id"].as_i64(),
    ) else {
        return;
    };
    let words = ["text", "caption"]
        .iter()
        .filter_map(|name| message[*name].as_str())
        .find(|words| !words.is_empty());
    match read {
        Inbound::Message(found) => {
            assert_eq!((found.place.chat_id, found.message_id), (chat, id));
            if let Some(words) = words {
                assert_eq!(found.text, words);
            }
            if message["sender_chat"].is_object() {
                assert_eq!(found.from, None, "somebody speaks for a chat");
            }
        }
        Inbound::Migrated { from, .. } => assert_eq!(*from, chat),
        Inbound::Other(_) => assert_eq!(words, None, "words are taken for a notice of Telegram's"),
        other => panic!("a message is read as {other:?}"),
    }
}

fn names_are_no_paths(message: &Message) {
    for attachment in &message.attachments {
        let name = files::safe_name(message.message_id, attachment);
        super::files::is_a_name(&name);
        if let Some(mime) = attachment.mime.as_deref().and_then(files::safe_mime) {
            assert!(mime.is_ascii() && !mime.contains([' ', '\n', '(', ')']));
        }
    }
}
