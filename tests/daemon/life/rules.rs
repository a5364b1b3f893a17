//! Rules of the configuration: what is done without a question, asked in any case, denied; for whom, and from when on.

use nix::sys::signal::Signal;
use serde_json::json;
use telexd_botapi::ShownMessage;

use crate::{
    rig::{DENIED, labels, script, told_once},
    support::{ADMIN, Daemon, USER, World},
};

const GROUP: i64 = -1_000_000_000_558;

/// A prompt that has the agent run a command, and then say what came of it.
fn runs(command: &str) -> String {
    script(
        &json!([{"tool": "Bash", "input": {"command": command}}, {"text": format!("{command}: {{outcome}}.")}]),
    )
}

fn rules(world: &World, text: &str) {
    world.drop_in("rules", &format!("[approvals]\n{text}"));
}

async fn reload(world: &World, daemon: &Daemon) {
    let said = "read again and holds";
    let before = world.logged(said);
    daemon.signal(Signal::SIGHUP);
    crate::support::wait_until(
        "the rules hold",
        || world.logged(said) > before,
        || world.log(),
    )
    .await;
}

fn questions(world: &World, chat: i64) -> Vec<ShownMessage> {
    let shown = world.api.view(|v| v.bot_messages(chat));
    shown
        .into_iter()
        .filter(|m| m.text.starts_with("May the agent use "))
        .collect()
}

/// The newest question in the chat, once there are so many.
async fn question(world: &World, chat: i64, number: usize) -> ShownMessage {
    let is_it = |m: &&ShownMessage| m.text.starts_with("May the agent use ");
    let shown = world
        .wait_chat(chat, &format!("question {number}"), |m| {
            m.iter().filter(is_it).count() >= number
        })
        .await;
    shown.iter().rfind(is_it).unwrap().clone()
}

fn press(world: &World, person: i64, message: &ShownMessage, label: &str) {
    world
        .api
        .user(person, "Person")
        .press_labelled(message.chat_id, message.message_id, label)
        .unwrap();
}

async fn end(world: World, daemon: Daemon) {
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_a_rule_allows_is_done_and_nobody_is_asked() {
    let world = World::new().await;
    rules(&world, "allow = [\"Bash(mv:*)\", \"Bash(touch:*)\"]\n");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &runs("mv a b"));
    world.wait_shows(USER, "mv a b: allowed.").await;
    assert_eq!(questions(&world, USER).len(), 0);
    let audit = "SELECT count(*) FROM audit WHERE who = 'rule' AND action = 'approve' \
                 AND target = 'question 1: ✓ Allowed by Bash(mv:*)' AND result = 'ok'";
    assert_eq!(world.query(audit), Some(1));
    world
        .wait_log("a question of an agent is answered by a rule")
        .await;
    // More than that is asked, and may be allowed for the session as ever.
    uma.send_text(USER, &runs("mv a b; rm c"));
    let asked = question(&world, USER, 1).await;
    assert!(
        labels(&asked).contains(&"Allow for this session"),
        "{asked:#?}"
    );
    press(&world, USER, &asked, "Deny");
    world.wait_shows(USER, "mv a b; rm c: denied.").await;
    end(world, daemon).await;
}

#[tokio::test]
async fn what_a_rule_denies_is_not_done_and_is_told_once_for_a_turn() {
    let world = World::new().await;
    // What is denied is denied whatever else is allowed.
    rules(
        &world,
        "allow = [\"Bash\"]\ndeny = [\"Bash(rm:*)\", \"Bash(dd:*)\"]\n",
    );
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    let run = |command: &str| json!({"tool": "Bash", "input": {"command": command}});
    uma.send_text(
        USER,
        &script(&json!([run("rm a"), run("ls; rm b"), run("dd x"), run("mv a b"), run("rm c"), {"text": "told: {told}"}])),
    );
    world
        .wait_told(
            USER,
            "told: The administrators of this server do not allow this (rule Bash(rm:*)).",
        )
        .await;
    let shown = world
        .wait_shows(USER, &format!("{DENIED}\n• Bash(rm:*)\n• Bash(dd:*)"))
        .await;
    let told: Vec<_> = shown
        .iter()
        .filter(|m| m.text.starts_with(DENIED))
        .collect();
    assert_eq!(told.len(), 1, "{shown:#?}");
    assert_eq!(questions(&world, USER).len(), 0);
    let audit =
        "SELECT count(*) FROM audit WHERE who = 'rule' AND target LIKE '%✗ Denied by Bash(rm:*)'";
    assert_eq!(world.query(audit), Some(3));
    // In doubt a person decides.
    uma.send_text(USER, &runs("sh -c 'ls; rm d'"));
    let asked = question(&world, USER, 1).await;
    assert_eq!(labels(&asked), ["Allow once", "Deny", "Deny and tell it…"]);
    press(&world, USER, &asked, "Deny");
    world.wait_shows(USER, "sh -c 'ls; rm d': denied.").await;
    // Another turn, another message.
    uma.send_text(USER, &runs("rm e"));
    world.wait_shows(USER, "rm e: denied.").await;
    let shown = world
        .wait_shows(USER, &format!("{DENIED}\n• Bash(rm:*)"))
        .await;
    assert_eq!(
        shown.iter().filter(|m| m.text.starts_with(DENIED)).count(),
        2
    );
    end(world, daemon).await;
}

#[tokio::test]
async fn what_a_rule_wants_asked_cannot_be_allowed_for_the_session() {
    let world = World::new().await;
    rules(
        &world,
        "allow = [\"Bash(git:*)\"]\nask = [\"Bash(git push:*)\"]\n",
    );
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    for number in [1, 2] {
        uma.send_text(USER, &runs("git push x"));
        let asked = question(&world, USER, number).await;
        assert!(
            asked
                .text
                .contains("\nA rule of this server wants it asked: Bash(git push:*)"),
            "{asked:#?}"
        );
        assert_eq!(labels(&asked), ["Allow once", "Deny", "Deny and tell it…"]);
        // Nor by a command.
        uma.send_text(USER, "/allow session");
        world
            .wait_told(
                USER,
                "There is nothing that could be allowed for the session.",
            )
            .await;
        press(&world, USER, &asked, "Allow once");
        let all = |m: &[ShownMessage]| {
            m.iter()
                .filter(|m| m.text == "git push x: allowed.")
                .count()
                >= number
        };
        world.wait_chat(USER, "it is done", all).await;
    }
    uma.send_text(USER, &runs("git mv a b"));
    world.wait_shows(USER, "git mv a b: allowed.").await;
    assert_eq!(questions(&world, USER).len(), 2);
    end(world, daemon).await;
}

#[tokio::test]
async fn questions_to_a_person_are_asked_whatever_is_allowed() {
    let world = World::new().await;
    rules(
        &world,
        "allow = [\"Bash\", \"Edit\", \"Read\", \"WebFetch\"]\n",
    );
    let daemon = world.start();
    let colours = json!([{"question": "Which color?", "header": "Color", "multiSelect": false, "options": [
        {"label": "Red", "description": "r"}, {"label": "Blue", "description": "b"},
    ]}]);
    let steps = json!([{"tool": "AskUserQuestion", "input": {"questions": colours}}, {"text": "told: {told}"}]);
    world.api.user(USER, "Uma").send_text(USER, &script(&steps));
    let shown = world
        .wait_told(USER, "The agent asks you about Color")
        .await;
    let asked = shown.iter().find(|m| m.text.contains("Color")).unwrap();
    press(&world, USER, asked, "Blue");
    world.wait_told(USER, "\"Which color?\"=\"Blue\"").await;
    end(world, daemon).await;
}

#[tokio::test]
async fn rules_are_those_of_whose_turn_it_is_and_only_narrow_what_is_above() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", false);
    rules(
        &world,
        &format!(
            "deny = [\"Bash(rm:*)\"]\n\
             [approvals.people.{ADMIN}]\nallow = [\"Bash(mv:*)\", \"Bash(rm:*)\"]\n\
             [approvals.people.{USER}]\ndeny = [\"Bash(dd:*)\"]\n\
             [approvals.people.{GROUP}]\ndeny = [\"Bash(cp:*)\"]\n"
        ),
    );
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    ada.send_text(ADMIN, &runs("mv a b"));
    world.wait_shows(ADMIN, "mv a b: allowed.").await;
    ada.send_text(ADMIN, &runs("rm a"));
    world.wait_shows(ADMIN, "rm a: denied.").await;
    uma.send_text(USER, &runs("dd a"));
    world.wait_shows(USER, "dd a: denied.").await;
    // In a group too it is the person whose turn it is; beside the rules of the group.
    ada.send_group(GROUP, &runs("mv c d"));
    world.wait_shows(GROUP, "mv c d: allowed.").await;
    ada.send_group(GROUP, &runs("cp c d"));
    world.wait_shows(GROUP, "cp c d: denied.").await;
    uma.send_group(GROUP, &runs("dd c"));
    world.wait_shows(GROUP, "dd c: denied.").await;
    assert_eq!(questions(&world, GROUP).len(), 0);
    uma.send_group(GROUP, &runs("mv e f"));
    let asked = question(&world, GROUP, 1).await;
    press(&world, USER, &asked, "Deny");
    world.wait_shows(GROUP, "mv e f: denied.").await;
    assert_eq!(
        questions(&world, ADMIN).len() + questions(&world, USER).len(),
        0
    );
    end(world, daemon).await;
}

#[tokio::test]
async fn a_reload_holds_for_the_next_question_and_agents_that_know_other_rules_go() {
    let world = World::new().await;
    world.drop_in("idle", "[agent]\nidle_timeout_s = 600\n");
    rules(&world, "");
    let daemon = world.start_ready().await;
    let uma = world.api.user(USER, "Uma");
    let runs_so_far = || world.query("SELECT count(*) FROM runs");
    let (first, second) = (
        json!({"tool": "Bash", "input": {"command": "mv a b"}}),
        json!({"tool": "Bash", "input": {"command": "mv c d"}}),
    );
    uma.send_text(
        USER,
        &script(&json!([first, second, {"text": "It was {outcome}."}])),
    );
    let asked = question(&world, USER, 1).await;
    // Of what is asked already a person decides; the next question of the same turn is answered by the new rule.
    rules(&world, "allow = [\"Bash(mv:*)\"]\n");
    reload(&world, &daemon).await;
    press(&world, USER, &asked, "Deny");
    world.wait_shows(USER, "It was allowed.").await;
    assert_eq!(questions(&world, USER).len(), 1);
    uma.send_text(USER, &runs("mv e f"));
    world.wait_shows(USER, "mv e f: allowed.").await;
    assert_eq!(
        runs_so_far(),
        Some(1),
        "what is allowed an agent need not know"
    );
    rules(
        &world,
        "allow = [\"Bash(mv:*)\"]\ndeny = [\"Bash(mv x:*)\"]\n",
    );
    reload(&world, &daemon).await;
    uma.send_text(USER, &runs("mv x y"));
    world.wait_shows(USER, "mv x y: denied.").await;
    assert_eq!(runs_so_far(), Some(2));
    uma.send_text(USER, &runs("mv y z"));
    world.wait_shows(USER, "mv y z: allowed.").await;
    assert_eq!(runs_so_far(), Some(2), "it knows the rules that hold");
    // A daemon that takes it up sees that as well.
    daemon.kill();
    let daemon = world.start_ready().await;
    uma.send_text(USER, &runs("mv z a"));
    world.wait_shows(USER, "mv z a: allowed.").await;
    assert_eq!(runs_so_far(), Some(2));
    assert_eq!(questions(&world, USER).len(), 1);
    end(world, daemon).await;
}

/// Killed between the decision and its way to the agent, and before it is recorded.
#[tokio::test]
async fn what_a_rule_decided_is_told_once_over_a_kill() {
    for (point, command, said) in [
        ("lane-answered:1", "mv a b", "mv a b: allowed."),
        ("lane-answered:1", "rm a", "rm a: denied."),
        ("codec-before-commit:2", "mv a b", "mv a b: allowed."),
        ("codec-before-commit:2", "rm a", "rm a: denied."),
    ] {
        let world = World::new().await;
        rules(
            &world,
            "allow = [\"Bash(mv:*)\"]\ndeny = [\"Bash(rm:*)\"]\n",
        );
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", point)]);
        world.api.user(USER, "Uma").send_text(USER, &runs(command));
        daemon.wait().await;
        let daemon = world.start();
        world.says(USER, "after").await;
        world.wait_sent().await;
        let shown = world.api.view(|v| v.bot_messages(USER));
        assert!(told_once(&shown, |text| text == said), "{shown:#?}");
        let right = match command {
            "rm a" => told_once(&shown, |text| text.starts_with(DENIED)),
            _ => shown.iter().all(|m| !m.text.contains(DENIED)),
        };
        assert!(right, "{shown:#?}");
        assert_eq!(questions(&world, USER).len(), 0);
        assert_eq!(world.query("SELECT count(*) FROM questions"), Some(1));
        assert_eq!(
            world.query("SELECT count(*) FROM audit WHERE who = 'rule'"),
            Some(1)
        );
        end(world, daemon).await;
    }
}
