//! The service: starting, stopping, failing, coming back, and a message that is answered.

use telexd_botapi::ShownMessage;
use telexd_messages_api::MessagesApi;

use crate::{
    host::{Host as _, Release},
    on_each_release,
    server::{Agent, Server},
    shared::{ADMIN, USER, shows, texts},
};

on_each_release!(
    starting_says_ready_and_stopping_leaves_no_process,
    enabled_it_comes_up_with_the_machine,
    a_wrong_configuration_is_told_and_not_tried_again,
    without_a_token_it_says_how_to_write_one,
    a_killed_daemon_is_started_again,
    a_message_is_answered,
    the_real_agent_answers,
    a_daemon_that_dies_at_the_worst_moment_answers_once,
    a_restart_that_is_ordered_in_telegram_is_no_failure,
);

/// Names of the units of agents that are there, one per line.
const AGENTS: &str =
    "systemctl list-units --plain --no-legend 'telexd-agent*@*.service' | cut -d' ' -f1";

async fn starting_says_ready_and_stopping_leaves_no_process(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    server.start().await;
    assert_eq!(machine.property("telexd", "SubState").await, "running");
    assert_ne!(machine.property("telexd", "StatusText").await, "");
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

async fn without_a_token_it_says_how_to_write_one(release: Release) {
    let server = Server::new(release).await;
    server.machine.ok("rm /etc/telexd/token").await;
    let output = server.machine.sh("systemctl start telexd").await;
    assert_ne!(output.code, 0, "{output}");
    assert_eq!(server.machine.property("telexd", "NRestarts").await, "0");
    let said = server.machine.messages("-u telexd.service").await;
    assert!(
        said.contains("install -m 0600 /dev/stdin /etc/telexd/token"),
        "{said}"
    );
    server.install_token().await;
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
    let machine = &server.machine;
    server.start().await;
    server.says("say Hello **there**", "Hello there").await;
    let units = machine.ok(AGENTS).await;
    let unit = units.split_whitespace().next().unwrap_or_default();
    assert_eq!(
        machine.property(unit, "ActiveState").await,
        "active",
        "{units}"
    );
    assert_eq!(machine.property(unit, "User").await, "telexd-agent");
    let evidence = server.evidence().await;
    assert_eq!(evidence.of("start").count(), 1);
    assert_eq!(evidence.violations(), 0);
    server.says_as(ADMIN, "say you too", "you too").await;
    let everything = machine
        .ok("journalctl --sync; journalctl --quiet --output=json")
        .await;
    assert!(everything.contains("telexd"), "{everything}");
    assert!(
        !everything.contains(server.api.token()),
        "the token is in the journal"
    );
}

async fn the_real_agent_answers(release: Release) {
    let model = MessagesApi::start();
    let server = Server::with(release, Agent::Real, "").await;
    server
        .agent_environment(&[
            ("ANTHROPIC_BASE_URL", &model.url()),
            ("ANTHROPIC_API_KEY", "dummy"),
        ])
        .await;
    server.start().await;
    server.says("say Hello **there**", "Hello there").await;
    server.says("tools 1", "used 1 tools").await;
}

async fn a_daemon_that_dies_at_the_worst_moment_answers_once(release: Release) {
    let server = Server::new(release).await;
    server
        .use_failpoints(&["TELEXD_KILL_AT=runner-lines-read:1"])
        .await;
    server.start().await;
    server.says("say once", "once").await;
    assert_eq!(server.machine.property("telexd", "NRestarts").await, "1");
    let reached = server.evidence().await.reached();
    assert_eq!(reached.iter().map(|r| r.times).collect::<Vec<_>>(), [1]);
    let shown = server.api.view(|v| v.bot_messages(USER));
    assert_eq!(
        texts(&shown).iter().filter(|text| *text == "once").count(),
        1
    );
}

async fn a_restart_that_is_ordered_in_telegram_is_no_failure(release: Release) {
    let server = Server::new(release).await;
    server.start().await;
    server.send("slow 100 x100");
    server
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    let first = server.pid().await;
    server.send_as(ADMIN, "/restart");
    let asks = |m: &ShownMessage| m.text.starts_with("Restart the bot?") && !m.buttons.is_empty();
    let shown = server
        .wait_chat(ADMIN, "it asks first", |m| m.iter().any(asks))
        .await;
    let asked = shown.iter().find(|m| asks(m)).unwrap();
    let data = asked.buttons[0][0].data.clone().unwrap();
    let ada = server.api.user(ADMIN, "Ada");
    ada.press(ADMIN, asked.message_id, &data).unwrap();
    server
        .wait_chat(ADMIN, "it is back", |m| shows(m, "Restarted: here I am."))
        .await;
    let second = server.pid().await;
    assert!(second != 0 && second != first);
    // The same answer goes on, and systemd has seen no failure.
    server
        .wait_chat(USER, "the whole answer", |m| {
            m.iter().any(|m| m.text.contains("piece 00100"))
        })
        .await;
    assert_eq!(server.machine.property("telexd", "NRestarts").await, "1");
    let journal = server.machine.ok("journalctl --no-pager").await;
    assert!(!journal.contains("Failed with result"), "{journal}");
    let alerted = server
        .machine
        .property(
            "telexd-alert@telexd.service.service",
            "InactiveExitTimestampMonotonic",
        )
        .await;
    assert_eq!(alerted, "0", "nobody was told of a failure");
}
