//! Bad input, from the configuration to the network: each time the right person is told clearly, nothing is lost,
//! and all works again when the cause is gone.

mod agent;
mod config;
mod database;
pub mod disk;
mod errors;
mod presses;
mod runs;
mod sending;
mod telegram;
mod updates;
