//! A system bus of our own with a stand-in for systemd's manager on it: the few methods that the launcher uses, and
//! units that are real processes of `telexd-run`.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use nix::{
    libc,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use zbus::{
    Connection, connection,
    wire::{ObjectPath, OwnedObjectPath},
};

use super::faces::{Manager, ServiceFace, UnitFace};
use crate::support::{DEADLINE, World, wait_until};

pub const MANAGER: &str = "org.freedesktop.systemd1.Manager";
pub const ROOT: &str = "/org/freedesktop/systemd1";

/// How starting a unit turns out.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Mood {
    /// It runs.
    #[default]
    Well,
    /// The order is answered with this D-Bus error, as systemd names it.
    Error(&'static str, &'static str),
    /// The unit has this LoadState.
    Load(&'static str),
    /// The main process ends with this exit status before it is what it should be.
    Exit(i32),
}

/// State of a unit.
#[derive(Clone, Debug)]
pub struct Unit {
    pub pid: Option<i32>,
    pub active: String,
    pub result: String,
    pub code: i32,
    pub status: i32,
    pub memory_max: u64,
    pub runtime_max: u64,
    pub entered: u64,
    pub exited: u64,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            pid: None,
            active: "inactive".to_owned(),
            result: "success".to_owned(),
            code: 0,
            status: 0,
            memory_max: u64::MAX,
            runtime_max: u64::MAX,
            entered: 0,
            exited: 0,
        }
    }
}

pub struct State {
    begun: Instant,
    pub socket: PathBuf,
    pub units: BTreeMap<String, Unit>,
    pub mood: Mood,
    /// Whether there is `GetUnitByPIDFD`, as from systemd 253 on.
    pub pidfd: bool,
    pub credentials: Option<PathBuf>,
    pub jobs: u32,
}

impl State {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap() + 1
    }
}

/// The bus with its manager.
pub struct Systemd {
    dir: PathBuf,
    bus: Mutex<Option<Child>>,
    state: Arc<Mutex<State>>,
    service: Mutex<Option<Connection>>,
}

impl Systemd {
    /// For this world, whose daemon is to have [`Systemd::environment`].
    pub async fn start(world: &World) -> Self {
        let dir = world.path("bus");
        fs::create_dir(&dir).unwrap();
        let config = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\"><busconfig><type>system</type>\
             <listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            dir.join("socket").display()
        );
        fs::write(dir.join("bus.conf"), config).unwrap();
        let systemd = Self {
            dir,
            bus: Mutex::new(None),
            state: Arc::new(Mutex::new(State {
                begun: Instant::now(),
                socket: world.path("state/handoff.sock"),
                units: BTreeMap::new(),
                mood: Mood::default(),
                pidfd: true,
                credentials: None,
                jobs: 0,
            })),
            service: Mutex::new(None),
        };
        systemd.bus_up().await;
        systemd
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// Lets users other than ours reach the bus.
    pub fn open_to_all(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        for place in self.dir.ancestors().take(2).chain([&*self.socket()]) {
            fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
        }
    }

    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    /// Starts the bus, and the manager on it.
    pub async fn bus_up(&self) {
        let _ = fs::remove_file(self.socket());
        let child = Command::new("dbus-daemon")
            .arg(format!(
                "--config-file={}",
                self.dir.join("bus.conf").display()
            ))
            .args(["--nofork", "--nopidfile", "--nosyslog"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is needed: apt install dbus");
        *self.bus.lock().unwrap() = Some(child);
        let socket = self.socket();
        wait_until(
            "the bus listens",
            || std::os::unix::net::UnixStream::connect(&socket).is_ok(),
            String::new,
        )
        .await;
        let manager = Manager {
            state: Arc::clone(&self.state),
        };
        let connection = connection::Builder::address(self.address().as_str())
            .serve_at(ROOT, manager)
            .name("org.freedesktop.systemd1")
            .build()
            .await
            .unwrap();
        let known: Vec<String> = self.state().units.keys().cloned().collect();
        for name in known {
            publish(&connection, &self.state, &name).await;
        }
        *self.service.lock().unwrap() = Some(connection);
    }

    /// Ends the bus; the units go on.
    pub fn bus_down(&self) {
        self.service.lock().unwrap().take();
        if let Some(mut bus) = self.bus.lock().unwrap().take() {
            let _ = bus.kill();
            let _ = bus.wait();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    pub fn without_pidfd(&self) {
        self.state().pidfd = false;
    }

    pub fn credentials(&self, directory: &Path) {
        self.state().credentials = Some(directory.to_owned());
    }

    /// Units by name.
    pub fn units(&self) -> BTreeMap<String, Unit> {
        self.state().units.clone()
    }

    /// The units that run.
    pub fn running(&self) -> Vec<String> {
        self.units()
            .into_iter()
            .filter(|(_, unit)| unit.pid.is_some())
            .map(|(name, _)| name)
            .collect()
    }

    /// SIGKILL to all of a unit, as the kernel does it when there is no memory left.
    pub fn out_of_memory(&self, name: &str, limit: u64) {
        let pid = {
            let mut state = self.state();
            let unit = state.units.get_mut(name).unwrap();
            unit.memory_max = limit;
            "oom-kill".clone_into(&mut unit.result);
            unit.pid.unwrap()
        };
        kill_all(pid);
    }

    /// The time limit of a unit is over: SIGTERM to its main process.
    pub fn out_of_time(&self, name: &str, limit: u64) {
        let pid = {
            let mut state = self.state();
            let unit = state.units.get_mut(name).unwrap();
            unit.runtime_max = limit;
            unit.entered = 1;
            "timeout".clone_into(&mut unit.result);
            unit.pid.unwrap()
        };
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }

    /// A stop by the administrator.
    pub fn stop(&self, name: &str) {
        let pid = self.state().units[name].pid.unwrap();
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }

    /// A unit of another origin that runs something.
    pub async fn stranger(&self, name: &str) -> i32 {
        let connection = self.service.lock().unwrap().clone().unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000");
        run(&self.state, name, command);
        publish(&connection, &self.state, name).await;
        self.state().units[name].pid.unwrap()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        for unit in self.units().values() {
            unit.pid.into_iter().for_each(kill_all);
        }
        self.bus_down();
    }
}

/// The tree of a process, itself first.
fn tree(top: i32) -> Vec<i32> {
    let mut all = vec![top];
    let parents: Vec<(i32, i32)> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(pid)?))
        })
        .collect();
    let mut at = 0;
    while at < all.len() {
        let of = all[at];
        all.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == of)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    all
}

pub fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let behind = stat.rfind(')')?;
    stat[behind + 1..].split_whitespace().nth(1)?.parse().ok()
}

pub fn kill_all(top: i32) {
    for pid in tree(top) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Starts the main process of a unit and minds it.
pub fn run(state: &Arc<Mutex<State>>, name: &str, mut command: Command) {
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    {
        let mut state = state.lock().unwrap();
        let now = state.now();
        let unit = state.units.entry(name.to_owned()).or_default();
        *unit = Unit {
            pid: Some(i32::try_from(child.id()).unwrap()),
            active: "active".to_owned(),
            entered: now,
            ..Unit::default()
        };
    }
    let (state, name) = (Arc::clone(state), name.to_owned());
    std::thread::spawn(move || {
        let status = child.wait().unwrap();
        ended(&state, &name, status);
    });
}

fn ended(state: &Mutex<State>, name: &str, status: ExitStatus) {
    let mut state = state.lock().unwrap();
    let now = state.now();
    let Some(unit) = state.units.get_mut(name) else {
        return;
    };
    unit.pid = None;
    unit.exited = now;
    (unit.code, unit.status) = match status.signal() {
        Some(signal) => (libc::CLD_KILLED, signal),
        None => (libc::CLD_EXITED, status.code().unwrap_or(0)),
    };
    if unit.result == "success" {
        match (status.success(), status.signal()) {
            // A clean end, for systemd too.
            (true, _) | (_, Some(libc::SIGTERM)) => {}
            (_, Some(_)) => "signal".clone_into(&mut unit.result),
            _ => "exit-code".clone_into(&mut unit.result),
        }
    }
    let active = if unit.result == "success" {
        "inactive"
    } else {
        "failed"
    };
    active.clone_into(&mut unit.active);
}

pub fn path_of(name: &str) -> OwnedObjectPath {
    let escaped: String = name
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("_{b:02x}")
            }
        })
        .collect();
    ObjectPath::try_from(format!("{ROOT}/unit/{escaped}"))
        .unwrap()
        .into()
}

pub async fn publish(connection: &Connection, state: &Arc<Mutex<State>>, name: &str) {
    let about = || (Arc::clone(state), name.to_owned());
    let (path, server) = (path_of(name), connection.object_server());
    let (state_, name_) = about();
    let _ = server
        .at(
            &path,
            UnitFace {
                state: state_,
                name: name_,
            },
        )
        .await;
    let (state, name) = about();
    let _ = server.at(&path, ServiceFace { state, name }).await;
}

/// The one deadline, here for what polls the units.
pub async fn wait_units(systemd: &Systemd, what: &str, holds: impl Fn(&Systemd) -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds(systemd) {
        assert!(
            Instant::now() < until,
            "waited in vain until {what}: {:#?}",
            systemd.units()
        );
        crate::support::breathe().await;
    }
}
