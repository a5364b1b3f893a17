//! What the gateway needs from the rooms around it. They implement these traits; `app.rs` puts them together.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use crate::core::approval::Answer;
use crate::{
    core::{
        Millis,
        approval::rules::Lists,
        event::{AgentEvent, Question},
        ids::{InboxId, RunId},
        inbound::Inbound,
        mode::PermissionMode,
        profile::Profile,
        text::{Enclosed, Formatted},
        trouble::ServiceTrouble,
    },
    store::{StoreError, Tx},
};

/// Time, so that tests can hold it.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Millis;
}

/// Randomness, so that tests can hold it.
pub trait Dice: Send + Sync {
    /// A fresh run id.
    fn run_id(&self) -> RunId;
    /// A fresh version 4 UUID.
    fn uuid(&self) -> Uuid;
}

/// Markdown to what a chat shows.
pub trait Renderer: Send + Sync {
    /// The whole text as messages of at most 4096 UTF-16 units each. Never empty for a text that is not blank.
    fn render(&self, markdown: &str) -> Vec<Formatted>;

    /// An answer: as [`render`](Self::render), but code that would take too many messages goes as files.
    fn parcel(&self, markdown: &str) -> Parcel {
        Parcel {
            messages: self.render(markdown),
            files: Vec::new(),
        }
    }
}

/// An answer as it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Its messages. Where a file was in the text, a line says so.
    pub messages: Vec<Formatted>,
    /// What goes below them, in the order of the text.
    pub files: Vec<Enclosed>,
}

/// A file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is larger than a bot may have.
    #[error("the file is too large")]
    TooLarge,
    /// The messenger does not have it any more, or will not give it out.
    #[error("the file is not to be had: {0}")]
    Gone(String),
    /// It is said to be where it may not be read from; only an administrator can mend that.
    #[error("the file may not be read: {0}")]
    Closed(String),
    /// The messenger cannot be reached, or asks to wait until then: no try at all.
    #[error("{what}")]
    Wait {
        /// What is in the way, in one line.
        what: String,
        /// Not before, where it says so.
        until: Option<Millis>,
    },
    /// Anything else: it may be had at another try.
    #[error("{0}")]
    Failed(String),
    /// It cannot be written.
    #[error("the file cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// Where files are fetched from.
#[async_trait]
pub trait FileSource: Send + Sync {
    /// Fetches a file of at most `limit` bytes into `sink`; returns its size. What was written before an error is not
    /// complete.
    ///
    /// # Errors
    /// See [`FetchError`]; none of them holds a secret.
    async fn fetch(
        &self,
        file_id: &str,
        limit: u64,
        sink: &mut tokio::fs::File,
    ) -> Result<u64, FetchError>;
}

/// Signs of life in a chat that are not worth a row: lost ones are not missed.
pub trait Presence: Send + Sync {
    /// Shows "typing…" for about five seconds. Never blocks; drops when busy.
    fn typing(&self, chat_id: i64, thread_id: i64);
}

/// Where a running answer is shown as a draft, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftPlace {
    /// Private chat.
    pub chat_id: i64,
    /// Topic, 0 where there is none.
    pub thread_id: i64,
    /// Its id, never 0: that of the turn.
    pub id: i64,
    /// Whether it has a button that stops it.
    pub can_stop: bool,
}

/// Running answers that are shown without a row: lost ones are not missed.
pub trait Drafts: Send + Sync {
    /// Opens one. `None`: there are none there at the moment.
    fn open(&self, place: DraftPlace) -> Option<Arc<dyn Draft>>;
}

/// A draft. It is shown, and renewed, until this is dropped.
#[async_trait]
pub trait Draft: Send + Sync {
    /// Shows this; of several the newest. Never blocks. At most 4096 UTF-16 units.
    fn show(&self, body: Formatted);
    /// Returns when it is not going to be shown, or no further.
    async fn refused(&self);
    /// Whether that is so.
    fn is_refused(&self) -> bool;
}

/// What to launch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Session of the conversation.
    pub session_id: Uuid,
    /// Whether that session exists already.
    pub resume: bool,
    /// How much its agent asks before it acts.
    pub mode: PermissionMode,
    /// Profile that its process is to have.
    pub profile: Profile,
    /// Where the files are that people send in its conversation.
    pub inbox: Option<InboxOf>,
    /// What is allowed to it, asked and denied.
    pub rules: Lists,
}

/// The directory with the files that people sent in one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxOf {
    /// Where the daemon has it.
    pub from: PathBuf,
    /// Where the agent sees it; the supervisor copies into it what is in `from`, unless that is the same.
    pub to: PathBuf,
}

impl InboxOf {
    /// Whether the agent sees copies.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.from != self.to
    }
}

/// An image that goes along with a prompt.
#[derive(Clone, PartialEq, Eq)]
pub struct PromptImage {
    /// Media type.
    pub mime: &'static str,
    /// Its bytes in base64.
    pub base64: String,
}

/// A command line with its surroundings: content of `spec.json`. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Run that it is for.
    pub run: RunId,
    /// Program and arguments. The program is a name (searched in `PATH`) or a path.
    pub argv: Vec<String>,
    /// The whole environment of the agent, but for what `environment_file` adds and `PATH HOME LANG TERM SHELL`, which the supervisor fills in from its own user where they are absent.
    pub env: Vec<(String, String)>,
    /// File with `NAME=value` lines, read by the supervisor: keys and logins that the daemon never sees.
    pub environment_file: Option<PathBuf>,
    /// Working directory.
    pub directory: PathBuf,
    /// Arguments that make the program print its version, and the oldest version that may run.
    pub version_gate: Option<VersionGate>,
    /// Most bytes of `output.jsonl`; the supervisor sets it as `RLIMIT_FSIZE` of the agent where it is not 0.
    pub output_limit: u64,
    /// Profile of the process, for launchers that know profiles.
    #[serde(default)]
    pub profile: Profile,
    /// Files that people sent.
    #[serde(default)]
    pub inbox: Option<InboxOf>,
}

/// Check before the launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionGate {
    /// Arguments.
    pub args: Vec<String>,
    /// Oldest version that may run.
    pub oldest: (u64, u64, u64),
}

/// What an agent is: command line, input lines, output lines. Pure.
pub trait Backend: Send + Sync {
    /// Command line and environment for a run.
    fn spec(&self, run: &RunId, launch: &Launch) -> Spec;
    /// Argument by which a process is told rules; `None` where it is told none.
    fn rules(&self, rules: &Lists) -> Option<String>;
    /// First line(s) of the input of a fresh process.
    fn hello(&self) -> Vec<u8>;
    /// A prompt with its images, one line with its `\n`.
    fn prompt(&self, uuid: Uuid, text: &str, images: &[PromptImage]) -> Vec<u8>;
    /// Whether this input line is the prompt with that uuid (to tell after a crash whether it was written).
    fn is_prompt(&self, line: &[u8], uuid: Uuid) -> bool;
    /// Asks the running turn to end. `queued`: prompts that it has got and not begun with are dropped with it, and it tells
    /// which.
    fn interrupt(&self, request_id: &str, queued: bool) -> Vec<u8>;
    /// Asks it to take another permission mode from now on.
    fn mode(&self, request_id: &str, mode: PermissionMode) -> Vec<u8>;
    /// Asks the process to end.
    fn end(&self, request_id: &str) -> Vec<u8>;
    /// Answers a question: allow (for the session where `remember`) or deny with a reason.
    fn answer(&self, question: &Question, answer: &Answer) -> Vec<u8>;
    /// Reads one output line. Never panics; anything unknown is [`AgentEvent::Ignored`].
    fn decode(&self, line: &[u8]) -> Vec<AgentEvent>;
}

/// How a run ended: content of `exit.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Exit {
    /// The agent ended by itself, or by our order, with this code.
    Code {
        /// Exit code.
        code: i32,
    },
    /// The agent was ended by this signal.
    Signal {
        /// Signal number.
        signal: i32,
    },
    /// The agent was never started.
    NotStarted {
        /// Why.
        why: NotStarted,
    },
    /// It used more memory than it may, and was ended with everything that it had started.
    OutOfMemory {
        /// What it may use, in bytes, where that is known.
        limit: Option<u64>,
    },
    /// It ran longer than it may.
    TimeLimit {
        /// How long it may, in seconds.
        seconds: u64,
    },
    /// An administrator ended it: its unit or slice was stopped.
    Stopped,
}

/// Why an agent was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum NotStarted {
    /// No such program.
    NotFound {
        /// As configured.
        program: String,
    },
    /// It is older than it may be.
    TooOld {
        /// What it said.
        found: String,
        /// What is needed.
        oldest: String,
    },
    /// The working directory is absent or not enterable.
    Directory {
        /// Which, and the system's reason.
        detail: String,
    },
    /// The environment file cannot be read or is malformed (names the line, never its content).
    EnvironmentFile {
        /// Which, and why.
        detail: String,
    },
    /// Its service could not be started.
    Service {
        /// What is wrong.
        trouble: ServiceTrouble,
        /// A sentence for the administrator that names the file and the command that mends it.
        detail: String,
    },
    /// Anything else.
    Other {
        /// The system's reason.
        detail: String,
    },
}

impl NotStarted {
    /// Name of the kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NotFound",
            Self::TooOld { .. } => "TooOld",
            Self::Directory { .. } => "Directory",
            Self::EnvironmentFile { .. } => "EnvironmentFile",
            Self::Service { .. } => "Service",
            Self::Other { .. } => "Other",
        }
    }
}

impl fmt::Display for NotStarted {
    /// For the administrator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { program } => write!(
                f,
                "there is no program {program} in the PATH of the agent's user; install it there, or give its path as \
                 agent.command"
            ),
            Self::TooOld { found, oldest } => {
                write!(
                    f,
                    "the agent is version {found}; {oldest} or newer is needed: update it"
                )
            }
            Self::Directory { detail } => write!(
                f,
                "the agent's user cannot enter {detail}; make agent.directory a directory that this user may enter"
            ),
            Self::EnvironmentFile { detail } => {
                write!(f, "the agent's variables cannot be read: {detail}")
            }
            Self::Service { detail, .. } | Self::Other { detail } => f.write_str(detail),
        }
    }
}

/// A whole line of `output.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Offset just behind its `\n`: the offset to commit when it is taken.
    pub end: u64,
    /// Its bytes without the `\n`.
    pub bytes: Vec<u8>,
}

/// News of a run, in order. After `Ended` nothing follows and the channel closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The supervisor took the hand-off (only for a run launched by this daemon).
    Started,
    /// Whole lines, in order, at least one.
    Lines(Vec<Line>),
    /// The output got shorter than what was taken of it while the run lives: tampering or corruption.
    Tampered {
        /// What was taken.
        offset: u64,
        /// What is there.
        size: u64,
    },
    /// The disk has no room for much more of the output: what the agent says from now on may be lost. Comes again
    /// every few seconds while it is so.
    NoRoom,
    /// The run is over and its output was delivered to the end (a last line without `\n` included).
    /// `None`: the supervisor is gone and left no record (killed, power loss).
    Ended(Option<Exit>),
}

/// A run that is followed. Dropping it stops the following, not the run.
pub struct Followed {
    /// News. Bounded: who does not read stops the following, not the agent.
    pub notices: mpsc::Receiver<Notice>,
    /// Control.
    pub control: Arc<dyn RunControl>,
}

/// Control of one run.
pub trait RunControl: Send + Sync {
    /// Appends whole lines to the input and rings. Durable against a kill of the daemon; a torn tail of an
    /// earlier daemon is cut first.
    ///
    /// # Errors
    /// The file system's.
    fn append(&self, lines: &[u8]) -> std::io::Result<()>;
    /// Whether a whole line of the input satisfies the predicate.
    ///
    /// # Errors
    /// The file system's.
    fn input_contains(&self, predicate: &dyn Fn(&[u8]) -> bool) -> std::io::Result<bool>;
    /// SIGTERM, 5 s later SIGKILL, to the agent and everything that it started. Returns at once; repeatable.
    fn terminate(&self);
}

/// What is left of a run of an earlier daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Its supervisor lives.
    Alive,
    /// It was prepared but no supervisor ever took it, and none can any more.
    NeverStarted,
    /// It is over; output and, perhaps, an exit record are there.
    Over,
    /// Its directory is gone.
    Missing,
}

/// What all agents take together. Empty where that cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processor time so far, by whatever it is measured of: each grows as long as that is there.
    pub cpu: Vec<(String, Duration)>,
}

/// Starting and finding runs.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Makes the run directory and starts the supervisor. Returns once it is on its way; [`Notice::Started`] or
    /// [`Notice::Ended`] tells the rest. Input may be appended at once.
    ///
    /// # Errors
    /// A sentence for the administrator: directory not writable, supervisor not found, …
    async fn launch(&self, spec: &Spec) -> Result<Followed, RunnerError>;
    /// Takes a run of an earlier daemon up again, from this offset of its output, whether it lives or not.
    ///
    /// # Errors
    /// As for [`Runner::launch`].
    async fn attach(&self, run: &RunId, offset: u64) -> Result<Followed, RunnerError>;
    /// What is left of a run. After this says [`Remains::NeverStarted`] no hand-off of it is given any more.
    async fn inspect(&self, run: &RunId) -> Remains;
    /// Deletes the directory of a run that is over.
    async fn remove(&self, run: &RunId);
    /// Run directories that are there.
    async fn list(&self) -> Vec<RunId>;
    /// Told once at the start, before anything is launched: these are the runs that may live. Whatever else a service
    /// manager still has of an earlier daemon is to be ended. Returns at once.
    fn expect(&self, _live: Vec<RunId>) {}
    /// What the agents take at the moment. Waits no longer than a moment.
    async fn usage(&self) -> Usage {
        Usage::default()
    }
    /// Name of the service manager's unit that a live run is, where it is one.
    async fn unit(&self, _run: &RunId) -> Option<String> {
        None
    }
}

/// A run could not be started or taken up.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}; {remedy}")]
pub struct RunnerError {
    /// What was tried, with the path.
    pub what: String,
    /// The system's reason.
    pub cause: String,
    /// What the administrator can do.
    pub remedy: String,
    /// Whether it was for want of room on the disk, so that it will work once there is some.
    pub no_room: bool,
}

/// How the direct launcher starts a supervisor: program and leading arguments; the run id and the socket are added.
#[derive(Clone, Debug)]
pub struct SupervisorCommand {
    /// Program.
    pub program: OsString,
    /// Arguments before `RUN-ID SOCKET`.
    pub args: Vec<OsString>,
}

/// What an update brings about, to be done in the transaction that enters it into the inbox under this id. Marks the row.
pub type Admission = Box<dyn FnOnce(&Tx<'_>, InboxId) -> Result<Committed, StoreError> + Send>;

/// What is to be done once the transaction of an [`Admission`] is committed. Never waits.
pub type Committed = Box<dyn FnOnce() + Send>;

/// Where intake hands over what it has committed.
#[async_trait]
pub trait Reception: Send + Sync {
    /// The short way: one transaction instead of two for a message that has no other before it. `None` for whatever
    /// has to wait its turn or asks for more than a transaction: it goes the way of [`Reception::accept`].
    ///
    /// To be asked when everything that was accepted before is with the reception, and used before anything else is.
    fn admit(&self, bot_id: i64, inbound: &Inbound) -> Option<Admission>;

    /// Takes an update that is in the inbox. Returns when it is queued for acting, in order; the acting marks its
    /// inbox row in the same transaction as its effects. After a crash the rows that are not marked come again.
    async fn accept(&self, id: InboxId, bot_id: i64, inbound: Inbound);
}

/// A setting, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingInfo {
    /// Key as `section.name`.
    pub key: String,
    /// Value as TOML; `None` where it is not set.
    pub value: Option<String>,
    /// Value as TOML where nobody says anything.
    pub default: Option<String>,
    /// Where the value comes from: `default`, `FILE:LINE`, `run time`.
    pub source: String,
    /// What kind of value it has, as a word.
    pub kind: String,
    /// What is allowed, in words.
    pub range: String,
    /// What it is for, one line.
    pub about: String,
    /// Whether a change holds after a restart only.
    pub after_restart: bool,
    /// Whether only the files may set it.
    pub files_only: bool,
}

/// Why a setting is not changed, or shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SettingRefused {
    /// Whether there is no such key.
    pub unknown: bool,
    /// What is wrong, without a capital and a full stop.
    pub what: String,
    /// What to do about it, likewise.
    pub remedy: String,
}

/// What a reload changed, by keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Hold from now on.
    pub live: Vec<String>,
    /// Hold after a restart.
    pub restart: Vec<String>,
    /// Those that have another value now, each by its own key.
    pub keys: Vec<String>,
}

/// The settings: defaults, files, and what is changed while the daemon runs. `changes` are the latter, by key, as TOML.
#[async_trait]
pub trait Tunables: Send + Sync {
    /// Every setting with these changes.
    fn list(&self, changes: &BTreeMap<String, String>) -> Vec<SettingInfo>;
    /// One of them.
    ///
    /// # Errors
    /// No such key.
    fn one(
        &self,
        changes: &BTreeMap<String, String>,
        key: &str,
    ) -> Result<SettingInfo, SettingRefused>;
    /// The changes with one more, or, with `None`, without the one of this key; and the key as it is written. Puts
    /// nothing to use.
    ///
    /// # Errors
    /// No such key, one that only files may set, a value that cannot be taken.
    fn change(
        &self,
        changes: &BTreeMap<String, String>,
        key: &str,
        value: Option<&str>,
    ) -> Result<(String, BTreeMap<String, String>), SettingRefused>;
    /// A number that grows with each call, for [`Tunables::apply`].
    fn revision(&self) -> u64;
    /// Puts these changes to use, unless later ones are in use already.
    fn apply(&self, revision: u64, changes: BTreeMap<String, String>);
    /// From now on these people, by Telegram user id, are let in beside the lists, unless a later call has said
    /// otherwise. `revision` is one of [`Tunables::revision`].
    fn let_in(&self, revision: u64, people: BTreeSet<i64>);
    /// Reads the files again and puts them to use.
    ///
    /// # Errors
    /// What is wrong with them, a line each; nothing has changed then.
    async fn reload(&self) -> Result<Reloaded, String>;
}
