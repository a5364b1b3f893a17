//! Tools, and the questions that the agent asks before it uses them.

use super::{Real, SHORT, WARM};

/// A tool call that lasts until the test makes a file, and then leaves one.
pub(super) const WAITS: &str = r#"@fake [{"text":"I look after it.","tool":"Bash","input":{"command":"until [ -e go ]; do sleep 0.05; done; touch made.txt","description":"Wait for a file"}},{"text":"It was {outcome}."}]"#;

fn asks(message: &telexd_botapi::ShownMessage) -> bool {
    message.text.starts_with("May the agent use Bash?") && !message.buttons.is_empty()
}

#[tokio::test]
async fn an_allowed_tool_runs_and_is_told_of_while_it_does() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send(WAITS);
    let question = real.message("the agent asks", asks).await;
    assert!(question.text.contains("Wait for a file") && question.text.contains("until [ -e go ]"));
    let answer = real
        .message("the answer says what it waits for", |m| {
            m.text == "I look after it.\n\nWaiting for your approval"
        })
        .await;
    real.press(&question, "Allow once");
    real.message("the answer says what runs", |m| {
        m.message_id == answer.message_id
            && m.text
                .starts_with("I look after it.\n\nRunning: until [ -e go ]")
    })
    .await;
    std::fs::write(real.world.path("project/go"), "").unwrap();
    let answer = real
        .message("the answer is whole", |m| {
            m.text == "I look after it.\n\nIt was allowed."
        })
        .await;
    assert!(answer.buttons.is_empty());
    assert!(real.world.path("project/made.txt").exists());
    let question = real
        .message("the question is closed", |m| {
            m.message_id == question.message_id && m.text.ends_with("\n✓ Allowed")
        })
        .await;
    assert!(question.buttons.is_empty());
    real.end(daemon).await;
}

#[tokio::test]
async fn a_denied_tool_does_not_run_and_one_may_be_allowed_for_the_session() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    let file = real.world.path("project/asked.txt");
    let told = "I should like to make a file.\n\n";
    real.send("ask");
    let question = real.message("the agent asks", asks).await;
    let waiting = real
        .message("the answer says what it waits for", |m| {
            m.text == format!("{told}Waiting for your approval")
        })
        .await;
    real.press(&question, "Deny");
    let answer = real
        .message("the answer is there", |m| m.text == format!("{told}denied"))
        .await;
    assert_eq!(answer.message_id, waiting.message_id);
    assert!(!file.exists());
    let history = real.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(
        history.contains("The user did not allow this."),
        "{history}"
    );
    real.message("the question is closed", |m| {
        m.message_id == question.message_id && m.text.ends_with("\n✗ Denied")
    })
    .await;

    real.send("ask");
    let question = real.message("the agent asks again", asks).await;
    real.press(&question, "Allow for this session");
    real.message("the answer is there", |m| {
        m.text == format!("{told}allowed")
    })
    .await;
    assert!(file.exists());
    std::fs::remove_file(&file).unwrap();
    // Not asked a third time, and nothing was written down for other sessions.
    real.expect("ask", &format!("{told}allowed")).await;
    assert!(file.exists());
    assert!(!real.world.path("project/.claude").exists());
    let questions = real.world.api.view(|v| v.bot_texts(crate::support::USER));
    let questions = questions.iter().filter(|t| t.starts_with("May the agent"));
    assert_eq!(questions.count(), 2);
    real.end(daemon).await;
}

#[tokio::test]
async fn without_buttons_a_tool_is_allowed_and_denied_by_commands() {
    let real = Real::new(SHORT).await;
    real.world
        .drop_in("buttons", "[features]\npermission_buttons = false\n");
    let daemon = real.world.start();
    let file = real.world.path("project/asked.txt");
    for (number, command, outcome) in [(1, "/deny", "denied"), (2, "/allow 2", "allowed")] {
        real.send("ask");
        let how =
            format!("\nAnswer with /allow {number}, /allow {number} session or /deny {number}");
        let question = real
            .message("the agent asks", |m| m.text.contains(&how))
            .await;
        assert!(question.buttons.is_empty() && !file.exists());
        real.send(command);
        let told = format!("I should like to make a file.\n\n{outcome}");
        real.message("the answer is there", |m| m.text == told)
            .await;
    }
    assert!(file.exists());
    real.end(daemon).await;
}

#[tokio::test]
async fn a_stop_ends_the_tool_too() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send(WAITS);
    let question = real.message("the agent asks", asks).await;
    real.press(&question, "Allow once");
    let tool = "until [ -e go ]";
    real.until("the tool runs", || !real.pids(tool).is_empty())
        .await;
    let answer = real
        .message("there is a button", |m| {
            m.text.contains("Running: ") && !m.buttons.is_empty()
        })
        .await;
    real.press(&answer, "Stop");
    real.message("it is marked", |m| {
        m.text == "I look after it.\n\n— Interrupted" && m.buttons.is_empty()
    })
    .await;
    real.until("the tool is gone", || real.pids(tool).is_empty())
        .await;
    assert!(!real.world.path("project/made.txt").exists());
    // Stopped at a question, which is then asked no longer.
    real.send("ask");
    let question = real
        .message("the agent asks", |m| {
            asks(m) && m.message_id > answer.message_id
        })
        .await;
    real.send("/interrupt");
    real.message("the question is withdrawn", |m| {
        m.message_id == question.message_id
            && m.buttons.is_empty()
            && m.text.ends_with("\nNo longer asked")
    })
    .await;
    real.expect("say next", "next").await;
    assert!(!real.world.path("project/asked.txt").exists());
    real.end(daemon).await;
}

/// The agent may work on in the background when its answer is there, and then reports by itself.
#[tokio::test]
async fn what_the_agent_reports_by_itself_is_shown() {
    let real = Real::new(WARM).await;
    let daemon = real.world.start();
    let prompt = r#"@fake [{"tool":"Bash","input":{"command":"until [ -e go ]; do sleep 0.05; done; echo over","run_in_background":true}},{"text":"I wait for it."},{"text":"It is over."}]"#;
    real.send(prompt);
    let answer = real
        .message("the answer is there", |m| {
            m.text == "I wait for it." && m.buttons.is_empty()
        })
        .await;
    std::fs::write(real.world.path("project/go"), "").unwrap();
    let report = real
        .message("the report is there", |m| {
            m.text == "It is over." && m.buttons.is_empty()
        })
        .await;
    assert!(report.message_id > answer.message_id);
    real.expect("say next", "next").await;
    daemon.stop().await;
    real.world.end_all().await;
}
