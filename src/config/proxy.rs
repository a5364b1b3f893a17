//! The proxy by which Telegram is reached: its address, and the login that it may want, which is never in a configuration
//! file and never shown.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use toml::de::DeValue;
use url::Url;

use super::{
    Surroundings,
    kinds::{Kind, Mistake, toml_text},
    problem::{Problem, holds_token, quoted},
    token,
};

/// Name of the systemd credential that holds the login where the configuration names no file.
pub const CREDENTIAL: &str = "telegram-proxy";

/// Address of a proxy: `http`, `socks5` or `socks5h`, host, port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddress(Url);

impl ProxyAddress {
    /// The address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Kind for ProxyAddress {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let text = value
            .as_str()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let remedy = Self::how(rule);
        if holds_token(text) {
            return Err(Mistake::new("holds what looks like the bot token", remedy));
        }
        // What the library says of an address that it cannot read never quotes it.
        let url = Url::parse(text)
            .map_err(|error| Mistake::new(format!("is no address: {error}"), &*remedy))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Mistake::new(
                "holds a user name or password, which would be shown with the settings",
                "write USER:PASSWORD into a file and name that in proxy_login_file",
            ));
        }
        let sound = matches!(url.scheme(), "http" | "socks5" | "socks5h")
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if sound {
            Ok(Self(url))
        } else {
            let what = format!("{} is no address of a proxy", quoted(text));
            Err(Mistake::new(what, remedy))
        }
    }

    fn shown(&self) -> String {
        toml_text(self.0.as_str())
    }

    fn allowed(_: &()) -> String {
        "an address in quotes".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like \"http://proxy.lan:3128\" or \"socks5h://127.0.0.1:1080\"".to_owned()
    }
}

/// User name and password for the proxy. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(not shown)")
    }
}

/// Reads the login from the file that is named, else from the systemd credential; `None` where there is neither.
///
/// # Errors
/// File and remedy; never anything of the content.
pub fn login(
    named: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<Option<Login>, Box<Problem>> {
    let credential = || -> Option<PathBuf> {
        let path = surroundings
            .credentials_directory
            .as_ref()?
            .join(CREDENTIAL);
        path.is_file().then_some(path)
    };
    let Some(path) = named.map(Path::to_owned).or_else(credential) else {
        return Ok(None);
    };
    let bad = |what: &str| {
        let remedy =
            "it must hold one line, USER:PASSWORD, and be readable by the user that runs telexd";
        Box::new(
            Problem::of_file(&path, what.to_owned(), remedy).with_key("telegram.proxy_login_file"),
        )
    };
    let bytes = token::read_small(&path).map_err(|error| {
        bad(&format!(
            "the login of the proxy cannot be read: {}",
            token::plain(&error)
        ))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| bad("the login of the proxy is not text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() && !text.contains(['\r', '\n']) => {
            Ok(Some(Login {
                user: user.to_owned(),
                password: password.to_owned(),
            }))
        }
        _ => Err(bad(
            "what should be the login of the proxy is not USER:PASSWORD on one line",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |text: &str| ProxyAddress::read(&DeValue::String(text.into()), &());
        for good in [
            "http://proxy.lan:3128",
            "socks5://127.0.0.1:1080",
            "socks5h://[::1]:1080",
        ] {
            let address = read(good).unwrap();
            assert_eq!(address.url().as_str().trim_end_matches('/'), good);
            let shown = DeValue::parse(&address.shown())
                .unwrap()
                .get_ref()
                .as_str()
                .unwrap()
                .to_owned();
            assert_eq!(read(&shown), Ok(address));
        }
        for bad in [
            "",
            "proxy.lan:3128",
            "https://proxy.lan",
            "ftp://proxy.lan",
            "http://",
            "socks5:1080",
            "http://proxy.lan/path",
            "http://proxy.lan?x=1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for secret in [
            "http://ann:s3cret@proxy.lan",
            "socks5://s3cret@h:1",
            "http://ann:s3cret@ proxy",
        ] {
            let mistake = read(secret).unwrap_err();
            assert!(!format!("{mistake:?}").contains("s3cret"), "{mistake:?}");
        }
    }

    #[test]
    fn logins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login");
        let nowhere = Surroundings::default();
        assert_eq!(login(None, &nowhere), Ok(None));
        assert!(login(Some(&path), &nowhere).is_err());
        for (text, wanted) in [
            ("ann:s3cret\n", Some(("ann", "s3cret"))),
            ("ann:a:b", Some(("ann", "a:b"))),
            ("ann:", Some(("ann", ""))),
            ("", None),
            (":s3cret", None),
            ("s3cret", None),
            ("ann:s3cret\nmore:s3cret", None),
        ] {
            std::fs::write(&path, text).unwrap();
            match (login(Some(&path), &nowhere), wanted) {
                (Ok(Some(login)), Some((user, password))) => {
                    assert_eq!((&*login.user, &*login.password), (user, password));
                    assert!(!format!("{login:?}").contains("s3cret"));
                }
                (Err(problem), None) => {
                    assert!(
                        !format!("{problem} {problem:?}").contains("s3cret"),
                        "{problem}"
                    );
                }
                (read, _) => panic!("{text:?} gives {read:?}"),
            }
        }
        // The credential of the unit.
        std::fs::write(dir.path().join(CREDENTIAL), "bob:x\n").unwrap();
        let unit = Surroundings {
            credentials_directory: Some(dir.path().to_owned()),
            ..Surroundings::default()
        };
        assert_eq!(login(None, &unit).unwrap().unwrap().user, "bob");
    }
}
