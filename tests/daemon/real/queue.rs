//! Messages that come while the agent works: in line, ending the answer, or given to the agent.

use std::time::Duration;

use telexd_messages_api::script::{Answer, Step};

use super::{Real, SHORT, WARM, pieces, tools::WAITS};
use crate::{
    rig::{GIVEN, TAKEN},
    support::USER,
};

const FOR_NEWER: &str = "— Interrupted: your newer message comes first";

async fn real(mode: &str, agent: &str) -> Real {
    let real = Real::new(agent).await;
    real.world
        .drop_in("busy", &format!("[queue]\nmode = \"{mode}\"\n"));
    real
}

#[tokio::test]
async fn a_newer_message_ends_the_answer_and_the_agent_remembers_it() {
    let real = real("interrupt", SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x600");
    real.message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    real.send("say next");
    let ended = real
        .message("the answer is marked", |m| {
            m.text.ends_with(FOR_NEWER) && m.buttons.is_empty()
        })
        .await;
    assert!((3..600).contains(&pieces(&ended.text)), "{}", ended.text);
    real.message("the newer one is answered", |m| m.text == "next")
        .await;
    let asks = real.asks();
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["slow 100 x600", "say next"]);
    let history = real.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(history.contains("piece 00003"), "{history}");
    real.end(daemon).await;
}

#[tokio::test]
async fn a_newer_message_ends_a_tool() {
    let real = real("interrupt", SHORT).await;
    let daemon = real.world.start();
    tool_runs(&real).await;
    real.send("say next");
    real.message("the answer is marked", |m| m.text.ends_with(FOR_NEWER))
        .await;
    real.message("the newer one is answered", |m| m.text == "next")
        .await;
    real.end(daemon).await;
}

/// Has the agent run a tool that goes on until [`tool_ends`].
async fn tool_runs(real: &Real) {
    real.send(WAITS);
    let question = real
        .message("the agent asks", |m| {
            m.text.starts_with("May the agent use Bash?") && !m.buttons.is_empty()
        })
        .await;
    real.press(&question, "Allow once");
    real.message("the tool runs", |m| m.text.contains("\n\nRunning: until"))
        .await;
}

fn tool_ends(real: &Real) {
    std::fs::write(real.world.path("project/go"), "").unwrap();
}

#[tokio::test]
async fn a_message_is_taken_in_between_tools_and_answered_with_the_rest() {
    let real = real("steer", SHORT).await;
    let secret = "what only the file says";
    std::fs::write(real.world.path("project/notes.txt"), secret).unwrap();
    let daemon = real.world.start();
    tool_runs(&real).await;
    // To the letter: no file is read, no command of the agent's is run.
    real.send("also this: @notes.txt\n/clear");
    let given = real.message("it is given", |m| m.text == GIVEN).await;
    written(&real, "also this").await;
    tool_ends(&real);
    let taken = real.message("it is taken in", |m| m.text == TAKEN).await;
    assert_eq!(taken.message_id, given.message_id);
    let answer = real
        .message("both are answered", |m| {
            m.text.starts_with("I look after it.\n\nIt was allowed.") && m.buttons.is_empty()
        })
        .await;
    assert!(answer.message_id < given.message_id);
    let asked = real.model.requests().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("also this: @notes.txt"), "{asked}");
    assert!(!asked.contains(secret), "{asked}");
    assert_eq!(done(&real), 2);
    // It goes on in the same process, with nothing left over.
    real.expect("say next", "next").await;
    assert_eq!(done(&real), 3);
    let asks = real.asks();
    assert!(asks.iter().all(|ask| ask.session == asks[0].session));
    real.end(daemon).await;
}

/// Waits until a message is in the input of an agent.
async fn written(real: &Real, text: &str) {
    real.until("it is in its input", || {
        let runs = real.world.run_directories();
        runs.iter().any(|run| {
            std::fs::read_to_string(run.join("input.jsonl")).is_ok_and(|input| input.contains(text))
        })
    })
    .await;
}

fn done(real: &Real) -> i64 {
    let completed = "SELECT count(*) FROM turns WHERE state = 'completed' AND ended_at IS NOT NULL";
    real.world.query(completed).unwrap()
}

#[tokio::test]
async fn what_comes_while_it_only_writes_is_a_turn_of_its_own() {
    let real = real("steer", SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x40");
    real.message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    real.send("say second");
    let given = real.message("it is given", |m| m.text == GIVEN).await;
    let first = real
        .message("the first is whole", |m| {
            pieces(&m.text) == 40 && m.buttons.is_empty()
        })
        .await;
    assert!(!first.text.contains("second"));
    let second = real
        .message("the second is answered", |m| {
            m.text == "second" && m.buttons.is_empty()
        })
        .await;
    assert_eq!(second.message_id, given.message_id);
    let asks = real.asks();
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["slow 100 x40", "say second"]);
    assert_eq!(done(&real), 2);
    real.end(daemon).await;
}

/// Two that wait in the agent are one turn of it.
#[tokio::test]
async fn two_that_come_while_it_only_writes_are_answered_at_once() {
    let real = real("steer", SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x40");
    real.message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    real.send("and second");
    real.send("and third");
    real.chat("both are given", |m| {
        m.iter().filter(|m| m.text == GIVEN).count() == 2
    })
    .await;
    real.message("both are answered", |m| {
        m.text.starts_with("echo: and second") && m.text.ends_with("and third")
    })
    .await;
    real.message("the other says so", |m| m.text == TAKEN).await;
    assert_eq!(done(&real), 3);
    assert_eq!(real.asks().len(), 2);
    real.end(daemon).await;
}

#[tokio::test]
async fn a_stop_takes_back_what_it_was_given() {
    let real = real("steer", WARM).await;
    let daemon = real.world.start();
    real.send("slow 100 x600");
    let answer = real
        .message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    real.send("say second");
    real.message("it is given", |m| m.text == GIVEN).await;
    real.press(&answer, "Stop");
    real.message("the answer is marked", |m| {
        m.text.ends_with("\n\n— Interrupted")
    })
    .await;
    let list = real
        .message("it is kept", |m| m.text.starts_with("1 message is kept"))
        .await;
    real.expect("say after", "after").await;
    real.press(&list, "Run next");
    real.message("it is answered now", |m| m.text == "second")
        .await;
    let asks = real.asks();
    let asked: Vec<&str> = asks.iter().map(|a| a.prompt.as_str()).collect();
    assert_eq!(asked, ["slow 100 x600", "say after", "say second"]);
    assert_eq!(real.agents().len(), 1, "the process goes on");
    daemon.stop().await;
    real.world.end_all().await;
}

/// The daemon is killed while the agent has a message that it has not begun with; the agent goes on, and is taken up.
#[tokio::test]
async fn a_kill_of_the_daemon_is_nothing_to_what_the_agent_was_given() {
    let real = real("steer", SHORT).await;
    let daemon = real.world.start();
    tool_runs(&real).await;
    real.send("say second");
    real.message("it is given", |m| m.text == GIVEN).await;
    written(&real, "say second").await;
    real.world.wait_sent().await;
    daemon.kill();
    let daemon = real.world.start();
    tool_ends(&real);
    real.message("it is taken in", |m| m.text == TAKEN).await;
    real.message("both are answered", |m| {
        m.text.starts_with("I look after it.\n\nIt was allowed.") && m.buttons.is_empty()
    })
    .await;
    real.until("both are done", || done(&real) == 2).await;
    real.expect("say next", "next").await;
    real.end(daemon).await;
}

/// The agent is lost with its supervisor, having begun no tool: both are run again.
#[tokio::test]
async fn a_loss_of_power_loses_neither() {
    let real = real("steer", SHORT).await;
    let daemon = real.world.start();
    real.on("write", |nth| match nth {
        0 => Step::Answer(Answer {
            delay_ms: 100,
            chunk: 5,
            ..Answer::text("word ".repeat(600))
        }),
        _ => Step::Answer(Answer::text("done at last")),
    });
    real.send("write");
    real.message("it writes", |m| m.text.contains("word word"))
        .await;
    real.send("say second");
    real.message("it is given", |m| m.text == GIVEN).await;
    written(&real, "say second").await;
    real.world.wait_sent().await;
    real.lose_power(daemon).await;
    let daemon = real.world.start();
    real.message("the first is answered", |m| m.text == "done at last")
        .await;
    real.message("the second is answered", |m| m.text == "second")
        .await;
    let shown = real.world.api.view(|v| v.bot_messages(USER));
    let of = |text: &str| shown.iter().find(|m| m.text == text).unwrap().message_id;
    assert!(of("done at last") < of("second"));
    real.until("both are done", || done(&real) == 2).await;
    tokio::time::timeout(Duration::from_secs(60), real.end(daemon))
        .await
        .unwrap();
}
