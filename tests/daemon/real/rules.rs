//! Rules of the configuration, with an agent that would ask nobody, or would not ask for this.

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};
use telexd_botapi::ShownMessage;

use super::{Real, SHORT};
use crate::rig::{DENIED, labels, script};

fn is_question(message: &ShownMessage) -> bool {
    message.text.starts_with("May the agent use ")
}

/// The question that is open.
async fn question(real: &Real, tool: &str) -> ShownMessage {
    let begin = format!("May the agent use {tool}?");
    real.message(&begin, |m| {
        m.text.starts_with(&begin) && !m.buttons.is_empty()
    })
    .await
}

/// Denies it, and waits until it has no buttons any more: the next question is not taken for it.
async fn deny(real: &Real, asked: &ShownMessage) {
    real.press(asked, "Deny");
    real.message("it is closed", |m| {
        m.message_id == asked.message_id && m.buttons.is_empty()
    })
    .await;
}

fn questions(real: &Real) -> usize {
    let shown = real
        .world
        .api
        .view(|v| v.bot_messages(crate::support::USER));
    shown.iter().filter(|m| is_question(m)).count()
}

fn bash(command: &str) -> Value {
    json!({"tool": "Bash", "input": {"command": command}})
}

fn write(real: &Real, name: &str) -> Value {
    json!({"tool": "Write", "input": {"file_path": real.world.path("project").join(name), "content": "x"}})
}

/// An agent in this mode, with these rules. (As root it takes some modes only where it is told that this is a sandbox.)
async fn with(agent: &str, rules: &str) -> Real {
    let real = Real::new(agent).await;
    let file = real.world.path("agent.env");
    let mut lines = fs::read_to_string(&file).unwrap();
    lines.push_str("IS_SANDBOX=1\n");
    fs::write(&file, lines).unwrap();
    real.world
        .drop_in("rules", &format!("[approvals]\n{rules}"));
    real
}

#[tokio::test]
async fn a_denial_stops_what_the_mode_would_let_pass_and_a_question_is_asked() {
    let mode = format!("{SHORT}permission_mode = \"acceptEdits\"\n");
    let real = with(
        &mode,
        "deny = [\"Edit(secret/**)\", \"Bash(touch:*)\"]\nask = [\"Edit(asked/**)\"]\n",
    )
    .await;
    let daemon = real.world.start();
    let project = real.world.path("project");
    real.send(&script(&json!([
        write(&real, "secret/a"), bash("echo x; touch b"), {"text": "It was {outcome}."},
    ])));
    real.message("the answer is there", |m| m.text == "It was denied.")
        .await;
    let told = format!("{DENIED}\n• Edit(secret/**)\n• Bash(touch:*)");
    let told = real
        .message("what was denied is told", |m| m.text == told)
        .await;
    assert!(!project.join("secret/a").exists() && !project.join("b").exists());
    assert_eq!(questions(&real), 0);

    real.send(&script(
        &json!([write(&real, "free"), write(&real, "asked/a"), {"text": "That was {outcome}."}]),
    ));
    let asked = question(&real, "Write").await;
    assert!(project.join("free").exists(), "the mode lets it pass");
    assert_eq!(labels(&asked), ["Allow once", "Deny", "Deny and tell it…"]);
    assert!(
        asked.text.contains("wants it asked: Edit(asked/**)"),
        "{asked:#?}"
    );
    real.press(&asked, "Allow once");
    real.message("the answer is there", |m| m.text == "That was allowed.")
        .await;
    assert!(project.join("asked/a").exists());
    // Nothing was denied in that turn.
    let shown = real
        .world
        .api
        .view(|v| v.bot_messages(crate::support::USER));
    let all: Vec<_> = shown
        .iter()
        .filter(|m| m.text.starts_with(DENIED))
        .collect();
    assert!(
        all.len() == 1 && all[0].message_id == told.message_id,
        "{all:#?}"
    );
    real.end(daemon).await;
}

#[tokio::test]
async fn an_agent_that_asks_nobody_is_held_by_rules() {
    let mode = format!("{SHORT}permission_mode = \"bypassPermissions\"\n");
    let real = with(
        &mode,
        "deny = [\"Bash(rm:*)\"]\nask = [\"Bash(git push:*)\"]\n",
    )
    .await;
    let daemon = real.world.start();
    let project = real.world.path("project");
    fs::write(project.join("kept"), "").unwrap();
    real.send(&script(
        &json!([bash("touch a"), bash("rm kept"), {"text": "It was {outcome}."}]),
    ));
    real.message("the answer is there", |m| m.text == "It was denied.")
        .await;
    assert!(project.join("a").exists() && project.join("kept").exists());
    let told = format!("{DENIED}\n• Bash(rm:*)");
    real.message("what was denied is told", |m| m.text == told)
        .await;
    assert_eq!(questions(&real), 0);
    for (number, command) in ["git push x", "echo a && git push x", "echo $(git push x)"]
        .into_iter()
        .enumerate()
    {
        real.send(&script(
            &json!([bash(command), {"text": format!("{number} was {{outcome}}.")}]),
        ));
        let asked = question(&real, "Bash").await;
        assert!(
            asked.text.contains("wants it asked: Bash(git push:*)"),
            "{asked:#?}"
        );
        deny(&real, &asked).await;
        let answer = format!("{number} was denied.");
        real.message("the answer is there", |m| m.text == answer)
            .await;
    }
    assert_eq!(questions(&real), 3);
    real.end(daemon).await;
}

#[tokio::test]
async fn what_is_allowed_runs_and_more_than_that_is_asked() {
    let real = with(SHORT, "allow = [\"Bash(touch:*)\", \"Edit(src/**)\"]\n").await;
    let daemon = real.world.start();
    let project = real.world.path("project");
    fs::create_dir_all(project.join("src")).unwrap();
    fs::create_dir_all(project.join(".git/hooks")).unwrap();
    fs::create_dir(real.world.path("outside")).unwrap();
    symlink(real.world.path("outside"), project.join("src/out")).unwrap();
    symlink(project.join(".git/hooks"), project.join("src/in")).unwrap();
    real.send(&script(&json!([
        bash("touch a"), write(&real, "src/x"), bash("cd src"),
        {"tool": "Write", "input": {"file_path": "y", "content": "x"}}, {"text": "It was {outcome}."},
    ])));
    real.message("the answer is there", |m| m.text == "It was allowed.")
        .await;
    assert!(project.join("a").exists() && project.join("src/x").exists());
    assert!(
        project.join("src/y").exists(),
        "its own program makes a path whole before it asks"
    );
    assert_eq!(questions(&real), 0);
    for (number, (tool, step)) in [
        ("Bash", bash("touch b; touch c")),
        ("Bash", bash("touch $(echo d)")),
        ("Bash", bash("touch e > f")),
        ("Write", write(&real, "src/../g")),
        ("Write", write(&real, "src/.git/hooks/h")),
        ("Write", write(&real, "src/out/i")),
        ("Write", write(&real, "src/in/j")),
    ]
    .into_iter()
    .enumerate()
    {
        real.send(&script(
            &json!([step, {"text": format!("{number} was {{outcome}}.")}]),
        ));
        let asked = question(&real, tool).await;
        deny(&real, &asked).await;
        let answer = format!("{number} was denied.");
        real.message("the answer is there", |m| m.text == answer)
            .await;
    }
    for name in [
        "b",
        "c",
        "d",
        "e",
        "f",
        "g",
        "src/.git",
        "src/out/i",
        "src/in/j",
    ] {
        assert!(!project.join(name).exists(), "{name}");
    }
    real.end(daemon).await;
}

#[tokio::test]
async fn what_was_allowed_for_the_session_does_not_open_what_a_rule_closes() {
    let real = with(
        SHORT,
        "ask = [\"Edit(asked/**)\"]\ndeny = [\"Edit(secret/**)\"]\n",
    )
    .await;
    let daemon = real.world.start();
    let project = real.world.path("project");
    real.send(&script(&json!([write(&real, "a"), write(&real, "b"), write(&real, "asked/c"), {"text": "It was {outcome}."}])));
    let asked = question(&real, "Write").await;
    real.press(&asked, "Allow for this session");
    let asked = real
        .message("what a rule wants asked is asked", |m| {
            is_question(m)
                && !m.buttons.is_empty()
                && m.text.contains("wants it asked: Edit(asked/**)")
        })
        .await;
    assert!(project.join("b").exists());
    real.press(&asked, "Deny");
    real.message("the answer is there", |m| m.text == "It was denied.")
        .await;
    real.send(&script(
        &json!([write(&real, "secret/d"), {"text": "That was {outcome}."}]),
    ));
    real.message("the answer is there", |m| m.text == "That was denied.")
        .await;
    assert!(!project.join("secret").exists() && !project.join("asked").exists());
    assert_eq!(questions(&real), 2);
    real.end(daemon).await;
}
