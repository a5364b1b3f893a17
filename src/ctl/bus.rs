//! The connection: to the system bus, a session bus or that of another machine.

use std::{
    fmt,
    pin::Pin,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    sync::Mutex,
    time,
};
use zbus::{
    Connection, MatchRule, Message, MessageStream, connection,
    export::futures_core::Stream as _,
    message::{Flags, Type as Kind},
    wire::{DynamicType, Type},
};

use super::{
    failure::Failure,
    host::Host,
    units,
    values::{self, Dict, Raw},
};

/// Name, path and interface of the daemon's.
pub const TELEXD: Target<'static> = Target {
    name: "org.telexd1",
    path: "/org/telexd1",
    interface: "org.telexd1.Manager",
};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const DRIVER: Target<'static> = Target {
    name: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// How long it may take to connect. Over SSH people type passwords meanwhile.
const CONNECT: Duration = Duration::from_secs(10);
const CONNECT_HOST: Duration = Duration::from_secs(120);
/// How long an answer may take: ending a run takes up to 15 s.
const ANSWER: Duration = Duration::from_secs(30);
/// As long as a person at a terminal may take to give a password to polkit.
const ANSWER_ASKED: Duration = Duration::from_secs(300);
/// How long who asks for passwords may take to be there.
const AGENT: Duration = Duration::from_secs(5);

/// Which bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Where {
    /// The system's.
    #[default]
    System,
    /// That of the caller's session.
    Session,
    /// The system's of another machine.
    Host(Host),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system bus"),
            Self::Session => f.write_str("the session bus"),
            Self::Host(host) => write!(f, "the system bus of {host}"),
        }
    }
}

/// Whom a call goes to.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Name on the bus.
    pub name: &'a str,
    /// Path of the object.
    pub path: &'a str,
    /// Interface.
    pub interface: &'a str,
}

/// A connection.
pub struct Bus {
    connection: Connection,
    /// Whether polkit may ask the caller for a password.
    ask: AtomicBool,
    /// Who does that at this terminal. Ends with us.
    agent: Mutex<Option<Child>>,
    /// Ends with us.
    _ssh: Option<Child>,
}

impl Bus {
    /// Connects.
    ///
    /// # Errors
    /// It cannot, and what to do about that.
    pub async fn connect(place: &Where, ask: bool) -> Result<Self, Failure> {
        let (builder, mut ssh, patience) = match place {
            Where::System => (connection::Builder::system(), None, CONNECT),
            Where::Session => (connection::Builder::session(), None, CONNECT),
            Where::Host(host) => {
                let (stream, child) = host.bridge().map_err(|error| {
                    Failure::no_bus(format!(
                        "ssh cannot be started: {error}; apt install openssh-client"
                    ))
                })?;
                (
                    connection::Builder::unix_stream(stream),
                    Some(child),
                    CONNECT_HOST,
                )
            }
        };
        let connected = time::timeout(patience, builder.build()).await;
        let cause = match connected {
            Ok(Ok(connection)) => {
                return Ok(Self {
                    connection,
                    ask: AtomicBool::new(ask && *place == Where::System),
                    agent: Mutex::default(),
                    _ssh: ssh,
                });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let remedy = match place {
            Where::System => "systemctl status dbus tells more".to_owned(),
            Where::Session => {
                "DBUS_SESSION_BUS_ADDRESS must lead to it; without --session it is the system bus"
                    .to_owned()
            }
            Where::Host(host) => format!("try: ssh {host} systemd-stdio-bridge </dev/null"),
        };
        // How ssh ended says more than that its stream did.
        let ended = match &mut ssh {
            Some(child) => time::timeout(Duration::from_secs(1), child.wait())
                .await
                .ok()
                .and_then(Result::ok)
                .map(|status| format!(" (ssh: {status})")),
            None => None,
        };
        Err(Failure::no_bus(format!(
            "{place} cannot be reached: {cause}{}; {remedy}",
            ended.unwrap_or_default()
        )))
    }

    /// Whether the bus is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Calls a method and reads its answer.
    ///
    /// # Errors
    /// As it was answered; or nobody answered.
    pub async fn call<B, R>(&self, to: Target<'_>, method: &str, body: &B) -> Result<R, Failure>
    where
        B: Serialize + DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        self.call_as(to, method, body, false).await
    }

    /// As [`Bus::call`]; with `asked` polkit asks the caller for a password where it wants one.
    async fn call_as<B, R>(
        &self,
        to: Target<'_>,
        method: &str,
        body: &B,
        asked: bool,
    ) -> Result<R, Failure>
    where
        B: Serialize + DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        let mut flags = Flags::NO_AUTO_START;
        if asked {
            flags |= Flags::ALLOW_INTERACTIVE_AUTH;
        }
        let call = Message::method_call(to.path, method)
            .destination(to.name)
            .interface(to.interface)
            .with_flags(flags)
            .build(body)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let serial = call.primary_header().serial_num();
        let mut stream = MessageStream::from(&self.connection);
        let answer = async {
            self.connection
                .send(&call)
                .await
                .map_err(|error| lost(&error))?;
            loop {
                let message = next(&mut stream)
                    .await
                    .ok_or_else(|| Failure::no_bus("the bus is gone"))?;
                let message = message.map_err(|error| lost(&error))?;
                if message.header().reply_serial() == Some(serial) {
                    return Ok::<_, Failure>(message);
                }
            }
        };
        let patience = if asked { ANSWER_ASKED } else { ANSWER };
        let answer = match time::timeout(patience, answer).await {
            Ok(answer) => answer?,
            Err(_) => {
                return Err(Failure::of_error("org.freedesktop.DBus.Error.NoReply", ""));
            }
        };
        if answer.message_type() == Kind::Error {
            let header = answer.header();
            let name = header
                .error_name()
                .map(ToString::to_string)
                .unwrap_or_default();
            let words: String = answer.body().deserialize().unwrap_or_default();
            return Err(Failure::of_error(&name, &words));
        }
        answer.body().deserialize().map_err(|_| {
            Failure::of_error(
                "org.freedesktop.DBus.Error.InvalidArgs",
                &format!("unexpected answer to {method}"),
            )
        })
    }

    /// Calls a method of the daemon's manager.
    ///
    /// # Errors
    /// As [`Bus::call`].
    pub async fn telexd<B, R>(&self, method: &str, body: &B) -> Result<R, Failure>
    where
        B: Serialize + DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        self.ask_for(TELEXD, method, body).await
    }

    /// Calls the daemon. Where it refuses, and somebody sits at a terminal, polkit may ask them: what is refused has not
    /// been done, so it may be called again.
    async fn ask_for<B, R>(&self, to: Target<'_>, method: &str, body: &B) -> Result<R, Failure>
    where
        B: Serialize + DynamicType + Sync,
        R: DeserializeOwned + Type,
    {
        let mut called = self.call(to, method, body).await;
        if let Err(failure) = &called
            && failure.name == "org.telexd1.Error.NotAllowed"
            && self.ask.load(Ordering::Relaxed)
        {
            self.agent().await;
            called = self.call_as(to, method, body, true).await;
        }
        // Why it is not there is known to systemd.
        if let Err(failure) = &mut called
            && [".ServiceUnknown", ".NameHasNoOwner"]
                .iter()
                .any(|name| failure.name.ends_with(name))
            && let Some(why) = units::why_away(self).await
        {
            failure.text = why;
        }
        called
    }

    /// From now on nobody is asked for a password.
    pub fn ask_no_more(&self) {
        self.ask.store(false, Ordering::Relaxed);
    }

    /// Has somebody at hand who asks for passwords at this terminal, where the session has nobody; as systemctl does.
    async fn agent(&self) {
        let mut agent = self.agent.lock().await;
        if agent.is_some() {
            return;
        }
        // It closes its standard output when it is known to polkit.
        let started = Command::new("pkttyagent")
            .args(["--fallback", "--notify-fd", "1", "--process"])
            .arg(std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        // Without it polkit says no.
        let Ok(mut child) = started else { return };
        if let Some(mut known) = child.stdout.take() {
            let mut nothing = Vec::new();
            let _ = time::timeout(AGENT, known.read_to_end(&mut nothing)).await;
        }
        *agent = Some(child);
    }

    /// All properties of an interface of others than the daemon.
    ///
    /// # Errors
    /// As [`Bus::call`].
    pub async fn properties(&self, of: Target<'_>) -> Result<Dict, Failure> {
        let to = Target {
            interface: PROPERTIES,
            ..of
        };
        let raw: Raw = self.call(to, "GetAll", &(of.interface,)).await?;
        Ok(values::dict(raw))
    }

    /// All properties of the daemon's manager.
    ///
    /// # Errors
    /// As [`Bus::call`].
    pub async fn state(&self) -> Result<Dict, Failure> {
        let to = Target {
            interface: PROPERTIES,
            ..TELEXD
        };
        let raw: Raw = self.ask_for(to, "GetAll", &(TELEXD.interface,)).await?;
        Ok(values::dict(raw))
    }

    /// Who has a name; `None`: nobody.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn owner(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.call(DRIVER, "GetNameOwner", &(name,)).await {
            Ok(owner) => Ok(Some(owner)),
            Err(failure) if failure.name.ends_with(".NameHasNoOwner") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Names that programs have now, or would be started for.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn is_there(&self, name: &str) -> Result<bool, Failure> {
        if self.owner(name).await?.is_some() {
            return Ok(true);
        }
        let names: Vec<String> = self.call(DRIVER, "ListActivatableNames", &()).await?;
        Ok(names.iter().any(|known| known == name))
    }

    /// Signals of changed properties of the daemon's manager, and of its name coming and going.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn news(&self) -> Result<News, Failure> {
        let changed = MatchRule::builder()
            .msg_type(Kind::Signal)
            .sender(TELEXD.name)
            .path(TELEXD.path)
            .interface(PROPERTIES)
            .member("PropertiesChanged")
            .build();
        Ok(News {
            changed: self.stream(changed).await?,
            owner: self.owner_changes().await?,
        })
    }

    /// The daemon's name coming and going.
    ///
    /// # Errors
    /// The bus is gone.
    pub async fn owner_changes(&self) -> Result<MessageStream, Failure> {
        let rule = MatchRule::builder()
            .msg_type(Kind::Signal)
            .sender(DRIVER.name)
            .interface(DRIVER.interface)
            .member("NameOwnerChanged")
            .arg(0, TELEXD.name)
            .build();
        self.stream(rule).await
    }

    async fn stream(&self, rule: zbus::Result<MatchRule<'_>>) -> Result<MessageStream, Failure> {
        let rule = rule.map_err(|error| Failure::failed(error.to_string()))?;
        MessageStream::for_match_rule(rule, &self.connection, None)
            .await
            .map_err(|error| lost(&error))
    }
}

/// See [`Bus::news`].
pub struct News {
    changed: MessageStream,
    owner: MessageStream,
}

impl News {
    /// Waits for something to change; false: the bus is gone.
    pub async fn next(&mut self) -> bool {
        let message = tokio::select! {
            message = next(&mut self.changed) => message,
            message = next(&mut self.owner) => message,
        };
        matches!(message, Some(Ok(_)))
    }
}

/// The next message of a stream.
pub async fn next(stream: &mut MessageStream) -> Option<zbus::Result<Message>> {
    std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

fn lost(error: &zbus::Error) -> Failure {
    Failure::no_bus(format!("the connection to the bus was lost: {error}"))
}
