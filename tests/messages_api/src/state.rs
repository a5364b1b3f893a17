//! What was asked so far, shared by the server and the test.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    conversation::Ask,
    script::{Answer, Block, Cut, Script, Step, Trouble, http},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Headers with lower-case names. The values of `x-api-key` and `authorization` are replaced by `present`.
    pub headers: Vec<(String, String)>,
    /// Body, null where it is not JSON.
    pub body: Value,
    /// What it asks, for `POST /v1/messages`.
    pub ask: Option<Ask>,
    /// Whether its reply was cut off or an error.
    pub fault: bool,
}

impl Request {
    /// Value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Whether it carried a key or a token.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.header("x-api-key").is_some() || self.header("authorization").is_some()
    }
}

type Handler = Box<dyn Fn(&Ask) -> Option<Step> + Send>;

#[derive(Default)]
struct Inner {
    requests: Vec<Request>,
    handlers: Vec<Handler>,
    faults: HashMap<(Option<String>, String, usize), u32>,
}

/// Shared state.
#[derive(Clone, Default)]
pub struct State(Arc<Shared>);

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    condvar: Condvar,
    notify: Notify,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("requests", &self.lock().requests.len())
            .finish()
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    pub fn on(&self, handler: Handler) {
        self.lock().handlers.push(handler);
    }

    /// Takes a request and decides on the reply to it. The text of an answer is complete.
    pub fn decide(&self, mut request: Request) -> Step {
        let mut inner = self.lock();
        let step = match &request.ask {
            Some(ask) => inner.decide(ask),
            None => Step::Answer(Answer::text("")),
        };
        request.fault = matches!(step, Step::Fault(..));
        inner.requests.push(request);
        drop(inner);
        self.0.condvar.notify_all();
        self.0.notify.notify_waiters();
        step
    }

    /// Waits, blocking, until the condition holds. Gives up after the deadline, with false.
    pub fn block_for(&self, deadline: Duration, mut holds: impl FnMut(&[Request]) -> bool) -> bool {
        let end = Instant::now() + deadline;
        let mut inner = self.lock();
        loop {
            if holds(&inner.requests) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self
                .0
                .condvar
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// As [`Self::block_for`], without blocking the thread.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        mut holds: impl FnMut(&[Request]) -> bool,
    ) -> bool {
        let waits = async {
            loop {
                let changed = self.0.notify.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(&self.lock().requests) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(deadline, waits).await.is_ok()
    }

    /// How often each prompt stands in the conversations: per session the most that any of its requests shows.
    pub fn prompts_seen(&self) -> Vec<(String, usize)> {
        let mut most: BTreeMap<(Option<String>, String), usize> = BTreeMap::new();
        for ask in self.lock().requests.iter().filter_map(|r| r.ask.as_ref()) {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for prompt in &ask.prompts {
                *counts.entry(prompt).or_default() += 1;
            }
            for (prompt, count) in counts {
                let known = most
                    .entry((ask.session.clone(), prompt.to_owned()))
                    .or_default();
                *known = (*known).max(count);
            }
        }
        let mut total: BTreeMap<String, usize> = BTreeMap::new();
        for ((_, prompt), count) in most {
            *total.entry(prompt).or_default() += count;
        }
        total.into_iter().collect()
    }
}

impl Inner {
    fn decide(&mut self, ask: &Ask) -> Step {
        if let Some(step) = self.handlers.iter().rev().find_map(|handler| handler(ask)) {
            return complete(step, ask);
        }
        let also: Vec<String> = ask
            .folded
            .iter()
            .map(|text| format!("\n\nalso: {text}"))
            .collect();
        let script = Script::parse(&ask.prompt);
        let unfit = http(400, "bad script: this directive is for the scripted agent");
        let loads = |step: &Step| {
            matches!(step, Step::Answer(a) if a.blocks.iter().any(
                |b| matches!(b, Block::Tool { input, .. } if !input["load"].is_null())
            ))
        };
        if script.spawn.is_some() || script.background.is_some() || script.steps.iter().any(loads) {
            return Step::Fault(unfit, None);
        }
        let key = (ask.session.clone(), ask.prompt.clone(), ask.answered);
        let failed = self.faults.entry(key).or_default();
        let step = script.step(ask.answered, *failed);
        match step {
            Step::Fault(Trouble::Mid(_, Cut::Die { .. }), _) => Step::Fault(unfit, None),
            Step::Fault(..) => {
                *failed += 1;
                step
            }
            Step::Answer(mut answer) => {
                let last = !answer
                    .blocks
                    .iter()
                    .any(|b| matches!(b, Block::Tool { .. }));
                if let (true, Some(Block::Text(text))) = (last, answer.blocks.last_mut()) {
                    text.push_str(&also.concat());
                }
                complete(Step::Answer(answer), ask)
            }
        }
    }
}

/// Puts in what a script cannot know.
fn complete(mut step: Step, ask: &Ask) -> Step {
    if let Step::Answer(answer) = &mut step {
        for block in &mut answer.blocks {
            if let Block::Text(text) = block {
                *text = text
                    .replace("{outcome}", if ask.allowed { "allowed" } else { "denied" })
                    .replace("{told}", &ask.told);
            }
        }
    }
    step
}
