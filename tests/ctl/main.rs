//! `telexctl` as a program, on a bus of its own: what it shows, how it ends, and what it makes of answers that nobody should
//! give. The stand-in for the daemon answers what a test tells it to. With the real daemon: `tests/daemon/ctl.rs`.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test says what it found and fails"
)]

mod answers;
mod completions;
mod hosts;
mod rig;
mod screen;
#[path = "../shared/mod.rs"]
mod shared;
mod verbs;
