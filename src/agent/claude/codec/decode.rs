//! One output line of the CLI to events.

use serde_json::Value;
use uuid::Uuid;

use super::json::Object;
use crate::core::{
    event::{AgentEvent, Block, Denial, PromptState, Question, TurnResult},
    json::repair_surrogates,
    mode::PermissionMode,
};

/// Reads one line. Never panics, never empty: what asks nothing of us is [`AgentEvent::Ignored`], what cannot be
/// read is [`AgentEvent::Malformed`].
pub(in super::super) fn decode(line: &[u8]) -> Vec<AgentEvent> {
    // The CLI writes half a pair where it cuts a text in the middle of an emoji.
    let repaired = repair_surrogates(line);
    let text = String::from_utf8_lossy(&repaired);
    let text = text.trim();
    if text.is_empty() {
        return vec![AgentEvent::Ignored];
    }
    let mut events = match Object::parse(text) {
        Ok(line) => line_events(&line),
        Err(reason) => vec![AgentEvent::Malformed(reason)],
    };
    if events.is_empty() {
        events.push(AgentEvent::Ignored);
    }
    events
}

fn line_events(line: &Object<'_>) -> Vec<AgentEvent> {
    let Some(kind) = line.text("type") else {
        return Vec::new();
    };
    match kind.as_str() {
        "assistant" => assistant(line),
        "user" => user(line),
        "stream_event" => stream_event(line).into_iter().collect(),
        "system" => system(line).into_iter().collect(),
        "result" => vec![AgentEvent::Result(result(line))],
        "command_lifecycle" => lifecycle(line).into_iter().collect(),
        "control_request" => asked(line).into_iter().collect(),
        "control_cancel_request" => line
            .text("request_id")
            .map(|request_id| AgentEvent::Withdrawn { request_id })
            .into_iter()
            .collect(),
        "control_response" => reply(line).into_iter().collect(),
        "conversation_reset" => vec![AgentEvent::SessionReset {
            session_id: line.uuid("new_conversation_id"),
        }],
        _ => Vec::new(),
    }
}

/// Whether the line is about the work of a subagent, whose words are not the answer.
fn of_subagent(line: &Object<'_>) -> bool {
    line.has("parent_tool_use_id")
}

fn assistant(line: &Object<'_>) -> Vec<AgentEvent> {
    let Some(message) = line.object("message") else {
        return Vec::new();
    };
    let subagent = of_subagent(line);
    let message_id = message.text("id").unwrap_or_default();
    let blocks = message.objects("content");
    if line.has("error") || line.flag("is_api_error_message") {
        if subagent {
            return Vec::new();
        }
        let mut texts: Vec<String> = blocks.iter().filter_map(|b| b.text("text")).collect();
        texts.extend(message.text("content"));
        return vec![AgentEvent::AssistantError {
            class: error_class(line),
            text: texts.join("\n"),
            resets_at: resets_at(line),
        }];
    }
    if let Some(text) = message.text("content") {
        // The protocol allows a bare text in place of a list of blocks.
        return (!subagent && !text.is_empty())
            .then_some(AgentEvent::Text { message_id, text })
            .into_iter()
            .collect();
    }
    blocks
        .iter()
        .filter_map(|block| match block.text("type")?.as_str() {
            "text" if !subagent => Some(AgentEvent::Text {
                message_id: message_id.clone(),
                text: block.text("text")?,
            }),
            "thinking" if !subagent => Some(AgentEvent::Thought {
                text: block.text("thinking")?,
            }),
            kind if is_tool_call(kind) => Some(AgentEvent::Tool {
                message_id: message_id.clone(),
                id: block.text("id").unwrap_or_default(),
                name: block.text("name").unwrap_or_default(),
                input: block.value("input").unwrap_or(Value::Null),
            }),
            _ => None,
        })
        .collect()
}

fn is_tool_call(kind: &str) -> bool {
    matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use")
}

/// `error` is coarse: a used-up subscription comes as `rate_limit`, and only `api_error` tells it apart.
fn error_class(line: &Object<'_>) -> String {
    line.text("api_error")
        .filter(|class| class == "usage_limit_reached")
        .or_else(|| line.text("error"))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn resets_at(line: &Object<'_>) -> Option<i64> {
    line.number("resetsAt").or_else(|| {
        line.object("api_error_params")?
            .object("rate_limit_info")?
            .number("resetsAt")
    })
}

/// Lines of role `user` that the CLI writes: results of tools. Its own words to the model (`isSynthetic`, "request
/// interrupted") and repetitions of ours are not for people.
fn user(line: &Object<'_>) -> Vec<AgentEvent> {
    let Some(message) = line.object("message") else {
        return Vec::new();
    };
    message
        .objects("content")
        .iter()
        .filter(|block| {
            block
                .text("type")
                .is_some_and(|kind| kind.ends_with("tool_result"))
        })
        .filter_map(|block| {
            Some(AgentEvent::ToolResult {
                id: block.text("tool_use_id")?,
                is_error: block.flag("is_error"),
            })
        })
        .collect()
}

fn stream_event(line: &Object<'_>) -> Option<AgentEvent> {
    if of_subagent(line) {
        return None;
    }
    if let Some(abandoned) = line.object("abandoned_blocks") {
        return Some(AgentEvent::Abandoned {
            message_id: abandoned
                .text("api_message_id")
                .or_else(|| line.text("api_message_id"))?,
            from_index: abandoned.number("from_block_index").unwrap_or(0),
        });
    }
    let event = line.object("event")?;
    match event.text("type")?.as_str() {
        "message_start" => Some(AgentEvent::MessageStart {
            message_id: event
                .object("message")
                .and_then(|message| message.text("id"))
                .or_else(|| line.text("api_message_id"))?,
        }),
        "content_block_start" => {
            let block = event.object("content_block")?;
            Some(AgentEvent::BlockStart {
                index: event.number("index")?,
                block: match block.text("type")?.as_str() {
                    "text" => Block::Text,
                    "thinking" | "redacted_thinking" => Block::Thinking,
                    kind if is_tool_call(kind) => Block::Tool {
                        id: block.text("id").unwrap_or_default(),
                        name: block.text("name").unwrap_or_default(),
                    },
                    _ => Block::Other,
                },
            })
        }
        "content_block_delta" => {
            let delta = event.object("delta")?;
            match delta.text("type")?.as_str() {
                "text_delta" => Some(AgentEvent::TextDelta {
                    index: event.number("index")?,
                    text: delta.text("text")?,
                }),
                "thinking_delta" => Some(AgentEvent::ThoughtDelta {
                    text: delta.text("thinking")?,
                }),
                _ => None,
            }
        }
        _ => None,
    }
}

fn system(line: &Object<'_>) -> Option<AgentEvent> {
    match line.text("subtype")?.as_str() {
        "init" => Some(AgentEvent::Init {
            session_id: line.uuid("session_id"),
            model: line.text("model"),
            version: line.text("claude_code_version"),
            directory: line.text("cwd"),
        }),
        "status" if line.text("status").as_deref() == Some("compacting") => {
            Some(AgentEvent::Compacting)
        }
        // Of each request to the model such a line tells, too; the mode stands in it where it changes.
        "status" => Some(AgentEvent::Mode(PermissionMode::of_name(
            &line.text("permissionMode")?,
        )?)),
        "session_state_changed" => match line.text("state")?.as_str() {
            "running" => Some(AgentEvent::Busy),
            "idle" => Some(AgentEvent::Idle),
            _ => None,
        },
        "api_retry" => Some(AgentEvent::Retry {
            attempt: line.number("attempt").unwrap_or(0),
            max: line.number("max_retries").unwrap_or(0),
            delay_ms: milliseconds(line, "retry_delay_ms").unwrap_or(0),
            status: line.number("error_status"),
            error: line.text("error").unwrap_or_else(|| "unknown".to_owned()),
        }),
        _ => None,
    }
}

/// Written as a whole number by the versions that were measured, but JavaScript promises no such thing.
fn milliseconds(line: &Object<'_>, name: &str) -> Option<u64> {
    line.number(name).or_else(|| {
        let number: f64 = line.number(name)?;
        // `as` saturates and takes NaN for 0, which is what is wanted of a number from outside.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(number as u64)
    })
}

fn result(line: &Object<'_>) -> TurnResult {
    let mut prompts: Vec<Uuid> = line
        .texts("user_message_uuids")
        .iter()
        .filter_map(|uuid| Uuid::try_parse(uuid).ok())
        .collect();
    if let Some(last) = line.uuid("user_message_uuid")
        && !prompts.contains(&last)
    {
        prompts.push(last);
    }
    TurnResult {
        subtype: line.text("subtype").unwrap_or_default(),
        is_error: line.flag("is_error"),
        terminal_reason: line.text("terminal_reason"),
        text: line.text("result"),
        errors: line.texts("errors"),
        startup_failure_reason: line.text("startup_failure_reason"),
        api_error_status: line.number("api_error_status"),
        total_cost_usd: line.number("total_cost_usd"),
        duration_ms: milliseconds(line, "duration_ms"),
        prompts,
        session_id: line.uuid("session_id"),
        denials: line
            .objects("permission_denials")
            .iter()
            .filter_map(|denial| {
                Some(Denial {
                    tool: denial.text("tool_name")?,
                    input: denial.value("tool_input").unwrap_or(Value::Null),
                })
            })
            .collect(),
    }
}

fn lifecycle(line: &Object<'_>) -> Option<AgentEvent> {
    Some(AgentEvent::Prompt {
        uuid: line.uuid("command_uuid")?,
        state: match line.text("state")?.as_str() {
            "queued" => PromptState::Queued,
            "started" => PromptState::Started,
            "completed" => PromptState::Completed,
            "cancelled" => PromptState::Cancelled,
            _ => return None,
        },
    })
}

fn asked(line: &Object<'_>) -> Option<AgentEvent> {
    let request = line.object("request")?;
    (request.text("subtype")? == "can_use_tool").then_some(())?;
    let words = |name: &str| request.text(name).filter(|text| !text.trim().is_empty());
    Some(AgentEvent::Asked(Question {
        request_id: line.text("request_id")?,
        tool: request.text("tool_name").unwrap_or_default(),
        input: request.value("input").unwrap_or(Value::Null),
        description: words("description"),
        tool_use_id: request.text("tool_use_id"),
        suggestions: request.values("permission_suggestions"),
        reason: words("decision_reason"),
        dangerous: words("decision_reason_type").is_some_and(|kind| kind == "safetyCheck"),
        blocked_path: words("blocked_path"),
        rule: None,
        place: None,
    }))
}

fn reply(line: &Object<'_>) -> Option<AgentEvent> {
    let response = line.object("response")?;
    let failed = response.text("subtype").is_some_and(|s| s == "error");
    Some(AgentEvent::Reply {
        request_id: response.text("request_id")?,
        error: failed.then(|| {
            response
                .text("error")
                .unwrap_or_else(|| "no reason given".to_owned())
        }),
        code: response.text("error_code").filter(|_| failed),
    })
}
