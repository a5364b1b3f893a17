//! Orders over the bus, and what is told of what happens.

use std::collections::HashMap;

use zbus::{Connection, MatchRule, MessageStream, message, wire::OwnedVariant};

use super::{
    MANAGER, NAME, PATH, call, client, error, next,
    polkit::{Polkit, Stranger},
    property, ready, world,
};
use crate::support::{USER, wait_until};

/// Every method, with arguments that busctl takes, and the action that it needs.
const METHODS: &[(&str, &[&str], &str)] = &[
    ("Health", &[], "inspect"),
    ("Pause", &["s", "because"], "control"),
    ("Resume", &[], "control"),
];

async fn outcome(client: &Connection, method: &str, reason: Option<&str>) -> String {
    let reply = match reason {
        Some(reason) => call(client, MANAGER, method, &(reason,)).await,
        None => call(client, MANAGER, method, &()).await,
    };
    reply.unwrap().body().deserialize().unwrap()
}

#[tokio::test]
async fn a_pause_holds_is_told_of_and_may_be_repeated() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(NAME)
        .member("PropertiesChanged")
        .build()
        .unwrap();
    let mut changes = MessageStream::for_match_rule(rule, &client, None)
        .await
        .unwrap();
    assert_eq!(outcome(&client, "Pause", Some("upgrade")).await, "done");
    assert_eq!(outcome(&client, "Pause", Some("again")).await, "no-change");
    let reason = loop {
        let signal = next(&mut changes).await;
        let (_, mut changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
            signal.body().deserialize().unwrap();
        if let Some(reason) = changed.remove("Reason") {
            break String::try_from(reason).unwrap();
        }
    };
    assert_eq!(reason, "upgrade");
    assert!(property::<bool>(&client, "Paused").await);
    assert_eq!(property::<String>(&client, "Reason").await, "upgrade");
    assert!(property::<u64>(&client, "PausedSince").await > 1_700_000_000_000_000);
    let by: String = property(&client, "PausedBy").await;
    let uid = nix::unistd::getuid();
    let pid = std::process::id();
    assert!(by.starts_with(&format!("uid:{uid} pid:{pid}")), "{by}");
    world.api.user(USER, "Uma").send_text(USER, "say waits");
    world.wait_told(USER, "upgrade").await;
    // It survives the daemon.
    daemon.stop().await;
    let daemon = ready(&world, &bus).await;
    assert!(property::<bool>(&client, "Paused").await);
    assert_eq!(outcome(&client, "Resume", None).await, "done");
    world.wait_shows(USER, "waits").await;
    assert_eq!(outcome(&client, "Resume", None).await, "no-change");
    let audited = world.query(
        "SELECT count(*) FROM audit WHERE who LIKE 'uid:%' AND action IN ('pause', 'resume')",
    );
    assert_eq!(audited, Some(4));
    daemon.stop().await;
}

#[tokio::test]
async fn a_reason_that_could_disturb_is_refused_and_changes_nothing() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    for reason in [
        "two\nlines",
        "\u{1b}[2J",
        "\u{202e}",
        &"x".repeat(201),
        &"x".repeat(15_000),
        &"é".repeat(1_000_000),
    ] {
        let (name, text) = error(call(&client, MANAGER, "Pause", &(reason,)).await);
        assert_eq!(name, "org.telexd1.Error.InvalidArgument", "{text}");
        assert!(
            !text.contains(char::is_control) && text.len() < 1000,
            "{text:?}"
        );
    }
    for wrong in [
        call(&client, MANAGER, "Pause", &(7,)).await,
        call(&client, MANAGER, "Resume", &("x",)).await,
    ] {
        let (name, _) = error(wrong);
        assert!(name.starts_with("org.freedesktop."), "{name}");
    }
    assert!(!property::<bool>(&client, "Paused").await);
    daemon.stop().await;
}

#[tokio::test]
async fn every_method_is_refused_to_a_stranger_and_given_to_whom_polkit_allows() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let stranger = Stranger::of(&bus).expect("needs root, to be somebody else");
    let polkit = Polkit::start(&bus).await;
    let xml = include_str!("../../../dbus/org.telexd1.xml");
    assert_eq!(xml.matches("<method name=").count(), METHODS.len());
    for (method, arguments, action) in METHODS {
        assert!(
            xml.contains(&format!("<method name=\"{method}\">")),
            "{method}"
        );
        let command = [&["call", NAME, PATH, MANAGER, method], *arguments].concat();
        let said = stranger.busctl(&command).await;
        let action = format!("org.telexd1.{action}");
        assert!(
            said.contains("Call failed") && said.contains(&action),
            "{method}: {said}"
        );
        assert!(
            polkit.asked().contains(&format!("{action} true")),
            "{method}"
        );
    }
    assert!(
        !property::<bool>(&client(&bus).await, "Paused").await,
        "nothing has changed"
    );
    assert_eq!(world.query("SELECT count(*) FROM audit"), Some(0));
    polkit.allow("org.telexd1.control");
    let said = stranger
        .busctl(&["call", NAME, PATH, MANAGER, "Pause", "s", ""])
        .await;
    assert!(said.contains("done"), "{said}");
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE who LIKE 'uid:65534 %'"),
        Some(1)
    );
    daemon.stop().await;
}

#[tokio::test]
async fn what_happens_is_told_without_texts() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(NAME)
        .interface(MANAGER)
        .build()
        .unwrap();
    let mut signals = MessageStream::for_match_rule(rule, &client, None)
        .await
        .unwrap();
    world.says(USER, "sesame").await;
    let signal = next(&mut signals).await;
    assert_eq!(signal.header().member().unwrap().as_str(), "RunStarted");
    let (run, conversation): (String, i64) = signal.body().deserialize().unwrap();
    assert_eq!(run.len(), 16);
    world.api.user(USER, "Uma").send_text(USER, "die SEGV");
    let mut told = Vec::new();
    while !(told.contains(&"TurnFailed".to_owned()) && told.contains(&"RunEnded".to_owned())) {
        let signal = next(&mut signals).await;
        assert!(!String::from_utf8_lossy(signal.data()).contains("die SEGV"));
        let member = signal.header().member().unwrap().to_string();
        if member == "RunEnded" {
            let ended: (String, i64, String) = signal.body().deserialize().unwrap();
            assert_eq!(ended, (run.clone(), conversation, "killed".to_owned()));
        }
        told.push(member);
    }
    wait_until(
        "it is in the database",
        || world.query("SELECT count(*) FROM turns WHERE state = 'failed'") == Some(1),
        || world.log(),
    )
    .await;
    daemon.stop().await;
}
