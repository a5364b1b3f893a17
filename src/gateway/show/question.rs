//! What a question of an agent looks like: whoever decides must see what about.

use super::{super::ports::Renderer, choice, plan, push};
use crate::core::{
    approval::{
        Kind,
        detail::{Block, detail},
        progress::{Progress, Purpose},
        session,
    },
    event::Question,
    text::{Button, Formatted, Look, MESSAGE_UNITS, Shown, Span, units, visible_line},
    words,
};

/// UTF-16 units and lines that a code block shows; what goes on after them is in a quotation that opens on a tap, because
/// a code block cannot be in one.
const BLOCK_UNITS: usize = 900;
const BLOCK_LINES: usize = 14;

/// UTF-16 units of what goes on after that, where there is room.
const REST_UNITS: usize = 2000;

/// Of those, how many are the end of it, where its middle is left out.
const END_UNITS: usize = 300;

/// UTF-16 units that are kept for the sentence that something is left out.
const WARNING_UNITS: usize = 100;

/// How a question of the agent is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It waits for one.
    Open(Face),
    /// It was: what was decided.
    Given(&'a str),
}

/// How answers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    /// Whether by buttons; else by commands.
    pub buttons: bool,
    /// Whether in a chat of the bot and one person.
    pub private: bool,
}

/// A question of the agent, as far as it is answered.
#[must_use]
pub fn question(
    renderer: &dyn Renderer,
    row: i64,
    question: &Question,
    progress: &Progress,
    answer: Answer<'_>,
) -> Shown {
    let mut end = Formatted::default();
    let kind = Kind::of(question);
    let buttons = match answer {
        Answer::Given(decided) => {
            line(&mut end, decided, None);
            Vec::new()
        }
        Answer::Open(face) => match progress.words {
            Some(awaited) => {
                let words = match awaited.purpose {
                    Purpose::Deny => words::approval::tell_it(face.private),
                    Purpose::Own => words::approval::write_answer(face.private),
                };
                line(&mut end, &words, Some(Look::Bold));
                vec![vec![button(row, words::approval::CANCEL.as_str(), "c")]]
            }
            None => match &kind {
                Kind::Use => asking(&mut end, row, question, face),
                Kind::Choice(choice) => choice::asking(&mut end, row, choice, progress, face),
                Kind::Plan(_) => plan::asking(&mut end, row, face),
            },
        },
    };
    let mut body = match &kind {
        Kind::Use => tool(question, end.units()),
        Kind::Choice(choice) => choice::body(choice, progress, end.units()),
        Kind::Plan(plan) => plan::body(renderer, plan.as_deref(), end.units()),
    };
    append(&mut body, end);
    Shown {
        body,
        buttons,
        ..Shown::default()
    }
}

/// What a tool would do, where and why, before so many units.
fn tool(question: &Question, end: usize) -> Formatted {
    let mut body = Formatted::plain(words::approval::may_i(&question.tool));
    let detail = detail(question);
    if let Some(description) = described(question, detail.about.as_deref()) {
        line(&mut body, &description, Some(Look::Italic));
    }
    if let Some(about) = &detail.about {
        line(&mut body, about, Some(Look::Code));
    }
    let mut below = Formatted::default();
    for note in &detail.notes {
        line(&mut below, &words::approval::note(*note), None);
    }
    if let Some(place) = &question.place {
        line(&mut below, &words::approval::place(place), None);
    }
    if let Some(reason) = &question.reason {
        line(&mut below, &words::approval::reason(reason), None);
    }
    if let Some(rule) = &question.rule {
        line(&mut below, &words::approval::asked_by_rule(rule), None);
    }
    if let Some(path) = &question.blocked_path {
        line(&mut below, &words::approval::reaches(path), None);
    }
    code(&mut body, &detail.blocks, below.units() + end);
    append(&mut body, below);
    body
}

/// How it can be answered.
fn asking(end: &mut Formatted, row: i64, question: &Question, face: Face) -> Vec<Vec<Button>> {
    let offer = session::offer(question);
    let session = !offer.grants.is_empty();
    if session {
        line(end, words::approval::FOR_SESSION.as_str(), None);
        for grant in &offer.grants {
            line(end, &words::approval::grant(grant), None);
        }
    }
    if !face.buttons {
        let how = words::approval::answer_by_command(row, session);
        line(end, &how, None);
        return Vec::new();
    }
    let mut rows = vec![vec![
        button(row, words::approval::ALLOW_ONCE.as_str(), "y"),
        button(row, words::approval::DENY.as_str(), "n"),
    ]];
    if session {
        rows.push(vec![button(
            row,
            words::approval::ALLOW_SESSION.as_str(),
            "a",
        )]);
    }
    rows.push(vec![button(
        row,
        words::approval::DENY_AND_TELL.as_str(),
        "w",
    )]);
    rows
}

/// A button under a question.
pub(super) fn button(row: i64, label: &str, act: &str) -> Button {
    words::button(label, format!("q:{row}:{act}"))
}

/// Shows code in the room that is left before so many units.
fn code(body: &mut Formatted, blocks: &[Block], end: usize) {
    let left = MESSAGE_UNITS.saturating_sub(body.units() + end + WARNING_UNITS);
    let block = left.min(BLOCK_UNITS);
    let mut room = Room {
        block,
        rest: (left - block).min(REST_UNITS),
    };
    let left_out: usize = blocks.iter().map(|block| room.show(body, block)).sum();
    if left_out > 0 {
        let warning = words::approval::not_shown(left_out);
        line(body, &warning, Some(Look::Bold));
    }
}

/// The agent's line about it, where it tells more than what stands there anyway.
fn described(question: &Question, about: Option<&str>) -> Option<String> {
    let description = question.description.as_deref()?.trim();
    let command = question.input.get("command").and_then(|c| c.as_str());
    let shown = visible_line(description, 300);
    let twice = command == Some(description) || about.is_some_and(|about| about.ends_with(&shown));
    (!twice).then_some(shown)
}

/// How much may still be shown, with the line ends.
struct Room {
    block: usize,
    rest: usize,
}

impl Room {
    /// Shows a piece of code; returns how many of its characters are left out.
    fn show(&mut self, body: &mut Formatted, block: &Block) -> usize {
        let text = block.text.as_str();
        let (head, rest) = head(text, self.block.saturating_sub(1), BLOCK_LINES);
        if !head.is_empty() {
            self.block -= units(head) + 1;
            let language = Some(block.language.to_owned());
            line(body, head, Some(Look::Pre(language)));
        }
        if rest.trim().is_empty() {
            return 0;
        }
        let (shown, left_out) = without_middle(rest, self.rest.saturating_sub(1));
        if !shown.is_empty() {
            self.rest -= units(&shown) + 1;
            line(body, &shown, Some(Look::ExpandableQuote));
        }
        left_out
    }
}

/// The beginning of a text that fits, up to the end of a line where that is not much less, and the rest.
fn head(text: &str, most: usize, lines: usize) -> (&str, &str) {
    let by_lines = text
        .match_indices('\n')
        .nth(lines - 1)
        .map_or(text.len(), |(at, _)| at);
    let by_units = fitting(text, most);
    let mut end = by_lines.min(by_units);
    if end == by_units
        && end < text.len()
        && let Some(line) = text[..end].rfind('\n')
        && line > end / 2
    {
        end = line;
    }
    let (head, rest) = text.split_at(end);
    (head, rest.strip_prefix('\n').unwrap_or(rest))
}

/// Offset behind as many characters as fit into so many units.
fn fitting(text: &str, most: usize) -> usize {
    let mut left = most;
    for (at, c) in text.char_indices() {
        match left.checked_sub(c.len_utf16()) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    text.len()
}

/// A text of at most so many units, its middle left out where it is longer, and how many characters that is.
fn without_middle(text: &str, most: usize) -> (String, usize) {
    if fitting(text, most) == text.len() {
        return (text.to_owned(), 0);
    }
    let gap = format!("\n{}\n", words::approval::MISSING);
    let Some(room) = most.checked_sub(units(&gap) + END_UNITS) else {
        return (String::new(), text.chars().count());
    };
    let first = &text[..fitting(text, room)];
    let rest = &text[first.len()..];
    let mut end = END_UNITS;
    let mut at = rest.len();
    for (offset, c) in rest.char_indices().rev() {
        match end.checked_sub(c.len_utf16()) {
            Some(less) => end = less,
            None => break,
        }
        at = offset;
    }
    let (middle, last) = rest.split_at(at);
    (format!("{first}{gap}{last}"), middle.chars().count())
}

/// Adds a text with its spans.
pub(super) fn append(body: &mut Formatted, more: Formatted) {
    let shift = body.units();
    body.text.push_str(&more.text);
    body.spans.extend(more.spans.into_iter().map(|span| Span {
        offset: span.offset + shift,
        ..span
    }));
}

/// Adds a line.
pub(super) fn line(body: &mut Formatted, text: &str, look: Option<Look>) {
    push(body, "\n", None);
    push(body, text, look);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::tests::Lines, *};
    use crate::core::{event::Place, text::deceives};

    const BUTTONS: Answer<'_> = Answer::Open(Face {
        buttons: true,
        private: true,
    });
    const COMMANDS: Answer<'_> = Answer::Open(Face {
        buttons: false,
        private: false,
    });

    fn question(row: i64, question: &Question, answer: Answer<'_>) -> Shown {
        let none = Progress::default();
        super::question(&Lines, row, question, &none, answer)
    }

    fn bash(command: &str) -> Question {
        Question {
            request_id: "r".into(),
            tool: "Bash".into(),
            input: json!({"command": command}),
            ..Question::default()
        }
    }

    /// What a span covers.
    fn covered(shown: &Shown, look: impl Fn(&Look) -> bool) -> Vec<String> {
        let text: Vec<u16> = shown.body.text.encode_utf16().collect();
        let spans = shown.body.spans.iter().filter(|span| look(&span.look));
        spans
            .map(|span| String::from_utf16(&text[span.offset..][..span.length]).unwrap())
            .collect()
    }

    #[test]
    fn what_is_asked_where_and_why_is_there() {
        let asked = Question {
            description: Some("Make a file".into()),
            reason: Some("It writes\nsomewhere else".into()),
            blocked_path: Some("/etc/x".into()),
            place: Some(Place {
                directory: "/srv/project".into(),
                moved: false,
            }),
            suggestions: vec![
                json!({"type": "addRules", "behavior": "allow", "rules": [{"toolName": "Bash", "ruleContent": "touch *"}]}),
            ],
            ..bash("touch /etc/x")
        };
        let shown = question(7, &asked, BUTTONS);
        assert_eq!(
            shown.body.text,
            "May the agent use Bash?\nMake a file\ntouch /etc/x\nIn /srv/project\nWhy it asks: It writes\\nsomewhere else\n\
             It would reach /etc/x\n“Allow for this session” allows from now on:\n• Bash: touch *"
        );
        assert_eq!(
            covered(&shown, |look| matches!(look, Look::Pre(_))),
            ["touch /etc/x"]
        );
        let data: Vec<&str> = shown.buttons.iter().flatten().map(|b| &*b.data).collect();
        assert_eq!(data, ["q:7:y", "q:7:n", "q:7:a", "q:7:w"]);
        // Nothing to offer: no such button.
        let shown = question(7, &bash("ls"), BUTTONS);
        assert_eq!(shown.buttons.len(), 2);
        let decided = question(7, &asked, Answer::Given("✓ Allowed"));
        assert!(decided.buttons.is_empty() && decided.body.text.ends_with("/etc/x\n✓ Allowed"));
        assert!(!decided.body.text.contains("from now on"));
    }

    #[test]
    fn a_description_that_says_nothing_new_is_left_out() {
        let shown = |question_: &Question| question(1, question_, BUTTONS).body.text;
        let same = Question {
            description: Some("ls".into()),
            ..bash("ls")
        };
        assert_eq!(shown(&same), "May the agent use Bash?\nls");
        let file = Question {
            tool: "Write".into(),
            description: Some("x.txt".into()),
            input: json!({"file_path": "/w/x.txt", "content": "a\nb\n"}),
            ..Question::default()
        };
        assert_eq!(shown(&file), "May the agent use Write?\n/w/x.txt\n+a\n+b");
    }

    #[test]
    fn what_is_long_opens_on_a_tap_and_what_is_too_long_says_so() {
        let lines: String = (0..40).map(|n| format!("echo {n}\n")).collect();
        let shown = question(1, &bash(&lines), BUTTONS);
        let pre = covered(&shown, |look| matches!(look, Look::Pre(_)));
        let quote = covered(&shown, |look| *look == Look::ExpandableQuote);
        assert_eq!(pre[0].lines().count(), BLOCK_LINES);
        assert_eq!(format!("{}\n{}\n", pre[0], quote[0]), lines);
        assert!(!shown.body.text.contains("not shown"));

        let huge = format!("{}; rm -rf /", "x".repeat(1 << 20));
        let shown = question(1, &bash(&huge), BUTTONS);
        assert!(shown.body.units() <= MESSAGE_UNITS);
        let quote = covered(&shown, |look| *look == Look::ExpandableQuote);
        assert!(quote[0].ends_with("; rm -rf /"), "the end is shown");
        let pre = covered(&shown, |look| matches!(look, Look::Pre(_)));
        let left_out =
            huge.len() + units(words::approval::MISSING) + 2 - units(&quote[0]) - pre[0].len();
        let told = words::approval::not_shown(left_out);
        assert_eq!(covered(&shown, |look| *look == Look::Bold), [told]);
    }

    proptest! {
        #[test]
        fn it_always_fits_and_never_deceives(
            tool in prop::sample::select(vec!["Bash", "Edit", "Write", "x\u{202e}", ""]),
            text in "(\\PC|😀|[\n\u{202e}\u{200b}]){0,60}", times in 1_usize..150, by_command: bool, row: i64,
        ) {
            let long = text.repeat(times);
            let asked = Question {
                tool: tool.into(),
                input: json!({"command": long, "file_path": long, "old_string": text, "new_string": long, "content": long, "more": long}),
                description: Some(long.clone()),
                reason: Some(long.clone()),
                blocked_path: Some(long.clone()),
                place: Some(Place { directory: long, moved: true }),
                suggestions: (0..8).map(|n| json!({
                    "type": "addRules", "behavior": "allow",
                    "rules": [{"toolName": "Bash", "ruleContent": format!("{n}{}", text.repeat(3))}],
                })).collect(),
                ..Question::default()
            };
            for answer in [if by_command { COMMANDS } else { BUTTONS }, Answer::Given(words::approval::UNANSWERED.as_str())] {
                let shown = question(row, &asked, answer);
                prop_assert!(shown.body.units() <= MESSAGE_UNITS, "{}", shown.body.units());
                // But for a sign of ours.
                prop_assert!(!shown.body.text.replace("⚠️", "").contains(deceives));
                for span in &shown.body.spans {
                    prop_assert!(span.length > 0 && span.offset + span.length <= shown.body.units());
                }
                for button in shown.buttons.iter().flatten() {
                    prop_assert!(button.data.len() <= 64);
                }
                // The last line is ours.
                if let Answer::Given(decided) = answer {
                    prop_assert!(shown.body.text.ends_with(decided));
                }
            }
        }
    }
}
