//! Getting the run from the daemon.

use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::PollFlags,
};

use super::{inbox::Inbox, signals::Signals};
use crate::{
    core::ids::RunId,
    gateway::ports::Spec,
    runner::{
        directory::Ended,
        fds, socket,
        wire::{self, Ack, BadFrame, Reply, Request},
    },
};

/// First pause between two attempts; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one attempt may take, should the daemon hang.
const ATTEMPT: Duration = Duration::from_secs(15);

/// The run as it was handed to us.
pub(super) struct Hand {
    pub(super) spec: Spec,
    pub(super) input: File,
    /// Taken by the agent.
    pub(super) output: File,
    pub(super) errors: File,
    exit: File,
    pub(super) bell: File,
    /// Files that people sent, where the spec has them copied.
    pub(super) inbox: Option<Inbox>,
}

impl Hand {
    /// Marks the run as taken: from here on nobody else gets it.
    fn mark(&mut self) -> io::Result<()> {
        if self.exit.metadata()?.len() != 0 {
            return Err(io::Error::other("it was taken before"));
        }
        self.exit.write_all(b"\n")?;
        self.exit.sync_all()
    }

    /// Writes the exit record.
    pub(super) fn record(&mut self, ended: &Ended) -> io::Result<()> {
        self.exit.write_all(&wire::line(ended))?;
        self.exit.sync_all()
    }
}

enum Failure {
    /// Try again: the daemon is not there, or went away.
    Again(String),
    /// Never.
    Final(String),
}

impl From<BadFrame> for Failure {
    fn from(bad: BadFrame) -> Self {
        Self::Final(bad.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Again(fds::reason(&error))
    }
}

/// Connects, with patience, and takes the run over.
///
/// An attempt that breaks before the run is marked as taken has no effect, so it is simply made again.
pub(super) fn join(
    run: &RunId,
    path: &Path,
    signals: &Signals,
    deadline: Instant,
) -> Result<Hand, String> {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt(run, path, signals) {
            Ok(hand) => return Ok(hand),
            Err(Failure::Final(why)) => return Err(why),
            Err(Failure::Again(why)) => {
                if Instant::now() + pause > deadline {
                    return Err(format!("no hand-off from telexd: {why}"));
                }
            }
        }
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if signals.wait(None, None, Some(until)).stop {
                return Err("ended by a signal before it got its run".to_owned());
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn attempt(run: &RunId, path: &Path, signals: &Signals) -> Result<Hand, Failure> {
    let stream = socket::connect(path)?;
    let deadline = Instant::now() + ATTEMPT;
    // Far less than a fresh socket takes without waiting.
    (&stream).write_all(&wire::line(&Request { run: run.clone() }))?;
    let mut bytes = Vec::new();
    let mut got_fds = Vec::new();
    let reply = loop {
        if let Some(reply) = wire::unframe(&bytes)? {
            break reply;
        }
        let mut buffer = [0; 16 * 1024];
        match fds::receive(&stream, &mut buffer) {
            Ok((0, _)) => return Err(Failure::Again("telexd closed the connection".to_owned())),
            Ok((got, more)) => {
                bytes.extend_from_slice(&buffer[..got]);
                got_fds.extend(more);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {
                if Instant::now() > deadline {
                    return Err(Failure::Again("telexd does not answer".to_owned()));
                }
                let readable = Some((stream.as_fd(), PollFlags::POLLIN));
                if signals.wait(None, readable, Some(deadline)).stop {
                    return Err(Failure::Final(
                        "ended by a signal before it got its run".to_owned(),
                    ));
                }
            }
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    };
    let spec = match reply {
        Reply::Spec(spec) => *spec,
        Reply::Refused(why) => return Err(Failure::Final(format!("refused: {why}"))),
    };
    let mut got: Vec<File> = got_fds.into_iter().map(File::from).collect();
    let inbox = spec.inbox.as_ref().and_then(|inbox| {
        let from = (got.len() > wire::FDS).then(|| got.pop())??;
        Some(Inbox::new(from, inbox.to.clone()))
    });
    let files: [File; wire::FDS] = got
        .try_into()
        .map_err(|_| Failure::Final("telexd sent the wrong number of files".to_owned()))?;
    let [input, output, errors, exit, bell] = files;
    fcntl(&bell, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(io::Error::from)?;
    let mut hand = Hand {
        spec,
        input,
        output,
        errors,
        exit,
        bell,
        inbox,
    };
    match hand.mark() {
        Ok(()) => {
            tell(&stream, &Ack::Taken);
            Ok(hand)
        }
        Err(error) => {
            let why = fds::reason(&error);
            tell(&stream, &Ack::Failed(why.clone()));
            Err(Failure::Final(format!("cannot take the run: {why}")))
        }
    }
}

/// The daemon only logs it; the mark is what counts. So it does not matter if it is not there any more.
fn tell(mut stream: &UnixStream, ack: &Ack) {
    let _ = stream.write_all(&wire::line(ack));
}

/// Whether an error of a write says that the reader is gone.
pub(super) fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}
