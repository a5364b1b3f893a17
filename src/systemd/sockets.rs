//! Sockets that the service manager has opened for this process (`sd_listen_fds(3)`).

use std::{
    net::TcpListener,
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::net::UnixListener,
    },
    sync::atomic::{AtomicBool, Ordering},
};

use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike as _, SockaddrStorage, getsockname, getsockopt,
    sockopt::{AcceptConn, SockType as TypeOf},
};
use tracing::warn;

/// A socket that listens.
#[derive(Debug)]
pub enum Socket {
    /// In the file system, or abstract.
    Unix(UnixListener),
    /// On an address.
    Tcp(TcpListener),
}

/// Whether they were taken: each belongs to whoever took it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes those of this name (`FileDescriptorName=`), once in the life of the process. What else was passed, or cannot be
/// used, is named in the log and closed.
#[must_use]
pub fn take(name: &str) -> Vec<Socket> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let passed = match sd_notify::listen_fds_with_names() {
        Ok(passed) => passed,
        Err(cause) => {
            warn!(%cause, "the sockets that the service manager passed cannot be used; check LISTEN_FDS and LISTEN_FDNAMES");
            return Vec::new();
        }
    };
    let mut taken = Vec::new();
    for (fd, called) in passed {
        // SAFETY: the service manager opened it for this process, and nobody else takes it: see `TAKEN`. The process had
        // no way to open one of this number by itself, for it was open from the beginning.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if called != name {
            warn!(
                called,
                "a socket that was passed is not known here; sockets are named {name}"
            );
            continue;
        }
        match of(fd) {
            Ok(socket) => taken.push(socket),
            Err(why) => warn!(called, "a socket that was passed cannot be used: {why}"),
        }
    }
    taken
}

/// What kind it is; an error where it is none that listens for streams.
fn of(fd: OwnedFd) -> Result<Socket, &'static str> {
    let is = |result: nix::Result<bool>| result.unwrap_or(false);
    if !is(getsockopt(&fd, TypeOf).map(|kind| kind == SockType::Stream)) {
        return Err("it is no stream socket (ListenStream=)");
    }
    if !is(getsockopt(&fd, AcceptConn)) {
        return Err("it does not listen (Accept=no)");
    }
    let family = getsockname::<SockaddrStorage>(fd.as_fd().as_raw_fd())
        .ok()
        .and_then(|address| address.family());
    match family {
        Some(AddressFamily::Unix) => Ok(Socket::Unix(fd.into())),
        Some(AddressFamily::Inet | AddressFamily::Inet6) => Ok(Socket::Tcp(fd.into())),
        _ => Err("it is of another family than unix and internet"),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn only_what_listens_for_streams_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(dir.path().join("s")).unwrap();
        assert!(matches!(of(unix.into()), Ok(Socket::Unix(_))));
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(tcp) = TcpListener::bind(address) else {
                // A machine without IPv6.
                assert!(address.starts_with('['));
                continue;
            };
            assert!(matches!(of(tcp.into()), Ok(Socket::Tcp(_))));
        }
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(of(udp.into()).unwrap_err().contains("ListenStream="));
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(of(one.into()).unwrap_err().contains("does not listen"));
        let file = tempfile::tempfile().unwrap();
        assert!(of(file.into()).is_err());
    }
}
