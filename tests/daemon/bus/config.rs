//! Settings over the bus.

use std::collections::HashMap;

use nix::sys::signal::Signal;
use zbus::{Connection, MatchRule, MessageStream, message, wire::OwnedVariant};

use super::{MANAGER, NAME, call, client, error, next, ready, world};
use crate::support::World;

type Dict = HashMap<String, OwnedVariant>;

async fn get(client: &Connection, key: &str) -> Dict {
    let reply = call(client, MANAGER, "GetConfig", &(key,)).await.unwrap();
    reply.body().deserialize().unwrap()
}

async fn set(client: &Connection, key: &str, value: &str) -> zbus::Result<String> {
    let reply = call(client, MANAGER, "SetConfig", &(key, value)).await?;
    reply.body().deserialize()
}

async fn reset(client: &Connection, key: &str) -> zbus::Result<String> {
    let reply = call(client, MANAGER, "ResetConfig", &(key,)).await?;
    reply.body().deserialize()
}

async fn reload(client: &Connection) -> zbus::Result<(String, Vec<String>)> {
    let reply = call(client, MANAGER, "Reload", &()).await?;
    reply.body().deserialize()
}

fn text(dict: &Dict, key: &str) -> String {
    String::try_from(dict[key].try_clone().unwrap()).unwrap()
}

fn is(dict: &Dict, key: &str) -> bool {
    bool::try_from(dict[key].try_clone().unwrap()).unwrap()
}

/// Signals about changed settings.
async fn changes(client: &Connection) -> MessageStream {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(NAME)
        .interface(MANAGER)
        .member("ConfigChanged")
        .build()
        .unwrap();
    MessageStream::for_match_rule(rule, client, None)
        .await
        .unwrap()
}

async fn keys(signals: &mut MessageStream) -> Vec<String> {
    next(signals)
        .await
        .body()
        .deserialize::<(Vec<String>,)>()
        .unwrap()
        .0
}

fn audited(world: &World, what: &str) -> i64 {
    world
        .query(&format!("SELECT count(*) FROM audit WHERE {what}"))
        .unwrap()
}

#[tokio::test]
async fn a_setting_is_shown_changed_and_taken_back_and_all_of_that_is_told() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    let mut signals = changes(&client).await;
    let one = get(&client, "agent.max_processes").await;
    for (name, value) in [
        ("key", "agent.max_processes"),
        ("value", "4"),
        ("default", "4"),
        ("source", "default"),
        ("type", "number"),
        ("range", "a whole number from 1 to 1000 (processes)"),
    ] {
        assert_eq!(text(&one, name), value, "{name}");
    }
    assert!(text(&one, "description").starts_with("How many agents"));
    assert!(!is(&one, "restart") && !is(&one, "files_only"));
    let level = get(&client, "log.level").await;
    let file = world.path("telexd.toml").display().to_string();
    assert!(
        text(&level, "source").starts_with(&format!("{file}:")),
        "{level:?}"
    );
    // Not set: without a value.
    assert!(!get(&client, "agent.model").await.contains_key("value"));
    let command = get(&client, "agent.command").await;
    assert!(is(&command, "files_only"));

    assert_eq!(
        set(&client, "agent.max_processes", "3").await.unwrap(),
        "done"
    );
    assert_eq!(keys(&mut signals).await, ["agent.max_processes"]);
    assert_eq!(
        set(&client, "Agent.Max_Processes", "3").await.unwrap(),
        "no-change"
    );
    let one = get(&client, "agent.max_processes").await;
    assert_eq!(
        (text(&one, "value"), text(&one, "source")),
        ("3".into(), "run time".into())
    );
    assert_eq!(
        set(&client, "telegram.poll_timeout_s", "7").await.unwrap(),
        "after-restart"
    );
    assert_eq!(keys(&mut signals).await, ["telegram.poll_timeout_s"]);
    assert!(is(
        &get(&client, "telegram.poll_timeout_s").await,
        "restart"
    ));
    // Text and switches, as /config takes them.
    assert_eq!(set(&client, "agent.model", "opus").await.unwrap(), "done");
    assert_eq!(keys(&mut signals).await, ["agent.model"]);
    assert_eq!(
        text(&get(&client, "agent.model").await, "value"),
        "\"opus\""
    );
    assert_eq!(
        set(&client, "features.stop_button", "off").await.unwrap(),
        "done"
    );
    assert_eq!(keys(&mut signals).await, ["features.stop_button"]);
    // From Telegram, told just so.
    world
        .api
        .user(crate::support::ADMIN, "Ada")
        .send_text(crate::support::ADMIN, "/config reset features.stop_button");
    assert_eq!(keys(&mut signals).await, ["features.stop_button"]);

    daemon.kill();
    let daemon = ready(&world, &bus).await;
    assert_eq!(
        text(&get(&client, "agent.max_processes").await, "value"),
        "3"
    );
    assert_eq!(reset(&client, "agent.max_processes").await.unwrap(), "done");
    assert_eq!(keys(&mut signals).await, ["agent.max_processes"]);
    assert_eq!(
        reset(&client, "agent.max_processes").await.unwrap(),
        "no-change"
    );
    assert_eq!(
        text(&get(&client, "agent.max_processes").await, "source"),
        "default"
    );

    let who = format!("uid:{} pid:{}", nix::unistd::getuid(), std::process::id());
    for (action, target, result, times) in [
        ("config-set", "agent.max_processes = 3 (was 4)", "done", 1),
        (
            "config-set",
            "agent.max_processes = 3 (was 3)",
            "no-change",
            1,
        ),
        (
            "config-set",
            "agent.model = \"opus\" (was not set)",
            "done",
            1,
        ),
        (
            "config-set",
            "telegram.poll_timeout_s = 7 (was 30)",
            "after-restart",
            1,
        ),
        ("config-reset", "agent.max_processes = 4 (was 3)", "done", 1),
        (
            "config-reset",
            "agent.max_processes = 4 (was 4)",
            "no-change",
            1,
        ),
    ] {
        let what = format!(
            "who LIKE '{who}%' AND action = '{action}' AND target = '{target}' AND result = '{result}'"
        );
        assert_eq!(audited(&world, &what), times, "{action} {target} {result}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn all_settings_are_listed_and_no_secret_is_among_them() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    let options = Dict::new();
    let reply = call(&client, MANAGER, "ListConfig", &(options,))
        .await
        .unwrap();
    let secret = world.api.token().split(':').nth(1).unwrap().to_owned();
    assert!(!String::from_utf8_lossy(reply.data()).contains(&secret));
    let all: Vec<Dict> = reply.body().deserialize().unwrap();
    let found: Vec<String> = all.iter().map(|dict| text(dict, "key")).collect();
    let known: Vec<String> = telexd::config::fragments::KEYS
        .iter()
        .map(|(section, name)| format!("{section}.{name}"))
        .collect();
    assert_eq!(found, known);
    for dict in &all {
        for field in ["source", "type", "range", "description"] {
            assert!(!text(dict, field).is_empty(), "{dict:?}");
        }
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_reload_says_what_it_changed_and_leaves_what_was_changed_at_run_time() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    let mut signals = changes(&client).await;
    let nothing = ("no-change".to_owned(), Vec::new());
    assert_eq!(reload(&client).await.unwrap(), nothing);
    assert_eq!(
        set(&client, "agent.max_processes", "2").await.unwrap(),
        "done"
    );
    assert_eq!(keys(&mut signals).await, ["agent.max_processes"]);
    world.drop_in(
        "more",
        "[agent]\nmax_processes = 9\nmodel = \"haiku\"\n[batching]\nmax_ms = 20000\n[access]\nusers = [77]\n",
    );
    assert_eq!(reload(&client).await.unwrap().0, "done");
    assert_eq!(
        keys(&mut signals).await,
        ["access.users", "agent.model", "batching.max_ms"]
    );
    let one = get(&client, "agent.max_processes").await;
    assert_eq!(
        (text(&one, "value"), text(&one, "source")),
        ("2".into(), "run time".into())
    );
    world
        .wait_log("agent.max_processes was changed in the files and does not hold")
        .await;
    assert_eq!(world.logged("was changed in the files"), 1);
    assert_eq!(reset(&client, "agent.max_processes").await.unwrap(), "done");
    assert_eq!(keys(&mut signals).await, ["agent.max_processes"]);
    assert_eq!(
        text(&get(&client, "agent.max_processes").await, "value"),
        "9"
    );
    // By a signal, told just so.
    world.drop_in(
        "more",
        "[agent]\nmodel = \"opus\"\n[telegram]\npoll_timeout_s = 9\n",
    );
    daemon.signal(Signal::SIGHUP);
    assert_eq!(
        keys(&mut signals).await,
        [
            "telegram.poll_timeout_s",
            "access.users",
            "agent.max_processes",
            "agent.model",
            "batching.max_ms"
        ]
    );
    // What waits for a restart is said each time.
    let waits = (
        "after-restart".to_owned(),
        vec!["telegram.poll_timeout_s".to_owned()],
    );
    assert_eq!(reload(&client).await.unwrap(), waits);
    // What is wrong changes nothing.
    world.drop_in("more", "[agent]\nmodel = \"sonnet\"\nmax_processes = 0\n");
    let (name, said) = error(reload(&client).await);
    assert_eq!(name, "org.telexd1.Error.ConfigRefused");
    assert!(
        said.contains("more.toml:3: agent.max_processes") && said.contains("telexd check"),
        "{said}"
    );
    assert_eq!(
        text(&get(&client, "agent.model").await, "value"),
        "\"opus\""
    );
    assert_eq!(
        audited(
            &world,
            "action = 'reload' AND result = 'refused: ConfigRefused'"
        ),
        1
    );
    assert_eq!(
        audited(
            &world,
            "action = 'reload' AND who = 'signal' AND result = 'after-restart'"
        ),
        1
    );
    daemon.stop().await;
}

/// A change that changed files contradict is not in force, and is not said to be.
#[tokio::test]
async fn what_files_overrule_is_shown_as_it_is_in_force() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    assert_eq!(
        set(&client, "batching.first_ms", "5000").await.unwrap(),
        "done"
    );
    world.drop_in(
        "more",
        "[batching]\nfirst_ms = 100\nidle_ms = 100\nmax_ms = 2000\n",
    );
    reload(&client).await.unwrap();
    world
        .wait_log("batching.first_ms was changed at run time to what does not go with")
        .await;
    let one = get(&client, "batching.first_ms").await;
    assert_eq!(text(&one, "value"), "100");
    assert!(text(&one, "source").contains("more.toml:2"), "{one:?}");
    // It is kept for the day when it goes with them again, and can be taken back.
    world.drop_in("more", "[batching]\nmax_ms = 20000\n");
    reload(&client).await.unwrap();
    assert_eq!(
        text(&get(&client, "batching.first_ms").await, "value"),
        "5000"
    );
    assert_eq!(reset(&client, "batching.first_ms").await.unwrap(), "done");
    daemon.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_has_its_error_and_changes_nothing() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    world.wait_log("Telegram knows this bot").await;
    let log = world.log().len();
    let long = "zq".repeat(500_000);
    for (key, value, kind, part) in [
        ("agent.modle", "opus", "NoSuchKey", "agent.model"),
        ("", "", "NoSuchKey", "nearest"),
        ("zq\n\u{1b}[2J\u{202e}.x", "1", "NoSuchKey", "nearest"),
        ("batching", "1", "NoSuchKey", "nearest"),
        ("config.agent.model", "x", "NoSuchKey", "nearest"),
        (&long[..10_000], "1", "NoSuchKey", "nearest"),
        ("agent.max_processes", "0", "InvalidValue", "from 1 to 1000"),
        (
            "agent.max_processes",
            "1001",
            "InvalidValue",
            "from 1 to 1000",
        ),
        (
            "agent.max_processes",
            "-1",
            "InvalidValue",
            "from 1 to 1000",
        ),
        (
            "agent.max_processes",
            "99999999999999999999",
            "InvalidValue",
            "from 1 to 1000",
        ),
        (
            "agent.max_processes",
            "1.5",
            "InvalidValue",
            "a whole number",
        ),
        (
            "agent.max_processes",
            "zqmany",
            "InvalidValue",
            "a whole number",
        ),
        ("agent.max_processes", "", "InvalidValue", "a whole number"),
        (
            "agent.max_processes",
            "[1]",
            "InvalidValue",
            "a whole number",
        ),
        (
            "agent.max_processes",
            "1\n[access]\nadmins=[7]",
            "InvalidValue",
            "line break",
        ),
        (
            "agent.model",
            "zq\u{1b}[2J",
            "InvalidValue",
            "control character",
        ),
        (
            "agent.model",
            "zq\u{202e}",
            "InvalidValue",
            "control character",
        ),
        ("agent.model", &long[..5_000], "InvalidValue", "4096"),
        ("log.level", "loud", "InvalidValue", "\"debug\""),
        ("features.batching", "maybe", "InvalidValue", "true"),
        ("access.users", "[\"zq\"]", "InvalidValue", ""),
        (
            "batching.first_ms",
            "60000",
            "InvalidValue",
            "batching.max_ms",
        ),
        ("access.admins", "[7]", "InvalidValue", "files only"),
        ("agent.command", "/bin/sh", "InvalidValue", "files only"),
        ("agent.model", &long, "InvalidArgument", "20480"),
        (&long, "1", "InvalidArgument", "20480"),
    ] {
        let (name, said) = error(set(&client, key, value).await);
        assert_eq!(
            name,
            format!("org.telexd1.Error.{kind}"),
            "{key:.30} {value:.30}: {said}"
        );
        assert!(said.contains(part), "{part}: {said}");
        assert!(
            !said.contains(char::is_control) && said.len() < 2000,
            "{said:?}"
        );
        assert!(!said.contains('\u{202e}'), "{said:?}");
        if kind != "InvalidValue" && key != "agent.model" {
            for method in ["GetConfig", "ResetConfig"] {
                let (name, _) = error(call(&client, MANAGER, method, &(key,)).await);
                assert_eq!(
                    name,
                    format!("org.telexd1.Error.{kind}"),
                    "{method} {key:.30}"
                );
            }
        }
    }
    for wrong in [
        call(&client, MANAGER, "SetConfig", &("agent.model", 7)).await,
        call(&client, MANAGER, "SetConfig", &("agent.model",)).await,
        call(&client, MANAGER, "GetConfig", &(1_u8,)).await,
        call(&client, MANAGER, "Reload", &("now",)).await,
    ] {
        let (name, _) = error(wrong);
        assert!(name.starts_with("org.freedesktop."), "{name}");
    }
    let options = HashMap::from([("nonsense", zbus::wire::Variant::from(1_u32))]);
    let (name, _) = error(call(&client, MANAGER, "ListConfig", &(&options,)).await);
    assert_eq!(name, "org.telexd1.Error.InvalidArgument");
    assert_eq!(
        world.query("SELECT count(*) FROM settings WHERE key LIKE 'config.%'"),
        Some(0)
    );
    // What is noted of it is short and harmless.
    assert_eq!(
        audited(
            &world,
            "length(target) > 100 OR target GLOB '*[' || char(1) || '-' || char(31) || ']*'"
        ),
        0
    );
    let said = world.log()[log..].to_owned();
    for theirs in [" WARN ", " ERROR ", "zq", "[2J", "/bin/sh"] {
        assert!(!said.contains(theirs), "{theirs} is logged: {said}");
    }
    daemon.stop().await;
}
