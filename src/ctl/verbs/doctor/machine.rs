//! Configuration, state directory, disk and clock.

use std::{path::PathBuf, process::Stdio, time::Duration};

use nix::{libc, sys::statvfs::statvfs};
use tokio::{process::Command, time};

use super::{Finding, State};
use crate::ctl::look::bytes;

/// Less free than this is little: the database, runs and uploads need room.
const LITTLE: u64 = 1_000_000_000;
/// Less than this is too little.
const TOO_LITTLE: u64 = 100_000_000;
/// How long `telexd check` may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The settings that are of interest here, as far as they can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) state: PathBuf,
    pub(super) agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state: PathBuf::from("/var/lib/telexd"),
            agent: "claude".to_owned(),
        }
    }
}

/// Has the daemon's program check its configuration, and reads what holds.
pub(super) async fn check(findings: &mut Vec<Finding>) -> Settings {
    let program = beside("telexd");
    match said(Command::new(&program).arg("check")).await {
        Ok((true, words)) => findings.push(
            match words
                .lines()
                .find_map(|line| line.strip_prefix("warning: "))
            {
                Some(doubt) => {
                    Finding::new("config", State::Warn, doubt, "telexd check shows all of it")
                }
                None => Finding::ok("config", "telexd check finds nothing wrong"),
            },
        ),
        Ok((false, words)) => findings.push(Finding::new(
            "config",
            State::Bad,
            words
                .lines()
                .next()
                .unwrap_or("telexd check fails and does not say why"),
            "telexd check shows all of it; mend it, then systemctl restart telexd",
        )),
        Err(why) => findings.push(Finding::new(
            "config",
            State::Unknown,
            format!("telexd check cannot be run: {why}"),
            "apt install --reinstall telexd",
        )),
    }
    match said(Command::new(&program).arg("config")).await {
        Ok((true, words)) => read(&words),
        _ => Settings::default(),
    }
}

/// Reads the output of `telexd config`.
fn read(words: &str) -> Settings {
    let mut settings = Settings::default();
    let Ok(table) = words.parse::<toml::Table>() else {
        return settings;
    };
    let text = |section: &str, key: &str| table.get(section)?.get(key)?.as_str().map(str::to_owned);
    if let Some(state) = text("state", "directory") {
        settings.state = state.into();
    }
    if let Some(agent) = text("agent", "command") {
        settings.agent = agent;
    }
    settings
}

/// The program of this name that came with this one, else the one in the path.
fn beside(name: &str) -> PathBuf {
    let mine = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join(name)));
    mine.filter(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}

/// Runs a program: whether it succeeded, and what it wrote, errors first.
pub(super) async fn said(command: &mut Command) -> Result<(bool, String), String> {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = time::timeout(PATIENCE, running)
        .await
        .map_err(|_| "it does not end".to_owned())?
        .map_err(|error| error.to_string())?;
    let words = [output.stderr, output.stdout].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&words).into_owned(),
    ))
}

/// The state directory, and room on its disk.
pub(super) fn state(settings: &Settings, findings: &mut Vec<Finding>) {
    let directory = &settings.state;
    // Whoever may not look into it still sees the disk that it is on.
    let seen = directory.ancestors().find_map(|path| statvfs(path).ok());
    findings.push(match (directory.exists(), seen) {
        (false, _) => Finding::new(
            "state",
            State::Bad,
            format!("there is no state directory {}", directory.display()),
            "systemctl restart telexd makes it, where it is /var/lib/telexd; else: install -d -o telexd -m 0700 and its name",
        ),
        (true, None) => Finding::new("state", State::Unknown, format!("{} cannot be looked at", directory.display()), "run telexctl doctor as root"),
        (true, Some(disk)) => room(
            &directory.display().to_string(),
            disk.blocks_available().saturating_mul(disk.fragment_size()),
            disk.files_available(),
            disk.files(),
        ),
    });
}

/// What to say of so much room. A file system without a number of files says 0 for both.
fn room(directory: &str, free: u64, files_free: u64, files: u64) -> Finding {
    let remedy = format!("df -h {directory}; remove what is not needed");
    if files > 0 && files_free < 1000 {
        let text = format!("{files_free} more files fit on the disk of {directory}");
        return Finding::new(
            "disk",
            State::Bad,
            text,
            format!("df -i {directory}; remove what is not needed"),
        );
    }
    let text = format!("{} are free on the disk of {directory}", bytes(free));
    match free {
        0..TOO_LITTLE => Finding::new("disk", State::Bad, text, remedy),
        TOO_LITTLE..LITTLE => Finding::new("disk", State::Warn, text, remedy),
        _ => Finding::ok("disk", text),
    }
}

/// Whether somebody keeps the clock right: encrypted connections and the age of messages need it.
pub(super) fn clock(findings: &mut Vec<Finding>) {
    // SAFETY: all fields of `timex` are numbers, so zeros are a value of it; `modes` 0 changes nothing, and the pointer is
    // to a value that lives through the call.
    let (state, kept) = unsafe {
        let mut kept: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut kept), kept)
    };
    // As systemd judges it: the kernel's estimate of the error grows by itself while nobody sets the clock.
    let synchronised = state >= 0 && kept.maxerror < 16_000_000;
    findings.push(if synchronised {
        Finding::ok("clock", "the clock is synchronised")
    } else {
        Finding::new(
            "clock",
            State::Warn,
            "nobody keeps the clock of this machine right",
            "apt install systemd-timesyncd; timedatectl set-ntp true",
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_on_the_disk() {
        for (free, files_free, files, state) in [
            (5_000_000_000, 100_000, 200_000, State::Ok),
            (5_000_000_000, 0, 0, State::Ok),
            (5_000_000_000, 3, 200_000, State::Bad),
            (500_000_000, 100_000, 200_000, State::Warn),
            (5_000_000, 100_000, 200_000, State::Bad),
        ] {
            assert_eq!(room("/x", free, files_free, files).state, state);
        }
        let mut findings = Vec::new();
        let settings = Settings {
            state: "/nowhere/at/all".into(),
            ..Settings::default()
        };
        state(&settings, &mut findings);
        assert_eq!(findings[0].state, State::Bad);
        clock(&mut findings);
        assert!(matches!(findings[1].state, State::Ok | State::Warn));
    }

    #[test]
    fn settings_are_read_from_what_telexd_prints() {
        let told =
            "[state]\ndirectory = \"/srv/x\"  # file:3\n\n[agent]\ncommand = \"/opt/claude\"\n";
        let wanted = Settings {
            state: "/srv/x".into(),
            agent: "/opt/claude".to_owned(),
        };
        assert_eq!(read(told), wanted);
        assert_eq!(read("no TOML"), Settings::default());
    }
}
