//! Run directories; starting, finding and following agent processes.
//!
//! A *run* is one agent process. The daemon never is its parent: a supervisor (`telexd-run`, see [`supervisor`])
//! starts it, feeds it and outlives the daemon. Both sides meet only in the run directory.
//!
//! # The run directory
//!
//! `<state>/runs/ID/`, mode 0700, owned by the daemon:
//!
//! | file | written by | content |
//! |---|---|---|
//! | `spec.json` | daemon, once | what to start, and in which boot of the machine |
//! | `input.jsonl` | daemon, appended | whole lines for the agent's stdin |
//! | `output.jsonl` | agent, appended | its stdout |
//! | `stderr.log` | agent and supervisor | for people |
//! | `exit.json` | supervisor | empty, then a blank line when it has taken the run, then the exit record |
//! | `bell` | - | FIFO: tells the supervisor to look at the input (`i`) or to end the agent (`t`) |
//!
//! It is made under another name and renamed when it is complete, so a directory with the name of a run always has
//! all of its files.
//!
//! # How a run stands
//!
//! Four facts tell it, whoever asks and whenever. None of them is a process id, and none needs the memory of the
//! daemon that started the run:
//!
//! 1. `exit.json` holds a whole record: the run is **over**. (The record is the supervisor's last act, after the
//!    last process of the run is dead.)
//! 2. Somebody has `bell` open for reading: the supervisor **lives**. It got that descriptor with the hand-off and
//!    never closes it; the kernel closes it when the supervisor ends, however it ends. The daemon sees that without
//!    asking: it holds a write end, and `poll` reports an error on it as soon as the last reader is gone. A
//!    descriptor that was sent but not received yet counts as open, so there is no gap between the two. For this to
//!    be true the daemon must never hold a read end of its own but for the instant of the hand-off, which happens
//!    under the same lock as the look at these facts; and every descriptor is close-on-exec.
//! 3. No reader, no record, but `exit.json` is not empty: a supervisor had taken the run and was killed. **Over**,
//!    without a record.
//! 4. No reader and `exit.json` is empty: nobody ever acted on this run, even if the descriptors were once sent: the
//!    supervisor's first act, before it starts anything, is to write the blank line. So the run may be **handed
//!    off** (again), until it is **withdrawn**. Withdrawing deletes `bell`: one atomic act that needs no free space
//!    and that every later daemon sees.
//!
//! Facts 2 to 4 make the hand-off happen at most once without a mark of the daemon's that could be out of step with
//! what really reached the supervisor.
//!
//! # What is promised
//!
//! - The daemon may be killed at any instruction. The agent does not notice; its output loses nothing; whoever
//!   attaches at an offset gets every line behind it once.
//! - Nobody stands between the agent and `output.jsonl`; a daemon that does not read never blocks it.
//! - A run that ended has left no process behind (the supervisor is the subreaper of all of them).

mod control;
mod direct;
mod directory;
mod engine;
mod fds;
mod follow;
mod handoff;
mod output;
mod room;
mod socket;
pub mod supervisor;
mod systemd;
mod usage;
mod watch;
pub mod wire;

pub use directory::boot_id;
pub use engine::Engine;
pub use systemd::{Systemd, look};

/// Offset or size of a file as the signed type that the system calls want. Sizes of files fit by definition.
fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
