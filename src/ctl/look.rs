//! How output looks: colour, width, JSON, tables. Pure.

use serde::Serialize;

use super::{text, when};

/// What is known of where the output goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// JSON instead of text for people.
    pub json: bool,
    /// Whether there may be colour.
    pub colour: bool,
    /// Columns of the terminal; without it nothing is cut.
    pub width: Option<usize>,
    /// Lines of the terminal.
    pub height: Option<usize>,
    /// Microseconds since the epoch.
    pub now: u64,
}

/// What a piece of text is to say by its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// Nothing.
    #[default]
    Plain,
    /// A heading.
    Head,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Less important.
    Dim,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Dim => "\x1b[2m",
        }
    }
}

impl Look {
    /// The text in this colour, where there may be colour.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.colour || paint == Paint::Plain || text.trim().is_empty() {
            return text.to_owned();
        }
        format!("{}{text}\x1b[0m", paint.code())
    }

    /// A value as JSON with a line break: readable on a terminal, else on one line.
    #[must_use]
    pub fn as_json<T: Serialize>(&self, value: &T) -> String {
        let text = if self.width.is_some() {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        // Maps with keys that are no strings are the only thing that it refuses, and we have none.
        text.unwrap_or_default() + "\n"
    }

    /// For how long something has been so: `3 min`; `-` where that is unknown. `since` in microseconds since the epoch.
    #[must_use]
    pub fn age(&self, since: Option<u64>) -> String {
        since.map_or_else(
            || "-".to_owned(),
            |since| when::span_us(self.now.saturating_sub(since)),
        )
    }
}

/// A field of a table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    /// Any text, also hostile. Nothing is shown as `-`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = if text.is_empty() { "-" } else { text };
        Self {
            text: text::harmless(text),
            paint: Paint::Plain,
        }
    }

    /// A number; `-` where there is none.
    #[must_use]
    pub fn number(number: Option<i64>) -> Self {
        Self::new(&number.map(|n| n.to_string()).unwrap_or_default())
    }

    /// In this colour.
    #[must_use]
    pub fn painted(mut self, paint: Paint) -> Self {
        self.paint = paint;
        self
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    head: &'static str,
    right: bool,
    /// It is cut no shorter than this; `None`: never.
    least: Option<usize>,
}

/// A column of words that is never cut.
#[must_use]
pub const fn column(head: &'static str) -> Column {
    Column {
        head,
        right: false,
        least: None,
    }
}

/// A column of numbers.
#[must_use]
pub const fn numbers(head: &'static str) -> Column {
    Column {
        head,
        right: true,
        least: None,
    }
}

/// A column that is cut where there is no room, but not below so many columns of the terminal.
#[must_use]
pub const fn elastic(head: &'static str, least: usize) -> Column {
    Column {
        head,
        right: false,
        least: Some(least),
    }
}

const GAP: usize = 2;

/// A table with its heading; on a terminal no line is longer than that is wide. `nothing` is what is said instead of an
/// empty one.
#[must_use]
pub fn table(look: &Look, columns: &[Column], rows: &[Vec<Cell>], nothing: &str) -> String {
    if rows.is_empty() {
        return format!("{nothing}\n");
    }
    let widths = widths(look.width, columns, rows);
    let head: Vec<Cell> = columns
        .iter()
        .map(|c| Cell::new(c.head).painted(Paint::Head))
        .collect();
    let mut all = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        let mut free = look.width.unwrap_or(usize::MAX);
        for (index, ((column, width), cell)) in columns.iter().zip(&widths).zip(row).enumerate() {
            let width = (*width).min(free);
            let last = index + 1 == columns.len();
            let shown = if last && !column.right {
                text::cut(&cell.text, width)
            } else {
                text::fit(&cell.text, width, column.right)
            };
            line.push_str(&look.paint(cell.paint, &shown));
            free = free.saturating_sub(width);
            if !last {
                line.push_str(&" ".repeat(GAP.min(free)));
                free = free.saturating_sub(GAP);
            }
        }
        all.push_str(line.trim_end());
        all.push('\n');
    }
    all
}

/// How wide each column is. What is too much is taken from the elastic ones, the widest first.
fn widths(most: Option<usize>, columns: &[Column], rows: &[Vec<Cell>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            cells
                .map(|cell| text::width(&cell.text))
                .chain([text::width(column.head)])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let Some(most) = most else {
        return widths;
    };
    let gaps = GAP * columns.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(most);
    while excess > 0 {
        let widest = (0..columns.len())
            .filter(|i| columns[*i].least.is_some_and(|least| widths[*i] > least))
            .max_by_key(|i| widths[*i]);
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
        excess -= 1;
    }
    widths
}

/// Lines `label: value` with the labels aligned on the right, as `systemctl status` has it. Values may be in colour and must
/// be harmless; they are cut by the caller.
#[must_use]
pub fn facts(look: &Look, facts: &[(&str, String, Paint)]) -> String {
    let labels = facts.iter().map(|f| text::width(f.0)).max().unwrap_or(0);
    let mut all = String::new();
    for (label, value, paint) in facts {
        let value = match look.width {
            Some(width) => text::cut(value, width.saturating_sub(labels + 2)),
            None => value.clone(),
        };
        let label = text::fit(label, labels, true);
        all.push_str(&format!("{label}: {}\n", look.paint(*paint, &value)));
    }
    all
}

/// A size in words: `12.3 MB`. Decimal units, as disks and networks have them.
#[must_use]
pub fn bytes(size: u64) -> String {
    #[allow(
        clippy::cast_precision_loss,
        reason = "one digit after the point is shown"
    )]
    let size_f = size as f64;
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{:.1} kB", size_f / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", size_f / 1e6),
        _ => format!("{:.1} GB", size_f / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: &[Column] = &[
        column("ID"),
        elastic("NAME", 6),
        numbers("QUEUED"),
        elastic("LAST", 4),
    ];

    fn rows(rows: &[[&str; 4]]) -> Vec<Vec<Cell>> {
        rows.iter()
            .map(|r| r.iter().map(|t| Cell::new(t)).collect())
            .collect()
    }

    #[test]
    fn tables() {
        let rows = rows(&[
            ["1", "Uma", "0", "3 min"],
            ["12", "a very long name of somebody", "7", ""],
        ]);
        assert_eq!(
            table(&Look::default(), COLUMNS, &rows, "none"),
            "ID  NAME                          QUEUED  LAST\n\
             1   Uma                                0  3 min\n\
             12  a very long name of somebody       7  -\n"
        );
        let narrow = Look {
            width: Some(30),
            ..Look::default()
        };
        assert_eq!(
            table(&narrow, COLUMNS, &rows, "none"),
            "ID  NAME         QUEUED  LAST\n\
             1   Uma               0  3 min\n\
             12  a very lon…       7  -\n"
        );
        assert_eq!(table(&narrow, COLUMNS, &[], "Nobody."), "Nobody.\n");
    }

    #[test]
    fn colour_is_only_where_it_may_be() {
        let rows = vec![vec![Cell::new("x").painted(Paint::Bad)]];
        let colour = Look {
            colour: true,
            ..Look::default()
        };
        assert_eq!(
            table(&colour, &[column("A")], &rows, ""),
            "\x1b[1mA\x1b[0m\n\x1b[31mx\x1b[0m\n"
        );
        assert_eq!(table(&Look::default(), &[column("A")], &rows, ""), "A\nx\n");
    }

    #[test]
    fn sizes() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (12_345, "12.3 kB"),
            (12_345_678, "12.3 MB"),
            (1 << 32, "4.3 GB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            texts in prop::collection::vec(prop::collection::vec(any::<String>(), 4), 1..6),
            width in 1usize..120,
        ) {
            let rows: Vec<Vec<Cell>> = texts.iter().map(|r| r.iter().map(|t| Cell::new(t)).collect()).collect();
            let look = Look { width: Some(width), ..Look::default() };
            let shown = table(&look, COLUMNS, &rows, "");
            prop_assert_eq!(shown.lines().count(), rows.len() + 1);
            for line in shown.lines() {
                prop_assert!(text::width(line) <= width, "{line:?} is {} wide", text::width(line));
            }
        }
    }
}
