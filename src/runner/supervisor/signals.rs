//! Signals and waiting.

use std::{
    cell::Cell,
    fs::File,
    io::Read,
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

use crate::runner::control::TERMINATE;

/// Signals as something to poll for.
pub(super) struct Signals {
    fd: SignalFd,
    /// A signal to end that came during a [`Signals::pause`]: for the next [`Signals::wait`].
    pending: Cell<bool>,
}

/// What has come since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The agent is to end.
    pub(super) stop: bool,
    /// A signal said so.
    pub(super) by_signal: bool,
    /// The bell rang.
    pub(super) bell: bool,
    /// What the extra descriptor is ready for.
    pub(super) extra: Readiness,
}

/// Readiness of the extra descriptor; none by default.
pub(super) type Readiness = Option<PollFlags>;

impl Signals {
    /// Blocks the signals that we care about, so that they are only seen here.
    pub(super) fn take() -> Result<Self, Errno> {
        let mut set = SigSet::empty();
        for signal in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGCHLD,
        ] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self {
            fd: SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            pending: Cell::new(false),
        })
    }

    /// Waits until a child ends or the deadline passes. A signal to end is kept for later.
    pub(super) fn pause(&self, deadline: Instant) {
        let kept = self.pending.take();
        let seen = self.wait(None, None, Some(deadline));
        self.pending.set(kept || seen.stop);
    }

    /// Waits until a signal comes, the bell rings, the extra descriptor is ready, or the deadline passes.
    pub(super) fn wait(
        &self,
        bell: Option<&File>,
        extra: Option<(BorrowedFd<'_>, PollFlags)>,
        deadline: Option<Instant>,
    ) -> Seen {
        let mut asked = vec![PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        if let Some(bell) = bell {
            asked.push(PollFd::new(bell.as_fd(), PollFlags::POLLIN));
        }
        if let Some((fd, flags)) = extra {
            asked.push(PollFd::new(fd, flags));
        }
        let timeout = match deadline {
            _ if self.pending.get() => PollTimeout::ZERO,
            None => PollTimeout::NONE,
            Some(at) => {
                // One millisecond more: rounding down would spin until the deadline.
                let left = at.saturating_duration_since(Instant::now()).as_millis() + 1;
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            }
        };
        let mut seen = Seen::default();
        // An error (a signal that is not ours, no memory) is as if nothing had come: the caller looks again.
        if poll(&mut asked, timeout).is_err() {
            return seen;
        }
        if extra.is_some() {
            seen.extra = asked.last().and_then(PollFd::revents);
        }
        seen.by_signal = self.drain() | self.pending.take();
        seen.stop = seen.by_signal;
        if let Some(bell) = bell {
            let (rang, stop) = listen(bell);
            seen.bell = rang;
            seen.stop |= stop;
        }
        seen
    }

    /// Takes all pending signals; says whether one of them asks to end.
    fn drain(&self) -> bool {
        let mut stop = false;
        let child = u32::try_from(Signal::SIGCHLD as i32).unwrap_or(0);
        while let Ok(Some(info)) = self.fd.read_signal() {
            stop |= info.ssi_signo != child;
        }
        stop
    }
}

/// Empties the bell: whether it rang, and whether for the end.
fn listen(mut bell: &File) -> (bool, bool) {
    let mut buffer = [0; 512];
    let (mut rang, mut stop) = (false, false);
    // The descriptor does not block; it is an error when it is empty.
    while let Ok(got @ 1..) = bell.read(&mut buffer) {
        rang = true;
        stop |= buffer[..got].contains(&TERMINATE);
    }
    (rang, stop)
}
