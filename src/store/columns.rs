//! How values stand in columns.

use rusqlite::{
    Row, ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Type, ValueRef},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::rows::{AttachmentState, OutState, OutboxId, RunStatus, TurnState, Urgency, Verdict};
use crate::core::{
    ids::{ConversationId, InboxId, RunId, TurnId},
    mark::{Mark, Who},
    pairing,
};

/// The text of an enum, as it stands in its column.
pub(super) trait Word {
    /// It.
    fn word(&self) -> &'static str;
}

/// An enum as the text that the CHECK constraints of the schema name.
macro_rules! as_text {
    ($($type:ty { $($variant:ident = $text:literal),+ $(,)? })+) => {$(
        impl Word for $type {
            fn word(&self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.word()))
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(FromSqlError::Other(concat!("unknown ", stringify!($type)).into())),
                }
            }
        }
    )+};
}

as_text! {
    Verdict { Prompt = "prompt", Command = "command", Refused = "refused", Ignored = "ignored", Unreadable = "unreadable" }
    TurnState {
        Collecting = "collecting", Held = "held", Queued = "queued", Submitted = "submitted", Asked = "asked",
        Completed = "completed", Failed = "failed", Interrupted = "interrupted", Discarded = "discarded",
    }
    RunStatus {
        Starting = "starting", Running = "running", Completed = "completed", Killed = "killed", Failed = "failed", Lost = "lost",
    }
    pairing::Answer { Accepted = "accepted", Rejected = "rejected" }
    AttachmentState { Wanted = "wanted", Here = "here", Refused = "refused", Gone = "gone" }
    OutState { Pending = "pending", Sending = "sending", Done = "done", Rejected = "rejected" }
}

/// A row id as an integer.
macro_rules! as_integer {
    ($($type:ident),+) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0))
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(Self)
            }
        }
    )+};
}

as_integer!(ConversationId, InboxId, OutboxId, TurnId);

impl ToSql for RunId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_str()))
    }
}

impl FromSql for RunId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or_else(|| FromSqlError::Other("not a run id".into()))
    }
}

impl ToSql for Urgency {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self {
            Self::Press => 0_i64,
            Self::Message => 1,
            Self::Progress => 2,
        }))
    }
}

impl FromSql for Urgency {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Press),
            1 => Ok(Self::Message),
            2 => Ok(Self::Progress),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A UUID as text with hyphens, so that people can read it.
pub(super) struct UuidText(pub(super) Uuid);

impl ToSql for UuidText {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.hyphenated().to_string()))
    }
}

impl FromSql for UuidText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Uuid::try_parse(value.as_str()?)
            .map(Self)
            .map_err(|_| FromSqlError::Other("not a UUID".into()))
    }
}

impl ToSql for Mark {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(self)
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

impl FromSql for Mark {
    /// What cannot be read is somebody's message of whom nothing is known: its words never become the person's own.
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(serde_json::from_str(value.as_str()?).unwrap_or(Self {
            forwarded: Some(Who::Unknown),
            ..Self::default()
        }))
    }
}

/// A count or a size; negative ones are not ours.
pub(super) struct Natural(pub(super) u64);

impl ToSql for Natural {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        i64::try_from(self.0)
            .map(ToSqlOutput::from)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}

impl FromSql for Natural {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(number))
    }
}

/// A limit for `LIMIT`.
pub(super) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Reads a column of JSON. The error tells where it is wrong, never what stands there.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        let place = format!(
            "not the JSON that is expected (line {}, column {})",
            error.line(),
            error.column()
        );
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, place.into())
    })
}
