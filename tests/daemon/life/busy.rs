//! What a message does that comes while the agent works: it ends the running answer, or the agent is given it.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd_botapi::{Fault, FaultKind, Outgoing, ShownMessage};

use crate::{
    rig::{GIVEN, TAKEN},
    support::{ADMIN, Daemon, USER, World, texts, wait_until},
};

const FOR_NEWER: &str =
    "words of an answer that never ends\n\n— Interrupted: your newer message comes first";
const INTERRUPTED: &str = "words of an answer that never ends\n\n— Interrupted";

async fn world(mode: &str) -> World {
    let world = World::new().await;
    set(&world, mode);
    world
}

fn set(world: &World, mode: &str) {
    world.drop_in("busy", &format!("[queue]\nmode = \"{mode}\"\n"));
}

/// Has the daemon take another mode.
async fn reload(world: &World, daemon: &Daemon, mode: &str) {
    let holds = "holds (changed=queue.mode)";
    let before = world.logged(holds);
    set(world, mode);
    daemon.signal(Signal::SIGHUP);
    let log = || world.log();
    wait_until("the mode holds", || world.logged(holds) > before, log).await;
}

fn send(world: &World, text: &str) {
    world.api.user(USER, "Uma").send_text(USER, text);
}

/// The newest message of the chat that shows this, once it is there.
async fn message(world: &World, what: &str, is_it: impl Fn(&ShownMessage) -> bool) -> ShownMessage {
    let is_it = |m: &ShownMessage| !m.deleted && is_it(m);
    let shown = world.wait_chat(USER, what, |m| m.iter().any(is_it)).await;
    shown.into_iter().rfind(is_it).unwrap()
}

/// Sends a message, which the agent is then given: its own message, and it is in the agent's hands.
async fn give(world: &World, text: &str) -> ShownMessage {
    send(world, text);
    let given = shows(world, GIVEN).await;
    let log = || world.log();
    wait_until("the agent has read it", || world.reached(text) == 1, log).await;
    given
}

/// With or without the mark of what was on the wire at a kill.
async fn shows(world: &World, text: &str) -> ShownMessage {
    let plain = |m: &ShownMessage| {
        let marked = m.text.strip_prefix("(may be a repeat)\n");
        marked.unwrap_or(&m.text) == text
    };
    message(world, text, plain).await
}

/// An agent that hangs in mid-answer.
async fn hangs(world: &World) -> ShownMessage {
    send(world, "hang");
    let is_it = |m: &ShownMessage| m.text.contains("words of an answer") && !m.buttons.is_empty();
    message(world, "it hangs", is_it).await
}

/// An agent that asks whether it may use a tool.
async fn asks(world: &World) -> ShownMessage {
    send(world, "ask");
    let is_it = |m: &ShownMessage| m.text.starts_with("May the agent use") && !m.buttons.is_empty();
    message(world, "it asks", is_it).await
}

fn press(world: &World, message: &ShownMessage, label: &str) {
    let user = world.api.user(USER, "Uma");
    user.press_labelled(USER, message.message_id, label)
        .unwrap();
}

/// How often agents began with this.
fn begun(world: &World, text: &str) -> u32 {
    let reached = world.evidence().reached();
    let of = reached.iter().filter(|r| r.text == text);
    of.map(|r| r.begun).sum()
}

/// Prompts in the order in which agents began with them.
fn order(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    let mut seen: Vec<_> = evidence
        .of("begun")
        .map(|line| {
            (
                line["at_ms"].as_u64().unwrap(),
                line["text"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    seen.sort_by_key(|(at, _)| *at);
    seen.into_iter().map(|(_, text)| text).collect()
}

/// Ids of the agents themselves.
fn agents(world: &World, part: &str) -> Vec<Pid> {
    let all = world.processes().into_iter();
    all.filter(|(_, line)| line.contains(part))
        .map(|(pid, _)| Pid::from_raw(pid))
        .collect()
}

/// Everything is over, and nothing of it was lost or done twice.
async fn end(world: &World, daemon: Daemon) {
    let open = "SELECT count(*) FROM turns WHERE ended_at IS NULL";
    let log = || world.log();
    wait_until("no turn is open", || world.query(open) == Some(0), log).await;
    for reached in world.evidence().reached() {
        assert!(reached.begun <= 1, "{reached:?}");
    }
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_newer_message_ends_the_answer_and_runs_before_what_waited() {
    let world = world("queue").await;
    let daemon = world.start();
    hangs(&world).await;
    for (place, text) in [(2, "say one"), (3, "say two")] {
        send(&world, text);
        shows(&world, &format!("In line: number {place}.")).await;
    }
    // What came before waits on: the mode is that of the next message.
    reload(&world, &daemon, "interrupt").await;
    shows(&world, "In line: number 2.").await;
    send(&world, "say new");
    let ended = shows(&world, FOR_NEWER).await;
    assert!(ended.buttons.is_empty());
    // Nothing is held, and each answer stands in its own message.
    world
        .wait_chat(USER, "all is answered", |m| {
            texts(m) == [FOR_NEWER, "one", "two", "new"]
        })
        .await;
    assert_eq!(order(&world), ["hang", "say new", "say one", "say two"]);
    let reached = world.evidence().reached();
    assert!(reached.iter().all(|r| r.session == reached[0].session));
    assert_eq!(
        world.evidence().of("start").count(),
        1,
        "the process goes on"
    );
    end(&world, daemon).await;
}

#[tokio::test]
async fn each_newer_message_ends_the_one_before_it() {
    let world = world("interrupt").await;
    let daemon = world.start();
    send(&world, "hang");
    message(&world, "it hangs", |m| m.text.contains("words of an")).await;
    send(&world, "slow 20 x5000");
    message(&world, "the second is answered", |m| {
        m.text.contains("piece 00002")
    })
    .await;
    shows(&world, FOR_NEWER).await;
    send(&world, "say last");
    shows(&world, "last").await;
    message(&world, "the second is marked", |m| {
        m.text.contains("piece 00002") && m.text.ends_with("your newer message comes first")
    })
    .await;
    // Where nothing runs it is a message like any other, and so is one that is alone.
    world.says(USER, "more").await;
    end(&world, daemon).await;
}

#[tokio::test]
async fn a_newer_message_ends_an_answer_of_an_agent_that_does_not_listen() {
    let world = world("interrupt").await;
    let daemon = world.start();
    hangs(&world).await;
    let agent = agents(&world, "--input-format")[0];
    kill(agent, Signal::SIGSTOP).unwrap();
    send(&world, "say new");
    let waits = shows(&world, "The running answer is being stopped; this is next.").await;
    let labels: Vec<_> = waits.buttons.concat().into_iter().map(|b| b.text).collect();
    assert_eq!(labels, ["Cancel"]);
    shows(&world, FOR_NEWER).await;
    let answer = shows(&world, "new").await;
    assert_eq!(answer.message_id, waits.message_id);
    let starts = world.evidence();
    let resumed: Vec<_> = starts
        .of("start")
        .map(|s| s["resume"].as_bool().unwrap())
        .collect();
    assert_eq!(resumed, [false, true], "the session is kept");
    end(&world, daemon).await;
}

#[tokio::test]
async fn a_question_that_is_open_is_withdrawn_for_a_newer_message() {
    let world = world("interrupt").await;
    let daemon = world.start();
    let question = asks(&world).await;
    send(&world, "say new");
    shows(&world, "new").await;
    let withdrawn = |m: &ShownMessage| m.message_id == question.message_id && m.buttons.is_empty();
    message(&world, "the question is closed", withdrawn).await;
    message(&world, "the answer is marked", |m| {
        m.text.ends_with("your newer message comes first")
    })
    .await;
    end(&world, daemon).await;
}

/// Killed between the commit of the newer message and the end of the answer, and again when that is recorded.
#[tokio::test]
async fn an_end_for_a_newer_message_holds_over_kills() {
    for point in ["intake-after-commit:2", "newer-interrupts:1"] {
        let world = world("interrupt").await;
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", point)]);
        hangs(&world).await;
        send(&world, "say new");
        daemon.wait().await;
        let daemon = world.start();
        shows(&world, FOR_NEWER).await;
        shows(&world, "new").await;
        assert_eq!((begun(&world, "hang"), begun(&world, "say new")), (1, 1));
        end(&world, daemon).await;
    }
}

#[tokio::test]
async fn the_agent_takes_a_message_into_what_it_works_on() {
    let world = world("steer").await;
    let daemon = world.start();
    let question = asks(&world).await;
    let given = give(&world, "say more").await;
    assert!(given.buttons.is_empty());
    // It begins with it between two tools.
    assert_eq!(begun(&world, "say more"), 0);
    press(&world, &question, "Allow once");
    message(&world, "both are answered", |m| {
        m.text.ends_with("\n\nallowed\n\nalso: say more") && m.buttons.is_empty()
    })
    .await;
    let taken = shows(&world, TAKEN).await;
    assert_eq!(taken.message_id, given.message_id);
    let evidence = world.evidence();
    let answers: Vec<_> = evidence.of("answer").collect();
    assert_eq!(answers.len(), 1, "one answer to both");
    assert_eq!(answers[0]["uuids"].as_array().unwrap().len(), 2);
    let completed = "SELECT count(*) FROM turns WHERE state = 'completed'";
    assert_eq!(world.query(completed), Some(2));
    let composed = |line: &serde_json::Value| line["client_composed"] == true;
    assert!(evidence.of("prompt").all(composed));
    // And on it goes.
    world.says(USER, "next").await;
    end(&world, daemon).await;
}

#[tokio::test]
async fn what_the_agent_does_not_take_in_it_answers_afterwards() {
    let world = world("steer").await;
    let daemon = world.start();
    send(&world, "slow 100 x20");
    message(&world, "it writes", |m| m.text.contains("piece 00002")).await;
    let given = give(&world, "say two").await;
    // Two that wait in the agent are one turn of it.
    send(&world, "and three");
    let other = world
        .wait_chat(USER, "both are given", |m| {
            m.iter().filter(|m| m.text == GIVEN).count() == 2
        })
        .await;
    let other = other.last().unwrap().message_id;
    let first = message(&world, "the first is whole", |m| {
        m.buttons.is_empty() && m.text.contains("piece 00020")
    })
    .await;
    assert!(!first.text.contains("two"));
    let answer = message(&world, "the second is answered", |m| {
        m.message_id == given.message_id && m.text.starts_with("two") && m.buttons.is_empty()
    })
    .await;
    assert!(!answer.text.contains("piece"), "{}", answer.text);
    let taken = shows(&world, TAKEN).await;
    assert_eq!(taken.message_id, other);
    assert_eq!(world.evidence().of("answer").count(), 2);
    world.says(USER, "next").await;
    end(&world, daemon).await;
}

#[tokio::test]
async fn a_stop_keeps_what_the_agent_was_given_and_did_not_begin_with() {
    let world = world("steer").await;
    let daemon = world.start();
    let answer = hangs(&world).await;
    let given = give(&world, "say two").await;
    press(&world, &answer, "Stop");
    shows(&world, INTERRUPTED).await;
    let list = message(&world, "it is kept", |m| {
        m.text.starts_with("1 message is kept") && m.text.contains("“say two”")
    })
    .await;
    world
        .wait_chat(USER, "its message is gone", |m| {
            m.iter()
                .all(|m| m.message_id != given.message_id || m.deleted)
        })
        .await;
    // What is sent after the stop runs.
    world.says(USER, "after").await;
    assert_eq!(begun(&world, "say two"), 0);
    press(&world, &list, "Run next");
    shows(&world, "two").await;
    assert_eq!(begun(&world, "say two"), 1);
    end(&world, daemon).await;
}

/// The stop is recorded and the daemon killed before the agent is told; and an agent that hears nothing of it.
#[tokio::test]
async fn a_stop_keeps_it_over_a_kill_and_where_the_agent_does_not_listen() {
    let world = world("steer").await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "lane-stopping:1")]);
    let answer = hangs(&world).await;
    give(&world, "say two").await;
    let agent = agents(&world, "--input-format")[0];
    kill(agent, Signal::SIGSTOP).unwrap();
    let stop = answer.buttons[0][0].data.clone().unwrap();
    let user = world.api.user(USER, "Uma");
    user.press(USER, answer.message_id, &stop).unwrap();
    daemon.wait().await;
    let daemon = world.start();
    shows(&world, INTERRUPTED).await;
    let list = message(&world, "it is kept", |m| {
        m.text.starts_with("1 message is kept")
    })
    .await;
    assert_eq!(begun(&world, "say two"), 0);
    world.says(USER, "after").await;
    press(&world, &list, "Run next");
    shows(&world, "two").await;
    end(&world, daemon).await;
}

/// The end of one answer by somebody else, or for a newer message under another mode, is no reason to keep the others.
#[tokio::test]
async fn what_it_was_given_goes_on_where_somebody_else_ends_the_answer() {
    let world = world("steer").await;
    let daemon = world.start();
    hangs(&world).await;
    give(&world, "say two").await;
    reload(&world, &daemon, "interrupt").await;
    send(&world, "say new");
    shows(&world, "new").await;
    shows(&world, "two").await;
    assert_eq!(order(&world), ["hang", "say new", "say two"]);

    reload(&world, &daemon, "steer").await;
    send(&world, "hang");
    message(&world, "it hangs", |m| {
        m.text.contains("words of an answer") && !m.buttons.is_empty()
    })
    .await;
    give(&world, "say three").await;
    world.api.user(ADMIN, "Ada").send_text(ADMIN, "/killall");
    let asked = world.wait_told(ADMIN, "End the one agent").await;
    let asked = asked.last().unwrap();
    let label = asked.buttons[0][0].text.clone();
    let ada = world.api.user(ADMIN, "Ada");
    ada.press_labelled(ADMIN, asked.message_id, &label).unwrap();
    world.wait_told(USER, "— Ended by an administrator").await;
    shows(&world, "three").await;
    end(&world, daemon).await;
}

#[tokio::test]
async fn an_agent_that_ends_alone_leaves_what_it_did_not_begin_with_to_the_next() {
    let world = world("steer").await;
    let daemon = world.start();
    hangs(&world).await;
    give(&world, "say two").await;
    kill(agents(&world, "--input-format")[0], Signal::SIGKILL).unwrap();
    message(&world, "the first has failed", |m| {
        m.text.contains("signal 9")
    })
    .await;
    shows(&world, "two").await;
    assert_eq!(world.evidence().of("start").count(), 2);
    assert_eq!((begun(&world, "hang"), begun(&world, "say two")), (1, 1));
    end(&world, daemon).await;
}

/// The daemon, the agent and its supervisor are gone at once.
async fn lose(world: &World, daemon: Daemon) {
    // Else what was on its way to Telegram is sent again with a mark.
    world.wait_sent().await;
    daemon.kill();
    // The supervisor stands still, so that it records nothing of the end.
    let halts = [
        ("telexd-run ", Signal::SIGSTOP),
        ("--input-format", Signal::SIGKILL),
        ("telexd-run ", Signal::SIGKILL),
    ];
    for (part, signal) in halts {
        for pid in agents(world, part) {
            let _ = kill(pid, signal);
        }
    }
    let log = || format!("{:?}", world.processes());
    wait_until("all are gone", || world.processes().is_empty(), log).await;
}

/// An agent that was lost with its supervisor while it used tools: whether it had taken the message in, nobody knows.
#[tokio::test]
async fn where_nobody_can_know_whether_it_was_taken_its_person_is_asked() {
    let world = world("steer").await;
    let daemon = world.start();
    asks(&world).await;
    give(&world, "say two").await;
    lose(&world, daemon).await;
    let daemon = world.start();
    let question = message(&world, "it is asked", |m| {
        m.text.starts_with("The agent was lost while it worked") && m.text.ends_with("“say two”")
    })
    .await;
    let answer = message(&world, "the answer is asked about", |m| {
        m.buttons.concat().iter().any(|b| b.text == "Leave it")
    })
    .await;
    assert_eq!(begun(&world, "say two"), 0);
    press(&world, &answer, "Leave it");
    press(&world, &question, "Run");
    shows(&world, "two").await;
    assert_eq!(begun(&world, "say two"), 1);
    end(&world, daemon).await;
}

/// It stays that question, whatever comes that is old, and shows the message as it is.
#[tokio::test]
async fn what_was_perhaps_taken_is_not_asked_about_as_old() {
    let world = world("steer").await;
    let daemon = world.start();
    asks(&world).await;
    // So long that Telegram may have cut it: what comes next goes on with it.
    let long = format!("say two {}", "x".repeat(4000));
    let user = world.api.user(USER, "Uma");
    let id = user.send_text(USER, &long);
    shows(&world, GIVEN).await;
    let log = || world.log();
    wait_until("it has read it", || world.reached(&long) == 1, log).await;
    lose(&world, daemon).await;
    let daemon = world.start();
    let lost = |m: &ShownMessage| m.text.starts_with("The agent was lost while it worked");
    message(&world, "it is asked", lost).await;
    let old = Outgoing::text("say late").sent_ago_ms(20 * 60 * 1000);
    user.send(USER, old);
    shows(
        &world,
        "Received 20 min ago while I was away: run it?\n\nsay late",
    )
    .await;
    message(&world, "it is asked as before", lost).await;
    user.edit(USER, id, "say four");
    let question = message(&world, "it is asked as it is", |m| {
        lost(m) && m.text.ends_with("“say four”")
    })
    .await;
    let answer = message(&world, "the answer is asked about", |m| {
        m.buttons.concat().iter().any(|b| b.text == "Leave it")
    })
    .await;
    press(&world, &answer, "Leave it");
    press(&world, &question, "Run");
    shows(&world, "four").await;
    assert_eq!(world.reached("say late"), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_cleared_conversation_takes_it_to_the_new_one() {
    let world = world("steer").await;
    let daemon = world.start();
    hangs(&world).await;
    give(&world, "say two").await;
    send(&world, "/clear");
    shows(&world, INTERRUPTED).await;
    shows(&world, "two").await;
    let reached = world.evidence().reached();
    let of = |text: &str| {
        let begun = |r: &&telexd_scripted_agent::history::Reached| r.text == text && r.begun > 0;
        reached.iter().find(begun).unwrap().session
    };
    assert_ne!(of("hang"), of("say two"));
    end(&world, daemon).await;
}

#[tokio::test]
async fn during_a_pause_a_message_waits_like_any_other() {
    let world = world("steer").await;
    let daemon = world.start();
    let question = asks(&world).await;
    let ada = world.api.user(ADMIN, "Ada");
    ada.send_text(ADMIN, "/pause");
    world.wait_told(ADMIN, "Paused").await;
    send(&world, "say two");
    world.wait_told(USER, "yours is number 1.").await;
    assert_eq!(world.reached("say two"), 0);
    ada.send_text(ADMIN, "/resume");
    shows(&world, "In line: number 2.").await;
    press(&world, &question, "Allow once");
    message(&world, "it is answered", |m| {
        m.text.ends_with("\n\nallowed")
    })
    .await;
    shows(&world, "two").await;
    end(&world, daemon).await;
}

/// A message waits for its file, and those behind it for that; commands wait for nothing.
#[tokio::test]
async fn a_message_with_a_file_is_given_when_that_is_here() {
    let world = world("steer").await;
    let daemon = world.start_ready().await;
    let question = asks(&world).await;
    world.api.fault(Fault::once(
        "getFile",
        FaultKind::Delay(Duration::from_secs(2)),
    ));
    let user = world.api.user(USER, "Uma");
    user.send_document(USER, "a.txt", "text/plain", "words", "look at it");
    shows(&world, "In line: number 2.").await;
    send(&world, "say behind");
    send(&world, "/status");
    message(&world, "the status is told", |m| {
        m.text.starts_with("Working for")
    })
    .await;
    world
        .wait_chat(USER, "both are given", |m| {
            m.iter().filter(|m| m.text == GIVEN).count() == 2
        })
        .await;
    press(&world, &question, "Allow once");
    let answer = message(&world, "all are answered", |m| {
        m.text.contains("\n\nallowed")
    })
    .await;
    let (file, behind) = (answer.text.find("a.txt"), answer.text.find("say behind"));
    assert!(file.is_some() && file < behind, "{}", answer.text);
    end(&world, daemon).await;
}

/// An order about what runs means the answer that is being written, whatever was moved before it and then given into it.
#[tokio::test]
async fn what_was_moved_ahead_and_given_into_an_answer_is_not_what_runs() {
    let world = world("steer").await;
    world.write_config(&telexd_scripted_agent::binary(), "silence_timeout_s = 10\n");
    let daemon = world.start_ready().await;
    hangs(&world).await;
    world.api.fault(Fault::once(
        "getFile",
        FaultKind::Delay(Duration::from_secs(1)),
    ));
    let user = world.api.user(USER, "Uma");
    user.send_document(USER, "a.txt", "text/plain", "words", "look at it");
    shows(&world, "In line: number 2.").await;
    // It waits for the one before it.
    send(&world, "say behind");
    shows(&world, GIVEN).await;
    let behind = "SELECT max(turn) FROM turn_parts WHERE text = 'say behind'";
    let behind = world.query(behind).unwrap();
    send(&world, &format!("/queue next {behind}"));
    let log = || world.log();
    wait_until("it is given", || world.reached("say behind") == 1, log).await;
    let place = format!("SELECT place FROM turns WHERE id = {behind} AND state = 'submitted'");
    assert_eq!(world.query(&place), Some(-1));
    message(&world, "the end is near", |m| {
        m.text.starts_with("The agent has said nothing for") && !m.buttons.is_empty()
    })
    .await;
    send(&world, "/longer");
    shows(&world, "All right, I give it 10 s longer.").await;
    daemon.stop().await;
    world.end_all().await;
}

/// With drafts, too, answers stand in the order of the questions.
#[tokio::test]
async fn a_draft_becomes_a_message_above_the_next_answer() {
    let world = world("steer").await;
    world.drop_in("drafts", "[features]\nbatching = false\ndrafts = true\n");
    let daemon = world.start();
    send(&world, "slow 50 x20");
    let log = || world.log();
    let running = || world.evidence().of("begun").count() == 1;
    wait_until("it works", running, log).await;
    give(&world, "say two").await;
    let first = message(&world, "the first is whole", |m| {
        m.text.contains("piece 00020")
    })
    .await;
    let second = shows(&world, "two").await;
    assert!(first.message_id < second.message_id);
    world
        .wait_chat(USER, "nothing else is there", |m| texts(m).len() == 2)
        .await;
    end(&world, daemon).await;
}
