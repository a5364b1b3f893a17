//! Puts the rooms together: what is built in which order, and what stops in which.
//!
//! Start: store, runner, gateway (takes up what an earlier life left), delivery, intake. Nothing waits for the
//! network. Stop: intake and gateway first, so that nothing new is taken; then what is due is sent, for a moment;
//! then the store. Agents are never stopped: they go on and are taken up by the next start.
//!
//! | file | what it does |
//! |---|---|
//! | `app.rs` | order of start and stop |
//! | `app/agents.rs` | how agents are started |
//! | `app/alerts.rs` | what administrators are told without having asked |
//! | `app/bus.rs` | the administrative interface on D-Bus |
//! | `app/health.rs` | how it stands, over HTTP |
//! | `app/introduce.rs` | the bot's name |
//! | `app/menus.rs` | the menus of commands |
//! | `app/observer.rs` | how it all stands, measured |
//! | `app/own.rs` | what this process takes |
//! | `app/pulse.rs` | signs of life of the parts, for the watchdog |
//! | `app/reload.rs` | the settings in use; reloads, changes at run time |
//! | `app/sole.rs` | one daemon for one bot on a machine |
//! | `app/starved.rs` | the mark of a life that the watchdog is about to end |
//! | `app/system.rs` | the system's time, randomness and signals |
//! | `app/values.rs` | what the rooms are given of the settings |

mod agents;
mod alerts;
mod bus;
mod health;
mod introduce;
mod menus;
mod observer;
mod own;
mod pulse;
mod reload;
mod sole;
mod starved;
mod system;
mod values;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, watch},
    task::JoinError,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use self::{
    alerts::Teller,
    menus::Menus,
    observer::{Looker, Observer},
    pulse::Pulse,
    reload::{InUse, Surroundings},
    system::{SystemClock, SystemDice, stop_on_signals},
};
use crate::{
    agent::claude::Claude,
    alert,
    cli::Word,
    config::{Contacts, Loaded},
    core::messages,
    gateway::{
        BotName, Deps, admin,
        files::{Files, Places},
        gate::Gate,
        handle::Gateway,
        life,
        ports::{Clock, Dice, SupervisorCommand},
        restart::Restart,
    },
    health::{Limits, http::Listener},
    runner,
    store::{OpenError, Store},
    systemd::{herald, herald::Herald, log, log::Kinds, notify, patience::Patience},
    telegram::{
        delivery::{self, Delivery, DeliveryConfig, drafts::DraftBoard},
        intake::{self, Intake, IntakeConfig, PollHealth},
        presence,
        render::MarkdownRenderer,
    },
};

pub use reload::Source;

/// How long a stop may take all in all; what is not sent by then waits in the outbox for the next start.
const STOP_WITHIN: Duration = Duration::from_millis(4500);
/// What the service manager is asked for beyond that, for the end of the process.
const STOP_SLACK: Duration = Duration::from_secs(5);
/// How long an alert waits until it shows whether the unit is started again, and how long it tries to reach Telegram.
/// Together less than the unit's `TimeoutStartSec=`.
const ALERT_SETTLE: Duration = Duration::from_secs(15);
const ALERT_SEND: Duration = Duration::from_secs(60);

/// What the journal knows the messages of this program by.
pub const LOG_KINDS: Kinds = Kinds {
    id: messages::id,
    panic: messages::PANIC,
};

/// How a life ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a signal.
    Stopped,
    /// By an administrator's order, to be started again.
    Restart,
}

/// Something that only an administrator can mend, so that trying again does not help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(String);

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

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP has it read its configuration again from `source`. Blocks; makes its
/// own runtime.
///
/// # Errors
/// What keeps it from running at all, with file and remedy.
pub fn run(mut loaded: Loaded, source: Source) -> Result<End> {
    if let Some(language) = loaded.language.take() {
        language.speak();
    }
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
        let hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let supervisor = agents::find_supervisor()?;
        let passed = health::passed();
        // Blocks this thread: nothing else runs yet.
        let progress = Arc::default();
        let patience = Patience::begin(Arc::clone(&progress));
        let (store, _thread) =
            Store::open_counting(&loaded.settings.state_directory, Some(progress))?;
        drop(patience);
        Box::pin(serve_all(
            loaded,
            store,
            supervisor,
            Some((hangups, source)),
            passed,
            shutdown,
        ))
        .await
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
    loaded: Loaded,
    store: Store,
    supervisor: SupervisorCommand,
    shutdown: CancellationToken,
) -> Result<()> {
    // It holds all parts of the daemon, which is much for a stack.
    Box::pin(serve_all(
        loaded,
        store,
        supervisor,
        None,
        Vec::new(),
        shutdown,
    ))
    .await
    .map(drop)
}

async fn serve_all(
    loaded: Loaded,
    store: Store,
    supervisor: SupervisorCommand,
    reload: Option<(Signal, Source)>,
    passed: Vec<Listener>,
    shutdown: CancellationToken,
) -> Result<End> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (changes, let_in) = store
        .tx(|tx| Ok((admin::stored(tx)?, admin::let_in(tx)?)))
        .await
        .context("cannot read the settings")?;
    let (settings, base) = reload::at_start(loaded, &changes);
    log::set_level(log::level(settings.log_level.into()));
    let state = settings.state_directory.display().to_string();
    let client = values::client(&settings, store.tally(), &clock)?;
    // Before anything is taken up. Held to the end.
    let _sole = tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        sole = sole::claim(client.bot_id(), &settings.telegram.api_url) => Some(sole?),
    };
    let bot_name = BotName::default();
    let key = introduce::name_key(&client);
    if let Some(name) = store
        .tx(move |tx| tx.setting(&key))
        .await
        .context("cannot read the settings")?
    {
        bot_name.set(&name);
    }
    let by_systemd = agents::by_systemd(&settings);
    let state_directory = settings.state_directory.clone();
    let runner = Arc::new(agents::runner(&settings, by_systemd, supervisor)?);
    let bus = bus::which(settings.bus, by_systemd);
    let listen = settings.health.listen.clone();
    let watchdog = herald::watchdog_wanted();
    let tasks = TaskTracker::new();
    let dice: Arc<dyn Dice> = Arc::new(SystemDice);
    let (presence, _presence_task) =
        presence::spawn(client.clone(), Arc::clone(&clock), presence::EVERY);
    let drafts = DraftBoard::new(Arc::clone(&clock));
    let polls = watch::Sender::new(PollHealth::default());
    let pulse = Pulse::new(polls.subscribe());
    let (hangups, source) = reload.unzip();
    let in_use = Arc::new(InUse::new(
        (settings, base),
        changes,
        let_in,
        source,
        Arc::clone(&pulse),
        Surroundings {
            by_systemd,
            watchdog,
            bot_name: bot_name.clone(),
        },
    ));
    let access = in_use.gateway.get().access.clone();
    let starved = Arc::new(starved::Mark::new(&state_directory));
    let files = Files {
        source: Arc::new(client.clone()),
        places: Places::new(&state_directory, agents::inboxes(by_systemd)),
        bell: Notify::new(),
    };
    let deps = Arc::new(Deps {
        store: store.clone(),
        runner: Arc::clone(&runner) as _,
        backend: Arc::new(Claude::new(in_use.agent.clone())),
        renderer: Arc::new(MarkdownRenderer {
            file_after: in_use.file_after.clone(),
        }),
        presence: Arc::new(presence),
        drafts: Arc::new(drafts.clone()),
        clock: Arc::clone(&clock),
        dice: Arc::clone(&dice),
        config: in_use.gateway.clone(),
        tunables: Arc::clone(&in_use) as _,
        files,
        slots: in_use.slots.clone(),
        gate: Gate::default(),
        newcomer: Arc::clone(&in_use.changed),
        restart: Restart::new(std::env::var_os("INVOCATION_ID").is_some()),
        shutdown: shutdown.clone(),
        tasks: tasks.clone(),
        started_at: clock.now(),
    });
    let restart = deps.restart.clone();
    let gateway = Gateway::start(deps)
        .await
        .context("cannot take up what an earlier life left")?;
    let looker = Looker::new(
        Arc::clone(&pulse),
        store.clone(),
        gateway.clone(),
        Arc::clone(&runner) as _,
        Arc::clone(&clock),
        in_use.rules.clone(),
    );
    let period = pulse::period(watchdog);
    // Not one of the tasks that a stop waits for: it beats until the runtime ends.
    tokio::spawn(pulse::beat(Arc::clone(&pulse), period));
    let observer = Observer {
        looker: Arc::clone(&looker),
        period,
    };
    tasks.spawn(observer.run(shutdown.clone()));
    // Held to the end: dropping it ends its thread.
    let _server = health::serve(passed, listen.as_ref(), &looker);
    // Before anything is sent or asked of Telegram: who finds the name taken must not disturb the other telexd.
    let mut face = tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        face = bus::claim(bus, &looker) => face?,
    };
    // Told apart from the shutdown: it goes on sending while the others stop.
    let flush = CancellationToken::new();
    let delivery = Delivery {
        client: client.clone(),
        store: store.clone(),
        clock: Arc::clone(&clock),
        dice: Arc::clone(&dice),
        drafts,
        config: DeliveryConfig {
            pacing: in_use.pacing.clone(),
            ..DeliveryConfig::default()
        },
    };
    let mut delivery = tokio::spawn(delivery::run(delivery, flush.clone()));
    tasks.spawn(introduce::run(
        client.clone(),
        store.clone(),
        bot_name,
        Arc::clone(&pulse),
        Menus {
            client: client.clone(),
            store: store.clone(),
            config: in_use.gateway.clone(),
            clock: Arc::clone(&clock),
            changed: Arc::clone(&in_use.changed),
        },
        shutdown.clone(),
    ));
    let intake = Intake {
        client,
        store: store.clone(),
        reception: Arc::new(gateway.clone()),
        clock: Arc::clone(&clock),
        dice,
        config: IntakeConfig::default(),
        health: polls,
    };
    let mut intake = tokio::spawn(intake::run(intake, shutdown.clone()));
    if let Some(hangups) = hangups {
        tasks.spawn(reload::at_hangups(
            hangups,
            gateway.admin(),
            shutdown.clone(),
        ));
    }
    pulse.ready();
    notify::ready();
    info!(
        event = messages::READY,
        version = env!("CARGO_PKG_VERSION"),
        state,
        "ready"
    );
    // Held to the end: dropping it ends its thread.
    let _herald = announce(&looker, watchdog, &starved, &tasks, &shutdown);

    // After the word that it is ready, which need not wait for a write. Killed before it is done, the next start does it.
    let start = life::Start {
        boot: runner::boot_id(),
        starved: starved.found(),
        now: clock.now(),
    };
    let alerting = in_use.alerting.get();
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        begun = life::begin(&store, &access, &alerting, start) => match begun {
            Ok(begun) => starved.begins(begun.number),
            Err(cause) => {
                warn!(%cause, "cannot record that telexd was started; if it crashes, nobody is told at the next start");
            }
        }
    }
    let teller = Teller {
        store: store.clone(),
        looker: Arc::clone(&looker),
        clock: Arc::clone(&clock),
        alerting: in_use.alerting.clone(),
        config: in_use.gateway.clone(),
    };
    tasks.spawn(teller.run(shutdown.clone()));
    let wrong = tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        () = store.damaged() => Some(anyhow!(
            "the database in {state} is damaged; telexd ends, and its next start sets the file aside and says what to do"
        )),
        ended = &mut intake => Some(by_itself("the poll loop", ended)),
        ended = &mut delivery => Some(by_itself("the delivery", ended)),
        why = bus::lost(&mut face) => Some(anyhow!("{why}; telexd ends, and systemd starts it again")),
    };
    if let Some(wrong) = wrong {
        // At once: what is in the database is kept for the next start, and nothing else can be relied upon.
        return Err(wrong);
    }
    pulse.stopping();
    if let Some(face) = &face {
        face.end();
    }
    notify::stopping(STOP_WITHIN + STOP_SLACK);
    info!("stopping; agents that run go on");
    let stopped = tokio::time::timeout(STOP_WITHIN, async {
        if let Err(cause) = life::end(&store, clock.now()).await {
            warn!(%cause, "cannot record that telexd was stopped; its next start takes that for a crash");
        }
        let _ = intake.await;
        tasks.close();
        tasks.wait().await;
        flush.cancel();
        let _ = delivery.await;
        runner.shutdown().await;
        if let Some(face) = face {
            face.ended().await;
        }
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
    Ok(if restart.wanted() {
        End::Restart
    } else {
        End::Stopped
    })
}

/// Starts what the service manager hears: the watchdog's signs of life and the status.
fn announce(
    looker: &Arc<Looker>,
    watchdog: Option<Duration>,
    starved: &Arc<starved::Mark>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Arc<Herald> {
    let watched = Arc::clone(&looker.pulse);
    let limits = watchdog.map(Limits::of);
    let starved = Arc::clone(starved);
    let herald = Arc::new(Herald::start(
        watchdog,
        messages::WATCHDOG_LATE,
        move || {
            let found = limits.map_or(Ok(()), |limits| watched.check(&limits));
            starved.look(&found);
            found
        },
    ));
    if herald.is_heard() {
        let reports = looker.reports();
        tasks.spawn(observer::tell_manager(
            Arc::clone(&herald),
            reports,
            shutdown.clone(),
        ));
    }
    herald
}

/// A part ended that ends only when it is told to.
fn by_itself<E: std::fmt::Display>(
    part: &str,
    ended: Result<Result<(), E>, JoinError>,
) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow!("{part} ended by itself"),
        Ok(Err(cause)) => anyhow!("{part} ended by itself: {cause}"),
        Err(cause) => anyhow!("{part} broke: {cause}"),
    }
}
