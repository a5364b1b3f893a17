//! A host of one agent process, for tests.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

/// No test waits longer.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Host {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    rx: Receiver<Value>,
    pub lines: Vec<Value>,
}

impl Host {
    pub fn start(home: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telexd-scripted-agent"));
        command
            .args([
                "-p",
                "--input-format",
                "stream-json",
                "--output-format",
                "stream-json",
                "--verbose",
                "--include-partial-messages",
            ])
            .args([
                "--permission-prompt-tool",
                "stdio",
                "--setting-sources",
                "",
                "--strict-mcp-config",
            ])
            .args(args)
            .env_clear()
            .env("HOME", home)
            .env("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1")
            .env("CLAUDE_CODE_MAX_RETRIES", "3")
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tx, rx) = channel();
        thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                if tx.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            rx,
            lines: Vec::new(),
        }
    }

    pub fn send(&mut self, line: &Value) {
        let mut text = line.to_string();
        text.push('\n');
        self.raw(text.as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub fn prompt(&mut self, text: &str) -> Uuid {
        let uuid = Uuid::new_v4();
        self.send(&json!({
            "type": "user", "uuid": uuid.to_string(), "client_composed": true, "parent_tool_use_id": null, "session_id": "",
            "message": {"role": "user", "content": text},
        }));
        uuid
    }

    pub fn control(&mut self, request: Value) {
        self.send(&json!({"type": "control_request", "request_id": "r1", "request": request}));
    }

    pub fn answer(&mut self, question: &Value, answer: Value) {
        let response =
            json!({"subtype": "success", "request_id": question["request_id"], "response": answer});
        self.send(&json!({"type": "control_response", "response": response}));
    }

    /// The next line for which this holds; what comes before it is kept in `lines`.
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
                Err(error) => panic!("no {what}: {error}; so far: {:#?}", self.lines),
            }
        }
    }

    pub fn of(&mut self, kind: &str) -> Value {
        self.until(kind, |line| line["type"] == kind)
    }

    pub fn exit(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the agent does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the input.
    pub fn close(&mut self) {
        self.stdin = None;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compact form of a line: what it is.
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
