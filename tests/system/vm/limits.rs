//! Agents that take more than they may: they are held, their person is told, and the daemon does not notice.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{qemu::Vm, rig};
use crate::{
    host::{Host as _, PATIENCE},
    server::Server,
    shared::{ADMIN, USER},
};

/// Every agent's unit, as `systemctl` takes it.
const AGENTS: &str = "telexd-agent@*.service";
/// How often the daemon's answer to a command is timed.
const SAMPLES: usize = 9;

#[tokio::test]
async fn agents_are_held_by_their_limits_and_the_daemon_does_not_notice() {
    let server = Server::emulated().await;
    rig::works(&server.machine, &server.api).await;
    let limits = "[Service]\nMemoryMax=1G\nTasksMax=64\n";
    server
        .drop_in("telexd-agent@.service", "limits", limits)
        .await;
    server.start().await;
    let pid = server.pid().await;
    memory(&server).await;
    tasks(&server).await;
    processors(&server).await;
    assert_eq!(server.pid().await, pid, "the daemon is the same");
    assert_eq!(server.machine.property("telexd", "NRestarts").await, "0");
}

async fn memory(server: &Server<Vm>) {
    server.send("load memory 1200");
    server
        .wait_chat(USER, "the person is told why the agent ended", |m| {
            m.iter().any(|m| {
                m.text
                    .contains("used more than 1 GB of memory and was ended")
            })
        })
        .await;
    status(server).await;
    server.says("say well again", "well again").await;
}

async fn tasks(server: &Server<Vm>) {
    server.send("load processes 600");
    let machine = &server.machine;
    machine
        .wait_until("the agent has all the tasks it may", async || {
            let counts = machine
                .ok(&format!(
                    "systemctl show --value -p TasksCurrent '{AGENTS}'"
                ))
                .await;
            let most = counts
                .split_whitespace()
                .filter_map(|n| n.parse().ok())
                .max();
            assert!(most <= Some(64), "{counts}");
            most == Some(64)
        })
        .await;
    // Others work on, their agents too.
    status(server).await;
    server
        .says_as(ADMIN, "say beside the bomb", "beside the bomb")
        .await;
    server.send("/interrupt");
    server
        .wait_chat(USER, "it is interrupted", |m| {
            m.iter().any(|m| m.text.ends_with("— Interrupted"))
        })
        .await;
    // The agent is unharmed, and what it started goes on. So this is the administrator's to end.
    machine.ok("systemctl stop telexd-agents.slice").await;
    assert_eq!(machine.sh("pgrep -u telexd-agent -l").await.stdout, "");
    // What comes before the daemon has noticed is given to the agent that is gone, and told as stopped.
    machine
        .wait_sh(
            "the daemon has noticed",
            "(($(journalctl --quiet -u telexd.service -o cat | grep -c 'agent ended') == 2))",
        )
        .await;
    server.says("say still here", "still here").await;
}

async fn processors(server: &Server<Vm>) {
    let idle = latency(server).await;
    let machine = &server.machine;
    server.send("load processors 600 8");
    let spent = "systemctl show --value -p CPUUsageNSec telexd-agents.slice";
    let before: u64 = machine.ok(spent).await.parse().unwrap();
    machine
        .wait_until("the hog has its 5 s of processor time", async || {
            machine.ok(spent).await.parse::<u64>().unwrap() > before + 5_000_000_000
        })
        .await;
    let beside = latency(server).await;
    eprintln!(
        "latency of a command: idle {idle}; beside a hog {beside}; {:.1} times as much",
        beside.answer.as_secs_f64() / idle.answer.as_secs_f64()
    );
    server.send("/interrupt");
    server
        .wait_chat(USER, "both are interrupted", |m| {
            m.iter()
                .filter(|m| m.text.ends_with("— Interrupted"))
                .count()
                == 2
        })
        .await;
}

/// The daemon answers a command. How long that took.
async fn status(server: &Server<Vm>) -> Duration {
    let answers = |m: &[telexd_botapi::ShownMessage]| {
        let told = |t: &str| t.starts_with("Ready.") || t.starts_with("Working for");
        m.iter().filter(|m| told(&m.text)).count()
    };
    let before = answers(&server.api.view(|v| v.bot_messages(ADMIN)));
    let begun = Instant::now();
    server.send_as(ADMIN, "/status");
    server
        .api
        .wait_for(PATIENCE, |v| answers(&v.bot_messages(ADMIN)) > before)
        .await
        .expect("no answer to /status");
    begun.elapsed()
}

/// How long a command takes.
struct Latency {
    /// Until its answer is there: the middle one of some, by this host's clock.
    answer: Duration,
    /// For how long the daemon's threads had a processor, per command, in milliseconds.
    ran_ms: u64,
    /// For how long they waited for one, per command, in milliseconds.
    waited_ms: u64,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answer,
            ran_ms,
            waited_ms,
        } = self;
        write!(
            f,
            "{} ms (the daemon ran {ran_ms} ms and waited {waited_ms} ms for a processor)",
            answer.as_millis()
        )
    }
}

async fn latency(server: &Server<Vm>) -> Latency {
    let before = scheduled(server).await;
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        times.push(status(server).await);
    }
    let after = scheduled(server).await;
    times.sort_unstable();
    let each = |before: u64, after: u64| (after - before) / SAMPLES as u64 / 1_000_000;
    Latency {
        answer: times[SAMPLES / 2],
        ran_ms: each(before.0, after.0),
        waited_ms: each(before.1, after.1),
    }
}

/// For how long the daemon's threads have had a processor and waited for one, in nanoseconds (the kernel's sched-stats.rst).
async fn scheduled(server: &Server<Vm>) -> (u64, u64) {
    let pid = server.pid().await;
    let text = server
        .machine
        .ok(&format!("cat /proc/{pid}/task/*/schedstat"))
        .await;
    let sum = |column: usize| {
        text.lines()
            .map(|line| {
                line.split_whitespace()
                    .nth(column)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            })
            .sum()
    };
    (sum(0), sum(1))
}
