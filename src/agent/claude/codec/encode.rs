//! Input lines for the CLI.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::json::Object;
use crate::{
    core::{approval::session, event::Question, mode::PermissionMode},
    gateway::ports::{Answer, PromptImage},
};

/// Id of the first control request of a process; ids of the others are the caller's.
const HELLO_ID: &str = "hello";

/// The CLI writes nothing before its first input. This makes it come up ahead of the first prompt, and its reply
/// tells that it has.
pub(in super::super) fn hello() -> Vec<u8> {
    control_request(HELLO_ID, "initialize")
}

/// A person's words. `client_composed` makes the CLI take them to the letter: without it `@path` would read that
/// file into the prompt, with no permission asked, and a leading `/` would run a command of the CLI's.
pub(in super::super) fn prompt(uuid: Uuid, text: &str, images: &[PromptImage]) -> Vec<u8> {
    let content = if images.is_empty() {
        text.into()
    } else {
        let shown = images.iter().map(|image| {
            json!({
                "type": "image",
                "source": { "type": "base64", "media_type": image.mime, "data": image.base64 },
            })
        });
        // Images first, as the model's makers advise.
        Value::Array(
            shown
                .chain([json!({ "type": "text", "text": text })])
                .collect(),
        )
    };
    line(&json!({
        "type": "user",
        "uuid": uuid,
        "client_composed": true,
        "parent_tool_use_id": null,
        "session_id": "",
        "message": { "role": "user", "content": content },
    }))
}

pub(in super::super) fn is_prompt(line: &[u8], uuid: Uuid) -> bool {
    let Ok(text) = std::str::from_utf8(line) else {
        return false;
    };
    // A cut line is not JSON and so no prompt: what was never written whole was never read.
    Object::parse(text.trim()).is_ok_and(|line| {
        line.text("type").is_some_and(|kind| kind == "user") && line.uuid("uuid") == Some(uuid)
    })
}

/// `queued`: what waits in the CLI is cancelled as well, which its lifecycle then tells of each.
pub(in super::super) fn interrupt(request_id: &str, queued: bool) -> Vec<u8> {
    if queued {
        return request(
            request_id,
            &json!({ "subtype": "interrupt", "cancel_queued": true }),
        );
    }
    control_request(request_id, "interrupt")
}

/// Answered in milliseconds, also while a turn runs; then a line tells the mode.
pub(in super::super) fn mode(request_id: &str, mode: PermissionMode) -> Vec<u8> {
    request(
        request_id,
        &json!({ "subtype": "set_permission_mode", "mode": mode.as_str() }),
    )
}

/// The gentlest end that was measured: within 0.3 s, also in the middle of an answer.
pub(in super::super) fn end(request_id: &str) -> Vec<u8> {
    control_request(request_id, "end_session")
}

pub(in super::super) fn answer(question: &Question, answer: &Answer) -> Vec<u8> {
    let response = match answer {
        Answer::Allow {
            input,
            remember,
            edits,
        } => {
            let mut response = Map::new();
            response.insert("behavior".to_owned(), "allow".into());
            if let Some(input) = input {
                response.insert("updatedInput".to_owned(), input.clone());
            }
            let mut updates = Vec::new();
            if *remember {
                updates = session::offer(question).updates;
            }
            if *edits {
                updates.push(json!({
                    "type": "setMode", "mode": "acceptEdits", "destination": "session",
                }));
            }
            if !updates.is_empty() {
                response.insert("updatedPermissions".to_owned(), updates.into());
            }
            Value::Object(response)
        }
        Answer::Deny { message, .. } => json!({ "behavior": "deny", "message": message }),
    };
    line(&json!({
        "type": "control_response",
        "response": {
            "subtype": "success",
            "request_id": question.request_id,
            "response": response,
        },
    }))
}

fn control_request(request_id: &str, subtype: &str) -> Vec<u8> {
    request(request_id, &json!({ "subtype": subtype }))
}

fn request(request_id: &str, request: &Value) -> Vec<u8> {
    line(&json!({
        "type": "control_request",
        "request_id": request_id,
        "request": request,
    }))
}

/// One line, whatever a reader takes for the end of one: JSON escapes control characters, and the separators of
/// Unicode, at which some JavaScript readers split, are escaped here. They can only stand inside of strings.
fn line(value: &Value) -> Vec<u8> {
    let mut text = value.to_string();
    for (separator, escape) in [
        ('\u{85}', "\\u0085"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ] {
        if text.contains(separator) {
            text = text.replace(separator, escape);
        }
    }
    text.push('\n');
    text.into_bytes()
}
