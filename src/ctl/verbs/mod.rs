//! The verbs, one per file.

mod doctor;
mod logs;
mod pause;
mod ps;
mod status;
mod watch;

use serde_json::json;

use super::{
    Ctl,
    args::Verb,
    bus::Bus,
    exit,
    failure::Failure,
    values::{self, Dict, Raw},
};

/// Does it; the exit code.
pub(super) async fn act(ctl: &mut Ctl<'_>, verb: Option<Verb>) -> Result<u8, Failure> {
    match verb.unwrap_or(Verb::Status) {
        Verb::Status => status::run(ctl).await,
        Verb::Pause { reason } => pause::pause(ctl, &reason).await,
        Verb::Resume => pause::resume(ctl).await,
        Verb::Logs(logs) => logs::run(ctl, &logs).await,
        Verb::Watch { interval } => watch::run(ctl, interval).await,
        Verb::Doctor => doctor::run(ctl).await,
    }
}

/// Calls a method that lists something.
async fn list(bus: &Bus, method: &str) -> Result<Vec<Dict>, Failure> {
    let raw: Vec<Raw> = bus.telexd(method, &(Raw::new(),)).await?;
    Ok(values::dicts(raw))
}

/// Says how an operation came out. `done` is the sentence for that; `same` the one for "nothing had to be done".
fn outcome(ctl: &mut Ctl<'_>, outcome: &str, done: &str, same: &str) -> Result<u8, Failure> {
    let text = if ctl.look.json {
        ctl.look.as_json(&json!({"outcome": outcome}))
    } else {
        match outcome {
            "no-change" => format!("{same}\n"),
            "after-restart" => format!("{done} It holds after: telexctl restart\n"),
            _ => format!("{done}\n"),
        }
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}
