//! The service, the units of agents, polkit and the daemon itself, over the bus.

use serde_json::Value;

use super::{Finding, State};
use crate::ctl::{
    bus::Bus,
    failure::Failure,
    units,
    values::{self, Dict, Fields as _, Raw},
};

/// An instance stands for its template, which cannot be asked about itself.
const AGENT: &str = "telexd-agent@aaaaaaaaaaaaaaaa.service";
const POLKIT: &str = "org.freedesktop.PolicyKit1";

/// Looks at all of it. What systemd says of the daemon's unit, where it does.
pub(super) async fn look(bus: &Bus, findings: &mut Vec<Finding>) -> Option<Dict> {
    let unit = units::unit(bus, units::DAEMON).await;
    findings.push(match &unit {
        Ok(unit) => service(unit),
        Err(failure) => no_systemd(failure),
    });
    if let Ok(unit) = &unit {
        findings.extend(reload(unit, "telexd.service"));
    }
    if let Ok(unit) = units::unit(bus, AGENT).await {
        findings.push(template(&unit));
        findings.extend(reload(&unit, "telexd-agent@.service"));
    }
    findings.push(match bus.is_there(POLKIT).await {
        Ok(true) => Finding::ok("polkit", "polkit is there"),
        Ok(false) => Finding::new(
            "polkit",
            State::Bad,
            "there is no polkit, so agents cannot be started and nobody but root may administer",
            "apt install polkitd",
        ),
        Err(failure) => Finding::new(
            "polkit",
            State::Unknown,
            failure.text,
            "systemctl status dbus",
        ),
    });
    let health: Result<Raw, Failure> = bus.telexd("Health", &()).await;
    findings.push(daemon(health.map(values::dict)));
    unit.ok()
}

fn no_systemd(failure: &Failure) -> Finding {
    Finding::new(
        "service",
        State::Unknown,
        format!("systemd cannot be asked: {}", failure.text),
        "systemctl status",
    )
}

/// Whether the unit is there, starts at boot, and runs.
fn service(unit: &Dict) -> Finding {
    const CHECK: &str = "service";
    if let Some(finding) = loaded(CHECK, unit, "telexd.service", "telexd") {
        return finding;
    }
    let enabled = match unit.text("UnitFileState") {
        "enabled" | "enabled-runtime" | "static" | "alias" | "indirect" | "generated" => None,
        _ => Some("it is not started at boot"),
    };
    match (unit.text("ActiveState"), unit.text("Result"), enabled) {
        ("active" | "reloading", _, None) => {
            Finding::ok(CHECK, "telexd.service runs, and starts at boot")
        }
        ("active" | "reloading", _, Some(not)) => Finding::new(
            CHECK,
            State::Warn,
            format!("telexd.service runs, but {not}"),
            "systemctl enable telexd",
        ),
        ("failed", result, _) => Finding::new(
            CHECK,
            State::Bad,
            format!("telexd.service has failed ({result})"),
            "journalctl -x -u telexd tells why; then systemctl start telexd",
        ),
        ("activating", _, _) => Finding::new(
            CHECK,
            State::Warn,
            "telexd.service is starting, again and again perhaps",
            "journalctl -u telexd",
        ),
        (state, _, _) => Finding::new(
            CHECK,
            State::Bad,
            format!("telexd.service does not run ({state})"),
            "systemctl enable --now telexd",
        ),
    }
}

fn template(unit: &Dict) -> Finding {
    loaded(
        "agents",
        unit,
        "telexd-agent@.service",
        "telexd-agent@.service",
    )
    .unwrap_or_else(|| Finding::ok("agents", "telexd-agent@.service can be started"))
}

/// What is wrong with the files of a unit, if anything.
fn loaded(check: &'static str, unit: &Dict, name: &str, short: &str) -> Option<Finding> {
    let bad = |text: String, remedy: String| Some(Finding::new(check, State::Bad, text, remedy));
    match unit.text("LoadState") {
        "loaded" => None,
        "masked" => bad(
            format!("{name} is switched off (masked)"),
            format!("systemctl unmask {short}"),
        ),
        "not-found" => bad(
            format!("{name} is not installed"),
            "apt install --reinstall telexd".to_owned(),
        ),
        state => {
            let why = match unit.get("LoadError") {
                Some(Value::Array(parts)) => {
                    parts.get(1).and_then(Value::as_str).unwrap_or_default()
                }
                _ => "",
            };
            let files = drop_ins(unit);
            let files = if files.is_empty() {
                unit.text("FragmentPath").to_owned()
            } else {
                files
            };
            bad(
                format!("{name} cannot be used ({state}) {why}"),
                format!(
                    "systemd-analyze verify {name} shows the mistake; look at {files}, then systemctl daemon-reload"
                ),
            )
        }
    }
}

fn drop_ins(unit: &Dict) -> String {
    match unit.get("DropInPaths") {
        Some(Value::Array(paths)) => {
            let paths: Vec<&str> = paths.iter().filter_map(Value::as_str).collect();
            paths.join(" ")
        }
        _ => String::new(),
    }
}

/// Whether the files have changed since systemd read them.
fn reload(unit: &Dict, name: &str) -> Option<Finding> {
    unit.is("NeedDaemonReload").then(|| {
        Finding::new(
            "units",
            State::Warn,
            format!("files of {name} have changed since systemd read them"),
            "systemctl daemon-reload",
        )
    })
}

/// What the daemon says of itself; whether it reaches Telegram is known from it alone.
fn daemon(health: Result<Dict, Failure>) -> Finding {
    const CHECK: &str = "daemon";
    match health {
        Ok(health) => {
            let summary = health.text("summary").to_owned();
            if health.is("connected") {
                Finding::ok(CHECK, summary)
            } else {
                let remedy = match health.text("trouble") {
                    "token-refused" => {
                        "get the token from @BotFather and put it in its place: telexd(8), First steps; then systemctl restart telexd"
                    }
                    "conflict" => {
                        "find the other program that uses this bot's token and end it, or revoke the token"
                    }
                    "unreachable" => {
                        "try the network and its proxy: resolvectl query api.telegram.org; journalctl -u telexd tells more"
                    }
                    "storage" => "df -h /var/lib/telexd; journalctl -x -u telexd tells more",
                    _ => "journalctl -x -u telexd tells more",
                };
                Finding::new(CHECK, State::Bad, summary, remedy)
            }
        }
        Err(failure) if failure.code == crate::ctl::exit::NOT_ALLOWED => Finding::new(
            CHECK,
            State::Unknown,
            failure.text,
            "run telexctl doctor as root",
        ),
        Err(failure) => Finding::new(CHECK, State::Bad, failure.text, "systemctl status telexd"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dict(value: Value) -> Dict {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn services() {
        for (unit, state, part) in [
            (
                json!({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}),
                State::Ok,
                "runs",
            ),
            (
                json!({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "disabled"}),
                State::Warn,
                "systemctl enable telexd",
            ),
            (
                json!({"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code"}),
                State::Bad,
                "failed (exit-code)",
            ),
            (
                json!({"LoadState": "loaded", "ActiveState": "inactive"}),
                State::Bad,
                "systemctl enable --now telexd",
            ),
            (
                json!({"LoadState": "loaded", "ActiveState": "activating"}),
                State::Warn,
                "again and again",
            ),
            (
                json!({"LoadState": "masked"}),
                State::Bad,
                "systemctl unmask telexd",
            ),
            (
                json!({"LoadState": "not-found"}),
                State::Bad,
                "apt install --reinstall telexd",
            ),
            (
                json!({"LoadState": "bad-setting", "LoadError": ["x", "Unit has a bad unit file setting."], "DropInPaths": ["/etc/x/o.conf"]}),
                State::Bad,
                "/etc/x/o.conf",
            ),
        ] {
            let finding = service(&dict(unit.clone()));
            assert_eq!(finding.state, state, "{unit}");
            assert!(format!("{finding:?}").contains(part), "{finding:?}");
        }
        assert_eq!(
            template(&dict(json!({"LoadState": "loaded"}))).state,
            State::Ok
        );
        assert_eq!(
            template(&dict(json!({"LoadState": "masked"}))).state,
            State::Bad
        );
        assert!(reload(&dict(json!({"NeedDaemonReload": true})), "x").is_some());
        assert!(reload(&dict(json!({"NeedDaemonReload": false})), "x").is_none());
    }

    #[test]
    fn the_daemon_speaks_for_telegram() {
        for (health, state, part) in [
            (
                Ok(dict(json!({"connected": true, "summary": "polling, idle"}))),
                State::Ok,
                "polling",
            ),
            (
                Ok(dict(
                    json!({"connected": false, "summary": "no", "trouble": "token-refused"}),
                )),
                State::Bad,
                "BotFather",
            ),
            (
                Ok(dict(json!({"summary": "no", "trouble": "of the future"}))),
                State::Bad,
                "journalctl",
            ),
            (Err(Failure::no_bus("away")), State::Bad, "away"),
            (
                Err(Failure::of_error("org.telexd1.Error.NotAllowed", "no")),
                State::Unknown,
                "root",
            ),
        ] {
            let finding = daemon(health);
            assert_eq!(finding.state, state);
            assert!(format!("{finding:?}").contains(part), "{finding:?}");
        }
    }
}
