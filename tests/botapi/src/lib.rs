//! A Telegram Bot API server on the loopback: long poll, confirmation by offset, Telegram's own checks and error texts,
//! people to play, faults on demand. For tests, benches and the demo; never part of the daemon.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use telexd_botapi::{BotApi, Config};
//!
//! let api = BotApi::start(Config::default()).await?;
//! let ann = api.user(1001, "Ann");
//! ann.send_text(ann.id(), "hello");
//! // … a bot that polls api.url() with api.token() …
//! api.wait_for(Duration::from_secs(10), |v| !v.bot_messages(1001).is_empty()).await?;
//! api.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! The state lives in [`BotApi`], not in the connections: bots may be killed and started again, and the network may go
//! and come back ([`BotApi::network`]), without losing anything.

mod answer;
mod api;
mod clock;
mod config;
mod faults;
mod flood;
mod inject;
mod methods;
mod observe;
mod origin;
mod outgoing;
mod person;
mod poll;
mod queue;
mod request;
mod server;
mod shared;
mod sim;
mod state;
mod text;
mod wait;
mod wire;

pub use api::{BotApi, Network};
pub use clock::{Clock, ManualClock};
pub use config::{CALLS_FILE_VARIABLE, Config, LATE_VARIABLE};
pub use faults::{Condition, Fault, FaultId, FaultKind};
pub use flood::FloodLimits;
pub use inject::NotAnUpdate;
pub use observe::{
    Button, Call, CallbackAnswer, Change, Outcome, ShownAction, ShownDraft, ShownFile,
    ShownMessage, Version,
};
pub use origin::Origin;
pub use outgoing::Outgoing;
pub use person::{NoDraft, NoSuchButton, Person};
pub use state::State as View;
pub use text::Entity;
pub use wait::TimedOut;
