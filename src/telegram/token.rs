//! The bot's token, kept from showing up anywhere.

use std::fmt;

/// A bot's token. Shows only the bot's id, which is public, in `Debug`; it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct BotToken {
    text: String,
    bot_id: i64,
}

/// A text that is no token. Does not hold the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a bot token: it has to look like 123456:ABC-DEF (digits, a colon, then letters, digits, - and _)"
)]
pub struct BadToken;

impl BotToken {
    /// Takes a token as BotFather gives it. White space around it is ignored.
    ///
    /// # Errors
    /// [`BadToken`] for anything that is not `<digits>:<letters, digits, - or _>`; so it can safely be part of a URL.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        let (id, secret) = text.split_once(':').ok_or(BadToken)?;
        let sound = !secret.is_empty()
            && id.bytes().all(|b| b.is_ascii_digit())
            && secret
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match id.parse() {
            Ok(bot_id) if sound => Ok(Self {
                text: text.to_owned(),
                bot_id,
            }),
            _ => Err(BadToken),
        }
    }

    /// Telegram user id of the bot.
    #[must_use]
    pub fn bot_id(&self) -> i64 {
        self.bot_id
    }

    /// The token itself, for the one place that builds URLs.
    pub(super) fn secret(&self) -> &str {
        &self.text
    }

    /// The text without the token and its secret part, should a server have sent one back.
    pub(super) fn strip_from(&self, text: &str) -> String {
        let secret = self.text.split_once(':').map_or("", |(_, secret)| secret);
        let text = text.replace(&self.text, "(token)");
        if secret.is_empty() {
            text
        } else {
            text.replace(secret, "(token)")
        }
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BotToken({}:…)", self.bot_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_token_is_taken() {
        assert_eq!(BotToken::new(" 12:aB-_9\n").unwrap().bot_id(), 12);
        for bad in [
            "",
            ":",
            "12:",
            ":x",
            "x:y",
            "12:a/b",
            "12:a b",
            "-1:x",
            "12:ä",
            "99999999999999999999:x",
        ] {
            assert_eq!(BotToken::new(bad), Err(BadToken), "{bad}");
        }
    }

    #[test]
    fn it_does_not_show() {
        let token = BotToken::new("12:secret").unwrap();
        assert!(!format!("{token:?}").contains("secret"));
        assert_eq!(
            token.strip_from("x/bot12:secret/y, secret"),
            "x/bot(token)/y, (token)"
        );
    }
}
