//! Tool calls: questions, results. No command is ever run.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, Turn};
use crate::{
    agent::{Agent, Stop},
    demo,
    lines::{complain, merge},
    load,
};

/// What became of a call.
enum Verdict {
    Run { input: Option<Value> },
    Denied { message: String, interrupt: bool },
}

const REJECTED: &str =
    "The user doesn't want to proceed with this tool use. The tool use was rejected.";

impl Agent {
    /// Asks where it must, and writes the results. False: a denial ended the turn.
    pub(super) fn tools(&mut self, turn: &mut Turn, calls: Vec<Call>) -> Result<bool, Stop> {
        turn.in_tools = true;
        let mut calls = calls.into_iter();
        let mut stopped = false;
        while let Some(call) = calls.next() {
            let verdict = match self.judge(turn, &call, &mut stopped) {
                Ok(verdict) => verdict,
                Err(stop) => {
                    if !matches!(stop, Stop::Quit(_)) {
                        self.reject(&call);
                        calls.for_each(|call| self.reject(&call));
                        self.interrupted("[Request interrupted by user for tool use]");
                    }
                    return Err(stop);
                }
            };
            match verdict {
                Verdict::Run { input } => {
                    turn.allowed = true;
                    let mode = match call.name.as_str() {
                        "EnterPlanMode" => Some("plan"),
                        "ExitPlanMode" => Some("default"),
                        _ => None,
                    };
                    if let Some(mode) = mode {
                        self.args.mode = Some(mode.to_owned());
                        self.tell_mode();
                    }
                    if let Err(stop) = self.load(&call) {
                        if !matches!(stop, Stop::Quit(_)) {
                            self.reject(&call);
                            calls.for_each(|call| self.reject(&call));
                            self.interrupted("[Request interrupted by user for tool use]");
                        }
                        return Err(stop);
                    }
                    let told = ran(&call, input.as_ref());
                    self.tool_result(
                        &call,
                        &told,
                        false,
                        json!({"stdout": told, "stderr": "", "interrupted": false}),
                    );
                    turn.told = told;
                }
                Verdict::Denied { message, interrupt } => {
                    turn.allowed = false;
                    turn.told.clone_from(&message);
                    turn.denials.push(json!({"tool_name": call.name, "tool_use_id": call.id, "tool_input": call.input}));
                    self.tool_result(&call, &message, true, format!("Error: {message}").into());
                    if interrupt {
                        calls.for_each(|call| self.reject(&call));
                        self.interrupted("[Request interrupted by user for tool use]");
                        return Ok(false);
                    }
                }
            }
        }
        turn.in_tools = false;
        Ok(true)
    }

    /// Takes as long as the call says; carries the load of one that has one, and waits until that is over.
    fn load(&mut self, call: &Call) -> Result<(), Stop> {
        for beat in 0..call.input["beats"].as_u64().unwrap_or(0) {
            let ms = call.input["beat_ms"].as_u64().unwrap_or(0);
            self.pause(Duration::from_millis(ms))?;
            self.out.line(json!({
                "type": "tool_progress", "tool_use_id": format!("{}-heartbeat-{beat}", call.id), "tool_name": call.name,
                "parent_tool_use_id": call.id, "elapsed_time_seconds": ms * (beat + 1) / 1000, "heartbeat": true,
            }));
        }
        let Some(words) = call.input["load"].as_str().filter(|_| !self.args.demo) else {
            return Ok(());
        };
        let mut child = match load::start(words) {
            Ok(child) => child,
            Err(error) => {
                complain(&format!("load: {error}"));
                return Ok(());
            }
        };
        while matches!(child.try_wait(), Ok(None)) {
            if let Err(stop) = self.pause(Duration::from_millis(20)) {
                let _ = child.kill();
                let _ = child.wait();
                return Err(stop);
            }
        }
        Ok(())
    }

    fn reject(&mut self, call: &Call) {
        self.tool_result(call, REJECTED, true, "User rejected tool use".into());
    }

    fn tool_result(&mut self, call: &Call, content: &str, is_error: bool, detail: Value) {
        self.out.line(json!({
            "type": "user", "parent_tool_use_id": null,
            "message": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": content, "is_error": is_error}]},
            "tool_use_result": detail, "tool_result_meta": [{"id": call.id}],
        }));
    }

    fn judge(&mut self, turn: &mut Turn, call: &Call, stopped: &mut bool) -> Result<Verdict, Stop> {
        let free = self.args.bypass
            || self.args.allowed.contains(&call.name)
            || harmless(call)
            || self.remembered(call);
        if free || !self.args.asks || self.eof {
            if !std::mem::replace(stopped, true) {
                self.stopped(turn);
            }
            self.glance()?;
        }
        if free {
            if self.args.demo {
                self.pause(demo::TOOL_TIME)?;
            }
            return Ok(Verdict::Run { input: None });
        }
        if !self.args.asks {
            let message = format!(
                "Claude requested permissions to use {}, but you haven't granted it yet.",
                call.name
            );
            let mut line = json!({"type": "system", "subtype": "permission_denied"});
            merge(
                &mut line,
                json!({"tool_name": call.name, "tool_use_id": call.id, "message": message}),
            );
            self.out.line(line);
            return Ok(Verdict::Denied {
                message,
                interrupt: false,
            });
        }
        let id = Uuid::new_v4().to_string();
        let rule = call.input["command"]
            .as_str()
            .map(|c| json!({"toolName": call.name, "ruleContent": c}));
        let suggestion = json!({
            "type": "addRules", "rules": [rule.unwrap_or_else(|| json!({"toolName": call.name}))], "behavior": "allow", "destination": "localSettings",
        });
        let mut request = json!({
            "subtype": "can_use_tool", "tool_name": call.name, "display_name": call.name, "input": call.input,
            "tool_use_id": call.id,
        });
        if wants_a_person(call) {
            merge(&mut request, json!({"requires_user_interaction": true}));
        } else {
            merge(
                &mut request,
                json!({"permission_suggestions": [suggestion]}),
            );
        }
        if let Some(description) = call.input["description"]
            .as_str()
            .or(call.input["command"].as_str())
        {
            merge(&mut request, json!({"description": description}));
        }
        self.asking = Some(id.clone());
        self.state("requires_action");
        self.out
            .bare(&json!({"type": "control_request", "request_id": id, "request": request}));
        // The question comes before the end of the message that holds the call.
        if !std::mem::replace(stopped, true) {
            self.stopped(turn);
        }
        let answer = loop {
            if let Some(answer) = self.answers.remove(&id) {
                break answer;
            }
            if self.eof {
                break Value::Null;
            }
            if let Err(stop) = self.next(None) {
                self.state("running");
                return Err(stop);
            }
        };
        self.asking = None;
        self.state("running");
        let body = &answer["response"];
        if answer["subtype"] == "success" && body["behavior"] == "allow" {
            if let Some(updates) = body["updatedPermissions"].as_array() {
                self.allowed.extend(
                    updates
                        .iter()
                        .flat_map(|u| u["rules"].as_array().cloned().unwrap_or_default()),
                );
            }
            return Ok(Verdict::Run {
                input: body.get("updatedInput").cloned(),
            });
        }
        Ok(Verdict::Denied {
            message: body["message"]
                .as_str()
                .unwrap_or("the question was not answered")
                .to_owned(),
            interrupt: body["interrupt"] == true,
        })
    }

    /// Whether an earlier answer allowed calls like this for the session.
    fn remembered(&self, call: &Call) -> bool {
        let command = call.input["command"].as_str().unwrap_or_default();
        self.allowed.iter().any(|rule| {
            rule["toolName"] == call.name.as_str()
                && rule["ruleContent"]
                    .as_str()
                    .is_none_or(|rule| match rule.strip_suffix('*') {
                        Some(start) => command.starts_with(start.trim_end_matches(':')),
                        None => command == rule,
                    })
        })
    }
}

/// Calls that the real program allows by itself.
fn harmless(call: &Call) -> bool {
    match call.input["command"].as_str() {
        Some(command) => {
            command.starts_with("echo ") && !command.contains(['>', ';', '&', '|', '`', '$'])
        }
        None => matches!(call.name.as_str(), "Read" | "Glob" | "Grep"),
    }
}

/// Calls that are questions themselves.
fn wants_a_person(call: &Call) -> bool {
    matches!(call.name.as_str(), "AskUserQuestion" | "ExitPlanMode")
}

/// Result of a call that was allowed, perhaps with another input.
fn ran(call: &Call, input: Option<&Value>) -> String {
    if call.name == "AskUserQuestion" {
        let answers = input.and_then(|input| input["answers"].as_object());
        let Some(answers) = answers.filter(|answers| !answers.is_empty()) else {
            return "The user did not answer the questions.".to_owned();
        };
        let told: Vec<String> = answers.iter().map(|(q, a)| format!("{q:?}={a}")).collect();
        return format!(
            "Your questions have been answered: {}. You can now continue with these answers in mind.",
            told.join(", ")
        );
    }
    match call.input["command"]
        .as_str()
        .and_then(|c| c.strip_prefix("echo "))
    {
        Some(words) if harmless(call) => words.to_owned(),
        _ => "(scripted stand-in: nothing was run)".to_owned(),
    }
}
