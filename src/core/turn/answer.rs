//! The answer of a turn: put together from streamed pieces and whole blocks.

use serde::{Deserialize, Serialize};

use super::bounded;
use crate::core::words;

/// Most bytes of an answer that are kept.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// Between two blocks.
const GAP: &str = "\n\n";

/// Blocks of one message that are kept apart; the oldest beyond are settled.
const OPEN_BLOCKS: usize = 256;

/// Text so far. What can still be replaced or withdrawn is the message that is being received; all before it is
/// settled, so that the size of the state is that of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    settled: String,
    message: String,
    blocks: Vec<Piece>,
    cut: bool,
}

/// A block of the message that is being received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Piece {
    /// Index in its message; absent where it was not streamed.
    index: Option<u32>,
    text: String,
    /// Whether its whole text has come.
    whole: bool,
    cut: bool,
}

impl Answer {
    /// All of it, blocks with a blank line between them.
    pub(super) fn text(&self) -> String {
        let mut text = self.settled.clone();
        for piece in &self.blocks {
            join(&mut text, &piece.text);
        }
        if self.is_cut() {
            join(&mut text, &words::ANSWER_CUT);
        }
        text
    }

    pub(super) fn is_blank(&self) -> bool {
        self.settled.trim().is_empty() && self.blocks.iter().all(|b| b.text.trim().is_empty())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A message begins.
    pub(super) fn message(&mut self, id: &str) {
        let id = bounded(id);
        if self.message != id {
            self.settle(self.blocks.len());
            id.clone_into(&mut self.message);
        }
    }

    /// A text block of the message begins. Like all below it returns whether the text may have changed.
    pub(super) fn block(&mut self, index: u32) -> bool {
        match self.blocks.iter_mut().find(|b| b.index == Some(index)) {
            Some(piece) if piece.whole || piece.text.is_empty() => false,
            Some(piece) => {
                piece.text.clear();
                piece.cut = false;
                true
            }
            None => self.add(Some(index), "", false),
        }
    }

    /// More of a block.
    pub(super) fn delta(&mut self, index: u32, more: &str) -> bool {
        let room = self.room();
        match self.blocks.iter_mut().find(|b| b.index == Some(index)) {
            // The whole text has come already, so that this is a part of it that comes late.
            Some(piece) if piece.whole => false,
            Some(piece) => {
                piece.cut |= append(&mut piece.text, more, room);
                !more.is_empty()
            }
            None => self.add(Some(index), more, false),
        }
    }

    /// A whole block of a message. Takes the place of what was streamed of it.
    pub(super) fn whole(&mut self, message: &str, text: &str) -> bool {
        self.message(message);
        if let Some(at) = self.blocks.iter().position(|b| !b.whole) {
            let streamed = std::mem::take(&mut self.blocks[at].text);
            let room = self.room();
            let piece = &mut self.blocks[at];
            piece.cut = append(&mut piece.text, text, room);
            piece.whole = true;
            return piece.cut || piece.text != streamed;
        }
        // A line that comes twice is no second block: that would have been announced, or differ.
        let again = self.blocks.last().is_some_and(|b| b.text == text);
        !again && self.add(None, text, true)
    }

    /// The stream of a message broke: its blocks from this one on are void.
    pub(super) fn abandon(&mut self, message: &str, from: u32) -> bool {
        self.message == bounded(message)
            && self.keep(|b| b.index.map_or(from > 0, |index| index < from))
    }

    /// The request is made again: what it had streamed but not finished is void.
    pub(super) fn again(&mut self) -> bool {
        self.keep(|b| b.whole)
    }

    /// The last words as the result tells them: added where they are not there.
    pub(super) fn last_words(&mut self, text: &str) -> bool {
        let words = text.trim();
        if words.is_empty() || self.is_cut() {
            return false;
        }
        let there = self.blocks.iter().any(|b| b.text.trim() == words)
            || self.text().trim_end().ends_with(words);
        if there {
            return false;
        }
        self.settle(self.blocks.len());
        self.add(None, text, true)
    }

    fn keep(&mut self, kept: impl Fn(&Piece) -> bool) -> bool {
        let before = self.blocks.len();
        self.blocks.retain(kept);
        self.blocks.len() < before
    }

    fn add(&mut self, index: Option<u32>, text: &str, whole: bool) -> bool {
        let mut piece = Piece {
            index,
            whole,
            ..Piece::default()
        };
        piece.cut = append(&mut piece.text, text, self.room());
        self.blocks.push(piece);
        if self.blocks.len() > OPEN_BLOCKS {
            self.settle(1);
        }
        !text.is_empty()
    }

    /// Makes the oldest blocks unchangeable.
    fn settle(&mut self, count: usize) {
        for piece in self.blocks.drain(..count.min(self.blocks.len())) {
            join(&mut self.settled, &piece.text);
            self.cut |= piece.cut;
        }
    }

    fn is_cut(&self) -> bool {
        self.cut || self.blocks.iter().any(|b| b.cut)
    }

    /// Bytes that may still be added.
    fn room(&self) -> usize {
        let used = self
            .blocks
            .iter()
            .fold(self.settled.len(), |sum, b| sum + GAP.len() + b.text.len());
        ANSWER_BYTES.saturating_sub(used + GAP.len())
    }
}

/// Adds what fits; whether something did not.
fn append(text: &mut String, more: &str, room: usize) -> bool {
    let fits = more.floor_char_boundary(room);
    text.push_str(&more[..fits]);
    fits < more.len()
}

/// Adds a block; those without a visible character are left out.
fn join(text: &mut String, block: &str) {
    if block.trim().is_empty() {
        return;
    }
    if text.is_empty() {
        text.push_str(block);
        return;
    }
    let end = text.trim_end_matches(['\n', '\r']).len();
    text.truncate(end);
    text.push_str(GAP);
    text.push_str(block.trim_start_matches(['\n', '\r']));
}
