//! Command line and environment of the CLI.

use std::path::PathBuf;

use super::rules;
use crate::{
    core::ids::RunId,
    gateway::ports::{Launch, Spec, VersionGate},
};

/// Oldest version that may run: the first to honour `client_composed`. Older ones take the field silently and
/// still read every `@path` of a chat message into the prompt, past all permissions.
const OLDEST: (u64, u64, u64) = (2, 1, 248);

/// Tools that the model is not offered: those that reach other sessions of the same account, those that act when
/// nobody waits for it, and those that leave the working directory.
const DISALLOWED_TOOLS: &str = "ListAgents,SendMessage,CronCreate,CronDelete,CronList,ScheduleWakeup,EnterWorktree,ExitWorktree,Workflow,Monitor";

/// Variables of every run. Keys and logins are not among them: they come from the environment file, which only
/// the supervisor reads.
///
/// `API_TIMEOUT_MS` is not set: it would also cut requests that are not streamed, whose first byte comes last.
/// `CLAUDE_CODE_RESUME_INTERRUPTED_TURN` is not set: whether a lost turn runs again is the gateway's decision.
const ENVIRONMENT: [(&str, &str); 10] = [
    // No traffic but to the model's service.
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    // Tells when nothing more is to come of a turn.
    ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
    // Joins what is streamed within half a second into one line.
    ("CLAUDE_CODE_STREAM_EVENT_HOLD_MS", "500"),
    // The default of 10 keeps a person with a wrong key waiting for three minutes.
    ("CLAUDE_CODE_MAX_RETRIES", "3"),
    // A stream that stands still is cut after 15 s; without this after 5 min.
    ("CLAUDE_ENABLE_BYTE_WATCHDOG", "1"),
    ("CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS", "15000"),
    // A refusal to start is told on the output, not only on stderr.
    ("CLAUDE_CODE_STARTUP_FAILURE_RESULTS", "1"),
];

/// How the CLI is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaudeConfig {
    /// Name, searched in `PATH`, or path of the program.
    pub command: String,
    /// Directory that the agent works in.
    pub directory: PathBuf,
    /// File with `NAME=value` lines for the agent alone (API key or login); read by the supervisor.
    pub environment_file: Option<PathBuf>,
    /// Whether the project's own settings, `CLAUDE.md` and hooks count. They can run any command without being asked.
    pub trust_project: bool,
    /// Model, by alias or name; the CLI's default where absent.
    pub model: Option<String>,
    /// Most bytes of output of one run; 0 for no limit.
    pub output_limit: u64,
}

pub(super) fn spec(config: &ClaudeConfig, run: &RunId, launch: &Launch) -> Spec {
    Spec {
        run: run.clone(),
        argv: argv(config, launch),
        env: ENVIRONMENT
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        environment_file: config.environment_file.clone(),
        directory: config.directory.clone(),
        version_gate: Some(VersionGate {
            args: vec!["--version".to_owned()],
            oldest: OLDEST,
        }),
        output_limit: config.output_limit,
        profile: launch.profile.clone(),
        inbox: launch.inbox.clone(),
    }
}

fn argv(config: &ClaudeConfig, launch: &Launch) -> Vec<String> {
    let session = if launch.resume {
        "--resume"
    } else {
        "--session-id"
    };
    let mut argv: Vec<String> = [
        config.command.as_str(),
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool",
        "stdio",
    ]
    .map(str::to_owned)
    .into();
    // `--flag=value` wherever the value is not ours: one that begins with a dash would else be read as a flag.
    argv.push(format!("{session}={}", launch.session_id));
    argv.extend(["--setting-sources".to_owned(), setting_sources(config)]);
    argv.push("--strict-mcp-config".to_owned());
    argv.extend(["--disallowedTools".to_owned(), DISALLOWED_TOOLS.to_owned()]);
    if let Some(inbox) = &launch.inbox {
        // `//` begins an absolute path. To be read without a question, not to be written.
        let folder = inbox.to.display();
        argv.push(format!("--allowedTools=Read(/{folder}/**)"));
    }
    argv.extend(rules::argument(&launch.rules));
    if let Some(model) = &config.model {
        argv.push(format!("--model={model}"));
    }
    argv.push(format!("--permission-mode={}", launch.mode.as_str()));
    argv
}

/// Without a terminal the CLI asks nobody whether it may trust a project: hooks and servers that its files name are
/// simply started. So no settings file counts (which leaves out `CLAUDE.md` too), or, where the administrator
/// trusts the project, exactly its own shared ones: not `user`, which is another account's matter, and not
/// `local`, which stands in no version control.
fn setting_sources(config: &ClaudeConfig) -> String {
    if config.trust_project {
        "project".to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::core::{
        approval::rules::{Lists, Rule},
        mode::PermissionMode,
    };

    fn config() -> ClaudeConfig {
        ClaudeConfig {
            command: "claude".to_owned(),
            directory: "/srv/project".into(),
            environment_file: None,
            trust_project: false,
            model: None,
            output_limit: 0,
        }
    }

    fn launch(resume: bool) -> Launch {
        Launch {
            session_id: Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0001),
            resume,
            mode: PermissionMode::default(),
            profile: crate::core::profile::Profile::default(),
            inbox: None,
            rules: Lists::default(),
        }
    }

    #[test]
    fn a_first_run_begins_a_session() {
        let spec = spec(&config(), &RunId::from_random([1; 16]), &launch(false));
        assert_eq!(
            spec.argv,
            [
                "claude",
                "-p",
                "--input-format",
                "stream-json",
                "--output-format",
                "stream-json",
                "--verbose",
                "--include-partial-messages",
                "--permission-prompt-tool",
                "stdio",
                "--session-id=00000000-0000-4000-8000-000000000001",
                "--setting-sources",
                "",
                "--strict-mcp-config",
                "--disallowedTools",
                "ListAgents,SendMessage,CronCreate,CronDelete,CronList,ScheduleWakeup,EnterWorktree,ExitWorktree,Workflow,Monitor",
                "--permission-mode=default",
            ]
        );
        assert_eq!(spec.run, RunId::from_random([1; 16]));
        assert_eq!(spec.directory, PathBuf::from("/srv/project"));
        assert_eq!(spec.environment_file, None);
        assert_eq!(spec.output_limit, 0);
    }

    #[test]
    fn a_trusted_project_with_everything_set_is_resumed() {
        let config = ClaudeConfig {
            command: "/opt/claude".to_owned(),
            environment_file: Some("/etc/telexd/agent.env".into()),
            trust_project: true,
            model: Some("--dangerously-skip-permissions".to_owned()),
            output_limit: 1 << 30,
            ..config()
        };
        let launch = Launch {
            mode: PermissionMode::AcceptEdits,
            rules: Lists {
                deny: vec![Rule::read("WebSearch").unwrap()],
                ..Lists::default()
            },
            ..launch(true)
        };
        let spec = spec(&config, &RunId::from_random([1; 16]), &launch);
        assert_eq!(
            spec.argv[10..],
            [
                "--resume=00000000-0000-4000-8000-000000000001",
                "--setting-sources",
                "project",
                "--strict-mcp-config",
                "--disallowedTools",
                "ListAgents,SendMessage,CronCreate,CronDelete,CronList,ScheduleWakeup,EnterWorktree,ExitWorktree,Workflow,Monitor",
                "--settings={\"permissions\":{\"ask\":[],\"deny\":[\"WebSearch\"]}}",
                "--model=--dangerously-skip-permissions",
                "--permission-mode=acceptEdits",
            ]
        );
        assert_eq!(spec.argv[0], "/opt/claude");
        assert_eq!(
            spec.environment_file,
            Some(PathBuf::from("/etc/telexd/agent.env"))
        );
        assert_eq!(spec.output_limit, 1 << 30);
    }

    #[test]
    fn the_environment_is_what_was_measured_and_holds_no_secret() {
        let spec = spec(&config(), &RunId::from_random([1; 16]), &launch(false));
        let env: Vec<(&str, &str)> = spec
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            env,
            [
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
                ("DISABLE_AUTOUPDATER", "1"),
                ("DISABLE_TELEMETRY", "1"),
                ("DISABLE_ERROR_REPORTING", "1"),
                ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
                ("CLAUDE_CODE_STREAM_EVENT_HOLD_MS", "500"),
                ("CLAUDE_CODE_MAX_RETRIES", "3"),
                ("CLAUDE_ENABLE_BYTE_WATCHDOG", "1"),
                ("CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS", "15000"),
                ("CLAUDE_CODE_STARTUP_FAILURE_RESULTS", "1"),
            ]
        );
    }

    #[test]
    fn versions_that_read_files_named_in_chat_are_refused() {
        let spec = spec(&config(), &RunId::from_random([1; 16]), &launch(false));
        assert_eq!(
            spec.version_gate,
            Some(VersionGate {
                args: vec!["--version".to_owned()],
                oldest: (2, 1, 248),
            })
        );
    }
}
