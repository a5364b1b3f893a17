//! What is in the journal: fields, priorities, kinds and their texts, a panic; and a journal that is gone for a while.

use std::collections::BTreeSet;

use serde_json::Value;
use telexd::core::messages;

use crate::{
    host::{Host as _, Release},
    on_each_release,
    server::{Agent, Server},
    shared::USER,
};

on_each_release!(
    entries_have_their_fields_and_priorities,
    the_catalogue_says_what_to_do,
    nothing_secret_is_logged_even_when_debugging,
    the_journal_may_go_and_come_back,
    a_panic_is_logged_once_with_a_backtrace,
);

/// Settings without debugging, as an administrator has them.
const QUICK: &str = "[features]\nbatching = false\n\n[delivery]\nchat_interval_ms = 5\n";

/// The entries of a kind.
fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let id = format!("{:032x}", messages::id(kind).unwrap());
    entries
        .iter()
        .filter(|entry| entry["MESSAGE_ID"] == id.as_str())
        .collect()
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

async fn entries_have_their_fields_and_priorities(release: Release) {
    let server = Server::with(release, Agent::Scripted, QUICK).await;
    server.start().await;
    server
        .says("say a secret greeting", "a secret greeting")
        .await;
    let machine = &server.machine;
    let entries = machine.journal("-u telexd.service").await;
    let ours: Vec<_> = entries.iter().filter(|e| e["_PID"] != "1").collect();
    for entry in &ours {
        assert_eq!(entry["_TRANSPORT"], "journal", "{entry}");
        assert_eq!(entry["SYSLOG_IDENTIFIER"], "telexd", "{entry}");
        assert!(
            ["3", "4", "6"].contains(&text(entry, "PRIORITY")),
            "{entry}"
        );
        assert!(!text(entry, "CODE_FILE").is_empty(), "{entry}");
        assert!(!text(entry, "TELEXD_HANDLER").is_empty(), "{entry}");
        assert!(!text(entry, "MESSAGE").contains("greeting"), "{entry}");
    }
    let ready = of_kind(&entries, messages::READY);
    assert_eq!(ready.len(), 1, "{entries:#?}");
    assert_eq!(ready[0]["PRIORITY"], "6");
    assert_eq!(ready[0]["TELEXD_HANDLER"], "app");

    let started: Vec<_> = ours
        .iter()
        .filter(|e| text(e, "MESSAGE").starts_with("agent started"))
        .collect();
    assert_eq!(started.len(), 1, "{ours:#?}");
    let run = text(started[0], "TELEXD_RUN");
    assert_eq!(run.len(), 16, "{run}");
    let unit = format!("telexd-agent@{run}.service");
    assert_eq!(text(started[0], "UNIT"), unit);
    // One match gives both sides of a run: what the daemon says, and what the unit says. Here of one that was never asked
    // for, as then both complain.
    let odd = "telexd-agent@abcdefgh23456777.service";
    machine.sh(&format!("systemctl start {odd}")).await;
    machine
        .wait_until("both have complained", async || {
            let both = machine.journal("TELEXD_RUN=abcdefgh23456777").await;
            let from: BTreeSet<&str> = both.iter().map(|e| text(e, "_SYSTEMD_UNIT")).collect();
            from.contains("telexd.service") && from.contains(odd)
        })
        .await;
    let refused = machine.journal(&format!("-u {odd} _COMM=telexd-run")).await;
    assert!(
        !refused.is_empty() && refused.iter().all(|e| e["PRIORITY"] == "3"),
        "{refused:#?}"
    );
    assert!(
        text(&refused[0], "MESSAGE").starts_with("telexd-run: run abcdefgh23456777: "),
        "{refused:#?}"
    );
    // UNIT= of somebody who is not root is a field like any other, and nothing that -u believes.
    let by_field = machine.journal(&format!("UNIT={unit}")).await;
    assert!(
        by_field
            .iter()
            .any(|e| e["TELEXD_RUN"] == run && e["_COMM"] == "telexd")
    );
    machine.ok(&format!("systemctl stop {unit}")).await;
    let by_unit = machine.journal(&format!("-u {unit}")).await;
    assert!(!by_unit.is_empty());
    assert!(
        by_unit.iter().all(|e| e["_COMM"] != "telexd"),
        "{by_unit:#?}"
    );
}

async fn the_catalogue_says_what_to_do(release: Release) {
    let server = Server::with(release, Agent::Scripted, QUICK).await;
    let machine = &server.machine;
    server
        .config("60-wrong", "[access]\nadmins = [\"Ada\"]\n")
        .await;
    assert_ne!(machine.sh("systemctl start telexd").await.code, 0);
    let entries = machine.journal("-u telexd.service").await;
    let rejected = of_kind(&entries, messages::CONFIG_REJECTED);
    assert_eq!(rejected.len(), 1, "{entries:#?}");
    assert_eq!(rejected[0]["PRIORITY"], "3");
    assert_eq!(
        rejected[0]["TELEXD_PATH"],
        "/etc/telexd/telexd.toml.d/60-wrong.toml"
    );
    let said = machine.ok("journalctl -x -u telexd.service").await;
    assert!(
        said.contains("Subject: The configuration of telexd is wrong"),
        "{said}"
    );
    assert!(
        said.contains("Check the change with: telexd check"),
        "{said}"
    );
    // A program that is not there.
    server
        .config("60-wrong", "[agent]\ncommand = \"/nowhere/agent\"\n")
        .await;
    server.start().await;
    server.send("say hello");
    machine
        .wait_until("the failure is logged", async || {
            let entries = machine.journal("-u telexd.service").await;
            !of_kind(&entries, messages::AGENT_NOT_STARTED).is_empty()
        })
        .await;
    let entries = machine.journal("-u telexd.service").await;
    let run = text(
        of_kind(&entries, messages::AGENT_NOT_STARTED)[0],
        "TELEXD_RUN",
    );
    let said = machine.ok("journalctl -x -u telexd.service").await;
    let names = format!("Run {run} was to be started and was not");
    assert!(said.contains(&names), "{said}");
    let command = format!("journalctl TELEXD_RUN={run} + _SYSTEMD_UNIT=telexd-agent@{run}.service");
    assert!(said.contains(&command), "{said}");
}

async fn nothing_secret_is_logged_even_when_debugging(release: Release) {
    let quick = format!("{QUICK}\n[log]\nlevel = \"debug\"\n");
    let server = Server::with(release, Agent::Scripted, &quick).await;
    server
        .agent_environment(&[("ANTHROPIC_API_KEY", "sk-ant-very-secret")])
        .await;
    server.start().await;
    server.says("say hello", "hello").await;
    // With what goes wrong as well.
    server.send("crash");
    server.machine.ok("systemctl restart telexd").await;
    server.says("say again", "again").await;
    server.machine.ok("systemctl stop telexd").await;
    let token = server.api.token().split_once(':').unwrap().1;
    let all = server
        .machine
        .ok("journalctl --sync; journalctl -o export")
        .await;
    assert!(all.contains("PRIORITY=7"), "nothing was debugged");
    for secret in [token, "very-secret"] {
        assert!(!all.contains(secret), "{secret} is in the journal");
    }
}

async fn the_journal_may_go_and_come_back(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.says("say one", "one").await;
    let before = server.pid().await;
    // The sockets stay: what is sent waits in them until they are full.
    machine.ok("kill -STOP $(pidof systemd-journald)").await;
    for n in 0..20 {
        server
            .says(&format!("say two {n}"), &format!("two {n}"))
            .await;
    }
    machine.ok("kill -CONT $(pidof systemd-journald)").await;
    // Nobody listens.
    let units = "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket \
                 systemd-journald.service";
    machine.ok(&format!("systemctl stop {units} 2>&1")).await;
    server.says("say three", "three").await;
    machine
        .ok("systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service")
        .await;
    server.says("say four", "four").await;
    assert_eq!(server.pid().await, before, "it is the same daemon");
    machine.ok("systemctl stop telexd").await;
    let entries = machine.journal("-u telexd.service").await;
    let stopped = of_kind(&entries, messages::STOPPED);
    assert_eq!(stopped.len(), 1, "it speaks to the journal again");
}

async fn a_panic_is_logged_once_with_a_backtrace(release: Release) {
    let server = Server::with(release, Agent::Scripted, QUICK).await;
    server
        .use_failpoints(&["TELEXD_PANIC_AT=intake-before-commit:1"])
        .await;
    let machine = &server.machine;
    server.start().await;
    let first = server.pid().await;
    server.send("say hello");
    machine
        .wait_until("it has ended and was started again", async || {
            let now = server.pid().await;
            now != 0 && now != first
        })
        .await;
    let entries = machine.journal("--all -u telexd.service").await;
    let first = first.to_string();
    let panics: Vec<_> = of_kind(&entries, messages::PANIC)
        .into_iter()
        .filter(|e| e["_PID"] == first.as_str())
        .collect();
    assert_eq!(panics.len(), 1, "{panics:#?}");
    assert_eq!(panics[0]["PRIORITY"], "2");
    let message = text(panics[0], "MESSAGE");
    assert!(message.contains("a test asked for this panic"), "{message}");
    assert!(message.contains("failpoints.rs:"), "{message}");
    assert!(
        message.contains("telexd::failpoints::arm"),
        "no backtrace: {message}"
    );
    // Nothing else was printed about it.
    let again = entries
        .iter()
        .filter(|e| e["_PID"] == first.as_str())
        .filter(|e| text(e, "MESSAGE").contains("panicked"))
        .count();
    assert_eq!(again, 1);
    let ended: Vec<_> = entries
        .iter()
        .filter(|e| text(e, "MESSAGE").contains("status=6/ABRT"))
        .collect();
    assert!(!ended.is_empty(), "systemd did not see it abort");
    // The message that it died over is answered all the same.
    machine.ok("systemctl stop telexd; rm -r /etc/systemd/system/telexd.service.d; systemctl daemon-reload").await;
    server.start().await;
    server
        .wait_chat(USER, "hello", |m| crate::shared::shows(m, "hello"))
        .await;
}
