//! Tests of the demo: of its parts, which lie beside them, and of the whole of it in a pipe and in a terminal.

// The helpers are test code as well, which the lint cannot see.
#![allow(clippy::unwrap_used)]

mod conversation;
#[expect(dead_code, reason = "`main` is the example's")]
#[path = "demo.rs"]
mod demo;
mod program;
mod smoke;
mod terminal;
