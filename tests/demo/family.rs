//! The processes below this one. As a subreaper it is the parent of whatever loses its own, so that "no children left"
//! means "nothing left".

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};

/// How long processes have to end by themselves.
const GRACE: Duration = Duration::from_secs(3);
/// Pause between two looks at what is left.
const STEP: Duration = Duration::from_millis(20);
/// How long to try to kill what does not die.
const LIMIT: Duration = Duration::from_secs(10);

/// Becomes the parent of every process below that loses its own.
///
/// # Errors
/// The system's.
pub fn adopt() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// Ends everything below this process. `false`: something is still there.
pub fn end_all() -> bool {
    let begin = Instant::now();
    let mut told = Vec::new();
    loop {
        if !any_left() {
            return true;
        }
        let waited = begin.elapsed();
        if waited > LIMIT {
            return false;
        }
        for pid in below(getpid()) {
            let signal = if waited > GRACE {
                Signal::SIGKILL
            } else if told.contains(&pid) {
                continue;
            } else {
                told.push(pid);
                Signal::SIGTERM
            };
            // It may just have ended: then there is nothing to do.
            let _ = kill(pid, signal);
        }
        // What is not a child of ours yet tells nobody when it ends or starts another.
        std::thread::sleep(STEP);
    }
}

/// Takes note of children that ended; whether there are others.
fn any_left() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// Every process whose chain of parents leads to `top`.
fn below(top: Pid) -> Vec<Pid> {
    let parents = parents();
    let leads_up = |mut pid: i32| {
        // Processes come and go while they are listed: never more steps than entries.
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
            // The name in parentheses may hold anything, also parentheses and spaces.
            let rest = &stat[stat.iter().rposition(|b| *b == b')')? + 1..];
            let parent = std::str::from_utf8(rest)
                .ok()?
                .split_ascii_whitespace()
                .nth(1)?;
            Some((pid, parent.parse().ok()?))
        })
        .collect()
}
