//! Who orders something: for the audit, and for people.

use std::fmt;

use super::text::one_line;

/// Longest path of a program that is recorded, in characters.
const PROGRAM: usize = 200;
/// Longest name of a person that is shown, in characters.
const NAME: usize = 64;

/// Who ordered an administrative act, and by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody in Telegram, by user id.
    Telegram(i64),
    /// A process on the system bus.
    Bus {
        /// Its user.
        uid: u32,
        /// Its process id.
        pid: u32,
        /// Its program, where that can be seen. A path of somebody else's making.
        exe: Option<String>,
    },
    /// A signal to the daemon.
    Signal,
}

impl Actor {
    /// How people are told who it was; `name` is the one that somebody has in Telegram, where it is known.
    #[must_use]
    pub fn for_people(&self, name: Option<&str>) -> String {
        match self {
            Self::Telegram(id) => match name.map(str::trim).filter(|name| !name.is_empty()) {
                Some(name) => one_line(name, NAME),
                None => format!("person {id}"),
            },
            Self::Bus { uid: 0, .. } => "root".to_owned(),
            Self::Bus { uid, .. } => format!("user {uid} of the server"),
            Self::Signal => "an administrator of the server".to_owned(),
        }
    }
}

impl fmt::Display for Actor {
    /// For the audit: on one line, whatever the program's path is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Telegram(id) => write!(f, "telegram:{id}"),
            Self::Bus { uid, pid, exe } => {
                write!(f, "uid:{uid} pid:{pid}")?;
                match exe {
                    Some(exe) => write!(f, " exe:{}", one_line(exe, PROGRAM)),
                    None => Ok(()),
                }
            }
            Self::Signal => f.write_str("signal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_was() {
        let bus = |uid, exe: Option<&str>| Actor::Bus {
            uid,
            pid: 7,
            exe: exe.map(str::to_owned),
        };
        for (actor, name, audit, people) in [
            (Actor::Telegram(5), None, "telegram:5", "person 5"),
            (Actor::Telegram(5), Some(" "), "telegram:5", "person 5"),
            (Actor::Telegram(5), Some("Ada\nB"), "telegram:5", "Ada\\nB"),
            (
                bus(0, Some("/bin/x")),
                None,
                "uid:0 pid:7 exe:/bin/x",
                "root",
            ),
            (
                bus(8, Some("/a\nok b")),
                None,
                "uid:8 pid:7 exe:/a\\nok b",
                "user 8 of the server",
            ),
            (bus(8, None), None, "uid:8 pid:7", "user 8 of the server"),
            (
                Actor::Signal,
                None,
                "signal",
                "an administrator of the server",
            ),
        ] {
            assert_eq!(actor.to_string(), audit);
            assert_eq!(actor.for_people(name), people);
        }
        let long = bus(1, Some(&"é".repeat(900))).to_string();
        assert!(long.chars().count() < 230 && long.ends_with('…'), "{long}");
    }
}
