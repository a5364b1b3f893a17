//! One daemon for one bot on a machine: two would take each other's updates.
//!
//! The sign is a socket with an abstract name: nobody needs a common directory for it, and it goes away with its process, however
//! that ends. It carries nothing; whoever holds it is told by the kernel. Any user of the machine can take any such name, so only
//! somebody who could stop this daemon anyway, the same user or root, keeps it from running; of others it warns.

use std::{
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::{Pid, Uid, getuid},
};
use tokio::time::Instant;
use tracing::warn;
use url::Url;

use super::Misconfigured;

/// How long the end of another life is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Most bytes of the server's address in the name; a name has room for 107.
const ADDRESS: usize = 64;

/// Says on this machine that the bot has its daemon, for as long as this lives.
pub(super) struct Sole {
    _socket: Option<UnixListener>,
}

/// Who has the name.
struct Holder {
    pid: Pid,
    uid: Uid,
}

/// Takes the bot of this id, at the server at `api_url`, for this process.
///
/// # Errors
/// Another daemon of the same user, or root's, has it; the system's.
pub(super) async fn claim(bot_id: i64, api_url: &Url) -> Result<Sole> {
    claim_for(&name(bot_id, api_url), bot_id, PATIENCE).await
}

async fn claim_for(name: &str, bot_id: i64, patience: Duration) -> Result<Sole> {
    let address = SocketAddr::from_abstract_name(name).context("no name for this bot")?;
    let until = Instant::now() + patience;
    loop {
        match UnixListener::bind_addr(&address) {
            Ok(socket) => {
                return Ok(Sole {
                    _socket: Some(socket),
                });
            }
            Err(cause) if cause.kind() == ErrorKind::AddrInUse => {}
            Err(cause) => {
                warn!(%cause, "cannot see to it that no other telexd on this machine has this bot");
                return Ok(Sole { _socket: None });
            }
        }
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    match holder(&address) {
        Some(Holder { pid, uid }) if uid == getuid() || uid.is_root() => {
            Err(Misconfigured(format!(
                "another telexd on this machine has bot {bot_id} already (process {pid} of user {uid}): end that one first, or \
                 give this one another bot's token; two would take each other's messages"
            ))
            .into())
        }
        Some(Holder { pid, uid }) => {
            warn!(
                pid = pid.as_raw(),
                uid = uid.as_raw(),
                "a process of another user says that it has this bot; if that is a telexd, end one of the two"
            );
            Ok(Sole { _socket: None })
        }
        None => {
            warn!("some process says that it has this bot, and it cannot be told which");
            Ok(Sole { _socket: None })
        }
    }
}

/// Who listens there; `None` where it cannot be told.
fn holder(address: &SocketAddr) -> Option<Holder> {
    let line = UnixStream::connect_addr(address).ok()?;
    let credentials = getsockopt(&line, PeerCredentials).ok()?;
    Some(Holder {
        pid: Pid::from_raw(credentials.pid()),
        uid: Uid::from_raw(credentials.uid()),
    })
}

/// The same token at another server is another bot.
fn name(bot_id: i64, api_url: &Url) -> String {
    let host = api_url.host_str().unwrap_or_default();
    let port = api_url.port_or_known_default().unwrap_or_default();
    let server = format!("{host}:{port}{}", api_url.path().trim_end_matches('/'));
    let server: String = server
        .char_indices()
        .take_while(|(at, c)| at + c.len_utf8() <= ADDRESS)
        .map(|(_, c)| c)
        .collect();
    format!("telexd/bot/{bot_id}@{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_bot_is_known_by_its_number_and_its_server() {
        let of = |id, text: &str| name(id, &url(text));
        assert_eq!(
            of(7, "https://api.telegram.org"),
            "telexd/bot/7@api.telegram.org:443"
        );
        assert_eq!(of(7, "http://h:81/"), of(7, "http://h:81"));
        assert_ne!(of(7, "http://h:81/a"), of(7, "http://h:81"));
        assert_ne!(of(7, "http://h"), of(8, "http://h"));
        let long = format!("http://{}.example", "ä".repeat(40));
        assert!(SocketAddr::from_abstract_name(of(i64::MIN, &long)).is_ok());
    }

    #[tokio::test]
    async fn the_second_is_refused_and_the_next_is_not() {
        let name = format!("telexd/test/{}", uuid::Uuid::new_v4());
        let first = claim_for(&name, 7, Duration::ZERO).await.unwrap();
        let Err(refused) = claim_for(&name, 7, Duration::ZERO).await else {
            panic!("a second one was let in");
        };
        let told = refused.to_string();
        assert!(refused.is::<Misconfigured>(), "{told}");
        for part in ["bot 7", &format!("process {}", std::process::id())] {
            assert!(told.contains(part), "{told}");
        }
        drop(first);
        claim_for(&name, 7, Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_ends_is_waited_for() {
        let name = format!("telexd/test/{}", uuid::Uuid::new_v4());
        let first = claim_for(&name, 7, Duration::ZERO).await.unwrap();
        let second = tokio::spawn(async move { claim_for(&name, 7, PATIENCE).await });
        // It looks for the first time before it waits for anything.
        tokio::task::yield_now().await;
        drop(first);
        second.await.unwrap().unwrap();
    }
}
