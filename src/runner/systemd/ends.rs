//! What systemd's word about a unit means. Pure.

use super::bus::{CallError, Properties};
use crate::{
    core::trouble::ServiceTrouble,
    gateway::ports::{Exit, NotStarted},
};

/// What the package installs, and what an administrator does to it.
const RULE: &str = "/usr/share/polkit-1/rules.d/50-telexd.rules";

/// What is known of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `loaded`, `masked`, `not-found`, `bad-setting`, `error`.
    pub(super) load: String,
    /// Why it could not be loaded.
    pub(super) load_error: String,
    /// `active`, `inactive`, `failed`, …
    pub(super) active: String,
    /// `success`, `exit-code`, `signal`, `oom-kill`, `timeout`, …
    pub(super) result: String,
    /// Unit file and drop-ins.
    pub(super) files: Vec<String>,
    /// User that it runs as.
    pub(super) user: String,
    /// `si_code` of its main process, 0 before it ended.
    pub(super) code: i32,
    /// Exit code or signal of its main process.
    pub(super) status: i32,
    /// Most memory, in bytes.
    pub(super) memory_max: Option<u64>,
    /// Longest time, in microseconds.
    pub(super) runtime_max: Option<u64>,
    /// How long it was active, in microseconds.
    pub(super) ran: Option<u64>,
}

impl From<&Properties> for Facts {
    fn from(all: &Properties) -> Self {
        let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let at = |name| all.number(name).filter(|at| *at > 0);
        let mut files = all.get::<Vec<String>>("DropInPaths").unwrap_or_default();
        let fragment = all.text("FragmentPath");
        if !fragment.is_empty() {
            files.insert(0, fragment);
        }
        Self {
            load: all.text("LoadState"),
            load_error: all
                .get::<(String, String)>("LoadError")
                .map(|(_, words)| words)
                .unwrap_or_default(),
            active: all.text("ActiveState"),
            result: all.text("Result"),
            files,
            user: all.text("User"),
            code: all.get("ExecMainCode").unwrap_or_default(),
            status: all.get("ExecMainStatus").unwrap_or_default(),
            // The second knows the limits of the slices above; systemd has it from 256 on.
            memory_max: least(all.number("MemoryMax"), all.number("EffectiveMemoryMax")),
            runtime_max: all.number("RuntimeMaxUSec"),
            ran: at("ActiveExitTimestampMonotonic")
                .zip(at("ActiveEnterTimestampMonotonic"))
                .and_then(|(exit, enter)| exit.checked_sub(enter)),
        }
    }
}

impl Facts {
    /// Whether nothing of it runs.
    pub(super) fn is_over(&self) -> bool {
        matches!(&*self.active, "inactive" | "failed" | "")
    }

    /// Why a unit that ran was ended by systemd or the kernel; `None` where neither did.
    pub(super) fn ended(&self) -> Option<Exit> {
        match &*self.result {
            "oom-kill" => Some(Exit::OutOfMemory {
                limit: self.memory_max,
            }),
            "timeout" => self.time_limit().map(|most| Exit::TimeLimit {
                seconds: most / 1_000_000,
            }),
            _ => None,
        }
    }

    /// Whether it was told to stop, by whomever, and systemd had to kill it because it did not within its time.
    pub(super) fn was_stopped_by_force(&self) -> bool {
        // Of a time limit the result is the same. Where it cannot be told how long it ran, nothing is claimed.
        self.result == "timeout" && self.ran.is_some() && self.time_limit().is_none()
    }

    /// The time that it was given, in microseconds, if it used all of it.
    fn time_limit(&self) -> Option<u64> {
        // It counts until systemd begins to end it.
        self.runtime_max.filter(|most| self.ran >= Some(*most))
    }

    /// Why a unit did not come up.
    pub(super) fn not_started(&self, unit: &str, template: &str) -> NotStarted {
        if let Some(trouble) = self.not_loaded(unit, template) {
            return trouble;
        }
        let exited = (self.code == nix::libc::CLD_EXITED).then_some(self.status);
        let own = self
            .files
            .first()
            .map_or_else(|| template.to_owned(), Clone::clone);
        let (trouble, detail) = match (&*self.result, exited) {
            (_, Some(217)) => (
                ServiceTrouble::User,
                format!(
                    "the user {} of {unit} does not exist: make it with `systemd-sysusers`, or name another one with \
                     `systemctl edit {template}` (User= under [Service])",
                    if self.user.is_empty() {
                        "root"
                    } else {
                        &self.user
                    },
                ),
            ),
            (_, Some(216)) => (
                ServiceTrouble::User,
                format!(
                    "the group of {unit} does not exist: make it with `systemd-sysusers`, or name another one with \
                     `systemctl edit {template}` (Group= under [Service])"
                ),
            ),
            (_, Some(243)) => (
                ServiceTrouble::Credentials,
                format!(
                    "a file that LoadCredential= of {unit} names is missing (as a rule /etc/telexd/agent.env): make it \
                     with `install -m 600 /dev/null /etc/telexd/agent.env`, or look at `systemctl cat {template}`"
                ),
            ),
            (_, Some(203)) => (
                ServiceTrouble::Sandbox,
                format!(
                    "the program in ExecStart= of {unit} cannot be executed: install the package again with \
                     `apt install --reinstall telexd`, or look at `systemctl cat {template}`"
                ),
            ),
            (_, Some(200)) => (
                ServiceTrouble::Sandbox,
                format!(
                    "WorkingDirectory= of {unit} cannot be entered by user {}: make it with `systemd-tmpfiles --create \
                     telexd.conf`, or correct it with `systemctl edit {template}`",
                    self.user
                ),
            ),
            (_, Some(226)) => (
                ServiceTrouble::Sandbox,
                format!(
                    "the sandbox of {unit} cannot be set up; most often a path in ReadWritePaths= or the like does not \
                     exist: see `journalctl -u {unit}`, correct it with `systemctl edit {template}`"
                ),
            ),
            (_, Some(status @ 200..)) => (
                ServiceTrouble::Sandbox,
                format!(
                    "systemd could not set up {unit} (exit status {status}): see `journalctl -u {unit}` and \
                     `systemctl cat {template}`"
                ),
            ),
            ("start-limit-hit", _) => (
                ServiceTrouble::Other,
                format!("{unit} was started too often: `systemctl reset-failed {unit}`"),
            ),
            ("oom-kill", _) => (
                ServiceTrouble::Other,
                format!(
                    "{unit} ran out of memory before it was up: raise MemoryMax= with `systemctl edit {template}`"
                ),
            ),
            ("success" | "", _) => (
                ServiceTrouble::Other,
                format!(
                    "{unit} ended before it took its run; see `journalctl -u {unit}` and `systemctl cat {template}`"
                ),
            ),
            (result, _) => (
                ServiceTrouble::Other,
                format!(
                    "{unit} failed ({result}) before it took its run; see `journalctl -u {unit}` and {own}"
                ),
            ),
        };
        NotStarted::Service { trouble, detail }
    }

    fn not_loaded(&self, unit: &str, template: &str) -> Option<NotStarted> {
        let because = match self.load_error.trim_end_matches('.') {
            "" => String::new(),
            words => format!(" ({words})"),
        };
        let (trouble, detail) = match &*self.load {
            "masked" => (
                ServiceTrouble::Masked,
                format!("{template} is masked: `systemctl unmask {template}`"),
            ),
            "not-found" => (
                ServiceTrouble::Missing,
                format!(
                    "there is no template {template}: install the package again with `apt install --reinstall telexd`, \
                     or correct the name of the profile in the configuration, then `systemctl daemon-reload`"
                ),
            ),
            "bad-setting" | "error" => (
                ServiceTrouble::Broken,
                format!(
                    "{unit} cannot be loaded{because}; it is made of {}: correct it with `systemctl edit {template}`, \
                     or drop all changes with `systemctl revert {template}`; `systemd-analyze verify {unit}` says more",
                    if self.files.is_empty() {
                        template.to_owned()
                    } else {
                        self.files.join(", ")
                    }
                ),
            ),
            _ => return None,
        };
        Some(NotStarted::Service { trouble, detail })
    }
}

/// Why systemd did not take the order to start, where its answer alone says it. `polkit`: whether there is one.
pub(super) fn refused(error: &CallError, unit: &str, polkit: bool) -> Option<NotStarted> {
    let (trouble, detail) = match (error, error.kind()) {
        (CallError::NoBus(why), _) => (
            ServiceTrouble::NoSystemd,
            format!(
                "systemd cannot be reached over the system bus ({why}), so agents cannot be started: look at `systemctl \
                 status dbus.socket dbus.service`; where D-Bus is not installed, `apt install dbus`"
            ),
        ),
        (_, "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed") if polkit => (
            ServiceTrouble::Refused,
            format!(
                "polkit does not let this user start {unit} ({}): the rule {RULE} is missing, changed or overruled; \
                 install the package again with `apt install --reinstall telexd` and look at `journalctl -u polkit`; a \
                 profile of your own needs a rule of your own",
                error.kind()
            ),
        ),
        (_, "AccessDenied" | "InteractiveAuthorizationRequired" | "AuthFailed") => (
            ServiceTrouble::Refused,
            format!(
                "polkit is not there, and only it can let this user start {unit} (by the rule {RULE}): `apt install \
                 polkitd`; where it is masked, `systemctl unmask polkit.service`"
            ),
        ),
        _ => return None,
    };
    Some(NotStarted::Service { trouble, detail })
}

#[cfg(test)]
#[path = "ends_tests.rs"]
mod tests;
