//! How a turn ended, from what the agent says about it.

use serde::{Deserialize, Serialize};

use super::Ending;
use crate::core::{
    event::TurnResult,
    moment::utc,
    trouble::{Category, Trouble, quoted},
    words::model as words,
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
    Trouble::with(Category::InvalidInput, words::TOO_LONG.as_str())
}

fn steps_used_up() -> Trouble {
    Trouble::with(Category::Agent, words::STEPS_USED_UP.as_str())
}

fn budget_used_up() -> Trouble {
    Trouble::with(Category::Agent, words::BUDGET_USED_UP.as_str())
}

fn startup_trouble(reason: &str, errors: &[String]) -> Trouble {
    let detail = match reason {
        "config_file_invalid" => words::SETTINGS_DAMAGED.as_str().to_owned(),
        "bypass_root" => words::BYPASS_AS_ROOT.as_str().to_owned(),
        other => words::not_started(&quoted(other), &quoted(&errors.join(" "))),
    };
    Trouble::with(Category::Agent, detail)
}

fn api_trouble(class: &str, text: &str, resets_at: Option<i64>, status: Option<u16>) -> Trouble {
    match (class, status) {
        ("authentication_failed", Some(403)) => {
            Trouble::with(Category::Permission, words::FORBIDDEN.as_str())
        }
        ("authentication_failed", _) | (_, Some(401)) => {
            Trouble::with(Category::Permission, words::NOT_LOGGED_IN.as_str())
        }
        ("oauth_org_not_allowed", _) => {
            Trouble::with(Category::Permission, words::WRONG_ORGANISATION.as_str())
        }
        ("billing_error", _) | (_, Some(402)) => {
            Trouble::with(Category::Agent, words::NO_CREDIT.as_str())
        }
        ("usage_limit_reached", _) => limit(resets_at),
        ("rate_limit", _) | (_, Some(429)) => match resets_at {
            Some(_) => limit(resets_at),
            None => Trouble::with(Category::RateLimit, words::TOO_MANY_REQUESTS.as_str()),
        },
        ("model_not_found", _) | (_, Some(404)) => {
            Trouble::with(Category::Agent, words::NO_SUCH_MODEL.as_str())
        }
        ("overloaded", _) | (_, Some(529)) => {
            Trouble::with(Category::Agent, words::OVERLOADED.as_str())
        }
        (_, Some(413)) => too_long(),
        (_, Some(408 | 504)) => timeout(),
        (_, Some(status)) if status >= 500 => Trouble::with(Category::Agent, words::fault(status)),
        (_, Some(status)) => {
            Trouble::with(Category::InvalidInput, words::refused(Some(status), text))
        }
        ("invalid_request", None) => {
            Trouble::with(Category::InvalidInput, words::refused(None, text))
        }
        ("max_output_tokens", _) => Trouble::with(Category::Agent, words::ANSWER_TOO_LONG.as_str()),
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
        return Trouble::with(Category::Network, words::UNREACHABLE.as_str());
    }
    if text.is_empty() {
        return Trouble::new(Category::Agent);
    }
    Trouble::with(Category::Agent, words::could_not_answer(text))
}

fn timeout() -> Trouble {
    Trouble::with(Category::Timeout, words::TIMEOUT.as_str())
}

fn limit(resets_at: Option<i64>) -> Trouble {
    let until = resets_at.and_then(utc);
    Trouble::with(Category::RateLimit, words::usage_limit(until.as_deref()))
}
