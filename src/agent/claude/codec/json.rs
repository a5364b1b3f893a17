//! Reading JSON that somebody else wrote: only the fields that are asked for, and a field of an unexpected type
//! is an absent field.

use std::collections::HashMap;

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
