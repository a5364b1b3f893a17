//! Profiles: what an agent may do, as a name. Each is a unit template of systemd, and in the administrator's hands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::checked_text;

/// Name of a profile: 1 to 32 characters of `[a-z0-9]`; empty for the standard one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Profile(String);

impl Profile {
    /// Most characters of a name.
    pub const MOST: usize = 32;

    /// Reads a name; the empty one is the standard profile.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= Self::MOST
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether it is the standard one.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        self.0.is_empty()
    }
}

checked_text!(Profile, "a profile is at most 32 characters of a-z and 0-9");

/// Which profile the agents of whom have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profiles {
    /// Where nothing else is said.
    pub standard: Profile,
    /// By the id of a person, or of a chat (groups have negative ids).
    pub of: BTreeMap<i64, Profile>,
}

impl Profiles {
    /// Profile for a person in a chat. What is said of the person goes before what is said of the chat: who is confined
    /// is so everywhere.
    #[must_use]
    pub fn pick(&self, user_id: i64, chat_id: i64) -> &Profile {
        self.of
            .get(&user_id)
            .or_else(|| self.of.get(&chat_id))
            .unwrap_or(&self.standard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> Profile {
        Profile::parse(name).unwrap()
    }

    #[test]
    fn a_name_cannot_lead_to_another_unit() {
        for odd in [
            "a-b",
            "a@b",
            "A",
            "a.b",
            "ä",
            "a b",
            "../x",
            &"x".repeat(33),
        ] {
            assert_eq!(Profile::parse(odd), None, "{odd}");
        }
        assert!(profile("").is_standard());
        assert_eq!(profile("strict2").as_str(), "strict2");
    }

    #[test]
    fn the_person_goes_before_the_chat() {
        let profiles = Profiles {
            standard: profile("a"),
            of: [(5, profile("b")), (-7, profile("c"))].into(),
        };
        for (user, chat, name) in [(5, -7, "b"), (6, -7, "c"), (6, 6, "a"), (5, 5, "b")] {
            assert_eq!(profiles.pick(user, chat).as_str(), name);
        }
    }
}
