//! `telexctl`: the administrator's side of the interface on D-Bus. It decides nothing; the daemon does.
//!
//! One verb, one file in `verbs/`. What a verb shows is made by functions without I/O of what the daemon answered; texts
//! that come from others go through [`text::harmless`] first. [`args`] has the command line, [`bus`] the connection.

mod args;
mod bus;
mod exit;
mod failure;
mod host;
mod look;
mod text;
mod units;
mod values;
mod verbs;
mod when;

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _, Write},
    os::fd::AsFd as _,
    process::ExitCode,
};

use clap::Parser as _;

use self::{
    args::Cli,
    bus::{Bus, Where},
    failure::Failure,
    look::Look,
};

/// Lines and columns where a terminal does not say.
const LINES: usize = 24;
const COLUMNS: usize = 80;

/// What is around the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// Columns and lines of the terminal that standard output is; `None`: it is none.
    pub size: Option<(usize, usize)>,
    /// Whether people sit at standard input and output.
    pub interactive: bool,
    /// Whether there may be colour.
    pub colour: bool,
}

impl Surroundings {
    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let (input, output) = (io::stdin(), io::stdout());
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let terminal = output.is_terminal();
        Self {
            size: terminal.then(size),
            interactive: terminal && input.is_terminal(),
            // https://no-color.org
            colour: terminal
                && !set("NO_COLOR")
                && env::var_os("TERM").is_some_and(|term| term != "dumb"),
        }
    }
}

/// Columns and lines of standard output.
fn size() -> (usize, usize) {
    terminal_size::terminal_size_of(io::stdout().as_fd())
        .map_or((COLUMNS, LINES), |(columns, lines)| {
            (columns.0.into(), lines.0.into())
        })
}

/// What a verb has at hand.
struct Ctl<'a> {
    look: Look,
    place: Where,
    interactive: bool,
    ask: bool,
    out: &'a mut dyn Write,
}

impl Ctl<'_> {
    async fn bus(&self) -> Result<Bus, Failure> {
        Bus::connect(&self.place, self.ask).await
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()?;
        Ok(())
    }
}

/// Does what the command line says. `args` begin with the program's name.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    around: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // --help and --version come as errors as well.
        Err(error) if !error.use_stderr() => {
            let written = write!(out, "{error}").and_then(|()| out.flush());
            return ExitCode::from(if written.is_ok() {
                exit::OK
            } else {
                exit::FAILED
            });
        }
        Err(error) => {
            let _ = write!(err, "{error}");
            return ExitCode::from(exit::USAGE);
        }
    };
    let look = Look {
        json: cli.json,
        colour: around.colour && !cli.json,
        width: around.size.map(|size| size.0),
        height: around.size.map(|size| size.1),
        now: when::now(),
    };
    let place = match (cli.host, cli.session) {
        (Some(host), _) => Where::Host(host),
        (None, true) => Where::Session,
        (None, false) => Where::System,
    };
    let mut ctl = Ctl {
        look,
        place,
        interactive: around.interactive,
        ask: around.interactive && !cli.no_ask_password,
        out,
    };
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(verbs::act(&mut ctl, cli.verb)));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let _ = write!(err, "{}", failure.show(&look));
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests;
