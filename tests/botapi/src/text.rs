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
        let within = |number: i64| usize::try_from(number).ok().filter(|n| *n <= 1_000_000);
        let Some(offset) = within(offset) else {
            return Err(ApiError::bad_request(format!(
                "receive an entity with incorrect offset {offset}"
            )));
        };
        let Some(length) = within(length) else {
            return Err(ApiError::bad_request(format!(
                "receive an entity with incorrect length {length}"
            )));
        };
        if length == 0 {
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

/// A text and entities as the server keeps them: entities nested as they may be, control characters cleaned, white space
/// cut at both ends.
///
/// # Errors
/// Entities that reach past the text or begin or end inside a surrogate pair.
pub(crate) fn settle(text: &str, entities: Vec<Entity>) -> Result<(String, Vec<Entity>), ApiError> {
    let entities = nest(entities);
    check_bounds(text, &entities)?;
    let (text, entities) = clean(text, entities);
    Ok(trim(&text, entities))
}

/// Order of entities with the same bounds: outer ones first.
fn priority(kind: &str) -> u8 {
    match kind {
        "blockquote" | "expandable_blockquote" => 0,
        "text_link" | "text_mention" | "date_time" => 1,
        "pre" | "code" => 9,
        "custom_emoji" => 8,
        _ => 5,
    }
}

fn sort(entities: &mut [Entity]) {
    entities.sort_by(|a, b| {
        a.offset
            .cmp(&b.offset)
            .then(b.length.cmp(&a.length))
            .then_with(|| priority(&a.kind).cmp(&priority(&b.kind)))
            .then_with(|| a.kind.cmp(&b.kind))
    });
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
    let next_byte = |unit: usize| starts[unit..].iter().find_map(|s| *s).unwrap_or(text.len());
    for entity in entities {
        let (begin, end) = (entity.offset, entity.end());
        if begin > total {
            return Err(ApiError::bad_request(format!(
                "entity begins after the end of the text at UTF-16 offset {begin}"
            )));
        }
        if starts[begin].is_none() {
            return Err(ApiError::bad_request(format!(
                "entity begins in a middle of a UTF-16 symbol at byte offset {}",
                next_byte(begin)
            )));
        }
        if end > total {
            return Err(ApiError::bad_request(format!(
                "entity beginning at UTF-16 offset {begin} ends after the end of the text at UTF-16 offset {end}"
            )));
        }
        if starts[end].is_none() {
            return Err(ApiError::bad_request(format!(
                "entity beginning at UTF-16 offset {begin} ends in a middle of a UTF-16 symbol at byte offset {}",
                next_byte(end)
            )));
        }
    }
    Ok(())
}

/// Whether sorted entities may stand as they are: each inside or beside every other, nothing in or around `pre` and
/// `code` but a quote, no whole kind in another, none in one of its own kind.
fn is_well_nested(entities: &[Entity]) -> bool {
    let mut stack: Vec<&Entity> = Vec::new();
    for entity in entities {
        while stack
            .last()
            .is_some_and(|outer| outer.end() <= entity.offset)
        {
            stack.pop();
        }
        if let Some(outer) = stack.last() {
            let whole = !entity.is_splittable();
            if entity.end() > outer.end()
                || outer.is_pre()
                || (entity.is_pre() && !outer.is_quote())
                || (whole && stack.iter().any(|o| !o.is_splittable() && !o.is_quote()))
                || (entity.is_quote() && stack.iter().any(|o| o.is_quote()))
                || stack.iter().any(|o| o.kind == entity.kind)
            {
                return false;
            }
        }
        stack.push(entity);
    }
    true
}

/// Keeps what may stand together: of two whole entities that overlap the first; bold and the like are joined with their
/// own kind, cut at the borders of quotes and removed from `pre` and `code`. No error: the server does this silently.
fn nest(mut entities: Vec<Entity>) -> Vec<Entity> {
    sort(&mut entities);
    if is_well_nested(&entities) {
        return entities;
    }
    let mut kept: Vec<Entity> = Vec::new();
    let quotes: Vec<Entity> = entities.iter().filter(|e| e.is_quote()).cloned().collect();
    let whole: Vec<Entity> = entities
        .iter()
        .filter(|e| !e.is_quote() && !e.is_splittable())
        .cloned()
        .collect();
    keep_apart(&mut kept, quotes);
    let quotes = kept.len();
    let mut others = Vec::new();
    keep_apart(&mut others, whole);
    others.retain(|e| {
        kept[..quotes].iter().all(|q| {
            q.end() <= e.offset
                || e.end() <= q.offset
                || (q.offset <= e.offset && e.end() <= q.end())
        })
    });
    kept.append(&mut others);
    let fences: Vec<(usize, usize)> = kept
        .iter()
        .filter(|e| e.is_pre())
        .map(|e| (e.offset, e.end()))
        .collect();
    let borders: Vec<usize> = kept
        .iter()
        .filter(|e| !e.is_pre())
        .flat_map(|e| [e.offset, e.end()])
        .collect();
    for entity in join_same(entities.into_iter().filter(Entity::is_splittable).collect()) {
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
        kept.extend(pieces.into_iter().map(|(a, b)| Entity {
            offset: a,
            length: b - a,
            ..entity.clone()
        }));
    }
    sort(&mut kept);
    kept
}

/// Adds entities that overlap none before them.
fn keep_apart(kept: &mut Vec<Entity>, entities: Vec<Entity>) {
    for entity in entities {
        if kept.last().is_none_or(|last| last.end() <= entity.offset) {
            kept.push(entity);
        }
    }
}

/// Joins entities of the same kind that overlap or touch.
fn join_same(entities: Vec<Entity>) -> Vec<Entity> {
    let mut joined: Vec<Entity> = Vec::new();
    for entity in entities {
        match joined
            .iter_mut()
            .find(|e| e.kind == entity.kind && entity.offset <= e.end())
        {
            Some(same) => same.length = same.end().max(entity.end()) - same.offset,
            None => joined.push(entity),
        }
    }
    joined
}

/// Control characters but the line feed become spaces, carriage returns and direction marks vanish.
fn clean(text: &str, mut entities: Vec<Entity>) -> (String, Vec<Entity>) {
    let mut cleaned = String::with_capacity(text.len());
    // Units gone before each unit of the old text.
    let mut gone_before = Vec::with_capacity(text.len() + 1);
    let mut gone = 0;
    for character in text.chars() {
        gone_before.resize(gone_before.len() + character.len_utf16(), gone);
        match character {
            '\n' => cleaned.push('\n'),
            '\r' | '\u{2028}'..='\u{202e}' | '\u{333}' | '\u{33f}' | '\u{30a}' => gone += 1,
            '\0'..=' ' => cleaned.push(' '),
            other => cleaned.push(other),
        }
    }
    gone_before.push(gone);
    for entity in &mut entities {
        let end = entity.end() - gone_before[entity.end()];
        entity.offset -= gone_before[entity.offset];
        entity.length = end - entity.offset;
    }
    entities.retain(|e| e.length > 0);
    (cleaned, entities)
}

/// Cuts white space at both ends, and at the beginning of entities; entities of nothing else vanish.
fn trim(text: &str, entities: Vec<Entity>) -> (String, Vec<Entity>) {
    let units: Vec<u16> = text.encode_utf16().collect();
    let is_space = |unit: usize| units[unit] == u16::from(b' ') || units[unit] == u16::from(b'\n');
    let Some(last) = (0..units.len()).rev().find(|u| !is_space(*u)) else {
        return (String::new(), Vec::new());
    };
    let mut entities: Vec<Entity> = entities
        .into_iter()
        .filter_map(|e| {
            let end = e.end().min(last + 1);
            let begin = (e.offset..end).find(|u| !is_space(*u))?;
            Some(Entity {
                offset: begin,
                length: end - begin,
                ..e
            })
        })
        .collect();
    let first = (0..units.len()).find(|u| !is_space(*u)).unwrap_or(0);
    for entity in &mut entities {
        entity.offset -= first;
    }
    sort(&mut entities);
    (String::from_utf16_lossy(&units[first..=last]), entities)
}

#[cfg(test)]
mod tests;
