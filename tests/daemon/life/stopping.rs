//! Starts and stops: always in time, always with exit code 0, and nothing is forgotten.

use std::{io::ErrorKind, time::Duration};

use nix::sys::signal::Signal;
use telexd_botapi::{Fault, FaultKind, Network};

use crate::{
    manager::Manager,
    rig::wait_long,
    support::{Daemon, USER, World, shows, texts, wait_until},
};

/// A stop that was in time and in order.
async fn stops_well(world: &World, daemon: Daemon) {
    let before = world.log().len();
    let took = daemon.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let log = &world.log()[before..];
    assert!(log.contains(" stopped"), "{log}");
    assert!(!log.contains("not everything stopped in time"), "{log}");
}

#[tokio::test]
async fn signals_of_either_kind_and_in_any_number_end_it_well() {
    let world = World::new().await;
    for signals in [
        &[Signal::SIGINT][..],
        &[
            Signal::SIGINT,
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGTERM,
        ],
        &[Signal::SIGTERM; 8],
    ] {
        let mut daemon = world.start_ready().await;
        for signal in signals {
            daemon.signal(*signal);
        }
        let status = daemon.wait().await;
        assert_eq!(
            status.code(),
            Some(0),
            "{signals:?}: {status}\n{}",
            world.log()
        );
    }
    assert_eq!(world.logged("stopped"), 3, "{}", world.log());
    assert_eq!(
        world.logged("not everything stopped in time"),
        0,
        "{}",
        world.log()
    );
    // Signals that ask for nothing do not end it.
    let mut daemon = world.start_ready().await;
    for signal in [Signal::SIGWINCH, Signal::SIGCHLD, Signal::SIGURG] {
        daemon.signal(signal);
    }
    world.says(USER, "still here").await;
    assert!(daemon.ended().is_none());
    stops_well(&world, daemon).await;
    world.end_all().await;
}

#[tokio::test]
async fn an_order_to_stop_is_obeyed_while_it_starts() {
    let world = World::new().await;
    let lock = world.path("state/telexd.lock");
    for _ in 0..8 {
        let mut daemon = world.start();
        wait_until("it has begun to start", || lock.exists(), || world.log()).await;
        daemon.signal(Signal::SIGTERM);
        let status = daemon.wait().await;
        assert_eq!(status.code(), Some(0), "{status}\n{}", world.log());
        std::fs::remove_file(&lock).unwrap();
    }
    let daemon = world.start();
    world.says(USER, "well").await;
    stops_well(&world, daemon).await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_due_is_sent_and_what_is_on_the_wire_is_awaited() {
    let world = World::new().await;
    let mut daemon = world.start_ready().await;
    let user = world.api.user(USER, "Uma");
    world.says(USER, "one").await;
    // The answer is on the wire when the order comes. It arrives, that is recorded, and nothing is repeated.
    world.api.fault(Fault::once(
        "sendMessage",
        FaultKind::Delay(Duration::from_millis(700)),
    ));
    user.send_text(USER, "/help");
    wait_until(
        "it is on the wire",
        || world.api.view(|v| v.faults_struck()) == 1,
        || world.log(),
    )
    .await;
    stops_well(&world, daemon).await;
    let help = world.api.view(|v| v.bot_messages(USER));
    assert_eq!(help.len(), 2, "{:#?}", texts(&help));
    daemon = world.start_ready().await;
    world.says(USER, "two").await;
    assert_eq!(world.logged("may have been sent"), 0, "{}", world.log());
    assert_eq!(texts(&world.api.view(|v| v.bot_messages(USER))).len(), 3);

    // The order comes at any moment after a message: the answer comes before the end or in the next life, once.
    for n in 3..9 {
        user.send_text(USER, &format!("say number {n}"));
        wait_until(
            "it was taken",
            || world.api.pending_updates().is_empty(),
            || world.log(),
        )
        .await;
        stops_well(&world, daemon).await;
        daemon = world.start_ready().await;
        world.wait_shows(USER, &format!("number {n}")).await;
    }
    let shown = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(shown.len(), 9, "{shown:#?}");
    assert!(
        shown.iter().all(|t| !t.contains("may be a repeat")),
        "{shown:#?}"
    );
    assert!(world.evidence().reached().iter().all(|r| r.times == 1));
    stops_well(&world, daemon).await;
    world.end_all().await;
}

#[tokio::test]
async fn it_stops_in_time_while_telegram_cannot_be_reached_and_the_answer_waits() {
    for network in [Network::Silent, Network::Refused] {
        let world = World::new().await;
        let daemon = world.start_ready().await;
        world.api.user(USER, "Uma").send_text(USER, "slow 20 x120");
        world
            .wait_chat(USER, "the answer has begun", |m| {
                m.iter().any(|m| m.text.contains("piece 00002"))
            })
            .await;
        world.api.network(network).await.unwrap();
        wait_until(
            "the agent has ended its answer alone",
            || world.evidence().reached().iter().any(|r| r.answered == 1),
            || world.log(),
        )
        .await;
        stops_well(&world, daemon).await;
        // Also a daemon that never reached Telegram at all.
        let daemon = world.start_ready().await;
        stops_well(&world, daemon).await;
        world.api.network(Network::Up).await.unwrap();
        let daemon = world.start_ready().await;
        world
            .wait_chat(USER, "the whole answer is there", |m| {
                m.len() == 1 && m[0].text.contains("piece 00120") && m[0].buttons.is_empty()
            })
            .await;
        stops_well(&world, daemon).await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn it_stops_in_time_while_twenty_answers_stream_and_all_of_them_arrive() {
    let world = World::new().await;
    let people: Vec<i64> = (2001..=2020).collect();
    // However long it takes until the last of them has begun: none that is done ends before the daemon is told to stop.
    world.write_config(&telexd_scripted_agent::binary(), "max_processes = 20\n");
    world.drop_in("10-people", &format!("[access]\nusers = {people:?}\n"));
    let daemon = world.start();
    for person in &people {
        world
            .api
            .user(*person, "Person")
            .send_text(*person, "slow 40 x100");
    }
    for person in &people {
        world
            .wait_chat(*person, "the answer has begun", |m| {
                m.iter().any(|m| m.text.contains("piece 0000"))
            })
            .await;
    }
    stops_well(&world, daemon).await;
    // Told again while it takes them up.
    let mut daemon = world.start();
    world
        .wait_log("taking up what an earlier life left (runs=20,")
        .await;
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().await.code(), Some(0), "{}", world.log());
    let daemon = world.start();
    let whole: String = (1..=100).map(|n| format!("piece {n:05} ")).collect();
    for person in &people {
        let there = || {
            let shown = world.api.view(|v| v.bot_messages(*person));
            shown.len() == 1 && shown[0].text == whole.trim_end() && shown[0].buttons.is_empty()
        };
        wait_long("the whole answer is there, once", there, || world.log()).await;
    }
    let reached = world.evidence().reached();
    assert_eq!(reached.len(), 20);
    assert!(reached.iter().all(|r| r.times == 1));
    stops_well(&world, daemon).await;
    world.end_all().await;
}

#[tokio::test]
async fn the_service_manager_is_told_of_readiness_and_of_the_end() {
    let world = World::new().await;
    let mut manager = Manager::listen(&world);
    let path = manager.address().to_owned();
    let path = path.as_str();
    // Readiness is a local matter: Telegram may be away.
    for network in [Network::Up, Network::Refused, Network::Silent] {
        world.api.network(network).await.unwrap();
        let mut daemon = world.start_with(&[("NOTIFY_SOCKET", path)]);
        manager.wait("READY=1").await;
        assert!(manager.count("STOPPING=1") == 0, "{:?}", manager.told);
        daemon.signal(Signal::SIGTERM);
        manager.wait("STOPPING=1").await;
        assert_eq!(daemon.wait().await.code(), Some(0));
        manager.forget();
    }
    // A start that fails never says that it is ready.
    std::fs::write(world.path("state/runs/.lock"), "").unwrap();
    std::fs::rename(world.path("state/runs"), world.path("away")).unwrap();
    std::fs::write(world.path("state/runs"), "").unwrap();
    let mut daemon = world.start_with(&[("NOTIFY_SOCKET", path)]);
    assert_eq!(daemon.wait().await.code(), Some(1), "{}", world.log());
    let mut buffer = [0; 64];
    assert_eq!(
        manager.socket.recv(&mut buffer).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert!(!shows(&world.api.view(|v| v.bot_messages(USER)), ""));
}
