//! `org.freedesktop.LogControl1`, by which `systemctl service-log-level telexd debug` changes what is logged.

use std::sync::Arc;

use zbus::{Connection, DBusError as _, fdo, interface, message::Header};

use super::{
    desk::Desk,
    gate::{Action, Ruled},
};

/// How the log can be looked at.
pub trait Log: Send + Sync {
    /// The level as syslog names it: `err`, `warning`, `info`, `debug`.
    fn level(&self) -> &'static str;
    /// The value of `log.level` that a name of syslog's means; `None`: there is no such name.
    fn setting(&self, name: &str) -> Option<&'static str>;
    /// Where lines go: `journal` or `console`.
    fn target(&self) -> &'static str;
}

pub(super) struct LogControl {
    pub(super) log: Arc<dyn Log>,
    pub(super) desk: Arc<Desk>,
}

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
        self.log.level()
    }

    /// Changes the setting `log.level`, so that there is one truth about it.
    #[zbus(property)]
    async fn set_log_level(
        &self,
        level: String,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Option<Header<'_>>,
    ) -> fdo::Result<()> {
        let Some(level) = self.log.setting(&level) else {
            return Err(fdo::Error::InvalidArgs(
                "there is no such level; valid are emerg, alert, crit, err, warning, notice, info, debug".to_owned(),
            ));
        };
        let Some(header) = header else {
            return Err(fdo::Error::AccessDenied("nobody asks for that".to_owned()));
        };
        self.desk
            .order(connection, &header, move |admin, who| async move {
                admin.log_level(who, level).await
            })
            .await
            .map(drop)
            // This interface is not ours, and neither are the names of its errors.
            .map_err(|why| fdo::Error::Failed(why.description().unwrap_or_default().to_owned()))
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn log_target(&self) -> &'static str {
        self.log.target()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn syslog_identifier(&self) -> &'static str {
        "telexd"
    }
}
