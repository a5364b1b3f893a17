//! The bot token: where it is read from, and a type that never shows it.

use std::{
    fmt, fs, io,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::problem::Problem;

/// Name of the systemd credential that holds the token where the configuration names no file.
pub const CREDENTIAL: &str = "telegram-token";

/// File that the shipped unit makes that credential of.
pub const UNIT_FILE: &str = "/etc/telexd/token";

/// Most bytes that are read of a token file.
const MOST: u64 = 4096;

/// A bot token, `BOT-ID:SECRET`. Neither `Debug` nor `Display` show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// Reads a token; white space around it does not count.
    ///
    /// # Errors
    /// What is wrong with its form; never quotes it.
    pub fn parse(text: &str) -> Result<Self, TokenShape> {
        let text = text.trim();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.is_empty() {
            return Err(TokenShape::Empty);
        }
        if text.lines().filter(|line| !line.trim().is_empty()).count() > 1 {
            return Err(TokenShape::SeveralLines);
        }
        if text.starts_with(['"', '\'']) {
            return Err(TokenShape::Quotes);
        }
        let (id, secret) = text.split_once(':').ok_or(TokenShape::NoColon)?;
        if id.contains('=') {
            return Err(TokenShape::Assignment);
        }
        if id
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("bot"))
        {
            return Err(TokenShape::BotPrefix);
        }
        let id_is_number = id.bytes().all(|b| b.is_ascii_digit());
        if !id_is_number || !id.parse::<i64>().is_ok_and(|id| id > 0) {
            return Err(TokenShape::NoBotId);
        }
        if secret.is_empty() {
            return Err(TokenShape::NoSecret);
        }
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !secret.bytes().all(letters) {
            return Err(TokenShape::OddCharacters);
        }
        Ok(Self(text.into()))
    }

    /// The token itself, for the wire and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Telegram user id of the bot: the number before the colon.
    #[must_use]
    pub fn bot_id(&self) -> i64 {
        // Checked when it was read; 0 is nobody's id.
        self.0
            .split_once(':')
            .and_then(|(id, _)| id.parse().ok())
            .unwrap_or(0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(not shown)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(token not shown)")
    }
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenShape {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// More than one line with something on it.
    #[error("has more than one line")]
    SeveralLines,
    /// Begins with a quote.
    #[error("has quotes around it")]
    Quotes,
    /// Like `TOKEN=…`.
    #[error("is an assignment (NAME=value), not the bare token")]
    Assignment,
    /// Begins with `bot`, as in the address of the API.
    #[error("begins with `bot`, which belongs to the address and not to the token")]
    BotPrefix,
    /// No colon.
    #[error("has no colon in it")]
    NoColon,
    /// What stands before the colon is not a number.
    #[error("does not begin with the bot's number")]
    NoBotId,
    /// Nothing after the colon.
    #[error("ends at the colon")]
    NoSecret,
    /// Something else than letters, digits, `_` and `-` after the colon.
    #[error("has characters after the colon that no token has")]
    OddCharacters,
}

/// Where a token is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file that `telegram.token_file` names.
    File(PathBuf),
    /// The systemd credential, at this path.
    Credential(PathBuf),
}

impl Source {
    /// Path of the file that is read.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Credential(path) => {
                write!(f, "systemd credential {CREDENTIAL} ({})", path.display())
            }
        }
    }
}

/// Reads the token. Second: warnings.
///
/// # Errors
/// File and remedy; never anything of the content.
pub fn read(source: &Source) -> Result<(Token, Vec<Problem>), Box<Problem>> {
    let path = source.path();
    let text = read_small(path).map_err(|error| cannot_read(source, &error))?;
    let text = std::str::from_utf8(&text).map_err(|_| bad_form(path, "is not text"))?;
    let token = Token::parse(text).map_err(|shape| match (shape, source) {
        (TokenShape::Empty, Source::Credential(_)) => no_credential(path),
        _ => bad_form(path, &shape.to_string()),
    })?;
    let mut warnings = Vec::new();
    let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o007 != 0 {
        warnings.push(Problem::of_file(
            path,
            "the bot token is open to every user of this machine",
            format!("run: chmod o= {}", path.display()),
        ));
    }
    let length = token.expose().split(':').nth(1).map_or(0, str::len);
    if length != 35 {
        warnings.push(Problem::of_file(
            path,
            format!("the token has {length} characters after the colon, Telegram's have 35"),
            "compare it with what @BotFather gave you",
        ));
    }
    Ok((token, warnings))
}

/// Reads a regular file of at most [`MOST`] bytes; anything else is refused before it is opened, because a FIFO or a
/// device would hang the start.
pub(super) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MOST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("far too long for a token"));
    }
    Ok(bytes)
}

fn cannot_read(source: &Source, error: &io::Error) -> Box<Problem> {
    let remedy = match (error.kind(), source) {
        (io::ErrorKind::NotFound, Source::File(path)) => format!(
            "write the token that @BotFather gave you into it, as the user that runs telexd (paste it, then Ctrl-D): \
             install -m 0600 /dev/stdin {}",
            path.display()
        ),
        (io::ErrorKind::NotFound, Source::Credential(_)) => format!(
            "give the unit LoadCredential={CREDENTIAL}:/etc/telexd/token, or set token_file under [telegram]"
        ),
        (io::ErrorKind::PermissionDenied, _) => {
            "let the user that runs telexd read it: make that user its owner, mode 0600".to_owned()
        }
        _ => "it must be a file that holds the token alone".to_owned(),
    };
    let what = format!("the bot token cannot be read: {}", plain(error));
    Box::new(Problem::of_file(source.path(), what, remedy).with_key("telegram.token_file"))
}

/// The shipped unit gives an empty credential where the file of the token is missing.
fn no_credential(path: &Path) -> Box<Problem> {
    let remedy = format!(
        "write the token that @BotFather gave you: install -m 0600 /dev/stdin {UNIT_FILE} (paste it, then Ctrl-D), and \
         run: systemctl restart telexd"
    );
    Box::new(
        Problem::of_file(path, "there is no bot token", remedy).with_key("telegram.token_file"),
    )
}

fn bad_form(path: &Path, what: &str) -> Box<Problem> {
    let remedy = "the file must hold nothing but the token as @BotFather gave it, of the form 123456789:AbC-dEf_…";
    let what = format!("what should be the bot token {what}");
    Box::new(Problem::of_file(path, what, remedy).with_key("telegram.token_file"))
}

/// An I/O error without the number that Rust adds to it.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX";

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::parse(GOOD).unwrap();
        assert_eq!(token.expose(), GOOD);
        assert_eq!(token.bot_id(), 123_456_789);
        for shown in [
            format!("{token}"),
            format!("{token:?}"),
            format!("{token:#?}"),
            format!("{:?}", Some(&token)),
        ] {
            assert!(
                !shown.contains("AAHd") && !shown.contains("1234"),
                "{shown}"
            );
        }
    }

    #[test]
    fn forms() {
        use TokenShape::{
            Assignment, BotPrefix, Empty, NoBotId, NoColon, NoSecret, OddCharacters, Quotes,
            SeveralLines,
        };
        for (text, wanted) in [
            ("", Err(Empty)),
            (" \n\n", Err(Empty)),
            ("1:a\n2:b", Err(SeveralLines)),
            ("\"1:a\"", Err(Quotes)),
            ("'1:a'", Err(Quotes)),
            ("TOKEN=1:a", Err(Assignment)),
            ("bot1:a", Err(BotPrefix)),
            ("Bot1:a", Err(BotPrefix)),
            ("abcdef", Err(NoColon)),
            ("x:abcdef", Err(NoBotId)),
            (":abcdef", Err(NoBotId)),
            ("+1:abcdef", Err(NoBotId)),
            ("0:abcdef", Err(NoBotId)),
            ("99999999999999999999:abcdef", Err(NoBotId)),
            ("1:", Err(NoSecret)),
            ("1:a b", Err(OddCharacters)),
            ("1:a:b", Err(OddCharacters)),
            ("1:ä", Err(OddCharacters)),
            ("ß:a", Err(NoBotId)),
            ("1:a", Ok("1:a")),
            ("  1:a-_9 \r\n", Ok("1:a-_9")),
            ("\u{feff}1:a", Ok("1:a")),
        ] {
            let read = Token::parse(text);
            assert_eq!(
                read.as_ref().map(Token::expose),
                wanted.as_ref().map(|t| *t),
                "{text:?}"
            );
        }
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let source = Source::File(path.clone());
        let error = |source: &Source| read(source).unwrap_err().to_string();
        let shown = path.display().to_string();
        assert_eq!(
            error(&source),
            format!(
                "{shown}: telegram.token_file: the bot token cannot be read: no such file or directory; write the token \
                 that @BotFather gave you into it, as the user that runs telexd (paste it, then Ctrl-D): install -m \
                 0600 /dev/stdin {shown}"
            )
        );
        assert_eq!(
            error(&Source::Credential(path.clone())),
            format!(
                "{shown}: telegram.token_file: the bot token cannot be read: no such file or directory; give the unit \
                 LoadCredential=telegram-token:/etc/telexd/token, or set token_file under [telegram]"
            )
        );
        fs::create_dir(&path).unwrap();
        assert!(error(&source).contains("not a regular file"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, format!("bot{GOOD}\n")).unwrap();
        assert_eq!(
            error(&source),
            format!(
                "{shown}: telegram.token_file: what should be the bot token begins with `bot`, which belongs to the \
                 address and not to the token; the file must hold nothing but the token as @BotFather gave it, of the \
                 form 123456789:AbC-dEf_…"
            )
        );
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(error(&source).contains("is not text"));
        fs::write(&path, "1".repeat(5000)).unwrap();
        assert!(error(&source).contains("far too long"));
        fs::write(&path, format!("{GOOD}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let (token, warnings) = read(&source).unwrap();
        assert_eq!((token.expose(), warnings), (GOOD, Vec::new()));
    }

    #[test]
    fn questionable_tokens_are_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "42:short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let (_, warnings) = read(&Source::File(path.clone())).unwrap();
        let shown = path.display();
        assert_eq!(
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                format!(
                    "{shown}: the bot token is open to every user of this machine; run: chmod o= {shown}"
                ),
                format!(
                    "{shown}: the token has 5 characters after the colon, Telegram's have 35; compare it with what @BotFather gave you"
                ),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_error_quotes_what_was_given(text in "[a-zA-Z0-9:=\"' \n]{12,40}") {
            if let Err(shape) = Token::parse(&text) {
                prop_assert!(!shape.to_string().contains(text.trim()));
            }
        }

        #[test]
        fn anything_is_read(text: String) {
            let _ = Token::parse(&text);
        }
    }
}
