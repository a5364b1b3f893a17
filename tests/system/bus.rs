//! The administrative interface on a real system bus, with a real polkit.

use crate::{
    host::{Host as _, Release},
    machine::Machine,
    on_each_release,
    server::Server,
};

on_each_release!(
    the_name_is_had_once_the_service_is_active,
    who_may_is_decided_by_the_bus_and_polkit,
    no_method_is_open_to_a_stranger,
    the_log_level_is_changed_by_systemctl,
    a_second_daemon_ends_and_takes_nothing,
    a_bus_that_dies_takes_the_daemon_along_and_systemd_brings_it_back,
    a_restart_is_answered_and_happens,
);

const MANAGER: &str = "org.telexd1 /org/telexd1 org.telexd1.Manager";

fn health() -> String {
    format!("busctl --timeout=20 call {MANAGER} Health")
}

/// A command as somebody else, as a unit of its own.
fn by(user: &str, command: &str) -> String {
    format!("systemd-run --quiet --wait --pipe --uid={user} {command}")
}

async fn started(release: Release) -> Server<Machine> {
    let server = Server::new(release).await;
    server.start().await;
    server
}

async fn the_name_is_had_once_the_service_is_active(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    let owner = "busctl --json=short call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
                 GetConnectionUnixProcessID s org.telexd1";
    let owner = machine.ok(owner).await;
    let pid = server.pid().await;
    assert!(owner.contains(&format!("[{pid}]")), "{owner}: {pid}");
    assert_eq!(machine.property("telexd", "BusName").await, "org.telexd1");
    let said = machine.ok(&health()).await;
    assert!(said.contains("\"summary\""), "{said}");
    // Nobody who stops it wants it to come back by a call.
    machine.ok("systemctl stop telexd").await;
    let output = machine.sh(&health()).await;
    assert!(output.code != 0, "{output}");
    assert_eq!(machine.property("telexd", "ActiveState").await, "inactive");
}

async fn who_may_is_decided_by_the_bus_and_polkit(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    machine
        .ok("useradd stranger; useradd --groups telexd-admin helper; useradd --groups telexd-admin trusted")
        .await;
    let said = machine.ok(&by("helper", &health())).await;
    assert!(said.contains("\"summary\""), "{said}");
    let set = "busctl set-property org.telexd1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s debug";
    machine.ok(&by("helper", set)).await;
    let all = "busctl call org.telexd1 /org/telexd1 org.freedesktop.DBus.Properties GetAll s org.telexd1.Manager";
    let managed =
        "busctl call org.telexd1 /org/telexd1 org.freedesktop.DBus.ObjectManager GetManagedObjects";
    machine.ok(&by("helper", managed)).await;
    for command in [&*health(), set, all, managed] {
        let output = machine.sh(&by("stranger", command)).await;
        assert!(
            output.code != 0
                && ["org.telexd1.", "Access denied"]
                    .iter()
                    .any(|words| output.stderr.contains(words)),
            "{command}: {output}"
        );
        // The bus does not let agents through, whatever is asked.
        let output = machine.sh(&by("telexd-agent", command)).await;
        let refused = ["Access denied", "Permission denied", "rejected"];
        assert!(
            output.code != 0 && refused.iter().any(|words| output.stderr.contains(words)),
            "{command}: {output}"
        );
    }
    // Nor does polkit, where it can tell: an agent of another user, even one of the group.
    let unit = "systemd-run --quiet --wait --pipe --uid=trusted --unit=telexd-agent-x";
    let output = machine.sh(&format!("{unit} {}", health())).await;
    match release {
        Release::Bookworm => assert!(output.code == 0, "{output}"),
        Release::Trixie => assert!(output.code != 0, "{output}"),
    }
    // Nobody else gets the name.
    for user in ["stranger", "helper", "telexd-agent", "root"] {
        let request = "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.telexd1 0";
        let output = machine.sh(&by(user, request)).await;
        assert!(output.code != 0, "{user}: {output}");
    }
    // Without polkit: root goes on, others are told what is missing.
    machine.ok("systemctl mask --now polkit").await;
    machine.ok(&health()).await;
    let output = machine.sh(&by("helper", &health())).await;
    assert!(output.code != 0, "{output}");
    assert!(output.stderr.contains("polkit"), "{output}");
}

/// Every method of the interface, as busctl calls it, with arguments of the right types.
fn every_method() -> Vec<(&'static str, String)> {
    const XML: &str = include_str!("../../dbus/org.telexd1.xml");
    let manager = XML.split("<interface name=").nth(1).unwrap();
    let manager = manager.split("</interface>").next().unwrap();
    let value = |text: &'static str, name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        rest.split('"').next()
    };
    let methods: Vec<_> = manager
        .split("<method ")
        .skip(1)
        .map(|method| {
            let name = value(method, "name").unwrap();
            let body = if method.lines().next().unwrap().ends_with("/>") {
                ""
            } else {
                method.split("</method>").next().unwrap()
            };
            let mut signature = String::new();
            let mut values = String::new();
            for argument in body.split("<arg ").skip(1) {
                let line = argument.lines().next().unwrap();
                if !line.contains("direction=\"in\"") {
                    continue;
                }
                let kind = value(line, "type").unwrap();
                signature.push_str(kind);
                values.push_str(match kind {
                    "s" => " x",
                    "x" | "u" => " 1",
                    "a{sv}" => " 0",
                    "b" => " true",
                    other => panic!("no value for {other}"),
                });
            }
            let arguments = if signature.is_empty() {
                String::new()
            } else {
                format!(" '{signature}'{values}")
            };
            (name, format!("{name}{arguments}"))
        })
        .collect();
    assert!(methods.len() > 20, "{methods:?}");
    methods
}

async fn no_method_is_open_to_a_stranger(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    machine.ok("useradd stranger").await;
    let mut script = String::from("#!/bin/sh\n");
    for (name, call) in every_method() {
        let call = format!("busctl --timeout=20 call {MANAGER} {call}");
        script.push_str(&format!(
            "said=$({call} 2>&1) && echo '{name} OPEN' || echo \"{name} $said\"\n"
        ));
    }
    machine
        .put_file("/srv/every-method", script.as_bytes(), 0o755, "root:root")
        .await;
    let said = machine.ok(&by("stranger", "/srv/every-method")).await;
    for (name, _) in every_method() {
        let line = said
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{said}"));
        assert!(line.contains("polkit does not allow"), "{line}");
    }
    // Nothing of it was done: neither paused nor ended nor changed.
    server.says("say Hello", "Hello").await;
    let audit = machine.ok("telexctl --json audit").await;
    assert!(!audit.contains("\"done\""), "{audit}");
}

async fn the_log_level_is_changed_by_systemctl(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    let level = "systemctl service-log-level telexd";
    // As the configuration of these tests says.
    assert_eq!(machine.ok(level).await, "debug");
    assert_eq!(
        machine.ok("systemctl service-log-target telexd").await,
        "journal"
    );
    machine.ok(&format!("{level} info")).await;
    assert_eq!(machine.ok(level).await, "info");
    let debug = async || machine.journal("-u telexd -p 7..7").await.len();
    let before = debug().await;
    server.says("say Hello", "Hello").await;
    assert_eq!(debug().await, before);
    machine.ok(&format!("{level} debug")).await;
    assert_eq!(machine.ok(level).await, "debug");
    // A hand-off is told from debug on.
    server.send("/clear");
    server.says("say Again", "Again").await;
    assert!(debug().await > before);
    // It is a setting, with all that belongs to one.
    machine.ok(&format!("{level} info")).await;
    let one = machine.ok("telexctl config get log.level").await;
    assert!(
        one.contains("Value: \"info\"") && one.contains("From: run time"),
        "{one}"
    );
    machine.ok("telexctl config reset log.level").await;
    assert_eq!(machine.ok(level).await, "debug");
    let output = machine.sh(&format!("{level} loud")).await;
    assert!(output.code != 0, "{output}");
}

async fn a_second_daemon_ends_and_takes_nothing(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    let pid = server.pid().await;
    server
        .config(
            "99-other",
            "[state]\ndirectory = \"/var/lib/telexd-other\"\n",
        )
        .await;
    machine
        .ok("install -d -o telexd -g telexd -m 700 /var/lib/telexd-other")
        .await;
    let output = machine
        .sh("systemd-run --quiet --wait --pipe --uid=telexd --property=LoadCredential=telegram-token:/etc/telexd/token \
             --unit=second telexd run")
        .await;
    assert_eq!(output.code, 78, "{output}");
    let said = format!("{}{}", output.stdout, machine.messages("-u second").await);
    assert!(
        said.contains("has bot") || output.stderr.contains("has bot"),
        "{output}{said}"
    );
    assert_eq!(server.pid().await, pid);
    server.says("say Hello", "Hello").await;
    machine.ok(&health()).await;
}

async fn a_bus_that_dies_takes_the_daemon_along_and_systemd_brings_it_back(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    let first = server.pid().await;
    server.send("slow 20 x200");
    server
        .wait_chat(crate::shared::USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("00002"))
        })
        .await;
    machine
        .ok("systemctl kill --signal=KILL --kill-who=main dbus")
        .await;
    machine
        .wait_until("another daemon runs", async || {
            ![0, first].contains(&server.pid().await)
        })
        .await;
    machine.wait_state("telexd", "active").await;
    server
        .wait_chat(crate::shared::USER, "the whole answer", |m| {
            m.iter().any(|m| m.text.contains("200"))
        })
        .await;
    let said = machine.messages("-u telexd").await;
    assert!(said.contains("has ended"), "{said}");
    machine.wait_sh("it answers", &health()).await;
    server.says("say Hello", "Hello").await;
}

async fn a_restart_is_answered_and_happens(release: Release) {
    let server = started(release).await;
    let machine = &server.machine;
    let first = server.pid().await;
    machine
        .ok(&format!("busctl --timeout=20 call {MANAGER} Restart"))
        .await;
    machine
        .wait_until("another daemon runs", async || {
            ![0, first].contains(&server.pid().await)
        })
        .await;
    machine.wait_sh("it answers", &health()).await;
    server.says("say Hello", "Hello").await;
    let audit = machine
        .ok("busctl --json=short call org.telexd1 /org/telexd1 org.telexd1.Manager ListAudit 'a{sv}' 0")
        .await;
    assert!(
        audit.contains("restart") && audit.contains("uid:0 pid:"),
        "{audit}"
    );
}
