//! What a person starts. It does nothing itself but wait for the host, and clears up when that has ended, in whatever
//! way: the processes of the demo, its directory, the terminal.

use std::{
    ffi::OsStr,
    io::{IsTerminal, Write},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use clap::Parser;
use nix::{
    sys::{
        signal::{SigSet, Signal, kill},
        termios::{self, SetArg, Termios},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};

use super::{complain, family, home::Home, host::HOST, options::Options};

/// How long the host has to end when it is asked to; it gives the daemon most of it.
const LISTENS_WITHIN: Duration = Duration::from_secs(8);

/// Leaves the other screen, shows the cursor, ends bracketed paste.
const TERMINAL_AS_IT_WAS: &str = "\x1b[?1049l\x1b[?25h\x1b[?2004l";

/// Runs the demo.
pub fn main() -> ExitCode {
    // Told here already, so that `--help` and mistakes cost nothing.
    Options::parse();
    match guard() {
        Ok(code) => code,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn guard() -> Result<ExitCode, String> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
    ] {
        signals.add(signal);
    }
    // Before there is anything to clear up.
    signals
        .thread_block()
        .map_err(|e| format!("cannot take signals: {e}"))?;
    family::adopt().map_err(|e| format!("cannot look after processes: {e}"))?;
    let terminal = termios::tcgetattr(std::io::stdin()).ok();
    let home = Home::make()?;
    let done = watch(&home, &signals);
    let ended = family::end_all();
    let removed = home.remove();
    // Last of all: a terminal that is stopped (Ctrl-S) holds up whoever writes to it.
    if let Ok(End::Killed(_)) = done {
        restore(terminal.as_ref());
    }
    if !ended {
        complain("some processes of the demo could not be ended");
    }
    removed?;
    match done? {
        End::Exited(code) => Ok(ExitCode::from(code)),
        End::Killed(signal) => Err(format!("the host was ended by {signal}")),
    }
}

/// How the host ended.
enum End {
    Exited(u8),
    Killed(Signal),
}

/// Starts the host and waits for its end.
fn watch(home: &Home, signals: &SigSet) -> Result<End, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot tell where I am: {e}"))?;
    let host = Command::new(own)
        .arg(HOST)
        .arg(getpid().to_string())
        .arg(home.path())
        .arg(OsStr::new("--"))
        .args(std::env::args_os().skip(1))
        .spawn()
        .map_err(|e| format!("cannot start the host: {e}"))?;
    // Not just any number: 0 and -1 mean whole groups.
    let host = i32::try_from(host.id())
        .map(Pid::from_raw)
        .map_err(|e| format!("the host has no process id: {e}"))?;
    let mut asked = false;
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => match waitpid(host, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => {
                    return Ok(End::Exited(u8::try_from(code).unwrap_or(1)));
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(End::Killed(signal)),
                Ok(_) => {}
                Err(e) => return Err(format!("the host was lost: {e}")),
            },
            Ok(_) if asked => {}
            Ok(_) => {
                asked = true;
                let _ = kill(host, Signal::SIGTERM);
                // It may hang in a terminal that is stopped. Its id stays its own until it is waited for.
                thread::spawn(move || {
                    thread::sleep(LISTENS_WITHIN);
                    let _ = kill(host, Signal::SIGKILL);
                });
            }
            Err(e) => return Err(format!("cannot wait for signals: {e}")),
        }
    }
}

/// Gives the terminal back as it was found.
fn restore(terminal: Option<&Termios>) {
    if let Some(terminal) = terminal {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, terminal);
    }
    if std::io::stdout().is_terminal() {
        let _ = write!(std::io::stdout(), "{TERMINAL_AS_IT_WAS}");
    }
}
