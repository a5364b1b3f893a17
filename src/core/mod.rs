//! Pure rules: no I/O, no runtime, no clock and no randomness of its own.
//!
//! Everything here is data and functions over data, so that it can be tested with properties and
//! replayed after a crash. Time comes in as milliseconds since the Unix epoch ([`Millis`]).

pub mod actor;
pub mod alerts;
pub mod approval;
pub mod backoff;
pub mod batching;
pub mod busy;
pub mod clock;
pub mod command;
pub mod compose;
pub mod event;
pub mod files;
pub mod flag;
pub mod happened;
pub mod ids;
pub mod inbound;
pub mod ip;
pub mod json;
pub mod life;
pub mod limits;
pub mod live;
pub mod mark;
pub mod messages;
pub mod meter;
pub mod mode;
pub mod moment;
pub mod pace;
pub mod pairing;
pub mod pause;
pub mod policy;
pub mod profile;
pub mod prompt;
pub mod queue;
pub mod stall;
pub mod tally;
pub mod text;
pub mod trouble;
pub mod turn;
pub mod units;
pub mod waiting;
pub mod words;

/// Milliseconds since the Unix epoch. Signed, as SQLite stores it.
pub type Millis = i64;
