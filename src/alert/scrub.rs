//! Takes secrets out of lines of a log that are to leave this machine.
//!
//! Errs on the side of taking out too much: a line of a log serves its purpose without its secrets.

/// What stands in the place of a secret.
const MARK: &str = "(secret)";

/// How keys of well-known services begin.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xox",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "hf_",
    "npm_",
    "pypi-",
    "ya29.",
];

/// Names, or ends of names, whose value is a secret.
const NAMES: &[&str] = &[
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "api-key",
    "api_key",
    "_key",
    "-key",
    "credential",
    "credentials",
    "cookie",
];

/// Words after which a secret comes.
const SCHEMES: &[&str] = &["bearer", "basic"];

/// Length, in bytes, from which a run of letters and digits, both in it, is taken for a secret.
const OPAQUE: usize = 32;

/// A line without secrets. `known`: those of which the text is known; they go wherever they stand.
#[must_use]
pub fn scrub(line: &str, known: &[&str]) -> String {
    let mut text = line.to_owned();
    for secret in known.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, MARK);
    }
    let lower = text.to_ascii_lowercase();
    if let Some(header) = lower.find("authorization") {
        // Whatever its scheme: to the end of the line.
        let end = header + "authorization".len();
        if lower[end..]
            .trim_start_matches(['"', '\'', ' '])
            .starts_with([':', '='])
        {
            text.truncate(end);
            text.push_str(": ");
            text.push_str(MARK);
        }
    }
    words(&credentials_in_urls(&text))
}

/// `scheme://user:password@host` without what stands before the host.
fn credentials_in_urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(sign) => {
                out.push_str(MARK);
                &after[sign..]
            }
            None => after,
        };
    }
    out + rest
}

fn of_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Looks at runs of the characters that secrets are made of, and at what stands before each.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The run before, and what stood between it and this one.
    let mut before: Option<&str> = None;
    // Where it begins in `out`; a mark may stand there in its place.
    let mut begins = 0;
    let mut hide_value = false;
    while !rest.is_empty() {
        let start = rest.find(of_secret).unwrap_or(rest.len());
        let gap = &rest[..start];
        out.push_str(gap);
        rest = &rest[start..];
        let end = rest.find(|c| !of_secret(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        if word.is_empty() {
            break;
        }
        let assigned = before.is_some_and(is_name) && assigns(gap);
        // The value may go on over signs that are not of a word, such as `.`, `+` or `/`.
        hide_value = assigned || hide_value && joins(gap);
        let after_scheme = gap == " "
            && before.is_some_and(|b| SCHEMES.contains(&b.to_ascii_lowercase().as_str()))
            && word.len() >= 8;
        let of_bot = gap == ":"
            && word.len() >= 10
            && before.is_some_and(|b| b.bytes().rev().take_while(u8::is_ascii_digit).count() >= 3);
        if of_bot {
            out.truncate(begins);
        }
        begins = out.len();
        if hide_value || after_scheme || of_bot || is_secret(word) {
            if !(out.ends_with(MARK)) {
                out.push_str(MARK);
            }
        } else {
            out.push_str(word);
        }
        before = Some(word);
        rest = &rest[end..];
    }
    out
}

/// Whether a value comes after this gap: `=`, `: `, `" : "` and the like, but not a path.
fn assigns(gap: &str) -> bool {
    let signs = gap.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\'));
    (signs == "=" || signs == ":") && !gap.ends_with('\n')
}

/// Whether a value goes on over this gap.
fn joins(gap: &str) -> bool {
    !gap.is_empty()
        && gap.chars().all(|c| {
            matches!(
                c,
                '.' | '+' | '/' | '=' | '~' | '%' | '!' | '$' | '*' | '@' | '^'
            )
        })
}

fn is_name(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    NAMES.iter().any(|name| lower.ends_with(name))
}

fn is_secret(word: &str) -> bool {
    let prefixed = PREFIXES
        .iter()
        .any(|prefix| word.starts_with(prefix) && word.len() >= prefix.len() + 8);
    let opaque = word.len() >= OPAQUE
        && word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_alphabetic());
    prefixed || opaque
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0";

    #[test]
    fn secrets_go() {
        for line in [
            format!("POST https://api.telegram.org/bot{TOKEN}/getMe"),
            format!("token {TOKEN}."),
            "123:AAHdqTcvCH1vGWJxfS".to_owned(),
            "ANTHROPIC_API_KEY=AAHdqTcvCH1vGWJxfS".to_owned(),
            "{\"api_key\": \"AAHdqTcvCH1vGWJxfS\"}".to_owned(),
            "{\\\"apiKey\\\":\\\"AAHdqTcvCH1vGWJxfS\\\"}".to_owned(),
            "using sk-ant-api03-AAHdqTcvCH1vGWJxfS now".to_owned(),
            "Authorization: Basic AAHdqTcvCH1vGWJxfS==".to_owned(),
            "authorization=x AAHdqTcvCH1vGWJxfS".to_owned(),
            "header Bearer AAHdqTcvCH1vGWJxfS end".to_owned(),
            "password: ab.AAHdqTcvCH1vGWJxfS/x".to_owned(),
            "x-api-key: AAHdqTcvCH1vGWJxfS".to_owned(),
            "proxy http://me:AAHdqTcvCH1vGWJxfS@proxy:3128/".to_owned(),
            "Cookie: AAHdqTcvCH1vGWJxfS".to_owned(),
            "blob AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0".to_owned(),
            "MY_SECRET='AAHdqTcvCH1vGWJxfS'".to_owned(),
        ] {
            let clean = scrub(&line, &[]);
            assert!(!clean.contains("AAHdqTcvCH1v"), "{line} -> {clean}");
            assert!(clean.contains(MARK), "{line} -> {clean}");
        }
        assert_eq!(
            scrub("it said hunter2, twice: hunter2", &["hunter2", ""]),
            "it said (secret), twice: (secret)"
        );
    }

    /// What the fuzzer found: the number before the colon had gone as a secret already.
    #[test]
    fn the_number_of_a_bot_may_have_gone_before() {
        assert_eq!(
            scrub("x key=12345678:abcdefghijklmnop", &[]),
            "x key=(secret)"
        );
        assert_eq!(
            scrub("a_key=abc888:8888888888888888", &[]),
            "a_key=(secret)"
        );
        assert_eq!(
            scrub(
                "h88888888888888888888-key88888888888888888888:8888888888888x",
                &[]
            ),
            "(secret)"
        );
    }

    #[test]
    fn what_helps_stays() {
        for line in [
            "telexd.service: Main process exited, code=exited, status=78/CONFIG",
            "/etc/telexd/telexd.toml:4: agent.max_processes: 0 is not from 1 to 1000; write a number",
            "the bot token cannot be read: no such file or directory; write it to /etc/telexd/token",
            "agent started (conversation=3, run=abcdefgh23456777)",
            "database: 12:34:56 elapsed; see https://example.org/a?b=c",
            "telexd.service: Failed with result 'core-dump'.",
        ] {
            assert_eq!(scrub(line, &[]), line);
        }
    }

    proptest! {
        #[test]
        fn a_token_never_passes(before in ".{0,40}", after in ".{0,40}", id in 100_u64..9_999_999_999,
                                secret in "[A-Za-z0-9_-]{35}") {
            let token = format!("{id}:{secret}");
            let known = [token.as_str(), secret.as_str()];
            let clean = scrub(&format!("{before}{token}{after}"), &known);
            prop_assert!(!clean.contains(&secret));
            let clean = scrub(&format!("{before} bot{token} {after}"), &[]);
            prop_assert!(!clean.contains(&secret), "{clean}");
        }
    }
}
