//! `telexctl questions`, `approve` and `deny`: what agents ask to be allowed to do.

use super::{list as list_of, outcome};
use crate::ctl::{
    Ctl, exit,
    failure::Failure,
    look::{self, Cell, Column, Look, elastic, numbers},
    values::{Dict, Fields as _},
};

const COLUMNS: &[Column] = &[
    numbers("QUESTION"),
    numbers("CONVERSATION"),
    elastic("RUN", 8),
    elastic("TOOL", 8),
    elastic("FOR", 4),
];

pub(super) async fn list(ctl: &mut Ctl<'_>) -> Result<u8, Failure> {
    let questions = list_of(&ctl.bus().await?, "ListQuestions").await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&questions)
    } else {
        table(&ctl.look, &questions)
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

fn table(look: &Look, questions: &[Dict]) -> String {
    let rows: Vec<Vec<Cell>> = questions
        .iter()
        .map(|q| {
            vec![
                Cell::number(q.number("id")),
                Cell::number(q.number("conversation")),
                q.text("run").into(),
                q.text("tool").into(),
                look.age(q.moment("asked_at")).into(),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "No agent asks for anything.")
}

/// `method` is `Approve` or `Deny`.
pub(super) async fn answer(ctl: &mut Ctl<'_>, method: &str, question: i64) -> Result<u8, Failure> {
    let told: String = ctl.bus().await?.telexd(method, &(question,)).await?;
    let done = if method == "Approve" {
        "Allowed."
    } else {
        "Refused."
    };
    outcome(
        ctl,
        &told,
        done,
        "It was answered so already; nothing changed.",
    )
}
