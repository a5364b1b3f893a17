//! More of a world: what tests of bad input and of a daemon's life have in common.

use std::{fs, os::unix::process::ExitStatusExt as _, path::PathBuf, time::Duration};

use rusqlite::{Connection, OpenFlags};
use telexd_botapi::{Call, Fault, FaultKind, ShownMessage, View};

use crate::support::{DEADLINE, Daemon, MARK, World, shows, wait_until, wait_within};

/// For what waits by design for longer than [`crate::support::DEADLINE`]: a refused token, a second poller.
pub const LONG: Duration = Duration::from_secs(60);

impl World {
    /// Writes a drop-in of the configuration; later names hold over earlier ones.
    pub fn drop_in(&self, name: &str, text: &str) {
        let directory = self.path("telexd.toml.d");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{name}.toml")), text).unwrap();
    }

    /// Starts a daemon that must end by itself: its exit code and what it said.
    pub async fn start_fails(&self) -> (i32, String) {
        let before = self.log().len();
        let mut daemon = self.start();
        let status = daemon.wait().await;
        let said = self.log()[before..].to_owned();
        match status.code() {
            Some(code) => (code, said),
            None => panic!("the daemon ended by signal {:?}:\n{said}", status.signal()),
        }
    }

    /// Starts a daemon and waits until it says that it is ready.
    pub async fn start_ready(&self) -> Daemon {
        let before = self.log().len();
        let daemon = self.start();
        wait_until(
            "the daemon is ready",
            || self.log()[before..].contains(" ready "),
            || self.log(),
        )
        .await;
        daemon
    }

    /// Waits until the daemons' log holds this.
    pub async fn wait_log(&self, text: &str) {
        wait_until(
            &format!("the log says {text:?}"),
            || self.log().contains(text),
            || self.log(),
        )
        .await;
    }

    /// How often the daemons' log holds this.
    pub fn logged(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Has somebody say `say WORD` in the private chat and waits for the answer.
    pub async fn says(&self, person: i64, word: &str) {
        self.api
            .user(person, "Person")
            .send_text(person, &format!("say {word}"));
        self.wait_shows(person, word).await;
    }

    /// Waits until a message of the bot shows exactly that.
    pub async fn wait_shows(&self, chat: i64, text: &str) -> Vec<ShownMessage> {
        self.wait_chat(chat, text, |m| shows(m, text)).await
    }

    /// Waits until a message of the bot contains that.
    pub async fn wait_told(&self, chat: i64, part: &str) -> Vec<ShownMessage> {
        self.wait_chat(chat, part, |m| m.iter().any(|m| m.text.contains(part)))
            .await
    }

    /// What Telegram shows to whoever pressed a button.
    pub async fn press_answer(&self, callback: &str) -> Option<String> {
        let read = |v: &View| v.callback_answers().into_iter().find(|a| a.id == callback);
        self.api.wait_for_some(DEADLINE, read).await.unwrap().text
    }

    /// Waits until no process of this world is left but the daemon.
    pub async fn wait_alone(&self, daemon: &Daemon) {
        let alone = || self.processes().iter().all(|(pid, _)| *pid == daemon.pid());
        let left = || format!("{:#?}", self.processes());
        wait_until("nothing runs but the daemon", alone, left).await;
    }

    /// Waits until nothing is on its way to Telegram: what is when the daemon is killed would be sent again, with a mark.
    pub async fn wait_sent(&self) {
        let unsent = "SELECT count(*) FROM outbox WHERE done_at IS NULL";
        let none = || self.query(unsent) == Some(0);
        let log = || self.log();
        wait_within(self.patience, "nothing is left to be sent", none, log).await;
    }

    /// How often a prompt with exactly this text reached an agent.
    pub fn reached(&self, text: &str) -> u32 {
        self.evidence()
            .reached()
            .iter()
            .filter(|r| r.text == text)
            .map(|r| r.times)
            .sum()
    }

    /// Reads one number from the database, which may be in use; `None` where there is no such table yet.
    pub fn query(&self, sql: &str) -> Option<i64> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let path = self.path("state/telexd.db");
        let connection = Connection::open_with_flags(path, flags).ok()?;
        connection.query_row(sql, [], |row| row.get(0)).ok()
    }

    /// Changes the database of a daemon that does not run.
    pub fn change(&self, sql: &str) {
        let connection = Connection::open(self.path("state/telexd.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// Directories of runs that are there.
    pub fn run_directories(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("state/runs")) else {
            return Vec::new();
        };
        entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.is_dir())
            .collect()
    }

    /// Calls that brought something to a chat.
    pub fn writes(&self, chat: i64) -> Vec<Call> {
        let of_chat = |call: &Call| {
            matches!(&*call.method, "sendMessage" | "editMessageText")
                && call.params["chat_id"].as_i64() == Some(chat)
        };
        self.api.calls().into_iter().filter(of_chat).collect()
    }
}

/// Begins what people are told of rules by which something was denied.
pub const DENIED: &str = "✗ The rules of this server do not let the agent do that:";
/// What a message shows that is given to an agent while it works.
pub const GIVEN: &str = "The agent gets this now, while it works.";
/// What it shows when the agent has taken it in.
pub const TAKEN: &str = "The agent has taken this into the answer that it was working on.";

/// A prompt that has the scripted agent, or the scripted model, do these steps, one after the other.
pub fn script(steps: &serde_json::Value) -> String {
    format!("@fake {steps}")
}

/// What stands on the buttons of a message, in order.
pub fn labels(message: &ShownMessage) -> Vec<&str> {
    let all = message.buttons.iter().flatten();
    all.map(|button| button.text.as_str()).collect()
}

/// A fault that hits every method.
pub fn everything(kind: FaultKind) -> Fault {
    Fault::always("", kind).any_method()
}

/// As [`wait_until`], for what takes longer by design.
pub async fn wait_long(
    what: &str,
    condition: impl FnMut() -> bool,
    otherwise: impl Fn() -> String,
) {
    wait_within(LONG, what, condition, otherwise).await;
}

/// Whether something was told once; or once more, with the mark of what was on its way when the daemon was killed, or with that
/// mark alone, because it had not arrived.
pub fn told_once(messages: &[ShownMessage], is_it: impl Fn(&str) -> bool) -> bool {
    let told = messages.iter().filter(|m| !m.deleted);
    let (mut plain, mut marked) = (0, 0);
    for message in told {
        match message.text.strip_prefix(MARK) {
            Some(text) if is_it(text.trim_start()) => marked += 1,
            None if is_it(&message.text) => plain += 1,
            _ => {}
        }
    }
    plain <= 1 && marked <= 1 && plain + marked >= 1
}
