//! Why something was not done, as people and scripts are told. Pure.

use serde_json::json;

use super::{exit, look::Look, text};

/// A verb that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit code of the program.
    pub code: u8,
    /// Name of the D-Bus error, or one of our own where there is none.
    pub name: String,
    /// A sentence with a remedy; may hold words of others.
    pub text: String,
}

const OURS: &str = "org.telexd1.Error.";
const DBUS: &str = "org.freedesktop.DBus.Error.";

impl Failure {
    /// Something failed.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::own(exit::FAILED, "Failed", text)
    }

    /// The command line has a value that will not do.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self::own(exit::USAGE, "InvalidArgument", text)
    }

    /// The bus cannot be reached, or was lost.
    #[must_use]
    pub fn no_bus(text: impl Into<String>) -> Self {
        Self {
            code: exit::AWAY,
            name: format!("{DBUS}NoServer"),
            text: text.into(),
        }
    }

    fn own(code: u8, name: &str, text: impl Into<String>) -> Self {
        Self {
            code,
            name: format!("{OURS}{name}"),
            text: text.into(),
        }
    }

    /// What an error that somebody answered on the bus means.
    #[must_use]
    pub fn of_error(name: &str, words: &str) -> Self {
        let (code, remedy) = match name.strip_prefix(OURS) {
            Some("InvalidArgument" | "InvalidValue") => (exit::USAGE, ""),
            Some("NotAllowed" | "NoPolkit") => (exit::NOT_ALLOWED, ""),
            Some("Stopping") => (exit::AWAY, ""),
            Some("Ambiguous") => (exit::NOT_FOUND, ""),
            Some(kind) if kind.starts_with("NoSuch") => (exit::NOT_FOUND, ""),
            Some(_) => (exit::FAILED, ""),
            None => match name.strip_prefix(DBUS) {
                Some("ServiceUnknown" | "NameHasNoOwner") => {
                    return Self {
                        code: exit::AWAY,
                        name: name.to_owned(),
                        text: "telexd does not run here, or not on this bus: systemctl status telexd tells why".to_owned(),
                    };
                }
                Some("NoReply" | "Timeout" | "TimedOut") => (
                    exit::AWAY,
                    "telexd does not answer; systemctl status telexd tells how it is",
                ),
                Some("Disconnected" | "NoServer") => (exit::AWAY, "the bus is gone"),
                Some("AccessDenied" | "AuthFailed" | "InteractiveAuthorizationRequired") => (
                    exit::NOT_ALLOWED,
                    "you are not allowed to: use root, or be a member of telexd-admin (adduser USER telexd-admin, then log in anew)",
                ),
                Some("UnknownMethod" | "UnknownInterface" | "UnknownProperty" | "InvalidArgs") => (
                    exit::FAILED,
                    "the daemon that runs is of another version than this telexctl: systemctl restart telexd starts the installed one",
                ),
                Some("UnknownObject") => (
                    exit::AWAY,
                    "what has the name org.telexd1 is not a telexd, or not ready yet",
                ),
                _ => (exit::FAILED, ""),
            },
        };
        let text = match (remedy, words) {
            ("", "") => format!("it failed: {name}"),
            ("", words) => words.to_owned(),
            (remedy, "") => remedy.to_owned(),
            (remedy, words) => format!("{remedy} ({})", words.trim_end_matches('.')),
        };
        Self {
            code,
            name: name.to_owned(),
            text,
        }
    }

    /// Whether the daemon or the bus is away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.code == exit::AWAY
    }

    /// For standard error, with a line break.
    #[must_use]
    pub fn show(&self, look: &Look) -> String {
        if look.json {
            look.as_json(&json!({"error": self.name, "message": self.text}))
        } else {
            format!("telexctl: {}\n", text::harmless(&self.text))
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_codes_and_remedies() {
        for (name, words, code, part) in [
            (
                "org.telexd1.Error.NoSuchRun",
                "no run begins with abcd",
                5,
                "no run begins with abcd",
            ),
            ("org.telexd1.Error.Ambiguous", "two", 5, "two"),
            ("org.telexd1.Error.InvalidValue", "1 to 9", 2, "1 to 9"),
            (
                "org.telexd1.Error.InvalidArgument",
                "too long",
                2,
                "too long",
            ),
            ("org.telexd1.Error.NotAllowed", "no", 4, "no"),
            (
                "org.telexd1.Error.NoPolkit",
                "apt install polkitd",
                4,
                "polkitd",
            ),
            ("org.telexd1.Error.Refused", "answered", 1, "answered"),
            ("org.telexd1.Error.TooManyCalls", "in 3 s", 1, "in 3 s"),
            ("org.telexd1.Error.Stopping", "ending", 3, "ending"),
            ("org.telexd1.Error.OfTheFuture", "", 1, "OfTheFuture"),
            (
                "org.freedesktop.DBus.Error.ServiceUnknown",
                "x",
                3,
                "systemctl status telexd",
            ),
            (
                "org.freedesktop.DBus.Error.NoReply",
                "x",
                3,
                "does not answer",
            ),
            (
                "org.freedesktop.DBus.Error.AccessDenied",
                "Rejected.",
                4,
                "telexd-admin",
            ),
            (
                "org.freedesktop.DBus.Error.UnknownMethod",
                "",
                1,
                "another version",
            ),
            ("com.example.Odd", "odd", 1, "odd"),
        ] {
            let failure = Failure::of_error(name, words);
            assert_eq!(failure.code, code, "{name}");
            assert!(failure.text.contains(part), "{name}: {}", failure.text);
        }
    }

    #[test]
    fn words_of_others_are_shown_harmlessly() {
        let failure = Failure::of_error("org.telexd1.Error.Refused", "a\x1b[2Jb\nc");
        assert_eq!(
            failure.show(&Look::default()),
            "telexctl: a\\u{1b}[2Jb\\nc\n"
        );
        let json = Look {
            json: true,
            ..Look::default()
        };
        assert_eq!(
            failure.show(&json),
            "{\"error\":\"org.telexd1.Error.Refused\",\"message\":\"a\\u001b[2Jb\\nc\"}\n"
        );
    }
}
