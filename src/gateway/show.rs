//! What the messages of a turn show. Pure.

use super::ports::Renderer;
use crate::core::{
    event::Question,
    ids::TurnId,
    text::{Button, Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS, Shown, Span, units},
    turn::{Ending, View},
    words,
};

/// Most UTF-16 units of a tool's input that a question shows.
const QUESTION_UNITS: usize = 3000;

/// Messages of a running turn: the answer so far, the status line, a button that stops it where a turn is given.
#[must_use]
pub fn running(
    renderer: &dyn Renderer,
    view: &View,
    turn: Option<TurnId>,
    reply_to: Option<i64>,
) -> Vec<Shown> {
    let mut parts = renderer.render(&view.answer);
    match &view.status {
        Some(status) => add_line(&mut parts, italic(status), false),
        None if parts.is_empty() => parts.push(Formatted::plain(words::WORKING)),
        None => {}
    }
    let stop = turn.map(|turn| vec![words::button(words::STOP, format!("s:{turn}"))]);
    messages(parts, stop.into_iter().collect(), reply_to)
}

/// Messages of a turn that is over.
#[must_use]
pub fn over(
    renderer: &dyn Renderer,
    view: &View,
    ending: &Ending,
    reply_to: Option<i64>,
) -> Vec<Shown> {
    let mut parts = renderer.render(&view.answer);
    match ending {
        Ending::Completed if parts.is_empty() => parts.push(Formatted::plain(words::NO_WORDS)),
        Ending::Completed => {}
        Ending::Interrupted => {
            let line = if view.by_admin {
                words::admin::ENDED
            } else {
                words::INTERRUPTED
            };
            add_line(&mut parts, italic(line), true);
        }
        Ending::Failed(trouble) => {
            add_line(&mut parts, Formatted::plain(words::trouble(trouble)), true);
        }
    }
    messages(parts, Vec::new(), reply_to)
}

/// Messages of a turn that is over, with a closing sentence and buttons of the caller.
#[must_use]
pub fn closing(
    renderer: &dyn Renderer,
    view: &View,
    line: &str,
    buttons: Vec<Vec<Button>>,
    reply_to: Option<i64>,
) -> Vec<Shown> {
    let mut parts = renderer.render(&view.answer);
    add_line(&mut parts, italic(line), true);
    messages(parts, buttons, reply_to)
}

/// One message of plain words.
#[must_use]
pub fn note(text: impl Into<String>, buttons: Vec<Vec<Button>>, reply_to: Option<i64>) -> Shown {
    Shown {
        body: cut(text.into()),
        buttons,
        reply_to,
    }
}

/// A text of somebody else's with a line that says whose, whole: as two messages where one is too small for both.
#[must_use]
pub fn announced(whose: &str, text: &str) -> Vec<Shown> {
    let both = format!("{whose}\n{text}");
    if units(&both) <= MESSAGE_UNITS {
        vec![note(both, Vec::new(), None)]
    } else {
        vec![note(whose, Vec::new(), None), note(text, Vec::new(), None)]
    }
}

/// How a question of the agent is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// By buttons.
    Buttons,
    /// By commands.
    Commands,
    /// It was: what was decided.
    Given(&'a str),
}

/// A question of the agent.
#[must_use]
pub fn question(row: i64, question: &Question, answer: Answer<'_>) -> Shown {
    let mut body = Formatted::plain(words::may_i(&question.tool));
    if let Some(description) = &question.description {
        let description: String = description.chars().take(300).collect();
        push(&mut body, "\n", None);
        push(&mut body, &description, Some(Look::Italic));
    }
    let (text, language) = telling(question);
    let text = take_units(&text, QUESTION_UNITS);
    if !text.trim().is_empty() {
        push(&mut body, "\n", None);
        push(&mut body, text.trim_end(), Some(Look::Pre(language)));
    }
    let buttons = match answer {
        Answer::Buttons => vec![
            vec![
                words::button(words::ALLOW_ONCE, format!("q:{row}:y")),
                words::button(words::DENY, format!("q:{row}:n")),
            ],
            vec![words::button(words::ALLOW_SESSION, format!("q:{row}:a"))],
        ],
        Answer::Commands => {
            push(&mut body, "\n", None);
            push(&mut body, &words::answer_by_command(row), None);
            Vec::new()
        }
        Answer::Given(decided) => {
            push(&mut body, "\n", None);
            push(&mut body, decided, None);
            Vec::new()
        }
    };
    Shown {
        body,
        buttons,
        reply_to: None,
    }
}

/// What a tool would be given, as a person wants to read it: the command itself, or the input as JSON.
fn telling(question: &Question) -> (String, Option<String>) {
    if let Some(command) = question
        .input
        .get("command")
        .and_then(serde_json::Value::as_str)
    {
        return (command.to_owned(), Some("bash".to_owned()));
    }
    // A value that came from JSON always goes back to it.
    let json = serde_json::to_string_pretty(&question.input).unwrap_or_default();
    (json, Some("json".to_owned()))
}

fn messages(parts: Vec<Formatted>, buttons: Vec<Vec<Button>>, reply_to: Option<i64>) -> Vec<Shown> {
    let last = parts.len().saturating_sub(1);
    let mut buttons = Some(buttons);
    parts
        .into_iter()
        .enumerate()
        .map(|(i, body)| Shown {
            body,
            buttons: if i == last {
                buttons.take().unwrap_or_default()
            } else {
                Vec::new()
            },
            reply_to: if i == 0 { reply_to } else { None },
        })
        .collect()
}

/// Adds a line below: to the last message if it fits, else as a message of its own, or not at all if it is not needed.
fn add_line(parts: &mut Vec<Formatted>, line: Formatted, needed: bool) {
    match parts.last_mut() {
        Some(last)
            if last.units() + 2 + line.units() <= MESSAGE_UNITS
                && last.spans.len() + line.spans.len() <= MESSAGE_SPANS =>
        {
            let offset = last.units() + 2;
            last.text.push_str("\n\n");
            last.text.push_str(&line.text);
            last.spans.extend(line.spans.into_iter().map(|s| Span {
                offset: s.offset + offset,
                ..s
            }));
        }
        Some(_) if !needed => {}
        _ => parts.push(line),
    }
}

fn italic(line: &str) -> Formatted {
    let body = cut(line.to_owned());
    let length = body.units();
    let spans = if length == 0 {
        Vec::new()
    } else {
        vec![Span {
            offset: 0,
            length,
            look: Look::Italic,
        }]
    };
    Formatted { spans, ..body }
}

fn push(body: &mut Formatted, text: &str, look: Option<Look>) {
    let (offset, length) = (body.units(), units(text));
    body.text.push_str(text);
    if let Some(look) = look
        && length > 0
    {
        body.spans.push(Span {
            offset,
            length,
            look,
        });
    }
}

fn cut(text: String) -> Formatted {
    if units(&text) <= MESSAGE_UNITS {
        return Formatted::plain(text);
    }
    Formatted::plain(take_units(&text, MESSAGE_UNITS))
}

/// The text, or as much of it as fits with an ellipsis.
fn take_units(text: &str, limit: usize) -> String {
    if units(text) <= limit {
        return text.to_owned();
    }
    let mut left = limit.saturating_sub(1);
    let mut out = String::new();
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.len_utf16()) else {
            break;
        };
        left = rest;
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Plain;
    impl Renderer for Plain {
        fn render(&self, markdown: &str) -> Vec<Formatted> {
            let chars: Vec<char> = markdown.chars().collect();
            chars
                .chunks(MESSAGE_UNITS)
                .map(|c| Formatted::plain(c.iter().collect::<String>()))
                .collect()
        }
    }

    fn view(answer: &str, status: Option<&str>) -> View {
        View {
            answer: answer.to_owned(),
            status: status.map(str::to_owned),
            by_admin: false,
        }
    }

    #[test]
    fn a_running_turn_has_its_status_and_a_stop_button() {
        let shown = running(
            &Plain,
            &view("Hello", Some("Reading a.rs")),
            Some(TurnId(7)),
            Some(3),
        );
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].body.text, "Hello\n\nReading a.rs");
        assert_eq!(
            shown[0].body.spans,
            [Span {
                offset: 7,
                length: 12,
                look: Look::Italic
            }]
        );
        assert_eq!(shown[0].buttons[0][0].data, "s:7");
        assert_eq!(shown[0].reply_to, Some(3));
    }

    #[test]
    fn an_empty_running_turn_shows_something() {
        assert_eq!(
            running(&Plain, &view("", None), None, None)[0].body.text,
            words::WORKING
        );
        assert_eq!(
            over(&Plain, &view("", None), &Ending::Completed, None)[0]
                .body
                .text,
            words::NO_WORDS
        );
    }

    #[test]
    fn a_full_message_gives_way_to_what_must_be_said_but_not_to_a_status() {
        let full = "x".repeat(MESSAGE_UNITS);
        assert_eq!(
            running(&Plain, &view(&full, Some("Reading")), None, None).len(),
            1
        );
        let shown = over(&Plain, &view(&full, None), &Ending::Interrupted, Some(9));
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1].body.text, words::INTERRUPTED);
        assert_eq!((shown[0].reply_to, shown[1].reply_to), (Some(9), None));
        let by_admin = View {
            by_admin: true,
            ..view("Half", None)
        };
        let shown = over(&Plain, &by_admin, &Ending::Interrupted, None);
        assert_eq!(shown[0].body.text, "Half\n\n— Ended by an administrator");
    }

    #[test]
    fn an_announced_text_is_shown_whole() {
        let text = "x".repeat(MESSAGE_UNITS);
        for (text, messages) in [(&text[..], 2), (&text[..4090], 1), ("x", 1)] {
            let shown = announced("Who:", text);
            assert_eq!(shown.len(), messages);
            assert!(shown.last().is_some_and(|m| m.body.text.ends_with(text)));
        }
    }

    #[test]
    fn a_question_fits_whatever_the_input_is() {
        let long = Question {
            request_id: "r".into(),
            tool: "Bash".into(),
            input: json!({"command": "😀".repeat(9000)}),
            description: Some("d".repeat(9000)),
            tool_use_id: None,
            suggestions: Vec::new(),
        };
        let by_command = question(i64::MAX, &long, Answer::Commands);
        assert!(by_command.body.units() <= MESSAGE_UNITS && by_command.buttons.is_empty());
        assert!(by_command.body.text.contains("/deny 9223372036854775807"));
        let shown = question(i64::MAX, &long, Answer::Buttons);
        assert!(shown.body.units() <= MESSAGE_UNITS);
        for span in &shown.body.spans {
            assert!(span.offset + span.length <= shown.body.units());
        }
        for button in shown.buttons.iter().flatten() {
            assert!(button.data.len() <= 64);
        }
        let decided = question(1, &long, Answer::Given(words::ALLOWED));
        assert!(decided.buttons.is_empty() && decided.body.text.ends_with(words::ALLOWED));
    }
}
