//! Names of the units of agents.

use crate::core::{ids::RunId, profile::Profile};

/// What every name of such a unit begins with.
const STEM: &str = "telexd-agent";

/// The slice that all of them are in, unless the administrator has put them elsewhere.
pub(super) const SLICE: &str = "telexd-agents.slice";

/// Patterns, as systemd takes them, that every name of such a unit matches.
pub(super) const PATTERNS: [&str; 2] = ["telexd-agent@*.service", "telexd-agent-*@*.service"];

/// Template of a profile's units: `telexd-agent@.service`, `telexd-agent-PROFILE@.service`.
pub(super) fn template(profile: &Profile) -> String {
    with_instance(profile, "")
}

/// The unit of exactly this run.
pub(super) fn unit(profile: &Profile, run: &RunId) -> String {
    with_instance(profile, run.as_str())
}

fn with_instance(profile: &Profile, instance: &str) -> String {
    if profile.is_standard() {
        format!("{STEM}@{instance}.service")
    } else {
        format!("{STEM}-{profile}@{instance}.service")
    }
}

/// Profile and run of a unit's name; `None` where it is not one that [`unit()`] makes.
pub(super) fn parse(name: &str) -> Option<(Profile, RunId)> {
    let (prefix, instance) = name.strip_suffix(".service")?.split_once('@')?;
    let profile = match prefix.strip_prefix(STEM)? {
        "" => Profile::default(),
        rest => Profile::parse(rest.strip_prefix('-')?).filter(|p| !p.is_standard())?,
    };
    Some((profile, RunId::parse(instance)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_made() {
        let run = RunId::parse("abcdefghijklmn27").unwrap();
        for (profile, name) in [
            ("", "telexd-agent@abcdefghijklmn27.service"),
            ("strict", "telexd-agent-strict@abcdefghijklmn27.service"),
        ] {
            let profile = Profile::parse(profile).unwrap();
            assert_eq!(unit(&profile, &run), name);
            assert_eq!(parse(name), Some((profile, run.clone())));
        }
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "telexd-agent@x.service",
            "telexd-agent-@abcdefghijklmn27.service",
            "telexd-agent-a-b@abcdefghijklmn27.service",
            "telexd-agents@abcdefghijklmn27.service",
            "telexd-agent@abcdefghijklmn27.socket",
            "telexd-agent@abcdefghijklmn27@.service",
            "telexd-agent.service",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
