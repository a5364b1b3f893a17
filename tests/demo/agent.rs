//! Which agent the demo talks to, and why: the `claude` that is installed, new enough and logged in, else the scripted
//! stand-in, which is named as such wherever the agent is named.

use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use telexd::{
    agent::claude::{Claude, ClaudeConfig},
    core::{ids::RunId, live::Live},
    gateway::ports::{Backend, Launch},
};
use uuid::Uuid;

/// How long a program has to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(3);

/// Variables that `claude` may take its login from, or its way to the model's service: passed on to it, and to nobody
/// else.
const LOGINS: [&str; 6] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
];
/// Beginnings of further variables that belong to these.
const FAMILIES: [&str; 6] = [
    "ANTHROPIC_",
    "AWS_",
    "CLAUDE_CODE_OAUTH",
    "CLAUDE_CODE_USE_",
    "GOOGLE_",
    "AZURE_",
];
/// Further variables.
const FURTHER: [&str; 8] = [
    "CLAUDE_CONFIG_DIR",
    "CLOUD_ML_REGION",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What kind of agent it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The scripted stand-in.
    StandIn,
    /// The `claude` that was found.
    Claude(PathBuf),
    /// The program that was asked for.
    Given(PathBuf),
}

/// The agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Kind.
    pub kind: Kind,
    /// As it is called on the screen.
    pub name: String,
    /// Why it was chosen.
    pub why: String,
}

/// What the choice depends on.
pub struct Surroundings {
    /// Value of a variable.
    pub variable: fn(&str) -> Option<String>,
    /// Version that a program says.
    pub version: fn(&Path) -> Option<(u64, u64, u64)>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            variable: |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            version: ask_version,
        }
    }
}

impl Agent {
    /// Chooses.
    ///
    /// # Errors
    /// The program that was asked for is not there.
    pub fn choose(
        scripted: bool,
        given: Option<&Path>,
        around: &Surroundings,
    ) -> Result<Self, String> {
        if let Some(path) = given {
            let path = std::path::absolute(path)
                .ok()
                .filter(|p| runnable(p))
                .ok_or_else(|| format!("{} is not a program", path.display()))?;
            return Ok(Self {
                name: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                why: "as asked for with --agent".to_owned(),
                kind: Kind::Given(path),
            });
        }
        Ok(match installed(scripted, around) {
            Ok((path, (a, b, c))) => Self {
                name: format!("claude {a}.{b}.{c}"),
                why: format!("found at {}, logged in", path.display()),
                kind: Kind::Claude(path),
            },
            Err(why) => Self {
                kind: Kind::StandIn,
                name: "scripted stand-in, not Claude".to_owned(),
                why,
            },
        })
    }

    /// Whether it is the stand-in.
    pub fn is_stand_in(&self) -> bool {
        self.kind == Kind::StandIn
    }

    /// Its environment, beside what the daemon gives every agent. `own`: a directory where the stand-in keeps what it
    /// has seen.
    pub fn environment(&self, own: &Path) -> Vec<(String, String)> {
        if self.is_stand_in() {
            return vec![("HOME".to_owned(), own.to_string_lossy().into_owned())];
        }
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| {
                FURTHER.contains(&name.as_str()) || FAMILIES.iter().any(|f| name.starts_with(f))
            })
            .collect()
    }
}

type Version = (u64, u64, u64);

/// The `claude` to be used, or why there is none.
fn installed(scripted: bool, around: &Surroundings) -> Result<(PathBuf, Version), String> {
    if scripted {
        return Err("as asked for with --scripted".to_owned());
    }
    let variable = around.variable;
    let path = variable("PATH")
        .and_then(|all| {
            std::env::split_paths(&all)
                .map(|directory| directory.join("claude"))
                .find(|p| p.is_absolute() && runnable(p))
        })
        .ok_or("there is no claude in PATH")?;
    let version = (around.version)(&path)
        .ok_or_else(|| format!("{} does not say its version", path.display()))?;
    if let Some(oldest) = oldest()
        && version < oldest
    {
        let text = |(a, b, c): Version| format!("{a}.{b}.{c}");
        return Err(format!(
            "the installed claude is {}, telexd needs {}",
            text(version),
            text(oldest)
        ));
    }
    let config = variable("CLAUDE_CONFIG_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".claude")));
    let credentials = config.is_some_and(|directory| directory.join(".credentials.json").is_file());
    if !credentials && !LOGINS.iter().any(|name| variable(name).is_some()) {
        return Err("the installed claude is not logged in".to_owned());
    }
    Ok((path, version))
}

/// The oldest version that the daemon runs.
fn oldest() -> Option<Version> {
    let claude = Claude::new(Live::new(ClaudeConfig {
        command: String::new(),
        directory: PathBuf::new(),
        environment_file: None,
        trust_project: false,
        model: None,
        output_limit: 0,
    }));
    let launch = Launch {
        session_id: Uuid::nil(),
        resume: false,
        mode: telexd::core::mode::PermissionMode::default(),
        profile: telexd::core::profile::Profile::default(),
        inbox: None,
        rules: telexd::core::approval::rules::Lists::default(),
    };
    let spec = claude.spec(&RunId::from_random([0; RunId::LEN]), &launch);
    Some(spec.version_gate?.oldest)
}

fn runnable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Asks a program for its version.
fn ask_version(path: &Path) -> Option<Version> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let out = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut words = String::new();
        let _ = out.take(4096).read_to_string(&mut words);
        let _ = sender.send(words);
    });
    let words = receiver.recv_timeout(VERSION_WITHIN);
    // It has said what it has to say.
    let _ = child.kill();
    let _ = child.wait();
    version_in(&words.ok()?)
}

/// The first `X.Y.Z` in a text.
fn version_in(text: &str) -> Option<Version> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .find_map(|word| {
            let mut parts = word.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??, parts.next()??))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        let around = Surroundings {
            variable: |name| (name == "PATH").then(|| "/bin".to_owned()),
            version: |_| Some((9, 9, 9)),
        };
        let scripted = Agent::choose(true, None, &around).unwrap();
        assert!(scripted.is_stand_in() && scripted.why.contains("--scripted"));
        assert!(scripted.name.contains("scripted stand-in"));
        let given = Agent::choose(false, Some(Path::new("/bin/sh")), &around).unwrap();
        assert_eq!(given.kind, Kind::Given("/bin/sh".into()));
        assert!(Agent::choose(false, Some(Path::new("/no/such")), &around).is_err());
    }

    #[test]
    fn a_claude_that_cannot_be_used_is_told() {
        let none = Surroundings {
            variable: nothing,
            version: |_| None,
        };
        assert_eq!(
            Agent::choose(false, None, &none).unwrap().why,
            "there is no claude in PATH"
        );
        let directory = tempfile::tempdir().unwrap();
        let claude = directory.path().join("claude");
        std::fs::write(&claude, "").unwrap();
        std::fs::set_permissions(&claude, std::fs::Permissions::from_mode(0o755)).unwrap();
        // A function pointer holds nothing: the directory reaches it through the thread.
        thread_local!(static WHERE: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) });
        WHERE.set(directory.path().to_string_lossy().into_owned());
        let here =
            |name: &str| matches!(name, "PATH" | "HOME").then(|| WHERE.with_borrow(Clone::clone));
        let why = |version| {
            let around = Surroundings {
                variable: here,
                version,
            };
            Agent::choose(false, None, &around).unwrap()
        };
        assert!(why(|_| None).why.contains("does not say its version"));
        assert!(why(|_| Some((2, 1, 197))).why.contains("2.1.197"));
        assert!(why(|_| Some((9, 0, 0))).why.contains("not logged in"));
        std::fs::create_dir(directory.path().join(".claude")).unwrap();
        std::fs::write(directory.path().join(".claude/.credentials.json"), "{}").unwrap();
        let found = why(|_| Some((9, 0, 0)));
        assert_eq!(found.kind, Kind::Claude(claude));
        assert_eq!(found.name, "claude 9.0.0");
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(version_in("2.1.330 (Claude Code)\n"), Some((2, 1, 330)));
        assert_eq!(version_in("no version"), None);
        assert!(oldest().is_some_and(|v| v > (2, 0, 0)));
    }
}
