//! The service: starting, stopping, failing, coming back, and a message that is answered.

use serde_json::Value;

use crate::{
    host::{Host as _, Release},
    on_each_release,
    server::Server,
    shared::{ADMIN, USER, shows},
};

on_each_release!(
    starting_says_ready_and_stopping_leaves_no_process,
    enabled_it_comes_up_with_the_machine,
    a_wrong_configuration_is_told_and_not_tried_again,
    a_killed_daemon_is_started_again,
    a_message_is_answered,
);

async fn starting_says_ready_and_stopping_leaves_no_process(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    assert_eq!(machine.property("telexd", "SubState").await, "running");
    let first = server.pid().await;
    assert_eq!(
        machine.ok(&format!("stat -c %U /proc/{first}")).await,
        "telexd"
    );
    machine.ok("systemctl restart telexd").await;
    let second = server.pid().await;
    assert!(
        first != 0 && second != 0 && first != second,
        "{first}, {second}"
    );
    machine.ok("systemctl stop telexd").await;
    assert_eq!(machine.property("telexd", "Result").await, "success");
    assert_eq!(machine.property("telexd", "ExecMainStatus").await, "0");
    assert_eq!(machine.sh("pgrep --list-full telexd").await.stdout, "");
    assert_eq!(machine.state().await, "running");
}

async fn enabled_it_comes_up_with_the_machine(release: Release) {
    let mut server = Server::new(release).await;
    server.machine.ok("systemctl enable telexd").await;
    server.machine.reboot().await;
    server.machine.wait_state("telexd", "active").await;
    server.send("/status");
    server
        .wait_chat(USER, "the status is told", |m| {
            m.iter().any(|m| m.text.starts_with("Ready."))
        })
        .await;
}

async fn a_wrong_configuration_is_told_and_not_tried_again(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server
        .config("60-wrong", "[access]\nadmins = [\"Ada\"]\n")
        .await;
    let output = machine.sh("systemctl start telexd").await;
    assert_ne!(output.code, 0, "{output}");
    let of = async |name: &str| machine.property("telexd", name).await;
    assert_eq!(of("ActiveState").await, "failed");
    assert_eq!(of("ExecMainStatus").await, "78");
    assert_eq!(of("NRestarts").await, "0");
    let said = machine.messages("-u telexd.service").await;
    assert!(
        said.contains("/etc/telexd/telexd.toml.d/60-wrong.toml"),
        "{said}"
    );
    machine
        .ok("rm /etc/telexd/telexd.toml.d/60-wrong.toml")
        .await;
    server.start().await;
}

async fn a_killed_daemon_is_started_again(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    let first = server.pid().await;
    machine
        .ok("systemctl kill --kill-who=main --signal=KILL telexd")
        .await;
    machine
        .wait_until("it runs again", async || {
            let now = server.pid().await;
            now != 0 && now != first && machine.property("telexd", "ActiveState").await == "active"
        })
        .await;
    assert_eq!(machine.property("telexd", "NRestarts").await, "1");
}

async fn a_message_is_answered(release: Release) {
    let server = Server::new(release).await;
    server.start().await;
    server.says("say Hello **there**", "Hello there").await;
    let entries = server.machine.journal("-u telexd.service -o json").await;
    let text = |entry: &Value| entry["MESSAGE"].to_string();
    assert!(!entries.is_empty());
    for entry in &entries {
        assert!(!text(entry).contains(server.api.token()), "{entry}");
    }
    server
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, "say you too");
    server
        .wait_chat(ADMIN, "you too", |m| shows(m, "you too"))
        .await;
}
