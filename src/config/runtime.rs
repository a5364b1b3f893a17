//! Settings that are changed while the daemon runs: over those of the files, which hold over the defaults.
//!
//! What is changed is stored key by key as TOML. A change is checked together with all that holds beside it, as the files
//! were at the last start or reload; files that somebody is editing are not looked at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::de::DeValue;

use super::{
    Problems, Settings, Token,
    choices::Bus,
    fragments::{Entry, Fragment, KEYS},
    inputs::Inputs,
    kinds::Mistake,
    problem::{Origin, quoted_name},
    settings::Draft,
};

/// Changes, by key (`section.name`), as TOML.
pub type Stored = BTreeMap<String, String>;

/// Keys that only the files may set, because they decide who rules the daemon, hold for administrators in Telegram as well,
/// decide what runs with its rights, or where this very change would be stored.
pub const FILES_ONLY: &[&str] = &[
    "telegram.token_file",
    "telegram.api_url",
    "telegram.proxy",
    "telegram.proxy_login_file",
    "telegram.local_files",
    "access.admins",
    "agent.command",
    "agent.launcher",
    "agent.environment_file",
    "agent.modes",
    "approvals.allow",
    "approvals.ask",
    "approvals.deny",
    "approvals.profiles",
    "approvals.people",
    "files.transcriber",
    "messages.translation",
    "state.directory",
    "health.listen",
    "dbus.bus",
];

/// Keys whose change holds after a restart only.
pub const AFTER_RESTART: &[&str] = &[
    "telegram.token_file",
    "telegram.api_url",
    "telegram.poll_timeout_s",
    "telegram.proxy",
    "telegram.proxy_login_file",
    "telegram.ip",
    "telegram.local_files",
    "agent.launcher",
    "messages.translation",
    "state.directory",
    "health.listen",
    "dbus.bus",
];

/// Longest value, in bytes.
const LONGEST: usize = 4096;

/// What the files say, over the defaults, with the token.
#[derive(Clone, Debug)]
pub struct Base {
    pub(super) file: PathBuf,
    pub(super) files: Fragment,
    pub(super) token: Token,
    /// Instead of the one of the files.
    pub(super) bus: Option<Bus>,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such key; these are the nearest.
    NoSuchKey {
        /// What was given, quoted.
        given: String,
        /// Keys.
        nearest: Vec<String>,
    },
    /// Only the files may set it.
    FilesOnly {
        /// Key.
        key: String,
        /// The main file.
        file: PathBuf,
    },
    /// The value cannot be taken.
    Value {
        /// Key.
        key: String,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        remedy: String,
    },
}

/// A key with all that is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Key as `section.name`.
    pub key: String,
    /// The entry that holds.
    pub entry: Entry,
    /// Value as TOML where nobody says anything.
    pub default: Option<String>,
}

impl Setting {
    /// Value as TOML; `None` where it is not set.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.entry.value.as_ref().map(|(value, _)| value.as_str())
    }
}

impl Base {
    /// The settings with these changes.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn settings(&self, stored: &Stored) -> Result<Settings, Problems> {
        let mut inputs = Inputs {
            merged: self.merged(stored),
            ..Inputs::default()
        };
        let draft = Draft::new(&self.file, &mut inputs);
        draft
            .filter(|_| inputs.problems.is_empty())
            .and_then(|draft| draft.with_token(self.token.clone()))
            .map(|settings| Settings {
                bus: self.bus.unwrap_or(settings.bus),
                ..settings
            })
            .ok_or(Problems(inputs.problems))
    }

    /// The settings with as many of these changes as go together with the files, in the order of their keys; and the
    /// keys of those that do not.
    #[must_use]
    pub fn settings_as_far(&self, stored: &Stored) -> (Option<Settings>, Vec<String>) {
        if let Ok(settings) = self.settings(stored) {
            return (Some(settings), Vec::new());
        }
        let (mut good, mut left) = (Stored::new(), Vec::new());
        for (key, value) in stored {
            good.insert(key.clone(), value.clone());
            if self.settings(&good).is_err() {
                good.remove(key);
                left.push(key.clone());
            }
        }
        (self.settings(&good).ok(), left)
    }

    /// Changes a value as a person writes it, or, with `None`, takes the change of a key back. Gives the key, and the
    /// changes from then on.
    ///
    /// # Errors
    /// No such key, one that only the files may set, or a value that cannot be taken.
    pub fn change(
        &self,
        stored: &Stored,
        key: &str,
        value: Option<&str>,
    ) -> Result<(String, Stored), Refused> {
        let (section, name) = find(key)?;
        let key = format!("{section}.{name}");
        if FILES_ONLY.contains(&key.as_str()) {
            return Err(Refused::FilesOnly {
                key,
                file: self.file.clone(),
            });
        }
        let mut after = stored.clone();
        let refused = |what: String, remedy: String| Refused::Value {
            key: key.clone(),
            what,
            remedy,
        };
        match value {
            Some(text) => {
                let toml = read(section, name, text)
                    .map_err(|mistake| refused(mistake.what, mistake.remedy))?;
                after.insert(key.clone(), toml);
            }
            None => {
                after.remove(&key);
            }
        }
        // What did not go with the files before is not this change's fault.
        let before = self.settings_as_far(stored).1;
        let odd = |left: &String| !before.contains(left) || *left == key;
        if let Err(Problems(problems)) = self.settings(&after)
            && self.settings_as_far(&after).1.iter().any(odd)
        {
            let (what, remedy) =
                problems
                    .into_iter()
                    .next()
                    .map_or_else(Default::default, |problem| {
                        let key = problem.key.map(|key| format!("{key} ")).unwrap_or_default();
                        (format!("{key}{}", problem.what), problem.remedy)
                    });
            return Err(refused(what, remedy));
        }
        Ok((key, after))
    }

    /// Every key with its value and where it comes from. Changes that do not go with the files are not in force, and
    /// are not told as if they were.
    #[must_use]
    pub fn list(&self, stored: &Stored) -> Vec<Setting> {
        let defaults = Fragment::defaults().entries();
        let left = self.settings_as_far(stored).1;
        let mut stored = stored.clone();
        stored.retain(|key, _| !left.contains(key));
        self.merged(&stored)
            .entries()
            .into_iter()
            .zip(defaults)
            .map(|(entry, default)| Setting {
                key: format!("{}.{}", entry.section, entry.name),
                entry,
                default: default.value.map(|(value, _)| value),
            })
            .collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// No such key.
    pub fn one(&self, stored: &Stored, key: &str) -> Result<Setting, Refused> {
        let (section, name) = find(key)?;
        let found = self
            .list(stored)
            .into_iter()
            .find(|s| s.entry.section == section && s.entry.name == name);
        found.ok_or_else(|| unknown(key))
    }

    fn merged(&self, stored: &Stored) -> Fragment {
        merged(&self.files, stored)
    }

    /// The main file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Files with changes over them. What is stored and cannot be read any more is left out.
fn merged(files: &Fragment, stored: &Stored) -> Fragment {
    let mut changes = Fragment::default();
    for (key, value) in stored {
        if let Ok((section, name)) = find(key)
            && !FILES_ONLY.contains(&key.as_str())
            && let Ok(value) = DeValue::parse(value)
        {
            // A value that is out of bounds by now changes nothing.
            let _ = changes.set(section, name, value.get_ref(), &Origin::RunTime);
        }
    }
    files.clone().then(changes)
}

/// As [`Base::settings_as_far`], for who has no token: what holds of files that are right, with changes over them, and
/// the keys of the changes that do not go with them.
pub(super) fn overlaid(file: &Path, files: &Fragment, stored: &Stored) -> (Fragment, Vec<String>) {
    let good = |stored: &Stored| {
        let mut inputs = Inputs {
            merged: merged(files, stored),
            ..Inputs::default()
        };
        Draft::new(file, &mut inputs);
        inputs.problems.is_empty()
    };
    if good(stored) {
        return (merged(files, stored), Vec::new());
    }
    let (mut hold, mut left) = (Stored::new(), Vec::new());
    for (key, value) in stored {
        hold.insert(key.clone(), value.clone());
        if !good(&hold) {
            hold.remove(key);
            left.push(key.clone());
        }
    }
    (merged(files, &hold), left)
}

fn find(key: &str) -> Result<(&'static str, &'static str), Refused> {
    let found = key.split_once('.').and_then(|(section, name)| {
        KEYS.iter()
            .find(|(s, n)| s.eq_ignore_ascii_case(section) && n.eq_ignore_ascii_case(name))
    });
    found.copied().ok_or_else(|| unknown(key))
}

/// With the three keys that are nearest, by the whole key or by its name alone.
fn unknown(key: &str) -> Refused {
    let short: String = key.chars().take(64).collect();
    let given = short.to_ascii_lowercase().replace('-', "_");
    let mut near: Vec<(usize, String)> = KEYS
        .iter()
        .map(|(section, name)| {
            let whole = format!("{section}.{name}");
            let distance = strsim::damerau_levenshtein(&given, &whole)
                .min(strsim::damerau_levenshtein(&given, name));
            (distance, whole)
        })
        .collect();
    near.sort();
    Refused::NoSuchKey {
        given: quoted_name(&short),
        nearest: near.into_iter().take(3).map(|(_, key)| key).collect(),
    }
}

/// A value as a person writes it, as TOML: quotes may be left out, and `on` and `off` are good for `true` and `false`.
fn read(section: &str, name: &str, text: &str) -> Result<String, Mistake> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(Mistake::new(
            format!("the value has {} bytes", text.len()),
            format!("give at most {LONGEST}"),
        ));
    }
    if text.contains(crate::core::text::disturbs) {
        return Err(Mistake::new(
            "the value holds a line break or another control character",
            "give it on one line",
        ));
    }
    let switch = match text.to_ascii_lowercase().as_str() {
        "on" => Some(DeValue::Boolean(true)),
        "off" => Some(DeValue::Boolean(false)),
        _ => None,
    };
    let written = DeValue::parse(text).ok().map(toml::Spanned::into_inner);
    let told_as_text = written.is_none();
    let mut first = None;
    let mut told = None;
    for (as_text, value) in [
        (false, switch),
        (false, written),
        (true, Some(DeValue::String(text.into()))),
    ] {
        let Some(value) = value else { continue };
        let mut fragment = Fragment::default();
        match fragment.set(section, name, &value, &Origin::RunTime) {
            Some(Ok(())) => {
                let taken = fragment
                    .entries()
                    .into_iter()
                    .find(|entry| entry.section == section && entry.name == name)
                    .and_then(|entry| entry.value);
                if let Some((toml, _)) = taken {
                    return Ok(toml);
                }
            }
            Some(Err(mistake)) => {
                if as_text == told_as_text {
                    told = Some(mistake.clone());
                }
                first.get_or_insert(mistake);
            }
            None => {}
        }
    }
    Err(told
        .or(first)
        .unwrap_or_else(|| Mistake::new("cannot be taken", "write it as in a file")))
}

#[cfg(test)]
#[path = "runtime_tests.rs"]
mod tests;
