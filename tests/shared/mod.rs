//! What tests of the daemon and of the whole system have in common.

#![allow(dead_code, reason = "not each of these programs uses all of it")]

use std::time::{Duration, Instant};

use telexd_botapi::{BotApi, ShownMessage};

/// Telegram user id of the admin.
pub const ADMIN: i64 = 1001;
/// Telegram user id of the user.
pub const USER: i64 = 1002;

/// What a message begins with of which the life before could not know whether it arrived.
pub const MARK: &str = "(may be a repeat)";

/// What [`FAST`] says but of features.
macro_rules! rest {
    () => {
        "[delivery]\nchat_interval_ms = 5\ngroup_per_minute = 1000\noverall_per_second = 1000\n\n[log]\nlevel = \"debug\"\n"
    };
}

/// Settings under which tests need not wait.
pub const FAST: &str = concat!("[features]\nbatching = false\n\n", rest!());

/// The same with these features in the place of batching that is off.
pub fn fast(features: &str) -> String {
    format!("[features]\n{features}\n\n{}", rest!())
}

/// Waits for a condition that nothing announces, with a deadline of one's own.
pub async fn wait_within(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
    otherwise: impl Fn() -> String,
) {
    let until = Instant::now() + patience;
    while !condition() {
        assert!(
            Instant::now() < until,
            "waited in vain until {what}: {}",
            otherwise()
        );
        breathe().await;
    }
}

/// Waits until what the bot has in a chat satisfies the condition, and fails with what is there if it never does.
pub async fn wait_chat(
    api: &BotApi,
    patience: Duration,
    chat: i64,
    what: &str,
    condition: impl Fn(&[ShownMessage]) -> bool,
    otherwise: impl Fn() -> String,
) -> Vec<ShownMessage> {
    // What satisfied the condition is what is given back: an instant later something else may be there.
    let met = api
        .wait_for_some(patience, |view| {
            Some(view.bot_messages(chat)).filter(|messages| condition(messages))
        })
        .await;
    met.unwrap_or_else(|_| {
        panic!(
            "waited in vain until {what}; the chat shows {:#?}\n{}",
            texts(&api.view(|view| view.bot_messages(chat))),
            otherwise()
        )
    })
}

/// The smallest pause between two looks at something that cannot be subscribed to (processes, files of others).
pub async fn breathe() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Texts of messages that are there.
pub fn texts(messages: &[ShownMessage]) -> Vec<String> {
    messages
        .iter()
        .filter(|m| !m.deleted)
        .map(|m| m.text.clone())
        .collect()
}

/// Whether a message of these shows exactly that.
pub fn shows(messages: &[ShownMessage], text: &str) -> bool {
    messages.iter().any(|m| !m.deleted && m.text == text)
}
