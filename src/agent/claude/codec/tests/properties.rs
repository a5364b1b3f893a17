use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Pieces of a JSON string with every mixture of escapes.
fn escapes() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(r"\\".to_owned()),
        Just(r"\n".to_owned()),
        Just("u".to_owned()),
        Just("d83d".to_owned()),
        Just("é😀".to_owned()),
        (0xd7f0_u32..0xe010).prop_map(|unit| format!("\\u{unit:04x}")),
        (0xd7f0_u32..0xe010).prop_map(|unit| format!("\\u{unit:04X}")),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

fn output_lines() -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Entry {
        line: Option<Box<serde_json::value::RawValue>>,
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines() {
            let entry: Entry = serde_json::from_str(line).unwrap();
            lines.extend(entry.line.map(|line| line.get().to_owned()));
        }
    }
    assert!(lines.len() > 500, "{}", lines.len());
    lines
}

proptest! {
    #[test]
    fn a_prompt_arrives_as_it_was_written(words in any::<String>(), id in any::<u128>()) {
        let uuid = Uuid::from_u128(id);
        let line = text(prompt(uuid, &words, &[]));
        prop_assert!(line.ends_with('\n'));
        prop_assert_eq!(
            line.chars().filter(|c| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')).count(),
            1
        );
        let read: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&read["message"]["content"], &Value::from(words));
        prop_assert_eq!(&read["client_composed"], &Value::from(true));
        prop_assert!(is_prompt(line.as_bytes(), uuid));
    }

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!decode(&bytes).is_empty());
    }

    #[test]
    fn any_mixture_of_escapes_is_read(body in escapes()) {
        let line = format!(r#"{{"type":"assistant","message":{{"id":"m","content":"{body} "}}}}"#);
        let events = decode(line.as_bytes());
        let [AgentEvent::Text { text, .. }] = &events[..] else {
            panic!("{events:?}");
        };
        if let Ok(readable) = serde_json::from_str::<String>(&format!("\"{body} \"")) {
            prop_assert_eq!(text, &readable, "what is sound is not touched");
        }
    }
}

#[test]
fn damaged_transcripts_are_read() {
    let lines = output_lines();
    let mutation = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..4_u8,
        any::<u8>(),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&mutation, |(which, place, other, how, byte)| {
            let mut bytes = which.get(&lines).clone().into_bytes();
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => {
                    bytes.remove(at);
                }
                // The tail of another line, as after a write that was torn.
                _ => {
                    let tail = other.get(&lines).as_bytes();
                    bytes.truncate(at);
                    bytes.extend_from_slice(&tail[place.index(tail.len())..]);
                }
            }
            prop_assert!(!decode(&bytes).is_empty());
            Ok(())
        })
        .unwrap();
}
