//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

/// Chat with telexd in this terminal: the whole daemon on a Bot API of its own on this machine. No token, no root, no
/// systemd; everything is removed at the end.
///
/// Where input or output is not a terminal, every line of the input is a message, the finished answers are printed, and
/// the exit code is 0 if every message was answered in time. Lines that begin with a colon are for the demo itself;
/// `:help` lists them.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo")]
pub struct Options {
    /// Take the scripted stand-in even if `claude` is installed.
    #[arg(long, conflicts_with = "agent")]
    pub scripted: bool,
    /// Take this program as the agent; it must speak as `claude` does.
    #[arg(long, value_name = "PATH")]
    pub agent: Option<PathBuf>,
    /// Settings of telexd to try out, as in telexd.toml; not those of Telegram and of the state.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// How long to wait for each answer, where input or output is not a terminal.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    answer_within: u32,
}

impl Options {
    /// How long to wait for each answer.
    pub fn answer_within(&self) -> Duration {
        Duration::from_secs(self.answer_within.into())
    }
}
