//! Launching by systemd: each run is a unit, an instance of a template that the package ships and the administrator owns.
//!
//! The daemon has no privilege. It may ask systemd to start, stop, kill and forget instances of exactly these
//! templates, because a polkit rule says so; user, sandbox and limits of the agent stand in the template. What a
//! unit's end was (memory, time, …) is read from systemd where the supervisor could not record it.
//!
//! Everything that [`crate::runner`] promises holds without the bus too: a run goes on, is followed and is told to end
//! over its bell while the bus is away. Only starting needs it.

mod bus;
mod ends;
mod names;
mod units;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{bus::Bus, units::Units};
use super::{
    directory::{RunDirs, trouble},
    engine::Engine,
    handoff::Doors,
};
use crate::{core::profile::Profile, gateway::ports::RunnerError};

/// Present where systemd is the init system; see `sd_booted(3)`.
const BOOTED: &str = "/run/systemd/system";
/// Where systemd looks for units that packages and administrators install.
const UNIT_PATHS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Whether agents can be started by systemd here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Systemd {
    /// Yes; the template's file.
    Here(PathBuf),
    /// No; why.
    Not(String),
}

/// Looks whether systemd runs this machine and the template is installed. (A template that is masked counts: whoever
/// masked it did not mean that agents are to be started without its sandbox.)
#[must_use]
pub fn look() -> Systemd {
    look_at(Path::new("/"))
}

fn look_at(root: &Path) -> Systemd {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    if !below(BOOTED).is_dir() {
        return Systemd::Not(format!(
            "systemd does not run this machine ({BOOTED} is not there)"
        ));
    }
    let template = names::template(&Profile::default());
    let found = UNIT_PATHS
        .iter()
        .map(|dir| below(dir).join(&template))
        .find(|file| file.symlink_metadata().is_ok());
    match found {
        Some(file) => Systemd::Here(file),
        None => Systemd::Not(format!("the unit {template} is not installed")),
    }
}

impl Engine {
    /// Runs that are units of systemd.
    ///
    /// Opens `<state_dir>/runs` (made if absent, one daemon at a time), listens at `socket_path`, which every user may
    /// connect to, and starts the tasks on the current tokio runtime. Does not wait for the bus.
    ///
    /// # Errors
    /// A sentence for the administrator: directory not writable, another daemon, …
    pub fn by_systemd(
        state_dir: impl Into<PathBuf>,
        socket_path: impl Into<PathBuf>,
    ) -> Result<Self, RunnerError> {
        let (state_dir, socket) = (state_dir.into(), socket_path.into());
        let socket = std::path::absolute(&socket).map_err(|e| trouble("use", &socket, &e))?;
        let dirs = RunDirs::open(&state_dir)?;
        let units = Arc::new(Units::new(Bus::new()));
        let launcher = Arc::clone(&units) as _;
        Self::new(dirs, &socket, Doors::Everybody, launcher, units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_taken_where_it_runs_and_has_the_template() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert!(matches!(look_at(root), Systemd::Not(why) if why.contains("does not run")));
        std::fs::create_dir_all(root.join("run/systemd/system")).unwrap();
        assert!(
            matches!(look_at(root), Systemd::Not(why) if why.contains("telexd-agent@.service"))
        );
        let shipped = root.join("usr/lib/systemd/system");
        std::fs::create_dir_all(&shipped).unwrap();
        let shipped = shipped.join("telexd-agent@.service");
        std::fs::write(&shipped, "").unwrap();
        assert_eq!(look_at(root), Systemd::Here(shipped));
        // Masked: a link to nothing.
        let own = root.join("etc/systemd/system");
        std::fs::create_dir_all(&own).unwrap();
        let own = own.join("telexd-agent@.service");
        std::os::unix::fs::symlink("/dev/null", &own).unwrap();
        assert_eq!(look_at(root), Systemd::Here(own));
    }
}
