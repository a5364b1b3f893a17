//! What a configuration file may say: every key, each optional.

use std::{collections::BTreeMap, path::PathBuf};

use toml::de::DeValue;
use url::Url;

use crate::core::{
    alerts::{Alert, Quiet},
    approval::rules::{Lists, Rule},
    busy::Busy,
    flag::Flag,
    ip::IpVersion,
    policy::Approvers,
    profile::Profile,
};

use super::{
    choices::{Bus, Launcher, LogLevel, PermissionMode},
    kinds::{Kind, Mistake, Range, TextRule},
    listen::Listen,
    problem::Origin,
    proxy::ProxyAddress,
    rules::RuleList,
};

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// A key as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Section.
    pub section: &'static str,
    /// Name in it.
    pub name: &'static str,
    /// What it is for, one line.
    pub about: &'static str,
    /// What kind of value it has, as a word.
    pub kind: &'static str,
    /// What is allowed, in words.
    pub allowed: String,
    /// Value as TOML and where it comes from; `None` where it is not set.
    pub value: Option<(String, Origin)>,
}

/// Makes, of one list of keys, a struct per section, [`Fragment`] of all sections, and what works on every key alike.
macro_rules! keys {
    ($($section:ident: $Section:ident {
        $($name:ident: $kind:ty, $rule:expr, $default:expr, $about:literal;)+
    })+) => {
        $(
            #[doc = concat!("Section `[", stringify!($section), "]`.")]
            #[derive(Clone, Debug, Default, PartialEq)]
            pub struct $Section {
                $(#[doc = $about] pub $name: Option<Found<$kind>>,)+
            }
        )+

        /// Everything that one file says, or several together.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Fragment {
            $(#[doc = concat!("Section `[", stringify!($section), "]`.")] pub $section: $Section,)+
        }

        /// Every key, as section and name.
        pub const KEYS: &[(&str, &str)] = &[$($((stringify!($section), stringify!($name)),)+)+];

        impl Fragment {
            /// What holds where nobody says anything.
            #[must_use]
            pub fn defaults() -> Self {
                let mut fragment = Self::default();
                $($(
                    let value: Option<$kind> = $default;
                    fragment.$section.$name =
                        value.map(|value| Found { value, origin: Origin::Default });
                )+)+
                fragment
            }

            /// Both together; where both say something about a key, `later` holds. Lists are not joined.
            #[must_use]
            pub fn then(self, later: Self) -> Self {
                Self {
                    $($section: $Section {
                        $($name: later.$section.$name.or(self.$section.$name),)+
                    },)+
                }
            }

            /// Takes a value for a key that is in [`KEYS`]; `None` for one that is not.
            ///
            /// # Errors
            /// Of the wrong type or out of bounds; then nothing is changed.
            pub(super) fn set(
                &mut self,
                section: &str,
                name: &str,
                value: &DeValue<'_>,
                origin: &Origin,
            ) -> Option<Result<(), Mistake>> {
                match (section, name) {
                    $($((stringify!($section), stringify!($name)) => {
                        Some(<$kind as Kind>::read(value, &$rule).map(|value| {
                            self.$section.$name = Some(Found { value, origin: origin.clone() });
                        }))
                    })+)+
                    _ => None,
                }
            }

            /// Every key with its value, in order.
            #[must_use]
            pub fn entries(&self) -> Vec<Entry> {
                vec![$($(Entry {
                    section: stringify!($section),
                    name: stringify!($name),
                    about: $about,
                    kind: kind_of(stringify!($kind)),
                    allowed: <$kind as Kind>::allowed(&$rule),
                    value: self.$section.$name.as_ref()
                        .map(|found| (found.value.shown(), found.origin.clone())),
                },)+)+]
            }
        }
    };
}

/// A type of ours, as people call it.
fn kind_of(name: &str) -> &'static str {
    match name {
        "u32" => "number",
        "bool" => "boolean",
        "Flag" => "switch",
        "PathBuf" => "path",
        "Url" | "ProxyAddress" | "Listen" => "address",
        "Vec<i64>" | "Vec<String>" | "Vec<PermissionMode>" | "Vec<Alert>" | "Vec<Rule>" => "list",
        _ if name.starts_with("BTreeMap") => "table",
        _ => "text",
    }
}

const fn range(least: u32, most: u32, unit: &'static str) -> Range {
    Range { least, most, unit }
}

const DAY_S: u32 = 86_400;

keys! {
    telegram: Telegram {
        token_file: PathBuf, "/etc/telexd/token", None,
            "File that holds the bot token and nothing else; without it the systemd credential `telegram-token`.";
        api_url: Url, (), Url::parse("https://api.telegram.org").ok(),
            "Address of the Bot API.";
        poll_timeout_s: u32, range(1, 50, "seconds"), Some(30),
            "How long one poll waits for messages.";
        proxy: ProxyAddress, (), None,
            "Proxy by which Telegram is reached: http://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT.";
        proxy_login_file: PathBuf, "/etc/telexd/proxy", None,
            "File that holds USER:PASSWORD for the proxy; without it the systemd credential `telegram-proxy`, if there is one.";
        ip: IpVersion, (), Some(IpVersion::default()),
            "Version of the Internet Protocol by which Telegram is reached.";
        local_files: PathBuf, "/var/lib/telegram-bot-api", None,
            "Folder in which a Bot API server on this machine that runs with --local keeps its files.";
    }
    access: Access {
        admins: Vec<i64>, (), Some(Vec::new()),
            "Telegram user ids of those who may do everything.";
        users: Vec<i64>, (), Some(Vec::new()),
            "Telegram user ids of those who may talk to the agent.";
        pairing: bool, (), Some(false),
            "Whether strangers who write to the bot are given a code by which an administrator can let them in.";
        profiles: BTreeMap<i64, Profile>, (), Some(BTreeMap::new()),
            "Profile of agents by the id of a person or chat; the person's goes first, without one agent.profile holds.";
    }
    agent: Agent {
        command: String, TextRule::Program, Some("claude".to_owned()),
            "The agent's program.";
        directory: PathBuf, "/srv/project", None,
            "Where the agent works. Must be set.";
        launcher: Launcher, (), Some(Launcher::default()),
            "How agents are started.";
        profile: Profile, (), Some(Profile::default()),
            "Profile of agents: NAME of the unit template telexd-agent-NAME@.service, empty for telexd-agent@.service.";
        environment_file: PathBuf, "/etc/telexd/agent.env", None,
            "File with NAME=value lines for the agent (API key, login); for the direct launcher.";
        trust_project: bool, (), Some(false),
            "Whether the settings and hooks that lie in the directory itself are used.";
        idle_timeout_s: u32, range(1, DAY_S, "seconds"), Some(600),
            "How long an agent without work is kept.";
        turn_timeout_s: u32, range(0, 7 * DAY_S, "seconds"), Some(3600),
            "How long an answer may take, without waits for a person, before it is stopped; 0: no limit.";
        first_output_timeout_s: u32, range(0, DAY_S, "seconds"), Some(180),
            "How long an agent may take to begin with a prompt before it is ended; 0: no limit.";
        silence_timeout_s: u32, range(0, DAY_S, "seconds"), Some(600),
            "How long an agent that works may say nothing before it is stopped; 0: no limit.";
        after_result_timeout_s: u32, range(0, DAY_S, "seconds"), Some(30),
            "How long an agent may take to come to rest after an answer before it is ended; 0: no limit.";
        max_processes: u32, range(1, 1000, "processes"), Some(4),
            "How many agents run at once; further prompts wait.";
        model: String, TextRule::Model, None,
            "Model that the agent uses; without it the agent's own choice.";
        permission_mode: PermissionMode, (), Some(PermissionMode::default()),
            "How much the agent asks before it acts.";
        modes: Vec<PermissionMode>, (), Some(vec![
            PermissionMode::Default,
            PermissionMode::AcceptEdits,
            PermissionMode::Plan,
        ]),
            "Permission modes that people may choose for their conversation, by /mode.";
        approval_timeout_s: u32, range(1, 7 * DAY_S, "seconds"), Some(600),
            "How long a question of the agent waits for an answer before it counts as denied.";
        who_approves: Approvers, (), Some(Approvers::default()),
            "Who may answer the agent's questions.";
        output_limit_mb: u32, range(1, 65_536, "megabytes"), Some(256),
            "Most output of one agent process.";
    }
    approvals: Approvals {
        allow: Vec<Rule>, RuleList::Allow, Some(Vec::new()),
            "Rules for what agents do without a question.";
        ask: Vec<Rule>, RuleList::Other, Some(Vec::new()),
            "Rules for what agents ask for in every permission mode.";
        deny: Vec<Rule>, RuleList::Other, Some(Vec::new()),
            "Rules for what agents may not do at all.";
        profiles: BTreeMap<Profile, Lists>, (), Some(BTreeMap::new()),
            "The same three lists for those whose agents have a profile, by its name.";
        people: BTreeMap<i64, Lists>, (), Some(BTreeMap::new()),
            "The same three lists by the id of a person or chat. Of all levels a denial goes first, then a question.";
    }
    state: State {
        directory: PathBuf, "/var/lib/telexd", Some(PathBuf::from("/var/lib/telexd")),
            "Database, run directories, files that people sent.";
    }
    batching: Batching {
        first_ms: u32, range(0, 60_000, "milliseconds"), Some(1_000),
            "How long a first message waits for a second.";
        idle_ms: u32, range(0, 60_000, "milliseconds"), Some(4_000),
            "How long the newest of several messages waits for another.";
        max_ms: u32, range(0, 600_000, "milliseconds"), Some(30_000),
            "How long messages are collected at most.";
        parts_ms: u32, range(0, 10_000, "milliseconds"), Some(1_500),
            "How long the rest of an album, of a text that was cut and of what is forwarded together is waited for, for everybody.";
        max_parts: u32, range(1, 1_000, "messages"), Some(100),
            "Most messages of one prompt; further ones begin the next.";
        max_kb: u32, range(16, 4_000, "kilobytes"), Some(256),
            "Most text of one prompt; further messages begin the next.";
    }
    features: Features {
        batching: Flag, (), Some(Flag::On),
            "Whether messages in quick succession become one prompt.";
        stop_button: Flag, (), Some(Flag::On),
            "Whether a button that stops it is below an answer that is being written.";
        queue_buttons: Flag, (), Some(Flag::On),
            "Whether messages that wait have buttons to run them next and to drop them.";
        permission_buttons: Flag, (), Some(Flag::On),
            "Whether questions of agents have buttons to answer them by.";
        files: Flag, (), Some(Flag::On),
            "Whether files are taken and given to the agent.";
        voice: Flag, (), Some(Flag::On),
            "Whether voice is turned into text, where files.transcriber is set.";
        drafts: Flag, (), Some(Flag::Off),
            "Whether an answer in a private chat is one of Telegram's drafts while it is written.";
        show_thinking: Flag, (), Some(Flag::Off),
            "Whether what the agent thinks is shown while it does; it is no part of the answer.";
    }
    answers: Answers {
        clock_s: u32, range(0, 3600, "seconds"), Some(10),
            "How often an answer that is being written says anew how long it takes, where nothing else is to be shown; 0: never.";
        file_after_messages: u32, range(0, 100, "messages"), Some(5),
            "Beyond how many messages of an answer its long code goes as files; 0: never.";
    }
    queue: Queue {
        mode: Busy, (), Some(Busy::default()),
            "What a message does that comes while the agent works: queue, interrupt or steer.";
    }
    conversation: Conversation {
        stop_word: String, TextRule::Word, None,
            "Word that stops what runs, alone in a message, in capitals or not; without it only /interrupt and the button do.";
    }
    files: Files {
        keep_days: u32, range(1, 3650, "days"), Some(30),
            "How long files that people sent are kept.";
        quota_mb: u32, range(1, 1_000_000, "megabytes"), Some(500),
            "Most that the files of one conversation take; beyond that the oldest are deleted.";
        transcriber: Vec<String>, (), None,
            "Program, with arguments, that makes text of voice; the path of the recording is added.";
        transcriber_timeout_s: u32, range(1, 3600, "seconds"), Some(120),
            "How long it may take for one recording.";
    }
    messages: Messages {
        stale_after_s: u32, range(1, 365 * DAY_S, "seconds"), Some(600),
            "From which age on a message is not run without asking.";
        per_minute: u32, range(0, 100_000, "messages"), Some(120),
            "How many messages of a person within a minute become prompts; those beyond are kept until their person says so; 0: all.";
        translation: PathBuf, "/etc/telexd/de.toml", None,
            "File with what people are told in another language; without it English.";
    }
    log: Log {
        level: LogLevel, (), Some(LogLevel::default()),
            "From which importance on something is logged; from debug on, texts of people are.";
    }
    health: Health {
        listen: Listen, (), None,
            "Where it can be asked over HTTP how telexd is, without telexd-health.socket: HOST:PORT of this machine or unix:PATH.";
        write_ms: u32, range(1, 600_000, "milliseconds"), Some(1_000),
            "How long a write to the database may take.";
        queue_s: u32, range(1, 30 * DAY_S, "seconds"), Some(1_800),
            "How long a prompt may wait for an agent.";
        disk_free_mb: u32, range(0, 1_000_000, "megabytes"), Some(500),
            "Least room on the disk of the state directory.";
        out_of_memory: u32, range(0, 1_000, "agents"), Some(2),
            "How many agents may run out of memory within an hour.";
    }
    alerts: Alerts {
        enabled: bool, (), Some(true),
            "Whether administrators are told in Telegram of what is not well, once, and once when it is over.";
        off: Vec<Alert>, (), Some(Vec::new()),
            "What they are not told of.";
        quiet: Quiet, (), None,
            "Hours in which only what is urgent is told, like 22:00-07:00; the rest is told in one message after them.";
        time_zone: String, TextRule::TimeZone, None,
            "Time zone of these hours and of the times that are told; without it the machine's.";
    }
    dbus: Dbus {
        bus: Bus, (), Some(Bus::default()),
            "On which bus the administrative interface is.";
    }
    delivery: Delivery {
        chat_interval_ms: u32, range(0, 60_000, "milliseconds"), Some(1_000),
            "Least time between two calls for the same chat.";
        group_per_minute: u32, range(1, 1000, "calls"), Some(20),
            "Most calls for one group in a minute.";
        overall_per_second: u32, range(1, 1000, "calls"), Some(30),
            "Most calls for all chats in a second.";
    }
}
