//! `telexctl` with the real daemon, on a bus of their own. Every kind of answer: `tests/ctl`.

use std::process::Command;

use serde_json::Value;

use crate::{
    bus::{ready, world},
    support::{Daemon, USER, World, wait_until},
    units::fake::Systemd,
};

/// Exit code, standard output, standard error.
async fn telexctl(world: &World, bus: &Systemd, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telexctl"));
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", world.path("home"))
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    (
        output.status.code().expect("no signal"),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

async fn json(world: &World, bus: &Systemd, args: &[&str]) -> Value {
    let (code, out, err) = telexctl(world, bus, &[&["--json"], args].concat()).await;
    assert_eq!((code, &*err), (0, ""), "{args:?}: {out}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test]
async fn status_says_how_it_stands() {
    let (world, bus) = world().await;
    let (code, _, err) = telexctl(&world, &bus, &["status"]).await;
    assert_eq!(code, 3, "{err}");
    let daemon = ready(&world, &bus).await;
    world.says(USER, "hello").await;
    let (code, out, err) = telexctl(&world, &bus, &["status"]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    for part in [
        "● telexd ",
        "polling, 1 conversation",
        "connected, last poll ",
        "Queues: 1 conversation, 0 turns running, 0 waiting, 1 process\n",
        "Database: ",
        "kB, last write ",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let told = json(&world, &bus, &["status"]).await;
    assert_eq!(told["properties"]["Version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["health"]["conversations"], 1);
    assert_eq!(told["health"]["ok"], true);
    daemon.stop().await;
    let (code, out, err) = telexctl(&world, &bus, &["status"]).await;
    assert_eq!((code, &*out), (3, ""), "{err}");
}

#[tokio::test]
async fn a_pause_holds_messages_until_resume() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let (code, out, err) = telexctl(&world, &bus, &["pause", "the disk is changed"]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    let (code, out, _) = telexctl(&world, &bus, &["pause", "the disk is changed"]).await;
    assert!(code == 0 && out.contains("nothing changed"), "{out}");
    world.api.user(USER, "Uma").send_text(USER, "say later");
    world.wait_told(USER, "the disk is changed").await;
    let (code, out, _) = telexctl(&world, &bus, &["status"]).await;
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("Paused: by ") && out.contains("the disk is changed"),
        "{out}"
    );
    assert_eq!(world.reached("say later"), 0);
    assert_eq!(
        json(&world, &bus, &["resume"]).await,
        serde_json::json!({"outcome": "done"})
    );
    world.wait_shows(USER, "later").await;
    // What will not do is refused before anything happens.
    for reason in ["x".repeat(300), "two\nlines".to_owned()] {
        let (code, out, err) = telexctl(&world, &bus, &["pause", &reason]).await;
        assert_eq!((code, &*out), (2, ""), "{err}");
    }
    let told = json(&world, &bus, &["status"]).await;
    assert_eq!(told["properties"]["Paused"], false);
    daemon.stop().await;
}

#[tokio::test]
async fn what_there_is_is_listed_and_can_be_ended() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let name = "Uma\u{202e}\u{1b}[2J";
    world.api.user(USER, name).send_text(USER, "hang");
    let begun = || world.reached("hang") >= 1;
    wait_until("the agent has begun", begun, || world.log()).await;
    let runs = json(&world, &bus, &["ps"]).await;
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    let conversation = runs[0]["conversation"].to_string();
    for verb in [&["ps"][..], &["people"], &["conversations"], &["status"]] {
        let (code, out, err) = telexctl(&world, &bus, verb).await;
        assert_eq!((code, &*err), (0, ""), "{verb:?}: {out}");
        let odd = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!out.contains(odd) && out.contains("Uma"), "{verb:?}: {out}");
    }
    let people = json(&world, &bus, &["people"]).await;
    assert!(
        people
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["person"] == USER),
        "{people}"
    );
    assert_eq!(
        json(&world, &bus, &["questions"]).await,
        serde_json::json!([])
    );
    for (verb, code) in [
        (&["kill", "zzzz"][..], 5),
        (&["kill", "a"], 2),
        (&["kill", "../../x"], 2),
        (&["interrupt", "999"], 5),
        (&["clear", "-1"], 2),
        (&["approve", "999"], 5),
    ] {
        let (exit, _, err) = telexctl(&world, &bus, verb).await;
        assert_eq!(exit, code, "{verb:?}: {err}");
    }
    let (code, out, err) = telexctl(&world, &bus, &["interrupt", &conversation]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    world.wait_told(USER, "Ended by an administrator").await;
    world.says(USER, "again").await;
    let runs = json(&world, &bus, &["ps"]).await;
    let (code, out, err) = match runs[0]["id"].as_str() {
        Some(run) => telexctl(&world, &bus, &["kill", &run[..6]]).await,
        None => panic!("nothing runs after {run}"),
    };
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert_eq!(json(&world, &bus, &["ps"]).await, serde_json::json!([]));
    assert_eq!(
        json(&world, &bus, &["killall"]).await,
        serde_json::json!({"count": 0})
    );
    let audit = json(&world, &bus, &["audit"]).await;
    let actions: Vec<&str> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert!(
        actions.iter().any(|action| action.contains("kill")),
        "{audit}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_prompt_is_sent() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    world.says(USER, "hello").await;
    let sent = json(&world, &bus, &["send", "1", "say", "by words"]).await;
    assert_eq!(sent, serde_json::json!({"turn": 2}));
    world.wait_shows(USER, "by words").await;
    let (code, out, err) = telexctl(&world, &bus, &["send", "1", "say --more"]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(out.contains("turn 3 of conversation 1"), "{out}");
    world.wait_shows(USER, "--more").await;
    for (arguments, code) in [
        (&["send", "9", "say x"][..], 5),
        (&["send", "1", " "], 2),
        (&["send", "1", "a\u{1b}b"], 2),
        (&["send", "1", "/clear"], 2),
        (&["send", "x", "say x"], 2),
        (&["send", "1"], 2),
    ] {
        let (exit, out, err) = telexctl(&world, &bus, arguments).await;
        assert_eq!((exit, &*out), (code, ""), "{arguments:?}: {err}");
        assert!(!err.trim_end().contains('\u{1b}'), "{err:?}");
    }
    daemon.stop().await;
    world.end_all().await;
}

/// A daemon that somebody starts again.
async fn kept(world: &World, bus: &Systemd) -> Daemon {
    let before = world.log().len();
    let daemon = world.start_with(&[
        ("DBUS_SYSTEM_BUS_ADDRESS", &bus.address()),
        ("INVOCATION_ID", "0123456789abcdef0123456789abcdef"),
    ]);
    let is_ready = || world.log()[before..].contains(" ready ");
    wait_until("the daemon is ready", is_ready, || world.log()).await;
    daemon
}

#[tokio::test]
async fn a_restart_is_over_when_the_next_life_is_there() {
    let (world, bus) = world().await;
    // Where nobody starts it again, it stays.
    let daemon = ready(&world, &bus).await;
    let (code, out, err) = telexctl(&world, &bus, &["restart"]).await;
    assert_eq!((code, &*out), (1, ""), "{err}");
    assert!(err.contains("restart it on the server"), "{err}");
    daemon.stop().await;
    let mut daemon = kept(&world, &bus).await;
    world.says(USER, "before").await;
    let lives = async {
        daemon.wait().await;
        kept(&world, &bus).await
    };
    let (told, next) = tokio::join!(telexctl(&world, &bus, &["restart"]), lives);
    assert_eq!(told, (0, "Restarted.\n".to_owned(), String::new()));
    // The agent went on.
    let runs = json(&world, &bus, &["ps"]).await;
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");
    world.says(USER, "after").await;
    next.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn settings_are_shown_changed_and_reset_and_files_read_again() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let say = async |args: &[&str]| telexctl(&world, &bus, args).await;
    let (code, out, err) = say(&["config"]).await;
    println!("{out}");
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(
        out.contains("agent.max_processes") && out.contains("default"),
        "{out}"
    );
    assert!(!out.contains(world.api.token().split(':').nth(1).unwrap()));
    let (code, out, _) = say(&["config", "list", "batching."]).await;
    // Below the heading, all that begin so and nothing else.
    let keys = telexd::config::fragments::KEYS;
    let begin_so = keys.iter().filter(|(section, _)| *section == "batching");
    assert_eq!(
        (code, out.lines().count()),
        (0, begin_so.count() + 1),
        "{out}"
    );
    let all = json(&world, &bus, &["config"]).await;
    assert_eq!(
        all.as_array().unwrap().len(),
        telexd::config::fragments::KEYS.len()
    );

    let (code, out, err) = say(&["config", "set", "agent.max_processes", "3"]).await;
    assert_eq!(
        (code, &*out, &*err),
        (0, "agent.max_processes is set to 3.\n", "")
    );
    let (code, out, _) = say(&["config", "set", "agent.max_processes", "3"]).await;
    assert!(code == 0 && out.contains("nothing changed"), "{out}");
    let (code, out, _) = say(&["config", "set", "telegram.poll_timeout_s", "7"]).await;
    assert!(code == 0 && out.contains("telexctl restart"), "{out}");
    let (code, out, _) = say(&["config", "get", "agent.max_processes"]).await;
    println!("{out}");
    for part in [
        "Value: 3\n",
        "From: run time\n",
        "Default: 4\n",
        "from 1 to 1000",
    ] {
        assert!(code == 0 && out.contains(part), "{part}: {out}");
    }
    let (code, out, _) = say(&["config", "get", "--value", "agent.max_processes"]).await;
    assert_eq!((code, &*out), (0, "3\n"));
    let one = json(&world, &bus, &["config", "get", "agent.max_processes"]).await;
    assert_eq!(
        (&one["value"], &one["restart"]),
        (&"3".into(), &false.into())
    );
    let set = json(&world, &bus, &["config", "set", "features.batching", "on"]);
    assert_eq!(set.await, serde_json::json!({"outcome": "done"}));
    let (code, out, _) = say(&["config", "reset", "agent.max_processes"]).await;
    assert!(code == 0 && out.contains("what the files say"), "{out}");
    let (code, out, _) = say(&["config", "reset", "agent.max_processes"]).await;
    assert!(code == 0 && out.contains("nothing changed"), "{out}");

    let (code, out, _) = say(&["config", "reset", "telegram.poll_timeout_s"]).await;
    assert!(code == 0 && out.contains("telexctl restart"), "{out}");
    let (code, out, _) = say(&["reload"]).await;
    assert_eq!(
        (code, &*out),
        (0, "Nothing in the configuration has changed.\n")
    );
    world.drop_in(
        "more",
        "[agent]\nmax_processes = 9\n[dbus]\nbus = \"session\"\n",
    );
    let (code, out, _) = say(&["reload"]).await;
    assert!(
        code == 0 && out.contains("After a restart (telexctl restart): dbus.bus"),
        "{out}"
    );
    let told = json(&world, &bus, &["reload"]).await;
    assert_eq!(
        told,
        serde_json::json!({"outcome": "after-restart", "restart_for": ["dbus.bus"]})
    );
    world.drop_in("more", "[agent]\nmax_processes = \"9\"\n");
    let (code, out, err) = say(&["reload"]).await;
    println!("{err}");
    assert_eq!((code, &*out), (1, ""), "{err}");
    assert!(err.contains("more.toml:2: agent.max_processes"), "{err}");

    let long = "x".repeat(100_000);
    for (verb, code, part) in [
        (&["config", "get", "agent.modle"][..], 5, "agent.model"),
        (&["config", "reset", "a\n\u{1b}[2Jb"], 5, "nearest"),
        (
            &["config", "set", "agent.max_processes", "many"],
            2,
            "from 1 to 1000",
        ),
        (
            &["config", "set", "agent.max_processes", "1001"],
            2,
            "from 1 to 1000",
        ),
        (
            &["config", "set", "agent.command", "/bin/sh"],
            2,
            "files only",
        ),
        (&["config", "set", "agent.model", "a\nb"], 2, "line break"),
        (&["config", "set", "agent.model", &long], 2, "20480"),
        (&["config", "get", &long], 2, "20480"),
    ] {
        let (exit, out, err) = say(verb).await;
        assert_eq!((exit, &*out), (code, ""), "{verb:.60?}: {err}");
        assert!(err.contains(part), "{part}: {err}");
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!err.contains(odd) && err.len() < 2000, "{err:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn who_asks_to_be_let_in_is_let_in_and_removed() {
    let (world, bus) = world().await;
    world.drop_in("pairing", "[access]\npairing = true\n");
    let daemon = ready(&world, &bus).await;
    assert_eq!(
        telexctl(&world, &bus, &["pair"]).await.1,
        "Nobody asks to be let in.\n"
    );
    let name = "Eve\u{202e}\u{1b}[2J the second, of somewhere very far away indeed";
    world.api.user(2001, name).send_text(2001, "/start");
    world.wait_told(2001, "ask to be let in").await;
    let asks = json(&world, &bus, &["pair"]).await;
    let code = asks[0]["code"].as_str().unwrap().to_owned();
    assert_eq!(asks[0]["person"], 2001);
    let (exit, out, err) = telexctl(&world, &bus, &["pair", "list"]).await;
    assert_eq!((exit, &*err), (0, ""), "{out}");
    let odd = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!out.contains(odd) && out.contains(&code), "{out}");
    for (verb, exit) in [
        (&["pair", "accept", "x"][..], 2),
        (&["pair", "accept", "BBBBBBBB"], 5),
        (&["pair", "reject", "two\nlines"], 2),
        (&["people", "remove", "99"], 5),
        (&["people", "remove", "x"], 2),
    ] {
        let (code, out, err) = telexctl(&world, &bus, verb).await;
        assert_eq!((code, &*out), (exit, ""), "{verb:?}: {err}");
        assert!(!err.contains(odd), "{verb:?}: {err:?}");
    }
    let (exit, out, err) = telexctl(&world, &bus, &["pair", "accept", &code]).await;
    assert_eq!((exit, &*out, &*err), (0, "Let in.\n", ""));
    let (exit, out, _) = telexctl(&world, &bus, &["pair", "accept", &code]).await;
    assert!(exit == 0 && out.contains("nothing changed"), "{out}");
    world.says(2001, "in").await;
    let (exit, out, _) = telexctl(&world, &bus, &["people"]).await;
    assert!(exit == 0 && out.contains("paired"), "{out}");
    let (exit, out, err) = telexctl(&world, &bus, &["people", "remove", "2001"]).await;
    assert_eq!((exit, &*out, &*err), (0, "Removed.\n", ""));
    let (exit, out, _) = telexctl(&world, &bus, &["people", "remove", "2001"]).await;
    assert!(exit == 0 && out.contains("nothing changed"), "{out}");
    daemon.stop().await;
    world.end_all().await;
}
