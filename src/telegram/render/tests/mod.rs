//! Tests of the renderer: tables of cases here, laws in [`laws`].

mod hold;
mod laws;

use super::{
    Draft, Stretch, build, render,
    split::{Limits, split_to},
    split_plain, visible,
};
use crate::{
    core::text::{ANSWER_MESSAGES, Formatted, Look, units},
    store::rows::Slot,
};
use hold::{covered, ink, ink_of};

/// Texts with their looks, in order, written as `look text`.
fn looks(part: &Formatted) -> Vec<String> {
    let name = |look: &Look| match look {
        Look::Bold => "bold".to_owned(),
        Look::Italic => "italic".to_owned(),
        Look::Strikethrough => "strike".to_owned(),
        Look::Code => "code".to_owned(),
        Look::Pre(None) => "pre".to_owned(),
        Look::Pre(Some(language)) => format!("pre:{language}"),
        Look::Link(address) => format!("link:{address}"),
        Look::Quote => "quote".to_owned(),
        Look::ExpandableQuote => "expandable".to_owned(),
    };
    part.spans
        .iter()
        .map(|span| {
            format!(
                "{} {}",
                name(&span.look),
                covered(part, span.offset, span.length)
            )
        })
        .collect()
}

/// Checks what a short text becomes.
#[track_caller]
fn shows(markdown: &str, text: &str, expected: &[&str]) {
    let parts = render(markdown);
    assert_eq!(parts.len(), 1, "{markdown:?} gives {parts:?}");
    assert_eq!(parts[0].text, text, "{markdown:?}");
    assert_eq!(looks(&parts[0]), expected, "{markdown:?}");
    laws::hold(&parts, Limits::TELEGRAM);
}

#[test]
fn shows_looks_within_a_line() {
    shows("plain", "plain", &[]);
    shows("a **b** c", "a b c", &["bold b"]);
    shows("a *b* _c_", "a b c", &["italic b", "italic c"]);
    shows("~~gone~~ 5~6", "gone 5~6", &["strike gone"]);
    shows("***both***", "both", &["italic both", "bold both"]);
    shows("**a *b* c**", "a b c", &["bold a b c", "italic b"]);
    shows("**a __b__ c**", "a b c", &["bold a b c"]);
    shows("use `x < y` now", "use x < y now", &["code x < y"]);
    shows(
        "snake_case_name 2*3*4",
        "snake_case_name 234",
        &["italic 3"],
    );
    shows(r"\*not\* &amp; &copy;", "*not* & ©", &[]);
    shows("a\nb  \nc", "a\nb\nc", &[]);
}

#[test]
fn counts_in_utf16_units() {
    let parts = render("😀 **ü😀** `é`");
    let spans: Vec<_> = parts[0]
        .spans
        .iter()
        .map(|span| (span.offset, span.length))
        .collect();
    assert_eq!(spans, [(3, 3), (7, 1)]);
}

#[test]
fn lets_code_stand_in_nothing_but_a_quote() {
    shows(
        "**run `ls -l` now**",
        "run ls -l now",
        &["bold run", "code ls -l", "bold now"],
    );
    shows(
        "## The `main` file",
        "The main file",
        &["bold The", "code main", "bold file"],
    );
    shows("*`a`*", "a", &["code a"]);
    shows(
        "***a `b` c***",
        "a b c",
        &["italic a", "bold a", "code b", "italic c", "bold c"],
    );
    shows("[`a`](https://e.org/)", "a", &["link:https://e.org/ a"]);
    shows("> see `a`", "see a", &["quote see a", "code a"]);
    shows("> ```rust\n> x\n> ```", "x", &["quote x", "pre:rust x"]);
}

#[test]
fn shows_links_that_telegram_takes_and_spells_out_the_others() {
    shows(
        "[a](https://e.org/?q=1)",
        "a",
        &["link:https://e.org/?q=1 a"],
    );
    shows(
        "[**a** b](https://e.org)",
        "a b",
        &["link:https://e.org/ a b", "bold a"],
    );
    shows(
        "[a][1]\n\n[1]: https://e.org",
        "a",
        &["link:https://e.org/ a"],
    );
    shows(
        "<https://e.org>",
        "https://e.org",
        &["link:https://e.org/ https://e.org"],
    );
    shows(
        "[](https://e.org)",
        "https://e.org",
        &["link:https://e.org/ https://e.org"],
    );
    shows(
        "[a](tg://resolve?domain=b)",
        "a",
        &["link:tg://resolve?domain=b a"],
    );
    shows("[main](src/main.rs)", "main (src/main.rs)", &[]);
    shows("[src/main.rs](src/main.rs)", "src/main.rs", &[]);
    shows(
        "[up](http://localhost:3000)",
        "up (http://localhost:3000)",
        &[],
    );
    shows("[js](javascript:alert(1))", "js (javascript:alert(1))", &[]);
    shows("[mail](mailto:a@e.org)", "mail (a@e.org)", &[]);
    shows("<a@e.org>", "a@e.org", &[]);
    shows("[a]()", "a", &[]);
    shows(
        "![a cat](https://e.org/c.png)",
        "a cat",
        &["link:https://e.org/c.png a cat"],
    );
    shows(
        "![](https://e.org/c.png)",
        "image",
        &["link:https://e.org/c.png image"],
    );
    shows("![plot](out/plot.png)", "plot (out/plot.png)", &[]);
    shows(
        "[![b](https://e.org/b.svg)](https://e.org/ci)",
        "b",
        &["link:https://e.org/ci b"],
    );
    shows(
        "**[a](https://e.org)**",
        "a",
        &["bold a", "link:https://e.org/ a"],
    );
}

#[test]
fn keeps_definitions_that_nothing_refers_to() {
    shows(
        "[INFO]: started\n[INFO]: ready",
        "[INFO]: started\n[INFO]: ready",
        &[],
    );
    shows("- [WARN]: low\n- x", "• [WARN]: low\n• x", &[]);
    shows("> [q]: r", "[q]: r", &["quote [q]: r"]);
    shows("```\n[a]: b\n```", "[a]: b", &["pre [a]: b"]);
    shows(
        "- [a]\n- b\n\n[a]: https://e.org",
        "• a\n• b",
        &["link:https://e.org/ a"],
    );
    shows(
        "[a]\n\n[a]: https://e.org\n[LOG]: x",
        "a\n\n[LOG]: x",
        &["link:https://e.org/ a"],
    );
}

#[test]
fn shows_blocks() {
    shows(
        "# One\ntext\n\n## Two ##\n\nmore",
        "One\ntext\n\nTwo\nmore",
        &["bold One", "bold Two"],
    );
    shows("a\n\nb\n\n\n\nc", "a\n\nb\n\nc", &[]);
    shows("a\n\n---\n\nb", "a\n\n————————\n\nb", &[]);
    shows("> a\n> b\n\nc", "a\nb\n\nc", &["quote a\nb"]);
    shows("> a\n>> b\n> c", "a\n\n> b\n> c", &["quote a\n\n> b\n> c"]);
    shows("<b>raw</b> <br/>", "<b>raw</b> <br/>", &[]);
    shows(
        "<details>\n<p>x</p>\n</details>\n\ny",
        "<details>\n<p>x</p>\n</details>\n\ny",
        &[],
    );
    shows("<!-- a -->", "<!-- a -->", &[]);
    shows("a[^1]\n\n[^1]: the note", "a[^1]\n\n[^1]: the note", &[]);
}

#[test]
fn shows_code_blocks() {
    shows(
        "```rust\nfn a() {}\n```",
        "fn a() {}",
        &["pre:rust fn a() {}"],
    );
    shows("```\n  a\n\n  b\n```\n", "  a\n\n  b", &["pre   a\n\n  b"]);
    shows("~~~ c++ {.x}\na\n~~~", "a", &["pre:c++ a"]);
    shows("```{python}\na\n```", "a", &["pre a"]);
    shows("a\n\n    b\n    c", "a\n\nb\nc", &["pre b\nc"]);
    shows("a\n```\nb\n```\nc", "a\n\nb\n\nc", &["pre b"]);
    shows("```\n**a** <b>\n```", "**a** <b>", &["pre **a** <b>"]);
    shows("```\na\r\nb\x1b[0m\n```", "a\nb [0m", &["pre a\nb [0m"]);
}

#[test]
fn shows_lists() {
    shows("- a\n- b", "• a\n• b", &[]);
    shows("3. a\n4. b", "3. a\n4. b", &[]);
    shows("- a\n  - b\n    - c\n- d", "• a\n  • b\n    • c\n• d", &[]);
    shows("1. a\n   - b\n2. c", "1. a\n  • b\n2. c", &[]);
    shows("- a\n  b", "• a\n  b", &[]);
    shows("- [x] a\n- [ ] b", "☑ a\n☐ b", &[]);
    shows("1. [ ] a", "1. ☐ a", &[]);
    // Blank lines between items do not change the look: they come and go while a text streams in.
    shows("- a\n\n- b", "• a\n• b", &[]);
    shows("- a\n\n  more\n\n- b", "• a\n\n  more\n\n• b", &[]);
    shows("text\n- a\n\nafter", "text\n\n• a\n\nafter", &[]);
    shows(
        "- a\n  ```sh\n  ls\n  ```\n- b",
        "• a\nls\n• b",
        &["pre:sh ls"],
    );
    shows("- > q\n- b", "• \nq\n\n• b", &["quote q"]);
    shows("- # h\n- b", "• h\n• b", &["bold h"]);
}

#[test]
fn shows_tables_in_columns_where_a_phone_has_room() {
    shows(
        "| Name | Qty |\n|:--|--:|\n| nut | 5 |\n| **bolt** | `12` |",
        "Name | Qty\n-----+----\nnut  |   5\nbolt |  12",
        &["pre Name | Qty\n-----+----\nnut  |   5\nbolt |  12"],
    );
    // Wide characters take two columns.
    shows(
        "|a|b|\n|-|-|\n|日本|x|",
        "a    | b\n-----+--\n日本 | x",
        &["pre a    | b\n-----+--\n日本 | x"],
    );
    shows("|a|\n|:-:|\n|bcd|", " a\n---\nbcd", &["pre  a\n---\nbcd"]);
    shows(
        "|a|b|\n|-|-|\n|c|",
        "a | b\n--+--\nc |",
        &["pre a | b\n--+--\nc |"],
    );
}

#[test]
fn shows_wide_tables_as_records() {
    shows(
        "Before\n\n| Option | What it does |\n|---|---|\n| `-v` | prints *every* step while it works |\n| -q | |\n\nAfter",
        "Before\n\nOption: -v\nWhat it does: prints every step while it works\n\nOption: -q\nWhat it does: –\n\nAfter",
        &["bold Option:", "code -v", "italic every", "bold Option: -q"],
    );
    shows(
        "|a|b|\n|-|-|\n|[x](https://e.org)|[y](z.rs)|",
        "a: x\nb: y (z.rs)",
        &["bold a: x", "link:https://e.org/ x"],
    );
    let heads = "a very long head of a column | another very long head";
    shows(&format!("{heads}\n---|---"), heads, &[]);
}

#[test]
fn renders_a_text_that_is_still_growing() {
    shows("```rust\nfn a", "fn a", &["pre:rust fn a"]);
    shows("a\n\n```", "a", &[]);
    shows("a **b", "a **b", &[]);
    shows("a `b", "a `b", &[]);
    shows("[a](https://e.o", "[a](https://e.o", &[]);
    shows("> a", "a", &["quote a"]);
    shows("| a | b |", "| a | b |", &[]);
    shows("| a | b |\n|---|", "| a | b |\n|---|", &[]);
    shows("<b", "<b", &[]);
}

#[test]
fn gives_nothing_for_what_cannot_be_seen() {
    for blank in [
        "",
        " ",
        "\n\n\t",
        "\u{200b}",
        "\u{a0}\u{3000}",
        "\r\n",
        "\0",
        "\u{feff}\u{2060}",
    ] {
        assert!(render(blank).is_empty(), "{blank:?}");
        assert!(split_plain(blank).is_empty(), "{blank:?}");
    }
}

#[test]
fn shows_the_source_where_there_is_nothing_but_syntax() {
    for syntax in ["```\n```", ">", "#", "&nbsp;", "[]()", "****\n\n#"] {
        let parts = render(syntax);
        assert_eq!(parts.len(), 1, "{syntax:?}");
    }
    shows("```\n```", "```\n```", &[]);
    shows("&nbsp;", "&nbsp;", &[]);
}

#[test]
fn shows_hostile_nesting_as_it_is() {
    let deep = ">".repeat(30_000) + " a";
    let parts = render(&deep);
    assert_eq!(
        parts.iter().map(|part| part.text.len()).sum::<usize>(),
        30_002
    );
    assert!(parts.iter().all(|part| part.spans.is_empty()));
    for fine in [
        "-".repeat(5000),
        "9".repeat(5000),
        "> ".repeat(100) + "a",
        "x".repeat(5000),
    ] {
        assert!(!build::is_hostile(&fine), "{}", &fine[..9]);
    }
    for hostile in [
        "- + * ".repeat(200),
        "1. ".repeat(501),
        " ".repeat(1001) + "- a",
    ] {
        assert!(build::is_hostile(&hostile), "{}", &hostile[..9]);
    }
}

#[test]
fn prefers_the_end_of_a_paragraph_to_that_of_a_line_to_that_of_a_word() {
    let cut = |text: &str| -> Vec<String> {
        let limits = Limits {
            units: 20,
            spans: 10,
        };
        split_to(&Draft::plain(text), limits)
            .into_iter()
            .map(|part| part.text)
            .collect()
    };
    assert_eq!(
        cut("one two\n\nthree\nfour five"),
        ["one two", "three\nfour five"]
    );
    assert_eq!(
        cut("one two three\nfour five six"),
        ["one two three", "four five six"]
    );
    assert_eq!(
        cut("one two three four five six"),
        ["one two three four", "five six"]
    );
    assert_eq!(
        cut("a\n\ntwo three four\nfive six"),
        ["a\n\ntwo three four", "five six"]
    );
    assert_eq!(
        cut("abcdefghijklmnopqrstuvwxyz"),
        ["abcdefghijklmnopqrst", "uvwxyz"]
    );
    // A break may begin right behind the last character that fits.
    assert_eq!(
        cut("01234567890123456789\n\nab"),
        ["01234567890123456789", "ab"]
    );
    assert_eq!(
        cut("01234567890123456789 ab"),
        ["01234567890123456789", "ab"]
    );
    assert_eq!(
        cut("ab\n\n\n\n   cdefghijklmnopqrstu"),
        ["ab", "cdefghijklmnopqrstu"]
    );
}

#[test]
fn does_not_cut_what_a_person_takes_for_one_character() {
    let family = "👨‍👩‍👧‍👦"; // 11 units
    let text = family.repeat(1000);
    let parts = split_plain(&text);
    for part in &parts {
        assert_eq!(part.text.replace(family, ""), "");
        assert!(part.units() > 4096 - 11 || part == parts.last().expect("there are parts"));
    }
    assert_eq!(
        parts
            .iter()
            .map(|part| part.text.as_str())
            .collect::<String>(),
        text
    );
    // One that alone is too long is cut, but never inside a surrogate pair.
    let monster = "e".to_owned() + &"\u{1d165}".repeat(5000);
    let parts = split_plain(&monster);
    assert_eq!(
        parts
            .iter()
            .map(|part| part.text.as_str())
            .collect::<String>(),
        monster
    );
    laws::hold(&parts, Limits::TELEGRAM);
}

#[test]
fn reopens_a_code_block_with_its_language() {
    let lines: Vec<String> = (0..900)
        .map(|n| format!("    let line_{n} = {n};"))
        .collect();
    let parts = render(&format!(
        "Look:\n\n```rust\n{}\n```\n\nDone.",
        lines.join("\n")
    ));
    assert!(parts.len() > 3);
    laws::hold(&parts, Limits::TELEGRAM);
    let mut code = Vec::new();
    for part in &parts {
        assert_eq!(part.spans.len(), 1);
        let span = &part.spans[0];
        assert_eq!(span.look, Look::Pre(Some("rust".to_owned())));
        code.push(covered(part, span.offset, span.length));
    }
    assert_eq!(code.join("\n"), lines.join("\n"));
    assert!(parts[parts.len() - 1].text.ends_with("\n\nDone."));
}

#[test]
fn moves_a_code_block_that_would_be_cut_to_the_next_message() {
    let prose = "word ".repeat(400);
    let code = "x = 1\n".repeat(500);
    let parts = render(&format!("{prose}\n\n```python\n{code}```"));
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].text, prose.trim_end());
    assert_eq!(parts[1].text, code.trim_end());
}

/// Numbers of messages are limited, and those of files stand behind.
#[test]
fn nothing_takes_more_messages_than_an_answer_may_have() {
    // A line below the answer may need one of its own.
    assert!(i64::try_from(ANSWER_MESSAGES + 10).unwrap() < Slot::FILE);
    let whole = |unit: &str| unit.repeat((1 << 20) / unit.len());
    let (long, short) = ("x".repeat(5000), "y".repeat(1025));
    for unit in [
        "`a` ",
        "- *a*\n",
        "| a | b |\n|---|---|\n| c | d |\n\n",
        &format!("{short}\n\na\n{long}\n"),
        &format!("a\n{}\n", &long[..4096]),
        &format!("a {} ", &long[..4095]),
        &format!("{short}\n\n{}\n\n", &long[..3072]),
    ] {
        let text = whole(unit);
        let parts = render(&text);
        assert!(
            parts.len() <= ANSWER_MESSAGES,
            "{} of {unit:.20}",
            parts.len()
        );
        assert!(split_plain(&text).len() <= ANSWER_MESSAGES);
    }
    let looks = whole("`a` ");
    assert_eq!(ink_of(&render(&looks)), ink(&looks), "as it is written");
}

#[test]
fn starts_another_message_before_the_spans_are_too_many() {
    let parts = render(&"**a** `b` c\n\n".repeat(130));
    laws::hold(&parts, Limits::TELEGRAM);
    assert_eq!(parts.len(), 3);
    assert_eq!(
        parts
            .iter()
            .map(|part| part.spans.len())
            .collect::<Vec<_>>(),
        [100, 100, 60]
    );
}

#[test]
fn carries_a_quote_over_a_cut() {
    let parts = render(&"> some words of a quote\n".repeat(400));
    assert!(parts.len() > 1);
    for part in &parts {
        assert_eq!(part.spans.len(), 1);
        assert_eq!(
            (part.spans[0].offset, part.spans[0].length),
            (0, units(&part.text))
        );
    }
}

#[test]
fn cuts_plain_text_without_touching_it() {
    assert_eq!(
        split_plain("  **a** <b>\n"),
        [Formatted::plain("**a** <b>")]
    );
    assert_eq!(split_plain(&"x".repeat(5000)).len(), 2);
}

#[test]
fn stretches_of_a_draft_are_in_order() {
    let draft = build::build("# `a`\n> **b *c*** d");
    assert!(
        draft
            .stretches
            .is_sorted_by_key(|stretch: &Stretch| stretch.start)
    );
}
