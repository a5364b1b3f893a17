//! The notification protocol of the service manager, sd_notify(3). Nothing else in the program speaks it.
//!
//! Without `NOTIFY_SOCKET` there is nobody to tell, which is no error: the daemon also runs by itself.

use std::{
    ffi::{OsStr, OsString},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sd_notify::NotifyState;
use tracing::{debug, warn};

/// Variable with the address of the service manager's socket.
pub const SOCKET: &str = "NOTIFY_SOCKET";

/// Longest status in bytes. The manager reads datagrams of at most 4096 bytes.
pub const STATUS_BYTES: usize = 1000;

/// Ready: locally able, whatever the network does. Ends a reload as well.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] ends it.
pub fn reloading() {
    // Both in one message: systemd 253 and newer take a reload without its time for a failed one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        // CLOCK_MONOTONIC is always there; without it the manager goes on thinking that nothing is reloaded.
        Err(cause) => debug!(%cause, "there is no monotonic clock"),
    }
}

/// Stopping; it takes at most so long.
pub fn stopping(within: Duration) {
    send(&[
        NotifyState::Stopping,
        NotifyState::Status("stopping; agents that run go on"),
        // Matters only where somebody set a shorter TimeoutStopSec= than an orderly stop may need.
        NotifyState::ExtendTimeoutUsec(micros(within)),
    ]);
}

/// What the daemon does is taking long but goes on: the manager is to wait for so long from now.
pub fn extend(by: Duration) {
    send(&[NotifyState::ExtendTimeoutUsec(micros(by))]);
}

/// A sign of life for the watchdog.
pub(super) fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// A sentence for people: `systemctl status` shows it.
pub(super) fn status(text: &str) {
    send(&[NotifyState::Status(&clean(text))]);
}

/// Whether there is a service manager that can be told.
///
/// # Errors
/// There should be one, but it cannot be told: a sentence that says what to look at.
pub fn present() -> Result<bool, String> {
    judge(std::env::var_os(SOCKET).as_deref())
}

fn judge(address: Option<&OsStr>) -> Result<bool, String> {
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return Ok(false);
    };
    match address.as_encoded_bytes()[0] {
        b'/' => Ok(true),
        b'@' => Err(format!(
            "{SOCKET} is the abstract socket {}, to which telexd does not speak: have the service manager use a path, or \
             unset {SOCKET}",
            address.display()
        )),
        _ => Err(format!(
            "{SOCKET} is {}, which is not the path of a socket: check who sets it, or unset it",
            address.display()
        )),
    }
}

/// The text as a status may be: one line without control characters, at most [`STATUS_BYTES`]. A line break would begin
/// another assignment of the protocol.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(STATUS_BYTES));
    let mut gap = false;
    for c in text.chars() {
        // Line and paragraph separators are white space to Rust, though not control characters.
        if c.is_control() || c.is_whitespace() {
            gap = !line.is_empty();
            continue;
        }
        let room = STATUS_BYTES - '…'.len_utf8();
        if line.len() + usize::from(gap) + c.len_utf8() > room {
            line.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push(c);
    }
    line
}

/// The protocol's number, which this library holds in 32 bits: at most 71 minutes.
fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn send(states: &[NotifyState<'_>]) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !matches!(present(), Ok(true)) {
        return;
    }
    if let Err(cause) = sd_notify::notify(states) {
        let socket: OsString = std::env::var_os(SOCKET).unwrap_or_default();
        if TOLD.swap(true, Ordering::Relaxed) {
            debug!(%cause, "the service manager could not be told");
        } else {
            warn!(
                %cause,
                socket = %socket.display(),
                "the service manager could not be told; check that its socket is there and may be written to"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses() {
        for (address, wanted) in [
            (None, Ok(false)),
            (Some(""), Ok(false)),
            (Some("/run/systemd/notify"), Ok(true)),
        ] {
            assert_eq!(judge(address.map(OsStr::new)), wanted);
        }
        for (address, part) in [
            ("@/org/x", "abstract"),
            ("vsock:2:1", "not the path"),
            ("run/x", "not the path"),
        ] {
            let told = judge(Some(OsStr::new(address))).unwrap_err();
            assert!(told.contains(part) && told.contains(address), "{told}");
        }
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(
            clean("a\nMAINPID=1\r\n\u{2028}b\0 \t c\n"),
            "a MAINPID=1 b c"
        );
        assert_eq!(clean("\n\n"), "");
        let long = clean(&"ä ".repeat(4000));
        assert!(long.len() <= STATUS_BYTES && long.ends_with('…'), "{long}");
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_stays_one_short_line(text: String) {
            let line = clean(&text);
            prop_assert!(line.len() <= STATUS_BYTES);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert_eq!(clean(&line), line);
        }
    }
}
