//! Unix sockets at paths of any length.
//!
//! The address of a Unix socket holds 107 bytes. A longer path is reached over `/proc/self/fd/N/NAME`, where N is
//! the open directory: the kernel resolves it like any other path.

use std::{
    fs::File,
    io,
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::OpenOptionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use nix::{
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_socket, socket},
};

/// Most bytes of a path in a socket address, without the closing zero.
const MOST: usize = 107;

/// A path that fits into an address, and what must stay open as long as it is used.
struct Short {
    path: PathBuf,
    _directory: Option<File>,
}

fn shorten(path: &Path) -> io::Result<Short> {
    if path.as_os_str().len() <= MOST {
        return Ok(Short {
            path: path.to_owned(),
            _directory: None,
        });
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let directory = File::options()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(parent)?;
    let mut short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    short.push(name);
    if short.as_os_str().as_bytes().len() > MOST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name of the socket is too long",
        ));
    }
    Ok(Short {
        path: short,
        _directory: Some(directory),
    })
}

/// Listens at the path, which must not exist.
///
/// # Errors
/// The system's.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    let short = shorten(path)?;
    UnixListener::bind(&short.path)
}

/// Connects to the path, without ever waiting: a listener that is too busy is an error (`EAGAIN`). The stream does
/// not block either.
///
/// # Errors
/// The system's.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let short = shorten(path)?;
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    connect_socket(fd.as_raw_fd(), &UnixAddr::new(&short.path)?)?;
    Ok(UnixStream::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_reached() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("s");
        let listener = bind(&path).unwrap();
        let _client = connect(&path).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn a_name_that_can_never_fit_is_an_error() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("n".repeat(120));
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
