//! A message's text with its entities as lines of a terminal.

use ratatui::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};
use telexd_botapi::Entity;

use super::wrap::{Break, wrap};

/// Behind code.
const CODE: Color = Color::Indexed(236);
/// Links and what else can be pressed.
const LINK: Color = Color::Indexed(75);
/// Code in a line of text.
const IN_LINE: Color = Color::Indexed(180);
/// Code in a block.
const IN_BLOCK: Color = Color::Indexed(150);

/// What a stretch of text stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Text,
    Quote(usize),
    Pre(usize),
}

/// Lines of at most `width` cells, at least 8.
pub fn lines(text: &str, entities: &[Entity], width: usize) -> Vec<Line<'static>> {
    let width = width.max(8);
    let mut out = Vec::new();
    for (place, spans) in blocks(text, entities) {
        let rows = rows(&spans);
        match place {
            Place::Text => {
                out.extend(rows.iter().flat_map(|row| wrap(row, width, Break::Words)));
            }
            Place::Quote(_) => {
                let bar = Span::styled("▎ ", Style::new().fg(Color::Indexed(244)));
                for row in &rows {
                    out.extend(wrap(row, width - 2, Break::Words).into_iter().map(|line| {
                        let mut spans = vec![bar.clone()];
                        spans.extend(line.spans);
                        Line::from(spans)
                    }));
                }
            }
            Place::Pre(at) => {
                let language = entities.get(at).and_then(|e| e.language.as_deref());
                out.extend(code(&rows, language, width));
            }
        }
    }
    out
}

/// A block of code on a ground of its own, its language above it.
fn code(rows: &[Vec<Span<'static>>], language: Option<&str>, width: usize) -> Vec<Line<'static>> {
    let mut inner: Vec<Line<'static>> = rows
        .iter()
        .flat_map(|row| wrap(row, width - 2, Break::Anywhere))
        .collect();
    if let Some(language) = language {
        let style = Style::new()
            .fg(Color::Indexed(245))
            .add_modifier(Modifier::ITALIC);
        inner.insert(0, Line::styled(language.to_owned(), style));
    }
    let broad = inner
        .iter()
        .map(Line::width)
        .max()
        .unwrap_or(0)
        .max(width.min(40) - 2);
    inner
        .into_iter()
        .map(|line| {
            let rest = broad.saturating_sub(line.width());
            let mut spans = vec![Span::raw(" ")];
            let style = line.style;
            spans.extend(line.spans.into_iter().map(|s| {
                let both = style.patch(s.style);
                s.style(both)
            }));
            spans.push(Span::raw(" ".repeat(rest + 1)));
            let on_ground = |s: Span<'static>| {
                let style = Style::new().fg(IN_BLOCK).patch(s.style).bg(CODE);
                s.style(style)
            };
            Line::from(spans.into_iter().map(on_ground).collect::<Vec<_>>())
        })
        .collect()
}

/// Stretches of the text by where they stand, without the line ends that only part them.
fn blocks(text: &str, entities: &[Entity]) -> Vec<(Place, Vec<Span<'static>>)> {
    let mut blocks: Vec<(Place, Vec<Span<'static>>)> = Vec::new();
    for (stretch, start, end) in stretches(text, entities) {
        let place = place(entities, start, end);
        let span = Span::styled(clean(stretch), style(entities, start, end));
        match blocks.last_mut() {
            Some((last, spans)) if *last == place => spans.push(span),
            _ => blocks.push((place, vec![span])),
        }
        // Where a link leads is told behind its words.
        for link in entities
            .iter()
            .filter(|e| e.kind == "text_link" && e.offset + e.length == end)
        {
            if let (Some(url), Some((_, spans))) = (&link.url, blocks.last_mut()) {
                let style = Style::new().fg(Color::Indexed(244));
                spans.push(Span::styled(format!(" ({})", clean(url)), style));
            }
        }
    }
    let special: Vec<bool> = blocks.iter().map(|(p, _)| *p != Place::Text).collect();
    for (at, (_, spans)) in blocks.iter_mut().enumerate() {
        if special[at] {
            continue;
        }
        if at > 0
            && let Some(first) = spans.first_mut()
            && let Some(rest) = first.content.strip_prefix('\n')
        {
            *first = Span::styled(rest.to_owned(), first.style);
        }
        if special.get(at + 1).is_some()
            && let Some(last) = spans.last_mut()
            && let Some(rest) = last.content.strip_suffix('\n')
        {
            *last = Span::styled(rest.to_owned(), last.style);
        }
    }
    blocks.retain(|(place, spans)| {
        *place != Place::Text || spans.iter().any(|span| !span.content.is_empty())
    });
    blocks
}

/// The text cut wherever an entity begins or ends, with offsets in UTF-16 units.
fn stretches<'a>(text: &'a str, entities: &[Entity]) -> Vec<(&'a str, usize, usize)> {
    let mut cuts: Vec<usize> = entities
        .iter()
        .flat_map(|e| [e.offset, e.offset + e.length])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut out = Vec::new();
    let mut cuts = cuts.into_iter().peekable();
    let (mut start_byte, mut start_unit, mut unit) = (0, 0, 0);
    for (byte, character) in text.char_indices() {
        while cuts.next_if(|cut| *cut < unit).is_some() {}
        if cuts.next_if_eq(&unit).is_some() && byte > start_byte {
            out.push((&text[start_byte..byte], start_unit, unit));
            (start_byte, start_unit) = (byte, unit);
        }
        unit += character.len_utf16();
    }
    if start_byte < text.len() {
        out.push((&text[start_byte..], start_unit, unit));
    }
    out
}

fn covers(entity: &Entity, start: usize, end: usize) -> bool {
    entity.offset <= start && entity.offset + entity.length >= end
}

fn place(entities: &[Entity], start: usize, end: usize) -> Place {
    let find = |kinds: &[&str]| {
        entities
            .iter()
            .position(|e| kinds.contains(&e.kind.as_str()) && covers(e, start, end))
    };
    match (
        find(&["pre"]),
        find(&["blockquote", "expandable_blockquote"]),
    ) {
        (Some(pre), _) => Place::Pre(pre),
        (None, Some(quote)) => Place::Quote(quote),
        (None, None) => Place::Text,
    }
}

fn style(entities: &[Entity], start: usize, end: usize) -> Style {
    let mut style = Style::new();
    for entity in entities.iter().filter(|e| covers(e, start, end)) {
        style = match entity.kind.as_str() {
            "bold" => style.add_modifier(Modifier::BOLD),
            "italic" => style.add_modifier(Modifier::ITALIC),
            "underline" => style.add_modifier(Modifier::UNDERLINED),
            "strikethrough" => style.add_modifier(Modifier::CROSSED_OUT),
            "spoiler" => style.add_modifier(Modifier::DIM),
            "code" => style.fg(IN_LINE).bg(CODE),
            "pre" | "blockquote" | "expandable_blockquote" => style,
            "text_link" | "url" | "email" => style.fg(LINK).add_modifier(Modifier::UNDERLINED),
            // Mentions, commands, hashtags, ….
            _ => style.fg(LINK),
        };
    }
    style
}

/// Without what would move the cursor; tabs as spaces.
pub fn clean(text: &str) -> String {
    text.replace('\t', "    ")
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

/// Cut at line ends.
fn rows(spans: &[Span<'static>]) -> Vec<Vec<Span<'static>>> {
    let mut rows = vec![Vec::new()];
    for span in spans {
        for (number, part) in span.content.split('\n').enumerate() {
            if number > 0 {
                rows.push(Vec::new());
            }
            if let Some(row) = rows.last_mut()
                && !part.is_empty()
            {
                row.push(Span::styled(part.to_owned(), span.style));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn entity(kind: &str, offset: usize, length: usize) -> Entity {
        serde_json::from_value(json!({"type": kind, "offset": offset, "length": length})).unwrap()
    }

    fn texts(lines: &[Line<'_>]) -> Vec<String> {
        lines
            .iter()
            .map(|l| l.to_string().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn looks_reach_their_letters_and_no_others() {
        // The emoji takes two UTF-16 units.
        let lines = lines("😀 bold plain", &[entity("bold", 3, 4)], 40);
        let styled: Vec<(&str, bool)> = lines[0]
            .spans
            .iter()
            .map(|s| {
                (
                    s.content.as_ref(),
                    s.style.add_modifier.contains(Modifier::BOLD),
                )
            })
            .collect();
        assert_eq!(styled, [("😀 ", false), ("bold", true), (" plain", false)]);
    }

    #[test]
    fn nested_looks_add_up() {
        let lines = lines("abc", &[entity("bold", 0, 3), entity("italic", 1, 1)], 40);
        let middle = &lines[0].spans[1];
        assert_eq!(middle.content, "b");
        assert!(
            middle
                .style
                .add_modifier
                .contains(Modifier::BOLD | Modifier::ITALIC)
        );
    }

    #[test]
    fn code_keeps_its_lines_and_names_its_language() {
        let mut pre = entity("pre", 7, 10);
        pre.language = Some("rust".to_owned());
        let lines = lines("before\nfn a() {\n}\n\nafter", &[pre], 40);
        assert_eq!(
            texts(&lines),
            ["before", " rust", " fn a() {", " }", " ", "after"].map(str::trim_end)
        );
        assert!(lines[2].spans.iter().all(|s| s.style.bg == Some(CODE)));
        assert_eq!(lines[2].width(), lines[1].width());
    }

    #[test]
    fn quotes_have_a_bar_and_links_their_target() {
        let mut link = entity("text_link", 2, 4);
        link.url = Some("https://example.org/".to_owned());
        let lines = lines("a link\nquoted", &[link, entity("blockquote", 7, 6)], 60);
        assert_eq!(texts(&lines), ["a link (https://example.org/)", "▎ quoted"]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let lines = lines("a\x1b[2Jb\r\tc", &[], 40);
        assert_eq!(texts(&lines), ["a[2Jb    c"]);
    }

    proptest! {
        #[test]
        fn any_entities_on_any_text(
            text in "[a-z\n 😀]{0,80}",
            places in prop::collection::vec((0_usize..90, 1_usize..40, 0_usize..6), 0..6),
            width in 8_usize..60,
        ) {
            let kinds = ["bold", "italic", "code", "pre", "blockquote", "url"];
            let entities: Vec<Entity> = places.iter().map(|(o, l, k)| entity(kinds[*k], *o, *l)).collect();
            let lines = lines(&text, &entities, width);
            prop_assert!(lines.iter().all(|l| l.width() <= width), "{lines:?}");
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '▎').collect::<String>();
            let shown: String = lines.iter().map(ToString::to_string).collect();
            prop_assert_eq!(bare(&shown), bare(&text));
        }
    }
}
