//! A host of one agent process, for tests: of this stand-in, or of the real program.
//!
//! What it starts it ends: a [`Host`] that is dropped leaves no process behind that has its home in the environment.
#![allow(clippy::expect_used, clippy::panic, reason = "for tests")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// No test waits longer for anything.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Options with which a daemon starts an agent.
pub const ARGS: &[&str] = &[
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--include-partial-messages",
    "--permission-prompt-tool",
    "stdio",
    "--setting-sources",
    "",
    "--strict-mcp-config",
    "--disallowedTools",
    "ListAgents,SendMessage,CronCreate,CronDelete,CronList,ScheduleWakeup,EnterWorktree,ExitWorktree,Workflow,Monitor",
];

/// Environment with which a daemon starts an agent, but for `HOME`, `PATH` and what names the model's service.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
    ("SHELL", "/bin/bash"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
    ("CLAUDE_CODE_STARTUP_FAILURE_RESULTS", "1"),
    ("CLAUDE_CODE_MAX_RETRIES", "3"),
];

/// How to start an agent.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    home: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    file: Option<PathBuf>,
}

impl Launch {
    /// A program with its home directory, which is its working directory too.
    #[must_use]
    pub fn new(program: &Path, home: &Path) -> Self {
        Self {
            program: program.to_owned(),
            home: home.to_owned(),
            args: ARGS.iter().map(|s| (*s).to_owned()).collect(),
            env: ENVIRONMENT
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            file: None,
        }
    }

    /// With a further argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// With standard output in a regular file that is appended to, as the daemon does it, instead of a pipe.
    #[must_use]
    pub fn output(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// Where that fails.
    #[must_use]
    pub fn start(&self) -> Host {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(file) = &self.file {
            let file = File::options()
                .create(true)
                .append(true)
                .open(file)
                .expect("the output file");
            command.stdout(file);
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        let (tx, rx) = channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if tx
                        .send(serde_json::from_str(&line).unwrap_or(Value::String(line)))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
        let (complaint, complaints) = channel();
        let err = child.stderr.take().expect("a pipe");
        thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let _ = complaint.send(line);
            }
        });
        Host {
            stdin: child.stdin.take(),
            child,
            home: self.home.clone(),
            rx,
            complaints,
            lines: Vec::new(),
        }
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Host {
    child: Child,
    stdin: Option<ChildStdin>,
    home: PathBuf,
    rx: Receiver<Value>,
    complaints: Receiver<String>,
    /// Every line of output that was waited for or skipped.
    pub lines: Vec<Value>,
}

impl Host {
    /// Process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    /// Writes bytes to the input. An agent that is gone takes none: who waits for its lines is told.
    ///
    /// # Panics
    /// Where the input is closed.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stdin.as_mut().expect("an open input").write_all(bytes);
    }

    /// Writes a line.
    pub fn send(&mut self, line: &Value) {
        let mut text = line.to_string();
        text.push('\n');
        self.raw(text.as_bytes());
    }

    /// Gives a prompt; its uuid.
    pub fn prompt(&mut self, text: &str) -> Uuid {
        let uuid = Uuid::new_v4();
        self.send(&json!({
            "type": "user", "uuid": uuid.to_string(), "client_composed": true, "parent_tool_use_id": null, "session_id": "",
            "message": {"role": "user", "content": text},
        }));
        uuid
    }

    /// Sends a control request with the id `r1`.
    pub fn control(&mut self, request: &Value) {
        self.send(&json!({"type": "control_request", "request_id": "r1", "request": request}));
    }

    /// Answers a question.
    pub fn answer(&mut self, question: &Value, answer: &Value) {
        let response =
            json!({"subtype": "success", "request_id": question["request_id"], "response": answer});
        self.send(&json!({"type": "control_response", "response": response}));
    }

    /// The next line for which this holds; it and those before it are kept in `lines`.
    ///
    /// # Panics
    /// After the deadline, or when the output ended.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + DEADLINE;
        loop {
            match self
                .rx
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.lines.push(line.clone());
                    if holds(&line) {
                        return line;
                    }
                }
                Err(error) => {
                    let kinds: Vec<String> = self.lines.iter().map(kind).collect();
                    let last: Vec<&Value> = self
                        .lines
                        .iter()
                        .filter(|l| l["type"] != "system")
                        .rev()
                        .take(3)
                        .collect();
                    let complaints: Vec<String> = self.complaints.try_iter().collect();
                    panic!(
                        "no {what}: {error}; so far {kinds:#?}, the last {last:#?}, standard error {complaints:#?}"
                    );
                }
            }
        }
    }

    /// The next line of that type.
    pub fn of(&mut self, kind: &str) -> Value {
        self.until(kind, |line| line["type"] == kind)
    }

    /// Prompt, and the result of the turn. Only for a turn that asks nothing.
    pub fn result_of(&mut self, prompt: &str) -> Value {
        self.prompt(prompt);
        self.of("result")
    }

    /// Waits until it says that it is idle.
    pub fn idle(&mut self) {
        self.until("idle", |line| {
            line["subtype"] == "session_state_changed" && line["state"] == "idle"
        });
    }

    /// The rest of the output, up to its end.
    ///
    /// # Panics
    /// After the deadline.
    pub fn rest(&mut self) {
        let end = Instant::now() + DEADLINE;
        loop {
            match self
                .rx
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the output does not end"),
            }
        }
    }

    /// Closes the input.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid(), signal);
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// After the deadline.
    pub fn exit(&mut self) -> ExitStatus {
        self.exit_within(DEADLINE)
            .unwrap_or_else(|| panic!("the agent does not end"))
    }

    fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return Some(status);
            }
            if Instant::now() >= end {
                return None;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it said on standard error until now.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.try_iter().collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.exit_within(Duration::ZERO).is_none() {
            // Politely first: the real program then ends its tools.
            self.signal(Signal::SIGTERM);
            if self.exit_within(Duration::from_secs(5)).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        // Until none is left: one may start another while we look.
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = with_home(&self.home);
            if left.is_empty() || Instant::now() >= end {
                return;
            }
            for pid in left {
                let _ = kill(pid, Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Processes that have this directory as `HOME`: what an agent left behind, tools in their own sessions included.
#[must_use]
pub fn with_home(home: &Path) -> Vec<Pid> {
    let mark = format!("HOME={}", home.display()).into_bytes();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|b| *b == 0).any(|v| v == mark))
    })
    .map(Pid::from_raw)
    .collect()
}

/// What a line is, in a few words.
#[must_use]
pub fn kind(line: &Value) -> String {
    let sub = [
        &line["subtype"],
        &line["event"]["type"],
        &line["state"],
        &line["status"],
        &line["message"]["content"][0]["type"],
    ];
    let mut kind = line["type"].as_str().unwrap_or("?").to_owned();
    for part in sub.iter().filter_map(|p| p.as_str()) {
        kind.push(' ');
        kind.push_str(part);
    }
    kind
}
