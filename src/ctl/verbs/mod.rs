//! The verbs, one per file.

mod audit;
mod config;
mod conversations;
mod doctor;
mod kill;
mod lane;
mod logs;
mod pair;
mod pause;
mod people;
mod ps;
mod questions;
mod reload;
mod restart;
mod send;
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
        Verb::Ps => ps::run(ctl).await,
        Verb::Kill { runs } => kill::some(ctl, &runs).await,
        Verb::Killall { yes } => kill::all(ctl, yes).await,
        Verb::Pause { reason } => pause::pause(ctl, &reason).await,
        Verb::Resume => pause::resume(ctl).await,
        Verb::Interrupt { conversation } => lane::interrupt(ctl, conversation).await,
        Verb::Clear { conversation } => lane::clear(ctl, conversation).await,
        Verb::Send { conversation, text } => send::run(ctl, conversation, &text).await,
        Verb::Restart { no_wait } => restart::run(ctl, no_wait).await,
        Verb::Reload => reload::run(ctl).await,
        Verb::Config { what } => config::run(ctl, what).await,
        Verb::People { what } => people::run(ctl, what).await,
        Verb::Conversations => conversations::run(ctl).await,
        Verb::Questions => questions::list(ctl).await,
        Verb::Approve { question } => questions::answer(ctl, "Approve", question).await,
        Verb::Deny { question } => questions::answer(ctl, "Deny", question).await,
        Verb::Pair { what } => pair::run(ctl, what).await,
        Verb::Audit { lines, before } => audit::run(ctl, lines, before).await,
        Verb::Logs(logs) => logs::run(ctl, &logs).await,
        Verb::Watch { interval } => watch::run(ctl, interval).await,
        Verb::Doctor => doctor::run(ctl).await,
    }
}

/// Calls a method that lists something.
async fn list(bus: &Bus, method: &str) -> Result<Vec<Dict>, Failure> {
    list_with(bus, method, &Raw::new()).await
}

/// As [`list`], with options.
async fn list_with(bus: &Bus, method: &str, options: &Raw) -> Result<Vec<Dict>, Failure> {
    let raw: Vec<Raw> = bus.telexd(method, &(options,)).await?;
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
