//! What a person has answered so far. Stored beside the question, so that it outlives the daemon.

use serde::{Deserialize, Serialize};

use super::choice::Given;
use crate::core::Millis;

/// How long somebody who was asked for words has to write them. After that their messages are for the agent again.
pub const WORDS_FOR: Millis = 5 * 60 * 1000;

/// How long a question waits at least after somebody has begun to answer it, and after the daemon has come back.
pub const FAIR: Millis = 2 * 60 * 1000;

/// How long words are waited for at least after the daemon has come back: it hears what was written meanwhile.
const HEAR: Millis = 60 * 1000;

/// An answer that is under way.
///
/// What an older version stored must load for ever: a field that is added has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Answers to the first questions of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Given>,
    /// Options of the next one that are chosen so far, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ticked: Vec<usize>,
    /// The words that are waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Awaited>,
    /// When somebody last did something about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub touched_at: Option<Millis>,
}

/// Words that are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Telegram user id of who is to write them.
    pub by: i64,
    /// Since when.
    pub since: Millis,
    /// What they are for.
    pub purpose: Purpose,
}

/// What words are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The agent is told them with a no.
    Deny,
    /// They are the answer to what it asks.
    Own,
}

impl Awaited {
    /// Until when they are waited for.
    #[must_use]
    pub fn until(&self) -> Millis {
        self.since.saturating_add(WORDS_FOR)
    }

    /// How long they are waited for from now on. What was written while the daemon was away must first be heard.
    #[must_use]
    pub fn left(&self, now: Millis) -> Millis {
        self.until().saturating_sub(now).clamp(HEAR, WORDS_FOR)
    }
}

impl Progress {
    /// Reads what was stored; what cannot be read is none.
    #[must_use]
    pub fn read(json: Option<&str>) -> Self {
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }

    /// As it is stored.
    #[must_use]
    pub fn to_json(&self) -> String {
        // It always can be written as JSON: numbers and strings.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// When the question is denied, if nobody does anything more about it: so long after it was asked, `timeout`, but not
    /// while somebody is at it.
    #[must_use]
    pub fn due(&self, asked_at: Millis, timeout: Millis) -> Millis {
        let touched = self.touched_at.map(|at| at.saturating_add(FAIR));
        let words = self.words.map(|awaited| awaited.until());
        let asked = asked_at.saturating_add(timeout);
        [touched, words]
            .into_iter()
            .flatten()
            .fold(asked, Millis::max)
    }

    /// How long a daemon that has just come up, or was just asked, is to wait for an answer. Time in which nobody could be
    /// heard is not held against them: they have some in any case. But it does not begin anew with each start.
    #[must_use]
    pub fn left(&self, asked_at: Millis, timeout: Millis, now: Millis) -> Millis {
        let longest = timeout.max(WORDS_FOR);
        let left = self.due(asked_at, timeout).saturating_sub(now);
        // Not longer than it could be, whatever the clock did meanwhile.
        left.clamp(FAIR.min(timeout), longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Millis = 60_000;

    #[test]
    fn the_time_does_not_begin_anew() {
        let none = Progress::default();
        let timeout = 10 * MINUTE;
        for (now, left) in [
            (0, 10 * MINUTE),
            (4 * MINUTE, 6 * MINUTE),
            // The daemon was away when it should have been denied.
            (9 * MINUTE, FAIR),
            (60 * MINUTE, FAIR),
            // The clock was put back.
            (-60 * MINUTE, 10 * MINUTE),
        ] {
            assert_eq!(none.left(0, timeout, now), left, "{now}");
        }
        assert_eq!(none.left(0, 5000, 60_000), 5000);
    }

    #[test]
    fn who_is_at_it_is_not_cut_off() {
        let timeout = 10 * MINUTE;
        let ticking = Progress {
            touched_at: Some(9 * MINUTE),
            ..Progress::default()
        };
        assert_eq!(ticking.due(0, timeout), 11 * MINUTE);
        let writing = Progress {
            words: Some(Awaited {
                by: 1,
                since: 9 * MINUTE,
                purpose: Purpose::Deny,
            }),
            touched_at: Some(9 * MINUTE),
            ..Progress::default()
        };
        assert_eq!(writing.due(0, timeout), 14 * MINUTE);
        assert_eq!(writing.left(0, timeout, 9 * MINUTE), 5 * MINUTE);
        let words = writing.words.unwrap();
        assert_eq!(words.left(9 * MINUTE), 5 * MINUTE);
        // The daemon was away, or its clock was put back.
        assert_eq!(words.left(60 * MINUTE), HEAR);
        assert_eq!(words.left(0), WORDS_FOR);
    }

    #[test]
    fn what_was_stored_is_read_and_nonsense_is_none() {
        let progress = Progress {
            given: vec![
                Given::Options(vec![0, 2]),
                Given::Own {
                    text: "x".to_owned(),
                    beside: vec![1],
                },
            ],
            ticked: vec![1],
            words: Some(Awaited {
                by: 7,
                since: 5,
                purpose: Purpose::Own,
            }),
            touched_at: Some(9),
        };
        let json = r#"{"given":[{"options":[0,2]},{"own":{"text":"x","beside":[1]}}],"ticked":[1],"words":{"by":7,"since":5,"purpose":"own"},"touched_at":9}"#;
        assert_eq!(progress.to_json(), json);
        assert_eq!(Progress::read(Some(json)), progress);
        for none in [None, Some(""), Some("7"), Some("{}"), Some("{\"new\":1}")] {
            assert_eq!(Progress::read(none), Progress::default());
        }
    }

    proptest! {
        #[test]
        fn it_ends(asked_at: i64, timeout in 1_i64..604_800_000, now: i64, touched in proptest::option::of(any::<i64>())) {
            let progress = Progress { touched_at: touched, ..Progress::default() };
            let left = progress.left(asked_at, timeout, now);
            prop_assert!(left >= timeout.min(FAIR) && left <= timeout.max(WORDS_FOR));
        }
    }
}
