//! What the daemon tells its service manager.

mod journal;
mod limit;
mod line;
pub mod log;

use sd_notify::NotifyState;
use tracing::debug;

/// Ready: locally able, whatever the network does.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Stopping.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Without a service manager there is nobody to tell, which is no error.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(cause) = sd_notify::notify(states) {
        debug!(%cause, "the service manager could not be told");
    }
}
