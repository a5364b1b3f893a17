//! Prompts that wait: their own messages, the list of them, and what is said when a button comes too late.

use tr::tr;

use super::Phrase;
use crate::core::text::one_line;

/// Button of a prompt that waits: before the others.
pub static RUN_NEXT: Phrase = phrase!("Run next");
/// Button of a prompt that waits: never.
pub static CANCEL: Phrase = phrase!("Cancel");
/// The same in the list.
pub static DROP: Phrase = phrase!("Drop");
/// Button of the list: what is kept runs in its order.
pub static RUN_ALL: Phrase = phrase!("Run all");

/// A prompt was moved to the front.
pub static RUNS_NEXT: Phrase = phrase!("It runs next.");
/// A prompt was dropped; also what becomes of its message.
pub static DROPPED: Phrase = phrase!("Dropped: it was not run.");
/// All that was kept is in line again.
pub static ALL_RUN: Phrase = phrase!("They run in their order.");
/// A turn was stopped that no agent had.
pub static STOPPED_EARLY: Phrase = phrase!("Stopped before it began.");
/// Mark under an answer that a newer message of its person ended.
pub static FOR_NEWER: Phrase = phrase!("— Interrupted: your newer message comes first");
/// Placeholder of a prompt that ends the running answer and is next.
pub static ENDS_AND_IS_NEXT: Phrase = phrase!("The running answer is being stopped; this is next.");
/// A prompt is given to the agent while it works.
pub static GOES_TO_AGENT: Phrase = phrase!("The agent gets this now, while it works.");
/// The same, when the agent has begun with it.
pub static TAKEN_IN: Phrase =
    phrase!("The agent has taken this into the answer that it was working on.");
/// Answer to a stop where nothing runs but something waits.
pub static KEPT: Phrase = phrase!("Nothing is running; what waited is kept until you say so.");
/// Answer to `/queue` where nothing waits.
pub static NOTHING_WAITS: Phrase = phrase!("Nothing waits.");
/// What a list becomes when nothing of it waits any more.
pub static LIST_IS_OVER: Phrase = phrase!("Nothing waits any more.");
/// More messages than are taken came within a minute.
pub static TOO_FAST: Phrase = phrase!(
    "⏸️ That is more than I take within a minute. I keep what comes now until you say what to do with it; /queue shows it."
);
/// In the place of a prompt's text where it has none.
pub static FILES_ONLY: Phrase = phrase!("(a file)");
/// Answer to `/queue` with something else.
pub static HOW: Phrase = phrase!(
    "Write /queue to see what waits, /queue next 12 to run number 12 next, /queue drop 12 or /queue drop all to drop it, /queue run to run all that is kept."
);

/// Most characters of a prompt that a list shows.
const EXCERPT: usize = 48;

/// The beginning of a prompt, on one line.
#[must_use]
pub fn excerpt(text: &str) -> String {
    // Each word has a character and a space at least, so these are enough.
    let words: Vec<&str> = text.split_whitespace().take(EXCERPT).collect();
    if words.is_empty() {
        return FILES_ONLY.to_owned();
    }
    format!("“{}”", one_line(&words.join(" "), EXCERPT))
}

/// A prompt in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Number by which it is named.
    pub number: i64,
    /// Its beginning, by [`excerpt`].
    pub excerpt: String,
}

/// Prompts that wait for the same: how many they are, and the first of them, as many as are shown at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many.
    pub count: usize,
    /// The first.
    pub first: Vec<Item>,
}

/// What waits: for the agent, in order, and for the person's word. `most`: so many are shown. `by_command`: how to go on
/// without buttons is told.
#[must_use]
pub fn list(line: &Waits, kept: &Waits, most: usize, by_command: bool) -> String {
    let mut blocks = Vec::new();
    let mut left = most;
    for (head, waits) in [(in_line(line.count), line), (are_kept(kept.count), kept)] {
        if waits.count == 0 {
            continue;
        }
        let mut block = head;
        for item in waits.first.iter().take(left) {
            block.push_str(&format!("\n#{} {}", item.number, item.excerpt));
        }
        match waits.count.saturating_sub(left) {
            0 => {}
            more => block.push_str(&tr!("\n… and {more} more", more)),
        }
        left = left.saturating_sub(waits.count);
        blocks.push(block);
    }
    let Some(first) = line.first.first().or(kept.first.first()) else {
        return NOTHING_WAITS.to_owned();
    };
    if line.count + kept.count > most {
        blocks.push(tr!("/queue lists them."));
    }
    if by_command {
        let number = first.number;
        let mut how = tr!(
            "/queue next {number} runs it next, /queue drop {number} drops it",
            number
        );
        if kept.count > 0 {
            how.push_str(&tr!(", /queue run runs all that is kept"));
        }
        blocks.push(format!("{how}."));
    }
    blocks.join("\n\n")
}

fn in_line(count: usize) -> String {
    tr!("1 message in line:" | "{n} messages in line:" % count)
}

fn are_kept(count: usize) -> String {
    tr!("1 message is kept and waits for your word:"
        | "{n} messages are kept and wait for your word:" % count)
}

/// Line of `/status` about what is kept.
#[must_use]
pub fn kept(count: usize) -> String {
    tr!("1 message is kept until you say so: /queue"
        | "{n} messages are kept until you say so: /queue" % count)
}

/// Answer to an order about a prompt that does not wait here.
#[must_use]
pub fn not_waiting(number: i64) -> String {
    tr!(
        "No message #{number} waits here. /queue lists those that do.",
        number
    )
}

/// Answer to `/queue next`.
#[must_use]
pub fn runs_next(excerpt: &str) -> String {
    tr!("It runs next: {excerpt}", excerpt)
}

/// Answer to `/queue drop`.
#[must_use]
pub fn dropped(excerpt: &str) -> String {
    tr!("Dropped, and not run: {excerpt}", excerpt)
}

/// Answer to `/queue drop all`.
#[must_use]
pub fn dropped_all(count: usize) -> String {
    match count {
        0 => NOTHING_WAITS.to_owned(),
        n => {
            tr!("1 message was dropped and not run." | "{n} messages were dropped and not run." % n)
        }
    }
}

/// Answer to `/queue run`.
#[must_use]
pub fn all_run(count: usize) -> String {
    match count {
        0 => tr!("Nothing is kept. What is in line runs by itself."),
        1 => tr!("It runs."),
        _ => ALL_RUN.to_owned(),
    }
}

/// Question about a prompt of which it is not known whether the agent took it in before it was lost. `excerpt`: by
/// [`excerpt`].
#[must_use]
pub fn perhaps_taken(excerpt: &str) -> String {
    tr!(
        "The agent was lost while it worked, and I cannot know whether it had taken this message in: run it?\n\n{excerpt}",
        excerpt
    )
}

/// How it stands with the message that a button was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Messages are still collected into it.
    Collecting,
    /// It is kept until its person says so.
    Kept,
    /// It is in line.
    InLine,
    /// The agent has it.
    Running,
    /// It was interrupted by a restart, and its person is asked.
    Asked,
    /// It was answered.
    Answered,
    /// It failed.
    Failed,
    /// It was stopped.
    Stopped,
    /// It was never run.
    Dropped,
}

/// Press of a button that came too late: what it was for, and why it is of no use now. `label`: what stands on it.
#[must_use]
pub fn too_late(label: &str, since: Since) -> String {
    let why = match since {
        Since::Collecting => tr!("that message is still being collected"),
        Since::Kept => tr!("that message is kept and waits for your word; /queue shows it"),
        Since::InLine => tr!("that message is in line"),
        Since::Running => tr!("the agent has that message already"),
        Since::Asked => {
            tr!("a restart interrupted that answer; the buttons below it decide what follows")
        }
        Since::Answered => tr!("that answer is finished"),
        Since::Failed => tr!("that answer ended with an error"),
        Since::Stopped => tr!("that answer was stopped already"),
        Since::Dropped => tr!("that message was dropped and not run"),
    };
    tr!("“{label}” is no longer of use: {why}.", label, why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::text::{MESSAGE_UNITS, units};

    fn items(numbers: std::ops::Range<i64>) -> Vec<Item> {
        let item = |number| Item {
            number,
            excerpt: excerpt(&format!("say {number}")),
        };
        numbers.map(item).collect()
    }

    fn list(line: &[Item], kept: &[Item], most: usize, by_command: bool) -> String {
        let of = |all: &[Item]| Waits {
            count: all.len(),
            first: all.iter().take(most).cloned().collect(),
        };
        super::list(&of(line), &of(kept), most, by_command)
    }

    #[test]
    fn a_list_reads_well() {
        assert_eq!(list(&[], &[], 5, true), "Nothing waits.");
        assert_eq!(
            list(&items(1..2), &[], 5, false),
            "1 message in line:\n#1 “say 1”"
        );
        assert_eq!(
            list(&items(1..3), &items(7..8), 5, true),
            "2 messages in line:\n#1 “say 1”\n#2 “say 2”\n\n\
             1 message is kept and waits for your word:\n#7 “say 7”\n\n\
             /queue next 1 runs it next, /queue drop 1 drops it, /queue run runs all that is kept."
        );
        assert_eq!(
            list(&items(1..2), &items(7..10), 2, false),
            "1 message in line:\n#1 “say 1”\n\n\
             3 messages are kept and wait for your word:\n#7 “say 7”\n… and 2 more\n\n/queue lists them."
        );
        assert_eq!(
            list(&items(1..4), &items(7..9), 2, false),
            "3 messages in line:\n#1 “say 1”\n#2 “say 2”\n… and 1 more\n\n\
             2 messages are kept and wait for your word:\n… and 2 more\n\n/queue lists them."
        );
    }

    #[test]
    fn excerpts() {
        assert_eq!(excerpt("  a\n\n b\t"), "“a b”");
        assert_eq!(excerpt(" \n"), "(a file)");
        assert_eq!(excerpt("a\u{202e}b"), "“a\\u{202e}b”");
        let faces = "😀".repeat(60);
        assert_eq!(excerpt(&faces), format!("“{}…”", "😀".repeat(48)));
    }

    #[test]
    fn why_a_button_is_of_no_use_fits_into_the_answer_to_a_press() {
        let label = "Allow for this session";
        for since in [
            Since::Collecting,
            Since::Kept,
            Since::InLine,
            Since::Running,
            Since::Asked,
            Since::Answered,
            Since::Failed,
            Since::Stopped,
            Since::Dropped,
        ] {
            let told = too_late(label, since);
            assert!(units(&told) <= 200 && told.starts_with("“Allow"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn an_excerpt_is_one_short_line(text in any::<String>()) {
            let excerpt = excerpt(&text);
            prop_assert!(!excerpt.contains(crate::core::text::disturbs));
            // An escape has at most ten characters.
            prop_assert!(units(&excerpt) <= 10 * EXCERPT + 3);
        }

        #[test]
        fn what_a_stop_lists_fits_into_a_message(text in any::<String>(), count in 0..40_i64) {
            let all: Vec<Item> = (0..count).map(|n| Item { number: i64::MAX - n, excerpt: excerpt(&text) }).collect();
            prop_assert!(units(&list(&all, &all, 5, true)) <= MESSAGE_UNITS);
        }
    }
}
