//! What a plan of an agent looks like that waits for a word.

use super::{
    super::ports::Renderer,
    push,
    question::{Face, append, button, line},
};
use crate::core::{
    text::{Button, Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS},
    words,
};

/// UTF-16 units that are kept for what stands around a plan in the message with the buttons.
const AROUND: usize = 1000;

/// Most messages that a plan takes.
const MOST: usize = 8;

/// A plan in the messages that go before the one with the buttons; none where it has room in that.
#[must_use]
pub fn messages_of_plan(renderer: &dyn Renderer, plan: &str) -> Vec<Formatted> {
    let mut parts = renderer.render(plan);
    if fits(&parts) {
        return Vec::new();
    }
    let left_out: usize = parts
        .iter()
        .skip(MOST)
        .map(|part| part.text.chars().count())
        .sum();
    parts.truncate(MOST);
    if left_out > 0 {
        parts.push(Formatted::plain(words::approval::plan_cut(left_out)));
    }
    parts
}

fn fits(parts: &[Formatted]) -> bool {
    match parts {
        [] => true,
        [one] => one.units() + AROUND <= MESSAGE_UNITS && one.spans.len() + 2 <= MESSAGE_SPANS,
        _ => false,
    }
}

/// The plan, before so many units, where there is room for it.
pub(super) fn body(renderer: &dyn Renderer, plan: Option<&str>, end: usize) -> Formatted {
    let Some(plan) = plan else {
        return Formatted::plain(words::approval::NO_PLAN.as_str());
    };
    let mut parts = renderer.render(plan);
    let mut body = Formatted::default();
    match parts.pop() {
        Some(part) if parts.is_empty() && fits(std::slice::from_ref(&part)) && end < AROUND => {
            push(&mut body, words::approval::PLAN.as_str(), Some(Look::Bold));
            push(&mut body, "\n", None);
            append(&mut body, part);
            if end > 0 {
                push(&mut body, "\n", None);
            }
        }
        _ => push(&mut body, words::approval::PLAN_ABOVE.as_str(), None),
    }
    body
}

/// How it can be answered.
pub(super) fn asking(end: &mut Formatted, row: i64, face: Face) -> Vec<Vec<Button>> {
    if !face.buttons {
        line(end, &words::approval::plan_by_command(row), None);
        return Vec::new();
    }
    vec![
        vec![
            button(row, words::approval::GO_AHEAD.as_str(), "y"),
            button(row, words::approval::KEEP_PLANNING.as_str(), "n"),
        ],
        vec![button(row, words::approval::GO_AHEAD_EDITS.as_str(), "e")],
        vec![button(
            row,
            words::approval::KEEP_PLANNING_AND_TELL.as_str(),
            "w",
        )],
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            question::{Answer, question},
            tests::Lines,
        },
        *,
    };
    use crate::core::{
        approval::{PLAN, progress::Progress},
        event::Question,
        text::{Shown, units},
    };

    const FACE: Face = Face {
        buttons: true,
        private: true,
    };

    fn shown(plan: &str, answer: Answer<'_>) -> Shown {
        let asked = Question {
            tool: PLAN.to_owned(),
            input: json!({"plan": plan}),
            ..Question::default()
        };
        question(&Lines, 7, &asked, &Progress::default(), answer)
    }

    #[test]
    fn a_short_plan_stands_with_its_buttons() {
        let short = shown("1. one\n2. two", Answer::Open(FACE));
        assert_eq!(short.body.text, "The agent's plan:\n1. one\n2. two");
        let data: Vec<&str> = short.buttons.iter().flatten().map(|b| &*b.data).collect();
        assert_eq!(data, ["q:7:y", "q:7:n", "q:7:e", "q:7:w"]);
        assert!(messages_of_plan(&Lines, "1. one").is_empty());
        let over = shown(
            "1. one",
            Answer::Given(words::approval::GOES_AHEAD.as_str()),
        );
        assert_eq!(over.body.text, "The agent's plan:\n1. one\n\n✓ Go ahead");
        assert_eq!(
            shown(" ", Answer::Open(FACE)).body.text,
            words::approval::NO_PLAN.as_str()
        );
    }

    #[test]
    fn a_long_plan_goes_before() {
        let long = "x".repeat(MESSAGE_UNITS * 2);
        assert_eq!(messages_of_plan(&Lines, &long).len(), 2);
        assert_eq!(
            shown(&long, Answer::Open(FACE)).body.text,
            words::approval::PLAN_ABOVE.as_str()
        );
        let endless = "x".repeat(MESSAGE_UNITS * (MOST + 2));
        let parts = messages_of_plan(&Lines, &endless);
        assert_eq!(parts.len(), MOST + 1);
        let cut = words::approval::plan_cut(MESSAGE_UNITS * 2);
        assert_eq!(parts.last().map(|part| part.text.as_str()), Some(&*cut));
        // The longest that stands with its buttons, and what is said below at its longest.
        let most = "x".repeat(MESSAGE_UNITS - AROUND);
        let decided = "y".repeat(400);
        let shown = shown(&most, Answer::Given(&decided));
        assert!(units(&shown.body.text) <= MESSAGE_UNITS && shown.body.text.contains("xxx"));
    }
}
