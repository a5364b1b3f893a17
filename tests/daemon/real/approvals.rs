//! What the agent asks, and what it makes of the answers.

use std::fs;

use serde_json::json;
use telexd_botapi::ShownMessage;

use super::{Real, SHORT};

/// A prompt that has the model do these steps, one after the other.
fn script(steps: serde_json::Value) -> String {
    format!("@fake {steps}")
}

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
    real.send(&script(json!([
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
    real.send(&script(json!([
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
