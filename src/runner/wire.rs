//! What the daemon and the supervisor say to each other during the hand-off.
//!
//! The supervisor sends a [`Request`] as one JSON line. The daemon answers with a frame (length in bytes as four
//! big-endian bytes, then JSON): a [`Reply`]. With [`Reply::Spec`] come descriptors, in the order of [`FDS`]; where
//! the spec has an inbox that is copied, one more: the directory with the files that people sent.
//! The supervisor ends with an [`Ack`] as one JSON line.

use serde::{Deserialize, Serialize};

use crate::{core::ids::RunId, gateway::ports::Spec};

/// Most bytes of a request or an acknowledgement.
pub const MOST_LINE: usize = 1024;
/// Most bytes of a reply.
pub const MOST_REPLY: usize = 1024 * 1024;
/// How many descriptors come with a spec: input (read), output (append), errors (append), exit record (append),
/// bell (read and write).
pub const FDS: usize = 5;

/// First line of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Run that it was started for.
    pub run: RunId,
}

/// Answer of the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// What to start.
    Spec(Box<Spec>),
    /// Nothing to start, now or ever; why.
    Refused(String),
}

/// Last line of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// The run is marked as taken.
    Taken,
    /// It could not be marked; why.
    Failed(String),
}

/// A reply as it goes over the wire; `None` where it is too long.
#[must_use]
pub fn frame(reply: &Reply) -> Option<Vec<u8>> {
    let json = serde_json::to_vec(reply).ok()?;
    if json.len() > MOST_REPLY {
        return None;
    }
    let mut bytes = u32::try_from(json.len()).ok()?.to_be_bytes().to_vec();
    bytes.extend_from_slice(&json);
    Some(bytes)
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// It says that it is longer than any reply may be.
    #[error("telexd sent too much")]
    TooLong,
    /// It does not hold a reply.
    #[error("telexd sent something unreadable ({0:?})")]
    Unreadable(serde_json::error::Category),
}

/// The reply in what came so far; `None` while more is to come. What stands behind it is not looked at.
///
/// # Errors
/// Bytes that are no reply and will not become one.
pub fn unframe(bytes: &[u8]) -> Result<Option<Reply>, BadFrame> {
    let Some((head, body)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
    if length > MOST_REPLY {
        return Err(BadFrame::TooLong);
    }
    let Some(json) = body.get(..length) else {
        return Ok(None);
    };
    serde_json::from_slice(json)
        .map(Some)
        .map_err(|error| BadFrame::Unreadable(error.classify()))
}

/// A value as one line.
#[must_use]
pub fn line(value: &impl Serialize) -> Vec<u8> {
    // The types of this file have neither maps with odd keys nor failing serializers.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
