//! What a test may do with a machine, be it a container or a virtual machine.

#![allow(dead_code, reason = "tools, of which not all are in use at all times")]

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::shared::breathe;

/// The one deadline for whatever a test waits for in a machine, two of which may share two cores with a compiler.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12 with systemd 252.
    Bookworm,
    /// Debian 13 with systemd 257.
    Trixie,
}

impl Release {
    /// Debian's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The version of systemd.
    pub fn systemd(self) -> u32 {
        match self {
            Self::Bookworm => 252,
            Self::Trixie => 257,
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; 255 where it was ended by a signal.
    pub code: i32,
    /// What it wrote.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

/// A machine that is on, or was. Where the journal can be read from outside, one that is dropped because the test fails
/// prints its end.
pub trait Host {
    /// What runs on it.
    fn release(&self) -> Release;

    /// The address under which it reaches what listens on 127.0.0.1 here.
    fn loopback(&self) -> &str;

    /// Runs a script of bash as root, as a unit of its own, with this on its standard input.
    ///
    /// # Panics
    /// Where it takes longer than `patience`, or the machine is off.
    async fn run(&self, script: &str, input: &[u8], patience: Duration) -> Output;

    /// The machine shuts down in order and starts again. Returns when it has started.
    async fn reboot(&mut self);

    /// What is in the machine goes at once, as if somebody had pulled the plug. [`Host::start`] starts it again.
    async fn kill_hard(&mut self);

    /// Starts a machine that is off, and waits until all that starts by itself has.
    async fn start(&mut self);

    /// What it shows on its console, be it on or off.
    async fn tail(&self) -> String;

    /// Runs a script of bash as root.
    async fn sh(&self, script: &str) -> Output {
        self.run(script, b"", PATIENCE).await
    }

    /// Runs a script that must succeed; what it wrote, without the white space around it.
    async fn ok(&self, script: &str) -> String {
        let output = self.sh(script).await;
        assert!(output.code == 0, "{script}: {output}");
        output.stdout.trim().to_owned()
    }

    /// Writes a file, whole or not at all; `mode` as in 0o600, `owner` as for chown. Folders that are missing are made.
    async fn put_file(&self, path: &str, bytes: &[u8], mode: u32, owner: &str) {
        let script = format!(
            "set -e; umask 077; file='{path}'; mkdir -p -m 755 \"${{file%/*}}\"; cat >\"$file.new\"; \
             chown {owner} \"$file.new\"; chmod {mode:o} \"$file.new\"; mv \"$file.new\" \"$file\"",
        );
        let output = self.run(&script, bytes, PATIENCE).await;
        assert!(output.code == 0, "writing {path}: {output}");
    }

    /// Entries of the journal that `journalctl` finds with these arguments (`-u telexd.service`), oldest first.
    async fn journal(&self, arguments: &str) -> Vec<Value> {
        let script =
            format!("journalctl --sync; exec journalctl --quiet --output=json {arguments}");
        let output = self.sh(&script).await;
        assert!(output.code <= 1, "journalctl {arguments}: {output}");
        let entry = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("journalctl: {e}: {line}"))
        };
        output.stdout.lines().map(entry).collect()
    }

    /// Messages of the journal entries that [`Host::journal`] finds, one per line.
    async fn messages(&self, arguments: &str) -> String {
        let entries = self.journal(arguments).await;
        let text = |entry: &Value| match &entry["MESSAGE"] {
            Value::String(text) => text.clone(),
            // What is not text comes as an array of bytes.
            other => other.to_string(),
        };
        entries.iter().map(text).collect::<Vec<_>>().join("\n")
    }

    /// A property of a unit as `systemctl show` has it.
    async fn property(&self, unit: &str, name: &str) -> String {
        self.ok(&format!("systemctl show --value --property={name} {unit}"))
            .await
    }

    /// Waits until the condition holds, which is asked over and over.
    ///
    /// # Panics
    /// Where it does not within [`PATIENCE`].
    async fn wait_until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(
                Instant::now() < until,
                "waited in vain until {what}\n{}",
                self.tail().await
            );
            breathe().await;
        }
    }

    /// Waits until a script succeeds.
    async fn wait_sh(&self, what: &str, script: &str) {
        self.wait_until(what, async || self.sh(script).await.code == 0)
            .await;
    }

    /// Waits until a unit's `ActiveState` is that.
    async fn wait_state(&self, unit: &str, state: &str) {
        let what = format!("{unit} is {state}");
        self.wait_until(&what, async || {
            self.property(unit, "ActiveState").await == state
        })
        .await;
    }
}
