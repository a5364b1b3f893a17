//! Text of others on a terminal: harmless, and as wide as it may be. Pure.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// The same text on one line and without anything that a terminal obeys or that makes it show something else than what is
/// there: control characters, line separators, marks that turn the direction of writing, invisible fillers. Those
/// appear as `\n` or `\u{202e}`.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || misleads(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Whether it is invisible, or changes how its neighbours are shown. The joiners that emoji and some scripts need stay.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that it takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns of it; what was cut off shows as `…`.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let Some(room) = most.checked_sub(1) else {
        return String::new();
    };
    let mut short = String::new();
    for part in text.graphemes(true) {
        // Of the whole, for what stands together may be wider or narrower than its parts.
        let longer = format!("{short}{part}");
        if width(&longer) > room {
            break;
        }
        short = longer;
    }
    // A mark that combines with what comes before must not be the last thing that decides the width.
    while width(&short) > room {
        short.pop();
    }
    short.push('…');
    short
}

/// As [`cut`], and filled up with blanks to exactly this width, on the left where `right` is set.
#[must_use]
pub fn fit(text: &str, columns: usize, right: bool) -> String {
    let text = cut(text, columns);
    let blanks = " ".repeat(columns.saturating_sub(width(&text)));
    if right {
        blanks + &text
    } else {
        text + &blanks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("Uma", "Uma"),
            ("Łukasz Ünïcode 漢字", "Łukasz Ünïcode 漢字"),
            ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("a\u{200b}dmin", "a\\u{200b}dmin"),
            ("x\u{2028}y", "x\\u{2028}y"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(cut("abc", 1), "…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(fit("ab", 4, false), "ab  ");
        assert_eq!(fit("ab", 4, true), "  ab");
    }

    proptest! {
        #[test]
        fn nothing_of_anybody_gets_through(text in any::<String>()) {
            let clean = harmless(&text);
            prop_assert!(!clean.chars().any(|c| c.is_control() || misleads(c)), "{clean:?}");
            prop_assert_eq!(harmless(&clean), clean);
        }

        #[test]
        fn what_is_cut_fits(text in "(\\PC|[\u{300}-\u{36f}\u{200d}\u{fe0f}\u{1f468}\u{1f3ff}\u{0e33}\u{1100}\u{1161}]){0,40}", most in 0usize..30) {
            let text = harmless(&text);
            let short = cut(&text, most);
            prop_assert!(width(&short) <= most, "{short:?} is {} wide", width(&short));
            prop_assert_eq!(width(&fit(&text, most, false)), most);
            prop_assert_eq!(width(&fit(&text, most, true)), most);
        }
    }
}
