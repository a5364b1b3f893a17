//! Telegram: what comes in (intake), what goes out (delivery), and how both are read and written.

pub mod classify;
pub mod client;
pub mod inbound;
pub mod render;
mod token;

pub use token::{BadToken, BotToken};
