//! Faults of the model's service, and an agent that cannot run.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{Real, SHORT, WARM, once_showed};
use crate::support::texts;

#[tokio::test]
async fn what_the_service_refuses_is_told_in_a_sentence() {
    let real = Real::new(WARM).await;
    let daemon = real.world.start();
    let answer = real
        .expect(
            "error 401",
            "🔒 The agent is not logged in on the server. An administrator must run `claude /login` or set a key.",
        )
        .await;
    // It is tried a few times; the reason is told at once, not only in the end.
    assert!(once_showed(
        &answer,
        "The agent's login is refused; trying again in 1 s (1 of 3)"
    ));
    real.expect(
        r#"@fake {"error":400,"message":"prompt is too long: 250000 tokens > 200000 maximum"}"#,
        "❌ This conversation has become too long for the model. Send /clear to start a new one.",
    )
    .await;
    real.expect(
        "error 400",
        "❌ The model's service refused the request (HTTP 400): “API Error: 400 scripted error 400”",
    )
    .await;
    real.expect(
        "error 529",
        "🤖 The model's service is overloaded. Please try again in a few minutes.",
    )
    .await;
    // None of that ended the agent.
    let agents = real.agents();
    real.expect("say still here", "still here").await;
    assert_eq!((real.agents().len(), real.agents()), (1, agents));
    let sessions: Vec<_> = real.asks().into_iter().map(|a| a.session).collect();
    assert!(sessions.iter().all(|s| *s == sessions[0]), "{sessions:?}");
    daemon.stop().await;
    real.world.end_all().await;
}

#[tokio::test]
async fn what_the_service_gets_over_is_answered() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    let answer = real.expect("error 429 x1", "ok after the error").await;
    assert!(once_showed(
        &answer,
        "The model's service is busy; trying again in "
    ));
    // What was shown of a stream that broke goes when the next one comes.
    let breaks = r#"@fake [{"text":"words that are void","reset":"mid","delay_ms":2500,"times":1},{"text":"words that count"}]"#;
    let answer = real.expect(breaks, "words that count").await;
    assert!(once_showed(&answer, "words that are void"));
    let prompts = real.asks().pop().unwrap().prompts;
    assert_eq!(prompts, ["error 429 x1", breaks]);
    real.end(daemon).await;
}

#[tokio::test]
async fn a_service_that_hangs_is_not_waited_for_without_end() {
    let real = Real::new("idle_timeout_s = 600\nsilence_timeout_s = 4\n").await;
    let daemon = real.world.start();
    real.expect("say one", "one").await;
    // Before any header, and in the middle of an answer. (That one the agent itself notices, after 15 s.)
    for hang in [
        r#"@fake {"hang":"headers"}"#,
        r#"@fake {"text":"half of it","hang":"mid"}"#,
    ] {
        let before = real.newest();
        real.send(hang);
        real.message("it is announced", |m| {
            m.message_id > before && m.text.starts_with("The agent has said nothing for")
        })
        .await;
        let answer = real
            .message("it is stopped", |m| {
                m.message_id > before && m.text.contains("⏱️ The agent said nothing for 4 s")
            })
            .await;
        assert_eq!(answer.text.contains("half of it"), hang.contains("half"));
    }
    // It heard the interrupts, and the conversation goes on in the same process.
    real.expect("say two", "two").await;
    assert_eq!(real.agents().len(), 1);
    let asks = real.asks();
    assert!(asks.iter().all(|ask| ask.session == asks[0].session));
    assert_eq!(real.world.logged("agent started"), 1);
    daemon.stop().await;
    real.world.end_all().await;
}

/// What the person reads when this program is the agent.
async fn told_of(real: &Real, program: &Path) -> String {
    real.world.write_config(program, SHORT);
    let daemon = real.world.start();
    real.send("say hello");
    let shown = real
        .chat("the trouble is told", |m| {
            m.iter().any(|m| m.text.starts_with('🤖'))
        })
        .await;
    assert_eq!(texts(&shown).len(), 1);
    real.only(&daemon).await;
    assert!(daemon.stop().await.as_secs() < 5);
    texts(&shown).concat()
}

#[tokio::test]
async fn an_agent_that_is_too_old_gets_no_prompt() {
    let real = Real::new("").await;
    let program = real.world.path("old-claude");
    // The version before the first that takes chat text to the letter.
    fs::write(
        &program,
        "#!/bin/sh\n[ \"$*\" = --version ] && echo '2.1.197 (Claude Code)' || touch \"$HOME/started\"\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        told_of(&real, &program).await,
        "🤖 The agent on the server is version 2.1.197; 2.1.248 or newer is needed. An administrator must update it."
    );
    assert!(!real.world.path("home/started").exists());
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_told() {
    let real = Real::new("").await;
    let program = real.world.path("no-claude");
    assert_eq!(
        told_of(&real, &program).await,
        format!(
            "🤖 The agent program `{}` is not on the server. An administrator must install it or set `agent.command`.",
            program.display()
        )
    );
}

#[tokio::test]
async fn an_agent_that_cannot_work_says_why() {
    let real = Real::new(SHORT).await;
    // Settings of the agent's own that it cannot read.
    let settings = real.world.path("home/.claude.json");
    fs::write(&settings, "{ not JSON").unwrap();
    let daemon = real.world.start();
    real.expect(
        "say one",
        "🤖 The agent did not start because its settings file `.claude.json` on the server is damaged. An administrator must repair or remove it.",
    )
    .await;
    fs::remove_file(&settings).unwrap();
    // No key and no login.
    real.world
        .agent_environment(&[("ANTHROPIC_BASE_URL", &real.model.url())]);
    real.expect(
        "say two",
        "🔒 The agent is not logged in on the server. An administrator must run `claude /login` or set a key.",
    )
    .await;
    assert_eq!(real.asks(), []);
    real.end(daemon).await;
}
