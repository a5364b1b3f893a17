//! The process: its input, its queue, its control requests, its end.

use std::{
    collections::{HashMap, VecDeque},
    env,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    args::{Args, VERSION},
    history::History,
    lines::{Out, complain, merge, prompts},
    script::{Background, Script},
};

/// What comes in from outside.
#[derive(Debug)]
pub enum Event {
    /// A line of standard input.
    Line(String),
    /// Its end.
    Eof,
    /// A signal's number.
    Signal(i32),
}

/// Why work is broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The turn is to end.
    Interrupt,
    /// The turn is to end, and then the process.
    End,
    /// The process is to end at once with this code.
    Quit(u8),
}

/// A message of the host.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its uuid, where the host gave one.
    pub uuid: Option<Uuid>,
    /// Its text.
    pub text: String,
}

/// A running stand-in.
#[derive(Debug)]
pub struct Agent {
    pub(crate) args: Args,
    pub(crate) session: Uuid,
    pub(crate) out: Out,
    pub(crate) history: History,
    pub(crate) model: String,
    pub(crate) queue: VecDeque<Prompt>,
    pub(crate) cost: f64,
    pub(crate) asking: Option<String>,
    pub(crate) answers: HashMap<String, Value>,
    pub(crate) allowed: Vec<Value>,
    pub(crate) eof: bool,
    pub(crate) messages: u64,
    rx: Receiver<Event>,
    busy: bool,
    states: bool,
    hold: Duration,
    max_retries: u32,
    results: u64,
    last_failed: bool,
    quit: bool,
    interrupted: bool,
    pending: Vec<(Instant, Background)>,
    pub(crate) deaf: bool,
    pub(crate) limp: bool,
}

impl Agent {
    /// Begins or resumes a session. `Err` is the exit code of a refusal.
    pub fn new(args: Args, rx: Receiver<Event>) -> Result<Self, u8> {
        let home = env::var_os("HOME").map_or_else(env::temp_dir, PathBuf::from);
        let session = args.session.unwrap_or_else(Uuid::new_v4);
        let complain = |text: String| {
            complain(&text);
            1_u8
        };
        let mut history = History::open(&home, session)
            .map_err(|e| complain(format!("history of {session}: {e}")))?;
        let mut out = Out::new(session).map_err(|e| complain(format!("standard output: {e}")))?;
        if args.resume && !history.exists() {
            let why = format!("No conversation found with session ID: {session}");
            out.line(json!({
                "type": "result", "subtype": "error_during_execution", "duration_ms": 0, "duration_api_ms": 0, "is_error": true,
                "num_turns": 0, "stop_reason": null, "total_cost_usd": 0, "usage": {}, "modelUsage": {}, "permission_denials": [],
                "errors": [why], "result_index": 0,
            }));
            return Err(complain(why));
        }
        if args.session.is_some() && !args.resume && history.exists() {
            return Err(complain(format!(
                "Error: Session ID {session} is already in use."
            )));
        }
        let mut names: Vec<String> = env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        let argv: Vec<String> = env::args().collect();
        let cwd = env::current_dir().unwrap_or_default();
        let start = json!({"resume": args.resume, "argv": argv, "environment": names, "cwd": cwd});
        history
            .add("start", start)
            .map_err(|e| complain(format!("history of {session}: {e}")))?;
        let number = |name: &str| env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
        Ok(Self {
            model: args
                .model
                .clone()
                .unwrap_or_else(|| "scripted-stand-in".to_owned()),
            cost: history.cost(),
            session,
            out,
            history,
            queue: VecDeque::new(),
            asking: None,
            answers: HashMap::new(),
            allowed: Vec::new(),
            eof: false,
            messages: 0,
            rx,
            busy: false,
            states: number("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS") == Some(1),
            hold: Duration::from_millis(number("CLAUDE_CODE_STREAM_EVENT_HOLD_MS").unwrap_or(0)),
            max_retries: number("CLAUDE_CODE_MAX_RETRIES")
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(10),
            results: 0,
            last_failed: false,
            quit: false,
            interrupted: false,
            pending: Vec::new(),
            deaf: false,
            limp: false,
            args,
        })
    }

    /// Serves until the end; the exit code.
    pub fn serve(&mut self) -> u8 {
        let code = match self.serve_until() {
            Stop::Quit(code) => code,
            Stop::End | Stop::Interrupt => u8::from(self.last_failed),
        };
        if self.history.begun() {
            self.save(true);
        }
        self.note("end", json!({"code": code}));
        code
    }

    fn serve_until(&mut self) -> Stop {
        loop {
            if !self.queue.is_empty() {
                if let Err(stop) = self.turn() {
                    return stop;
                }
            } else if self.quit {
                return Stop::End;
            } else if let Some(report) = self.due() {
                if let Err(stop) = self.report(&report) {
                    return stop;
                }
            } else if self.eof && self.pending.is_empty() {
                return Stop::Quit(u8::from(self.last_failed));
            } else {
                let until = self.pending.iter().map(|(at, _)| *at).min();
                match self.next(until) {
                    Ok(()) | Err(Stop::Interrupt) => {}
                    Err(stop) => return stop,
                }
            }
        }
    }

    fn due(&mut self) -> Option<Background> {
        let now = Instant::now();
        let at = self.pending.iter().position(|(at, _)| *at <= now)?;
        Some(self.pending.swap_remove(at).1)
    }

    /// Plans a report that nobody asks for.
    pub(crate) fn later(&mut self, report: Background) {
        let at = Instant::now() + Duration::from_millis(report.delay_ms);
        self.pending.push((at, report));
    }

    /// Notes something in the history. A full disk is no reason to stop answering.
    pub(crate) fn note(&mut self, event: &str, more: Value) {
        if let Err(error) = self.history.add(event, more) {
            complain(&format!("history: {error}"));
        }
    }

    /// Sees to it that the conversation can be resumed.
    pub(crate) fn save(&mut self, at_once: bool) {
        if let Err(error) = self.history.save(at_once) {
            complain(&format!("history: {error}"));
        }
    }

    /// Takes what comes in for so long.
    pub(crate) fn pause(&mut self, time: Duration) -> Result<(), Stop> {
        let until = Instant::now() + time;
        loop {
            self.next(Some(until))?;
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    /// Takes what is there, without waiting.
    pub(crate) fn glance(&mut self) -> Result<(), Stop> {
        while let Ok(event) = self.rx.try_recv() {
            self.take(event)?;
        }
        Ok(())
    }

    /// Waits until something comes in, or until then, and takes it.
    pub(crate) fn next(&mut self, until: Option<Instant>) -> Result<(), Stop> {
        // An input that ended says nothing more; signals may still come.
        let event = match until {
            Some(until) => match self
                .rx
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            },
            None => self.rx.recv().map_err(|_| Stop::Quit(1))?,
        };
        self.take(event)
    }

    fn take(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Eof => {
                self.eof = true;
                Ok(())
            }
            Event::Signal(nix::libc::SIGINT) => {
                self.quit = true;
                self.interrupted = true;
                Err(if self.busy {
                    Stop::Interrupt
                } else {
                    Stop::Quit(0)
                })
            }
            Event::Signal(number) => Err(Stop::Quit(u8::try_from(128 + number).unwrap_or(1))),
            Event::Line(line) if self.deaf || line.trim().is_empty() => Ok(()),
            Event::Line(line) => {
                let Ok(line) = serde_json::from_str::<Value>(&line) else {
                    complain(&format!("Error parsing streaming input line: {line}"));
                    return Err(Stop::Quit(1));
                };
                match line["type"].as_str() {
                    Some("user") => self.prompted(&line),
                    Some("control_request") => self.controlled(&line),
                    Some("control_response") => {
                        let id = line["response"]["request_id"].as_str().unwrap_or_default();
                        if self.asking.as_deref() == Some(id) {
                            self.answers.insert(id.to_owned(), line["response"].clone());
                        }
                        Ok(())
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn prompted(&mut self, line: &Value) -> Result<(), Stop> {
        if line["message"]["role"] != "user" {
            complain(&format!(
                "Error: Expected message role 'user', got '{}'",
                line["message"]["role"]
            ));
            return Err(Stop::Quit(1));
        }
        let text = match &line["message"]["content"] {
            Value::String(text) => text.clone(),
            Value::Array(blocks) => {
                let texts: Vec<&str> = blocks.iter().filter_map(|b| b["text"].as_str()).collect();
                texts.join("\n")
            }
            _ => String::new(),
        };
        let uuid = line["uuid"].as_str().and_then(|u| Uuid::try_parse(u).ok());
        let composed = line["client_composed"] == true;
        self.note(
            "prompt",
            json!({"uuid": uuid.map(|u| u.to_string()), "text": text, "client_composed": composed}),
        );
        if !Script::parse(&text).mute {
            self.work(true);
            self.lifecycle(uuid, "queued");
        }
        self.queue.push_back(Prompt { uuid, text });
        Ok(())
    }

    fn controlled(&mut self, line: &Value) -> Result<(), Stop> {
        let id = line["request_id"].as_str().unwrap_or_default().to_owned();
        let request = &line["request"];
        let mut stop = None;
        let mut changed = false;
        let reply = match request["subtype"].as_str().unwrap_or_default() {
            "initialize" => Ok(json!({
                "commands": [], "agents": [], "output_style": "default", "available_output_styles": ["default"], "models": [],
                "account": {"tokenSource": "none", "apiKeySource": "none", "apiProvider": "firstParty"},
                "pid": std::process::id(), "claude_code_version": VERSION, "current_permission_mode": self.mode(),
                "session_state": if self.busy { "running" } else { "idle" }, "capabilities": [],
            })),
            kind @ ("interrupt" | "end_session") => {
                if let Some(question) = self.asking.take() {
                    self.out
                        .bare(&json!({"type": "control_cancel_request", "request_id": question}));
                }
                let mut cancelled = Vec::new();
                if request["cancel_queued"] == true {
                    cancelled = self.queue.drain(..).collect::<Vec<_>>();
                    for prompt in &cancelled {
                        self.lifecycle(prompt.uuid, "cancelled");
                    }
                }
                let ids = |prompts: &mut dyn Iterator<Item = &Prompt>| {
                    prompts
                        .filter_map(|p| p.uuid)
                        .map(|u| u.to_string())
                        .collect::<Vec<_>>()
                };
                let mut reply = json!({"still_queued": ids(&mut self.queue.iter())});
                if request["cancel_queued"] == true {
                    merge(&mut reply, json!({"cancelled": ids(&mut cancelled.iter())}));
                }
                if kind == "end_session" {
                    self.queue.clear();
                    self.pending.clear();
                    self.quit = true;
                    stop = Some(Stop::End);
                    Ok(Value::Null)
                } else {
                    stop = self.busy.then_some(Stop::Interrupt);
                    Ok(reply)
                }
            }
            "cancel_async_message" => {
                let uuid = request["message_uuid"]
                    .as_str()
                    .and_then(|u| Uuid::try_parse(u).ok());
                let at = self
                    .queue
                    .iter()
                    .position(|p| p.uuid == uuid && uuid.is_some());
                if let Some(at) = at {
                    self.queue.remove(at);
                    self.lifecycle(uuid, "cancelled");
                }
                Ok(json!({"cancelled": at.is_some(), "message_uuid": request["message_uuid"]}))
            }
            "set_model" => {
                self.model = request["model"]
                    .as_str()
                    .unwrap_or("scripted-stand-in")
                    .to_owned();
                Ok(json!({"model": self.model}))
            }
            "set_permission_mode" => {
                let mode = request["mode"].as_str().unwrap_or_default().to_owned();
                match mode.as_str() {
                    "bypassPermissions" if !self.args.bypass => Err((
                        "Cannot set permission mode to bypassPermissions",
                        "bypass_not_launched",
                    )),
                    "acceptEdits" | "auto" | "bypassPermissions" | "default" | "dontAsk"
                    | "plan" => {
                        changed = true;
                        self.args.mode = Some(mode.clone());
                        Ok(json!({"mode": mode}))
                    }
                    _ => Err(("Cannot set permission mode", "invalid_mode")),
                }
            }
            _ => Err(("Unsupported control request subtype", "unsupported_request")),
        };
        let mut response = match reply {
            Ok(Value::Null) => json!({"subtype": "success"}),
            Ok(body) => json!({"subtype": "success", "response": body}),
            Err((text, code)) => json!({"subtype": "error", "error": text, "error_code": code}),
        };
        merge(&mut response, json!({"request_id": id}));
        self.out
            .bare(&json!({"type": "control_response", "response": response}));
        if changed {
            self.tell_mode();
        }
        stop.map_or(Ok(()), Err)
    }

    /// Tells the permission mode, which has changed.
    pub(crate) fn tell_mode(&mut self) {
        let mode = self.mode();
        self.note("mode", json!({"text": mode}));
        self.out.line(
            json!({"type": "system", "subtype": "status", "status": null, "permissionMode": mode}),
        );
    }

    /// Name of the permission mode.
    pub(crate) fn mode(&self) -> String {
        match (&self.args.mode, self.args.bypass) {
            (Some(mode), _) => mode.clone(),
            (None, true) => "bypassPermissions".to_owned(),
            (None, false) => "default".to_owned(),
        }
    }

    /// Says that work begins or ends, where that changes.
    pub(crate) fn work(&mut self, busy: bool) {
        if self.busy != busy {
            self.busy = busy;
            self.state(if busy { "running" } else { "idle" });
        }
    }

    /// `session_state_changed`, where the host wants it.
    pub(crate) fn state(&mut self, state: &str) {
        if self.states {
            self.out.line(
                json!({"type": "system", "subtype": "session_state_changed", "state": state}),
            );
        }
    }

    /// `command_lifecycle`, for prompts with a uuid.
    pub(crate) fn lifecycle(&mut self, uuid: Option<Uuid>, state: &str) {
        if let Some(uuid) = uuid {
            self.out.line(json!({"type": "command_lifecycle", "command_uuid": uuid.to_string(), "state": state}));
        }
    }

    /// First line of a turn.
    pub(crate) fn init(&mut self, uuids: &[Uuid]) {
        let tools: Vec<&str> = ["Task", "Bash", "Edit", "Read", "Write"]
            .into_iter()
            .filter(|t| !self.args.disallowed.iter().any(|d| d == t))
            .collect();
        let mut line = json!({
            "type": "system", "subtype": "init", "cwd": env::current_dir().unwrap_or_default(), "tools": tools, "mcp_servers": [],
            "model": self.model, "permissionMode": self.mode(), "slash_commands": [], "apiKeySource": "none",
            "claude_code_version": VERSION, "output_style": "default", "agents": [], "skills": [], "plugins": [], "capabilities": [],
        });
        if !uuids.is_empty() {
            merge(
                &mut line,
                json!({"user_message_uuids": prompts(uuids)["user_message_uuids"]}),
            );
        }
        self.out.line(line);
        self.requesting(uuids);
    }

    /// The model is asked.
    pub(crate) fn requesting(&mut self, uuids: &[Uuid]) {
        let mut line = json!({"type": "system", "subtype": "status", "status": "requesting"});
        if !uuids.is_empty() {
            merge(
                &mut line,
                json!({"user_message_uuids": prompts(uuids)["user_message_uuids"]}),
            );
        }
        self.out.line(line);
    }

    /// Last line of a turn: the given keys and those that every result has.
    pub(crate) fn result(&mut self, uuids: &[Uuid], failed: bool, more: Value) {
        let mut line = json!({
            "type": "result", "is_error": failed, "duration_api_ms": 0, "total_cost_usd": self.cost, "usage": crate::lines::usage(10, 20),
            "modelUsage": {}, "queued_turn_count": 0, "result_index": self.results,
        });
        merge(&mut line, prompts(uuids));
        merge(&mut line, more);
        self.out.line(line);
        self.results += 1;
        self.last_failed = failed;
    }

    /// Why the process is about to end, where it is.
    pub(crate) fn quitting(&self) -> Option<Stop> {
        match (self.quit, self.interrupted) {
            (_, true) => Some(Stop::Quit(0)),
            (true, false) => Some(Stop::End),
            (false, false) => None,
        }
    }

    /// How long text is held back, to be written in fewer lines.
    pub(crate) fn hold(&self) -> Duration {
        self.hold
    }

    /// How often the model's service is tried again.
    pub(crate) fn max_retries(&self) -> u32 {
        self.max_retries
    }
}
