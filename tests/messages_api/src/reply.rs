//! The service's words: messages, events, errors. Pure.

use serde_json::{Value, json};

use crate::script::{Answer, Block};

/// One thing to send: an event, after a pause.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// Pause before it, in milliseconds.
    pub pause_ms: u64,
    /// The event; its `type` is its name.
    pub data: Value,
}

impl Event {
    /// As server-sent event.
    pub fn frame(&self) -> String {
        let name = self.data["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {}\n\n", self.data)
    }
}

fn usage(output: usize) -> Value {
    json!({
        "input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": output, "service_tier": "standard",
    })
}

fn content(block: &Block, number: u64, index: usize) -> Value {
    match block {
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::Thinking(text) => {
            json!({"type": "thinking", "thinking": text, "signature": "c3RhbmQtaW4="})
        }
        Block::Tool { name, input } => {
            json!({"type": "tool_use", "id": format!("toolu_standin_{number}_{index}"), "name": name, "input": input})
        }
    }
}

/// A whole message. `number` makes its id.
pub fn message(answer: &Answer, number: u64, model: &str) -> Value {
    let blocks: Vec<Value> = answer
        .blocks
        .iter()
        .enumerate()
        .map(|(i, b)| content(b, number, i))
        .collect();
    json!({
        "id": format!("msg_standin_{number}"), "type": "message", "role": "assistant", "model": model, "content": blocks,
        "stop_reason": answer.stop_reason(), "stop_sequence": null, "usage": usage(20),
    })
}

/// The events of a streamed message. A cut-off one ends after the first piece of its first block.
pub fn events(answer: &Answer, number: u64, model: &str, cut: bool) -> Vec<Event> {
    let mut events = Vec::new();
    let mut add = |pause_ms, data| events.push(Event { pause_ms, data });
    let mut start = message(answer, number, model);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"] = usage(1);
    add(0, json!({"type": "message_start", "message": start}));
    for (index, block) in answer.blocks.iter().enumerate() {
        let mut empty = content(block, number, index);
        let (kind, key, text) = match block {
            Block::Text(text) => ("text_delta", "text", text.clone()),
            Block::Thinking(text) => ("thinking_delta", "thinking", text.clone()),
            Block::Tool { input, .. } => ("input_json_delta", "partial_json", input.to_string()),
        };
        match block {
            Block::Text(_) => empty["text"] = "".into(),
            Block::Thinking(_) => {
                empty["thinking"] = "".into();
                empty["signature"] = "".into();
            }
            Block::Tool { .. } => empty["input"] = json!({}),
        }
        add(
            0,
            json!({"type": "content_block_start", "index": index, "content_block": empty}),
        );
        for (at, piece) in answer.pieces(&text).into_iter().enumerate() {
            let pause_ms = if at > 0 { answer.delay_ms } else { 0 };
            add(
                pause_ms,
                json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece}}),
            );
            if cut {
                return events;
            }
        }
        if matches!(block, Block::Thinking(_)) {
            add(
                0,
                json!({"type": "content_block_delta", "index": index, "delta": {"type": "signature_delta", "signature": "c3RhbmQtaW4="}}),
            );
        }
        add(0, json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": answer.stop_reason(), "stop_sequence": null});
    add(
        0,
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}}),
    );
    add(0, json!({"type": "message_stop"}));
    events
}

/// Body of an error.
pub fn error(class: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": class, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_make_the_whole() {
        let answer = Answer {
            chunk: 3,
            delay_ms: 5,
            ..Answer::of(vec![
                Block::Thinking("hmm".into()),
                Block::Text("w\u{f6}rds \u{1f980} of an answer".into()),
                Block::Tool {
                    name: "Bash".into(),
                    input: json!({"command": "echo x"}),
                },
            ])
        };
        let events = events(&answer, 1, "m", false);
        let joined = |index: u64, key: &str| -> String {
            events
                .iter()
                .filter(|e| e.data["index"] == index)
                .filter_map(|e| e.data["delta"][key].as_str())
                .collect()
        };
        assert_eq!(joined(0, "thinking"), "hmm");
        assert_eq!(joined(1, "text"), "w\u{f6}rds \u{1f980} of an answer");
        assert_eq!(joined(2, "partial_json"), r#"{"command":"echo x"}"#);
        assert_eq!(events.last().unwrap().data["type"], "message_stop");
        assert!(
            events
                .iter()
                .any(|e| e.data["delta"]["stop_reason"] == "tool_use")
        );
        assert!(
            events[0]
                .frame()
                .starts_with("event: message_start\ndata: {")
                && events[0].frame().ends_with("}\n\n")
        );
        assert_eq!(
            message(&answer, 1, "m")["content"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }

    #[test]
    fn a_cut_answer_ends_in_its_first_block() {
        let events = events(&Answer::text("x".repeat(100)), 1, "m", true);
        assert_eq!(events.last().unwrap().data["type"], "content_block_delta");
        assert_eq!(events.len(), 3);
    }
}
