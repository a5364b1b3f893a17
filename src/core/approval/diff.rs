//! A change of a text, line by line.

use similar::{ChangeTag, DiffTag, TextDiff};

/// Lines around a change that are shown with it.
const CONTEXT: usize = 2;

/// Most lines of both texts that are compared: what takes longer to read is not worth the time.
const MOST_LINES: usize = 1000;

/// Before a place, where another one or a line that stays would else begin the text: messengers cut a space there.
pub(super) const PLACE: &str = "@@\n";

/// The lines that go, with `-`, that come, with `+`, and some around them. Ends with a line end, unless nothing changes.
pub(super) fn diff(old: &str, new: &str) -> String {
    let mut text = String::new();
    if lines(old) + lines(new) > MOST_LINES {
        signed(&mut text, '-', old);
        signed(&mut text, '+', new);
        return text;
    }
    // Where neither has one, or both have, nothing hangs on the line end of the last line.
    let mark_end = old.ends_with('\n') != new.ends_with('\n') && !old.is_empty() && !new.is_empty();
    let diff = TextDiff::from_lines(old, new);
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        let stays = group.first().is_some_and(|op| op.tag() == DiffTag::Equal);
        if number > 0 || stays {
            text.push_str(PLACE);
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            text.push(match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            });
            text.push_str(change.value());
            if !change.value().ends_with('\n') {
                text.push('\n');
                if mark_end {
                    text.push_str("\\ without a line end\n");
                }
            }
        }
    }
    text
}

/// Every line with this sign before it.
pub(super) fn signed(text: &mut String, sign: char, lines: &str) {
    for line in lines.split_inclusive('\n') {
        text.push(sign);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push('\n');
        }
    }
}

fn lines(text: &str) -> usize {
    text.split_inclusive('\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_is_shown_with_what_stands_around_it() {
        let old = "one\ntwo\nthree\nfour\nfive\n";
        let new = "one\ntwo\n3\nfour\nfive\n";
        assert_eq!(diff(old, new), "@@\n one\n two\n-three\n+3\n four\n five\n");
        assert_eq!(diff("a", "b"), "-a\n+b\n");
        assert_eq!(diff("", "x\ny"), "+x\n+y\n");
        assert_eq!(diff("x\n", ""), "-x\n");
        assert_eq!(diff("same", "same"), "");
        assert_eq!(diff("a\n", "a"), "-a\n+a\n\\ without a line end\n");
        let far: String = (0..40).map(|n| format!("{n}\n")).collect();
        let changed = far.replace("3\n4\n", "3\nfour\n").replace("37\n", "x\n");
        let shown = diff(&far, &changed);
        assert!(shown.contains("\n@@\n"), "{shown}");
        assert!(shown.lines().count() < 20, "{shown}");
    }

    #[test]
    fn what_is_very_long_is_not_compared() {
        let (old, new) = ("x\n".repeat(MOST_LINES), "y".to_owned());
        let shown = diff(&old, &new);
        assert_eq!(shown.lines().filter(|l| *l == "-x").count(), MOST_LINES);
        assert!(shown.ends_with("+y\n"));
    }

    proptest! {
        #[test]
        fn what_goes_and_what_comes_is_all_there(old in "([ab]?\n?){0,12}", new in "([ab]?\n?){0,12}") {
            let shown = diff(&old, &new);
            let count = |text: &str, line: &str| text.split_inclusive('\n')
                .filter(|l| l.trim_end_matches('\n') == line).count();
            let signed = |sign: char, line: &str| shown.lines()
                .filter(|l| *l == format!("{sign}{line}")).count();
            for line in ["a", "b"] {
                // Lines that stay stand on both sides.
                prop_assert_eq!(
                    count(&old, line) + signed('+', line),
                    count(&new, line) + signed('-', line)
                );
            }
        }
    }
}
