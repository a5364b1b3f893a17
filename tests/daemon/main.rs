//! The daemon as people and administrators meet it: the real program, a real database, real processes,
//! against the loopback Bot API.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test says what it found and fails"
)]

mod manager;
mod rig;
#[path = "../shared/mod.rs"]
mod shared;
mod support;

mod alerts;
mod bad;
mod bus;
mod count;
mod crash;
mod ctl;
mod files;
mod health;
mod life;
mod load;
mod matrix;
mod real;
mod talk;
mod units;
