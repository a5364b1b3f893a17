//! What goes wrong, in two views: eight categories for people, classes for the gateway.

use std::fmt;

use serde::{Deserialize, Serialize};

use tr::tr;

use super::{Millis, words::english};

/// The eight categories that a person is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The network.
    Network,
    /// Something took too long.
    Timeout,
    /// Too much in a short time.
    RateLimit,
    /// Not allowed.
    Permission,
    /// Not there.
    NotFound,
    /// Not understood.
    InvalidInput,
    /// The agent.
    Agent,
    /// Anything else.
    Generic,
}

/// A trouble as a person is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Category.
    pub category: Category,
    /// Where the cause is known: what a person is told instead of the category's own sentence, never vaguer than that.
    pub detail: Option<String>,
    /// For [`Category::RateLimit`]: how long to wait, in seconds.
    pub wait_s: Option<u64>,
}

/// What is wrong with an agent's service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTrouble {
    /// The unit is masked.
    Masked,
    /// There is no such template.
    Missing,
    /// The unit file or a drop-in of it cannot be used.
    Broken,
    /// The user that it is to run as is not there.
    User,
    /// Starting it is not allowed.
    Refused,
    /// systemd cannot be reached.
    NoSystemd,
    /// The file with the agent's keys is not there.
    Credentials,
    /// Its sandbox cannot be set up, or its program not be executed.
    Sandbox,
    /// Anything else.
    Other,
}

/// What the gateway does about a failed call to Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallClass {
    /// It never left this machine: may be repeated.
    Safe,
    /// Telegram asks to wait until then (absolute).
    WaitUntil(Millis),
    /// Telegram refused this very call: not to be repeated as it is.
    Rejected,
    /// It may or may not have been done.
    Ambiguous,
    /// Another program polls with the same token, or a webhook is set (409).
    Conflict,
    /// The token is not valid (401, or 404 for the whole method path).
    Unauthorized,
    /// It can never work like this: this program, its configuration or the server is wrong.
    Fatal,
}

/// Most characters of a text by somebody else that is quoted in a sentence of ours.
const QUOTE_CHARS: usize = 200;

/// Marks the one trouble after which a fresh session helps; see [`Trouble::is_unknown_session`].
const UNKNOWN_SESSION: &str = english!(
    "The agent no longer knows this conversation, so a new one has to be started. Please send your message again."
);

impl Category {
    /// Sign in front of the sentence.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Network => "⚠️",
            Self::Timeout => "⏱️",
            Self::RateLimit => "⏸️",
            Self::Permission => "🔒",
            Self::NotFound => "📁",
            Self::InvalidInput => "❌",
            Self::Agent => "🤖",
            Self::Generic => "❌",
        }
    }
}

impl Trouble {
    /// A trouble of which only the category is known.
    #[must_use]
    pub fn new(category: Category) -> Self {
        Self {
            category,
            detail: None,
            wait_s: None,
        }
    }

    /// A trouble with a known cause: a whole sentence, or several, which stands instead of the category's own.
    #[must_use]
    pub fn with(category: Category, detail: impl Into<String>) -> Self {
        Self {
            category,
            detail: Some(detail.into()),
            wait_s: None,
        }
    }

    /// Too much in a short time; the wait is in seconds.
    #[must_use]
    pub fn rate_limit(wait_s: u64) -> Self {
        Self {
            category: Category::RateLimit,
            detail: None,
            wait_s: Some(wait_s),
        }
    }

    /// The session that was to be resumed is not there any more.
    #[must_use]
    pub fn unknown_session() -> Self {
        Self::with(Category::Agent, UNKNOWN_SESSION)
    }

    /// Whether it is [`Trouble::unknown_session`]: the prompt was not run, and a fresh session will take it.
    #[must_use]
    pub fn is_unknown_session(&self) -> bool {
        self.detail.as_deref() == Some(UNKNOWN_SESSION)
    }

    /// What a person is told: the cause where it is known, else the category's sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sign = self.category.sign();
        if self.is_unknown_session() {
            return format!("{sign} {}", tr!(UNKNOWN_SESSION));
        }
        if let Some(detail) = self.detail.as_deref().filter(|d| !d.trim().is_empty()) {
            return format!("{sign} {}", detail.trim());
        }
        let text = match self.category {
            Category::Network => tr!("Network connection issue. Please try again in a moment."),
            Category::Timeout => tr!("Request timed out. Please try again with a simpler request."),
            Category::RateLimit => {
                return match self.wait_s {
                    Some(s) => tr!(
                        "{sign} Rate limit reached. Please wait 1 second."
                            | "{sign} Rate limit reached. Please wait {n} seconds." % s,
                        sign
                    ),
                    None => tr!(
                        "{sign} Rate limit reached. Please wait a few minutes.",
                        sign
                    ),
                };
            }
            Category::Permission => tr!("Access denied. Insufficient permissions."),
            Category::NotFound => tr!("File not found. Please check the file path."),
            Category::InvalidInput => {
                tr!("Invalid input or data format. Please check your message.")
            }
            Category::Agent => tr!("Claude encountered an error. Please try again."),
            Category::Generic => tr!("An error occurred. Please try again."),
        };
        format!("{sign} {text}")
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

/// A text by somebody else, fit to stand in a sentence of ours: one line, at most 200 characters, and without
/// anything that looks like an API key.
#[must_use]
pub fn quoted(text: &str) -> String {
    shortened(&hide_keys(&one_line(text)), QUOTE_CHARS)
}

/// On one line: runs of white space and control characters become one space; marks that turn the direction of
/// writing are left out, because they could make a text look like another one.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(1024));
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !line.is_empty();
        } else if !turns_direction(c) {
            if std::mem::take(&mut gap) {
                line.push(' ');
            }
            line.push(c);
        }
    }
    line
}

/// At most so many characters, the last of them `…` where something was left out.
#[must_use]
pub fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// Replaces what looks like an API key of the model's service (`sk-…`).
#[must_use]
pub fn hide_keys(text: &str) -> String {
    const HEAD: &str = "sk-";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(HEAD) {
        let (before, key) = rest.split_at(at);
        out.push_str(before);
        let length = key
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
            .unwrap_or(key.len());
        // A word that merely contains the letters ("task-list") is no key.
        let inside_word = before.ends_with(|c: char| c.is_alphanumeric());
        if length >= HEAD.len() + 8 && !inside_word {
            out.push_str("sk-…");
        } else {
            out.push_str(&key[..length]);
        }
        rest = &key[length..];
    }
    out.push_str(rest);
    out
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_category_has_its_sentence() {
        let table = [
            (
                Trouble::new(Category::Network),
                "⚠️ Network connection issue. Please try again in a moment.",
            ),
            (
                Trouble::new(Category::Timeout),
                "⏱️ Request timed out. Please try again with a simpler request.",
            ),
            (
                Trouble::rate_limit(17),
                "⏸️ Rate limit reached. Please wait 17 seconds.",
            ),
            (
                Trouble::new(Category::Permission),
                "🔒 Access denied. Insufficient permissions.",
            ),
            (
                Trouble::new(Category::NotFound),
                "📁 File not found. Please check the file path.",
            ),
            (
                Trouble::new(Category::InvalidInput),
                "❌ Invalid input or data format. Please check your message.",
            ),
            (
                Trouble::new(Category::Agent),
                "🤖 Claude encountered an error. Please try again.",
            ),
            (
                Trouble::new(Category::Generic),
                "❌ An error occurred. Please try again.",
            ),
        ];
        for (trouble, sentence) in table {
            assert_eq!(trouble.sentence(), sentence);
            assert_eq!(trouble.to_string(), sentence);
        }
    }

    #[test]
    fn a_known_cause_stands_instead() {
        assert_eq!(
            Trouble::with(Category::Permission, " Not logged in. ").sentence(),
            "🔒 Not logged in."
        );
        assert_eq!(
            Trouble::with(Category::Agent, "  ").sentence(),
            Trouble::new(Category::Agent).sentence()
        );
    }

    #[test]
    fn a_lost_session_is_recognised_after_storing() {
        let stored = serde_json::to_string(&Trouble::unknown_session()).unwrap();
        let read: Trouble = serde_json::from_str(&stored).unwrap();
        assert!(read.is_unknown_session());
        assert!(!Trouble::new(Category::Agent).is_unknown_session());
    }

    #[test]
    fn a_quotation_is_one_short_line_without_keys() {
        assert_eq!(
            quoted("  bad\n\tthing\u{202e} \u{0} x "),
            "bad thing x",
            "white space and direction marks"
        );
        assert_eq!(quoted(&"é".repeat(500)).chars().count(), 200);
        assert_eq!(
            quoted("key sk-ant-api03-abcdefgh_IJK is wrong"),
            "key sk-… is wrong"
        );
        assert_eq!(quoted("the task-list-manager"), "the task-list-manager");
        assert_eq!(quoted("sk-"), "sk-");
        assert_eq!(hide_keys("sk-aaaaaaaaaa,sk-bbbbbbbbbb"), "sk-…,sk-…");
    }
}
