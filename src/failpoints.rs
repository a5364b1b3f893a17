//! Named points at which a test kills the daemon. Compiled in only with the feature `failpoints`.
//!
//! `TELEXD_KILL_AT=POINT:N` ends the process with SIGKILL the Nth time that it comes by that point: nothing is
//! flushed, no destructor runs, as if the power had gone for this process. `TELEXD_STALL_AT=POINT:MILLISECONDS`
//! stops the thread there for a while; `TELEXD_PANIC_AT=POINT:N` panics there, the Nth time, as a defect would.
//!
//! `TELEXD_ALERTS_AHEAD=FILE` sets the time of alerts ahead by what stands in the file, also while the daemon runs.
//!
//! `TELEXD_FREEZE_AT=PART:N` has a part of the daemon stand still from the Nth time on, for good, while the others go on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Names of all points, for tests that go through every one.
pub const POINTS: &[&str] = &[
    "intake-before-commit",
    "intake-after-commit",
    "intake-accepted",
    "dispatch-before-commit",
    "dispatch-after-commit",
    "store-before-commit",
    "store-after-commit",
    "lane-launch",
    "lane-launched",
    "lane-submitted",
    "lane-appended",
    "lane-answered",
    "runner-dir-made",
    "runner-spawned",
    "runner-handed-off",
    "runner-append-before",
    "runner-append-torn",
    "runner-append-after",
    "runner-lines-read",
    "codec-before-commit",
    "codec-after-commit",
    "outbox-claimed",
    "outbox-wire-done",
    "outbox-recorded",
];

/// Names of steps of work that may take long: to be stalled only, so that it does.
pub const STEPS: &[&str] = &["store-progress", "store-commit"];

/// Points that only a file comes by.
pub const FILES: &[&str] = &["file-fetched", "file-before-commit", "file-after-commit"];

/// Points that only an order comes by: an administrator's, or the choice of a permission mode.
pub const ORDERS: &[&str] = &[
    "admin-committed",
    "pairing-committed",
    "mode-committed",
    "mode-told",
];

/// Points that only a person who stops something, or orders something about what waits, comes by.
pub const QUEUE: &[&str] = &["lane-stopping", "press-committed"];

/// Points that only a prompt comes by that does something about the turn that runs.
pub const BUSY: &[&str] = &["newer-interrupts", "beside-committed", "beside-written"];

/// Points that only an answer to an agent's question comes by.
pub const QUESTIONS: &[&str] = &["question-committed"];

/// Points that only what administrators are told comes by.
pub const ALERTS: &[&str] = &["alerts-before-commit", "alerts-committed"];

/// Names of the parts that can be frozen: what the watchdog looks after.
pub const PARTS: &[&str] = &["runtime-frozen", "store-frozen", "intake-frozen"];

/// Arms what the environment asks for.
///
/// # Errors
/// A sentence, when the environment asks for something that there is not.
pub fn arm() -> Result<(), String> {
    let points = [POINTS, FILES, ORDERS, QUEUE, BUSY, QUESTIONS, ALERTS].concat();
    if let Some((point, nth)) = wish("TELEXD_KILL_AT", &points)? {
        let passed = AtomicU64::new(0);
        fail::cfg_callback(point, move || {
            if passed.fetch_add(1, Ordering::SeqCst) + 1 == nth {
                let _ = nix::sys::signal::kill(
                    nix::unistd::getpid(),
                    nix::sys::signal::Signal::SIGKILL,
                );
                // The signal is on its way; nothing more may happen here.
                loop {
                    std::thread::park();
                }
            }
        })?;
    }
    if let Some((point, nth)) = wish("TELEXD_PANIC_AT", POINTS)? {
        let passed = AtomicU64::new(0);
        fail::cfg_callback(point, move || {
            let now = passed.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(now != nth, "a test asked for this panic, at {point}");
        })?;
    }
    if let Some((point, millis)) = wish("TELEXD_STALL_AT", &[POINTS, STEPS, QUEUE].concat())? {
        fail::cfg(point, &format!("sleep({millis})"))?;
    }
    if let Some((part, nth)) = wish("TELEXD_FREEZE_AT", PARTS)? {
        let before = nth.saturating_sub(1);
        fail::cfg(part, &format!("{before}*off->return"))?;
    }
    read_ahead().map(|_| ())
}

/// By how many milliseconds a test has set the time of alerts ahead: what stands in the file that `TELEXD_ALERTS_AHEAD`
/// names.
///
/// # Panics
/// Where that cannot be read: the test would wait in vain for what it believes to have hurried. [`arm`] has read it before.
#[must_use]
pub fn ahead() -> i64 {
    read_ahead().unwrap_or_else(|problem| panic!("{problem}"))
}

fn read_ahead() -> Result<i64, String> {
    let Some(path) = std::env::var_os("TELEXD_ALERTS_AHEAD") else {
        return Ok(0);
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|cause| format!("TELEXD_ALERTS_AHEAD: {}: {cause}", path.display()))?;
    text.trim()
        .parse()
        .map_err(|_| format!("TELEXD_ALERTS_AHEAD: {text:?} is not a number"))
}

fn wish(variable: &str, points: &[&'static str]) -> Result<Option<(&'static str, u64)>, String> {
    let Ok(value) = std::env::var(variable) else {
        return Ok(None);
    };
    let (name, number) = value
        .split_once(':')
        .ok_or_else(|| format!("{variable} is POINT:NUMBER"))?;
    let point = points
        .iter()
        .find(|point| **point == name)
        .ok_or_else(|| format!("{variable}: there is no point {name}"))?;
    let number = number
        .parse()
        .map_err(|_| format!("{variable}: {number} is not a number"))?;
    Ok(Some((point, number)))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Points that the sources name and that this list lacks would never be tested, and the other way round.
    #[test]
    fn the_list_is_what_the_sources_name() {
        fn walk(dir: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, found);
                } else if path.extension().is_some_and(|e| e == "rs")
                    && path.file_name().is_none_or(|n| n != "failpoints.rs")
                {
                    let text = fs::read_to_string(&path).unwrap();
                    for rest in text.split("fail_point!(").skip(1) {
                        if let Some(name) = rest
                            .trim_start()
                            .strip_prefix('"')
                            .and_then(|r| r.split('"').next())
                        {
                            found.push(name.to_owned());
                        }
                    }
                }
            }
        }
        let mut found = Vec::new();
        walk(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut found,
        );
        found.sort();
        found.dedup();
        let mut listed: Vec<_> = [
            super::POINTS,
            super::FILES,
            super::ORDERS,
            super::QUEUE,
            super::BUSY,
            super::QUESTIONS,
            super::ALERTS,
            super::STEPS,
            super::PARTS,
        ]
        .concat()
        .iter()
        .map(|p| (*p).to_owned())
        .collect();
        listed.sort();
        assert_eq!(found, listed);
    }
}
