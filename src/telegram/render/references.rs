//! Definitions of link targets (`[label]: address`) are syntax and leave no trace in a rendered text. But what an agent
//! shows of a log may look the same: `[INFO]: started`. What no link refers to is therefore kept as text.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

/// The source with a backslash before each definition that no link uses, so that it is read as text.
pub(super) fn reveal(markdown: &str, options: Options) -> Cow<'_, str> {
    if !markdown.contains("]:") {
        return Cow::Borrowed(markdown);
    }
    // Everything that comes out as something, in order.
    let mut covered: Vec<Range<usize>> = Vec::new();
    let mut labels: Vec<String> = Vec::new();
    let mut events = Parser::new_ext(markdown, options).into_offset_iter();
    for (event, range) in &mut events {
        match &event {
            // These reach over definitions, too.
            Event::Start(Tag::List(_) | Tag::Item | Tag::BlockQuote(_)) | Event::End(_) => continue,
            Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. })
                if matches!(
                    link_type,
                    LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut
                ) =>
            {
                labels.push(id.to_string());
            }
            _ => {}
        }
        if covered.last().is_none_or(|last| last.end < range.end) {
            covered.push(range);
        }
    }
    let definitions = events.reference_definitions();
    let used: HashSet<usize> = (labels
        .iter()
        .filter_map(|label| definitions.get(label))
        .map(|definition| definition.span.start))
    .collect();

    // Definitions: where they start, whether something shows between this one and the one before, whether used.
    let mut found: Vec<(usize, usize, bool)> = Vec::new();
    let mut next = 0;
    for start in candidates(markdown) {
        while covered.get(next).is_some_and(|range| range.end <= start) {
            next += 1;
        }
        if covered.get(next).is_none_or(|range| range.start > start) {
            found.push((start, next, used.contains(&start)));
        }
    }
    // A definition cannot follow a line of text directly: what stands right before one that is used stays hidden.
    let mut needed = false;
    let mut after: Option<(usize, usize)> = None;
    let mut hidden: Vec<usize> = Vec::new();
    for &(start, shown, used) in found.iter().rev() {
        let joined =
            after.is_some_and(|(at, then)| then == shown && !markdown[start..at].contains("\n\n"));
        needed = used || (needed && joined);
        if !needed {
            hidden.push(start);
        }
        after = Some((start, shown));
    }

    let mut revealed = String::new();
    let mut kept = 0;
    for &start in hidden.iter().rev() {
        revealed.push_str(&markdown[kept..start]);
        revealed.push('\\');
        kept = start;
    }
    if hidden.is_empty() {
        return Cow::Borrowed(markdown);
    }
    revealed.push_str(&markdown[kept..]);
    Cow::Owned(revealed)
}

/// Where lines begin with `[`, leaving markers of quotes and lists aside.
fn candidates(markdown: &str) -> impl Iterator<Item = usize> {
    let mut at = 0;
    markdown.split_inclusive('\n').filter_map(move |line| {
        let content = line.trim_start_matches(|c: char| {
            c.is_ascii_digit() || matches!(c, ' ' | '\t' | '>' | '-' | '+' | '*' | '.' | ')')
        });
        let start = at + line.len() - content.len();
        at += line.len();
        content.starts_with('[').then_some(start)
    })
}
