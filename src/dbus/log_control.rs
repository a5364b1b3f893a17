//! `org.freedesktop.LogControl1`, by which `systemctl service-log-level telexd debug` changes what is logged.

use std::sync::Arc;

use zbus::{fdo, interface};

use super::gate::{Action, Ruled};

/// How the log can be looked at and changed.
pub trait Log: Send + Sync {
    /// The level as syslog names it: `err`, `warning`, `info`, `debug`.
    fn level(&self) -> &'static str;
    /// Changes it, until the daemon ends or its configuration says something else; false: there is no such level.
    fn set_level(&self, name: &str) -> bool;
    /// Where lines go: `journal` or `console`.
    fn target(&self) -> &'static str;
}

pub(super) struct LogControl(pub(super) Arc<dyn Log>);

impl Ruled for LogControl {
    fn to_call(_: &str) -> Option<Action> {
        None
    }

    fn to_set(property: &str) -> Option<Action> {
        (property == "LogLevel").then_some(Action::Configure)
    }
}

#[interface(name = "org.freedesktop.LogControl1", introspection_docs = false)]
impl LogControl {
    #[zbus(property(emits_changed_signal = "false"))]
    fn log_level(&self) -> &'static str {
        self.0.level()
    }

    #[zbus(property)]
    fn set_log_level(&self, level: String) -> fdo::Result<()> {
        if self.0.set_level(&level) {
            return Ok(());
        }
        Err(fdo::Error::InvalidArgs(
            "there is no such level; valid are emerg, alert, crit, err, warning, notice, info, debug".to_owned(),
        ))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn log_target(&self) -> &'static str {
        self.0.target()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn syslog_identifier(&self) -> &'static str {
        "telexd"
    }
}
