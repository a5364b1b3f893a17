//! Intake, delivery and client against the loopback Bot API, with a real database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: whatever is not as it should be ends them"
)]

mod calls;
mod delivery;
mod delivery_order;
mod delivery_refusals;
mod documents;
mod drafts;
mod intake;
mod network;
mod presence;
mod rig;
mod stall;
