//! Messages of people.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{origin::Origin, text::Entity};

/// A message of a person, put together step by step.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    pub(crate) text: String,
    pub(crate) entities: Vec<Entity>,
    pub(crate) thread: Option<i64>,
    pub(crate) reply_to: Option<i64>,
    pub(crate) quote: Option<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) file: Option<OutgoingFile>,
    pub(crate) extra: Map<String, Value>,
    pub(crate) age_ms: i64,
}

/// Its file.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingFile {
    pub(crate) kind: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) mime: Option<String>,
    pub(crate) bytes: Bytes,
    pub(crate) claimed: Option<u64>,
}

impl Outgoing {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A document.
    #[must_use]
    pub fn document(name: &str, mime: &str, bytes: impl Into<Bytes>) -> Self {
        let file = OutgoingFile {
            kind: "document",
            name: Some(name.to_owned()),
            mime: Some(mime.to_owned()),
            bytes: bytes.into(),
            claimed: None,
        };
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// A document that is said to have this many bytes and has none: for what is never downloaded.
    #[must_use]
    pub fn claimed_document(name: &str, mime: &str, size: u64) -> Self {
        let mut message = Self::document(name, mime, Bytes::new());
        if let Some(file) = &mut message.file {
            file.claimed = Some(size);
        }
        message
    }

    /// A photo.
    #[must_use]
    pub fn photo(bytes: impl Into<Bytes>) -> Self {
        let file = OutgoingFile {
            kind: "photo",
            name: None,
            mime: None,
            bytes: bytes.into(),
            claimed: None,
        };
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// A file under any field of a message: `voice`, `video_note`, `audio`, …
    #[must_use]
    pub fn file(kind: &'static str, mime: Option<&str>, bytes: impl Into<Bytes>) -> Self {
        let file = OutgoingFile {
            kind,
            name: None,
            mime: mime.map(str::to_owned),
            bytes: bytes.into(),
            claimed: None,
        };
        Self {
            file: Some(file),
            ..Self::default()
        }
    }

    /// With a file that is said to have this many bytes.
    #[must_use]
    pub fn claiming(mut self, size: u64) -> Self {
        if let Some(file) = &mut self.file {
            file.claimed = Some(size);
        }
        self
    }

    /// With a caption (or another text).
    #[must_use]
    pub fn caption(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// With formatting.
    #[must_use]
    pub fn entities(mut self, entities: Vec<Entity>) -> Self {
        self.entities = entities;
        self
    }

    /// In a topic.
    #[must_use]
    pub fn thread(mut self, thread: i64) -> Self {
        self.thread = Some(thread);
        self
    }

    /// As an answer to a message.
    #[must_use]
    pub fn reply_to(mut self, message_id: i64) -> Self {
        self.reply_to = Some(message_id);
        self
    }

    /// With a passage that the person chose of what is answered.
    #[must_use]
    pub fn quoting(mut self, passage: &str) -> Self {
        self.quote = Some(passage.to_owned());
        self
    }

    /// Forwarded. Who forwards sees no command in it.
    #[must_use]
    pub fn forwarded(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// As part of the album with this id; [`crate::Person::send_album`] sends a whole one.
    #[must_use]
    pub fn album(self, id: &str) -> Self {
        self.with("media_group_id", json!(id))
    }

    /// With a further field of the message's JSON, of any kind.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.extra.insert(field.to_owned(), value);
        self
    }

    /// Sent this long ago, in milliseconds (so it was waiting at Telegram since).
    #[must_use]
    pub fn sent_ago_ms(mut self, age: i64) -> Self {
        self.age_ms = age;
        self
    }
}
