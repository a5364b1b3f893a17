//! Text with formatting, as it is shown in a chat.
//!
//! Offsets and lengths are UTF-16 code units, as in Telegram's `MessageEntity`
//! (<https://core.telegram.org/bots/api#messageentity>).

use serde::{Deserialize, Serialize};

/// Most UTF-16 units that one message may hold.
pub const MESSAGE_UNITS: usize = 4096;

/// Most entities that one message may hold; Telegram ignores those beyond.
pub const MESSAGE_SPANS: usize = 100;

/// Most messages of one answer, and more than its length alone can take: an answer holds no more than 1 MiB.
pub const ANSWER_MESSAGES: usize = 800;

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

    /// The end of it, at most so many UTF-16 units: from the beginning of a line where one is near, never half a
    /// character. What looks different there looks so still.
    #[must_use]
    pub fn tail(&self, most: usize) -> Self {
        let whole = self.units();
        let Some(excess) = whole.checked_sub(most).filter(|excess| *excess > 0) else {
            return self.clone();
        };
        let mut gone = 0;
        let mut cut = self.text.len();
        for (at, c) in self.text.char_indices() {
            if gone >= excess {
                cut = at;
                break;
            }
            gone += c.len_utf16();
        }
        // A line that begins within the first half of what is left.
        let rest = &self.text[cut..];
        if let Some(line) = rest.find('\n').map(|at| at + 1)
            && line <= rest.len() / 2
        {
            gone += units(&rest[..line]);
            cut += line;
        }
        let spans = self.spans.iter().filter_map(|span| {
            let from = span.offset.max(gone);
            let length = (span.offset + span.length).checked_sub(from)?;
            (length > 0).then(|| Span {
                offset: from - gone,
                length,
                look: span.look.clone(),
            })
        });
        Self {
            text: self.text[cut..].to_owned(),
            spans: spans.collect(),
        }
    }

    /// Adds another behind it.
    pub fn append(&mut self, other: Self) {
        let offset = self.units();
        self.text.push_str(&other.text);
        self.spans.extend(other.spans.into_iter().map(|span| Span {
            offset: span.offset + offset,
            ..span
        }));
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

/// A text that goes as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclosed {
    /// Its name: plain characters, no path.
    pub name: String,
    /// Language of the code that it is, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The text, never empty.
    pub text: String,
}

/// What one message of the bot shows: the content of an outbox row.
///
/// Those that an older version stored must load for ever: a field that is added has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Text, never empty, at most [`MESSAGE_UNITS`]; with a file, its caption, a line.
    pub body: Formatted,
    /// The file that it is. A message that is one stays as it is: it is never edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Enclosed>,
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

/// Whether a character makes a text look like another one, to whoever is to decide about it by looking: what cannot be
/// seen, what looks like a plain space without being one, and whatever [`disturbs`]. Line ends and tabs do not count.
#[must_use]
pub fn deceives(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Spaces of other widths, and signs that are drawn as nothing.
        '\u{a0}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{1680}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{2000}'..='\u{200f}'
        | '\u{202f}'
        | '\u{205f}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3000}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        c => disturbs(c),
    }
}

/// A text of somebody else's as it really is: what [`deceives`] is escaped, as `\u{202e}`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if deceives(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// As [`visible`], on one line and of at most so many UTF-16 units.
#[must_use]
pub fn visible_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut left = most;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // ASCII, so that its length is its units.
        let escape = (deceives(c) || matches!(c, '\n' | '\t')).then(|| c.escape_default());
        let length = escape
            .as_ref()
            .map_or(c.len_utf16(), ExactSizeIterator::len);
        // Behind anything but the last there must be room for the sign that more follows.
        if length + usize::from(chars.peek().is_some()) > left {
            line.extend((left > 0).then_some('…'));
            break;
        }
        left -= length;
        match escape {
            Some(escape) => line.extend(escape),
            None => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_deceives_is_shown_as_what_it_is() {
        for (text, shown) in [
            ("ls -l\n\techo 'ä😀'", "ls -l\n\techo 'ä😀'"),
            ("rm \u{202e}fr- x", "rm \\u{202e}fr- x"),
            ("a\u{200b}b\u{a0}c", "a\\u{200b}b\\u{a0}c"),
            ("x\ry\u{1b}[2K", "x\\ry\\u{1b}[2K"),
            ("\u{e0041}\u{2066}", "\\u{e0041}\\u{2066}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_line("a\nb\tc", 9), "a\\nb\\tc");
        for (text, most, line) in [
            ("abcd", 4, "abcd"),
            ("abcd", 3, "ab…"),
            ("a\n", 2, "a…"),
            ("a\n", 3, "a\\n"),
            ("😀😀", 3, "😀…"),
            ("ab", 1, "…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(visible_line(text, most), line, "{text} {most}");
        }
    }

    fn bold(offset: usize, length: usize) -> Span {
        Span {
            offset,
            length,
            look: Look::Bold,
        }
    }

    #[test]
    fn the_end_of_a_text() {
        let whole = Formatted {
            text: "first line\nthe second one 😀 is longer".into(),
            spans: vec![bold(0, 10), bold(6, 12), bold(26, 2)],
        };
        assert_eq!(whole.tail(1000), whole);
        let from_a_line = whole.tail(33);
        assert_eq!(from_a_line.text, "the second one 😀 is longer");
        assert_eq!(from_a_line.spans, [bold(0, 7), bold(15, 2)]);
        // Half of the emoji has no room.
        assert_eq!(whole.tail(11).text, " is longer");
        assert_eq!(whole.tail(12).text, "😀 is longer");
        assert_eq!(whole.tail(0), Formatted::default());
    }

    #[test]
    fn one_behind_the_other() {
        let mut text = Formatted {
            text: "😀".into(),
            spans: vec![bold(0, 2)],
        };
        text.append(Formatted {
            text: "ab".into(),
            spans: vec![bold(1, 1)],
        });
        assert_eq!(
            (&*text.text, &*text.spans),
            ("😀ab", &[bold(0, 2), bold(3, 1)][..])
        );
    }

    proptest! {
        #[test]
        fn nothing_that_deceives_is_left(text in any::<String>(), most in 0_usize..50) {
            prop_assert!(!visible(&text).contains(deceives));
            let line = visible_line(&text, most);
            prop_assert!(!line.contains(deceives) && !line.contains(['\n', '\t']));
            prop_assert!(units(&line) <= most);
            // Escapes are of ASCII alone, so whoever reads one can tell what stood there.
            if !text.contains(deceives) {
                prop_assert_eq!(visible(&text), text);
            }
        }

        #[test]
        fn an_end_is_the_end_and_fits(
            text in "(\\PC|😀|\n){0,60}", most in 0_usize..80,
            spans in prop::collection::vec((0_usize..60, 1_usize..60), 0..10),
        ) {
            let whole = units(&text);
            let spans = spans.into_iter().filter(|(from, length)| from + length <= whole)
                .map(|(from, length)| bold(from, length)).collect();
            let body = Formatted { text, spans };
            let tail = body.tail(most);
            prop_assert!(tail.units() <= most && body.text.ends_with(&tail.text));
            prop_assert!(whole <= most || tail.units() + 1 >= most.div_ceil(4), "not more is cut than for a line");
            for span in &tail.spans {
                prop_assert!(span.length > 0 && span.offset + span.length <= tail.units());
            }
        }
    }
}
