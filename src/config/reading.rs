//! One file's text to a [`Fragment`] and everything that is wrong with it.

use std::{path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    fragments::{Fragment, KEYS},
    kinds::nearest,
    problem::{Origin, Problem, holds_token, quoted, quoted_name},
};

/// What somebody may have meant to say, but did not say so that it could be taken. Nobody is then told that it is
/// missing, because the problem at hand may be the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// Anything.
    Everything,
    /// Keys of a section.
    Section(&'static str),
    /// A key, by section and name.
    Key(&'static str, &'static str),
}

impl Unclear {
    /// Whether it may be this key.
    #[must_use]
    pub fn covers(self, section: &str, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Section(of) => of == section,
            Self::Key(of, key) => (of, key) == (section, name),
        }
    }
}

/// What one file says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What could be taken.
    pub fragment: Fragment,
    /// What is wrong, by line.
    pub problems: Vec<Problem>,
    /// What may have been meant.
    pub unclear: Vec<Unclear>,
}

/// Reads one file's text. What is right in it is taken although something else is wrong.
#[must_use]
pub fn read(file: &Path, text: &str) -> Said {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        file: file.into(),
        text,
        fragment: Fragment::default(),
        values: Vec::new(),
        places: Vec::new(),
        unclear: Vec::new(),
    };
    reader.document(document.get_ref());

    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| broken(file, text, error))
        .collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.dedup_by_key(|problem| problem.line);
    // The parser goes on after an error with what it guesses: complaints about a broken line would mislead, and after a
    // broken header, complaints about where things stand.
    let broken_lines: Vec<Option<usize>> = problems.iter().map(|problem| problem.line).collect();
    let header_broken = broken_lines
        .iter()
        .flatten()
        .any(|line| content(text, *line).starts_with('['));
    if header_broken {
        reader.places.clear();
    }
    if !errors.is_empty() {
        reader.unclear.push(Unclear::Everything);
    }
    let others = reader.values.into_iter().chain(reader.places);
    problems.extend(others.filter(|problem| !broken_lines.contains(&problem.line)));
    problems.sort_by_key(|problem| problem.line);
    Said {
        fragment: reader.fragment,
        problems,
        unclear: reader.unclear,
    }
}

/// A line, from 1, without the white space around it; empty where there is none.
fn content(text: &str, line: usize) -> &str {
    text.lines().nth(line - 1).unwrap_or_default().trim()
}

/// Line, from 1, of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    before
        .iter()
        .fold(1, |line, b| line + usize::from(*b == b'\n'))
}

pub(super) fn broken(file: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let offset = error
        .span()
        .map_or(text.len(), |span| span.start.min(text.len()));
    let line = line_of(text, offset);
    let start = text.as_bytes()[..offset]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&text.as_bytes()[start..offset])
        .chars()
        .count()
        + 1;
    let content = content(text, line);
    let remedy = if content.is_empty() {
        "mend what stands before it".to_owned()
    } else if holds_token(content) {
        format!("if this is the bot token: {TOKEN_REMEDY}")
    } else {
        format!("mend the line {}", quoted(content))
    };
    let mut problem =
        Problem::of_file(file, format!("broken TOML: {}", error.message()), remedy).at_line(line);
    problem.column = Some(column);
    problem
}

const TOKEN_REMEDY: &str = "put it alone into a file that only the daemon may read and name that file: token_file = \
    \"/etc/telexd/token\" under [telegram]; if others could read this file, let @BotFather issue a new token";

struct Reader<'a> {
    file: Arc<Path>,
    text: &'a str,
    fragment: Fragment,
    /// What is wrong with values.
    values: Vec<Problem>,
    /// What is wrong with where things stand.
    places: Vec<Problem>,
    unclear: Vec<Unclear>,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (key, value) in document {
            let section = key.get_ref().as_ref();
            let line = line_of(self.text, key.span().start);
            let known = KEYS.iter().find(|(known, _)| *known == section);
            match (known, value.get_ref()) {
                (Some(_), DeValue::Table(table)) => self.section(section, table),
                (Some((known, _)), value) => {
                    self.unclear.push(Unclear::Section(known));
                    let (what, remedy) = if value.is_array() {
                        ("stands there as a list", "once, with single brackets")
                    } else {
                        (
                            "is a section, not a key",
                            "on a line of its own and its keys below",
                        )
                    };
                    self.wrong(line, known, what, format!("write [{known}] {remedy}"));
                }
                (None, value) => self.unknown_section(line, section, value),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let line = line_of(self.text, key.span().start);
            let origin = Origin::File {
                file: self.file.clone(),
                line,
            };
            match self.fragment.set(section, name, value.get_ref(), &origin) {
                Some(Ok(())) => {}
                Some(Err(mistake)) => {
                    self.mean(section, name);
                    self.values.push(
                        Problem::of_file(&self.file, mistake.what, mistake.remedy)
                            .at_line(line)
                            .with_key(format!("{section}.{name}")),
                    );
                }
                None => self.unknown_key(line, section, name, value),
            }
        }
    }

    fn unknown_key(
        &mut self,
        line: usize,
        section: &str,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) {
        if self.token_here(line, name, value.get_ref()) {
            return;
        }
        let here = || {
            KEYS.iter()
                .filter(|(of, _)| *of == section)
                .map(|(_, known)| *known)
        };
        let elsewhere: Vec<&str> = KEYS
            .iter()
            .filter(|(_, known)| *known == name)
            .map(|(of, _)| *of)
            .collect();
        let remedy = if let [only] = elsewhere[..] {
            self.mean(only, name);
            format!("it belongs under [{only}]")
        } else if let Some(meant) = nearest(name, here()) {
            self.mean(section, meant);
            format!("did you mean {meant}?")
        } else {
            format!(
                "valid under [{section}] are: {}",
                here().collect::<Vec<_>>().join(", ")
            )
        };
        self.wrong(
            line,
            section,
            format!("there is no key {}", quoted_name(name)),
            remedy,
        );
    }

    fn unknown_section(&mut self, line: usize, name: &str, value: &DeValue<'_>) {
        if self.token_here(line, name, value) {
            return;
        }
        let mut sections: Vec<&str> = KEYS.iter().map(|(section, _)| *section).collect();
        sections.dedup();
        let is_table = matches!(value, DeValue::Table(_));
        let homes: Vec<&str> = KEYS
            .iter()
            .filter(|(_, known)| *known == name && !is_table)
            .map(|(section, _)| *section)
            .collect();
        let near_key = || {
            let known = nearest(name, KEYS.iter().map(|(_, known)| *known))?;
            KEYS.iter().find(|(_, key)| *key == known)
        };
        let (what, remedy) = if !homes.is_empty() {
            homes.iter().for_each(|home| self.mean(home, name));
            let homes: Vec<String> = homes.iter().map(|home| format!("[{home}]")).collect();
            (
                "stands outside of any section".to_owned(),
                format!("write it below {}", homes.join(" or ")),
            )
        } else if let Some(meant) = nearest(name, sections.iter().copied()) {
            self.unclear.push(Unclear::Section(meant));
            (
                format!("there is no section {}", quoted_name(name)),
                format!("did you mean [{meant}]?"),
            )
        } else if let (false, Some((section, known))) = (is_table, near_key()) {
            self.mean(section, known);
            (
                format!("there is no key {}", quoted_name(name)),
                format!("did you mean {known} under [{section}]?"),
            )
        } else {
            (
                format!("there is no section {}", quoted_name(name)),
                format!("valid sections are: {}", sections.join(", ")),
            )
        };
        let key = (!homes.is_empty()).then(|| name.to_owned());
        let mut problem = Problem::of_file(&self.file, what, remedy).at_line(line);
        problem.key = key;
        self.places.push(problem);
    }

    /// Whether a key that is not ours is somebody's way of writing the token into the file; then says so.
    fn token_here(&mut self, line: usize, name: &str, value: &DeValue<'_>) -> bool {
        const NAMES: [&str; 4] = ["token", "bot_token", "telegram_token", "api_token"];
        let named = NAMES.contains(&name.to_ascii_lowercase().replace('-', "_").as_str());
        let looks = value.as_str().is_some_and(holds_token);
        if named || looks {
            self.mean("telegram", "token_file");
            let problem = Problem::of_file(
                &self.file,
                "the bot token must not stand in this file",
                TOKEN_REMEDY,
            )
            .at_line(line);
            self.values.push(problem);
        }
        named || looks
    }

    /// Notes that this key may have been meant.
    fn mean(&mut self, section: &str, name: &str) {
        let known = KEYS.iter().find(|key| **key == (section, name));
        self.unclear
            .extend(known.map(|(section, name)| Unclear::Key(section, name)));
    }

    /// Notes that something does not stand where it may.
    fn wrong(
        &mut self,
        line: usize,
        key: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.places.push(
            Problem::of_file(&self.file, what, remedy)
                .at_line(line)
                .with_key(key),
        );
    }
}
