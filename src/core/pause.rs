//! A pause: messages are taken and kept, and none is given to an agent.

use serde::{Deserialize, Serialize};

use super::{Millis, moment::utc, words};

/// Longest reason, in characters.
pub const REASON: usize = 200;

/// A pause that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who ordered it, as the audit names them.
    pub by: String,
    /// Who ordered it, as people are told.
    pub name: String,
    /// Since when.
    pub since: Millis,
    /// Why, where that was said.
    pub reason: Option<String>,
}

impl Pause {
    /// "paused by Ada since 2026-11-21 18:43 UTC (upgrade)": who, since when and why.
    #[must_use]
    pub fn told(&self) -> String {
        words::admin::paused_by(
            &self.name,
            utc(self.since.div_euclid(1000)).as_deref(),
            self.reason.as_deref(),
        )
    }
}

/// What is wrong with a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    /// Too long.
    #[error("the reason has {0} characters, and at most {REASON} are taken")]
    Long(usize),
    /// It holds what could disturb a terminal, a log or a chat.
    #[error("the reason holds a line break or another control character")]
    Control,
}

/// Checks a reason; white space around it does not count, and an empty one is none.
///
/// # Errors
/// Too long, or with control characters.
pub fn reason(text: &str) -> Result<Option<String>, BadReason> {
    let text = text.trim();
    let length = text.chars().count();
    if length > REASON {
        return Err(BadReason::Long(length));
    }
    if text.contains(super::text::disturbs) {
        return Err(BadReason::Control);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_told() {
        let mut pause = Pause {
            by: "telegram:1".to_owned(),
            name: "Ada".to_owned(),
            since: 1_795_286_636_999,
            reason: None,
        };
        assert_eq!(pause.told(), "paused by Ada since 2026-11-21 18:43 UTC");
        pause.reason = Some("upgrade".to_owned());
        assert_eq!(
            pause.told(),
            "paused by Ada since 2026-11-21 18:43 UTC (upgrade)"
        );
        pause.since = -1;
        assert_eq!(pause.told(), "paused by Ada (upgrade)");
    }

    #[test]
    fn reasons() {
        assert_eq!(reason("  "), Ok(None));
        assert_eq!(reason(" a b "), Ok(Some("a b".to_owned())));
        for bad in ["a\nb", "a\u{7}", "a\u{202e}b", "a\u{85}b", "a\u{2028}b"] {
            assert_eq!(reason(bad), Err(BadReason::Control), "{bad:?}");
        }
        let long = "é".repeat(REASON);
        assert_eq!(reason(&long), Ok(Some(long.clone())));
        assert_eq!(
            reason(&format!("{long}x")),
            Err(BadReason::Long(REASON + 1))
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_is_one_line_and_bounded(text in any::<String>()) {
            if let Ok(Some(reason)) = reason(&text) {
                prop_assert!(reason.chars().count() <= REASON);
                prop_assert!(!reason.contains(char::is_control));
                prop_assert_eq!(reason.as_str(), text.trim());
            }
        }
    }
}
