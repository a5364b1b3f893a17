//! How it stands, over a socket that systemd holds.

use crate::{
    host::{Host as _, Output, Release},
    lifecycle::{put_package, upgrade},
    machine::Machine,
    on_each_release,
    server::Server,
    shared::USER,
};

on_each_release!(
    a_socket_that_is_enabled_comes_and_goes_with_the_daemon,
    a_probe_starts_nothing,
);

/// Asks as a user, in words that every Debian has.
async fn ask_as(machine: &Machine, user: &str, path: &str) -> Output {
    let program = r#"my $s = IO::Socket::UNIX->new("/run/telexd-health.sock") or die "cannot connect: $!\n";
        print $s "GET $ARGV[0] HTTP/1.0\r\n\r\n"; $s->flush; print while <$s>;"#;
    machine
        .sh(&format!(
            "runuser -u {user} -- perl -MIO::Socket::UNIX -e '{program}' {path}"
        ))
        .await
}

/// Asks as root.
pub async fn ask(machine: &Machine, path: &str) -> Output {
    ask_as(machine, "root", path).await
}

async fn wait_ready(machine: &Machine) {
    machine
        .wait_until("it says that it is ready", async || {
            let said = ask(machine, "/readyz").await.stdout;
            said.starts_with("HTTP/1.0 200 ") && said.contains("\"ready\":true")
        })
        .await;
}

/// A server with the socket enabled as telexd(8) says.
async fn watched(release: Release) -> Server<Machine> {
    let server = Server::new(release).await;
    server
        .config("60-poll", "[telegram]\npoll_timeout_s = 1\n")
        .await;
    server.start().await;
    let machine = &server.machine;
    let socket = async |verb: &str| {
        let order = format!("systemctl {verb} telexd-health.socket");
        machine.sh(&order).await.stdout.trim().to_owned()
    };
    assert_eq!(socket("is-enabled").await, "disabled");
    assert_eq!(socket("is-active").await, "inactive");
    machine.ok("systemctl enable telexd-health.socket").await;
    machine.ok("systemctl restart telexd").await;
    wait_ready(machine).await;
    server
}

async fn a_socket_that_is_enabled_comes_and_goes_with_the_daemon(release: Release) {
    let server = watched(release).await;
    let machine = &server.machine;
    let told = machine
        .ok("stat -c '%U %G %a %F' /run/telexd-health.sock")
        .await;
    assert_eq!(told.trim(), "root telexd-admin 660 socket");
    // Neither strangers nor agents.
    for user in ["nobody", "telexd-agent"] {
        let refused = ask_as(machine, user, "/readyz").await;
        assert!(refused.stderr.contains("Permission denied"), "{refused}");
    }
    machine.ok("useradd --groups telexd-admin ada").await;
    let told = ask_as(machine, "ada", "/livez").await;
    assert!(told.stdout.ends_with("\r\n\r\nok\n"), "{told}");

    // What agents take is systemd's to say.
    server.says("say hello", "hello").await;
    let agents = async || {
        let said = ask(machine, "/metrics").await.stdout;
        said.contains("\ntelexd_agents 1.0\n")
            && said.contains("\ntelexd_agents_cpu_seconds_total 0.")
    };
    machine.wait_until("an agent is told of", agents).await;

    for how in [
        "systemctl restart telexd",
        "systemctl kill --signal=KILL telexd",
        "systemctl stop telexd; systemctl start telexd",
        "",
    ] {
        let before = server.pid().await;
        if how.is_empty() {
            put_package(machine).await;
            upgrade(machine).await;
        } else {
            machine.ok(how).await;
        }
        machine
            .wait_until("another one runs", async || {
                ![0, before].contains(&server.pid().await)
            })
            .await;
        wait_ready(machine).await;
        machine.wait_state("telexd-health.socket", "active").await;
    }
    let starts = ask(machine, "/metrics").await.stdout;
    assert!(starts.contains("\ntelexd_crashes_total 1\n"), "{starts}");

    // Without it, after the next restart.
    machine.ok("systemctl disable telexd-health.socket").await;
    machine.ok("systemctl stop telexd").await;
    server.start().await;
    let refused = ask(machine, "/readyz").await;
    assert!(refused.stderr.contains("No such file"), "{refused}");
    server.wait_chat(USER, "it works", |m| !m.is_empty()).await;
}

async fn a_probe_starts_nothing(release: Release) {
    let server = watched(release).await;
    let machine = &server.machine;
    let stays = async |state: &str| {
        for _ in 0..3 {
            let refused = ask(machine, "/readyz").await;
            assert!(refused.stderr.contains("cannot connect"), "{refused}");
        }
        assert_eq!(machine.property("telexd", "ActiveState").await, state);
        assert_eq!(server.pid().await, 0);
    };
    machine.ok("systemctl stop telexd").await;
    stays("inactive").await;

    // Given up for good: only a person can help.
    server.start().await;
    wait_ready(machine).await;
    server
        .config("60-wrong", "[access]\nadmins = [\"Ada\"]\n")
        .await;
    assert_ne!(machine.sh("systemctl restart telexd").await.code, 0);
    machine.wait_state("telexd", "failed").await;
    stays("failed").await;
    machine
        .ok("rm /etc/telexd/telexd.toml.d/60-wrong.toml")
        .await;

    // A purge forgets that it was enabled.
    server.start().await;
    wait_ready(machine).await;
    machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get purge --yes telexd")
        .await;
    let left = machine
        .ok("find /etc/systemd /run/telexd-health.sock -name '*telexd*' 2>/dev/null || true")
        .await;
    assert_eq!(left, "");
}
