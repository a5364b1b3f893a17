//! Names of things: runs, conversations, turns, sessions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is a text of a certain form, made by its `parse` alone: read out, shown, and stored as that text. The sentence is
/// the error of a text of another form.
macro_rules! checked_text {
    ($name:ident, $form:literal) => {
        impl $name {
            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or($form)
            }
        }
    };
}
pub(super) use checked_text;

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Name of one agent process: 80 random bits as 16 characters of `[a-z2-7]`.
///
/// It is a directory name, a systemd instance name and, for people, something to abbreviate.
/// It is unguessable on purpose: who knows it may take the hand-off of that run.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// Length of the text form, in characters.
    pub const LEN: usize = 16;

    /// Builds the id from randomness of the caller. Only the low five bits of each byte count.
    #[must_use]
    pub fn from_random(bytes: [u8; Self::LEN]) -> Self {
        Self(
            bytes
                .iter()
                .map(|b| char::from(BASE32[usize::from(b & 31)]))
                .collect(),
        )
    }

    /// Reads the text form; anything that is not 16 characters of `[a-z2-7]` is refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == Self::LEN && text.bytes().all(|b| BASE32.contains(&b)))
            .then(|| Self(text.to_owned()))
    }
}

/// Least characters of an abbreviated run id.
pub const LEAST_PREFIX: usize = 4;

/// Why a text does not name a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRun {
    /// It cannot be the beginning of a run's id.
    Malformed,
    /// No run's id begins with it.
    Unknown,
    /// Several do: these, at least two.
    Ambiguous(Vec<RunId>),
}

impl RunId {
    /// The one of these runs that a person means by its id or the beginning of it, in any case.
    ///
    /// # Errors
    /// None, or several.
    pub fn named<'a>(given: &str, runs: impl IntoIterator<Item = &'a Self>) -> Result<Self, NoRun> {
        let given = given.trim().to_ascii_lowercase();
        if !(LEAST_PREFIX..=Self::LEN).contains(&given.len())
            || !given.bytes().all(|b| BASE32.contains(&b))
        {
            return Err(NoRun::Malformed);
        }
        let mut found: Vec<Self> = runs
            .into_iter()
            .filter(|run| run.0.starts_with(&given))
            .cloned()
            .collect();
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(NoRun::Unknown),
            (Some(run), true) => Ok(run),
            (Some(run), false) => {
                found.push(run);
                Err(NoRun::Ambiguous(found))
            }
        }
    }

    /// The beginning by which people are shown it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

checked_text!(RunId, "a run id is 16 characters of a-z and 2-7");

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What keys all state of a talk: the bot, the chat, the topic in it and the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConversationKey {
    /// Telegram user id of the bot.
    pub bot_id: i64,
    /// Telegram chat id; in a private chat it equals `user_id`.
    pub chat_id: i64,
    /// Topic (`message_thread_id`), 0 where there is none.
    pub thread_id: i64,
    /// Telegram user id of the person.
    pub user_id: i64,
}

/// Row id of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(pub i64);

/// Row id of a turn: one prompt and everything that comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(pub i64);

/// Row id of an update in the inbox. Not Telegram's `update_id`, which may repeat after a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InboxId(pub i64);

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for InboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_is_named_by_its_beginning() {
        let id = |text| RunId::parse(text).unwrap();
        let (a, b) = (id("abcdabcdabcdabcd"), id("abcdabxxxxxxxxxx"));
        let all = [&a, &b];
        let named = |given| RunId::named(given, all);
        assert_eq!(named("abcdabc"), Ok(a.clone()));
        assert_eq!(named(" ABCDABX "), Ok(b.clone()));
        assert_eq!(named(b.as_str()), Ok(b.clone()));
        assert_eq!(
            named("abcd"),
            Err(NoRun::Ambiguous(vec![a.clone(), b.clone()]))
        );
        assert_eq!(named("abce"), Err(NoRun::Unknown));
        for odd in [
            "",
            "abc",
            "abcd1",
            "ab cd",
            "abcdabcdabcdabcdx",
            "äbcd",
            "1234",
        ] {
            assert_eq!(named(odd), Err(NoRun::Malformed), "{odd}");
        }
        assert_eq!(a.short(), "abcdabcd");
    }

    proptest! {
        #[test]
        fn whoever_is_named_begins_so(
            given in "[a-c2]{0,6}", runs in prop::collection::btree_set("[a-c2]{16}", 0..9),
        ) {
            let runs: Vec<RunId> = runs.iter().map(|r| RunId::parse(r).unwrap()).collect();
            let fits = runs.iter().filter(|r| r.as_str().starts_with(&given)).count();
            match RunId::named(&given, &runs) {
                Ok(run) => prop_assert!(fits == 1 && run.as_str().starts_with(&given)),
                Err(NoRun::Ambiguous(all)) => prop_assert!(all.len() == fits && fits > 1),
                Err(NoRun::Unknown) => prop_assert_eq!(fits, 0),
                Err(NoRun::Malformed) => prop_assert!(given.len() < LEAST_PREFIX),
            }
        }

        #[test]
        fn any_text_may_be_given(given: String) {
            let _ = RunId::named(&given, []);
        }
    }

    #[test]
    fn a_run_id_reads_back() {
        let id = RunId::from_random([7; 16]);
        assert_eq!(RunId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(id.as_str(), "hhhhhhhhhhhhhhhh");
    }

    #[test]
    fn a_run_id_from_outside_is_checked() {
        for bad in [
            "",
            "short",
            "HHHHHHHHHHHHHHHH",
            "../../etc/passwd",
            "hhhhhhhhhhhhhhh1",
            "hhhhhhhhhhhhhhhhh",
        ] {
            assert_eq!(RunId::parse(bad), None, "{bad}");
        }
    }
}
