//! Voice to text, by a command of the administrator's.

use std::{path::Path, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{io::AsyncReadExt, process::Command};

/// Most bytes that a command may say; what is beyond is not read.
const MOST_WORDS: u64 = 64 * 1024;
/// Variables that the command gets, beside `PATH`: nothing of the daemon's environment, which may hold secrets.
const ENVIRONMENT: [(&str, &str); 2] = [("LANG", "C.UTF-8"), ("HOME", "/nonexistent")];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command and its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcriber {
    /// Program and arguments; the path of the recording is added. No shell is involved.
    pub command: Vec<String>,
    /// How long it may take.
    pub limit: Duration,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// It did not start.
    #[error("it cannot be started: {0}")]
    Start(std::io::Error),
    /// It took too long and was ended.
    #[error("it took longer than {} s and was ended", .0.as_secs())]
    TooSlow(Duration),
    /// It failed.
    #[error("it failed ({0})")]
    Failed(std::process::ExitStatus),
    /// It said nothing.
    #[error("it found no words")]
    NoWords,
}

/// The process group of a command, killed when this is dropped: with it goes everything that the command started.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // Gone already: as good.
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

impl Transcriber {
    /// What is said in a recording.
    ///
    /// # Errors
    /// See [`VoiceError`].
    pub async fn run(&self, recording: &Path) -> Result<String, VoiceError> {
        let Some((program, args)) = self.command.split_first() else {
            return Err(VoiceError::Start(std::io::ErrorKind::NotFound.into()));
        };
        let mut child = Command::new(program)
            .args(args)
            .arg(recording)
            .env_clear()
            .env("PATH", PATH)
            .envs(ENVIRONMENT)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(VoiceError::Start)?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(|id| Group(Pid::from_raw(id)));
        let out = child.stdout.take();
        let work = async {
            let mut words = Vec::new();
            if let Some(out) = out {
                out.take(MOST_WORDS)
                    .read_to_end(&mut words)
                    .await
                    .map_err(VoiceError::Start)?;
            }
            // Whoever says more than that is not waited for.
            let status = if words.len() as u64 >= MOST_WORDS {
                None
            } else {
                Some(child.wait().await.map_err(VoiceError::Start)?)
            };
            Ok((words, status))
        };
        let done = tokio::time::timeout(self.limit, work).await;
        // What it left behind, or all of it where it is not done.
        drop(group);
        let (words, status) = done.map_err(|_| VoiceError::TooSlow(self.limit))??;
        if let Some(status) = status.filter(|status| !status.success()) {
            return Err(VoiceError::Failed(status));
        }
        let words = tidy(&String::from_utf8_lossy(&words));
        if words.is_empty() {
            return Err(VoiceError::NoWords);
        }
        Ok(words)
    }
}

/// Text without control characters, and without the space around it.
fn tidy(words: &str) -> String {
    let clean: String = words
        .chars()
        .map(|c| {
            if c == '\n' || c == '\t' || !c.is_control() {
                c
            } else {
                ' '
            }
        })
        .collect();
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

    use super::*;

    fn of(script: &str, limit: Duration) -> Transcriber {
        Transcriber {
            command: ["sh", "-c", script, "sh"].map(str::to_owned).into(),
            limit,
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn its_words_are_the_transcript() {
        let heard = of("printf ' a\\033b\\n%s \\n' \"$1\"", LONG);
        assert_eq!(heard.run(Path::new("/x y")).await.unwrap(), "a b\n/x y");
    }

    #[tokio::test]
    async fn it_gets_nothing_of_the_daemons_environment() {
        let heard = of("env | cut -d= -f1 | sort | tr '\\n' ' '; pwd", LONG);
        let said = heard.run(Path::new("/x")).await.unwrap();
        // PWD is the shell's own.
        assert_eq!(said, "HOME LANG PATH PWD /");
    }

    #[tokio::test]
    async fn what_is_slow_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let marks = dir.path().join("pids");
        let script = format!(
            "sleep 300 & echo $! >> {0}; echo $$ >> {0}; wait",
            marks.display()
        );
        let begun = Instant::now();
        let ended = of(&script, Duration::from_millis(500))
            .run(Path::new("/x"))
            .await;
        assert!(matches!(ended, Err(VoiceError::TooSlow(_))), "{ended:?}");
        assert!(begun.elapsed() < LONG);
        let pids = fs::read_to_string(&marks).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            let until = Instant::now() + LONG;
            let lives = || {
                fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| !stat.contains(") Z "))
            };
            while lives() {
                assert!(Instant::now() < until, "{pid} lives on");
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_apart() {
        let run = |script: &'static str| async move { of(script, LONG).run(Path::new("/x")).await };
        assert!(matches!(run("exit 3").await, Err(VoiceError::Failed(_))));
        assert!(matches!(run("echo").await, Err(VoiceError::NoWords)));
        let said = run("yes abcdefg").await.unwrap();
        assert!(said.len() as u64 <= MOST_WORDS && said.len() > 60_000);
        let absent = Transcriber {
            command: vec!["/no/such/program".to_owned()],
            limit: LONG,
        };
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        fs::write(&plain, "x").unwrap();
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Transcriber {
            command: vec![plain.to_string_lossy().into_owned()],
            limit: LONG,
        };
        for broken in [absent, refused] {
            let ended = broken.run(Path::new("/x")).await;
            assert!(matches!(ended, Err(VoiceError::Start(_))), "{ended:?}");
        }
    }
}
