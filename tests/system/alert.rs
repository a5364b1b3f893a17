//! The administrators are told that the service failed, once, whatever systemd makes of it.

use crate::{
    host::{Host as _, Release},
    on_each_release,
    server::Server,
    shared::ADMIN,
};

on_each_release!(
    five_crashes_are_told_once,
    five_crashes_are_told_once_where_systemd_reports_each,
    a_wrong_configuration_is_told,
    a_program_that_cannot_be_started_is_told,
);

/// A second administrator.
const OTHER: i64 = 1003;

/// A server with two administrators whom the bot may write to.
async fn server(release: Release) -> Server<crate::machine::Machine> {
    let server = Server::new(release).await;
    for id in [ADMIN, OTHER] {
        server.api.user(id, "Ada").send_text(id, "/start");
    }
    server
        .config(
            "70-admins",
            &format!("[access]\nadmins = [{ADMIN}, {OTHER}]\n"),
        )
        .await;
    server
}

fn alerts(server: &Server<crate::machine::Machine>, id: i64) -> Vec<String> {
    let texts = server.api.view(|view| view.bot_texts(id));
    let ours =
        |text: &String| text.starts_with("⚠️ telexd.service") && text.contains("Its last words:");
    texts.into_iter().filter(ours).collect()
}

/// Waits until the failure was told, and until whatever tells it is at rest; what each administrator read.
async fn told(server: &Server<crate::machine::Machine>) -> String {
    let machine = &server.machine;
    machine.wait_state("telexd.service", "failed").await;
    machine
        .wait_until("both are told", async || {
            [ADMIN, OTHER]
                .iter()
                .all(|id| !alerts(server, *id).is_empty())
        })
        .await;
    machine
        .wait_until("the alert is over", async || {
            let state = machine
                .property("telexd-alert@telexd.service.service", "ActiveState")
                .await;
            state == "inactive" || state == "failed"
        })
        .await;
    let both = [alerts(server, ADMIN), alerts(server, OTHER)];
    assert_eq!(both[0].len(), 1, "{both:#?}\n{}", machine.tail().await);
    assert_eq!(both[0], both[1]);
    let text = both[0][0].clone();
    assert!(
        text.contains("It is not started again by itself."),
        "{text}"
    );
    assert!(text.contains("systemctl status telexd.service"), "{text}");
    let secret = server.api.token().split_once(':').unwrap().1;
    assert!(!text.contains(secret), "{text}");
    text
}

/// Kills the daemon as often as it comes back.
async fn crash(server: &Server<crate::machine::Machine>) {
    server.start().await;
    let script = "until [[ $(systemctl is-active telexd) == failed ]]; do \
                  [[ $(systemctl show --value -p SubState telexd) == running ]] && \
                  systemctl kill --kill-who=main --signal=KILL telexd; sleep 0.1; done";
    server.machine.ok(script).await;
}

async fn five_crashes_are_told_once(release: Release) {
    let server = server(release).await;
    crash(&server).await;
    let text = told(&server).await;
    let starts = server
        .machine
        .messages("-u telexd.service")
        .await
        .matches("Main process exited, code=killed, status=9/KILL")
        .count();
    assert_eq!(starts, 5);
    assert!(
        text.contains("KILL") || text.contains("too often"),
        "{text}"
    );
}

/// systemd 257 without `RestartMode=direct`, as an administrator may have it; to 252 it makes no difference.
async fn five_crashes_are_told_once_where_systemd_reports_each(release: Release) {
    let server = server(release).await;
    server
        .drop_in("telexd.service", "mode", "[Service]\nRestartMode=normal\n")
        .await;
    crash(&server).await;
    told(&server).await;
}

async fn a_wrong_configuration_is_told(release: Release) {
    let server = server(release).await;
    server
        .config("60-wrong", "[messages]\nstale_after_s = 0\n")
        .await;
    assert_ne!(server.machine.sh("systemctl start telexd").await.code, 0);
    let text = told(&server).await;
    assert!(
        text.contains("could not use its configuration (exit code 78)"),
        "{text}"
    );
    assert!(text.contains("60-wrong.toml:2"), "{text}");
}

async fn a_program_that_cannot_be_started_is_told(release: Release) {
    let server = server(release).await;
    server
        .drop_in(
            "telexd.service",
            "gone",
            "[Service]\nExecStart=\nExecStart=/usr/bin/telexd-gone\n",
        )
        .await;
    server.machine.sh("systemctl start telexd").await;
    let text = told(&server).await;
    assert!(text.contains("exit code 203"), "{text}");
}
