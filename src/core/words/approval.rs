//! Questions of agents, and answers to them.

use crate::core::{
    approval::{detail::Note, session::Grant},
    event::Place,
    text::{one_line, visible_line},
};

/// Button under a question of the agent.
pub const ALLOW_ONCE: &str = "Allow once";
/// Button under a question of the agent.
pub const ALLOW_SESSION: &str = "Allow for this session";
/// Button under a question of the agent.
pub const DENY: &str = "Deny";
/// Answer to `/allow` or `/deny` where no question waits.
pub const NOTHING_ASKED: &str = "Nothing is asked here at the moment.";
/// Answer to `/allow` or `/deny` with something that is no number.
pub const WHICH_QUESTION: &str =
    "Give the number that stands below the question, like /allow 12, or none if only one waits.";
/// Answer to `/allow` or `/deny` for a question that somebody was quicker to answer.
pub const ANSWERED_ALREADY: &str = "That question is answered already.";
/// Answer to a press or a command about a question that the agent withdrew.
pub const NOT_ASKED_ANY_MORE: &str = "The agent asks that no longer: it went on, or was stopped.";
/// What the agent is told when a person says no.
pub const DENIED_TO_AGENT: &str = "The user did not allow this.";
/// What the agent is told when nobody answered.
pub const UNANSWERED_TO_AGENT: &str = "Nobody answered in time, so this was not allowed.";
/// Under a question that a person answered with yes.
pub const ALLOWED: &str = "✓ Allowed";
/// Under a question that a person answered with yes, for the session.
pub const ALLOWED_SESSION: &str = "✓ Allowed for this session";
/// Under a question that a person answered with no.
pub const DENIED: &str = "✗ Denied";
/// Under a question that nobody answered.
pub const UNANSWERED: &str = "✗ Not answered in time, so it was denied";
/// Under a question that the agent withdrew.
pub const WITHDRAWN: &str = "No longer asked";
/// Before what "for this session" would allow, which follows line by line.
pub const FOR_SESSION: &str = "“Allow for this session” allows from now on:";

/// What stands in a question of the agent, before the details.
#[must_use]
pub fn may_i(tool: &str) -> String {
    format!("May the agent use {}?", visible_line(tool, 64))
}

/// Where the agent works.
#[must_use]
pub fn place(place: &Place) -> String {
    let directory = visible_line(&place.directory, 200);
    if place.moved {
        format!("In {directory}, or wherever a command before this one has gone from there")
    } else {
        format!("In {directory}")
    }
}

/// Why the agent asks, in its words.
#[must_use]
pub fn reason(reason: &str) -> String {
    format!("Why it asks: {}", visible_line(reason.trim(), 300))
}

/// What the agent would reach that is not open to it.
#[must_use]
pub fn reaches(path: &str) -> String {
    format!("It would reach {}", visible_line(path, 300))
}

/// What is easily overlooked about a call.
#[must_use]
pub fn note(note: Note) -> &'static str {
    match note {
        Note::EveryPlace => "Every place in the file that reads like this is changed.",
        Note::Background => "It runs in the background.",
        Note::WithoutSandbox => "⚠️ It is to run outside of the agent's sandbox.",
        Note::Emptied => "The file is left empty.",
        Note::NewCell => "A new cell of the notebook.",
        Note::CellDeleted => "A cell of the notebook is deleted.",
    }
}

/// Below something that is too long to be shown whole: how much of its middle is missing.
#[must_use]
pub fn not_shown(characters: usize) -> String {
    format!("⚠️ {characters} characters in the middle are not shown here.")
}

/// Where the middle of something is missing.
pub const MISSING: &str = "[… not shown …]";

/// More UTF-16 units than anything has that is offered.
const GRANT: usize = 1000;

/// Something that "for this session" would allow, on one line.
#[must_use]
pub fn grant(grant: &Grant) -> String {
    match grant {
        Grant::Use { tool, with: None } => format!("• any use of {}", visible_line(tool, GRANT)),
        Grant::Use {
            tool,
            with: Some(with),
        } => format!(
            "• {}: {}",
            visible_line(tool, GRANT),
            visible_line(with, GRANT)
        ),
        Grant::ThisCommand => "• this very command".to_owned(),
        Grant::Directory(directory) => {
            format!("• the directory {}", visible_line(directory, GRANT))
        }
        Grant::Edits => "• changes of files without a question".to_owned(),
    }
}

/// Below a question without buttons.
#[must_use]
pub fn answer_by_command(question: i64) -> String {
    format!("Answer with /allow {question} or /deny {question}.")
}

/// Answer to `/allow` or `/deny` with a number that no open question of this chat has.
#[must_use]
pub fn no_question(number: i64) -> String {
    format!("No question {number} waits here.")
}

/// Answer to `/allow` or `/deny` without a number where several wait: each by its number and its tool.
#[must_use]
pub fn several_questions<'a>(questions: impl Iterator<Item = (i64, &'a str)>) -> String {
    /// So many are listed.
    const MOST: usize = 20;
    let mut text = "Several questions wait here:".to_owned();
    for (number, (id, tool)) in questions.enumerate() {
        if number == MOST {
            text.push_str("\n…");
            break;
        }
        text.push_str(&format!("\n{id}: {}", one_line(tool, 64)));
    }
    text.push_str("\nAnswer with its number, like /allow 12 or /deny 12.");
    text
}
