//! A prompt of an administrator's, written on the server: what of it can be taken.

use super::{
    command::{self, Reading},
    text::{MESSAGE_UNITS, units},
};

/// What is wrong with a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrompt {
    /// There is nothing in it.
    #[error("the text is empty")]
    Empty,
    /// It is longer than a message of Telegram's; its UTF-16 units.
    #[error("the text has {0} UTF-16 units, and at most {MESSAGE_UNITS} are taken")]
    Long(usize),
    /// It holds what could disturb a terminal, a log or a chat.
    #[error("the text holds a control character other than line break and tab")]
    Control,
    /// It is a command and no prompt.
    #[error("a slash command is no prompt")]
    Command,
}

/// Checks a prompt. `bot_name` is this bot's user name without `@`.
///
/// # Errors
/// See [`BadPrompt`].
pub fn check(text: &str, bot_name: &str) -> Result<(), BadPrompt> {
    let length = units(text);
    if length > MESSAGE_UNITS {
        return Err(BadPrompt::Long(length));
    }
    if text.trim().is_empty() {
        return Err(BadPrompt::Empty);
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
    {
        return Err(BadPrompt::Control);
    }
    // The agent has slash commands of its own, which would change its session behind our back.
    match command::read(text.trim_start(), bot_name) {
        Reading::Prompt => Ok(()),
        Reading::Command { .. } | Reading::NotOurs => Err(BadPrompt::Command),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_taken() {
        let most = "😀".repeat(MESSAGE_UNITS / 2);
        for (text, wanted) in [
            ("hello", Ok(())),
            ("two\nlines\tand a tab", Ok(())),
            ("/etc/passwd: who is in it?", Ok(())),
            ("\u{202e}as it is", Ok(())),
            (&*most, Ok(())),
            (&*format!("{most}x"), Err(BadPrompt::Long(4097))),
            ("", Err(BadPrompt::Empty)),
            (" \n\t", Err(BadPrompt::Empty)),
            ("a\u{1b}[2Jb", Err(BadPrompt::Control)),
            ("a\rb", Err(BadPrompt::Control)),
            ("a\0b", Err(BadPrompt::Control)),
            ("a\u{9b}b", Err(BadPrompt::Control)),
            ("/clear", Err(BadPrompt::Command)),
            (" /compact now", Err(BadPrompt::Command)),
            ("/x@other_bot", Err(BadPrompt::Command)),
        ] {
            assert_eq!(check(text, "my_bot"), wanted, "{text:.40?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_fits_one_message(text in any::<String>()) {
            if check(&text, "bot").is_ok() {
                prop_assert!(units(&text) <= MESSAGE_UNITS && !text.trim().is_empty());
            }
        }
    }
}
