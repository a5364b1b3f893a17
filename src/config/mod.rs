//! Configuration: files to settings, in three stages.
//!
//! [`fragments`]: what a file may say, every key optional. [`inputs`]: the main file and its drop-ins, merged, later
//! over earlier, over the defaults. [`settings`]: checked once, complete, typed. All problems are reported at once,
//! each with file, line, key and remedy. The bot token is never in these files and never in a message; see [`token`].

pub mod changes;
pub mod choices;
pub mod fragments;
pub mod inputs;
pub mod kinds;
pub mod listen;
pub mod problem;
pub mod proxy;
pub mod reading;
pub mod rules;
pub mod runtime;
pub mod settings;
pub mod show;
pub mod token;
pub mod translation;

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use url::Url;

use crate::core::{ip::IpVersion, words::language::Language};

pub use self::{
    choices::{Launcher, LogLevel, PermissionMode},
    listen::Listen,
    problem::{Problem, Problems},
    runtime::Base,
    settings::{Agent, Alerts, Delivery, Health, Settings, Telegram},
    token::Token,
};

/// Main file where the command line names none.
pub const DEFAULT_FILE: &str = "/etc/telexd/telexd.toml";

/// What of the process' surroundings the configuration depends on.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `$CREDENTIALS_DIRECTORY`: where systemd put the unit's credentials.
    pub credentials_directory: Option<PathBuf>,
    /// `$PATH`: where programs are looked for.
    pub path: Option<OsString>,
    /// File that the shipped unit makes its credential of. [`check`] looks into it where it has no credentials itself.
    pub unit_token: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            path: std::env::var_os("PATH"),
            unit_token: Some(token::UNIT_FILE.into()),
        }
    }
}

/// Settings, and what is questionable about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What they are made of, for changes while the daemon runs.
    pub base: Base,
    /// In which people are told something, where it is not English.
    pub language: Option<Arc<Language>>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

impl Loaded {
    /// Another bus for the administrative interface than the files say, also after changes.
    pub fn on_bus(&mut self, bus: choices::Bus) {
        self.settings.bus = bus;
        self.base.bus = Some(bus);
    }
}

/// Reads everything, for running. `file` is the main file; its drop-ins lie in `FILE.d/*.toml`.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(file: &Path, surroundings: &Surroundings) -> Result<Loaded, Problems> {
    let mut inputs = inputs::read(file);
    let draft = settings::Draft::new(file, &mut inputs);
    let seen = doubts_on_disk(file, &inputs.merged);
    inputs.warnings.extend(seen);
    let token = match token_source(&inputs, surroundings) {
        Some(source) => read_token(&source, &mut inputs),
        None => {
            inputs.problems.extend(no_token(file, &inputs));
            None
        }
    };
    proxy_login(&mut inputs, surroundings);
    let language = language(&mut inputs);
    let base = token.clone().map(|token| Base {
        file: file.to_owned(),
        files: inputs.merged.clone(),
        token,
        bus: None,
    });
    let settings = draft
        .zip(token)
        .filter(|_| inputs.problems.is_empty())
        .and_then(|(draft, token)| draft.with_token(token));
    match settings.zip(base) {
        Some((settings, base)) => Ok(Loaded {
            settings,
            base,
            language,
            warnings: inputs.warnings,
        }),
        None => Err(Problems(inputs.problems)),
    }
}

/// Checks everything, for an administrator, and gives what is questionable. Differs from [`load`] in one point: where
/// the token is to come from a systemd credential and this process is given none, the file that it is made of is checked,
/// and if that cannot be read there is only a warning.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn check(file: &Path, surroundings: &Surroundings) -> Result<Vec<Problem>, Problems> {
    let mut inputs = inputs::read(file);
    settings::Draft::new(file, &mut inputs);
    let seen = doubts_on_disk(file, &inputs.merged);
    inputs.warnings.extend(seen);
    proxy_login(&mut inputs, surroundings);
    language(&mut inputs);
    let ahead = doubts_ahead(file, &inputs.merged, surroundings);
    inputs.warnings.extend(ahead);
    match token_source(&inputs, surroundings) {
        Some(source) => {
            read_token(&source, &mut inputs);
        }
        None => match &surroundings.unit_token {
            Some(path) if fs::File::open(path).is_ok() => {
                read_token(&token::Source::Credential(path.clone()), &mut inputs);
            }
            _ => inputs.warnings.extend(unseen_token(file, &inputs)),
        },
    }
    if inputs.problems.is_empty() {
        Ok(inputs.warnings)
    } else {
        Err(Problems(inputs.problems))
    }
}

/// The effective settings as commented TOML, without the token, which is not even read.
///
/// # Errors
/// Everything that is wrong with the files, at once.
pub fn describe(
    file: &Path,
    surroundings: &Surroundings,
    changes: &dyn Fn(&Path) -> Result<Option<runtime::Stored>, String>,
) -> Result<String, Problems> {
    let mut inputs = inputs::read(file);
    settings::Draft::new(file, &mut inputs);
    let token = token_source(&inputs, surroundings);
    let state = match &inputs.merged.state.directory {
        Some(found) if inputs.problems.is_empty() => found.value.clone(),
        _ => return Err(Problems(inputs.problems)),
    };
    let notes = match changes(&state) {
        Ok(Some(stored)) => {
            let (merged, left) = runtime::overlaid(file, &inputs.merged, &stored);
            inputs.merged = merged;
            let mut notes = vec![format!(
                "Changes at run time are those in {}",
                state.display()
            )];
            notes.extend(left.iter().map(|key| {
                format!("{key} was changed at run time to what does not go with the files, and that does not hold")
            }));
            notes
        }
        Ok(None) => vec![format!(
            "There are no changes at run time: there is no database in {} yet",
            state.display()
        )],
        Err(why) => vec![
            format!("Changes at run time are NOT in here, for they cannot be read: {why}"),
            "Call this as root, or ask the daemon: telexctl config".to_owned(),
        ],
    };
    Ok(show::show(&inputs, &notes, token.as_ref()))
}

/// The configured state directory alone, for what needs nothing else of the settings.
///
/// # Errors
/// Everything that is wrong with the files, at once.
pub fn state_directory(file: &Path) -> Result<PathBuf, Problems> {
    let inputs = inputs::read(file);
    match inputs.merged.state.directory {
        Some(found) if inputs.problems.is_empty() => Ok(found.value),
        _ => Err(Problems(inputs.problems)),
    }
}

/// Whom to tell that the daemon is down, and by which bot: as much of it as can be made out.
#[derive(Clone, Debug)]
pub struct Contacts {
    /// Telegram user ids of the administrators.
    pub admins: Vec<i64>,
    /// Address of the Bot API.
    pub api_url: Option<Url>,
    /// The bot's token.
    pub token: Option<Token>,
    /// The proxy, with the login that it wants.
    pub proxy: Option<(Url, Option<proxy::Login>)>,
    /// Version of IP.
    pub ip: IpVersion,
    /// What is wrong with the configuration.
    pub problems: Vec<Problem>,
}

impl Contacts {
    /// Texts that must not leave this machine.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let password = self
            .proxy
            .iter()
            .filter_map(|(_, login)| Some(login.as_ref()?.password.clone()));
        let token = self.token.iter().map(Token::expose);
        token
            .flat_map(|token| {
                [
                    token,
                    token.split_once(':').map_or("", |(_, secret)| secret),
                ]
            })
            .map(str::to_owned)
            .chain(password)
            .collect()
    }
}

/// Reads whom to tell, whatever else is wrong with the configuration.
#[must_use]
pub fn contacts(file: &Path, surroundings: &Surroundings) -> Contacts {
    let mut inputs = inputs::read(file);
    let token =
        token_source(&inputs, surroundings).and_then(|source| read_token(&source, &mut inputs));
    let login = proxy_login(&mut inputs, surroundings);
    let telegram = &inputs.merged.telegram;
    Contacts {
        proxy: telegram
            .proxy
            .as_ref()
            .map(|found| (found.value.url().clone(), login)),
        ip: telegram
            .ip
            .as_ref()
            .map_or_else(Default::default, |found| found.value),
        admins: inputs
            .merged
            .access
            .admins
            .map_or_else(Vec::new, |found| found.value),
        api_url: inputs.merged.telegram.api_url.map(|found| found.value),
        token,
        problems: inputs.problems,
    }
}

/// The login for the proxy, where there is one; what is wrong with it is a problem.
fn proxy_login(inputs: &mut inputs::Inputs, surroundings: &Surroundings) -> Option<proxy::Login> {
    let telegram = &inputs.merged.telegram;
    telegram.proxy.as_ref()?;
    let named = telegram
        .proxy_login_file
        .as_ref()
        .map(|found| found.value.as_path());
    proxy::login(named, surroundings)
        .map_err(|problem| inputs.problems.push(*problem))
        .ok()
        .flatten()
}

/// The language in which people are told something, where a file names one; what is wrong with that is a problem.
fn language(inputs: &mut inputs::Inputs) -> Option<Arc<Language>> {
    let file = &inputs.merged.messages.translation.as_ref()?.value;
    match translation::read(file) {
        Ok((language, doubts)) => {
            inputs.warnings.extend(doubts);
            Some(Arc::new(language))
        }
        Err(problems) => {
            inputs.problems.extend(problems);
            None
        }
    }
}

/// What is questionable about files that the settings name, as far as this user can see them.
fn doubts_on_disk(file: &Path, merged: &fragments::Fragment) -> Vec<Problem> {
    let mut doubts = Vec::new();
    if let Some(found) = &merged.agent.environment_file
        && let Ok(meta) = fs::metadata(&found.value)
        && meta.permissions().mode() & 0o007 != 0
    {
        doubts.push(
            Problem::of_file(
                &found.value,
                "the agent's keys are open to every user of this machine",
                format!("run: chmod o= {}", found.value.display()),
            )
            .with_key("agent.environment_file"),
        );
    }
    if let Some(found) = &merged.agent.directory
        && let Err(error) = fs::read_dir(&found.value)
        && is_absent(&error)
    {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "create it before the agent is to work there",
            _ => "name the directory in which the agent is to work",
        };
        doubts.push(absent(file, found, "agent.directory", &error, remedy));
    }
    doubts
}

/// What a start, or the first message, would stumble over, for who checks before that. Only doubts: what is missing
/// may still be made, and the agent's user may see what this one does not.
fn doubts_ahead(
    file: &Path,
    merged: &fragments::Fragment,
    surroundings: &Surroundings,
) -> Vec<Problem> {
    let mut doubts = Vec::new();
    // Under systemd the agent's surroundings are those of its unit.
    let systemd = matches!(&merged.agent.launcher, Some(found) if found.value == Launcher::Systemd);
    if let Some(found) = merged.agent.command.as_ref().filter(|_| !systemd)
        && let Some(what) = program_absent(&found.value, surroundings)
    {
        doubts.push(settings::located(
            file,
            &[&found.origin],
            "agent.command",
            what,
            "install the agent, or name its program by its absolute path",
        ));
    }
    if let Some(found) = merged.agent.environment_file.as_ref().filter(|_| !systemd)
        && let Err(error) = fs::metadata(&found.value)
        && is_absent(&error)
    {
        doubts.push(absent(
            file,
            found,
            "agent.environment_file",
            &error,
            "no agent starts without it: write its NAME=value lines, or take the key out",
        ));
    }
    if let Some(found) = &merged.state.directory
        && let Err(error) = fs::read_dir(&found.value)
        && is_absent(&error)
    {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => format!(
                "telexd does not start without it; make it for the USER that runs telexd, as root: install -d -m 0700 -o \
                 USER {}; or name one that this user can make, with directory under [state]",
                found.value.display()
            ),
            _ => "name a directory of telexd's own".to_owned(),
        };
        doubts.push(absent(file, found, "state.directory", &error, &remedy));
    }
    doubts
}

/// Whether an error says that something is not there, and not that this user may not see it.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn absent(
    file: &Path,
    found: &fragments::Found<PathBuf>,
    key: &str,
    error: &io::Error,
    remedy: &str,
) -> Problem {
    settings::located(
        file,
        &[&found.origin],
        key,
        format!("{}: {}", found.value.display(), token::plain(error)),
        remedy,
    )
}

/// What is the matter with a program that cannot be found from here; `None` where nothing speaks against it.
fn program_absent(command: &str, surroundings: &Surroundings) -> Option<String> {
    if command.contains('/') {
        let error = fs::metadata(command).err().filter(is_absent)?;
        return Some(format!("{command}: {}", token::plain(&error)));
    }
    let path = surroundings.path.as_ref()?;
    let here = std::env::split_paths(path).any(|folder| folder.join(command).is_file());
    (!here).then(|| {
        format!(
            "there is no program {} in the PATH of this user",
            problem::quoted(command)
        )
    })
}

/// Where the token is to be read; `None` where no file is named and this process has no credentials.
fn token_source(inputs: &inputs::Inputs, surroundings: &Surroundings) -> Option<token::Source> {
    match &inputs.merged.telegram.token_file {
        Some(found) => Some(token::Source::File(found.value.clone())),
        None => surroundings
            .credentials_directory
            .as_ref()
            .map(|directory| token::Source::Credential(directory.join(token::CREDENTIAL))),
    }
}

fn read_token(source: &token::Source, inputs: &mut inputs::Inputs) -> Option<Token> {
    match token::read(source) {
        Ok((token, warnings)) => {
            inputs.warnings.extend(warnings);
            Some(token)
        }
        Err(problem) => {
            inputs.problems.push(*problem);
            None
        }
    }
}

/// That there is no token, unless something that is wrong may be an attempt to name it.
fn no_token(file: &Path, inputs: &inputs::Inputs) -> Option<Problem> {
    (!inputs.may_mean("telegram", "token_file")).then(|| {
        Problem::of_file(
            file,
            "is not set, and this process has no systemd credentials to take the bot token from",
            format!(
                "as a service: give the unit LoadCredential={}:{}; without systemd: set token_file under [telegram] to a \
                 file that this user alone can read",
                token::CREDENTIAL,
                token::UNIT_FILE
            ),
        )
        .with_key("telegram.token_file")
    })
}

/// That the token was not checked, with the same exception.
fn unseen_token(file: &Path, inputs: &inputs::Inputs) -> Option<Problem> {
    (!inputs.may_mean("telegram", "token_file")).then(|| {
        Problem::of_file(
            file,
            "is not set, so the service has its bot token from a systemd credential, which cannot be seen from here",
            format!(
                "write the token to {} or name another source in the unit (see telexd(8)), and run this as root; \
                 without systemd: set token_file under [telegram]",
                token::UNIT_FILE
            ),
        )
        .with_key("telegram.token_file")
    })
}

#[cfg(test)]
mod tests;
