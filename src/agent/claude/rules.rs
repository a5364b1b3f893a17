//! Rules of the configuration, as the CLI is told them.
//!
//! It is told what is denied and what is asked, so that both hold where it would ask nobody: in every permission mode, and
//! for what is allowed for a session. What is allowed it is not told: that is answered when it asks, by the same rules as
//! everything else, and so changes as soon as they do.

use serde_json::json;

use crate::core::approval::rules::Lists;

/// Argument of the command line that tells these rules; `None` where there is nothing to tell.
pub(super) fn argument(rules: &Lists) -> Option<String> {
    let (mut deny, mut ask) = (Vec::new(), Vec::new());
    for rule in &rules.deny {
        // Of more than is denied it asks, and only what is denied is answered so.
        let list = if rule.is_exact_for_agent() {
            &mut deny
        } else {
            &mut ask
        };
        add(list, rule.for_agent());
    }
    for rule in &rules.ask {
        add(&mut ask, rule.for_agent());
    }
    if deny.is_empty() && ask.is_empty() {
        return None;
    }
    let settings = json!({"permissions": {"deny": deny, "ask": ask}});
    Some(format!("--settings={settings}"))
}

fn add(list: &mut Vec<String>, rules: Vec<String>) {
    for rule in rules {
        if !list.contains(&rule) {
            list.push(rule);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::approval::rules::{Rule, Rules};

    #[test]
    fn what_is_denied_and_asked_is_told() {
        let rules = |texts: &[&str]| -> Vec<Rule> {
            texts.iter().map(|text| Rule::read(text).unwrap()).collect()
        };
        let all = Lists {
            allow: rules(&["WebSearch"]),
            ask: rules(&["Bash(git push:*)", "Edit(src/**)"]),
            deny: rules(&["Read(/etc/\"x\"/**)", "mcp__s__g*", "Task"]),
        };
        let rules = Rules {
            all,
            ..Rules::default()
        };
        let lists = rules
            .below("/w")
            .of(1, 1, &crate::core::profile::Profile::default());
        assert_eq!(
            argument(&lists).unwrap(),
            r#"--settings={"permissions":{"ask":["mcp__s","Bash(git push:*)","Edit(//w/src/**)"],"deny":["Read(//etc/\"x\"/**)","Task"]}}"#
        );
        let allowed = Lists {
            allow: lists.allow,
            ..Lists::default()
        };
        assert_eq!(argument(&allowed), None);
    }
}
