//! What holds for every text.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::hold::{ink, ink_of};
use crate::{
    core::text::{Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS},
    telegram::render::{
        build, clean, render, split::Limits, split::split_to, split_plain, visible,
    },
};

impl Limits {
    pub(super) const TELEGRAM: Self = Self {
        units: MESSAGE_UNITS,
        spans: MESSAGE_SPANS,
    };
}

/// Fails unless Telegram would take these messages as they are.
#[track_caller]
pub(super) fn hold(parts: &[Formatted], limits: Limits) {
    super::hold::hold(parts, limits.units, limits.spans);
}

/// Pieces of Markdown, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    let fixed = vec![
        "\n",
        "\n\n",
        " ",
        "    ",
        "\t",
        "\r\n",
        "- ",
        "* ",
        "1. ",
        "> ",
        ">> ",
        "# ",
        "### ",
        "```",
        "```rust\n",
        "\n```\n",
        "~~~",
        "`",
        "``",
        "*",
        "**",
        "***",
        "_",
        "__",
        "~~",
        "[",
        "]",
        "](",
        ")",
        "![",
        "https://e.org/a",
        "src/a.rs",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "<div>\n",
        "|",
        "|---|---|\n",
        "| a | b |\n",
        "---\n",
        "===\n",
        "\\",
        "&amp;",
        "&nbsp;",
        "[ ] ",
        "[x] ",
        "[a]: b\n",
        "[a]",
        "😀",
        "👨‍👩‍👧",
        "e\u{301}",
        "日本語",
        "\u{200b}",
        "\u{a0}",
        "\0",
        "\u{1b}[0m",
        "(",
        "http://localhost",
        "<https://e.org>",
        "<a@e.org>",
    ];
    prop_oneof![
        3 => proptest::sample::select(fixed).prop_map(str::to_owned),
        1 => "[a-z]{1,8} ",
        1 => "[a-zA-Z0-9 .,]{1,60}",
        1 => any::<char>().prop_map(String::from),
    ]
}

fn markdown() -> impl Strategy<Value = String> {
    vec(piece(), 0..120).prop_map(|pieces| pieces.concat())
}

/// A well-formed document of which every word is different, with its words.
fn document() -> impl Strategy<Value = (String, Vec<String>)> {
    vec((0..11_u8, 1..9_usize), 1..40).prop_map(|blocks| {
        let mut words = Vec::new();
        let mut source = String::new();
        for (kind, count) in blocks {
            let mut word = || {
                words.push(format!("w{}w", words.len()));
                words[words.len() - 1].clone()
            };
            let mut line = || (0..count).map(|_| word()).collect::<Vec<_>>().join(" ");
            let block = match kind {
                0 => format!("# {}", line()),
                1 => format!("> {}\n> **{}**", line(), line()),
                2 => format!("```rust\n    {}\n\n{}\n```", line(), line()),
                3 => format!("- {}\n  - *{}*\n- `{}`", line(), line(), line()),
                4 => format!("1. {}\n\n   {}\n2. {}", line(), line(), line()),
                5 => format!(
                    "| {} | {} |\n|---|:-:|\n| {} | **{}** |",
                    line(),
                    line(),
                    line(),
                    line()
                ),
                6 => format!("[{}](https://e.org) ~~{}~~", line(), line()),
                7 => format!("<b>{}</b>", line()),
                8 => format!("- [ ] {}\n- [x] {}", line(), line()),
                9 => format!("***{}** {}* `{}`", line(), line(), line()),
                _ => line(),
            };
            source.push_str(&block);
            source.push_str("\n\n");
        }
        (source, words)
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    (2..60_usize, 7..12_usize).prop_map(|(units, spans)| Limits { units, spans })
}

proptest! {
    #[test]
    fn any_text_gives_messages_that_telegram_takes(text in any::<String>()) {
        hold(&render(&text), Limits::TELEGRAM);
        hold(&split_plain(&text), Limits::TELEGRAM);
    }

    #[test]
    fn any_markdown_gives_messages_that_telegram_takes(text in markdown()) {
        let parts = render(&text);
        hold(&parts, Limits::TELEGRAM);
        prop_assert_eq!(parts.is_empty(), !clean(&text).chars().any(visible));
    }

    #[test]
    fn any_beginning_of_a_text_renders(text in markdown(), at in any::<Index>()) {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        hold(&render(&text[..*at.get(&ends)]), Limits::TELEGRAM);
    }

    #[test]
    fn a_cut_loses_nothing(text in markdown(), limits in limits()) {
        let draft = build::build(&clean(&text));
        let parts = split_to(&draft, limits);
        hold(&parts, limits);
        prop_assert_eq!(ink_of(&parts), ink(&draft.text));
    }

    #[test]
    fn a_cut_keeps_the_looks(text in markdown(), limits in limits()) {
        let draft = build::build(&clean(&text));
        let whole: Vec<(usize, String)> = marked(&split_to(&draft, Limits { units: usize::MAX, spans: usize::MAX }));
        prop_assert_eq!(marked(&split_to(&draft, limits)), whole);
    }

    #[test]
    fn plain_text_is_kept(text in any::<String>()) {
        prop_assert_eq!(ink_of(&split_plain(&text)), ink(&clean(&text)));
    }

    #[test]
    fn every_word_of_a_document_is_shown_once_and_in_order((source, words) in document()) {
        let parts = render(&source);
        hold(&parts, Limits::TELEGRAM);
        let shown: String = parts.iter().map(|part| format!("{}\n", part.text)).collect();
        let found: Vec<&str> = shown.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| word.len() > 2 && word.starts_with('w') && word.ends_with('w'))
            .collect();
        // The heads of a table that is shown as records stand in each record; here there is one.
        let mut sorted: Vec<&str> = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(sorted.len(), found.len(), "a word twice in {:?}", shown);
        let mut expected: Vec<&str> = words.iter().map(String::as_str).collect();
        expected.sort_unstable();
        prop_assert_eq!(sorted, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn long_markdown_gives_messages_that_telegram_takes(text in vec(markdown(), 20..60)) {
        hold(&render(&text.concat()), Limits::TELEGRAM);
    }
}

/// For each visible character that has looks: its place among the visible ones, and the looks.
fn marked(parts: &[Formatted]) -> Vec<(usize, String)> {
    let mut place = 0;
    let mut marks = Vec::new();
    for part in parts {
        let mut unit = 0;
        for c in part.text.chars() {
            if visible(c) {
                let looks: Vec<&Look> = (part.spans.iter())
                    .filter(|span| span.offset <= unit && unit < span.offset + span.length)
                    .map(|span| &span.look)
                    .collect();
                if !looks.is_empty() {
                    marks.push((place, format!("{c}{looks:?}")));
                }
                place += 1;
            }
            unit += c.len_utf16();
        }
    }
    marks
}

/// Every beginning of every text of the corpus renders: so it comes in while an answer streams.
#[test]
fn the_corpus_streams() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/markdown");
    let mut texts = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus is there") {
        let text = std::fs::read_to_string(entry.expect("the corpus can be listed").path())
            .expect("a text can be read");
        texts += 1;
        for (at, _) in text.char_indices() {
            hold(&render(&text[..at]), Limits::TELEGRAM);
        }
        hold(&render(&text), Limits::TELEGRAM);
    }
    assert!(texts >= 10, "only {texts} texts");
}

/// What a person takes for one character, of at most 14 units, and white space.
fn cluster() -> impl Strategy<Value = String> {
    let fixed = vec![
        "a",
        "e\u{301}",
        "x\u{300}\u{301}\u{302}\u{303}",
        " \u{301}",
        " ",
        "\n",
        "\n\n",
        "😀",
        "👩🏽‍🚒",
        "👨‍👩‍👧‍👦",
        "🏳️‍🌈",
        "🇩🇪",
        "각",
        "क्षि",
        "\u{202e}ש\u{202c}",
        "العربية",
        "\u{2067}ר\u{2069}",
    ];
    proptest::sample::select(fixed).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn no_cut_is_inside_of_what_a_person_takes_for_a_character(
        pieces in vec(cluster(), 0..80), units in 15_usize..40,
    ) {
        let text = pieces.concat();
        let limits = Limits { units, spans: 100 };
        let parts = split_to(&crate::telegram::render::Draft::plain(&text), limits);
        let boundary = |at: usize| {
            let mut cursor = unicode_segmentation::GraphemeCursor::new(at, text.len(), true);
            cursor.is_boundary(&text, 0) == Ok(true)
        };
        let mut at = 0;
        for part in &parts {
            let begin = at + text[at..].find(&part.text).unwrap();
            prop_assert!(!text[at..begin].chars().any(visible), "lost: {:?}", &text[at..begin]);
            at = begin + part.text.len();
            prop_assert!(boundary(begin) && boundary(at), "{:?} of {:?}", part.text, text);
        }
        prop_assert!(!text[at..].chars().any(visible));
    }
}
