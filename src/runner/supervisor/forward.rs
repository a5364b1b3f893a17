//! Forwarding the input to the agent's stdin.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt,
    },
};

use nix::poll::PollFlags;

use super::join::is_closed;
use crate::runner::control::last_newline;

/// Most bytes forwarded at once: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Forwards whole lines of a growing file into a pipe that must not block.
pub(super) struct Forwarder {
    input: File,
    /// `None` once the agent has closed its stdin.
    pipe: Option<File>,
    /// Next byte to write; may stand inside a line that the pipe had no room for.
    next: u64,
    /// End of the whole lines.
    limit: u64,
}

impl Forwarder {
    pub(super) fn new(input: File, pipe: File) -> Self {
        Self {
            input,
            pipe: Some(pipe),
            next: 0,
            limit: 0,
        }
    }

    /// Looks for new lines. Bytes behind the last newline are not looked at: the daemon is still writing them, or
    /// was killed and will cut them.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let size = self.input.metadata()?.len();
        if size > self.limit {
            self.limit = last_newline(&self.input, self.limit, size)?;
        }
        Ok(())
    }

    /// What to poll for: room in the pipe while there is something to forward, its closing always.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let wanted = if self.next < self.limit {
            PollFlags::POLLOUT
        } else {
            PollFlags::empty()
        };
        self.pipe.as_ref().map(|p| (p.as_fd(), wanted))
    }

    /// Forwards one chunk, if there is something and room for it. `closed`: the pipe is known to have no reader.
    pub(super) fn step(&mut self, closed: bool) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        if closed {
            self.pipe = None;
            return Ok(());
        }
        if self.next >= self.limit {
            return Ok(());
        }
        let want = usize::try_from(self.limit - self.next)
            .unwrap_or(CHUNK)
            .min(CHUNK);
        let mut chunk = vec![0; want];
        self.input.read_exact_at(&mut chunk, self.next)?;
        match pipe.write(&chunk) {
            Ok(written) => self.next += written as u64,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(e) if is_closed(&e) => self.pipe = None,
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::fd::OwnedFd};

    use nix::{fcntl::OFlag, unistd::pipe2};

    use super::*;

    fn rig() -> (Forwarder, File, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("input");
        let daemon = File::create(&path).unwrap();
        let (read, write): (OwnedFd, OwnedFd) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let forwarder = Forwarder::new(File::open(&path).unwrap(), File::from(write));
        (forwarder, daemon, File::from(read))
    }

    #[test]
    fn a_torn_tail_is_not_forwarded_and_may_be_cut() {
        let (mut forwarder, mut daemon, mut agent) = rig();
        let mut got = [0; 64];
        daemon.write_all(b"one\nto").unwrap();
        forwarder.look().unwrap();
        forwarder.step(false).unwrap();
        assert_eq!(agent.read(&mut got).unwrap(), 4);
        forwarder.look().unwrap();
        forwarder.step(false).unwrap();
        assert_eq!(
            agent.read(&mut got).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        daemon.set_len(4).unwrap();
        daemon.write_at(b"two\nthr", 4).unwrap();
        forwarder.look().unwrap();
        forwarder.step(false).unwrap();
        let n = agent.read(&mut got).unwrap();
        assert_eq!(&got[..n], b"two\n");
    }

    #[test]
    fn a_full_pipe_neither_blocks_nor_loses() {
        let (mut forwarder, mut daemon, mut agent) = rig();
        let line: Vec<u8> = (0..300_000u32)
            .map(|i| b'a' + u8::try_from(i % 26).unwrap())
            .chain([b'\n'])
            .collect();
        daemon.write_all(&line).unwrap();
        forwarder.look().unwrap();
        let mut got = Vec::new();
        let mut buffer = vec![0; 10_000];
        while got.len() < line.len() {
            for _ in 0..3 {
                forwarder.step(false).unwrap();
            }
            let n = agent.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(got, line);
    }

    #[test]
    fn a_closed_stdin_ends_the_forwarding_quietly() {
        let (mut forwarder, mut daemon, agent) = rig();
        drop(agent);
        daemon.write_all(b"one\n").unwrap();
        forwarder.look().unwrap();
        forwarder.step(false).unwrap();
        assert!(forwarder.interest().is_none());
        forwarder.step(false).unwrap();
    }
}
