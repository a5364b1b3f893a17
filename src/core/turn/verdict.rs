//! How a turn ended, from what the agent says about it.

use serde::{Deserialize, Serialize};

use super::Ending;
use crate::core::{
    event::TurnResult,
    moment::utc,
    trouble::{Category, Trouble, quoted},
};

/// An error message that came in place of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AgentError {
    class: String,
    text: String,
    resets_at: Option<i64>,
}

impl AgentError {
    pub(super) fn new(class: &str, text: &str, resets_at: Option<i64>) -> Self {
        Self {
            class: quoted(class),
            text: quoted(text),
            resets_at,
        }
    }

    /// The trouble that it is. `status`: the HTTP status, where it is known.
    pub(super) fn trouble(&self, status: Option<u16>) -> Trouble {
        api_trouble(&self.class, &self.text, self.resets_at, status)
    }
}

/// Whether the agent refused to start, so that no prompt was read.
pub(super) fn startup_failure(result: &TurnResult) -> bool {
    result.startup_failure_reason.is_some()
        || (result.is_error && result.terminal_reason.is_none() && result.prompts.is_empty())
}

fn unknown_session(result: &TurnResult) -> bool {
    result.is_error
        && result.terminal_reason.is_none()
        && result
            .errors
            .iter()
            .any(|e| e.starts_with("No conversation found with session ID"))
}

/// How a turn with this result ended. The reason decides, not the subtype: errors of the model's service come as
/// `success`, and so did an aborted turn.
pub(super) fn ending(result: &TurnResult, error: Option<&AgentError>) -> Ending {
    let reason = result.terminal_reason.as_deref().unwrap_or_default();
    if reason.starts_with("aborted") {
        return Ending::Interrupted;
    }
    if !(result.is_error || result.subtype.starts_with("error")) {
        return Ending::Completed;
    }
    Ending::Failed(trouble(result, reason, error))
}

fn trouble(result: &TurnResult, reason: &str, error: Option<&AgentError>) -> Trouble {
    if unknown_session(result) {
        return Trouble::unknown_session();
    }
    if let Some(reason) = &result.startup_failure_reason {
        return startup_trouble(reason, &result.errors);
    }
    match reason {
        "prompt_too_long" => return too_long(),
        "max_turns" => return steps_used_up(),
        "budget_exhausted" => return budget_used_up(),
        _ => {}
    }
    match result.subtype.as_str() {
        "error_max_turns" => return steps_used_up(),
        "error_max_budget_usd" => return budget_used_up(),
        _ => {}
    }
    if let Some(error) = error {
        return error.trouble(result.api_error_status);
    }
    if result.api_error_status.is_some() || reason == "api_error" {
        let text = quoted(result.text.as_deref().unwrap_or_default());
        return api_trouble("unknown", &text, None, result.api_error_status);
    }
    // `errors` holds diagnostics of the agent's own, which say nothing to a person.
    Trouble::new(Category::Agent)
}

fn too_long() -> Trouble {
    Trouble::with(
        Category::InvalidInput,
        "This conversation has become too long for the model. Send /clear to start a new one.",
    )
}

fn steps_used_up() -> Trouble {
    Trouble::with(
        Category::Agent,
        "The agent stopped because it had made as many steps as one message allows. Write “continue” to let it go on.",
    )
}

fn budget_used_up() -> Trouble {
    Trouble::with(
        Category::Agent,
        "The budget of this session is used up. Send /clear to start a new one, or ask an administrator to raise it.",
    )
}

fn startup_trouble(reason: &str, errors: &[String]) -> Trouble {
    let detail = match reason {
        "config_file_invalid" => {
            "The agent did not start because its settings file `.claude.json` on the server is damaged. An administrator must repair or remove it.".to_owned()
        }
        "bypass_root" => {
            "The agent did not start because it never runs without permission checks as root. An administrator must give it another user or another permission mode.".to_owned()
        }
        other => with_quotation(
            &format!("The agent did not start ({})", quoted(other)),
            &quoted(&errors.join(" ")),
        ),
    };
    Trouble::with(Category::Agent, detail)
}

fn api_trouble(class: &str, text: &str, resets_at: Option<i64>, status: Option<u16>) -> Trouble {
    match (class, status) {
        ("authentication_failed", Some(403)) => Trouble::with(
            Category::Permission,
            "The model's service does not allow this to the agent's account. An administrator must check its login or key.",
        ),
        ("authentication_failed", _) | (_, Some(401)) => Trouble::with(
            Category::Permission,
            "The agent is not logged in on the server. An administrator must run `claude /login` or set a key.",
        ),
        ("oauth_org_not_allowed", _) => Trouble::with(
            Category::Permission,
            "The agent's account does not belong to an organisation that may be used here. An administrator must log it in with another one.",
        ),
        ("billing_error", _) | (_, Some(402)) => Trouble::with(
            Category::Agent,
            "The account that pays for the agent has no credit left. An administrator must top it up.",
        ),
        ("usage_limit_reached", _) => limit(resets_at),
        ("rate_limit", _) | (_, Some(429)) => match resets_at {
            Some(_) => limit(resets_at),
            None => Trouble::with(
                Category::RateLimit,
                "The model's service takes no more requests from this account for now. Please try again later.",
            ),
        },
        ("model_not_found", _) | (_, Some(404)) => Trouble::with(
            Category::Agent,
            "The model that is set does not exist, or the agent's account may not use it. An administrator must set another one.",
        ),
        ("overloaded", _) | (_, Some(529)) => Trouble::with(
            Category::Agent,
            "The model's service is overloaded. Please try again in a few minutes.",
        ),
        (_, Some(413)) => too_long(),
        (_, Some(408 | 504)) => timeout(),
        (_, Some(status)) if status >= 500 => Trouble::with(
            Category::Agent,
            format!(
                "The model's service has a fault (HTTP {status}). Please try again in a few minutes."
            ),
        ),
        (_, Some(status)) => Trouble::with(
            Category::InvalidInput,
            with_quotation(
                &format!("The model's service refused the request (HTTP {status})"),
                text,
            ),
        ),
        ("invalid_request", None) => Trouble::with(
            Category::InvalidInput,
            with_quotation("The model's service refused the request", text),
        ),
        ("max_output_tokens", _) => Trouble::with(
            Category::Agent,
            "The answer grew longer than the model may write. Please ask for less at once.",
        ),
        (_, None) => unreachable(text),
    }
}

/// No HTTP status: the connection itself failed, or took too long, or it is an error of the agent's own.
fn unreachable(text: &str) -> Trouble {
    let lower = text.to_lowercase();
    if lower.contains("timed out") || lower.contains("timeout") {
        return timeout();
    }
    if [
        "connect",
        "network",
        "socket",
        "fetch failed",
        "econn",
        "enotfound",
        "eai_again",
        "dns",
        "certificate",
    ]
    .iter()
    .any(|word| lower.contains(word))
    {
        return Trouble::with(
            Category::Network,
            "The agent cannot reach the model's service. Please try again in a moment.",
        );
    }
    if text.is_empty() {
        return Trouble::new(Category::Agent);
    }
    Trouble::with(
        Category::Agent,
        with_quotation("The agent could not answer", text),
    )
}

fn timeout() -> Trouble {
    Trouble::with(
        Category::Timeout,
        "The model's service did not answer in time. Please try again.",
    )
}

fn limit(resets_at: Option<i64>) -> Trouble {
    let until = resets_at.and_then(utc).map_or_else(
        || "Please try again later.".to_owned(),
        |time| format!("It is lifted at {time}."),
    );
    Trouble::with(
        Category::RateLimit,
        format!("The usage limit of the agent's account is reached. {until}"),
    )
}

fn with_quotation(sentence: &str, text: &str) -> String {
    if text.is_empty() {
        format!("{sentence}.")
    } else {
        format!("{sentence}: “{text}”")
    }
}
