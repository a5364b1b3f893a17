//! The few calls to systemd over the system bus.
//!
//! A connection is made at the first call and made anew when it has broken: the bus may be restarted, or come later than
//! we do. Every call here may safely be made twice, so one that broke is made once more.

use std::{
    collections::HashMap,
    fmt,
    os::fd::BorrowedFd,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::Mutex;
use zbus::{
    Connection, DBusError as _, MatchRule, Message, MessageStream, connection,
    export::futures_core::Stream as _,
    fdo, message,
    wire::{DynamicType, Fd, ObjectPath, OwnedObjectPath, OwnedVariant},
};

use crate::core::units::UnitRow;

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const UNIT_SERVICE: &str = "org.freedesktop.systemd1.Service";
const UNIT_SLICE: &str = "org.freedesktop.systemd1.Slice";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long an answer may take. Starting polkit on a busy machine takes seconds.
const PATIENCE: Duration = Duration::from_secs(25);

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// There is no bus, or systemd is not on it, or it does not answer.
    NoBus(String),
    /// systemd says no.
    Refused {
        /// Name of the D-Bus error.
        name: String,
        /// Its words.
        text: String,
    },
}

impl CallError {
    /// Last part of the error's name, like `NoSuchUnit`; empty where nobody answered.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::NoBus(_) => "",
            Self::Refused { name, .. } => name.rsplit('.').next().unwrap_or_default(),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBus(why) => f.write_str(why),
            Self::Refused { text, .. } => write!(f, "{text} ({})", self.kind()),
        }
    }
}

impl From<zbus::Error> for CallError {
    fn from(error: zbus::Error) -> Self {
        match &error {
            zbus::Error::MethodError(name, text, _) => Self::Refused {
                name: name.to_string(),
                text: text.clone().unwrap_or_default(),
            },
            zbus::Error::FDO(told) => match &**told {
                fdo::Error::ZBus(_)
                | fdo::Error::ServiceUnknown(_)
                | fdo::Error::NameHasNoOwner(_)
                | fdo::Error::NoReply(_)
                | fdo::Error::Disconnected(_)
                | fdo::Error::NoServer(_)
                | fdo::Error::TimedOut(_)
                | fdo::Error::Timeout(_) => Self::NoBus(error.to_string()),
                told => Self::Refused {
                    name: told.name().to_string(),
                    text: told.description().unwrap_or_default().to_owned(),
                },
            },
            _ => Self::NoBus(error.to_string()),
        }
    }
}

/// Properties of a unit.
#[derive(Debug, Default)]
pub(super) struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    /// A text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    /// A number of 64 bits; systemd's "infinity", and one that is not there, is `None`.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).filter(|n| *n != u64::MAX)
    }

    /// A value of another type.
    pub(super) fn get<T>(&self, name: &str) -> Option<T>
    where
        T: TryFrom<OwnedVariant>,
    {
        T::try_from(self.0.get(name)?.try_clone().ok()?).ok()
    }
}

/// A unit in systemd's memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Name.
    pub(super) name: String,
    /// `active`, `failed`, …
    pub(super) active: String,
}

/// The system bus.
pub(super) struct Bus {
    current: Mutex<Option<Connection>>,
    /// Whether it was told that the bus is away.
    told: AtomicBool,
}

impl Bus {
    pub(super) fn new() -> Self {
        Self {
            current: Mutex::new(None),
            told: AtomicBool::new(false),
        }
    }

    async fn connection(&self) -> Result<Connection, CallError> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref().filter(|c| !c.is_closed()) {
            return Ok(connection.clone());
        }
        *current = None;
        let connect = async {
            let connection = connection::Builder::system()
                .method_timeout(PATIENCE)
                .build()
                .await?;
            // Without it systemd says nothing of jobs.
            connection
                .call_method(Some(SERVICE), PATH, Some(MANAGER), "Subscribe", &())
                .await?;
            Ok::<_, zbus::Error>(connection)
        };
        let connected = match tokio::time::timeout(PATIENCE, connect).await {
            Ok(connected) => connected.map_err(CallError::from),
            Err(_) => Err(CallError::NoBus(
                "the system bus does not answer".to_owned(),
            )),
        };
        // Once for each time that it is away, however often it is asked for.
        match &connected {
            Ok(_) if self.told.swap(false, Ordering::Relaxed) => {
                tracing::info!("systemd can be reached again");
            }
            Err(error) if !self.told.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "systemd cannot be reached over the system bus; agents that run go on, new ones cannot start");
            }
            _ => {}
        }
        let connection = connected?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    async fn call<B>(
        &self,
        (service, path, interface): (&str, &str, &str),
        method: &str,
        body: &B,
    ) -> Result<Message, CallError>
    where
        B: serde::Serialize + DynamicType + Sync,
    {
        let mut again = true;
        loop {
            let connection = self.connection().await?;
            let called = connection
                .call_method(Some(service), path, Some(interface), method, body)
                .await
                .map_err(CallError::from);
            match called {
                Err(CallError::NoBus(_)) if again && connection.is_closed() => again = false,
                done => return done,
            }
        }
    }

    async fn manager<B>(&self, method: &str, body: &B) -> Result<Message, CallError>
    where
        B: serde::Serialize + DynamicType + Sync,
    {
        self.call((SERVICE, PATH, MANAGER), method, body).await
    }

    /// Asks systemd to start a unit. Listening for its jobs begins before, so that no end of the job is missed.
    pub(super) async fn start(&self, unit: &str) -> Result<Job, CallError> {
        let jobs = self.jobs().await?;
        let reply = self.manager("StartUnit", &(unit, "fail")).await?;
        let path: OwnedObjectPath = read(&reply)?;
        Ok(Job { jobs, path })
    }

    async fn jobs(&self) -> Result<MessageStream, CallError> {
        let connection = self.connection().await?;
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(SERVICE)
            .path(PATH)
            .interface(MANAGER)
            .member("JobRemoved")
            .build()?;
        Ok(MessageStream::for_match_rule(rule, &connection, None).await?)
    }

    /// Asks systemd to stop a unit, whatever else is asked of it. Returns when that is noted, not when it has stopped.
    pub(super) async fn stop(&self, unit: &str) -> Result<(), CallError> {
        self.manager("StopUnit", &(unit, "replace")).await.map(drop)
    }

    /// SIGKILL to every process of a unit.
    pub(super) async fn kill(&self, unit: &str) -> Result<(), CallError> {
        self.manager("KillUnit", &(unit, "all", nix::libc::SIGKILL))
            .await
            .map(drop)
    }

    /// Lets systemd forget that a unit failed.
    pub(super) async fn reset_failed(&self, unit: &str) -> Result<(), CallError> {
        self.manager("ResetFailedUnit", &(unit,)).await.map(drop)
    }

    /// Units in memory whose names match, in states that say that something runs or went wrong.
    pub(super) async fn list(&self, patterns: &[&str]) -> Result<Vec<Listed>, CallError> {
        let none: [&str; 0] = [];
        let reply = self
            .manager("ListUnitsByPatterns", &(&none[..], patterns))
            .await?;
        let rows: Vec<UnitRow<OwnedObjectPath>> = read(&reply)?;
        Ok(rows
            .into_iter()
            .map(|row| Listed {
                name: row.0,
                active: row.3,
            })
            .collect())
    }

    /// Everything that systemd says about a unit; it is loaded where it was not.
    pub(super) async fn unit(&self, name: &str) -> Result<Properties, CallError> {
        let path: OwnedObjectPath = read(&self.manager("LoadUnit", &(name,)).await?)?;
        let mut all = self.all(&path, UNIT).await?;
        // Absent where the unit could not be loaded.
        if let Ok(more) = self.all(&path, UNIT_SERVICE).await {
            all.0.extend(more.0);
        }
        Ok(all)
    }

    /// What systemd says about a slice as such.
    pub(super) async fn slice(&self, name: &str) -> Result<Properties, CallError> {
        let path: OwnedObjectPath = read(&self.manager("LoadUnit", &(name,)).await?)?;
        self.all(&path, UNIT_SLICE).await
    }

    async fn all(&self, path: &ObjectPath<'_>, interface: &str) -> Result<Properties, CallError> {
        let reply = self
            .call(
                (SERVICE, path.as_str(), PROPERTIES),
                "GetAll",
                &(interface,),
            )
            .await?;
        read(&reply).map(Properties)
    }

    /// Name of the unit that a process belongs to. By the descriptor where systemd (253 and later) can; else by the
    /// number, and then the descriptor must say that the process still lives, so that the number was still its own.
    /// Without a descriptor the number alone has to do.
    pub(super) async fn unit_of(
        &self,
        pid: u32,
        pidfd: Option<BorrowedFd<'_>>,
    ) -> Result<String, CallError> {
        if let Some(fd) = pidfd {
            match self.manager("GetUnitByPIDFD", &(Fd::from(fd),)).await {
                Ok(reply) => {
                    let (_, id, _): (OwnedObjectPath, String, Vec<u8>) = read(&reply)?;
                    return Ok(id);
                }
                // The bus policy of earlier versions denies what they do not know.
                Err(error) if matches!(error.kind(), "UnknownMethod" | "AccessDenied") => {}
                Err(error) => return Err(error),
            }
        }
        let path: OwnedObjectPath = read(&self.manager("GetUnitByPID", &(pid,)).await?)?;
        let reply = self
            .call((SERVICE, path.as_str(), PROPERTIES), "Get", &(UNIT, "Id"))
            .await?;
        let id: OwnedVariant = read(&reply)?;
        if pidfd.is_some_and(has_ended) {
            return Err(CallError::Refused {
                name: "NoSuchProcess".to_owned(),
                text: "it has ended".to_owned(),
            });
        }
        String::try_from(id).map_err(|_| unreadable())
    }

    /// State of the whole system: `running`, `stopping`, …
    pub(super) async fn system_state(&self) -> Result<String, CallError> {
        let reply = self
            .call(
                (SERVICE, PATH, PROPERTIES),
                "Get",
                &(MANAGER, "SystemState"),
            )
            .await?;
        let state: OwnedVariant = read(&reply)?;
        String::try_from(state).map_err(|_| unreadable())
    }

    /// Whether polkit runs or could be started by the bus.
    pub(super) async fn has_polkit(&self) -> Result<bool, CallError> {
        const POLKIT: &str = "org.freedesktop.PolicyKit1";
        let bus = (
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
        );
        if read(&self.call(bus, "NameHasOwner", &(POLKIT,)).await?)? {
            return Ok(true);
        }
        let names: Vec<String> = read(&self.call(bus, "ListActivatableNames", &()).await?)?;
        Ok(names.iter().any(|name| name == POLKIT))
    }
}

/// A job of systemd's.
pub(super) struct Job {
    jobs: MessageStream,
    path: OwnedObjectPath,
}

impl Job {
    /// How it ended: `done`, `failed`, …; `None` where the bus went away meanwhile.
    pub(super) async fn end(mut self) -> Option<String> {
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut self.jobs).poll_next(cx)).await;
            let message = next?.ok()?;
            let told: Result<(u32, OwnedObjectPath, String, String), _> =
                message.body().deserialize();
            if let Ok((_, path, _, result)) = told
                && path == self.path
            {
                return Some(result);
            }
        }
    }
}

/// Whether the process of a descriptor has ended.
fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(pidfd, PollFlags::POLLIN)];
    !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(0))
}

fn read<T>(reply: &Message) -> Result<T, CallError>
where
    T: serde::de::DeserializeOwned + zbus::wire::Type,
{
    reply.body().deserialize().map_err(|_| unreadable())
}

fn unreadable() -> CallError {
    CallError::NoBus("systemd answered something unreadable".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};

    use super::*;

    #[test]
    fn a_process_that_has_ended_is_known_by_its_descriptor() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // SAFETY: a system call with plain numbers; what it returns is a new descriptor of ours.
        let fd = unsafe {
            let raw = nix::libc::syscall(nix::libc::SYS_pidfd_open, child.id(), 0);
            OwnedFd::from_raw_fd(i32::try_from(raw).unwrap())
        };
        assert!(!has_ended(fd.as_fd()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(has_ended(fd.as_fd()));
    }
}
