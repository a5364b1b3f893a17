//! Text with formatting, as it is shown in a chat.
//!
//! Offsets and lengths are UTF-16 code units, as in Telegram's `MessageEntity`
//! (<https://core.telegram.org/bots/api#messageentity>).

use serde::{Deserialize, Serialize};

/// Most UTF-16 units that one message may hold.
pub const MESSAGE_UNITS: usize = 4096;

/// Most entities that one message may hold; Telegram ignores those beyond.
pub const MESSAGE_SPANS: usize = 100;

/// How a stretch of text looks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Struck through.
    Strikethrough,
    /// Code within a line.
    Code,
    /// Code block, with its language where it is known.
    Pre(Option<String>),
    /// Link with a text of its own.
    Link(String),
    /// Quotation.
    Quote,
    /// Quotation that opens on a tap.
    ExpandableQuote,
}

/// A stretch of text with a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Start, in UTF-16 units.
    pub offset: usize,
    /// Length, in UTF-16 units, never 0.
    pub length: usize,
    /// Look.
    pub look: Look,
}

/// Text and its spans; fits one message when `units() <= MESSAGE_UNITS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formatted {
    /// The text.
    pub text: String,
    /// Its spans, by offset, outer before inner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
}

impl Formatted {
    /// Text without any look.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            spans: Vec::new(),
        }
    }

    /// Length in UTF-16 units.
    #[must_use]
    pub fn units(&self) -> usize {
        units(&self.text)
    }
}

/// Length of a text in UTF-16 units.
#[must_use]
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// One button under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// What a press brings back: at most 64 bytes.
    pub data: String,
}

/// What one message of the bot shows: the content of an outbox row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Text, never empty, at most [`MESSAGE_UNITS`].
    pub body: Formatted,
    /// Rows of buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Vec<Button>>,
    /// Message that it answers, where that helps (groups).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<i64>,
}

/// Whether a character could disturb a terminal, a log or the order of a chat's text: controls, line and paragraph
/// separators, marks that change the direction of writing.
#[must_use]
pub fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of somebody else's as one line of at most so many characters: what [`disturbs`] is escaped.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut left = most;
    for c in text.chars() {
        if left == 0 {
            line.push('…');
            break;
        }
        left -= 1;
        if disturbs(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
