//! Files that people send: the agent's user gets at them, in each profile, and nobody else.

use telexd_botapi::Outgoing;

use crate::{
    host::{Host as _, Release},
    on_each_release,
    server::{Agent, Server},
    shared::{USER, shows},
};

on_each_release!(an_agent_sees_the_files_of_its_conversation_and_nobody_else_does);

async fn an_agent_sees_the_files_of_its_conversation_and_nobody_else_does(release: Release) {
    let extra = format!("[access]\nprofiles = {{ \"{USER}\" = \"strict\" }}\n");
    for (unit, more) in [
        ("telexd-agent@", ""),
        ("telexd-agent-strict@", extra.as_str()),
    ] {
        let server = Server::with(release, Agent::Scripted, "").await;
        if !more.is_empty() {
            server.config("20-profiles", more).await;
        }
        server.start().await;
        let user = server.api.user(USER, "Uma");
        let words = "the word is xylophone";
        let document = Outgoing::document("../notes.txt", "text/plain", words);
        user.send(USER, document.caption("@fake say got it"));
        server
            .wait_chat(USER, "it is answered", |m| shows(m, "got it"))
            .await;
        let machine = &server.machine;
        let given = server.evidence().await.of("prompt").last().unwrap()["text"].to_string();
        let path = given
            .split("- ")
            .find_map(|part| Some(part.split_once(" (document")?.0.to_owned()))
            .unwrap();
        assert!(path.starts_with("/var/tmp/telexd-inbox/"), "{given}");
        // As the agent, where the agent is.
        let inside = format!(
            "pid=$(systemctl show -P MainPID \"$(systemctl list-units --plain --no-legend '{unit}*' | cut -d' ' -f1)\")\n\
             nsenter -t $pid -m runuser -u telexd-agent --"
        );
        assert_eq!(
            machine.ok(&format!("{inside} cat {path}")).await.trim(),
            words
        );
        let owner = machine
            .ok(&format!("{inside} stat -c '%U %a' {path}"))
            .await;
        assert_eq!(owner.trim(), "telexd-agent 600");
        // The daemon's own is not to be had, there or elsewhere, by the agent's user or anybody's.
        let shut = machine
            .sh(&format!("{inside} ls /var/lib/telexd/files"))
            .await;
        assert_ne!(shut.code, 0, "{shut}");
        for who in ["telexd-agent", "nobody"] {
            let shut = machine
                .sh(&format!(
                    "runuser -u {who} -- ls /var/lib/telexd/files /var/tmp/telexd-inbox"
                ))
                .await;
            assert_ne!(shut.code, 0, "{shut}");
        }
        // A file for an agent that runs; and nothing is left when it has gone.
        user.send(
            USER,
            Outgoing::document("more.txt", "text/plain", "more").caption("@fake say more"),
        );
        server
            .wait_chat(USER, "it is answered", |m| shows(m, "more"))
            .await;
        let all = machine
            .ok(&format!(
                "{inside} sh -c 'cat {}/*'",
                path.rsplit_once('/').unwrap().0
            ))
            .await;
        assert_eq!(all.trim(), format!("{words}more"));
        machine.ok(&format!("systemctl stop '{unit}*'")).await;
        let left = machine.ok("find /var/tmp -name '*.txt' | wc -l").await;
        assert_eq!(left.trim(), "0");
        machine.ok("systemctl is-active telexd").await;
    }
}
