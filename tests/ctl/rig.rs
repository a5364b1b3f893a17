//! A bus, a stand-in for the daemon on it, and `telexctl` run against them.

use std::{
    collections::HashMap,
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    pin::Pin,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use zbus::{
    Connection, Message, MessageStream, connection,
    export::futures_core::Stream as _,
    message::{Flags, Type},
    wire::{ObjectPath, Variant},
};

use crate::shared;

pub const DEADLINE: Duration = Duration::from_secs(20);

/// A dictionary to answer with.
pub type Dict = HashMap<&'static str, Variant<'static>>;

/// What a method is answered with.
#[allow(dead_code, reason = "there is one for every kind of method")]
#[derive(Debug)]
pub enum Answer {
    Nothing,
    Text(&'static str),
    Count(u32),
    Id(i64),
    Dict(Dict),
    Dicts(Vec<Dict>),
    /// Where a unit is.
    Path,
    /// The unit of the run in [`run`].
    Units,
    Reload(&'static str, Vec<&'static str>),
    /// Name of the error and its words.
    Error(&'static str, &'static str),
    /// Not allowed, unless the caller may be asked for a password; then it is well.
    Ask,
    /// No answer ever.
    Silence,
}

/// Answers by method; others are unknown.
pub type Answers = HashMap<&'static str, Answer>;

pub struct Rig {
    pub dir: TempDir,
    bus: Child,
    daemon: Option<Connection>,
    systemd: Option<Connection>,
    answers: Arc<Mutex<Answers>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    /// A bus with nobody on it.
    pub async fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("telexctl-")
            .tempdir()
            .unwrap();
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
             <allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            dir.path().join("socket").display()
        );
        fs::write(dir.path().join("bus.conf"), config).unwrap();
        let bus = Command::new("dbus-daemon")
            .arg(format!(
                "--config-file={}",
                dir.path().join("bus.conf").display()
            ))
            .args(["--nofork", "--nopidfile", "--nosyslog"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is needed: apt install dbus");
        let rig = Self {
            dir,
            bus,
            daemon: None,
            systemd: None,
            answers: Arc::default(),
            calls: Arc::default(),
        };
        let socket = rig.dir.path().join("socket");
        wait_until("the bus listens", || UnixStream::connect(&socket).is_ok()).await;
        rig
    }

    /// A bus with a daemon that answers so.
    pub async fn with<const N: usize>(answers: [(&'static str, Answer); N]) -> Self {
        let mut rig = Self::new().await;
        rig.answer(answers);
        rig.daemon_up().await;
        rig
    }

    pub fn address(&self) -> String {
        format!("unix:path={}", self.dir.path().join("socket").display())
    }

    pub fn answer<const N: usize>(&self, answers: [(&'static str, Answer); N]) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub async fn daemon_up(&mut self) {
        self.daemon = Some(self.serve("org.telexd1").await);
    }

    /// A systemd that says this of every unit.
    pub async fn systemd(&mut self, unit: Dict) {
        let units = ("ListUnitsByPatterns", Answer::Units);
        self.answer([
            ("LoadUnit", Answer::Path),
            ("unit", Answer::Dict(unit)),
            units,
        ]);
        self.systemd = Some(self.serve("org.freedesktop.systemd1").await);
    }

    async fn serve(&self, name: &str) -> Connection {
        let builder = connection::Builder::address(self.address().as_str());
        let connection = builder.build().await.unwrap();
        let stream = MessageStream::from(&connection);
        connection.request_name(name).await.unwrap();
        let (answers, calls) = (Arc::clone(&self.answers), Arc::clone(&self.calls));
        tokio::spawn(serve(connection.clone(), stream, answers, calls));
        connection
    }

    pub async fn daemon_down(&mut self) {
        self.daemon.take().unwrap().close().await.unwrap();
    }

    /// Tells the world that a property has changed.
    pub async fn change(&self, name: &str, value: Variant<'_>) {
        let none: [&str; 0] = [];
        let body = (
            "org.telexd1.Manager",
            HashMap::from([(name, value)]),
            &none[..],
        );
        self.daemon
            .as_ref()
            .unwrap()
            .emit_signal(
                None::<&str>,
                "/org/telexd1",
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                &body,
            )
            .await
            .unwrap();
    }

    /// What the daemon was called with, like `Pause("x")`.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub fn end_bus(&mut self) {
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }

    /// The program, ready to start.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telexctl"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(args)
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", self.dir.path().join("bin").display()),
            )
            .env("HOME", self.dir.path())
            .env("TERM", "xterm")
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .stdin(Stdio::null());
        command
    }

    /// Exit code, standard output, standard error.
    pub async fn telexctl(&self, args: &[&str]) -> (i32, String, String) {
        finish(self.command(args)).await
    }

    /// Its JSON.
    pub async fn json(&self, args: &[&str]) -> Value {
        let (code, out, err) = self.telexctl(&[&["--json"], args].concat()).await;
        assert!(code == 0 && err.is_empty(), "{args:?}: {code} {out} {err}");
        assert_eq!(out.lines().count(), 1, "{out}");
        serde_json::from_str(&out).unwrap()
    }

    /// A program that is found before others of its name. A shell script.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let folder = self.dir.path().join("bin");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        // Renamed into place, so that nobody starts what is still open for writing.
        let new = folder.join(format!(".{name}"));
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, &path).unwrap();
        path
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.end_bus();
    }
}

/// Runs it to its end.
pub async fn finish(mut command: Command) -> (i32, String, String) {
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output: Output = tokio::time::timeout(DEADLINE * 2, run)
        .await
        .expect("it does not end")
        .unwrap();
    (
        output.status.code().expect("no signal"),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Waits for a condition that nothing announces.
pub async fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    shared::wait_within(DEADLINE, what, condition, String::new).await;
}

async fn serve(
    connection: Connection,
    mut stream: MessageStream,
    answers: Arc<Mutex<Answers>>,
    calls: Arc<Mutex<Vec<String>>>,
) {
    while let Some(Ok(message)) =
        std::future::poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await
    {
        if message.message_type() == Type::MethodCall {
            let _ = reply(&connection, &message, &answers, &calls).await;
        }
    }
}

async fn reply(
    connection: &Connection,
    message: &Message,
    answers: &Mutex<Answers>,
    calls: &Mutex<Vec<String>>,
) -> zbus::Result<()> {
    let header = message.header();
    let member = header.member().unwrap().to_string();
    let asked = header
        .primary()
        .flags()
        .contains(Flags::ALLOW_INTERACTIVE_AUTH);
    let interface = header
        .interface()
        .map(ToString::to_string)
        .unwrap_or_default();
    let of_systemd = message
        .header()
        .path()
        .is_some_and(|path| path.contains("systemd1"));
    let member = match of_systemd && interface.ends_with(".Properties") {
        true => "unit".to_owned(),
        false => member,
    };
    if !of_systemd {
        let call = format!("{member}{}", arguments(message));
        calls.lock().unwrap().push(call);
    }
    enum Out {
        Unit,
        Str(&'static str),
        U32(u32),
        I64(i64),
        Dict(HashMap<&'static str, Variant<'static>>),
        Dicts(Vec<HashMap<&'static str, Variant<'static>>>),
        Path,
        Units,
        Reload(&'static str, Vec<&'static str>),
        Error(&'static str, &'static str),
    }
    let copy = |dict: &Dict| -> Dict {
        dict.iter()
            .map(|(k, v)| (*k, v.try_clone().unwrap()))
            .collect()
    };
    let out = match answers.lock().unwrap().get(&*member) {
        Some(Answer::Nothing) => Out::Unit,
        Some(Answer::Text(text)) => Out::Str(text),
        Some(Answer::Count(n)) => Out::U32(*n),
        Some(Answer::Id(n)) => Out::I64(*n),
        Some(Answer::Dict(dict)) => Out::Dict(copy(dict)),
        Some(Answer::Dicts(dicts)) => Out::Dicts(dicts.iter().map(copy).collect()),
        Some(Answer::Path) => Out::Path,
        Some(Answer::Units) => Out::Units,
        Some(Answer::Reload(outcome, keys)) => Out::Reload(outcome, keys.clone()),
        Some(Answer::Error(name, words)) => Out::Error(name, words),
        Some(Answer::Ask) if asked => Out::Dict(health()),
        Some(Answer::Ask) => Out::Error("org.telexd1.Error.NotAllowed", "polkit says no"),
        Some(Answer::Silence) => return Ok(()),
        None => Out::Error("org.freedesktop.DBus.Error.UnknownMethod", "Unknown method"),
    };
    match out {
        Out::Unit => connection.reply(&header, &()).await,
        Out::Str(text) => connection.reply(&header, &(text,)).await,
        Out::U32(n) => connection.reply(&header, &(n,)).await,
        Out::I64(n) => connection.reply(&header, &(n,)).await,
        Out::Dict(dict) => connection.reply(&header, &(dict,)).await,
        Out::Dicts(dicts) => connection.reply(&header, &(dicts,)).await,
        Out::Path => {
            let path = ObjectPath::try_from("/org/freedesktop/systemd1/unit/x").unwrap();
            connection.reply(&header, &(path,)).await
        }
        Out::Units => {
            let name = "telexd-agent-strict@abcdefgh23456777.service";
            let none = ObjectPath::try_from("/").unwrap();
            let row = (
                name, "", "loaded", "active", "running", "", &none, 0_u32, "", &none,
            );
            connection.reply(&header, &(vec![row],)).await
        }
        Out::Reload(outcome, keys) => connection.reply(&header, &(outcome, keys)).await,
        Out::Error(name, words) => connection.reply_error(&header, name, &(words,)).await,
    }
}

/// The arguments of a call as JSON has them, between brackets.
fn arguments(message: &Message) -> String {
    let body = message.body();
    let one = |text: String| format!("({text})");
    match body.signature().to_string().as_str() {
        "s" => one(format!("{:?}", body.deserialize::<String>().unwrap())),
        "x" => one(body.deserialize::<i64>().unwrap().to_string()),
        "(ss)" => one(format!(
            "{:?}",
            body.deserialize::<(String, String)>().unwrap()
        )),
        "(xs)" => one(format!(
            "{:?}",
            body.deserialize::<(i64, String)>().unwrap()
        )),
        "a{sv}" => {
            let options: HashMap<String, Variant<'_>> = body.deserialize().unwrap();
            let mut options: Vec<String> =
                options.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
            options.sort();
            one(options.join(","))
        }
        _ => "()".to_owned(),
    }
}

/// A daemon that is well.
pub fn health() -> Dict {
    Dict::from([
        ("ok", true.into()),
        ("connected", true.into()),
        ("summary", "polling, 1 conversation, 1 turn running".into()),
        ("last_poll", 1_000_000_u64.into()),
        ("conversations", 1_u32.into()),
        ("running", 1_u32.into()),
        ("queued", 0_u32.into()),
    ])
}

/// Its properties.
pub fn properties() -> Dict {
    Dict::from([
        ("Version", "0.1.0".into()),
        ("StartedAt", 1_700_000_000_000_000_u64.into()),
        ("Status", "polling".into()),
        ("Paused", false.into()),
    ])
}

/// One run.
pub fn run() -> Dict {
    Dict::from([
        ("id", "abcdefgh23456777".into()),
        ("conversation", 3_i64.into()),
        ("person", 1001_i64.into()),
        ("status", "running".into()),
        ("turn", 9_i64.into()),
        ("started_at", 1_700_000_000_000_000_u64.into()),
    ])
}

/// A daemon that is well, with one run.
pub async fn well() -> Rig {
    Rig::with([
        ("Health", Answer::Dict(health())),
        ("GetAll", Answer::Dict(properties())),
        ("ListRuns", Answer::Dicts(vec![run()])),
    ])
    .await
}
