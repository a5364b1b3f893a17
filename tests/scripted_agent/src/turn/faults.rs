//! Faults: errors of the model's service, broken connections, silence, death.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Done, Turn};
use crate::{
    agent::{Agent, Stop},
    lines::{merge, prompts, usage},
    script::{Block, Cut, Death, Trouble},
};

impl Agent {
    /// A fault of the model's service. `Some`: the turn is over.
    pub(super) fn fault(
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
                self.started(turn);
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
                            self.aborted(turn, 0, &block, &shown);
                        }
                        return Err(stop);
                    }
                };
                match cut {
                    Cut::Hang => {
                        let stop = self.silence();
                        if !matches!(stop, Stop::Quit(_)) {
                            self.aborted(turn, 0, &block, &shown);
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
    pub(super) fn silence(&mut self) -> Stop {
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
