//! Answers of the bus as JSON, which is what everything here works on. The names of fields are those of the interface.

use std::collections::HashMap;

use serde_json::{Map, Value};
use zbus::wire::{OwnedVariant, Variant};

/// A dictionary `a{sv}` of the interface.
pub type Dict = Map<String, Value>;

/// Reads fields of a [`Dict`]; a field that is absent or of another type is unknown.
pub trait Fields {
    /// A text; empty where there is none.
    fn text(&self, name: &str) -> &str;
    /// A number.
    fn number(&self, name: &str) -> Option<i64>;
    /// A number that is not negative.
    fn size(&self, name: &str) -> Option<u64>;
    /// A moment in microseconds since the epoch; 0 says that there is none.
    fn moment(&self, name: &str) -> Option<u64>;
    /// Whether it is there and true.
    fn is(&self, name: &str) -> bool;
}

impl Fields for Dict {
    fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    fn size(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(Value::as_u64)
    }

    fn moment(&self, name: &str) -> Option<u64> {
        self.size(name).filter(|moment| *moment != 0)
    }

    fn is(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }
}

/// A dictionary as it comes over the wire.
pub type Raw = HashMap<String, OwnedVariant>;

/// A dictionary of the bus.
#[must_use]
pub fn dict(raw: Raw) -> Dict {
    raw.into_iter()
        .map(|(key, value)| (key, json(&value)))
        .collect()
}

/// A list of dictionaries of the bus.
#[must_use]
pub fn dicts(raw: Vec<Raw>) -> Vec<Dict> {
    raw.into_iter().map(dict).collect()
}

/// Any value of D-Bus: numbers are numbers, paths and signatures texts, structures lists, dictionaries objects.
#[must_use]
pub fn json(value: &Variant<'_>) -> Value {
    match value {
        Variant::U8(n) => (*n).into(),
        Variant::Bool(b) => (*b).into(),
        Variant::I16(n) => (*n).into(),
        Variant::U16(n) => (*n).into(),
        Variant::I32(n) => (*n).into(),
        Variant::U32(n) => (*n).into(),
        Variant::I64(n) => (*n).into(),
        Variant::U64(n) => (*n).into(),
        Variant::F64(n) => (*n).into(),
        Variant::Str(text) => text.as_str().into(),
        Variant::Signature(signature) => signature.to_string().into(),
        Variant::ObjectPath(path) => path.as_str().into(),
        Variant::Variant(inner) => json(inner),
        Variant::Array(list) => list.inner().iter().map(json).collect(),
        Variant::Structure(parts) => parts.fields().iter().map(json).collect(),
        Variant::Dict(pairs) => Value::Object(
            pairs
                .iter()
                .map(|(key, value)| {
                    let key = match json(key) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    (key, json(value))
                })
                .collect(),
        ),
        Variant::Fd(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as j;

    use super::*;

    #[test]
    fn values_become_json() {
        let nested: HashMap<String, Variant<'_>> =
            HashMap::from([("a".to_owned(), Variant::new(vec![1_u32, 2]))]);
        for (value, wanted) in [
            (Variant::new(u64::MAX), j!(u64::MAX)),
            (Variant::new(-5_i64), j!(-5)),
            (Variant::new(true), j!(true)),
            (Variant::new("x\x1b"), j!("x\x1b")),
            (Variant::new(("a", 1_u8)), j!(["a", 1])),
            (Variant::new(nested), j!({"a": [1, 2]})),
            (Variant::Variant(Box::new(Variant::new(7_i32))), j!(7)),
            (Variant::F64(f64::NAN), j!(null)),
        ] {
            assert_eq!(json(&value), wanted);
        }
    }

    #[test]
    fn fields_of_the_wrong_type_are_unknown() {
        let Value::Object(dict) =
            j!({"id": 7, "name": "n", "at": 0, "since": 5, "neg": -1, "on": true})
        else {
            unreachable!()
        };
        assert_eq!(
            (dict.number("id"), dict.text("id"), dict.is("id")),
            (Some(7), "", false)
        );
        assert_eq!((dict.number("name"), dict.text("name")), (None, "n"));
        assert_eq!(
            (dict.moment("at"), dict.moment("since"), dict.moment("none")),
            (None, Some(5), None)
        );
        assert_eq!(
            (dict.number("neg"), dict.size("neg"), dict.is("on")),
            (Some(-1), None, true)
        );
    }
}
