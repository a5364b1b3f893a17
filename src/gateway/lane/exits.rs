//! What the end of a process is called: to its person, in the journal, in the record of the run.

use crate::{
    core::{
        messages,
        trouble::{Category, ServiceTrouble, Trouble},
        words,
    },
    gateway::ports::{Exit, NotStarted},
    store::rows::RunStatus,
};

/// A trouble with the agent.
pub(super) fn agent_trouble(detail: &str) -> Trouble {
    Trouble {
        category: Category::Agent,
        detail: Some(detail.to_owned()),
        wait_s: None,
    }
}

/// What a person is told of a process that ended while it had their turn.
pub(super) fn exit_trouble(exit: &Exit) -> Trouble {
    let detail = match exit {
        Exit::Code { .. } => words::AGENT_STOPPED.to_owned(),
        // The limit on its output is the kernel's to keep.
        Exit::Signal { signal } if *signal == nix::libc::SIGXFSZ => words::OUTPUT_LIMIT.to_owned(),
        Exit::Signal { signal } => match crash(*signal) {
            Some(name) => words::agent_crashed(name),
            None => words::agent_killed(*signal),
        },
        Exit::OutOfMemory { limit } => words::agent_out_of_memory(*limit),
        Exit::TimeLimit { seconds } => words::agent_out_of_time(*seconds),
        Exit::Stopped => words::AGENT_ENDED.to_owned(),
        Exit::NotStarted { why } => match why {
            NotStarted::NotFound { program } => words::agent_not_found(program),
            NotStarted::TooOld { found, oldest } => words::agent_too_old(found, oldest),
            NotStarted::Directory { .. } => words::AGENT_DIRECTORY.to_owned(),
            NotStarted::Service { trouble, .. } => words::agent_service(*trouble),
            NotStarted::EnvironmentFile { .. } | NotStarted::Other { .. } => {
                words::AGENT_NOT_STARTED.to_owned()
            }
        },
    };
    Trouble {
        category: Category::Agent,
        detail: Some(detail),
        wait_s: None,
    }
}

/// Name, without its `SIG`, of a signal that a process gets for what it did itself.
fn crash(signal: i32) -> Option<&'static str> {
    use nix::sys::signal::Signal;
    let signal = Signal::try_from(signal).ok()?;
    matches!(
        signal,
        Signal::SIGSEGV
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGILL
            | Signal::SIGFPE
            | Signal::SIGTRAP
            | Signal::SIGSYS
    )
    .then(|| signal.as_str().trim_start_matches("SIG"))
}

/// The kind of message for an agent that was not started.
pub(super) fn not_started(why: &NotStarted) -> &'static str {
    let NotStarted::Service { trouble, .. } = why else {
        return messages::AGENT_NOT_STARTED;
    };
    match trouble {
        ServiceTrouble::Masked => messages::TEMPLATE_MASKED,
        ServiceTrouble::Missing => messages::TEMPLATE_MISSING,
        ServiceTrouble::Broken
        | ServiceTrouble::User
        | ServiceTrouble::Credentials
        | ServiceTrouble::Sandbox => messages::TEMPLATE_BROKEN,
        ServiceTrouble::Refused | ServiceTrouble::NoSystemd => messages::RUN_REFUSED,
        ServiceTrouble::Other => messages::AGENT_NOT_STARTED,
    }
}

/// The kind of message for an agent that ended as it should not; `None` where there is nothing wrong with that.
pub(super) fn failed(exit: &Exit) -> Option<&'static str> {
    match exit {
        Exit::OutOfMemory { .. } => Some(messages::AGENT_OUT_OF_MEMORY),
        Exit::TimeLimit { .. } => Some(messages::AGENT_OUT_OF_TIME),
        Exit::Signal { signal } if *signal == nix::sys::signal::Signal::SIGXFSZ as i32 => {
            Some(messages::AGENT_OUTPUT_LIMIT)
        }
        Exit::Signal { .. } | Exit::Code { code: 1.. } => Some(messages::AGENT_CRASHED),
        _ => None,
    }
}

/// As what the end of a run is recorded.
pub(super) fn status_of(exit: Option<&Exit>) -> RunStatus {
    match exit {
        Some(Exit::Code { code: 0 }) => RunStatus::Completed,
        // 128 + signal: the agent caught it and ended because of it.
        Some(
            Exit::Signal { .. }
            | Exit::Code { code: 129.. }
            | Exit::OutOfMemory { .. }
            | Exit::TimeLimit { .. }
            | Exit::Stopped,
        ) => RunStatus::Killed,
        Some(_) => RunStatus::Failed,
        None => RunStatus::Lost,
    }
}
