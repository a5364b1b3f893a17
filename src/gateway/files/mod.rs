//! Files that people send: fetched beside the lanes, kept for their conversation, told to the agent by their path.
//!
//! The row of a file is committed with the message that brought it, so nothing is lost however often the daemon is
//! killed; whoever starts next fetches what is still wanted. A turn is given to its agent when none of its files is
//! awaited any more. Nobody else waits for that: neither the intake nor another conversation.
//!
//! | file | what it does |
//! |---|---|
//! | `mod.rs` | what a message brings; settings |
//! | `place.rs` | directories |
//! | `worker.rs` | fetching |
//! | `missing.rs` | parts of albums that cannot be had |
//! | `voice.rs` | voice to text |
//! | `prompt.rs` | what the agent is told and shown |
//! | `collect.rs` | deleting by age and size |

pub(super) mod collect;
pub(super) mod missing;
pub mod place;
pub(super) mod prompt;
pub mod voice;
pub(super) mod worker;

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

pub use self::{place::Places, voice::Transcriber};
use super::ports::FileSource;
use crate::{
    core::{
        files::{LARGEST, is_file, safe_name},
        flag::Features,
        inbound::Message,
        words,
    },
    store::rows::NewAttachment,
};

/// Settings of files; may change at any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesConfig {
    /// How long a file is kept.
    pub keep: Duration,
    /// Most bytes that the files of one conversation may take.
    pub quota: u64,
    /// Largest file that is given out, in bytes.
    pub largest: u64,
    /// What makes text of voice.
    pub transcriber: Option<Transcriber>,
}

/// What is told of a file that is larger than that.
fn too_large(largest: u64) -> &'static words::files::Refused {
    if largest > LARGEST {
        &words::files::TOO_LARGE_LOCAL
    } else {
        &words::files::TOO_LARGE
    }
}

/// What the gateway has for files.
pub struct Files {
    /// Where they are fetched from.
    pub source: Arc<dyn FileSource>,
    /// Where they are kept.
    pub places: Places,
    /// Rung when there may be something to fetch.
    pub bell: Notify,
}

/// What the files of a message come to.
#[derive(Default)]
pub(super) struct Brought {
    /// Rows to be entered.
    pub(super) rows: Vec<NewAttachment>,
    /// What the person is told at once.
    pub(super) notice: Option<&'static str>,
    /// Whether it is a part of an album, whose parts are told of together.
    pub(super) of_album: bool,
}

impl Brought {
    /// Of a message of this person. `unique` is part of the names: no two messages have the same. `largest`: see
    /// [`FilesConfig::largest`].
    pub(super) fn of(
        message: &Message,
        person: i64,
        features: &Features,
        largest: u64,
        unique: i64,
    ) -> Self {
        let mut brought = Self {
            rows: Vec::new(),
            notice: None,
            of_album: message.album.is_some(),
        };
        let text = !message.text.trim().is_empty();
        for attachment in &message.attachments {
            if !is_file(attachment) {
                brought.notice = Some(if text {
                    words::files::NOT_A_FILE_TEXT_ONLY.as_str()
                } else {
                    words::files::NOT_A_FILE.as_str()
                });
                continue;
            }
            let off = !features.files.is_on(person);
            if off && !brought.of_album {
                brought.notice = Some(if text {
                    words::files::OFF_TEXT_ONLY.as_str()
                } else {
                    words::files::OFF.as_str()
                });
                continue;
            }
            let refused = match attachment.size {
                _ if off => Some(&words::files::OFF_IN_ALBUM),
                Some(size) if size > largest => Some(too_large(largest)),
                Some(0) => Some(&words::files::EMPTY),
                _ => None,
            };
            if let Some(refused) = &refused
                && !brought.of_album
            {
                brought.notice = Some(refused.person.as_str());
            }
            // Named from the one count, so that two of one message differ as well.
            let number = brought.rows.len();
            let name = safe_name(unique, attachment);
            brought.rows.push(NewAttachment {
                kind: attachment.kind.clone(),
                file_id: attachment.file_id.clone(),
                name: if number == 0 {
                    name
                } else {
                    format!("{unique}.{number}{}", &name[unique.to_string().len()..])
                },
                mime: attachment.mime.clone(),
                size: attachment.size,
                refused: refused.map(|refused| refused.agent.to_owned()),
            });
        }
        brought
    }

    /// Whether there is something that the agent can be given, or that is to be told with the rest of an album.
    pub(super) fn gives_something(&self) -> bool {
        self.rows
            .iter()
            .any(|row| self.of_album || row.refused.is_none())
    }

    /// Whether a part of an album cannot be passed on.
    pub(super) fn lacks_part(&self) -> bool {
        self.of_album && self.rows.iter().any(|row| row.refused.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        files::LARGEST_LOCAL,
        flag::Flag,
        inbound::{Attachment, ChatKind, Place},
    };

    fn message(kind: &str, size: Option<u64>, text: &str) -> Message {
        Message {
            place: Place {
                chat_id: 1,
                thread_id: 0,
                kind: ChatKind::Private,
            },
            from: None,
            message_id: 5,
            date: 0,
            text: text.to_owned(),
            attachments: vec![Attachment {
                kind: kind.to_owned(),
                file_id: "f".to_owned(),
                file_name: Some("../a b".to_owned()),
                mime: None,
                size,
            }],
            album: None,
            forwarded: None,
            reply: None,
            edited: false,
        }
    }

    #[test]
    fn what_a_message_brings() {
        let on = Features::default();
        let brought = |message: &Message| Brought::of(message, 1, &on, LARGEST, 9);
        let good = brought(&message("document", Some(5), ""));
        assert_eq!((good.rows[0].name.as_str(), good.notice), ("9-a_b", None));
        assert!(good.gives_something());
        for size in [0, LARGEST + 1, 3_000_000_000] {
            let refused = brought(&message("document", Some(size), "x"));
            assert!(refused.notice.is_some() && !refused.gives_something());
            assert_eq!(refused.rows.len(), 1);
        }
        // A server of one's own gives out more.
        let local = |size| {
            let message = message("document", Some(size), "x");
            Brought::of(&message, 1, &on, LARGEST_LOCAL, 9)
        };
        assert!(local(LARGEST_LOCAL).gives_something());
        assert!(!local(LARGEST_LOCAL + 1).gives_something());
        let sticker = brought(&message("sticker", Some(5), ""));
        assert_eq!(sticker.notice, Some(words::files::NOT_A_FILE.as_str()));
        assert!(sticker.rows.is_empty());
        let off = Features {
            files: Flag::For([2].into()),
            ..Features::default()
        };
        let refused = Brought::of(&message("document", Some(5), "x"), 1, &off, LARGEST, 9);
        assert_eq!(refused.notice, Some(words::files::OFF_TEXT_ONLY.as_str()));
        assert!(refused.rows.is_empty());
        assert!(Brought::of(&message("photo", None, ""), 2, &off, LARGEST, 9).gives_something());
    }

    #[test]
    fn two_files_of_one_message_have_two_names() {
        let mut two = message("document", Some(5), "");
        two.attachments.push(two.attachments[0].clone());
        let brought = Brought::of(&two, 1, &Features::default(), LARGEST, 12);
        let names: Vec<_> = brought.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["12-a_b", "12.1-a_b"]);
    }
}
