//! One turn: from the prompts to the result line.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    agent::{Agent, Prompt, Stop, complain},
    demo,
    lines::{merge, message, prompts, usage},
    script::{Answer, Background, Block, Cut, Death, Script, Step, Trouble},
    stray,
};

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
    denials: Vec<Value>,
    /// Whether tools were being used when the turn was broken off.
    in_tools: bool,
    /// Whether the next answer is not streamed, as after an `error` event.
    silent: bool,
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
        for prompt in &prompts {
            self.lifecycle(prompt.uuid, "started");
            let uuid = prompt.uuid.map(|u| u.to_string());
            self.note("begun", json!({"uuid": uuid, "text": prompt.text}));
        }
        let script = self.script(&prompts);
        let mut turn = Turn {
            first: prompts.len(),
            uuids: prompts.iter().filter_map(|p| p.uuid).collect(),
            prompts,
            began: Instant::now(),
            messages: Vec::new(),
            text: String::new(),
            allowed: true,
            denials: Vec::new(),
            in_tools: false,
            silent: false,
        };
        self.init(&turn.uuids.clone());
        if let Some(seconds) = script.spawn.filter(|_| !self.args.demo) {
            match stray::leave(seconds, &self.session.to_string()) {
                Ok(pid) => self.note("stray", json!({"stray": pid})),
                Err(error) => complain(&format!("spawn: {error}")),
            }
        }
        let done = self.steps(&mut turn, &script);
        self.close(turn, done)?;
        if let Some(report) = script.background {
            self.later(report);
        }
        Ok(())
    }

    fn script(&self, prompts: &[Prompt]) -> Script {
        let texts: Vec<&str> = prompts.iter().map(|p| p.text.as_str()).collect();
        let last = texts.last().copied().unwrap_or_default();
        if Script::is_directive(last) {
            return Script::parse(last);
        }
        let text = texts.join("\n\n");
        if self.args.demo {
            return Script::of(vec![Step::Answer(demo::answer(
                &text,
                self.history.answers(),
            ))]);
        }
        Script::of(vec![Step::Answer(Answer::text(format!("echo: {text}")))])
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
                    complete(&mut answer, turn, !tools);
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
                ("completed", "api_error", true)
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
        for prompt in first {
            self.lifecycle(prompt.uuid, state);
        }
        if self.queue.is_empty() {
            self.work(false);
        }
        match done {
            Err(Stop::End) => Err(Stop::End),
            _ if self.quitting() => Err(Stop::End),
            _ => Ok(()),
        }
    }

    /// A turn that nobody asked for.
    pub(crate) fn report(&mut self, report: &Background) -> Result<(), Stop> {
        self.work(true);
        let mut turn = Turn {
            prompts: Vec::new(),
            first: 0,
            uuids: Vec::new(),
            began: Instant::now(),
            messages: Vec::new(),
            text: String::new(),
            allowed: true,
            denials: Vec::new(),
            in_tools: false,
            silent: false,
        };
        self.init(&[]);
        let script = Script::of(vec![Step::Answer(Answer::text(report.text.clone()))]);
        let done = self.steps(&mut turn, &script);
        self.close(turn, done)
    }

    fn message_id(&mut self, turn: &mut Turn) -> String {
        self.messages += 1;
        let id = format!("msg_{}_{}", std::process::id(), self.messages);
        turn.messages.push(id.clone());
        id
    }

    fn stream(&mut self, turn: &Turn, event: Value, more: Value) {
        if self.args.partial && !turn.silent {
            let id = turn.messages.last().cloned().unwrap_or_default();
            self.out.stream(&id, event, more);
        }
    }

    /// A message of the model, up to and with its `message_delta`.
    fn answer(&mut self, turn: &mut Turn, answer: &Answer) -> Result<Vec<Call>, Stop> {
        let id = self.message_id(turn);
        let start = message(&id, &self.model, json!([]), None);
        self.stream(
            turn,
            json!({"type": "message_start", "message": start}),
            prompts(&turn.uuids),
        );
        let mut calls = Vec::new();
        for (index, block) in answer.blocks.iter().enumerate() {
            let (whole, empty) = match block {
                Block::Text(text) => {
                    turn.text.clone_from(text);
                    (
                        json!({"type": "text", "text": text}),
                        json!({"type": "text", "text": ""}),
                    )
                }
                Block::Thinking(text) => (
                    json!({"type": "thinking", "thinking": text, "signature": "scripted"}),
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                ),
                Block::Tool { name, input } => {
                    let call = Call {
                        id: format!("toolu_{}_{}_{index}", std::process::id(), self.messages),
                        name: name.clone(),
                        input: input.clone(),
                    };
                    let of = |input: &Value| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input});
                    let both = (of(input), of(&json!({})));
                    calls.push(call);
                    both
                }
            };
            self.stream(
                turn,
                json!({"type": "content_block_start", "index": index, "content_block": empty}),
                json!({}),
            );
            if let Err((stop, shown)) = self.deltas(turn, answer, index, block, usize::MAX) {
                if !matches!(stop, Stop::Quit(_)) {
                    self.aborted(turn, index, &shown);
                }
                return Err(stop);
            }
            self.assistant(turn, json!([whole]), json!({}));
            self.stream(
                turn,
                json!({"type": "content_block_stop", "index": index}),
                json!({}),
            );
        }
        self.cost += 0.00044;
        let delta = json!({"stop_reason": answer.stop_reason(), "stop_sequence": null});
        self.stream(
            turn,
            json!({"type": "message_delta", "delta": delta, "usage": usage(10, 20)}),
            json!({}),
        );
        Ok(calls)
    }

    /// End of a message.
    fn stopped(&mut self, turn: &mut Turn) {
        self.stream(turn, json!({"type": "message_stop"}), json!({}));
        turn.silent = false;
    }

    fn assistant(&mut self, turn: &Turn, content: Value, more: Value) {
        let id = turn.messages.last().cloned().unwrap_or_default();
        let mut line = json!({
            "type": "assistant", "message": message(&id, &self.model, content, None), "parent_tool_use_id": null,
            "request_id": format!("req_{id}"),
        });
        merge(&mut line, prompts(&turn.uuids));
        merge(&mut line, more);
        self.out.line(line);
    }

    /// The pieces of a block, at most so many. On `Err`, what of it was streamed.
    fn deltas(
        &mut self,
        turn: &Turn,
        answer: &Answer,
        index: usize,
        block: &Block,
        most: usize,
    ) -> Result<String, (Stop, String)> {
        let (kind, key, text) = match block {
            Block::Text(text) => ("text_delta", "text", text.clone()),
            Block::Thinking(text) => ("thinking_delta", "thinking", text.clone()),
            Block::Tool { input, .. } => ("input_json_delta", "partial_json", input.to_string()),
        };
        let joined = kind == "text_delta" && !self.hold().is_zero();
        let mut shown = String::new();
        let mut held = String::new();
        let mut flushed = Instant::now();
        let delta = |held: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: held}});
        for (number, piece) in answer.pieces(&text).into_iter().take(most).enumerate() {
            let stop = if number > 0 && answer.delay_ms > 0 {
                self.pause(Duration::from_millis(answer.delay_ms))
            } else {
                self.glance()
            };
            if let Err(stop) = stop {
                return Err((stop, shown));
            }
            shown.push_str(&piece);
            held.push_str(&piece);
            if !joined || flushed.elapsed() >= self.hold() {
                self.stream(turn, delta(&held), json!({}));
                held.clear();
                flushed = Instant::now();
            }
        }
        if !held.is_empty() {
            self.stream(turn, delta(&held), json!({}));
        }
        Ok(shown)
    }

    /// The lines after an interrupt in mid-answer.
    fn aborted(&mut self, turn: &Turn, index: usize, shown: &str) {
        if !shown.is_empty() {
            self.assistant(
                turn,
                json!([{"type": "text", "text": shown}]),
                json!({"aborted": true}),
            );
        }
        self.interrupted("[Request interrupted by user]");
        self.stream(
            turn,
            json!({"type": "content_block_stop", "index": index}),
            json!({}),
        );
        let delta = json!({"container": null, "stop_details": null, "stop_reason": null, "stop_sequence": null});
        self.stream(
            turn,
            json!({"type": "message_delta", "context_management": null, "delta": delta}),
            json!({}),
        );
        self.abandoned(turn, index + 1);
    }

    fn abandoned(&mut self, turn: &Turn, from: usize) {
        let id = turn.messages.last().cloned().unwrap_or_default();
        let blocks = json!({"abandoned_blocks": {"api_message_id": id, "from_block_index": from}});
        self.stream(turn, json!({"type": "message_stop"}), blocks);
    }

    fn interrupted(&mut self, text: &str) {
        self.out.line(json!({
            "type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]}, "parent_tool_use_id": null,
        }));
    }

    /// A fault of the model's service. `Some`: the turn is over.
    fn fault(
        &mut self,
        turn: &mut Turn,
        trouble: &Trouble,
        attempt: u32,
    ) -> Result<Option<Done>, Stop> {
        let retry =
            |status: Option<u16>, error: &str| json!({"error_status": status, "error": error});
        match trouble {
            Trouble::Http {
                status,
                class,
                message,
                retry_after,
                should_retry,
            } => {
                let (error, text) = describe(*status, message, &self.model);
                let retried = should_retry
                    .unwrap_or(matches!(status, 401 | 408 | 409 | 429 | 500..))
                    && retry_after.is_none_or(|s| s <= 60);
                let most = if *status == 529 {
                    2
                } else {
                    self.max_retries()
                };
                if retried && attempt <= most {
                    let named = if *status == 529 { "overloaded" } else { error };
                    self.again(turn, attempt, *retry_after, retry(Some(*status), named))?;
                    return Ok(None);
                }
                Ok(Some(self.api_error(
                    turn,
                    Some(*status),
                    Some(class),
                    error,
                    text,
                )))
            }
            Trouble::HangAtOnce => self.wait_for_ever(turn),
            Trouble::ResetAtOnce => self.broken(turn, attempt),
            Trouble::Mid(answer, cut) => {
                let id = self.message_id(turn);
                let start = message(&id, &self.model, json!([]), None);
                self.stream(
                    turn,
                    json!({"type": "message_start", "message": start}),
                    prompts(&turn.uuids),
                );
                let block = answer
                    .blocks
                    .first()
                    .cloned()
                    .unwrap_or(Block::Text(String::new()));
                self.stream(
                    turn,
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                    json!({}),
                );
                let shown = match self.deltas(turn, answer, 0, &block, 1) {
                    Ok(shown) => shown,
                    Err((stop, shown)) => {
                        if !matches!(stop, Stop::Quit(_)) {
                            self.aborted(turn, 0, &shown);
                        }
                        return Err(stop);
                    }
                };
                match cut {
                    Cut::Hang => {
                        let stop = self.silence();
                        if !matches!(stop, Stop::Quit(_)) {
                            self.aborted(turn, 0, &shown);
                        }
                        Err(stop)
                    }
                    Cut::Die { how, once } => {
                        self.die(turn, how, *once);
                        self.stream(
                            turn,
                            json!({"type": "content_block_stop", "index": 0}),
                            json!({}),
                        );
                        self.abandoned(turn, 0);
                        Ok(None)
                    }
                    Cut::Reset | Cut::Eof => {
                        self.stream(
                            turn,
                            json!({"type": "content_block_stop", "index": 0}),
                            json!({}),
                        );
                        self.abandoned(turn, 0);
                        self.broken(turn, attempt)
                    }
                    Cut::SseError(_) => {
                        self.stream(
                            turn,
                            json!({"type": "content_block_stop", "index": 0}),
                            json!({}),
                        );
                        self.abandoned(turn, 0);
                        turn.silent = true;
                        Ok(None)
                    }
                }
            }
        }
    }

    /// A connection that broke.
    fn broken(&mut self, turn: &Turn, attempt: u32) -> Result<Option<Done>, Stop> {
        if attempt > self.max_retries() {
            let text = "API Error: Unable to connect to API (ECONNRESET)".to_owned();
            return Ok(Some(self.api_error(turn, None, None, "unknown", text)));
        }
        self.again(
            turn,
            attempt,
            None,
            json!({"error_status": null, "error": "unknown"}),
        )?;
        Ok(None)
    }

    fn again(
        &mut self,
        _turn: &Turn,
        attempt: u32,
        after: Option<u64>,
        more: Value,
    ) -> Result<(), Stop> {
        // The real program waits ten times as long.
        let delay = after.map_or(50 << attempt.min(4).saturating_sub(1), |s| s * 1000);
        let mut line = json!({
            "type": "system", "subtype": "api_retry", "attempt": attempt, "max_retries": self.max_retries(), "retry_delay_ms": delay,
        });
        merge(&mut line, more);
        self.out.line(line);
        self.pause(Duration::from_millis(delay))
            .inspect_err(|stop| {
                if !matches!(stop, Stop::Quit(_)) {
                    self.interrupted("[Request interrupted by user]");
                }
            })
    }

    fn api_error(
        &mut self,
        turn: &Turn,
        status: Option<u16>,
        class: Option<&str>,
        error: &str,
        text: String,
    ) -> Done {
        let mut line = json!({
            "type": "assistant", "parent_tool_use_id": null, "error": error, "is_api_error_message": true,
            "message": {
                "id": Uuid::new_v4().to_string(), "model": "<synthetic>", "role": "assistant", "type": "message",
                "stop_reason": "stop_sequence", "stop_sequence": "", "content": [{"type": "text", "text": text}],
                "usage": usage(0, 0),
            },
        });
        if let Some(status) = status {
            merge(
                &mut line,
                json!({"api_error_status": status, "api_error_type": class}),
            );
        }
        merge(&mut line, prompts(&turn.uuids));
        self.out.line(line);
        Done::ApiError {
            status,
            class: class.map(str::to_owned),
            text,
        }
    }

    /// Waits until something ends it.
    fn silence(&mut self) -> Stop {
        loop {
            if let Err(stop) = self.next(None) {
                return stop;
            }
        }
    }

    fn wait_for_ever(&mut self, _turn: &Turn) -> Result<Option<Done>, Stop> {
        let stop = self.silence();
        if !matches!(stop, Stop::Quit(_)) {
            self.interrupted("[Request interrupted by user]");
        }
        Err(stop)
    }

    fn die(&mut self, turn: &Turn, how: &Death, once: bool) {
        let text = turn
            .prompts
            .last()
            .map(|p| p.text.clone())
            .unwrap_or_default();
        if self.args.demo || (once && self.history.died_at(&text)) {
            return;
        }
        self.note("died", json!({"text": text, "how": format!("{how:?}")}));
        match how {
            Death::Code(code) => std::process::exit(*code),
            Death::Signal(name) => {
                let signal: Option<nix::sys::signal::Signal> = format!("SIG{name}").parse().ok();
                // Twice: the runtime's own handler of SIGSEGV takes the first one.
                for _ in 0..2 {
                    let _ = signal.map(nix::sys::signal::raise);
                }
                // Signals that are taken by a thread of ours end the process in a moment; names that are none end it here.
                std::thread::sleep(Duration::from_secs(if signal.is_some() { 3 } else { 0 }));
                std::process::exit(99);
            }
        }
    }
}

/// Puts in what the script could not know: the outcome of the last question, and prompts that were folded in.
fn complete(answer: &mut Answer, turn: &Turn, last: bool) {
    let outcome = if turn.allowed { "allowed" } else { "denied" };
    let folded: Vec<String> = turn
        .prompts
        .iter()
        .skip(turn.first)
        .map(|p| format!("\n\nalso: {}", p.text))
        .collect();
    for block in &mut answer.blocks {
        if let Block::Text(text) = block {
            *text = text.replace("{outcome}", outcome);
            if last {
                text.push_str(&folded.concat());
            }
        }
    }
}

/// The CLI's name of the class of an HTTP error, and its words.
fn describe(status: u16, message: &str, model: &str) -> (&'static str, String) {
    match status {
        401 | 403 => ("authentication_failed", format!("Failed to authenticate. API Error: {status} {message}")),
        404 => (
            "model_not_found",
            format!("There's an issue with the selected model ({model}). It may not exist or you may not have access to it. Run --model to pick a different model."),
        ),
        429 => ("rate_limit", format!("API Error: Request rejected (429) \u{b7} {message}")),
        529 => (
            "server_error",
            "API Error: Repeated 529 Overloaded errors. The API is at capacity \u{2014} this is usually temporary. Try again in a moment.".to_owned(),
        ),
        500.. => (
            "server_error",
            format!("API Error: {status} {message}. This is a server-side issue, usually temporary \u{2014} try again in a moment."),
        ),
        _ => ("unknown", format!("API Error: {status} {message}")),
    }
}

mod tools;
