//! The watchdog is fed while all parts turn and no longer, and the status says how it stands.

use std::time::Duration;

use nix::sys::signal::Signal;
use telexd::failpoints::PARTS;
use telexd_botapi::{Fault, FaultKind, Network};

use crate::{
    manager::Manager,
    rig::{LONG, wait_long},
    support::{Daemon, FAST, USER, World, wait_until, wait_within},
};

/// An interval that a busy test machine keeps to.
const INTERVAL: Duration = Duration::from_secs(4);

async fn world() -> World {
    let world = World::new().await;
    // A poll that is not answered is given up after this and ten seconds.
    world.drop_in("20-poll", "[telegram]\npoll_timeout_s = 1\n");
    world
}

fn start(world: &World, manager: &Manager, more: &[(&str, &str)]) -> Daemon {
    let interval = INTERVAL.as_micros().to_string();
    let mut env = vec![
        ("NOTIFY_SOCKET", manager.address()),
        ("WATCHDOG_USEC", &*interval),
    ];
    env.extend(more);
    world.start_with(&env)
}

#[tokio::test]
async fn each_part_that_stands_still_starves_it() {
    for (part, at, named) in [
        (PARTS[0], 12, "the runtime"),
        (PARTS[1], 8, "the database"),
        (PARTS[2], 3, "the poll loop"),
    ] {
        let world = world().await;
        let mut manager = Manager::listen(&world);
        let point = format!("{part}:{at}");
        let mut daemon = start(&world, &manager, &[("TELEXD_FREEZE_AT", &point)]);
        manager.wait("READY=1").await;
        manager
            .wait_for("it is fed", |m| m.count("WATCHDOG=1") >= 2)
            .await;
        let late = || {
            let log = world.log();
            log.contains("the watchdog is not fed any more") && log.contains(named)
        };
        wait_within(LONG, named, late, || world.log()).await;
        assert!(
            !manager.hears_within(2 * INTERVAL).await,
            "{part} stands still and it is fed:\n{}",
            world.log()
        );
        assert_eq!(world.logged("is not fed any more"), 1, "{}", world.log());
        assert!(daemon.ended().is_none(), "that is for systemd to do");
        daemon.kill();
        world.end_all().await;
    }
}

#[tokio::test]
async fn an_outage_of_telegram_does_not_starve_it() {
    let world = world().await;
    let mut manager = Manager::listen(&world);
    let daemon = start(&world, &manager, &[]);
    manager.wait_status("polling").await;
    world.api.network(Network::Refused).await.unwrap();
    // Waits of 2 to 5 seconds lie in between.
    wait_within(
        LONG,
        "it fails several times",
        || {
            manager.read();
            world.logged("no updates come in") >= 3
        },
        || world.log(),
    )
    .await;
    let status = manager.wait_status("Telegram unreachable").await;
    assert!(
        status.contains("connection refused") && status.contains("next try in "),
        "{status}"
    );
    // And one wait that is longer than any part may be silent.
    world.api.network(Network::Up).await.unwrap();
    manager.wait_status("polling").await;
    world.api.fault(Fault::once(
        "getUpdates",
        FaultKind::TooManyRequests {
            retry_after: 38,
            parameters: true,
            header: false,
        },
    ));
    manager.wait_status("Telegram asks to wait").await;
    let back = || {
        manager.read();
        manager.status().is_some_and(|s| s.starts_with("polling"))
    };
    wait_long("it polls again", back, || world.log()).await;
    let silence = manager.longest_silence();
    assert!(silence < INTERVAL, "{silence:?}: {:#?}", manager.told);
    assert_eq!(world.logged("is not fed any more"), 0, "{}", world.log());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_status_is_a_sentence_that_is_true() {
    let world = world().await;
    let mut manager = Manager::listen(&world);
    let daemon = start(&world, &manager, &[]);
    manager.wait_status("polling, idle").await;
    world.api.user(USER, "Uma").send_text(USER, "slow 100 x60");
    manager
        .wait_status("polling, 1 conversation, 1 turn running")
        .await;
    daemon.signal(Signal::SIGTERM);
    manager.wait("STOPPING=1").await;
    manager.wait_status("stopping").await;
    let mut daemon = daemon;
    assert_eq!(daemon.wait().await.code(), Some(0), "{}", world.log());
    // Nothing follows that would take it back.
    manager.read();
    assert_eq!(
        manager.told.last().unwrap().1.lines().next(),
        Some("STOPPING=1")
    );
    world.end_all().await;
}

#[tokio::test]
async fn an_odd_environment_is_told_and_harms_nobody() {
    for (socket, usec, pid, told) in [
        ("@/org/example", "", "", "abstract"),
        ("nonsense", "", "", "not the path of a socket"),
        ("/nowhere/notify", "", "", "could not be told"),
        ("", "30000000", "", "NOTIFY_SOCKET is not usable"),
        ("own", "0", "", "WATCHDOG_USEC is 0"),
        ("own", "garbage", "", "no number of microseconds"),
        ("own", "30000000", "1", "another process"),
        ("own", "30000000", "garbage", "no process id"),
        ("", "", "", ""),
    ] {
        let world = world().await;
        let mut manager = Manager::listen(&world);
        let own = manager.address().to_owned();
        let mut env = Vec::new();
        for (name, value) in [
            (
                "NOTIFY_SOCKET",
                if socket == "own" { &*own } else { socket },
            ),
            ("WATCHDOG_USEC", usec),
            ("WATCHDOG_PID", pid),
        ] {
            if !value.is_empty() {
                env.push((name, value));
            }
        }
        let daemon = world.start_with(&env);
        world.says(USER, "works").await;
        wait_until(
            "the trouble is told",
            || world.log().contains(told),
            || format!("{env:?}: {}", world.log()),
        )
        .await;
        daemon.stop().await;
        manager.read();
        assert_eq!(manager.count("WATCHDOG=1"), 0, "{env:?}");
        if told.is_empty() {
            assert!(!world.log().contains(" WARN"), "{}", world.log());
        }
        world.end_all().await;
    }
}

#[tokio::test]
async fn no_child_learns_of_the_service_manager() {
    let world = World::with(Default::default(), FAST).await;
    let mut manager = Manager::listen(&world);
    let daemon = start(&world, &manager, &[("TELEXD_BOOT_ID", "x")]);
    manager.wait("READY=1").await;
    world.api.user(USER, "Uma").send_text(USER, "slow 100 x40");
    world
        .wait_chat(USER, "it has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00001"))
        })
        .await;
    let children: Vec<i32> = world
        .processes()
        .into_iter()
        .map(|(pid, _)| pid)
        .filter(|pid| *pid != daemon.pid())
        .collect();
    assert!(children.len() >= 2, "a supervisor and an agent");
    for pid in children {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environ = String::from_utf8_lossy(&environ);
        for name in ["NOTIFY_SOCKET", "WATCHDOG_", "TELEXD_BOOT_ID"] {
            assert!(!environ.contains(name), "{pid} knows {name}");
        }
    }
    daemon.stop().await;
    world.end_all().await;
}
