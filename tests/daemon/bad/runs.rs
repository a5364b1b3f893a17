//! Agents that misbehave while they run, and too many of them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd_botapi::ShownMessage;

use crate::rig::wait_long;
use crate::support::{ADMIN, USER, World, shows, talk, wait_until};

fn running(messages: &[ShownMessage]) -> bool {
    messages
        .iter()
        .any(|m| m.text.contains("words of an answer") && !m.buttons.is_empty())
}

/// Process ids of the agents themselves.
fn agents(world: &World) -> Vec<Pid> {
    world
        .processes()
        .iter()
        .filter(|(_, line)| line.contains("stream-json"))
        .map(|(pid, _)| Pid::from_raw(*pid))
        .collect()
}

/// The agent and the run directory, of which there is one each.
fn only_run(world: &World) -> (Pid, PathBuf) {
    let (agents, mut runs) = (agents(world), world.run_directories());
    assert_eq!((agents.len(), runs.len()), (1, 1));
    (agents[0], runs.remove(0))
}

async fn wait_gone(world: &World, agent: Pid) {
    wait_until(
        "its process is gone",
        || !agents(world).contains(&agent),
        || world.log(),
    )
    .await;
}

#[tokio::test]
async fn an_agent_that_dies_in_mid_answer_leaves_its_words_and_a_reason() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // The agent keeps nothing of a conversation whose first message kills it.
    world.says(USER, "begun").await;
    for (directive, reason) in [
        ("die 3", "🤖 The agent stopped before it had finished."),
        ("die 0", "🤖 The agent stopped before it had finished."),
        (
            "die KILL",
            "🤖 The agent was ended from outside (signal 9) before it had finished.",
        ),
        (
            "die SEGV",
            "🤖 The agent crashed (signal SEGV) before it had finished.",
        ),
    ] {
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        user.send_text(USER, directive);
        let shown = world
            .wait_chat(USER, reason, |m| {
                m[before..].iter().any(|m| m.text.ends_with(reason))
            })
            .await;
        assert_eq!(shown.len(), before + 1);
        assert_eq!(
            shown[before].text,
            format!("words of an answer that dies\n\n{reason}")
        );
        assert!(shown[before].buttons.is_empty());
        // The conversation goes on with the same session.
        world.says(USER, &format!("after {directive}")).await;
        assert_eq!(world.reached(directive), 1);
    }
    let sessions: std::collections::BTreeSet<_> = world
        .evidence()
        .reached()
        .iter()
        .map(|r| r.session)
        .collect();
    assert_eq!(sessions.len(), 1);
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_does_not_even_hear_is_ended() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    world.wait_chat(USER, "it runs", running).await;
    let stopped = agents(&world);
    assert_eq!(stopped.len(), 1);
    kill(stopped[0], Signal::SIGSTOP).unwrap();
    user.send_text(USER, "/interrupt");
    world.wait_told(USER, "— Interrupted").await;
    wait_until(
        "its process is gone",
        || !agents(&world).contains(&stopped[0]),
        || world.log(),
    )
    .await;
    world.says(USER, "next").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_flood_is_cut_and_told_and_holds_up_nobody() {
    let world = World::new().await;
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(
        USER,
        r#"@fake [{"text":"all work and no play\n\n","repeat":95000,"chunk":20000}]"#,
    );
    world
        .wait_chat(USER, "the flood has begun", |m| {
            m.iter().any(|m| m.text.contains("all work"))
        })
        .await;
    world.says(ADMIN, "quick").await;
    let end = "[The answer is longer than 1 MiB. What follows was left out here.]";
    wait_long(
        "the end of the flood is there",
        || {
            world
                .api
                .view(|v| v.bot_messages(USER))
                .last()
                .is_some_and(|m| m.text.ends_with(end) && m.buttons.is_empty())
        },
        || {
            format!(
                "{} messages\n{}",
                world.api.view(|v| v.bot_messages(USER)).len(),
                world.log()
            )
        },
    )
    .await;
    let shown = world.api.view(|v| v.bot_messages(USER));
    let units: usize = shown.iter().map(|m| m.text.encode_utf16().count()).sum();
    assert!(units > 1_000_000 && units < 1_100_000, "{units}");
    assert!(shown.iter().all(|m| m.text.encode_utf16().count() <= 4096));
    world.says(USER, "after").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_writes_more_than_it_may_is_ended_and_that_is_told() {
    let world = World::new().await;
    world.write_config(&telexd_scripted_agent::binary(), "output_limit_mb = 1\n");
    let daemon = world.start();
    // It says little and thinks a lot, so that there are not hundreds of messages to be made of it.
    world.api.user(USER, "Uma").send_text(
        USER,
        r#"@fake [{"text":"on and on","tool":"Read"},{"thinking":"and on ","repeat":200000,"chunk":400}]"#,
    );
    let reason = "🤖 The agent wrote more than it may and was ended. An administrator can raise `agent.output_limit_mb` in the server's configuration.";
    let shown = world
        .wait_chat(USER, "the reason is there", |m| {
            m.last()
                .is_some_and(|m| m.text.ends_with(reason) && m.buttons.is_empty())
        })
        .await;
    assert!(shown[0].text.starts_with("on and on"), "what it said stays");
    world.says(USER, "next").await;
    daemon.stop().await;
    world.end_all().await;
}

/// A program that runs the scripted agent and does something to its output.
fn wrapped(world: &World, filter: &str) -> PathBuf {
    let path = world.path("wrapped");
    let agent = telexd_scripted_agent::binary();
    let agent = agent.display();
    let text = format!(
        "#!/bin/bash\ncase \"$*\" in --version) exec {agent} --version;; esac\n{agent} \"$@\" | {filter}\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn garbage_between_the_lines_is_noted_and_the_answer_is_whole() {
    let world = World::new().await;
    // Words, half an object, bytes that are no text, nothing at all, a list, a line of 300 KB.
    let garbage = r#"printf 'oh no\n{"type":"assistant","mess\n\xff\xfe\x00\n\n[1,2]\n"x"\n{"type":42}\n%0300000d\n' 0"#;
    let filter = format!("while IFS= read -r line; do printf '%s\\n' \"$line\"; {garbage}; done");
    world.write_config(&wrapped(&world, &filter), "");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "tools 2");
    world.wait_shows(USER, "used 2 tools").await;
    world.says(USER, "still here").await;
    world.wait_log("a line of the agent is not readable").await;
    assert!(
        !world.log().contains("oh no"),
        "what it said is not in the log"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_output_file_that_is_cut_while_it_grows_is_told_and_the_run_ended() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 40 x5000");
    world
        .wait_chat(USER, "the answer grows", |m| {
            m.iter().any(|m| m.text.contains("piece 00005"))
        })
        .await;
    let (agent, run) = only_run(&world);
    fs::OpenOptions::new()
        .write(true)
        .open(run.join("output.jsonl"))
        .unwrap()
        .set_len(10)
        .unwrap();
    let damaged = "The agent's output file on the server was cut or changed from outside";
    let shown = world.wait_told(USER, damaged).await;
    assert!(
        shown[0].text.starts_with("piece 00001 "),
        "what was read before stays"
    );
    world
        .wait_log("the output of a run was cut or changed from outside; the run is ended")
        .await;
    wait_gone(&world, agent).await;
    world.says(USER, "anew").await;
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn after_an_answer_that_cannot_be_read_further_each_place_in_line_is_true() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 100 x700");
    world.wait_told(USER, "piece 00002").await;
    for (place, text) in [(2, "hang"), (3, "say three")] {
        user.send_text(USER, text);
        world
            .wait_shows(USER, &format!("In line: number {place}."))
            .await;
    }
    let (_, run) = only_run(&world);
    fs::OpenOptions::new()
        .write(true)
        .open(run.join("output.jsonl"))
        .unwrap()
        .set_len(10)
        .unwrap();
    world.wait_told(USER, "words of an answer").await;
    world.wait_shows(USER, "In line: number 2.").await;
    user.send_text(USER, "/interrupt");
    world.wait_told(USER, "— Interrupted").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_run_whose_directory_is_deleted_ends_and_its_message_runs_again() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 100 x70");
    world.wait_told(USER, "piece 00002").await;
    let (agent, run) = only_run(&world);
    fs::remove_dir_all(&run).unwrap();
    world
        .wait_log("the directory of a run was deleted from outside; its agent is ended")
        .await;
    wait_gone(&world, agent).await;
    let whole = || {
        let shown = world.api.view(|v| v.bot_messages(USER));
        shown.len() == 1 && shown[0].text.contains("piece 00070") && shown[0].buttons.is_empty()
    };
    wait_long("the message was run again", whole, || world.log()).await;
    // An idle one, too; and where no daemon sees it, its supervisor does.
    let (_, run) = only_run(&world);
    let daemon = {
        daemon.kill();
        fs::remove_dir_all(&run).unwrap();
        wait_until(
            "nobody is left",
            || world.processes().is_empty(),
            || format!("{:#?}", world.processes()),
        )
        .await;
        world.start()
    };
    world.says(USER, "anew").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_an_agent_leaves_behind_is_gone_when_its_run_has_ended() {
    let world = World::new().await;
    world.write_config(&telexd_scripted_agent::binary(), "idle_timeout_s = 1\n");
    let daemon = world.start();
    // With a session of its own, parentless, no file of the run open.
    world.api.user(USER, "Uma").send_text(USER, "spawn 600");
    world.wait_shows(USER, "left a process behind").await;
    let strays = world.evidence().strays();
    assert_eq!(strays.len(), 1);
    // Still there while its agent is kept warm, or gone with it already.
    world.wait_alone(&daemon).await;
    assert!(!std::path::Path::new(&format!("/proc/{}", strays[0])).exists());
    world.says(USER, "and again").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn more_conversations_than_agents_wait_are_told_and_run() {
    let world = World::new().await;
    world.write_config(&telexd_scripted_agent::binary(), "max_processes = 1\n");
    world.drop_in(
        "10-people",
        &format!("[access]\nusers = [{USER}, 1003, 1004]\n"),
    );
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(USER, "hang");
    world.wait_chat(USER, "it runs", running).await;
    for (person, told) in [
        (1003, "The one agent is busy; yours is next."),
        (1004, "The one agent is busy; 1 before you."),
    ] {
        world
            .api
            .user(person, "Person")
            .send_text(person, &format!("say hello {person}"));
        world.wait_shows(person, told).await;
    }
    assert_eq!(agents(&world).len(), 1);
    // Commands are answered all the same, and a restart forgets nobody.
    world.api.user(1004, "Person").send_text(1004, "/status");
    world.wait_told(1004, "1 message in line.").await;
    daemon.kill();
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(USER, "/interrupt");
    for person in [1003, 1004] {
        world.wait_shows(person, &format!("hello {person}")).await;
        assert_eq!(world.reached(&format!("say hello {person}")), 1);
    }
    assert!(agents(&world).len() <= 1);
    let shown = world.api.view(|v| v.bot_messages(1003));
    assert_eq!(talk(&shown), ["hello 1003"], "the notice became the answer");
    assert!(shows(
        &world.api.view(|v| v.bot_messages(1004)),
        "hello 1004"
    ));
    daemon.stop().await;
    world.end_all().await;
}
