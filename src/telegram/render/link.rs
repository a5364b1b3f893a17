//! Which addresses may stand behind a text.

use url::{Host, Url};

/// Longest address that is put behind a text, in bytes.
const LONGEST: usize = 2048;

/// The address as Telegram takes it, or `None` where it would refuse the whole message because of it (or bend the
/// address): anything but `http`, `https` and `tg`, hosts without a dot such as `localhost`, and relative paths.
/// `mailto:` is among them: Telegram reads such an address as a web page; an e-mail address in a text becomes a link by
/// itself. Neither may a name and password stand in front of the host, for they make another host look like it.
pub(super) fn linkable(address: &str) -> Option<String> {
    if address.len() > LONGEST {
        return None;
    }
    if address
        .get(..3)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("tg:"))
    {
        return telegram(&address[3..]);
    }
    // The parser forgives a lack of slashes; a person would not see what is meant.
    let (scheme, _) = address.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let url = Url::parse(address).ok()?;
    let host_is_fit = match url.host()? {
        Host::Domain(name) => name.trim_matches('.').contains('.'),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    let anonymous = url.username().is_empty() && url.password().is_none();
    (host_is_fit && anonymous && url.as_str().len() <= LONGEST).then(|| url.into())
}

/// `tg://name?query`: a plain name, no port, nothing but visible ASCII.
fn telegram(rest: &str) -> Option<String> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let name = rest.split(['/', '?', '#']).next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(plain) && rest.chars().all(|c| c.is_ascii_graphic()))
        .then(|| format!("tg://{rest}"))
}

#[cfg(test)]
mod tests {
    use super::linkable;

    #[test]
    fn takes_what_telegram_takes() {
        for (address, expected) in [
            ("https://example.org", "https://example.org/"),
            ("HTTP://example.org/a?b=c#d", "http://example.org/a?b=c#d"),
            ("https://192.0.2.7:8443/x", "https://192.0.2.7:8443/x"),
            ("http://[2001:db8::1]/", "http://[2001:db8::1]/"),
            ("https://example.org/ä b", "https://example.org/%C3%A4%20b"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            (
                "tg://resolve?domain=telegram",
                "tg://resolve?domain=telegram",
            ),
            ("tg:user?id=1", "tg://user?id=1"),
        ] {
            assert_eq!(linkable(address).as_deref(), Some(expected), "{address}");
        }
    }

    #[test]
    fn refuses_what_would_spoil_the_message() {
        let long = format!("https://example.org/{}", "a".repeat(3000));
        for address in [
            "",
            "src/main.rs",
            "/etc/passwd",
            "#heading",
            "@somebot",
            "https:example.org",
            "http://localhost:3000/",
            "http://host./",
            "https://",
            "https://example.org:99999/",
            "https://example.org@evil.example/",
            "ftp://example.org/x",
            "javascript:alert(1)",
            "mailto:a@example.org",
            "file:///etc/passwd",
            "tg://",
            "tg://re solve",
            "tg://resolve:80?domain=x",
            &long,
        ] {
            assert_eq!(linkable(address), None, "{address}");
        }
    }
}
