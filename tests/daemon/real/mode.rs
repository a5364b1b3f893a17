//! Permission modes, as the real agent takes them.

use std::fs;

use telexd_botapi::ShownMessage;

use super::{Real, WARM};

fn asks(message: &ShownMessage) -> bool {
    !message.buttons.is_empty()
        && message
            .buttons
            .iter()
            .flatten()
            .any(|button| button.text == "Deny")
}

/// A prompt that has the agent write a file.
fn writes(real: &Real, name: &str) -> String {
    let path = real.world.path("project").join(name);
    format!(
        r#"@fake [{{"tool":"Write","input":{{"file_path":"{}","content":"x"}}}},{{"text":"{name} was {{outcome}}."}}]"#,
        path.display()
    )
}

#[tokio::test]
async fn the_agent_takes_the_mode_that_was_chosen_and_tells_the_one_that_it_comes_to() {
    let real = Real::new(WARM).await;
    let daemon = real.world.start();
    real.expect("say one", "one").await;
    real.expect(
        "/mode acceptEdits",
        "Mode acceptEdits from now on: the agent edits files without asking, and asks before anything else.",
    )
    .await;
    // Nobody is asked.
    real.expect(&writes(&real, "a.txt"), "a.txt was allowed.")
        .await;
    assert!(fs::exists(real.world.path("project/a.txt")).unwrap());
    assert!(
        real.world
            .api
            .view(|v| v.bot_messages(crate::support::USER))
            .iter()
            .all(|m| !asks(m))
    );
    real.expect(
        "/mode default",
        "Mode default from now on: the agent asks before it changes anything.",
    )
    .await;
    real.send(&writes(&real, "b.txt"));
    let question = real.message("it asks again", asks).await;
    real.press(&question, "Deny");
    real.message("denied", |m| m.text == "b.txt was denied.")
        .await;
    assert!(!fs::exists(real.world.path("project/b.txt")).unwrap());

    // A plan that is approved ends the mode, and that is known.
    real.expect(
        "/mode plan",
        "Mode plan from now on: the agent only plans, until you approve the plan.",
    )
    .await;
    let before = real.newest();
    real.send(r#"@fake [{"tool":"ExitPlanMode","input":{"plan":"Do it."}},{"text":"The plan was {outcome}."}]"#);
    let question = real
        .message("the plan is asked about", |m| {
            m.message_id > before && !m.buttons.is_empty() && m.text.contains("stop planning")
        })
        .await;
    let yes = question.buttons[0][0].text.clone();
    real.press(&question, &yes);
    real.message("it goes on", |m| m.text == "The plan was allowed.")
        .await;
    let shown = real
        .expect_told(
            "/mode",
            "Mode default: the agent asks before it changes anything.",
        )
        .await;
    assert!(!shown.buttons.is_empty());

    // All in one process.
    assert_eq!(real.world.logged("agent started"), 1);
    assert_eq!(real.agents().len(), 1);
    daemon.stop().await;
    real.world.end_all().await;
}
