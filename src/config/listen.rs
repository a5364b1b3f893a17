//! A place at which something listens that this machine alone may reach.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use toml::de::DeValue;

use super::{
    kinds::{Kind, Mistake, toml_text},
    problem::{holds_token, quoted},
};

/// What a path of a socket begins with.
const UNIX: &str = "unix:";
/// Longest path of a socket, in bytes: the system has no room for more.
const LONGEST: usize = 107;

/// A place at which something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A socket in the file system, by its absolute path.
    Unix(PathBuf),
    /// An address of this machine's own network.
    Tcp(SocketAddr),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

impl Kind for Listen {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let odd = |what: &str| {
            Err(Mistake::new(
                format!("{} {what}", quoted(text)),
                Self::how(rule),
            ))
        };
        if holds_token(text) {
            return Err(Mistake::new(
                "holds what looks like the bot token",
                Self::how(rule),
            ));
        }
        if let Some(path) = text.strip_prefix(UNIX) {
            let path = Path::new(path);
            return match () {
                () if !path.is_absolute() || text.contains(char::is_control) => {
                    odd("names no absolute path")
                }
                () if path.file_name().is_none() || text.ends_with('/') => odd("names a directory"),
                () if path.as_os_str().len() > LONGEST => odd("is too long a path for a socket"),
                () => Ok(Self::Unix(path.to_owned())),
            };
        }
        let address = match text.strip_prefix("localhost:").map(str::parse) {
            Some(Ok(port)) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            _ => match text.parse() {
                Ok(address) => address,
                Err(_) => return odd("is neither an address with a port nor unix:PATH"),
            },
        };
        match address {
            _ if !address.ip().is_loopback() => odd("can be reached by other machines"),
            _ if address.port() == 0 => odd("names no port"),
            _ => Ok(Self::Tcp(address)),
        }
    }

    fn shown(&self) -> String {
        toml_text(&self.to_string())
    }

    fn allowed(_: &()) -> String {
        "an address of this machine alone, with its port, or unix:PATH, in quotes".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like \"127.0.0.1:9464\" or \"unix:/run/telexd/health.sock\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Listen, String> {
        let toml = format!("x = {}", toml_text(text));
        let table = toml::de::DeTable::parse(&toml).unwrap();
        let value = table.get_ref().get("x").unwrap().get_ref();
        Listen::read(value, &()).map_err(|mistake| format!("{}; {}", mistake.what, mistake.remedy))
    }

    #[test]
    fn places() {
        let tcp = |text: &str| Ok(Listen::Tcp(text.parse().unwrap()));
        assert_eq!(read("127.0.0.1:9464"), tcp("127.0.0.1:9464"));
        assert_eq!(read("127.8.8.8:1"), tcp("127.8.8.8:1"));
        assert_eq!(read("[::1]:9464"), tcp("[::1]:9464"));
        assert_eq!(read("localhost:9464"), tcp("127.0.0.1:9464"));
        assert_eq!(
            read("unix:/run/telexd/health.sock"),
            Ok(Listen::Unix("/run/telexd/health.sock".into()))
        );
        for (text, part) in [
            ("", "neither"),
            ("9464", "neither"),
            ("localhost:x", "neither"),
            ("127.0.0.1", "neither"),
            ("http://127.0.0.1:9464", "neither"),
            ("0.0.0.0:9464", "other machines"),
            ("[::]:9464", "other machines"),
            ("192.0.2.1:9464", "other machines"),
            ("[::ffff:127.0.0.1]:9464", "other machines"),
            ("127.0.0.1:0", "no port"),
            ("unix:health.sock", "absolute"),
            ("unix:", "absolute"),
            ("unix:/", "directory"),
            ("unix:/run/", "directory"),
            ("unix:/a\nb", "absolute"),
            ("123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX", "token"),
        ] {
            let told = read(text).unwrap_err();
            assert!(
                told.contains(part) && told.contains("127.0.0.1:9464"),
                "{text}: {told}"
            );
            assert!(!told.contains("AAHd"), "{told}");
        }
        let long = format!("unix:/{}", "x".repeat(LONGEST));
        assert!(read(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn what_is_shown_reads_the_same() {
        for text in ["127.0.0.1:9464", "[::1]:1", "unix:/run/a \"b\".sock"] {
            let listen = read(text).unwrap();
            assert_eq!(listen.to_string(), text);
            assert_eq!(read(&listen.to_string()), Ok(listen));
        }
    }
}
