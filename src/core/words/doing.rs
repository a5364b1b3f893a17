//! What the agent does, for the line below a running answer.

use tr::tr;

use super::Phrase;

/// The history is made shorter.
pub static COMPACTING: Phrase = phrase!("Compacting the history…");
/// The answer is written.
pub static WRITING: Phrase = phrase!("Writing…");
/// The agent begins.
pub static STARTING: Phrase = phrase!("Starting…");
/// The agent thinks.
pub static THINKING: Phrase = phrase!("Thinking…");
/// A person has to choose.
pub static WAITS_FOR_ANSWER: Phrase = phrase!("Waiting for your answer");
/// A person has to allow something.
pub static WAITS_FOR_APPROVAL: Phrase = phrase!("Waiting for your approval");

/// Why the agent tries again.
pub static LOGIN_REFUSED: Phrase = phrase!("The agent's login is refused");
/// Why the agent tries again.
pub static BUSY: Phrase = phrase!("The model's service is busy");
/// Why the agent tries again.
pub static FAULT: Phrase = phrase!("The model's service has a fault");
/// Why the agent tries again.
pub static UNREACHABLE: Phrase = phrase!("The model's service cannot be reached");

/// What it does, and how many tools it has used so far: two at least.
#[must_use]
pub fn with_tools(what: &str, tools: u32) -> String {
    tr!("{what} · {n} tool" | "{what} · {n} tools" % tools, what)
}

/// That it tries again in so many seconds; `max`: how often at most, 0 where that is not known.
#[must_use]
pub fn tries_again(why: &str, wait_s: u64, attempt: u32, max: u32) -> String {
    if max > 0 {
        tr!(
            "{why}; trying again in {wait_s} s ({attempt} of {max})",
            why,
            wait_s,
            attempt,
            max
        )
    } else {
        tr!("{why}; trying again in {wait_s} s", why, wait_s)
    }
}
