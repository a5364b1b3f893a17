//! The webhook: stored, so that it stands in the way of polling, but never called.

use serde_json::{Value, json};

use crate::{
    answer::{ApiError, MethodResult},
    request::Params,
    state::{State, Webhook},
};

pub(super) fn set(state: &mut State, params: &Params) -> MethodResult {
    let url = params.text("url").unwrap_or_default();
    if url.is_empty() {
        return Ok(delete(state, params));
    }
    if !url.starts_with("https://") {
        return Err(ApiError::bad_request(
            "bad webhook: An HTTPS URL must be provided for webhook",
        ));
    }
    if params.flag("drop_pending_updates") {
        state.queue.clear();
    }
    let allowed: Vec<String> = params
        .json("allowed_updates")
        .and_then(|v| serde_json::from_value(v.clone()).ok())
        .unwrap_or_default();
    if params.json("allowed_updates").is_some() {
        state.queue.allow(allowed.iter().cloned().collect());
    }
    let max_connections = params.number("max_connections").unwrap_or(40);
    state.webhook = Some(Webhook {
        url,
        max_connections,
        allowed,
    });
    state.poll.webhook_set += 1;
    Ok(json!(true))
}

pub(super) fn delete(state: &mut State, params: &Params) -> Value {
    if params.flag("drop_pending_updates") {
        state.queue.clear();
    }
    state.webhook = None;
    json!(true)
}

pub(super) fn info(state: &mut State, now_ms: i64) -> Value {
    state.queue.expire(now_ms);
    let mut info = json!({
        "url": "",
        "has_custom_certificate": false,
        "pending_update_count": state.queue.pending().len(),
    });
    if let Some(webhook) = &state.webhook {
        info["url"] = json!(webhook.url);
        info["max_connections"] = json!(webhook.max_connections);
        if !webhook.allowed.is_empty() {
            info["allowed_updates"] = json!(webhook.allowed);
        }
    } else if let Some(kinds) = state.queue.allowed() {
        info["allowed_updates"] = json!(kinds);
    }
    info
}
