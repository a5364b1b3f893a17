//! The agent's environment: from nothing, with what the spec and the environment file give.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use nix::unistd::{Uid, User};

use crate::{
    gateway::ports::{NotStarted, Spec},
    runner::fds::reason,
};

/// Most bytes of an environment file.
const MOST_BYTES: u64 = 256 * 1024;

/// Variables by name.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// Name of the credential that holds the agent's variables, where a service manager gives us credentials.
const CREDENTIAL: &str = "agent-env";

/// Builds it. The credential wins over the environment file, that over the spec, and all over our own user's variables.
///
/// # Errors
/// The file's. Never its content.
pub(super) fn build(spec: &Spec) -> Result<Environment, NotStarted> {
    let mut all: Environment = spec.env.iter().map(|(n, v)| (n.into(), v.into())).collect();
    if let Some(path) = &spec.environment_file {
        let bytes = read(path).map_err(|detail| NotStarted::EnvironmentFile { detail })?;
        let more = parse(&bytes).map_err(|(line, what)| NotStarted::EnvironmentFile {
            detail: format!("{}, line {line}: {what}", path.display()),
        })?;
        all.extend(more);
    }
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        all.extend(credential(Path::new(&directory))?);
    }
    let user = User::from_uid(Uid::effective()).ok().flatten();
    for (name, fallback) in [
        (
            "PATH",
            Some(OsString::from(
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )),
        ),
        (
            "HOME",
            user.as_ref().map(|u| u.dir.clone().into_os_string()),
        ),
        ("LANG", Some("C.UTF-8".into())),
        ("TERM", Some("dumb".into())),
        (
            "SHELL",
            user.as_ref().map(|u| u.shell.clone().into_os_string()),
        ),
    ] {
        if !all.contains_key(OsStr::new(name))
            && let Some(value) = std::env::var_os(name).or(fallback)
        {
            all.insert(name.into(), value);
        }
    }
    Ok(all)
}

/// Variables of the credential; none where there is no such credential.
///
/// The path that we see is of no use to an administrator, who knows the file that the unit names.
fn credential(directory: &Path) -> Result<Vec<(OsString, OsString)>, NotStarted> {
    let path = directory.join(CREDENTIAL);
    let wrong = |what: String| NotStarted::EnvironmentFile {
        detail: format!(
            "the credential {CREDENTIAL}, which is /etc/telexd/agent.env unless LoadCredential= of the unit says \
             otherwise, {what}"
        ),
    };
    if matches!(path.symlink_metadata(), Err(e) if e.kind() == std::io::ErrorKind::NotFound) {
        return Ok(Vec::new());
    }
    let bytes = read(&path).map_err(|detail| wrong(format!("cannot be read ({detail})")))?;
    parse(&bytes).map_err(|(line, what)| wrong(format!("has a mistake in line {line}: {what}")))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let cannot = |e: std::io::Error| format!("{}: {}", path.display(), reason(&e));
    let file = File::open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(format!("{}: not a file", path.display()));
    }
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!(
            "{}: larger than {} KiB",
            path.display(),
            MOST_BYTES / 1024
        ));
    }
    Ok(bytes)
}

/// Reads `NAME=value` lines. Blank lines and those that begin with `#` or `;` are left out, spaces around name and
/// value too; one pair of quotes around a value is taken off.
///
/// # Errors
/// The number of the line and what is wrong with it, without any of its content.
fn parse(bytes: &[u8]) -> Result<Vec<(OsString, OsString)>, (usize, &'static str)> {
    let mut all = Vec::new();
    for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = at + 1;
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") {
            continue;
        }
        let equals = line
            .iter()
            .position(|b| *b == b'=')
            .ok_or((number, "there is no NAME=value"))?;
        let name = line[..equals].trim_ascii();
        let valid = name
            .iter()
            .enumerate()
            .all(|(i, b)| *b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit()));
        if name.is_empty() || !valid {
            return Err((number, "the name is not one of a variable"));
        }
        let value = line[equals + 1..].trim_ascii();
        let value = match value {
            [q @ (b'"' | b'\''), inner @ .., last] if q == last => inner,
            [b'"' | b'\'', ..] => return Err((number, "the quotes are not closed")),
            _ => value,
        };
        if value.contains(&0) {
            return Err((number, "there is a zero byte"));
        }
        all.push((
            OsStr::from_bytes(name).to_owned(),
            OsString::from_vec(value.to_vec()),
        ));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|(n, v)| (n.into_string().unwrap(), v.into_string().unwrap()))
            .collect()
    }

    #[test]
    fn lines_are_read() {
        let text =
            "# a comment\n\n; another\nA=1\n B = two words \r\nC=\"a # b\"\nD='it''s'\nE=\nF=a=b";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "a # b"),
            ("D", "it''s"),
            ("E", ""),
            ("F", "a=b"),
        ];
        let got = pairs(text);
        assert_eq!(
            got.iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_credential_is_read_and_its_mistakes_lead_to_the_administrators_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(credential(dir.path()), Ok(Vec::new()));
        let file = dir.path().join("agent-env");
        std::fs::write(&file, "A=1\n").unwrap();
        assert_eq!(credential(dir.path()), Ok(vec![("A".into(), "1".into())]));
        std::fs::write(&file, "A=1\nsecret\n").unwrap();
        let Err(NotStarted::EnvironmentFile { detail }) = credential(dir.path()) else {
            panic!("it is wrong");
        };
        assert!(detail.contains("/etc/telexd/agent.env"), "{detail}");
        assert!(detail.contains("line 2"), "{detail}");
        assert!(!detail.contains("secret"), "{detail}");
    }

    #[test]
    fn errors_name_the_line_and_nothing_of_it() {
        for (text, line) in [
            ("A=1\nsecret", 2),
            ("=secret", 1),
            ("\n\n1A=secret", 3),
            ("A B=secret", 1),
            ("A=\"secret", 1),
            ("A='", 1),
            ("A=sec\0ret", 1),
        ] {
            let (at, what) = parse(text.as_bytes()).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(!what.contains("secret"));
        }
    }
}
