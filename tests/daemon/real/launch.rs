//! What the agent is started with, and what nobody may see.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::unistd::{Uid, User};
use telexd_botapi::Network;
use telexd_messages_api::real_claude;

use super::{Real, SHORT, files_below, tools::WAITS};
use crate::support::USER;

fn strings(path: String) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// What an open file of a process is; `None` where it has been closed meanwhile.
fn open_file(pid: i32, fd: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()
}

#[tokio::test]
async fn the_agent_gets_what_it_needs_and_nothing_else() {
    let real = Real::new(SHORT).await;
    let daemon = real.world.start();
    real.send("slow 100 x600");
    real.message("the agent works", |m| super::pieces(&m.text) > 0)
        .await;
    let agents = real.agents();
    let [pid] = agents[..] else {
        panic!("{agents:?}");
    };
    let session = real.asks()[0].session.clone().unwrap();
    let claude = real_claude();
    // The conversation's files, and no others, may be read without a question.
    let files = fs::read_dir(real.world.path("state/files")).unwrap();
    let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    let [files] = &files[..] else {
        panic!("{files:?}");
    };
    assert_eq!(
        strings(format!("/proc/{pid}/cmdline")),
        [
            claude.to_str().unwrap(),
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
            "--permission-prompt-tool",
            "stdio",
            &format!("--session-id={session}"),
            "--setting-sources",
            "",
            "--strict-mcp-config",
            "--disallowedTools",
            "ListAgents,SendMessage,CronCreate,CronDelete,CronList,ScheduleWakeup,EnterWorktree,ExitWorktree,Workflow,Monitor",
            &format!("--allowedTools=Read(/{}/**)", files.display()),
            "--permission-mode=default",
        ]
    );
    let mut environment = strings(format!("/proc/{pid}/environ"));
    environment.sort();
    let user = User::from_uid(Uid::effective()).unwrap().unwrap();
    assert_eq!(
        environment,
        [
            "ANTHROPIC_API_KEY=dummy",
            &format!("ANTHROPIC_BASE_URL={}", real.model.url()),
            "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS=15000",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
            "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1",
            "CLAUDE_CODE_MAX_RETRIES=3",
            "CLAUDE_CODE_STARTUP_FAILURE_RESULTS=1",
            "CLAUDE_CODE_STREAM_EVENT_HOLD_MS=500",
            &format!("CLAUDE_CODE_TMPDIR={}", real.world.path("tmp").display()),
            "CLAUDE_ENABLE_BYTE_WATCHDOG=1",
            "DISABLE_AUTOUPDATER=1",
            "DISABLE_ERROR_REPORTING=1",
            "DISABLE_TELEMETRY=1",
            &format!("HOME={}", real.world.path("home").display()),
            "LANG=C.UTF-8",
            &format!("PATH={}", std::env::var("PATH").unwrap()),
            &format!("SHELL={}", user.shell.display()),
            "TERM=dumb",
            &format!("XDG_RUNTIME_DIR={}", real.world.path("tmp").display()),
        ]
    );
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        real.world.path("project")
    );
    // Its input is a pipe of its supervisor's; nobody stands between it and the file of its output. It may open those
    // again, and has nothing else of the daemon's.
    let stdin = open_file(pid, "0").unwrap();
    assert!(stdin.to_str().unwrap().starts_with("pipe:["), "{stdin:?}");
    let run = only_run(&real.world.path("state/runs"));
    let own = [run.join("output.jsonl"), run.join("stderr.log")];
    assert_eq!(open_file(pid, "1").unwrap(), own[0]);
    assert_eq!(open_file(pid, "2").unwrap(), own[1]);
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let fd = entry.file_name().into_string().unwrap();
        let Some(target) = open_file(pid, &fd) else {
            continue;
        };
        assert!(
            own.contains(&target) || !target.starts_with(real.world.path("state")),
            "{fd}: {target:?}"
        );
    }
    real.send("/interrupt");
    real.end(daemon).await;
}

fn only_run(runs: &Path) -> PathBuf {
    let found: Vec<PathBuf> = fs::read_dir(runs)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    let [run] = &found[..] else {
        panic!("{found:?}");
    };
    run.clone()
}

/// The token of the bot is in one file and in the daemon's memory, whatever happens.
#[tokio::test]
async fn the_token_is_nowhere() {
    let real = Real::new(SHORT).await;
    let token = real.world.api.token().to_owned();
    let secret = token.split_once(':').unwrap().1.to_owned();
    let seen = |bytes: &[u8]| {
        bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes())
    };
    let daemon = real.world.start();
    real.send(WAITS);
    let question = real
        .message("the agent asks", |m| {
            m.text.starts_with("May the agent use") && !m.buttons.is_empty()
        })
        .await;
    real.press(&question, "Allow once");
    let tool = "until [ -e go ]";
    real.until("the tool runs", || !real.pids(tool).is_empty())
        .await;
    // The daemon, the supervisor, the agent, its tool.
    let processes = real.world.processes();
    assert!(processes.len() >= 4, "{processes:#?}");
    for (pid, cmdline) in &processes {
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert!(!seen(&bytes), "{file} of {cmdline}");
        }
    }
    // Errors of the network, in which the address is told that holds the token.
    real.world.api.network(Network::Refused).await.unwrap();
    std::fs::write(real.world.path("project/go"), "").unwrap();
    real.until("poll and delivery miss the network", || {
        let log = real.world.log();
        log.contains("no updates come in") && log.contains("a message is not out yet")
    })
    .await;
    real.world.api.network(Network::Up).await.unwrap();
    real.message("the answer is there", |m| {
        m.text.ends_with("It was allowed.")
    })
    .await;
    real.only(&daemon).await;
    assert!(daemon.stop().await.as_secs() < 5);
    let mut looked = 0;
    for path in files_below(real.world.dir.path().to_owned()) {
        if path == real.world.path("token") {
            continue;
        }
        looked += 1;
        assert!(!seen(&fs::read(&path).unwrap()), "{}", path.display());
    }
    assert!(looked > 10, "{looked} files");
    assert!(seen(&fs::read(real.world.path("token")).unwrap()));
    for request in real.model.requests() {
        assert!(!seen(format!("{request:?}").as_bytes()));
    }
    for message in real.world.api.messages(USER) {
        assert!(!seen(format!("{message:?}").as_bytes()));
    }
    assert_eq!(real.world.processes(), []);
}
