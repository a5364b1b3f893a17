//! One line of the log: what an event of `tracing` says, and how that looks in the journal and elsewhere.

use std::fmt::{self, Write as _};

use tracing::{
    Metadata,
    field::{Field, Visit},
};

use super::limit::{self, Key};

/// Fields by which an administrator looks for entries, and the names that they have in the journal. Others stand in the
/// text only: a field of the journal is a promise, and what the code calls a value is not.
const FIELDS: &[(&str, &str)] = &[
    ("chat", "TELEXD_CHAT"),
    ("person", "TELEXD_PERSON"),
    ("run", "TELEXD_RUN"),
    ("update", "TELEXD_UPDATE"),
    ("turn", "TELEXD_TURN"),
    ("conversation", "TELEXD_CONVERSATION"),
    ("handler", "TELEXD_HANDLER"),
    ("unit", "TELEXD_UNIT"),
    ("path", "TELEXD_PATH"),
    ("who", "TELEXD_WHO"),
    ("action", "TELEXD_ACTION"),
    ("result", "TELEXD_RESULT"),
    // The number that a person was told stands beside the reason: a field may have several values.
    ("error_id", "TELEXD_ERROR"),
    ("error", "TELEXD_ERROR"),
    ("cause", "TELEXD_ERROR"),
    ("why", "TELEXD_ERROR"),
];

/// Fields that tell why; they stand behind the message, after a colon.
const REASONS: &[&str] = &["error", "cause", "why"];

/// Fields that make two lines from one place differ, beside the message itself. Not the ids of single updates,
/// messages and turns, for a loop goes through many of them.
const TELLING: &[&str] = &[
    "error",
    "cause",
    "why",
    "what",
    "chat",
    "conversation",
    "run",
    "unit",
    "path",
    "who",
    "action",
    "result",
];

/// Longest value of one field, in characters.
const MOST_CHARS: usize = 2000;

/// The priorities of syslog that are used.
pub(super) mod priority {
    pub(in crate::systemd) const CRITICAL: u8 = 2;
    pub(in crate::systemd) const ERROR: u8 = 3;
    pub(in crate::systemd) const WARNING: u8 = 4;
    pub(in crate::systemd) const INFO: u8 = 6;
    pub(in crate::systemd) const DEBUG: u8 = 7;

    pub(in crate::systemd) fn of(level: tracing::Level) -> u8 {
        match level {
            tracing::Level::ERROR => ERROR,
            tracing::Level::WARN => WARNING,
            tracing::Level::INFO => INFO,
            _ => DEBUG,
        }
    }
}

/// Names and values, by their names in the code.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(Vec<(&'static str, String)>);

/// A line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) priority: u8,
    pub(super) message: String,
    /// Kind, by name, where it has one.
    pub(super) kind: Option<String>,
    pub(super) values: Values,
    /// Module.
    pub(super) module: &'static str,
    /// File and line of the sources.
    pub(super) source: Option<(&'static str, u32)>,
}

impl Line {
    /// A line that no event stands behind.
    pub(super) fn new(priority: u8, kind: Option<&str>, message: String) -> Self {
        Self {
            priority,
            message,
            kind: kind.map(str::to_owned),
            ..Self::default()
        }
    }

    /// The line of an event. `around`: values of the spans around it, from the innermost on.
    pub(super) fn of<'a>(
        event: &tracing::Event<'_>,
        around: impl Iterator<Item = &'a Values>,
    ) -> Self {
        let meta: &'static Metadata<'static> = event.metadata();
        let mut values = Values::default();
        event.record(&mut values);
        for outer in around {
            values.inherit(outer);
        }
        let message = values.take("message").unwrap_or_default();
        let kind = values.take("event");
        Self {
            priority: priority::of(*meta.level()),
            message,
            kind,
            values,
            module: meta.target(),
            source: meta.file().zip(meta.line()),
        }
    }

    /// What people read: the message, the reason, then whatever else it says that does not stand in the message.
    pub(super) fn text(&self) -> String {
        let mut text = self.message.clone();
        let stands = |value: &str| value.len() > 3 && self.message.contains(value);
        let values = || self.values.0.iter().filter(|(_, value)| !stands(value));
        for (name, value) in values() {
            if REASONS.contains(name) {
                let _ = write!(text, ": {value}");
            }
        }
        let mut opened = false;
        for (name, value) in values().filter(|(name, _)| !REASONS.contains(name)) {
            text.push_str(if opened { ", " } else { " (" });
            let _ = write!(text, "{name}={value}");
            opened = true;
        }
        if opened {
            text.push(')');
        }
        text
    }

    /// For the limit: where it comes from and what it says.
    pub(super) fn key(&self) -> Key {
        let telling = |(name, value): &'_ (&'static str, String)| {
            TELLING.contains(name).then(|| value.clone())
        };
        let said: Vec<String> = self.values.0.iter().filter_map(telling).collect();
        let place = self.source.map(|(file, line)| format!("{file}:{line}"));
        Key {
            // Not by `content`, to which all lines of a file would be one place.
            place: hash(place.as_deref().unwrap_or(&self.message)),
            content: limit::content(
                std::iter::once(self.message.as_str()).chain(said.iter().map(String::as_str)),
            ),
        }
    }

    /// As the journal's native protocol has it. `id`: its `MESSAGE_ID`.
    pub(super) fn native(&self, id: Option<u128>) -> Vec<u8> {
        let mut entry = Entry(Vec::new());
        entry.add("MESSAGE", &self.text());
        entry.add("PRIORITY", &self.priority.to_string());
        entry.add("SYSLOG_IDENTIFIER", "telexd");
        if let Some(id) = id {
            entry.add("MESSAGE_ID", &format!("{id:032x}"));
        }
        if let Some((file, line)) = self.source {
            entry.add("CODE_FILE", file);
            entry.add("CODE_LINE", &line.to_string());
        }
        for (name, value) in &self.values.0 {
            if let Some((_, journal)) = FIELDS.iter().find(|(code, _)| code == name) {
                entry.add(journal, value);
            }
        }
        if self.values.get("handler").is_none()
            && let Some(room) = self.module.split("::").nth(1)
        {
            entry.add("TELEXD_HANDLER", room);
        }
        // journalctl's -u does not find entries by this, for it trusts only the system manager with it; a match on the
        // field itself does.
        if let Some(unit) = self.values.get("unit") {
            entry.add("UNIT", unit);
        } else if let Some(run) = self.values.get("run") {
            entry.add("UNIT", &format!("telexd-agent@{run}.service"));
        }
        entry.0
    }

    /// For a standard error that leads to the journal: a priority in front of each line.
    pub(super) fn prefixed(&self) -> String {
        let mut lines = String::new();
        for line in self.text().lines() {
            let _ = writeln!(lines, "<{}>{line}", self.priority);
        }
        lines
    }

    /// For a terminal or a file. `time`: what stands in front.
    pub(super) fn plain(&self, time: &str, colour: bool) -> String {
        let (name, code) = match self.priority {
            0..=2 => ("FATAL", "1;31"),
            priority::ERROR => ("ERROR", "31"),
            priority::WARNING => (" WARN", "33"),
            5 | priority::INFO => (" INFO", "32"),
            _ => ("DEBUG", "34"),
        };
        let space = if time.is_empty() { "" } else { " " };
        let text = self.text();
        if colour {
            format!("\x1b[2m{time}\x1b[0m{space}\x1b[{code}m{name}\x1b[0m {text}\n")
        } else {
            format!("{time}{space}{name} {text}\n")
        }
    }
}

fn hash(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hash = DefaultHasher::new();
    hash.write(text.as_bytes());
    hash.finish()
}

impl Values {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let found = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(found).1)
    }

    /// Takes over what is not there yet.
    fn inherit(&mut self, outer: &Self) {
        for (name, value) in &outer.0 {
            if self.get(name).is_none() {
                self.0.push((name, value.clone()));
            }
        }
    }

    fn put(&mut self, field: &Field, value: &str) {
        let value = if field.name() == "message" {
            clean(value, true)
        } else {
            clean(value, false)
        };
        self.take(field.name());
        self.0.push((field.name(), value));
    }
}

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

/// Without control characters, which would make it a blob to journalctl and could disturb a terminal; shortened.
/// `lines`: whether line breaks stay.
pub(super) fn clean(text: &str, lines: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == MOST_CHARS && !lines {
            clean.push('…');
            break;
        }
        if c.is_control() && !(lines && matches!(c, '\n' | '\t')) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// An entry of the journal's native protocol (`systemd.io/JOURNAL_NATIVE_PROTOCOL`).
struct Entry(Vec<u8>);

impl Entry {
    fn add(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0
                .extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'\n');
    }
}
