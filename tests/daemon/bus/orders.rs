//! Orders over the bus, and what is told of what happens.

use std::collections::HashMap;

use zbus::{Connection, wire::OwnedVariant};

use super::{
    MANAGER, NAME, PATH, PROPERTIES, call, changed, client, error, next,
    polkit::{Knocking, Polkit, Stranger},
    property, ready, signals, up, world,
};
use crate::support::{ADMIN, USER, World, wait_until};

/// Every method of the manager's, with arguments that busctl takes, and the action that it needs.
const METHODS: &[(&str, &[&str], &str)] = &[
    ("Health", &[], "inspect"),
    ("Report", &[], "inspect"),
    ("Pause", &["s", "because"], "control"),
    ("Resume", &[], "control"),
    ("ListRuns", &["a{sv}", "0"], "inspect"),
    ("ListConversations", &["a{sv}", "0"], "inspect"),
    ("ListPeople", &["a{sv}", "0"], "inspect"),
    ("ListQuestions", &["a{sv}", "0"], "inspect"),
    ("ListAudit", &["a{sv}", "0"], "inspect"),
    ("Kill", &["s", "abcd"], "control"),
    ("KillAll", &[], "control"),
    ("Interrupt", &["x", "1"], "control"),
    ("Clear", &["x", "1"], "control"),
    ("Restart", &[], "control"),
    ("ListConfig", &["a{sv}", "0"], "inspect"),
    ("GetConfig", &["s", "log.level"], "inspect"),
    ("SetConfig", &["ss", "log.level", "debug"], "configure"),
    ("ResetConfig", &["s", "log.level"], "configure"),
    ("Reload", &[], "configure"),
    ("Send", &["xs", "1", "hello"], "control"),
    ("Approve", &["x", "1"], "approve"),
    ("Deny", &["x", "1"], "approve"),
    ("ListPairings", &["a{sv}", "0"], "inspect"),
    ("AcceptPairing", &["s", "BCDFGHJK"], "approve"),
    ("RejectPairing", &["s", "BCDFGHJK"], "approve"),
    ("RemovePerson", &["x", "1"], "approve"),
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
    let (world, bus, daemon, client) = up().await;
    let mut changes = signals(&client, PROPERTIES).await;
    assert_eq!(outcome(&client, "Pause", Some("upgrade")).await, "done");
    assert_eq!(outcome(&client, "Pause", Some("again")).await, "no-change");
    let reason = loop {
        if let Some(reason) = changed(&mut changes).await.remove("Reason") {
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
    let (_world, _bus, daemon, client) = up().await;
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
    let (xml, _) = xml.split_once("</interface>").unwrap();
    assert_eq!(xml.matches("<method name=").count(), METHODS.len());
    for (method, arguments, action) in METHODS {
        assert!(
            xml.contains(&format!("<method name=\"{method}\"")),
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
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE action != 'call'"),
        Some(0)
    );
    // What was refused is noted as such.
    wait_until(
        "it is noted",
        || {
            refused(
                &world,
                "target = 'Manager.Pause' AND result = 'refused: NotAllowed'",
            ) == 1
        },
        || world.log(),
    )
    .await;
    polkit.allow("org.telexd1.control");
    let said = stranger
        .busctl(&["call", NAME, PATH, MANAGER, "Pause", "s", ""])
        .await;
    assert!(said.contains("done"), "{said}");
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE who LIKE 'uid:65534 %' AND action = 'pause'"),
        Some(1)
    );
    daemon.stop().await;
}

fn refused(world: &World, what: &str) -> i64 {
    world
        .query(&format!(
            "SELECT count(*) FROM audit WHERE who LIKE 'uid:65534 pid:%' AND action = 'call' AND {what}"
        ))
        .unwrap()
}

/// Whoever is refused again and again fills neither the database nor the journal, and is not forgotten.
#[tokio::test]
async fn hundreds_of_refusals_are_a_few_lines_that_count_them() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    Stranger::of(&bus).expect("needs root, to be somebody else");
    let _polkit = Polkit::start(&bus).await;
    let names = |method: &&(&'static str, &[&str], &str)| method.0;
    let all: Vec<&str> = METHODS.iter().map(|method| names(&method)).collect();
    assert_eq!(
        Knocking::start(&bus, 300, &["KillAll"]).refused().await,
        300
    );
    assert_eq!(Knocking::start(&bus, 400, &all).refused().await, 400);
    wait_until(
        "they are noted",
        || refused(&world, "target = 'others'") == 1,
        || world.log(),
    )
    .await;
    // The interface itself works on, and shows it.
    let audit = list(&client, "ListAudit").await;
    assert!(
        audit
            .iter()
            .any(|line| of::<String>(line, "target") == "Manager.KillAll")
    );
    assert!(
        audit
            .iter()
            .all(|line| of::<String>(line, "result").starts_with("refused: ")),
        "{audit:?}"
    );
    assert_eq!(refused(&world, "result LIKE '%more times'"), 0);
    daemon.stop().await;
    let lines = refused(&world, "TRUE");
    assert!(lines <= 26, "{lines}");
    let first = refused(&world, "result NOT LIKE '%more times'");
    let counted = world
        .query(
            "SELECT sum(substr(result, instr(result, ', ') + 2) + 0) FROM audit WHERE result LIKE '%more times'",
        )
        .unwrap();
    assert_eq!(first + counted, 700, "every one is counted");
    let logged = i64::try_from(world.logged("a call was refused")).unwrap();
    assert_eq!(logged, lines, "{}", world.log());
    assert_eq!(world.logged(" WARN "), 0, "{}", world.log());
}

#[tokio::test]
async fn what_happens_is_told_without_texts() {
    let (world, _bus, daemon, client) = up().await;
    let mut signals = signals(&client, MANAGER).await;
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

pub type Dicts = Vec<HashMap<String, OwnedVariant>>;

pub async fn list(client: &Connection, method: &str) -> Dicts {
    let options: HashMap<String, OwnedVariant> = HashMap::new();
    let reply = call(client, MANAGER, method, &(options,)).await.unwrap();
    reply.body().deserialize().unwrap()
}

pub fn of<T>(dict: &HashMap<String, OwnedVariant>, key: &str) -> T
where
    T: TryFrom<OwnedVariant>,
    T::Error: std::fmt::Debug,
{
    T::try_from(dict[key].try_clone().unwrap()).unwrap()
}

#[tokio::test]
async fn lists_show_what_there_is_and_orders_change_it() {
    let (world, _bus, daemon, client) = up().await;
    assert!(list(&client, "ListRuns").await.is_empty());
    world.says(USER, "hello").await;
    let runs = list(&client, "ListRuns").await;
    let run: String = of(&runs[0], "id");
    let conversation: i64 = of(&runs[0], "conversation");
    assert_eq!((runs.len(), of::<i64>(&runs[0], "person")), (1, USER));
    let conversations = list(&client, "ListConversations").await;
    assert_eq!(of::<String>(&conversations[0], "run"), run);
    assert_eq!(of::<i64>(&conversations[0], "id"), conversation);
    assert_eq!(of::<i64>(&conversations[0], "chat"), USER);
    let people = list(&client, "ListPeople").await;
    let role = |person: i64| {
        let found = people
            .iter()
            .find(|dict| of::<i64>(dict, "person") == person);
        of::<String>(found.unwrap(), "role")
    };
    assert_eq!(
        (role(USER), role(ADMIN)),
        ("user".to_owned(), "admin".to_owned())
    );
    assert!(list(&client, "ListQuestions").await.is_empty());

    // By the beginning of its id.
    assert_eq!(outcome(&client, "Kill", Some(&run[..6])).await, "done");
    assert!(list(&client, "ListRuns").await.is_empty());
    world.api.user(USER, "Uma").send_text(USER, "hang");
    wait_until(
        "the agent has begun",
        || world.reached("hang") == 1,
        || world.log(),
    )
    .await;
    let on = async |method: &str| {
        let reply = call(&client, MANAGER, method, &(conversation,))
            .await
            .unwrap();
        reply.body().deserialize::<String>().unwrap()
    };
    assert_eq!(on("Interrupt").await, "done");
    world.wait_told(USER, "Ended by an administrator").await;
    assert_eq!(on("Interrupt").await, "no-change");
    assert_eq!(on("Clear").await, "done");
    assert_eq!(on("Clear").await, "no-change");
    world.says(USER, "anew").await;
    let reply = call(&client, MANAGER, "KillAll", &()).await.unwrap();
    assert_eq!(reply.body().deserialize::<u32>().unwrap(), 1);
    let audit = list(&client, "ListAudit").await;
    let actions: Vec<String> = audit.iter().map(|line| of(line, "action")).collect();
    assert!(actions[0].contains("kill"), "{actions:?}");
    for action in ["kill", "interrupt", "clear"] {
        assert!(actions.iter().any(|a| a == action), "{actions:?}");
    }
    assert!(
        audit
            .iter()
            .all(|line| of::<String>(line, "who").starts_with("uid:"))
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_is_given_its_answer_over_the_bus() {
    let (world, _bus, daemon, client) = up().await;
    for (method, part) in [("Approve", "allowed"), ("Deny", "denied")] {
        world.api.user(USER, "Uma").send_text(USER, "ask");
        let question = loop {
            if let Some(question) = list(&client, "ListQuestions").await.first() {
                assert_eq!(of::<String>(question, "tool"), "Bash");
                break of::<i64>(question, "id");
            }
            crate::support::breathe().await;
        };
        let reply = call(&client, MANAGER, method, &(question,)).await.unwrap();
        assert_eq!(reply.body().deserialize::<String>().unwrap(), "done");
        world
            .wait_chat(USER, part, |m| {
                m.iter().any(|m| m.text.to_lowercase().contains(part))
            })
            .await;
        wait_until(
            "the question is closed",
            || world.query("SELECT count(*) FROM questions WHERE answer IS NULL") == Some(0),
            || world.log(),
        )
        .await;
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn ids_that_lead_nowhere_have_an_error_of_their_own() {
    let (_world, _bus, daemon, client) = up().await;
    for (given, wanted) in [
        ("aaaaaaaa", "NoSuchRun"),
        ("", "InvalidArgument"),
        ("a", "InvalidArgument"),
        ("1234", "InvalidArgument"),
        ("../../x", "InvalidArgument"),
        ("aa\naa", "InvalidArgument"),
        (&"a".repeat(10_000), "InvalidArgument"),
    ] {
        let (name, text) = error(call(&client, MANAGER, "Kill", &(given,)).await);
        assert_eq!(
            name,
            format!("org.telexd1.Error.{wanted}"),
            "{given:.20}: {text}"
        );
        assert!(
            !text.contains(char::is_control) && text.len() < 2000,
            "{text:?}"
        );
    }
    for (given, wanted) in [
        ("BCDFGHJK", "NoSuchPairing"),
        ("", "InvalidArgument"),
        ("BCDFGHJ", "InvalidArgument"),
        ("BCDFGHJ1", "InvalidArgument"),
        ("BCDF\nGHJK", "InvalidArgument"),
        ("\u{202e}BCDFGHJ", "InvalidArgument"),
        (&"B".repeat(19_000), "InvalidArgument"),
        (&"B".repeat(1_000_000), "InvalidArgument"),
    ] {
        for method in ["AcceptPairing", "RejectPairing"] {
            let (name, text) = error(call(&client, MANAGER, method, &(given,)).await);
            assert_eq!(
                name,
                format!("org.telexd1.Error.{wanted}"),
                "{given:.20}: {text}"
            );
            assert!(
                !text.contains(char::is_control) && text.len() < 1000,
                "{text:?}"
            );
        }
    }
    for wrong in [
        call(&client, MANAGER, "AcceptPairing", &(7,)).await,
        call(&client, MANAGER, "RemovePerson", &("1",)).await,
    ] {
        let (name, _) = error(wrong);
        assert!(name.starts_with("org.freedesktop."), "{name}");
    }
    for number in [0_i64, 99, -1, i64::MAX, i64::MIN] {
        for (method, wanted) in [
            ("RemovePerson", "NoSuchPerson"),
            ("Interrupt", "NoSuchConversation"),
            ("Clear", "NoSuchConversation"),
            ("Approve", "NoSuchQuestion"),
            ("Deny", "NoSuchQuestion"),
        ] {
            let (name, _) = error(call(&client, MANAGER, method, &(number,)).await);
            assert_eq!(
                name,
                format!("org.telexd1.Error.{wanted}"),
                "{method} {number}"
            );
        }
    }
    let options = HashMap::from([("nonsense", zbus::wire::Variant::from(1_u32))]);
    for method in [
        "ListRuns",
        "ListConversations",
        "ListPeople",
        "ListQuestions",
        "ListAudit",
        "ListPairings",
    ] {
        let (name, _) = error(call(&client, MANAGER, method, &(&options,)).await);
        assert_eq!(name, "org.telexd1.Error.InvalidArgument", "{method}");
    }
    daemon.stop().await;
}
