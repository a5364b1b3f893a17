//! A stand-in for polkit, and people who are not root.

use std::{
    collections::{BTreeSet, HashMap},
    io::Write as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use zbus::{Connection, connection, fdo, interface, wire::OwnedVariant};

use crate::units::fake::Systemd;

#[derive(Default)]
struct State {
    allowed: BTreeSet<String>,
    asked: Vec<String>,
    broken: bool,
}

/// polkit on the bus: allows what it is told to.
pub struct Polkit {
    state: Arc<Mutex<State>>,
    _connection: Connection,
}

impl Polkit {
    pub async fn start(bus: &Systemd) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let face = Authority(Arc::clone(&state));
        let connection = connection::Builder::address(bus.address().as_str())
            .serve_at("/org/freedesktop/PolicyKit1/Authority", face)
            .name("org.freedesktop.PolicyKit1")
            .build()
            .await
            .unwrap();
        Self {
            state,
            _connection: connection,
        }
    }

    pub fn allow(&self, action: &str) {
        self.state.lock().unwrap().allowed.insert(action.to_owned());
    }

    /// From now on it knows no actions.
    pub fn broken(&self) {
        self.state.lock().unwrap().broken = true;
    }

    /// What it was asked so far: the action, and whether somebody may be asked for a password.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

struct Authority(Arc<Mutex<State>>);

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.PolicyKit1.Error")]
enum Error {
    Failed(String),
}

#[interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action: String,
        _details: HashMap<String, String>,
        flags: u32,
        _cancellation: String,
    ) -> Result<(bool, bool, HashMap<String, String>), Error> {
        assert_eq!(subject.0, "system-bus-name");
        let name = String::try_from(subject.1["name"].try_clone().unwrap()).unwrap();
        assert!(name.starts_with(':'), "{name}");
        let mut state = self.0.lock().unwrap();
        state.asked.push(format!("{action} {}", flags == 1));
        if state.broken {
            return Err(Error::Failed(format!("Action {action} is not registered")));
        }
        Ok((state.allowed.contains(&action), true, HashMap::new()))
    }

    fn cancel_check_authorization(&self, _cancellation: String) -> fdo::Result<()> {
        Ok(())
    }
}

/// Somebody who is not root.
pub struct Stranger {
    address: String,
}

impl Stranger {
    /// On this bus; `None` where we are not root and so cannot be somebody else.
    pub fn of(bus: &Systemd) -> Option<Self> {
        bus.open_to_all();
        nix::unistd::getuid().is_root().then(|| Self {
            address: bus.address(),
        })
    }

    /// What busctl says to this.
    pub async fn busctl(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::new("setpriv");
        let output = command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "busctl"])
            .arg(format!("--address={}", self.address))
            .args(["--json=short", "--timeout=10"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("busctl and setpriv are needed: apt install systemd util-linux");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }
}

/// What a process needs to call without a library: `connect` and `call`.
const PLAIN: &str = r#"
import os, socket, struct, sys
def connect(address):
    s = socket.socket(socket.AF_UNIX)
    s.connect(address[len("unix:path="):])
    s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    assert s.recv(100).startswith(b"OK")
    s.sendall(b"BEGIN\r\n")
    s.sendall(call(1, "/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus", "Hello"))
    return s
def text(t): return struct.pack("<I", len(t)) + t.encode() + b"\0"
def pad(b): return b + b"\0" * (-len(b) % 8)
def call(serial, path, dest, iface, member):
    fields = b""
    for code, sig, value in ((1, "o", path), (6, "s", dest), (2, "s", iface), (3, "s", member)):
        fields = pad(fields) + bytes([code, 1]) + sig.encode() + b"\0" + text(value)
    return pad(struct.pack("<BBBBIII", ord("l"), 1, 0, 1, 0, serial, len(fields)) + fields)
def manager(serial, member): return call(serial, "/org/telexd1", "org.telexd1", "org.telexd1.Manager", member)
"#;

/// A process of somebody who is not root that calls one method after the other, without arguments.
pub struct Knocking(tokio::process::Child);

impl Knocking {
    pub fn start(bus: &Systemd, calls: usize, methods: &[&str]) -> Self {
        let program = format!(
            r#"{PLAIN}
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = connect({address:?})
def exactly(n):
    b = b""
    while len(b) < n:
        more = s.recv(n - len(b))
        assert more
        b += more
    return b
def answer():
    while True:
        head = exactly(16)
        body, _, fields = struct.unpack("<III" if head[:1] == b"l" else ">III", head[4:])
        exactly(-(-fields // 8) * 8 + body)
        if head[1] in (2, 3): return head[1]
answer()
methods = {methods:?}
refused = 0
for n in range({calls}):
    s.sendall(manager(n + 2, methods[n % len(methods)]))
    refused += answer() == 3
print(refused)
"#,
            address = bus.address()
        );
        let child = tokio::process::Command::new("python3")
            .args(["-c", &program])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 is needed");
        Self(child)
    }

    /// How many calls were answered with an error, once all are answered.
    pub async fn refused(self) -> usize {
        let output = self.0.wait_with_output().await.unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }
}

/// A process that calls and calls and never reads an answer.
pub struct Deaf(Child);

impl Deaf {
    pub fn start(bus: &Systemd, calls: usize) -> Self {
        let program = format!(
            r#"{PLAIN}
s = connect({address:?})
for n in range({calls}):
    s.sendall(manager(n + 2, "Health"))
print("deaf", flush=True)
sys.stdin.read()
"#,
            address = bus.address()
        );
        let mut child = Command::new("python3")
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert_eq!(line, "deaf\n");
        let _ = std::io::stdout().flush();
        Self(child)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
