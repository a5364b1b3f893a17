//! From the parts of a turn to the prompt that its agent reads.
//!
//! A single message without a mark is passed on to the letter. Else the parts stand in the order of their messages, with an
//! empty line between them, and three kinds of line tell what Telegram tells of them:
//!
//! ```text
//! [Telegram: in reply to an earlier answer of yours]
//! > what it said
//!
//! what the person wrote
//!
//! [Telegram: forwarded from "Ann" (@ann, Telegram id 7)]
//! > what Ann wrote
//!
//! [A file was sent with this message:
//! - /path (photo, 12.3 kB)]
//! ```
//!
//! The agent obeys the person who writes to it and nobody else, so it must see which words are whose:
//! - Every line of somebody else's words begins with `> `. They can contain what they like; they cannot end.
//! - No line of the person's own words begins as one of ours does: such a line gets a backslash before it.

use std::borrow::Cow;

use super::{
    Millis,
    files::{self, Told},
    mark::{Mark, Reply, Who},
    text::{MESSAGE_UNITS, units},
};

/// With what each line about a message begins.
const OURS: &str = "[Telegram: ";
/// Beginnings of lines that are ours alone, in lower case.
const RESERVED: &[&str] = &[
    "[telegram:",
    "[a file was sent with this message:",
    "[files were sent with this message:",
];
/// Before words of the person's own that could be taken for the end of somebody else's.
const OWN_WORDS: &str = "[Telegram: the user's own words]";
/// Texts longer than this may go on in the next message: Telegram's apps cut a long paste at the last good place in the
/// second half of what one message holds, and drop the blanks there.
pub const MAY_GO_ON: usize = MESSAGE_UNITS / 2;
/// How soon the next piece of a paste is here, in milliseconds.
const PASTE_MS: Millis = 1_500;

/// A part of a turn.
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// Id of its message.
    pub message_id: i64,
    /// When it was received.
    pub received_at: Millis,
    /// Text or caption, and what was said in a recording.
    pub text: Cow<'a, str>,
    /// What stands beside it.
    pub mark: &'a Mark,
    /// Files that it brought.
    pub files: Vec<Told<'a>>,
}

/// The prompt of these parts, in the order of their messages.
#[must_use]
pub fn prompt(mut pieces: Vec<Piece<'_>>) -> String {
    pieces.sort_by_key(|piece| piece.message_id);
    let mut prompt = String::new();
    let mut foreign = false;
    for block in blocks(pieces) {
        let text = block.text(&mut foreign);
        if text.is_empty() {
            continue;
        }
        if !prompt.is_empty() {
            prompt.push_str("\n\n");
        }
        prompt.push_str(&text);
    }
    prompt
}

/// What belongs together: a message, an album, or a paste that came in several messages.
struct Block<'a> {
    mark: &'a Mark,
    texts: Vec<(Cow<'a, str>, Seam)>,
    files: Vec<Told<'a>>,
    // Of its last message.
    received_at: Millis,
}

/// How a text follows the one before it in its block.
#[derive(Clone, Copy)]
enum Seam {
    /// Cut in the middle: without a gap.
    None,
    /// Cut at a blank, which is lost.
    Line,
    /// Another message.
    Empty,
}

fn blocks(pieces: Vec<Piece<'_>>) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for piece in pieces {
        let album = piece.mark.album.as_ref().and_then(|album| {
            blocks
                .iter_mut()
                .find(|block| block.mark.album.as_ref() == Some(album))
        });
        if let Some(block) = album {
            block.add_part_of_album(piece);
            continue;
        }
        match blocks
            .last_mut()
            .and_then(|last| Some((last.seam(&piece)?, last)))
        {
            Some((seam, last)) => {
                last.received_at = piece.received_at;
                last.texts.push((piece.text, seam));
            }
            None => blocks.push(Block {
                mark: piece.mark,
                texts: vec![(piece.text, Seam::Empty)],
                files: piece.files,
                received_at: piece.received_at,
            }),
        }
    }
    blocks
}

impl<'a> Block<'a> {
    fn add_part_of_album(&mut self, piece: Piece<'a>) {
        // Some apps give each picture the caption of all.
        let said = self.texts.iter().any(|(text, _)| *text == piece.text);
        if !said {
            self.texts.push((piece.text, Seam::Empty));
        }
        self.files.extend(piece.files);
    }

    /// How a piece goes on with the last text of this block, if it does.
    fn seam(&self, piece: &Piece<'_>) -> Option<Seam> {
        let same = self.mark == piece.mark && self.mark.album.is_none();
        if !same || !self.files.is_empty() || !piece.files.is_empty() || piece.text.is_empty() {
            return None;
        }
        let length = units(&self.texts.last()?.0);
        let soon = piece.received_at.saturating_sub(self.received_at) <= PASTE_MS;
        if length >= MESSAGE_UNITS {
            Some(Seam::None)
        } else if length > MAY_GO_ON && soon {
            Some(Seam::Line)
        } else {
            None
        }
    }

    /// `foreign`: whether what stands before it ends with somebody else's words; after it, the same of its own.
    fn text(&self, foreign: &mut bool) -> String {
        let mut words = String::new();
        for (text, seam) in &self.texts {
            if text.is_empty() {
                continue;
            }
            if !words.is_empty() {
                words.push_str(match seam {
                    Seam::None => "",
                    Seam::Line => "\n",
                    Seam::Empty => "\n\n",
                });
            }
            words.push_str(text);
        }
        if words.is_empty() && self.files.is_empty() {
            return String::new();
        }
        let mut text = String::new();
        if let Some(who) = &self.mark.forwarded {
            text.push_str(&forwarded(who));
            if !words.is_empty() {
                text.push('\n');
                text.push_str(&quoted(&words));
                *foreign = true;
            }
        } else {
            if let Some(reply) = &self.mark.reply {
                text.push_str(&in_reply_to(reply));
                if !reply.text.is_empty() {
                    text.push('\n');
                    text.push_str(&quoted(&reply.text));
                    *foreign = true;
                }
            }
            if !words.is_empty() {
                if !text.is_empty() {
                    text.push_str("\n\n");
                }
                if *foreign && words.trim_start().starts_with('>') {
                    text.push_str(OWN_WORDS);
                    text.push('\n');
                }
                text.push_str(&own(&words));
                *foreign = false;
            }
        }
        *foreign &= self.files.is_empty();
        files::prompt(&text, &self.files)
    }
}

fn forwarded(who: &Who) -> String {
    let from = match who {
        Who::Bot => "you (this bot)".to_owned(),
        Who::Writer => "the user's own messages".to_owned(),
        who => who.told(),
    };
    format!("{OURS}forwarded from {from}]")
}

fn in_reply_to(reply: &Reply) -> String {
    let passage = if reply.chosen { "this passage of " } else { "" };
    let what = match (&reply.who, reply.kind.as_deref()) {
        (Who::Bot, Some(Reply::NOTICE)) => "a notice of the bot, which is not yours".to_owned(),
        (Who::Bot, Some(Reply::ELSEWHERE)) => "what the bot answered somebody else".to_owned(),
        (Who::Bot, _) => "an earlier answer of yours".to_owned(),
        (who, kind) => {
            let kind = match kind {
                None => "message",
                Some(kind) => kind_told(kind),
            };
            match who {
                Who::Writer => format!("an earlier {kind} of the user's own"),
                who => format!("a {kind} of {}", who.told()),
            }
        }
    };
    format!("{OURS}in reply to {passage}{what}]")
}

/// What a message brought, in a word that people know.
fn kind_told(kind: &str) -> &'static str {
    match kind {
        "photo" => "photo",
        "document" => "file",
        "voice" => "voice message",
        "audio" => "sound file",
        "video" | "video_note" | "animation" => "video",
        "sticker" => "sticker",
        _ => "message",
    }
}

/// Whether a character ends a line, for whatever reads it.
fn ends_line(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Somebody else's words: each line behind `> `.
fn quoted(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let lines: Vec<String> = text
        .trim_end_matches(ends_line)
        .split(ends_line)
        .map(|line| {
            if line.is_empty() {
                ">".to_owned()
            } else {
                format!("> {line}")
            }
        })
        .collect();
    lines.join("\n")
}

/// The person's own words: to the letter, but that no line begins as ours do.
fn own(text: &str) -> Cow<'_, str> {
    let mut guarded = String::new();
    let mut kept = 0;
    let mut start = 0;
    for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
        if !ends_line(c) {
            continue;
        }
        let line = &text[start..at];
        if is_reserved(line) {
            guarded.push_str(&text[kept..start]);
            guarded.push('\\');
            kept = start;
        }
        start = at + c.len_utf8();
    }
    if kept == 0 && guarded.is_empty() {
        return Cow::Borrowed(text);
    }
    guarded.push_str(&text[kept..]);
    Cow::Owned(guarded)
}

/// Whether a line looks like one of ours, whatever cannot be seen before it.
fn is_reserved(line: &str) -> bool {
    let seen = line.trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c));
    RESERVED.iter().any(|ours| {
        let mut line = seen.chars().flat_map(char::to_lowercase);
        ours.chars().all(|c| line.next() == Some(c))
    })
}

/// Characters that take no room: joiners, marks of direction, soft hyphens, other controls.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests;
