//! Words about permission modes.

use tr::tr;

use crate::core::{mode::PermissionMode, trouble::quoted};

/// What the agent does in a mode, as the end of a sentence about it.
#[must_use]
pub fn does(mode: PermissionMode) -> String {
    match mode {
        PermissionMode::Default => tr!("asks before it changes anything"),
        PermissionMode::AcceptEdits => {
            tr!("edits files without asking, and asks before anything else")
        }
        PermissionMode::Plan => tr!("only plans, until you approve the plan"),
        PermissionMode::Auto => tr!("decides by itself what it asks for"),
        PermissionMode::DontAsk => tr!("does only what it need not ask for"),
        PermissionMode::BypassPermissions => tr!("asks for nothing"),
    }
}

/// Label of the button that chooses a mode.
#[must_use]
pub fn label(mode: PermissionMode) -> String {
    match mode {
        PermissionMode::Default => tr!("Ask first (default)"),
        PermissionMode::AcceptEdits => tr!("Edit freely (acceptEdits)"),
        PermissionMode::Plan => tr!("Plan only (plan)"),
        PermissionMode::Auto => tr!("Decide itself (auto)"),
        PermissionMode::DontAsk => tr!("Do not ask (dontAsk)"),
        PermissionMode::BypassPermissions => tr!("Ask nothing (bypassPermissions)"),
    }
}

/// Which mode it is, for `/mode`.
#[must_use]
pub fn is(mode: PermissionMode) -> String {
    tr!(
        "Mode {mode}: the agent {does}.",
        mode = mode.as_str(),
        does = does(mode)
    )
}

/// One line of `/status`.
#[must_use]
pub fn status(mode: PermissionMode) -> String {
    tr!(
        "Mode {mode}: it {does}.",
        mode = mode.as_str(),
        does = does(mode)
    )
}

/// Answer to a change.
#[must_use]
pub fn set(mode: PermissionMode) -> String {
    tr!(
        "Mode {mode} from now on: the agent {does}.",
        mode = mode.as_str(),
        does = does(mode)
    )
}

/// Answer where it is so already.
#[must_use]
pub fn already(mode: PermissionMode) -> String {
    tr!(
        "It is mode {mode} already: the agent {does}.",
        mode = mode.as_str(),
        does = does(mode)
    )
}

/// Answer to a name that is none, or that nobody may choose.
#[must_use]
pub fn no_such(name: &str, choices: &[PermissionMode]) -> String {
    let name = quoted(name);
    if choices.is_empty() {
        return tr!(
            "There is no mode “{name}” to choose: the mode is set on the server.",
            name
        );
    }
    let names: Vec<_> = choices.iter().map(|mode| mode.as_str()).collect();
    tr!(
        "There is no mode “{name}” to choose. There are: {}.",
        names.join(", "),
        name
    )
}

/// The running agent cannot come to a mode, but another process of it can.
#[must_use]
pub fn after_rest(mode: PermissionMode) -> String {
    tr!(
        "The agent cannot change to mode {} while it runs. I start it anew for your next message.",
        mode.as_str()
    )
}

/// The agent does not take a mode.
#[must_use]
pub fn refused(mode: PermissionMode) -> String {
    tr!(
        "The agent does not take mode {}, so it goes on as before. An administrator may have to update it.",
        mode.as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_its_words() {
        for mode in PermissionMode::ALL {
            assert!(label(mode).ends_with(&format!("({})", mode.as_str())));
            assert!(is(mode).starts_with(&format!("Mode {}: the agent ", mode.as_str())));
        }
        assert_eq!(
            no_such("x\ny", &[PermissionMode::Plan]),
            "There is no mode “x y” to choose. There are: plan."
        );
    }
}
