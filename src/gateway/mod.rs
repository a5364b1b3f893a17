//! The actors that own live state: one dispatcher, one lane per conversation.
//!
//! Everything that changes anything goes through the store first; what is held in memory here can be
//! rebuilt from it ([`recover`]). A lane never waits for its agent, for Telegram or for another lane:
//! it reacts to messages, to news of its run and to deadlines.

pub mod admin;
pub mod alerts;
mod approval;
pub mod dispatch;
pub mod files;
pub mod gate;
pub mod handle;
pub mod lane;
pub mod lanes;
pub mod life;
pub mod mode;
pub mod ports;
mod queue;
pub mod recover;
pub mod restart;
pub mod show;
pub mod slots;

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    core::{
        Millis,
        approval::rules::Rules,
        batching::WindowRule,
        busy::Busy,
        clock::ClockRule,
        flag::Features,
        limits::Limits,
        live::Live,
        mode::Modes,
        pace::Pace,
        policy::{Access, Approvers},
        profile::Profiles,
    },
    store::Store,
};

use self::{
    files::{Files, FilesConfig},
    gate::Gate,
    ports::{Backend, Clock, Dice, Drafts, Presence, Renderer, Runner, Tunables},
    restart::Restart,
    slots::Slots,
};

/// Settings of the gateway.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may do what: those in the lists, and those who were let in beside them.
    pub access: Access,
    /// Whether strangers may ask to be let in.
    pub pairing: bool,
    /// Who is given which profile of agents.
    pub profiles: Profiles,
    /// Who may answer an agent's question.
    pub approvers: Approvers,
    /// What is answered by rules.
    pub rules: Rules,
    /// The bot's username; commands addressed to another bot are not ours.
    pub bot_name: BotName,
    /// Messages older than this when first seen are asked about, in milliseconds.
    pub stale_after: Millis,
    /// How many messages of a person become prompts within a minute, the rest being kept; `None`: all.
    pub messages: Option<Pace>,
    /// Window in which rapid messages become one prompt, for whom that is on.
    pub batching: WindowRule,
    /// What is on for whom.
    pub features: Features,
    /// A process without work is ended after this, in milliseconds.
    pub idle_timeout: Millis,
    /// Most agent processes at once.
    pub max_processes: usize,
    /// A question that nobody answers is denied after this, in milliseconds.
    pub approval_timeout: Millis,
    /// Permission modes that there are for people.
    pub modes: Modes,
    /// How long turns may take.
    pub limits: Limits,
    /// Time between the agent's own interrupt and the order to end, in milliseconds.
    pub interrupt_grace: Millis,
    /// How often a running answer says anew how long it takes.
    pub clock: ClockRule,
    /// What a prompt does that comes while another of its conversation runs.
    pub busy: Busy,
    /// Word that stops what runs, alone in a message; in lower case.
    pub stop_word: Option<String>,
    /// Files that people send.
    pub files: FilesConfig,
}

impl Config {
    /// The window of this person's messages.
    #[must_use]
    pub fn window(&self, person: i64) -> WindowRule {
        if self.features.batching.is_on(person) {
            self.batching
        } else {
            self.batching.apart()
        }
    }

    /// Whether a message is the word that stops.
    #[must_use]
    pub fn stops(&self, text: &str) -> bool {
        // A text of any length is not put into lower case for that: no letter becomes much longer by it.
        let text = text.trim();
        let is = |word: &String| text.len() <= 4 * word.len() && text.to_lowercase() == *word;
        self.stop_word.as_ref().is_some_and(is)
    }
}

/// The bot's username without `@`, once it is known: a start does not wait for Telegram to tell it.
#[derive(Clone, Debug, Default)]
pub struct BotName(Arc<RwLock<String>>);

impl BotName {
    /// The name; empty before it is known.
    #[must_use]
    pub fn get(&self) -> String {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets it.
    pub fn set(&self, name: &str) {
        name.clone_into(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the gateway works with: its ports, its settings, its store.
pub struct Deps {
    /// Database.
    pub store: Store,
    /// Starts and finds runs.
    pub runner: Arc<dyn Runner>,
    /// Speaks the agent's language.
    pub backend: Arc<dyn Backend>,
    /// Markdown to messages.
    pub renderer: Arc<dyn Renderer>,
    /// "typing…".
    pub presence: Arc<dyn Presence>,
    /// Running answers as drafts.
    pub drafts: Arc<dyn Drafts>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub dice: Arc<dyn Dice>,
    /// Settings; may change at any moment.
    pub config: Live<Config>,
    /// Settings that people change.
    pub tunables: Arc<dyn Tunables>,
    /// Files that people send.
    pub files: Files,
    /// Places for agent processes.
    pub slots: Slots,
    /// Whether all is paused.
    pub gate: Gate,
    /// Told when somebody says hello, who then may have a chat in which Telegram takes a menu.
    pub newcomer: Arc<Notify>,
    /// Whether the daemon is to be started again when it has stopped.
    pub restart: Restart,
    /// Cancelled when the daemon is to stop.
    pub shutdown: CancellationToken,
    /// All tasks of the gateway.
    pub tasks: TaskTracker,
    /// When the daemon started.
    pub started_at: Millis,
}

/// Length of the number of an error that a person is told, in characters.
const ERROR_ID: usize = 8;

/// A number for an error that nobody thought of; the log has it as `TELEXD_ERROR`.
fn error_number(dice: &dyn Dice) -> String {
    let mut number = dice.uuid().simple().to_string();
    number.truncate(ERROR_ID);
    number
}
