//! What is wrong with a configuration, told so that an administrator can mend it without asking.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file.
    File {
        /// Which.
        file: Arc<Path>,
        /// Line, from 1.
        line: usize,
    },
    /// It was changed while the daemon runs.
    RunTime,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::RunTime => f.write_str("run time"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
        }
    }
}

/// One thing that is wrong, or, as a warning, questionable. Shown as one line:
/// `FILE:LINE:COLUMN: SECTION.KEY: WHAT; REMEDY`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// File in which it is, or should be mended.
    pub file: PathBuf,
    /// Line, from 1, where there is one.
    pub line: Option<usize>,
    /// Column, from 1, in characters, for broken TOML.
    pub column: Option<usize>,
    /// Key as `section.name`, or a section's name.
    pub key: Option<String>,
    /// What is wrong. Never holds a secret.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// A problem of a whole file.
    #[must_use]
    pub fn of_file(file: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            column: None,
            key: None,
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The same, of a key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same, at a line.
    #[must_use]
    pub fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}; {}", self.what, self.remedy)
    }
}

/// Everything that is wrong with a configuration; one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Longest piece of a file that is quoted, in characters.
const QUOTED: usize = 100;

const HIDDEN: &str = "(not shown: it may hold a secret)";

/// A piece of a file, in back quotes, for a message: on one line, shortened, and not shown where it may hold a secret.
#[must_use]
pub fn quoted(text: &str) -> String {
    if may_hold_secret(text) {
        HIDDEN.to_owned()
    } else {
        in_back_quotes(text)
    }
}

/// The same for a key's name, which may well speak of tokens as long as it does not look like one.
#[must_use]
pub fn quoted_name(name: &str) -> String {
    if looks_secret(name) {
        HIDDEN.to_owned()
    } else {
        in_back_quotes(name)
    }
}

fn in_back_quotes(text: &str) -> String {
    let mut shown = String::from("`");
    for c in text.chars().take(QUOTED) {
        if matches!(c, '"' | '\'' | '\\') {
            shown.push(c);
        } else {
            // Escapes whatever could disturb a terminal or a log.
            shown.extend(c.escape_debug());
        }
    }
    if text.chars().count() > QUOTED {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// Whether a text contains something of a bot token's form: digits, a colon, and a long run of letters and digits.
#[must_use]
pub fn holds_token(text: &str) -> bool {
    text.match_indices(':').any(|(colon, _)| {
        let digits = text[..colon].bytes().rev().take_while(u8::is_ascii_digit);
        let rest = text[colon + 1..].bytes().take_while(|b| token_byte(*b));
        digits.count() >= 3 && rest.count() >= 10
    })
}

/// Whether a text may hold a token, a key or a password. Errs on the side of yes.
#[must_use]
pub fn may_hold_secret(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "token", "secret", "passw", "api_key", "apikey", "api-key", "bearer", "sk-",
    ];
    let lower = text.to_ascii_lowercase().replace("token_file", "");
    looks_secret(text) || WORDS.iter().any(|word| lower.contains(word))
}

/// Whether something in a text looks like a token or key: by a token's form, or long without being a word.
fn looks_secret(text: &str) -> bool {
    let opaque = |run: &[u8]| {
        run.len() >= 24
            && run.iter().any(u8::is_ascii_digit)
            && run.iter().any(u8::is_ascii_alphabetic)
    };
    holds_token(text) || text.as_bytes().split(|b| !token_byte(*b)).any(opaque)
}

fn token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line() {
        let mut problem = Problem::of_file(Path::new("/a.toml"), "is odd", "mend it");
        assert_eq!(problem.to_string(), "/a.toml: is odd; mend it");
        problem = problem.at_line(3).with_key("x.y");
        assert_eq!(problem.to_string(), "/a.toml:3: x.y: is odd; mend it");
        problem.column = Some(7);
        assert_eq!(problem.to_string(), "/a.toml:3:7: x.y: is odd; mend it");
        assert_eq!(
            Problems(vec![problem.clone(), problem])
                .to_string()
                .lines()
                .count(),
            2
        );
    }

    #[test]
    fn quoting_is_safe() {
        assert_eq!(quoted("launcher = \"x\""), "`launcher = \"x\"`");
        assert_eq!(quoted("a\u{1b}[31m\nb"), "`a\\u{1b}[31m\\nb`");
        assert_eq!(quoted(&"x".repeat(101)), format!("`{}…`", "x".repeat(100)));
        let hidden = "(not shown: it may hold a secret)";
        for text in [
            "token = 42:x",
            "x = \"123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw\"",
            "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
            "PASSWORD=1",
            "ANTHROPIC_API_KEY",
            "token_file = 123456789:AAHdqTcvCH1vGWJx",
        ] {
            assert_eq!(quoted(text), hidden, "{text}");
        }
        assert_eq!(quoted("token_file = /x"), "`token_file = /x`");
        assert_eq!(quoted_name("my_token"), "`my_token`");
        assert_eq!(quoted_name("AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"), hidden);
    }
}
