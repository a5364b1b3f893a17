//! The whole daemon with the real agent, the Claude Code CLI, on a loopback stand-in of the model's service.
//!
//! `tests/agent/install` installs the CLI; where it is absent these tests fail. Deadlines are generous: a CLI needs a
//! second to start on an idle machine, and many on a busy one.
//!
//! | file | what |
//! |---|---|
//! | `answers.rs` | streaming, formatting, long answers, interrupts, status |
//! | `approvals.rs` | what the agent asks, and what it makes of the answers |
//! | `tools.rs` | tools, and questions that are answered by buttons |
//! | `faults.rs` | faults of the model's service, an agent that is missing or too old |
//! | `files.rs` | files that people send |
//! | `mode.rs` | permission modes |
//! | `queue.rs` | messages that come while it works |
//! | `resume.rs` | kills, restarts, idle ends, `/clear` |
//! | `thinking.rs` | what it thinks |
//! | `rules.rs` | rules of the configuration |
//! | `launch.rs` | what the agent is started with, and what nobody may see |

mod answers;
mod approvals;
mod faults;
mod files;
mod launch;
mod mode;
mod queue;
mod resume;
mod rules;
mod thinking;
mod tools;

use std::{fs, path::PathBuf, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd_botapi::{Config, ShownMessage};
use telexd_messages_api::{Ask, MessagesApi, real_claude, script::Step};

use crate::support::{Daemon, FAST, USER, World, wait_within};

/// No wait of these tests is longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Configuration under which an agent that has nothing to do goes at once, so that tests see that nothing is left.
const SHORT: &str = "idle_timeout_s = 1\n";
/// Configuration under which the agent stays for as long as the test.
const WARM: &str = "idle_timeout_s = 600\n";

/// A world with the real agent.
struct Real {
    world: World,
    model: MessagesApi,
}

impl Real {
    /// A world whose section on agents has these further lines.
    async fn new(agent: &str) -> Self {
        let mut world = World::with(Config::default(), FAST).await;
        world.patience = PATIENCE;
        let model = MessagesApi::start();
        world.agent_environment(&[
            ("ANTHROPIC_BASE_URL", &model.url()),
            ("ANTHROPIC_API_KEY", "dummy"),
            // Sockets and logs of the agent's own, which a killed one leaves behind, go with the world.
            ("CLAUDE_CODE_TMPDIR", world.path("tmp").to_str().unwrap()),
            ("XDG_RUNTIME_DIR", world.path("tmp").to_str().unwrap()),
        ]);
        fs::create_dir(world.path("tmp")).unwrap();
        world.write_config(&real_claude(), agent);
        Self { world, model }
    }

    /// Writes as the user, in their private chat.
    fn send(&self, text: &str) {
        self.world.api.user(USER, "Uma").send_text(USER, text);
    }

    /// Waits until the user's chat satisfies the condition.
    async fn chat(
        &self,
        what: &str,
        condition: impl Fn(&[ShownMessage]) -> bool,
    ) -> Vec<ShownMessage> {
        self.world.wait_chat(USER, what, condition).await
    }

    /// Writes, and waits for a message that then shows exactly this.
    async fn expect(&self, text: &str, answer: &str) -> ShownMessage {
        let before = self.newest();
        self.send(text);
        self.message(answer, |m| {
            m.message_id > before && m.buttons.is_empty() && m.text == answer
        })
        .await
    }

    /// Writes, and waits for a message that then shows exactly this, with whatever buttons.
    async fn expect_told(&self, text: &str, answer: &str) -> ShownMessage {
        let before = self.newest();
        self.send(text);
        self.message(answer, |m| m.message_id > before && m.text == answer)
            .await
    }

    /// Waits for a message in the user's chat.
    async fn message(&self, what: &str, is_it: impl Fn(&ShownMessage) -> bool) -> ShownMessage {
        let shown = self.chat(what, |m| m.iter().any(&is_it)).await;
        shown.into_iter().rfind(is_it).unwrap()
    }

    /// Id of the newest message of the bot in the user's chat.
    fn newest(&self) -> i64 {
        let shown = self.world.api.view(|v| v.bot_messages(USER));
        shown.last().map_or(0, |m| m.message_id)
    }

    /// Presses the button with this label.
    fn press(&self, message: &ShownMessage, label: &str) {
        self.world
            .api
            .user(USER, "Uma")
            .press_labelled(USER, message.message_id, label)
            .unwrap();
    }

    /// What the model was asked so far.
    fn asks(&self) -> Vec<Ask> {
        let requests = self.model.requests();
        requests.into_iter().filter_map(|r| r.ask).collect()
    }

    /// Decides what the model answers to a prompt; `nth` counts the requests for it, from 0.
    fn on(&self, prompt: &'static str, answer: impl Fn(usize) -> Step + Send + 'static) {
        let count = std::cell::Cell::new(0);
        self.model
            .on(move |ask| (ask.prompt == prompt).then(|| answer(count.replace(count.get() + 1))));
    }

    /// Processes of the agent itself.
    fn agents(&self) -> Vec<i32> {
        self.pids(" --input-format stream-json ")
    }

    fn pids(&self, part: &str) -> Vec<i32> {
        let all = self.world.processes().into_iter();
        all.filter(|(_, cmdline)| cmdline.contains(part))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// What the agent keeps of its sessions on disk.
    fn transcripts(&self) -> String {
        let folder = self.world.path("home/.claude/projects");
        files_below(folder)
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok())
            .collect()
    }

    /// Waits until the agent has this in its transcripts: they lag by about a tenth of a second.
    async fn kept(&self, part: &str) {
        self.until("the agent has written it down", || {
            self.transcripts().contains(part)
        })
        .await;
    }

    /// Waits for a condition that nothing announces.
    async fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        wait_within(PATIENCE, what, condition, || {
            format!("{:#?}\n{}", self.world.processes(), self.world.log())
        })
        .await;
    }

    /// What a loss of power does: the daemon, then the supervisors, then all that they had started.
    async fn lose_power(&self, daemon: Daemon) {
        daemon.kill();
        for pid in self.pids("telexd-run ") {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        self.until("everything is dead", || {
            let left = self.world.processes();
            for (pid, _) in &left {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            left.is_empty()
        })
        .await;
    }

    /// Waits until no agent is left and ends the daemon: then nothing of it is left.
    async fn end(self, daemon: Daemon) {
        self.only(&daemon).await;
        assert!(daemon.stop().await.as_secs() < 5);
        assert_eq!(self.world.processes(), []);
    }

    /// Waits until the daemon is the only process.
    async fn only(&self, daemon: &Daemon) {
        let pid = daemon.pid();
        self.until("agents that have nothing to do are gone", || {
            self.world.processes().iter().all(|(p, _)| *p == pid)
        })
        .await;
    }
}

/// Regular files below a folder, none where it is absent.
fn files_below(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found
}

/// Whether the message once showed this.
fn once_showed(message: &ShownMessage, part: &str) -> bool {
    message.history.iter().any(|v| v.text.contains(part))
}

/// How many of the words of the directive `slow` a text has.
fn pieces(text: &str) -> usize {
    text.matches("piece ").count()
}
