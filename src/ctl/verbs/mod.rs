//! The verbs, one per file.

mod doctor;
mod logs;
mod ps;
mod status;
mod watch;

use super::{
    Ctl,
    args::Verb,
    bus::Bus,
    failure::Failure,
    values::{self, Dict, Raw},
};

/// Does it; the exit code.
pub(super) async fn act(ctl: &mut Ctl<'_>, verb: Option<Verb>) -> Result<u8, Failure> {
    match verb.unwrap_or(Verb::Status) {
        Verb::Status => status::run(ctl).await,
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
