//! What there is, as dictionaries. What is not known is left out. Texts of others are on one line.

use std::collections::HashMap;

use zbus::wire::{OwnedVariant, Variant};

use super::{error::Error, manager::micros, objects};
use crate::{
    core::{
        policy::{Role, Source},
        text::one_line,
    },
    gateway::handle::{ConversationInfo, PairingInfo, PersonInfo, RunInfo, SettingInfo},
};

/// Longest text, in characters.
const TEXT: usize = 1000;

/// Longest value of a setting, in characters: cut, it would not be a value any more.
const VALUE: usize = 100_000;

/// A dictionary of the interface.
pub(super) type Dict = HashMap<&'static str, Variant<'static>>;

/// Options of a caller.
pub(super) type Options = HashMap<String, OwnedVariant>;

fn text(text: &str) -> Variant<'static> {
    Variant::from(one_line(text, TEXT))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Nobody => "none",
        Role::User => "user",
        Role::Admin => "admin",
    }
}

pub(super) fn run(run: &RunInfo) -> Dict {
    let status = if run.running { "running" } else { "starting" };
    let mut dict = HashMap::from([
        ("id", text(run.id.as_str())),
        ("conversation", Variant::from(run.conversation.0)),
        ("person", Variant::from(run.person)),
        ("status", Variant::from(status)),
        ("started_at", Variant::from(micros(run.started_at))),
    ]);
    if let Some(name) = &run.name {
        dict.insert("name", text(name));
    }
    if let Some(turn) = run.turn {
        dict.insert("turn", Variant::from(turn.0));
    }
    if let Some(unit) = &run.unit {
        dict.insert("unit", text(unit));
    }
    if let Some(path) = objects::run_path(&run.id) {
        dict.insert("path", Variant::from(path));
    }
    dict
}

pub(super) fn setting(setting: &SettingInfo) -> Dict {
    let mut dict = HashMap::from([
        ("key", text(&setting.key)),
        ("source", text(&setting.source)),
        ("type", text(&setting.kind)),
        ("range", text(&setting.range)),
        ("description", text(&setting.about)),
        ("restart", Variant::from(setting.after_restart)),
        ("files_only", Variant::from(setting.files_only)),
    ]);
    for (name, value) in [("value", &setting.value), ("default", &setting.default)] {
        if let Some(value) = value {
            dict.insert(name, Variant::from(one_line(value, VALUE)));
        }
    }
    dict
}

pub(super) fn conversation(conversation: &ConversationInfo) -> Dict {
    let key = &conversation.key;
    let mut dict = HashMap::from([
        ("id", Variant::from(conversation.id.0)),
        ("bot", Variant::from(key.bot_id)),
        ("chat", Variant::from(key.chat_id)),
        ("thread", Variant::from(key.thread_id)),
        ("person", Variant::from(key.user_id)),
        ("created_at", Variant::from(micros(conversation.created_at))),
        (
            "queued",
            Variant::from(u32::try_from(conversation.queued).unwrap_or(u32::MAX)),
        ),
        ("running", Variant::from(conversation.running)),
        ("mode", Variant::from(conversation.mode.as_str())),
    ]);
    if let Some(name) = &conversation.name {
        dict.insert("name", text(name));
    }
    if let Some(run) = &conversation.run {
        dict.insert("run", text(run.as_str()));
        // As long as an agent of it lives it has an object.
        if let Some(path) = objects::conversation_path(conversation.id) {
            dict.insert("path", Variant::from(path));
        }
    }
    if let Some(session) = conversation.session {
        dict.insert("session", Variant::from(session.to_string()));
    }
    if let Some(last_used) = conversation.last_used {
        dict.insert("last_used", Variant::from(micros(last_used)));
    }
    dict
}

pub(super) fn person(person: &PersonInfo) -> Dict {
    let mut dict = HashMap::from([
        ("person", Variant::from(person.id)),
        ("role", Variant::from(role(person.role))),
        ("profile", text(person.profile.as_str())),
    ]);
    if let Some(name) = &person.name {
        dict.insert("name", text(name));
    }
    if let Some(source) = person.source {
        let source = match source {
            Source::Listed => "file",
            Source::Paired => "paired",
        };
        dict.insert("source", Variant::from(source));
    }
    if let Some((by, at)) = &person.accepted {
        dict.insert("accepted_by", text(by));
        dict.insert("accepted_at", Variant::from(micros(*at)));
    }
    for (key, at) in [
        ("first_seen", person.first_seen),
        ("last_seen", person.last_seen),
    ] {
        if let Some(at) = at {
            dict.insert(key, Variant::from(micros(at)));
        }
    }
    dict
}

pub(super) fn pairing(pairing: &PairingInfo) -> Dict {
    HashMap::from([
        ("code", text(pairing.code.as_str())),
        ("person", Variant::from(pairing.person)),
        ("name", text(&pairing.name)),
        ("asked_at", Variant::from(micros(pairing.asked_at))),
        ("expires_at", Variant::from(micros(pairing.expires_at))),
    ])
}

/// A question that waits; of what the agent would do only the tool.
pub(super) fn question(
    (id, conversation, turn): (i64, i64, i64),
    run: &str,
    tool: &str,
    asked_at: u64,
) -> Dict {
    HashMap::from([
        ("id", Variant::from(id)),
        ("conversation", Variant::from(conversation)),
        ("turn", Variant::from(turn)),
        ("run", text(run)),
        ("tool", text(tool)),
        ("asked_at", Variant::from(asked_at)),
    ])
}

/// A line of the audit: who, what, on what, with what result.
pub(super) fn audit(id: i64, at: u64, [who, action, target, result]: [&str; 4]) -> Dict {
    HashMap::from([
        ("id", Variant::from(id)),
        ("at", Variant::from(at)),
        ("who", text(who)),
        ("action", text(action)),
        ("target", text(target)),
        ("result", text(result)),
    ])
}

/// Where a method has no options.
pub(super) fn none_of(options: &Options) -> Result<(), Error> {
    only(options, &[])
}

fn only(options: &Options, known: &[&str]) -> Result<(), Error> {
    match options.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(_) if known.is_empty() => Err(Error::InvalidArgument(
            "this method has no options yet; give it an empty dictionary".to_owned(),
        )),
        Some(_) => Err(Error::InvalidArgument(format!(
            "there is no such option; valid are {}",
            known.join(", ")
        ))),
    }
}

/// Options of `ListAudit`: before which line, and how many.
pub(super) fn page(options: &Options) -> Result<(Option<i64>, usize), Error> {
    /// Where nothing is said.
    const LIMIT: u32 = 100;
    only(options, &["before", "limit"])?;
    let value = |key: &str| options.get(key).and_then(|value| value.try_clone().ok());
    let wrong = |key: &str, kind: &str| {
        Error::InvalidArgument(format!("the option {key} is to be a number of type {kind}"))
    };
    let before = match value("before") {
        Some(value) => Some(i64::try_from(value).map_err(|_| wrong("before", "x"))?),
        None => None,
    };
    let limit = match value("limit") {
        Some(value) => u32::try_from(value).map_err(|_| wrong("limit", "u"))?,
        None => LIMIT,
    };
    Ok((before, usize::try_from(limit).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, Variant<'static>)]) -> Options {
        given
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.try_to_owned().unwrap()))
            .collect()
    }

    #[test]
    fn options_are_known_or_refused() {
        assert!(none_of(&options(&[])).is_ok());
        assert!(none_of(&options(&[("x", Variant::from(1_u32))])).is_err());
        assert_eq!(page(&options(&[])), Ok((None, 100)));
        let given = [
            ("before", Variant::from(7_i64)),
            ("limit", Variant::from(5_u32)),
        ];
        assert_eq!(page(&options(&given)), Ok((Some(7), 5)));
        for wrong in [
            ("before", Variant::from("7")),
            ("before", Variant::from(7_u32)),
            ("limit", Variant::from(-1_i32)),
            ("after", Variant::from(7_i64)),
        ] {
            assert!(page(&options(&[wrong])).is_err());
        }
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        let dict = audit(1, 2, ["a\nb", "c", "d\u{1b}[2J", "e\0f"]);
        for key in ["who", "target", "result"] {
            let text = String::try_from(dict[key].try_to_owned().unwrap()).unwrap();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
