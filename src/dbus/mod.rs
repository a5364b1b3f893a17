//! The administrative interface, `org.telexd1`, on the system bus or on a session bus.
//!
//! Thin objects: each member asks the [gate] first, then what is behind it, and answers. It runs on a thread of its
//! own, so that callers, however many, take no time from the runtime in which messages travel. The contract of it all is
//! `dbus/org.telexd1.xml`; `org.telexd1(5)` says what each member does.
//!
//! | file | what |
//! |---|---|
//! | `gate.rs` | who is let in, and how much at once |
//! | `caller.rs` | who calls; polkit |
//! | `desk.rs` | where orders are handed in |
//! | `refusals.rs` | what was refused, for the audit |
//! | `lists.rs` | what there is, as dictionaries |
//! | `manager.rs` | `org.telexd1.Manager` |
//! | `objects.rs` | `org.telexd1.Run`, `org.telexd1.Conversation`, as they come and go |
//! | `news.rs` | signals |
//! | `log_control.rs` | `org.freedesktop.LogControl1` |

mod caller;
mod desk;
mod error;
mod gate;
mod lists;
mod log_control;
mod manager;
mod news;
mod objects;
mod refusals;

use std::{
    pin::Pin,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{Notify, broadcast, oneshot, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use zbus::{
    Connection, DBusError as _, MatchRule, MessageStream, connection,
    export::futures_core::Stream as _,
    fdo::{self, RequestNameFlags},
    message,
};

pub use self::{caller::Caller, error::Error, gate::Action, log_control::Log};
use self::{
    caller::Trust,
    desk::Desk,
    gate::{Gate, Guarded},
    log_control::LogControl,
    manager::Manager,
    objects::Objects,
};
use crate::{
    core::{Millis, happened::Happened},
    gateway::handle::Admin,
    health::{Report, Sight},
};

/// The name on the bus.
pub const NAME: &str = "org.telexd1";
/// The object that everything else is below.
pub const PATH: &str = "/org/telexd1";
/// Where systemd looks for the log's level.
pub const LOG_PATH: &str = "/org/freedesktop/LogControl1";

/// How long one try to connect may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a bus that is away is waited for. With the unit's `RestartSec=` it is long enough that starts which fail for
/// this reason never become too many in a minute, so that systemd goes on trying until the bus is back.
const BUS_WITHIN: Duration = Duration::from_secs(20);
/// How long a name that another has, or that the bus does not give us yet, is waited for: the other may be the life
/// before this one, whose end the bus has not seen, and the bus may be reading its policy.
const NAME_WITHIN: Duration = Duration::from_secs(3);
/// How long the end waits for calls that are open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// Which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// The system's.
    System,
    /// That of this user's session.
    Session,
}

impl std::fmt::Display for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System => "the system bus",
            Self::Session => "the session bus",
        })
    }
}

/// What is behind the objects.
pub struct Behind {
    /// What may be ordered.
    pub admin: Admin,
    /// The runtime in which that lives.
    pub gateway: Handle,
    /// When this life began.
    pub started_at: Millis,
    /// Looks at how it stands.
    pub sight: Arc<dyn Sight>,
    /// How it stands, whenever that changes.
    pub news: watch::Receiver<Arc<Report>>,
    /// What happens.
    pub happened: broadcast::Receiver<Happened>,
    /// The log.
    pub log: Arc<dyn Log>,
}

/// Why there is no interface.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// No connection to the bus; it may come back.
    #[error(
        "{bus} cannot be reached: {cause}; systemctl status dbus tells more, dbus.bus in the configuration says which bus is used, if any"
    )]
    NoBus {
        /// Which.
        bus: Bus,
        /// Why.
        cause: String,
    },
    /// Another program has the name.
    #[error(
        "the name {NAME} on {bus} belongs to another program already ({owner}): probably another telexd; \
         end that one first, or give this one another bus with dbus.bus in its configuration"
    )]
    Taken {
        /// On which bus.
        bus: Bus,
        /// Its process and user, as far as the bus tells.
        owner: String,
    },
    /// The bus does not let this user have the name.
    #[error(
        "{bus} does not let user {uid} have the name {NAME}: that is for user telexd alone, by \
         /usr/share/dbus-1/system.d/{NAME}.conf; apt install --reinstall telexd puts the file back, systemctl reload dbus \
         makes the bus read it"
    )]
    NotOurs {
        /// Which.
        bus: Bus,
        /// Who we are.
        uid: u32,
    },
    /// Something that should not fail did.
    #[error("the interface on {bus} cannot be set up: {cause}")]
    Other {
        /// Which.
        bus: Bus,
        /// What.
        cause: String,
    },
}

impl StartError {
    /// Whether trying again does not help until somebody has done something.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Taken { .. } | Self::NotOurs { .. })
    }
}

/// The interface while it is there. Dropping it takes it from the bus.
pub struct Face {
    bus: Bus,
    end: CancellationToken,
    lost: Option<oneshot::Receiver<String>>,
}

impl Face {
    /// Puts the objects on the bus and then takes the name. Waits for a bus that is away, for a while.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(bus: Bus, behind: Behind) -> Result<Self, StartError> {
        let (said, started) = oneshot::channel();
        let (losing, lost) = oneshot::channel();
        let end = CancellationToken::new();
        // Also where the caller does not wait for the end of this.
        let cancel = end.clone().drop_guard();
        let ended = end.clone();
        let other = |cause: String| StartError::Other { bus, cause };
        thread::Builder::new()
            .name("telexd-bus".to_owned())
            .spawn(move || serve(bus, behind, said, losing, &ended))
            .map_err(|cause| other(format!("its thread: {cause}")))?;
        started
            .await
            .unwrap_or_else(|_| Err(other("its thread ended".to_owned())))?;
        Ok(Self {
            bus,
            end: cancel.disarm(),
            lost: Some(lost),
        })
    }

    /// Which bus it is on.
    #[must_use]
    pub fn bus(&self) -> Bus {
        self.bus
    }

    /// Ends it; [`Face::ended`] returns when that is done.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Returns when it has ended and asks nothing more of the gateway.
    pub async fn ended(mut self) {
        if let Some(lost) = self.lost.take() {
            // An error: it has ended without having lost anything, as it should.
            let _ = lost.await;
        }
    }

    /// Returns when the bus or the name is lost, with a sentence. For one waiter.
    pub async fn lost(&mut self) -> String {
        let said = match &mut self.lost {
            Some(lost) => lost.await.ok(),
            None => std::future::pending().await,
        };
        // It gives an answer once.
        self.lost = None;
        said.unwrap_or_else(|| format!("the interface on {} ended", self.bus))
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// The thread.
fn serve(
    bus: Bus,
    behind: Behind,
    said: oneshot::Sender<Result<(), StartError>>,
    losing: oneshot::Sender<String>,
    end: &CancellationToken,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => {
            let cause = format!("its runtime: {cause}");
            let _ = said.send(Err(StartError::Other { bus, cause }));
            return;
        }
    };
    runtime.block_on(async {
        let news = behind.news.clone();
        // Before a look at what there is: what comes after that look is told here.
        let happened = behind.happened.resubscribe();
        let started = tokio::select! {
            () = end.cancelled() => return,
            started = start(bus, behind) => started,
        };
        let (connection, losses, desk, objects) = match started {
            Ok(started) => started,
            Err(why) => {
                let _ = said.send(Err(why));
                return;
            }
        };
        let _ = said.send(Ok(()));
        tokio::select! {
            () = end.cancelled() => {
                // Who ordered the end is to hear that it is coming.
                let _ = tokio::time::timeout(LAST_WORDS, desk.gate.empty()).await;
                let _ = tokio::time::timeout(LAST_WORDS, desk.gate.refusals.finish(&desk)).await;
            }
            why = losing_it(bus, losses) => {
                let _ = losing.send(why);
            }
            () = news::tell_changes(&connection, &desk, news) => {}
            () = news::tell_happenings(&connection, happened, objects) => {}
            () = desk.gate.refusals.keep(&desk) => {}
        }
        if let Err(cause) = connection.close().await {
            debug!(%cause, "the connection to the bus did not end well");
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
}

/// Objects first, then the name; with a stream of what the bus takes away again.
async fn start(
    bus: Bus,
    behind: Behind,
) -> Result<(Connection, MessageStream, Arc<Desk>, Objects), StartError> {
    let trust = match bus {
        Bus::System => Trust::Polkit,
        Bus::Session => Trust::Only(nix::unistd::getuid().as_raw()),
    };
    let connection = connect(bus).await?;
    let other = |cause: zbus::Error| StartError::Other {
        bus,
        cause: cause.to_string(),
    };
    let gate = Gate::new(trust);
    let server = connection.object_server();
    let desk = Arc::new(Desk {
        gate: Arc::clone(&gate),
        admin: behind.admin,
        gateway: behind.gateway,
        ordered: Notify::new(),
    });
    let log = LogControl {
        log: behind.log,
        desk: Arc::clone(&desk),
    };
    let manager = Manager::new(
        Arc::clone(&desk),
        behind.started_at,
        behind.sight,
        behind.news,
    );
    server
        .at(PATH, Guarded::new(manager, &gate))
        .await
        .map_err(other)?;
    server
        .at(PATH, Guarded::new(fdo::ObjectManager, &gate))
        .await
        .map_err(other)?;
    server
        .at(LOG_PATH, Guarded::new(log, &gate))
        .await
        .map_err(other)?;
    let mut objects = Objects::new(&connection, &desk);
    objects.look().await;
    let losses = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender("org.freedesktop.DBus")
        .member("NameLost")
        .arg(0, NAME)
        .build()
        .map_err(other)?;
    let losses = MessageStream::for_match_rule(losses, &connection, None)
        .await
        .map_err(other)?;
    take_name(bus, &connection).await?;
    Ok((connection, losses, desk, objects))
}

async fn connect(bus: Bus) -> Result<Connection, StartError> {
    let until = Instant::now() + BUS_WITHIN;
    let mut told = false;
    loop {
        let builder = match bus {
            Bus::System => connection::Builder::system(),
            Bus::Session => connection::Builder::session(),
        };
        let tried = tokio::time::timeout(CONNECT, builder.build()).await;
        let cause = match tried {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(cause)) => cause.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        if Instant::now() >= until {
            return Err(StartError::NoBus { bus, cause });
        }
        if !told {
            warn!(
                cause,
                "{bus} cannot be reached yet; trying again for {} s",
                BUS_WITHIN.as_secs()
            );
            told = true;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Takes the name, so that nobody can take it away, and only where nobody has it.
async fn take_name(bus: Bus, connection: &Connection) -> Result<(), StartError> {
    let until = Instant::now() + NAME_WITHIN;
    let mut told = false;
    loop {
        let asked = connection
            .request_name_with_flags(NAME, RequestNameFlags::DO_NOT_QUEUE)
            .await;
        let refused = match asked {
            Ok(_) => return Ok(()),
            Err(zbus::Error::NameTaken) => StartError::Taken {
                bus,
                owner: owner(connection).await,
            },
            Err(cause) if is_denied(&cause) => StartError::NotOurs {
                bus,
                uid: nix::unistd::getuid().as_raw(),
            },
            Err(cause) => {
                return Err(StartError::NoBus {
                    bus,
                    cause: cause.to_string(),
                });
            }
        };
        if Instant::now() >= until {
            return Err(refused);
        }
        if !told {
            info!(
                "the name {NAME} cannot be had yet; trying again for {} s",
                NAME_WITHIN.as_secs()
            );
            told = true;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn is_denied(error: &zbus::Error) -> bool {
    const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
    match error {
        zbus::Error::MethodError(name, ..) => name.as_str() == DENIED,
        zbus::Error::FDO(told) => told.name().as_str() == DENIED,
        _ => false,
    }
}

/// Who has the name, for people.
async fn owner(connection: &Connection) -> String {
    let ask = async |member: &str| {
        connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                member,
                &(NAME,),
            )
            .await
            .ok()?
            .body()
            .deserialize::<u32>()
            .ok()
    };
    let number = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let pid = number(ask("GetConnectionUnixProcessID").await);
    let uid = number(ask("GetConnectionUnixUser").await);
    format!("process {pid} of user {uid}")
}

/// Returns when the name was taken from us, or the connection has ended.
async fn losing_it(bus: Bus, mut losses: MessageStream) -> String {
    match std::future::poll_fn(|cx| Pin::new(&mut losses).poll_next(cx)).await {
        Some(Ok(_)) => format!("{bus} has taken the name {NAME} away"),
        _ => format!("the connection to {bus} has ended"),
    }
}
