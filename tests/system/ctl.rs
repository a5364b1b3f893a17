//! `telexctl` on a real machine: real polkit, real units, a real journal.

use serde_json::Value;

use crate::{
    host::{Host as _, Release},
    on_each_release,
    server::Server,
};

on_each_release!(
    those_who_may_see_how_it_stands_and_others_are_told_that_they_may_not,
    the_doctor_finds_what_is_wrong_and_its_remedies_help,
    logs_are_those_of_a_run_or_a_conversation,
    members_of_the_group_order_and_strangers_do_not,
);

/// A command as somebody else, as a unit of its own.
fn by(user: &str, command: &str) -> String {
    format!("systemd-run --quiet --wait --pipe --uid={user} {command}")
}

async fn those_who_may_see_how_it_stands_and_others_are_told_that_they_may_not(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    let output = machine.sh("telexctl status").await;
    assert_eq!(output.code, 3, "{output}");
    assert!(output.stderr.contains("systemctl start telexd"), "{output}");
    server.start().await;
    server.says("say Hello", "Hello").await;
    machine
        .ok("useradd stranger; useradd --groups telexd-admin helper")
        .await;
    let said = machine.ok("telexctl status").await;
    assert!(said.contains("polling, 1 conversation"), "{said}");
    // The daemon knows its own memory; of the agents', what systemd knows, which it does not in every container.
    let told: Value = serde_json::from_str(&machine.ok("telexctl --json status").await).unwrap();
    assert!(told["memory"]["telexd"].as_u64().is_some(), "{told}");
    let known = machine
        .property("telexd-agents.slice", "MemoryCurrent")
        .await;
    if known.parse::<u64>().is_ok() {
        assert!(told["memory"]["agents"].as_u64().is_some(), "{told}");
    }
    machine.ok(&by("helper", "telexctl status")).await;
    for user in ["stranger", "telexd-agent"] {
        let output = machine.sh(&by(user, "telexctl status")).await;
        assert_eq!(output.code, 4, "{user}: {output}");
        assert!(output.stderr.contains("telexctl: "), "{user}: {output}");
    }
    machine.ok("systemctl mask --now telexd").await;
    let output = machine.sh("telexctl status").await;
    assert_eq!(output.code, 3, "{output}");
    assert!(
        output.stderr.contains("systemctl unmask telexd"),
        "{output}"
    );
}

/// What the doctor finds that is not well: name of the check and remedy.
fn wrong(told: &str) -> Vec<(String, String)> {
    let told: Vec<Value> = serde_json::from_str(told).unwrap();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    told.iter()
        .filter(|finding| finding["state"] == "bad")
        .map(|finding| (text(finding, "check"), text(finding, "remedy")))
        .collect()
}

async fn the_doctor_finds_what_is_wrong_and_its_remedies_help(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    machine.ok("systemctl enable telexd").await;
    server.says("say Hello", "Hello").await;
    let output = machine.sh("telexctl doctor").await;
    // The scripted agent gives no version; all else is well.
    let told = machine.sh("telexctl --json doctor").await;
    let found = wrong(&told.stdout);
    assert!(found.iter().all(|(check, _)| check == "agent"), "{output}");
    assert!(
        !format!("{output}{told}").contains(server.api.token()),
        "{output}"
    );
    for (harm, check) in [
        ("systemctl mask telexd-agent@.service", "agents"),
        ("systemctl stop telexd", "service"),
        (
            "echo 'log.level = 1' >/etc/telexd/telexd.toml.d/99-wrong.toml",
            "config",
        ),
        ("truncate -s 0 /etc/telexd/token", "token"),
        (
            "mv /usr/share/polkit-1/rules.d/50-telexd.rules /root",
            "rights",
        ),
    ] {
        machine.ok(harm).await;
        let output = machine.sh("telexctl --json doctor").await;
        assert_eq!(output.code, 1, "{harm}: {output}");
        let found = wrong(&output.stdout);
        let Some((_, remedy)) = found.iter().find(|(name, _)| name == check) else {
            panic!("{harm}: {output}");
        };
        assert!(!remedy.is_empty(), "{harm}: {output}");
        if check == "agents" {
            machine.ok(remedy).await;
            let output = machine.sh("telexctl --json doctor").await;
            assert!(
                wrong(&output.stdout).iter().all(|(name, _)| name != check),
                "{output}"
            );
        }
    }
    // Without rights it says what it cannot see, and is no failure of its own.
    machine.ok("useradd stranger").await;
    let output = machine.sh(&by("stranger", "telexctl --json doctor")).await;
    assert!(output.stdout.contains("\"unknown\""), "{output}");
}

async fn logs_are_those_of_a_run_or_a_conversation(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.says("say Hello", "Hello").await;
    let all = machine.ok("telexctl --json logs").await;
    let runs: Vec<String> = all
        .lines()
        .filter_map(|line| {
            let entry: Value = serde_json::from_str(line).ok()?;
            Some(entry["TELEXD_RUN"].as_str()?.to_owned())
        })
        .collect();
    let run = runs.first().expect("a run is told of");
    let of_run = machine
        .ok(&format!("telexctl --json logs --run {run}"))
        .await;
    // What the unit itself said is among it, too.
    for part in ["telexd.service", &format!("telexd-agent@{run}.service")] {
        assert!(of_run.contains(part), "{part}: {of_run}");
    }
    let of_conversation = machine.ok("telexctl logs --conversation 1 -n 3").await;
    assert!(of_conversation.lines().count() >= 1, "{of_conversation}");
    let output = machine.sh("telexctl logs --run nonsense").await;
    assert_eq!(output.code, 5, "{output}");
}

async fn members_of_the_group_order_and_strangers_do_not(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.says("say Hello", "Hello").await;
    machine
        .ok("useradd stranger; useradd --groups telexd-admin helper")
        .await;
    let runs: Value = serde_json::from_str(&machine.ok("telexctl --json ps").await).unwrap();
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    let kill = format!("kill {}", &run[..6]);
    let orders = [
        "pause",
        "resume",
        "interrupt 1",
        &kill,
        "killall",
        "restart",
    ];
    for order in ["ps", "people", "conversations", "questions", "audit"]
        .iter()
        .chain(&orders)
    {
        let output = machine
            .sh(&by("stranger", &format!("telexctl {order}")))
            .await;
        assert_eq!(output.code, 4, "{order}: {output}");
    }
    let pid = server.pid().await;
    let audit: Value = serde_json::from_str(&machine.ok("telexctl --json audit").await).unwrap();
    assert!(!audit.to_string().contains("done"), "{audit}");
    for order in orders {
        let output = machine
            .sh(&by("helper", &format!("telexctl {order}")))
            .await;
        assert_eq!(output.code, 0, "{order}: {output}");
    }
    assert_ne!(server.pid().await, pid);
    machine.wait_state("telexd", "active").await;
    let uid = machine.ok("id -u helper").await;
    let audit = machine.ok("telexctl audit").await;
    for word in ["pause", "resume", "kill", "restart"] {
        let told =
            |line: &str| line.contains(word) && line.contains(&format!("uid:{}", uid.trim()));
        assert!(audit.lines().any(told), "{word}: {audit}");
    }
    server.says("say Again", "Again").await;
}
