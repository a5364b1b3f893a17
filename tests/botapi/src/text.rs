//! What Telegram does with a text and its entities before it takes a message: trimming, bounds, nesting.
//! All offsets and lengths count UTF-16 code units.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answer::ApiError;

/// Most UTF-16 units of a message text.
pub(crate) const MAX_TEXT: usize = 4096;
/// Most UTF-16 units of a caption.
pub(crate) const MAX_CAPTION: usize = 1024;
/// Entities beyond this number are ignored without an error.
pub(crate) const MAX_ENTITIES: usize = 100;

/// A formatted part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// `bold`, `pre`, `text_link`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// First UTF-16 unit.
    pub offset: usize,
    /// UTF-16 units, at least 1.
    pub length: usize,
    /// Target of a `text_link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Language of a `pre`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Entity {
    fn end(&self) -> usize {
        self.offset + self.length
    }

    fn is_pre(&self) -> bool {
        matches!(self.kind.as_str(), "pre" | "code")
    }

    fn is_quote(&self) -> bool {
        matches!(self.kind.as_str(), "blockquote" | "expandable_blockquote")
    }

    /// Kinds that may be cut in two where they overlap something; the others vanish.
    fn is_splittable(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "bold" | "italic" | "underline" | "strikethrough" | "spoiler"
        )
    }
}

/// UTF-16 units of a text.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Kinds that a bot may send. Others (mention, hashtag, url, …) are found by the server and ignored in a request.
const SENDABLE: &[&str] = &[
    "bold",
    "italic",
    "underline",
    "strikethrough",
    "spoiler",
    "blockquote",
    "expandable_blockquote",
    "code",
    "pre",
    "text_link",
    "text_mention",
    "custom_emoji",
    "date_time",
];
/// Kinds that are accepted in a request and ignored.
const FOUND_BY_SERVER: &[&str] = &[
    "mention",
    "hashtag",
    "cashtag",
    "bot_command",
    "url",
    "email",
    "phone_number",
    "bank_card_number",
];

/// Reads the `entities` parameter. Entries beyond the hundredth are ignored.
///
/// # Errors
/// Telegram's text for what is malformed.
pub(crate) fn parse_entities(value: Option<&Value>) -> Result<Vec<Entity>, ApiError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => {
            return Err(ApiError::bad_request(
                "can't parse message entities: Expected an Array of entities",
            ));
        }
    };
    let mut entities = Vec::new();
    for item in list.iter().take(MAX_ENTITIES) {
        let Some(object) = item.as_object() else {
            return Err(ApiError::bad_request(
                "can't parse MessageEntity: expected an Object",
            ));
        };
        let number = |name: &str| -> Result<i64, ApiError> {
            match object.get(name) {
                Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64().unwrap_or(0)),
                Some(Value::String(text)) if text.parse::<i64>().is_ok() => {
                    Ok(text.parse().unwrap_or(0))
                }
                Some(_) => Err(ApiError::bad_request(format!(
                    "can't parse MessageEntity: Field \"{name}\" must be of type Number"
                ))),
                None => Err(ApiError::bad_request(format!(
                    "can't parse MessageEntity: Can't find field \"{name}\""
                ))),
            }
        };
        let (offset, length) = (number("offset")?, number("length")?);
        let Some(kind) = object.get("type").and_then(Value::as_str) else {
            return Err(ApiError::bad_request(
                "can't parse MessageEntity: Can't find field \"type\"",
            ));
        };
        if FOUND_BY_SERVER.contains(&kind) {
            continue;
        }
        if !SENDABLE.contains(&kind) {
            return Err(ApiError::bad_request(
                "can't parse MessageEntity: Unsupported type specified",
            ));
        }
        if kind == "text_link"
            && object
                .get("url")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
        {
            return Err(ApiError::bad_request(
                "can't parse MessageEntity: Can't find field \"url\"",
            ));
        }
        // Nonsense numbers are passed over, as the server does; what is off the text is an error later.
        let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
            continue;
        };
        if length == 0 || offset > 1_000_000 || length > 1_000_000 {
            continue;
        }
        let mut extra = object.clone();
        for name in ["type", "offset", "length", "url", "language"] {
            extra.remove(name);
        }
        entities.push(Entity {
            kind: kind.to_owned(),
            offset,
            length,
            url: object.get("url").and_then(Value::as_str).map(str::to_owned),
            language: object
                .get("language")
                .and_then(Value::as_str)
                .filter(|l| !l.is_empty())
                .map(str::to_owned),
            extra,
        });
    }
    Ok(entities)
}

/// A text and entities as the server keeps them.
///
/// # Errors
/// Entities that reach past the text or begin or end inside a surrogate pair.
pub(crate) fn settle(
    text: &str,
    mut entities: Vec<Entity>,
) -> Result<(String, Vec<Entity>), ApiError> {
    entities.sort_by(|a, b| {
        a.offset
            .cmp(&b.offset)
            .then(b.length.cmp(&a.length))
            .then_with(|| priority(&a.kind).cmp(&priority(&b.kind)))
    });
    check_bounds(text, &entities)?;
    let entities = nest(entities);
    Ok(trim(text, entities))
}

/// Order of entities with the same bounds: outer ones first.
fn priority(kind: &str) -> u8 {
    match kind {
        "blockquote" | "expandable_blockquote" => 0,
        "pre" | "code" => 1,
        "text_link" | "text_mention" | "date_time" => 2,
        "custom_emoji" => 9,
        _ => 5,
    }
}

fn check_bounds(text: &str, entities: &[Entity]) -> Result<(), ApiError> {
    // Byte offset of every UTF-16 unit that begins a character; None inside a surrogate pair.
    let mut starts: Vec<Option<usize>> = Vec::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        starts.push(Some(at));
        if character.len_utf16() == 2 {
            starts.push(None);
        }
    }
    let total = starts.len();
    starts.push(Some(text.len()));
    let next_byte = |unit: usize| starts[..=unit].iter().rev().find_map(|s| *s).unwrap_or(0);
    for entity in entities {
        if entity.offset > total {
            return Err(ApiError::bad_request(format!(
                "entity begins after the end of the text at UTF-16 offset {total}"
            )));
        }
        if starts[entity.offset].is_none() {
            return Err(ApiError::bad_request(format!(
                "entity begins in a middle of a UTF-16 symbol at byte offset {}",
                next_byte(entity.offset)
            )));
        }
        if entity.end() > total {
            return Err(ApiError::bad_request(format!(
                "entity beginning at UTF-16 offset {} ends after the end of the text at UTF-16 offset {total}",
                entity.offset
            )));
        }
        if starts[entity.end()].is_none() {
            return Err(ApiError::bad_request(format!(
                "entity beginning at UTF-16 offset {} ends in a middle of a UTF-16 symbol at byte offset {}",
                entity.offset,
                next_byte(entity.end())
            )));
        }
    }
    Ok(())
}

/// Keeps what may stand together: nothing inside or across `pre` and `code`, no quote in a quote; bold and the like
/// are cut where they overlap, other kinds that cross are dropped. No error: the server does this silently.
fn nest(entities: Vec<Entity>) -> Vec<Entity> {
    let mut kept: Vec<Entity> = Vec::new();
    // Whole entities first (the first of two that cross wins), then the splittable ones around them.
    for entity in entities.iter().filter(|e| !e.is_splittable()) {
        let clash = kept.iter().any(|other| {
            let overlap = other.offset < entity.end() && entity.offset < other.end();
            let inside = other.offset <= entity.offset && entity.end() <= other.end();
            let around = entity.offset <= other.offset && other.end() <= entity.end();
            overlap
                && !(other.is_quote() && !entity.is_quote() && inside
                    || entity.is_quote() && !other.is_quote() && around)
        });
        if !clash {
            kept.push(entity.clone());
        }
    }
    let fences: Vec<(usize, usize)> = kept
        .iter()
        .filter(|e| e.is_pre())
        .map(|e| (e.offset, e.end()))
        .collect();
    let mut borders: Vec<usize> = kept
        .iter()
        .filter(|e| e.is_quote())
        .flat_map(|e| [e.offset, e.end()])
        .collect();
    borders.sort_unstable();
    for entity in entities.iter().filter(|e| e.is_splittable()) {
        let mut pieces = vec![(entity.offset, entity.end())];
        for &(from, to) in &fences {
            pieces = pieces
                .into_iter()
                .flat_map(|(a, b)| [(a, b.min(from)), (a.max(to), b)])
                .filter(|(a, b)| a < b)
                .collect();
        }
        for &border in &borders {
            pieces = pieces
                .into_iter()
                .flat_map(|(a, b)| {
                    if a < border && border < b {
                        vec![(a, border), (border, b)]
                    } else {
                        vec![(a, b)]
                    }
                })
                .collect();
        }
        pieces.dedup();
        kept.extend(pieces.into_iter().map(|(a, b)| Entity {
            offset: a,
            length: b - a,
            ..entity.clone()
        }));
    }
    kept.sort_by(|a, b| {
        a.offset
            .cmp(&b.offset)
            .then(b.length.cmp(&a.length))
            .then_with(|| priority(&a.kind).cmp(&priority(&b.kind)))
    });
    kept
}

/// Cuts white space at both ends and moves the entities along.
fn trim(text: &str, entities: Vec<Entity>) -> (String, Vec<Entity>) {
    let text = text.trim_end();
    let cut = utf16_len(&text[..text.len() - text.trim_start().len()]);
    // White space that an entity covers from its beginning stays.
    let cut = entities
        .iter()
        .map(|e| e.offset)
        .min()
        .map_or(cut, |first| cut.min(first));
    let skip: usize = text
        .chars()
        .scan(0, |units, c| {
            let before = *units;
            *units += c.len_utf16();
            (before < cut).then_some(c.len_utf8())
        })
        .sum();
    let text = &text[skip..];
    let total = utf16_len(text);
    let entities = entities
        .into_iter()
        .filter_map(|e| {
            let offset = e.offset.saturating_sub(cut);
            let end = e.end().saturating_sub(cut).min(total);
            (offset < end).then(|| Entity {
                offset,
                length: end - offset,
                ..e
            })
        })
        .collect();
    (text.to_owned(), entities)
}
