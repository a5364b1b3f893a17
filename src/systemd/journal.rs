//! The journal's socket: entries go there as datagrams, large ones as sealed memory.
//!
//! By our own hand and not by a ready-made `tracing` layer, because such a layer has one prefix for all fields, so that
//! `MESSAGE_ID` and fields of ours exclude each other, takes in any field by the name that the code has for it, and
//! waits without end for a journal that does not answer.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, IoSlice, Write as _},
    os::{
        fd::{AsFd, AsRawFd as _},
        unix::net::UnixDatagram,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, SealFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        memfd::{MFdFlags, memfd_create},
        socket::{ControlMessage, MsgFlags, UnixAddr, send, sendmsg},
    },
};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// How long one entry may wait for a journal that does not take it. After that none waits until one is taken again.
const PATIENCE: Duration = Duration::from_millis(50);

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The journal has it. The number of entries before it that it never got.
    Taken {
        /// How many were lost.
        lost: u64,
    },
    /// The journal is there but does not read; the entry is lost.
    Stuck,
    /// Nobody listens.
    Absent,
}

/// A way to the journal. Never fails for good: each entry is a new attempt.
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    stuck: AtomicBool,
    lost: AtomicU64,
}

impl Journal {
    /// Makes a socket; whether anybody listens shows later.
    pub(super) fn open() -> io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    /// The same for a journal that listens elsewhere.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        // Not connected: a socket unit that was started anew has another socket at the same path.
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            stuck: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        })
    }

    /// Sends an entry in the native format. Blocks for [`PATIENCE`] at most, and then only once until an entry goes
    /// through again.
    pub(super) fn send(&self, entry: &[u8]) -> Sent {
        let sent = match self.datagram(entry, None) {
            Err(Errno::EMSGSIZE | Errno::ENOBUFS) => match sealed(entry) {
                Ok(memory) => self.datagram(&[], Some(&memory)),
                Err(errno) => Err(errno),
            },
            sent => sent,
        };
        match sent {
            Ok(()) => {
                self.stuck.store(false, Ordering::Relaxed);
                Sent::Taken {
                    lost: self.lost.swap(0, Ordering::Relaxed),
                }
            }
            Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTCONN | Errno::EACCES) => {
                Sent::Absent
            }
            Err(_) => {
                self.stuck.store(true, Ordering::Relaxed);
                self.lost.fetch_add(1, Ordering::Relaxed);
                Sent::Stuck
            }
        }
    }

    fn datagram(&self, bytes: &[u8], memory: Option<&File>) -> Result<(), Errno> {
        let to = UnixAddr::new(&self.path)?;
        let mut flags = MsgFlags::MSG_NOSIGNAL;
        if self.stuck.load(Ordering::Relaxed) {
            flags |= MsgFlags::MSG_DONTWAIT;
        }
        let fds = memory.map(|file| [file.as_raw_fd()]);
        let control = fds.as_ref().map(|fds| [ControlMessage::ScmRights(fds)]);
        let iov = [IoSlice::new(bytes)];
        let control: &[ControlMessage<'_>] = match &control {
            Some(control) => control,
            None => &[],
        };
        loop {
            match sendmsg(self.socket.as_raw_fd(), &iov, control, flags, Some(&to)) {
                Err(Errno::EINTR) => {}
                sent => return sent.map(drop),
            }
        }
    }
}

/// The bytes in memory that nobody can change any more; the journal takes nothing else.
fn sealed(bytes: &[u8]) -> Result<File, Errno> {
    let memory = memfd_create(
        c"telexd-log",
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?;
    let mut memory = File::from(memory);
    memory
        .write_all(bytes)
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(memory)
}

/// Whether a file is the stream to the journal that `$JOURNAL_STREAM` names (`systemd.exec(5)`): a variable alone may
/// have been inherited by a program whose output goes elsewhere.
pub(super) fn is_journal(file: impl AsFd, journal_stream: Option<&OsStr>) -> bool {
    let named = journal_stream
        .and_then(OsStr::to_str)
        .and_then(|text| text.split_once(':'))
        .and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    let is = nix::sys::stat::fstat(file)
        .map(|stat| (stat.st_dev, stat.st_ino))
        .ok();
    named.is_some() && named == is
}

/// Writes to a stream that leads to the journal without waiting for long. What does not fit is lost.
pub(super) fn write_stream(stream: impl AsFd, text: &str) {
    let mut rest = text.as_bytes();
    let mut waited = false;
    while !rest.is_empty() {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(stream.as_fd().as_raw_fd(), rest, flags) {
            Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if !waited => {
                waited = true;
                let patience = u16::try_from(PATIENCE.as_millis()).unwrap_or(u16::MAX);
                let mut ready = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut ready, PollTimeout::from(patience));
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{
            fd::{FromRawFd as _, OwnedFd},
            unix::{fs::MetadataExt as _, net::UnixStream},
        },
        time::Instant,
    };

    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;

    /// A folder with a journal in it.
    fn journald() -> (tempfile::TempDir, PathBuf, UnixDatagram) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        (dir, path, listener)
    }

    const TAKEN: Sent = Sent::Taken { lost: 0 };

    #[test]
    fn small_and_large_entries_arrive() {
        let (_dir, path, listener) = journald();
        let journal = Journal::at(&path).unwrap();
        assert_eq!(journal.send(b"MESSAGE=a\n"), TAKEN);
        let mut bytes = [0; 100];
        let n = listener.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..n], b"MESSAGE=a\n");

        let large = vec![b'x'; 3 << 20];
        assert_eq!(journal.send(&large), TAKEN);
        let mut space = nix::cmsg_space!([i32; 1]);
        let got = recvmsg::<()>(
            listener.as_raw_fd(),
            &mut [],
            Some(&mut space),
            MsgFlags::empty(),
        )
        .unwrap();
        let Some(ControlMessageOwned::ScmRights(fds)) = got.cmsgs().unwrap().next() else {
            panic!("no memory was sent");
        };
        // SAFETY: it was just received and is nobody else's.
        let memory = unsafe { OwnedFd::from_raw_fd(fds[0]) };
        let seals = fcntl(&memory, FcntlArg::F_GET_SEALS).unwrap();
        assert_eq!(
            seals & SealFlag::F_SEAL_WRITE.bits(),
            SealFlag::F_SEAL_WRITE.bits()
        );
        assert_eq!(
            fs::read(format!("/proc/self/fd/{}", memory.as_raw_fd())).unwrap(),
            large
        );
    }

    #[test]
    fn a_journal_that_does_not_read_holds_nothing_up_and_the_loss_is_counted() {
        let (_dir, path, listener) = journald();
        let journal = Journal::at(&path).unwrap();
        let mut taken = 0_u64;
        while journal.send(b"MESSAGE=a\n") == TAKEN {
            taken += 1;
            assert!(taken < 100_000, "the socket takes without end");
        }
        let began = Instant::now();
        for _ in 0..1000 {
            assert_eq!(journal.send(b"MESSAGE=b\n"), Sent::Stuck);
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        let mut bytes = [0; 100];
        for _ in 0..taken {
            listener.recv(&mut bytes).unwrap();
        }
        assert_eq!(journal.send(b"MESSAGE=c\n"), Sent::Taken { lost: 1001 });
        assert_eq!(journal.send(b"MESSAGE=d\n"), TAKEN);
    }

    #[test]
    fn gone_and_back() {
        let (_dir, path, listener) = journald();
        let journal = Journal::at(&path).unwrap();
        assert_eq!(journal.send(b"MESSAGE=a\n"), TAKEN);
        drop(listener);
        assert_eq!(journal.send(b"MESSAGE=b\n"), Sent::Absent);
        fs::remove_file(&path).unwrap();
        assert_eq!(journal.send(b"MESSAGE=b\n"), Sent::Absent);
        let _listener = UnixDatagram::bind(&path).unwrap();
        assert_eq!(journal.send(b"MESSAGE=c\n"), TAKEN);
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let meta = fs::metadata(format!("/proc/self/fd/{}", ours.as_raw_fd())).unwrap();
        let is = |text: &str| is_journal(&ours, Some(OsStr::new(text)));
        assert!(is(&format!("{}:{}", meta.dev(), meta.ino())));
        assert!(!is(&format!("{}:{}", meta.dev(), meta.ino() + 1)));
        for text in ["", ":", "x:y", "1", "1:2:3"] {
            assert!(!is(text), "{text}");
        }
        assert!(!is_journal(&ours, None));
    }

    #[test]
    fn a_stream_that_nobody_reads_holds_nothing_up() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let began = Instant::now();
        let text = "x".repeat(100_000);
        for _ in 0..20 {
            write_stream(&ours, &text);
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        drop(theirs);
        write_stream(&ours, "nobody is there\n");
    }
}
