//! A daemon's life: how it starts and stops, how messages become prompts, who is answered where, and what it never tells.

mod approvals;
mod batching;
mod clock;
mod commands;
mod drafts;
mod edits;
mod groups;
mod language;
mod limits;
mod long_code;
mod marks;
mod mode;
mod orders;
mod pairing;
mod pause;
mod private;
mod questions;
mod queue;
mod reload;
mod secrets;
mod settings;
mod stop;
mod stopping;
mod together;
mod unexpected;
mod watchdog;
