//! What the rooms are given of the settings.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};

use super::Misconfigured;
use crate::{
    config::{self, Settings},
    core::tally::Tally,
    core::{
        Millis,
        clock::ClockRule,
        files::{LARGEST, LARGEST_LOCAL},
        limits,
        mode::Modes,
        pace::Pace,
    },
    gateway::{
        self, BotName,
        files::{FilesConfig, Transcriber},
        ports::Clock,
    },
    telegram::{
        BotToken,
        client::{Client, ClientOptions, Proxy},
        delivery::pacing::PacingRule,
    },
};

/// Between the agent's own interrupt and the order to end.
const INTERRUPT_GRACE: Millis = 2000;

/// The way to Telegram; what goes wrong there is counted.
///
/// # Errors
/// What an administrator has to mend.
pub(super) fn client(settings: &Settings, tally: &Tally, clock: &Arc<dyn Clock>) -> Result<Client> {
    let token = BotToken::new(settings.telegram.token.expose())
        .map_err(|cause| Misconfigured(format!("the bot token is not one: {cause}")))?;
    let mut options = ClientOptions::new(settings.telegram.api_url.clone());
    options.poll_timeout = settings.telegram.poll_timeout;
    options.counts = tally.clone();
    options.ip = settings.telegram.ip;
    options
        .local_files
        .clone_from(&settings.telegram.local_files);
    if let Some(address) = &settings.telegram.proxy {
        let named = settings.telegram.proxy_login_file.as_deref();
        let login = config::proxy::login(named, &config::Surroundings::of_process())
            .map_err(|problem| Misconfigured(problem.to_string()))?;
        options.proxy = Some(Proxy {
            address: address.clone(),
            login: login.map(|login| (login.user, login.password)),
        });
    }
    Client::new(token, &options, Arc::clone(clock)).context("cannot set up HTTP")
}

/// For the gateway.
pub(super) fn gateway_config(
    settings: &Settings,
    let_in: &BTreeSet<i64>,
    bot_name: BotName,
) -> gateway::Config {
    gateway::Config {
        access: settings.access.clone().with_paired(let_in.clone()),
        pairing: settings.pairing,
        profiles: settings.profiles.clone(),
        approvers: settings.agent.approvers,
        rules: settings
            .rules
            .clone()
            .below(&settings.agent.directory.to_string_lossy()),
        bot_name,
        stale_after: millis(settings.stale_after),
        messages: messages_pace(settings.messages_per_minute),
        batching: settings.batching,
        features: settings.features.clone(),
        idle_timeout: millis(settings.agent.idle_timeout),
        max_processes: settings.agent.max_processes,
        approval_timeout: millis(settings.agent.approval_timeout),
        modes: Modes {
            standard: settings.agent.permission_mode,
            choices: settings.agent.modes.clone(),
        },
        limits: turn_limits(&settings.agent),
        interrupt_grace: INTERRUPT_GRACE,
        clock: ClockRule {
            every_ms: millis(settings.answers.clock),
        },
        busy: settings.busy,
        stop_word: settings.stop_word.as_ref().map(|word| word.to_lowercase()),
        files: FilesConfig {
            keep: settings.files.keep,
            quota: settings.files.quota,
            largest: if settings.telegram.local_files.is_some() {
                LARGEST_LOCAL
            } else {
                LARGEST
            },
            transcriber: settings
                .files
                .transcriber
                .clone()
                .map(|command| Transcriber {
                    command,
                    limit: settings.files.transcriber_timeout,
                }),
        },
    }
}

/// `per_minute`: 0 for no limit.
fn messages_pace(per_minute: u32) -> Option<Pace> {
    let burst = Millis::from(per_minute);
    (burst > 0).then(|| Pace {
        every_ms: (60_000 / burst).max(1),
        burst,
    })
}

fn turn_limits(agent: &config::Agent) -> limits::Limits {
    let limit = |length: Duration| (!length.is_zero()).then(|| millis(length));
    limits::Limits {
        turn: limit(agent.turn_timeout),
        first_output: limit(agent.first_output_timeout),
        silence: limit(agent.silence_timeout),
        after_result: limit(agent.after_result_timeout),
    }
}

/// For the delivery.
pub(super) fn pacing(settings: &Settings) -> PacingRule {
    PacingRule {
        chat_interval_ms: u32::try_from(settings.delivery.chat_interval.as_millis())
            .unwrap_or(u32::MAX),
        group_per_minute: settings.delivery.group_per_minute,
        overall_per_second: settings.delivery.overall_per_second,
        ..PacingRule::default()
    }
}

/// As the clock counts.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
