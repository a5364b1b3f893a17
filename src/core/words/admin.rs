//! What administrators are told, and what others are told of what administrators did.

use crate::core::pause::Pause;

/// Placeholder of a turn that waits while all is paused: the first, second, … that waits.
#[must_use]
pub fn waits(pause: &Pause, number: u64) -> String {
    capital(&format!("{}: yours is number {number}.", pause.told()))
}

/// Line of `/status` while all is paused.
#[must_use]
pub fn is_paused(pause: &Pause) -> String {
    capital(&format!("{}.", pause.told()))
}

/// Answer to `/pause`; `running`: turns that go on.
#[must_use]
pub fn paused(running: u64) -> String {
    let goes_on = match running {
        0 => String::new(),
        1 => " The one answer that is being written goes on to its end.".to_owned(),
        n => format!(" The {n} answers that are being written go on to their end."),
    };
    format!("Paused: messages are kept, and run after /resume.{goes_on}")
}

/// Answer to `/pause` while there is a pause.
#[must_use]
pub fn paused_already(pause: &Pause) -> String {
    format!("No change: {}.", pause.told())
}

/// Answer to `/resume`; `waiting`: turns that are run now.
#[must_use]
pub fn resumed(waiting: u64) -> String {
    match waiting {
        0 => "Resumed. Nothing waits.".to_owned(),
        1 => "Resumed: the one message in line is run now.".to_owned(),
        n => format!("Resumed: the {n} messages in line are run now, in their order."),
    }
}

/// Answer to `/resume` without a pause.
pub const NOT_PAUSED: &str = "No change: nothing is paused.";

/// A sentence with what to do about it.
#[must_use]
pub fn refused(what: &str, remedy: &str) -> String {
    format!("{}. {}.", capital(what), capital(remedy))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
