//! The supervisor of one agent process: the program `telexd-run RUN-ID SOCKET`.
//!
//! It gets everything from the daemon over the socket (see [`super::wire`](crate::runner)): what to start and the
//! open descriptors. From then on it needs nothing of the daemon's, not even that it lives. It starts the agent,
//! forwards whole lines of the input, ends the agent when it is told to, ends everything that the agent has left
//! behind, and writes the exit record as its last act.
//!
//! One thread, no runtime: it lives as long as the agent, and there is one for each.

mod agent;
mod environment;
mod forward;
mod inbox;
mod join;
mod program;
mod signals;
mod tree;

use std::{
    ffi::OsString,
    io::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::{sys::prctl, unistd::setsid};

use self::{agent::Agent, join::Hand, signals::Signals};
use super::{directory::Ended, fds};
use crate::{
    core::ids::RunId,
    gateway::ports::{Exit, NotStarted},
};

/// How long the daemon may be away when we come.
const WAIT_FOR_DAEMON: Duration = Duration::from_secs(60);
/// How long what the agent left behind has to end by itself.
const GRACE: Duration = Duration::from_secs(1);
/// How long to try to kill what does not die: what hangs in the kernel. As a unit we are killed before, and the unit's
/// result says that it was a stop.
const SWEEP: Duration = Duration::from_secs(15);

/// Runs the program with its arguments (without its own name).
///
/// Exit code 0: the run is over and its record is written. 1: it could not be taken or recorded; one line on stderr
/// says why. 2: wrong arguments.
///
/// `to_journal`: stderr leads to the journal, so that lines carry their priority (`sd-daemon(3)`).
pub fn main(args: impl IntoIterator<Item = OsString>, to_journal: bool) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let text = |line: String, code: u8| {
        complain(&line, to_journal);
        ExitCode::from(code)
    };
    let parsed = match &args[..] {
        [one] if one == "--version" => {
            let _ = writeln!(
                std::io::stdout(),
                "telexd-run {}",
                env!("CARGO_PKG_VERSION")
            );
            return ExitCode::SUCCESS;
        }
        [id, socket] => id
            .to_str()
            .and_then(RunId::parse)
            .map(|run| (run, PathBuf::from(socket))),
        _ => None,
    };
    let Some((run, socket)) = parsed else {
        return text(
            "usage: telexd-run RUN-ID SOCKET (started by telexd; not meant for people)".to_owned(),
            2,
        );
    };
    match supervise(&run, &socket, to_journal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => text(format!("run {run}: {why}"), 1),
    }
}

/// An error, on stderr. It is one line, or the journal would take the rest for something else.
fn complain(line: &str, to_journal: bool) {
    let mark = if to_journal {
        "<3>telexd-run: "
    } else {
        "telexd-run: "
    };
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "{mark}{}", line.replace('\n', " "));
}

fn supervise(run: &RunId, socket: &std::path::Path, to_journal: bool) -> Result<(), String> {
    // Fails where we lead a session or group already, as a service of systemd does: as good.
    let _ = setsid();
    fds::default_signals();
    fds::ignore_sigpipe();
    prctl::set_child_subreaper(true).map_err(|e| format!("cannot become a subreaper: {e}"))?;
    // Core dumps of the agent could hold its keys.
    fds::no_core_dumps().map_err(|e| format!("cannot switch off core dumps: {e}"))?;
    let signals = Signals::take().map_err(|e| format!("cannot take signals: {e}"))?;
    let mut hand = join::join(run, socket, &signals, Instant::now() + WAIT_FOR_DAEMON)?;
    let (exit, by_signal) = match serve(&mut hand, &signals) {
        Ok(ended) => ended,
        Err(why) => {
            // There it stands with the unit. (Elsewhere our words go to the agent's stderr.log.)
            if to_journal {
                complain(&format!("run {run}: {why}"), to_journal);
            }
            (Exit::NotStarted { why }, false)
        }
    };
    let swept = tree::sweep(&signals, GRACE, SWEEP);
    let ended = Ended { exit, by_signal };
    hand.record(&ended)
        .map_err(|e| format!("cannot write the exit record: {}", fds::reason(&e)))?;
    if !swept {
        return Err("some processes of the agent could not be killed".to_owned());
    }
    Ok(())
}

/// Starts the agent and stays with it until it ends.
fn serve(hand: &mut Hand, signals: &Signals) -> Result<(Exit, bool), NotStarted> {
    let prepared = program::prepare(&hand.spec)?;
    if let Some(gate) = &hand.spec.version_gate {
        program::check_version(&prepared, gate, hand, signals)?;
    }
    let agent = Agent::start(&prepared, hand)?;
    Ok(agent.stay(&hand.bell, hand.inbox.as_mut(), signals))
}
