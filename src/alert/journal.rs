//! The last lines of a unit's journal, by journalctl, and how the unit stands, by systemctl.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{io::AsyncReadExt as _, process::Command};

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes that are read of what a program says.
const MOST_BYTES: u64 = 4 << 20;
/// How many entries are looked at, of which not all are told.
const ENTRIES: &str = "60";

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its message.
    pub text: String,
}

/// How a unit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is down, and nobody starts it again.
    Down,
    /// systemd will start it again by itself.
    Restarting,
    /// It runs again, or is just being started.
    Up,
    /// systemd does not say.
    Unknown,
}

/// The unit's last entries that may be told, oldest first. `uid`: the user whose processes may be told of, beside the
/// system's.
///
/// # Errors
/// A sentence.
pub async fn last_lines(journalctl: &Path, unit: &str, uid: u32) -> Result<Vec<Entry>, String> {
    let args = [
        "--quiet",
        "--no-pager",
        "--output=json",
        // Or what is long, such as a backtrace, is left out.
        "--all",
        "--output-fields=MESSAGE,PRIORITY,_PID,_UID,_COMM,_EXE,SYSLOG_IDENTIFIER",
        "--lines",
        ENTRIES,
        "--unit",
        unit,
    ];
    let said = run(journalctl, &args).await?;
    Ok(said.lines().filter_map(|line| entry(line, uid)).collect())
}

/// How the unit stands now.
pub async fn standing(systemctl: &Path, unit: &str) -> Standing {
    let args = ["show", "--property=ActiveState,SubState", "--", unit];
    match run(systemctl, &args).await {
        Ok(said) => read_standing(&said),
        Err(_) => Standing::Unknown,
    }
}

fn read_standing(said: &str) -> Standing {
    let of = |name: &str| {
        said.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    match (of("ActiveState"), of("SubState")) {
        ("activating", sub) if sub.starts_with("auto-restart") => Standing::Restarting,
        ("active" | "activating" | "reloading" | "refreshing", _) => Standing::Up,
        ("failed" | "inactive", _) => Standing::Down,
        _ => Standing::Unknown,
    }
}

/// An entry that may be told: of the system manager, or of the daemon itself. What else runs in the unit is an agent, if
/// agents are started directly, and what agents say is nobody else's business. Nor are entries of the debug level, which
/// may hold what people wrote.
fn entry(line: &str, uid: u32) -> Option<Entry> {
    let value: Value = serde_json::from_str(line).ok()?;
    let of = |name: &str| value.get(name).and_then(Value::as_str);
    if of("PRIORITY")
        .and_then(|p| p.parse::<u8>().ok())
        .unwrap_or(6)
        > 6
    {
        return None;
    }
    let system = of("_UID") == Some("0");
    // The journal cannot always tell the program of a process that is gone.
    let program = match of("_EXE") {
        Some(path) => path.trim_end_matches(" (deleted)").ends_with("/telexd"),
        None => of("_COMM").or(of("SYSLOG_IDENTIFIER")) == Some("telexd"),
    };
    let daemon = of("_UID") == Some(uid.to_string().as_str()) && program;
    if !(system || daemon) {
        return None;
    }
    let text = match value.get("MESSAGE")? {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => return None,
    };
    Some(Entry { text })
}

/// What a program says on its standard output.
async fn run(program: &Path, args: &[&str]) -> Result<String, String> {
    let name = program.display();
    let ran = async {
        let mut child = Command::new(program)
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = Vec::new();
        if let Some(out) = child.stdout.take() {
            out.take(MOST_BYTES).read_to_end(&mut said).await?;
        }
        let status = child.wait().await?;
        Ok::<_, std::io::Error>((status, said))
    };
    match tokio::time::timeout(PATIENCE, ran).await {
        Ok(Ok((status, said))) if status.success() => {
            Ok(String::from_utf8_lossy(&said).into_owned())
        }
        Ok(Ok((status, _))) => Err(format!("{name}: {status}")),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name} took too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Option<String> {
        entry(line, 990).map(|entry| entry.text)
    }

    #[test]
    fn the_daemon_and_the_system_manager_are_told() {
        for line in [
            r#"{"MESSAGE":"x","PRIORITY":"3","_UID":"990","_EXE":"/usr/bin/telexd"}"#,
            r#"{"MESSAGE":"x","PRIORITY":"3","_UID":"990","_EXE":"/usr/bin/telexd (deleted)"}"#,
            r#"{"MESSAGE":"x","_UID":"990","_COMM":"telexd"}"#,
            r#"{"MESSAGE":"x","_UID":"990","SYSLOG_IDENTIFIER":"telexd"}"#,
            r#"{"MESSAGE":"x","PRIORITY":"5","_UID":"0","_PID":"1","_EXE":"/usr/lib/systemd/systemd"}"#,
            r#"{"MESSAGE":[120],"_UID":"0"}"#,
        ] {
            assert_eq!(text(line), Some("x".to_owned()), "{line}");
        }
    }

    #[test]
    fn agents_debugging_and_rubbish_are_not() {
        for line in [
            r#"{"MESSAGE":"x","PRIORITY":"3","_UID":"991","_EXE":"/usr/bin/telexd"}"#,
            r#"{"MESSAGE":"x","PRIORITY":"3","_UID":"990","_EXE":"/usr/bin/claude","SYSLOG_IDENTIFIER":"telexd","_COMM":"telexd"}"#,
            r#"{"MESSAGE":"x","_UID":"990","_EXE":"/usr/libexec/telexd/telexd-run"}"#,
            r#"{"MESSAGE":"x","_UID":"990","_COMM":"node","SYSLOG_IDENTIFIER":"telexd"}"#,
            r#"{"MESSAGE":"x","PRIORITY":"7","_UID":"990","_EXE":"/usr/bin/telexd"}"#,
            r#"{"MESSAGE":null,"_UID":"0"}"#,
            r#"{"PRIORITY":"3","_UID":"0"}"#,
            "",
            "no JSON",
        ] {
            assert_eq!(text(line), None, "{line}");
        }
    }

    #[test]
    fn how_a_unit_stands() {
        for (said, standing) in [
            ("ActiveState=failed\nSubState=failed\n", Standing::Down),
            ("ActiveState=inactive\nSubState=dead\n", Standing::Down),
            (
                "SubState=auto-restart\nActiveState=activating\n",
                Standing::Restarting,
            ),
            (
                "ActiveState=activating\nSubState=auto-restart-queued\n",
                Standing::Restarting,
            ),
            ("ActiveState=activating\nSubState=start\n", Standing::Up),
            ("ActiveState=active\nSubState=running\n", Standing::Up),
            ("", Standing::Unknown),
        ] {
            assert_eq!(read_standing(said), standing, "{said}");
        }
    }
}
