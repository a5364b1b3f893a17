//! The real Claude Code CLI on the stand-in of the service: the behaviour on which the daemon relies.
//!
//! `tests/agent/install` installs the CLI; where it is absent these tests fail.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use telexd_messages_api::{MessagesApi, real_claude};
use telexd_scripted_agent::host::{DEADLINE, Host, Launch, with_home};
use tempfile::{TempDir, tempdir};
use uuid::Uuid;

struct World {
    api: MessagesApi,
    home: TempDir,
    session: String,
}

impl World {
    fn new() -> Self {
        Self {
            api: MessagesApi::start(),
            home: tempdir().unwrap(),
            session: Uuid::new_v4().to_string(),
        }
    }

    fn launch(&self) -> Launch {
        Launch::new(&real_claude(), self.home.path())
            .env("ANTHROPIC_BASE_URL", self.api.url())
            .env("ANTHROPIC_API_KEY", "dummy")
    }

    fn start(&self) -> Host {
        self.launch().arg("--session-id").arg(&self.session).start()
    }

    /// What the CLI keeps of the session on disk.
    fn transcript(&self) -> String {
        let Ok(projects) = fs::read_dir(self.home.path().join(".claude/projects")) else {
            return String::new();
        };
        let file = format!("{}.jsonl", self.session);
        projects
            .flatten()
            .filter_map(|p| fs::read_to_string(p.path().join(&file)).ok())
            .collect()
    }

    fn resume(&self) -> Host {
        self.launch()
            .arg(format!("--resume={}", self.session))
            .start()
    }
}

/// Waits for a condition that nobody tells of.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn streamed(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|l| l["event"]["delta"]["text"].as_str())
        .collect()
}

#[test]
fn it_is_the_version_that_was_measured() {
    let out = std::process::Command::new(real_claude())
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "2.1.330 (Claude Code)\n"
    );
}

#[test]
fn an_answer_and_what_is_sent_for_it() {
    let world = World::new();
    let mut host = world.start();
    // A mention and a slash command of chat text are delivered as they are.
    let prompt = "look at @/etc/passwd";
    assert_eq!(host.result_of(prompt)["result"], format!("echo: {prompt}"));
    assert_eq!(host.result_of("/cost")["result"], "echo: /cost");
    let requests = world.api.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/v1/messages")
        );
        assert!(request.has_key());
        assert_eq!(request.header("x-api-key"), Some("present"));
        assert!(!request.body.to_string().contains("root:x:0:0"));
        assert_eq!(
            request.ask.as_ref().unwrap().session.as_deref(),
            Some(world.session.as_str())
        );
    }
    assert_eq!(
        world.api.prompts_seen(),
        [("/cost".to_owned(), 1), (prompt.to_owned(), 1)]
    );
}

#[test]
fn text_is_streamed_and_may_be_held_back() {
    let world = World::new();
    let prompt = r#"@fake {"text":"word ","repeat":40,"chunk":5,"delay_ms":20}"#;
    let mut host = world.start();
    let result = host.result_of(prompt);
    let pieces = streamed(&host.lines);
    assert_eq!(result["result"], pieces.concat());
    let free = pieces.len();
    assert!(free > 20, "{free} pieces");
    drop(host);
    let mut host = world
        .launch()
        .arg(format!("--resume={}", world.session))
        .env("CLAUDE_CODE_STREAM_EVENT_HOLD_MS", "300")
        .start();
    let result = host.result_of(prompt);
    let pieces = streamed(&host.lines);
    assert_eq!(result["result"], pieces.concat());
    assert!(
        (2..free / 2).contains(&pieces.len()),
        "{pieces:?}, {free} without"
    );
}

#[test]
fn a_tool_is_asked_for_and_obeys() {
    let world = World::new();
    let mut host = world.start();
    let file = |name: &str| world.home.path().join(name);
    host.prompt("ask");
    let question = host.of("control_request");
    assert_eq!(question["request"]["input"]["command"], "touch asked.txt");
    host.answer(
        &question,
        &json!({"behavior": "deny", "message": "not now"}),
    );
    assert_eq!(host.of("result")["result"], "denied");
    assert!(!file("asked.txt").exists());
    host.prompt("ask");
    let question = host.of("control_request");
    host.answer(
        &question,
        &json!({"behavior": "allow", "updatedInput": {"command": "touch other.txt"}}),
    );
    assert_eq!(host.of("result")["result"], "allowed");
    assert!(!file("asked.txt").exists() && file("other.txt").exists());
    // Remembered for the session: not asked again.
    host.prompt("ask");
    let question = host.of("control_request");
    let rules = json!([{"type": "addRules", "rules": [{"toolName": "Bash", "ruleContent": "touch asked.txt"}], "behavior": "allow", "destination": "session"}]);
    host.answer(&question, &json!({"behavior": "allow", "updatedInput": question["request"]["input"], "updatedPermissions": rules}));
    host.of("result");
    host.lines.clear();
    assert_eq!(host.result_of("ask")["result"], "allowed");
    assert!(host.lines.iter().all(|l| l["type"] != "control_request"));
}

#[test]
fn a_killed_agent_is_resumed() {
    let world = World::new();
    let mut host = world
        .launch()
        .arg("--session-id")
        .arg(&world.session)
        .arg("--allowedTools")
        .arg("Bash")
        .start();
    host.result_of("say before");
    host.prompt(r#"@fake [{"tool":"Bash","input":{"command":"echo begun > begun.txt; sleep 300"}},{"text":"never"}]"#);
    eventually("the tool runs", || {
        world.home.path().join("begun.txt").exists()
    });
    // The transcript is written in batches, a tenth of a second behind: before that a SIGKILL takes the prompt with it,
    // although its tool already runs.
    eventually("the call is in the transcript", || {
        world
            .transcript()
            .lines()
            .any(|l| l.contains("begun.txt") && l.contains("\"tool_use\""))
    });
    host.signal(Signal::SIGKILL);
    host.exit();
    // The tool outlives the agent: whoever kills one has to look for it.
    assert!(!with_home(world.home.path()).is_empty());
    drop(host);
    assert!(with_home(world.home.path()).is_empty());
    let mut host = world.resume();
    let result = host.result_of("say after");
    assert_eq!(
        (result["result"].as_str(), result["session_id"].as_str()),
        (Some("after"), Some(world.session.as_str()))
    );
    let seen = world.api.prompts_seen();
    assert!(
        seen.iter().all(|(_, times)| *times == 1) && seen.len() == 3,
        "{seen:?}"
    );
    let last = world.api.requests().pop().unwrap().body["messages"].to_string();
    assert!(last.contains("outcome is unknown"), "{last}");
}

#[test]
fn errors_of_the_service_do_not_end_it() {
    let world = World::new();
    let mut host = world
        .launch()
        .arg("--session-id")
        .arg(&world.session)
        .env("CLAUDE_CODE_MAX_RETRIES", "1")
        .start();
    for (status, name) in [
        (401, "authentication_failed"),
        (429, "rate_limit"),
        (500, "server_error"),
    ] {
        host.lines.clear();
        let result = host.result_of(&format!("error {status}"));
        assert_eq!(
            (result["is_error"].clone(), result["subtype"].clone()),
            (json!(true), json!("success"))
        );
        assert_eq!(
            (
                result["terminal_reason"].clone(),
                result["api_error_status"].clone()
            ),
            (json!("api_error"), json!(status))
        );
        let retries: Vec<&Value> = host
            .lines
            .iter()
            .filter(|l| l["subtype"] == "api_retry")
            .collect();
        assert_eq!(retries.len(), 1);
        assert_eq!(
            (
                retries[0]["error_status"].clone(),
                retries[0]["error"].clone()
            ),
            (json!(status), json!(name))
        );
    }
    assert_eq!(host.result_of("say still here")["result"], "still here");
    host.close();
    assert_eq!(host.exit().code(), Some(0));
}

/// Lines of a file, and whether it ends in a line end.
fn lines_of(path: &Path) -> (Vec<Value>, bool) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.ends_with('\n') || text.is_empty();
    let lines = text.split_inclusive('\n').filter(|l| l.ends_with('\n'));
    (
        lines.map(|l| serde_json::from_str(l).unwrap()).collect(),
        whole,
    )
}

#[test]
fn output_into_a_file_comes_promptly_and_whole() {
    let world = World::new();
    let path = world.home.path().join("output.jsonl");
    fs::write(&path, "{\"before\":true}\n").unwrap();
    let mut host = world
        .launch()
        .arg("--session-id")
        .arg(&world.session)
        .output(&path)
        .start();
    host.prompt(r#"@fake {"text":"0123456789","repeat":30,"chunk":10,"delay_ms":40}"#);
    let has = |what: &dyn Fn(&Value) -> bool| lines_of(&path).0.iter().any(what);
    // Pieces are there while later ones have not been sent: nothing is held back for a full buffer.
    let mut growth = 0;
    let mut seen = 0;
    eventually("the result", || {
        let lines = lines_of(&path).0;
        let now = streamed(&lines).len();
        if now > seen {
            seen = now;
            growth += 1;
        }
        lines.iter().any(|l| l["type"] == "result")
    });
    assert!(growth > 2, "the text came in {growth} bursts");
    // A line of some size is whole, too, and so is what comes after it.
    host.prompt(r#"@fake {"text":"0123456789","repeat":40000,"chunk":200000}"#);
    eventually("the second result", || {
        has(&|l| l["type"] == "result" && l["result_index"] == 1)
    });
    host.close();
    assert_eq!(host.exit().code(), Some(0));
    let (lines, whole) = lines_of(&path);
    assert!(whole && lines[0]["before"] == true);
    let long = lines
        .iter()
        .filter(|l| l["type"] == "assistant")
        .filter_map(|l| l["message"]["content"][0]["text"].as_str());
    assert_eq!(long.map(str::len).collect::<Vec<_>>(), [300, 400_000]);
}

#[test]
fn input_may_come_in_any_pieces() {
    let world = World::new();
    let mut host = world.start();
    let line = |text: &str| {
        let mut line = json!({"type": "user", "client_composed": true, "message": {"role": "user", "content": text}}).to_string();
        line.push('\n');
        line
    };
    let first = line("say in pieces");
    for piece in first.as_bytes().chunks(7) {
        host.raw(piece);
    }
    assert_eq!(host.of("result")["result"], "in pieces");
    // A long one, and one right behind it.
    let long = format!("say {}", "x".repeat(1_000_000));
    host.raw((line(&long) + &line("say and another")).as_bytes());
    let mut results = String::new();
    while !results.contains("and another") {
        results.push_str(host.of("result")["result"].as_str().unwrap());
    }
    assert!(results.contains(&long[4..]));
}

#[test]
fn nothing_is_left_behind() {
    let world = World::new();
    let mut host = world
        .launch()
        .arg("--session-id")
        .arg(&world.session)
        .arg("--allowedTools")
        .arg("Bash")
        .start();
    host.prompt(r#"@fake [{"tool":"Bash","input":{"command":"echo begun > begun.txt; (setsid sleep 300 &) ; sleep 300"}}]"#);
    eventually("the tool runs", || {
        world.home.path().join("begun.txt").exists()
    });
    drop(host);
    assert!(with_home(world.home.path()).is_empty());
}
