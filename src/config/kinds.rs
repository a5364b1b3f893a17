//! Kinds of values that a key may have: how each is read from TOML, checked, and shown.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::de::DeValue;
use url::Url;

use crate::core::{alerts::Quiet, flag::Flag, policy::NOT_PEOPLE, profile::Profile};

use super::problem::{holds_token, quoted};

/// What is wrong with a value, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What.
    pub what: String,
    /// Remedy.
    pub remedy: String,
}

impl Mistake {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn kind<T: Kind>(found: &DeValue<'_>, rule: &T::Rule) -> Self {
        let allowed = T::allowed(rule);
        Self::new(
            format!("expected {allowed}, found {}", found_text(found)),
            T::how(rule),
        )
    }
}

/// A kind of value.
pub trait Kind: Clone + PartialEq {
    /// What bounds a value of this kind.
    type Rule: 'static;

    /// Reads and checks it.
    ///
    /// # Errors
    /// Of the wrong type or out of bounds.
    fn read(value: &DeValue<'_>, rule: &Self::Rule) -> Result<Self, Mistake>;
    /// As it would stand in a TOML file.
    fn shown(&self) -> String;
    /// What is allowed, in words.
    fn allowed(rule: &Self::Rule) -> String;
    /// How to write it, for somebody who wrote something else.
    fn how(rule: &Self::Rule) -> String;
}

fn found_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", quoted(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", quoted(&number.to_string())),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A whole number as wide as TOML has them; `None` where it is wider or none.
fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

pub(super) fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Bounds of a number, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Least.
    pub least: u32,
    /// Most.
    pub most: u32,
    /// Unit in the plural, for messages.
    pub unit: &'static str,
}

impl Kind for u32 {
    type Rule = Range;

    fn read(value: &DeValue<'_>, rule: &Range) -> Result<Self, Mistake> {
        let DeValue::Integer(text) = value else {
            return Err(Mistake::kind::<Self>(value, rule));
        };
        let out = |word| {
            Mistake::new(
                format!("{text} is too {word}"),
                format!("give {}", Self::allowed(rule)),
            )
        };
        let number = integer(value).ok_or_else(|| {
            out(if text.as_str().starts_with('-') {
                "small"
            } else {
                "large"
            })
        })?;
        if number < i64::from(rule.least) {
            return Err(out("small"));
        }
        // What is not too small is not negative, so what does not fit is too large.
        Self::try_from(number)
            .ok()
            .filter(|number| *number <= rule.most)
            .ok_or_else(|| out("large"))
    }

    fn shown(&self) -> String {
        self.to_string()
    }

    fn allowed(rule: &Range) -> String {
        format!(
            "a whole number from {} to {} ({})",
            rule.least, rule.most, rule.unit
        )
    }

    fn how(_: &Range) -> String {
        "write it in digits, without quotes or fraction".to_owned()
    }
}

impl Kind for bool {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        value
            .as_bool()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))
    }

    fn shown(&self) -> String {
        self.to_string()
    }

    fn allowed(_: &()) -> String {
        "true or false".to_owned()
    }

    fn how(_: &()) -> String {
        "write one of the two, without quotes".to_owned()
    }
}

impl Kind for Flag {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        match value {
            DeValue::Boolean(true) => Ok(Self::On),
            DeValue::Boolean(false) => Ok(Self::Off),
            DeValue::Array(_) => {
                Vec::<i64>::read(value, &()).map(|people| Self::For(people.into_iter().collect()))
            }
            _ => Err(Mistake::kind::<Self>(value, rule)),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::On => true.shown(),
            Self::Off => false.shown(),
            Self::For(people) => people.iter().copied().collect::<Vec<_>>().shown(),
        }
    }

    fn allowed(_: &()) -> String {
        "true, false or a list of Telegram user ids".to_owned()
    }

    fn how(_: &()) -> String {
        "write one of the two without quotes, or for whom it is on, like [1001, 1002]".to_owned()
    }
}

impl Kind for PathBuf {
    /// An example.
    type Rule = &'static str;

    fn read(value: &DeValue<'_>, rule: &Self::Rule) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        if holds_token(text) {
            return Err(Mistake::new(
                "holds what looks like the bot token itself",
                format!(
                    "put the token into a file and name that file, like {}",
                    toml_text(rule)
                ),
            ));
        }
        let path = Path::new(text);
        if text.starts_with('~') {
            return Err(Mistake::new(
                format!(
                    "{} begins with ~, which only a shell understands",
                    quoted(text)
                ),
                Self::how(rule),
            ));
        }
        if !path.is_absolute() || text.contains('\0') {
            return Err(Mistake::new(
                format!("{} is not an absolute path", quoted(text)),
                Self::how(rule),
            ));
        }
        Ok(path.to_owned())
    }

    fn shown(&self) -> String {
        // It was read from TOML, hence is UTF-8.
        toml_text(&self.to_string_lossy())
    }

    fn allowed(_: &Self::Rule) -> String {
        "an absolute path in quotes".to_owned()
    }

    fn how(rule: &Self::Rule) -> String {
        format!("write it whole, like {}", toml_text(rule))
    }
}

impl Kind for Url {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let remedy = Self::how(rule);
        if holds_token(text) {
            return Err(Mistake::new("holds what looks like the bot token", remedy));
        }
        let url = Url::parse(text).map_err(|error| {
            Mistake::new(format!("{} is no address: {error}", quoted(text)), &*remedy)
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Mistake::new("holds a user name or password", remedy));
        }
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Mistake::new(
                format!("{} is neither http nor https", quoted(text)),
                remedy,
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Mistake::new(
                format!("{} has more than host, port and path", quoted(text)),
                remedy,
            ));
        }
        Ok(url)
    }

    fn shown(&self) -> String {
        toml_text(self.as_str())
    }

    fn allowed(_: &()) -> String {
        "an address in quotes".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like \"https://api.telegram.org\"".to_owned()
    }
}

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// A program: a name to be searched for, or an absolute path.
    Program,
    /// A model's name, given to the agent as an argument.
    Model,
    /// A word or a few that somebody says, alone in a message.
    Word,
    /// A time zone that this machine knows.
    TimeZone,
}

impl Kind for String {
    type Rule = TextRule;

    fn read(value: &DeValue<'_>, rule: &TextRule) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let odd = match rule {
            _ if text.is_empty() => Some("is empty"),
            _ if holds_token(text) => Some("looks like the bot token"),
            _ if text.starts_with('-') => Some("would be taken for an option"),
            _ if text.contains(char::is_control) => Some("holds a control character"),
            TextRule::Program if text.contains('/') && !text.starts_with('/') => {
                Some("is a path that does not begin at the root")
            }
            TextRule::Program if !text.contains('/') && text.contains(char::is_whitespace) => {
                Some("is more than the name of a program; arguments cannot be given here")
            }
            TextRule::Model if text.contains(char::is_whitespace) => Some("holds white space"),
            TextRule::Word if text.trim() != text => Some("begins or ends with white space"),
            TextRule::Word if text.starts_with('/') => Some("would be a command"),
            TextRule::Word if text.chars().count() > 32 => Some("has more than 32 characters"),
            TextRule::TimeZone if jiff::tz::TimeZone::get(text).is_err() => {
                Some("is no time zone that this machine knows")
            }
            _ => None,
        };
        match odd {
            Some(what) => Err(Mistake::new(
                format!("{} {what}", quoted(text)),
                Self::how(rule),
            )),
            None => Ok(text.to_owned()),
        }
    }

    fn shown(&self) -> String {
        toml_text(self)
    }

    fn allowed(rule: &TextRule) -> String {
        match rule {
            TextRule::Program => "a program's name or absolute path in quotes",
            TextRule::Model => "a model's name in quotes",
            TextRule::Word => "a word in quotes",
            TextRule::TimeZone => "a time zone's name in quotes",
        }
        .to_owned()
    }

    fn how(rule: &TextRule) -> String {
        match rule {
            TextRule::Program => "give a program's name or absolute path, like \"claude\"",
            TextRule::Model => "give a model's name, like \"sonnet\"",
            TextRule::Word => "give a word of at most 32 characters, like \"stop\"",
            TextRule::TimeZone => {
                "give one of those that `timedatectl list-timezones` shows, like \"Europe/Berlin\"; they are of the package tzdata"
            }
        }
        .to_owned()
    }
}

/// Telegram user ids.
impl Kind for Vec<i64> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let list = value
            .as_array()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut ids = Self::new();
        for entry in list {
            let entry = entry.get_ref();
            let odd = match integer(entry) {
                None if entry.is_integer() => "is too large for a user id",
                None => "is not a number",
                Some(id) if id < 0 => "is a group or channel, not a person",
                Some(0) => "is nobody",
                Some(id) if NOT_PEOPLE.contains(&id) => {
                    "is an account under which Telegram itself speaks, not a person"
                }
                Some(id) => {
                    ids.push(id);
                    continue;
                }
            };
            return Err(Mistake::new(
                format!("{} in the list {odd}", found_text(entry)),
                "list people by their Telegram user ids, like [1001, 1002]",
            ));
        }
        Ok(ids)
    }

    fn shown(&self) -> String {
        let ids: Vec<String> = self.iter().map(ToString::to_string).collect();
        format!("[{}]", ids.join(", "))
    }

    fn allowed(_: &()) -> String {
        "a list of Telegram user ids".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like [1001, 1002]".to_owned()
    }
}

/// A command: a program's absolute path and its arguments.
impl Kind for Vec<String> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let list = value
            .as_array()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut words = Self::new();
        for entry in list {
            let entry = entry.get_ref();
            let Some(text) = entry.as_str() else {
                return Err(Mistake::new(
                    format!("{} in the list is not a text", found_text(entry)),
                    Self::how(rule),
                ));
            };
            if holds_token(text) {
                return Err(Mistake::new(
                    "holds what looks like the bot token",
                    Self::how(rule),
                ));
            }
            if text.chars().any(char::is_control) {
                return Err(Mistake::new(
                    format!("{} holds a control character", quoted(text)),
                    Self::how(rule),
                ));
            }
            words.push(text.to_owned());
        }
        match words.first() {
            None => Err(Mistake::new("names no program", Self::how(rule))),
            Some(program) if !Path::new(program).is_absolute() => Err(Mistake::new(
                format!("{} is not an absolute path", quoted(program)),
                Self::how(rule),
            )),
            Some(_) => Ok(words),
        }
    }

    fn shown(&self) -> String {
        let words: Vec<String> = self.iter().map(|word| toml_text(word)).collect();
        format!("[{}]", words.join(", "))
    }

    fn allowed(_: &()) -> String {
        "a list of a program's absolute path and its arguments, each in quotes".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like [\"/usr/local/bin/transcribe\", \"--plain\"]".to_owned()
    }
}

/// A profile of agents.
impl Kind for Profile {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        Self::parse(text).ok_or_else(|| {
            Mistake::new(
                format!("{} is not the name of a profile", quoted(text)),
                Self::how(rule),
            )
        })
    }

    fn shown(&self) -> String {
        toml_text(self.as_str())
    }

    fn allowed(_: &()) -> String {
        format!(
            "a profile's name in quotes: up to {} characters of a-z and 0-9, empty for the standard one",
            Self::MOST
        )
    }

    fn how(_: &()) -> String {
        "name a unit template telexd-agent-NAME@.service by its NAME, like \"strict\"".to_owned()
    }
}

/// Hours of each day.
impl Kind for Quiet {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        Self::parse(text).ok_or_else(|| {
            Mistake::new(
                format!(
                    "{} is not from one time of the day to another",
                    quoted(text)
                ),
                Self::how(rule),
            )
        })
    }

    fn shown(&self) -> String {
        toml_text(&self.to_string())
    }

    fn allowed(_: &()) -> String {
        "hours of the day in quotes".to_owned()
    }

    fn how(_: &()) -> String {
        "write both with two digits for hours and minutes, like \"22:00-07:00\"".to_owned()
    }
}

/// Profiles by the id of a person or chat.
impl Kind for BTreeMap<i64, Profile> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let table = value
            .as_table()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut profiles = Self::new();
        for (key, value) in table {
            let text: &str = key.get_ref();
            let id = text.parse::<i64>().ok().filter(|id| *id != 0);
            let Some(id) = id.filter(|id| id.to_string() == text) else {
                return Err(Mistake::new(
                    format!("{} is not the id of a person or chat", quoted(text)),
                    Self::how(rule),
                ));
            };
            let profile = Profile::read(value.get_ref(), &())?;
            profiles.insert(id, profile);
        }
        Ok(profiles)
    }

    fn shown(&self) -> String {
        if self.is_empty() {
            return "{}".to_owned();
        }
        let all: Vec<String> = self
            .iter()
            .map(|(id, profile)| format!("\"{id}\" = {}", profile.shown()))
            .collect();
        format!("{{ {} }}", all.join(", "))
    }

    fn allowed(_: &()) -> String {
        "a table of ids of people and chats, each with a profile's name".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like { \"1002\" = \"strict\", \"-1001234\" = \"open\" }".to_owned()
    }
}

/// The name that was probably meant, without regard to case.
pub(super) fn nearest<'a>(
    found: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let found = found.to_ascii_lowercase().replace('-', "_");
    names
        .into_iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&found, &name.to_ascii_lowercase());
            (distance, name)
        })
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}
