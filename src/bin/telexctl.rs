//! The administrator's program: `telexctl`.

use std::{io, process::ExitCode};

use telexd::ctl;

fn main() -> ExitCode {
    ctl::main(
        std::env::args_os(),
        &ctl::Surroundings::of_process(),
        &mut io::stdout(),
        &mut io::stderr(),
    )
}
