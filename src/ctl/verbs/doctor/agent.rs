//! The agent's program and its login.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use nix::unistd::{User, geteuid};
use tokio::process::Command;

use super::{
    Finding, State,
    files::Places,
    machine::{self, Settings},
};

const USER: &str = "telexd-agent";
const HOME: &str = "/var/lib/telexd-agent";
/// As in the units of agents.
const PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/var/lib/telexd-agent/.local/bin";
const LOGIN: &str = "/var/lib/telexd-agent/.claude/.credentials.json";
const VARIABLES: &str = "/etc/telexd/agent.env";
/// Variables that are a login.
const LOGINS: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
];
const LOG_IN: &str = "put a key into /etc/telexd/agent.env, or once, by hand: env HOME=/var/lib/telexd-agent runuser -u telexd-agent claude";

/// Looks for both.
pub(super) async fn look(places: &Places, settings: &Settings, findings: &mut Vec<Finding>) {
    findings.push(match find(places, &settings.agent) {
        Some(program) => version(&program).await,
        None => Finding::new(
            "agent",
            State::Bad,
            format!("there is no program {} that everybody may run", settings.agent),
            "install Claude Code to /usr/bin or /usr/local/bin, or name the program in agent.command",
        ),
    });
    findings.push(login(places));
}

/// The program as the units of agents find it.
fn find(places: &Places, name: &str) -> Option<PathBuf> {
    let runs = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(places.at(name)).filter(runs);
    }
    PATH.split(':')
        .map(|folder| places.at(folder).join(name))
        .find(runs)
}

/// Asks it. Never as root: it may belong to the agent's user, who could then become root.
async fn version(program: &Path) -> Finding {
    let name = program.display();
    // In a session of its own, so that it does not get at this terminal.
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(program)
        .arg("--version")
        .env_clear()
        .env("HOME", HOME)
        .env("PATH", PATH);
    if geteuid().is_root() {
        let Ok(Some(user)) = User::from_name(USER) else {
            return Finding::new(
                "agent",
                State::Bad,
                format!("there is no user {USER}"),
                "systemd-sysusers",
            );
        };
        command
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw())
            .current_dir("/");
    } else if !trusted(program) {
        return Finding::new(
            "agent",
            State::Unknown,
            format!("{name} is there; it is not root's, so it was not started"),
            "run telexctl doctor as root",
        );
    }
    match machine::said(&mut command).await {
        Ok((true, words)) => Finding::ok(
            "agent",
            format!("{name} is {}", words.lines().next().unwrap_or_default()),
        ),
        Ok((false, words)) => Finding::new(
            "agent",
            State::Bad,
            format!(
                "{name} cannot be run by {USER}: {}",
                words.lines().next().unwrap_or("it does not say why")
            ),
            format!("runuser -u {USER} {name} -- --version shows more"),
        ),
        Err(why) => Finding::new(
            "agent",
            State::Bad,
            format!("{name} cannot be run: {why}"),
            "install Claude Code anew",
        ),
    }
}

/// Whether nobody but root can have changed it.
fn trusted(program: &Path) -> bool {
    fs::canonicalize(program).is_ok_and(|real| {
        real.ancestors().all(|path| {
            fs::metadata(path).is_ok_and(|file| file.uid() == 0 && file.mode() & 0o022 == 0)
        })
    })
}

/// Whether the agent has a key or a login, as far as we may see. No value is looked at beyond whether there is one.
fn login(places: &Places) -> Finding {
    if let Ok(text) = fs::read_to_string(places.at(VARIABLES)) {
        let set = |name: &&&str| {
            text.lines().any(|line| {
                line.split_once('=')
                    .is_some_and(|(key, value)| key.trim() == **name && !value.trim().is_empty())
            })
        };
        if let Some(name) = LOGINS.iter().find(set) {
            return Finding::ok("login", format!("{VARIABLES} sets {name}"));
        }
    }
    match fs::metadata(places.at(LOGIN)) {
        Ok(file) if file.len() > 0 => {
            return Finding::ok("login", format!("{USER} has logged in ({LOGIN})"));
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Finding::new(
                "login",
                State::Unknown,
                "whether the agent has a login is hidden from you",
                "run telexctl doctor as root",
            );
        }
        _ => {}
    }
    if fs::File::open(places.at(VARIABLES))
        .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
    {
        return Finding::new(
            "login",
            State::Unknown,
            "whether the agent has a key is hidden from you",
            "run telexctl doctor as root",
        );
    }
    Finding::new(
        "login",
        State::Warn,
        "no key and no login of the agent was found",
        LOG_IN,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_and_not_told() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        assert_eq!(login(&places).state, State::Warn);
        for name in [VARIABLES, LOGIN] {
            fs::create_dir_all(places.at(name).parent().unwrap()).unwrap();
        }
        fs::write(
            places.at(VARIABLES),
            "#ANTHROPIC_API_KEY=x\nANTHROPIC_API_KEY=\n",
        )
        .unwrap();
        assert_eq!(login(&places).state, State::Warn);
        fs::write(places.at(LOGIN), "{}").unwrap();
        assert_eq!(login(&places).state, State::Ok);
        fs::write(places.at(VARIABLES), "ANTHROPIC_API_KEY=sk-hunter2\n").unwrap();
        let found = login(&places);
        assert!(
            found.state == State::Ok && !format!("{found:?}").contains("hunter2"),
            "{found:?}"
        );
    }

    #[tokio::test]
    async fn programs_are_found_as_agents_find_them() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        assert_eq!(find(&places, "claude"), None);
        let program = places.at("/usr/local/bin/claude");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "#!/bin/sh\necho 9.9\n").unwrap();
        assert_eq!(find(&places, "claude"), None);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&places, "claude"), Some(program.clone()));
        assert_eq!(
            find(&places, "/usr/local/bin/claude"),
            Some(program.clone())
        );
        // Below a folder that others may write to it is not run by a user, and never as root.
        assert!(!trusted(&program));
    }
}
