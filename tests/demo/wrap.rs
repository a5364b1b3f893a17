//! Breaking lines to a width in terminal cells.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

/// How a line is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// Between words, and list items go on below their text.
    Words,
    /// Anywhere, as code is.
    Anywhere,
}

/// One grapheme.
#[derive(Clone, Debug)]
struct Glyph {
    symbol: String,
    style: Style,
    width: usize,
}

impl Glyph {
    fn is_space(&self) -> bool {
        self.symbol
            .chars()
            .all(|c| c.is_whitespace() && c != '\u{a0}')
    }
}

/// Breaks one line (without line ends) to at most `width` cells, at least 2. At least one line comes out.
pub fn wrap(spans: &[Span<'_>], width: usize, how: Break) -> Vec<Line<'static>> {
    let width = width.max(2);
    let glyphs: Vec<Glyph> = spans.iter().flat_map(glyphs).collect();
    let hang = match how {
        Break::Words if width >= 8 => hang(&glyphs).min(width / 2),
        _ => 0,
    };
    let mut lines: Vec<Vec<Glyph>> = Vec::new();
    let mut line: Vec<Glyph> = Vec::new();
    // Index behind the last space of the line, at which it may be broken.
    let mut gap = 0;
    for glyph in glyphs {
        let used: usize = line.iter().map(|g| g.width).sum();
        let room = if lines.is_empty() {
            width
        } else {
            width - hang
        };
        if used + glyph.width > room {
            let word: usize = line[gap..].iter().map(|g| g.width).sum();
            // A word that does not fit into a line of its own is broken where the line ends.
            let whole = gap > 0 && !glyph.is_space() && word + glyph.width <= width - hang;
            let rest = if how == Break::Words && whole {
                line.split_off(gap)
            } else {
                Vec::new()
            };
            if how == Break::Words {
                while line.last().is_some_and(Glyph::is_space) {
                    line.pop();
                }
            }
            lines.push(std::mem::replace(&mut line, rest));
            gap = 0;
            // The space at which a line is broken is not shown.
            if how == Break::Words && glyph.is_space() && line.is_empty() {
                continue;
            }
        }
        let space = glyph.is_space();
        line.push(glyph);
        // Spaces at the beginning are an indent, not a gap.
        if space && line.iter().any(|g| !g.is_space()) {
            gap = line.len();
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
        .into_iter()
        .enumerate()
        .map(|(number, line)| {
            let mut spans = Vec::new();
            if number > 0 && hang > 0 {
                spans.push(Span::raw(" ".repeat(hang)));
            }
            spans.extend(joined(line));
            Line::from(spans)
        })
        .collect()
}

fn glyphs<'a>(span: &'a Span<'_>) -> impl Iterator<Item = Glyph> + 'a {
    span.styled_graphemes(Style::default())
        .map(|grapheme| Glyph {
            symbol: grapheme.symbol.to_owned(),
            style: grapheme.style,
            width: Span::raw(grapheme.symbol).width(),
        })
}

/// Cells before the text of a list item: its indent and its mark. 0 for other lines.
fn hang(glyphs: &[Glyph]) -> usize {
    let text: String = glyphs.iter().take(16).map(|g| g.symbol.as_str()).collect();
    let rest = text.trim_start_matches(' ');
    let indent = text.len() - rest.len();
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    let mark = if rest.starts_with("• ") || rest.starts_with("- ") || rest.starts_with("◦ ") {
        2
    } else if digits > 0 && rest[digits..].starts_with(". ") {
        digits + 2
    } else {
        return 0;
    };
    indent + mark
}

/// Neighbours of one style as one span.
fn joined(glyphs: Vec<Glyph>) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for glyph in glyphs {
        match spans.last_mut() {
            Some(last) if last.style == glyph.style => {
                last.content.to_mut().push_str(&glyph.symbol);
            }
            _ => spans.push(Span::styled(glyph.symbol, glyph.style)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(text: &str, width: usize, how: Break) -> Vec<String> {
        wrap(&[Span::raw(text)], width, how)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(
            wrapped("the quick brown fox", 10, Break::Words),
            ["the quick", "brown fox"]
        );
        assert_eq!(
            wrapped("a verylongwordindeed b", 8, Break::Words),
            ["a", "verylong", "wordinde", "ed b"]
        );
        assert_eq!(wrapped("", 8, Break::Words), [""]);
        assert_eq!(wrapped("ab cd ef", 4, Break::Anywhere), ["ab c", "d ef"]);
    }

    #[test]
    fn items_go_on_below_their_text() {
        assert_eq!(
            wrapped("• one two three", 9, Break::Words),
            ["• one two", "  three"]
        );
        assert_eq!(
            wrapped("12. one two", 8, Break::Words),
            ["12. one", "    two"]
        );
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(wrapped("日本語", 4, Break::Anywhere), ["日本", "語"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "[a-zé日😀 •.0-9]{0,60}", width in 2_usize..30) {
            for how in [Break::Words, Break::Anywhere] {
                let lines = wrap(&[Span::raw(text.as_str())], width, how);
                prop_assert!(lines.iter().all(|line| line.width() <= width), "{lines:?}");
                let bare = |text: &str| text.split_whitespace().collect::<String>();
                let shown: String = lines.iter().map(ToString::to_string).collect();
                prop_assert_eq!(bare(&shown), bare(&text));
            }
        }
    }
}
