//! What is checked before the agent is started: directory, environment, program, version.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::PermissionsExt,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    fcntl::OFlag,
    poll::PollFlags,
    unistd::{getpid, pipe2},
};

use super::{
    environment::{self, Environment},
    join::Hand,
    signals::Signals,
    tree,
};
use crate::{
    gateway::ports::{NotStarted, Spec, VersionGate},
    runner::fds::{self, reason},
};

/// Limit for the program to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of what it says that are looked at.
const MOST_WORDS: usize = 4096;

/// Everything that is needed to start the agent.
pub(super) struct Prepared {
    /// Program as configured.
    name: String,
    path: PathBuf,
    args: Vec<String>,
    environment: Environment,
}

impl Prepared {
    /// The program with these arguments, in the agent's surroundings.
    pub(super) fn command(&self, args: &[String], most_bytes: u64) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).env_clear().envs(&self.environment);
        fds::as_agent(&mut command, getpid(), most_bytes);
        command
    }

    pub(super) fn args(&self) -> &[String] {
        &self.args
    }

    /// Why the program, which was found, could not be started.
    pub(super) fn cannot_start(&self, error: &io::Error) -> NotStarted {
        let what = match error.kind() {
            // It is there, so this is about what its first line names.
            ErrorKind::NotFound => "its interpreter is missing".to_owned(),
            _ => reason(error),
        };
        other(format!("cannot start {}: {what}", self.name))
    }
}

pub(super) fn other(detail: String) -> NotStarted {
    NotStarted::Other { detail }
}

/// Enters the working directory, builds the environment and finds the program.
pub(super) fn prepare(spec: &Spec) -> Result<Prepared, NotStarted> {
    std::env::set_current_dir(&spec.directory).map_err(|e| NotStarted::Directory {
        detail: format!("{}: {}", spec.directory.display(), reason(&e)),
    })?;
    let environment = environment::build(spec)?;
    let Some((name, args)) = spec.argv.split_first() else {
        return Err(other("the spec names no program".to_owned()));
    };
    let path = find(name, environment.get(OsStr::new("PATH")).map(|p| &**p))?;
    Ok(Prepared {
        name: name.clone(),
        path,
        args: args.to_vec(),
        environment,
    })
}

/// Finds a program: a path is taken as it is, a name is searched in `path`.
fn find(name: &str, path: Option<&OsStr>) -> Result<PathBuf, NotStarted> {
    let absent = || NotStarted::NotFound {
        program: name.to_owned(),
    };
    if name.is_empty() {
        return Err(absent());
    }
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        path.unwrap_or_default()
            .as_bytes()
            .split(|b| *b == b':')
            .map(|dir| {
                Path::new(OsStr::from_bytes(if dir.is_empty() { b"." } else { dir })).join(name)
            })
            .collect()
    };
    let mut there = None;
    for candidate in candidates {
        match std::fs::metadata(&candidate) {
            Ok(m) if m.is_file() && m.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(_) => there = there.or(Some("not an executable file")),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                there = there.or(Some("not accessible"));
            }
            Err(_) => {}
        }
    }
    match there {
        Some(what) => Err(other(format!("cannot start {name}: {what}"))),
        None => Err(absent()),
    }
}

/// Asks the program for its version and compares.
pub(super) fn check_version(
    prepared: &Prepared,
    gate: &VersionGate,
    hand: &Hand,
    signals: &Signals,
) -> Result<(), NotStarted> {
    let (a, b, c) = gate.oldest;
    let oldest = format!("{a}.{b}.{c}");
    let said = say_version(prepared, gate, hand, signals);
    // Whatever it has started or left: nothing of it stays.
    tree::sweep(signals, Duration::ZERO, super::SWEEP);
    let said = said?;
    match version_in(&said) {
        Some(found) if found >= gate.oldest => Ok(()),
        Some((x, y, z)) => Err(NotStarted::TooOld {
            found: format!("{x}.{y}.{z}"),
            oldest,
        }),
        None => Err(other(format!(
            "{} does not say its version; at least {oldest} is needed",
            prepared.name
        ))),
    }
}

fn say_version(
    prepared: &Prepared,
    gate: &VersionGate,
    hand: &Hand,
    signals: &Signals,
) -> Result<String, NotStarted> {
    let pipe = pipe2(OFlag::O_CLOEXEC);
    let (read, write) = pipe.map_err(|e| other(format!("cannot make a pipe: {}", e.desc())))?;
    let errors = hand
        .errors
        .try_clone()
        .map_err(|e| other(format!("cannot use stderr.log: {}", reason(&e))))?;
    // The command holds the write end until it is dropped.
    let mut command = prepared.command(&gate.args, 0);
    command.stdin(Stdio::null()).stdout(write).stderr(errors);
    command.spawn().map_err(|e| prepared.cannot_start(&e))?;
    drop(command);
    let deadline = Instant::now() + VERSION_LIMIT;
    let mut words = Vec::new();
    let mut read = File::from(read);
    loop {
        let readable = Some((read.as_fd(), PollFlags::POLLIN));
        let seen = signals.wait(Some(&hand.bell), readable, Some(deadline));
        if seen.stop {
            return Err(other("it was ended before it started".to_owned()));
        }
        if seen.extra.is_some_and(|f| !f.is_empty()) {
            let mut buffer = [0; 1024];
            match read.read(&mut buffer) {
                Ok(0) => break,
                Ok(got) => words.extend_from_slice(&buffer[..got]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(other(format!("cannot read the version: {}", reason(&e)))),
            }
            let text = String::from_utf8_lossy(&words);
            // A whole line with a version is enough: something else may keep the pipe open.
            if words.len() > MOST_WORDS || (text.ends_with('\n') && version_in(&text).is_some()) {
                break;
            }
        }
        if Instant::now() >= deadline {
            return Err(other(format!(
                "{} did not say its version within {} s",
                prepared.name,
                VERSION_LIMIT.as_secs()
            )));
        }
    }
    Ok(String::from_utf8_lossy(&words).into_owned())
}

/// The first `X.Y.Z` in a text.
fn version_in(text: &str) -> Option<(u64, u64, u64)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .find_map(|word| {
            let mut parts = word.split('.');
            let mut next = || parts.next()?.parse().ok();
            Some((next()?, next()?, next()?))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_a_sentence() {
        assert_eq!(version_in("2.1.330 (Claude Code)\n"), Some((2, 1, 330)));
        assert_eq!(version_in("agent v1.2.3-beta.4"), Some((1, 2, 3)));
        assert_eq!(version_in("node 18, tool 10.0.1"), Some((10, 0, 1)));
        assert_eq!(version_in("1.2"), None);
        assert_eq!(version_in("..1.2.3"), None);
        assert_eq!(version_in("99999999999999999999999.1.1"), None);
        assert_eq!(version_in(""), None);
    }

    #[test]
    fn a_program_is_searched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().as_os_str();
        assert!(matches!(
            find("tool", Some(path)),
            Err(NotStarted::NotFound { .. })
        ));
        let tool = dir.path().join("tool");
        std::fs::write(&tool, "#!/bin/sh\n").unwrap();
        assert!(matches!(
            find("tool", Some(path)),
            Err(NotStarted::Other { .. })
        ));
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", Some(path)).unwrap(), tool);
        assert_eq!(find(tool.to_str().unwrap(), None).unwrap(), tool);
        assert!(matches!(
            find("", Some(path)),
            Err(NotStarted::NotFound { .. })
        ));
    }
}
