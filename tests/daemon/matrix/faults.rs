//! What goes wrong, and how often.

use std::sync::{Arc, Mutex};

use telexd_botapi::{Call, FaultKind, Network};

use super::Stage;
use crate::support::USER;

/// How a fault comes over the daemon.
#[derive(Clone, Debug)]
pub enum Blow {
    /// Calls go wrong.
    Strikes(FaultKind),
    /// The network is cut while a call is under way, until a poll has failed.
    Cut(Network),
    /// The daemon is killed while a call is under way. `taken`: whether Telegram has done what it asks for.
    Kill { taken: bool },
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub blow: Blow,
    /// How many polls it hits.
    pub polls: u32,
    /// How many calls it hits that show something.
    pub calls: u32,
}

impl Kind {
    fn strikes(name: &'static str, kind: FaultKind, polls: u32, calls: u32) -> Self {
        Self {
            name,
            blow: Blow::Strikes(kind),
            polls,
            calls,
        }
    }

    pub fn html_502() -> Self {
        Self::strikes("502, HTML", FaultKind::Html(502), 1, 2)
    }

    pub fn json_500() -> Self {
        Self::strikes(
            "500, JSON",
            FaultKind::refused(500, "Internal Server Error"),
            1,
            2,
        )
    }

    pub fn flood(name: &'static str, retry_after: u64, times: u32) -> Self {
        let kind = FaultKind::TooManyRequests {
            retry_after,
            parameters: true,
            header: false,
        };
        Self::strikes(name, kind, 1, times)
    }

    pub fn reset_before() -> Self {
        Self::strikes("reset before it is taken", FaultKind::ResetBefore, 1, 2)
    }

    pub fn reset_after() -> Self {
        Self::strikes("reset after it is taken", FaultKind::ResetAfter, 1, 2)
    }

    /// Longer than the daemon waits.
    pub fn no_answer(taken: bool) -> Self {
        let name = if taken {
            "no answer, though taken"
        } else {
            "no answer"
        };
        Self::strikes(name, FaultKind::Hang { taken }, 1, 1)
    }

    pub fn truncated() -> Self {
        Self::strikes("truncated body", FaultKind::TruncatedBody, 1, 2)
    }

    /// More than is ever read of an answer.
    pub fn oversized() -> Self {
        Self::strikes("oversized body", FaultKind::OversizedBody(6 << 20), 1, 2)
    }

    /// Something on the way answers in Telegram's place, and says that all is well.
    pub fn captive_portal() -> Self {
        let kind = FaultKind::Answer {
            status: 200,
            content_type: "text/html".to_owned(),
            body: "<html><body>Welcome! Please log in.</body></html>".into(),
        };
        Self::strikes("captive portal (HTML, 200)", kind, 1, 2)
    }

    /// Only polls meet it.
    pub fn conflict() -> Self {
        let text = "Conflict: terminated by other getUpdates request";
        Self::strikes("409", FaultKind::refused(409, text), 2, 0)
    }

    pub fn unauthorized() -> Self {
        Self::strikes("401", FaultKind::refused(401, "Unauthorized"), 1, 1)
    }

    pub fn cut(name: &'static str, network: Network) -> Self {
        Self {
            name,
            blow: Blow::Cut(network),
            polls: 1,
            calls: 1,
        }
    }

    pub fn killed(taken: bool) -> Self {
        Self {
            name: if taken {
                "`kill -9`, though taken"
            } else {
                "`kill -9`"
            },
            blow: Blow::Kill { taken },
            polls: 1,
            calls: 1,
        }
    }

    /// What the server does to the calls that are hit. Where something else happens, they are held until that has.
    pub fn wire(&self) -> FaultKind {
        match &self.blow {
            Blow::Strikes(kind) => kind.clone(),
            Blow::Cut(_) => FaultKind::Hang { taken: false },
            Blow::Kill { taken } => FaultKind::Hang { taken: *taken },
        }
    }
}

impl Stage {
    /// Whether it is this call with which the prompt comes to this stage.
    pub fn begins_with(self, call: &Call) -> bool {
        let text = call.params["text"].as_str().unwrap_or_default();
        let here = call.params["chat_id"].as_i64() == Some(USER);
        let sends = call.method == "sendMessage" && here;
        let edits = call.method == "editMessageText" && here;
        let polls = call.method == "getUpdates";
        match self {
            Self::Poll => polls,
            Self::Commit => polls && call.params["offset"].as_i64().is_some(),
            Self::Launch => sends,
            Self::FirstOutput => (edits || sends) && text.contains("piece-"),
            Self::MidAnswer => (edits || sends) && text.contains("piece-10"),
            Self::Question => sends && text.contains("May the agent use"),
            Self::Pending => polls || edits || sends,
            Self::FinalSend => sends && text.contains("allowed"),
        }
    }
}

/// Lets a fault begin with a certain call, and counts its strikes.
#[derive(Clone)]
pub struct Trigger(Arc<Mutex<Left>>);

struct Left {
    begun: bool,
    polls: u32,
    calls: u32,
}

impl Trigger {
    pub fn new(polls: u32, calls: u32) -> Self {
        Self(Arc::new(Mutex::new(Left {
            begun: false,
            polls,
            calls,
        })))
    }

    pub fn begun(&self) -> bool {
        self.0.lock().unwrap().begun
    }

    /// Whether the fault hits this call.
    pub fn strikes(&self, call: &Call, begins: impl Fn(&Call) -> bool) -> bool {
        let mut left = self.0.lock().unwrap();
        left.begun = left.begun || begins(call);
        if !left.begun {
            return false;
        }
        let left = match &*call.method {
            "getUpdates" => &mut left.polls,
            "sendMessage" | "editMessageText" | "deleteMessage" | "answerCallbackQuery" => {
                &mut left.calls
            }
            // What nobody misses.
            _ => return false,
        };
        if *left == 0 {
            return false;
        }
        *left -= 1;
        true
    }
}
