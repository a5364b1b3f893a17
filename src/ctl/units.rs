//! What systemd knows of the daemon's units: state and memory.

use zbus::wire::OwnedObjectPath;

use super::{
    bus::{Bus, Target},
    failure::Failure,
    values::{Dict, Fields as _},
};
use crate::core::units::UnitRow;

const MANAGER: Target<'static> = Target {
    name: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// The daemon's unit.
pub const DAEMON: &str = "telexd.service";
/// What all agents are in.
pub const AGENTS: &str = "telexd-agents.slice";

/// What systemd says of a unit, of its kind too; it is loaded where it was not.
///
/// # Errors
/// systemd is not on this bus, or says no.
pub async fn unit(bus: &Bus, name: &str) -> Result<Dict, Failure> {
    let path: OwnedObjectPath = bus.call(MANAGER, "LoadUnit", &(name,)).await?;
    let of = |interface| Target {
        path: path.as_str(),
        interface,
        ..MANAGER
    };
    let mut all = bus.properties(of("org.freedesktop.systemd1.Unit")).await?;
    let kind = match name.rsplit_once('.') {
        Some((_, "slice")) => "org.freedesktop.systemd1.Slice",
        _ => "org.freedesktop.systemd1.Service",
    };
    // Absent where the unit could not be loaded.
    if let Ok(more) = bus.properties(of(kind)).await {
        all.extend(more);
    }
    Ok(all)
}

/// Bytes of memory that a unit uses with all in it; `None` where that is not known.
pub async fn memory(bus: &Bus, name: &str) -> Option<u64> {
    let unit = unit(bus, name).await.ok()?;
    unit.size("MemoryCurrent")
        .filter(|bytes| *bytes != u64::MAX)
}

/// Names of the units of agents that systemd has in memory, of whatever profile; empty where it cannot be asked.
pub async fn agents(bus: &Bus) -> Vec<String> {
    let (none, patterns): ([&str; 0], _) = ([], ["telexd-agent*@*.service"]);
    let body = (&none[..], &patterns[..]);
    let rows: Result<Vec<UnitRow<OwnedObjectPath>>, Failure> =
        bus.call(MANAGER, "ListUnitsByPatterns", &body).await;
    rows.unwrap_or_default()
        .into_iter()
        .map(|row| row.0)
        .collect()
}

/// How the unit stands, for somebody who asks why the daemon is not there: "telexd.service is failed (exit-code)".
/// `None` where systemd cannot be asked, or the unit runs.
pub async fn why_away(bus: &Bus) -> Option<String> {
    let unit = unit(bus, DAEMON).await.ok()?;
    sentence(&unit)
}

/// See [`why_away`]; pure.
fn sentence(unit: &Dict) -> Option<String> {
    match unit.text("LoadState") {
        "loaded" => {}
        "masked" => return Some("telexd.service is masked: systemctl unmask telexd".to_owned()),
        "not-found" => {
            return Some("telexd.service is not installed here: apt install telexd".to_owned());
        }
        "" => return None,
        _ => {
            return Some(
                "telexd.service has a mistake: systemctl status telexd shows where".to_owned(),
            );
        }
    }
    match (unit.text("ActiveState"), unit.text("Result")) {
        ("inactive", _) => Some("telexd is not started: systemctl start telexd".to_owned()),
        ("failed", result) => Some(format!(
            "telexd has failed ({result}): telexd check and journalctl -u telexd tell why; then systemctl start telexd"
        )),
        ("activating", _) => Some("telexd is just starting: journalctl -u telexd tells what it waits for".to_owned()),
        ("deactivating", _) => Some("telexd is just stopping".to_owned()),
        ("active" | "reloading", _) => Some(
            "telexd runs, but is not on this bus: telexd config shows dbus.bus, systemctl restart telexd starts the installed version".to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn why_it_is_away() {
        for (load, active, part) in [
            ("loaded", "inactive", Some("systemctl start telexd")),
            ("loaded", "failed", Some("has failed (exit-code)")),
            ("loaded", "active", Some("not on this bus")),
            ("masked", "inactive", Some("systemctl unmask telexd")),
            ("not-found", "inactive", Some("apt install telexd")),
            ("bad-setting", "inactive", Some("has a mistake")),
            ("", "", None),
        ] {
            let Value::Object(unit) =
                json!({"LoadState": load, "ActiveState": active, "Result": "exit-code"})
            else {
                unreachable!()
            };
            let said = sentence(&unit);
            assert_eq!(said.is_some(), part.is_some(), "{load} {active}");
            assert!(
                said.unwrap_or_default().contains(part.unwrap_or_default()),
                "{load} {active}"
            );
        }
    }
}
