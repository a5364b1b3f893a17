//! What the real agent thinks, and what of that is shown.

use std::fs;

use super::{Real, SHORT};
use crate::support::USER;

const THOUGHT: &str = "the secret thought ";

/// Thinks for so many pieces, 20 ms apart, and answers. The word that is looked for is written so that the prompt itself
/// does not hold it.
fn prompt(pieces: usize) -> String {
    let thought = THOUGHT.replace("secret", "se\\u0063ret");
    format!(
        "@fake [{{\"thinking\": \"{thought}\", \"repeat\": {pieces}, \"chunk\": 19, \"delay_ms\": 20, \"tool\": \"Bash\", \
         \"input\": {{\"command\": \"true \"}}}}, {{\"text\": \"That is it.\"}}]"
    )
}

/// Whether the agent has said so much of its thinking.
fn thinks(real: &Real) -> bool {
    let runs = real.world.run_directories();
    runs.iter().any(|run| {
        let said = fs::read_to_string(run.join("output.jsonl")).unwrap_or_default();
        said.matches("thinking_delta").count() > 5 && said.contains("secret")
    })
}

#[tokio::test]
async fn it_is_told_to_nobody_who_has_not_asked_for_it_also_when_it_is_broken_off() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send(&prompt(3000));
    real.until("it thinks", || thinks(&real)).await;
    real.send("/interrupt");
    real.message("it is interrupted", |m| m.text.ends_with("— Interrupted"))
        .await;
    for call in real.world.api.calls() {
        let told = call.params.to_string();
        assert!(!told.contains("secret"), "{} {told}", call.method);
    }
    real.end(daemon).await;
}

#[tokio::test]
async fn who_asks_for_it_sees_it_while_it_lasts() {
    let real = Real::new(SHORT).await;
    let on = format!("[features]\nshow_thinking = [{USER}]\n");
    real.world.drop_in("thinking", &on);
    let daemon = real.world.start();
    real.send(&prompt(3000));
    let shown = real
        .message("it is shown", |m| m.text.contains(THOUGHT.trim()))
        .await;
    assert!(shown.text.ends_with("\n\nThinking…"), "{}", shown.text);
    assert!(
        shown
            .entities
            .iter()
            .any(|e| e.kind == "expandable_blockquote")
    );
    real.send("/interrupt");
    let over = real
        .message("it is interrupted", |m| m.text.ends_with("— Interrupted"))
        .await;
    assert_eq!(over.text, "— Interrupted");
    real.end(daemon).await;
}
