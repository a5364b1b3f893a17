//! The directory in which everything of a demo lies, and what is written into it before the daemon starts.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{
    agent::{Agent, Kind},
    town,
};

/// Name of the link to this program under which it is the stand-in.
pub const STAND_IN: &str = "telexd-demo-agent";

/// Longest path of a directory in which sockets are made: the system allows 107 bytes for the whole path.
const LONGEST: usize = 60;

/// The directory. Dropping it removes it.
pub struct Home(tempfile::TempDir);

impl Home {
    /// Makes it, open to its owner alone.
    ///
    /// # Errors
    /// A sentence.
    pub fn make() -> Result<Self, String> {
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() > LONGEST {
            parent = PathBuf::from("/tmp");
        }
        tempfile::Builder::new()
            .prefix("telexd-demo-")
            .tempdir_in(&parent)
            .map(Self)
            .map_err(|e| format!("cannot make a directory in {}: {e}", parent.display()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes it. A host that lost its guard may have done so already.
    ///
    /// # Errors
    /// A sentence.
    pub fn remove(self) -> Result<(), String> {
        let path = self.path().to_owned();
        match self.0.close() {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {e}", path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The database of the daemon.
pub fn database(home: &Path) -> PathBuf {
    state(home).join("telexd.db")
}

/// What the daemon says to its journal.
pub fn log(home: &Path) -> PathBuf {
    home.join("telexd.log")
}

fn state(home: &Path) -> PathBuf {
    home.join("state")
}

/// Writes configuration, token and the agent's environment; gives the configuration file.
///
/// # Errors
/// The file system's.
pub fn furnish(home: &Path, agent: &Agent, api_url: &str, token: &str) -> io::Result<PathBuf> {
    for directory in ["state", "project", "agent"] {
        fs::create_dir(home.join(directory))?;
    }
    let command = match &agent.kind {
        Kind::StandIn => {
            let link = home.join(STAND_IN);
            symlink(std::env::current_exe()?, &link)?;
            link
        }
        Kind::Claude(path) | Kind::Given(path) => path.clone(),
    };
    secret(&home.join("token"), token)?;
    let mut environment = String::new();
    for (name, value) in agent.environment(&home.join("agent")) {
        // A value with a line end cannot stand in the file, and no key has one.
        if !value.contains(['\n', '\r', '\0']) {
            environment.push_str(&format!("{name}='{value}'\n"));
        }
    }
    secret(&home.join("agent.env"), &environment)?;
    let file = home.join("telexd.toml");
    fs::write(&file, config(home, &command, api_url))?;
    Ok(file)
}

fn secret(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}

/// The configuration: the defaults, but for places and people.
fn config(home: &Path, command: &Path, api_url: &str) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let path = |path: &Path| text(&path.to_string_lossy());
    format!(
        "[telegram]\ntoken_file = {}\napi_url = {}\n\n\
         [access]\nadmins = [{}]\nusers = [{}]\n\n\
         [agent]\ncommand = {}\ndirectory = {}\nlauncher = \"direct\"\nenvironment_file = {}\n\n\
         [state]\ndirectory = {}\n",
        path(&home.join("token")),
        text(api_url),
        town::ANN,
        town::BEN,
        path(command),
        path(&home.join("project")),
        path(&home.join("agent.env")),
        path(&state(home)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use telexd::config::{self, Surroundings};

    #[test]
    fn the_configuration_is_one_that_the_daemon_takes() {
        let home = Home::make().unwrap();
        let agent = Agent {
            kind: Kind::StandIn,
            name: String::new(),
            why: String::new(),
        };
        let token = "4242:AAF-loopback-bot-token-of-35-charsX";
        let file = furnish(home.path(), &agent, "http://127.0.0.1:1", token).unwrap();
        let loaded = config::load(&file, &Surroundings::default()).unwrap();
        assert_eq!(loaded.warnings, Vec::new());
        assert_eq!(loaded.settings.state_directory, state(home.path()));
        assert!(loaded.settings.agent.command.ends_with(STAND_IN));
        assert!(!fs::read_to_string(&file).unwrap().contains("AAF"));
        let path = home.path().to_owned();
        home.remove().unwrap();
        assert!(!path.exists());
    }
}
