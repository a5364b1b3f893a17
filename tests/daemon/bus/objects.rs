//! Objects of agents and conversations, and prompts of administrators.

use std::collections::HashMap;

use zbus::{
    Connection,
    wire::{OwnedObjectPath, OwnedVariant},
};

use super::{
    MANAGER, NAME, PATH, PROPERTIES, call, changed, client, error, health, next,
    orders::{list, of},
    polkit::{Polkit, Stranger},
    property, ready, signals, up, world,
};
use crate::support::{USER, talk, wait_until};

const RUN: &str = "org.telexd1.Run";
const CONVERSATION: &str = "org.telexd1.Conversation";
const MANAGED: &str = "org.freedesktop.DBus.ObjectManager";

type Managed = HashMap<OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>>;

async fn managed(client: &Connection) -> Managed {
    let reply = call(client, MANAGED, "GetManagedObjects", &())
        .await
        .unwrap();
    let mut all: Managed = reply.body().deserialize().unwrap();
    // What only leads to others.
    all.retain(|_, interfaces| !interfaces.is_empty());
    all
}

async fn on<B>(
    client: &Connection,
    path: &str,
    interface: &str,
    member: &str,
    body: &B,
) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::wire::DynamicType + Sync,
{
    client
        .call_method(Some(NAME), path, Some(interface), member, body)
        .await
}

/// Waits until no object is there.
async fn none(client: &Connection) {
    let until = std::time::Instant::now() + crate::support::DEADLINE;
    while !managed(client).await.is_empty() {
        assert!(std::time::Instant::now() < until, "the objects stay");
        crate::support::breathe().await;
    }
}

#[tokio::test]
async fn agents_and_their_conversations_are_objects_as_long_as_they_live() {
    let (world, bus, daemon, client) = up().await;
    assert!(managed(&client).await.is_empty());
    let mut told = signals(&client, MANAGED).await;
    world.says(USER, "hello").await;
    let mut added = Vec::new();
    while added.len() < 2 {
        let signal = next(&mut told).await;
        assert_eq!(
            signal.header().member().unwrap().as_str(),
            "InterfacesAdded"
        );
        let (path, interfaces): (
            OwnedObjectPath,
            HashMap<String, HashMap<String, OwnedVariant>>,
        ) = signal.body().deserialize().unwrap();
        added.push((path, interfaces));
    }
    let runs = list(&client, "ListRuns").await;
    let (run, conversation): (String, i64) = (of(&runs[0], "id"), of(&runs[0], "conversation"));
    let run_path = format!("{PATH}/run/{run}");
    let conversation_path = format!("{PATH}/conversation/{conversation}");
    assert_eq!(of::<OwnedObjectPath>(&runs[0], "path").as_str(), run_path);
    assert!(!runs[0].contains_key("unit"), "nothing of systemd here");
    let conversations = list(&client, "ListConversations").await;
    let path: OwnedObjectPath = of(&conversations[0], "path");
    assert_eq!(path.as_str(), conversation_path);
    let there = managed(&client).await;
    assert_eq!(there.len(), 2);
    for (path, interface, told) in [
        (&run_path, RUN, &added[0]),
        (&conversation_path, CONVERSATION, &added[1]),
    ] {
        assert_eq!(told.0.as_str(), path);
        let now = &there[&told.0][interface];
        for (name, value) in &told.1[interface] {
            // It may have begun meanwhile.
            assert!(name == "Status" || &now[name] == value, "{name}");
        }
    }
    let facts = &there[&added[0].0][RUN];
    assert_eq!(of::<String>(facts, "Id"), run);
    assert_eq!(of::<i64>(facts, "Person"), USER);
    assert_eq!(of::<String>(facts, "Status"), "running");
    let facts = &there[&added[1].0][CONVERSATION];
    assert_eq!(
        (of::<i64>(facts, "Chat"), of::<i64>(facts, "Thread")),
        (USER, 0)
    );

    // The next life of the daemon has them from its start on.
    daemon.stop().await;
    let daemon = ready(&world, &bus).await;
    let mut told = signals(&client, MANAGED).await;
    assert_eq!(managed(&client).await.len(), 2);

    // The same orders as the manager's.
    world.api.user(USER, "Uma").send_text(USER, "hang");
    wait_until(
        "the agent has begun",
        || world.reached("hang") == 1,
        || world.log(),
    )
    .await;
    for (path, interface, member, wanted) in [
        (&conversation_path, CONVERSATION, "Interrupt", "done"),
        (&conversation_path, CONVERSATION, "Interrupt", "no-change"),
        (&run_path, RUN, "Kill", "done"),
    ] {
        let reply = on(&client, path, interface, member, &()).await.unwrap();
        assert_eq!(reply.body().deserialize::<String>().unwrap(), wanted);
    }
    let mut removed = Vec::new();
    while removed.len() < 2 {
        let signal = next(&mut told).await;
        assert_eq!(
            signal.header().member().unwrap().as_str(),
            "InterfacesRemoved"
        );
        let (path, _): (OwnedObjectPath, Vec<String>) = signal.body().deserialize().unwrap();
        removed.push(path.to_string());
    }
    assert_eq!(removed, [run_path.clone(), conversation_path.clone()]);
    none(&client).await;
    for (path, interface, member) in [
        (&*run_path, RUN, "Kill"),
        (&conversation_path, CONVERSATION, "Clear"),
        ("/org/telexd1/run/aaaaaaaaaaaaaaaa", RUN, "Kill"),
        ("/org/telexd1/conversation/0", CONVERSATION, "Clear"),
        ("/org/telexd1/nonsense", CONVERSATION, "Clear"),
    ] {
        let (name, text) = error(on(&client, path, interface, member, &()).await);
        assert_eq!(name, "org.freedesktop.DBus.Error.UnknownObject", "{path}");
        assert!(text.contains(path), "{text}");
        let read = on(&client, path, PROPERTIES, "Get", &(interface, "Id")).await;
        assert!(error(read).0.contains(".Unknown"), "{path}");
    }
    assert!(
        list(&client, "ListConversations")
            .await
            .iter()
            .all(|dict| !dict.contains_key("path"))
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn every_member_of_the_objects_is_refused_to_a_stranger() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let stranger = Stranger::of(&bus).expect("needs root, to be somebody else");
    let polkit = Polkit::start(&bus).await;
    world.says(USER, "hello").await;
    let objects = managed(&client(&bus).await).await;
    let run = objects.keys().find(|path| path.contains("/run/")).unwrap();
    let conversation = objects
        .keys()
        .find(|path| path.contains("/conversation/"))
        .unwrap();
    let methods: &[(&OwnedObjectPath, &str, &str, &[&str])] = &[
        (run, RUN, "Kill", &[]),
        (conversation, CONVERSATION, "Interrupt", &[]),
        (conversation, CONVERSATION, "Clear", &[]),
        (conversation, CONVERSATION, "Send", &["s", "hello"]),
    ];
    let xml = include_str!("../../../dbus/org.telexd1.xml");
    let (_, xml) = xml.split_once("</interface>").unwrap();
    assert_eq!(xml.matches("<method name=").count(), methods.len());
    for (path, interface, method, arguments) in methods {
        let command = [
            &["call", NAME, path.as_str(), interface, method],
            *arguments,
        ]
        .concat();
        let said = stranger.busctl(&command).await;
        assert!(
            said.contains("Call failed") && said.contains("org.telexd1.control"),
            "{method}: {said}"
        );
        assert!(
            polkit
                .asked()
                .contains(&"org.telexd1.control true".to_owned())
        );
    }
    let mut properties = 0;
    for (path, interfaces) in &objects {
        for (interface, facts) in interfaces {
            for name in facts.keys() {
                let command = ["get-property", NAME, path.as_str(), interface, name];
                let said = stranger.busctl(&command).await;
                assert!(said.contains("org.telexd1.inspect"), "{name}: {said}");
                properties += 1;
            }
            let command = [
                "call",
                NAME,
                path.as_str(),
                PROPERTIES,
                "GetAll",
                "s",
                interface,
            ];
            let said = stranger.busctl(&command).await;
            assert!(
                ["org.telexd1.inspect", "Access denied"]
                    .iter()
                    .any(|words| said.contains(words)),
                "{said}"
            );
        }
    }
    assert_eq!(xml.matches("<property name=").count(), properties);
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE action != 'call'"),
        Some(0)
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_waits_and_what_lives_is_counted() {
    let (world, _bus, daemon, client) = up().await;
    let number = async |key: &str| of::<u32>(&health(&client).await, key);
    assert_eq!((number("queued").await, number("processes").await), (0, 0));
    let mut changes = signals(&client, PROPERTIES).await;
    world.says(USER, "hello").await;
    let reply = call(&client, MANAGER, "Pause", &("",)).await;
    reply.unwrap();
    for word in ["one", "two"] {
        world
            .api
            .user(USER, "Uma")
            .send_text(USER, &format!("say {word}"));
    }
    let (mut queued, mut processes) = (0, 0);
    while (queued, processes) != (2, 1) {
        let changed = changed(&mut changes).await;
        for (name, to) in [("QueueDepth", &mut queued), ("Processes", &mut processes)] {
            if changed.contains_key(name) {
                *to = of::<u32>(&changed, name);
            }
        }
    }
    assert_eq!(property::<u32>(&client, "QueueDepth").await, 2);
    assert_eq!(property::<u32>(&client, "Processes").await, 1);
    let health = health(&client).await;
    assert_eq!(of::<u32>(&health, "queued"), 2);
    assert_eq!(of::<u32>(&health, "processes"), 1);
    assert!(of::<bool>(&health, "ok") && of::<bool>(&health, "ready"));
    assert!(of::<u64>(&health, "database_bytes") > 4096);
    daemon.stop().await;
    world.end_all().await;
}

/// The number of the turn.
async fn send(client: &Connection, conversation: i64, text: &str) -> zbus::Result<i64> {
    let reply = call(client, MANAGER, "Send", &(conversation, text)).await?;
    reply.body().deserialize()
}

#[tokio::test]
async fn a_prompt_of_an_administrator_is_shown_and_answered_like_any_other() {
    let (world, _bus, daemon, client) = up().await;
    world.says(USER, "hello").await;
    let turn = send(&client, 1, "say from the server").await.unwrap();
    world.wait_shows(USER, "from the server").await;
    let told = world.api.view(|view| talk(&view.bot_messages(USER)));
    let at = told
        .iter()
        .position(|text| text == "An administrator asks:\nsay from the server");
    assert!(
        at.is_some_and(|at| told[at + 1] == "from the server"),
        "{told:#?}"
    );
    // By its object, too; and while there is a pause it waits in line.
    call(&client, MANAGER, "Pause", &("",)).await.unwrap();
    let path = format!("{PATH}/conversation/1");
    let reply = on(&client, &path, CONVERSATION, "Send", &("say\twith\na tab",)).await;
    let later: i64 = reply.unwrap().body().deserialize().unwrap();
    assert!(later > turn);
    world.wait_told(USER, "yours is number 1").await;
    call(&client, MANAGER, "Resume", &()).await.unwrap();
    wait_until(
        "it is run",
        || world.reached("say\twith\na tab") == 1,
        || world.log(),
    )
    .await;
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE action = 'send' AND who LIKE 'uid:%' AND result = 'done'"),
        Some(2)
    );
    // Longest that is taken: shown whole, in two messages.
    let long = format!("say {}", "y".repeat(4092));
    send(&client, 1, &long).await.unwrap();
    world.wait_shows(USER, &long).await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_prompt_that_cannot_be_taken_changes_nothing_and_no_text_is_recorded() {
    let (world, bus) = world().await;
    // Texts of people stand in the log at debug level.
    world.drop_in("level", "[log]\nlevel = \"info\"\n");
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    world.says(USER, "hello").await;
    for (conversation, text, wanted) in [
        (99, "sesame", "NoSuchConversation"),
        (0, "sesame", "NoSuchConversation"),
        (i64::MIN, "sesame", "NoSuchConversation"),
        (1, "", "InvalidArgument"),
        (1, " \n ", "InvalidArgument"),
        (1, "sesame\u{1b}[2J", "InvalidArgument"),
        (1, "sesame\r\n", "InvalidArgument"),
        (1, "/clear", "InvalidArgument"),
        (1, &"😀".repeat(2049), "InvalidArgument"),
        (1, &"sesame".repeat(170_000), "InvalidArgument"),
    ] {
        let (name, text) = error(send(&client, conversation, text).await);
        assert_eq!(name, format!("org.telexd1.Error.{wanted}"), "{text}");
        assert!(
            !text.contains(char::is_control) && text.len() < 1000 && !text.contains("sesame"),
            "{text:?}"
        );
    }
    let (name, _) = error(call(&client, MANAGER, "Send", &("1", "sesame")).await);
    assert!(name.starts_with("org.freedesktop.DBus.Error."), "{name}");
    assert_eq!(world.query("SELECT count(*) FROM turns"), Some(1));
    send(&client, 1, "say sesame").await.unwrap();
    world.wait_shows(USER, "sesame").await;
    for what in ["who", "action", "target", "result"] {
        let found = world.query(&format!(
            "SELECT count(*) FROM audit WHERE {what} LIKE '%sesame%'"
        ));
        assert_eq!(found, Some(0), "{what}");
    }
    assert_eq!(world.logged("sesame"), 0, "{}", world.log());
    daemon.stop().await;
    // Somebody who may not any more: nothing would come of it.
    world.drop_in("nobody", "[access]\nusers = []\n");
    let daemon = ready(&world, &bus).await;
    let (name, text) = error(send(&client, 1, "say sesame").await);
    assert_eq!(name, "org.telexd1.Error.Refused", "{text}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_prompt_that_was_taken_survives_the_daemon_and_is_run_once() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let caller = client(&bus).await;
    world.says(USER, "hello").await;
    daemon.stop().await;
    let before = world.log().len();
    let mut daemon = world.start_with(&[
        ("DBUS_SYSTEM_BUS_ADDRESS", &bus.address()),
        ("TELEXD_KILL_AT", "admin-committed:1"),
    ]);
    wait_until(
        "the daemon is ready",
        || world.log()[before..].contains(" ready "),
        || world.log(),
    )
    .await;
    // It hears nothing: the daemon is killed between the commit and the deed.
    send(&caller, 1, "say once").await.unwrap_err();
    daemon.wait().await;
    assert_eq!(world.reached("say once"), 0);
    let daemon = ready(&world, &bus).await;
    world.wait_shows(USER, "once").await;
    world.says(USER, "after").await;
    let told = world.api.view(|view| talk(&view.bot_messages(USER)));
    for text in ["An administrator asks:\nsay once", "once"] {
        let count = |wanted: &str| told.iter().filter(|t| *t == wanted).count();
        // What was on its way at the kill comes again, and says so.
        let (plain, marked) = (count(text), count(&format!("(may be a repeat)\n{text}")));
        assert!(
            plain <= 1 && (1..=2).contains(&(plain + marked)),
            "{told:#?}"
        );
    }
    assert_eq!(world.reached("say once"), 1);
    daemon.stop().await;
    world.end_all().await;
}
