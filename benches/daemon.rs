//! Measurements of the daemon as it is shipped, with the scripted agent on the loopback Bot API. They print, they do
//! not judge: `cargo bench --bench daemon`.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unused_imports,
    reason = "a measurement stops where it cannot go on; the world is shared with the tests"
)]

#[path = "../tests/shared/mod.rs"]
mod shared;
#[path = "../tests/daemon/support.rs"]
mod support;

use std::{
    fs,
    io::Write,
    os::unix::{fs::FileExt, net::UnixDatagram},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use support::{Daemon, USER, World};
use telexd_botapi::{BotApi, Config};
use tokio::sync::mpsc;

/// Prompts whose way is timed.
const PROMPTS: usize = 1000;
/// Conversations with history.
const CONVERSATIONS: i64 = 1000;
/// Starts that are timed.
const STARTS: usize = 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    println!("| what | measured | bar |\n|---|--:|--:|");
    binary();
    runtime.block_on(async {
        starts().await;
        latency().await;
        memory().await;
    });
}

fn row(what: &str, measured: &str, bar: &str) {
    println!("| {what} | {measured} | {bar} |");
}

fn binary() {
    for (name, path) in [
        ("telexd", env!("CARGO_BIN_EXE_telexd")),
        ("telexd-run", env!("CARGO_BIN_EXE_telexd-run")),
    ] {
        let bytes = fs::metadata(path).unwrap().len();
        row(
            &format!("size of `{name}`"),
            &format!("{:.1} MB", mb(bytes)),
            if name == "telexd" { "15 MB" } else { "" },
        );
    }
}

async fn starts() {
    let world = World::with(Config::default(), QUIET).await;
    let socket = world.path("notify");
    let listener = UnixDatagram::bind(&socket).unwrap();
    listener.set_read_timeout(Some(support::DEADLINE)).unwrap();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let daemon = world.start_with(&[("NOTIFY_SOCKET", socket.to_str().unwrap())]);
        let mut buffer = [0; 512];
        loop {
            let n = listener.recv(&mut buffer).unwrap();
            if buffer[..n].starts_with(b"READY=1") {
                break;
            }
        }
        times.push(begun.elapsed());
        daemon.stop().await;
    }
    row(
        "start to ready, median",
        &ms(percentile(&mut times, 50)),
        "100 ms",
    );
    row(
        "start to ready, longest",
        &ms(percentile(&mut times, 100)),
        "",
    );
}

/// From the moment at which an update is there for the poll to the whole line in the agent's input: when the daemon has
/// nothing else to do, and right behind the last answer, when it is still busy with that.
async fn latency() {
    for (how, pause) in [
        ("at rest", Duration::from_millis(20)),
        ("back to back", Duration::ZERO),
    ] {
        let world = World::with(Config::default(), QUIET).await;
        let daemon = world.start();
        let user = world.api.user(USER, "Uma");
        user.send_text(USER, "say warm");
        world
            .wait_chat(USER, "the agent is warm", |m| {
                m.iter().any(|m| m.text == "warm")
            })
            .await;
        let mut written = watch(&only_run(&world).join("input.jsonl"));
        let mut floor = Floor::new().await;
        let (mut times, mut floors) = (Vec::new(), Vec::new());
        for n in 0..PROMPTS {
            tokio::time::sleep(pause).await;
            while written.try_recv().is_ok() {}
            user.send_text(USER, &format!("say number {n}"));
            // From now on a poll has it; what it takes to make up a message is not the daemon's.
            let begun = Instant::now();
            // Nothing else is done here meanwhile: looking at the chat would keep a core from the server.
            let first = next_write(&mut written).await;
            let answer = format!("number {n}");
            world
                .wait_chat(USER, &answer, |m| {
                    m.last()
                        .is_some_and(|m| m.text == answer && m.buttons.is_empty())
                })
                .await;
            // The room for a line is reserved before it is written, which also counts as a write; the line comes last.
            let mut last = first;
            while let Ok(at) = written.try_recv() {
                last = at;
            }
            // It may have been written before this thread came to look at the clock.
            times.push(last.saturating_duration_since(begun));
            // In turns: what the machine does to one it does to the other.
            tokio::time::sleep(pause).await;
            floors.push(floor.once(n).await);
        }
        for (p, bar) in [
            (50, ""),
            (90, ""),
            (99, if pause.is_zero() { "" } else { "5 ms" }),
            (100, ""),
        ] {
            row(
                &format!("update to agent's input, {how}, p{p} of {PROMPTS}"),
                &ms(percentile(&mut times, p)),
                bar,
            );
            row(
                &format!("the machine's part of that, {how}, p{p}"),
                &ms(percentile(&mut floors, p)),
                "",
            );
        }
        daemon.stop().await;
        world.end_all().await;
    }
}

/// Bytes that the daemon syncs on the way of a prompt: its commit, as pages of the log.
const COMMIT: usize = 100 << 10;

/// What of the latency is not the daemon's: a client that polls for the same updates, writes over a file, syncs it and
/// writes a line.
struct Floor {
    api: BotApi,
    done: mpsc::Receiver<Instant>,
    _directory: tempfile::TempDir,
}

impl Floor {
    async fn new() -> Self {
        let api = BotApi::start(Config::default()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let url = format!("{}/bot{}/getUpdates", api.url(), api.token());
        let open = |name| {
            let path = directory.path().join(name);
            fs::File::create(path).unwrap()
        };
        let (log, input) = (open("log"), open("input"));
        let (told, done) = mpsc::channel(1);
        // On a runtime of its own, as the daemon is a process of its own.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(poll(&url, || {
                log.write_all_at(&[7; COMMIT], 0).unwrap();
                log.sync_data().unwrap();
                (&input).write_all(&[b'x'; 180]).unwrap();
                told.try_send(Instant::now()).is_ok()
            }));
        });
        Self {
            api,
            done,
            _directory: directory,
        }
    }

    async fn once(&mut self, n: usize) -> Duration {
        let user = self.api.user(USER, "Uma");
        user.send_text(USER, &format!("say number {n}"));
        let begun = Instant::now();
        self.done.recv().await.unwrap() - begun
    }
}

/// Polls until the API is gone or `arrived` has enough.
async fn poll(url: &str, arrived: impl Fn() -> bool) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut offset = 0;
    loop {
        let poll = client
            .post(url)
            .json(&serde_json::json!({"offset": offset, "timeout": 50}));
        let Ok(answer) = poll.send().await else {
            return;
        };
        let Ok(body) = answer.json::<serde_json::Value>().await else {
            return;
        };
        let Some(last) = body["result"].as_array().and_then(|updates| updates.last()) else {
            continue;
        };
        offset = last["update_id"].as_i64().unwrap() + 1;
        if !arrived() {
            return;
        }
    }
}

/// The next write.
async fn next_write(written: &mut mpsc::Receiver<Instant>) -> Instant {
    let next = tokio::time::timeout(support::DEADLINE, written.recv()).await;
    next.unwrap().expect("the file is watched")
}

/// Tells when something was written to a file. Sleeps in the kernel meanwhile: a loop would take one of few cores from
/// the daemon.
fn watch(file: &Path) -> mpsc::Receiver<Instant> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
    inotify.add_watch(file, AddWatchFlags::IN_MODIFY).unwrap();
    let (told, written) = mpsc::channel(64);
    std::thread::spawn(move || {
        while let Ok(events) = inotify.read_events() {
            let now = Instant::now();
            if events
                .iter()
                .any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED))
            {
                return;
            }
            if told.blocking_send(now).is_err() {
                return;
            }
        }
    });
    written
}

async fn memory() {
    let world = World::with(Config::default(), QUIET).await;
    world.write_config(
        &telexd_scripted_agent::binary(),
        "max_processes = 8\nidle_timeout_s = 1\n",
    );
    let people: Vec<i64> = (0..CONVERSATIONS).map(|n| 10_000 + n).collect();
    let list = people
        .iter()
        .map(i64::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let config = fs::read_to_string(world.path("telexd.toml")).unwrap();
    fs::write(
        world.path("telexd.toml"),
        config.replace(&format!("users = [{USER}]"), &format!("users = [{list}]")),
    )
    .unwrap();
    let daemon = world.start();
    world
        .api
        .wait_for(support::DEADLINE, |v| v.is_polled())
        .await
        .unwrap();
    row("resident memory, just started", &resident(&daemon), "15 MB");
    let begun = Instant::now();
    for person in &people {
        world.api.user(*person, "Person").send_text(
            *person,
            "say hello from the past, with some words so that there is history",
        );
    }
    let answered = |v: &telexd_botapi::View| {
        people.iter().all(|p| {
            v.bot_messages(*p)
                .iter()
                .any(|m| m.text.starts_with("hello") && m.buttons.is_empty())
        })
    };
    world
        .api
        .wait_for(Duration::from_secs(600), answered)
        .await
        .unwrap();
    row(
        &format!("{CONVERSATIONS} conversations answered, 8 agents at once"),
        &format!("{:.0} s", begun.elapsed().as_secs_f64()),
        "",
    );
    row(
        &format!("resident memory, {CONVERSATIONS} conversations just answered"),
        &resident(&daemon),
        "40 MB",
    );
    let pid = daemon.pid();
    support::wait_until(
        "agents that have nothing to do are gone",
        || world.processes().iter().all(|(p, _)| *p == pid),
        String::new,
    )
    .await;
    row(
        &format!("resident memory, {CONVERSATIONS} conversations at rest"),
        &resident(&daemon),
        "40 MB",
    );
    daemon.stop().await;
    let daemon = world.start();
    world
        .api
        .wait_for(support::DEADLINE, |v| v.is_polled())
        .await
        .unwrap();
    row(
        &format!("resident memory, started with {CONVERSATIONS} conversations"),
        &resident(&daemon),
        "40 MB",
    );
    daemon.stop().await;
    world.end_all().await;
}

/// Like the tests' fast settings, but with the log as shipped.
const QUIET: &str = "[messages]\nper_minute = 0\n\n[features]\nbatching = false\n\n[delivery]\nchat_interval_ms = 5\ngroup_per_minute = 1000\noverall_per_second = 1000\n";

fn only_run(world: &World) -> PathBuf {
    let entries = fs::read_dir(world.path("state/runs")).unwrap();
    let mut runs = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    let run = runs.next().unwrap();
    assert!(runs.next().is_none(), "more than one run");
    run
}

fn resident(daemon: &Daemon) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    format!("{:.1} MB", mb(kib * 1024))
}

/// `percent` of the times are at most this; 100: the longest.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent).div_ceil(100).saturating_sub(1)]
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[allow(clippy::cast_precision_loss, reason = "sizes for people")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
