//! JSON as foreign programs write it.

use std::borrow::Cow;

/// Replaces `\uXXXX` escapes of lone surrogates by `\ufffd`, so that the text can be held in a Rust string.
///
/// Works on the raw JSON and keeps its length. JSON allows half a surrogate pair in a string (a text that
/// was cut in the middle of an emoji), but no `str` can hold it, so a parser would refuse the whole
/// document because of one character. A proper pair is left alone, so is everything else, and what is
/// not JSON comes back unchanged or with such escapes replaced; it never panics.
#[must_use]
pub fn repair_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < json.len() {
        if json[at] != b'\\' {
            at += 1;
            continue;
        }
        let Some(unit) = escaped_unit(json, at) else {
            // Another escape, `\\` among them: its second byte is no start of an escape.
            at += 2;
            continue;
        };
        match unit {
            0xD800..=0xDBFF if matches!(escaped_unit(json, at + 6), Some(0xDC00..=0xDFFF)) => {
                at += 12;
            }
            0xD800..=0xDFFF => {
                out.get_or_insert_with(|| json.to_vec())[at..at + 6].copy_from_slice(b"\\ufffd");
                at += 6;
            }
            _ => at += 6,
        }
    }
    out.map_or(Cow::Borrowed(json), Cow::Owned)
}

/// The UTF-16 unit of a `\uXXXX` escape that begins at `at`.
fn escaped_unit(json: &[u8], at: usize) -> Option<u16> {
    let hex = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    hex.iter().try_fold(0, |unit: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some((unit << 4) | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repaired(json: &str) -> String {
        String::from_utf8(repair_surrogates(json.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn lone_halves_are_replaced_and_pairs_are_kept() {
        for (given, wanted) in [
            (r#""a\ud83db""#, r#""a\ufffdb""#),
            (r#""a\uDE00b""#, r#""a\ufffdb""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#""\u00e4 \n""#, r#""\u00e4 \n""#),
            (r#""\ud8"#, r#""\ud8"#),
            ("\\", "\\"),
            ("", ""),
        ] {
            assert_eq!(repaired(given), wanted, "{given}");
        }
    }

    #[test]
    fn what_is_sound_is_not_copied() {
        assert!(matches!(
            repair_surrogates(br#"{"text":"\ud83d\ude00 plain"}"#),
            Cow::Borrowed(_)
        ));
    }

    proptest! {
        #[test]
        fn any_string_of_units_can_be_read_afterwards(units in prop::collection::vec(prop_oneof![any::<u16>(), 0xD700_u16..0xE100], 0..60)) {
            let json = format!("\"{}\"", units.iter().map(|u| format!("\\u{u:04x}")).collect::<String>());
            let read: String = serde_json::from_slice(&repair_surrogates(json.as_bytes())).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn any_bytes_keep_their_length(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(repair_surrogates(&bytes).len(), bytes.len());
        }
    }
}
