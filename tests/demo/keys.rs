//! Which key presses which button.
//!
//! A button keeps its key as long as it is there, so that a finger on its way meets the button that the eye saw.

use std::collections::BTreeMap;

use telexd_botapi::ShownMessage;

/// So many buttons of a chat have a key.
const MOST: u8 = 99;

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Message.
    pub message: i64,
    /// `callback_data`.
    pub data: String,
}

/// Keys from 1 on. One digit presses those up to 9; a line of the demo presses any.
#[derive(Clone, Debug, Default)]
pub struct Keys(BTreeMap<u8, Target>);

impl Keys {
    /// Takes a message as it is now.
    pub fn take(&mut self, message: &ShownMessage) {
        let there: Vec<&str> = message
            .buttons
            .iter()
            .flatten()
            .filter(|_| !message.deleted)
            .filter_map(|b| b.data.as_deref())
            .collect();
        let id = message.message_id;
        self.0
            .retain(|_, t| t.message != id || there.contains(&t.data.as_str()));
        for data in there {
            let known = self.key(id, data).is_some();
            if !known && let Some(free) = (1..=MOST).find(|key| !self.0.contains_key(key)) {
                let data = data.to_owned();
                self.0.insert(free, Target { message: id, data });
            }
        }
    }

    /// Key of a button, if it has one.
    pub fn key(&self, message: i64, data: &str) -> Option<u8> {
        self.0
            .iter()
            .find(|(_, t)| t.message == message && t.data == data)
            .map(|(key, _)| *key)
    }

    /// Button of a key.
    pub fn target(&self, key: u8) -> Option<&Target> {
        self.0.get(&key)
    }
}
