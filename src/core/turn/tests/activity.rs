use serde_json::{Value, json};

use super::*;

#[test]
fn what_the_agent_does_is_told_in_plain_words() {
    for (name, input, line) in [
        (
            "Bash",
            json!({ "command": "cargo test" }),
            "Running: cargo test",
        ),
        (
            "Bash",
            json!({ "command": "  cat <<E\n\tx\nE\u{202e}" }),
            "Running: cat <<E x E",
        ),
        (
            "Bash",
            json!({ "command": "0123456789".repeat(10) }),
            "Running: 01234567890123456789012345678901234567890123456789012345678…",
        ),
        ("Bash", json!({ "command": " " }), "Running a command…"),
        ("Bash", json!({ "command": 7 }), "Running a command…"),
        ("Bash", json!(null), "Running a command…"),
        (
            "Bash",
            json!({ "command": "curl -H 'x-api-key: sk-ant-0123456789'" }),
            "Running: curl -H 'x-api-key: sk-…'",
        ),
        (
            "Read",
            json!({ "file_path": "src/main.rs" }),
            "Reading src/main.rs",
        ),
        (
            "Edit",
            json!({ "file_path": "/home/someone/a/very/long/way/down/to/the/project/src/core/main.rs" }),
            "Editing …/a/very/long/way/down/to/the/project/src/core/main.rs",
        ),
        (
            "Write",
            json!({ "file_path": format!("/{}", "x".repeat(100)) }),
            "Writing …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (
            "NotebookEdit",
            json!({ "notebook_path": "a.ipynb" }),
            "Editing a.ipynb",
        ),
        (
            "Grep",
            json!({ "pattern": "fn main" }),
            "Searching for: fn main",
        ),
        (
            "Glob",
            json!({ "pattern": "**/*.rs" }),
            "Looking for files: **/*.rs",
        ),
        (
            "WebFetch",
            json!({ "url": "https://example.org/" }),
            "Opening https://example.org/",
        ),
        (
            "WebSearch",
            json!({ "query": "rust" }),
            "Searching the web for: rust",
        ),
        (
            "Task",
            json!({ "description": "find the bug" }),
            "Delegating: find the bug",
        ),
        (
            "Agent",
            json!({ "subagent_type": "Explore" }),
            "Delegating: Explore",
        ),
        ("TodoWrite", json!({ "todos": [] }), "Updating the plan…"),
        (
            "Skill",
            json!({ "skill": "verify" }),
            "Using the skill verify",
        ),
        ("mcp__chat__send_file", json!({}), "Using chat: send file"),
        ("NewTool", json!({ "x": 1 }), "Using NewTool"),
        ("", json!({}), "Using a tool…"),
    ] {
        let mut turn = turn();
        feed(&mut turn, &[tool("t", name, input)]);
        assert_eq!(status(&turn), line, "{name}");
    }
}

#[test]
fn the_status_follows_the_turn() {
    let mut turn = turn();
    assert_eq!(status(&turn), "Starting…");
    let calling = AgentEvent::BlockStart {
        index: 1,
        block: Block::Tool {
            id: "t1".to_owned(),
            name: "Bash".to_owned(),
        },
    };
    for (event, line) in [
        (prompt(PromptState::Queued), "Starting…"),
        (prompt(PromptState::Started), "Thinking…"),
        (init(), "Thinking…"),
        (
            retry(),
            "The model's service is busy; trying again in 8 s (2 of 3)",
        ),
        (AgentEvent::Compacting, "Compacting the history…"),
        (message("m"), "Thinking…"),
        (block(0), "Thinking…"),
        (delta(0, "a"), "Writing…"),
        (text("m", "a"), "Thinking…"),
        (calling, "Running a command…"),
        (
            tool("t1", "Bash", json!({ "command": "ls" })),
            "Running: ls",
        ),
        (
            tool("t2", "Read", json!({ "file_path": "x" })),
            "Reading x · 2 tools",
        ),
        (
            tool("t2", "Read", json!({ "file_path": "y" })),
            "Reading y · 2 tools",
        ),
        (
            asked("q1", "Bash", "t1"),
            "Waiting for your approval · 2 tools",
        ),
        (
            asked("q2", "AskUserQuestion", "t9"),
            "Waiting for your answer · 2 tools",
        ),
        (tool_result("t9"), "Waiting for your approval · 2 tools"),
    ] {
        let before = turn.view();
        let effects = turn.on(&event);
        assert_eq!(status(&turn), line, "{event:?}");
        assert_eq!(
            effects.contains(&Effect::Show),
            turn.view() != before,
            "{event:?}"
        );
    }
    assert_eq!(turn.answered("q1"), [Effect::Show]);
    assert_eq!(
        status(&turn),
        "Running: ls · 2 tools",
        "the call that was allowed"
    );
    assert_eq!(turn.answered("q1"), []);
    feed(&mut turn, &[tool_result("t1")]);
    assert_eq!(status(&turn), "Reading y · 2 tools");
    turn.interrupt();
    assert_eq!(status(&turn), "Stopping…");
}

#[test]
fn a_retry_names_what_is_wrong() {
    for (error, http, what) in [
        ("rate_limit", Some(429), "The model's service is busy"),
        ("new", Some(529), "The model's service is busy"),
        (
            "authentication_failed",
            Some(401),
            "The agent's login is refused",
        ),
        ("server_error", Some(500), "The model's service has a fault"),
        ("unknown", None, "The model's service cannot be reached"),
    ] {
        let mut turn = turn();
        feed(
            &mut turn,
            &[AgentEvent::Retry {
                attempt: 1,
                max: 0,
                delay_ms: 0,
                status: http,
                error: error.to_owned(),
            }],
        );
        assert_eq!(status(&turn), format!("{what}; trying again in 1 s"));
    }
}

#[test]
fn questions_that_are_open_at_the_end_are_withdrawn() {
    let mut turn = turn();
    assert_eq!(
        feed(&mut turn, &[init(), asked("q1", "Bash", "t1")])
            .into_iter()
            .filter(|e| matches!(e, Effect::Ask(_)))
            .count(),
        1
    );
    assert_eq!(turn.on(&asked("q1", "Bash", "t1")), [], "asked already");
    feed(
        &mut turn,
        &[asked("q2", "Bash", "t2"), asked("q3", "Bash", "t3")],
    );
    turn.answered("q2");
    let withdraw = |id: &str| Effect::Withdraw {
        request_id: id.to_owned(),
    };
    assert_eq!(
        turn.on(&AgentEvent::Withdrawn {
            request_id: "q3".to_owned()
        })
        .first(),
        Some(&withdraw("q3"))
    );
    assert_eq!(
        turn.on(&AgentEvent::Withdrawn {
            request_id: "q3".to_owned()
        }),
        []
    );
    let effects = turn.on(&AgentEvent::Result(completed("x")));
    assert_eq!(effects.first(), Some(&withdraw("q1")));
    assert_eq!(
        effects
            .iter()
            .filter(|e| matches!(e, Effect::Withdraw { .. }))
            .count(),
        1
    );
}

#[test]
fn taking_up_a_prompt_is_seen() {
    for (event, begun) in [
        (prompt(PromptState::Queued), false),
        (prompt(PromptState::Started), true),
        (AgentEvent::Idle, false),
        (AgentEvent::Ignored, false),
        (init(), true),
        (message("m"), true),
        (retry(), true),
        (tool("t", "Read", json!({})), true),
        (
            AgentEvent::Prompt {
                uuid: OTHER,
                state: PromptState::Started,
            },
            false,
        ),
    ] {
        let mut turn = turn();
        feed(&mut turn, std::slice::from_ref(&event));
        assert_eq!(turn.begun(), begun, "{event:?}");
    }
}

#[test]
fn stored_states_load_for_ever() {
    let empty: Turn = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, Turn::new(None));
    // Written by the first version. Not to be changed: states like this lie in databases.
    let stored = r#"{
        "uuid": "00000000-0000-0000-0000-000000000001",
        "prompt": "Started",
        "output": true,
        "interrupted": false,
        "answer": {
            "settled": "before",
            "message": "m",
            "blocks": [{"index": 0, "text": "part", "whole": false, "cut": false}],
            "cut": false
        },
        "status": {
            "doing": {"retrying": "The model's service is busy; trying again in 8 s (2 of 3)"},
            "tools": [{"id": "t", "line": "Running: ls"}],
            "questions": [{"request_id": "q", "tool_use_id": "t", "line": "Waiting for your approval"}],
            "begun": 3,
            "stopping": false
        },
        "error": {"class": "overloaded", "text": "x", "resets_at": null},
        "session_id": null,
        "unclaimed": {"ending": "completed", "total_cost_usd": 0.5, "duration_ms": 12, "session_id": null},
        "finished": false
    }"#;
    let mut turn: Turn = serde_json::from_str(stored).unwrap();
    assert_eq!(turn.view().answer, "before\n\npart");
    assert_eq!(status(&turn), "Waiting for your approval · 3 tools");
    assert_eq!(turn.tools_begun(), 3);
    feed(&mut turn, &[text("m", "whole")]);
    assert_eq!(turn.view().answer, "before\n\nwhole");
    let value: Value = serde_json::from_str(stored).unwrap();
    let again: Turn = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), value);
}
