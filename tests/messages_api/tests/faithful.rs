//! The scripted agent is compared with the real CLI: both play the same scenes, and what a host reads of their lines
//! must be the same, in the same order.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};
use telexd_messages_api::{MessagesApi, real_claude};
use telexd_scripted_agent::{
    binary,
    host::{Host, Launch, kind},
};
use tempfile::tempdir;
use uuid::Uuid;

/// The fields that a host reads, per type of line. A trailing `=` means that the value counts, else only its JSON type.
fn fields(line: &Value) -> &'static [&'static str] {
    match line["type"].as_str().unwrap_or_default() {
        "control_response" => &[
            "response.subtype=",
            "response.request_id=",
            "response.response.still_queued",
            "response.response.cancelled",
            "response.response.claude_code_version=",
            "response.error_code=",
        ],
        "control_request" => &[
            "request_id",
            "request.subtype=",
            "request.tool_name=",
            "request.input=",
            "request.description=",
            "request.tool_use_id",
            "request.permission_suggestions",
        ],
        "control_cancel_request" => &["request_id"],
        "command_lifecycle" => &["command_uuid", "state=", "session_id"],
        "system" => &[
            "subtype=",
            "session_id",
            "model",
            "claude_code_version=",
            "permissionMode=",
            "state=",
            "status=",
            "attempt=",
            "max_retries=",
            "retry_delay_ms",
            "error_status=",
            "error=",
        ],
        "stream_event" => &[
            "event.type=",
            "event.index=",
            "event.message.id",
            "event.content_block.type=",
            "event.content_block.id",
            "event.content_block.name=",
            "event.delta.type=",
            "event.delta.stop_reason=",
            "parent_tool_use_id=",
            "api_message_id",
            "abandoned_blocks.api_message_id",
            "abandoned_blocks.from_block_index=",
            "session_id",
        ],
        "assistant" => &[
            "message.id",
            "message.content.0.type=",
            "message.content.0.text=",
            "message.content.0.id",
            "message.content.0.name=",
            "message.content.0.input=",
            "parent_tool_use_id=",
            "error=",
            "aborted=",
            "user_message_uuids",
            "session_id",
        ],
        "user" => &[
            "message.content.0.type=",
            "message.content.0.tool_use_id",
            "message.content.0.is_error=",
            "parent_tool_use_id=",
            "isSynthetic=",
            "session_id",
        ],
        "result" => &[
            "subtype=",
            "is_error=",
            "terminal_reason=",
            "result=",
            "errors",
            "api_error_status=",
            "total_cost_usd",
            "duration_ms",
            "num_turns",
            "user_message_uuids",
            "session_id",
            "startup_failure_reason=",
        ],
        _ => &[],
    }
}

fn get<'a>(mut value: &'a Value, path: &str) -> Option<&'a Value> {
    for part in path.split('.') {
        value = match part.parse::<usize>() {
            Ok(index) => value.get(index)?,
            Err(_) => value.get(part)?,
        };
    }
    Some(value)
}

/// What a host reads of a line.
fn read(line: &Value) -> String {
    let mut found = Map::new();
    for field in fields(line) {
        let (path, counts) = field
            .strip_suffix('=')
            .map_or((*field, false), |path| (path, true));
        if let Some(value) = get(line, path) {
            // How far a broken-off text got is a matter of time.
            let counts = counts && !(path == "message.content.0.text" && line["aborted"] == true);
            let seen = match value {
                _ if counts => value.clone(),
                Value::Array(list) => json!(format!("list of {}", list.len().min(1))),
                Value::String(_) => json!("text"),
                Value::Number(_) => json!("number"),
                other => other.clone(),
            };
            found.insert(path.to_owned(), seen);
        }
    }
    format!("{} {}", kind(line), Value::Object(found))
}

/// The lines without what may differ: how text is cut into pieces, and where in the end of a message a question comes.
fn normal(lines: &[Value]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut question: Option<String> = None;
    // Kinds of pieces of the block at hand.
    let mut block: Vec<String> = Vec::new();
    for line in lines {
        // Kinds of which a host reads nothing.
        if matches!(
            line["subtype"].as_str(),
            Some("thinking_tokens" | "task_started" | "task_notification")
        ) {
            continue;
        }
        let text = read(line);
        if line["type"] == "control_request" {
            question = Some(text);
            continue;
        }
        let rest_of_message = matches!(
            line["event"]["type"].as_str(),
            Some("content_block_stop" | "message_delta" | "message_stop")
        );
        if !rest_of_message {
            out.extend(question.take());
        }
        let kind = line["event"]["type"].as_str();
        if kind == Some("content_block_start") {
            block.clear();
        }
        if kind == Some("content_block_delta") {
            if block.contains(&text) {
                continue;
            }
            block.push(text.clone());
        }
        out.push(text);
    }
    out.extend(question);
    out
}

type Scenes = Vec<(&'static str, Vec<String>)>;

/// Ends a scene.
fn cut(scenes: &mut Scenes, name: &'static str, host: &mut Host) {
    scenes.push((name, normal(&std::mem::take(&mut host.lines))));
}

fn delta(host: &mut Host) {
    host.until("delta", |l| l["event"]["type"] == "content_block_delta");
}

/// The scenes of one process.
fn play(host: &mut Host) -> Scenes {
    let mut scenes = Vec::new();
    host.control(&json!({"subtype": "initialize"}));
    host.of("control_response");
    cut(&mut scenes, "initialize", host);
    for prompt in [
        "hello",
        "think it over",
        "long 3000",
        "slow 5 x4",
        "tools 2",
        "error 400",
        "error 403",
        "error 404",
        r#"@fake {"error":401,"should_retry":false}"#,
        r#"@fake {"error":429,"retry_after":3600}"#,
        "error 500 x1",
        "error 429 x1",
        "error 401 x1",
        "reset",
        r#"@fake [{"eof":"mid","text":"partial","times":1},{"text":"whole"}]"#,
        r#"@fake [{"sse_error":"overloaded_error","text":"partial","times":1},{"text":"whole"}]"#,
        r#"@fake [{"reset":"headers","times":1},{"text":"whole"}]"#,
        r#"@fake [{"text":"cut","stop_reason":"max_tokens"},{"text":"more"}]"#,
        r#"@fake [{"text":"cut","stop_reason":"refusal"},{"text":"more"}]"#,
    ] {
        host.prompt(prompt);
        host.idle();
        scenes.push((prompt, normal(&std::mem::take(&mut host.lines))));
    }
    for (name, answer) in [
        ("denied", json!({"behavior": "deny", "message": "no"})),
        (
            "denied with an interrupt",
            json!({"behavior": "deny", "message": "no", "interrupt": true}),
        ),
        (
            "allowed",
            json!({"behavior": "allow", "updatedInput": {"command": "touch asked.txt"}}),
        ),
    ] {
        host.prompt("ask");
        let question = host.of("control_request");
        host.answer(&question, &answer);
        host.idle();
        cut(&mut scenes, name, host);
    }
    host.prompt("slow 20 x500");
    delta(host);
    host.control(&json!({"subtype": "interrupt"}));
    host.idle();
    cut(&mut scenes, "interrupt in mid-answer", host);
    host.prompt("ask");
    host.of("control_request");
    host.control(&json!({"subtype": "interrupt"}));
    host.idle();
    cut(&mut scenes, "interrupt in a question", host);
    host.prompt("hang");
    delta(host);
    host.control(&json!({"subtype": "interrupt"}));
    host.idle();
    cut(&mut scenes, "interrupt in a silence", host);
    host.prompt(r#"@fake {"hang":"headers"}"#);
    host.until("requesting", |l| l["status"] == "requesting");
    host.control(&json!({"subtype": "interrupt"}));
    host.idle();
    cut(&mut scenes, "interrupt before the first word", host);
    host.control(&json!({"subtype": "interrupt"}));
    host.of("control_response");
    host.control(&json!({"subtype": "no_such_thing"}));
    host.of("control_response");
    cut(&mut scenes, "control requests while idle", host);
    host.prompt("slow 20 x20");
    delta(host);
    for text in ["B", "C"] {
        let uuid = host.prompt(text).to_string();
        host.until("queued", |l| {
            l["command_uuid"] == uuid && l["state"] == "queued"
        });
    }
    host.idle();
    cut(&mut scenes, "prompts in mid-answer", host);
    let first = host.prompt("ask").to_string();
    let question = host.of("control_request");
    let uuid = host.prompt("and this").to_string();
    host.until("queued", |l| {
        l["command_uuid"] == uuid && l["state"] == "queued"
    });
    host.answer(&question, &json!({"behavior": "deny", "message": "no"}));
    let result = host.of("result");
    assert_eq!(result["user_message_uuids"], json!([first, uuid]));
    host.idle();
    cut(&mut scenes, "a prompt between tools", host);
    host.prompt("slow 20 x500");
    delta(host);
    let uuid = host.prompt("dropped").to_string();
    host.until("queued", |l| {
        l["command_uuid"] == uuid && l["state"] == "queued"
    });
    host.control(&json!({"subtype": "interrupt", "cancel_queued": true}));
    host.idle();
    cut(&mut scenes, "interrupt that drops the queue", host);
    host.prompt("slow 20 x500");
    delta(host);
    host.control(&json!({"subtype": "end_session"}));
    host.rest();
    cut(&mut scenes, "end of the session in mid-answer", host);
    let status = host.exit();
    scenes.push(("exit", vec![format!("{status:?}")]));
    scenes
}

#[test]
fn both_say_the_same() {
    let api = MessagesApi::start();
    let session = Uuid::new_v4().to_string();
    let of = |program: &Path| {
        let home = tempdir().unwrap();
        let launch = Launch::new(program, home.path())
            .env("ANTHROPIC_BASE_URL", api.url())
            .env("ANTHROPIC_API_KEY", "dummy");
        // The model's name stands in some texts.
        let launch = launch.arg("--model").arg("claude-opus-5-5");
        play(&mut launch.arg("--session-id").arg(&session).start())
    };
    compare(&of(&real_claude()), &of(&binary()));
}

fn compare(real: &Scenes, scripted: &Scenes) {
    assert_eq!(real.len(), scripted.len());
    let mut differences = Vec::new();
    for ((name, real), (_, scripted)) in real.iter().zip(scripted) {
        if real != scripted {
            differences.push(format!("{name}\n{}", diff(real, scripted)));
        }
    }
    assert!(
        differences.is_empty(),
        "- real, + scripted\n{}",
        differences.join("\n")
    );
}

/// Ends of processes: one scene each.
fn ends(program: &Path, api: &MessagesApi) -> Scenes {
    type Act<'a> = &'a dyn Fn(&mut Host);
    let mut scenes = Vec::new();
    let home = tempdir().unwrap();
    let launch = Launch::new(program, home.path())
        .env("ANTHROPIC_BASE_URL", api.url())
        .env("ANTHROPIC_API_KEY", "dummy");
    let session = Uuid::new_v4().to_string();
    let mut scene = |name: &'static str, launch: Launch, act: Act<'_>| {
        let mut host = launch.start();
        act(&mut host);
        host.rest();
        let mut lines = normal(&std::mem::take(&mut host.lines));
        lines.push(format!("{:?}", host.exit()));
        scenes.push((name, lines));
    };
    let new = launch.clone().arg("--session-id").arg(&session);
    let again = launch.clone().arg(format!("--resume={session}"));
    let unknown = launch.arg(format!("--resume={}", Uuid::new_v4()));
    let slow = |host: &mut Host| {
        host.prompt("slow 20 x20");
        delta(host);
    };
    scene("resume of an unknown session", unknown, &|h| {
        h.prompt("hello");
    });
    scene("a process without a prompt", new.clone(), &|h| {
        h.control(&json!({"subtype": "initialize"}));
        h.of("control_response");
        h.close();
    });
    scene(
        "the same id once more, end of input in mid-answer",
        new.clone(),
        &|h| {
            slow(h);
            h.close();
        },
    );
    scene("an id in use", new, &|h| {
        h.prompt("hello");
    });
    scene("end of input in a question", again.clone(), &|h| {
        h.prompt("ask");
        h.of("control_request");
        h.close();
    });
    scene("SIGTERM in mid-answer", again.clone(), &|h| {
        slow(h);
        // Up to here the answer is the same in both; what comes after the signal is a matter of time.
        h.lines.clear();
        h.signal(Signal::SIGTERM);
        h.rest();
        h.lines.clear();
    });
    scene("SIGINT in mid-answer", again.clone(), &|h| {
        slow(h);
        h.signal(Signal::SIGINT);
    });
    scene("SIGINT while idle", again.clone(), &|h| {
        h.prompt("hello");
        h.idle();
        h.signal(Signal::SIGINT);
    });
    scene("end of an idle session", again.clone(), &|h| {
        h.prompt("hello");
        h.idle();
        h.control(&json!({"subtype": "end_session"}));
    });
    scene("a line that is not JSON", again.clone(), &|h| {
        h.raw(b"{\"type\":\n");
    });
    scene("a message of another role", again.clone(), &|h| {
        h.send(&json!({"type": "user", "message": {"role": "assistant", "content": "x"}}));
    });
    scene("harmless lines, an error at the end", again, &|h| {
        for line in [
            json!({}),
            json!({"type": "keep_alive"}),
            json!({"type": "control_response", "response": {"request_id": "x", "subtype": "success"}}),
        ] {
            h.send(&line);
        }
        h.raw(b"\n");
        h.prompt("error 400");
        h.idle();
        h.close();
    });
    scenes
}

#[test]
fn both_end_the_same() {
    let api = MessagesApi::start();
    compare(&ends(&real_claude(), &api), &ends(&binary(), &api));
}

/// A turn that nobody asked for: what follows the answer to `prompt`.
fn unasked(program: &Path, api: &MessagesApi, prompt: &str) -> Scenes {
    let home = tempdir().unwrap();
    let launch = Launch::new(program, home.path())
        .env("ANTHROPIC_BASE_URL", api.url())
        .env("ANTHROPIC_API_KEY", "dummy");
    let mut host = launch.arg("--allowedTools").arg("Bash").start();
    host.prompt(prompt);
    host.idle();
    host.lines.clear();
    host.idle();
    let mut scenes = Vec::new();
    // What the tasks of the real one say meanwhile is not read.
    host.lines.retain(|l| {
        !matches!(
            l["subtype"].as_str(),
            Some("task_updated" | "background_tasks_changed")
        )
    });
    cut(&mut scenes, "a turn that nobody asked for", &mut host);
    scenes
}

#[test]
fn both_report_without_being_asked() {
    let api = MessagesApi::start();
    let tool =
        r#"{"tool":"Bash","input":{"command":"echo a; sleep 1; echo b","run_in_background":true}}"#;
    let prompt =
        format!(r#"@fake [{tool},{{"text":"started"}},{{"text":"the background work is done"}}]"#);
    compare(
        &unasked(&real_claude(), &api, &prompt),
        &unasked(&binary(), &api, "background 300"),
    );
}

/// A difference of two lists, for people.
fn diff(a: &[String], b: &[String]) -> String {
    let mut out = String::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x == y => {
                out.push_str(&format!(
                    "    {}\n",
                    x.split(" {").next().unwrap_or_default()
                ));
                (i, j) = (i + 1, j + 1);
            }
            (Some(x), _) if !b[j.min(b.len())..].contains(x) => {
                out.push_str(&format!("  - {x}\n"));
                i += 1;
            }
            (_, Some(y)) => {
                out.push_str(&format!("  + {y}\n"));
                j += 1;
            }
            (Some(x), None) => {
                out.push_str(&format!("  - {x}\n"));
                i += 1;
            }
            (None, None) => break,
        }
    }
    out
}
