//! What it looks like when an agent asks a person to choose, or to say something.

use super::question::{Face, button, line};
use crate::core::{
    approval::{choice::Choice, progress::Progress, step::told},
    text::{Button, Formatted, Look, MESSAGE_UNITS, units, visible, visible_line},
    words,
};

/// UTF-16 units of a question, and of what is chosen so far.
const QUESTION_UNITS: usize = 1200;
const TOLD_UNITS: usize = 500;

/// UTF-16 units of an option with what it means: at least, at most.
const OPTION_UNITS: (usize, usize) = (24, 400);

/// UTF-16 units of the label of a button.
const LABEL_UNITS: usize = 40;

/// From how many options on two stand in one row.
const MANY: usize = 9;

/// The question that is next, with what can be chosen, before so many units.
pub(super) fn body(choice: &Choice, progress: &Progress, end: usize) -> Formatted {
    let (current, of) = (progress.given.len(), choice.questions.len());
    // Where all are answered, the last one stands there.
    let number = current.min(of - 1);
    let Some(asked) = choice.questions.get(number) else {
        return Formatted::default();
    };
    let mut body = Formatted::plain(words::approval::asks_you(&asked.header, number + 1, of));
    let question = visible(asked.question.trim());
    line(&mut body, &cut(&question, QUESTION_UNITS), Some(Look::Bold));
    let told = told(choice, progress);
    let room = TOLD_UNITS / of;
    // What was answered last stands below as the outcome, once all are.
    let so_far: Vec<String> = told
        .iter()
        .take(number)
        .map(|(about, answer)| words::approval::told(about, answer, room))
        .collect();
    let below: usize = so_far.iter().map(|line| units(line) + 1).sum();
    let left = MESSAGE_UNITS.saturating_sub(body.units() + below + end);
    let (least, most) = OPTION_UNITS;
    let each = (left / asked.options.len().max(1)).min(most);
    for (at, option) in asked.options.iter().enumerate() {
        // With the line end.
        if each <= least {
            break;
        }
        let text = match option.description.trim() {
            "" => format!("{}. {}", at + 1, option.label.trim()),
            description => format!("{}. {} – {description}", at + 1, option.label.trim()),
        };
        line(&mut body, &visible_line(&text, each - 1), None);
    }
    for told in so_far {
        line(&mut body, &told, Some(Look::Italic));
    }
    body
}

/// How it can be answered.
pub(super) fn asking(
    end: &mut Formatted,
    row: i64,
    choice: &Choice,
    progress: &Progress,
    face: Face,
) -> Vec<Vec<Button>> {
    let current = progress.given.len();
    let Some(asked) = choice.questions.get(current) else {
        return Vec::new();
    };
    if !face.buttons {
        let how = words::approval::choose_by_command(row, asked.several);
        line(end, &how, None);
        return Vec::new();
    }
    let options: Vec<Button> = asked
        .options
        .iter()
        .enumerate()
        .map(|(at, option)| {
            let sign = match (asked.several, progress.ticked.contains(&at)) {
                (false, _) => "",
                (true, true) => words::approval::TICKED,
                (true, false) => words::approval::NOT_TICKED,
            };
            let label = visible_line(option.label.trim(), LABEL_UNITS);
            button(row, &format!("{sign}{label}"), &format!("o:{current}:{at}"))
        })
        .collect();
    let per_row = if options.len() < MANY { 1 } else { 2 };
    let mut rows: Vec<Vec<Button>> = options.chunks(per_row).map(<[Button]>::to_vec).collect();
    if asked.several && !asked.options.is_empty() {
        let done = button(row, words::approval::DONE.as_str(), &format!("d:{current}"));
        rows.push(vec![done]);
    }
    rows.push(vec![
        button(row, words::approval::OWN.as_str(), &format!("t:{current}")),
        button(row, words::approval::SKIP.as_str(), "n"),
    ]);
    rows
}

/// The text, or as much of it as fits with a sign that more follows.
fn cut(text: &str, most: usize) -> String {
    let mut left = most;
    let mut out = String::new();
    for c in text.chars() {
        match left.checked_sub(c.len_utf16()) {
            Some(rest) => left = rest,
            None => {
                out.push('…');
                break;
            }
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{
        super::{
            question::{Answer, question},
            tests::Lines,
        },
        *,
    };
    use crate::core::{
        approval::{
            CHOICE,
            choice::Given,
            progress::{Awaited, Purpose},
        },
        event::Question,
        text::{Shown, deceives},
    };

    const BUTTONS: Face = Face {
        buttons: true,
        private: true,
    };

    fn asked(input: Value) -> Question {
        Question {
            tool: CHOICE.to_owned(),
            input,
            ..Question::default()
        }
    }

    fn shown(asked: &Question, progress: &Progress, answer: Answer<'_>) -> Shown {
        question(&Lines, 7, asked, progress, answer)
    }

    fn two() -> Question {
        asked(json!({"questions": [
            {"question": "Which color?", "header": "Color", "multiSelect": true, "options": [
                {"label": "Red", "description": "like fire"}, {"label": "Blue", "description": ""},
            ]},
            {"question": "And then?", "options": [{"label": "Go"}, {"label": "Stop"}]},
        ]}))
    }

    fn labels(shown: &Shown) -> Vec<Vec<&str>> {
        let row =
            |row: &Vec<Button>| -> Vec<String> { row.iter().map(|b| b.label.clone()).collect() };
        let _ = row;
        shown
            .buttons
            .iter()
            .map(|row| row.iter().map(|b| b.label.as_str()).collect())
            .collect()
    }

    #[test]
    fn one_question_after_the_other_is_shown() {
        let mut progress = Progress {
            ticked: vec![1],
            ..Progress::default()
        };
        let first = shown(&two(), &progress, Answer::Open(BUTTONS));
        assert_eq!(
            first.body.text,
            "The agent asks you about Color (1 of 2):\nWhich color?\n1. Red – like fire\n2. Blue"
        );
        assert_eq!(
            labels(&first),
            [
                vec!["☐ Red"],
                vec!["☑ Blue"],
                vec!["Done"],
                vec!["Write an answer…", "Skip"]
            ]
        );
        let data: Vec<&str> = first.buttons.iter().flatten().map(|b| &*b.data).collect();
        assert_eq!(
            data,
            ["q:7:o:0:0", "q:7:o:0:1", "q:7:d:0", "q:7:t:0", "q:7:n"]
        );
        progress = Progress {
            given: vec![Given::Options(vec![0, 1])],
            ..Progress::default()
        };
        let second = shown(&two(), &progress, Answer::Open(BUTTONS));
        assert_eq!(
            second.body.text,
            "The agent asks you (2 of 2):\nAnd then?\n1. Go\n2. Stop\n✓ Color: Red, Blue"
        );
        assert_eq!(
            labels(&second),
            [vec!["Go"], vec!["Stop"], vec!["Write an answer…", "Skip"]]
        );
        progress.words = Some(Awaited {
            by: 1,
            since: 0,
            purpose: Purpose::Own,
        });
        let waiting = shown(&two(), &progress, Answer::Open(BUTTONS));
        assert!(
            waiting
                .body
                .text
                .ends_with("\n✎ Write your answer now: your next message here is it.")
        );
        assert_eq!(labels(&waiting), [["Cancel"]]);
        let over = shown(&two(), &progress, Answer::Given("✓ And then?: Go"));
        assert!(
            over.body
                .text
                .ends_with("\n✓ Color: Red, Blue\n✓ And then?: Go")
                && over.buttons.is_empty()
        );
        let commands = Face {
            buttons: false,
            private: true,
        };
        let plain = shown(&two(), &Progress::default(), Answer::Open(commands));
        assert!(plain.buttons.is_empty());
        assert!(
            plain
                .body
                .text
                .ends_with("/answer 7 and numbers like 1, 3 or your own words; /deny 7 skips it.")
        );
    }

    #[test]
    fn what_cannot_be_understood_is_asked_like_any_other_tool() {
        let odd = asked(json!({"questions": [{"question": "", "options": []}]}));
        let shown = shown(&odd, &Progress::default(), Answer::Open(BUTTONS));
        assert!(
            shown
                .body
                .text
                .starts_with("May the agent use AskUserQuestion?\n{")
        );
        assert_eq!(shown.buttons[0][0].data, "q:7:y");
    }

    proptest! {
        #[test]
        fn it_always_fits(
            text in "(\\PC|😀|[\n\u{202e}\u{200b}]){1,40}", times in 1_usize..100, options in 0_usize..90,
            several: bool, buttons: bool, awaited: bool, given in 0_usize..3, row: i64,
        ) {
            let long = text.repeat(times);
            let one = |n: usize| json!({
                "question": format!("{n}{long}"), "header": long, "multiSelect": several,
                "options": (0..options).map(|o| json!({"label": format!("{o}{long}"), "description": long})).collect::<Vec<_>>(),
            });
            let asked = asked(json!({"questions": [one(0), one(1), one(2)]}));
            let own = || Given::Own { text: long.clone(), beside: (0..options).collect() };
            let words = awaited.then_some(Awaited { by: 1, since: 0, purpose: Purpose::Own });
            let progress = Progress { given: vec![own(); given], ticked: (0..options).collect(), words, ..Progress::default() };
            for answer in [Answer::Open(Face { buttons, private: !buttons }), Answer::Given(words::approval::SKIPPED.as_str())] {
                let shown = question(&Lines, row, &asked, &progress, answer);
                prop_assert!(shown.body.units() <= MESSAGE_UNITS, "{}", shown.body.units());
                prop_assert!(!shown.body.text.contains(deceives));
                prop_assert!(shown.buttons.iter().flatten().count() <= 100);
                for span in &shown.body.spans {
                    prop_assert!(span.length > 0 && span.offset + span.length <= shown.body.units());
                }
                for button in shown.buttons.iter().flatten() {
                    prop_assert!(button.data.len() <= 64 && units(&button.label) <= LABEL_UNITS + 2);
                    prop_assert!(!button.label.trim().is_empty());
                }
            }
        }
    }
}
