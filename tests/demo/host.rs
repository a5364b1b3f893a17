//! The host: Bot API, people, daemon, and the screen or the pipe.

use std::{
    ffi::OsString,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal},
    },
    unistd::getppid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    agent::{Agent, Surroundings},
    complain,
    daemon::Daemon,
    family, home,
    model::Action,
    options::Options,
    pipe, post, screen, settings,
    town::Town,
};

/// First argument of the host.
pub const HOST: &str = "--as-host";

/// Everything that both ways to talk work with.
pub struct Stage {
    /// Bot API and people.
    pub town: Town,
    /// telexd.
    pub daemon: Daemon,
    /// The agent.
    pub agent: Agent,
    /// Directory of the demo.
    pub home: PathBuf,
    /// Cancelled when a signal asks for the end.
    pub quit: CancellationToken,
}

impl Stage {
    /// Does what a person wants of Telegram, and says what they would not see otherwise. Of the rest, which needs the
    /// daemon or the screen, it does nothing.
    ///
    /// # Errors
    /// A sentence: it cannot be done.
    pub fn perform(&self, action: &Action) -> Result<Option<String>, String> {
        match action {
            Action::Write { who, text } => self.town.write(*who, text)?,
            Action::Post { who, post } => self.town.post(*who, post)?,
            Action::Edit { who, message, text } => self.town.edit(*who, *message, text)?,
            Action::Press {
                who,
                message,
                data,
                stale,
            } => self.town.press(*who, *message, data, *stale)?,
            Action::Look(file) => return post::look(&self.town.api, file).map(Some),
            Action::Save { file, to } => {
                return post::save(&self.town.api, file, to.as_deref()).map(Some);
            }
            Action::Tell(words) => return Ok(Some(words.clone())),
            Action::Wait(_) | Action::Kill | Action::Quit => {}
        }
        Ok(None)
    }
}

/// Runs the host. Arguments: process id of the guard, directory, `--`, the person's own arguments.
pub fn main(args: &[OsString]) -> ExitCode {
    let [guard, home, _, own @ ..] = args else {
        complain("the host is started by the demo");
        return ExitCode::from(2);
    };
    // The guard takes its signals by waiting for them, and what it blocks for that we would inherit.
    let open = SigSet::empty().thread_set_mask().is_ok();
    let guard = guard.to_string_lossy();
    // A guard that ended before this would not be noticed: hence the second look.
    if !open || prctl::set_pdeathsig(Signal::SIGTERM).is_err() || guard != getppid().to_string() {
        return ExitCode::FAILURE;
    }
    let options = Options::parse_from([OsString::from("demo")].iter().chain(own));
    let done = family::adopt()
        .map_err(|e| format!("cannot look after processes: {e}"))
        .and_then(|()| perform(&options, Path::new(home)));
    if guard != getppid().to_string() {
        // Nobody else clears up any more.
        family::end_all();
        let _ = std::fs::remove_dir_all(home);
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn perform(options: &Options, home: &Path) -> Result<(), String> {
    // One thread: the daemon dies with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    let done = runtime.block_on(play(options, home));
    // The thread that reads the input cannot be stopped.
    runtime.shutdown_background();
    done
}

async fn play(options: &Options, home: &Path) -> Result<(), String> {
    let quit = CancellationToken::new();
    quit_on_signals(&quit).map_err(|e| format!("cannot take signals: {e}"))?;
    let agent = Agent::choose(
        options.scripted,
        options.agent.as_deref(),
        &Surroundings::of_process(),
    )?;
    let town = Town::build().await?;
    let config = home::furnish(home, &agent, &town.api.url(), town.api.token())
        .map_err(|e| format!("cannot furnish {}: {e}", home.display()))?;
    if let Some(file) = &options.settings {
        settings::add(file, &config)?;
    }
    let daemon =
        Daemon::start(home, &config).map_err(|e| format!("cannot start the daemon: {e}"))?;
    let mut stage = Stage {
        town,
        daemon,
        agent,
        home: home.to_owned(),
        quit,
    };
    let done = if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        screen::run(&mut stage).await
    } else {
        pipe::run(&mut stage, options.answer_within()).await
    };
    let stopped = stage.daemon.stop().await;
    stage.town.api.shutdown().await;
    done.and(stopped)
}

fn quit_on_signals(quit: &CancellationToken) -> std::io::Result<()> {
    for kind in [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::terminate(),
    ] {
        let mut signals = signal(kind)?;
        let quit = quit.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                quit.cancel();
            }
        });
    }
    Ok(())
}
