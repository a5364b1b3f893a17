//! Tables: columns in a monospaced block where a phone has room for them, else a record per row.

use pulldown_cmark::{Alignment, Event, Tag};
use unicode_width::UnicodeWidthStr;

/// Widest table that is shown in columns. More does not fit across a phone and would be wrapped into a muddle.
const WIDEST: usize = 36;

/// A table as the parser gave it.
#[derive(Default)]
pub(super) struct Table<'a> {
    pub(super) alignments: Vec<Alignment>,
    /// Rows of cells; the first row is the head.
    pub(super) rows: Vec<Vec<Vec<Event<'a>>>>,
}

impl Table<'_> {
    /// The table as lines of a monospaced block, or `None` where it is too wide or holds what would get lost there.
    pub(super) fn columns(&self) -> Option<String> {
        let addressed =
            |event: &Event<'_>| matches!(event, Event::Start(Tag::Link { .. } | Tag::Image { .. }));
        if self.rows.iter().flatten().flatten().any(addressed) {
            return None;
        }
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| plain(cell)).collect())
            .collect();
        let count = cells.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![1; count];
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        if widths.iter().sum::<usize>() + 3 * count.saturating_sub(1) > WIDEST {
            return None;
        }
        let mut lines = Vec::with_capacity(cells.len() + 1);
        for (index, row) in cells.iter().enumerate() {
            let padded: Vec<String> = (widths.iter().zip(row).enumerate())
                .map(|(column, (width, cell))| pad(cell, *width, self.alignments.get(column)))
                .collect();
            lines.push(padded.join(" | ").trim_end().to_owned());
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                lines.push(rules.join("-+-"));
            }
        }
        Some(lines.join("\n"))
    }
}

/// The text of a cell.
pub(super) fn plain(cell: &[Event<'_>]) -> String {
    let mut text = String::new();
    for event in cell {
        match event {
            Event::Text(part) | Event::Code(part) | Event::InlineHtml(part) | Event::Html(part) => {
                text.push_str(part);
            }
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    text.trim().to_owned()
}

fn pad(cell: &str, width: usize, alignment: Option<&Alignment>) -> String {
    let free = width.saturating_sub(cell.width());
    let left = match alignment {
        Some(Alignment::Right) => free,
        Some(Alignment::Center) => free / 2,
        _ => 0,
    };
    format!("{}{cell}{}", " ".repeat(left), " ".repeat(free - left))
}
