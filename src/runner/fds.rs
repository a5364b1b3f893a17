//! The few system calls without a safe wrapper. The only place of this room with `unsafe`.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::Command,
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc,
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal},
        socket::{ControlMessageOwned, MsgFlags, recvmsg},
    },
    unistd::{Pid, getppid, setsid},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Most descriptors that one message may carry.
const MOST: usize = 8;
/// From `fcntl(2)`; the `libc` crate does not have it. The same on every architecture that Rust's std supports.
const F_SETSIG: libc::c_int = 10;

/// Receives bytes and the descriptors that came with them (close-on-exec). 0 bytes: the peer closed.
///
/// # Errors
/// The system's; more descriptors than were awaited are an error too, and are closed.
pub(crate) fn receive(
    stream: &UnixStream,
    buffer: &mut [u8],
) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = cmsg_space!([std::os::fd::RawFd; MOST]);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let mut fds = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            for fd in raw {
                // SAFETY: the kernel has just installed this descriptor for us; nobody else owns it.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    Ok((message.bytes, fds))
}

/// Starts the command in a session of its own, so that no signal of a terminal reaches it.
pub(crate) fn in_own_session(command: &mut Command) {
    let hook = || {
        setsid()?;
        Ok(())
    };
    // SAFETY: the hook makes one system call and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Gives the command what every child of the supervisor gets: a process group of its own, SIGTERM when the
/// supervisor `parent` dies, default signals, an empty signal mask and, where it is not 0, a limit for file sizes
/// in bytes.
pub(crate) fn as_agent(command: &mut Command, parent: Pid, most_bytes: u64) {
    command.process_group(0);
    let hook = move || {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        if getppid() != parent {
            // It died before the line above; nobody would tell us any more.
            return Err(Errno::ESRCH.into());
        }
        if most_bytes > 0 {
            limit(Resource::RLIMIT_FSIZE, most_bytes)?;
        }
        default_signals();
        SigSet::empty().thread_set_mask()?;
        Ok(())
    };
    // SAFETY: the hook makes system calls only; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(hook);
    }
}

/// Switches core dumps off for this process and its children.
///
/// # Errors
/// The system's.
pub(crate) fn no_core_dumps() -> Result<(), Errno> {
    limit(Resource::RLIMIT_CORE, 0)
}

/// Sets the soft and the hard limit; a lower hard limit that we got stays, as only root may raise it.
fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    setrlimit(resource, most, most)
}

/// Sets every signal to its default, as some parents leave SIGCHLD or SIGHUP ignored for their children.
pub(crate) fn default_signals() {
    for signal in 1..=31 {
        // SAFETY: setting a signal to its default installs no code. The two that cannot be set answer EINVAL.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Has writes to a closed pipe answer EPIPE in place of killing.
pub(crate) fn ignore_sigpipe() {
    // SAFETY: ignoring a signal installs no code.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

/// Whether any process has the file open for writing. `None` where the file system cannot tell.
/// The file must be open for reading only and be ours.
pub(crate) fn has_writers(file: &File) -> Option<bool> {
    let control = |command: libc::c_int, argument: libc::c_int| {
        // SAFETY: the arguments are plain numbers and the descriptor is open as long as `file` is borrowed.
        Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), command, argument) })
    };
    // Should somebody open the file in the instant that we hold the lease, we are sent a signal. By default that
    // is SIGIO, which kills; this one is ignored by whoever does not ask for it.
    control(F_SETSIG, libc::SIGURG).ok()?;
    // The kernel grants a read lease only while nobody has the file open for writing.
    match control(libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(_) => {
            let _ = control(libc::F_SETLEASE, libc::F_UNLCK);
            Some(false)
        }
        Err(Errno::EAGAIN) => Some(true),
        Err(_) => None,
    }
}

/// Has tokio wait for a descriptor. Needs a runtime.
///
/// # Errors
/// The system's.
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, is ours and stays the same until it is dropped, which the `AsyncFd` does last.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(|e| e.into_parts().1)
}

/// The system's reason, without the number.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
