//! Brings one row of the outbox about, or finds out why that cannot be.

use std::{sync::Arc, time::Duration};

use teloxide_core::{
    payloads::{AnswerCallbackQuery, DeleteMessage, SendChatAction},
    types::{CallbackQueryId, ChatAction},
};

use super::{
    DeliveryConfig,
    content::{self, BadId, Dress},
    outcome::{After, Step, Times, after, first_dress, kept_back, step},
};
use crate::{
    core::{Millis, backoff::BackoffRule, messages, text::Shown, trouble::CallClass},
    gateway::ports::{Clock, Dice},
    store::{
        Store, StoreError,
        rows::{OutRow, OutState, OutboxId, Wanted},
    },
    telegram::{
        chance,
        classify::Reason,
        client::{CallError, Client, Document},
        render,
    },
};

/// What all attempts work with.
pub(super) struct Tools {
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dice: Arc<dyn Dice>,
    pub(super) config: DeliveryConfig,
}

/// What an attempt tells about the way to Telegram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Telegram answered.
    Open,
    /// It answered that this came too early (429).
    Limited,
    /// It did not, or a server error did.
    Shut,
    /// The token is refused.
    Refused,
    /// No call was made.
    Untried,
}

/// How long it may take to find out whether anything gets through.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// First wait before the database is asked again to take what has happened, in milliseconds.
const RECORD_RETRY_MS: u64 = 200;

/// Longest such wait, in milliseconds.
const RECORD_RETRY_CAP_MS: u64 = 10_000;

/// Makes the call that the row needs and records what came of it.
///
/// Dropped or killed between the call and the record, a first send is found as "on the wire" by the next
/// life and counts as ambiguous; anything else is simply done again.
///
/// # Errors
/// The store's, before the call. After it the record is tried until it is taken or the store is closed.
pub(super) async fn attempt(tools: &Tools, id: OutboxId) -> Result<Way, StoreError> {
    let Some(row) = take(tools, id).await? else {
        return Ok(Way::Untried);
    };
    if step(&row) == Step::Send {
        fail::fail_point!("outbox-claimed", |_| Ok(Way::Untried));
    }
    let step = step(&row);
    let mut dress = first_dress(&row);
    loop {
        let result = call(tools, &row, step, dress).await;
        fail::fail_point!("outbox-wire-done", |_| Ok(Way::Untried));
        let now = tools.clock.now();
        let (record, way) = match result {
            Ok(Some(message_id)) => (Record::Sent(Some(message_id)), Way::Open),
            Ok(None) => (
                Record::Sent(row.message_id),
                if step == Step::Nothing {
                    Way::Untried
                } else {
                    Way::Open
                },
            ),
            Err(error) => {
                let mut way = way(&error);
                let times = Times {
                    now,
                    retry_ms: wait_ms(tools, tools.config.retry, row.attempts),
                    ambiguous_ms: wait_ms(tools, tools.config.ambiguous, row.ambiguous),
                    press_life_ms: tools.config.press_life_ms,
                };
                let after = match kept_back(&row, step, &error) {
                    Some(remedy) if gets_through(tools, &row).await => {
                        way = Way::Open;
                        remedy
                    }
                    _ => after(&row, step, dress, &error, times),
                };
                log(&row, &error, &after);
                match after {
                    After::Redress(other) => {
                        dress = other;
                        continue;
                    }
                    After::Done => (Record::Sent(row.message_id), way),
                    after => (
                        Record::Failed {
                            after,
                            error: error.to_string(),
                        },
                        way,
                    ),
                }
            }
        };
        write(tools, &row, now, record).await?;
        fail::fail_point!("outbox-recorded", |_| Ok(way));
        return Ok(way);
    }
}

/// The row with its newest content; a first send is marked as on the wire. `None`: there is nothing to be done any more.
async fn take(tools: &Tools, id: OutboxId) -> Result<Option<OutRow>, StoreError> {
    tools
        .store
        .tx(move |tx| {
            let Some(row) = tx.out_row(id)? else {
                return Ok(None);
            };
            let free = row.state == OutState::Pending
                && (step(&row) != Step::Send || tx.out_sending(id, row.revision)?);
            Ok(free.then_some(row))
        })
        .await
}

async fn call(
    tools: &Tools,
    row: &OutRow,
    step: Step,
    dress: Dress,
) -> Result<Option<i64>, CallError> {
    let client = &tools.client;
    let chat_id = row.target.chat_id;
    match (step, &row.wanted) {
        (
            Step::Send,
            Wanted::Show(
                shown @ Shown {
                    file: Some(file), ..
                },
            ),
        ) => {
            let fields = content::document(row.target, shown, dress).map_err(bad_id)?;
            let document = Document {
                fields: &fields,
                name: &file.name,
                bytes: file.text.as_bytes(),
            };
            client.send_document(&document).await.map(Some)
        }
        (Step::Send, Wanted::Show(shown)) => {
            let payload = content::new_message(row.target, shown, dress).map_err(bad_id)?;
            client.send_message(&payload).await.map(Some)
        }
        (Step::Edit(id), Wanted::Show(shown)) => {
            let payload = content::edited_message(chat_id, id, shown, dress).map_err(bad_id)?;
            client.edit_message_text(&payload).await.map(|()| None)
        }
        (Step::Delete(id), _) => {
            let id = content::message_id(id).map_err(bad_id)?;
            let payload = DeleteMessage::new(content::recipient(chat_id), id);
            client.delete_message(&payload).await.map(|()| None)
        }
        (Step::Answer, Wanted::PressAnswer { callback_id, text }) => {
            let mut payload = AnswerCallbackQuery::new(CallbackQueryId(callback_id.clone()));
            payload.text = content::press_text(text);
            client.answer_callback_query(&payload).await.map(|()| None)
        }
        // `step` pairs them as above.
        (Step::Send | Step::Edit(_) | Step::Answer | Step::Nothing, _) => Ok(None),
    }
}

/// A row that no call can be made for.
pub(super) fn bad_id(error: BadId) -> CallError {
    CallError {
        method: "(none)",
        class: CallClass::Rejected,
        reason: Reason::NoRights,
        http: None,
        code: None,
        description: None,
        breakage: None,
        cause: Some(error.to_string()),
    }
}

fn way(error: &CallError) -> Way {
    match error.class {
        CallClass::Safe | CallClass::Ambiguous => Way::Shut,
        CallClass::Unauthorized | CallClass::Fatal => Way::Refused,
        CallClass::WaitUntil(_) => Way::Limited,
        CallClass::Rejected | CallClass::Conflict => Way::Open,
    }
}

/// Whether another call gets through to Telegram now, to the same chat: an outage says nothing about files and edits.
async fn gets_through(tools: &Tools, row: &OutRow) -> bool {
    let chat = content::recipient(row.target.chat_id);
    let sign = SendChatAction::new(chat, ChatAction::UploadDocument);
    match tokio::time::timeout(PROBE_TIMEOUT, tools.client.send_chat_action(&sign)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => matches!(way(&error), Way::Open | Way::Limited),
        Err(_) => false,
    }
}

/// Wait before the next try, after so many failures and one more.
fn wait_ms(tools: &Tools, rule: BackoffRule, failures: i64) -> u64 {
    let failures = u32::try_from(failures.saturating_add(1)).unwrap_or(u32::MAX);
    rule.delay_ms(failures, chance::share(&*tools.dice))
}

/// What came of an attempt.
#[derive(Clone, Debug)]
enum Record {
    Sent(Option<i64>),
    Failed { after: After, error: String },
}

/// Writes it down, again and again while the database cannot take it: what Telegram has done must not be
/// forgotten for want of disk space, or it would be done twice.
async fn write(tools: &Tools, row: &OutRow, now: Millis, record: Record) -> Result<(), StoreError> {
    let mut wait_ms = RECORD_RETRY_MS;
    loop {
        let (row, record) = (row.clone(), record.clone());
        let (id, revision) = (row.id, row.revision);
        let written = tools
            .store
            .tx(move |tx| match record {
                // The edit was made while the message became unwanted: it is still to be deleted.
                Record::Sent(_)
                    if row.wanted != Wanted::Gone
                        && row.message_id.is_some()
                        && tx
                            .out_row(id)?
                            .is_some_and(|row| row.wanted == Wanted::Gone) =>
                {
                    tx.out_later(id, "", now, now)
                }
                Record::Sent(message_id) => tx.out_sent(id, revision, message_id, now),
                Record::Failed { after, error } => match after {
                    After::WaitUntil(until) => {
                        // The chat's deadline first: it holds for all that is waiting there.
                        tx.chat_limit_set(row.target.chat_id, until, now)?;
                        tx.out_later(id, &error, until, now)
                    }
                    After::Later(wait) => tx.out_later(id, &error, later(now, wait), now),
                    After::Ambiguous(wait) => tx.out_ambiguous(id, &error, later(now, wait), now),
                    After::Plain => tx.out_plain(id),
                    After::Anew => tx.out_anew(id, false),
                    After::Repeated => tx.out_anew(id, true),
                    After::Unfold => tx.out_unfold(id, &error, unfolded, now),
                    After::Migrated(to) => {
                        tx.out_later(id, &error, now, now)?;
                        tx.chat_migrated(row.target.chat_id, to)
                    }
                    // The refusal was of this content; a newer one has not been tried yet.
                    _ if tx.out_row(id)?.is_some_and(|row| row.revision > revision) => {
                        tx.out_later(id, &error, now, now)
                    }
                    _ => tx.out_rejected(id, &error, now),
                },
            })
            .await;
        match written {
            Ok(()) => return Ok(()),
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => {
                tracing::error!(event = error.kind(), row = id.0, %error, wait_ms, "cannot record what became of a message");
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                wait_ms = (wait_ms * 2).min(RECORD_RETRY_CAP_MS);
            }
        }
    }
}

/// The words of a file that cannot go as one, as messages.
fn unfolded(shown: &Shown) -> Vec<Shown> {
    let Some(file) = &shown.file else {
        return Vec::new();
    };
    let parts = render::unfold(file).into_iter().enumerate();
    let messages = parts.map(|(number, body)| Shown {
        body,
        reply_to: shown.reply_to.filter(|_| number == 0),
        ..Shown::default()
    });
    messages.collect()
}

fn later(now: Millis, wait_ms: u64) -> Millis {
    now.saturating_add(Millis::try_from(wait_ms).unwrap_or(Millis::MAX))
}

fn log(row: &OutRow, error: &CallError, after: &After) {
    let (row, chat) = (row.id.0, row.target.chat_id);
    match after {
        After::Done => tracing::debug!(row, chat, %error, "already so"),
        After::Rejected
            if matches!(
                error.reason,
                Reason::Blocked | Reason::Kicked | Reason::ChatGone
            ) =>
        {
            tracing::warn!(row, chat, %error, "a message has nowhere to go any more");
        }
        After::Rejected => {
            tracing::error!(event = messages::MESSAGE_REFUSED, row, chat, %error, "Telegram refused a message for good");
        }
        After::Redress(dress) if dress.cut => {
            tracing::error!(row, chat, %error, "a message was too long and is cut");
        }
        After::Ambiguous(_) => {
            tracing::warn!(event = messages::MESSAGE_UNCERTAIN, row, chat, %error, "a message may or may not have been sent; it goes again, marked");
        }
        after => tracing::warn!(row, chat, %error, ?after, "a message is not out yet"),
    }
}
