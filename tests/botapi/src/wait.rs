//! Waiting for a state.

use std::{fmt, time::Duration};

use serde_json::Value;

use crate::{observe::Call, shared::Shared, state::State};

/// A condition did not come true in time.
#[derive(Clone, Debug)]
pub struct TimedOut {
    /// How long it was waited for.
    pub waited: Duration,
    /// The state at the end, for the reader of a test's failure.
    pub state: String,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not within {:?}; {}", self.waited, self.state)
    }
}

impl std::error::Error for TimedOut {}

/// Waits until something can be read from the state. Wakes at changes only.
pub(crate) async fn wait<T>(
    shared: &Shared,
    deadline: Duration,
    mut read: impl FnMut(&State) -> Option<T>,
) -> Result<T, TimedOut> {
    let mut changed = shared.watch();
    let until = tokio::time::Instant::now() + deadline;
    loop {
        changed.borrow_and_update();
        if let Some(found) = shared.look(&mut read) {
            return Ok(found);
        }
        let woken = tokio::time::timeout_at(until, changed.changed()).await;
        if !matches!(woken, Ok(Ok(()))) {
            return Err(TimedOut {
                waited: deadline,
                state: shared.look(summary),
            });
        }
    }
}

/// The last calls and messages in a few lines.
fn summary(state: &State) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} calls, waiting updates {:?}, confirmed {:?}",
        state.calls_total,
        state.queue.pending(),
        state.queue.confirmed()
    );
    let mut last: Vec<&Call> = state
        .calls
        .iter()
        .rev()
        .filter(|c| c.method != "getUpdates")
        .take(8)
        .collect();
    last.reverse();
    for call in last {
        let _ = write!(
            text,
            "\n  call {} {} -> {:?}",
            call.method,
            short(&call.params),
            call.outcome
        );
    }
    for chat in state.chats.values() {
        for message in chat
            .messages
            .values()
            .skip(chat.messages.len().saturating_sub(8))
        {
            let who = if message.from_bot { "bot" } else { "person" };
            let _ = write!(
                text,
                "\n  chat {} message {} {who}: {:?}",
                chat.id, message.id, message.text
            );
        }
    }
    text
}

fn short(params: &Value) -> String {
    params.to_string().chars().take(200).collect()
}
