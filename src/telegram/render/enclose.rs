//! Long code as a file: which blocks of an answer go so, and under which names. Pure.
//!
//! An answer of many messages is hard to read on a phone, and code that is cut into messages cannot be used. So where an
//! answer takes too many, the code that is to blame for that stands below it as files, and a line says where it was.

mod name;

use std::collections::BTreeMap;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::{build, clean, split, visible};
use crate::{
    core::{
        text::{ANSWER_MESSAGES, Enclosed, Formatted, MESSAGE_SPANS, MESSAGE_UNITS, units},
        words::enclosed as said,
    },
    gateway::ports::Parcel,
};

/// Least size of a block that is worth a file, in UTF-16 units: a quarter of a message.
const WORTH: usize = 1024;

/// Size of a block that goes as a file also where the rest takes too many messages nevertheless.
const LONG: usize = 4096;

/// Most files of one answer.
const FILES: usize = 10;

/// More than the parts of any file: for the room that their numbers take.
const MOST_PARTS: usize = 9999;

/// A code block of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// What stands behind the fence.
    info: String,
    /// Its text, with the end of its last line.
    code: String,
    /// The last line before it, and which parts of that are code.
    before: Vec<(bool, String)>,
}

/// Notes in place of code blocks, by their numbers.
pub(super) type Notes = BTreeMap<usize, String>;

/// As [`render`](super::render), but where that takes more than `most` messages, code goes as files. 0: never.
#[must_use]
pub fn enclose(markdown: &str, most: usize) -> Parcel {
    let whole = super::render(markdown);
    let plain = Parcel {
        messages: whole,
        files: Vec::new(),
    };
    if most == 0 || plain.messages.len() <= most {
        return plain;
    }
    let source = clean(markdown);
    if build::is_hostile(&source) {
        return plain;
    }
    let blocks = blocks(&source);
    let mut large: Vec<usize> = (0..blocks.len())
        .filter(|i| units(&blocks[*i].code) >= WORTH)
        .collect();
    // The largest first: as few files as help.
    large.sort_by_key(|i| std::cmp::Reverse(units(&blocks[*i].code)));
    large.truncate(FILES);
    // Only what may be a file has a name, and they count in the order of the text.
    let mut named = large.clone();
    named.sort_unstable();
    let names = name::names(named.iter().map(|i| &blocks[*i]));
    let names: BTreeMap<usize, String> = named.into_iter().zip(names).collect();
    let notes = |files: usize| -> Notes {
        let noted = large[..files].iter();
        noted
            .map(|i| (*i, said::note(&names[i], lines(&blocks[*i].code))))
            .collect()
    };
    let mut tried = BTreeMap::new();
    let long = |i: &&usize| units(&blocks[**i].code) >= LONG;
    let files = fewest(
        large.len(),
        large.iter().take_while(long).count(),
        |files| {
            let messages = render_noted(&source, &notes(files));
            let enough = messages.len() <= most;
            tried.insert(files, messages);
            enough
        },
    );
    if files == 0 {
        return plain;
    }
    let notes = notes(files);
    let messages = (tried.remove(&files)).unwrap_or_else(|| render_noted(&source, &notes));
    if messages.len() > ANSWER_MESSAGES {
        return plain;
    }
    let files = notes.keys().map(|i| Enclosed {
        name: names[i].clone(),
        language: build::language(&blocks[*i].info),
        text: blocks[*i].code.clone(),
    });
    Parcel {
        messages,
        files: files.collect(),
    }
}

/// How many of the largest blocks are files: as few as are enough; where all are not, those that are long. An answer that
/// streams in is asked about again and again, and each time that `enough` is asked is a rendering of all of it.
fn fewest(all: usize, long: usize, mut enough: impl FnMut(usize) -> bool) -> usize {
    if all == 0 || !enough(all) {
        return long;
    }
    // With one more, an answer never takes more messages. None are too few, or nobody would ask.
    let (mut few, mut many) = (0, all);
    while many - few > 1 {
        let middle = few.midpoint(many);
        if enough(middle) {
            many = middle;
        } else {
            few = middle;
        }
    }
    many
}

/// A file as messages, for where it cannot be one. Each begins with its name; where they are several, with which it is.
#[must_use]
pub fn unfold(file: &Enclosed) -> Vec<Formatted> {
    let code = clean(&file.text);
    if !code.chars().any(visible) {
        return Vec::new();
    }
    let whole = split::split(&build::code(&file.name, &code, file.language.clone()));
    if whole.len() == 1 {
        return whole;
    }
    let room = units(&said::part(&file.name, MOST_PARTS, MOST_PARTS)) + 1;
    let limits = split::Limits {
        units: MESSAGE_UNITS.saturating_sub(room).max(MESSAGE_UNITS / 2),
        spans: MESSAGE_SPANS,
    };
    let parts = split::split_to(&build::code("", &code, file.language.clone()), limits);
    let of = parts.len();
    let named = parts.into_iter().enumerate().map(|(number, part)| {
        let line = said::part(&file.name, number + 1, of);
        let mut body = Formatted::plain(format!("{line}\n"));
        body.append(part);
        body
    });
    named.collect()
}

/// How many lines a code has.
fn lines(code: &str) -> usize {
    code.lines().count()
}

fn render_noted(source: &str, notes: &Notes) -> Vec<Formatted> {
    split::split(&build::build_noted(source, notes))
}

/// The code blocks of a text, in order.
fn blocks(source: &str) -> Vec<Block> {
    let options = build::options();
    let source = super::references::reveal(source, options);
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut line: Vec<(bool, String)> = Vec::new();
    for event in Parser::new_ext(&source, options) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                open = Some(Block {
                    info,
                    code: String::new(),
                    before: std::mem::take(&mut line),
                });
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take()),
            Event::Text(text) => match &mut open {
                Some(block) => block.code.push_str(&text),
                None => line.push((false, text.into_string())),
            },
            Event::Code(code) => line.push((true, code.into_string())),
            Event::SoftBreak
            | Event::HardBreak
            | Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::Item | Tag::Table(_)) => {
                line.clear();
            }
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(lines: usize) -> String {
        (0..lines)
            .map(|i| format!("let value_{i} = compute_something_useful({i});\n"))
            .collect()
    }

    fn fenced(info: &str, lines: usize) -> String {
        format!("```{info}\n{}```", code(lines))
    }

    fn texts(parcel: &Parcel) -> String {
        let texts: Vec<&str> = parcel.messages.iter().map(|m| m.text.as_str()).collect();
        texts.join("\n\n")
    }

    #[test]
    fn long_code_is_a_file_and_the_text_says_where_it_was() {
        let answer = format!(
            "Here is `src/main.rs`:\n\n{}\n\nIt does it all.",
            fenced("rust", 600)
        );
        let parcel = enclose(&answer, 5);
        assert_eq!(
            texts(&parcel),
            "Here is src/main.rs:\n\nmain.rs: 600 lines, as a file below\n\nIt does it all."
        );
        assert_eq!(
            parcel.files,
            [Enclosed {
                name: "main.rs".into(),
                language: Some("rust".into()),
                text: code(600)
            }]
        );
        for most in [0, 50] {
            let parcel = enclose(&answer, most);
            assert_eq!(parcel.messages, super::super::render(&answer));
            assert_eq!(parcel.files, []);
        }
    }

    #[test]
    fn only_as_many_as_help_in_the_order_of_the_text() {
        let answer = format!(
            "A:\n\n{}\n\nB:\n\n{}\n\nC:\n\n{}\n\nD:\n\n{}",
            fenced("py", 30),
            fenced("c", 300),
            fenced("rs", 400),
            fenced("", 2)
        );
        let parcel = enclose(&answer, 5);
        let names: Vec<&str> = parcel.files.iter().map(|f| &*f.name).collect();
        assert_eq!(names, ["code.rs"]);
        let parcel = enclose(&answer, 2);
        let names: Vec<&str> = parcel.files.iter().map(|f| &*f.name).collect();
        assert_eq!(names, ["code.c", "code.rs"]);
        assert!(parcel.messages.len() <= 2);
    }

    #[test]
    fn small_code_has_no_part_in_the_names() {
        let small = "`main.rs`:\n\n```rust\nx\n```\n\n".repeat(3);
        let long = format!("`main.rs`:\n\n{}\n\n", fenced("rust", 400));
        let parcel = enclose(&format!("{small}{long}{small}{long}"), 1);
        let names: Vec<&str> = parcel.files.iter().map(|f| &*f.name).collect();
        assert_eq!(names, ["main.rs", "main-2.rs"]);
    }

    #[test]
    fn a_long_text_is_not_the_fault_of_its_little_code() {
        let text = "Words and words. ".repeat(2000);
        let answer = format!("{text}\n\n{}\n\n{text}", fenced("rust", 40));
        let parcel = enclose(&answer, 5);
        assert_eq!(parcel.files, []);
        assert_eq!(parcel.messages, super::super::render(&answer));
        // What is long itself is worth a file nevertheless.
        let answer = format!("{text}\n\n{}\n\n{text}", fenced("rust", 200));
        assert_eq!(enclose(&answer, 5).files.len(), 1);
    }

    #[test]
    fn how_many_are_enough_is_found_by_few_tries() {
        for all in 0..=FILES {
            for needed in 1..=FILES + 1 {
                for long in 0..=all {
                    let mut tries = 0;
                    let found = fewest(all, long, |files| {
                        tries += 1;
                        files >= needed
                    });
                    assert_eq!(found, if needed <= all { needed } else { long });
                    assert!(tries <= if needed <= all { 5 } else { 1 }, "{tries}");
                }
            }
        }
    }

    #[test]
    fn an_answer_of_too_many_messages_has_no_files() {
        let looks = "`a` ".repeat(100 * (ANSWER_MESSAGES + 1));
        let answer = format!("{}\n\n{looks}", fenced("rust", 400));
        let parcel = enclose(&answer, 5);
        assert_eq!(parcel.files, []);
        assert_eq!(parcel.messages, super::super::split_plain(&answer));
        let looks = "`a` ".repeat(100 * (ANSWER_MESSAGES - 10));
        let parcel = enclose(&format!("{}\n\n{looks}", fenced("rust", 400)), 5);
        assert_eq!(parcel.files.len(), 1);
    }

    #[test]
    fn what_is_no_file_after_all_is_messages_that_name_it() {
        let file = |lines| Enclosed {
            name: "main.rs".into(),
            language: Some("rust".into()),
            text: format!("    {}", code(lines)),
        };
        let short = unfold(&file(3));
        assert_eq!(short.len(), 1);
        assert_eq!(
            short[0].text,
            format!("main.rs\n    {}", code(3).trim_end())
        );
        let parts = unfold(&file(300));
        assert_eq!(parts.len(), 4);
        let mut joined = Vec::new();
        for (part, name) in parts.iter().zip(["1", "2", "3", "4"]) {
            let line = format!("main.rs, {name} of 4\n");
            joined.push(part.text.strip_prefix(&line).unwrap());
            assert_eq!(part.spans.len(), 1);
            assert_eq!(part.spans[0].offset, units(&line));
            assert!(part.units() <= MESSAGE_UNITS);
        }
        assert_eq!(
            joined.join("\n"),
            format!("    {}", code(300).trim_end()),
            "with its indentation"
        );
    }

    proptest! {
        /// Whatever the answer: its code is in the messages or in the files, and never in both.
        #[test]
        fn no_code_is_lost(
            pieces in prop::collection::vec((0_usize..4, 1_usize..120), 1..8), most in 0_usize..6, tail in "[ -~\n]{0,80}",
        ) {
            let mut answer = String::new();
            for (number, (kind, size)) in pieces.iter().enumerate() {
                let body: String = (0..*size).map(|i| format!("mark {number} {i} of some code or text\n")).collect();
                answer.push_str(&match kind {
                    0 => format!("{body}\n"),
                    1 => format!("```\n{body}```\n\n"),
                    2 => format!("- item\n\n  ~~~rust x.rs\n{}  ~~~\n\n", body.replace("mark", "  mark")),
                    _ => format!("> ```py\n{}> ```\n\n", body.replace("mark", "> mark")),
                });
            }
            answer.push_str(&tail);
            let parcel = enclose(&answer, most);
            let mut all = texts(&parcel);
            for file in &parcel.files {
                all.push('\n');
                all.push_str(&file.text);
            }
            for (number, (_, size)) in pieces.iter().enumerate() {
                for i in 0..*size {
                    let mark = format!("mark {number} {i} of");
                    prop_assert_eq!(all.matches(&mark).count(), 1, "{}", mark);
                }
            }
            let mut names: Vec<_> = parcel.files.iter().map(|f| f.name.clone()).collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), parcel.files.len(), "each has its own name");
        }
    }
}
