use super::*;

const UUID: Uuid = Uuid::from_u128(0x1234);

#[test]
fn requests_are_written_to_the_letter() {
    assert_eq!(
        text(hello()),
        "{\"request\":{\"subtype\":\"initialize\"},\"request_id\":\"hello\",\"type\":\"control_request\"}\n"
    );
    assert_eq!(
        text(interrupt("r1", false)),
        "{\"request\":{\"subtype\":\"interrupt\"},\"request_id\":\"r1\",\"type\":\"control_request\"}\n"
    );
    assert_eq!(
        text(interrupt("r1", true)),
        "{\"request\":{\"cancel_queued\":true,\"subtype\":\"interrupt\"},\"request_id\":\"r1\",\"type\":\"control_request\"}\n"
    );
    assert_eq!(
        text(end("r2")),
        "{\"request\":{\"subtype\":\"end_session\"},\"request_id\":\"r2\",\"type\":\"control_request\"}\n"
    );
    assert_eq!(
        text(mode("r3", PermissionMode::AcceptEdits)),
        "{\"request\":{\"mode\":\"acceptEdits\",\"subtype\":\"set_permission_mode\"},\"request_id\":\"r3\",\"type\":\"control_request\"}\n"
    );
}

#[test]
fn a_prompt_is_written_to_the_letter() {
    assert_eq!(
        text(prompt(
            UUID,
            "@/etc/passwd\n/clear \"x\" \u{2028}\u{85}\0",
            &[]
        )),
        concat!(
            r#"{"client_composed":true,"message":{"content":"@/etc/passwd\n/clear \"x\" \u2028\u0085\u0000","role":"user"},"#,
            r#""parent_tool_use_id":null,"session_id":"","type":"user","uuid":"00000000-0000-0000-0000-000000001234"}"#,
            "\n"
        )
    );
}

#[test]
fn answers_are_written_to_the_letter() {
    let allow = Answer::Allow {
        input: None,
        remember: false,
        edits: false,
    };
    assert_eq!(
        text(answer(&question(vec![]), &allow)),
        "{\"response\":{\"request_id\":\"q-1\",\"response\":{\"behavior\":\"allow\"},\"subtype\":\"success\"},\"type\":\"control_response\"}\n"
    );
    let deny = Answer::Deny {
        message: "no\nnever".to_owned(),
        rule: None,
    };
    assert_eq!(
        text(answer(&question(vec![]), &deny)),
        "{\"response\":{\"request_id\":\"q-1\",\"response\":{\"behavior\":\"deny\",\"message\":\"no\\nnever\"},\"subtype\":\"success\"},\"type\":\"control_response\"}\n"
    );
}

fn response(question: &Question, given: &Answer) -> Value {
    let line: Value = serde_json::from_slice(&answer(question, given)).unwrap();
    line["response"]["response"].clone()
}

#[test]
fn an_answer_may_change_the_input() {
    let allow = Answer::Allow {
        input: Some(json!({ "command": "ls" })),
        remember: false,
        edits: false,
    };
    assert_eq!(
        response(&question(vec![json!({ "type": "addRules" })]), &allow),
        json!({ "behavior": "allow", "updatedInput": { "command": "ls" } })
    );
}

#[test]
fn what_is_remembered_is_remembered_for_the_session_only() {
    let allow = Answer::Allow {
        input: None,
        remember: true,
        edits: false,
    };
    let rule = |destination: &str| {
        json!({
            "type": "addRules",
            "rules": [{ "toolName": "Bash", "ruleContent": "touch x" }],
            "behavior": "allow",
            "destination": destination,
        })
    };
    let directories = |destination: &str| json!({ "type": "addDirectories", "directories": ["/w"], "destination": destination });
    let mode = json!({ "type": "setMode", "mode": "acceptEdits", "destination": "session" });
    assert_eq!(
        response(
            &question(vec![
                rule("localSettings"),
                directories("userSettings"),
                mode.clone(),
                json!(7)
            ]),
            &allow
        ),
        json!({ "behavior": "allow", "updatedPermissions": [rule("session"), directories("session")] }),
        "one command is not every edit"
    );
    assert_eq!(
        response(&question(vec![mode.clone()]), &allow),
        json!({ "behavior": "allow", "updatedPermissions": [mode] })
    );
    assert_eq!(
        response(&question(vec![]), &allow),
        json!({ "behavior": "allow" })
    );
}

#[test]
fn a_plan_may_be_accepted_together_with_its_edits() {
    let allow = Answer::Allow {
        input: None,
        remember: false,
        edits: true,
    };
    let mode = json!({ "type": "setMode", "mode": "acceptEdits", "destination": "session" });
    assert_eq!(
        response(&question(vec![]), &allow),
        json!({ "behavior": "allow", "updatedPermissions": [mode] })
    );
}

#[test]
fn a_prompt_is_known_again() {
    let line = prompt(UUID, "hello", &[]);
    assert!(is_prompt(&line, UUID));
    assert!(is_prompt(&line[..line.len() - 1], UUID));
    assert!(!is_prompt(&line, Uuid::from_u128(5)));
    assert!(!is_prompt(&line[..line.len() - 2], UUID), "cut");
    assert!(!is_prompt(&interrupt(&UUID.to_string(), false), UUID));
    assert!(
        !is_prompt(&prompt(Uuid::from_u128(5), &UUID.to_string(), &[]), UUID),
        "the uuid stands in the text"
    );
    assert!(!is_prompt(b"\xff", UUID));
}

#[test]
fn images_stand_before_the_words() {
    let image = crate::gateway::ports::PromptImage {
        mime: "image/png",
        base64: "QUJD".to_owned(),
    };
    let line: serde_json::Value =
        serde_json::from_slice(&prompt(UUID, "look", &[image.clone(), image])).unwrap();
    let content = &line["message"]["content"];
    assert_eq!(content.as_array().map(Vec::len), Some(3));
    assert_eq!(
        content[0],
        serde_json::json!({
            "type": "image",
            "source": { "type": "base64", "media_type": "image/png", "data": "QUJD" },
        })
    );
    assert_eq!(content[2]["text"], "look");
    assert_eq!(line["client_composed"], true);
}
