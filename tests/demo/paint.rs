//! The model on the screen.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Position, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};
use telexd_botapi::ShownMessage;

use super::{
    letter,
    model::{Chat, Health, Item, Model},
    post,
    wrap::{Break, wrap},
};

/// Broadest text of a message.
const BROADEST: usize = 92;
/// Below this nothing sensible can be shown.
const LEAST: (u16, u16) = (24, 8);
/// Most lines of the message that is being written.
const INPUT_ROWS: usize = 4;

const BOT: Color = Color::Indexed(75);
const PERSON: Color = Color::Indexed(114);
const QUIET: Color = Color::Indexed(244);
const WARM: Color = Color::Indexed(215);
const BAD: Color = Color::Indexed(203);

/// Keys, most needed first: those that do not fit are left out.
const HELP: [&str; 8] = [
    "Enter send",
    "Tab next person",
    "1-9 buttons",
    "^K kill -9 the daemon",
    "^C quit",
    "PgUp/PgDn scroll",
    "/help the bot's commands",
    ":help the demo's",
];

/// Draws everything.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        frame.render_widget(Paragraph::new("too small"), area);
        return;
    }
    let (input, cursor) = input(model, usize::from(area.width));
    let [title, tabs, chat, status, line, help] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(input.len()).unwrap_or(1)),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(heading(model), title);
    frame.render_widget(names(model), tabs);
    frame.render_widget(Paragraph::new(visible(model.chat(), chat)), chat);
    frame.render_widget(Paragraph::new(state(model, status.width)), status);
    frame.render_widget(Paragraph::new(input), line);
    frame.render_widget(Paragraph::new(keys(usize::from(help.width))), help);
    frame.set_cursor_position(Position::new(
        line.x + cursor.0.min(line.width.saturating_sub(1)),
        line.y + cursor.1,
    ));
}

/// What this is, which agent, how the daemon is.
fn heading(model: &Model) -> Paragraph<'static> {
    let ground = Style::new().bg(Color::Indexed(237));
    let agent = if model.stand_in {
        Style::new().fg(WARM).add_modifier(Modifier::BOLD)
    } else {
        Style::new().fg(PERSON)
    };
    let (dot, words) = match model.health {
        Health::Starts => (WARM, "starts".to_owned()),
        Health::Runs(pid) => (PERSON, format!("pid {pid}")),
        Health::Killed => (BAD, "killed".to_owned()),
        Health::Ended => (BAD, "ended".to_owned()),
    };
    let line = Line::from(vec![
        Span::styled(" telexd demo ", Style::new().add_modifier(Modifier::BOLD)),
        Span::styled("│ agent: ", Style::new().fg(QUIET)),
        Span::styled(model.agent.clone(), agent),
        Span::styled(" │ daemon ", Style::new().fg(QUIET)),
        Span::styled("● ", Style::new().fg(dot)),
        Span::raw(words),
    ]);
    Paragraph::new(line).style(ground)
}

/// Everybody, and what goes on at each.
fn names(model: &Model) -> Paragraph<'static> {
    let mut spans = vec![Span::raw(" ")];
    for (at, chat) in model.chats.iter().enumerate() {
        let mark = if chat.typing_until > model.now {
            "…"
        } else if chat.unread {
            "•"
        } else {
            " "
        };
        let style = if at == model.current {
            Style::new()
                .fg(Color::Indexed(16))
                .bg(PERSON)
                .add_modifier(Modifier::BOLD)
        } else if chat.unread {
            Style::new().fg(WARM)
        } else {
            Style::new().fg(QUIET)
        };
        spans.push(Span::styled(format!(" {}{mark} ", chat.name), style));
    }
    spans.push(Span::styled(
        format!(" {}", model.chat().role),
        Style::new().fg(QUIET),
    ));
    Paragraph::new(Line::from(spans))
}

/// The lines of the chat that fit, the newest at the bottom.
fn visible(chat: &Chat, area: Rect) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut parts: Vec<Vec<Line<'static>>> = Vec::new();
    let mut all = 0;
    // From the newest up, and no more than can be seen.
    for item in chat.items.iter().rev() {
        if all >= height + chat.scroll {
            break;
        }
        let part = match item {
            Item::Message(message) if message.deleted => continue,
            Item::Message(message) => bubble(chat, message, width),
            Item::Remark(words) => remark(words, width),
        };
        all += part.len();
        parts.push(part);
    }
    let lines: Vec<Line<'static>> = parts.into_iter().rev().flatten().collect();
    let scroll = chat.scroll.min(lines.len().saturating_sub(height));
    let end = lines.len() - scroll;
    let begin = end.saturating_sub(height);
    let mut shown = vec![Line::default(); height - (end - begin)];
    shown.extend_from_slice(&lines[begin..end]);
    shown
}

/// One message: who, text, buttons, and an empty line.
fn bubble(chat: &Chat, message: &ShownMessage, width: usize) -> Vec<Line<'static>> {
    let (name, colour) = if message.from_bot {
        ("telexd", BOT)
    } else {
        (chat.name.as_str(), PERSON)
    };
    let bar = Span::styled(" ▌ ", Style::new().fg(colour));
    let quiet = Style::new().fg(QUIET);
    let mut head = vec![Span::styled(
        name.to_owned(),
        Style::new().fg(colour).add_modifier(Modifier::BOLD),
    )];
    match message.history.len().saturating_sub(1) {
        0 => {}
        1 => head.push(Span::styled(" · edited once", quiet)),
        n => head.push(Span::styled(format!(" · edited {n} times"), quiet)),
    }
    let room = width.saturating_sub(4).min(BROADEST);
    let mut lines = vec![Line::from(head)];
    if let Some(quoted) = message.reply_to.and_then(|id| first_words(chat, id)) {
        let line = Span::styled(format!("↳ {quoted}"), quiet);
        lines.extend(wrap(&[line], room, Break::Anywhere).into_iter().take(1));
    }
    lines.extend(letter::lines(&message.text, &message.entities, room));
    if let Some(file) = &message.file {
        let line = Span::styled(post::line(file), quiet);
        lines.extend(wrap(&[line], room, Break::Words));
    }
    for row in &message.buttons {
        let mut spans = Vec::new();
        for button in row {
            let key = button
                .data
                .as_deref()
                .and_then(|data| chat.keys.key(message.message_id, data));
            let key = key.map_or_else(|| "-".to_owned(), |key| key.to_string());
            let style = Style::new()
                .fg(Color::Indexed(231))
                .bg(Color::Indexed(25))
                .add_modifier(Modifier::BOLD);
            spans.push(Span::styled(format!("[{key} {}]", button.text), style));
            spans.push(Span::raw(" "));
        }
        lines.extend(wrap(&spans, room, Break::Words));
    }
    let mut lines: Vec<Line<'static>> = lines
        .into_iter()
        .map(|line| {
            let mut spans = vec![bar.clone()];
            spans.extend(line.spans);
            Line::from(spans)
        })
        .collect();
    lines.push(Line::default());
    lines
}

fn first_words(chat: &Chat, id: i64) -> Option<String> {
    chat.items.iter().find_map(|item| match item {
        Item::Message(m) if m.message_id == id => Some(
            m.text
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(60)
                .collect(),
        ),
        _ => None,
    })
}

fn remark(words: &str, width: usize) -> Vec<Line<'static>> {
    let style = Style::new().fg(QUIET).add_modifier(Modifier::ITALIC);
    let room = width.saturating_sub(4);
    let rows = words
        .lines()
        .map(|row| Span::styled(letter::clean(row), style));
    let mut lines: Vec<Line<'static>> = rows
        .flat_map(|row| wrap(&[row], room, Break::Words))
        .map(|line| {
            let mut spans = vec![Span::raw(" ")];
            spans.extend(line.spans);
            Line::from(spans)
        })
        .collect();
    lines.push(Line::default());
    lines
}

/// "typing…", what a button said, how far one has scrolled; all on the line that parts chat and input.
fn state(model: &Model, width: u16) -> Line<'static> {
    let quiet = Style::new().fg(Color::Indexed(240));
    let words = if let Some((notice, _)) = &model.notice {
        Span::styled(format!(" {notice} "), Style::new().fg(WARM))
    } else if model.chat().typing_until > model.now {
        let style = Style::new().fg(BOT).add_modifier(Modifier::ITALIC);
        Span::styled(" telexd is typing… ", style)
    } else if model.chat().scroll > 0 {
        Span::styled(" further up; PgDn goes down ", Style::new().fg(QUIET))
    } else {
        Span::raw("")
    };
    let rest = usize::from(width).saturating_sub(words.width() + 2);
    Line::from(vec![
        Span::styled("──", quiet),
        words,
        Span::styled("─".repeat(rest), quiet),
    ])
}

/// What is being written, and where the cursor is in it.
fn input(model: &Model, width: usize) -> (Vec<Line<'static>>, (u16, u16)) {
    let chat = model.chat();
    let prompt = format!(" {} › ", chat.name);
    let indent = Span::raw(prompt.as_str()).width();
    let room = width.saturating_sub(indent + 1).max(2);
    let rows = |text: &str| -> Vec<Line<'static>> {
        text.split('\n')
            .flat_map(|row| wrap(&[Span::raw(row)], room, Break::Anywhere))
            .collect()
    };
    let before = rows(chat.input.before());
    let row = before.len() - 1;
    let column = before.last().map_or(0, Line::width);
    let all = rows(chat.input.text());
    let first = (row + 1).saturating_sub(INPUT_ROWS);
    let style = Style::new().fg(PERSON).add_modifier(Modifier::BOLD);
    let lines = all
        .into_iter()
        .enumerate()
        .skip(first)
        .take(INPUT_ROWS)
        .map(|(number, line)| {
            let mut spans = vec![if number == 0 {
                Span::styled(prompt.clone(), style)
            } else {
                Span::raw(" ".repeat(indent))
            }];
            spans.extend(line.spans);
            Line::from(spans)
        })
        .collect();
    let cell = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    (lines, (cell(indent + column), cell(row - first)))
}

fn keys(width: usize) -> Line<'static> {
    let mut text = String::new();
    for key in HELP {
        let more = if text.is_empty() {
            format!(" {key}")
        } else {
            format!(" · {key}")
        };
        if Span::raw(text.as_str()).width() + Span::raw(more.as_str()).width() > width {
            break;
        }
        text.push_str(&more);
    }
    Line::styled(text, Style::new().fg(QUIET))
}

#[cfg(test)]
#[path = "paint_tests.rs"]
mod tests;
