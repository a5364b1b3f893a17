//! Settings that are changed while the daemon runs.
//!
//! What is changed stands in the settings table, so that it is there after a kill. It is checked within the transaction
//! that records it, so that two changes at once cannot contradict each other, and put to use after the commit.

use std::collections::BTreeMap;

use super::{Act, Admin, AdminError, Deed, Outcome};
use crate::{
    core::{text::one_line, words},
    gateway::{
        lane::Ack,
        ports::{SettingInfo, Tunables},
    },
    store::{StoreError, Tx},
};

/// Beginning of the names of these settings; the key follows.
const KEY: &str = "config.";

/// How much of a key that does not exist is noted, in characters.
const NAMED: usize = 64;

/// How much of a value is noted, in characters.
const VALUE: usize = 500;

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Whether it holds at once.
    pub outcome: Outcome,
    /// The setting as it is now.
    pub setting: SettingInfo,
}

/// What a change wants.
enum Wanted {
    Value(String),
    Reset,
    /// As the files say, or this where they say otherwise than so.
    ResetOr(fn(&SettingInfo) -> bool, &'static str),
    /// This, which is nobody's change where the files say so anyway.
    ResetOrElse(&'static str),
}

/// The changes that are recorded, by key, as TOML.
///
/// # Errors
/// The database's.
pub fn stored(tx: &Tx<'_>) -> Result<BTreeMap<String, String>, StoreError> {
    let settings = tx.settings()?.into_iter();
    Ok(changes_in(settings.map(|(key, value, _)| (key, value))))
}

/// Those among all that the settings table holds.
#[must_use]
pub fn changes_in(
    settings: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    settings
        .into_iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(KEY)?.to_owned(), value)))
        .collect()
}

impl Admin {
    /// Every setting, with its value and where that comes from. No secrets are among them.
    ///
    /// # Errors
    /// The store's.
    pub async fn config(&self) -> Result<Vec<SettingInfo>, AdminError> {
        let changes = self.deps.store.tx(stored).await?;
        Ok(self.deps.tunables.list(&changes))
    }

    /// One of them.
    ///
    /// # Errors
    /// No such key; the store's.
    pub async fn config_of(&self, key: &str) -> Result<SettingInfo, AdminError> {
        let changes = self.deps.store.tx(stored).await?;
        Ok(self.deps.tunables.one(&changes, key)?)
    }

    /// Sets a value, written as in `/config`: as TOML, or without its quotes; `on` and `off` for what can be switched.
    ///
    /// # Errors
    /// No such key, one that only files may set, a value that cannot be taken; the store's.
    pub async fn set_config(
        &self,
        by: impl Into<Ack>,
        key: &str,
        value: &str,
    ) -> Result<Configured, AdminError> {
        self.configure(
            by.into(),
            "config-set",
            key,
            Wanted::Value(value.to_owned()),
        )
        .await
    }

    /// Takes a change back: what the files say holds again, or the default.
    ///
    /// # Errors
    /// As for [`Admin::set_config`].
    pub async fn reset_config(
        &self,
        by: impl Into<Ack>,
        key: &str,
    ) -> Result<Configured, AdminError> {
        self.configure(by.into(), "config-reset", key, Wanted::Reset)
            .await
    }

    /// Has everything logged, texts of people included, or not any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn debug(&self, by: impl Into<Ack>, on: bool) -> Result<Configured, AdminError> {
        let wanted = if on {
            Wanted::Value("debug".to_owned())
        } else {
            let chatty = |setting: &SettingInfo| {
                matches!(setting.value.as_deref(), Some("\"debug\"" | "\"trace\""))
            };
            Wanted::ResetOr(chatty, "info")
        };
        self.configure(by.into(), "debug", "log.level", wanted)
            .await
    }

    /// Has what is of this importance and above logged: `error`, `warn`, `info`, `debug`, `trace`. One setting with
    /// `log.level` and [`Admin::debug`]; where the files say the same, only the change of it is taken back.
    ///
    /// # Errors
    /// No such level; the store's.
    pub async fn log_level(
        &self,
        by: impl Into<Ack>,
        level: &'static str,
    ) -> Result<Configured, AdminError> {
        let wanted = Wanted::ResetOrElse(level);
        self.configure(by.into(), "log-level", "log.level", wanted)
            .await
    }

    async fn configure(
        &self,
        ack: Ack,
        action: &'static str,
        key: &str,
        wanted: Wanted,
    ) -> Result<Configured, AdminError> {
        let (tunables, key) = (std::sync::Arc::clone(&self.deps.tunables), key.to_owned());
        let (configured, revision, changes) = self
            .act(&ack, action, move |tx, now| {
                let before = stored(tx)?;
                let (key, after) = match change(tunables.as_ref(), &before, &key, wanted) {
                    Ok(changed) => changed,
                    Err(why) => {
                        return Ok(Act {
                            on: one_line(&key, NAMED),
                            done: Err(why.into()),
                        });
                    }
                };
                let one = |changes: &BTreeMap<String, String>| {
                    tunables
                        .one(changes, &key)
                        .map_err(|why| StoreError::Other(why.what))
                };
                let (old, setting) = (one(&before)?, one(&after)?);
                match after.get(&key) {
                    Some(value) => tx.setting_set(&format!("{KEY}{key}"), value, now)?,
                    None => tx.setting_unset(&format!("{KEY}{key}"))?,
                }
                let outcome = if before == after {
                    Outcome::NoChange
                } else if setting.after_restart {
                    Outcome::AfterRestart
                } else {
                    Outcome::Done
                };
                if outcome != Outcome::NoChange {
                    tx.config_changed(vec![key.clone()]);
                }
                let text = words::admin::configured(
                    &setting.key,
                    setting.value.as_deref(),
                    outcome == Outcome::NoChange,
                    setting.after_restart,
                );
                let on = format!("{key} = {} (was {})", noted(&setting), noted(&old));
                let configured = Configured { outcome, setting };
                // On the thread of the store: in the order of the transactions.
                let revision = tunables.revision();
                Ok(Act {
                    on,
                    done: Ok(Deed::new((configured, revision, after), outcome, text)),
                })
            })
            .await?;
        self.deps.tunables.apply(revision, changes);
        Ok(configured)
    }

    /// The configuration files are read again. All of them are right, or nothing changes.
    ///
    /// # Errors
    /// What is wrong with them; that this daemon has none to read; the store's, after the files are in use.
    pub async fn reload(&self, by: impl Into<Ack>) -> Result<Reloaded, AdminError> {
        let ack = by.into();
        let read = self.deps.tunables.reload().await;
        self.act(&ack, "reload", move |tx, _| {
            Ok(match read {
                Ok(reloaded) => {
                    let outcome = reloaded.outcome();
                    tx.config_changed(reloaded.keys.clone());
                    let on = [reloaded.live.clone(), reloaded.restart.clone()].concat();
                    Act {
                        on: on.join(", "),
                        done: Ok(Deed::new(reloaded, outcome, "")),
                    }
                }
                Err(problems) => Act {
                    on: String::new(),
                    done: Err(AdminError::ConfigRefused(problems)),
                },
            })
        })
        .await
    }
}

/// A value, for the audit.
fn noted(setting: &SettingInfo) -> String {
    match &setting.value {
        Some(value) => one_line(value, VALUE),
        None => "not set".to_owned(),
    }
}

pub use crate::gateway::ports::Reloaded;

impl Reloaded {
    /// Whether all that has changed holds at once.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if !self.restart.is_empty() {
            Outcome::AfterRestart
        } else if self.live.is_empty() {
            Outcome::NoChange
        } else {
            Outcome::Done
        }
    }
}

fn change(
    tunables: &dyn Tunables,
    before: &BTreeMap<String, String>,
    key: &str,
    wanted: Wanted,
) -> Result<(String, BTreeMap<String, String>), crate::gateway::ports::SettingRefused> {
    match wanted {
        Wanted::Value(value) => tunables.change(before, key, Some(&value)),
        Wanted::Reset => tunables.change(before, key, None),
        Wanted::ResetOr(not_so, value) => {
            let (key, after) = tunables.change(before, key, None)?;
            if not_so(&tunables.one(&after, &key)?) {
                return tunables.change(before, &key, Some(value));
            }
            Ok((key, after))
        }
        Wanted::ResetOrElse(value) => {
            let (key, after) = tunables.change(before, key, None)?;
            let written = tunables.change(before, &key, Some(value))?;
            let same = tunables.one(&after, &key)?.value == tunables.one(&written.1, &key)?.value;
            Ok(if same { (key, after) } else { written })
        }
    }
}
