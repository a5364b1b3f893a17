//! What administrators are told, and what others are told of what administrators did.

use tr::tr;

use super::Phrase;
use crate::core::{
    Millis,
    pause::Pause,
    policy::{Role, Source},
    text::one_line,
    words::span,
};

/// Placeholder of a turn that waits while all is paused: the first, second, … that waits.
#[must_use]
pub fn waits(pause: &Pause, number: u64) -> String {
    capital(&tr!("{}: yours is number {number}.", pause.told(), number))
}

/// "paused by Ada since 2026-11-21 18:43 UTC (upgrade)": by whom, since when and why.
#[must_use]
pub fn paused_by(name: &str, since: Option<&str>, reason: Option<&str>) -> String {
    let mut text = match since {
        Some(since) => tr!("paused by {name} since {since}", name, since),
        None => tr!("paused by {name}", name),
    };
    if let Some(reason) = reason {
        text.push_str(&format!(" ({reason})"));
    }
    text
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
        n => tr!(" The one answer that is being written goes on to its end."
            | " The {n} answers that are being written go on to their end." % n),
    };
    tr!(
        "Paused: messages are kept, and run after /resume.{goes_on}",
        goes_on
    )
}

/// Answer to `/pause` while there is a pause.
#[must_use]
pub fn paused_already(pause: &Pause) -> String {
    tr!("No change: {}.", pause.told())
}

/// Answer to `/resume`; `waiting`: turns that are run now.
#[must_use]
pub fn resumed(waiting: u64) -> String {
    match waiting {
        0 => tr!("Resumed. Nothing waits."),
        n => tr!("Resumed: the one message in line is run now."
            | "Resumed: the {n} messages in line are run now, in their order." % n),
    }
}

/// Answer to `/resume` without a pause.
pub static NOT_PAUSED: Phrase = phrase!("No change: nothing is paused.");

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

/// Under an answer that an administrator ended.
pub static ENDED: Phrase = phrase!("— Ended by an administrator");
/// To the person whose conversation an administrator cleared.
pub static CLEARED_FOR_YOU: Phrase = phrase!(
    "An administrator cleared this conversation: your next message begins a new one with the agent."
);
/// Answer to the clearing of a conversation that has no session.
pub static CLEAR_ALREADY: Phrase = phrase!("No change: it has nothing to forget.");
/// Before a prompt of an administrator's.
pub static ASKS: Phrase = phrase!("An administrator asks:");
/// Button of a question that asks first.
pub static NO: Phrase = phrase!("No");
/// Button below the question whether all agents are to end.
pub static YES_END_ALL: Phrase = phrase!("End all");
/// What a question becomes whose button was pressed too late.
pub static ASKED_TOO_LONG_AGO: Phrase = phrase!(
    "This question is no longer of use: it holds for five minutes and works once. Give the order again."
);
/// What a question becomes when the answer is no.
pub static LEFT_ALONE: Phrase = phrase!("Left as it was.");

/// Question before the daemon restarts.
pub static RESTART: Phrase =
    phrase!("Restart the bot? Agents go on, and what is sent meanwhile is kept.");
/// Button below that.
pub static YES_RESTART: Phrase = phrase!("Restart");
/// The daemon ends to be started again.
pub static RESTARTING: Phrase = phrase!("Restarting…");
/// It was started again.
pub static BACK: Phrase = phrase!("Restarted: here I am.");

/// Question before all agents end.
#[must_use]
pub fn end_all(runs: usize) -> String {
    match runs {
        0 => tr!("No agent runs."),
        n => tr!("End the one agent that runs, and what it is doing?"
            | "End all {n} agents, and what they are doing?" % n),
    }
}

/// All agents are told to end.
#[must_use]
pub fn ends_all(runs: usize) -> String {
    match runs {
        0 => tr!("No agent runs."),
        n => tr!(
            "The one agent ends. Messages in line are run by another; /pause keeps them."
                | "{n} agents end. Messages in line are run by others; /pause keeps them." % n
        ),
    }
}

/// A run is told to end.
#[must_use]
pub fn ends(run: &str, name: Option<&str>, person: i64, age: Millis) -> String {
    tr!(
        "{run} ends: {who}, for {age}.",
        who = who(name, person),
        age = span(age),
        run
    )
}

/// A run that was to end is over.
#[must_use]
pub fn run_is_over(run: &str) -> String {
    tr!("No change: {run} is over already.", run)
}

/// Somebody in a list.
fn who(name: Option<&str>, person: i64) -> String {
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => one_line(name, NAME),
        None => person.to_string(),
    }
}

/// Longest name in a list, in characters.
const NAME: usize = 32;
/// Most lines of a list.
const LINES: usize = 40;

fn list(lines: Vec<String>) -> String {
    let more = lines.len().saturating_sub(LINES);
    let mut text = lines.into_iter().take(LINES).collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&tr!("\n… and {more} more", more));
    }
    text
}

/// Line of `/ps`.
#[derive(Clone, Debug)]
pub struct Process<'a> {
    /// Beginning of the run's id.
    pub run: &'a str,
    /// Name of its person, where it is known.
    pub name: Option<&'a str>,
    /// Their Telegram user id.
    pub person: i64,
    /// For how long it has run.
    pub age: Millis,
    /// Whether it works on a message.
    pub works: bool,
}

/// Answer to `/ps`.
#[must_use]
pub fn processes<'a>(processes: impl Iterator<Item = Process<'a>>) -> String {
    let lines: Vec<String> = processes
        .map(|p| {
            let state = if p.works { tr!("works") } else { tr!("rests") };
            let (who, age) = (who(p.name, p.person), span(p.age));
            format!("{} · {who} · {state} · {age}", p.run)
        })
        .collect();
    if lines.is_empty() {
        return end_all(0);
    }
    list(lines)
}

/// Answer to `/users`: name, id, role (by the lists, unless `Source` says otherwise), and how long ago each was seen.
#[must_use]
pub fn people<'a>(
    people: impl Iterator<Item = (Option<&'a str>, i64, Role, Option<Source>, Option<Millis>)>,
) -> String {
    list(
        people
            .map(|(name, id, role, source, seen)| {
                let role = match role {
                    Role::Admin => tr!("admin"),
                    Role::User if source == Some(Source::Paired) => tr!("user · by a code"),
                    Role::User => tr!("user"),
                    Role::Nobody => tr!("not let in any more"),
                };
                let seen =
                    seen.map_or_else(|| tr!("never seen"), |ago| tr!("seen {} ago", span(ago)));
                match name {
                    Some(_) => format!("{} ({id}) · {role} · {seen}", who(name, id)),
                    None => format!("{id} · {role} · {seen}"),
                }
            })
            .collect(),
    )
}

/// A setting was changed, or was so already.
#[must_use]
pub fn configured(key: &str, value: Option<&str>, no_change: bool, after_restart: bool) -> String {
    let holds = match value {
        Some(value) => format!("{key} = {value}"),
        None => tr!("{key} is not set", key),
    };
    match (no_change, after_restart) {
        (true, _) => tr!("No change: {holds}.", holds),
        (false, true) => tr!("{holds}, from the next /restart on.", holds),
        (false, false) => tr!("{holds}, from now on.", holds),
    }
}

/// A setting, for `/config KEY`.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// Key.
    pub key: &'a str,
    /// Value, as in a file.
    pub value: Option<&'a str>,
    /// Where that comes from.
    pub source: &'a str,
    /// Default, as in a file.
    pub default: Option<&'a str>,
    /// What is allowed.
    pub range: &'a str,
    /// What it is for.
    pub about: &'a str,
    /// Whether a change holds after a restart only.
    pub after_restart: bool,
    /// Whether only files may set it.
    pub files_only: bool,
}

/// Answer to `/config KEY`.
#[must_use]
pub fn setting(s: &Setting<'_>) -> String {
    let mut text = match s.value {
        Some(value) => format!("{} = {value} ({})", s.key, s.source),
        None => tr!("{} is not set", s.key),
    };
    text.push_str(&tr!(
        "\n{about}\nAllowed: {range}.",
        about = s.about,
        range = s.range
    ));
    if let Some(default) = s.default {
        text.push_str(&tr!(" Default: {default}.", default));
    }
    if s.files_only {
        text.push_str(&tr!("\nOnly the files on the server set it."));
    } else if s.after_restart {
        text.push_str(&tr!("\nA change holds after /restart."));
    }
    text
}

/// Answer to `/config`: each key with its value, and where that comes from unless it is the default.
#[must_use]
pub fn settings<'a>(all: impl Iterator<Item = Setting<'a>>) -> String {
    let mut text = String::new();
    for s in all {
        let value = s.value.map_or_else(|| tr!("(not set)"), str::to_owned);
        let source = match s.source {
            "run time" => tr!(" · run time"),
            "default" => String::new(),
            _ if s.value.is_none() => String::new(),
            _ => tr!(" · file"),
        };
        text.push_str(&format!("{} = {value}{source}\n", s.key));
    }
    text.push_str(&tr!(
        "\n/config KEY tells more, /config KEY VALUE sets it, /config reset KEY takes that back."
    ));
    text
}

/// Answer to `/config` with a value and no key.
pub static WHICH_KEY: Phrase = phrase!("Which key? /config lists them all.");
/// Answer to `/debug` with another word.
pub static ON_OR_OFF: Phrase = phrase!("Write /debug on or /debug off.");
