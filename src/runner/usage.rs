//! What agents take that the daemon starts itself: the sum over the processes below their supervisors.
//!
//! A supervisor is the subreaper of all that its agent starts, so whatever the agent started is below it in the tree.

use std::{
    collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path, time::Duration,
};

use procfs::process::{Process, Stat, all_processes};

use crate::{core::ids::RunId, gateway::ports::Usage};

/// The sum over all supervisors that take their work at this socket. Blocks: looks at every process of this user.
pub(super) fn below_supervisors(socket: &Path) -> Usage {
    let Ok(all) = all_processes() else {
        return Usage::default();
    };
    let own = nix::unistd::getuid().as_raw();
    let mut stats: HashMap<i32, Stat> = HashMap::new();
    let mut supervisors: HashMap<i32, String> = HashMap::new();
    // Those that end while we look are not counted.
    for process in all.flatten() {
        if process.uid().ok() != Some(own) {
            continue;
        }
        let Ok(stat) = process.stat() else { continue };
        if let Some(run) = supervised(&process, socket) {
            supervisors.insert(stat.pid, run);
        }
        stats.insert(stat.pid, stat);
    }
    let mut below: HashMap<i32, Vec<i32>> = HashMap::new();
    for stat in stats.values() {
        below.entry(stat.ppid).or_default().push(stat.pid);
    }
    let (page, ticks) = (procfs::page_size(), procfs::ticks_per_second());
    let mut usage = Usage {
        memory: Some(0),
        cpu: Vec::new(),
    };
    // A child that has just been forked still has its parent's arguments.
    let forked = |pid: &i32| {
        let parent = stats.get(pid).map(|stat| stat.ppid);
        parent.is_some_and(|parent| supervisors.contains_key(&parent))
    };
    for (supervisor, run) in supervisors.iter().filter(|(pid, _)| !forked(pid)) {
        let (mut pages, mut spent) = (0_u64, 0_u64);
        let mut left = vec![*supervisor];
        while let Some(pid) = left.pop() {
            // Removed, so that a tree that changed meanwhile is not walked for ever.
            left.extend(below.remove(&pid).unwrap_or_default());
            if let Some(stat) = stats.get(&pid) {
                pages += stat.rss;
                spent += stat.utime + stat.stime;
                // Of children that are gone.
                spent += u64::try_from(stat.cutime.saturating_add(stat.cstime)).unwrap_or(0);
            }
        }
        usage.memory = usage.memory.map(|sum| sum + pages * page);
        let millis = spent.saturating_mul(1000) / ticks.max(1);
        usage.cpu.push((run.clone(), Duration::from_millis(millis)));
    }
    usage
}

/// The run of a supervisor with this socket: its last two arguments are run and socket.
fn supervised(process: &Process, socket: &Path) -> Option<String> {
    let mut words = process.cmdline().ok()?.into_iter().rev();
    let at = words.next()?;
    if OsStr::from_bytes(at.as_bytes()) != socket.as_os_str() {
        return None;
    }
    RunId::parse(&words.next()?).map(|run| run.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn all_below_a_supervisor_is_counted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("handoff.sock");
        assert_eq!(
            below_supervisors(&socket),
            Usage {
                memory: Some(0),
                cpu: Vec::new()
            }
        );
        // A shell in the place of the supervisor, with a child that has burnt some time, and one that lives.
        // The latter says that it is there itself: while it is being made it takes nothing yet.
        let script = "i=0; (while [ $i -lt 100000 ]; do i=$((i+1)); done); exec 3<&0; \
                      sh -c 'echo ready; read x <&3' & wait";
        let mut child = Command::new("sh")
            .args(["-c", script, "telexd-run", "abcdefgh23456777"])
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut ready).unwrap();
        let usage = below_supervisors(&socket);
        let of_shell = Process::new(child.id().cast_signed())
            .unwrap()
            .stat()
            .unwrap()
            .rss
            * procfs::page_size();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(
            usage.memory.unwrap() > of_shell,
            "the child that lives is missing: {usage:?} {of_shell}"
        );
        assert_eq!(usage.cpu.len(), 1);
        assert_eq!(usage.cpu[0].0, "abcdefgh23456777");
        assert!(usage.cpu[0].1 > Duration::ZERO, "{usage:?}");
        assert!(below_supervisors(&socket).cpu.is_empty());
    }
}
