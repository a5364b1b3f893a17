//! Commands: answered at once, in words.

use crate::support::{ADMIN, USER, World, shows, texts, wait_until};

#[tokio::test]
async fn each_command_is_answered() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    for (command, part) in [
        ("/start", "Hello! Write to me and I pass it on to the agent"),
        (
            "/help",
            "/interrupt – Stop the answer that is being written",
        ),
        (
            "/HELP  me",
            "/interrupt – Stop the answer that is being written",
        ),
        ("/status", "Ready.\nUp for"),
        ("/interrupt", "Nothing is running."),
        (
            "/clear",
            "Done: the next message begins a new conversation with the agent.",
        ),
        (
            "/clear now",
            "Done: the next message begins a new conversation with the agent.",
        ),
        (
            "/staus",
            "There is no command /staus. Did you mean /status? /help lists them all.",
        ),
        ("/intterupt", "Did you mean /interrupt?"),
        (
            "/frobnicate",
            "There is no command /frobnicate. /help lists those that there are.",
        ),
    ] {
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        user.send_text(USER, command);
        let shown = world
            .wait_chat(USER, command, |m| m.len() == before + 1)
            .await;
        assert!(
            shown[before].text.contains(part),
            "{command}: {:?}",
            shown[before].text
        );
    }
    assert_eq!(
        world.evidence().of("start").count(),
        0,
        "no agent was needed"
    );
    // What only looks like a command is a prompt.
    for prompt in ["/etc/passwd", "// a comment", "/ help", "say /help"] {
        user.send_text(USER, prompt);
        wait_until(
            "it reached the agent",
            || world.reached(prompt) == 1,
            || world.log(),
        )
        .await;
    }
    world.wait_shows(USER, "echo: /etc/passwd").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_menu_of_commands_is_told_to_telegram() {
    let world = World::new().await;
    let daemon = world.start();
    wait_until(
        "the menu is there",
        || !world.api.view(|v| v.commands(None, "")).is_empty(),
        || world.log(),
    )
    .await;
    let names: Vec<String> = world
        .api
        .view(|v| v.commands(None, ""))
        .into_iter()
        .map(|c| c.0)
        .collect();
    for name in ["start", "help", "status", "clear", "interrupt"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    daemon.stop().await;
}

/// Names in the menu of a private chat.
fn menu(world: &World, chat: i64) -> Vec<String> {
    let scope = serde_json::json!({"type": "chat", "chat_id": chat});
    world
        .api
        .view(|v| v.commands(Some(&scope), ""))
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

#[tokio::test]
async fn administrators_have_a_menu_of_their_own_for_as_long_as_they_are_some() {
    let world = World::new().await;
    world.drop_in(
        "10-people",
        &format!("[access]\nadmins = [{ADMIN}, 1003]\n"),
    );
    // Known to the bot before this start, unlike the other.
    world.api.user(ADMIN, "Ada").send_text(ADMIN, "/help");
    let daemon = world.start_ready().await;
    let has = |chat| menu(&world, chat).iter().any(|name| name == "killall");
    wait_until("it is there", || has(ADMIN), || world.log()).await;
    assert!(!has(1003));
    assert_eq!(world.logged(" WARN "), 0, "{}", world.log());
    // Who writes for the first time gets it then.
    world.api.user(1003, "Gus").send_text(1003, "/start");
    wait_until("it is there, too", || has(1003), || world.log()).await;
    let everybody = world.api.view(|v| v.commands(None, ""));
    assert!(everybody.iter().all(|(name, _)| name != "killall"));
    // One who is no admin any more loses it: by a reload, and by a start with other settings.
    world.drop_in("10-people", &format!("[access]\nadmins = [{ADMIN}]\n"));
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    wait_until("it is gone", || !has(1003), || world.log()).await;
    assert!(has(ADMIN));
    daemon.stop().await;
    world.drop_in("10-people", "[access]\nadmins = []\n");
    let daemon = world.start();
    wait_until("it is gone, too", || !has(ADMIN), || world.log()).await;
    daemon.stop().await;
}

#[tokio::test]
async fn status_tells_what_runs_what_waits_and_what_it_cost() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    world.says(USER, "one").await;
    user.send_text(USER, "/status");
    let shown = world.wait_told(USER, "Last answer: ").await;
    let status = &texts(&shown)[1];
    assert!(
        status.starts_with("Ready.\nLast answer: ") && status.contains(", $"),
        "{status}"
    );
    assert!(status.contains("\nSession "), "{status}");
    user.send_text(USER, "hang");
    world.wait_told(USER, "words of an answer").await;
    user.send_text(USER, "say two");
    user.send_text(USER, "say three");
    user.send_text(USER, "/status");
    let shown = world.wait_told(USER, "2 messages in line.").await;
    assert!(
        shown.iter().any(|m| m.text.starts_with("Working for")),
        "{:#?}",
        texts(&shown)
    );
    // Cleared while it works: that turn ends, what waits goes on in a new conversation.
    user.send_text(USER, "/clear");
    world.wait_told(USER, "I stop what is running").await;
    world.wait_told(USER, "— Interrupted").await;
    world
        .wait_chat(USER, "both were run", |m| {
            shows(m, "two") && shows(m, "three")
        })
        .await;
    let session = |text: &str| {
        world
            .evidence()
            .reached()
            .iter()
            .find(|r| r.text == text)
            .unwrap()
            .session
    };
    assert_eq!(session("say two"), session("say three"));
    assert_ne!(session("say one"), session("say two"));
    daemon.stop().await;
    world.end_all().await;
}
