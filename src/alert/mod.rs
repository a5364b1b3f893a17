//! `telexd alert UNIT`: tells every administrator, in one message each, that a unit failed.
//!
//! Run by the service manager when the daemon is down (`OnFailure=`), so it needs nothing of the daemon: not its database,
//! and of the configuration only what can be read of it.

pub mod journal;
pub mod report;
pub mod scrub;
pub mod stamp;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use teloxide_core::{payloads, types::ChatId};
use tokio::{task::JoinSet, time::Instant};
use tracing::{error, info, warn};

use self::{
    journal::Standing,
    report::{Failure, Report},
    stamp::Stamp,
};
use crate::{
    config::Contacts,
    core::{Millis, messages, trouble::CallClass},
    gateway::ports::Clock,
    telegram::{
        BotToken,
        client::{Client, ClientOptions, Proxy},
    },
};

/// Between two looks at how the unit stands.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// First and longest wait between two tries to send.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// In front of what may have been sent before.
const REPEAT: &str = "(This may be a repeat.)\n";

/// What is to be told, and with what.
pub struct Request {
    /// The unit that failed, as `%n` names it.
    pub unit: String,
    /// How it failed, from the service manager's variables.
    pub failure: Failure,
    /// Name of this machine.
    pub host: String,
    /// Whom to tell, and by which bot.
    pub contacts: Contacts,
    /// The user whose processes' lines may be told: the daemon's, which is this process' own.
    pub uid: u32,
    /// Folder for what is remembered from one alert to the next; `None`: nothing is.
    pub memory: Option<PathBuf>,
    /// `journalctl`.
    pub journalctl: PathBuf,
    /// `systemctl`.
    pub systemctl: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long to wait until it shows whether the unit is started again.
    pub settle: Duration,
    /// How long to try to send, from the moment on at which the text stands.
    pub send: Duration,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These many administrators were told; nobody else was to be.
    Told(usize),
    /// There was nothing to tell: the unit runs again, or this failure was told already.
    Nothing,
    /// Somebody could not be told, or nobody is to be.
    Failed,
    /// There is no way to tell anybody: no token, or no administrators.
    NoWay,
}

/// Tells. Logs what it did.
pub async fn run(request: Request) -> Outcome {
    let Request { unit, contacts, .. } = &request;
    if !may_be_told(unit) {
        error!(
            event = messages::ALERT_FAILED,
            unit,
            "no alert is sent about this: it is not the name of one unit, or it is about agents"
        );
        return Outcome::NoWay;
    }
    let Some(client) = client(&request) else {
        return Outcome::NoWay;
    };
    if contacts.admins.is_empty() {
        error!(
            event = messages::ALERT_FAILED,
            unit,
            "nobody can be told: there are no administrators (access.admins) in the configuration"
        );
        return Outcome::NoWay;
    }
    let standing = settled(&request).await;
    if standing == Standing::Up {
        info!(unit, "runs again; nobody needs to be told");
        return Outcome::Nothing;
    }
    let stamp = Stamp::new(
        request.memory.as_deref(),
        unit,
        &format!("{:?} {standing:?}", request.failure),
    );
    if stamp.told_lately(SystemTime::now()) {
        info!(unit, "this failure was told a moment ago");
        return Outcome::Nothing;
    }
    let lines = journal::last_lines(&request.journalctl, unit, request.uid).await;
    if let Err(cause) = &lines {
        warn!(unit, cause, "cannot read the journal");
    }
    let known = contacts.secrets();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let report = Report {
        unit,
        host: &request.host,
        failure: &request.failure,
        standing,
        lines: &lines,
        known: &known,
    };
    let text = report.text();
    let (told, failed) = tell_all(&client, &request, &text).await;
    if told > 0 {
        if let Err(cause) = stamp.write(SystemTime::now()) {
            warn!(%cause, "cannot remember that this failure was told");
        }
        info!(
            event = messages::ALERT_SENT,
            unit, told, "told of the failure"
        );
    }
    if failed > 0 {
        Outcome::Failed
    } else {
        Outcome::Told(told)
    }
}

/// Whether it is the name of a single unit, and not one in which agents run: what those write is not for every
/// administrator.
fn may_be_told(unit: &str) -> bool {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':' | '\\');
    let agents = unit.starts_with("telexd-agent") || unit.ends_with(".slice");
    !agents && !unit.starts_with('-') && unit.contains('.') && unit.chars().all(fits)
}

/// The way to Telegram, or why there is none, in the log.
fn client(request: &Request) -> Option<Client> {
    let Request { unit, contacts, .. } = request;
    for problem in &contacts.problems {
        // What is wrong with the configuration may be why the unit failed.
        warn!(unit, %problem, "something is wrong with the configuration");
    }
    let token = contacts
        .token
        .as_ref()
        .and_then(|token| BotToken::new(token.expose()).ok());
    let Some(token) = token else {
        error!(
            event = messages::ALERT_FAILED,
            unit,
            "nobody can be told: there is no bot token (write it to /etc/telexd/token, mode 0600)"
        );
        return None;
    };
    // It has a default, so it is there even where what the configuration says of it cannot be used.
    let mut options = ClientOptions::new(contacts.api_url.clone()?);
    options.ip = contacts.ip;
    options.proxy = contacts.proxy.clone().map(|(address, login)| Proxy {
        address,
        login: login.map(|login| (login.user, login.password)),
    });
    match Client::new(token, &options, Arc::clone(&request.clock)) {
        Ok(client) => Some(client),
        Err(cause) => {
            error!(event = messages::ALERT_FAILED, unit, %cause, "nobody can be told");
            None
        }
    }
}

/// How the unit stands once it is clear whether it is started again.
async fn settled(request: &Request) -> Standing {
    let until = Instant::now() + request.settle;
    loop {
        let standing = journal::standing(&request.systemctl, &request.unit).await;
        if standing != Standing::Restarting || Instant::now() + LOOK_EVERY > until {
            return standing;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells everybody at once; how many were told, and how many could not be.
async fn tell_all(client: &Client, request: &Request, text: &str) -> (usize, usize) {
    let until = Instant::now() + request.send;
    let mut tasks = JoinSet::new();
    for admin in &request.contacts.admins {
        let (client, clock) = (client.clone(), Arc::clone(&request.clock));
        let (admin, text, unit) = (*admin, text.to_owned(), request.unit.clone());
        tasks.spawn(async move {
            let sent = tell(&client, &*clock, admin, text, until).await;
            if let Err(cause) = &sent {
                error!(
                    event = messages::ALERT_FAILED,
                    unit,
                    person = admin,
                    cause,
                    "cannot tell an administrator of the failure"
                );
            }
            sent.is_ok()
        });
    }
    let (mut told, mut failed) = (0, 0);
    while let Some(sent) = tasks.join_next().await {
        if sent.unwrap_or(false) {
            told += 1;
        } else {
            failed += 1;
        }
    }
    (told, failed)
}

/// Tells one administrator, with patience.
async fn tell(
    client: &Client,
    clock: &dyn Clock,
    admin: i64,
    mut text: String,
    until: Instant,
) -> Result<(), String> {
    let mut wait = FIRST_WAIT;
    loop {
        let payload = payloads::SendMessage::new(ChatId(admin), text.clone());
        let Err(error) = client.send_message(&payload).await else {
            return Ok(());
        };
        let pause = match error.class {
            CallClass::Safe => wait,
            CallClass::Ambiguous => {
                if !text.starts_with(REPEAT) {
                    text.insert_str(0, REPEAT);
                }
                wait
            }
            CallClass::WaitUntil(at) => wait.max(span(clock.now(), at)),
            CallClass::Rejected
            | CallClass::Conflict
            | CallClass::Unauthorized
            | CallClass::Fatal => {
                return Err(error.to_string());
            }
        };
        if Instant::now() + pause >= until {
            return Err(error.to_string());
        }
        tokio::time::sleep(pause).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn span(from: Millis, to: Millis) -> Duration {
    Duration::from_millis(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_units_without_agents_are_told_of() {
        for unit in ["telexd.service", "backup@a\\x2db.timer"] {
            assert!(may_be_told(unit), "{unit}");
        }
        for unit in [
            "",
            "telexd*",
            "-x.service",
            "telexd-agent@abc.service",
            "telexd-agent-strict@abc.service",
            "telexd-agents.slice",
            "system.slice",
            "telexd",
            "a b.service",
        ] {
            assert!(!may_be_told(unit), "{unit}");
        }
    }
}
