//! The D-Bus interfaces of the stand-in for systemd.

use std::{
    fs,
    os::fd::AsRawFd as _,
    process::Command,
    sync::{Arc, Mutex},
};

use nix::{
    libc,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd::core::units::UnitRow;
use zbus::{
    Connection, fdo, interface,
    wire::{ObjectPath, OwnedFd, OwnedObjectPath},
};

use super::fake::{MANAGER, Mood, ROOT, State, Unit, kill_all, parent, path_of, publish, run};

pub struct Manager {
    pub state: Arc<Mutex<State>>,
}

impl Manager {
    fn of_pid(&self, pid: i32) -> fdo::Result<String> {
        let units = self.state.lock().unwrap().units.clone();
        let mut at = Some(pid);
        while let Some(pid) = at.filter(|pid| *pid > 1) {
            if let Some((name, _)) = units.iter().find(|(_, u)| u.pid == Some(pid)) {
                return Ok(name.clone());
            }
            at = parent(pid);
        }
        Err(fdo::Error::Failed(format!(
            "PID {pid} does not belong to any loaded unit."
        )))
    }
}

/// A unit as it stands; one that nobody has started is as at its beginning.
fn unit(state: &Mutex<State>, name: &str) -> Unit {
    let state = state.lock().unwrap();
    state.units.get(name).cloned().unwrap_or_default()
}

/// An error with a name of systemd's own.
fn error(name: &str, text: &str) -> fdo::Error {
    match name {
        "AccessDenied" => fdo::Error::AccessDenied(text.to_owned()),
        "InteractiveAuthorizationRequired" => {
            fdo::Error::InteractiveAuthorizationRequired(text.to_owned())
        }
        _ => fdo::Error::Failed(text.to_owned()),
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    async fn start_unit(
        &self,
        name: String,
        mode: String,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        assert_eq!(mode, "fail");
        let (mood, socket, credentials, job) = {
            let mut state = self.state.lock().unwrap();
            state.jobs += 1;
            (
                state.mood.clone(),
                state.socket.clone(),
                state.credentials.clone(),
                state.jobs,
            )
        };
        let result = match mood {
            Mood::Error(kind, text) => return Err(error(kind, text)),
            Mood::Load(_) => {
                return Err(fdo::Error::Failed(format!("Unit {name} cannot be used.")));
            }
            Mood::Exit(status) => {
                let mut state = self.state.lock().unwrap();
                let unit = state.units.entry(name.clone()).or_default();
                unit.code = libc::CLD_EXITED;
                unit.status = status;
                "exit-code".clone_into(&mut unit.result);
                "failed".clone_into(&mut unit.active);
                "failed"
            }
            Mood::Well => {
                let instance = name.split(['@', '.']).nth(1).unwrap();
                let mut command = Command::new(env!("CARGO_BIN_EXE_telexd-run"));
                command
                    .arg(instance)
                    .arg(socket)
                    .env_clear()
                    .envs(std::env::var_os("PATH").map(|p| ("PATH", p)));
                if let Some(directory) = credentials {
                    command.env("CREDENTIALS_DIRECTORY", directory);
                }
                run(&self.state, &name, command);
                "done"
            }
        };
        publish(connection, &self.state, &name).await;
        let path: OwnedObjectPath = ObjectPath::try_from(format!("{ROOT}/job/{job}"))
            .unwrap()
            .into();
        connection
            .emit_signal(
                None::<&str>,
                ROOT,
                MANAGER,
                "JobRemoved",
                &(job, &path, &name, result),
            )
            .await?;
        Ok(path)
    }

    fn stop_unit(&self, name: String, _mode: String) -> fdo::Result<OwnedObjectPath> {
        if let Some(pid) = unit(&self.state, &name).pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        Ok(ObjectPath::try_from(format!("{ROOT}/job/0"))
            .unwrap()
            .into())
    }

    fn kill_unit(&self, name: String, whom: String, signal: i32) -> fdo::Result<()> {
        assert_eq!((whom.as_str(), signal), ("all", libc::SIGKILL));
        unit(&self.state, &name).pid.into_iter().for_each(kill_all);
        Ok(())
    }

    fn reset_failed_unit(&self, name: String) -> fdo::Result<()> {
        let mut state = self.state.lock().unwrap();
        if let Some(unit) = state.units.get_mut(&name)
            && unit.active == "failed"
        {
            *unit = Unit::default();
        }
        Ok(())
    }

    async fn load_unit(
        &self,
        name: String,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        publish(connection, &self.state, &name).await;
        Ok(path_of(&name))
    }

    #[zbus(name = "GetUnitByPID")]
    async fn get_unit_by_pid(
        &self,
        pid: u32,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<OwnedObjectPath> {
        let name = self.of_pid(i32::try_from(pid).unwrap())?;
        publish(connection, &self.state, &name).await;
        Ok(path_of(&name))
    }

    #[zbus(name = "GetUnitByPIDFD")]
    fn get_unit_by_pidfd(
        &self,
        process: OwnedFd,
    ) -> fdo::Result<(OwnedObjectPath, String, Vec<u8>)> {
        if !self.state.lock().unwrap().pidfd {
            return Err(fdo::Error::AccessDenied("Rejected send message".to_owned()));
        }
        let fd = std::os::fd::OwnedFd::from(process);
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        let pid = info
            .lines()
            .find_map(|l| l.strip_prefix("Pid:"))
            .expect("a pidfd")
            .trim()
            .parse()
            .unwrap();
        let name = self.of_pid(pid)?;
        Ok((path_of(&name), name, vec![0; 16]))
    }

    fn list_units_by_patterns(
        &self,
        _states: Vec<String>,
        patterns: Vec<String>,
    ) -> Vec<UnitRow<OwnedObjectPath>> {
        assert!(patterns.iter().all(|p| p.starts_with("telexd-agent")));
        let none = || OwnedObjectPath::from(ObjectPath::try_from("/").unwrap());
        let units = self.state.lock().unwrap().units.clone();
        units
            .into_iter()
            .filter(|(_, u)| u.active != "inactive")
            .map(|(name, unit)| {
                let (path, word) = (path_of(&name), String::new);
                let loaded = "loaded".to_owned();
                (
                    name,
                    word(),
                    loaded,
                    unit.active,
                    word(),
                    word(),
                    path,
                    0,
                    word(),
                    none(),
                )
            })
            .collect()
    }

    #[zbus(property)]
    fn system_state(&self) -> String {
        "running".to_owned()
    }
}

pub struct UnitFace {
    pub state: Arc<Mutex<State>>,
    pub name: String,
}

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitFace {
    #[zbus(property)]
    fn id(&self) -> String {
        self.name.clone()
    }
    #[zbus(property)]
    fn load_state(&self) -> String {
        match self.state.lock().unwrap().mood {
            Mood::Load(state) => state.to_owned(),
            _ => "loaded".to_owned(),
        }
    }
    #[zbus(property)]
    fn load_error(&self) -> (String, String) {
        (String::new(), String::new())
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        unit(&self.state, &self.name).active
    }
    #[zbus(property)]
    fn fragment_path(&self) -> String {
        "/usr/lib/systemd/system/telexd-agent@.service".to_owned()
    }
    #[zbus(property)]
    fn drop_in_paths(&self) -> Vec<String> {
        vec!["/etc/systemd/system/telexd-agent@.service.d/override.conf".to_owned()]
    }
    #[zbus(property)]
    fn active_enter_timestamp_monotonic(&self) -> u64 {
        unit(&self.state, &self.name).entered
    }
    #[zbus(property)]
    fn active_exit_timestamp_monotonic(&self) -> u64 {
        unit(&self.state, &self.name).exited
    }
}

pub struct ServiceFace {
    pub state: Arc<Mutex<State>>,
    pub name: String,
}

#[interface(name = "org.freedesktop.systemd1.Service")]
impl ServiceFace {
    #[zbus(property)]
    fn result(&self) -> String {
        unit(&self.state, &self.name).result
    }
    #[zbus(property)]
    fn user(&self) -> String {
        "telexd-agent".to_owned()
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        unit(&self.state, &self.name).code
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        unit(&self.state, &self.name).status
    }
    #[zbus(property)]
    fn memory_max(&self) -> u64 {
        unit(&self.state, &self.name).memory_max
    }
    #[zbus(property, name = "RuntimeMaxUSec")]
    fn runtime_max(&self) -> u64 {
        unit(&self.state, &self.name).runtime_max
    }
}
