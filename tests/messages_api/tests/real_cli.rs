//! The real Claude Code CLI on the stand-in of the service: the behaviour on which the daemon relies.
//!
//! `tests/agent/install` installs the CLI; where it is absent these tests fail.
#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::{Value, json};
use telexd_messages_api::{MessagesApi, real_claude};
use telexd_scripted_agent::host::{DEADLINE, Host, Launch, kind};
use tempfile::{TempDir, tempdir};
use uuid::Uuid;

struct World {
    api: MessagesApi,
    home: TempDir,
    session: String,
}

impl World {
    fn new() -> Self {
        Self {
            api: MessagesApi::start(),
            home: tempdir().unwrap(),
            session: Uuid::new_v4().to_string(),
        }
    }

    fn launch(&self) -> Launch {
        Launch::new(&real_claude(), self.home.path())
            .env("ANTHROPIC_BASE_URL", self.api.url())
            .env("ANTHROPIC_API_KEY", "dummy")
    }

    fn start(&self) -> Host {
        self.launch().arg("--session-id").arg(&self.session).start()
    }

    fn resume(&self) -> Host {
        self.launch().arg(format!("--resume={}", self.session)).start()
    }
}

#[test]
fn explore() {
    let world = World::new();
    let mut host = world.start();
    host.control(&json!({"subtype": "initialize"}));
    for p in std::env::var("P").unwrap().split("||") {
        host.lines.clear();
        host.prompt(p);
        let mut asked = 0;
        loop {
            let line = host.until("x", |l| l["subtype"] == "session_state_changed" && l["state"] == "idle" || l["type"] == "control_request");
            if line["type"] != "control_request" { break; }
            asked += 1;
            if asked % 2 == 1 { host.answer(&line, &json!({"behavior": "allow", "updatedInput": line["request"]["input"]})); }
            else { host.answer(&line, &json!({"behavior": "deny", "message": "no"})); }
        }
        println!("--- {p}");
        for l in &host.lines {
            let mut l = l.clone();
            for k in ["usage","modelUsage","subagent_stats","model_usage_since_last_result","tools","slash_commands","session_id","uuid"] { l.as_object_mut().unwrap().remove(k); }
            println!("{} ## {}", kind(&l), l.to_string().chars().take(400).collect::<String>());
        }
        println!("{:?}", host.complaints());
    }
    for r in world.api.requests() {
        println!("{} {} {:?} key={} sess={:?}", r.method, r.path, r.ask, r.has_key(), r.header("x-claude-code-session-id"));
        println!("BODY {}", r.body["messages"]);
    }
    println!("{:?}", world.api.prompts_seen());
}
