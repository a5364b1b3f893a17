use serde_json::json;

use super::*;

fn settled(text: &str, entities: serde_json::Value) -> (String, Vec<(String, usize, usize)>) {
    let (text, entities) = settle(text, parse_entities(Some(&entities)).unwrap()).unwrap();
    (
        text,
        entities
            .into_iter()
            .map(|e| (e.kind, e.offset, e.length))
            .collect(),
    )
}

fn refused(text: &str, entities: serde_json::Value) -> String {
    parse_entities(Some(&entities))
        .and_then(|e| settle(text, e))
        .unwrap_err()
        .description
}

fn entity(kind: &str, offset: i64, length: i64) -> serde_json::Value {
    json!({"type": kind, "offset": offset, "length": length})
}

fn of(kind: &str, offset: usize, length: usize) -> (String, usize, usize) {
    (kind.to_owned(), offset, length)
}

#[test]
fn white_space_is_cut_and_entities_move_along() {
    let (text, entities) = settled(
        "  \n ab c \n",
        json!([entity("bold", 4, 2), entity("italic", 7, 3)]),
    );
    assert_eq!(text, "ab c");
    assert_eq!(entities, [of("bold", 0, 2), of("italic", 3, 1)]);
}

#[test]
fn white_space_at_the_beginning_of_an_entity_is_not_kept() {
    let (text, entities) = settled("   ab", json!([entity("pre", 0, 5)]));
    assert_eq!((text.as_str(), entities), ("ab", vec![of("pre", 0, 2)]));
}

#[test]
fn control_characters_are_cleaned() {
    let (text, entities) = settled("a\r\n\tb\u{7}c", json!([entity("code", 4, 3)]));
    assert_eq!(text, "a\n b c");
    assert_eq!(entities, [of("code", 3, 3)]);
}

#[test]
fn bounds_count_utf16_units() {
    let (_, entities) = settled(
        "😀ab",
        json!([entity("bold", 0, 2), entity("italic", 2, 2)]),
    );
    assert_eq!(entities, [of("bold", 0, 2), of("italic", 2, 2)]);
    assert_eq!(
        refused("😀ab", json!([entity("bold", 1, 2)])),
        "Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset 4"
    );
    assert_eq!(
        refused("a😀b", json!([entity("bold", 0, 2)])),
        "Bad Request: entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 5"
    );
    assert_eq!(
        refused("ab", json!([entity("bold", 1, 2)])),
        "Bad Request: entity beginning at UTF-16 offset 1 ends after the end of the text at UTF-16 offset 3"
    );
    assert_eq!(
        refused("ab", json!([entity("bold", 5, 2)])),
        "Bad Request: entity begins after the end of the text at UTF-16 offset 5"
    );
    assert_eq!(
        refused("ab", json!([entity("bold", -1, 2)])),
        "Bad Request: receive an entity with incorrect offset -1"
    );
}

#[test]
fn bounds_are_those_of_the_text_before_it_is_cut() {
    // Spaces at the end may be covered.
    assert_eq!(
        settled("ab  ", json!([entity("bold", 0, 4)])).1,
        [of("bold", 0, 2)]
    );
}

#[test]
fn nothing_stands_inside_pre_or_code() {
    let nested = json!([
        entity("pre", 0, 6),
        entity("bold", 2, 2),
        entity("code", 3, 1)
    ]);
    assert_eq!(settled("abcdef", nested).1, [of("pre", 0, 6)]);
    let around = json!([entity("bold", 0, 6), entity("code", 2, 2)]);
    assert_eq!(
        settled("abcdef", around).1,
        [of("bold", 0, 2), of("code", 2, 2), of("bold", 4, 2)]
    );
    let quoted = json!([entity("blockquote", 0, 6), entity("pre", 2, 2)]);
    assert_eq!(
        settled("abcdef", quoted).1,
        [of("blockquote", 0, 6), of("pre", 2, 2)]
    );
}

#[test]
fn quotes_do_not_stand_in_quotes() {
    let nested = json!([
        entity("blockquote", 0, 6),
        entity("expandable_blockquote", 2, 2)
    ]);
    assert_eq!(settled("abcdef", nested).1, [of("blockquote", 0, 6)]);
}

#[test]
fn crossing_styles_both_stay() {
    let link = json!({"type": "text_link", "offset": 2, "length": 4, "url": "https://example.org"});
    let crossing = json!([entity("bold", 0, 4), link]);
    assert_eq!(
        settled("abcdef", crossing).1,
        [of("bold", 0, 2), of("text_link", 2, 4), of("bold", 2, 2)]
    );
}

#[test]
fn well_nested_entities_stay_as_they_are() {
    let fine = json!([
        entity("bold", 0, 6),
        entity("italic", 1, 3),
        entity("underline", 1, 2)
    ]);
    assert_eq!(
        settled("abcdef", fine).1,
        [of("bold", 0, 6), of("italic", 1, 3), of("underline", 1, 2)]
    );
}

#[test]
fn the_hundred_and_first_entity_is_ignored() {
    let many: Vec<_> = (0..120).map(|n| entity("bold", n * 2, 1)).collect();
    assert_eq!(settled(&"ab".repeat(120), json!(many)).1.len(), 100);
}

#[test]
fn unknown_kinds_are_refused_and_found_ones_ignored() {
    assert!(refused("ab", json!([entity("glow", 0, 1)])).contains("Unsupported type"));
    assert_eq!(settled("@ab", json!([entity("mention", 0, 3)])).1, []);
    assert!(refused("ab", json!([{"type": "bold", "offset": 0}])).contains("length"));
    assert!(refused("ab", json!({"type": "bold"})).contains("Array"));
}
