//! What keeps agents from starting, as the person and the administrator are told it.

use crate::{
    agents::{nothing_failed, told},
    host::{Host as _, Release},
    on_each_release,
    server::{PROJECT, Server},
};

on_each_release!(
    what_keeps_agents_from_starting_is_told,
    a_daemon_without_polkit_says_so,
);

async fn what_keeps_agents_from_starting_is_told(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    let fails = async |words: &str, remedy: &str| {
        server.send("say never");
        told(&server, words).await;
        let said = machine.messages("-u telexd.service").await;
        assert!(said.contains(remedy), "{remedy}: {said}");
        nothing_failed(machine).await;
    };
    machine.ok("systemctl mask telexd-agent@.service").await;
    fails(
        "its service is switched off (masked)",
        "systemctl unmask telexd-agent@.service",
    )
    .await;
    machine.ok("systemctl unmask telexd-agent@.service").await;

    let broken = "[Service]\nExecStart=\n";
    server
        .drop_in("telexd-agent@.service", "broken", broken)
        .await;
    fails(
        "the configuration of its service cannot be used",
        "/etc/systemd/system/telexd-agent@.service.d/broken.conf",
    )
    .await;
    machine
        .ok("rm /etc/systemd/system/telexd-agent@.service.d/broken.conf")
        .await;

    let user = "[Service]\nUser=nobody-of-that-name\n";
    server
        .drop_in("telexd-agent@.service", "broken", user)
        .await;
    fails(
        "the user that it is to run as does not exist",
        "the user nobody-of-that-name of telexd-agent@",
    )
    .await;

    let sandbox = "[Service]\nReadWritePaths=/not/there\n";
    server
        .drop_in("telexd-agent@.service", "broken", sandbox)
        .await;
    fails("its sandbox cannot be set up", "ReadWritePaths=").await;

    let keys = "[Service]\nLoadCredential=\nSetCredential=\nLoadCredential=agent-env:/etc/telexd/not-there\n";
    server
        .drop_in("telexd-agent@.service", "broken", keys)
        .await;
    fails("the file with its keys is missing", "/etc/telexd/agent.env").await;

    machine
        .ok("rm /etc/systemd/system/telexd-agent@.service.d/broken.conf && systemctl daemon-reload")
        .await;
    machine
        .put_file(
            "/etc/telexd/agent.env",
            b"A=1\nhunter2\n",
            0o600,
            "root:root",
        )
        .await;
    server.send("say never");
    told(&server, "The agent could not be started.").await;
    let said = machine.messages("-u telexd.service").await;
    assert!(
        said.contains("/etc/telexd/agent.env") && said.contains("line 2"),
        "{said}"
    );
    assert!(!machine.messages("").await.contains("hunter2"));
    machine
        .put_file("/etc/telexd/agent.env", b"A=1\n", 0o600, "root:root")
        .await;

    machine
        .ok(&format!("chown root {PROJECT} && chmod 700 {PROJECT}"))
        .await;
    server.send("say never");
    told(
        &server,
        "The directory in which the agent works cannot be entered.",
    )
    .await;
    let said = machine.messages("-u telexd.service").await;
    assert!(said.contains(&format!("cannot enter {PROJECT}")), "{said}");
    machine.ok(&format!("chown telexd-agent {PROJECT}")).await;
    server.says("say mended", "mended").await;
}

async fn a_daemon_without_polkit_says_so(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    // The rule is away: whoever is there refuses.
    machine
        .ok("mv /usr/share/polkit-1/rules.d/50-telexd.rules /root/ && systemctl restart polkit")
        .await;
    server.send("say never");
    told(&server, "I am not allowed to start it").await;
    let said = machine.messages("-u telexd.service").await;
    assert!(
        said.contains("/usr/share/polkit-1/rules.d/50-telexd.rules is missing"),
        "{said}"
    );
    // Nobody is there.
    machine
        .ok("mv /root/50-telexd.rules /usr/share/polkit-1/rules.d/ && systemctl stop polkit && mv \
             /usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service /root/ && systemctl reload dbus")
        .await;
    server.send("say never");
    machine
        .wait_until("it says so", async || {
            let said = machine.messages("-u telexd.service").await;
            said.contains("polkit is not there") && said.contains("polkitd")
        })
        .await;
    machine
        .ok("mv /root/org.freedesktop.PolicyKit1.service /usr/share/dbus-1/system-services/ && systemctl reload dbus")
        .await;
    server.says("say allowed", "allowed").await;
}
