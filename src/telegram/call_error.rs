//! A failed call, as it is passed on and written down.

use std::fmt;

use super::{breakage::Breakage, classify::Reason};
use crate::core::trouble::CallClass;

/// A call that failed. One line, without the token and without texts of people.
#[derive(Clone, Debug)]
pub struct CallError {
    /// Method, in Telegram's spelling.
    pub method: &'static str,
    /// What to do about it.
    pub class: CallClass,
    /// Why Telegram refused, where it did.
    pub reason: Reason,
    /// HTTP status, if there was one.
    pub http: Option<u16>,
    /// Telegram's error code, if there was one.
    pub code: Option<i64>,
    /// Telegram's description, shortened to one line.
    pub description: Option<String>,
    /// What kept an answer from coming, where none came.
    pub breakage: Option<Breakage>,
    /// What broke on the way, with its causes.
    pub cause: Option<String>,
}

impl CallError {
    /// Whether it is of a kind that nobody thought of: a description, a code or a breakage that telexd does not know.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.reason == Reason::Unknown || self.breakage == Some(Breakage::Unknown)
    }

    /// Whether Telegram, or a server in its place, answered, whatever it said.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.code.is_some()
    }

    /// Whether the answer was too large or not of the Bot API though the status says success.
    #[must_use]
    pub fn is_garbled(&self) -> bool {
        self.http == Some(200) && self.code.is_none()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.method)?;
        if let Some(http) = self.http {
            write!(f, ", HTTP {http}")?;
        }
        if let Some(code) = self
            .code
            .filter(|code| Some(*code) != self.http.map(i64::from))
        {
            write!(f, ", error {code}")?;
        }
        for text in [&self.description, &self.cause].into_iter().flatten() {
            write!(f, ": {text}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}
