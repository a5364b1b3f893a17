//! What should be installed, and the token's file; never what is in it.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Finding, State};
use crate::ctl::values::Dict;

/// Name of the credential that holds the token, and of the file that the shipped unit makes it of.
const CREDENTIAL: &str = "telegram-token";

/// Where the files are; tests have another root.
#[derive(Clone, Debug)]
pub(super) struct Places {
    root: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
        }
    }
}

impl Places {
    #[cfg(test)]
    pub(super) fn below(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Where a file with this absolute name is.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name.trim_start_matches('/'))
    }
}

/// Files without which something is not allowed, and what.
const INSTALLED: &[(&str, &str)] = &[
    (
        "/usr/share/dbus-1/system.d/org.telexd1.conf",
        "the daemon does not get its name on the bus",
    ),
    (
        "/usr/share/polkit-1/actions/org.telexd1.policy",
        "nobody but root may administer",
    ),
    (
        "/usr/share/polkit-1/rules.d/50-telexd.rules",
        "the daemon may not start agents",
    ),
];

/// Rights: the files that give them.
pub(super) fn installed(places: &Places, findings: &mut Vec<Finding>) {
    let before = findings.len();
    for (name, without) in INSTALLED {
        // The folder of rules can be closed to others; what cannot be seen is not said to be missing.
        match fs::symlink_metadata(places.at(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => findings.push(Finding::new(
                "rights",
                State::Bad,
                format!("{name} is missing: {without}"),
                "apt install --reinstall telexd",
            )),
            Err(error) => findings.push(Finding::new(
                "rights",
                State::Unknown,
                format!("{name}: {error}"),
                "run telexctl doctor as root",
            )),
            Ok(_) => {}
        }
    }
    if findings.len() == before {
        findings.push(Finding::ok(
            "rights",
            "bus policy, polkit actions and rules are installed",
        ));
    }
}

/// The token's file, as the unit names it.
pub(super) fn token(places: &Places, unit: Option<&Dict>, findings: &mut Vec<Finding>) {
    let encrypted = source(unit, "LoadCredentialEncrypted");
    let plain = source(unit, "LoadCredential");
    let (name, encrypted) = match (encrypted, plain) {
        (Some(name), _) => (name, true),
        (None, Some(name)) => (name, false),
        (None, None) => return,
    };
    findings.push(match fs::metadata(places.at(&name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::new(
            "token",
            State::Warn,
            format!("there is no {name}; the service has no token unless telegram.token_file names another file"),
            format!("install -m 0600 /dev/stdin {name}, paste the token that @BotFather gave you, then Ctrl-D"),
        ),
        Err(error) => Finding::new("token", State::Unknown, format!("{name}: {error}"), "run telexctl doctor as root"),
        Ok(file) if file.len() == 0 => Finding::new(
            "token",
            State::Bad,
            format!("{name} is empty"),
            format!("install -m 0600 /dev/stdin {name}, paste the token that @BotFather gave you, then Ctrl-D"),
        ),
        Ok(file) if !encrypted && file.permissions().mode() & 0o077 != 0 => Finding::new(
            "token",
            State::Warn,
            format!("{name} can be read by others than its owner (mode {:03o}, owner {})", file.permissions().mode() & 0o777, file.uid()),
            format!("chmod 0600 {name}"),
        ),
        Ok(_) => Finding::ok("token", format!("{name} is there{}", if encrypted { ", encrypted" } else { "" })),
    });
}

/// The file that a unit makes the credential of. Without a unit to ask: the one of the shipped unit.
fn source(unit: Option<&Dict>, property: &str) -> Option<String> {
    let Some(Value::Array(pairs)) = unit.and_then(|unit| unit.get(property)) else {
        return (property == "LoadCredential").then(|| "/etc/telexd/token".to_owned());
    };
    pairs.iter().find_map(|pair| {
        let name = pair.get(0)?.as_str()?;
        let path = pair.get(1)?.as_str()?;
        (name == CREDENTIAL && Path::new(path).is_absolute()).then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn states(findings: &[Finding]) -> Vec<State> {
        findings.iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        let mut findings = Vec::new();
        installed(&places, &mut findings);
        assert_eq!(states(&findings), [State::Bad; 3]);
        for (name, _) in INSTALLED {
            fs::create_dir_all(places.at(name).parent().unwrap()).unwrap();
            fs::write(places.at(name), "").unwrap();
        }
        findings.clear();
        installed(&places, &mut findings);
        assert_eq!(states(&findings), [State::Ok]);
    }

    #[test]
    fn tokens() {
        let root = tempfile::tempdir().unwrap();
        let places = Places::below(root.path());
        let look = |unit: Option<&Dict>| {
            let mut findings = Vec::new();
            token(&places, unit, &mut findings);
            assert!(!format!("{findings:?}").contains("SECRET"));
            findings.first().map(|finding| finding.state)
        };
        assert_eq!(look(None), Some(State::Warn));
        fs::create_dir_all(places.at("/etc/telexd")).unwrap();
        let file = places.at("/etc/telexd/token");
        fs::write(&file, "").unwrap();
        assert_eq!(look(None), Some(State::Bad));
        fs::write(&file, "1:SECRET").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look(None), Some(State::Warn));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look(None), Some(State::Ok));
        let unit = json!({"LoadCredential": [["agent-env", "/x"]], "LoadCredentialEncrypted": [["telegram-token", "/etc/telexd/token"]]});
        assert_eq!(look(unit.as_object()), Some(State::Ok));
        let unit = json!({"LoadCredential": [["agent-env", "/x"]], "LoadCredentialEncrypted": []});
        assert_eq!(look(unit.as_object()), None);
    }
}
