//! `-H`: the bus of another machine, over SSH. Nothing listens there for it: `systemd-stdio-bridge`, which is on every machine
//! with systemd, is started at the other end and speaks for the caller's user there. So does `systemctl -H`.

use std::{
    ffi::OsString,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Stdio,
};

use tokio::process::{Child, Command};

/// A machine, as `-H` names it: `[USER@]HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// Reads it.
    ///
    /// # Errors
    /// A sentence, where it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no [USER@]HOST[:PORT]");
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if text.is_empty() || text.starts_with('-') || text.contains(odd) {
            return Err(wrong());
        }
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        // An address of IP version 6 has colons of its own, so with a port it needs brackets.
        let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, rest))) => (host, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
            Some(None) => return Err(wrong()),
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        if host.is_empty() || host.starts_with('-') || user == Some("") {
            return Err(wrong());
        }
        let port = port.map(str::parse).transpose().map_err(|_| wrong())?;
        Ok(Self {
            name: match user {
                Some(user) => format!("{user}@{host}"),
                None => host.to_owned(),
            },
            port,
        })
    }

    /// What `ssh` is called with to run a command there.
    #[must_use]
    pub fn ssh(&self, terminal: bool, command: &[&str]) -> Vec<OsString> {
        let mut words: Vec<String> = vec![
            "-x".to_owned(),
            if terminal { "-t" } else { "-T" }.to_owned(),
        ];
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(["--".to_owned(), self.name.clone()]);
        // ssh makes one line of it for the shell at the other end.
        words.extend(command.iter().map(|word| quoted(word)));
        words.into_iter().map(OsString::from).collect()
    }

    /// Starts the bridge: the stream to the bus, and ssh itself, which ends when it is dropped.
    ///
    /// # Errors
    /// ssh cannot be started.
    pub fn bridge(&self) -> std::io::Result<(UnixStream, Child)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let theirs = OwnedFd::from(theirs);
        let child = Command::new("ssh")
            .args(self.ssh(false, &["systemd-stdio-bridge"]))
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs))
            .kill_on_drop(true)
            .spawn()?;
        Ok((ours, child))
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: Option<u16>) -> Host {
        Host {
            name: name.to_owned(),
            port,
        }
    }

    #[test]
    fn names_of_machines() {
        for (text, wanted) in [
            ("box", host("box", None)),
            ("root@box", host("root@box", None)),
            ("root@box:2222", host("root@box", Some(2222))),
            ("::1", host("::1", None)),
            ("root@[::1]:22", host("root@::1", Some(22))),
            ("[fe80::1%eth0]", host("fe80::1%eth0", None)),
        ] {
            assert_eq!(Host::parse(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "-oProxyCommand=x",
            "a@-oProxyCommand=x",
            "a b",
            "box:",
            "box:x",
            "box:99999",
            "@box",
            "root@",
            "[::1",
            "[::1]22",
            "a\nb",
        ] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_ssh_gets() {
        let words =
            host("u@h", Some(2)).ssh(true, &["journalctl", "--since", "1 hour ago", "it's"]);
        let words: Vec<_> = words
            .iter()
            .map(|w| w.to_str().unwrap_or_default())
            .collect();
        assert_eq!(
            words,
            [
                "-x",
                "-t",
                "-p",
                "2",
                "--",
                "u@h",
                "journalctl",
                "--since",
                "'1 hour ago'",
                r"'it'\''s'"
            ]
        );
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
    }
}
