//! The administrative interface on D-Bus: on which bus, and what is behind it.

use std::sync::Arc;

use anyhow::Result;
use tracing::info;

use super::{Misconfigured, observer::Looker};
use crate::{
    config::choices::{self, LogLevel},
    dbus::{Behind, Bus, Face, Log},
    systemd::log,
};

/// The bus that the configuration means, if any. Where agents are started by systemd the system bus is there anyway;
/// elsewhere none is needed.
pub(super) fn which(wanted: choices::Bus, by_systemd: bool) -> Option<Bus> {
    match wanted {
        choices::Bus::System => Some(Bus::System),
        choices::Bus::Session => Some(Bus::Session),
        choices::Bus::Auto => by_systemd.then_some(Bus::System),
        choices::Bus::Off => None,
    }
}

/// Puts the interface on the bus.
pub(super) async fn claim(bus: Option<Bus>, looker: &Arc<Looker>) -> Result<Option<Face>> {
    let Some(bus) = bus else {
        info!(
            "there is no administrative interface: dbus.bus says so, or systemd does not start the agents"
        );
        return Ok(None);
    };
    let behind = Behind {
        admin: looker.gateway.admin(),
        gateway: tokio::runtime::Handle::current(),
        started_at: looker.clock.now(),
        sight: Arc::clone(looker) as _,
        news: looker.reports(),
        happened: looker.gateway.happened(),
        log: Arc::new(OwnLog),
    };
    match Face::start(bus, behind).await {
        Ok(face) => {
            info!("the administrative interface is on {bus}");
            Ok(Some(face))
        }
        Err(why) if why.needs_a_person() => Err(Misconfigured(why.to_string()).into()),
        Err(why) => Err(why.into()),
    }
}

/// Returns when the bus is lost; never where there is none.
pub(super) async fn lost(face: &mut Option<Face>) -> String {
    match face {
        Some(face) => face.lost().await,
        None => std::future::pending().await,
    }
}

/// The log of this process.
struct OwnLog;

impl Log for OwnLog {
    fn level(&self) -> &'static str {
        log::syslog_level()
    }

    fn setting(&self, name: &str) -> Option<&'static str> {
        log::of_syslog(name).map(|level| LogLevel::from(level).as_str())
    }

    fn target(&self) -> &'static str {
        if log::to_journal() {
            "journal"
        } else {
            "console"
        }
    }
}
