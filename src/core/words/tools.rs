//! What the agent does with its tools: one line each.

use serde_json::Value;
use tr::tr;

use crate::core::trouble::{hide_keys, one_line, shortened};

/// Longest argument that is shown, in characters.
const ARGUMENT_CHARS: usize = 60;

/// Longest name of an unknown tool that is shown, in characters.
const NAME_CHARS: usize = 40;

/// How a tool is told.
struct Words {
    /// With the argument, in English.
    with: &'static str,
    /// Where there is no argument to show, in English.
    without: &'static str,
    /// Argument that tells most, and those that stand in for it.
    arguments: &'static [&'static str],
    /// Whether the argument is a path, of which the end tells most.
    path: bool,
}

const fn words(
    with: &'static str,
    without: &'static str,
    arguments: &'static [&'static str],
) -> Words {
    Words {
        with,
        without,
        arguments,
        path: false,
    }
}

const fn path(
    with: &'static str,
    without: &'static str,
    arguments: &'static [&'static str],
) -> Words {
    Words {
        path: true,
        ..words(with, without, arguments)
    }
}

fn known(name: &str) -> Option<Words> {
    Some(match name {
        "Bash" | "PowerShell" => words(
            english!("Running: {}"),
            english!("Running a command…"),
            &["command"],
        ),
        "BashOutput" | "TaskOutput" | "AgentOutput" => {
            words("", english!("Looking at the output of a command…"), &[])
        }
        "KillShell" | "KillBash" | "TaskStop" => words("", english!("Stopping a command…"), &[]),
        "Read" => path(
            english!("Reading {}"),
            english!("Reading a file…"),
            &["file_path"],
        ),
        "Edit" | "MultiEdit" => path(
            english!("Editing {}"),
            english!("Editing a file…"),
            &["file_path"],
        ),
        "NotebookEdit" => path(
            english!("Editing {}"),
            english!("Editing a notebook…"),
            &["notebook_path"],
        ),
        "Write" => path(
            english!("Writing {}"),
            english!("Writing a file…"),
            &["file_path"],
        ),
        "LS" => path(
            english!("Listing {}"),
            english!("Listing files…"),
            &["path"],
        ),
        "Glob" => words(
            english!("Looking for files: {}"),
            english!("Looking for files…"),
            &["pattern"],
        ),
        "Grep" => words(
            english!("Searching for: {}"),
            english!("Searching…"),
            &["pattern"],
        ),
        "WebFetch" => words(
            english!("Opening {}"),
            english!("Opening a web page…"),
            &["url"],
        ),
        "WebSearch" | "web_search" => words(
            english!("Searching the web for: {}"),
            english!("Searching the web…"),
            &["query"],
        ),
        "Task" | "Agent" => words(
            english!("Delegating: {}"),
            english!("Delegating a task…"),
            &["description", "subagent_type"],
        ),
        "TodoWrite" | "TaskCreate" | "TaskUpdate" | "TaskGet" | "TaskList" => {
            words("", english!("Updating the plan…"), &[])
        }
        "Skill" => words(
            english!("Using the skill {}"),
            english!("Using a skill…"),
            &["skill", "command"],
        ),
        "ToolSearch" => words(
            english!("Looking for a tool: {}"),
            english!("Looking for a tool…"),
            &["query"],
        ),
        "AskUserQuestion" => words("", english!("Asking you…"), &[]),
        "EnterPlanMode" => words("", english!("Planning…"), &[]),
        "ExitPlanMode" => words("", english!("Proposing a plan…"), &[]),
        _ => return None,
    })
}

/// What is told of a call.
pub(in crate::core) fn line(name: &str, input: &Value) -> String {
    let Some(words) = known(name) else {
        return unknown(name);
    };
    words
        .arguments
        .iter()
        .find_map(|argument| shown(input.get(argument)?.as_str()?, words.path))
        .map_or_else(
            || without(&words),
            |argument| {
                let with = words.with;
                tr!(with, argument)
            },
        )
}

/// What is told while the call is still being written.
pub(in crate::core) fn in_preparation(name: &str) -> String {
    known(name).map_or_else(|| unknown(name), |words| without(&words))
}

fn without(words: &Words) -> String {
    let without = words.without;
    tr!(without)
}

/// A tool of an MCP server is named after it: `mcp__server__tool`.
fn unknown(name: &str) -> String {
    let told = name
        .strip_prefix("mcp__")
        .and_then(|rest| rest.split_once("__"))
        .map_or_else(
            || name.to_owned(),
            |(server, tool)| format!("{server}: {}", tool.replace('_', " ")),
        );
    let told = shortened(&one_line(&told), NAME_CHARS);
    if told.is_empty() {
        tr!("Using a tool…")
    } else {
        tr!("Using {told}", told)
    }
}

/// An argument on one line, shortened; none where nothing of it can be seen.
fn shown(argument: &str, path: bool) -> Option<String> {
    // Nobody reads more of it; and it may be a script of megabytes.
    const READ_CHARS: usize = ARGUMENT_CHARS * 20;
    let part = if path {
        let start = argument.char_indices().rev().nth(READ_CHARS);
        &argument[start.map_or(0, |(at, _)| at)..]
    } else {
        let end = argument.char_indices().nth(READ_CHARS);
        &argument[..end.map_or(argument.len(), |(at, _)| at)]
    };
    let line = hide_keys(&one_line(part));
    if line.is_empty() {
        return None;
    }
    let count = line.chars().count();
    if path && count > ARGUMENT_CHARS {
        let tail: String = line.chars().skip(count - (ARGUMENT_CHARS - 1)).collect();
        // From a separator on, where one is near, so that no half name stands in front.
        let tail = match tail.split_once('/') {
            Some((cut, rest)) if cut.chars().count() < 30 && !rest.is_empty() => {
                format!("/{rest}")
            }
            _ => tail,
        };
        return Some(format!("…{tail}"));
    }
    Some(shortened(&line, ARGUMENT_CHARS))
}
