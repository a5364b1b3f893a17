//! `telexctl people`: who is known, and the removal of those who were let in by a code.

use super::{list, outcome};
use crate::ctl::{
    Ctl,
    args::PeopleVerb,
    exit,
    failure::Failure,
    look::{self, Cell, Column, Look, Paint, column, elastic, numbers},
    values::{Dict, Fields as _},
};

const COLUMNS: &[Column] = &[
    numbers("PERSON"),
    elastic("NAME", 8),
    column("ROLE"),
    column("BY"),
    elastic("PROFILE", 7),
    elastic("LAST SEEN", 9),
];

pub(super) async fn run(ctl: &mut Ctl<'_>, what: Option<PeopleVerb>) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    if let Some(PeopleVerb::Remove { person }) = what {
        let told: String = bus.telexd("RemovePerson", &(person,)).await?;
        return outcome(
            ctl,
            &told,
            "Removed.",
            "They are not let in; nothing changed.",
        );
    }
    let people = list(&bus, "ListPeople").await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&people)
    } else {
        table(&ctl.look, &people)
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

fn table(look: &Look, people: &[Dict]) -> String {
    let rows: Vec<Vec<Cell>> = people
        .iter()
        .map(|person| {
            let role = person.text("role");
            vec![
                Cell::number(person.number("person")),
                person.text("name").into(),
                Cell::new(role).painted(match role {
                    "admin" => Paint::Good,
                    "none" => Paint::Dim,
                    _ => Paint::Plain,
                }),
                person.text("source").into(),
                person.text("profile").into(),
                look.age(person.moment("last_seen")).into(),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "Nobody is known.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hostile_names_stay_in_their_column() {
        let person = json!({"person": 1001, "name": "x\u{1b}]0;root\u{7}\n1002  admin", "role": "user", "source": "file"});
        let people = [person.as_object().cloned().unwrap()];
        let look = Look {
            width: Some(60),
            ..Look::default()
        };
        let shown = table(&look, &people);
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(
            !shown.contains('\u{1b}') && shown.lines().all(|l| l.chars().count() <= 60),
            "{shown}"
        );
    }
}
