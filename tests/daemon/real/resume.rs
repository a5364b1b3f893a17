//! Kills and restarts; sessions that are resumed, and those that are not.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd_botapi::ShownMessage;
use telexd_messages_api::script::{Answer, Cut, Step, Trouble};

use super::{Real, SHORT, once_showed, pieces, tools::WAITS};
use crate::support::{USER, texts};

const AGAIN: &str = "The server was restarted, so I am running your message again…";

/// Part of the word about a crash, which comes beside the answers.
const NOTE: &str = "restarted after a crash";

/// Texts of the bot's messages, but for that word.
fn answers(real: &Real) -> Vec<String> {
    let mut shown = texts(&real.world.api.view(|v| v.bot_messages(USER)));
    shown.retain(|text| !text.contains(NOTE));
    shown
}

#[tokio::test]
async fn a_killed_daemon_takes_the_same_agent_up_in_mid_answer() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x40");
    real.message("the answer has begun", |m| pieces(&m.text) > 2)
        .await;
    let agents = real.agents();
    assert_eq!(agents.len(), 1);
    daemon.kill();
    let daemon = real.world.start();
    let before = pieces(&real.world.api.view(|v| v.bot_texts(USER)).concat());
    real.message("the answer goes on", |m| pieces(&m.text) > before)
        .await;
    assert_eq!(real.agents(), agents);
    let answer = real
        .message("the whole answer is there", |m| {
            m.buttons.is_empty() && pieces(&m.text) == 40
        })
        .await;
    let whole: String = (1..=40).map(|n| format!("piece {n:05} ")).collect();
    assert_eq!(answer.text, whole.trim_end());
    assert_eq!(answers(&real).len(), 1);
    assert_eq!(real.model.requests().len(), 1);
    assert_eq!(real.model.prompts_seen(), [("slow 100 x40".to_owned(), 1)]);
    real.end(daemon).await;
}

#[tokio::test]
async fn a_question_is_still_answered_after_the_daemon_was_killed() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    let asks = |m: &ShownMessage| m.text.starts_with("May the agent use") && !m.buttons.is_empty();
    real.send("ask");
    let question = real.message("the agent asks", asks).await;
    daemon.kill();
    // Pressed while nobody is there.
    real.press(&question, "Allow once");
    let daemon = real.world.start();
    real.message("the answer is there", |m| {
        m.text == "I should like to make a file.\n\nallowed"
    })
    .await;
    assert!(real.world.path("project/asked.txt").exists());
    assert_eq!(real.model.requests().len(), 2);
    real.end(daemon).await;
}

/// The power fails before the agent used a tool. Gives the answer and the world, with the daemon's second life.
async fn lost_before_a_tool(forgotten: bool) -> (Real, ShownMessage) {
    let real = Real::new(SHORT).await;
    real.on("what is it?", |nth| match nth {
        0 => Step::Fault(
            Trouble::Mid(Answer::text("words that are lost"), Cut::Hang),
            None,
        ),
        _ => Step::Answer(Answer::text("the whole answer")),
    });
    let daemon = real.world.start();
    real.send("what is it?");
    real.message("the answer has begun", |m| {
        m.text.starts_with("words that are lost")
    })
    .await;
    real.kept("what is it?").await;
    real.lose_power(daemon).await;
    if forgotten {
        // As when the power fails before the agent has written down anything.
        std::fs::remove_dir_all(real.world.path("home/.claude/projects")).unwrap();
    }
    let daemon = real.world.start();
    let answer = real
        .message("the answer is there", |m| m.text == "the whole answer")
        .await;
    assert!(answer.buttons.is_empty());
    assert!(once_showed(&answer, AGAIN), "{:#?}", answer.history);
    assert_eq!(answers(&real).len(), 1);
    real.only(&daemon).await;
    assert!(daemon.stop().await.as_secs() < 5);
    (real, answer)
}

#[tokio::test]
async fn a_turn_that_was_lost_before_a_tool_runs_again_in_its_session() {
    let (real, _) = lost_before_a_tool(false).await;
    let asks = real.asks();
    assert_eq!(asks.len(), 2);
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["what is it?", "what is it?"]);
}

#[tokio::test]
async fn a_turn_that_was_lost_with_its_session_runs_again_in_a_new_one() {
    let (real, _) = lost_before_a_tool(true).await;
    let asks = real.asks();
    assert_eq!(asks.len(), 2);
    assert_ne!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["what is it?"]);
}

#[tokio::test]
async fn a_turn_that_was_lost_after_a_tool_is_asked_about() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send(WAITS);
    let question = real
        .message("the agent asks", |m| {
            m.text.starts_with("May the agent use") && !m.buttons.is_empty()
        })
        .await;
    real.press(&question, "Allow once");
    real.until("the tool runs", || !real.pids("until [ -e go ]").is_empty())
        .await;
    real.kept("\"tool_use\"").await;
    real.lose_power(daemon).await;
    let daemon = real.world.start();
    let lost = real
        .message("the person is asked", |m| {
            m.text
                == "I look after it.\n\nThis was interrupted by a restart of the server, after 1 tool call. Continue?"
        })
        .await;
    let labels: Vec<&str> = lost
        .buttons
        .iter()
        .flatten()
        .map(|b| b.text.as_str())
        .collect();
    assert_eq!(labels, ["Continue", "Leave it"]);
    assert_eq!(real.model.requests().len(), 1, "nothing runs by itself");
    real.only(&daemon).await;

    real.press(&lost, "Continue");
    let go_on = "You were interrupted by a restart of the server. Please check what took effect and continue where you stopped.";
    let answer = real
        .message("it goes on", |m| m.text == format!("echo: {go_on}"))
        .await;
    assert!(answer.message_id > lost.message_id);
    real.message("the question is closed", |m| {
        m.message_id == lost.message_id
            && m.buttons.is_empty()
            && m.text
                == "I look after it.\n\n— Interrupted by a restart of the server; continued below."
    })
    .await;
    let requests = real.model.requests();
    let asks = real.asks();
    assert_eq!(asks.len(), 2);
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, [WAITS, go_on]);
    let history = requests[1].body["messages"].to_string();
    assert!(history.contains("outcome is unknown"), "{history}");
    real.end(daemon).await;
}

#[tokio::test]
async fn an_idle_agent_ends_and_its_session_goes_on_until_it_is_cleared() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.expect("say one", "one").await;
    let first = real.agents();
    assert_eq!(first.len(), 1);
    real.only(&daemon).await;
    real.expect("say two", "two").await;
    assert_ne!(real.agents(), first);
    let asks = real.asks();
    assert_eq!(asks.len(), 2);
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["say one", "say two"]);
    assert_eq!(
        real.model.requests()[1].body["messages"]
            .to_string()
            .matches("\"one\"")
            .count(),
        1
    );

    real.send("/clear");
    real.message("it is cleared", |m| {
        m.text == "Done: the next message begins a new conversation with the agent."
    })
    .await;
    real.expect("say three", "three").await;
    let asks = real.asks();
    assert_eq!(asks.len(), 3);
    assert_ne!(asks[1].session, asks[2].session);
    assert_eq!(asks[2].prompts, ["say three"]);
    real.end(daemon).await;
}

#[tokio::test]
async fn a_session_that_the_agent_has_lost_is_told_and_begun_anew() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.expect("say one", "one").await;
    real.only(&daemon).await;
    std::fs::remove_dir_all(real.world.path("home/.claude/projects")).unwrap();
    real.expect("say two", "two").await;
    let told = "The agent no longer knows what was said here before, so it takes your message as the first of a new conversation.";
    real.message("it is told", |m| m.text == told).await;
    let asks = real.asks();
    assert_eq!(asks.len(), 2);
    assert_ne!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, ["say two"]);
    // Told once, and the new session goes on.
    real.expect("say three", "three").await;
    assert_eq!(real.asks()[2].prompts, ["say two", "say three"]);
    assert_eq!(
        texts(&real.world.api.view(|v| v.bot_messages(USER))).len(),
        4
    );
    real.end(daemon).await;
}

/// Many short lives of the daemon, under a stream of messages.
#[tokio::test]
async fn however_often_the_daemon_is_killed_each_message_is_answered_once() {
    let real = Real::new(SHORT).await;
    let mut sent = Vec::new();
    for life in 0..12_u64 {
        let daemon = real.world.start();
        if life % 2 == 0 {
            let words = format!("words {life}");
            real.send(&format!("say {words}"));
            sent.push(words);
        }
        // The moments are spread over what happens between a start and an answer; nothing is waited for by them.
        tokio::time::sleep(Duration::from_millis(life * 211 % 900)).await;
        daemon.kill();
    }
    let daemon = real.world.start();
    let shown = real
        .chat("all are answered", |m| {
            sent.iter()
                .all(|words| m.iter().any(|m| m.text.ends_with(words.as_str())))
        })
        .await;
    // One message each, in order. What was on its way at the moment of a kill may be there twice, with a mark.
    let unmarked: Vec<String> = texts(&shown)
        .into_iter()
        .filter(|text| !text.starts_with("(may be a repeat)") && !text.contains(NOTE))
        .collect();
    // A line that says what is being done may be left over: nobody knows its number.
    let left_over = |text: &&String| text.ends_with('…') || text.starts_with("In line: ");
    let mut answers = unmarked.iter().filter(|text| !left_over(text));
    for words in &sent {
        if !shown
            .iter()
            .any(|m| m.text.starts_with("(may") && m.text.ends_with(words.as_str()))
        {
            assert_eq!(answers.next(), Some(words));
        }
    }
    assert_eq!(answers.next(), None, "{unmarked:#?}");
    let mut prompts: Vec<(String, usize)> = sent.iter().map(|w| (format!("say {w}"), 1)).collect();
    prompts.sort();
    assert_eq!(real.model.prompts_seen(), prompts);
    assert_eq!(real.model.requests().len(), sent.len());
    real.end(daemon).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_is_told_and_its_tools_end_with_it() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send(WAITS);
    let question = real
        .message("the agent asks", |m| {
            m.text.starts_with("May the agent use") && !m.buttons.is_empty()
        })
        .await;
    real.press(&question, "Allow once");
    real.until("the tool runs", || !real.pids("until [ -e go ]").is_empty())
        .await;
    real.kept("\"tool_use\"").await;
    let agents = real.agents();
    let [pid] = agents[..] else {
        panic!("{agents:?}");
    };
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let answer = real
        .message("it is told", |m| {
            m.text
                == "I look after it.\n\n🤖 The agent was ended from outside (signal 9) before it had finished."
        })
        .await;
    assert!(answer.buttons.is_empty());
    real.only(&daemon).await;
    assert!(!real.world.path("project/made.txt").exists());
    real.expect("say next", "next").await;
    let asks = real.asks();
    assert_eq!(asks[0].session, asks[1].session);
    assert_eq!(asks[1].prompts, [WAITS, "say next"]);
    real.end(daemon).await;
}
