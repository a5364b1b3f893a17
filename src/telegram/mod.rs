//! Telegram: what comes in (intake), what goes out (delivery), and how both are read and written.

pub mod breakage;
mod call_error;
mod chance;
pub mod classify;
pub mod client;
pub mod delivery;
pub mod files;
pub mod inbound;
pub mod intake;
pub mod menu;
mod poll_health;
pub mod presence;
pub mod render;
pub mod tally;
mod token;

pub use token::{BadToken, BotToken};
