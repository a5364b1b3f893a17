//! A small stand-in of the Claude Code CLI: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    telexd_scripted_agent::run(std::env::args())
}
