//! One rule, as people write it.

use super::{paths::Pattern, shell};
use crate::core::approval::{CHOICE, PLAN};

/// Tools that read files. A rule about `Read` is about all of them.
pub(super) const READS: [&str; 5] = ["Read", "Glob", "Grep", "LS", "NotebookRead"];
/// Tools that change files. A rule about `Edit` is about all of them.
pub(super) const EDITS: [&str; 4] = ["Edit", "Write", "MultiEdit", "NotebookEdit"];
/// Other tools of the agent that are known by name, so that a slip of the pen is noticed.
const OTHERS: [&str; 15] = [
    "Agent",
    CHOICE,
    "Bash",
    "BashOutput",
    PLAN,
    "KillShell",
    "PowerShell",
    "Skill",
    "SlashCommand",
    "Task",
    "TaskOutput",
    "TaskStop",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
];

/// Most bytes of a rule.
const LONGEST: usize = 300;

/// Before the name of a server and a tool of it, both of somebody else's making.
const SERVER: &str = "mcp__";

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    text: String,
    pub(super) about: About,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Every use of a tool.
    Tool(String),
    /// Every tool whose name begins so.
    Tools(String),
    /// A command of the shell.
    Command(Command),
    /// A file that is read.
    Reads(Pattern),
    /// A file that is changed.
    Edits(Pattern),
    /// A host of which something is fetched.
    Host(String),
}

/// A command of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// This one.
    Exact(String),
    /// This one with whatever follows, after a space.
    Begin(String),
    /// One in which each `*` stands for anything.
    Like(String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// What is wrong with it.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

fn odd<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Odd> {
    Err(Odd {
        what: what.into(),
        remedy: remedy.into(),
    })
}

/// How rules are written.
const HOW: &str = "write it like \"Bash(git status:*)\", \"Read(/srv/project/**)\", \"Edit(src/**)\", \
    \"WebFetch(domain:example.org)\", \"mcp__server__tool\" or \"WebSearch\"";

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// What could never be about anything, or might be about something else than it looks like.
    pub fn read(text: &str) -> Result<Self, Odd> {
        if text.len() > LONGEST {
            return odd(
                format!("has {} bytes", text.len()),
                format!("write at most {LONGEST}"),
            );
        }
        if text.contains(char::is_control) {
            return odd("holds a control character", HOW);
        }
        if text.trim() != text || text.is_empty() {
            return odd("is empty, or begins or ends with white space", HOW);
        }
        let (tool, with) = match text.split_once('(') {
            None => (text, None),
            Some((tool, rest)) => match rest.strip_suffix(')') {
                Some(with) => (tool, Some(with)),
                None => return odd("has no ) at its end", HOW),
            },
        };
        let about = match with {
            None => whole(tool)?,
            Some(with) => narrowed(tool, with)?,
        };
        Ok(Self {
            text: text.to_owned(),
            about,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it may stand among what is allowed.
    ///
    /// # Errors
    /// Where a person has to answer themselves.
    pub fn may_allow(&self) -> Result<(), Odd> {
        match &self.about {
            About::Tool(name) if matches!(name.as_str(), CHOICE | PLAN) => odd(
                "is a question to a person, and no rule can answer it",
                "take it out of what is allowed; it may be denied",
            ),
            _ => Ok(()),
        }
    }

    /// The agent's own program has this rule under these names. Names alone stand for every use; a tool that cannot be
    /// told so narrowly stands for more.
    #[must_use]
    pub fn for_agent(&self) -> Vec<String> {
        match &self.about {
            About::Tool(name) => {
                let group = [&EDITS[..], &READS[..]].into_iter().find(|g| g[0] == name);
                group.map_or_else(
                    || vec![name.clone()],
                    |group| group.iter().map(|name| (*name).to_owned()).collect(),
                )
            }
            About::Tools(begin) => {
                let server = begin.split("__").nth(1).unwrap_or_default();
                vec![format!("{SERVER}{server}")]
            }
            About::Command(_) | About::Host(_) => vec![self.text.clone()],
            // `//` begins an absolute path there.
            About::Reads(pattern) => vec![format!("Read(/{pattern})")],
            About::Edits(pattern) => vec![format!("Edit(/{pattern})")],
        }
    }

    /// Whether [`Rule::for_agent`] says no more than this rule.
    #[must_use]
    pub fn is_exact_for_agent(&self) -> bool {
        match &self.about {
            About::Tools(begin) => begin.ends_with("__"),
            _ => true,
        }
    }

    /// Whether it is about every command of the shell.
    #[must_use]
    pub fn is_every_command(&self) -> bool {
        matches!(&self.about, About::Tool(name) if name == "Bash")
    }

    /// A relative path is one below this directory.
    pub(super) fn below(&mut self, directory: &str) {
        if let About::Reads(pattern) | About::Edits(pattern) = &mut self.about {
            pattern.below(directory);
        }
    }
}

/// A rule about every use of a tool.
fn whole(name: &str) -> Result<About, Odd> {
    let plain = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    if let Some(server) = name.strip_prefix(SERVER) {
        let (begin, any) = server
            .strip_suffix('*')
            .map_or((server, false), |b| (b, true));
        let own = begin.split("__").next().unwrap_or_default();
        if own.is_empty() || !plain(begin) {
            return odd(
                "does not name a server",
                "write mcp__SERVER, mcp__SERVER__TOOL or mcp__SERVER__BEGIN*",
            );
        }
        return if any {
            if !begin.contains("__") {
                return odd(
                    "may be about several servers",
                    "name the server whole, and write * behind mcp__SERVER__ only",
                );
            }
            Ok(About::Tools(format!("{SERVER}{begin}")))
        } else if begin.contains("__") {
            Ok(About::Tool(name.to_owned()))
        } else {
            Ok(About::Tools(format!("{name}__")))
        };
    }
    if name.is_empty() || !plain(name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return odd("is not the name of a tool", HOW);
    }
    if let Some(known) = meant(name) {
        return odd("is not a tool", format!("did you mean {known}?"));
    }
    Ok(About::Tool(name.to_owned()))
}

/// The known tool that was probably meant by a name that is none.
fn meant(name: &str) -> Option<&'static str> {
    let known = || READS.into_iter().chain(EDITS).chain(OTHERS);
    if known().any(|k| k == name) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    known()
        .map(|k| {
            let distance = strsim::damerau_levenshtein(&lower, &k.to_ascii_lowercase());
            (distance, k)
        })
        .filter(|(distance, k)| *distance <= k.len() / 4)
        .min()
        .map(|(_, k)| k)
}

/// A rule about a tool with something.
fn narrowed(tool: &str, with: &str) -> Result<About, Odd> {
    if matches!(with, "*" | ":*") && tool == "Bash" {
        return whole(tool);
    }
    match tool {
        "Bash" => command(with).map(About::Command),
        "Read" => path(with).map(About::Reads),
        "Edit" => path(with).map(About::Edits),
        "WebFetch" => host(with).map(About::Host),
        _ if EDITS.contains(&tool) => odd(
            "is about one way to change a file",
            format!("write Edit({with}), which is about all of them"),
        ),
        _ if READS.contains(&tool) => odd(
            "is about one way to read a file",
            format!("write Read({with}), which is about all of them"),
        ),
        _ if tool.starts_with(SERVER) => odd(
            "narrows a tool of somebody else's making, which cannot be done",
            "name the tool alone, without parentheses",
        ),
        _ => match meant(tool) {
            Some(known) => odd("is not a tool", format!("did you mean {known}?")),
            None => odd(
                "narrows a tool that cannot be narrowed",
                "name the tool alone; only Bash, Read, Edit and WebFetch take something in parentheses",
            ),
        },
    }
}

fn command(with: &str) -> Result<Command, Odd> {
    let (text, begins) = with.strip_suffix(":*").map_or((with, false), |t| (t, true));
    // `ls *` is `ls` with whatever follows, and with nothing.
    let (text, begins) = match text.strip_suffix(" *") {
        Some(head) if !begins && !head.contains('*') => (head, true),
        _ => (text, begins),
    };
    if text.trim() != text || text.is_empty() {
        return odd(
            "names no command, or one with white space around it",
            "write it like \"Bash(git status:*)\", with one space between words",
        );
    }
    if text.contains(":*") || (begins && text.contains('*')) {
        return odd(
            "has :* and another *",
            "write :* once, at the end, or * alone",
        );
    }
    if text.starts_with('*') {
        return odd(
            "does not say which program it is about",
            "begin with the program, like \"Bash(git * --dry-run)\"",
        );
    }
    if text.contains(['(', ')']) || !shell::look(&text.replace('*', "x")).single {
        return odd(
            "is more than one plain command, and no such rule would ever be about anything",
            "write one command without ; & | < > $ ` ( ) { } or quotes that do not close",
        );
    }
    Ok(if begins {
        Command::Begin(text.to_owned())
    } else if text.contains('*') {
        Command::Like(text.to_owned())
    } else {
        Command::Exact(text.to_owned())
    })
}

fn path(with: &str) -> Result<Pattern, Odd> {
    const WRITE: &str =
        "write an absolute path, like /srv/project/**, or one below agent.directory, like src/**";
    if with.is_empty() {
        return odd("names no path", WRITE);
    }
    if with.starts_with('~') {
        return odd(
            "begins with ~, and whose home that is is not known here",
            WRITE,
        );
    }
    if with.starts_with('!') {
        return odd("begins with !, which would turn it round", WRITE);
    }
    if let Some(c) = with.chars().find(|c| "[]{}()\\".contains(*c)) {
        return odd(
            format!("holds {c}, which means different things to different programs"),
            "write ? for any character and * for any of them",
        );
    }
    if with.split('/').any(|part| part == "..") {
        return odd("goes up by ..", WRITE);
    }
    Ok(Pattern::read(with))
}

fn host(with: &str) -> Result<String, Odd> {
    const WRITE: &str =
        "write it like \"WebFetch(domain:example.org)\", one host, without * and port";
    let Some(host) = with.strip_prefix("domain:") else {
        return odd("does not name a domain", WRITE);
    };
    let odd_text = host.is_empty() || host.contains(['*', '/', ':', '@', ' ']);
    match url::Host::parse(host) {
        Ok(found) if !odd_text => Ok(found.to_string().trim_end_matches('.').to_owned()),
        _ => odd("does not name one host", WRITE),
    }
}
