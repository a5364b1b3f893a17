use super::*;

fn read(line: &str) -> AgentEvent {
    let mut events = decode(line.as_bytes());
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[test]
fn what_is_not_known_is_ignored() {
    for line in [
        "",
        "   \r",
        "{}",
        r#"{"type":null}"#,
        r#"{"type":7}"#,
        r#"{"type":"keep_alive"}"#,
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected"}}"#,
        r#"{"type":"system"}"#,
        r#"{"type":"system","subtype":"something_new","status":{}}"#,
        r#"{"type":"system","subtype":"status","status":null}"#,
        r#"{"type":"system","subtype":"status","status":null,"permissionMode":"hologram"}"#,
        r#"{"type":"system","subtype":"session_state_changed","state":"requires_action"}"#,
        r#"{"type":"assistant"}"#,
        r#"{"type":"assistant","message":{"content":[{"type":"hologram"},7,null]}}"#,
        r#"{"type":"assistant","message":{"content":[]}}"#,
        r#"{"type":"user","message":{"content":"text"}}"#,
        r#"{"type":"user","isSynthetic":true,"message":{"content":[{"type":"text","text":"Go on."}]}}"#,
        r#"{"type":"stream_event"}"#,
        r#"{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}}"#,
        r#"{"type":"command_lifecycle","command_uuid":"not a uuid","state":"started"}"#,
        r#"{"type":"command_lifecycle","command_uuid":"00000000-0000-4000-8000-000000000001","state":"pondered"}"#,
        r#"{"type":"control_request","request_id":"1","request":{"subtype":"hook_callback"}}"#,
        r#"{"type":"control_response","response":{}}"#,
        r#"{"type":"control_cancel_request"}"#,
        r#"{"type":"tool_progress","tool_use_id":"t"}"#,
    ] {
        assert_eq!(read(line), AgentEvent::Ignored, "{line}");
    }
}

#[test]
fn what_is_not_json_is_malformed_and_not_repeated() {
    for line in [
        "secret",
        "\"secret\"",
        "[\"secret\"]",
        "{\"secret\"",
        "{\"secret\":}",
        "{\"type\":\"assistant\",\"x\":\"secret\u{1}\"}",
        "{\"type\":\"x\"} secret",
        "null",
    ] {
        let AgentEvent::Malformed(reason) = read(line) else {
            panic!("{line}");
        };
        assert!(!reason.contains("secret"), "{reason}");
        assert!(!reason.is_empty());
    }
}

#[test]
fn bytes_that_are_no_utf8_cost_a_character_only() {
    let event = decode(
        b"{\"type\":\"assistant\",\"message\":{\"id\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"a\xffb\"}]}}",
    );
    assert_eq!(
        event,
        [AgentEvent::Text {
            message_id: "m".to_owned(),
            text: "a\u{fffd}b".to_owned()
        }]
    );
}

#[test]
fn a_result_of_a_tool_may_be_nested_however_deeply() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let line = format!(
        r#"{{"tool_use_result":{deep},"message":{{"content":[{{"content":{deep},"type":"tool_result","tool_use_id":"t"}}]}},"type":"user"}}"#
    );
    assert_eq!(
        read(&line),
        AgentEvent::ToolResult {
            id: "t".to_owned(),
            is_error: false
        }
    );
    let line = format!(
        r#"{{"type":"assistant","message":{{"id":"m","content":[{{"type":"tool_use","id":"t","name":"X","input":{deep}}}]}}}}"#
    );
    assert_eq!(
        read(&line),
        AgentEvent::Tool {
            message_id: "m".to_owned(),
            id: "t".to_owned(),
            name: "X".to_owned(),
            input: Value::Null
        },
        "the call is not lost, only what it is given"
    );
}

#[test]
fn fields_come_in_any_order_and_form() {
    let one = Uuid::from_u128(1);
    let two = Uuid::from_u128(2);
    let line = json!({
        "duration_ms": 12.7,
        "errors": ["a", 7, "b"],
        "user_message_uuids": [one, "odd"],
        "user_message_uuid": two,
        "session_id": two,
        "is_error": true,
        "api_error_status": 529,
        "total_cost_usd": 0.5,
        "terminal_reason": "api_error",
        "startup_failure_reason": "x",
        "permission_denials": [{"tool_name": "Bash", "tool_use_id": "t", "tool_input": {"command": "x"}}, {}, 7],
        "result": "API Error",
        "subtype": "success",
    })
    .to_string();
    let line = format!(r#"{},"type":"result"}}"#, line.strip_suffix('}').unwrap());
    assert_eq!(
        read(&line),
        AgentEvent::Result(TurnResult {
            subtype: "success".to_owned(),
            is_error: true,
            terminal_reason: Some("api_error".to_owned()),
            text: Some("API Error".to_owned()),
            errors: vec!["a".to_owned(), "b".to_owned()],
            startup_failure_reason: Some("x".to_owned()),
            api_error_status: Some(529),
            total_cost_usd: Some(0.5),
            duration_ms: Some(12),
            prompts: vec![one, two],
            session_id: Some(two),
            denials: vec![Denial {
                tool: "Bash".to_owned(),
                input: json!({"command": "x"}),
            }],
        })
    );
    assert_eq!(
        read(
            r#"{"type":"result","errors":"x","duration_ms":-5,"api_error_status":99999,"result":null}"#
        ),
        AgentEvent::Result(TurnResult {
            duration_ms: Some(0),
            ..TurnResult::default()
        })
    );
}

#[test]
fn words_of_subagents_are_not_the_answer_but_their_tools_count() {
    let line = r#"{"type":"assistant","parent_tool_use_id":"t0","message":{"id":"m","content":[{"type":"text","text":"x"},{"type":"tool_use","id":"t1","name":"Read","input":{}}]}}"#;
    assert_eq!(
        read(line),
        AgentEvent::Tool {
            message_id: "m".to_owned(),
            id: "t1".to_owned(),
            name: "Read".to_owned(),
            input: json!({})
        }
    );
    for line in [
        r#"{"type":"assistant","parent_tool_use_id":"t0","error":"rate_limit","message":{"id":"m","content":[{"type":"text","text":"x"}]}}"#,
        r#"{"type":"assistant","parent_tool_use_id":"t0","message":{"id":"m","content":"x"}}"#,
        r#"{"type":"stream_event","parent_tool_use_id":"t0","event":{"type":"message_start","message":{"id":"m"}}}"#,
        r#"{"type":"stream_event","parent_tool_use_id":"t0","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}}"#,
    ] {
        assert_eq!(read(line), AgentEvent::Ignored, "{line}");
    }
    assert_eq!(
        read(
            r#"{"type":"user","parent_tool_use_id":"t0","message":{"content":[{"type":"tool_result","tool_use_id":"t1","is_error":true}]}}"#
        ),
        AgentEvent::ToolResult {
            id: "t1".to_owned(),
            is_error: true
        }
    );
}

#[test]
fn several_blocks_are_several_events() {
    let line = br#"{"message":{"content":[{"text":"a","type":"text"},{"thinking":"..","type":"thinking"},{"text":"b","type":"text"}],"id":"m"},"type":"assistant","error":null,"parent_tool_use_id":null}"#;
    let text = |text: &str| AgentEvent::Text {
        message_id: "m".to_owned(),
        text: text.to_owned(),
    };
    let thought = AgentEvent::Thought {
        text: "..".to_owned(),
    };
    assert_eq!(decode(line), [text("a"), thought, text("b")]);
    assert_eq!(
        read(r#"{"type":"assistant","message":{"id":"m","content":"bare"}}"#),
        text("bare")
    );
}

#[test]
fn errors_in_place_of_an_answer_are_told_apart() {
    let error = |class: &str, resets_at| AgentEvent::AssistantError {
        class: class.to_owned(),
        text: "x".to_owned(),
        resets_at,
    };
    let content = r#""message":{"id":"m","content":[{"type":"text","text":"x"}]}"#;
    for (fields, expected) in [
        (r#""error":"overloaded""#, error("overloaded", None)),
        (
            r#""error":"rate_limit","api_error":"usage_limit_reached","resetsAt":17"#,
            error("usage_limit_reached", Some(17)),
        ),
        (
            r#""error":"rate_limit","api_error":"new","api_error_params":{"rate_limit_info":{"resetsAt":18}}"#,
            error("rate_limit", Some(18)),
        ),
        (r#""is_api_error_message":true"#, error("unknown", None)),
        (r#""error":{"odd":1}"#, error("unknown", None)),
    ] {
        assert_eq!(
            read(&format!(r#"{{"type":"assistant",{fields},{content}}}"#)),
            expected,
            "{fields}"
        );
    }
}

#[test]
fn the_stream_is_followed() {
    let table = [
        (
            r#"{"type":"message_start","message":{"id":"m"}}"#,
            AgentEvent::MessageStart {
                message_id: "m".to_owned(),
            },
        ),
        (
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}}"#,
            AgentEvent::BlockStart {
                index: 3,
                block: Block::Text,
            },
        ),
        (
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking"}}"#,
            AgentEvent::BlockStart {
                index: 0,
                block: Block::Thinking,
            },
        ),
        (
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"Bash"}}"#,
            AgentEvent::BlockStart {
                index: 1,
                block: Block::Tool {
                    id: "t".to_owned(),
                    name: "Bash".to_owned(),
                },
            },
        ),
        (
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"let me"}}"#,
            AgentEvent::ThoughtDelta {
                text: "let me".to_owned(),
            },
        ),
        (
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"hologram"}}"#,
            AgentEvent::BlockStart {
                index: 1,
                block: Block::Other,
            },
        ),
        (
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"é"}}"#,
            AgentEvent::TextDelta {
                index: 1,
                text: "é".to_owned(),
            },
        ),
    ];
    for (event, expected) in table {
        assert_eq!(
            read(&format!(
                r#"{{"event":{event},"parent_tool_use_id":null,"type":"stream_event"}}"#
            )),
            expected
        );
    }
    assert_eq!(
        read(
            r#"{"type":"stream_event","event":{"type":"message_stop"},"abandoned_blocks":{"api_message_id":"m","from_block_index":2}}"#
        ),
        AgentEvent::Abandoned {
            message_id: "m".to_owned(),
            from_index: 2
        }
    );
}

#[test]
fn the_rest_of_the_protocol_is_read() {
    let id = Uuid::from_u128(9);
    let table = [
        (
            json!({"type":"system","subtype":"init","session_id":id,"model":"m","claude_code_version":"2.1.330","cwd":"/w"}),
            AgentEvent::Init {
                session_id: Some(id),
                model: Some("m".to_owned()),
                version: Some("2.1.330".to_owned()),
                directory: Some("/w".to_owned()),
            },
        ),
        (
            json!({"type":"system","subtype":"status","status":"compacting"}),
            AgentEvent::Compacting,
        ),
        (
            json!({"type":"system","subtype":"status","status":null,"permissionMode":"acceptEdits"}),
            AgentEvent::Mode(PermissionMode::AcceptEdits),
        ),
        (
            json!({"type":"system","subtype":"session_state_changed","state":"idle"}),
            AgentEvent::Idle,
        ),
        (
            json!({"type":"system","subtype":"session_state_changed","state":"running"}),
            AgentEvent::Busy,
        ),
        (
            json!({"type":"system","subtype":"api_retry","attempt":2,"max_retries":3,"retry_delay_ms":1102,"error_status":null,"error":"unknown"}),
            AgentEvent::Retry {
                attempt: 2,
                max: 3,
                delay_ms: 1102,
                status: None,
                error: "unknown".to_owned(),
            },
        ),
        (
            json!({"type":"command_lifecycle","command_uuid":id,"state":"cancelled"}),
            AgentEvent::Prompt {
                uuid: id,
                state: PromptState::Cancelled,
            },
        ),
        (
            json!({"type":"conversation_reset","new_conversation_id":id}),
            AgentEvent::SessionReset {
                session_id: Some(id),
            },
        ),
        (
            json!({"type":"control_response","response":{"subtype":"success","request_id":"r","response":{}}}),
            AgentEvent::Reply {
                request_id: "r".to_owned(),
                error: None,
                code: None,
            },
        ),
        (
            json!({"type":"control_response","response":{"subtype":"error","request_id":"r","error":"no","error_code":"invalid_mode"}}),
            AgentEvent::Reply {
                request_id: "r".to_owned(),
                error: Some("no".to_owned()),
                code: Some("invalid_mode".to_owned()),
            },
        ),
        (
            json!({"type":"control_cancel_request","request_id":"q"}),
            AgentEvent::Withdrawn {
                request_id: "q".to_owned(),
            },
        ),
        (
            json!({"type":"control_request","request_id":"q-1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"touch x"},"permission_suggestions":[{"a":1}],"description":" "}}),
            AgentEvent::Asked(question(vec![json!({"a":1})])),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(read(&line.to_string()), expected);
    }
}

#[test]
fn half_an_emoji_costs_a_character_only() {
    assert_eq!(
        read(
            r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"cut \ud83d"}]}}"#
        ),
        AgentEvent::Text {
            message_id: "m".to_owned(),
            text: "cut \u{fffd}".to_owned()
        }
    );
}
