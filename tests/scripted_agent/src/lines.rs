//! The lines that the stand-in writes, with the keys of the real program's.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Standard output, a line at a time.
#[derive(Debug)]
pub struct Out {
    file: File,
    session: Uuid,
}

impl Out {
    /// Lines of that session.
    pub fn new(session: Uuid) -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self { file, session })
    }

    /// Writes a line as it is, in one write. A reader that is gone is not noticed, as with the real program.
    pub fn bare(&mut self, line: &Value) {
        // Half of a pair, as the real program writes it where a text was cut inside of a character.
        let mut text = line.to_string().replace("{surrogate}", "\\ud83d");
        text.push('\n');
        let _ = self.file.write_all(text.as_bytes());
    }

    /// Writes a line with the session's id and a uuid of its own.
    pub fn line(&mut self, mut line: Value) {
        if let Some(map) = line.as_object_mut() {
            map.insert("session_id".to_owned(), self.session.to_string().into());
            map.entry("uuid")
                .or_insert_with(|| Uuid::new_v4().to_string().into());
        }
        self.bare(&line);
    }

    /// An event of the model's stream.
    pub fn stream(&mut self, message_id: &str, event: Value, more: Value) {
        let mut line = json!({"type": "stream_event", "event": event, "parent_tool_use_id": null, "api_message_id": message_id});
        merge(&mut line, more);
        self.line(line);
    }
}

/// Adds the keys of `more`.
pub fn merge(line: &mut Value, more: Value) {
    if let (Some(map), Value::Object(more)) = (line.as_object_mut(), more) {
        map.extend(more);
    }
}

/// `user_message_uuid` and `user_message_uuids`, where the host gave ids.
pub fn prompts(uuids: &[Uuid]) -> Value {
    let Some(last) = uuids.last() else {
        return Value::Object(Map::new());
    };
    let all: Vec<String> = uuids.iter().map(Uuid::to_string).collect();
    json!({"user_message_uuid": last.to_string(), "user_message_uuids": all})
}

/// A message of the model.
pub fn message(id: &str, model: &str, content: Value, stop_reason: Option<&str>) -> Value {
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": usage(10, 1),
    })
}

/// Tokens.
pub fn usage(input: u64, output: u64) -> Value {
    json!({
        "input_tokens": input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": output, "service_tier": "standard",
    })
}

/// A line on standard error.
#[allow(clippy::print_stderr, reason = "it is a command line program")]
pub fn complain(text: &str) {
    eprintln!("{text}");
}
