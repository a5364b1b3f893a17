//! Every sentence that a person reads in a chat, in one place.
//!
//! Short, friendly, without jargon. Sentences about troubles stand with [`super::trouble`].
//!
//! They are written in English here, and said in the language in use ([`language`]). So a sentence is whole where that can
//! be, its parts have names, and a number of things goes through the plural of [`tr::tr`]. What the *agent* is told is
//! English for whatever person, and a plain constant.

use std::sync::LazyLock;

/// A fixed text, in the language in use. That is found out when the text is first needed, so it must have been set by then.
pub type Phrase = LazyLock<String>;

/// A [`Phrase`], given in English.
macro_rules! phrase {
    ($english:literal) => {
        std::sync::LazyLock::new(|| tr::tr!($english))
    };
}

/// A text that is said later, by [`tr::tr`] with a name for it: marks it for those who translate.
macro_rules! english {
    ($text:literal) => {
        $text
    };
}
pub(crate) use english;

pub mod admin;
pub mod alerts;
pub mod approval;
pub(super) mod doing;
pub mod enclosed;
pub mod files;
pub mod language;
pub mod limits;
pub mod mode;
pub(super) mod model;
pub mod pairing;
pub mod queue;
pub(super) mod tools;

use tr::tr;

use super::{
    Millis, command,
    text::Button,
    trouble::{ServiceTrouble, Trouble},
};

/// Placeholder of a turn that is about to run.
pub const WORKING: &str = "…";
/// Above the end of an answer that is longer than what can be shown of it while it is written.
pub const MORE_ABOVE: &str = "…\n";
/// Mark under an answer that the person ended.
pub static INTERRUPTED: Phrase = phrase!("— Interrupted");
/// Answer of a turn that said nothing.
pub static NO_WORDS: Phrase = phrase!("Done. (The agent said nothing.)");
/// Greeting of `/start`.
pub static GREETING: Phrase = phrase!(
    "Hello! Write to me and I pass it on to the agent on the server; its answer comes here.\n\n/help lists what else I understand."
);
/// Answer to a message that holds nothing to pass on.
pub static NOTHING_TO_PASS_ON: Phrase = phrase!("That message has no text that I could pass on.");
/// Answer to `/interrupt` when nothing runs.
pub static NOTHING_RUNS: Phrase = phrase!("Nothing is running.");
/// Answer to `/interrupt`.
pub static STOPPING: Phrase = phrase!("Stopping…");
/// Answer to `/clear`.
pub static CLEARED: Phrase =
    phrase!("Done: the next message begins a new conversation with the agent.");
/// Answer to `/clear` while a turn runs.
pub static CLEARED_RUNNING: Phrase = phrase!(
    "Done: I stop what is running, and the next message begins a new conversation with the agent."
);
/// Button under a running answer.
pub static STOP: Phrase = phrase!("Stop");
/// Button under a question whether to run a late message.
pub static RUN: Phrase = phrase!("Run");
/// Button under a question whether to run a late message.
pub static DISCARD: Phrase = phrase!("Discard");
/// Button under an interrupted answer.
pub static CONTINUE: Phrase = phrase!("Continue");
/// Button under an interrupted answer.
pub static LEAVE_IT: Phrase = phrase!("Leave it");
/// Prompt that continues an interrupted turn.
pub const CONTINUE_PROMPT: &str = "You were interrupted by a restart of the server. Please check what took effect and continue where you stopped.";
/// Under a late message that was discarded.
pub static DISCARDED: Phrase = phrase!("Discarded: it was not run.");
/// Under an interrupted answer that was left.
pub static LEFT: Phrase = phrase!("— Interrupted by a restart of the server; left as it is.");
/// Under an interrupted answer that is continued below.
pub static CONTINUED: Phrase =
    phrase!("— Interrupted by a restart of the server; continued below.");
/// Placeholder of a turn that is run again.
pub static RUN_AGAIN: Phrase =
    phrase!("The server was restarted, so I am running your message again…");
/// Where the agent has lost the session of a conversation that went on for a while.
pub static SESSION_GONE: Phrase = phrase!(
    "The agent no longer knows what was said here before, so it takes your message as the first of a new conversation."
);
/// Under a turn that a restart hit twice.
pub static RESTARTED_TOO_OFTEN: Phrase = phrase!(
    "The agent was ended from outside each time that I ran this message. Please look at the server before you send it again."
);
/// A message was changed when the agent had it.
pub static EDIT_TOO_LATE: Phrase = phrase!(
    "✏️ That change came too late: the agent has your message as it was. If it matters, please send it as a new message."
);
/// A message became a command by a change.
pub static EDIT_IS_NO_COMMAND: Phrase =
    phrase!("✏️ A command works only as a new message, so I kept your message as it was.");
/// First line of a message that may be a second copy.
pub static REPEAT_MARK: Phrase = phrase!("(may be a repeat)");
/// Last lines of a text that had to be cut.
pub static CUT_NOTE: Phrase =
    phrase!("\n\n(The rest is missing: Telegram refused the message as too long.)");
/// Stands at the end of an answer that is longer than is kept.
pub static ANSWER_CUT: Phrase =
    phrase!("[The answer is longer than 1 MiB. What follows was left out here.]");
/// Press of a button that has done its work.
pub static OLD_BUTTON: Phrase = phrase!("That button is no longer of use.");
/// Press of a button by somebody who may not.
pub static NOT_YOURS: Phrase = phrase!("🔒 That is not yours to decide.");
/// A prompt that cannot be given to the agent for want of disk space.
pub static DISK_FULL: Phrase =
    phrase!("The server's disk is full. Your message is kept and runs as soon as there is room.");
/// A running answer that the disk may have no room for.
pub static DISK_FULL_ANSWER: Phrase = phrase!(
    "The server's disk is full, so the rest of this answer may be lost. If it does not come to an end, use /interrupt once there is room."
);
/// Tampering with the agent's output.
pub static OUTPUT_DAMAGED: Phrase = phrase!(
    "The agent's output file on the server was cut or changed from outside, so this answer cannot be trusted. An administrator should look at the server."
);
/// The agent stopped without a word.
pub static AGENT_STOPPED: Phrase = phrase!("The agent stopped before it had finished.");

/// The agent wrote more than one process may.
pub static OUTPUT_LIMIT: Phrase = phrase!(
    "The agent wrote more than it may and was ended. An administrator can raise `agent.output_limit_mb` in the server's configuration."
);

/// The agent's working directory is not there.
pub static AGENT_DIRECTORY: Phrase = phrase!(
    "The directory in which the agent works cannot be entered. An administrator must look at `agent.directory` in the server's configuration."
);
/// An administrator ended the agent.
pub static AGENT_ENDED: Phrase =
    phrase!("The agent was stopped by an administrator of the server before it had finished.");
/// The agent could not be started, for a reason that only an administrator understands.
pub static AGENT_NOT_STARTED: Phrase = phrase!(
    "The agent could not be started. An administrator finds the reason in the server's journal."
);

/// After the daemon ended unexpectedly. `machine`: the whole server did. `waits`: the person waits for an answer.
#[must_use]
pub fn came_back(machine: bool, waits: bool, admin: bool) -> String {
    let mut text = match (machine, waits) {
        (true, _) => {
            tr!(
                "The server went down without a shutdown and is back. Whoever was waiting for an answer is told what becomes of it."
            )
        }
        (false, true) => {
            tr!("I was restarted after a crash. Your work goes on; nothing you sent is lost.")
        }
        (false, false) => tr!("I was restarted after a crash. Whatever was running goes on."),
    };
    if admin && !machine {
        text.push_str(&tr!(
            "\n\nThe reason stands in the server's journal: journalctl -u telexd -p warning"
        ));
    }
    text
}

/// The agent was ended by a signal.
#[must_use]
pub fn agent_killed(signal: i32) -> String {
    tr!(
        "The agent was ended from outside (signal {signal}) before it had finished.",
        signal
    )
}

/// The agent crashed by this signal, given without its `SIG`.
#[must_use]
pub fn agent_crashed(signal: &str) -> String {
    tr!(
        "The agent crashed (signal {signal}) before it had finished.",
        signal
    )
}

/// The agent used more memory than it may, in bytes.
#[must_use]
pub fn agent_out_of_memory(limit: Option<u64>) -> String {
    static LAST: Phrase = phrase!("An administrator can raise the limit.");
    match limit {
        Some(limit) => tr!(
            "The agent used more than {} of memory and was ended. {last}",
            memory(limit),
            last = LAST.as_str()
        ),
        None => tr!(
            "The agent used more memory than there is and was ended. {last}",
            last = LAST.as_str()
        ),
    }
}

/// The agent ran longer than it may, in seconds.
#[must_use]
pub fn agent_out_of_time(seconds: u64) -> String {
    tr!(
        "The agent ran for more than {} and was ended. An administrator can raise the limit.",
        span(Millis::try_from(seconds).unwrap_or(Millis::MAX / 1000) * 1000)
    )
}

/// The agent's service could not be started.
#[must_use]
pub fn agent_service(trouble: ServiceTrouble) -> String {
    let what = match trouble {
        ServiceTrouble::Masked => tr!("its service is switched off (masked)"),
        ServiceTrouble::Missing => tr!("its service is not installed"),
        ServiceTrouble::Broken => tr!("the configuration of its service cannot be used"),
        ServiceTrouble::User => tr!("the user that it is to run as does not exist"),
        ServiceTrouble::Refused => tr!("I am not allowed to start it"),
        ServiceTrouble::NoSystemd => tr!("systemd cannot be reached"),
        ServiceTrouble::Credentials => tr!("the file with its keys is missing"),
        ServiceTrouble::Sandbox => tr!("its sandbox cannot be set up"),
        ServiceTrouble::Other => tr!("its service failed"),
    };
    tr!(
        "The agent could not be started because {what}. An administrator finds the remedy in the server's journal.",
        what
    )
}

/// Bytes as people say them.
fn memory(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    let Some((size, unit)) = UNITS.into_iter().find(|(size, _)| bytes >= *size) else {
        return tr!("{bytes} bytes", bytes);
    };
    let (whole, tenth) = (bytes / size, bytes % size * 10 / size);
    match tenth {
        0 => format!("{whole} {unit}"),
        tenth => format!("{whole}.{tenth} {unit}"),
    }
}

/// The agent is not installed.
#[must_use]
pub fn agent_not_found(program: &str) -> String {
    tr!(
        "The agent program `{program}` is not on the server. An administrator must install it or set `agent.command`.",
        program
    )
}

/// The agent is too old.
#[must_use]
pub fn agent_too_old(found: &str, oldest: &str) -> String {
    let found: String = found.chars().take(40).collect();
    tr!(
        "The agent on the server is version {found}; {oldest} or newer is needed. An administrator must update it.",
        found,
        oldest
    )
}

/// `/help`: the commands that this person may use.
#[must_use]
pub fn help<'a>(commands: impl Iterator<Item = &'a command::CommandInfo>) -> String {
    let mut text = tr!("Write what you want done. Besides that I understand:\n");
    for listed in commands {
        text.push_str(&format!("\n/{} – {}", listed.name, listed.description()));
    }
    text
}

/// Answer to a command that there is not.
#[must_use]
pub fn unknown_command(name: &str, nearest: Option<&str>) -> String {
    let shown: String = name.chars().take(32).collect();
    match nearest {
        Some(nearest) => {
            tr!(
                "There is no command /{shown}. Did you mean /{nearest}? /help lists them all.",
                shown,
                nearest
            )
        }
        None => tr!(
            "There is no command /{shown}. /help lists those that there are.",
            shown
        ),
    }
}

/// Button under messages that are being collected.
pub static SEND_NOW: Phrase = phrase!("Send now");
/// Press of that button.
pub static SENT: Phrase = phrase!("Sent.");

/// While messages are collected into one prompt: how many so far.
#[must_use]
pub fn collecting(parts: usize) -> String {
    tr!("Collecting… ({parts})", parts)
}

/// Up to so many others before it, a turn that waits is told its place.
pub const PLACES: usize = 20;

/// Placeholder of a turn that has so many others before it.
#[must_use]
pub fn waiting(before: usize) -> String {
    match before {
        0 => WORKING.to_owned(),
        1..=PLACES => tr!("In line: number {}.", before + 1),
        _ => tr!("In line, behind more than {} others.", PLACES),
    }
}

/// Placeholder of a turn that waits for an agent process.
#[must_use]
pub fn all_busy(processes: usize, waiting_before: usize) -> String {
    if waiting_before == 0 {
        tr!("The one agent is busy; yours is next."
            | "All {n} agents are busy; yours is next." % processes)
    } else {
        tr!(
            "The one agent is busy; {waiting_before} before you."
                | "All {n} agents are busy; {waiting_before} before you." % processes,
            waiting_before
        )
    }
}

/// Question about what came while the daemon was away: so many messages, an album counted as one, with this text.
#[must_use]
pub fn late(age: Millis, messages: usize, text: &str) -> String {
    let quoted: String = text.chars().take(200).collect();
    let dots = if quoted.len() < text.len() { "…" } else { "" };
    let run = tr!("run it?" | "run these {n} messages?" % messages.max(1));
    let about = if text.trim().is_empty() { "" } else { "\n\n" };
    tr!(
        "Received {age} ago while I was away: {run}{about}{quoted}{dots}",
        age = span(age),
        run,
        about,
        quoted,
        dots
    )
}

/// Question about a turn that was interrupted after it may have had effects.
#[must_use]
pub fn continue_after(tools: u32) -> String {
    tr!(
        "This was interrupted by a restart of the server, after 1 tool call. Continue?"
            | "This was interrupted by a restart of the server, after {n} tool calls. Continue?"
                % tools
    )
}

/// A duration in words, coarse: the two greatest units at most.
#[must_use]
pub fn span(millis: Millis) -> String {
    let seconds = (millis / 1000).max(0);
    match seconds {
        0..60 => tr!("{seconds} s", seconds),
        60..3600 => tr!("{minutes} min", minutes = seconds / 60),
        3600..86_400 => match (seconds / 3600, seconds % 3600 / 60) {
            (h, 0) => tr!("{h} h", h),
            (h, m) => tr!("{h} h {m} min", h, m),
        },
        _ => match (seconds / 86_400, seconds % 86_400 / 3600) {
            (d, 0) => tr!("{d} d", d),
            (d, h) => tr!("{d} d {h} h", d, h),
        },
    }
}

/// A trouble under an answer.
#[must_use]
pub fn trouble(trouble: &Trouble) -> String {
    trouble.sentence()
}

/// Facts for `/status`.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What the running turn does, and for how long it has run.
    pub running: Option<(String, Millis)>,
    /// Turns that wait.
    pub waiting: usize,
    /// Turns that are kept until the person says so.
    pub kept: usize,
    /// Duration and cost in US dollars of the last turn.
    pub last: Option<(Option<u64>, Option<f64>)>,
    /// Session: first characters of its id, total cost in US dollars, model.
    pub session: Option<(String, f64, Option<String>)>,
    /// The permission mode, as a sentence, where it is not the plain one.
    pub mode: Option<String>,
    /// That all is paused, as a sentence.
    pub paused: Option<String>,
    /// For how long the daemon has run.
    pub up: Millis,
}

/// Answer to `/status`.
#[must_use]
pub fn status(facts: &Status) -> String {
    let mut lines: Vec<String> = facts.paused.iter().cloned().collect();
    match &facts.running {
        Some((what, since)) if what.is_empty() => {
            lines.push(tr!("Working for {}.", span(*since)));
        }
        Some((what, since)) => lines.push(tr!("Working for {}: {what}", span(*since), what)),
        None if facts.paused.is_some() => {}
        None => lines.push(tr!("Ready.")),
    }
    match facts.waiting {
        0 => {}
        n => lines.push(tr!("1 message in line." | "{n} messages in line." % n)),
    }
    if facts.kept > 0 {
        lines.push(queue::kept(facts.kept));
    }
    if let Some((duration, cost)) = &facts.last {
        let mut parts = Vec::new();
        if let Some(ms) = duration {
            parts.push(if *ms < 10_000 {
                format!("{}.{} s", ms / 1000, ms % 1000 / 100)
            } else {
                span(Millis::try_from(*ms).unwrap_or(Millis::MAX))
            });
        }
        if let Some(cost) = cost {
            parts.push(dollars(*cost));
        }
        if !parts.is_empty() {
            lines.push(tr!("Last answer: {}.", parts.join(", ")));
        }
    }
    if let Some((id, total, model)) = &facts.session {
        let model = model.as_ref().map(|m| format!(", {m}")).unwrap_or_default();
        lines.push(tr!(
            "Session {id}: {} so far{model}.",
            dollars(*total),
            id,
            model
        ));
    }
    lines.extend(facts.mode.clone());
    lines.push(tr!("Up for {}.", span(facts.up)));
    lines.join("\n")
}

fn dollars(amount: f64) -> String {
    if amount < 0.01 {
        format!("${amount:.4}")
    } else {
        format!("${amount:.2}")
    }
}

/// A button.
#[must_use]
pub fn button(label: &str, data: impl Into<String>) -> Button {
    Button {
        label: label.to_owned(),
        data: data.into(),
    }
}

/// What a person is told of an error that nobody thought of: its number, by which `journalctl` finds it.
#[must_use]
pub fn unexpected(number: &str, admin: bool) -> String {
    let mut text = tr!(
        "❌ An error occurred with your message. I keep it and try again every minute, so there is no need to send it once more. \
         Number of the error: {number}",
        number
    );
    text.extend(admin.then(|| how_to_find(number)));
    text
}

/// The order that finds it, which is the same in every language.
fn how_to_find(number: &str) -> String {
    format!("\n\njournalctl TELEXD_ERROR={number}")
}

/// The same of an error that an agent's turn meets.
#[must_use]
pub fn unexpected_at_work(number: &str, admin: bool) -> String {
    let mut text = tr!(
        "❌ An error occurred while I worked on your message. Nothing is lost: I go on trying, and an administrator finds the reason \
         in the server's journal. Number of the error: {number}",
        number
    );
    text.extend(admin.then(|| how_to_find(number)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_an_agent_read_well() {
        for (bytes, text) in [
            (1 << 30, "more than 1 GB of memory"),
            (3 << 29, "more than 1.5 GB of memory"),
            (60 << 20, "more than 60 MB of memory"),
            (999, "more than 999 bytes of memory"),
        ] {
            let told = agent_out_of_memory(Some(bytes));
            assert!(told.contains(text), "{told}");
        }
        assert!(agent_out_of_time(6 * 3600).contains("more than 6 h and"));
        assert!(agent_out_of_time(u64::MAX).contains("more than"));
    }

    #[test]
    fn spans_read_well() {
        for (ms, text) in [
            (0, "0 s"),
            (-5, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_600_000, "1 h"),
            (10_860_000, "3 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn status_tells_cost_and_duration() {
        let text = status(&Status {
            last: Some((Some(4210), Some(0.00044))),
            up: 61_000,
            ..Status::default()
        });
        assert_eq!(text, "Ready.\nLast answer: 4.2 s, $0.0004.\nUp for 1 min.");
    }
}
