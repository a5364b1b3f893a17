//! Turns, and agents, that take too long.

use std::fs;

use telexd_botapi::{Config, ShownMessage};

use crate::{
    rig::GIVEN,
    support::{ADMIN, DEADLINE, FAST, USER, World, shows, talk, wait_until},
};

/// A world whose section on agents has these further lines.
async fn world(agent: &str) -> World {
    let world = World::with(Config::default(), FAST).await;
    world.write_config(&telexd_scripted_agent::binary(), agent);
    world
}

/// The only answer of the bot that ends like this.
async fn ends(world: &World, chat: i64, part: &str) -> ShownMessage {
    let shown = world
        .wait_chat(chat, part, |m| {
            m.iter()
                .any(|m| !m.deleted && m.text.contains(part) && m.buttons.is_empty())
        })
        .await;
    let mut found = shown
        .into_iter()
        .filter(|m| m.text.contains(part) && !m.deleted);
    let one = found.next().unwrap();
    assert!(found.next().is_none(), "told twice");
    one
}

/// The notice that holds this, with its button where it is to have one.
async fn notice(world: &World, part: &str, button: bool) -> ShownMessage {
    let is_it =
        |m: &ShownMessage| !m.deleted && m.text.contains(part) && m.buttons.is_empty() != button;
    let shown = world.wait_chat(USER, part, |m| m.iter().any(is_it)).await;
    shown.into_iter().find(is_it).unwrap()
}

/// No notice is left.
async fn no_notice(world: &World) {
    world
        .wait_chat(USER, "no notice is left", |m| {
            m.iter().all(|m| {
                m.deleted || !m.text.contains("I stop it in") && !m.text.contains("All right")
            })
        })
        .await;
}

#[tokio::test]
async fn a_command_gives_longer_as_the_button_does() {
    let world = world("silence_timeout_s = 5\n").await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "/longer");
    world.wait_shows(USER, "Nothing is running.").await;
    uma.send_text(USER, "hang");
    world.wait_told(USER, "words of an answer").await;
    uma.send_text(USER, "/longer");
    let nothing = "I am not about to stop anything. When I am, I say so before.";
    world.wait_shows(USER, nothing).await;
    notice(&world, "The agent has said nothing for 4 s.", true).await;
    uma.send_text(USER, "/longer");
    world
        .wait_shows(USER, "All right, I give it 5 s longer.")
        .await;
    ends(
        &world,
        USER,
        "⏱️ The agent said nothing for 10 s, so I stopped it.",
    )
    .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn silence_in_mid_answer_is_announced_and_ended_and_the_talk_goes_on() {
    let world = world("silence_timeout_s = 5\n").await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "hang");
    let told = notice(
        &world,
        "The agent has said nothing for 4 s. I stop it in 1 s unless",
        true,
    )
    .await;
    assert_eq!(told.buttons[0][0].text, "Give it longer");
    let answer = ends(
        &world,
        USER,
        "⏱️ The agent said nothing for 5 s, so I stopped it.",
    )
    .await;
    assert!(
        answer
            .text
            .starts_with("words of an answer that never ends\n\n⏱️"),
        "{answer:?}"
    );
    no_notice(&world).await;
    world.says(USER, "next").await;
    let evidence = world.evidence();
    assert_eq!(evidence.of("start").count(), 1, "it heard the interrupt");
    assert_eq!(
        world.query("SELECT count(*) FROM turns WHERE state = 'failed'"),
        Some(1)
    );
    // Its button is of no use any more.
    uma.press_stale(USER, told.message_id, "g:1:s");
    world
        .api
        .wait_for(DEADLINE, |v| v.callback_answers().len() == 1)
        .await
        .unwrap();
    let answered = world.api.view(|v| v.callback_answers());
    assert_eq!(
        answered[0].text.as_deref(),
        Some("“Give it longer” is no longer of use: that answer ended with an error.")
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_hears_nothing_is_ended_with_all_of_it_and_the_session_is_kept() {
    let world = world("").await;
    let daemon = world.start_ready().await;
    world.says(USER, "first").await;
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "hang deaf");
    world.wait_told(USER, "words of an answer").await;
    // A limit that is changed holds for what runs already.
    world
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, "/config agent.silence_timeout_s 1");
    ends(&world, USER, "The agent said nothing for 1 s").await;
    uma.send_text(USER, "say back");
    world.wait_shows(USER, "back").await;
    let evidence = world.evidence();
    let sessions: Vec<_> = evidence.reached().iter().map(|r| r.session).collect();
    assert!(sessions.iter().all(|s| *s == sessions[0]), "{sessions:?}");
    assert_eq!(evidence.of("start").count(), 2);
    assert_eq!(evidence.violations(), 0);
    assert_eq!(world.reached("hang deaf"), 1, "it is not run again");
    world.wait_log("limit=Silence").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_does_not_begin_is_ended() {
    for prompt in ["mute", "mute deaf"] {
        let world = world("first_output_timeout_s = 2\n").await;
        let daemon = world.start();
        let uma = world.api.user(USER, "Uma");
        uma.send_text(USER, prompt);
        notice(&world, "The agent has not begun yet", true).await;
        let told = ends(&world, USER, "⏱️ The agent did not begin within 2 s").await;
        assert!(told.text.starts_with('⏱'), "{told:?}");
        no_notice(&world).await;
        world.says(USER, "next").await;
        assert_eq!(world.reached("say next"), 1);
        assert_eq!(
            world.evidence().of("mute").count(),
            1,
            "it is not run again"
        );
        daemon.stop().await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn a_turn_without_end_is_given_longer_once_also_over_a_kill() {
    let world = world("turn_timeout_s = 5\n").await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "slow 50 x100000");
    let told = notice(
        &world,
        "This has been going on for 4 s. I stop it in 1 s unless",
        true,
    )
    .await;
    // Somebody else may not.
    let data = told.buttons[0][0].data.clone().unwrap();
    world
        .api
        .user(1003, "Eve")
        .press_stale(USER, told.message_id, &data);
    uma.press(USER, told.message_id, &data).unwrap();
    let given = notice(&world, "All right, I give it 5 s longer.", false).await;
    assert_eq!(given.message_id, told.message_id, "no further message");
    daemon.kill();
    let daemon = world.start();
    let again = notice(
        &world,
        "This has been going on for 9 s. I stop it in 1 s.",
        false,
    )
    .await;
    assert_eq!(again.message_id, told.message_id);
    let answer = ends(
        &world,
        USER,
        "⏱️ This took longer than 10 s, so I stopped it.",
    )
    .await;
    assert!(answer.text.starts_with("piece 00001 "), "{answer:?}");
    no_notice(&world).await;
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE action = 'longer' AND target = 'turn 1'"),
        Some(1)
    );
    world.says(USER, "next").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_turn_that_worked_on_while_the_daemon_was_away_is_not_ended_for_that() {
    let world = world("turn_timeout_s = 5\n").await;
    let daemon = world.start();
    // Nine seconds.
    world.api.user(USER, "Uma").send_text(USER, "slow 100 x90");
    world.wait_told(USER, "piece 00001").await;
    daemon.kill();
    let written = || {
        let runs = world.run_directories();
        fs::read_to_string(runs[0].join("output.jsonl")).unwrap_or_default()
    };
    wait_until(
        "the agent has worked for longer than it may",
        || written().contains("piece 00060"),
        written,
    )
    .await;
    let daemon = world.start();
    world
        .wait_chat(USER, "the whole answer is there", |m| {
            m.iter()
                .any(|m| m.text.ends_with("piece 00090") && m.buttons.is_empty())
        })
        .await;
    let shown = world.api.view(|v| talk(&v.bot_messages(USER)));
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(world.logged("limit="), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_waits_for_a_person_is_not_slow() {
    let world = world("silence_timeout_s = 1\nturn_timeout_s = 3\n").await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    // With an answer that takes a second.
    let prompt = r#"@fake [{"tool":"Bash","input":{"command":"touch it"}},{"text":"{outcome} and done. ","repeat":10,"chunk":20,"delay_ms":100}]"#;
    uma.send_text(USER, prompt);
    let is_it = |m: &ShownMessage| m.text.starts_with("May the agent use");
    let shown = world
        .wait_chat(USER, "the question is there", |m| m.iter().any(is_it))
        .await;
    let question = shown.into_iter().find(is_it).unwrap();
    // So long that either limit would have been reached, as somebody else's agent shows.
    for part in ["one", "two", "three", "four"] {
        let ada = world.api.user(ADMIN, "Ada");
        ada.send_text(
            ADMIN,
            &format!("@fake {{\"text\":\"{part}\",\"hang\":\"mid\"}}"),
        );
        ends(
            &world,
            ADMIN,
            &format!("{part}\n\n⏱️ The agent said nothing for 1 s"),
        )
        .await;
    }
    uma.press_labelled(USER, question.message_id, "Allow once")
        .unwrap();
    world
        .wait_chat(USER, "allowed", |m| {
            m.iter()
                .any(|m| m.text.matches("allowed and done.").count() == 10 && m.buttons.is_empty())
        })
        .await;
    let shown = world.api.view(|v| v.bot_messages(USER));
    assert!(shown.iter().all(|m| !m.text.contains('⏱')), "{shown:#?}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_long_tool_that_gives_signs_of_life_is_not_silent() {
    let world = world("silence_timeout_s = 1\n").await;
    let daemon = world.start();
    // Twelve signs, a third of a second apart.
    world.api.user(USER, "Uma").send_text(USER, "beat 300 x12");
    world.wait_shows(USER, "the tool is done").await;
    assert_eq!(world.logged("limit="), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_hangs_after_its_answer_is_replaced() {
    let world = world("after_result_timeout_s = 1\n").await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "limp well said");
    world.wait_shows(USER, "well said").await;
    // Nobody had to wait.
    world
        .wait_log("does not come to rest after its answer")
        .await;
    world.wait_alone(&daemon).await;
    world.says(USER, "next").await;

    // One that comes before that is noticed goes to the next process, and runs once.
    uma.send_text(USER, "limp again");
    world.wait_shows(USER, "again").await;
    uma.send_text(USER, "say patience");
    world.wait_shows(USER, "patience").await;
    let reached = world.evidence().reached();
    assert!(reached.iter().all(|r| r.answered <= 1), "{reached:#?}");
    let shown = world.api.view(|v| v.bot_messages(USER));
    assert_eq!(
        talk(&shown),
        ["well said", "next", "again", "patience"],
        "no trouble is told"
    );
    assert!(shows(&shown, "patience"));
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn without_limits_nothing_is_ended() {
    let none = "turn_timeout_s = 0\nfirst_output_timeout_s = 0\nsilence_timeout_s = 0\nafter_result_timeout_s = 0\n";
    let world = world(none).await;
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(USER, "hang");
    world.wait_told(USER, "words of an answer").await;
    world.says(ADMIN, "here").await;
    world.api.user(USER, "Uma").send_text(USER, "/interrupt");
    world.wait_told(USER, "— Interrupted").await;
    daemon.stop().await;
    world.end_all().await;
}

/// The agent works on one message, and was given another meanwhile: it is the answer that is running which gets longer.
#[tokio::test]
async fn longer_is_for_the_answer_that_runs_not_for_what_was_given_into_it() {
    let world = world("turn_timeout_s = 5\n").await;
    world.drop_in("busy", "[queue]\nmode = \"steer\"\n");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "slow 50 x100000");
    world.wait_told(USER, "piece 00001").await;
    uma.send_text(USER, "say more");
    world.wait_shows(USER, GIVEN).await;
    notice(&world, "This has been going on for 4 s.", true).await;
    uma.send_text(USER, "/longer");
    notice(&world, "All right, I give it 5 s longer.", false).await;
    let longer = "SELECT count(*) FROM audit WHERE action = 'longer' AND target = 'turn 1' AND result = 'ok'";
    assert_eq!(world.query(longer), Some(1));
    let told = "⏱️ This took longer than 10 s, so I stopped it.";
    let answer = ends(&world, USER, told).await;
    assert!(answer.text.starts_with("piece 00001 "), "{answer:?}");
    // What it was given is answered after it.
    world.wait_shows(USER, "more").await;
    daemon.stop().await;
    world.end_all().await;
}
