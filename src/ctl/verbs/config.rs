//! `telexctl config`: the settings.

use serde_json::Value;

use super::{list, outcome};
use crate::ctl::{
    Ctl,
    args::ConfigVerb,
    bus::Bus,
    exit,
    failure::Failure,
    look::{self, Cell, Column, Look, Paint, column, elastic},
    text,
    values::{self, Dict, Fields as _, Raw},
};

const COLUMNS: &[Column] = &[column("KEY"), elastic("VALUE", 10), elastic("FROM", 8)];

pub(super) async fn run(ctl: &mut Ctl<'_>, what: Option<ConfigVerb>) -> Result<u8, Failure> {
    let bus = ctl.bus().await?;
    match what.unwrap_or(ConfigVerb::List {
        prefix: String::new(),
    }) {
        ConfigVerb::List { prefix } => {
            let mut settings = list(&bus, "ListConfig").await?;
            settings.retain(|setting| setting.text("key").starts_with(&prefix));
            let text = if ctl.look.json {
                ctl.look.as_json(&settings)
            } else {
                table(&ctl.look, &settings)
            };
            ctl.say(&text)?;
            Ok(exit::OK)
        }
        ConfigVerb::Get { key, value } => get(ctl, &bus, &key, value).await,
        ConfigVerb::Set { key, value } => {
            let told: String = bus.telexd("SetConfig", &(&key, &value)).await?;
            let (key, value) = (text::harmless(&key), text::harmless(&value));
            outcome(
                ctl,
                &told,
                &format!("{key} is set to {value}."),
                &format!("{key} was {value} already; nothing changed."),
            )
        }
        ConfigVerb::Reset { key } => {
            let told: String = bus.telexd("ResetConfig", &(&key,)).await?;
            let key = text::harmless(&key);
            outcome(
                ctl,
                &told,
                &format!("{key} is again what the files say."),
                &format!("{key} was not changed at run time; nothing changed."),
            )
        }
    }
}

async fn get(ctl: &mut Ctl<'_>, bus: &Bus, key: &str, value: bool) -> Result<u8, Failure> {
    let raw: Raw = bus.telexd("GetConfig", &(key,)).await?;
    let setting = values::dict(raw);
    let text = match (ctl.look.json, value) {
        (true, _) => ctl.look.as_json(&setting),
        (false, true) => format!("{}\n", text::harmless(setting.text("value"))),
        (false, false) => show(&ctl.look, &setting),
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}

fn table(look: &Look, settings: &[Dict]) -> String {
    let rows: Vec<Vec<Cell>> = settings
        .iter()
        .map(|setting| {
            let source = setting.text("source");
            // Where there is little room, the end of a path tells more; the whole one is in `config get`.
            let short = match look.width {
                Some(_) => source.rsplit('/').next().unwrap_or(source),
                None => source,
            };
            let paint = if source == "default" {
                Paint::Dim
            } else {
                Paint::Plain
            };
            vec![
                setting.text("key").into(),
                Cell::new(setting.text("value")).painted(paint),
                Cell::new(short).painted(paint),
            ]
        })
        .collect();
    look::table(look, COLUMNS, &rows, "There is no such setting.")
}

fn show(look: &Look, setting: &Dict) -> String {
    let field = |name| plain(&setting.get(name).cloned().unwrap_or_default());
    let mut facts = vec![
        ("Setting", field("key"), Paint::Head),
        ("Value", field("value"), Paint::Plain),
        ("From", field("source"), Paint::Plain),
        ("Default", field("default"), Paint::Plain),
    ];
    for (label, name) in [
        ("Type", "type"),
        ("Range", "range"),
        ("About", "description"),
    ] {
        if !setting.text(name).is_empty() {
            facts.push((label, field(name), Paint::Plain));
        }
    }
    let changes = match (setting.is("files_only"), setting.is("restart")) {
        (true, true) => Some("in files only, hold after a restart"),
        (true, false) => Some("in files only"),
        (false, true) => Some("hold after a restart"),
        (false, false) => None,
    };
    if let Some(changes) = changes {
        facts.push(("Changes", changes.to_owned(), Paint::Plain));
    }
    // A description is a sentence; it is not cut.
    look::facts(
        &Look {
            width: None,
            ..*look
        },
        &facts,
    )
}

/// A value of JSON as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text::harmless(text),
        Value::Null => "-".to_owned(),
        other => text::harmless(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting() {
        let setting = json!({"key": "agent.max_processes", "value": "4", "default": "3", "source": "run time",
            "type": "integer", "range": "1 to 64", "description": "How many.", "restart": true});
        assert_eq!(
            show(&Look::default(), setting.as_object().unwrap()),
            "Setting: agent.max_processes\n  Value: 4\n   From: run time\nDefault: 3\n   Type: integer\n  Range: 1 to 64\n  About: How many.\nChanges: hold after a restart\n"
        );
    }
}
