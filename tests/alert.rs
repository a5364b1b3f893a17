//! The alert, against the loopback Bot API, with stand-ins for journalctl and systemctl.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: whatever is not as it should be ends them"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use telexd::{
    alert::{self, Outcome, Request, report::Failure},
    config::{self, Contacts, Surroundings},
    core::Millis,
    gateway::ports::Clock,
};
use telexd_botapi::{BotApi, Config, Fault, FaultKind};
use tempfile::TempDir;
use tokio::process::Command;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Millis::try_from(since.as_millis()).unwrap()
    }
}

const ADMINS: [i64; 2] = [1001, 1002];

struct World {
    api: BotApi,
    dir: TempDir,
}

impl World {
    /// A bot that both administrators have written to, a good configuration, a unit that is down and one line of its journal.
    async fn new() -> Self {
        let api = BotApi::start(Config::default()).await.unwrap();
        for id in ADMINS {
            api.user(id, "Admin").send_text(id, "/start");
        }
        let world = Self {
            api,
            dir: tempfile::tempdir().unwrap(),
        };
        world.configure("");
        world.stands("ActiveState=failed\nSubState=failed");
        world.says(&[&line("it broke")]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The configuration, with something more at its end.
    fn configure(&self, more: &str) {
        let token = self.path("token");
        fs::write(&token, self.api.token()).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "access.admins = {ADMINS:?}\ntelegram.api_url = \"{}\"\ntelegram.token_file = \"{}\"\n{more}",
            self.api.url(),
            token.display()
        );
        fs::write(self.path("telexd.toml"), text).unwrap();
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path(name);
        // Never written while it may run, so it can always be run.
        let new = self.path("new");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn stands(&self, said: &str) {
        fs::write(self.path("standing"), said).unwrap();
        let file = self.path("standing");
        self.program("systemctl", &format!("cat '{}'", file.display()));
    }

    fn says(&self, lines: &[&str]) {
        let file = self.path("lines");
        fs::write(&file, lines.join("\n")).unwrap();
        self.program(
            "journalctl",
            &format!(
                "echo \"$@\" >'{}'; cat '{}'",
                self.path("asked").display(),
                file.display()
            ),
        );
    }

    fn contacts(&self) -> Contacts {
        config::contacts(&self.path("telexd.toml"), &Surroundings::default())
    }

    fn request(&self) -> Request {
        Request {
            unit: "telexd.service".to_owned(),
            failure: Failure {
                result: "exit-code".to_owned(),
                code: "exited".to_owned(),
                status: "1".to_owned(),
            },
            host: "box".to_owned(),
            contacts: self.contacts(),
            uid: 990,
            memory: Some(self.dir.path().to_owned()),
            journalctl: self.path("journalctl"),
            systemctl: self.path("systemctl"),
            clock: Arc::new(SystemClock),
            settle: Duration::from_secs(20),
            send: Duration::from_secs(20),
        }
    }

    fn texts(&self, id: i64) -> Vec<String> {
        self.api.view(|view| view.bot_texts(id))
    }
}

/// A line of the daemon's, as journalctl has it.
fn line(message: &str) -> String {
    serde_json::json!({"MESSAGE": message, "PRIORITY": "3", "_UID": "990", "_EXE": "/usr/bin/telexd"})
        .to_string()
}

#[tokio::test]
async fn every_administrator_is_told_once_and_without_secrets() {
    let world = World::new().await;
    let token = world.api.token().to_owned();
    let agent =
        serde_json::json!({"MESSAGE": "agent says", "_UID": "991", "_EXE": "/usr/bin/node"});
    world.says(&[
        &line(&format!("cannot reach http://h/bot{token}/getMe")),
        &line("ANTHROPIC_API_KEY=abcdefghi"),
        &agent.to_string(),
        &line("the end"),
    ]);
    assert_eq!(alert::run(world.request()).await, Outcome::Told(2));
    for id in ADMINS {
        let texts = world.texts(id);
        assert_eq!(texts.len(), 1, "{texts:?}");
        let text = &texts[0];
        assert!(
            text.starts_with(
                "⚠️ telexd.service on box ended with exit code 1. It is not started again by itself."
            ),
            "{text}"
        );
        assert!(
            text.contains("the end") && text.contains("cannot reach"),
            "{text}"
        );
        assert!(text.contains("systemctl status telexd.service"), "{text}");
        let secret = token.split_once(':').unwrap().1;
        for hidden in [secret, "abcdefghi", "agent says"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
    let asked = fs::read_to_string(world.path("asked")).unwrap();
    assert!(
        asked.contains("--all") && asked.contains("--unit telexd.service"),
        "{asked}"
    );
    // The same failure, reported again.
    assert_eq!(alert::run(world.request()).await, Outcome::Nothing);
    assert_eq!(world.texts(ADMINS[0]).len(), 1);
    // Another one is told.
    let mut other = world.request();
    other.failure.status = "78".to_owned();
    assert_eq!(alert::run(other).await, Outcome::Told(2));
    assert_eq!(world.texts(ADMINS[0]).len(), 2);
}

#[tokio::test]
async fn a_broken_configuration_tells_as_far_as_it_can_be_read() {
    let world = World::new().await;
    world.configure("[agent]\nlauncher = \"nonsense\"\nthis is not TOML\n");
    assert!(!world.contacts().problems.is_empty());
    assert_eq!(alert::run(world.request()).await, Outcome::Told(2));
    fs::write(world.path("token"), "").unwrap();
    assert_eq!(alert::run(world.request()).await, Outcome::NoWay);
    fs::remove_file(world.path("telexd.toml")).unwrap();
    assert_eq!(alert::run(world.request()).await, Outcome::NoWay);
    assert_eq!(world.texts(ADMINS[0]).len(), 1);
}

#[tokio::test]
async fn a_unit_that_comes_back_by_itself_is_not_told_of() {
    let world = World::new().await;
    let count = world.path("count");
    let script = |then: &str| {
        format!(
            "echo x >>'{0}'; if [ $(wc -l <'{0}') -lt 3 ]; then echo ActiveState=activating; echo SubState=auto-restart; \
             else echo ActiveState={then}; fi",
            count.display()
        )
    };
    world.program("systemctl", &script("active"));
    assert_eq!(alert::run(world.request()).await, Outcome::Nothing);
    assert_eq!(world.texts(ADMINS[0]), [""; 0]);
    // It is given up while the alert looks on.
    fs::remove_file(&count).unwrap();
    world.program("systemctl", &script("failed"));
    assert_eq!(alert::run(world.request()).await, Outcome::Told(2));
    assert!(world.texts(ADMINS[0])[0].contains("It is not started again by itself."));
    // One that waits longer than the alert does.
    world.stands("ActiveState=activating\nSubState=auto-restart");
    let mut request = world.request();
    request.settle = Duration::ZERO;
    assert_eq!(alert::run(request).await, Outcome::Told(2));
    assert!(world.texts(ADMINS[0])[1].contains("systemd starts it again by itself."));
}

#[tokio::test]
async fn trouble_with_telegram_is_met_with_patience() {
    let world = World::new().await;
    world.api.fault(Fault::once(
        "sendMessage",
        FaultKind::TooManyRequests {
            retry_after: 1,
            parameters: true,
            header: false,
        },
    ));
    world
        .api
        .fault(Fault::once("sendMessage", FaultKind::Html(403)));
    assert_eq!(alert::run(world.request()).await, Outcome::Told(2));
    for id in ADMINS {
        assert_eq!(world.texts(id).len(), 1);
    }
}

#[tokio::test]
async fn what_may_have_been_sent_is_sent_again_with_a_mark() {
    let mut world = World::new().await;
    world
        .api
        .fault(Fault::once("sendMessage", FaultKind::ResetAfter));
    let mut request = world.request();
    request.contacts.admins = vec![ADMINS[0]];
    assert_eq!(alert::run(request).await, Outcome::Told(1));
    let texts = world.texts(ADMINS[0]);
    assert!(
        texts
            .last()
            .unwrap()
            .starts_with("(This may be a repeat.)\n⚠️"),
        "{texts:?}"
    );
    world = World::new().await;
    // An administrator who has blocked the bot does not keep the other from being told.
    let blocked = world.api.user(ADMINS[0], "Admin");
    blocked.block_bot();
    assert_eq!(alert::run(world.request()).await, Outcome::Failed);
    assert_eq!(world.texts(ADMINS[1]).len(), 1);
}

#[tokio::test]
async fn without_a_journal_and_without_systemd_it_still_tells() {
    let world = World::new().await;
    let mut request = world.request();
    request.journalctl = "/nowhere/journalctl".into();
    request.systemctl = "/nowhere/systemctl".into();
    request.memory = Some("/nowhere".into());
    assert_eq!(alert::run(request).await, Outcome::Told(2));
    let texts = world.texts(ADMINS[0]);
    assert!(texts[0].contains("Its journal cannot be read"), "{texts:?}");
}

#[tokio::test]
async fn the_program_itself() {
    let world = World::new().await;
    let path = format!("{}:/usr/bin:/bin", world.dir.path().display());
    world.says(&[&serde_json::json!({"MESSAGE": "Main process exited", "_UID": "0"}).to_string()]);
    let run = |unit: &str| {
        Command::new(env!("CARGO_BIN_EXE_telexd"))
            .args(["alert", unit, "--config"])
            .arg(world.path("telexd.toml"))
            .env_clear()
            .env("PATH", &path)
            .env("MONITOR_SERVICE_RESULT", "core-dump")
            .env("MONITOR_EXIT_CODE", "dumped")
            .env("MONITOR_EXIT_STATUS", "ABRT")
            .env("STATE_DIRECTORY", world.dir.path())
            .stdin(Stdio::null())
            .output()
    };
    let output = run("telexd.service").await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("told of the failure"), "{log}");
    let texts = world.texts(ADMINS[1]);
    assert_eq!(texts.len(), 1);
    assert!(
        texts[0].contains("ended itself because of a fault (signal ABRT)"),
        "{texts:?}"
    );
    assert!(texts[0].contains("Main process exited"), "{texts:?}");
    let output = run("telexd-agent@abc.service").await.unwrap();
    assert_eq!(output.status.code(), Some(78));
    let secret = world.api.token().split_once(':').unwrap().1.to_owned();
    assert!(!log.contains(&secret));
    assert!(!Path::new("/nowhere").exists());
}
