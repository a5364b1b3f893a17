//! Settings that are changed while the daemon runs.

use nix::sys::signal::Signal;
use telexd_botapi::ShownMessage;

use crate::support::{ADMIN, USER, World, wait_until};

/// Sends a command and gives the answer, which is the next message of the bot.
async fn answer(world: &World, chat: i64, command: &str) -> ShownMessage {
    let before = world.api.view(|v| v.bot_messages(chat)).len();
    world.api.user(chat, "Ada").send_text(chat, command);
    let shown = world.wait_chat(chat, command, |m| m.len() > before).await;
    shown[before].clone()
}

async fn told(world: &World, command: &str) -> String {
    answer(world, ADMIN, command).await.text
}

fn audited(world: &World, what: &str) -> i64 {
    world
        .query(&format!("SELECT count(*) FROM audit WHERE {what}"))
        .unwrap()
}

#[tokio::test]
async fn a_change_holds_at_once_and_after_a_kill_and_over_the_files() {
    let world = World::new().await;
    let daemon = world.start_ready().await;
    let all = told(&world, "/config").await;
    assert!(all.contains("agent.max_processes = 4\n"), "{all}");
    assert!(all.contains("features.batching = false · file\n"), "{all}");
    assert!(
        !all.contains("AAH") && !all.contains(world.api.token()),
        "{all}"
    );
    let one = told(&world, "/config agent.max_processes").await;
    assert!(
        one.starts_with("agent.max_processes = 4 (default)\nHow many agents run at once")
            && one.contains("from 1 to 1000 (processes). Default: 4."),
        "{one}"
    );
    // Both ways of writing it.
    assert_eq!(
        told(&world, "/config agent.max_processes 1").await,
        "agent.max_processes = 1, from now on."
    );
    assert_eq!(
        told(&world, "/config agent.max_processes=1").await,
        "No change: agent.max_processes = 1."
    );
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "hang");
    world.wait_told(USER, "words of an answer").await;
    let waits = answer(&world, ADMIN, "say later").await;
    assert!(
        waits.text == "…" || waits.text.contains("busy"),
        "{}",
        waits.text
    );
    world.wait_told(ADMIN, "The one agent is busy").await;

    // A person who may not even look.
    uma.send_text(USER, "/config agent.max_processes 9");
    world.wait_told(USER, "not yours").await;
    world.wait_sent().await;
    daemon.kill();
    let daemon = world.start_ready().await;
    world.wait_told(ADMIN, "restarted after a crash").await;
    let one = told(&world, "/config agent.max_processes").await;
    assert!(
        one.starts_with("agent.max_processes = 1 (run time)"),
        "{one}"
    );
    // Over what the files say, also after a reload.
    world.drop_in("50-more", "[agent]\nmax_processes = 7\nmodel = \"haiku\"\n");
    daemon.signal(Signal::SIGHUP);
    world
        .wait_log("read again and holds (changed=agent.model)")
        .await;
    let one = told(&world, "/config agent.max_processes").await;
    assert!(
        one.starts_with("agent.max_processes = 1 (run time)"),
        "{one}"
    );
    assert_eq!(
        told(&world, "/config reset agent.max_processes").await,
        "agent.max_processes = 7, from now on."
    );
    world.wait_shows(ADMIN, "later").await;
    assert_eq!(
        audited(
            &world,
            "action = 'config-set' AND result = 'done' AND target = 'agent.max_processes = 1 (was 4)'"
        ),
        1
    );
    assert_eq!(
        audited(
            &world,
            "action = 'reload' AND who = 'signal' AND target = 'agent.model' AND result = 'done'"
        ),
        1
    );
    // What needs a restart is kept for it.
    assert_eq!(
        told(&world, "/config telegram.poll_timeout_s 7").await,
        "telegram.poll_timeout_s = 7, from the next /restart on."
    );
    daemon.stop().await;
    let daemon = world.start_ready().await;
    world.says(ADMIN, "well").await;
    assert!(
        world
            .api
            .calls()
            .iter()
            .any(|call| call.method == "getUpdates" && call.params["timeout"] == 7)
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let world = World::new().await;
    let daemon = world.start();
    for (command, part) in [
        (
            "/config agent.modle opus",
            "There is no setting `agent.modle`. The nearest are agent.model, ",
        ),
        ("/config modle", "The nearest are agent.model, "),
        (
            "/config agent.max_processes 0",
            "Agent.max_processes: 0 is too small. Give a whole number from 1 to 1000",
        ),
        (
            "/config agent.max_processes many",
            "expected a whole number",
        ),
        (
            "/config log.level loud",
            "is not a choice. Valid are \"error\"",
        ),
        (
            "/config access.admins [7]",
            "is set in files only. Set it in /",
        ),
        ("/config agent.command /bin/sh", "is set in files only."),
        ("/config agent.model a\nb", "a line break"),
        ("/config agent.model \u{1b}[2Jx", "control character"),
        (
            "/config agent.max_processes 99999999999999999999",
            "from 1 to 1000",
        ),
        (
            &format!("/config {} 1", "x".repeat(4080)),
            "There is no setting",
        ),
        ("/config =x", "Which key?"),
        ("/config reset", "Which key?"),
        ("/config reset nothing", "There is no setting `nothing`."),
        ("/debug maybe", "Write /debug on or /debug off."),
    ] {
        let text = told(&world, command).await;
        assert!(text.contains(part), "{command}: {text}");
    }
    assert_eq!(
        world.query("SELECT count(*) FROM settings WHERE key LIKE 'config.%'"),
        Some(0)
    );
    assert_eq!(audited(&world, "result = 'refused: InvalidValue'"), 8);
    assert_eq!(audited(&world, "result = 'refused: NoSuchKey'"), 3);
    daemon.stop().await;
}

#[tokio::test]
async fn a_feature_is_on_for_some_people_and_the_plain_way_works_for_the_others() {
    let world = World::with(
        telexd_botapi::Config::default(),
        "[batching]\nfirst_ms = 400\nidle_ms = 400\nmax_ms = 900\n[delivery]\nchat_interval_ms = 0\n",
    )
    .await;
    let daemon = world.start();
    assert_eq!(
        told(&world, &format!("/config features.batching [{USER}]")).await,
        format!("features.batching = [{USER}], from now on.")
    );
    assert_eq!(
        told(&world, &format!("/config features.stop_button=[{USER}]")).await,
        format!("features.stop_button = [{USER}], from now on.")
    );
    for chat in [USER, ADMIN] {
        let person = world.api.user(chat, "P");
        person.send_text(chat, "say one");
        person.send_text(chat, "say two");
    }
    // Two prompts here, one there.
    world.wait_shows(ADMIN, "one").await;
    world.wait_shows(ADMIN, "two").await;
    wait_until(
        "both of the user's came as one",
        || {
            let reached = world.evidence().reached();
            reached.len() == 3 && reached.iter().any(|r| r.text.contains("one\n"))
        },
        || format!("{:#?}", world.evidence().reached()),
    )
    .await;
    for (chat, has) in [(USER, true), (ADMIN, false)] {
        world.api.user(chat, "P").send_text(chat, "hang");
        let shown = world.wait_told(chat, "words of an answer").await;
        let running = shown.iter().find(|m| m.text.contains("words of")).unwrap();
        assert_eq!(!running.buttons.is_empty(), has, "{running:#?}");
        world.api.user(chat, "P").send_text(chat, "/interrupt");
        world.wait_told(chat, "— Interrupted").await;
        world.wait_told(chat, "Stopping…").await;
    }
    assert_eq!(
        told(&world, "/config features.stop_button off").await,
        "features.stop_button = false, from now on."
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn debugging_is_switched_on_and_off_and_lasts() {
    let world = World::new().await;
    world.drop_in("90-log", "[log]\nlevel = \"info\"\n");
    let daemon = world.start_ready().await;
    world.says(USER, "before").await;
    assert_eq!(world.logged("DEBUG"), 0, "{}", world.log());
    let text = told(&world, "/debug").await;
    assert!(text.starts_with("log.level = \"info\" ("), "{text}");
    assert_eq!(
        told(&world, "/debug on").await,
        "log.level = \"debug\", from now on."
    );
    world.wait_log("DEBUG").await;
    daemon.kill();
    let before = world.log().len();
    let daemon = world.start_ready().await;
    world.wait_told(ADMIN, "restarted after a crash").await;
    // A new process, of which there is something to tell.
    world.api.user(USER, "Uma").send_text(USER, "/clear");
    world.says(USER, "again").await;
    wait_until(
        "it is told again",
        || world.log()[before..].contains("DEBUG"),
        || world.log(),
    )
    .await;
    assert_eq!(
        told(&world, "/debug off").await,
        "log.level = \"info\", from now on."
    );
    // Also where the files say so.
    world.drop_in("90-log", "[log]\nlevel = \"debug\"\n");
    daemon.signal(Signal::SIGHUP);
    world.wait_log("changed=log.level").await;
    assert_eq!(
        told(&world, "/debug off").await,
        "log.level = \"info\", from now on."
    );
    assert_eq!(audited(&world, "action = 'debug' AND result = 'done'"), 3);
    daemon.stop().await;
    world.end_all().await;
}

/// What `telexd config` prints, as root or as somebody who may not read the database.
fn printed(world: &World, stranger: bool) -> String {
    let program = env!("CARGO_BIN_EXE_telexd");
    let mut command = if stranger {
        // Where they get to, wherever it was built.
        let copy = world.path("telexd-of-all");
        std::fs::copy(program, &copy).unwrap();
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy);
        command
    } else {
        std::process::Command::new(program)
    };
    let output = command
        .args(["config", "--config"])
        .arg(world.path("telexd.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn what_was_changed_is_printed_with_and_without_the_daemon() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new().await;
    assert!(printed(&world, false).contains("# There are no changes at run time"));
    let daemon = world.start_ready().await;
    told(&world, "/config agent.max_processes 3").await;
    let line = "\nmax_processes = 3  # run time\n";
    let text = printed(&world, false);
    assert!(text.contains(line) && !text.contains("AAH"), "{text}");
    daemon.kill();
    assert!(
        printed(&world, false).contains(line),
        "{}",
        printed(&world, false)
    );
    let daemon = world.start_ready().await;
    daemon.stop().await;
    assert!(printed(&world, false).contains(line));
    if nix::unistd::getuid().is_root() {
        // Others may read the files and not what is in the state directory.
        let mode = |path: &str, mode| {
            std::fs::set_permissions(world.path(path), std::fs::Permissions::from_mode(mode))
                .unwrap();
        };
        mode("", 0o755);
        mode("state", 0o700);
        let text = printed(&world, true);
        for part in [
            "are NOT in here",
            "telexd.db: Permission denied",
            "telexctl config",
            "\nmax_processes = 4  # default\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    // What was left by the looking is no obstacle.
    let daemon = world.start_ready().await;
    world.says(USER, "well").await;
    daemon.stop().await;
    world.end_all().await;
}
