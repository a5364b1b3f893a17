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
