//! The command line of `telexctl`. A verb stands here once the daemon has the method behind it.

use clap::{Args, Parser, Subcommand};

use super::host::Host;

const MORE: &str = "\
Exit codes:
  0  done
  1  refused, or failed; status and doctor: something is not well
  2  wrong command line, or a value in it
  3  telexd does not run, or the bus cannot be reached
  4  not allowed
  5  there is no such id or key, or the prefix of an id fits several

Runs are named by their id or its beginning, of at least four characters; conversations and people by
their numbers. telexctl(1) says more.";

/// Administer telexd, the Claude Code agent in Telegram.
#[derive(Debug, Parser)]
#[command(name = "telexctl", version, about, after_help = MORE, max_term_width = 100)]
pub struct Cli {
    /// Another machine, over SSH: [USER@]HOST[:PORT]
    #[arg(long, short = 'H', global = true, value_name = "HOST", value_parser = Host::parse, conflicts_with = "session")]
    pub host: Option<Host>,

    /// The bus of your session instead of the system's
    #[arg(long, global = true)]
    pub session: bool,

    /// JSON, with the names of the D-Bus interface; errors too
    #[arg(long, global = true)]
    pub json: bool,

    /// Never be asked for a password by polkit
    #[arg(long, global = true)]
    pub no_ask_password: bool,

    /// What to do; without it: status
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// How it stands: health, queues, runs, memory
    Status,

    /// Accept messages, but begin with none of them
    Pause {
        /// What people are told
        #[arg(value_name = "REASON", default_value = "")]
        reason: String,
    },

    /// Go on after a pause, with what waits
    Resume,

    /// Show the journal of the daemon, of a run or of a conversation
    Logs(Logs),

    /// Show how it stands and what runs, again and again
    ///
    /// Redraws when something changes and every few seconds. q or Ctrl-C ends it. Where the output is no terminal, it is
    /// written whenever it has changed; with --json, one object on a line.
    Watch {
        /// Seconds between two looks where nothing is announced
        #[arg(long, short = 'n', value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
        interval: u64,
    },

    /// Check this machine: service, rights, token, agent, disk, clock; with remedies
    Doctor,
}

/// See [`Verb::Logs`].
#[derive(Args, Debug)]
pub struct Logs {
    /// Go on showing what comes
    #[arg(long, short)]
    pub follow: bool,

    /// How many lines, the newest
    #[arg(long, short = 'n', value_name = "N")]
    pub lines: Option<u32>,

    /// Of this run: what the daemon and the agent's unit say
    #[arg(long, short, value_name = "RUN")]
    pub run: Option<String>,

    /// Of this conversation
    #[arg(long, short, value_name = "CONVERSATION")]
    pub conversation: Option<i64>,

    /// As journalctl takes it: warning, err, …
    #[arg(long, short, value_name = "PRIORITY")]
    pub priority: Option<String>,

    /// As journalctl takes it: "1 hour ago", today, …
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// With explanations: what to do about what needs to be done
    #[arg(long, short = 'x')]
    pub catalog: bool,
}
