//! getUpdates.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use crate::{
    answer::ApiError,
    queue::Queued,
    request::Params,
    shared::Shared,
    state::{Poll, State},
};

/// Longest poll, in seconds.
const MAX_TIMEOUT: i64 = 50;
/// A 409 that follows another sooner than this is held back for as long.
const CONFLICT_PAUSE: Duration = Duration::from_secs(3);

const OTHER_POLL: &str = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
const WEBHOOK_ACTIVE: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const WEBHOOK_SET: &str = "Conflict: terminated by setWebhook request";

enum Turn {
    Answer(Vec<Queued>),
    Wait {
        me: u64,
        webhook_set: u64,
        until: Instant,
        offset: i64,
        limit: usize,
    },
}

/// Answers with updates as soon as there are any; gives the JSON of the result.
pub(crate) async fn get_updates(shared: &Shared, params: &Params) -> Result<String, ApiError> {
    let mut changed = shared.watch();
    let turn = shared.change(|state| begin(state, params, shared.now_ms()))?;
    let (me, webhook_set, until, offset, limit) = match turn {
        Turn::Answer(batch) => return Ok(join(&batch)),
        Turn::Wait {
            me,
            webhook_set,
            until,
            offset,
            limit,
        } => (me, webhook_set, until, offset, limit),
    };
    // Gone with the request, also when the client hangs up.
    let _place = Place { shared, me };
    loop {
        let timed_out = tokio::select! {
            _ = changed.changed() => false,
            () = tokio::time::sleep_until(until.into()) => true,
        };
        changed.borrow_and_update();
        // Looked at first: a change of its own at every look would wake this loop for ever.
        let ready = shared.look(|state| {
            state.poll.webhook_set != webhook_set
                || state.poll.waiting != Some(me)
                || !state.queue.pending().is_empty()
        });
        if !ready && !timed_out {
            continue;
        }
        let result = shared.change(|state| {
            if state.poll.webhook_set != webhook_set {
                return Err(conflict(&mut state.poll, WEBHOOK_SET));
            }
            if state.poll.waiting != Some(me) {
                return Err(conflict(&mut state.poll, OTHER_POLL));
            }
            let batch = state.queue.read(offset, limit, shared.now_ms());
            if !batch.is_empty() || timed_out {
                state.poll.waiting = None;
            }
            Ok(batch)
        });
        match result {
            Err((error, pause)) => {
                if pause {
                    tokio::time::sleep(CONFLICT_PAUSE).await;
                }
                return Err(error);
            }
            Ok(batch) if !batch.is_empty() || timed_out => return Ok(join(&batch)),
            Ok(_) => {}
        }
    }
}

fn begin(state: &mut State, params: &Params, now_ms: i64) -> Result<Turn, ApiError> {
    if state.webhook.is_some() {
        return Err(ApiError::new(409, WEBHOOK_ACTIVE));
    }
    let offset = params.number("offset").unwrap_or(0);
    let mut limit = params
        .number("limit")
        .filter(|l| (1..=100).contains(l))
        .unwrap_or(100);
    let mut timeout = params.number("timeout").unwrap_or(0).clamp(0, MAX_TIMEOUT);
    if let Some(kinds) = params.json("allowed_updates")
        && let Ok(kinds) = serde_json::from_value::<BTreeSet<String>>(kinds.clone())
    {
        state.queue.allow(kinds);
    }
    // The brake on pollers that repeat themselves.
    let now = Instant::now();
    let since = state.poll.previous_start.map(|t| now.duration_since(t));
    if state.poll.previous_offset == Some(offset)
        && timeout < 3
        && since.is_some_and(|s| s < Duration::from_secs(3))
    {
        timeout = 3;
    }
    if state.poll.previous_offset == Some(offset)
        && since.is_some_and(|s| s < Duration::from_millis(500))
    {
        limit = 1;
    }
    state.poll.previous_offset = Some(offset);
    state.poll.previous_start = Some(now);
    let limit = usize::try_from(limit).unwrap_or(100);
    let batch = state.queue.read(offset, limit, now_ms);
    if !batch.is_empty() || timeout == 0 {
        return Ok(Turn::Answer(batch));
    }
    // Only a poll that has to wait ends the one that waits already.
    state.poll.next += 1;
    let me = state.poll.next;
    state.poll.waiting = Some(me);
    let until = now + Duration::from_secs(timeout.unsigned_abs());
    // A negative offset has done its work; the wait is for whatever comes next.
    let offset = offset.max(0);
    Ok(Turn::Wait {
        me,
        webhook_set: state.poll.webhook_set,
        until,
        offset,
        limit,
    })
}

/// A 409, and whether it is to be held back.
fn conflict(poll: &mut Poll, text: &str) -> (ApiError, bool) {
    let now = Instant::now();
    let pause = poll.next_conflict.is_some_and(|t| now < t);
    if !pause {
        poll.next_conflict = Some(now + CONFLICT_PAUSE);
    }
    (ApiError::new(409, text), pause)
}

/// The place of the poll that waits.
struct Place<'a> {
    shared: &'a Shared,
    me: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mine = self
            .shared
            .look(|state| state.poll.waiting == Some(self.me));
        if mine {
            self.shared.change(|state| {
                if state.poll.waiting == Some(self.me) {
                    state.poll.waiting = None;
                }
            });
        }
    }
}

fn join(batch: &[Queued]) -> String {
    let mut json = String::from("[");
    for (at, update) in batch.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push_str(&update.json);
    }
    json.push(']');
    json
}
