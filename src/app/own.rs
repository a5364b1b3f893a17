//! What this process takes.

use std::{path::Path, time::Duration};

use procfs::process::Process;

/// Resident memory, what the service may take, processor time; each where it can be told.
pub(super) fn usage() -> (Option<u64>, Option<u64>, Option<Duration>) {
    let Ok(own) = Process::myself() else {
        return (None, None, None);
    };
    let stat = own.stat().ok();
    let memory = stat.as_ref().map(|stat| stat.rss * procfs::page_size());
    let cpu = stat.map(|stat| {
        let spent = (stat.utime + stat.stime).saturating_mul(1000);
        Duration::from_millis(spent / procfs::ticks_per_second().max(1))
    });
    (memory, limit(&own), cpu)
}

/// The lowest limit of the control groups that this process is in, where there is one.
fn limit(own: &Process) -> Option<u64> {
    let groups = own.cgroups().ok()?;
    let unified = groups.into_iter().find(|group| group.hierarchy == 0)?;
    let relative = unified.pathname.trim_start_matches('/').to_owned();
    let mut lowest = None;
    let root = Path::new("/sys/fs/cgroup");
    let mut group = root.join(relative);
    while group != root && group.starts_with(root) {
        let limit = std::fs::read_to_string(group.join("memory.max"));
        if let Some(limit) = limit.ok().and_then(|text| text.trim().parse().ok()) {
            lowest = Some(lowest.map_or(limit, |lowest: u64| lowest.min(limit)));
        }
        group.pop();
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let (memory, _, cpu) = usage();
        let memory = memory.unwrap();
        assert!((100_000..10_000_000_000).contains(&memory), "{memory}");
        assert!(cpu.is_some());
    }
}
