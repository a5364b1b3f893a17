//! Where it can be asked over HTTP how everything stands.

use std::{
    fs, io, net,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
};

use tracing::{error, info, warn};

use super::observer::Looker;
use crate::{
    config::Listen,
    health::{
        http::{Listener, Server},
        metrics::Metrics,
    },
    systemd::sockets::{self, Socket},
};

/// Name of the sockets that systemd passes (`FileDescriptorName=` of telexd-health.socket).
const NAME: &str = "health";

/// The sockets that systemd passed.
pub(super) fn passed() -> Vec<Listener> {
    let sockets = sockets::take(NAME);
    sockets
        .into_iter()
        .map(|socket| match socket {
            Socket::Unix(socket) => Listener::Unix(socket),
            Socket::Tcp(socket) => Listener::Tcp(socket),
        })
        .collect()
}

/// Begins to answer at these sockets and at the one of the configuration. `None`: at none. Whatever is wrong with them is
/// logged; messages go on without them.
pub(super) fn serve(
    mut listeners: Vec<Listener>,
    configured: Option<&Listen>,
    looker: &Arc<Looker>,
) -> Option<Server> {
    if let Some(listen) = configured {
        match bind(listen) {
            Ok(listener) => listeners.push(listener),
            Err(cause) => error!(
                "nobody can ask for the health at {listen}: {cause}; check health.listen in the configuration, and then: \
                 systemctl restart telexd"
            ),
        }
    }
    if listeners.is_empty() {
        return None;
    }
    for listener in &listeners {
        if let Listener::Tcp(socket) = listener
            && socket.local_addr().is_ok_and(|at| !at.ip().is_loopback())
        {
            warn!("{listener} can be reached by other machines, and asks nobody for a password");
        }
        info!("the health is told at {listener}");
    }
    let metrics = Metrics::new(looker.store.tally(), looker.clock.now());
    Server::start(listeners, Arc::clone(looker) as _, metrics)
        .inspect_err(|cause| error!(%cause, "nobody can ask for the health"))
        .ok()
}

fn bind(listen: &Listen) -> io::Result<Listener> {
    match listen {
        Listen::Tcp(address) => net::TcpListener::bind(address).map(Listener::Tcp),
        Listen::Unix(path) => {
            if is_left_over(path) {
                fs::remove_file(path)?;
            }
            let socket = UnixListener::bind(path)?;
            // As telexd-health.socket has it.
            fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
            Ok(Listener::Unix(socket))
        }
    }
}

/// Whether it is a socket at which nobody listens any more.
fn is_left_over(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_over_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listen = Listen::Unix(path.clone());
        let first = bind(&listen).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let taken = bind(&listen).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(path.exists());
        drop(bind(&listen).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        bind(&listen).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
