//! Permission modes: chosen by people, kept, told to the agent.

use telexd_botapi::{Call, Fault, FaultKind, ShownMessage};

use crate::{
    rig::told_once,
    support::{ADMIN, DEADLINE, USER, World, talk, wait_until},
};

/// Sends a message and gives the answer, which is the next message of the bot.
async fn answer(world: &World, chat: i64, text: &str) -> ShownMessage {
    let before = world.api.view(|v| v.bot_messages(chat)).len();
    world.api.user(chat, "Uma").send_text(chat, text);
    let shown = world
        .wait_chat(chat, text, |m| {
            m.len() > before && !m[before].text.is_empty()
        })
        .await;
    shown[before].clone()
}

async fn told(world: &World, text: &str) -> String {
    answer(world, USER, text).await.text
}

/// What the agent says that its mode is.
async fn of_agent(world: &World, chat: i64, mode: &str) {
    let before = world.api.view(|v| v.bot_messages(chat)).len();
    world
        .api
        .user(chat, "Uma")
        .send_text(chat, "say I am in {mode}.");
    world
        .wait_chat(chat, mode, |m| {
            m.iter()
                .skip(before)
                .any(|m| m.text == format!("I am in {mode}."))
        })
        .await;
}

fn labels(message: &ShownMessage) -> Vec<String> {
    let buttons = message.buttons.iter().flatten();
    buttons.map(|button| button.text.clone()).collect()
}

fn chosen(world: &World, what: &str) -> Option<i64> {
    world.query(&format!(
        "SELECT count(*) FROM settings WHERE key = 'mode.1' AND {what}"
    ))
}

#[tokio::test]
async fn a_mode_is_chosen_by_name_and_holds_for_the_next_message_over_clear_and_a_restart() {
    let world = World::new().await;
    let daemon = world.start();
    assert_eq!(
        told(&world, "/mode").await,
        "Mode default: the agent asks before it changes anything."
    );
    // Before there is an agent: the first one is started with it.
    assert_eq!(
        told(&world, "/mode PLAN").await,
        "Mode plan from now on: the agent only plans, until you approve the plan."
    );
    of_agent(&world, USER, "plan").await;
    assert!(
        told(&world, "/status")
            .await
            .contains("\nMode plan: it only plans")
    );
    // While it waits: both at once, the prompt right behind the command.
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "/mode acceptEdits");
    of_agent(&world, USER, "acceptEdits").await;
    assert_eq!(world.evidence().of("start").count(), 1);
    wait_until(
        "the agent has said that it took it",
        || chosen(&world, "value = '{\"mode\":\"acceptEdits\"}'") == Some(1),
        || world.log(),
    )
    .await;
    assert!(
        told(&world, "/mode acceptedits")
            .await
            .starts_with("It is mode acceptEdits already")
    );
    told(&world, "/clear").await;
    of_agent(&world, USER, "acceptEdits").await;
    daemon.stop().await;
    world.end_all().await;
    let daemon = world.start();
    of_agent(&world, USER, "acceptEdits").await;
    assert_eq!(
        world.query(
            "SELECT count(*) FROM audit WHERE action = 'mode' AND target = 'conversation 1: acceptEdits' AND result = 'ok'"
        ),
        Some(2)
    );
    // Another person's conversation has its own.
    of_agent(&world, ADMIN, "default").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn buttons_change_it_also_while_the_agent_works() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "slow 50 x60");
    world.wait_told(USER, "piece 00001").await;
    let shown = answer(&world, USER, "/mode").await;
    assert_eq!(
        labels(&shown),
        ["Edit freely (acceptEdits)", "Plan only (plan)"]
    );
    let callback = uma
        .press_labelled(USER, shown.message_id, "Plan only (plan)")
        .unwrap();
    assert_eq!(
        world.press_answer(&callback).await.as_deref(),
        Some("Mode plan from now on: the agent only plans, until you approve the plan.")
    );
    // The message shows how it is now.
    let is_it =
        |m: &ShownMessage| m.message_id == shown.message_id && m.text.starts_with("Mode plan:");
    let all = world
        .wait_chat(USER, "it shows it", |m| m.iter().any(is_it))
        .await;
    let again = all.into_iter().find(is_it).unwrap();
    assert_eq!(
        labels(&again),
        ["Ask first (default)", "Edit freely (acceptEdits)"]
    );
    wait_until(
        "the agent was told while it worked",
        || world.evidence().of("mode").count() == 1 && world.evidence().of("answered").count() == 0,
        || world.log(),
    )
    .await;
    world.wait_told(USER, "piece 00060").await;
    of_agent(&world, USER, "plan").await;

    // Who may not press, and what is none of ours.
    for (person, data) in [
        (1003, "m:1:default"),
        (USER, "m:2:default"),
        (USER, "m:1:bypassPermissions"),
    ] {
        world
            .api
            .user(person, "Eve")
            .press_stale(USER, shown.message_id, data);
    }
    world
        .api
        .wait_for(DEADLINE, |v| v.callback_answers().len() == 3)
        .await
        .unwrap();
    assert_eq!(told(&world, "/mode").await, again.text);
    daemon.stop().await;
    world.end_all().await;
}

/// Somebody is quicker than Telegram's answer to the message that offers them.
#[tokio::test]
async fn an_offer_may_be_pressed_before_its_number_is_known() {
    let world = World::new().await;
    let offers = |call: &Call| {
        call.params["text"] == "Mode default: the agent asks before it changes anything."
    };
    let hang = Fault::once("sendMessage", FaultKind::Hang { taken: true }).when(offers);
    let hang = world.api.fault(hang);
    let daemon = world.start();
    let offer = answer(&world, USER, "/mode").await;
    let callback = world
        .api
        .user(USER, "Uma")
        .press_labelled(USER, offer.message_id, "Plan only (plan)")
        .unwrap();
    let told = world.press_answer(&callback).await;
    assert!(told.unwrap().starts_with("Mode plan from now on"));
    world.api.cancel_fault(hang);
    let shows_it =
        |m: &ShownMessage| m.message_id == offer.message_id && m.text.starts_with("Mode plan:");
    world
        .wait_chat(USER, "it shows it", |m| m.iter().any(shows_it))
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_the_agent_comes_to_by_itself_is_shown() {
    let world = World::new().await;
    let daemon = world.start();
    told(&world, "/mode plan").await;
    let uma = world.api.user(USER, "Uma");
    uma.send_text(
        USER,
        r#"@fake [{"tool":"ExitPlanMode","input":{"plan":"do it"}},{"text":"{outcome}, in {mode}."}]"#,
    );
    let is_it = |m: &ShownMessage| !m.buttons.is_empty() && m.text.contains("do it");
    let shown = world
        .wait_chat(USER, "the plan is there", |m| m.iter().any(is_it))
        .await;
    let question = shown.into_iter().find(is_it).unwrap();
    let yes = question.buttons[0][0].data.clone().unwrap();
    uma.press(USER, question.message_id, &yes).unwrap();
    world.wait_told(USER, "allowed, in default.").await;
    assert_eq!(
        told(&world, "/mode").await,
        "Mode default: the agent asks before it changes anything."
    );
    assert!(!told(&world, "/status").await.contains("Mode"));
    // Also the next process.
    told(&world, "/clear").await;
    of_agent(&world, USER, "default").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn only_what_the_files_offer_can_be_chosen() {
    let world = World::new().await;
    world.drop_in(
        "modes",
        "[agent]\nmodes = [\"plan\", \"dontAsk\"]\nwho_approves = \"admin\"\n",
    );
    let daemon = world.start();
    for wrong in ["bypassPermissions", "acceptEdits", "nonsense", "-x"] {
        assert_eq!(
            told(&world, &format!("/mode {wrong}")).await,
            format!("There is no mode “{wrong}” to choose. There are: default, plan, dontAsk.")
        );
    }
    for (command, part) in [
        (
            "/config agent.modes [\"bypassPermissions\"]",
            "is set in files only",
        ),
        (
            "/config agent.permission_mode bypassPermissions",
            "may be \"bypassPermissions\" by the files only",
        ),
    ] {
        let text = answer(&world, ADMIN, command).await.text;
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(
        world.query(
            "SELECT count(*) FROM audit WHERE action = 'mode' AND result = 'refused: InvalidValue'"
        ),
        Some(4)
    );
    of_agent(&world, USER, "default").await;
    daemon.stop().await;

    // What was chosen and is not offered any more does not hold.
    world.drop_in("modes", "[agent]\nmodes = [\"acceptEdits\"]\n");
    let daemon = world.start();
    told(&world, "/mode acceptEdits").await;
    of_agent(&world, USER, "acceptEdits").await;
    daemon.stop().await;
    world.end_all().await;
    world.drop_in("modes", "[agent]\nmodes = []\n");
    let daemon = world.start();
    of_agent(&world, USER, "default").await;
    assert_eq!(chosen(&world, "1"), Some(0));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_may_not_approve_may_not_switch_approving_off() {
    let world = World::new().await;
    world.drop_in("approve", "[agent]\nwho_approves = \"admin\"\n");
    let daemon = world.start();
    assert!(
        told(&world, "/mode acceptEdits")
            .await
            .starts_with("There is no mode “acceptEdits” to choose. There are: default, plan.")
    );
    let shown = answer(&world, ADMIN, "/mode acceptEdits").await;
    assert!(
        shown.text.starts_with("Mode acceptEdits from now on"),
        "{}",
        shown.text
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_mode_that_needs_another_process_gets_one() {
    let world = World::new().await;
    world.drop_in(
        "modes",
        "[agent]\nmodes = [\"default\", \"bypassPermissions\"]\n",
    );
    let daemon = world.start();
    of_agent(&world, USER, "default").await;
    told(&world, "/mode bypassPermissions").await;
    world
        .wait_told(
            USER,
            "cannot change to mode bypassPermissions while it runs",
        )
        .await;
    world.wait_alone(&daemon).await;
    of_agent(&world, USER, "bypassPermissions").await;
    let sessions: Vec<_> = world
        .evidence()
        .reached()
        .iter()
        .map(|r| r.session)
        .collect();
    assert_eq!(sessions[0], sessions[1], "the conversation goes on");
    // While it works, and before the prompt that waits behind it.
    told(&world, "/mode default").await;
    told(&world, "/clear").await;
    of_agent(&world, USER, "default").await;
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "slow 50 x20");
    world.wait_told(USER, "piece 00001").await;
    uma.send_text(USER, "/mode bypassPermissions");
    of_agent(&world, USER, "bypassPermissions").await;
    let shown = world.api.view(|v| talk(&v.bot_messages(USER)));
    assert!(
        shown.iter().any(|t| t.contains("piece 00020")),
        "{shown:#?}"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_choice_survives_a_kill_at_any_point() {
    for (point, told_by) in [
        ("mode-committed:1", "committed"),
        ("mode-told:1", "told"),
        ("runner-append-before:3", "not written"),
    ] {
        let world = World::new().await;
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", point)]);
        of_agent(&world, USER, "default").await;
        world.api.user(USER, "Uma").send_text(USER, "/mode plan");
        let status = daemon.wait().await;
        assert_eq!(status.code(), None, "{point} {told_by}: {}", world.log());
        let daemon = world.start();
        of_agent(&world, USER, "plan").await;
        let evidence = world.evidence();
        assert_eq!(evidence.of("start").count(), 1, "{point}");
        assert_eq!(evidence.of("mode").count(), 1, "{point}: told once");
        let shown = world.api.view(|v| v.bot_messages(USER));
        let said = |text: &str| text.starts_with("Mode plan from now on");
        assert!(told_once(&shown, said), "{point}: {shown:#?}");
        assert_eq!(
            world.query("SELECT count(*) FROM audit WHERE action = 'mode'"),
            Some(1)
        );
        daemon.stop().await;
        world.end_all().await;
    }
}
