//! What the agent is told of files, and which it is shown.

use std::{borrow::Cow, fs::File, io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Places;
use crate::{
    core::{
        compose::{self, Piece},
        files::{self, LARGEST_IMAGE, MOST_IMAGE_BYTES, MOST_IMAGES, Told},
        words,
    },
    gateway::ports::{InboxOf, PromptImage},
    store::rows::{AttachmentRow, AttachmentState, Conversation, TurnPart, TurnRow},
};

/// Kinds that are looked at as images.
const IMAGES: &[&str] = &["photo", "document"];

/// Text of a turn's prompt, and the images that go along with it. Reads the images; blocking, briefly. One that cannot be
/// read, or would be too much, is told by its path alone.
pub(in crate::gateway) fn compose(
    places: &Places,
    conversation: &Conversation,
    turn: &TurnRow,
    rows: &[AttachmentRow],
) -> (String, Vec<PromptImage>) {
    let inbox = places.of(conversation);
    let rows = &in_order(turn, rows);
    let mut images = Images::default();
    let shown: Vec<bool> = rows.iter().map(|row| images.add(&inbox, row)).collect();
    let text = text(turn, rows, &inbox, &shown);
    (text, images.taken)
}

/// The prompt of a turn without files.
pub(in crate::gateway) fn plain(turn: &TurnRow) -> String {
    compose::prompt(turn.parts.iter().map(|part| piece(part, &[])).collect())
}

fn piece<'a>(part: &'a TurnPart, said: &[&'a str]) -> Piece<'a> {
    let mut text = Cow::Borrowed(part.text.as_str());
    for words in said {
        // What was said stands where its message stands.
        text = if text.is_empty() {
            Cow::Borrowed(words)
        } else {
            Cow::Owned(format!("{text}\n\n{words}"))
        };
    }
    Piece {
        message_id: part.message_id,
        received_at: part.received_at,
        text,
        mark: &part.mark,
        files: Vec::new(),
    }
}

fn text(turn: &TurnRow, rows: &[AttachmentRow], inbox: &InboxOf, shown: &[bool]) -> String {
    let paths: Vec<String> = rows
        .iter()
        .map(|row| inbox.to.join(&row.name).to_string_lossy().into_owned())
        .collect();
    let pieces = turn.parts.iter().map(|part| {
        let mine = || (0..rows.len()).filter(|n| rows[*n].inbox == part.inbox);
        let said: Vec<&str> = mine()
            .filter_map(|n| rows[n].transcript.as_deref())
            .collect();
        let mut piece = piece(part, &said);
        piece.files = mine()
            .map(|n| told(&rows[n], &paths[n], shown[n]))
            .collect();
        piece
    });
    compose::prompt(pieces.collect())
}

fn told<'a>(row: &'a AttachmentRow, path: &'a str, shown: bool) -> Told<'a> {
    match row.state {
        AttachmentState::Here => Told::Saved {
            path,
            kind: &row.kind,
            mime: row.mime.as_deref(),
            size: row.size.unwrap_or(0),
            shown,
        },
        AttachmentState::Gone => Told::Missing {
            name: &row.name,
            why: words::files::DELETED,
        },
        AttachmentState::Wanted | AttachmentState::Refused => Told::Missing {
            name: &row.name,
            why: row
                .trouble
                .as_deref()
                .unwrap_or(words::files::NOT_FETCHED.agent),
        },
    }
}

/// Files in the order of their messages, whatever the order in which they came.
fn in_order(turn: &TurnRow, rows: &[AttachmentRow]) -> Vec<AttachmentRow> {
    let place = |row: &AttachmentRow| {
        let part = turn.parts.iter().find(|part| part.inbox == row.inbox);
        (part.map(|part| part.message_id), row.id)
    };
    let mut rows = rows.to_vec();
    rows.sort_by_key(place);
    rows
}

/// Images that go along.
#[derive(Default)]
struct Images {
    taken: Vec<PromptImage>,
    bytes: u64,
}

impl Images {
    /// Takes a file along if it is an image that may go along; tells whether.
    fn add(&mut self, inbox: &InboxOf, row: &AttachmentRow) -> bool {
        let size = row.size.unwrap_or(0);
        if row.state != AttachmentState::Here
            || !IMAGES.contains(&row.kind.as_str())
            || size > LARGEST_IMAGE
            || self.taken.len() >= MOST_IMAGES
            || self.bytes + size > MOST_IMAGE_BYTES
        {
            return false;
        }
        let Some(bytes) = read(&inbox.from.join(&row.name)) else {
            return false;
        };
        let Some(image) = files::image(&bytes).filter(files::Image::is_presentable) else {
            return false;
        };
        self.bytes += bytes.len() as u64;
        self.taken.push(PromptImage {
            mime: image.mime,
            base64: STANDARD.encode(&bytes),
        });
        true
    }
}

/// A file of at most [`LARGEST_IMAGE`] bytes; nothing of what is no image by its first bytes.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut file = File::open(path).ok()?;
    let mut bytes = vec![0; 12];
    file.read_exact(&mut bytes).ok()?;
    let heads: [&[u8]; 4] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF"];
    if !heads.iter().any(|head| bytes.starts_with(head)) {
        return None;
    }
    file.take(LARGEST_IMAGE).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST_IMAGE).then_some(bytes)
}
