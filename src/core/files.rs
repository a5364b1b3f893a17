//! Files that people send: names that are safe, how the agent is told of them, what may go along as an image. Pure.

use std::fmt::Write as _;

use super::inbound::Attachment;

/// Files beyond this are not given to bots by Telegram's own servers, in bytes.
pub const LARGEST: u64 = 20 * 1024 * 1024;
/// The same where a Bot API server of one's own gives them out: what it takes from others, in bytes.
pub const LARGEST_LOCAL: u64 = 2000 * 1024 * 1024;
/// Longest name of a file in an inbox, in bytes: far below what any file system allows (255).
const LONGEST_NAME: usize = 120;
/// Longest extension that is kept when a name is cut, in bytes.
const LONGEST_EXTENSION: usize = 16;
/// Longest media type that is passed on, in bytes.
const LONGEST_MIME: usize = 100;

/// Largest image that goes along with a prompt, in bytes; the model's service takes no more than 5 MB.
pub const LARGEST_IMAGE: u64 = 3_500_000;
/// Longest side of such an image, in pixels: what the model's service takes.
const LONGEST_SIDE: u32 = 8000;
/// Most pixels of such an image: what has to be unpacked where it is made smaller. A photo has less.
const MOST_PIXELS: u64 = 40_000_000;
/// Most images that go along with one prompt.
pub const MOST_IMAGES: usize = 10;
/// Most bytes of all images of one prompt: an input line of 12 MB is known to be taken.
pub const MOST_IMAGE_BYTES: u64 = 8_000_000;

/// Kinds of attachments that are fetched, as Telegram names them.
pub const KINDS: &[&str] = &[
    "animation",
    "audio",
    "document",
    "photo",
    "video",
    "video_note",
    "voice",
];

/// Whether this is a file that an agent could do something with; others (stickers, places, polls) are not fetched.
#[must_use]
pub fn is_file(attachment: &Attachment) -> bool {
    !attachment.file_id.is_empty() && KINDS.contains(&attachment.kind.as_str())
}

/// Name under which a file is kept: `unique`, a dash, and what is harmless of the name that the sender gave.
///
/// Letters and digits of any script, dots, dashes and underscores are kept, everything else becomes an underscore: no
/// separator of paths, no control character, no character that turns the direction of writing. It begins with a digit,
/// so it is no option and not hidden.
#[must_use]
pub fn safe_name(unique: i64, attachment: &Attachment) -> String {
    let given = attachment.file_name.as_deref().unwrap_or_default();
    let mut clean = String::new();
    for c in given.chars() {
        let c = if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') {
            c
        } else {
            '_'
        };
        // A row of what was replaced says nothing; two dots in a row make people look twice.
        if !(matches!(c, '_' | '.') && clean.ends_with(c)) {
            clean.push(c);
        }
    }
    let clean = clean.trim_matches(|c| matches!(c, '.' | '-' | '_'));
    let clean = if clean.is_empty() {
        fallback(attachment)
    } else {
        clean.to_owned()
    };
    format!("{}-{}", unique.unsigned_abs(), shortened(&clean))
}

/// The name of a kept file, for people: without what makes it unique.
#[must_use]
pub fn plain_name(name: &str) -> &str {
    name.split_once('-').map_or(name, |(_, name)| name)
}

/// A name for what came without one.
fn fallback(attachment: &Attachment) -> String {
    let extension = match (attachment.kind.as_str(), attachment.mime.as_deref()) {
        (_, Some("image/png")) => "png",
        (_, Some("application/pdf")) => "pdf",
        (_, Some("text/plain")) => "txt",
        ("photo", _) => "jpg",
        ("voice", _) => "ogg",
        ("audio", Some("audio/mp4" | "audio/x-m4a")) => "m4a",
        ("audio", _) => "mp3",
        ("video" | "video_note" | "animation", _) => "mp4",
        _ => return "file".to_owned(),
    };
    format!("{}.{extension}", attachment.kind)
}

/// At most [`LONGEST_NAME`] bytes, with its extension.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension)
        .filter(|extension| extension.len() <= LONGEST_EXTENSION)
        .map_or_else(String::new, |extension| format!(".{extension}"));
    let mut end = LONGEST_NAME - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    // What the cut brought to the end must not meet the dot of the extension.
    let stem = name[..end].trim_end_matches(['.', '-', '_']);
    format!("{stem}{extension}")
}

/// The media type, if it looks like one.
#[must_use]
pub fn safe_mime(mime: &str) -> Option<&str> {
    let sound = mime.len() <= LONGEST_MIME
        && mime.split('/').count() == 2
        && mime.split('/').all(|part| !part.is_empty())
        && mime
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/.+-".contains(&b));
    sound.then_some(mime)
}

/// A size for people and for the agent.
#[must_use]
// Sizes of files are far below what a float cannot tell.
#[allow(clippy::cast_precision_loss)]
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// What became of a file, as the agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// It is there.
    Saved {
        /// Path, as the agent sees it.
        path: &'a str,
        /// `photo`, `document`, …
        kind: &'a str,
        /// Media type as the sender's app gave it.
        mime: Option<&'a str>,
        /// Size in bytes.
        size: u64,
        /// Whether the agent sees it in the prompt as well.
        shown: bool,
    },
    /// It is not, and will not be.
    Missing {
        /// Its name.
        name: &'a str,
        /// Why, for the agent: a clause without a full stop.
        why: &'a str,
    },
}

/// The words of a person with what the agent is told of their files.
#[must_use]
pub fn prompt(text: &str, files: &[Told<'_>]) -> String {
    let mut prompt = text.to_owned();
    if files.is_empty() {
        return prompt;
    }
    if !prompt.is_empty() {
        prompt.push_str("\n\n");
    }
    prompt.push_str(if files.len() == 1 {
        "[A file was sent with this message:"
    } else {
        "[Files were sent with this message:"
    });
    for file in files {
        // Writing to a `String` cannot fail.
        let _ = match file {
            Told::Saved {
                path,
                kind,
                mime,
                size,
                shown,
            } => {
                let mime = mime
                    .and_then(safe_mime)
                    .map_or_else(String::new, |mime| format!(", {mime}"));
                let shown = if *shown { ", shown here as well" } else { "" };
                let kind = kind.replace('_', " ");
                write!(
                    prompt,
                    "\n- {path} ({kind}{mime}, {}{shown})",
                    size_text(*size)
                )
            }
            Told::Missing { name, why } => write!(prompt, "\n- {name}: not available, {why}"),
        };
    }
    prompt.push(']');
    prompt
}

/// Format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Media type, by what the file begins with and not by what it is called.
    pub mime: &'static str,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Image {
    /// Whether it may go along with a prompt. What it would take to unpack it is decided by the numbers in its head alone.
    #[must_use]
    pub fn is_presentable(&self) -> bool {
        let pixels = u64::from(self.width) * u64::from(self.height);
        self.width > 0
            && self.height > 0
            && self.width <= LONGEST_SIDE
            && self.height <= LONGEST_SIDE
            && pixels <= MOST_PIXELS
    }
}

/// What image this is, by its first bytes; nothing is unpacked. `None` for what is none, or is damaged.
///
/// PNG (W3C PNG, 11.2.2), JPEG (ITU-T T.81, B.2.2), GIF (GIF89a, 18) and WebP (RFC 9649, 2.5 to 2.7): what the model's
/// service takes.
#[must_use]
pub fn image(bytes: &[u8]) -> Option<Image> {
    let of = |mime, width, height| {
        Some(Image {
            mime,
            width,
            height,
        })
    };
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return (bytes.get(12..16)? == b"IHDR")
            .then(|| of("image/png", be32(bytes, 16)?, be32(bytes, 20)?))
            .flatten();
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        return of("image/gif", le16(bytes, 6)?, le16(bytes, 8)?);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP" {
        let (width, height) = webp(bytes)?;
        return of("image/webp", width, height);
    }
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        let (width, height) = jpeg(bytes)?;
        return of("image/jpeg", width, height);
    }
    None
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((le24(bytes, 24)? + 1, le24(bytes, 27)? + 1)),
        b"VP8L" => {
            if *bytes.get(20)? != 0x2f {
                return None;
            }
            let bits = u32::from_le_bytes(bytes.get(21..25)?.try_into().ok()?);
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8 " => {
            if bytes.get(23..26)? != [0x9d, 0x01, 0x2a] {
                return None;
            }
            Some((le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff))
        }
        _ => None,
    }
}

fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // Fill bytes.
            0xff => at += 1,
            // Without a length.
            0x01 | 0xd0..=0xd8 => at += 2,
            // Start of a frame, of any kind but tables.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            // The image itself, or its end, before any frame.
            0xd9 | 0xda => return None,
            _ => {
                let length = usize::try_from(be16(bytes, at + 2)?).ok()?;
                at += 2 + length.max(2);
            }
        }
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = *bytes.get(at..at + 3)?.first_chunk::<3>()?;
    Some(u32::from(a) | u32::from(b) << 8 | u32::from(c) << 16)
}

#[cfg(test)]
mod tests;
