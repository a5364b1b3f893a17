//! What the messages of a turn show. Pure.

mod choice;
mod plan;
mod question;

pub use plan::messages_of_plan;
pub use question::{Answer, Face, question};

use super::ports::{Parcel, Renderer};
use crate::core::{
    ids::TurnId,
    text::{Button, Enclosed, Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS, Shown, Span, units},
    turn::{Ending, View},
    words,
};

/// Most of what an agent thinks that is shown, in UTF-16 units.
const THOUGHTS: usize = 1000;

/// Between an answer and what stands below it.
const GAP: &str = "\n\n";

/// Messages of a running turn: the answer so far, the status line, a button that stops it where a turn is given.
#[must_use]
pub fn running(
    renderer: &dyn Renderer,
    view: &View,
    turn: Option<TurnId>,
    reply_to: Option<i64>,
) -> Vec<Shown> {
    // What is going to be a file is none of the messages that it would take, or these would be taken back at the end.
    let mut parts = renderer.parcel(&view.answer).messages;
    if let Some(thoughts) = &view.thoughts {
        add_line(&mut parts, quoted(thoughts), false);
    }
    match &view.status {
        Some(status) => add_line(&mut parts, italic(status), false),
        None if parts.is_empty() => parts.push(Formatted::plain(words::WORKING)),
        None => {}
    }
    let stop = turn.map(|turn| vec![words::button(words::STOP.as_str(), format!("s:{turn}"))]);
    messages(parts, stop.into_iter().collect(), reply_to)
}

/// A running turn in one piece: the end of its answer so far, as much as fits, and the status line.
#[must_use]
pub fn draft(renderer: &dyn Renderer, view: &View) -> Formatted {
    let status = view
        .status
        .as_deref()
        .map_or_else(|| Formatted::plain(words::WORKING), italic);
    let status = match &view.thoughts {
        Some(thoughts) => {
            let mut foot = quoted(thoughts);
            foot.append(Formatted::plain(GAP));
            foot.append(status);
            foot
        }
        None => status,
    };
    let (gap, above) = (units(GAP), Formatted::plain(words::MORE_ABOVE));
    let (most, most_spans) = (
        MESSAGE_UNITS - status.units() - gap - above.units(),
        MESSAGE_SPANS - status.spans.len(),
    );
    // Of the messages that it is going to be, the last, and as much of those before it as there is room for.
    let mut body = Formatted::default();
    let mut whole = true;
    for part in renderer.parcel(&view.answer).messages.into_iter().rev() {
        let used = if body.text.is_empty() {
            0
        } else {
            body.units() + gap
        };
        let mut piece = part.tail(most.saturating_sub(used));
        whole &= piece.text.len() == part.text.len();
        if body.text.is_empty() {
            piece.spans.truncate(most_spans);
        }
        if piece.text.is_empty() || piece.spans.len() + body.spans.len() > most_spans {
            whole = false;
            break;
        }
        if !body.text.is_empty() {
            piece.append(Formatted::plain(GAP));
        }
        piece.append(body);
        body = piece;
        if !whole {
            break;
        }
    }
    if !whole {
        let mut marked = above;
        marked.append(body);
        body = marked;
    }
    if body.text.is_empty() {
        return status;
    }
    body.append(Formatted::plain(GAP));
    body.append(status);
    body
}

/// Messages of a turn that is over.
#[must_use]
pub fn over(
    renderer: &dyn Renderer,
    view: &View,
    ending: &Ending,
    reply_to: Option<i64>,
) -> Vec<Shown> {
    let Parcel {
        messages: mut parts,
        files,
    } = renderer.parcel(&view.answer);
    match ending {
        Ending::Completed if parts.is_empty() => {
            parts.push(Formatted::plain(words::NO_WORDS.as_str()));
        }
        Ending::Completed => {}
        Ending::Interrupted => {
            let line = if view.by_admin {
                words::admin::ENDED.as_str()
            } else if view.for_newer {
                words::queue::FOR_NEWER.as_str()
            } else {
                words::INTERRUPTED.as_str()
            };
            add_line(&mut parts, italic(line), true);
        }
        Ending::Failed(trouble) => {
            add_line(&mut parts, Formatted::plain(words::trouble(trouble)), true);
        }
    }
    let mut shown = messages(parts, Vec::new(), reply_to);
    shown.extend(files.into_iter().map(enclosed));
    shown
}

/// A file of an answer, with a caption.
fn enclosed(file: Enclosed) -> Shown {
    let lines = file.text.lines().count();
    Shown {
        body: Formatted::plain(words::enclosed::caption(&file.name, lines)),
        file: Some(file),
        ..Shown::default()
    }
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
        file: None,
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
            file: None,
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
            last.append(Formatted::plain(GAP));
            last.append(line);
        }
        Some(_) if !needed => {}
        _ => parts.push(line),
    }
}

/// The end of what the agent thinks, in a quote that opens on a tap.
fn quoted(thoughts: &str) -> Formatted {
    let plain = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let text: String = thoughts.chars().map(plain).collect();
    let mut body = Formatted::plain(text.trim()).tail(THOUGHTS);
    body.text.truncate(body.text.trim_end().len());
    body.spans = vec![Span {
        offset: 0,
        length: body.units(),
        look: Look::ExpandableQuote,
    }];
    body.spans.retain(|span| span.length > 0);
    body
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
    use super::*;

    /// Every text as it is, cut where a message is full.
    pub(super) struct Lines;
    impl Renderer for Lines {
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
            ..View::default()
        }
    }

    #[test]
    fn a_running_turn_has_its_status_and_a_stop_button() {
        let shown = running(
            &Lines,
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
    fn thinking_is_a_quote_above_the_status_and_never_at_the_end() {
        let thinks = View {
            thoughts: Some(" first I\u{0} look\n".into()),
            ..view("Hello", Some("Thinking…"))
        };
        let body = &running(&Lines, &thinks, None, None)[0].body;
        assert_eq!(body.text, "Hello\n\nfirst I  look\n\nThinking…");
        let quote = Span {
            offset: 7,
            length: 13,
            look: Look::ExpandableQuote,
        };
        assert_eq!(body.spans[0], quote);
        assert_eq!(draft(&Lines, &thinks), *body);
        for ending in [Ending::Completed, Ending::Interrupted] {
            let over = over(&Lines, &thinks, &ending, None);
            assert!(!over.iter().any(|m| m.body.text.contains("look")));
        }
        let long = View {
            thoughts: Some("x y\n".repeat(2000)),
            ..thinks
        };
        let body = &running(&Lines, &long, None, None)[0].body;
        assert!(body.units() < THOUGHTS + 30);
        assert!(draft(&Lines, &long).units() < THOUGHTS + 30);
    }

    #[test]
    fn an_empty_running_turn_shows_something() {
        assert_eq!(
            running(&Lines, &view("", None), None, None)[0].body.text,
            words::WORKING
        );
        assert_eq!(
            over(&Lines, &view("", None), &Ending::Completed, None)[0]
                .body
                .text,
            words::NO_WORDS.as_str()
        );
    }

    #[test]
    fn a_full_message_gives_way_to_what_must_be_said_but_not_to_a_status() {
        let full = "x".repeat(MESSAGE_UNITS);
        assert_eq!(
            running(&Lines, &view(&full, Some("Reading")), None, None).len(),
            1
        );
        let shown = over(&Lines, &view(&full, None), &Ending::Interrupted, Some(9));
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1].body.text, words::INTERRUPTED.as_str());
        assert_eq!((shown[0].reply_to, shown[1].reply_to), (Some(9), None));
        let by_admin = View {
            by_admin: true,
            ..view("Half", None)
        };
        let shown = over(&Lines, &by_admin, &Ending::Interrupted, None);
        assert_eq!(shown[0].body.text, "Half\n\n— Ended by an administrator");
        let for_newer = View {
            for_newer: true,
            ..view("Half", None)
        };
        let shown = over(&Lines, &for_newer, &Ending::Interrupted, None);
        assert_eq!(
            shown[0].body.text,
            "Half\n\n— Interrupted: your newer message comes first"
        );
    }

    #[test]
    fn a_draft_shows_the_end_of_the_answer_and_what_goes_on() {
        assert_eq!(draft(&Lines, &view("", None)).text, words::WORKING);
        let short = draft(&Lines, &view("Hello", Some("Reading a.rs")));
        assert_eq!(short.text, "Hello\n\nReading a.rs");
        assert_eq!((short.spans[0].offset, short.spans[0].length), (7, 12));
        let full = draft(&Lines, &view(&"x".repeat(MESSAGE_UNITS), Some("Reading")));
        assert!(full.text.starts_with("…\nxxx") && full.text.ends_with("x\n\nReading"));
        assert_eq!(full.units(), MESSAGE_UNITS);
        // Of two messages the second and the end of the first.
        let two = format!("{}{}", "x".repeat(MESSAGE_UNITS), "y".repeat(10));
        let two = draft(&Lines, &view(&two, Some("Reading")));
        assert!(two.text.ends_with("x\n\nyyyyyyyyyy\n\nReading"));
        assert_eq!(two.units(), MESSAGE_UNITS);
    }

    #[test]
    fn a_draft_has_no_more_looks_than_telegram_takes() {
        struct Colourful;
        impl Renderer for Colourful {
            fn render(&self, _: &str) -> Vec<Formatted> {
                let spans = (0..MESSAGE_SPANS).map(|offset| Span {
                    offset,
                    length: 1,
                    look: Look::Bold,
                });
                let body = Formatted {
                    text: "x".repeat(MESSAGE_SPANS),
                    spans: spans.collect(),
                };
                vec![body.clone(), body]
            }
        }
        let shown = draft(&Colourful, &view("", Some("Reading")));
        assert_eq!(shown.spans.len(), MESSAGE_SPANS);
        assert!(shown.text.contains(&"x".repeat(MESSAGE_SPANS)));
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
}
