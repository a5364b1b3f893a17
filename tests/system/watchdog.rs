//! What systemd hears of the daemon, and what it does about it: watchdog, status, reload, the word after a crash.

use std::time::Duration;

use telexd::store::Store;
use telexd_botapi::{Network, ShownMessage};

use crate::{
    host::{Host as _, Release},
    machine::Machine,
    on_each_release,
    server::Server,
    shared::{ADMIN, FAST, USER, texts},
};

on_each_release!(
    each_part_that_stands_still_gets_the_daemon_ended_and_started_again,
    an_outage_of_telegram_does_not,
    a_reload_takes_what_is_right_and_refuses_the_rest,
    a_restart_an_upgrade_and_a_reboot_are_no_crash,
    a_check_of_the_database_that_takes_long_is_waited_for,
);

/// As short as a machine that shares two cores with a compiler allows.
const INTERVAL: Duration = Duration::from_secs(4);

/// A server whose watchdog bites soon and whose polls are short.
async fn watched(release: Release) -> Server<Machine> {
    let server = Server::new(release).await;
    server
        .config("60-poll", "[telegram]\npoll_timeout_s = 1\n")
        .await;
    let text = format!("[Service]\nWatchdogSec={}\n", INTERVAL.as_secs());
    server.drop_in("telexd.service", "watchdog", &text).await;
    server
}

async fn status(server: &Server<Machine>) -> String {
    server.machine.property("telexd", "StatusText").await
}

async fn wait_status(server: &Server<Machine>, part: &str) -> String {
    server
        .machine
        .wait_until(part, async || status(server).await.contains(part))
        .await;
    status(server).await
}

/// Has the admin write, so that there is a chat in which they can be told something.
async fn greet_admin(server: &Server<Machine>) {
    server.says_as(ADMIN, "say hello", "hello").await;
}

fn crashes_in(messages: &[ShownMessage]) -> usize {
    let crash =
        |text: &&String| text.contains("restarted after a crash") || text.contains("I stood still");
    texts(messages).iter().filter(crash).count()
}

fn told_of_crash(server: &Server<Machine>) -> usize {
    crashes_in(&server.api.view(|v| v.bot_messages(ADMIN)))
}

async fn each_part_that_stands_still_gets_the_daemon_ended_and_started_again(release: Release) {
    // Each from a moment on at which it has been working for some seconds.
    for (part, named) in [
        ("runtime-frozen:25", "the runtime has not answered"),
        ("store-frozen:25", "the database has not answered"),
        ("intake-frozen:8", "the poll loop is"),
    ] {
        let server = watched(release).await;
        let machine = &server.machine;
        server
            .use_failpoints(&[&format!("TELEXD_FREEZE_AT={part}")])
            .await;
        server.start().await;
        let first = server.pid().await;
        greet_admin(&server).await;
        machine
            .wait_until("it was started again", async || {
                machine.property("telexd", "NRestarts").await == "1"
                    && machine.property("telexd", "ActiveState").await == "active"
            })
            .await;
        let said = machine.messages("-u telexd.service").await;
        assert!(
            said.contains(named) && said.contains("the watchdog is not fed any more"),
            "{part}: {said}"
        );
        assert!(
            said.contains("Failed with result 'watchdog'"),
            "{part}: {said}"
        );
        assert_ne!(server.pid().await, first);
        server
            .wait_chat(ADMIN, "they are told what stood still", |m| {
                let told = |text: &String| text.contains("I stood still") && text.contains(named);
                texts(m).iter().any(told)
            })
            .await;
        server.says("say well again", "well again").await;
        assert_eq!(told_of_crash(&server), 1);
    }
}

async fn an_outage_of_telegram_does_not(release: Release) {
    let server = watched(release).await;
    let machine = &server.machine;
    server.start().await;
    wait_status(&server, "polling").await;
    let pid = server.pid().await;
    let network = match release {
        Release::Bookworm => Network::Refused,
        Release::Trixie => Network::Silent,
    };
    server.api.network(network).await.unwrap();
    // As many intervals as five minutes are with the watchdog that is shipped. Ten of them, at each look: `app::pulse`.
    machine
        .wait_until("ten intervals are over", async || {
            let told = status(&server).await;
            (10 * INTERVAL.as_secs()..60)
                .any(|s| told.contains(&format!("Telegram unreachable for {s} s: ")))
        })
        .await;
    server.api.network(Network::Up).await.unwrap();
    wait_status(&server, "polling").await;
    server.says("say still here", "still here").await;
    assert_eq!(server.pid().await, pid);
    assert_eq!(machine.property("telexd", "NRestarts").await, "0");
    let said = machine.messages("-u telexd.service").await;
    assert!(!said.contains("is not fed any more"), "{said}");
}

async fn a_reload_takes_what_is_right_and_refuses_the_rest(release: Release) {
    const GUEST: i64 = 1003;
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    wait_status(&server, "polling").await;
    let pid = server.pid().await;
    let guest = format!("[access]\nusers = [{USER}, {GUEST}]\n");
    server.config("70-guest", &guest).await;
    machine.ok("systemctl reload telexd").await;
    machine
        .wait_until("it is read", async || {
            let said = machine.messages("-u telexd.service").await;
            said.contains("the configuration was read again and holds")
        })
        .await;
    server.says_as(GUEST, "say welcome", "welcome").await;
    server.config("80-odd", "[agent]\nmax_proceses = 1\n").await;
    machine.ok("systemctl reload telexd").await;
    let told = wait_status(&server, "configuration refused").await;
    assert!(told.contains("80-odd.toml"), "{told}");
    server.says("say unharmed", "unharmed").await;
    machine
        .ok("rm /etc/telexd/telexd.toml.d/80-odd.toml; systemctl reload telexd")
        .await;
    machine
        .wait_until("the status is clean", async || {
            !status(&server).await.contains("refused")
        })
        .await;
    assert_eq!(machine.property("telexd", "ActiveState").await, "active");
    assert_eq!(machine.property("telexd", "SubState").await, "running");
    assert_eq!(server.pid().await, pid);
}

async fn a_restart_an_upgrade_and_a_reboot_are_no_crash(release: Release) {
    let mut server = Server::with(release, crate::server::Agent::Scripted, FAST).await;
    server.machine.ok("systemctl enable telexd").await;
    server.start().await;
    greet_admin(&server).await;
    server.machine.ok("systemctl restart telexd").await;
    // What the package does when it is upgraded.
    server
        .machine
        .ok("deb-systemd-invoke try-restart telexd.service")
        .await;
    server.machine.ok("systemctl stop telexd").await;
    server.start().await;
    server.machine.reboot().await;
    server.machine.wait_state("telexd", "active").await;
    server.says("say back", "back").await;
    let shown = server.api.view(|v| texts(&v.bot_messages(ADMIN)));
    assert_eq!(shown, ["hello"]);
    // The plug is pulled: that is told, in other words.
    server.machine.kill_hard().await;
    server.machine.start().await;
    server
        .wait_chat(ADMIN, "the machine is named", |m| {
            m.iter().any(|m| m.text.contains("without a shutdown"))
        })
        .await;
    assert_eq!(told_of_crash(&server), 0);
}

/// A database whose check has some work to do.
fn large_database() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (store, thread) = Store::open(folder.path()).unwrap();
    drop(store);
    thread.join().unwrap();
    let path = folder.path().join("telexd.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE ballast (n INTEGER);
             WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 400000)
             INSERT INTO ballast SELECT n FROM count;
             PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    drop(database);
    std::fs::read(path).unwrap()
}

async fn a_check_of_the_database_that_takes_long_is_waited_for(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    machine
        .put_file(
            "/var/lib/telexd/telexd.db",
            &large_database(),
            0o600,
            "telexd:telexd",
        )
        .await;
    // Less than the check takes, and more than the five seconds after which the daemon asks for more.
    server
        .drop_in("telexd.service", "short", "[Service]\nTimeoutStartSec=7\n")
        .await;
    server
        .use_failpoints(&["TELEXD_STALL_AT=store-progress:500"])
        .await;
    machine.ok("systemctl start --no-block telexd").await;
    machine
        .wait_until("it says why it takes long", async || {
            status(&server).await.contains("preparing the database")
        })
        .await;
    machine.wait_state("telexd", "active").await;
    let at = async |name: &str| -> u64 { machine.property("telexd", name).await.parse().unwrap() };
    let took =
        at("ActiveEnterTimestampMonotonic").await - at("ExecMainStartTimestampMonotonic").await;
    assert!(took > 7_000_000, "{took} us: this proves nothing");
    assert_eq!(machine.property("telexd", "NRestarts").await, "0");
    server.says("say it was worth it", "it was worth it").await;
}
