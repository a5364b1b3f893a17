//! One message of the model, in pieces and whole.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Call, Turn};
use crate::{
    agent::{Agent, Stop},
    lines::{merge, message, prompts, usage},
    script::{Answer, Block},
};

impl Agent {
    /// A message begins.
    pub(super) fn started(&mut self, turn: &mut Turn) {
        self.messages += 1;
        let id = format!("msg_{}_{}", std::process::id(), self.messages);
        turn.messages.push(id.clone());
        let start = message(&id, &self.model, json!([]), None);
        let first = !std::mem::replace(&mut turn.started, true);
        let named = if first {
            prompts(&turn.uuids)
        } else {
            json!({})
        };
        self.stream(
            turn,
            json!({"type": "message_start", "message": start}),
            named,
        );
    }

    pub(super) fn stream(&mut self, turn: &Turn, event: Value, more: Value) {
        if self.args.partial && !turn.silent {
            let id = turn.messages.last().cloned().unwrap_or_default();
            self.out.stream(&id, event, more);
        }
    }

    /// A message of the model, up to and with its `message_delta`.
    pub(super) fn answer(&mut self, turn: &mut Turn, answer: &Answer) -> Result<Vec<Call>, Stop> {
        self.started(turn);
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
                    self.aborted(turn, index, block, &shown);
                }
                return Err(stop);
            }
            if matches!(block, Block::Thinking(_)) {
                let delta = json!({"type": "signature_delta", "signature": "scripted"});
                self.stream(
                    turn,
                    json!({"type": "content_block_delta", "index": index, "delta": delta}),
                    json!({}),
                );
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
    pub(super) fn stopped(&mut self, turn: &mut Turn) {
        self.stream(turn, json!({"type": "message_stop"}), json!({}));
        turn.silent = false;
    }

    pub(super) fn assistant(&mut self, turn: &mut Turn, content: Value, more: Value) {
        let id = turn.messages.last().cloned().unwrap_or_default();
        let mut line = json!({
            "type": "assistant", "message": message(&id, &self.model, content, None), "parent_tool_use_id": null,
            "request_id": format!("req_{id}"),
        });
        if !std::mem::replace(&mut turn.spoke, true) {
            merge(&mut line, prompts(&turn.uuids));
        }
        merge(&mut line, more);
        self.out.line(line);
    }

    /// The pieces of a block, at most so many. On `Err`, what of it was streamed.
    pub(super) fn deltas(
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
    pub(super) fn aborted(&mut self, turn: &mut Turn, index: usize, block: &Block, shown: &str) {
        if !shown.is_empty() {
            let whole = match block {
                Block::Thinking(_) => {
                    json!({"type": "thinking", "thinking": shown, "signature": ""})
                }
                _ => json!({"type": "text", "text": shown}),
            };
            self.assistant(turn, json!([whole]), json!({"aborted": true}));
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

    pub(super) fn abandoned(&mut self, turn: &Turn, from: usize) {
        let id = turn.messages.last().cloned().unwrap_or_default();
        let blocks = json!({"abandoned_blocks": {"api_message_id": id, "from_block_index": from}});
        self.stream(turn, json!({"type": "message_stop"}), blocks);
    }

    pub(super) fn interrupted(&mut self, text: &str) {
        self.out.line(json!({
            "type": "user", "message": {"role": "user", "content": [{"type": "text", "text": text}]}, "parent_tool_use_id": null,
        }));
    }
}
