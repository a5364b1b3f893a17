//! The whole system: a real Debian with systemd as its first process, in it telexd as its package installs it, and a
//! loopback Bot API beside it. Each test boots a machine of its own, which takes less than a second.
//!
//! `just system` runs them. They need root, mmdebstrap and systemd-nspawn, and fail where those are missing.
//! `CONTRIBUTING.md` says how to write one and how to get a shell in such a machine.
//!
//! | file | what |
//! |---|---|
//! | `host.rs` | what a test may do with a machine, of whatever kind |
//! | `machine.rs` | a container: starts in less than a second, but limits of memory, tasks and CPU have no effect |
//! | `layers.rs` | the root file systems of containers |
//! | `vm/` | the same as an emulated machine, slow, for what needs a kernel of its own: limits, a reboot, a power failure |
//! | `server.rs` | a machine with telexd, its Bot API and its people |

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test says what it found and fails"
)]

mod host;
mod layers;
mod machine;
mod server;

#[path = "../shared/mod.rs"]
mod shared;

mod agents;
mod alert;
mod boots;
mod bus;
mod ctl;
mod files;
mod health;
mod journal;
mod lifecycle;
mod network;
mod package;
mod rights;
mod service;
mod starting;
mod vm;
mod watchdog;

/// Makes, of functions that take a release, a test for each release.
macro_rules! on_each_release {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {
        mod bookworm {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() { Box::pin(super::$name($crate::host::Release::Bookworm)).await; })+
        }
        mod trixie {
            $($(#[$attribute])* #[tokio::test]
            async fn $name() { Box::pin(super::$name($crate::host::Release::Trixie)).await; })+
        }
    };
}
pub(crate) use on_each_release;
