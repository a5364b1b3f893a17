//! The direct runner with real processes: shell scripts as agents, the real supervisor.

// The helpers are test code as well, which the lint cannot see.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

mod crash;
mod endings;
mod following;
mod handoff;
mod rig;
