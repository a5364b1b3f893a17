//! Values that are one of a few names.

use toml::de::DeValue;

pub use crate::core::mode::PermissionMode;
use crate::core::{alerts::Alert, busy::Busy, ip::IpVersion, policy::Approvers};

use super::{
    kinds::{Kind, Mistake, nearest, toml_text},
    problem::quoted,
};

/// Teaches an enum whose values are chosen by name to be a [`Kind`].
macro_rules! choice {
    ($type:ty { $($name:literal => $value:path),+ $(,)? }) => {
        impl Kind for $type {
            type Rule = ();

            fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
                const NAMES: &[&str] = &[$($name),+];
                match value.as_str() {
                    $(Some($name) => Ok($value),)+
                    Some(other) => Err(unknown_choice(other, NAMES)),
                    None => Err(Mistake::kind::<Self>(value, rule)),
                }
            }

            fn shown(&self) -> String {
                toml_text(match self { $($value => $name),+ })
            }

            fn allowed(_: &()) -> String {
                format!("one of {}", [$(concat!("\"", $name, "\"")),+].join(", "))
            }

            fn how(_: &()) -> String {
                "write one of them, in quotes".to_owned()
            }
        }
    };
}

fn unknown_choice(found: &str, names: &[&str]) -> Mistake {
    let listed = names
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>();
    let what = format!("{} is not a choice", quoted(found));
    match nearest(found, names.iter().copied()) {
        Some(name) => Mistake::new(
            what,
            format!("did you mean \"{name}\"? Valid are {}", listed.join(", ")),
        ),
        None => Mistake::new(what, format!("valid are {}", listed.join(", "))),
    }
}

/// How agents are started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Launcher {
    /// By systemd where it runs this machine and the template unit is installed, else directly.
    #[default]
    Auto,
    /// By systemd.
    Systemd,
    /// As detached processes of the daemon's own user.
    Direct,
}

choice!(Launcher {
    "auto" => Launcher::Auto,
    "systemd" => Launcher::Systemd,
    "direct" => Launcher::Direct,
});

/// On which bus the administrative interface is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// On the system bus where systemd starts the agents, else on none.
    #[default]
    Auto,
    /// On the system bus.
    System,
    /// On the bus of the session in which the daemon was started.
    Session,
    /// On none.
    Off,
}

choice!(Bus {
    "auto" => Bus::Auto,
    "system" => Bus::System,
    "session" => Bus::Session,
    "off" => Bus::Off,
});

choice!(PermissionMode {
    "default" => PermissionMode::Default,
    "acceptEdits" => PermissionMode::AcceptEdits,
    "plan" => PermissionMode::Plan,
    "auto" => PermissionMode::Auto,
    "dontAsk" => PermissionMode::DontAsk,
    "bypassPermissions" => PermissionMode::BypassPermissions,
});

choice!(Busy {
    "queue" => Busy::Queue,
    "interrupt" => Busy::Interrupt,
    "steer" => Busy::Steer,
});

choice!(IpVersion {
    "any" => IpVersion::Any,
    "4" => IpVersion::Four,
    "6" => IpVersion::Six,
});

choice!(Alert {
    "crash" => Alert::Crash,
    "crash_loop" => Alert::CrashLoop,
    "watchdog" => Alert::Watchdog,
    "conflict" => Alert::Conflict,
    "unauthorized" => Alert::Unauthorized,
    "disk" => Alert::Disk,
    "database" => Alert::Database,
    "out_of_memory" => Alert::OutOfMemory,
    "queue" => Alert::Queue,
});

/// What administrators are not told of.
impl Kind for Vec<Alert> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let list = value
            .as_array()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut alerts = Self::new();
        for entry in list {
            let alert = Alert::read(entry.get_ref(), &())?;
            if !alerts.contains(&alert) {
                alerts.push(alert);
            }
        }
        Ok(alerts)
    }

    fn shown(&self) -> String {
        let names: Vec<String> = self.iter().map(Kind::shown).collect();
        format!("[{}]", names.join(", "))
    }

    fn allowed(_: &()) -> String {
        let names = Alert::ALL.map(|alert| toml_text(alert.as_str()));
        format!("a list of some of {}", names.join(", "))
    }

    fn how(_: &()) -> String {
        "write it like [\"queue\", \"database\"]".to_owned()
    }
}

/// Modes that people may choose.
impl Kind for Vec<PermissionMode> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        let list = value
            .as_array()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut modes = Self::new();
        for entry in list {
            let mode = PermissionMode::read(entry.get_ref(), &())?;
            if !modes.contains(&mode) {
                modes.push(mode);
            }
        }
        Ok(modes)
    }

    fn shown(&self) -> String {
        let names: Vec<String> = self.iter().map(Kind::shown).collect();
        format!("[{}]", names.join(", "))
    }

    fn allowed(_: &()) -> String {
        let names = PermissionMode::ALL.map(|mode| toml_text(mode.as_str()));
        format!("a list of some of {}", names.join(", "))
    }

    fn how(_: &()) -> String {
        "write it like [\"default\", \"plan\"]".to_owned()
    }
}

choice!(Approvers {
    "admin_or_author" => Approvers::AdminOrAuthor,
    "admin" => Approvers::Admin,
});

/// From which importance on something is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What went wrong for good.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And why. Texts of people appear from here on.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

choice!(LogLevel {
    "error" => LogLevel::Error,
    "warn" => LogLevel::Warn,
    "info" => LogLevel::Info,
    "debug" => LogLevel::Debug,
    "trace" => LogLevel::Trace,
});

impl From<tracing::Level> for LogLevel {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
