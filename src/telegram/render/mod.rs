//! Markdown to messages: text with entities, cut to what Telegram takes. Pure.
//!
//! Entities are built here and never parsed by Telegram (no `parse_mode`), so that no text an agent can write makes a
//! message unsendable, not even half of a text while it streams in.
//!
//! The way of a text: [`build`] walks the events of the Markdown parser and lets [`writer`] put down text and
//! stretches (byte ranges with a look); [`split`] cuts that into messages and counts in UTF-16 units. Where these are too
//! many, [`enclose`](mod@enclose) has code go as files.

mod build;
mod enclose;
mod link;
mod references;
mod split;
mod table;
mod writer;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::{
    core::{
        live::Live,
        text::{ANSWER_MESSAGES, Formatted, Look},
    },
    gateway::ports::{Parcel, Renderer},
};

pub use enclose::{enclose, unfold};

/// The [`Renderer`] for Telegram.
#[derive(Clone, Debug, Default)]
pub struct MarkdownRenderer {
    /// Code goes as files where an answer takes more messages than this; 0: never.
    pub file_after: Live<usize>,
}

impl Renderer for MarkdownRenderer {
    fn render(&self, markdown: &str) -> Vec<Formatted> {
        render(markdown)
    }

    fn parcel(&self, markdown: &str) -> Parcel {
        enclose(markdown, *self.file_after.get())
    }
}

/// Renders Markdown (CommonMark with tables, strikethrough and task lists) as messages of at most
/// [`MESSAGE_UNITS`](crate::core::text::MESSAGE_UNITS) UTF-16 units and
/// [`MESSAGE_SPANS`](crate::core::text::MESSAGE_SPANS) spans each. Empty for a text in which nothing can be seen,
/// which Telegram would refuse. Where looks, or tables that a phone cannot show, would make more than
/// [`ANSWER_MESSAGES`] of it, the source as it is.
#[must_use]
pub fn render(markdown: &str) -> Vec<Formatted> {
    let source = clean(markdown);
    if !source.chars().any(visible) {
        return Vec::new();
    }
    let parts = split::split(&draft(&source));
    if parts.len() <= ANSWER_MESSAGES {
        return parts;
    }
    split::split(&Draft::plain(&source))
}

fn draft(source: &str) -> Draft {
    if build::is_hostile(source) {
        return Draft::plain(source);
    }
    let draft = build::build(source);
    if draft.text.chars().any(visible) {
        draft
    } else {
        // Nothing but syntax, such as an empty code block: better the source than silence.
        Draft::plain(source)
    }
}

/// Cuts a text without any look into messages, by the same rules as [`render`].
#[must_use]
pub fn split_plain(text: &str) -> Vec<Formatted> {
    split::split(&Draft::plain(&clean(text)))
}

/// As [`render`], cut to other limits than Telegram's, and the text before the cuts: short texts then show whether cuts
/// lose anything. At least 2 units, for a character might not fit into less, and at least 7 spans, for so many may lie
/// over one character.
#[must_use]
pub fn render_within(markdown: &str, units: usize, spans: usize) -> (String, Vec<Formatted>) {
    let draft = draft(&clean(markdown));
    let limits = split::Limits {
        units: units.max(2),
        spans: spans.max(7),
    };
    let parts = split::split_to(&draft, limits);
    (draft.text, parts)
}

/// A rendered text before it is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Draft {
    /// The whole text.
    text: String,
    /// Where it looks how: by start, outer before inner, trimmed, never empty, nested or apart but never crossing,
    /// and no look twice over the same character.
    stretches: Vec<Stretch>,
}

/// A byte range of a draft with its look.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    start: usize,
    end: usize,
    look: Look,
}

impl Draft {
    fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            stretches: Vec::new(),
        }
    }
}

/// Line ends as `\n`, other control characters as a space, which is what Telegram makes of them.
fn clean(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_ascii_control() && c != '\n' && c != '\t';
    if !text.contains(odd) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    cleaned.push('\n');
                }
            }
            c if odd(c) => cleaned.push(' '),
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// Whether a character shows. Telegram refuses a message in which none does.
#[must_use]
pub fn visible(c: char) -> bool {
    !c.is_whitespace()
        && !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The part of a range that is left without white space at its ends. Code keeps the indentation of its first line,
/// and so must a quote, which may begin with code.
fn trimmed(text: &str, start: usize, end: usize, look: &Look) -> (usize, usize) {
    let whole = &text[start..end];
    let lead = whole.len() - whole.trim_start().len();
    let lead = match look {
        Look::Pre(_) | Look::Quote => whole[..lead].rfind('\n').map_or(0, |newline| newline + 1),
        _ => lead,
    };
    (
        start + lead,
        (start + whole.trim_end().len()).max(start + lead),
    )
}
