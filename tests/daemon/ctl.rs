//! `telexctl` with the real daemon, on a bus of their own. Every kind of answer: `tests/ctl`.

use std::process::Command;

use serde_json::Value;

use crate::{
    bus::{ready, world},
    support::{USER, World},
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
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let told = json(&world, &bus, &["status"]).await;
    assert_eq!(told["properties"]["Version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["health"]["conversations"], 1);
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
