//! The agent process itself.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::PollFlags,
    sys::{signal::Signal, wait::WaitStatus},
    unistd::{Pid, pipe2},
};

use super::{
    forward::Forwarder,
    inbox::Inbox,
    join::Hand,
    program::{Prepared, other},
    signals::Signals,
    tree,
};
use crate::{
    gateway::ports::{Exit, NotStarted},
    runner::fds::reason,
};

/// How long the agent has to obey SIGTERM. With the grace for what it leaves behind, the exit record is there before
/// systemd, which gives 5 s (`TimeoutStopSec=` of the templates), kills us too.
const TERM_LIMIT: Duration = Duration::from_secs(3);

/// Pause after an error of the input file.
const RETRY: Duration = Duration::from_secs(1);

/// How often we look whether the run still has its directory.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// A running agent.
pub(super) struct Agent {
    pid: Pid,
    forwarder: Forwarder,
    ending: Ending,
    by_signal: bool,
}

/// How far we are with ending it.
#[derive(Clone, Copy)]
enum Ending {
    No,
    /// It was asked to; killed at this time.
    Asked(Instant),
    /// It was killed; repeated at this time, as new processes may have come.
    Killed(Instant),
}

impl Agent {
    /// Starts it.
    pub(super) fn start(prepared: &Prepared, hand: &Hand) -> Result<Self, NotStarted> {
        let cannot =
            |what: &str, e: &std::io::Error| other(format!("cannot {what}: {}", reason(e)));
        let (read, write) =
            pipe2(OFlag::O_CLOEXEC).map_err(|e| cannot("make a pipe", &e.into()))?;
        // Ours only: both ends have flags of their own.
        fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|e| cannot("use a pipe", &e.into()))?;
        let files = hand
            .output
            .try_clone()
            .and_then(|out| Ok((out, hand.errors.try_clone()?, hand.input.try_clone()?)));
        let (output, errors, input) = files.map_err(|e| cannot("use the files of the run", &e))?;
        let child = prepared
            .command(prepared.args(), hand.spec.output_limit)
            .stdin(read)
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|e| prepared.cannot_start(&e))?;
        let pid =
            i32::try_from(child.id()).map_err(|_| other("impossible process id".to_owned()))?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            forwarder: Forwarder::new(input, File::from(write)),
            ending: Ending::No,
            by_signal: false,
        })
    }

    /// Feeds it until it ends. Returns how, and whether a signal had told us to end it.
    pub(super) fn stay(
        mut self,
        bell: &File,
        mut inbox: Option<&mut Inbox>,
        signals: &Signals,
    ) -> (Exit, bool) {
        // What was written before we came.
        let mut look = true;
        let mut closed = false;
        let mut look_around = Instant::now() + LOOK_AROUND;
        loop {
            let fed = match look {
                // A file is in its place before the line that speaks of it is written: so first the line, then the files.
                true => self.forwarder.look().inspect(|()| {
                    if let Some(inbox) = &mut inbox {
                        inbox.refresh();
                    }
                }),
                false => Ok(()),
            }
            .and_then(|()| self.forwarder.step(closed));
            for status in tree::reap().unwrap_or_default() {
                match status {
                    WaitStatus::Exited(pid, code) if pid == self.pid => {
                        return (Exit::Code { code }, self.by_signal);
                    }
                    WaitStatus::Signaled(pid, signal, _) if pid == self.pid => {
                        let signal = signal as i32;
                        return (Exit::Signal { signal }, self.by_signal);
                    }
                    _ => {}
                }
            }
            let mut deadline = self.press_on();
            let mut interest = self.forwarder.interest();
            if fed.is_err() {
                // A file that cannot be read now may be later.
                let retry = Instant::now() + RETRY;
                deadline = Some(deadline.map_or(retry, |at| at.min(retry)));
                interest = None;
            }
            let deadline = deadline.map_or(look_around, |at| at.min(look_around));
            let seen = signals.wait(Some(bell), interest, Some(deadline));
            look = seen.bell || fed.is_err();
            closed = seen.extra.is_some_and(|f| f.contains(PollFlags::POLLERR));
            let now = Instant::now();
            let mut stop = seen.stop;
            if now >= look_around {
                look_around = now + LOOK_AROUND;
                stop |= is_deleted(bell);
            }
            if stop && matches!(self.ending, Ending::No) {
                tree::send(self.pid, Signal::SIGTERM);
                self.by_signal = seen.by_signal;
                self.ending = Ending::Asked(now + TERM_LIMIT);
            }
        }
    }

    /// Kills it where the time is up; says when to look again.
    fn press_on(&mut self) -> Option<Instant> {
        let (Ending::Asked(at) | Ending::Killed(at)) = self.ending else {
            return None;
        };
        let now = Instant::now();
        if now < at {
            return Some(at);
        }
        tree::send(self.pid, Signal::SIGKILL);
        tree::signal_all(Signal::SIGKILL);
        let again = now + Duration::from_millis(200);
        self.ending = Ending::Killed(again);
        Some(again)
    }
}

/// Whether the directory of the run was deleted: nobody can ring for us any more, give us input, or end us. A bell that
/// we have taken is never deleted but with its directory.
fn is_deleted(bell: &File) -> bool {
    bell.metadata().is_ok_and(|meta| meta.nlink() == 0)
}
