//! Rules of the configuration about what agents may do: allowed without a question, asked in any case, denied.
//!
//! They are written as the agent's own program knows them: `Bash(git status:*)`, `Read(/srv/project/**)`,
//! `WebFetch(domain:example.org)`, `mcp__server__tool`, `Edit`. A denial goes before a question, a question before a
//! permission, over all levels together: whoever is given rules of their own can be narrowed by them, and what is denied
//! above stays denied. What a rule cannot tell for certain is for a person to decide.
//!
//! | file | what it does |
//! |---|---|
//! | `rule.rs` | one rule: reading it |
//! | `shell.rs` | a command line, as far as it can be told without running it |
//! | `paths.rs` | patterns of paths, without touching the disk |
//! | `meets.rs` | whether a rule is about what is asked |

mod meets;
mod paths;
mod rule;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{CHOICE, PLAN};
use crate::core::{event::Question, profile::Profile};

use meets::Meets;
pub use rule::{Odd, Rule};

/// Rules of one level, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// What is done without a question.
    pub allow: Vec<Rule>,
    /// What is asked whatever the permission mode.
    pub ask: Vec<Rule>,
    /// What is not done at all.
    pub deny: Vec<Rule>,
}

/// Rules of all levels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// For everybody.
    pub all: Lists,
    /// For those whose agents have this profile.
    pub profiles: BTreeMap<Profile, Lists>,
    /// By the id of a person, or of a chat (groups have negative ids).
    pub of: BTreeMap<i64, Lists>,
}

/// What the rules say to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No, by this rule.
    Deny(String),
    /// A person is asked: by this rule, or because it cannot be told whether a rule is about it.
    Ask(Option<String>),
    /// Yes, by this rule.
    Allow(String),
    /// Nothing.
    Unsaid,
}

impl Rules {
    /// The same where rules with relative paths are about files below this directory.
    #[must_use]
    pub fn below(mut self, directory: &str) -> Self {
        let levels = [&mut self.all].into_iter();
        let levels = levels
            .chain(self.profiles.values_mut())
            .chain(self.of.values_mut());
        for lists in levels {
            for rule in lists.all_mut() {
                rule.below(directory);
            }
        }
        self
    }

    /// All that holds for a person in a chat, whose agent has this profile.
    #[must_use]
    pub fn of(&self, person: i64, chat: i64, profile: &Profile) -> Lists {
        let mut lists = self.all.clone();
        let own = [person, chat];
        // A private chat has its person's id.
        let own = &own[..if person == chat { 1 } else { 2 }];
        let levels = self.profiles.get(profile).into_iter();
        for level in levels.chain(own.iter().filter_map(|id| self.of.get(id))) {
            lists.allow.extend_from_slice(&level.allow);
            lists.ask.extend_from_slice(&level.ask);
            lists.deny.extend_from_slice(&level.deny);
        }
        lists
    }
}

impl Lists {
    fn all_mut(&mut self) -> impl Iterator<Item = &mut Rule> {
        let (allow, ask, deny) = (&mut self.allow, &mut self.ask, &mut self.deny);
        allow.iter_mut().chain(ask).chain(deny)
    }

    /// What these rules say to a question.
    ///
    /// What wants an answer of a person's own, or is a plan, is never allowed by a rule.
    #[must_use]
    pub fn decide(&self, question: &Question) -> Verdict {
        let mut doubt = false;
        for (rules, denies) in [(&self.deny, true), (&self.ask, false)] {
            for rule in rules {
                match meets::meets(rule, question) {
                    Meets::Yes if denies => return Verdict::Deny(rule.text().to_owned()),
                    // Whether a denial is about it is not known, so this one does not decide how it is told.
                    Meets::Yes => return Verdict::Ask(Some(rule.text().to_owned())),
                    Meets::Perhaps => doubt = true,
                    Meets::No => {}
                }
            }
        }
        if doubt {
            return Verdict::Ask(None);
        }
        if matches!(question.tool.as_str(), CHOICE | PLAN) {
            return Verdict::Unsaid;
        }
        let covers = |rule: &&Rule| meets::covers(rule, question);
        self.allow
            .iter()
            .find(covers)
            .map_or(Verdict::Unsaid, |rule| {
                Verdict::Allow(rule.text().to_owned())
            })
    }
}
