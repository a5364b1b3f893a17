//! What the daemon has to do with systemd. One crate per job: notification and watchdog through `sd-notify`.

pub mod herald;
mod journal;
mod limit;
mod line;
pub mod log;
pub mod notify;
pub mod patience;
pub mod sockets;
pub mod watchdog;
