//! `telexctl audit`: who administered what.

use zbus::wire::OwnedVariant;

use super::list_with;
use crate::ctl::{
    Ctl, exit,
    failure::Failure,
    look::{self, Cell, Column, Look, column, elastic, numbers},
    values::{Dict, Fields as _, Raw},
    when,
};

const COLUMNS: &[Column] = &[
    numbers("ID"),
    column("WHEN"),
    elastic("WHO", 10),
    elastic("ACTION", 8),
    elastic("TARGET", 8),
    elastic("RESULT", 8),
];

pub(super) async fn run(ctl: &mut Ctl<'_>, lines: u32, before: Option<i64>) -> Result<u8, Failure> {
    let mut options = Raw::from([("limit".to_owned(), OwnedVariant::from(lines))]);
    if let Some(before) = before {
        options.insert("before".to_owned(), OwnedVariant::from(before));
    }
    let mut entries = list_with(&ctl.bus().await?, "ListAudit", &options).await?;
    // They come with the newest first; one reads a log the other way round.
    entries.reverse();
    let text = if ctl.look.json {
        ctl.look.as_json(&entries)
    } else {
        table(&ctl.look, &entries)
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

fn table(look: &Look, entries: &[Dict]) -> String {
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|entry| {
            vec![
                Cell::number(entry.number("id")),
                when::stamp(entry.size("at").unwrap_or(0)).into(),
                entry.text("who").into(),
                entry.text("action").into(),
                entry.text("target").into(),
                entry.text("result").into(),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "Nothing was administered.")
}
