//! Questions of agents, and answers to them.

use tr::tr;

use super::Phrase;
use crate::core::{
    approval::{
        detail::Note,
        session::Grant,
        step::{Outcome, Refusal},
    },
    event::Place,
    text::{one_line, visible_line},
};

/// Most rules that are told in one message.
const MOST_RULES: usize = 10;

/// Button under a question of the agent.
pub static ALLOW_ONCE: Phrase = phrase!("Allow once");
/// Button under a question of the agent.
pub static ALLOW_SESSION: Phrase = phrase!("Allow for this session");
/// Button under a question of the agent.
pub static DENY: Phrase = phrase!("Deny");
/// Button under a question of the agent.
pub static DENY_AND_TELL: Phrase = phrase!("Deny and tell it…");
/// Button under something that asks for words: it does not any more.
pub static CANCEL: Phrase = phrase!("Cancel");
/// Button under a choice of several options.
pub static DONE: Phrase = phrase!("Done");
/// Button under a choice.
pub static OWN: Phrase = phrase!("Write an answer…");
/// Button under a choice.
pub static SKIP: Phrase = phrase!("Skip");
/// Button under a plan.
pub static GO_AHEAD: Phrase = phrase!("Go ahead");
/// Button under a plan.
pub static GO_AHEAD_EDITS: Phrase = phrase!("Go ahead, accept edits");
/// Button under a plan.
pub static KEEP_PLANNING: Phrase = phrase!("Keep planning");
/// Button under a plan.
pub static KEEP_PLANNING_AND_TELL: Phrase = phrase!("Keep planning and tell it…");
/// Before an option that is chosen, of several.
pub const TICKED: &str = "☑ ";
/// Before an option that is not chosen, of several.
pub const NOT_TICKED: &str = "☐ ";
/// Answer to `/allow` or `/deny` where no question waits.
pub static NOTHING_ASKED: Phrase = phrase!("Nothing is asked here at the moment.");
/// Answer to `/allow` or `/deny` with something that is no number.
pub static WHICH_QUESTION: Phrase = phrase!(
    "Give the number that stands below the question, like /allow 12, or none if only one waits."
);
/// Answer to `/answer` without an answer.
pub static WHICH_ANSWER: Phrase = phrase!(
    "Give your answer behind it, like /answer yes, with the number of the question before it where several wait: /answer 12 yes."
);
/// Answer to `/allow` or `/deny` for a question that somebody was quicker to answer.
pub static ANSWERED_ALREADY: Phrase = phrase!("That question is answered already.");
/// Answer to a press or a command about a question that the agent withdrew.
pub static NOT_ASKED_ANY_MORE: Phrase =
    phrase!("The agent no longer asks that: it went on, or was stopped.");
/// What the agent is told when a person says no.
pub const DENIED_TO_AGENT: &str = "The user did not allow this.";
/// What the agent is told when nobody answered.
pub const UNANSWERED_TO_AGENT: &str = "Nobody answered in time, so this was not allowed.";
/// What the agent is told when a person does not answer what it asks.
pub const SKIPPED_TO_AGENT: &str = "The user does not want to answer this.";
/// What the agent is told when a person does not accept its plan.
pub const PLANNING_TO_AGENT: &str = "The user wants you to keep planning.";
/// Under a question that a person answered with yes.
pub static ALLOWED: Phrase = phrase!("✓ Allowed");
/// Under a question that a person answered with yes, for the session.
pub static ALLOWED_SESSION: Phrase = phrase!("✓ Allowed for this session");
/// Under a question that a person answered with no.
pub static DENIED: Phrase = phrase!("✗ Denied");
/// Under a plan that is carried out.
pub static GOES_AHEAD: Phrase = phrase!("✓ Go ahead");
/// Under a plan that is carried out with all changes of files.
pub static GOES_AHEAD_EDITS: Phrase = phrase!("✓ Go ahead; files are changed without a question");
/// Under a plan that is not carried out yet.
pub static PLANS_ON: Phrase = phrase!("✎ Keep planning");
/// Under a choice that a person did not make.
pub static SKIPPED: Phrase = phrase!("✗ Skipped");
/// Under a choice that a person has made, for the record.
pub static ANSWERED: Phrase = phrase!("✓ Answered");
/// Under a question that nobody answered.
pub static UNANSWERED: Phrase = phrase!("✗ Not answered in time, so it was denied");
/// Under a question that the agent withdrew.
pub static WITHDRAWN: Phrase = phrase!("No longer asked");
/// Before what "for this session" would allow, which follows line by line.
pub static FOR_SESSION: Phrase = phrase!("“Allow for this session” allows from now on:");

/// What the agent is told when a person says no, and why.
#[must_use]
pub fn denied_to_agent(words: Option<&str>) -> String {
    words.map_or_else(
        || DENIED_TO_AGENT.to_owned(),
        |words| tr!("The user did not allow this and says: {words}", words),
    )
}

/// What the agent is told when a rule of the configuration says no.
#[must_use]
pub fn denied_by_rule_to_agent(rule: &str) -> String {
    format!(
        "The administrators of this server do not allow this (rule {rule}). Do not try it another way: say what you would \
         have done, and go on without it."
    )
}

/// That a rule answered a question, for the record.
#[must_use]
pub fn by_rule(allowed: bool, rule: &str) -> String {
    let decided = if allowed { "✓ Allowed" } else { "✗ Denied" };
    format!("{decided} by {rule}")
}

/// That the rules of the configuration denied something to the agent, which follows rule by rule.
#[must_use]
pub fn denied_by_rules(rules: &[String]) -> String {
    let mut text = tr!("✗ The rules of this server do not let the agent do that:");
    for rule in rules.iter().take(MOST_RULES) {
        text.push_str("\n• ");
        text.push_str(&visible_line(rule, 200));
    }
    if rules.len() > MOST_RULES {
        text.push_str("\n• …");
    }
    text
}

/// Why this is asked: a rule wants it.
#[must_use]
pub fn asked_by_rule(rule: &str) -> String {
    tr!(
        "A rule of this server wants it asked: {}",
        visible_line(rule, 200)
    )
}

/// What the agent is told when a person does not choose, and what they say instead.
#[must_use]
pub fn skipped_to_agent(words: Option<&str>) -> String {
    words.map_or_else(
        || SKIPPED_TO_AGENT.to_owned(),
        |words| tr!("The user does not want to choose and says: {words}", words),
    )
}

/// What the agent is told when a person does not accept its plan, and what they say.
#[must_use]
pub fn planning_to_agent(words: Option<&str>) -> String {
    words.map_or_else(
        || PLANNING_TO_AGENT.to_owned(),
        |words| {
            tr!(
                "The user wants you to keep planning and says: {words}",
                words
            )
        },
    )
}

/// What stands in a question of the agent, before the details.
#[must_use]
pub fn may_i(tool: &str) -> String {
    tr!("May the agent use {}?", visible_line(tool, 64))
}

/// Where the agent works.
#[must_use]
pub fn place(place: &Place) -> String {
    let directory = visible_line(&place.directory, 200);
    if place.moved {
        tr!(
            "In {directory}, or wherever a command before this one has gone from there",
            directory
        )
    } else {
        tr!("In {directory}", directory)
    }
}

/// Why the agent asks, in its words.
#[must_use]
pub fn reason(reason: &str) -> String {
    tr!("Why it asks: {}", visible_line(reason.trim(), 300))
}

/// What the agent would reach that is not open to it.
#[must_use]
pub fn reaches(path: &str) -> String {
    tr!("It would reach {}", visible_line(path, 300))
}

/// What is easily overlooked about a call.
#[must_use]
pub fn note(note: Note) -> String {
    match note {
        Note::EveryPlace => tr!("Every place in the file that reads like this is changed."),
        Note::Background => tr!("It runs in the background."),
        Note::WithoutSandbox => tr!("⚠️ It is to run outside of the agent's sandbox."),
        Note::Emptied => tr!("The file is left empty."),
        Note::NewCell => tr!("A new cell of the notebook."),
        Note::CellDeleted => tr!("A cell of the notebook is deleted."),
    }
}

/// Below something that is too long to be shown whole: how much of its middle is missing.
#[must_use]
pub fn not_shown(characters: usize) -> String {
    tr!(
        "⚠️ {characters} characters in the middle are not shown here.",
        characters
    )
}

/// Where the middle of something is missing.
pub const MISSING: &str = "[… not shown …]";

/// More UTF-16 units than anything has that is offered.
const GRANT: usize = 1000;

/// Something that "for this session" would allow, on one line.
#[must_use]
pub fn grant(grant: &Grant) -> String {
    match grant {
        Grant::Use { tool, with: None } => tr!("• any use of {}", visible_line(tool, GRANT)),
        Grant::Use {
            tool,
            with: Some(with),
        } => format!(
            "• {}: {}",
            visible_line(tool, GRANT),
            visible_line(with, GRANT)
        ),
        Grant::ThisCommand => tr!("• this very command"),
        Grant::Directory(directory) => {
            tr!("• the directory {}", visible_line(directory, GRANT))
        }
        Grant::Edits => tr!("• changes of files without a question"),
    }
}

/// Below a question whether a tool may be used, without buttons. `session`: something is offered for it.
#[must_use]
pub fn answer_by_command(question: i64, session: bool) -> String {
    let session = if session {
        tr!(", /allow {question} session", question)
    } else {
        String::new()
    };
    tr!(
        "Answer with /allow {question}{session} or /deny {question}; what you write after that number is told to the agent.",
        question,
        session
    )
}

/// Below a choice, without buttons.
#[must_use]
pub fn choose_by_command(question: i64, several: bool) -> String {
    let numbers = if several {
        tr!("numbers like 1, 3")
    } else {
        tr!("a number")
    };
    tr!(
        "Answer with /answer {question} and {numbers} or your own words; /deny {question} skips it.",
        question,
        numbers
    )
}

/// Below a plan, without buttons.
#[must_use]
pub fn plan_by_command(question: i64) -> String {
    tr!(
        "Answer with /allow {question} to go ahead, /allow {question} edits to accept its edits, too, or /deny {question} to keep planning; what you write after that number is told to the agent.",
        question
    )
}

/// Before a choice: what it is about, and which of how many questions it is.
#[must_use]
pub fn asks_you(header: &str, number: usize, of: usize) -> String {
    let which = if of > 1 {
        tr!(" ({number} of {of})", number, of)
    } else {
        String::new()
    };
    match visible_line(header.trim(), 64) {
        header if header.is_empty() => tr!("The agent asks you{which}:", which),
        header => tr!("The agent asks you about {header}{which}:", header, which),
    }
}

/// Before a plan that stands in the same message.
pub static PLAN: Phrase = phrase!("The agent's plan:");
/// Below a plan that stands in the messages before.
pub static PLAN_ABOVE: Phrase = phrase!("That is the agent's plan. Shall it go ahead?");
/// In place of a plan.
pub static NO_PLAN: Phrase =
    phrase!("The agent wants to stop planning and begin. It has written no plan down.");

/// Below a plan that is too long.
#[must_use]
pub fn plan_cut(characters: usize) -> String {
    tr!(
        "⚠️ The plan is longer: {characters} characters of its end are not shown here.",
        characters
    )
}

/// While words for the agent are waited for. `private`: in a chat with the bot alone.
#[must_use]
pub fn tell_it(private: bool) -> String {
    if private {
        tr!("✎ Write now what I shall tell the agent: your next message here goes to it.")
    } else {
        tr!("✎ Reply to this message with what I shall tell the agent.")
    }
}

/// While an answer in words is waited for. `private`: in a chat with the bot alone.
#[must_use]
pub fn write_answer(private: bool) -> String {
    if private {
        tr!("✎ Write your answer now: your next message here is it.")
    } else {
        tr!("✎ Reply to this message with your answer.")
    }
}

/// Answer to a command that answered one of several questions.
pub static ONE_MORE: Phrase = phrase!("Noted. The next question stands above.");

/// How a question ended, under it.
#[must_use]
pub fn outcome(outcome: &Outcome) -> String {
    let with = |what: &str, words: &Option<String>| match words {
        Some(words) => format!("{what}: {}", visible_line(words, TOLD)),
        None => what.to_owned(),
    };
    match outcome {
        Outcome::Denied(words) => with(DENIED.as_str(), words),
        Outcome::Skipped(words) => with(SKIPPED.as_str(), words),
        Outcome::KeepPlanning(words) => with(PLANS_ON.as_str(), words),
        Outcome::Answered(all) => {
            let room = TOLD * 2 / all.len().max(1);
            let lines = all.iter().map(|(about, answer)| told(about, answer, room));
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => happened(outcome).to_owned(),
    }
}

/// UTF-16 units that are shown of a person's words.
const TOLD: usize = 300;

/// What was answered to one question.
#[must_use]
pub fn told(about: &str, answer: &str, room: usize) -> String {
    format!(
        "✓ {}: {}",
        visible_line(about, (room / 2).min(64)),
        visible_line(answer, room)
    )
}

/// How a question ended, without anybody's words: for the record.
#[must_use]
pub fn happened(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => ALLOWED.as_str(),
        Outcome::AllowedSession => ALLOWED_SESSION.as_str(),
        Outcome::Denied(_) => DENIED.as_str(),
        Outcome::Answered(_) => ANSWERED.as_str(),
        Outcome::Skipped(_) => SKIPPED.as_str(),
        Outcome::GoAhead { edits: false } => GOES_AHEAD.as_str(),
        Outcome::GoAhead { edits: true } => GOES_AHEAD_EDITS.as_str(),
        Outcome::KeepPlanning(_) => PLANS_ON.as_str(),
        Outcome::Unanswered => UNANSWERED.as_str(),
    }
}

/// Why nothing changed, to whoever gave a command about a question.
#[must_use]
pub fn refusal(why: Refusal, question: i64) -> String {
    match why {
        Refusal::Stale => super::OLD_BUTTON.to_owned(),
        Refusal::Answered => ANSWERED_ALREADY.to_owned(),
        Refusal::Withdrawn => NOT_ASKED_ANY_MORE.to_owned(),
        Refusal::WantsAnswer => tr!(
            "That question wants an answer, not a yes: /answer {question} and a number or your words.",
            question
        ),
        Refusal::WantsDecision => {
            tr!(
                "That question wants a yes or a no: /allow {question} or /deny {question}.",
                question
            )
        }
        Refusal::NoSession => tr!(
            "There is nothing that could be allowed for the session. /allow {question} allows it this time.",
            question
        ),
        Refusal::NothingChosen => tr!("Nothing is chosen yet."),
        Refusal::NoWords => tr!(
            "Write it behind the number, like /answer {question} yes.",
            question
        ),
    }
}

/// Answer to `/allow` or `/deny` with a number that no open question of this chat has.
#[must_use]
pub fn no_question(number: i64) -> String {
    tr!("No question {number} waits here.", number)
}

/// Answer to `/allow` or `/deny` without a number where several wait: each by its number and its tool.
#[must_use]
pub fn several_questions<'a>(questions: impl Iterator<Item = (i64, &'a str)>) -> String {
    /// So many are listed.
    const MOST: usize = 20;
    let mut text = tr!("Several questions wait here:");
    for (number, (id, tool)) in questions.enumerate() {
        if number == MOST {
            text.push_str("\n…");
            break;
        }
        text.push_str(&format!("\n{id}: {}", one_line(tool, 64)));
    }
    text.push_str(&tr!(
        "\nAnswer with its number, like /allow 12 or /deny 12."
    ));
    text
}
