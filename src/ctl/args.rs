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
#[command(name = "telexctl", version, about = "Administer telexd, the Claude Code agent in Telegram", after_help = MORE, max_term_width = 100)]
pub struct Cli {
    /// Another machine.
    #[arg(help = "Another machine, over SSH: [USER@]HOST[:PORT]", long, short = 'H', global = true, value_name = "HOST", value_parser = Host::parse, conflicts_with = "session")]
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

    /// List the runs: agents that work or wait for the next message
    Ps,

    /// End runs, each with all that it has started
    Kill {
        /// Ids of runs, or beginnings of them
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<String>,
    },

    /// End all runs
    Killall {
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },

    /// Accept messages, but begin with none of them
    Pause {
        /// What people are told
        #[arg(value_name = "REASON", default_value = "")]
        reason: String,
    },

    /// Go on after a pause, with what waits
    Resume,

    /// Stop what a conversation is doing
    Interrupt {
        /// Number of the conversation
        #[arg(value_name = "CONVERSATION")]
        conversation: i64,
    },

    /// Have a conversation begin anew
    Clear {
        /// Number of the conversation
        #[arg(value_name = "CONVERSATION")]
        conversation: i64,
    },

    /// Give a conversation a prompt of yours
    Send {
        /// Number of the conversation
        #[arg(value_name = "CONVERSATION")]
        conversation: i64,
        /// The text; several words are joined, - is standard input
        #[arg(
            required = true,
            value_name = "TEXT",
            allow_hyphen_values = true,
            trailing_var_arg = true
        )]
        text: Vec<String>,
    },

    /// Restart the daemon; agents go on
    Restart {
        /// Do not wait until it is back
        #[arg(long)]
        no_wait: bool,
    },

    /// Have the daemon read its configuration files again
    Reload,

    /// Show and change settings
    Config {
        #[command(subcommand)]
        what: Option<ConfigVerb>,
    },

    /// List the people
    People {
        #[command(subcommand)]
        what: Option<PeopleVerb>,
    },

    /// List the conversations
    Conversations,

    /// List what agents ask to be allowed to do
    Questions,

    /// Allow what an agent asks for
    Approve {
        /// Number of the question
        #[arg(value_name = "QUESTION")]
        question: i64,
    },

    /// Refuse what an agent asks for
    Deny {
        /// Number of the question
        #[arg(value_name = "QUESTION")]
        question: i64,
    },

    /// People who want to be let in: list, accept, reject
    Pair {
        #[command(subcommand)]
        what: Option<PairVerb>,
    },

    /// What was administered, by whom, and how it ended; the newest last
    Audit {
        /// How many entries
        #[arg(long, short = 'n', value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        lines: u32,
        /// Only what came before the entry of this id
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
    },

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

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// List the settings, with value and origin (the default)
    List {
        /// Only those whose key begins so
        #[arg(value_name = "PREFIX", default_value = "")]
        prefix: String,
    },
    /// Show a setting
    Get {
        /// Its key, like agent.model
        #[arg(value_name = "KEY")]
        key: String,
        /// Print the value and nothing else
        #[arg(long)]
        value: bool,
    },
    /// Change a setting; it holds until it is reset, over files and restarts
    Set {
        /// Its key, like agent.model
        #[arg(value_name = "KEY")]
        key: String,
        /// The value
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Take a change back, so that the files say what holds
    Reset {
        /// Its key, like agent.model
        #[arg(value_name = "KEY")]
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum PeopleVerb {
    /// List the people (the default)
    List,
    /// Somebody who was let in by a code is not any more
    Remove {
        /// Their number
        #[arg(value_name = "PERSON")]
        person: i64,
    },
}

#[derive(Debug, Subcommand)]
pub enum PairVerb {
    /// List who asks to be let in (the default)
    List,
    /// Let somebody in
    Accept {
        /// The code that they were given
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Do not
    Reject {
        /// The code that they were given
        #[arg(value_name = "CODE")]
        code: String,
    },
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
