//! Puts the rooms together: what is built in which order, and what stops in which.
//!
//! Start: store, runner, gateway (takes up what an earlier life left), delivery, intake. Nothing waits for the
//! network. Stop: intake and gateway first, so that nothing new is taken; then what is due is sent, for a moment;
//! then the store. Agents are never stopped: they go on and are taken up by the next start.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use crate::{
    agent::claude::{Claude, ClaudeConfig},
    alert,
    cli::Word,
    config::{Contacts, Launcher, Settings},
    core::{
        Millis,
        backoff::{Backoff, BackoffRule},
        batching::WindowRule,
        command,
        ids::RunId,
        messages,
        policy::Role,
        trouble::CallClass,
    },
    gateway::{
        self, BotName, Deps,
        handle::Gateway,
        ports::{Clock, Dice, SupervisorCommand},
        slots::Slots,
    },
    runner::{self, DirectRunner, SystemdRunner},
    store::{OpenError, Store},
    systemd::{self, log::Kinds},
    telegram::{
        BotToken,
        client::{Client, ClientOptions},
        delivery::{self, Delivery, DeliveryConfig, pacing::PacingRule},
        intake::{self, Intake, IntakeConfig, PollHealth},
        menu, presence,
        render::MarkdownRenderer,
    },
};

/// How long a stop may take all in all; what is not sent by then waits in the outbox for the next start.
const STOP_WITHIN: Duration = Duration::from_millis(4500);
/// Between the agent's own interrupt and SIGTERM.
const INTERRUPT_GRACE: Millis = 2000;
/// How long until the bot's name is asked for again after the token was refused.
const REFUSED_WAIT: Duration = Duration::from_secs(30);
/// How long an alert waits until it shows whether the unit is started again, and how long it tries to reach Telegram.
/// Together less than the unit's `TimeoutStartSec=`.
const ALERT_SETTLE: Duration = Duration::from_secs(15);
const ALERT_SEND: Duration = Duration::from_secs(60);
/// Setting under which the bot's username is kept.
const BOT_NAME: &str = "bot.username";

/// What the journal knows the messages of this program by.
pub const LOG_KINDS: Kinds = Kinds {
    id: messages::id,
    panic: messages::PANIC,
};

/// The system's time.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
    }
}

/// The system's randomness.
struct SystemDice;

impl Dice for SystemDice {
    fn run_id(&self) -> RunId {
        let mut bytes = [0; RunId::LEN];
        if let Err(cause) = getrandom::fill(&mut bytes) {
            // An id that can be guessed is worse than no daemon. Linux refuses this only before its pool is first filled.
            error!(%cause, "the system gives no randomness");
            std::process::abort();
        }
        RunId::from_random(bytes)
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// Logs what is to be said of a start.
pub fn log_word(word: &Word<'_>) {
    match word {
        Word::Doubt(doubt) => {
            warn!(path = %doubt.file.display(), "{doubt}");
        }
        Word::Refused(problems) => {
            for problem in &problems.0 {
                error!(event = messages::CONFIG_REJECTED, path = %problem.file.display(), "{problem}");
            }
        }
        Word::Failed(error) => {
            let kind = error
                .downcast_ref::<OpenError>()
                .map_or(messages::START_FAILED, OpenError::kind);
            error!(event = kind, "{error:#}");
        }
    }
}

/// Tells the administrators that a unit failed; `contacts` says whom, and by which bot.
///
/// # Errors
/// There is no runtime to do it in.
pub fn alert(contacts: Contacts, unit: &str) -> Result<alert::Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let request = alert::Request {
        unit: unit.to_owned(),
        failure: alert::report::Failure::of_process(),
        host: host.trim().to_owned(),
        contacts,
        uid: nix::unistd::getuid().as_raw(),
        // systemd names several with colons between them.
        memory: std::env::var("STATE_DIRECTORY")
            .ok()
            .and_then(|folders| folders.split(':').next().map(PathBuf::from)),
        journalctl: "journalctl".into(),
        systemctl: "systemctl".into(),
        clock: Arc::new(SystemClock),
        settle: ALERT_SETTLE,
        send: ALERT_SEND,
    };
    Ok(runtime.block_on(alert::run(request)))
}

/// Runs the daemon until SIGTERM or SIGINT. Blocks; makes its own runtime.
///
/// # Errors
/// What keeps it from running at all, with file and remedy.
pub fn run(settings: &Settings) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One: nothing here computes for long, and a prompt on its way is not handed between threads, which costs more
        // than its work. Files and the database have threads of their own.
        .worker_threads(1)
        .max_blocking_threads(4)
        .thread_name("telexd")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let done = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        // First of all, so that an order to stop that comes during a long start is not a violent end.
        stop_on_signals(shutdown.clone())?;
        // Blocks this thread: nothing else runs yet.
        let (store, _thread) = Store::open(&settings.state_directory)?;
        let supervisor = find_supervisor()?;
        serve(settings, store, supervisor, shutdown).await
    });
    // Whatever still blocks is not waited for: the store is closed by now.
    runtime.shutdown_timeout(Duration::from_millis(200));
    done
}

/// Runs the daemon on this runtime until the token is cancelled.
///
/// # Errors
/// As for [`run`].
pub async fn serve(
    settings: &Settings,
    store: Store,
    supervisor: SupervisorCommand,
    shutdown: CancellationToken,
) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let token =
        BotToken::new(settings.telegram.token.expose()).context("the bot token is not one")?;
    let mut options = ClientOptions::new(settings.telegram.api_url.clone());
    options.poll_timeout = settings.telegram.poll_timeout;
    let client = Client::new(token, &options, Arc::clone(&clock)).context("cannot set up HTTP")?;
    let bot_name = BotName::default();
    let key = bot_name_key(&client);
    if let Some(name) = store
        .tx(move |tx| tx.setting(&key))
        .await
        .context("cannot read the settings")?
    {
        bot_name.set(&name);
    }
    let by_systemd = by_systemd(settings);
    let runner = runner(settings, by_systemd, supervisor)?;
    let tasks = TaskTracker::new();
    let dice: Arc<dyn Dice> = Arc::new(SystemDice);
    let (presence, _presence_task) =
        presence::spawn(client.clone(), Arc::clone(&clock), presence::EVERY);
    let deps = Arc::new(Deps {
        store: store.clone(),
        runner: Arc::clone(&runner) as _,
        backend: Arc::new(backend(settings, by_systemd)),
        renderer: Arc::new(MarkdownRenderer),
        presence: Arc::new(presence),
        clock: Arc::clone(&clock),
        dice: Arc::clone(&dice),
        config: gateway_config(settings, bot_name.clone()),
        slots: Slots::new(settings.agent.max_processes),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
        started_at: clock.now(),
    });
    let gateway = Gateway::start(deps)
        .await
        .context("cannot take up what an earlier life left")?;
    // Told apart from the shutdown: it goes on sending while the others stop.
    let flush = CancellationToken::new();
    let delivery = Delivery {
        client: client.clone(),
        store: store.clone(),
        clock: Arc::clone(&clock),
        dice: Arc::clone(&dice),
        config: DeliveryConfig {
            pacing: pacing(settings),
            ..DeliveryConfig::default()
        },
    };
    let delivery = tokio::spawn(delivery::run(delivery, flush.clone()));
    tasks.spawn(introduce(
        client.clone(),
        store.clone(),
        bot_name,
        shutdown.clone(),
    ));
    let intake = Intake {
        client,
        store: store.clone(),
        reception: Arc::new(gateway),
        clock,
        dice,
        config: IntakeConfig::default(),
        health: watch::Sender::new(PollHealth::default()),
    };
    let intake = tokio::spawn(intake::run(intake, shutdown.clone()));
    systemd::ready();
    info!(event = messages::READY, version = env!("CARGO_PKG_VERSION"), state = %settings.state_directory.display(), "ready");

    shutdown.cancelled().await;
    systemd::stopping();
    info!("stopping; agents that run go on");
    let stopped = tokio::time::timeout(STOP_WITHIN, async {
        let _ = intake.await;
        tasks.close();
        tasks.wait().await;
        flush.cancel();
        let _ = delivery.await;
        runner.shutdown().await;
        store.close().await;
    })
    .await;
    if stopped.is_err() {
        warn!(
            event = messages::STOP_LATE,
            "not everything stopped in time; what was not sent waits for the next start"
        );
    }
    info!(event = messages::STOPPED, "stopped");
    Ok(())
}

fn gateway_config(settings: &Settings, bot_name: BotName) -> gateway::Config {
    gateway::Config {
        access: settings.access.clone(),
        profiles: settings.profiles.clone(),
        approvers: settings.agent.approvers,
        bot_name,
        stale_after: millis(settings.stale_after),
        batching: (settings.batching != WindowRule::OFF).then_some(settings.batching),
        idle_timeout: millis(settings.agent.idle_timeout),
        max_processes: settings.agent.max_processes,
        approval_timeout: millis(settings.agent.approval_timeout),
        interrupt_grace: INTERRUPT_GRACE,
    }
}

/// Whether agents are started by systemd; says so.
fn by_systemd(settings: &Settings) -> bool {
    match settings.agent.launcher {
        Launcher::Direct => {
            info!("agents are started directly, as the configuration says");
            false
        }
        Launcher::Systemd => {
            info!("agents are started by systemd, as the configuration says");
            true
        }
        Launcher::Auto => match runner::look() {
            runner::Systemd::Here(template) => {
                info!(template = %template.display(), "agents are started by systemd, which runs this machine");
                true
            }
            runner::Systemd::Not(why) => {
                info!(why, "agents are started directly");
                false
            }
        },
    }
}

fn runner(
    settings: &Settings,
    by_systemd: bool,
    supervisor: SupervisorCommand,
) -> Result<Arc<dyn runner::Service>> {
    let (state, socket) = (
        settings.state_directory.clone(),
        handoff_socket(&settings.state_directory),
    );
    if !by_systemd {
        return Ok(Arc::new(DirectRunner::new(state, socket, supervisor)?));
    }
    // Where the configuration itself says systemd, checking it has said so already.
    if settings.agent.launcher == Launcher::Auto
        && let Some(file) = &settings.agent.environment_file
    {
        warn!(
            file = %file.display(),
            "agent.environment_file is not used where agents are started by systemd; put the lines into \
             /etc/telexd/agent.env, or name the file with LoadCredential=agent-env:FILE in `systemctl edit \
             telexd-agent@.service`"
        );
    }
    Ok(Arc::new(SystemdRunner::new(state, socket)?))
}

fn backend(settings: &Settings, by_systemd: bool) -> Claude {
    let agent = &settings.agent;
    Claude::new(ClaudeConfig {
        command: agent.command.clone(),
        directory: agent.directory.clone(),
        environment_file: agent.environment_file.clone().filter(|_| !by_systemd),
        trust_project: agent.trust_project,
        model: agent.model.clone(),
        permission_mode: Some(agent.permission_mode.as_str().to_owned()),
        output_limit: agent.output_limit,
    })
}

fn pacing(settings: &Settings) -> PacingRule {
    PacingRule {
        chat_interval_ms: u32::try_from(settings.delivery.chat_interval.as_millis())
            .unwrap_or(u32::MAX),
        group_per_minute: settings.delivery.group_per_minute,
        overall_per_second: settings.delivery.overall_per_second,
        ..PacingRule::default()
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// The socket on which supervisors take their hand-off: in the runtime directory that systemd made, else with the state.
fn handoff_socket(state: &Path) -> PathBuf {
    std::env::var_os("RUNTIME_DIRECTORY")
        .map_or_else(|| state.to_owned(), PathBuf::from)
        .join("handoff.sock")
}

/// `telexd-run` stands beside this program, or where the package puts it.
fn find_supervisor() -> Result<SupervisorCommand> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = [
        folder.join("telexd-run"),
        folder.join("../libexec/telexd/telexd-run"),
    ];
    match places.iter().find(|place| place.is_file()) {
        Some(found) => Ok(SupervisorCommand {
            program: found.into(),
            args: Vec::new(),
        }),
        None => bail!(
            "telexd-run is not there: neither {} nor {}; install the package again",
            places[0].display(),
            places[1].display()
        ),
    }
}

/// Every SIGTERM or SIGINT asks for the same thing; a second one while stopping changes nothing.
fn stop_on_signals(shutdown: CancellationToken) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            shutdown.cancel();
        }
    });
    Ok(())
}

fn bot_name_key(client: &Client) -> String {
    format!("{BOT_NAME}.{}", client.bot_id())
}

/// Asks Telegram for the bot's name and tells it the commands, as soon as it can be reached.
async fn introduce(client: Client, store: Store, name: BotName, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => return,
        () = learn_name(&client, &store, &name) => {}
    }
    let told = tokio::select! {
        () = shutdown.cancelled() => return,
        told = menu::tell(&client, command::commands_for(Role::User)) => told,
    };
    if let Err(cause) = told {
        warn!(%cause, "cannot tell Telegram the commands");
    }
}

/// Asks for the bot's name until it is known.
async fn learn_name(client: &Client, store: &Store, name: &BotName) {
    let mut backoff = Backoff::new(BackoffRule::POLL);
    loop {
        let cause = match client.get_me().await {
            Ok(me) => {
                let username = me.username.unwrap_or_default();
                info!(bot = client.bot_id(), username, "Telegram knows this bot");
                name.set(&username);
                let key = bot_name_key(client);
                let now = SystemClock.now();
                if let Err(cause) = store
                    .tx(move |tx| tx.setting_set(&key, &username, now))
                    .await
                {
                    warn!(%cause, "cannot remember the bot's name");
                }
                return;
            }
            Err(cause) => cause,
        };
        // Intake meets the same trouble and tells of it as it should be told.
        debug!(%cause, "cannot ask Telegram for the bot's name yet");
        let wait = Duration::from_millis(backoff.failed(0.5));
        let refused = cause.class == CallClass::Unauthorized;
        tokio::time::sleep(if refused {
            wait.max(REFUSED_WAIT)
        } else {
            wait
        })
        .await;
    }
}
