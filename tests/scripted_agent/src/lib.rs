//! A small, fast stand-in of the Claude Code CLI (2.1.330) in its bidirectional `stream-json` mode.
//!
//! For tests, benches and the demo, where hundreds of agents are needed or none is installed. It starts in milliseconds,
//! contacts nobody, runs no commands, and does what the prompt says: see [`script`]. What it has seen is kept as
//! evidence: see [`history`].
//!
//! In demo mode (flag `--telexd-demo`, environment variable `TELEXD_SCRIPTED_AGENT=demo`, or a program name that ends in
//! `telexd-demo-agent`) ordinary prompts get a friendly answer that says that it comes from a scripted stand-in.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, ExitCode},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::{Duration, SystemTime},
};

use nix::sys::signal::{SigSet, Signal};

mod agent;
mod args;
mod demo;
pub mod history;
pub mod host;
mod lines;
mod load;
pub mod script;
mod stray;
mod turn;

use agent::{Agent, Event};
use args::Wish;
use lines::complain;

/// Runs the stand-in on this process's standard input and output, to its end.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    if let Some(code) = stray::main(&args).or_else(|| load::main(&args)) {
        return code;
    }
    let mut found = match args::parse(args) {
        Ok(Wish::Version) => {
            version();
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Serve(found)) => *found,
        Err(why) => {
            complain(&why);
            return ExitCode::FAILURE;
        }
    };
    found.demo |= name.ends_with("telexd-demo-agent")
        || std::env::var_os("TELEXD_SCRIPTED_AGENT").as_deref() == Some(OsStr::new("demo"));
    // Bounded: what is not read yet stays in the pipe.
    let (tx, rx) = sync_channel(256);
    if let Err(error) = signals(tx.clone()) {
        complain(&format!("signals: {error}"));
        return ExitCode::FAILURE;
    }
    thread::spawn(move || input(&tx));
    match Agent::new(found, rx) {
        Ok(mut agent) => ExitCode::from(agent.serve()),
        Err(code) => ExitCode::from(code),
    }
}

#[allow(clippy::print_stdout, reason = "it is a command line program")]
fn version() {
    println!("{} (Claude Code)", args::VERSION);
}

/// Blocks the signals in this thread and all later ones, and hands them to the channel.
fn signals(tx: SyncSender<Event>) -> nix::Result<()> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        set.add(signal);
    }
    set.thread_block()?;
    thread::spawn(move || {
        while let Ok(signal) = set.wait() {
            let _ = tx.try_send(Event::Signal(signal as i32));
            if signal != Signal::SIGINT {
                // The main thread may be stuck in a write that nobody reads.
                thread::sleep(Duration::from_millis(1500));
                std::process::exit(128 + signal as i32);
            }
        }
    });
    Ok(())
}

fn input(tx: &SyncSender<Event>) {
    let mut lines = BufReader::new(std::io::stdin());
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => {
                let _ = tx.send(Event::Eof);
                return;
            }
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).into_owned();
                if tx.send(Event::Line(text)).is_err() {
                    return;
                }
            }
        }
    }
}

/// The program itself, built from the sources of this crate where it is absent or older than they are: cargo builds no
/// binaries of dependencies. For tests only.
///
/// # Panics
/// Where it cannot be built.
#[must_use]
#[allow(clippy::panic, reason = "for tests")]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TELEXD_TEST_SCRIPTED_AGENT") {
        return PathBuf::from(path);
    }
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let Some(folder) = std::env::current_exe().ok().and_then(|exe| {
        // target/PROFILE/deps/TEST-HASH, or target/PROFILE/PROGRAM
        let folder = exe.parent()?;
        Some(
            if folder.ends_with("deps") || folder.ends_with("examples") {
                folder.parent()?
            } else {
                folder
            }
            .to_path_buf(),
        )
    }) else {
        panic!("this test does not know where it stands");
    };
    let path = folder.join("telexd-scripted-agent");
    let built = path
        .metadata()
        .and_then(|m| m.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH);
    if built >= newest(&sources.join("src")).max(newest(&sources.join("Cargo.toml"))) {
        return path;
    }
    let profile = folder.file_name().unwrap_or_default();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--offline",
            "--package",
            "telexd-scripted-agent",
            "--profile",
        ])
        .arg(if profile == "debug" {
            OsStr::new("dev")
        } else {
            profile
        })
        .arg("--target-dir")
        .arg(folder.parent().unwrap_or(&folder))
        .current_dir(&sources)
        .status();
    // Cargo leaves a program alone that is up to date, so its age says nothing from here on.
    match status {
        Ok(status) if status.success() && path.exists() => {
            let _ = std::fs::File::options()
                .append(true)
                .open(&path)
                .and_then(|f| f.set_modified(SystemTime::now()));
            path
        }
        other => panic!(
            "cargo could not build telexd-scripted-agent into {}: {other:?}",
            folder.display()
        ),
    }
}

fn newest(path: &std::path::Path) -> SystemTime {
    let own = path
        .metadata()
        .and_then(|m| m.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH);
    std::fs::read_dir(path).map_or(own, |entries| {
        entries
            .flatten()
            .map(|e| newest(&e.path()))
            .fold(own, SystemTime::max)
    })
}
