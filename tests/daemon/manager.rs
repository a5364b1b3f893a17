//! A service manager as far as the daemon sees one: the socket that it tells how it stands.

use std::{
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::support::{DEADLINE, World, breathe};

/// What a service manager was told.
pub struct Manager {
    pub socket: UnixDatagram,
    path: PathBuf,
    /// Messages, each of one or more lines, with the time at which each was read.
    pub told: Vec<(Instant, String)>,
}

impl Manager {
    pub fn listen(world: &World) -> Self {
        let path = world.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            path,
            told: Vec::new(),
        }
    }

    /// Address for `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Reads what has come.
    pub fn read(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(size) => {
                    let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
                    self.told.push((Instant::now(), text));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Forgets what was told so far.
    pub fn forget(&mut self) {
        self.read();
        self.told.clear();
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.told.iter().flat_map(|(_, message)| message.lines())
    }

    /// How often this line was told.
    pub fn count(&self, line: &str) -> usize {
        self.lines().filter(|told| *told == line).count()
    }

    /// The newest status.
    pub fn status(&self) -> Option<&str> {
        self.lines()
            .filter_map(|line| line.strip_prefix("STATUS="))
            .last()
    }

    /// Waits until this line is told.
    pub async fn wait(&mut self, line: &str) {
        self.wait_for(line, |manager| manager.count(line) > 0).await;
    }

    /// Waits until the newest status contains this.
    pub async fn wait_status(&mut self, part: &str) -> String {
        self.wait_for(part, |m| m.status().is_some_and(|s| s.contains(part)))
            .await;
        self.status().unwrap().to_owned()
    }

    /// Waits for a condition.
    pub async fn wait_for(&mut self, what: &str, met: impl Fn(&Self) -> bool) {
        let until = Instant::now() + 2 * DEADLINE;
        loop {
            self.read();
            if met(self) {
                return;
            }
            assert!(
                Instant::now() < until,
                "waited in vain for {what}; told was {:#?}",
                self.told
            );
            breathe().await;
        }
    }

    /// Whether a sign of life comes within so long.
    pub async fn hears_within(&mut self, length: Duration) -> bool {
        self.forget();
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.read();
            if self.count("WATCHDOG=1") > 0 {
                return true;
            }
            breathe().await;
        }
        false
    }

    /// The longest time between two signs of life so far.
    pub fn longest_silence(&self) -> Duration {
        let signs: Vec<Instant> = self
            .told
            .iter()
            .filter(|(_, message)| message.contains("WATCHDOG=1"))
            .map(|(at, _)| *at)
            .collect();
        signs
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap_or_default()
    }
}
