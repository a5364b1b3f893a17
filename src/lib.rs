//! telexd puts the Claude Code agent on a Linux server into Telegram, as a system service.
//!
//! The rooms of this library and who may use whom are described in `docs/architecture.md`;
//! `tests/rooms.rs` fails when a room uses one that it may not.

pub mod agent;
pub mod alert;
pub mod app;
pub mod cli;
pub mod config;
pub mod core;
pub mod ctl;
pub mod dbus;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod gateway;
pub mod health;
pub mod runner;
pub mod store;
pub mod systemd;
pub mod telegram;
