//! Messages that are changed: as they were last as long as no agent has them, told of once when one has.

use telexd_botapi::{Config, Outgoing};

use crate::support::{FAST, USER, World, texts, wait_until};

const LATE: &str = "That change came too late";

fn prompts(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    evidence
        .of("prompt")
        .map(|p| p["text"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until each update that was sent is acted on.
async fn taken(world: &World, updates: i64) {
    wait_until(
        &format!("{updates} updates are acted on"),
        || world.query("SELECT count(*) FROM inbox WHERE done_at IS NOT NULL") >= Some(updates),
        || world.log(),
    )
    .await;
}

fn told(world: &World, part: &str) -> usize {
    let shown = texts(&world.api.view(|v| v.bot_messages(USER)));
    shown.iter().filter(|text| text.contains(part)).count()
}

#[tokio::test]
async fn what_waits_in_line_is_changed_and_what_the_agent_has_is_told_of_once() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let running = user.send_text(USER, "slow 20 x100");
    world.wait_told(USER, "piece 00001").await;
    let waiting = user.send_text(USER, "say secnod");
    user.edit(USER, waiting, "say second");
    // What changes nothing that an agent reads.
    user.touch(USER, running);
    taken(&world, 4).await;
    assert_eq!(told(&world, LATE), 0);
    user.edit(USER, running, "slow 20 x10");
    user.edit(USER, running, "slow 20 x20");
    world.wait_shows(USER, "second").await;
    world.wait_told(USER, LATE).await;
    user.edit(USER, waiting, "say third");
    wait_until(
        "it is told of the second, too",
        || told(&world, LATE) == 2,
        || world.log(),
    )
    .await;
    assert_eq!(prompts(&world), ["slow 20 x100", "say second"]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_change_makes_no_command_and_empties_nothing() {
    let extra = "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\n\n[delivery]\nchat_interval_ms = 5\n";
    let world = World::with(Config::default(), extra).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let first = user.send_text(USER, "say kept");
    user.edit(USER, first, "/clear");
    world.wait_told(USER, "works only as a new message").await;
    user.edit(USER, first, " ");
    taken(&world, 3).await;
    user.send_text(USER, "/status");
    world.wait_shows(USER, "kept").await;
    assert_eq!(prompts(&world), ["say kept"]);
    // Nor does a command become a prompt.
    let command = user.send_text(USER, "/hepl");
    world.wait_told(USER, "There is no command").await;
    user.edit(USER, command, "say nothing");
    taken(&world, 6).await;
    assert_eq!(prompts(&world).len(), 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn caption_and_file_of_an_albums_part_can_be_changed() {
    let world = World::with(
        Config::default(),
        &format!("[batching]\nparts_ms = 10000\n\n{FAST}"),
    )
    .await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let text = |name: &str| Outgoing::document(name, "text/plain", name.to_owned());
    let album = user.send_album(
        USER,
        vec![text("a.txt").caption("@fake say drafft"), text("b.txt")],
    );
    wait_until(
        "both are here",
        || world.query("SELECT count(*) FROM attachments WHERE state = 'here'") == Some(2),
        || world.log(),
    )
    .await;
    user.edit(USER, album[0], "@fake say draft");
    user.edit_file(USER, album[1], text("better.txt"));
    taken(&world, 4).await;
    user.send_text(USER, "/status");
    world.wait_shows(USER, "draft").await;
    let given = prompts(&world);
    assert_eq!(given.len(), 1, "{given:#?}");
    assert!(given[0].starts_with("@fake say draft\n\n"), "{}", given[0]);
    assert!(given[0].contains("-a.txt (") && given[0].contains("-better.txt ("));
    assert!(!given[0].contains("-b.txt"), "{}", given[0]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_old_message_that_is_asked_about_is_asked_about_as_it_is() {
    let world = World::new().await;
    let user = world.api.user(USER, "Uma");
    let old = user.send(USER, Outgoing::text("say odl").sent_ago_ms(20 * 60 * 1000));
    let daemon = world.start();
    world.wait_told(USER, "say odl").await;
    user.edit(USER, old, "say old");
    let shown = world.wait_told(USER, "run it?\n\nsay old").await;
    user.press_labelled(USER, shown[0].message_id, "Run")
        .unwrap();
    world.wait_shows(USER, "old").await;
    assert_eq!(prompts(&world), ["say old"]);
    daemon.stop().await;
    world.end_all().await;
}

/// Killed before and after the commit of a change: it counts, once.
#[tokio::test]
async fn a_daemon_that_is_killed_at_a_change_loses_none() {
    let extra = "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\n\n[delivery]\nchat_interval_ms = 5\n";
    for point in ["intake-before-commit", "intake-after-commit"] {
        let world = World::with(Config::default(), extra).await;
        let user = world.api.user(USER, "Uma");
        let mut daemon = world.start_with(&[("TELEXD_KILL_AT", &format!("{point}:2"))]);
        let first = user.send_text(USER, "say drafft");
        taken(&world, 1).await;
        user.edit(USER, first, "say draft");
        daemon.wait().await;
        let daemon = world.start();
        taken(&world, 2).await;
        user.send_text(USER, "/status");
        world.wait_shows(USER, "draft").await;
        assert_eq!(prompts(&world), ["say draft"]);
        daemon.stop().await;
        world.end_all().await;
    }
}
