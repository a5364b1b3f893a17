//! The stand-in as a process.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::HashSet,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};
use telexd_scripted_agent::{
    history::Evidence,
    host::{Host, Launch, kind},
};
use tempfile::{TempDir, tempdir};
use uuid::Uuid;

fn new_session() -> (TempDir, String) {
    (tempdir().unwrap(), Uuid::new_v4().to_string())
}

fn launch(home: &Path) -> Launch {
    Launch::new(Path::new(env!("CARGO_BIN_EXE_telexd-scripted-agent")), home)
}

fn start(home: &TempDir, session: &str) -> Host {
    launch(home.path()).arg("--session-id").arg(session).start()
}

fn resume(home: &TempDir, session: &str) -> Host {
    launch(home.path())
        .arg(format!("--resume={session}"))
        .start()
}

fn result_of(host: &mut Host, prompt: &str) -> Value {
    host.result_of(prompt)
}

#[test]
fn version() {
    let out = Command::new(env!("CARGO_BIN_EXE_telexd-scripted-agent"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(out.stdout).unwrap(),
        "2.1.330 (Claude Code)\n"
    );
}

#[test]
fn a_plain_turn_has_the_lines_of_the_real_one() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    host.control(&json!({"subtype": "initialize"}));
    let uuid = host.prompt("hello");
    host.until("idle", |l| l["state"] == "idle");
    let kinds: Vec<String> = host.lines.iter().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "control_response",
            "system session_state_changed running",
            "command_lifecycle queued",
            "command_lifecycle started",
            "system init",
            "system status requesting",
            "stream_event message_start",
            "stream_event content_block_start",
            "stream_event content_block_delta",
            "assistant text",
            "stream_event content_block_stop",
            "stream_event message_delta",
            "stream_event message_stop",
            "result success",
            "command_lifecycle completed",
            "system session_state_changed idle",
        ]
    );
    let result = &host.lines[13];
    assert_eq!(result["result"], "echo: hello");
    assert_eq!(result["user_message_uuids"], json!([uuid.to_string()]));
    assert_eq!(result["session_id"], session.as_str());
    host.close();
    assert_eq!(host.exit().code(), Some(0));
}

#[test]
fn a_long_answer_is_whole_in_pieces_and_at_the_end() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    let result = result_of(&mut host, "long 9000");
    let streamed: String = host
        .lines
        .iter()
        .filter_map(|l| l["event"]["delta"]["text"].as_str())
        .collect();
    assert_eq!(streamed.chars().count(), 9000);
    assert_eq!(result["result"], streamed.as_str());
}

#[test]
fn resume_needs_a_conversation_and_keeps_its_cost() {
    let (home, session) = new_session();
    // A process that never began a prompt leaves nothing to resume.
    let mut host = start(&home, &session);
    host.close();
    assert_eq!(host.exit().code(), Some(0));
    let mut host = resume(&home, &session);
    let result = host.of("result");
    assert_eq!(
        (result["is_error"].clone(), result["num_turns"].clone()),
        (json!(true), json!(0))
    );
    assert!(
        result["errors"][0]
            .as_str()
            .unwrap()
            .starts_with("No conversation found with session ID")
    );
    assert_eq!(host.exit().code(), Some(1));
    // It can be begun under the same id, once.
    let mut host = start(&home, &session);
    let first = result_of(&mut host, "one")["total_cost_usd"]
        .as_f64()
        .unwrap();
    host.close();
    host.exit();
    let mut host = start(&home, &session);
    assert_eq!(host.exit().code(), Some(1));
    let mut host = resume(&home, &session);
    let second = result_of(&mut host, "two")["total_cost_usd"]
        .as_f64()
        .unwrap();
    assert!(second > first && first > 0.0, "{first} {second}");
    host.close();
    host.exit();
    let reached = Evidence::read(home.path()).unwrap().reached();
    let counts: Vec<(&str, u32, u32, u32)> = reached
        .iter()
        .map(|r| (r.text.as_str(), r.times, r.begun, r.answered))
        .collect();
    assert_eq!(
        counts.iter().collect::<HashSet<_>>(),
        HashSet::from([&("one", 1, 1, 1), &("two", 1, 1, 1)])
    );
}

#[test]
fn two_live_processes_on_one_session_are_noted() {
    let (home, session) = new_session();
    let mut first = start(&home, &session);
    result_of(&mut first, "one");
    assert_eq!(Evidence::read(home.path()).unwrap().violations(), 0);
    let mut second = resume(&home, &session);
    result_of(&mut second, "two");
    assert_eq!(Evidence::read(home.path()).unwrap().violations(), 1);
}

#[test]
fn a_question_is_asked_and_its_answer_taken() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    for (answer, word) in [
        (json!({"behavior": "deny", "message": "no"}), "denied"),
        (
            json!({"behavior": "allow", "updatedInput": {"command": "touch asked.txt"}}),
            "allowed",
        ),
    ] {
        host.prompt("ask");
        let question = host.of("control_request");
        assert_eq!(question["request"]["subtype"], "can_use_tool");
        assert_eq!(question["request"]["tool_name"], "Bash");
        host.answer(&question, &answer);
        let back = host.until("tool result", |l| {
            l["message"]["content"][0]["type"] == "tool_result"
        });
        assert_eq!(back["message"]["content"][0]["is_error"], word == "denied");
        assert_eq!(host.of("result")["result"], word);
    }
    assert!(!home.path().join("asked.txt").exists());
}

#[test]
fn remembered_rules_are_not_asked_again() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    host.prompt("ask");
    let question = host.of("control_request");
    let update = json!([{"type": "addRules", "behavior": "allow", "destination": "session", "rules": question["request"]["permission_suggestions"][0]["rules"]}]);
    host.answer(
        &question,
        &json!({"behavior": "allow", "updatedPermissions": update}),
    );
    host.of("result");
    host.lines.clear();
    assert_eq!(result_of(&mut host, "ask")["result"], "allowed");
    assert!(host.lines.iter().all(|l| l["type"] != "control_request"));
}

#[test]
fn interrupts() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    // In mid-answer: the partial text is told.
    host.prompt("slow 20 x500");
    host.until("delta", |l| l["event"]["type"] == "content_block_delta");
    host.control(&json!({"subtype": "interrupt"}));
    let partial = host.until("aborted text", |l| l["aborted"] == true);
    assert!(
        partial["message"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with("piece 00001")
    );
    let result = host.of("result");
    assert_eq!(
        (
            result["terminal_reason"].clone(),
            result["is_error"].clone()
        ),
        (json!("aborted_streaming"), json!(true))
    );
    host.until("cancelled", |l| l["state"] == "cancelled");
    // In a question: it is withdrawn.
    host.prompt("ask");
    let question = host.of("control_request");
    host.control(&json!({"subtype": "interrupt"}));
    assert_eq!(
        host.of("control_cancel_request")["request_id"],
        question["request_id"]
    );
    assert_eq!(host.of("result")["terminal_reason"], "aborted_tools");
    // In silence; a queued prompt still runs.
    host.prompt("hang");
    host.until("delta", |l| l["event"]["type"] == "content_block_delta");
    let queued = host.prompt("say next");
    host.until("queued", |l| {
        l["state"] == "queued" && l["command_uuid"] == queued.to_string()
    });
    host.control(&json!({"subtype": "interrupt"}));
    assert_eq!(
        host.of("control_response")["response"]["response"]["still_queued"],
        json!([queued.to_string()])
    );
    host.of("result");
    assert_eq!(host.of("result")["result"], "next");
    // Idle: harmless.
    host.control(&json!({"subtype": "interrupt"}));
    host.of("control_response");
    assert_eq!(result_of(&mut host, "say alive")["result"], "alive");
}

#[test]
fn prompts_that_come_during_a_turn() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    // Text only: they wait, and are taken together.
    host.prompt("slow 20 x10");
    host.until("delta", |l| l["event"]["type"] == "content_block_delta");
    let (b, c) = (host.prompt("queued B"), host.prompt("queued C"));
    host.of("result");
    let both = host.of("result");
    assert_eq!(
        both["user_message_uuids"],
        json!([b.to_string(), c.to_string()])
    );
    assert_eq!(both["result"], "echo: queued B\nqueued C");
    // Between tools: they are folded in.
    let first = host.prompt("ask");
    let question = host.of("control_request");
    let folded = host.prompt("and this");
    host.until("queued", |l| {
        l["state"] == "queued" && l["command_uuid"] == folded.to_string()
    });
    host.answer(&question, &json!({"behavior": "allow"}));
    let result = host.of("result");
    assert_eq!(
        result["user_message_uuids"],
        json!([first.to_string(), folded.to_string()])
    );
    assert_eq!(result["result"], "allowed\n\nalso: and this");
}

#[test]
fn errors_of_the_service() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    let result = result_of(&mut host, "error 429 x2");
    assert_eq!(result["result"], "ok after the error");
    assert_eq!(
        host.lines
            .iter()
            .filter(|l| l["subtype"] == "api_retry" && l["error"] == "rate_limit")
            .count(),
        2
    );
    host.lines.clear();
    let result = result_of(&mut host, "error 401");
    assert_eq!(
        (
            result["terminal_reason"].clone(),
            result["api_error_status"].clone()
        ),
        (json!("api_error"), json!(401))
    );
    assert_eq!(
        host.lines
            .iter()
            .filter(|l| l["subtype"] == "api_retry")
            .count(),
        3
    );
    assert!(
        host.lines
            .iter()
            .any(|l| l["type"] == "assistant" && l["error"] == "authentication_failed")
    );
    host.lines.clear();
    assert_eq!(
        result_of(&mut host, "reset")["result"],
        "ok after the reset"
    );
    let broken = host
        .lines
        .iter()
        .find(|l| l["abandoned_blocks"].is_object())
        .unwrap();
    assert_eq!(broken["abandoned_blocks"]["from_block_index"], 0);
    result_of(&mut host, "error 400");
    host.close();
    assert_eq!(host.exit().code(), Some(1), "the last result was an error");
}

#[test]
fn a_report_that_nobody_asked_for() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    let first = result_of(&mut host, "background 30");
    assert_eq!(first["result"], "started");
    host.close();
    let second = host.of("result");
    assert_eq!(second["result"], "the background work is done");
    assert!(second.get("user_message_uuids").is_none());
    assert_eq!(second["origin"]["kind"], "task-notification");
    assert_eq!(host.exit().code(), Some(0));
}

#[test]
fn ends() {
    let (home, session) = new_session();
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Host), Option<i32>, Option<i32>);
    let cases: [Case<'_>; 7] = [
        ("SIGTERM", &|h| h.signal(Signal::SIGTERM), Some(143), None),
        ("SIGHUP", &|h| h.signal(Signal::SIGHUP), Some(129), None),
        ("SIGINT", &|h| h.signal(Signal::SIGINT), Some(0), None),
        ("SIGKILL", &|h| h.signal(Signal::SIGKILL), None, Some(9)),
        (
            "end_session",
            &|h| h.control(&json!({"subtype": "end_session"})),
            Some(1),
            None,
        ),
        ("not JSON", &|h| h.raw(b"{\"type\":\n"), Some(1), None),
        ("EOF", &Host::close, Some(0), None),
    ];
    for (at, (name, act, code, by)) in cases.iter().enumerate() {
        let mut host = if at == 0 {
            start(&home, &session)
        } else {
            resume(&home, &session)
        };
        host.prompt("slow 10 x30");
        host.until("delta", |l| l["event"]["type"] == "content_block_delta");
        act(&mut host);
        let status = host.exit();
        assert_eq!((status.code(), status.signal()), (*code, *by), "{name}");
    }
    assert_eq!(Evidence::read(home.path()).unwrap().violations(), 0);
}

#[test]
fn deaths_in_mid_answer() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    host.prompt("die 7");
    assert_eq!(host.exit().code(), Some(7));
    // Too early for the transcript: there is nothing to resume, and the id is free.
    assert_eq!(resume(&home, &session).exit().code(), Some(1));
    result_of(&mut start(&home, &session), "hello");
    for name in ["KILL", "SEGV", "ABRT"] {
        let mut host = resume(&home, &session);
        host.prompt(&format!("die {name}"));
        let status = host.exit();
        assert_eq!(
            status.signal(),
            Some(format!("SIG{name}").parse::<Signal>().unwrap() as i32),
            "{name}"
        );
    }
    let mut host = resume(&home, &session);
    host.prompt("die KILL once");
    assert_eq!(host.exit().signal(), Some(9));
    let mut host = resume(&home, &session);
    assert_eq!(
        result_of(&mut host, "die KILL once")["result"],
        "alive again"
    );
    let reached = Evidence::read(home.path()).unwrap().reached();
    assert_eq!(
        reached.iter().filter(|r| r.text == "die KILL once").count(),
        2,
        "two uuids"
    );
}

#[test]
fn a_stray_process_leaves_its_session_and_parent() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    result_of(&mut host, "spawn 300");
    let strays = Evidence::read(home.path()).unwrap().strays();
    let [stray] = strays[..] else {
        panic!("{strays:?}")
    };
    host.signal(Signal::SIGKILL);
    host.exit();
    let stat = std::fs::read_to_string(format!("/proc/{stray}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    assert_ne!(fields[1], host.pid().to_string(), "its parent");
    assert_ne!(
        fields[3],
        nix::unistd::getsid(None).unwrap().to_string(),
        "its session"
    );
    let environ = std::fs::read(format!("/proc/{stray}/environ")).unwrap();
    assert!(
        String::from_utf8_lossy(&environ).contains(&format!("CLAUDE_CODE_SESSION_ID={session}"))
    );
    nix::sys::signal::kill(Pid::from_raw(stray), Signal::SIGKILL).unwrap();
}

#[test]
fn demo_says_what_it_is() {
    let (home, session) = new_session();
    let mut host = launch(home.path())
        .arg("--session-id")
        .arg(&session)
        .arg("--telexd-demo")
        .start();
    let text = result_of(&mut host, "hello")["result"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.contains("scripted stand-in, not Claude") && text.contains("> hello"),
        "{text}"
    );
    assert!(
        result_of(&mut host, "again")["result"]
            .as_str()
            .unwrap()
            .contains("stand-in")
    );
}

#[test]
fn the_program_is_found() {
    let path: PathBuf = telexd_scripted_agent::binary();
    let out = Command::new(path).arg("--version").output().unwrap();
    assert!(out.status.success());
}

#[test]
fn half_a_surrogate_pair_is_written_as_the_real_program_does() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    host.prompt("say a{surrogate}b");
    // The host keeps a line that is no valid JSON as text.
    let line = host.until("the broken line", |l| {
        l.as_str()
            .is_some_and(|l| l.contains("\"type\":\"result\""))
    });
    assert!(line.as_str().unwrap().contains(r"a\ud83db"));
}

#[test]
fn a_load_is_carried_and_ends_with_an_interrupt() {
    let (home, session) = new_session();
    let mut host = start(&home, &session);
    for load in ["memory 3", "processors 0 2", "processes 0"] {
        let result = result_of(&mut host, &format!("load {load}"));
        assert_eq!(result["result"], format!("carried the load: {load}"));
    }
    host.lines.clear();
    host.prompt("load processors 300 1");
    host.until("the call", |l| {
        l["message"]["content"][0]["input"]["load"] == "processors 300 1"
    });
    host.control(&json!({"subtype": "interrupt"}));
    assert_eq!(host.of("result")["terminal_reason"], "aborted_tools");
}
