//! SIGHUP has the configuration read again: what is right holds, what is wrong changes nothing.

use std::fs;

use nix::sys::signal::Signal;

use crate::{
    manager::Manager,
    support::{ADMIN, Daemon, USER, World},
};

const GUEST: i64 = 1003;

/// Asks for a reload and waits until it is over.
async fn reload(manager: &mut Manager, daemon: &Daemon) {
    // Of one that was asked for before the end may still come.
    let over = |manager: &Manager| {
        let position = |line: &str| {
            manager
                .told
                .iter()
                .rposition(|(_, message)| message.lines().any(|told| told == line))
        };
        position("RELOADING=1").is_some_and(|begun| position("READY=1") > Some(begun))
    };
    manager.forget();
    daemon.signal(Signal::SIGHUP);
    manager.wait_for("a whole reload", over).await;
    let message = manager
        .told
        .iter()
        .map(|(_, message)| message)
        .find(|message| message.contains("RELOADING=1"))
        .expect("it was announced");
    let time = message
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
        .expect("the time is in the same message");
    assert!(time.parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn what_can_change_at_once_does_and_the_rest_is_named() {
    let world = World::new().await;
    let mut manager = Manager::listen(&world);
    let daemon = world.start_with(&[("NOTIFY_SOCKET", manager.address())]);
    manager.wait("READY=1").await;
    world.says(USER, "before").await;

    // Nothing changed.
    reload(&mut manager, &daemon).await;
    world.wait_log("nothing has changed").await;

    // One person comes, another goes.
    world.drop_in("10-people", &format!("[access]\nusers = [{GUEST}]\n"));
    reload(&mut manager, &daemon).await;
    world.wait_log("access.admins and access.users").await;
    world.says(GUEST, "welcome").await;
    world.api.user(USER, "Uma").send_text(USER, "say gone");
    world.wait_log("refused: not a known person").await;
    assert_eq!(world.reached("say gone"), 0);

    // What needs a restart is named, and holds back nothing else.
    world.drop_in(
        "20-more",
        "[telegram]\npoll_timeout_s = 7\n[agent]\nmax_processes = 2\n",
    );
    reload(&mut manager, &daemon).await;
    world
        .wait_log("only after a restart (systemctl restart telexd): telegram.poll_timeout_s")
        .await;
    let status = manager.wait_status("restart to apply").await;
    assert!(status.contains("telegram.poll_timeout_s"), "{status}");
    world.wait_log("holds (changed=agent.max_processes)").await;
    // Taken back again.
    fs::remove_file(world.path("telexd.toml.d/20-more.toml")).unwrap();
    reload(&mut manager, &daemon).await;
    manager
        .wait_for("the status is clean", |m| {
            m.status().is_some_and(|s| !s.contains("restart"))
        })
        .await;
    world.says(GUEST, "still").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_and_changes_nothing() {
    let world = World::new().await;
    let mut manager = Manager::listen(&world);
    let mut daemon = world.start_with(&[("NOTIFY_SOCKET", manager.address())]);
    manager.wait("READY=1").await;
    world.drop_in(
        "50-odd",
        "[access]\nusers = []\n[agent]\nidle_timeout_s = 0\nmax_proceses = 1\n",
    );
    reload(&mut manager, &daemon).await;
    for part in [
        "50-odd.toml:4: agent.idle_timeout_s",
        "50-odd.toml:5: agent: there is no key `max_proceses`",
        "telexd check",
    ] {
        world.wait_log(part).await;
    }
    let status = manager.wait_status("configuration refused").await;
    assert!(
        status.contains("idle_timeout_s") && status.contains("max_proceses"),
        "{status}"
    );
    world.says(USER, "still welcome").await;

    // Files of any kind, many signals in a row, and no token: it goes on.
    fs::write(world.path("telexd.toml.d/50-odd.toml"), [0xff, 0, b'[']).unwrap();
    for _ in 0..20 {
        daemon.signal(Signal::SIGHUP);
    }
    reload(&mut manager, &daemon).await;
    fs::remove_file(world.path("telexd.toml.d/50-odd.toml")).unwrap();
    fs::rename(world.path("token"), world.path("away")).unwrap();
    reload(&mut manager, &daemon).await;
    manager.wait_status("token").await;
    assert!(daemon.ended().is_none());
    fs::rename(world.path("away"), world.path("token")).unwrap();
    reload(&mut manager, &daemon).await;
    manager.wait_status("polling").await;
    world.says(ADMIN, "mended").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_reload_without_a_service_manager_works_too() {
    let world = World::new().await;
    let daemon = world.start_ready().await;
    world.drop_in("10-people", &format!("[access]\nusers = [{GUEST}]\n"));
    daemon.signal(Signal::SIGHUP);
    world.wait_log("read again and holds").await;
    world.says(GUEST, "welcome").await;
    daemon.stop().await;
    world.end_all().await;
}
