//! `telexd-run RUN-ID SOCKET`: the supervisor of one agent process. Started by telexd; not meant for people.

use std::process::ExitCode;

fn main() -> ExitCode {
    let to_journal = telexd::systemd::log::to_journal();
    telexd::runner::supervisor::main(std::env::args_os().skip(1), to_journal)
}
