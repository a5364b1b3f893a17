//! Agents as units of the real systemd: who they are, what outlives what, how each end is told, and what nobody may do.

use crate::{
    host::{Host as _, Release},
    machine::Machine,
    on_each_release,
    server::{AGENT, PROJECT, Server},
    shared::{ADMIN, USER, shows, texts},
};

on_each_release!(
    an_agent_is_a_unit_of_its_own_user,
    an_answer_outlives_the_daemon_and_comes_whole_and_once,
    a_stop_of_the_daemon_leaves_agents_and_a_stop_of_their_slice_ends_them,
    nothing_of_an_agent_outlives_its_stop,
    a_stubborn_agent_is_ended_and_recorded_before_systemd_has_to,
    a_stop_that_only_systemd_can_enforce_is_told_as_a_stop,
    how_an_agent_ended_is_told_as_what_it_is,
    an_agent_reaches_nothing_of_the_daemon,
    units_of_which_nothing_is_known_are_ended,
);

/// The unit of the only agent.
async fn unit(machine: &Machine) -> String {
    let script = "systemctl list-units --plain --no-legend --state=active 'telexd-agent*@*.service' | awk '{print $1}'";
    let mut name = String::new();
    machine
        .wait_until("an agent runs", async || {
            machine.ok(script).await.lines().count() == 1
        })
        .await;
    name.push_str(machine.ok(script).await.trim());
    name
}

/// Processes of the agent's user.
async fn processes(machine: &Machine) -> String {
    machine
        .sh("pgrep --list-full --euid telexd-agent")
        .await
        .stdout
}

async fn all_gone(machine: &Machine) {
    machine
        .wait_until("nothing of the agent runs", async || {
            processes(machine).await.is_empty()
        })
        .await;
}

/// Nothing failed is left behind.
pub async fn nothing_failed(machine: &Machine) {
    let script = "systemctl list-units --plain --no-legend --failed 'telexd-agent*'";
    machine
        .wait_until("no unit of an agent is failed", async || {
            machine.ok(script).await.is_empty()
        })
        .await;
}

/// Waits until the newest message of the chat says this.
pub async fn told(server: &Server<Machine>, words: &str) {
    server
        .wait_chat(USER, words, |m| {
            m.last().is_some_and(|m| m.text.contains(words))
        })
        .await;
}

async fn an_agent_is_a_unit_of_its_own_user(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.says("say hello", "hello").await;
    let unit = unit(machine).await;
    assert_eq!(machine.property(&unit, "User").await, "telexd-agent");
    assert_eq!(
        machine.property(&unit, "Slice").await,
        "telexd-agents.slice"
    );
    let control = machine.property(&unit, "ControlGroup").await;
    let users = machine
        .ok(&format!(
            "for p in $(cat /sys/fs/cgroup{control}/cgroup.procs); do stat -c %U /proc/$p; done | sort | uniq -c"
        ))
        .await;
    assert_eq!(
        users.split_whitespace().collect::<Vec<_>>(),
        ["2", "telexd-agent"],
        "supervisor and agent"
    );
    let said = machine.messages("-u telexd.service").await;
    assert!(said.contains("agents are started by systemd"), "{said}");
    let run = unit.split(['@', '.']).nth(1).unwrap();
    let modes = machine
        .ok(&format!(
            "stat -c '%U %a' /var/lib/telexd/runs /var/lib/telexd/runs/{run} /var/lib/telexd/runs/{run}/output.jsonl \
             /run/telexd/handoff.sock"
        ))
        .await;
    assert_eq!(modes, "telexd 700\ntelexd 700\ntelexd 600\ntelexd 666");
    server.send("/clear");
    all_gone(machine).await;
    nothing_failed(machine).await;
}

async fn an_answer_outlives_the_daemon_and_comes_whole_and_once(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.send("slow 50 x200");
    told(&server, "piece 00005").await;
    let unit = unit(machine).await;
    let pid = machine.property(&unit, "MainPID").await;
    machine
        .ok("systemctl kill --kill-who=main --signal=KILL telexd")
        .await;
    machine
        .wait_until("it runs again", async || {
            machine.property("telexd", "NRestarts").await == "1"
                && machine.property("telexd", "ActiveState").await == "active"
        })
        .await;
    machine.ok("systemctl restart telexd").await;
    machine.ok("systemctl stop telexd").await;
    assert_eq!(machine.property(&unit, "MainPID").await, pid);
    server.start().await;
    let shown = server
        .wait_chat(USER, "the whole answer", |m| {
            m.iter().any(|m| m.text.contains("piece 00200"))
        })
        .await;
    let whole: String = texts(&shown).join("\n");
    for number in 1..=200 {
        let piece = format!("piece {number:05}");
        assert_eq!(whole.matches(&piece).count(), 1, "{piece}: {whole}");
    }
    assert_eq!(machine.property(&unit, "MainPID").await, pid);
    server.says("say and on", "and on").await;
    assert_eq!(server.evidence().await.violations(), 0);
}

async fn a_stop_of_the_daemon_leaves_agents_and_a_stop_of_their_slice_ends_them(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.send("slow 50 x60");
    told(&server, "piece 00003").await;
    let unit = unit(machine).await;
    machine.ok("systemctl stop telexd").await;
    assert_eq!(machine.property(&unit, "ActiveState").await, "active");
    let run = unit.split(['@', '.']).nth(1).unwrap();
    machine
        .wait_until("it finishes alone", async || {
            let script = format!(
                "grep -c '\"type\":\"result\"' /var/lib/telexd/runs/{run}/output.jsonl; true"
            );
            machine.ok(&script).await != "0"
        })
        .await;
    server.start().await;
    server
        .wait_chat(USER, "the rest", |m| {
            m.iter().any(|m| m.text.contains("piece 00060"))
        })
        .await;
    hang(&server).await;
    machine.ok("systemctl stop telexd-agents.slice").await;
    told(&server, "stopped by an administrator").await;
    all_gone(machine).await;
    nothing_failed(machine).await;
    server.says("say back", "back").await;
}

async fn nothing_of_an_agent_outlives_its_stop(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.send("spawn 1000");
    machine
        .wait_until("it has left a process behind", async || {
            !server.evidence().await.strays().is_empty()
        })
        .await;
    let name = unit(machine).await;
    assert!(processes(machine).await.lines().count() > 2);
    server.send("/clear");
    all_gone(machine).await;
    // Nor where the supervisor cannot do anything any more.
    let second = hang(&server).await;
    assert_ne!(name, second);
    machine
        .ok(&format!(
            "systemctl kill --kill-who=main --signal=STOP {second}"
        ))
        .await;
    server.send("/interrupt");
    all_gone(machine).await;
    server
        .wait_chat(USER, "Interrupted", |m| {
            m.iter().any(|m| m.text.ends_with("Interrupted"))
        })
        .await;
    nothing_failed(machine).await;
}

/// Sends a prompt that is never answered to its end; the unit of its agent.
async fn hang(server: &Server<Machine>) -> String {
    server.send("hang");
    told(server, "words of an answer that never ends").await;
    unit(&server.machine).await
}

async fn a_stubborn_agent_is_ended_and_recorded_before_systemd_has_to(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    // Deaf to SIGTERM, and so is what it leaves behind in a session of its own.
    let stubborn = format!(
        "#!/bin/sh\n\
         [ \"$1\" = --version ] && exec {AGENT} --version\n\
         trap '' TERM\n\
         setsid sh -c 'sh -c \"while :; do sleep 1; done\" & exit 0' </dev/null >/dev/null 2>&1\n\
         {AGENT} \"$@\"\n"
    );
    machine
        .put_file(
            "/usr/local/bin/stubborn",
            stubborn.as_bytes(),
            0o755,
            "root:root",
        )
        .await;
    server
        .config("60-stubborn", "[agent]\ncommand = \"stubborn\"\n")
        .await;
    server.start().await;
    for number in 1..=2 {
        let unit = hang(&server).await;
        assert!(processes(machine).await.lines().count() > 3);
        let stop = match number {
            1 => format!("systemctl stop {unit}"),
            _ => "systemctl stop telexd-agents.slice".to_owned(),
        };
        machine.ok(&stop).await;
        // At once: systemctl has waited for it.
        assert_eq!(processes(machine).await, "");
        told(&server, "stopped by an administrator").await;
        let said = machine.messages(&format!("-u {unit}")).await;
        assert!(
            said.contains("Deactivated successfully") && !said.contains("timed out"),
            "{said}"
        );
        server.send("/clear");
        told(&server, "new conversation").await;
    }
    nothing_failed(machine).await;
}

async fn a_stop_that_only_systemd_can_enforce_is_told_as_a_stop(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    // The supervisor is not the main process and hears of no stop; the main process does not care.
    server
        .drop_in(
            "telexd-agent@.service",
            "deaf",
            "[Service]\nExecStart=\nExecStart=/bin/sh -c 'trap \"\" TERM; /usr/libexec/telexd/telexd-run %i \
             /run/telexd/handoff.sock; true'\n",
        )
        .await;
    server.start().await;
    let unit = hang(&server).await;
    machine.ok(&format!("systemctl stop {unit}")).await;
    assert_eq!(processes(machine).await, "");
    told(&server, "stopped by an administrator").await;
    let said = machine.messages(&format!("-u {unit}")).await;
    assert!(said.contains("timed out. Killing"), "{said}");
    nothing_failed(machine).await;
    server.says("say back", "back").await;
}

async fn how_an_agent_ended_is_told_as_what_it_is(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.send("die SEGV");
    told(&server, "The agent crashed (signal SEGV)").await;
    server
        .drop_in(
            "telexd-agent@.service",
            "limit",
            "[Service]\nRuntimeMaxSec=3\n",
        )
        .await;
    server.send("slow 100 x500");
    told(&server, "The agent ran for more than 3 s and was ended.").await;
    nothing_failed(machine).await;
    assert_eq!(machine.property("telexd", "NRestarts").await, "0");
}

async fn an_agent_reaches_nothing_of_the_daemon(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    server.says("say hello", "hello").await;
    let name = unit(machine).await;
    let pid = machine.property(&name, "MainPID").await;
    let control = machine.property(&name, "ControlGroup").await;
    let inside = async |command: &str| {
        machine
            .sh(&format!(
                "echo $$ >/sys/fs/cgroup{control}/cgroup.procs && exec nsenter --target={pid} --mount -- setpriv \
                 --reuid=telexd-agent --regid=telexd-agent --clear-groups --no-new-privs --inh-caps=-all -- /bin/sh -c \
                 '{command}'"
            ))
            .await
    };
    let allowed = inside(&format!(
        "echo x >{PROJECT}/by-agent && cat {PROJECT}/by-agent"
    ))
    .await;
    assert_eq!(allowed.stdout.trim(), "x", "{allowed}");
    for command in [
        "cat /etc/telexd/token",
        "cat /etc/telexd/agent.env",
        "ls /etc/telexd",
        "ls /var/lib/telexd",
        "cat /var/lib/telexd/telexd.db",
        "ls /run/credentials/telexd.service",
        "cat /run/credentials/telexd.service/telegram-token",
        "systemctl start telexd-agent@aaaaaaaaaaaaaaaa.service",
        "systemctl stop telexd.service",
        "systemd-run true",
        "rm /run/telexd/handoff.sock",
    ] {
        let output = inside(command).await;
        assert_ne!(output.code, 0, "{command}: {output}");
    }
    // The run of somebody else, prepared and not yet taken: its unit is held before it can ask.
    server
        .drop_in(
            "telexd-agent@.service",
            "slow",
            "[Service]\nExecStart=\nExecStart=/bin/sh -c 'sleep 8; exec /usr/libexec/telexd/telexd-run %i \
             /run/telexd/handoff.sock'\n",
        )
        .await;
    server.send_as(ADMIN, "say mine");
    let mut other = String::new();
    machine
        .wait_until("a second run is prepared", async || {
            let listed = machine.ok("ls /var/lib/telexd/runs").await;
            other = listed
                .lines()
                .find(|run| !name.contains(run))
                .unwrap_or_default()
                .to_owned();
            !other.is_empty()
        })
        .await;
    let output = inside(&format!(
        "/usr/libexec/telexd/telexd-run {other} /run/telexd/handoff.sock"
    ))
    .await;
    assert!(output.stderr.contains("not allowed"), "{output}");
    server.wait_chat(ADMIN, "mine", |m| shows(m, "mine")).await;
}

async fn units_of_which_nothing_is_known_are_ended(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    let stranger = "telexd-agent-open@aaaaaaaaaaaaaaaa.service";
    server
        .drop_in(
            "telexd-agent-open@.service",
            "sleeps",
            "[Service]\nExecStart=\nExecStart=/bin/sleep 1000\n",
        )
        .await;
    machine.ok(&format!("systemctl start {stranger}")).await;
    server.start().await;
    machine
        .wait_until("it is ended", async || {
            machine.property(stranger, "ActiveState").await == "inactive"
        })
        .await;
    let said = machine.messages("-u telexd.service").await;
    assert!(
        said.contains("an agent of which nothing is known is ended"),
        "{said}"
    );
}
