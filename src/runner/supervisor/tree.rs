//! The processes below us.
//!
//! We are the subreaper: whatever the agent starts, also a daemon of its own in a session of its own, stays below us
//! in the tree and becomes our child when its parent ends. So "no children left" means "nothing left".

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};

use super::signals::Signals;

/// Longest pause between two looks while processes are being killed.
const STEP: Duration = Duration::from_millis(50);

/// Processes that have ended since the last call. `None`: there are no children at all.
pub(super) fn reap() -> Option<Vec<WaitStatus>> {
    let mut ended = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return Some(ended),
            Ok(status) => ended.push(status),
            Err(Errno::EINTR) => {}
            Err(_) if ended.is_empty() => return None,
            Err(_) => return Some(ended),
        }
    }
}

/// Sends a signal to every process below us. Those that are stopped are continued, as they could not obey.
pub(super) fn signal_all(signal: Signal) {
    for pid in below(getpid()) {
        send(pid, signal);
    }
}

/// Sends a signal to a process, and continues it.
pub(super) fn send(pid: Pid, signal: Signal) {
    // It may just have ended: then there is nothing to do.
    let _ = kill(pid, signal);
    let _ = kill(pid, Signal::SIGCONT);
}

/// Ends everything below us: SIGTERM, and SIGKILL after the grace, until nothing is left. `false` when something is
/// still there after `limit` (it belongs to another user, or hangs in the kernel).
pub(super) fn sweep(signals: &Signals, grace: Duration, limit: Duration) -> bool {
    let begin = Instant::now();
    if reap().is_none() {
        return true;
    }
    signal_all(Signal::SIGTERM);
    loop {
        if reap().is_none() {
            return true;
        }
        let now = Instant::now();
        if now > begin + limit {
            return false;
        }
        if now >= begin + grace {
            signal_all(Signal::SIGKILL);
        }
        // Wakes at once when a child ends.
        signals.pause(now + STEP);
    }
}

/// Every process whose chain of parents leads to `top`.
fn below(top: Pid) -> Vec<Pid> {
    let parents = parents();
    let leads_up = |mut pid: i32| {
        // The table may be inconsistent, as processes come and go: never more steps than entries.
        for _ in 0..=parents.len() {
            match parents.get(&pid) {
                Some(parent) if *parent == top.as_raw() => return true,
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    parents
        .keys()
        .filter(|pid| leads_up(**pid))
        .map(|pid| Pid::from_raw(*pid))
        .collect()
}

/// Parent of every process that can be seen.
fn parents() -> HashMap<i32, i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent_in(&stat)?))
        })
        .collect()
}

/// The parent in a line of `/proc/PID/stat`. The name in it may hold anything, also parentheses and spaces.
fn parent_in(stat: &[u8]) -> Option<i32> {
    let behind_name = stat.iter().rposition(|b| *b == b')')? + 1;
    let rest = std::str::from_utf8(&stat[behind_name..]).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in(b"12 (a) S 7) R 34 12 12 0"), Some(34));
        assert_eq!(parent_in(b"12 (sh) S 1 12"), Some(1));
        assert_eq!(parent_in(b"nonsense"), None);
        assert_eq!(parent_in(b"12 (sh)"), None);
    }

    #[test]
    fn our_own_child_is_below_us() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert!(below(getpid()).contains(&pid));
        assert!(!below(pid).contains(&getpid()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!below(getpid()).contains(&pid));
    }
}
