//! Reading whole lines of a growing file.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use nix::libc;

use crate::gateway::ports::Line;

/// Most bytes read at once.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Longest line that is delivered, in bytes. The longest that was seen of an agent is 12 MB (a picture in a tool's
/// result).
pub(crate) const MOST_LINE: usize = 32 * 1024 * 1024;

/// What a look at the file gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Whole lines, at least one.
    Lines(Vec<Line>),
    /// Bytes were read, but no line is complete yet.
    More,
    /// Nothing new.
    Nothing,
    /// The file is shorter than what was read of it.
    Shorter {
        /// Its size now.
        size: u64,
    },
}

/// Reads a file from an offset on, line by line.
///
/// A line longer than the limit is not kept: in its place comes a marker line, a sentence that is no JSON, so that
/// the reader learns of it and everything behind it still arrives.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// End of the last whole line.
    taken: u64,
    /// What was read behind it, unless the line is too long.
    partial: Vec<u8>,
    /// Where reading goes on.
    next: u64,
    most_line: usize,
}

impl Output {
    /// Opens the file at the offset (the end of a line, or 0).
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        Self::with_limit(path, offset, MOST_LINE)
    }

    fn with_limit(path: &Path, offset: u64, most_line: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        Ok(Self {
            file,
            taken: offset,
            partial: Vec::new(),
            next: offset,
            most_line,
        })
    }

    /// The file itself.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// End of the last whole line, in bytes.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How far the file was read, in bytes.
    pub(crate) fn read(&self) -> u64 {
        self.next
    }

    /// Reads on, at most one chunk.
    ///
    /// # Errors
    /// The system's; the same bytes are tried again next time.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let size = self.file.metadata()?.len();
        if size < self.next {
            return Ok(Step::Shorter { size });
        }
        if size == self.next {
            return Ok(Step::Nothing);
        }
        let want = usize::try_from(size - self.next)
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let mut chunk = vec![0; want];
        let got = self.file.read_at(&mut chunk, self.next)?;
        let mut lines = Vec::new();
        let mut rest = &chunk[..got];
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            self.next += at as u64 + 1;
            lines.push(self.finish(&rest[..at], 1));
            rest = &rest[at + 1..];
        }
        self.next += rest.len() as u64;
        if self.next - self.taken > self.most_line as u64 {
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(rest);
        }
        Ok(if lines.is_empty() {
            Step::More
        } else {
            Step::Lines(lines)
        })
    }

    /// The last line where the file ends without a newline. For a file that nobody writes any more.
    pub(crate) fn rest(&mut self) -> Option<Line> {
        (self.next > self.taken).then(|| self.finish(&[], 0))
    }

    /// Ends the line that is being read; `next` stands behind it and its newline of that length.
    fn finish(&mut self, tail: &[u8], newline: u64) -> Line {
        let length = self.next - self.taken - newline;
        let mut bytes = std::mem::take(&mut self.partial);
        if length > self.most_line as u64 {
            bytes = format!(
                "telexd left out a line of {length} bytes: the limit is {}",
                self.most_line
            )
            .into_bytes();
        } else {
            bytes.extend_from_slice(tail);
        }
        self.taken = self.next;
        Line {
            end: self.next,
            bytes,
        }
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
