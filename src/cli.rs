//! The command line of `telexd`. Nothing secret is ever taken from it.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    alert,
    app::{End, Misconfigured, Source},
    config::{
        self, Contacts, DEFAULT_FILE, Loaded, Problem, Problems, Surroundings, choices::Bus,
        runtime::Stored,
    },
    store::OpenError,
};

/// Exit codes, as `--help` documents them.
pub mod exit {
    /// Done.
    pub const OK: u8 = 0;
    /// Something else than the configuration is wrong.
    pub const OTHER: u8 = 1;
    /// The command line is wrong (as clap has it).
    pub const USAGE: u8 = 2;
    /// An administrator ordered it to be started again (`EX_TEMPFAIL` of sysexits); the shipped unit does so.
    pub const RESTART: u8 = 75;
    /// The configuration, or what it leads to, is wrong (`EX_CONFIG` of sysexits); starting again does not help.
    pub const CONFIG: u8 = 78;
}

const MORE: &str = "\
Files:
  FILE           the main file, /etc/telexd/telexd.toml where --config names none
  FILE.d/*.toml  drop-ins, in the order of their names; what a later file says about a key holds

Exit codes:
  0   done
  1   something else went wrong; trying again may help
  2   wrong command line
  75  to be started again, by order of an administrator
  78  somebody has to mend something first: the configuration (each problem has a line), the
      token, the state directory, a database that is damaged, foreign or of a newer telexd,
      a name on the bus that another program has, or that this user may not have, a bot that
      another telexd on this machine has

Signals of the daemon:
  SIGTERM, SIGINT  stop; agents go on
  SIGHUP           read the configuration again; where it is wrong, nothing changes";

/// The Claude Code agent on your Linux server, in Telegram.
#[derive(Debug, Parser)]
#[command(name = "telexd", version, about, after_help = MORE, max_term_width = 100)]
struct Cli {
    /// Main configuration file
    #[arg(long, short, global = true, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon, in the foreground, until SIGTERM or SIGINT (the default)
    Run {
        /// Put the administrative interface on the bus of this session, whatever the configuration says
        #[arg(long)]
        session: bool,
    },

    /// Read the configuration, bot token included, and print OK or everything that is wrong
    ///
    /// Contacts nobody and changes nothing. Exits with 78 if something is wrong.
    Check,

    /// Print the settings that hold, and where each comes from
    ///
    /// The output is TOML with comments. The bot token is not in it. Changes at run time are read from the database; where that
    /// cannot be read, a comment says so.
    Config,

    /// Tell every administrator in Telegram that a unit failed
    ///
    /// For telexd-alert@.service, which telexd.service names in OnFailure=. Needs neither the daemon nor its database, and
    /// makes do with a configuration that is broken.
    Alert {
        /// The unit, as systemd names it
        #[arg(value_name = "UNIT")]
        unit: String,
    },

    /// Bring the database to a schema version, up or down, after a backup
    ///
    /// Before going back to an older telexd, run this with the newer one. The daemon must not be running.
    Migrate {
        /// Schema version to reach
        #[arg(long, value_name = "N")]
        to: u32,

        /// State directory; without it, the one that is configured
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
}

/// What the command line sets in motion. The program's own deeds, or a test's.
pub struct Deeds {
    /// Runs the daemon until it is told to stop.
    pub run: fn(Loaded, Source) -> anyhow::Result<End>,
    /// Puts it into the journal; false: standard error does not lead there, so it is to be printed.
    pub log: fn(&Word<'_>) -> bool,
    /// Tells the administrators that this unit failed.
    pub alert: fn(Contacts, &str) -> anyhow::Result<alert::Outcome>,
    /// What was changed at run time, from the database in a state directory; `None`: there is none. Or why that cannot be
    /// told.
    pub changes: fn(&Path) -> Result<Option<Stored>, String>,
    /// Brings the database in a state directory to a schema version; gives a sentence about what was done.
    pub migrate: fn(&Path, u32) -> anyhow::Result<String>,
}

/// What is to be said of a start of the daemon.
#[derive(Debug)]
pub enum Word<'a> {
    /// Something in the configuration is questionable.
    Doubt(&'a Problem),
    /// The configuration is wrong.
    Refused(&'a Problems),
    /// It cannot run, or go on.
    Failed(&'a anyhow::Error),
}

/// From here on nobody but root may look into the memory of this process, which will hold the bot token, and no core of it
/// is dumped, whatever the limits and the system's dump handler say. Children are not concerned.
pub fn close_to_others() {
    // Where the system refuses that, nothing is worse than before.
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// Does what the command line says. `args` begin with the program's name.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings,
    deeds: &Deeds,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let code = match Cli::try_parse_from(args) {
        Ok(cli) => act(cli, surroundings, deeds, out, err),
        Err(error) => usage(&error, out, err),
    };
    // Whoever closed our output does not want to hear more of it, but may want to know that it was not all.
    ExitCode::from(code.unwrap_or(exit::OTHER))
}

fn usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    // --help and --version come as errors as well.
    if error.use_stderr() {
        write!(err, "{error}")?;
        Ok(exit::USAGE)
    } else {
        write!(out, "{error}")?;
        out.flush()?;
        Ok(exit::OK)
    }
}

fn act(
    cli: Cli,
    surroundings: &Surroundings,
    deeds: &Deeds,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let file = &*cli.config;
    match cli.verb.unwrap_or(Verb::Run { session: false }) {
        Verb::Run { session } => match load(file, surroundings, session) {
            Ok(loaded) => {
                for doubt in &loaded.warnings {
                    if !(deeds.log)(&Word::Doubt(doubt)) {
                        warn(std::slice::from_ref(doubt), err)?;
                    }
                }
                let (file, surroundings) = (file.to_owned(), surroundings.clone());
                let source = Box::new(move || load(&file, &surroundings, session));
                let done = (deeds.run)(loaded, source);
                if let Err(error) = &done
                    && (deeds.log)(&Word::Failed(error))
                {
                    return Ok(code_of(error));
                }
                if matches!(done, Ok(End::Restart)) {
                    return Ok(exit::RESTART);
                }
                finish(done.map(drop), err)
            }
            Err(problems) if (deeds.log)(&Word::Refused(&problems)) => Ok(exit::CONFIG),
            Err(problems) => refuse(&problems, err),
        },
        Verb::Alert { unit } => match (deeds.alert)(config::contacts(file, surroundings), &unit) {
            Ok(alert::Outcome::Told(_) | alert::Outcome::Nothing) => Ok(exit::OK),
            Ok(alert::Outcome::Failed) => Ok(exit::OTHER),
            Ok(alert::Outcome::NoWay) => Ok(exit::CONFIG),
            Err(error) => finish(Err(error), err),
        },
        Verb::Check => match config::check(file, surroundings) {
            Ok(warnings) => {
                warn(&warnings, err)?;
                tell(out, &format!("OK: {}", file.display()))
            }
            Err(problems) => refuse(&problems, err),
        },
        Verb::Config => match config::describe(file, surroundings, &deeds.changes) {
            Ok(text) => tell(out, text.trim_end()),
            Err(problems) => refuse(&problems, err),
        },
        Verb::Migrate { to, state } => {
            let state = match state {
                Some(state) => state,
                None => match config::state_directory(file) {
                    Ok(state) => state,
                    Err(problems) => return refuse(&problems, err),
                },
            };
            match (deeds.migrate)(&state, to) {
                Ok(done) => tell(out, &done),
                failed => finish(failed.map(drop), err),
            }
        }
    }
}

/// Reads the configuration; what the command line says goes before it.
fn load(file: &Path, surroundings: &Surroundings, session: bool) -> Result<Loaded, Problems> {
    let mut loaded = config::load(file, surroundings)?;
    if session {
        loaded.on_bus(Bus::Session);
    }
    Ok(loaded)
}

fn tell(out: &mut dyn Write, text: &str) -> io::Result<u8> {
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(exit::OK)
}

fn warn(warnings: &[Problem], err: &mut dyn Write) -> io::Result<()> {
    warnings
        .iter()
        .try_for_each(|warning| writeln!(err, "warning: {warning}"))
}

fn refuse(problems: &Problems, err: &mut dyn Write) -> io::Result<u8> {
    writeln!(err, "{problems}")?;
    Ok(exit::CONFIG)
}

fn finish(done: anyhow::Result<()>, err: &mut dyn Write) -> io::Result<u8> {
    match done {
        Ok(()) => Ok(exit::OK),
        Err(error) => {
            // With the whole chain of causes, on one line.
            writeln!(err, "telexd: {error:#}")?;
            Ok(code_of(&error))
        }
    }
}

/// Whether trying again may help decides.
fn code_of(error: &anyhow::Error) -> u8 {
    let hopeless = error.chain().any(|cause| {
        cause.is::<Misconfigured>()
            || cause
                .downcast_ref::<OpenError>()
                .is_some_and(OpenError::needs_a_person)
    });
    if hopeless { exit::CONFIG } else { exit::OTHER }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::{Context as _, bail};
    use clap::CommandFactory as _;

    use super::*;

    const DEEDS: Deeds = Deeds {
        run: |loaded, _| {
            if loaded.settings.agent.command == "session" && loaded.settings.bus != Bus::Session {
                return Err(anyhow::anyhow!("another bus"));
            }
            if loaded.settings.agent.command == "fails" {
                return Err(anyhow::anyhow!("the cause")).context("it failed");
            }
            Ok(if loaded.settings.agent.command == "again" {
                End::Restart
            } else {
                End::Stopped
            })
        },
        log: |_| false,
        alert: |contacts, unit| {
            Ok(match (unit, contacts.admins.as_slice()) {
                (_, []) => alert::Outcome::NoWay,
                ("telexd.service", admins) => alert::Outcome::Told(admins.len()),
                ("up.service", _) => alert::Outcome::Nothing,
                _ => alert::Outcome::Failed,
            })
        },
        changes: |_| {
            Ok(Some(Stored::from([(
                "log.level".to_owned(),
                "\"warn\"".to_owned(),
            )])))
        },
        migrate: |state, to| {
            if to == 9 {
                bail!("no such schema");
            }
            Ok(format!("{} is at {to}", state.display()))
        },
    };

    /// Exit code, standard output, standard error.
    fn telexd(args: &[&str]) -> (ExitCode, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = ["telexd"].iter().chain(args).map(OsString::from);
        let code = main(args, &Surroundings::default(), &DEEDS, &mut out, &mut err);
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    fn place(more: &str) -> (tempfile::TempDir, String) {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        fs::write(&token, "1:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let file = dir.path().join("telexd.toml");
        let text = format!(
            "telegram.token_file = \"{}\"\naccess.admins = [1]\nagent.directory = \"/\"\nstate.directory = \"{}\"\n{more}",
            token.display(),
            dir.path().display()
        );
        fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        (dir, file)
    }

    fn code(code: u8) -> ExitCode {
        ExitCode::from(code)
    }

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["telexd"]).unwrap();
        assert_eq!(cli.config, Path::new(DEFAULT_FILE));
        assert!(cli.verb.is_none());
    }

    #[test]
    fn nobody_may_look_into_the_process() {
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(true));
        close_to_others();
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(false));
    }

    #[test]
    fn running() {
        let (_dir, file) = place("");
        let nothing = (String::new(), String::new());
        for args in [
            &["--config", &*file][..],
            &["run", "--config", &file],
            &["-c", &file, "run"],
            &["run", "--session", "--config", &file],
        ] {
            let (exit, out, err) = telexd(args);
            assert_eq!((exit, (out, err)), (code(0), nothing.clone()), "{args:?}");
        }
        let (_dir, file) = place("agent.command = \"session\"\naccess.users = []\n");
        assert_eq!(telexd(&["run", "-c", &file]).0, code(1));
        assert_eq!(telexd(&["run", "--session", "-c", &file]).0, code(0));
        let (_dir, file) = place("agent.command = \"again\"\n");
        assert_eq!(
            telexd(&["--config", &file]),
            (code(75), nothing.0, nothing.1)
        );
        let (_dir, file) = place("agent.command = \"fails\"\naccess.users = []\n");
        let wanted = "telexd: it failed: the cause\n".to_owned();
        assert_eq!(
            telexd(&["--config", &file]),
            (code(1), String::new(), wanted)
        );
    }

    #[test]
    fn checking() {
        let (_dir, file) = place("");
        assert_eq!(
            telexd(&["check", "--config", &file]),
            (code(0), format!("OK: {file}\n"), String::new())
        );
        let (_dir, file) = place("agent.permission_mode = \"bypassPermissions\"\n");
        let warning = format!(
            "warning: {file}:5: agent.permission_mode: the agent asks nobody before it acts; be sure that its user may \
             do no harm\n"
        );
        assert_eq!(
            telexd(&["check", "--config", &file]),
            (code(0), format!("OK: {file}\n"), warning)
        );
        let (_dir, file) = place("log.level = 1\nagent.max_processes = 0\n");
        for verb in ["check", "run", "config", "migrate"] {
            let to: &[&str] = if verb == "migrate" {
                &["--to", "1"]
            } else {
                &[]
            };
            let (exit, out, err) = telexd(&[&[verb, "--config", &file], to].concat());
            assert_eq!((exit, &*out), (code(78), ""), "{verb}");
            assert_eq!(err.lines().count(), 2, "{verb}: {err}");
            assert!(
                err.starts_with(&format!("{file}:5: log.level: ")),
                "{verb}: {err}"
            );
        }
        assert_eq!(
            telexd(&["check", "--config", "/nowhere/at/all"]).0,
            code(78)
        );
    }

    #[test]
    fn showing_the_settings() {
        let (_dir, file) = place("agent.model = \"opus\"\n");
        let (exit, out, err) = telexd(&["config", "--config", &file]);
        assert_eq!((exit, &*err), (code(0), ""));
        assert!(
            out.contains(&format!("model = \"opus\"  # {file}:5\n")),
            "{out}"
        );
        assert!(out.contains("level = \"warn\"  # run time\n"), "{out}");
        assert!(!out.contains("AAHd"), "{out}");
    }

    #[test]
    fn migrating() {
        let (_dir, file) = place("");
        fs::create_dir(format!("{file}.d")).unwrap();
        fs::write(format!("{file}.d/x.toml"), "state.directory = \"/var/x\"\n").unwrap();
        let done = |text: &str| (code(0), text.to_owned(), String::new());
        assert_eq!(
            telexd(&["migrate", "--to", "3", "--config", &file]),
            done("/var/x is at 3\n")
        );
        // With a state directory the configuration is not needed.
        assert_eq!(
            telexd(&[
                "migrate", "--to", "3", "--state", "/y", "--config", "/nowhere"
            ]),
            done("/y is at 3\n")
        );
        assert_eq!(
            telexd(&["migrate", "--to", "9", "--state", "/y"]),
            (
                code(1),
                String::new(),
                "telexd: no such schema\n".to_owned()
            )
        );
        assert_eq!(telexd(&["migrate"]).0, code(2));
        assert_eq!(telexd(&["migrate", "--to", "-1"]).0, code(2));
    }

    #[test]
    fn alerting() {
        // Whatever else is wrong.
        let (_dir, file) = place("log.level = 1\nagent.max_processes = 0\n");
        for (unit, exit) in [("telexd.service", 0), ("up.service", 0), ("x.service", 1)] {
            let done = telexd(&["alert", unit, "--config", &file]);
            assert_eq!(done, (code(exit), String::new(), String::new()), "{unit}");
        }
        let none = telexd(&["alert", "telexd.service", "--config", "/nowhere/at/all"]);
        assert_eq!(none.0, code(78));
        assert_eq!(telexd(&["alert"]).0, code(2));
    }

    #[test]
    fn help_version_and_wrong_use() {
        let (exit, out, err) = telexd(&["--version"]);
        assert_eq!(
            (exit, out, err),
            (
                code(0),
                format!("telexd {}\n", env!("CARGO_PKG_VERSION")),
                String::new()
            )
        );
        let (exit, out, _) = telexd(&["--help"]);
        assert_eq!(exit, code(0));
        for text in [
            "check",
            "migrate",
            "78  somebody has to mend",
            DEFAULT_FILE,
            "FILE.d/*.toml",
        ] {
            assert!(out.contains(text), "{text}\n{out}");
        }
        let (exit, out, err) = telexd(&["chekc"]);
        assert_eq!((exit, &*out), (code(2), ""));
        assert!(err.contains("'check'"), "{err}");
    }

    #[test]
    fn a_closed_output_is_no_success() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let args = ["telexd", "--version"].map(OsString::from);
        let exit = main(
            args,
            &Surroundings::default(),
            &DEEDS,
            &mut Closed,
            &mut Closed,
        );
        assert_eq!(exit, code(1));
    }
}
