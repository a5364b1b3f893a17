//! Reading what a Bot API server answers, or that it does not.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use super::{CallError, Client};
use crate::{
    core::{json::repair_surrogates, messages},
    telegram::{
        breakage,
        classify::{Evidence, Transport, classify},
    },
};

/// Longest description that is kept of an error, in characters.
const DESCRIPTION_CHARS: usize = 300;

impl Client {
    /// A call that broke on the way. `http`: the status, where the head of an answer came.
    pub(in crate::telegram) fn broken(
        &self,
        method: &'static str,
        error: reqwest::Error,
        http: Option<u16>,
    ) -> CallError {
        let evidence = Evidence {
            transport: Some(transport(&error)),
            breakage: Some(breakage::of(&error)),
            http,
            ..Evidence::default()
        };
        // The URL holds the token.
        self.error(method, &evidence, Some(causes(&error.without_url())))
    }

    pub(super) fn read<R: DeserializeOwned>(
        &self,
        method: &'static str,
        status: u16,
        header_s: Option<u64>,
        body: &[u8],
    ) -> Result<R, CallError> {
        let text = String::from_utf8_lossy(body);
        let reply = match object::<Reply>(&text) {
            Ok(reply) => reply,
            Err(error) => {
                let evidence = Evidence {
                    http: Some(status),
                    retry_after_s: header_s,
                    ..Evidence::default()
                };
                let cause = format!(
                    "not an answer of the Bot API ({} bytes): {error}",
                    body.len()
                );
                return Err(self.error(method, &evidence, Some(cause)));
            }
        };
        if reply.ok {
            let result = reply.result.as_deref().map_or("null", RawValue::get);
            return match serde_json::from_str(result) {
                Ok(result) => {
                    self.0.tally.went_well();
                    Ok(result)
                }
                Err(error) => {
                    let evidence = Evidence {
                        http: Some(status),
                        ..Evidence::default()
                    };
                    let cause = format!("unexpected result: {error}");
                    Err(self.error(method, &evidence, Some(cause)))
                }
            };
        }
        // Each is taken for itself: an odd one does not cost the others.
        let value = |raw: &Option<Box<RawValue>>| -> Value {
            raw.as_deref()
                .and_then(|raw| {
                    serde_json::from_slice(&repair_surrogates(raw.get().as_bytes())).ok()
                })
                .unwrap_or_default()
        };
        let description = value(&reply.description);
        let parameters = value(&reply.parameters);
        let evidence = Evidence {
            http: Some(status),
            answered: true,
            code: value(&reply.error_code).as_i64(),
            description: description.as_str(),
            retry_after_s: parameters["retry_after"].as_u64().or(header_s),
            migrate_to: parameters["migrate_to_chat_id"].as_i64(),
            ..Evidence::default()
        };
        Err(self.error(method, &evidence, None))
    }

    pub(super) fn error(
        &self,
        method: &'static str,
        evidence: &Evidence<'_>,
        cause: Option<String>,
    ) -> CallError {
        let (class, reason) = classify(evidence, self.0.clock.now());
        // The token goes first: cut in two it could not be found any more.
        let tidy = |text: &str| -> String {
            self.0
                .token
                .strip_from(text)
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(DESCRIPTION_CHARS)
                .collect()
        };
        let error = CallError {
            method,
            class,
            reason,
            http: evidence.http,
            code: evidence.code,
            description: evidence.description.map(tidy),
            breakage: evidence.breakage,
            cause: cause.as_deref().map(tidy),
        };
        self.0.tally.failed(&error);
        if error.is_unknown() {
            // All the evidence there is, so that the next version knows it.
            tracing::warn!(
                event = messages::CALL_UNKNOWN,
                method,
                class = ?error.class,
                cause = %error,
                "a failure of a call to Telegram that telexd does not know; it is treated with care"
            );
        }
        error
    }
}

/// What an answer of a Bot API server looks like. Values are kept raw, so that one that is odd does no harm.
#[derive(Deserialize)]
struct Reply {
    ok: bool,
    result: Option<Box<RawValue>>,
    error_code: Option<Box<RawValue>>,
    description: Option<Box<RawValue>>,
    parameters: Option<Box<RawValue>>,
}

/// Reads an object; a list would else be taken for the fields in their order.
fn object<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    if text.trim_start().starts_with('[') {
        return Err(<serde_json::Error as serde::de::Error>::custom("a list"));
    }
    serde_json::from_str(text)
}

/// Where a request broke.
fn transport(error: &reqwest::Error) -> Transport {
    if error.is_builder() {
        Transport::Unmade
    } else if error.is_connect() {
        Transport::NotSent
    } else if error.is_timeout() {
        Transport::Timeout
    } else {
        // Reset, closed, half an answer: whether the request was read is not known.
        Transport::Broken
    }
}

/// An error with everything that led to it, in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Wrappers often repeat the text of what they wrap.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}
