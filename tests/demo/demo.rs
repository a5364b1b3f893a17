//! `cargo run --example demo`: the whole daemon on a Bot API of its own, to chat with in a terminal. `docs/demo.md` says
//! what to press and what to see.
//!
//! One program in five parts, told apart by a private first argument, so that nothing else has to be built or found:
//!
//! | part | what it does | ends with |
//! |---|---|---|
//! | guard ([`guard`]) | what a person starts: makes the directory, starts the host, clears up however that ends | the host |
//! | host ([`host`]) | Bot API, people, screen; starts and kills the daemon | the person, or the guard |
//! | daemon ([`daemon`]) | telexd itself, nothing of it replaced | the host |
//! | supervisor | `telexd-run`, as the daemon starts it | its agent |
//! | stand-in | the scripted agent, where there is no `claude` | its supervisor |

mod agent;
mod books;
mod daemon;
mod family;
mod guard;
mod home;
mod host;
mod input;
mod keys;
mod letter;
mod local;
mod model;
mod options;
mod paint;
mod pipe;
mod post;
mod screen;
mod settings;
mod town;
mod wrap;

use std::{ffi::OsString, io::Write, process::ExitCode};

fn main() -> ExitCode {
    let all: Vec<OsString> = std::env::args_os().collect();
    let first = all.get(1).map(|arg| arg.to_string_lossy().into_owned());
    let rest = all.get(2..).unwrap_or_default();
    let named_stand_in = all
        .first()
        .is_some_and(|name| name.to_string_lossy().ends_with(home::STAND_IN));
    match first.as_deref() {
        Some(daemon::SUPERVISOR) => telexd::runner::supervisor::main(rest.iter().cloned(), false),
        Some(daemon::DAEMON) => daemon::main(rest),
        Some(host::HOST) => host::main(rest),
        // The stand-in leaves stray processes of this program behind where a test asks for it.
        Some(arg) if named_stand_in || arg.starts_with("--telexd-stray") => stand_in(&all),
        _ if named_stand_in => stand_in(&all),
        _ => guard::main(),
    }
}

fn stand_in(args: &[OsString]) -> ExitCode {
    telexd_scripted_agent::run(args.iter().map(|arg| arg.to_string_lossy().into_owned()))
}

/// One line to the person, past the screen.
pub fn complain(words: &str) {
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "demo: {words}");
}
