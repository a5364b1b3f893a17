//! One turn: from the prompts to the result line.

use std::time::Instant;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    agent::{Agent, Prompt, Stop},
    demo,
    lines::{complain, merge},
    script::{Answer, Background, Block, Script, Step},
    stray,
};

mod faults;
mod message;
mod tools;

/// State of a turn.
struct Turn {
    /// Prompts that it consumes, those included that were folded in later.
    prompts: Vec<Prompt>,
    /// How many of them it began with.
    first: usize,
    uuids: Vec<Uuid>,
    began: Instant,
    /// Messages of the model so far.
    messages: Vec<String>,
    /// Text of the last answer.
    text: String,
    /// Whether the last tool was allowed.
    allowed: bool,
    /// What the last tool came back with.
    told: String,
    denials: Vec<Value>,
    /// Whether tools were being used when the turn was broken off.
    in_tools: bool,
    /// Whether a line of the model already named the prompts; only the first of each kind does.
    started: bool,
    spoke: bool,
    /// Whether the next answer is not streamed, as after an `error` event.
    silent: bool,
}

impl Turn {
    fn of(prompts: Vec<Prompt>) -> Self {
        Self {
            first: prompts.len(),
            uuids: prompts.iter().filter_map(|p| p.uuid).collect(),
            prompts,
            began: Instant::now(),
            messages: Vec::new(),
            text: String::new(),
            allowed: true,
            told: String::new(),
            denials: Vec::new(),
            in_tools: false,
            started: false,
            spoke: false,
            silent: false,
        }
    }
}

/// A tool call of an answer.
struct Call {
    id: String,
    name: String,
    input: Value,
}

/// How the work on a turn ended.
enum Done {
    Answered(String),
    ApiError {
        status: Option<u16>,
        class: Option<String>,
        text: String,
    },
    Denied,
}

impl Agent {
    /// Works on all prompts that are queued. `Err`: the process is to end.
    pub(crate) fn turn(&mut self) -> Result<(), Stop> {
        let prompts: Vec<Prompt> = self.queue.drain(..).collect();
        let script = self.script(&prompts);
        self.deaf = script.deaf;
        if script.mute {
            return self.say_nothing(&prompts);
        }
        for prompt in &prompts {
            self.lifecycle(prompt.uuid, "started");
            let uuid = prompt.uuid.map(|u| u.to_string());
            self.note("begun", json!({"uuid": uuid, "text": prompt.text}));
        }
        self.save(false);
        let mut turn = Turn::of(prompts);
        self.init(&turn.uuids.clone());
        if let Some(seconds) = script.spawn.filter(|_| !self.args.demo) {
            match stray::leave(seconds, &self.session.to_string()) {
                Ok(pid) => self.note("stray", json!({"stray": pid})),
                Err(error) => complain(&format!("spawn: {error}")),
            }
        }
        let done = self.steps(&mut turn, &script);
        self.limp = script.limp;
        self.close(turn, done)?;
        if let Some(report) = script.background {
            self.later(report);
        }
        Ok(())
    }

    /// Hangs before it has taken the prompts up.
    fn say_nothing(&mut self, prompts: &[Prompt]) -> Result<(), Stop> {
        for prompt in prompts {
            let uuid = prompt.uuid.map(|u| u.to_string());
            self.note("mute", json!({"uuid": uuid, "text": prompt.text}));
        }
        match self.silence() {
            // It was not at work as far as it has told.
            Stop::Interrupt => Ok(()),
            stop => Err(stop),
        }
    }

    fn script(&self, prompts: &[Prompt]) -> Script {
        // As the real program joins prompts that waited together.
        let texts: Vec<&str> = prompts.iter().map(|p| p.text.as_str()).collect();
        let text = texts.join("\n");
        if self.args.demo {
            if let Some(script) = demo::words(&text) {
                return script;
            }
            if !Script::is_directive(&text) {
                return demo::script(&text, self.history.answers());
            }
        }
        Script::parse(&text)
    }

    fn steps(&mut self, turn: &mut Turn, script: &Script) -> Result<Done, Stop> {
        let (mut answered, mut failed, mut attempt) = (0, 0, 0);
        loop {
            match script.step(answered, failed) {
                Step::Fault(trouble, _) => {
                    failed += 1;
                    attempt += 1;
                    if let Some(done) = self.fault(turn, &trouble, attempt)? {
                        return Ok(done);
                    }
                }
                Step::Answer(mut answer) => {
                    (failed, attempt) = (0, 0);
                    answered += 1;
                    let tools = answer
                        .blocks
                        .iter()
                        .any(|b| matches!(b, Block::Tool { .. }));
                    complete(&mut answer, turn, !tools, &self.mode());
                    let calls = self.answer(turn, &answer)?;
                    let reason = answer.stop_reason().to_owned();
                    if !tools && !matches!(reason.as_str(), "max_tokens" | "refusal") {
                        self.stopped(turn);
                        return Ok(Done::Answered(turn.text.clone()));
                    }
                    if tools {
                        if !self.tools(turn, calls)? {
                            return Ok(Done::Denied);
                        }
                        self.fold(turn);
                    } else {
                        self.stopped(turn);
                        if reason == "refusal" {
                            self.out.line(json!({
                                "type": "system", "subtype": "informational", "level": "notice", "content": "the answer was stopped",
                            }));
                        }
                        self.out.line(json!({
                            "type": "user", "isSynthetic": true, "parent_tool_use_id": null,
                            "message": {"role": "user", "content": [{"type": "text", "text": format!("The answer stopped ({reason}). Go on.")}]},
                        }));
                    }
                    self.requesting(&turn.uuids);
                }
            }
        }
    }

    /// Prompts that came while tools ran become part of the turn.
    fn fold(&mut self, turn: &mut Turn) {
        while let Some(prompt) = self.queue.pop_front() {
            self.lifecycle(prompt.uuid, "started");
            let uuid = prompt.uuid.map(|u| u.to_string());
            self.note("begun", json!({"uuid": uuid, "text": prompt.text}));
            turn.uuids.extend(prompt.uuid);
            turn.prompts.push(prompt);
        }
    }

    fn close(&mut self, turn: Turn, done: Result<Done, Stop>) -> Result<(), Stop> {
        let duration = u64::try_from(turn.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut more = json!({
            "duration_ms": duration, "num_turns": turn.messages.len().max(1), "permission_denials": turn.denials,
            "begun_message_ids": turn.messages, "safety_stops": 0,
        });
        let (state, reason, failed) = match &done {
            Err(Stop::Quit(code)) => return Err(Stop::Quit(*code)),
            Ok(Done::Answered(text)) => {
                merge(
                    &mut more,
                    json!({"subtype": "success", "result": text, "stop_reason": "end_turn", "terminal_reason": "completed", "api_error_status": null}),
                );
                ("completed", "completed", false)
            }
            Ok(Done::ApiError {
                status,
                class,
                text,
            }) => {
                merge(
                    &mut more,
                    json!({"subtype": "success", "result": text, "stop_reason": "stop_sequence", "terminal_reason": "api_error", "api_error_status": status}),
                );
                if let Some(class) = class {
                    merge(&mut more, json!({"api_error_type": class}));
                }
                ("cancelled", "api_error", true)
            }
            Ok(Done::Denied) | Err(Stop::Interrupt | Stop::End) => {
                let reason = if turn.in_tools {
                    "aborted_tools"
                } else {
                    "aborted_streaming"
                };
                let stop = turn.in_tools.then_some("tool_use");
                let errors = [format!(
                    "[ede_diagnostic] result_type=user last_content_type=n/a stop_reason={}",
                    stop.unwrap_or("null")
                )];
                merge(
                    &mut more,
                    json!({"subtype": "error_during_execution", "errors": errors, "stop_reason": stop, "terminal_reason": reason}),
                );
                ("cancelled", reason, true)
            }
        };
        self.save(true);
        if turn.prompts.is_empty() {
            merge(&mut more, json!({"origin": {"kind": "task-notification"}}));
        }
        let uuids: Vec<Value> = turn
            .prompts
            .iter()
            .map(|p| json!(p.uuid.map(|u| u.to_string())))
            .collect();
        self.note(
            "answer",
            json!({"uuids": uuids, "text": turn.text, "terminal_reason": reason, "cost": self.cost}),
        );
        if !failed {
            for prompt in &turn.prompts {
                let uuid = prompt.uuid.map(|u| u.to_string());
                self.note("answered", json!({"uuid": uuid, "text": prompt.text}));
            }
        }
        // Folded prompts end before the result, the first ones after it.
        let (first, folded) = turn.prompts.split_at(turn.first.min(turn.prompts.len()));
        for prompt in folded {
            self.lifecycle(prompt.uuid, state);
        }
        self.result(&turn.uuids, failed, more);
        if self.limp {
            self.deaf = true;
            return Err(self.silence());
        }
        self.deaf = false;
        for prompt in first {
            self.lifecycle(prompt.uuid, state);
        }
        let quitting = self.quitting();
        if self.queue.is_empty() && !matches!(quitting, Some(Stop::Quit(_))) {
            self.work(false);
        }
        quitting.map_or(Ok(()), Err)
    }

    /// A turn that nobody asked for.
    pub(crate) fn report(&mut self, report: &Background) -> Result<(), Stop> {
        self.work(true);
        let mut turn = Turn::of(Vec::new());
        self.init(&[]);
        let script = Script::of(vec![Step::Answer(Answer::text(report.text.clone()))]);
        let done = self.steps(&mut turn, &script);
        self.close(turn, done)
    }
}

/// Puts in what the script could not know: the outcome of the last question, and prompts that were folded in.
fn complete(answer: &mut Answer, turn: &Turn, last: bool, mode: &str) {
    let outcome = if turn.allowed { "allowed" } else { "denied" };
    let folded: Vec<String> = turn
        .prompts
        .iter()
        .skip(turn.first)
        .map(|p| format!("\n\nalso: {}", p.text))
        .collect();
    for block in &mut answer.blocks {
        if let Block::Text(text) = block {
            *text = text
                .replace("{outcome}", outcome)
                .replace("{told}", &turn.told)
                .replace("{mode}", mode);
            if last {
                text.push_str(&folded.concat());
            }
        }
    }
}
