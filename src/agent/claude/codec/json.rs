//! Reading JSON that somebody else wrote: only the fields that are asked for, and a field of an unexpected type
//! is an absent field.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

/// An object whose fields are still text. What nobody asks for is skipped without recursion, so that a deeply
/// nested result of a tool cannot make its line unreadable.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(HashMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    /// # Errors
    /// The kind and the column of the fault, never any of the text.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        if !text.starts_with('{') {
            return Err("not a JSON object".to_owned());
        }
        serde_json::from_str(text).map(Self).map_err(|e| {
            let kind = match e.classify() {
                serde_json::error::Category::Eof => "JSON that ends too early",
                _ => "not JSON",
            };
            format!("{kind}, column {}", e.column())
        })
    }

    fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        let raw: &'a RawValue = self.0.get(name)?;
        serde_json::from_str(raw.get()).ok()
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|raw| raw.get() != "null")
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name)
    }

    pub(super) fn object(&self, name: &str) -> Option<Self> {
        self.get(name).map(Self)
    }

    /// Members that are objects, of a field that is a list.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        self.raws(name)
            .into_iter()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok().map(Self))
            .collect()
    }

    /// Members that are texts, of a field that is a list.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.raws(name)
            .into_iter()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok())
            .collect()
    }

    /// Members of a field that is a list, but for those that are nested too deeply to be read.
    pub(super) fn values(&self, name: &str) -> Vec<Value> {
        self.raws(name)
            .into_iter()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok())
            .collect()
    }

    fn raws(&self, name: &str) -> Vec<&'a RawValue> {
        self.get(name).unwrap_or_default()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).unwrap_or(false)
    }

    pub(super) fn number<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        self.get(name)
    }

    pub(super) fn uuid(&self, name: &str) -> Option<Uuid> {
        Uuid::try_parse(&self.text(name)?).ok()
    }

    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.get(name)
    }
}

/// Replaces the escapes of lone surrogates (`\ud83d` without its other half) by `\ufffd`: the CLI writes them when
/// it cuts a text in the middle of an emoji, and no strict reader takes them.
pub(super) fn repair_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut repaired = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        match unit(bytes, escape) {
            Some(0xd800..=0xdbff) if matches!(unit(bytes, escape + 6), Some(0xdc00..=0xdfff)) => {
                at = escape + 12;
            }
            Some(0xd800..=0xdfff) => {
                repaired.push_str(&text[copied..escape]);
                repaired.push_str("\\ufffd");
                at = escape + 6;
                copied = at;
            }
            Some(_) => at = escape + 6,
            // Any other escape: the character behind the backslash belongs to it, be it a backslash itself.
            None => at = next_char(text, escape + 1),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[copied..]);
    Cow::Owned(repaired)
}

/// The UTF-16 unit that a `\uXXXX` at this place stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    if !escape.starts_with(b"\\u") {
        return None;
    }
    escape[2..].iter().try_fold(0, |unit: u16, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(value).ok()?)
    })
}

/// Behind the character that begins here; the end of the text where none does.
fn next_char(text: &str, at: usize) -> usize {
    text.get(at..)
        .and_then(|rest| rest.chars().next())
        .map_or(text.len(), |c| at + c.len_utf8())
}
