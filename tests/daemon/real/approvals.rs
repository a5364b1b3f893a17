//! What the agent asks, and what it makes of the answers.

use std::fs;

use serde_json::json;
use telexd_botapi::ShownMessage;

use super::{Real, SHORT};
use crate::rig::script;

fn asks(tool: &str) -> impl Fn(&ShownMessage) -> bool {
    let begin = format!("May the agent use {tool}?");
    move |m| m.text.starts_with(&begin) && !m.buttons.is_empty()
}

/// What an entity of this kind covers.
fn covered(message: &ShownMessage, kind: &str) -> Vec<String> {
    let text: Vec<u16> = message.text.encode_utf16().collect();
    let of = message.entities.iter().filter(|e| e.kind == kind);
    of.map(|e| String::from_utf16(&text[e.offset..][..e.length]).unwrap())
        .collect()
}

#[tokio::test]
async fn a_change_of_a_file_is_asked_about_as_a_change() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    let file = real.world.path("project/notes.txt");
    fs::write(&file, "one\ntwo\nthree\n").unwrap();
    let path = file.to_str().unwrap();
    real.send(&script(&json!([
        {"tool": "Read", "input": {"file_path": path}},
        {"tool": "Edit", "input": {"file_path": path, "old_string": "one\ntwo\n", "new_string": "one\n2\n"}},
        {"text": "It was {outcome}."},
    ])));
    let question = real.message("the agent asks", asks("Edit")).await;
    assert_eq!(covered(&question, "pre"), ["@@\n one\n-two\n+2"]);
    assert_eq!(covered(&question, "code"), [path]);
    let place = format!("\nIn {}\n", real.world.path("project").display());
    assert!(question.text.contains(&place), "{question:#?}");
    let offered = "allows from now on:\n• changes of files without a question";
    assert!(question.text.ends_with(offered), "{question:#?}");
    real.press(&question, "Allow for this session");
    real.message("the answer is there", |m| m.text == "It was allowed.")
        .await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\n2\nthree\n");
    // Now files are changed without a question, and commands are not run without one.
    real.send(&script(&json!([
        {"tool": "Write", "input": {"file_path": real.world.path("project/new.txt"), "content": "x"}},
        {"tool": "Bash", "input": {"command": "python3 -c \"open('who.txt', 'w')\""}},
        {"text": "That was {outcome}."},
    ])));
    let question = real.message("the agent asks", asks("Bash")).await;
    assert!(real.world.path("project/new.txt").exists());
    real.press(&question, "Deny");
    real.message("the answer is there", |m| m.text == "That was denied.")
        .await;
    assert!(!real.world.path("project/who.txt").exists());
    real.end(daemon).await;
}

/// The words in which the model is told what came of its last call.
fn told(real: &Real) -> String {
    real.model.requests().pop().unwrap().ask.unwrap().told
}

/// The message with a question, once it has this button.
async fn with_button(real: &Real, question: &ShownMessage, label: &str) -> ShownMessage {
    let has = |m: &ShownMessage| m.buttons.iter().flatten().any(|b| b.text == label);
    real.message(&format!("there is a button {label}"), |m| {
        m.message_id == question.message_id && has(m)
    })
    .await
}

#[tokio::test]
async fn the_agent_hears_why_it_may_not() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send(&script(&json!([
        {"tool": "Bash", "input": {"command": "touch a"}}, {"text": "It was {outcome}."},
    ])));
    let question = real.message("the agent asks", asks("Bash")).await;
    real.press(&question, "Deny and tell it…");
    with_button(&real, &question, "Cancel").await;
    real.send("there is one already");
    real.message("the answer is there", |m| m.text == "It was denied.")
        .await;
    assert_eq!(
        told(&real),
        "The user did not allow this and says: there is one already"
    );
    assert!(!real.world.path("project/a").exists());
    real.message("the question is closed", |m| {
        m.message_id == question.message_id && m.text.ends_with("\n✗ Denied: there is one already")
    })
    .await;
    real.expect("say next", "next").await;
    real.end(daemon).await;
}

#[tokio::test]
async fn the_agent_is_given_choices_and_words() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    let options = |labels: [&str; 3]| {
        labels.map(|label| json!({"label": label, "description": format!("{label}!")}))
    };
    let questions = json!([
        {"question": "Which one?", "header": "One", "multiSelect": false, "options": options(["A", "B", "C"])},
        {"question": "Which of them?", "header": "Some", "multiSelect": true, "options": options(["D", "E", "F, g"])},
        {"question": "And why?", "header": "Why", "multiSelect": false, "options": options(["H", "I", "J"])},
    ]);
    real.send(&script(&json!([
        {"tool": "AskUserQuestion", "input": {"questions": questions}}, {"text": "It was {outcome}."},
    ])));
    let question = real
        .message("the agent asks", |m| {
            m.text.starts_with("The agent asks you about One (1 of 3):")
        })
        .await;
    real.message("the answer says what it waits for", |m| {
        m.text == "Waiting for your answer"
    })
    .await;
    real.press(&question, "B");
    let question = with_button(&real, &question, "☐ F, g").await;
    real.press(&question, "☐ F, g");
    let question = with_button(&real, &question, "☑ F, g").await;
    real.press(&question, "☐ D");
    let question = with_button(&real, &question, "☑ D").await;
    real.press(&question, "Done");
    let question = with_button(&real, &question, "J").await;
    assert!(
        question.text.ends_with("\n✓ One: B\n✓ Some: D, F, g"),
        "{question:#?}"
    );
    real.press(&question, "Write an answer…");
    with_button(&real, &question, "Cancel").await;
    real.send("because of K");
    real.message("the answer is there", |m| m.text == "It was allowed.")
        .await;
    let told = told(&real);
    for part in [
        "\"Which one?\"=\"B\"",
        "\"Which of them?\"=\"D, F, g\"",
        "\"And why?\"=\"because of K\"",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // What is skipped is a no.
    real.send(&script(&json!([
        {"tool": "AskUserQuestion", "input": {"questions": [questions[1]]}}, {"text": "It was {outcome}."},
    ])));
    let question = real
        .message("the agent asks", |m| {
            m.text.starts_with("The agent asks you about Some:") && !m.buttons.is_empty()
        })
        .await;
    real.press(&question, "Skip");
    real.message("the answer is there", |m| m.text == "It was denied.")
        .await;
    real.end(daemon).await;
}

#[tokio::test]
async fn a_plan_is_carried_out_when_somebody_says_so() {
    let real = Real::new("idle_timeout_s = 1\npermission_mode = \"plan\"\n").await;
    let daemon = real.world.start();
    real.expect("say hello", "hello").await;
    // The agent tells the model where to write its plan down.
    let request = real.model.requests().pop().unwrap().body.to_string();
    let home = real.world.path("home/.claude/plans");
    let begin = request.find(home.to_str().unwrap()).unwrap();
    let end = begin + request[begin..].find(".md").unwrap() + ".md".len();
    let plan = &request[begin..end];
    let file = real.world.path("project/made.txt");
    let proposes = |content: &str| {
        script(&json!([
            {"tool": "Write", "input": {"file_path": plan, "content": content}},
            {"tool": "ExitPlanMode", "input": {}},
            {"text": "It was {outcome}."},
        ]))
    };
    let shows_plan =
        |m: &ShownMessage| m.text.starts_with("The agent's plan:\n") && !m.buttons.is_empty();
    real.send(&proposes("# Our plan\n\n1. **make** a file\n"));
    let question = real.message("the plan is there", shows_plan).await;
    assert!(
        question.text.contains("Our plan\n") && !question.text.contains("**"),
        "{question:#?}"
    );
    real.press(&question, "Keep planning and tell it…");
    with_button(&real, &question, "Cancel").await;
    real.send("make two");
    real.message("the answer is there", |m| m.text == "It was denied.")
        .await;
    assert_eq!(
        told(&real),
        "The user wants you to keep planning and says: make two"
    );

    real.send(&script(&json!([
        {"tool": "ExitPlanMode", "input": {}},
        {"tool": "Write", "input": {"file_path": file, "content": "x"}},
        {"text": "So it was {outcome}."},
    ])));
    let question = real.message("the plan is there again", shows_plan).await;
    real.press(&question, "Go ahead, accept edits");
    // Without a further question.
    real.message("the answer is there", |m| m.text == "So it was allowed.")
        .await;
    assert!(file.exists());
    // What was gone ahead with is what the conversation is told of.
    real.expect_told(
        "/mode",
        "Mode acceptEdits: the agent edits files without asking, and asks before anything else.",
    )
    .await;
    real.end(daemon).await;
}
