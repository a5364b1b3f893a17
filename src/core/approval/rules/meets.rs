//! Whether a rule is about what is asked.

use serde_json::Value;
use url::Url;

use super::{
    paths::{self, Pattern, like},
    rule::{About, Command, EDITS, READS, Rule},
    shell::{self, Word},
};
use crate::core::event::Question;

/// Tools that look through a folder.
const SEARCHES: [&str; 3] = ["Glob", "Grep", "LS"];

/// Folders and files whose content is run, or decides what is: no rule with `*` allows to change them.
const GUARDED: [&str; 24] = [
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".cargo",
    ".claude",
    ".claude.json",
    ".devcontainer",
    ".envrc",
    ".git",
    ".gitconfig",
    ".gitmodules",
    ".husky",
    ".idea",
    ".mcp.json",
    ".npmrc",
    ".profile",
    ".ripgreprc",
    ".ssh",
    ".vscode",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];

/// Whether a rule is about something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meets {
    No,
    /// It cannot be told.
    Perhaps,
    Yes,
}

impl Meets {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Whether a rule that denies or asks is about this.
pub(super) fn meets(rule: &Rule, question: &Question) -> Meets {
    let tool = question.tool.as_str();
    match &rule.about {
        About::Tool(_) | About::Tools(_) => Meets::of(is_tool(rule, tool)),
        About::Command(command) if tool == "Bash" => {
            match question.input.get("command").and_then(Value::as_str) {
                Some(line) => runs(command, line),
                None => Meets::Perhaps,
            }
        }
        About::Reads(pattern) if READS.contains(&tool) => touches(pattern, question),
        About::Edits(pattern) if EDITS.contains(&tool) => touches(pattern, question),
        About::Host(host) if tool == "WebFetch" => match address(question) {
            Some(url) => Meets::of(is_host(&url, host)),
            None => Meets::Perhaps,
        },
        _ => Meets::No,
    }
}

/// Whether a rule that allows is about all of this.
pub(super) fn covers(rule: &Rule, question: &Question) -> bool {
    let tool = question.tool.as_str();
    let command = || question.input.get("command").and_then(Value::as_str);
    let sandboxed = || {
        let out = question.input.get("dangerouslyDisableSandbox");
        out.is_none_or(|out| *out == Value::Bool(false))
    };
    // Its own program would not let that pass by a rule either, unless one names it.
    let named = || matches!(&rule.about, About::Edits(pattern) if names(pattern, question));
    if question.dangerous && !named() {
        return false;
    }
    match &rule.about {
        About::Tool(_) | About::Tools(_) => {
            is_tool(rule, tool) && sandboxed() && !(EDITS.contains(&tool) && guards(None, question))
        }
        About::Command(allowed) if tool == "Bash" => {
            sandboxed() && command().is_some_and(|line| is_plainly(allowed, line))
        }
        About::Reads(pattern) if READS.contains(&tool) => {
            is_about(pattern, question) && leads(pattern, question) && stays(question)
        }
        About::Edits(pattern) if EDITS.contains(&tool) => {
            is_about(pattern, question)
                && leads(pattern, question)
                && !guards(Some(pattern), question)
        }
        About::Host(host) if tool == "WebFetch" => {
            address(question).is_some_and(|url| is_host(&url, host))
        }
        _ => false,
    }
}

fn is_tool(rule: &Rule, tool: &str) -> bool {
    match &rule.about {
        About::Tool(name) => {
            let group = [&EDITS[..], &READS[..]].into_iter().find(|g| g[0] == name);
            name == tool || group.is_some_and(|group| group.contains(&tool))
        }
        About::Tools(begin) => tool.starts_with(begin.as_str()),
        _ => false,
    }
}

/// Whether a command line is this command and nothing else.
fn is_plainly(command: &Command, line: &str) -> bool {
    let line = line.trim_matches([' ', '\t']);
    shell::look(line).single && is_command(command, line)
}

fn is_command(command: &Command, text: &str) -> bool {
    match command {
        Command::Exact(exact) => text == exact,
        Command::Begin(begin) => text
            .strip_prefix(begin.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])),
        Command::Like(pattern) => alike(pattern, text),
    }
}

/// As [`like`], where `?` is a character like any other.
fn alike(pattern: &str, text: &str) -> bool {
    const MARK: &str = "\u{1}";
    // Neither holds control characters where it matters.
    like(&pattern.replace('?', MARK), &text.replace('?', MARK))
}

/// Whether a command line runs this command, as far as it can be told.
fn runs(command: &Command, line: &str) -> Meets {
    let line = shell::look(line);
    let mut found = if line.opaque {
        Meets::Perhaps
    } else {
        Meets::No
    };
    // The rule's own words, as they are after the shell has read them.
    let command = &read(command);
    for words in &line.commands {
        let (readings, others) = shell::readings(words);
        if others {
            found = found.max(Meets::Perhaps);
        }
        for words in readings {
            found = found.max(is_run(command, words, false));
            // Whatever directory its program is in.
            found = found.max(is_run(command, words, true));
        }
    }
    found
}

/// A command without its quotes.
fn read(command: &Command) -> Command {
    const STAR: &str = "\u{1}";
    let text = |text: &str| {
        let line = shell::look(&text.replace('*', STAR));
        let words = line.commands.first().map(|words| join(words, false));
        let words = words.and_then(|(words, whole)| whole.then_some(words));
        words.map_or_else(|| text.to_owned(), |words| words.replace(STAR, "*"))
    };
    match command {
        Command::Exact(exact) => Command::Exact(text(exact)),
        Command::Begin(begin) => Command::Begin(text(begin)),
        Command::Like(like) => Command::Like(text(like)),
    }
}

/// The words up to the first that is not known, and whether that is all; the program with or without its directory.
fn join(words: &[Word], name_alone: bool) -> (String, bool) {
    let mut known: Vec<&str> = words
        .iter()
        .map_while(|word| match word {
            Word::Known(word) => Some(word.as_str()),
            Word::Unknown => None,
        })
        .collect();
    if let (true, Some(first), Some(name)) = (name_alone, known.first_mut(), shell::program(words))
    {
        *first = name;
    }
    (known.join(" "), known.len() == words.len())
}

fn is_run(command: &Command, words: &[Word], name_alone: bool) -> Meets {
    let (text, whole) = join(words, name_alone);
    if whole {
        return Meets::of(is_command(command, &text));
    }
    let head = match command {
        Command::Begin(begin) if is_command(command, &text) && !begin.is_empty() => {
            return Meets::Yes;
        }
        Command::Exact(text) | Command::Begin(text) => text.as_str(),
        Command::Like(text) => text.split('*').next().unwrap_or_default(),
    };
    let may = head.starts_with(&text) || text.starts_with(head);
    if may { Meets::Perhaps } else { Meets::No }
}

/// The file or folder that a tool is given, as names; `None` where it cannot be told.
fn given(question: &Question) -> Option<Vec<String>> {
    let field = match question.tool.as_str() {
        "NotebookEdit" | "NotebookRead" => "notebook_path",
        tool if SEARCHES.contains(&tool) => "path",
        _ => "file_path",
    };
    // Where an agent is by now is known as long as no command may have taken it elsewhere.
    let here = question.place.as_ref().filter(|place| !place.moved);
    let here = here.map(|place| place.directory.as_str());
    match question.input.get(field) {
        Some(Value::String(path)) if path.starts_with('/') => paths::plain(path),
        Some(Value::String(path)) if !path.starts_with('~') => {
            paths::plain(&format!("{}/{path}", here?))
        }
        None | Some(Value::Null) if field == "path" => paths::plain(here?),
        _ => None,
    }
}

/// Whether a tool has to do with a file that this pattern is about.
fn touches(pattern: &Pattern, question: &Question) -> Meets {
    let Some(path) = given(question) else {
        return Meets::Perhaps;
    };
    if pattern.is_about(&path) || question.blocked_path.is_some() && leads(pattern, question) {
        return Meets::Yes;
    }
    let searches = SEARCHES.contains(&question.tool.as_str());
    // It looks through all that is below, or, by its own pattern, elsewhere.
    if searches && (pattern.is_below(&path) || !stays(question)) {
        return Meets::Perhaps;
    }
    Meets::No
}

fn is_about(pattern: &Pattern, question: &Question) -> bool {
    given(question).is_some_and(|path| pattern.is_about(&path))
}

/// Whether this is about where links lead as well, as far as the agent's program tells that.
fn leads(pattern: &Pattern, question: &Question) -> bool {
    question.blocked_path.as_ref().is_none_or(|path| {
        let path = paths::plain(path);
        path.is_some_and(|path| pattern.is_about(&path))
    })
}

/// Whether a pattern names what others run, of the file that is to be changed.
fn names(pattern: &Pattern, question: &Question) -> bool {
    let path = given(question).unwrap_or_default();
    path.iter()
        .any(|name| GUARDED.contains(&name.as_str()) && pattern.names(name))
}

/// Whether a search keeps to the folder that it is given.
fn stays(question: &Question) -> bool {
    if question.tool != "Glob" {
        return true;
    }
    let pattern = question.input.get("pattern").and_then(Value::as_str);
    pattern.is_some_and(|p| !p.starts_with(['/', '~']) && !p.contains(".."))
}

/// Whether a change is one of what is run by others, and `pattern` does not name that.
fn guards(pattern: Option<&Pattern>, question: &Question) -> bool {
    let Some(path) = given(question) else {
        return true;
    };
    path.iter().any(|name| {
        GUARDED.contains(&name.to_lowercase().as_str()) && pattern.is_none_or(|p| !p.names(name))
    })
}

fn address(question: &Question) -> Option<Url> {
    let url = question.input.get("url").and_then(Value::as_str)?;
    let url = Url::parse(url).ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    (web && url.username().is_empty() && url.password().is_none()).then_some(url)
}

fn is_host(url: &Url, host: &str) -> bool {
    // A dot at its end makes it no other host.
    url.host_str()
        .is_some_and(|of| of.trim_end_matches('.') == host)
}
