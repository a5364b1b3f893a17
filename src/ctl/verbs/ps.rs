//! `telexctl ps`: the runs.

use super::list;
use crate::ctl::{
    Ctl,
    bus::Bus,
    exit,
    failure::Failure,
    look::{self, Cell, Column, Look, Paint, column, elastic, numbers},
    units,
    values::{Dict, Fields as _},
};

const COLUMNS: &[Column] = &[
    column("RUN"),
    numbers("CONVERSATION"),
    elastic("PERSON", 6),
    elastic("STATUS", 6),
    elastic("FOR", 4),
    numbers("MEMORY"),
];

pub(super) async fn run(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    let runs = list(&bus, "ListRuns").await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&runs)
    } else {
        let memory = memory(&bus, &runs).await;
        table(&ctl.look, &runs, &memory)
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

/// Memory of each of these runs, where systemd knows it.
pub(super) async fn memory(bus: &Bus, runs: &[Dict]) -> Vec<Option<u64>> {
    let units = match runs {
        [] => Vec::new(),
        _ => units::agents(bus).await,
    };
    let mut all = Vec::with_capacity(runs.len());
    for run in runs {
        let instance = format!("@{}.service", run.text("id"));
        all.push(match units.iter().find(|unit| unit.ends_with(&instance)) {
            Some(unit) => units::memory(bus, unit).await,
            None => None,
        });
    }
    all
}

/// The table; a `memory` for each of the runs.
pub(super) fn table(look: &Look, runs: &[Dict], memory: &[Option<u64>]) -> String {
    let rows: Vec<Vec<Cell>> = runs
        .iter()
        .zip(memory)
        .map(|(run, memory)| {
            let status = match (run.text("status"), run.number("turn")) {
                ("running", None) => "idle",
                (status, _) => status,
            };
            vec![
                run.text("id").into(),
                Cell::number(run.number("conversation")),
                who(run).into(),
                Cell::new(status).painted(match status {
                    "running" => Paint::Good,
                    "idle" => Paint::Dim,
                    _ => Paint::Warn,
                }),
                look.age(run.moment("started_at")).into(),
                memory.map(look::bytes).unwrap_or_default().into(),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "No agent runs.")
}

/// The person's name, or number where there is none.
fn who(run: &Dict) -> String {
    match (run.text("name"), run.number("person")) {
        ("", Some(person)) => person.to_string(),
        (name, _) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn runs() {
        let Value::Array(list) = json!([
            {"id": "abcdefgh23456777", "conversation": 3, "person": 1001, "status": "running", "turn": 9, "started_at": 940_000_000_u64},
            {"id": "\u{1b}[2J", "conversation": 4, "status": "running", "started_at": 0},
        ]) else {
            unreachable!()
        };
        let runs: Vec<Dict> = list
            .into_iter()
            .filter_map(|v| v.as_object().cloned())
            .collect();
        let look = Look {
            now: 1_000_000_000,
            ..Look::default()
        };
        assert_eq!(
            table(&look, &runs, &[Some(123_456_789), None]),
            "RUN               CONVERSATION  PERSON  STATUS   FOR      MEMORY\n\
             abcdefgh23456777             3  1001    running  1 min  123.5 MB\n\
             \\u{1b}[2J                    4  -       idle     -             -\n"
        );
        assert_eq!(table(&look, &[], &[]), "No agent runs.\n");
    }
}
