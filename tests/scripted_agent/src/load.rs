//! Processes that take what a machine has: memory, process ids, time of its processors. They stand for a tool that went
//! wrong, and end by themselves where nobody ends them.

use std::{
    env, io,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const LOAD: &str = "--telexd-load";

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// So many MiB of memory; ends once it has them.
    Memory { mebibytes: usize },
    /// Whole processors, by so many threads.
    Processors { threads: usize, seconds: u64 },
    /// Processes that start processes, each as many as it can, without end before this time (milliseconds since 1970).
    Processes { until: u128 },
}

impl Load {
    /// `memory MIB`, `processors SECONDS [THREADS]` or `processes SECONDS`.
    fn parse(words: &str) -> Option<Self> {
        let words: Vec<&str> = words.split_whitespace().collect();
        Some(match words.as_slice() {
            ["memory", mebibytes] => Self::Memory {
                mebibytes: mebibytes.parse().ok()?,
            },
            ["processors", seconds] => Self::Processors {
                threads: thread::available_parallelism().map_or(1, Into::into),
                seconds: seconds.parse().ok()?,
            },
            ["processors", seconds, threads] => Self::Processors {
                threads: threads.parse().ok()?,
                seconds: seconds.parse().ok()?,
            },
            ["processes", seconds] => Self::Processes {
                until: now() + u128::from(seconds.parse::<u32>().ok()?) * 1000,
            },
            ["processes-until", until] => Self::Processes {
                until: until.parse().ok()?,
            },
            _ => return None,
        })
    }

    fn carry(self) {
        match self {
            Self::Memory { mebibytes } => {
                let mut taken = Vec::new();
                for _ in 0..mebibytes {
                    // Not zeros: those the kernel gives without any memory behind them.
                    taken.push(vec![1_u8; 1 << 20]);
                }
                std::hint::black_box(taken);
            }
            Self::Processors { threads, seconds } => {
                for _ in 0..threads {
                    thread::spawn(|| {
                        loop {
                            std::hint::spin_loop();
                        }
                    });
                }
                thread::sleep(Duration::from_secs(seconds));
            }
            Self::Processes { until } => {
                let words = format!("processes-until {until}");
                let mut children = Vec::new();
                while now() < until {
                    match start(&words) {
                        Ok(child) => children.push(child),
                        // As many as the machine lets it: it goes on trying.
                        Err(_) => thread::yield_now(),
                    }
                }
                for mut child in children {
                    let _ = child.wait();
                }
            }
        }
    }
}

fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis())
}

/// Starts a process that takes that: `memory MIB`, `processors SECONDS [THREADS]` or `processes SECONDS`.
pub fn start(words: &str) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .args([LOAD, words])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// The process that [`start`] starts. `None`: this process is none.
pub fn main(args: &[String]) -> Option<ExitCode> {
    let [flag, words] = args else { return None };
    if flag != LOAD {
        return None;
    }
    Some(match Load::parse(words) {
        Some(load) => {
            load.carry();
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    })
}
