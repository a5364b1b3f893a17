//! The settings as the program uses them: complete, checked and typed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use url::{Host, Url};

use crate::core::{
    alerts::{Alert, Quiet},
    approval::rules::{Lists, Rule, Rules},
    batching::WindowRule,
    busy::Busy,
    flag::Features,
    ip::IpVersion,
    policy::{Access, Approvers},
    profile::Profiles,
};

use super::{
    choices::{Bus, Launcher, LogLevel, PermissionMode},
    fragments::{Found, Fragment},
    inputs::Inputs,
    listen::Listen,
    problem::{Origin, Problem},
    token::Token,
};

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bot API.
    pub telegram: Telegram,
    /// Who may do what.
    pub access: Access,
    /// Whether strangers may ask to be let in.
    pub pairing: bool,
    /// Who is given which profile of agents.
    pub profiles: Profiles,
    /// Agents.
    pub agent: Agent,
    /// What they may do, and what is asked.
    pub rules: Rules,
    /// Database and run directories.
    pub state_directory: PathBuf,
    /// Batching window.
    pub batching: WindowRule,
    /// What is switched on for whom.
    pub features: Features,
    /// How answers look.
    pub answers: Answers,
    /// What a message does that comes while the agent works.
    pub busy: Busy,
    /// Word that stops what runs, alone in a message.
    pub stop_word: Option<String>,
    /// From which age on a message is not run without asking.
    pub stale_after: Duration,
    /// How many messages of a person become prompts within a minute; 0: all.
    pub messages_per_minute: u32,
    /// File with what people are told in another language.
    pub translation: Option<PathBuf>,
    /// From which importance on something is logged.
    pub log_level: LogLevel,
    /// How it stands: where it is told, and what is not well any more.
    pub health: Health,
    /// What administrators are told without having asked.
    pub alerts: Alerts,
    /// On which bus the administrative interface is.
    pub bus: Bus,
    /// Pace of what is sent.
    pub delivery: Delivery,
    /// Files that people send.
    pub files: Files,
}

/// Bot API.
#[derive(Clone, Debug)]
pub struct Telegram {
    /// Token of the bot.
    pub token: Token,
    /// Address of the API, without the token.
    pub api_url: Url,
    /// How long one poll waits for messages; 1 to 50 s.
    pub poll_timeout: Duration,
    /// Proxy, if any.
    pub proxy: Option<Url>,
    /// Where its login is to be read, if a file is named.
    pub proxy_login_file: Option<PathBuf>,
    /// Version of IP.
    pub ip: IpVersion,
    /// Where a Bot API server on this machine keeps its files, if it tells their paths.
    pub local_files: Option<PathBuf>,
}

/// Agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Program: a name or an absolute path.
    pub command: String,
    /// Working directory, absolute. Not checked to be there: the agent's user may see what the daemon does not.
    pub directory: PathBuf,
    /// How agents are started.
    pub launcher: Launcher,
    /// File with `NAME=value` lines, absolute; for the direct launcher.
    pub environment_file: Option<PathBuf>,
    /// Whether the project's own settings and hooks are used.
    pub trust_project: bool,
    /// How long an agent without work is kept.
    pub idle_timeout: Duration,
    /// How long a turn may take; zero: no limit.
    pub turn_timeout: Duration,
    /// How long until the first sign that it has begun; zero: no limit.
    pub first_output_timeout: Duration,
    /// How long nothing may be said while it works; zero: no limit.
    pub silence_timeout: Duration,
    /// How long from the last word to the agent's rest; zero: no limit.
    pub after_result_timeout: Duration,
    /// How many run at once, at least 1.
    pub max_processes: usize,
    /// Model, where not the agent's own choice.
    pub model: Option<String>,
    /// How much the agent asks.
    pub permission_mode: PermissionMode,
    /// Which modes people may choose.
    pub modes: Vec<PermissionMode>,
    /// How long a question waits before it counts as denied.
    pub approval_timeout: Duration,
    /// Who may answer questions.
    pub approvers: Approvers,
    /// Most output of one process, in bytes.
    pub output_limit: u64,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it is told over HTTP, besides at the sockets that systemd passes.
    pub listen: Option<Listen>,
    /// How long a write may take.
    pub write: Duration,
    /// How long a prompt may wait for an agent.
    pub queue: Duration,
    /// Least room on the disk, in bytes.
    pub disk_free: u64,
    /// How many agents may run out of memory within an hour.
    pub out_of_memory: u32,
}

/// What administrators are told without having asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    /// What is not told.
    pub off: BTreeSet<Alert>,
    /// In which hours only what is urgent is.
    pub quiet: Option<Quiet>,
    /// Name of the time zone of these hours; `None`: the machine's.
    pub time_zone: Option<String>,
}

/// Pace of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Least time between two calls for the same chat.
    pub chat_interval: Duration,
    /// Most calls for one group in a minute, at least 1.
    pub group_per_minute: u32,
    /// Most calls for all chats in a second, at least 1.
    pub overall_per_second: u32,
}

/// How answers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers {
    /// How often a running answer says anew how long it takes; zero: never.
    pub clock: Duration,
    /// Beyond how many messages of an answer its long code goes as files; 0: never.
    pub file_after: usize,
}

/// Files that people send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// How long they are kept.
    pub keep: Duration,
    /// Most that those of one conversation take, in bytes.
    pub quota: u64,
    /// Program and arguments that make text of voice.
    pub transcriber: Option<Vec<String>>,
    /// How long that may take for one recording.
    pub transcriber_timeout: Duration,
}

/// Settings of which only the token is missing, with what is questionable about them.
pub(super) struct Draft {
    fragment: Fragment,
    agent_directory: PathBuf,
}

impl Draft {
    /// Checks what no single key can tell. Pushes problems and warnings; `None` only where there is a problem.
    pub(super) fn new(file: &Path, inputs: &mut Inputs) -> Option<Self> {
        let fragment = inputs.merged.clone();
        let contradictions = contradictions(file, inputs);
        inputs.problems.extend(contradictions);
        inputs.warnings.extend(doubts(file, &fragment));
        let Some(directory) = &fragment.agent.directory else {
            if !inputs.may_mean("agent", "directory") {
                inputs.problems.push(
                    Problem::of_file(
                        file,
                        "is not set",
                        "say where the agent works: directory = \"/srv/project\" under [agent]",
                    )
                    .with_key("agent.directory"),
                );
            }
            return None;
        };
        let agent_directory = directory.value.clone();
        inputs.problems.is_empty().then_some(Self {
            fragment,
            agent_directory,
        })
    }

    /// The settings with their token. `None` if a key without a value has no default, which [`Fragment::defaults`]
    /// does not allow.
    pub(super) fn with_token(self, token: Token) -> Option<Settings> {
        let Fragment {
            telegram,
            access,
            agent,
            approvals,
            state,
            batching,
            features,
            answers,
            queue,
            conversation,
            files,
            messages,
            log,
            health,
            alerts,
            dbus,
            delivery,
        } = self.fragment;
        let window = WindowRule {
            first_ms: batching.first_ms?.value,
            idle_ms: batching.idle_ms?.value,
            max_ms: batching.max_ms?.value,
            parts_ms: batching.parts_ms?.value,
            max_parts: batching.max_parts?.value,
            // Within a range that fits many times.
            max_bytes: batching.max_kb?.value * 1_000,
        };
        Some(Settings {
            telegram: Telegram {
                token,
                api_url: telegram.api_url?.value,
                poll_timeout: seconds(&telegram.poll_timeout_s?),
                proxy: telegram.proxy.map(|found| found.value.url().clone()),
                proxy_login_file: telegram.proxy_login_file.map(|found| found.value),
                ip: telegram.ip?.value,
                local_files: telegram.local_files.map(|found| found.value),
            },
            access: Access::new(access.admins?.value, access.users?.value),
            pairing: access.pairing?.value,
            profiles: Profiles {
                standard: agent.profile?.value,
                of: access.profiles?.value,
            },
            agent: Agent {
                command: agent.command?.value,
                directory: self.agent_directory,
                launcher: agent.launcher?.value,
                environment_file: agent.environment_file.map(|found| found.value),
                trust_project: agent.trust_project?.value,
                idle_timeout: seconds(&agent.idle_timeout_s?),
                turn_timeout: seconds(&agent.turn_timeout_s?),
                first_output_timeout: seconds(&agent.first_output_timeout_s?),
                silence_timeout: seconds(&agent.silence_timeout_s?),
                after_result_timeout: seconds(&agent.after_result_timeout_s?),
                max_processes: usize::try_from(agent.max_processes?.value).ok()?,
                model: agent.model.map(|found| found.value),
                permission_mode: agent.permission_mode?.value,
                modes: agent.modes?.value,
                approval_timeout: seconds(&agent.approval_timeout_s?),
                approvers: agent.who_approves?.value,
                output_limit: u64::from(agent.output_limit_mb?.value) * 1_000_000,
            },
            rules: Rules {
                all: Lists {
                    allow: approvals.allow?.value,
                    ask: approvals.ask?.value,
                    deny: approvals.deny?.value,
                },
                profiles: approvals.profiles?.value,
                of: approvals.people?.value,
            },
            state_directory: state.directory?.value,
            batching: window,
            features: Features {
                batching: features.batching?.value,
                stop_button: features.stop_button?.value,
                queue_buttons: features.queue_buttons?.value,
                permission_buttons: features.permission_buttons?.value,
                files: features.files?.value,
                voice: features.voice?.value,
                drafts: features.drafts?.value,
                show_thinking: features.show_thinking?.value,
            },
            files: Files {
                keep: Duration::from_secs(u64::from(files.keep_days?.value) * 24 * 60 * 60),
                quota: u64::from(files.quota_mb?.value) * 1_000_000,
                transcriber: files.transcriber.map(|found| found.value),
                transcriber_timeout: seconds(&files.transcriber_timeout_s?),
            },
            answers: Answers {
                clock: seconds(&answers.clock_s?),
                file_after: usize::try_from(answers.file_after_messages?.value).ok()?,
            },
            busy: queue.mode?.value,
            stop_word: conversation.stop_word.map(|found| found.value),
            stale_after: seconds(&messages.stale_after_s?),
            messages_per_minute: messages.per_minute?.value,
            translation: messages.translation.map(|found| found.value),
            log_level: log.level?.value,
            health: Health {
                listen: health.listen.map(|found| found.value),
                write: Duration::from_millis(health.write_ms?.value.into()),
                queue: seconds(&health.queue_s?),
                disk_free: u64::from(health.disk_free_mb?.value) * 1_000_000,
                out_of_memory: health.out_of_memory?.value,
            },
            alerts: Alerts {
                off: if alerts.enabled?.value {
                    alerts.off?.value.into_iter().collect()
                } else {
                    Alert::ALL.into()
                },
                quiet: alerts.quiet.map(|found| found.value),
                time_zone: alerts.time_zone.map(|found| found.value),
            },
            bus: dbus.bus?.value,
            delivery: Delivery {
                chat_interval: Duration::from_millis(delivery.chat_interval_ms?.value.into()),
                group_per_minute: delivery.group_per_minute?.value,
                overall_per_second: delivery.overall_per_second?.value,
            },
        })
    }
}

fn seconds(found: &Found<u32>) -> Duration {
    Duration::from_secs(found.value.into())
}

/// A problem at the line that set one of these keys: the first that was set at all.
pub(super) fn located(
    file: &Path,
    origins: &[&Origin],
    key: &str,
    what: String,
    remedy: &str,
) -> Problem {
    let set = origins.iter().find_map(|origin| match origin {
        Origin::File { file, line } => Some((file, *line)),
        Origin::Default | Origin::RunTime => None,
    });
    match set {
        Some((file, line)) => Problem::of_file(file, what, remedy).at_line(line),
        None => Problem::of_file(file, what, remedy),
    }
    .with_key(key)
}

/// What contradicts each other.
fn contradictions(file: &Path, inputs: &Inputs) -> Vec<Problem> {
    let mut problems = batching(file, inputs);
    let agent = &inputs.merged.agent;
    if let (Some(mode), Some(modes)) = (&agent.permission_mode, &agent.modes)
        && mode.value == PermissionMode::BypassPermissions
        && mode.origin == Origin::RunTime
        && !modes.value.contains(&mode.value)
    {
        problems.push(located(
            file,
            &[],
            "agent.permission_mode",
            "may be \"bypassPermissions\" by the files only".to_owned(),
            "set it in a file, or list it there in agent.modes",
        ));
    }
    problems
}

/// What contradicts each other in the windows of batching.
fn batching(file: &Path, inputs: &Inputs) -> Vec<Problem> {
    let batching = &inputs.merged.batching;
    let parts = [
        ("batching.first_ms", &batching.first_ms),
        ("batching.idle_ms", &batching.idle_ms),
    ];
    // A default that stands in for a value that was refused contradicts nobody.
    if ["first_ms", "idle_ms", "max_ms"]
        .iter()
        .any(|name| inputs.may_mean("batching", name))
    {
        return Vec::new();
    }
    parts
        .into_iter()
        .filter_map(|(key, part)| {
            let (part, most) = (part.as_ref()?, batching.max_ms.as_ref()?);
            (part.value > most.value).then(|| {
                located(
                    file,
                    &[&part.origin, &most.origin],
                    key,
                    format!(
                        "{} is more than batching.max_ms, {}",
                        part.value, most.value
                    ),
                    "lower it, or raise max_ms",
                )
            })
        })
        .collect()
}

/// What is allowed but probably not meant.
fn doubts(file: &Path, fragment: &Fragment) -> Vec<Problem> {
    let mut doubts = Vec::new();
    if let (Some(admins), Some(users)) = (&fragment.access.admins, &fragment.access.users)
        && admins.value.is_empty()
        && users.value.is_empty()
    {
        doubts.push(located(
            file,
            &[&admins.origin, &users.origin],
            "access.admins",
            "nobody may use the bot".to_owned(),
            "list your Telegram user id: admins = [1001] under [access]",
        ));
    }
    if let Some(url) = &fragment.telegram.api_url
        && url.value.scheme() == "http"
        && !on_this_machine(&url.value)
    {
        doubts.push(located(
            file,
            &[&url.origin],
            "telegram.api_url",
            "the bot token would travel through the network unencrypted".to_owned(),
            "use https",
        ));
    }
    if let Some(mode) = &fragment.agent.permission_mode
        && mode.value == PermissionMode::BypassPermissions
    {
        doubts.push(located(
            file,
            &[&mode.origin],
            "agent.permission_mode",
            "the agent asks nobody before it acts".to_owned(),
            "be sure that its user may do no harm",
        ));
    }
    doubts.extend(unasked(file, fragment));
    if let (Some(environment), Some(launcher)) =
        (&fragment.agent.environment_file, &fragment.agent.launcher)
        && launcher.value == Launcher::Systemd
    {
        doubts.push(located(
            file,
            &[&environment.origin],
            "agent.environment_file",
            "is not used with launcher = \"systemd\"".to_owned(),
            "give the agent's unit LoadCredential= instead: systemctl edit telexd-agent@.service",
        ));
    }
    if let (Some(profiles), Some(profile), Some(launcher)) = (
        &fragment.access.profiles,
        &fragment.agent.profile,
        &fragment.agent.launcher,
    ) && launcher.value == Launcher::Direct
    {
        const REMEDY: &str =
            "whoever has a profile gets no agent: take it away, or start agents by systemd";
        let what = || "has no meaning with launcher = \"direct\"".to_owned();
        if profiles.value.values().any(|p| !p.is_standard()) {
            let origins = [&profiles.origin, &launcher.origin];
            doubts.push(located(file, &origins, "access.profiles", what(), REMEDY));
        }
        if !profile.value.is_standard() {
            let origins = [&profile.origin, &launcher.origin];
            doubts.push(located(file, &origins, "agent.profile", what(), REMEDY));
        }
    }
    if let (Some(agent), Some(state)) = (&fragment.agent.directory, &fragment.state.directory)
        && agent.value.starts_with(&state.value)
    {
        doubts.push(located(
            file,
            &[&agent.origin],
            "agent.directory",
            format!(
                "the agent would work inside the daemon's own state, {}",
                state.value.display()
            ),
            "keep the two apart",
        ));
    }
    doubts
}

/// Rules by which every command is run without a question.
fn unasked(file: &Path, fragment: &Fragment) -> Vec<Problem> {
    let every = |lists: &Lists| lists.allow.iter().any(Rule::is_every_command);
    let approvals = &fragment.approvals;
    let mut doubts = Vec::new();
    let mut doubt = |key, origin: &Origin| {
        doubts.push(located(
            file,
            &[origin],
            key,
            "every command is run without a question".to_owned(),
            "name commands, like \"Bash(git status:*)\", or be sure that the agent's user may do no harm",
        ));
    };
    if let Some(found) = &approvals.allow
        && found.value.iter().any(Rule::is_every_command)
    {
        doubt("approvals.allow", &found.origin);
    }
    if let Some(found) = &approvals.profiles
        && found.value.values().any(every)
    {
        doubt("approvals.profiles", &found.origin);
    }
    if let Some(found) = &approvals.people
        && found.value.values().any(every)
    {
        doubt("approvals.people", &found.origin);
    }
    doubts
}

fn on_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
