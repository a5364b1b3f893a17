//! A machine with telexd as its package installs it, a loopback Bot API, an agent, and people who write to it.

#![allow(dead_code, reason = "tools, of which not all are in use at all times")]

use std::{fmt::Write as _, path::Path};

use telexd_botapi::{BotApi, Config, ShownMessage};
use telexd_messages_api::real_claude;
use telexd_scripted_agent::history::Evidence;

use crate::{
    host::{Host, PATIENCE, Release},
    machine::{Layer, Machine},
    shared::{ADMIN, FAST, USER, shows, wait_chat},
};

/// Where the machine sees the agent's program.
pub const AGENT: &str = "/opt/agents/agent";
/// Where the machine sees telexd with failpoints.
pub const FAILPOINTS: &str = "/opt/failpoints/telexd";
/// Where the agent works.
pub const PROJECT: &str = "/srv/project";

/// A server; dropping it leaves nothing behind.
pub struct Server<H> {
    pub api: BotApi,
    pub machine: H,
}

/// What the daemon starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `tests/scripted_agent`.
    Scripted,
    /// The Claude Code CLI that `tests/agent/install` installs.
    Real,
}

impl Server<Machine> {
    /// A container with the package installed, a token, a configuration for the scripted agent, and nothing started.
    pub async fn new(release: Release) -> Self {
        Self::with(release, Agent::Scripted, "").await
    }

    /// The same with an agent of choice and further lines of configuration (whole sections that the base does not have).
    pub async fn with(release: Release, agent: Agent, extra: &str) -> Self {
        let program = match agent {
            Agent::Scripted => telexd_scripted_agent::binary(),
            Agent::Real => real_claude(),
        };
        let binds = [
            (&*program, AGENT),
            (Path::new(env!("CARGO_BIN_EXE_telexd")), FAILPOINTS),
            // It looks for its supervisor beside itself.
            (
                Path::new(env!("CARGO_BIN_EXE_telexd-run")),
                "/opt/failpoints/telexd-run",
            ),
        ];
        let machine = Machine::boot_with(release, Layer::Installed, &binds).await;
        let server = Self {
            api: BotApi::start(Config::default()).await.unwrap(),
            machine,
        };
        server.install_token().await;
        server.install_config(extra).await;
        server
    }

    /// Has the unit run the daemon that was built with failpoints. `variables` (`TELEXD_KILL_AT=outbox-claimed:1`) hold for
    /// the first life from now on only, or it might never get beyond that point.
    pub async fn use_failpoints(&self, variables: &[&str]) {
        let variables = variables.join(" ");
        let text = format!(
            "[Service]\nExecStart=\n\
             ExecStart=/bin/sh -c 'mkdir /run/telexd/first 2>/dev/null && export {variables}; exec {FAILPOINTS} run'\n"
        );
        self.drop_in("telexd.service", "failpoints", &text).await;
        self.machine.ok("rm -rf /run/telexd/first").await;
    }
}

impl<H: Host> Server<H> {
    /// Puts the token where the package says that it belongs.
    pub async fn install_token(&self) {
        let token = format!("{}\n", self.api.token());
        self.machine
            .put_file("/etc/telexd/token", token.as_bytes(), 0o600, "root:root")
            .await;
    }

    /// Writes a drop-in of the configuration with what every test needs, and these further sections; without any, such
    /// that tests need not wait.
    pub async fn install_config(&self, extra: &str) {
        let port = self.api.url();
        let port = port.trim_end_matches('/').rsplit(':').next().unwrap();
        let text = format!(
            "[telegram]\napi_url = \"http://{}:{port}\"\n\n[access]\nadmins = [{ADMIN}]\nusers = [{USER}]\n\n\
             [agent]\ncommand = \"{AGENT}\"\ndirectory = \"{PROJECT}\"\n\n{}",
            self.machine.loopback(),
            if extra.is_empty() { FAST } else { extra },
        );
        self.config("50-test", &text).await;
        self.machine
            .ok(&format!("install -d -o telexd-agent {PROJECT}"))
            .await;
    }

    /// Writes a drop-in of the configuration; later names hold over earlier ones.
    pub async fn config(&self, name: &str, text: &str) {
        let path = format!("/etc/telexd/telexd.toml.d/{name}.toml");
        self.machine
            .put_file(&path, text.as_bytes(), 0o644, "root:root")
            .await;
    }

    /// Writes the agent's own variables.
    pub async fn agent_environment(&self, variables: &[(&str, &str)]) {
        let mut text = String::new();
        for (name, value) in variables {
            writeln!(text, "{name}={value}").unwrap();
        }
        self.machine
            .put_file("/etc/telexd/agent.env", text.as_bytes(), 0o600, "root:root")
            .await;
    }

    /// Changes a unit as `systemctl edit` does.
    pub async fn drop_in(&self, unit: &str, name: &str, text: &str) {
        let path = format!("/etc/systemd/system/{unit}.d/{name}.conf");
        self.machine
            .put_file(&path, text.as_bytes(), 0o644, "root:root")
            .await;
        self.machine.ok("systemctl daemon-reload").await;
    }

    /// Starts the daemon, which has to say that it is ready.
    pub async fn start(&self) {
        let output = self.machine.sh("systemctl start telexd").await;
        assert!(output.code == 0, "systemctl start telexd: {output}");
        let state = self.machine.property("telexd", "ActiveState").await;
        assert_eq!(state, "active");
    }

    /// Process id of the daemon in the machine; 0 where there is none.
    pub async fn pid(&self) -> u32 {
        let pid = self.machine.property("telexd", "MainPID").await;
        pid.parse().unwrap()
    }

    /// Writes as somebody, in their private chat.
    pub fn send_as(&self, person: i64, text: &str) {
        let name = match person {
            ADMIN => "Ada",
            USER => "Uma",
            _ => "Gus",
        };
        self.api.user(person, name).send_text(person, text);
    }

    /// Writes as the user.
    pub fn send(&self, text: &str) {
        self.send_as(USER, text);
    }

    /// Waits until the chat satisfies the condition, and fails with what is there if it never does.
    pub async fn wait_chat(
        &self,
        chat: i64,
        what: &str,
        condition: impl Fn(&[ShownMessage]) -> bool,
    ) -> Vec<ShownMessage> {
        wait_chat(&self.api, PATIENCE, chat, what, condition, String::new).await
    }

    /// Writes as somebody and waits until a message of the bot shows exactly this.
    pub async fn says_as(&self, person: i64, text: &str, answer: &str) {
        self.send_as(person, text);
        self.wait_chat(person, answer, |m| shows(m, answer)).await;
    }

    /// Writes as the user and waits until a message of the bot shows exactly this.
    pub async fn says(&self, text: &str, answer: &str) {
        self.says_as(USER, text, answer).await;
    }

    /// What the scripted agents have seen.
    pub async fn evidence(&self) -> Evidence {
        let script = "cat /var/lib/telexd-agent/.telexd-scripted-agent/*.jsonl 2>/dev/null; true";
        let text = self.machine.ok(script).await;
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Evidence { lines }
    }
}
