//! A process that leaves its session and outlives its parent, as a tool's `setsid` double fork does.

use std::{
    env,
    io::{self, BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

const CHILD: &str = "--telexd-stray-child";
const STRAY: &str = "--telexd-stray";

/// Leaves a process behind that sleeps so many seconds; its id.
pub fn leave(seconds: u64, session: &str) -> io::Result<u32> {
    let mut child = Command::new(env::current_exe()?)
        .args([CHILD, &seconds.to_string()])
        .env("CLAUDE_CODE_SESSION_ID", session)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    child.wait()?;
    line.trim().parse().map_err(io::Error::other)
}

/// The two processes that [`leave`] starts. `None`: this process is neither.
pub fn main(args: &[String]) -> Option<ExitCode> {
    let [role, seconds] = args else { return None };
    let code = match role.as_str() {
        CHILD => child(seconds),
        STRAY => {
            thread::sleep(Duration::from_secs(seconds.parse().unwrap_or(1)));
            Ok(())
        }
        _ => return None,
    };
    Some(if code.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[allow(clippy::print_stdout, reason = "its parent reads it")]
fn child(seconds: &str) -> io::Result<()> {
    nix::unistd::setsid()?;
    let stray = Command::new(env::current_exe()?)
        .args([STRAY, seconds])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    println!("{}", stray.id());
    Ok(())
}
