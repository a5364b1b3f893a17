//! Features that are on, off, or on for some people.

use std::collections::BTreeSet;

/// For whom a feature is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Nobody.
    Off,
    /// Everybody.
    On,
    /// These people, by Telegram user id.
    For(BTreeSet<i64>),
}

impl Flag {
    /// Whether it is on for somebody.
    #[must_use]
    pub fn is_on(&self, person: i64) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::For(people) => people.contains(&person),
        }
    }
}

/// Features that can be switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// Messages in quick succession become one prompt.
    pub batching: Flag,
    /// A button that stops it is below an answer that is being written.
    pub stop_button: Flag,
    /// Prompts that wait have buttons to move and drop them.
    pub queue_buttons: Flag,
    /// Questions of agents have buttons to answer them by.
    pub permission_buttons: Flag,
    /// Files are taken.
    pub files: Flag,
    /// Voice is turned into text, where there is something that can.
    pub voice: Flag,
    /// In private chats an answer is a draft while it is written.
    pub drafts: Flag,
    /// What the agent thinks is shown while it does.
    pub show_thinking: Flag,
}

impl Default for Features {
    /// All on, but for drafts and thinking.
    fn default() -> Self {
        Self {
            batching: Flag::On,
            stop_button: Flag::On,
            queue_buttons: Flag::On,
            permission_buttons: Flag::On,
            files: Flag::On,
            voice: Flag::On,
            drafts: Flag::Off,
            show_thinking: Flag::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_whom_it_is_on() {
        let some = Flag::For(BTreeSet::from([1, 2]));
        for (flag, one, three) in [
            (Flag::Off, false, false),
            (Flag::On, true, true),
            (some, true, false),
        ] {
            assert_eq!((flag.is_on(1), flag.is_on(3)), (one, three));
        }
    }
}
