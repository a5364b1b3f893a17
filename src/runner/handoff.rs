//! The listener that gives runs to their supervisors.
//!
//! A peer says which run it was started for, is checked, and gets the spec and the descriptors. Nothing a peer does
//! or leaves undone stops the listener: each has its own task, a time limit and a size limit, and when there are too
//! many the oldest one goes. What a peer was told is not kept: the run directory alone says whether a run may still
//! be given away, so it makes no difference whether the same daemon or a later one answers.

use std::{
    collections::VecDeque,
    fs::Permissions,
    io::{self, IoSlice},
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use fail::fail_point;
use nix::{
    sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt::PeerPidfd},
    unistd::Uid,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream, unix::UCred},
    task::{AbortHandle, JoinSet},
};

use super::{
    directory::{Refusal, RunDirs, trouble},
    fds::reason,
    socket,
    wire::{self, Ack, Reply, Request},
};
use crate::{
    core::{ids::RunId, messages, profile::Profile},
    gateway::ports::RunnerError,
};

/// Limit for a whole hand-off.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most peers at once.
const MOST_PEERS: usize = 64;

/// Who may connect. It decides nothing about who gets a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doors {
    /// The user of the daemon alone.
    Own,
    /// Every user: supervisors are of another one.
    Everybody,
}

impl Doors {
    fn mode(self) -> u32 {
        match self {
            Self::Own => 0o600,
            Self::Everybody => 0o666,
        }
    }
}

/// Who has connected.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Process and user, as they were when it connected.
    pub(crate) credentials: UCred,
    /// The process itself, where the kernel (6.5 and later) gives it: unlike its number it cannot become another one.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// Why a peer does not get a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// It may not.
    Never(String),
    /// It cannot be told now; the peer may come again.
    Later(String),
}

/// Says whether a peer may have the hand-off of a run that it knows the name of.
#[async_trait]
pub(crate) trait PeerCheck: Send + Sync {
    /// # Errors
    /// Why not, for the log; the peer only hears that it is refused.
    async fn check(&self, peer: &Peer, run: &RunId, profile: &Profile) -> Result<(), Doubt>;
}

/// The check of the direct launcher: the peer must be the same user. The name of the run is a secret of its own.
#[derive(Debug)]
pub(crate) struct SameUser;

#[async_trait]
impl PeerCheck for SameUser {
    async fn check(&self, peer: &Peer, _run: &RunId, _profile: &Profile) -> Result<(), Doubt> {
        let (own, other) = (Uid::effective().as_raw(), peer.credentials.uid());
        if other == own {
            Ok(())
        } else {
            Err(Doubt::Never(format!("the peer is user {other}, not {own}")))
        }
    }
}

/// Listens at the path, in the place of what an earlier daemon left there.
///
/// # Errors
/// A sentence for the administrator.
pub(crate) fn listen(path: &Path, doors: Doors) -> Result<UnixListener, RunnerError> {
    let listener = bind_over(path, doors.mode()).map_err(|e| trouble("listen at", path, &e))?;
    listener
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(listener))
        .map_err(|e| trouble("listen at", path, &e))
}

/// Binds beside the path and renames, so that there is no instant without a socket and none with wrong permissions.
fn bind_over(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match std::fs::remove_file(&draft) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = socket::bind(&draft)?;
    std::fs::set_permissions(&draft, Permissions::from_mode(mode))?;
    std::fs::rename(&draft, path)?;
    Ok(listener)
}

/// Serves peers until it is dropped.
pub(crate) async fn serve(listener: UnixListener, dirs: Arc<RunDirs>, check: Arc<dyn PeerCheck>) {
    let mut peers = JoinSet::new();
    let mut order: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    order.retain(|h| !h.is_finished());
                    if order.len() >= MOST_PEERS
                        && let Some(oldest) = order.pop_front()
                    {
                        oldest.abort();
                    }
                    let (dirs, check) = (Arc::clone(&dirs), Arc::clone(&check));
                    order.push_back(peers.spawn(async move {
                        match tokio::time::timeout(PATIENCE, meet(stream, &dirs, &*check)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(why)) => tracing::warn!(%why, "a hand-off failed"),
                            Err(_) => tracing::warn!("a hand-off took too long"),
                        }
                    }));
                }
                Err(error) => {
                    // Out of descriptors, most likely; peers come again.
                    tracing::error!(%error, "cannot accept a supervisor");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            Some(_) = peers.join_next() => {}
        }
    }
}

async fn meet(mut stream: UnixStream, dirs: &RunDirs, check: &dyn PeerCheck) -> Result<(), String> {
    let cannot = |what: &str, e: &io::Error| format!("cannot {what}: {}", reason(e));
    let request = read_line(&mut stream)
        .await
        .map_err(|e| cannot("read the request", &e))?;
    let Ok(Request { run }) = serde_json::from_slice(&request) else {
        refuse(&mut stream, "the request cannot be read").await;
        return Err("a peer sent something that is no request".to_owned());
    };
    if let Err(why) = hand_over(&mut stream, &run, dirs, check).await {
        tracing::warn!(%run, why, "a hand-off failed");
    }
    Ok(())
}

/// Hands a run over to whoever asked for it, if they may have it. The error is a sentence for the log.
async fn hand_over(
    stream: &mut UnixStream,
    run: &RunId,
    dirs: &RunDirs,
    check: &dyn PeerCheck,
) -> Result<(), String> {
    let cannot = |what: &str, e: &io::Error| format!("cannot {what}: {}", reason(e));
    let peer = Peer {
        credentials: stream
            .peer_cred()
            .map_err(|e| cannot("ask who the peer is", &e))?,
        pidfd: getsockopt(stream, PeerPidfd).ok(),
    };
    let profile = dirs.profile(run);
    match check.check(&peer, run, &profile).await {
        Ok(()) => {}
        Err(Doubt::Never(why)) => {
            refuse(stream, "not allowed").await;
            tracing::warn!(event = messages::HANDOFF_REFUSED, %run, why, "somebody asked for a run who may not have it");
            return Ok(());
        }
        // Closing without a word makes the supervisor come again.
        Err(Doubt::Later(why)) => {
            tracing::debug!(%run, why, "a supervisor is to come again");
            return Ok(());
        }
    }
    // Nothing may wait between the look at the directory and the sending; the buffer of a fresh stream has room.
    let given = dirs.give(run, |frame, fds| {
        let sent = send(stream, &frame, fds)?;
        Ok((frame, sent))
    });
    let (frame, sent) = match given {
        Ok(given) => given,
        Err(Refusal::Never(why)) => {
            refuse(stream, why).await;
            return Err(format!("refused: {why}"));
        }
        // Closing without a word makes the supervisor come again.
        Err(Refusal::Trouble(error)) => return Err(reason(&error)),
    };
    fail_point!("runner-handed-off", |_| Err("failpoint".to_owned()));
    stream
        .write_all(&frame[sent..])
        .await
        .map_err(|e| cannot("send the spec", &e))?;
    let ack = read_line(stream)
        .await
        .map_err(|e| cannot("read the acknowledgement", &e))?;
    match serde_json::from_slice(&ack) {
        Ok(Ack::Taken) => {
            tracing::debug!(%run, "handed off");
            Ok(())
        }
        Ok(Ack::Failed(why)) => Err(format!("the supervisor cannot take it: {why}")),
        Err(_) => Err("no acknowledgement".to_owned()),
    }
}

fn send(stream: &UnixStream, frame: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    // tokio knows a fresh stream as not writable until it has asked, so the call goes around it.
    let sent = sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(frame)],
        &[ControlMessage::ScmRights(&raw)],
        MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    Ok(sent)
}

async fn refuse(stream: &mut UnixStream, why: &str) {
    if let Some(frame) = wire::frame(&Reply::Refused(why.to_owned())) {
        // Whether the peer still listens makes no difference to us.
        let _ = stream.write_all(&frame).await;
    }
}

/// One line without its newline.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 256];
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&buffer[..got]);
        if line.len() > wire::MOST_LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if line.ends_with(b"\n") {
            line.pop();
            return Ok(line);
        }
    }
}
