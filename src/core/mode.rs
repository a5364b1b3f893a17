//! Permission modes: how much an agent asks before it acts.

use serde::{Deserialize, Serialize};

/// How much the agent asks before it acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PermissionMode {
    /// Asks before anything that changes something.
    #[default]
    Default,
    /// Edits files without asking.
    AcceptEdits,
    /// Plans only, until the plan is approved.
    Plan,
    /// Lets a classifier decide.
    Auto,
    /// Denies what it would have to ask for.
    DontAsk,
    /// Asks nobody.
    BypassPermissions,
}

impl PermissionMode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Default,
        Self::AcceptEdits,
        Self::Plan,
        Self::Auto,
        Self::DontAsk,
        Self::BypassPermissions,
    ];

    /// Name as the agent's command line takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::AcceptEdits => "acceptEdits",
            Self::Plan => "plan",
            Self::Auto => "auto",
            Self::DontAsk => "dontAsk",
            Self::BypassPermissions => "bypassPermissions",
        }
    }

    /// The one with this name, in any case. (`manual` is another name of the agent's for `default`.)
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("manual") {
            return Some(Self::Default);
        }
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether the agent does something in it that it would ask a person for.
    #[must_use]
    pub fn acts_unasked(self) -> bool {
        match self {
            Self::AcceptEdits | Self::Auto | Self::BypassPermissions => true,
            Self::Default | Self::Plan | Self::DontAsk => false,
        }
    }
}

/// Which modes there are for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Where nobody has chosen one.
    pub standard: PermissionMode,
    /// Which people may choose.
    pub choices: Vec<PermissionMode>,
}

impl Modes {
    /// Whether people may choose it. They may always go back to the one of the settings.
    #[must_use]
    pub fn offers(&self, mode: PermissionMode) -> bool {
        mode == self.standard || self.choices.contains(&mode)
    }

    /// The mode of a conversation in which this one was chosen. One in which the agent acts without asking counts only as
    /// long as the settings allow it.
    #[must_use]
    pub fn effective(&self, chosen: Option<PermissionMode>) -> PermissionMode {
        chosen
            .filter(|mode| !mode.acts_unasked() || self.offers(*mode))
            .unwrap_or(self.standard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for mode in PermissionMode::ALL {
            assert_eq!(PermissionMode::of_name(mode.as_str()), Some(mode));
            assert_eq!(
                PermissionMode::of_name(&mode.as_str().to_uppercase()),
                Some(mode)
            );
            let stored = serde_json::to_string(&mode).unwrap();
            assert_eq!(stored, format!("\"{}\"", mode.as_str()));
        }
        assert_eq!(
            PermissionMode::of_name("manual"),
            Some(PermissionMode::Default)
        );
        for foreign in ["", "plans", "accept edits", "none"] {
            assert_eq!(PermissionMode::of_name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_not_allowed_any_more_does_not_hold() {
        use PermissionMode::{AcceptEdits, BypassPermissions, Default, DontAsk, Plan};
        let modes = Modes {
            standard: Plan,
            choices: vec![AcceptEdits],
        };
        for (chosen, holds) in [
            (None, Plan),
            (Some(AcceptEdits), AcceptEdits),
            (Some(BypassPermissions), Plan),
            // The agent may have come to these by itself, and they harm nobody.
            (Some(Default), Default),
            (Some(DontAsk), DontAsk),
        ] {
            assert_eq!(modes.effective(chosen), holds, "{chosen:?}");
        }
    }
}
