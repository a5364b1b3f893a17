//! The administrative interface on a bus of our own, with a stand-in for polkit on it.

mod config;
mod interface;
mod objects;
pub mod orders;
mod pairing;
mod polkit;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use zbus::{
    Connection, MatchRule, MessageStream, connection, export::futures_core::Stream as _, fdo,
    message, wire::OwnedVariant,
};

use self::polkit::{Polkit, Stranger};
use crate::{
    support::{ADMIN, DEADLINE, Daemon, USER, World, breathe, wait_until},
    units::fake::Systemd,
};

pub const NAME: &str = "org.telexd1";
pub const PATH: &str = "/org/telexd1";
pub const MANAGER: &str = "org.telexd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// A world whose daemon is on a bus of its own, and starts its agents itself.
pub async fn world() -> (World, Systemd) {
    let world = World::new().await;
    world.drop_in("dbus", "[dbus]\nbus = \"system\"\n");
    let bus = Systemd::start(&world).await;
    (world, bus)
}

pub fn start(world: &World, bus: &Systemd) -> Daemon {
    world.start_with(&[("DBUS_SYSTEM_BUS_ADDRESS", &bus.address())])
}

/// Starts the daemon and waits until it is ready.
pub async fn ready(world: &World, bus: &Systemd) -> Daemon {
    let before = world.log().len();
    let daemon = start(world, bus);
    wait_until(
        "the daemon is ready",
        || world.log()[before..].contains(" ready "),
        || world.log(),
    )
    .await;
    daemon
}

/// A daemon that is ready, and somebody on its bus.
pub async fn up() -> (World, Systemd, Daemon, Connection) {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    (world, bus, daemon, client)
}

pub async fn client(bus: &Systemd) -> Connection {
    connection::Builder::address(bus.address().as_str())
        .method_timeout(DEADLINE)
        .build()
        .await
        .unwrap()
}

pub async fn call<B>(
    client: &Connection,
    interface: &str,
    member: &str,
    body: &B,
) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::wire::DynamicType + Sync,
{
    client
        .call_method(Some(NAME), PATH, Some(interface), member, body)
        .await
}

/// Name and text of the error that a call ended with.
pub fn error<T: std::fmt::Debug>(result: zbus::Result<T>) -> (String, String) {
    match result {
        Err(zbus::Error::MethodError(name, text, _)) => {
            (name.to_string(), text.unwrap_or_default())
        }
        Err(zbus::Error::FDO(error)) => {
            use zbus::DBusError as _;
            let text = error.description().unwrap_or_default().to_owned();
            (error.name().to_string(), text)
        }
        other => panic!("{other:?}"),
    }
}

pub async fn health(client: &Connection) -> HashMap<String, OwnedVariant> {
    let reply = call(client, MANAGER, "Health", &()).await.unwrap();
    reply.body().deserialize().unwrap()
}

pub async fn property<T>(client: &Connection, name: &str) -> T
where
    T: TryFrom<OwnedVariant>,
    T::Error: std::fmt::Debug,
{
    let reply = call(client, PROPERTIES, "Get", &(MANAGER, name))
        .await
        .unwrap();
    let value: OwnedVariant = reply.body().deserialize().unwrap();
    T::try_from(value).unwrap()
}

pub async fn next(stream: &mut MessageStream) -> zbus::Message {
    let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *stream).poll_next(cx));
    tokio::time::timeout(DEADLINE, next)
        .await
        .expect("a signal comes")
        .unwrap()
        .unwrap()
}

/// The daemon's signals of an interface, from now on.
pub async fn signals(client: &Connection, interface: &str) -> MessageStream {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(NAME)
        .interface(interface)
        .build()
        .unwrap();
    MessageStream::for_match_rule(rule, client, None)
        .await
        .unwrap()
}

/// The next properties of the manager's that change, with their values. Those of other objects are passed over.
pub async fn changed(changes: &mut MessageStream) -> HashMap<String, OwnedVariant> {
    loop {
        let signal = next(changes).await;
        let (interface, changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
            signal.body().deserialize().unwrap();
        if interface == MANAGER {
            return changed;
        }
    }
}

#[tokio::test]
async fn the_report_is_the_document_and_health_says_the_same() {
    let (world, _bus, daemon, client) = up().await;
    let ready = async || {
        let reply = call(&client, MANAGER, "Report", &()).await.unwrap();
        let text: String = reply.body().deserialize().unwrap();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        (told["ready"] == true).then_some(told)
    };
    let told = loop {
        if let Some(told) = ready().await {
            break told;
        }
        breathe().await;
    };
    let said = health(&client).await;
    assert!(orders::of::<bool>(&said, "ok"));
    assert_eq!(
        orders::of::<bool>(&said, "connected"),
        told["telegram"]["connected"]
    );
    assert_eq!(orders::of::<String>(&said, "summary"), told["status"]);
    assert!(told["memory"]["daemon"].as_u64().unwrap() > 1_000_000);
    for condition in [
        "started",
        "telegram",
        "runtime",
        "database",
        "poll_loop",
        "disk",
    ] {
        assert_eq!(told["conditions"][condition]["ok"], true, "{told:#}");
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn health_and_properties_say_how_it_stands_and_changes_are_told() {
    let (world, _bus, daemon, client) = up().await;
    let mut changes = signals(&client, PROPERTIES).await;
    assert_eq!(
        property::<String>(&client, "Version").await,
        env!("CARGO_PKG_VERSION")
    );
    assert!(property::<u64>(&client, "StartedAt").await > 1_700_000_000_000_000);
    world.says(USER, "hello").await;
    while !changed(&mut changes).await.contains_key("Conversations") {}
    assert_eq!(property::<u32>(&client, "Conversations").await, 1);
    assert!(property::<bool>(&client, "Connected").await);
    let health = health(&client).await;
    let text = String::try_from(health["summary"].try_clone().unwrap()).unwrap();
    assert!(text.contains("polling"), "{text}");
    assert!(u64::try_from(health["last_poll"].try_clone().unwrap()).unwrap() > 0);
    daemon.stop().await;
}

#[tokio::test]
async fn the_log_level_changes_while_it_runs() {
    let (world, bus, daemon, client) = up().await;
    let on_log = async |member: &'static str, body: &(dyn erased::Body + Sync)| {
        body.call(&client, member).await
    };
    let level = async || {
        let reply = on_log("Get", &("org.freedesktop.LogControl1", "LogLevel")).await;
        let value: OwnedVariant = reply.unwrap().body().deserialize().unwrap();
        String::try_from(value).unwrap()
    };
    let set = async |to: &str| {
        let value = zbus::wire::Variant::from(to.to_owned());
        on_log("Set", &("org.freedesktop.LogControl1", "LogLevel", value)).await
    };
    // As the configuration of these tests says.
    assert_eq!(level().await, "debug");
    set("info").await.unwrap();
    assert_eq!(level().await, "info");
    let before = world.logged(" DEBUG ");
    world.says(USER, "quiet").await;
    assert_eq!(world.logged(" DEBUG "), before, "{}", world.log());
    for wrong in ["louder", "", "debug\n", "DEBUG", &"x".repeat(10_000)] {
        let (name, text) = error(set(wrong).await);
        assert_eq!(name, "org.freedesktop.DBus.Error.InvalidArgs");
        assert!(text.contains("valid are"), "{text}");
    }
    assert_eq!(level().await, "info");
    // It is the setting log.level, in whatever way that is changed.
    let setting = async || {
        let reply = call(&client, MANAGER, "GetConfig", &("log.level",)).await;
        let mut setting: HashMap<String, OwnedVariant> =
            reply.unwrap().body().deserialize().unwrap();
        let mut field = |name| String::try_from(setting.remove(name).unwrap()).unwrap();
        (field("value"), field("source"))
    };
    assert_eq!(
        setting().await,
        ("\"info\"".to_owned(), "run time".to_owned())
    );
    world.api.user(ADMIN, "Ada").send_text(ADMIN, "/debug on");
    world
        .wait_told(ADMIN, "log.level = \"debug\", from now on.")
        .await;
    assert_eq!(level().await, "debug");
    set("notice").await.unwrap();
    world.drop_in("more", "[agent]\nmax_processes = 3\n");
    daemon.signal(Signal::SIGHUP);
    world.wait_log("agent.max_processes").await;
    assert_eq!(level().await, "info");
    // So it outlives the daemon.
    daemon.kill();
    let daemon = ready(&world, &bus).await;
    assert_eq!(level().await, "info");
    world.wait_told(ADMIN, "restarted after a crash").await;
    // As the files say: nothing is left of the change.
    set("debug").await.unwrap();
    assert!(
        setting().await.1.contains("telexd.toml:"),
        "{:?}",
        setting().await
    );
    assert_eq!(
        world.query("SELECT count(*) FROM settings WHERE key = 'config.log.level'"),
        Some(0)
    );
    // A hand-off is told from debug on.
    world.api.user(USER, "Uma").send_text(USER, "/clear");
    world.says(USER, "loud").await;
    assert!(world.logged(" DEBUG ") > before, "{}", world.log());
    for (to, shown) in [("err", "err"), ("emerg", "err"), ("warning", "warning")] {
        set(to).await.unwrap();
        assert_eq!(level().await, shown);
    }
    let who = format!("uid:{} pid:{}", nix::unistd::getuid(), std::process::id());
    for (target, result) in [
        ("log.level = \"info\" (was \"debug\")", "done"),
        ("log.level = \"debug\" (was \"info\")", "done"),
        ("log.level = \"error\" (was \"error\")", "no-change"),
    ] {
        let audited = world.query(&format!(
            "SELECT count(*) FROM audit WHERE who LIKE '{who}%' AND action = 'log-level' AND target = '{target}' AND result = '{result}'"
        ));
        assert!(audited > Some(0), "{target}");
    }
    // What was refused for its name is nobody's act.
    assert_eq!(
        world.query("SELECT count(*) FROM audit WHERE action = 'log-level'"),
        Some(6)
    );
    daemon.stop().await;
}

/// A body of whatever type, for a closure that takes several.
mod erased {
    use super::{Connection, NAME, PROPERTIES};

    pub trait Body {
        fn call<'a>(
            &'a self,
            client: &'a Connection,
            member: &'a str,
        ) -> std::pin::Pin<Box<dyn Future<Output = zbus::Result<zbus::Message>> + 'a>>;
    }

    impl<B: serde::Serialize + zbus::wire::DynamicType + Sync> Body for B {
        fn call<'a>(
            &'a self,
            client: &'a Connection,
            member: &'a str,
        ) -> std::pin::Pin<Box<dyn Future<Output = zbus::Result<zbus::Message>> + 'a>> {
            const PATH: &str = "/org/freedesktop/LogControl1";
            Box::pin(client.call_method(Some(NAME), PATH, Some(PROPERTIES), member, self))
        }
    }
}

#[tokio::test]
async fn a_second_daemon_does_not_get_the_name_and_disturbs_nobody() {
    let (world, bus, daemon, client) = up().await;
    let owner = async || {
        let reply = client
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "GetNameOwner",
                &(NAME,),
            )
            .await
            .unwrap();
        reply.body().deserialize::<String>().unwrap()
    };
    let before = owner().await;
    let (other, _) = (World::new().await, ());
    other.drop_in("dbus", "[dbus]\nbus = \"system\"\n");
    let mut second = start(&other, &bus);
    let status = second.wait().await;
    assert_eq!(status.code(), Some(78), "{}", other.log());
    let words = format!("process {}", daemon.pid());
    assert!(other.log().contains(&words), "{}", other.log());
    assert!(
        other.log().contains("belongs to another program"),
        "{}",
        other.log()
    );
    // It has not even asked Telegram for messages.
    assert!(other.api.calls().is_empty(), "{:?}", other.api.calls());
    assert_eq!(owner().await, before);
    world.says(USER, "undisturbed").await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_for_a_moment_is_waited_for() {
    let (world, bus) = world().await;
    let client = client(&bus).await;
    client
        .request_name_with_flags(NAME, fdo::RequestNameFlags::ALLOW_REPLACEMENT)
        .await
        .unwrap();
    let daemon = start(&world, &bus);
    world.wait_log("cannot be had yet").await;
    // It does not take it away although it could.
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(world.logged(" ready "), 0);
        breathe().await;
    }
    client.release_name(NAME).await.unwrap();
    world.wait_log(" ready ").await;
    daemon.stop().await;
}

#[tokio::test]
async fn losing_the_bus_ends_the_daemon_and_the_next_one_waits_for_it() {
    let (world, bus) = world().await;
    let mut daemon = ready(&world, &bus).await;
    bus.bus_down();
    let status = daemon.wait().await;
    assert_eq!(status.code(), Some(1), "{}", world.log());
    world
        .wait_log("the connection to the system bus has ended")
        .await;
    let daemon = start(&world, &bus);
    world.wait_log("the system bus cannot be reached yet").await;
    bus.bus_up().await;
    world.says(USER, "back").await;
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_bus_it_runs_as_before() {
    let world = World::new().await;
    // What a container has: nothing at that place.
    let daemon = world.start_with(&[("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/at/all")]);
    world.says(USER, "hello").await;
    world.wait_log("there is no administrative interface").await;
    daemon.stop().await;
}

#[tokio::test]
async fn on_a_session_bus_its_user_may_everything_and_nobody_else() {
    let world = World::new().await;
    let bus = Systemd::start(&world).await;
    let before = world.log().len();
    let daemon = world.start_arguments(
        &["run", "--session"],
        &[("DBUS_SESSION_BUS_ADDRESS", &bus.address())],
    );
    wait_until(
        "the daemon is ready",
        || world.log()[before..].contains(" ready "),
        || world.log(),
    )
    .await;
    health(&client(&bus).await).await;
    if let Some(stranger) = Stranger::of(&bus) {
        let said = stranger
            .busctl(&["call", NAME, PATH, MANAGER, "Health"])
            .await;
        assert!(said.contains("listens to user"), "{said}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn polkit_decides_about_whoever_is_not_root() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    let Some(stranger) = Stranger::of(&bus) else {
        panic!("needs root, to be somebody else");
    };
    let health = ["call", NAME, PATH, MANAGER, "Health"];
    // root needs no polkit.
    crate::bus::health(&client(&bus).await).await;
    let said = stranger.busctl(&health).await;
    assert!(said.contains("apt install polkitd"), "{said}");

    let polkit = Polkit::start(&bus).await;
    let said = stranger.busctl(&health).await;
    assert!(said.contains("telexd-admin"), "{said}");
    assert_eq!(polkit.asked(), ["org.telexd1.inspect true"]);
    for reads in [
        &["get-property", NAME, PATH, MANAGER, "Version"][..],
        &["call", NAME, PATH, PROPERTIES, "GetAll", "s", MANAGER],
        &[
            "call",
            NAME,
            PATH,
            "org.freedesktop.DBus.ObjectManager",
            "GetManagedObjects",
        ],
    ] {
        let said = stranger.busctl(reads).await;
        // busctl has words of its own for the second.
        let refused = ["org.telexd1.inspect", "Access denied"];
        assert!(refused.iter().any(|words| said.contains(words)), "{said}");
    }
    let log = "/org/freedesktop/LogControl1";
    let set = [
        "set-property",
        NAME,
        log,
        "org.freedesktop.LogControl1",
        "LogLevel",
        "s",
        "debug",
    ];
    let said = stranger.busctl(&set).await;
    assert!(said.contains("org.telexd1.configure"), "{said}");

    polkit.allow("org.telexd1.inspect");
    let said = stranger.busctl(&health).await;
    assert!(said.contains("\"summary\""), "{said}");
    let said = stranger
        .busctl(&["get-property", NAME, PATH, MANAGER, "Version"])
        .await;
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    let said = stranger.busctl(&set).await;
    assert!(said.contains("org.telexd1.configure"), "{said}");

    polkit.broken();
    let said = stranger.busctl(&health).await;
    assert!(said.contains("apt install --reinstall telexd"), "{said}");
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_not_logged_as_ours() {
    let (world, _bus, daemon, client) = up().await;
    world.wait_log("Telegram knows this bot").await;
    let log = world.log().len();
    let big = "x".repeat(1_000_000);
    let (name, _) = error(call(&client, MANAGER, "Health", &(&*big,)).await);
    assert_eq!(name, "org.telexd1.Error.InvalidArgument");
    let (name, _) = error(call(&client, MANAGER, "Nonsense", &()).await);
    assert_eq!(name, "org.freedesktop.DBus.Error.UnknownMethod");
    let (name, _) = error(call(&client, "org.telexd1.Nonsense", "Health", &()).await);
    assert_eq!(name, "org.freedesktop.DBus.Error.UnknownInterface");
    let (name, _) = error(call(&client, PROPERTIES, "Get", &(MANAGER, "Nonsense")).await);
    assert_eq!(name, "org.freedesktop.DBus.Error.UnknownProperty");
    let value = zbus::wire::Variant::from("x");
    let set = call(&client, PROPERTIES, "Set", &(MANAGER, "Version", value)).await;
    assert!(error(set).0.starts_with("org.freedesktop.DBus.Error."));
    for path in [
        "/",
        "/org",
        "/org/telexd1/run/aaaaaaaaaaaaaaaa",
        "/org/telexd1/conversation/99",
    ] {
        let none = client
            .call_method(Some(NAME), path, Some(MANAGER), "Health", &())
            .await;
        assert!(error(none).0.contains("Unknown"), "{path}");
    }
    health(&client).await;
    let said = world.log()[log..].to_owned();
    for theirs in [" WARN ", " ERROR ", "Nonsense", "xxxx", "/conversation/99"] {
        assert!(!said.contains(theirs), "{theirs} is logged: {said}");
    }
    daemon.stop().await;
}

/// How often turns are measured alone and then among callers, and how many at a time.
const ROUNDS: usize = 5;
const TURNS: usize = 5;
/// How much longer a turn may take among callers: they share two cores with what is measured, and with what measures.
const LONGER: u32 = 3;
/// And by how much on top, where a turn takes next to nothing.
const SLACK: Duration = Duration::from_millis(20);
/// Between two calls of one caller.
const CALLS: Duration = Duration::from_millis(200);

/// A turn takes hardly longer while hundreds call, among them one that never reads an answer: compared, over several
/// rounds, with the turns right before. What else the machine does meets both, and most rounds decide.
#[tokio::test]
async fn hundreds_of_callers_do_not_slow_a_turn() {
    let (world, bus) = world().await;
    let daemon = ready(&world, &bus).await;
    world.says(USER, "warm").await;
    let (calling, stop) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut callers = Vec::new();
    for _ in 0..20 {
        let client = client(&bus).await;
        for number in 0..15 {
            let (calling, stop) = (Arc::clone(&calling), Arc::clone(&stop));
            callers.push(tokio::spawn(calls(client.clone(), number, calling, stop)));
        }
    }
    let mut rounds = Vec::new();
    let mut deaf = Vec::new();
    for round in 0..ROUNDS {
        let alone = median_turn(&world, &format!("alone {round}")).await;
        calling.store(true, Ordering::Relaxed);
        deaf.push(polkit::Deaf::start(&bus, 1000));
        let among = median_turn(&world, &format!("among {round}")).await;
        calling.store(false, Ordering::Relaxed);
        rounds.push((alone, among));
    }
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    let slow = rounds
        .iter()
        .filter(|(alone, among)| *among > *alone * LONGER + SLACK);
    let slow = slow.count();
    println!("turns alone and among callers, {answered} answered: {rounds:?}");
    assert!(answered > 300, "{answered}");
    assert!(slow <= ROUNDS / 2, "{rounds:?}");
    daemon.stop().await;
    world.end_all().await;
}

/// Calls whatever an administrator's programs call most, over and over; how often it was answered.
async fn calls(
    client: Connection,
    number: u32,
    calling: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> u32 {
    let options: HashMap<String, OwnedVariant> = HashMap::new();
    let mut answered = 0;
    // Not all at once.
    tokio::time::sleep(CALLS * number / 15).await;
    while !stop.load(Ordering::Relaxed) {
        if !calling.load(Ordering::Relaxed) {
            breathe().await;
            continue;
        }
        let answer = match number % 4 {
            0 => call(&client, MANAGER, "Health", &()).await,
            1 => call(&client, MANAGER, "ListRuns", &(&options,)).await,
            2 => call(&client, MANAGER, "ListConversations", &(&options,)).await,
            _ => call(&client, PROPERTIES, "GetAll", &(MANAGER,)).await,
        };
        match answer {
            Ok(_) => answered += 1,
            refused => {
                // What is too much is said so; of all properties together in the library's words.
                let (name, text) = error(refused);
                let busy = [
                    "org.telexd1.Error.TooManyCalls",
                    "org.freedesktop.DBus.Error.AccessDenied",
                ];
                assert!(busy.contains(&name.as_str()), "{name}: {text}");
            }
        }
        // The test shares its cores with what it measures.
        tokio::time::sleep(CALLS).await;
    }
    answered
}

/// How long a turn takes; one in which the machine did something else does not count.
async fn median_turn(world: &World, word: &str) -> Duration {
    let mut took = Vec::new();
    for number in 0..TURNS {
        let begun = Instant::now();
        world.says(USER, &format!("{word} {number}")).await;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[TURNS / 2]
}
