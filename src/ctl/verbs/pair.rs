//! `telexctl pair`: people who want to be let in.

use super::{list, outcome};
use crate::ctl::{
    Ctl,
    args::PairVerb,
    exit,
    failure::Failure,
    look::{self, Cell, Column, Look, column, elastic, numbers},
    values::{Dict, Fields as _},
};

const COLUMNS: &[Column] = &[
    column("CODE"),
    numbers("PERSON"),
    elastic("NAME", 8),
    elastic("ASKED", 5),
    elastic("ENDS IN", 7),
];

pub(super) async fn run(ctl: &mut Ctl<'_>, what: Option<PairVerb>) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    match what.unwrap_or(PairVerb::List) {
        PairVerb::List => {
            let pairings = list(&bus, "ListPairings").await?;
            let text = if ctl.look.json {
                ctl.look.as_json(&pairings)
            } else {
                table(&ctl.look, &pairings)
            };
            ctl.say(&text)?;
            Ok(exit::OK)
        }
        PairVerb::Accept { code } => {
            let told: String = bus.telexd("AcceptPairing", &(code,)).await?;
            outcome(
                ctl,
                &told,
                "Let in.",
                "They were let in already; nothing changed.",
            )
        }
        PairVerb::Reject { code } => {
            let told: String = bus.telexd("RejectPairing", &(code,)).await?;
            outcome(
                ctl,
                &told,
                "Rejected.",
                "It was rejected already; nothing changed.",
            )
        }
    }
}

fn table(look: &Look, pairings: &[Dict]) -> String {
    let rows: Vec<Vec<Cell>> = pairings
        .iter()
        .map(|p| {
            let left = p.moment("expires_at").map(|at| at.saturating_sub(look.now));
            vec![
                p.text("code").into(),
                Cell::number(p.number("person")),
                p.text("name").into(),
                look.age(p.moment("asked_at")).into(),
                left.map(crate::ctl::when::span_us)
                    .unwrap_or_default()
                    .into(),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "Nobody asks to be let in.")
}
