//! Playing people and faults over HTTP, for tests in other languages.
//!
//! | route | body or query | answer |
//! |---|---|---|
//! | `POST message` | `from`, `name`, `chat`, `text`, `thread`, `reply_to`, `quote`, `forwarded_from` (a name) | `message_id` |
//! | `POST document` | `from`, `name`, `chat`, `file_name`, `mime`, `content` (text), `caption` | `message_id` |
//! | `POST album` | `from`, `name`, `chat`, `contents` (texts, one for each file), `caption` | `message_ids` |
//! | `POST edit` | `from`, `chat`, `message_id`, `text` | |
//! | `POST press` | `from`, `chat`, `message_id`, `data` | `id` of the query |
//! | `POST stop_draft` | `from`, `thread` | `draft_id` |
//! | `POST inject` | an update without `update_id` | `update_id` |
//! | `POST fault` | `method`, `times`, `kind` and its fields | `id` |
//! | `POST clear_faults` | | |
//! | `POST flood` | limits | |
//! | `POST forget_callback` | `id` | |
//! | `GET messages` | `chat` | messages |
//! | `GET drafts` | `chat` | drafts |
//! | `GET calls` | | calls |
//! | `GET callback_answers` | | answers |
//! | `GET updates` | | `pending`, `confirmed` |
//! | `GET wait_polled` | | when a poll waits, at most 10 s |

use std::{sync::Arc, time::Duration};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    faults::{Fault, FaultKind},
    flood::FloodLimits,
    inject,
    origin::Origin,
    outgoing::Outgoing,
    person::Person,
    shared::Shared,
    wait,
};

/// A request was not understood.
struct Misread(String);

impl From<serde_json::Error> for Misread {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Deserialize)]
struct Act {
    from: i64,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    chat: Option<i64>,
    #[serde(default)]
    message_id: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    thread: Option<i64>,
    #[serde(default)]
    reply_to: Option<i64>,
    #[serde(default)]
    file_name: String,
    #[serde(default)]
    mime: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    quote: Option<String>,
    #[serde(default)]
    forwarded_from: Option<String>,
    #[serde(default)]
    contents: Vec<String>,
}

#[derive(Deserialize)]
struct FaultSpec {
    method: Option<String>,
    times: Option<u32>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Delay {
        ms: u64,
    },
    TooMany {
        retry_after: u64,
        #[serde(default = "yes")]
        parameters: bool,
        #[serde(default)]
        header: bool,
    },
    Html {
        status: u16,
    },
    Answer {
        status: u16,
        body: String,
        #[serde(default = "json_type")]
        content_type: String,
    },
    ResetBefore,
    ResetAfter,
    Hang {
        #[serde(default)]
        taken: bool,
    },
    TruncatedBody,
    OversizedBody {
        bytes: u64,
    },
}

fn yes() -> bool {
    true
}

fn json_type() -> String {
    "application/json".to_owned()
}

impl From<FaultSpec> for Fault {
    fn from(spec: FaultSpec) -> Self {
        let kind = match spec.kind {
            Kind::Delay { ms } => FaultKind::Delay(Duration::from_millis(ms)),
            Kind::TooMany {
                retry_after,
                parameters,
                header,
            } => FaultKind::TooManyRequests {
                retry_after,
                parameters,
                header,
            },
            Kind::Html { status } => FaultKind::Html(status),
            Kind::Answer {
                status,
                body,
                content_type,
            } => FaultKind::Answer {
                status,
                content_type,
                body: body.into(),
            },
            Kind::ResetBefore => FaultKind::ResetBefore,
            Kind::ResetAfter => FaultKind::ResetAfter,
            Kind::Hang { taken } => FaultKind::Hang { taken },
            Kind::TruncatedBody => FaultKind::TruncatedBody,
            Kind::OversizedBody { bytes } => FaultKind::OversizedBody(bytes),
        };
        Self {
            method: spec.method,
            times: spec.times,
            when: None,
            kind,
        }
    }
}

/// Answers a request below `/sim/`: status and JSON.
pub(crate) async fn handle(
    shared: &Arc<Shared>,
    verb: &Method,
    route: &str,
    query: Option<&str>,
    body: &[u8],
) -> (u16, String) {
    let result = match (verb.as_str(), route) {
        ("GET", "wait_polled") => wait_polled(shared).await,
        ("GET", _) => Ok(look(shared, route, query)),
        ("POST", _) => act(shared, route, body),
        _ => Ok(None),
    };
    match result {
        Ok(Some(value)) => (200, value.to_string()),
        Ok(None) => (404, json!({"error": "no such route"}).to_string()),
        Err(Misread(error)) => (400, json!({ "error": error }).to_string()),
    }
}

async fn wait_polled(shared: &Shared) -> Result<Option<Value>, Misread> {
    wait::wait(shared, Duration::from_secs(10), |view| {
        view.is_polled().then_some(())
    })
    .await
    .map(|()| Some(json!({})))
    .map_err(|late| Misread(late.to_string()))
}

fn look(shared: &Shared, route: &str, query: Option<&str>) -> Option<Value> {
    let chat = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(name, _)| name == "chat")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    shared.look(|view| match route {
        "messages" => Some(json!(view.messages(chat))),
        "drafts" => Some(json!(view.drafts(chat))),
        "calls" => Some(json!(view.calls())),
        "callback_answers" => Some(json!(view.callback_answers())),
        "updates" => {
            Some(json!({"pending": view.pending_updates(), "confirmed": view.confirmed_offset()}))
        }
        _ => None,
    })
}

fn act(shared: &Arc<Shared>, route: &str, body: &[u8]) -> Result<Option<Value>, Misread> {
    let value = match route {
        "fault" => {
            let fault = Fault::from(serde_json::from_slice::<FaultSpec>(body)?);
            json!({"id": shared.change(|state| state.faults.arm(fault)).0})
        }
        "clear_faults" => {
            shared.change(|state| state.faults.clear());
            json!({})
        }
        "flood" => {
            let limits = serde_json::from_slice::<FloodLimits>(body)?;
            shared.change(|state| state.flood.limits = limits);
            json!({})
        }
        "forget_callback" => {
            let id = serde_json::from_slice::<Value>(body)?["id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            shared.change(|state| state.callbacks.remove(&id));
            json!({})
        }
        "inject" => {
            let text = std::str::from_utf8(body).map_err(|e| Misread(e.to_string()))?;
            json!({"update_id": inject::inject(shared, text).map_err(|e| Misread(e.to_string()))?})
        }
        "message" | "document" | "album" | "edit" | "press" | "stop_draft" => {
            let act: Act = serde_json::from_slice(body)?;
            person_acts(shared, route, act)?
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn person_acts(shared: &Arc<Shared>, route: &str, act: Act) -> Result<Value, Misread> {
    let person = Person::of(shared, act.from, act.name.as_deref().unwrap_or("Ann"));
    let chat = act.chat.unwrap_or(act.from);
    match route {
        "edit" => {
            person.edit(chat, act.message_id, &act.text);
            Ok(json!({}))
        }
        "press" => person
            .press(chat, act.message_id, &act.data)
            .map(|id| json!({ "id": id }))
            .map_err(|missing| Misread(missing.to_string())),
        "stop_draft" => person
            .stop_draft(act.thread)
            .map(|id| json!({ "draft_id": id }))
            .map_err(|none| Misread(none.to_string())),
        "album" => {
            let parts = act.contents.iter().zip(0..).map(|(content, n)| {
                let part = Outgoing::document(&format!("{n}.txt"), "text/plain", content.clone());
                let caption = if n == 0 { act.caption.as_str() } else { "" };
                part.caption(caption)
            });
            Ok(json!({"message_ids": person.send_album(chat, parts.collect())}))
        }
        _ => {
            let mut message = if route == "document" {
                Outgoing::document(&act.file_name, &act.mime, act.content).caption(act.caption)
            } else {
                Outgoing::text(act.text)
            };
            if let Some(thread) = act.thread {
                message = message.thread(thread);
            }
            if let Some(answered) = act.reply_to {
                message = message.reply_to(answered);
            }
            if let Some(passage) = act.quote {
                message = message.quoting(&passage);
            }
            if let Some(name) = act.forwarded_from {
                message = message.forwarded(Origin::hidden(&name));
            }
            Ok(json!({"message_id": person.send(chat, message)}))
        }
    }
}
