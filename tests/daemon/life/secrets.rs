//! The bot token stands in its file and on the wire, and nowhere else: not in logs at any level, not in the database,
//! the run directories, the environment or the command line of any process, not in a chat, not in a panic.
//!
//! The daemon reaches Telegram through a middleman who, as proxies and gateways do, repeats the address of the
//! request, token included, in every error that it makes up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};

use telexd_botapi::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    rig::wait_long,
    support::{ADMIN, FAST, USER, World, shows, wait_until},
};

/// What the middleman does with a request.
const PASS: u8 = 0;
const PAGE: u8 = 1;
const REFUSED: u8 = 2;
const UNAUTHORIZED: u8 = 3;
const NOT_JSON: u8 = 4;
const HALF: u8 = 5;
const HANG_UP: u8 = 6;
const REDIRECT: u8 = 7;
const WAIT: u8 = 8;
const FAULTS: [u8; 8] = [
    PAGE,
    REFUSED,
    UNAUTHORIZED,
    NOT_JSON,
    HALF,
    HANG_UP,
    REDIRECT,
    WAIT,
];

struct Middleman {
    mode: Arc<AtomicU8>,
    /// Requests that were met with a fault of the present mode, polls only.
    struck: Arc<AtomicUsize>,
    port: u16,
    task: JoinHandle<()>,
}

impl Middleman {
    async fn start(behind: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, struck) = (Arc::new(AtomicU8::new(PASS)), Arc::new(AtomicUsize::new(0)));
        let (m, s) = (Arc::clone(&mode), Arc::clone(&struck));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(
                    stream,
                    behind.clone(),
                    Arc::clone(&m),
                    Arc::clone(&s),
                ));
            }
        });
        Self {
            mode,
            struck,
            port,
            task,
        }
    }

    fn be(&self, mode: u8) {
        self.struck.store(0, Ordering::SeqCst);
        self.mode.store(mode, Ordering::SeqCst);
    }
}

impl Drop for Middleman {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request; the connection ends with it.
async fn serve(
    mut client: TcpStream,
    behind: String,
    mode: Arc<AtomicU8>,
    struck: Arc<AtomicUsize>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 16 * 1024];
        let got = client.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..got]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse::<usize>()
                    .ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let address = head.split(' ').nth(1)?.to_owned();
    // As a proxy it is given the whole address.
    let path = address.find("/bot").map(|at| address[at..].to_owned())?;
    let mode = mode.load(Ordering::SeqCst);
    let refusal = |code: u16, more: &str| {
        format!(
            r#"{{"ok":false,"error_code":{code},"description":"Bad Request: cannot fetch {address} ({path})"{more}}}"#
        )
    };
    let (status, body) = match mode {
        PASS => {
            let http = reqwest::Client::builder().no_proxy().build().ok()?;
            let answer = http
                .post(format!("{behind}{path}"))
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await
                .ok()?;
            (answer.status().as_u16(), answer.text().await.ok()?)
        }
        PAGE => (
            502,
            format!("<html><h1>502</h1>The address {address} could not be fetched</html>"),
        ),
        REFUSED => (400, refusal(400, "")),
        UNAUTHORIZED => (401, refusal(401, "")),
        NOT_JSON => (200, format!("{{\"ok\":true,\"result\":{address}")),
        HALF | HANG_UP => (200, format!("{{\"ok\":true,\"result\":\"{address}\"}}")),
        REDIRECT => (302, format!("moved to {address}")),
        _ => (429, refusal(429, r#","parameters":{"retry_after":1}"#)),
    };
    if mode != PASS && path.ends_with("/getUpdates") {
        struck.fetch_add(1, Ordering::SeqCst);
    }
    if mode == HANG_UP {
        return None;
    }
    let location = if mode == REDIRECT {
        format!("Location: {address}\r\n")
    } else {
        String::new()
    };
    let head = format!(
        "HTTP/1.1 {status} {address}\r\nContent-Length: {}\r\n{location}X-Request: {address}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await.ok()?;
    let sent = if mode == HALF {
        &body[..body.len() / 2]
    } else {
        &body
    };
    client.write_all(sent.as_bytes()).await.ok()?;
    client.shutdown().await.ok()
}

/// Files below a directory that hold this.
fn holding(directory: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, secret));
        } else if kind.is_file() && contains(&fs::read(&path).unwrap_or_default(), secret) {
            found.push(path);
        }
    }
    found
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
}

/// What the kernel tells everybody, or at least their owner, of the processes of this world but for the daemon.
fn of_processes(world: &World, daemon: i32) -> Vec<u8> {
    let mut all = Vec::new();
    for (pid, _) in world.processes() {
        for name in ["cmdline", "environ"] {
            // The daemon's own environment is what this test gave it.
            if pid != daemon || name == "cmdline" {
                all.extend(fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default());
            }
        }
    }
    all
}

#[tokio::test]
async fn the_token_is_nowhere_but_in_its_file_and_on_the_wire() {
    let world = World::with(Config::default(), FAST).await;
    let token = world.api.token().to_owned();
    // A part is as bad as the whole.
    let (_, secret) = token.split_once(':').unwrap();
    let part = &secret[..12];
    let middleman = Middleman::start(world.api.url()).await;
    let user = world.api.user(USER, "Uma");
    world.drop_in(
        "50-middleman",
        &format!(
            "[telegram]\napi_url = \"http://127.0.0.1:{}\"\n[log]\nlevel = \"trace\"\n",
            middleman.port
        ),
    );
    // An administrator may have put it there; it must not be passed on.
    let inherited = [
        ("TELEGRAM_TOKEN", token.as_str()),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
    ];

    // A talk with all that belongs to one, so that there is something to look at.
    let daemon = world.start_with(&inherited);
    world.says(USER, "hello").await;
    user.send_text(USER, "spawn 300");
    world.wait_shows(USER, "left a process behind").await;
    world
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, "slow 20 x4000");
    world.wait_told(ADMIN, "piece 00002").await;
    let mut processes = of_processes(&world, daemon.pid());
    assert!(
        contains(&processes, "stream-json"),
        "the agents were looked at"
    );
    daemon.kill();

    // Every kind of failure, for polls, for the introduction and for what is to be sent.
    for fault in FAULTS {
        middleman.be(fault);
        // What is looked for below is in the log only once the daemon has read the answer.
        let told = match fault {
            UNAUTHORIZED => "Telegram does not accept the bot's token",
            PAGE | REFUSED | NOT_JSON => "no updates come in",
            _ => "ready",
        };
        let before = world.logged(told);
        let daemon = world.start_with(&inherited);
        wait_long(
            "the fault struck",
            || middleman.struck.load(Ordering::SeqCst) > 0 && world.logged(told) > before,
            || world.log(),
        )
        .await;
        processes.extend(of_processes(&world, daemon.pid()));
        daemon.stop().await;
    }
    let log = world.log();
    for told in [
        "no updates come in",
        "Telegram does not accept the bot's token",
        "not an answer of the Bot API",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    // What Telegram says is in the log, but for the token.
    assert!(log.contains("cannot fetch"), "{log}");

    // Through a proxy of the environment, which answers for an address that does not exist; then without any.
    middleman.be(PAGE);
    world.drop_in(
        "60-away",
        "[telegram]\napi_url = \"http://telegram.invalid:81/\"\n",
    );
    let proxy = format!("http://127.0.0.1:{}", middleman.port);
    for (name, value) in [
        ("http_proxy", &*proxy),
        ("http_proxy", "http://127.0.0.1:1"),
        ("no_proxy", "*"),
    ] {
        let before = world.logged("no updates come in");
        let daemon = world.start_with(&[(name, value), ("TELEGRAM_TOKEN", token.as_str())]);
        wait_until(
            "it was told",
            || world.logged("no updates come in") > before,
            || world.log(),
        )
        .await;
        daemon.stop().await;
    }
    assert!(
        middleman.struck.load(Ordering::SeqCst) > 0,
        "the proxy was asked"
    );
    fs::remove_file(world.path("telexd.toml.d/60-away.toml")).unwrap();
    middleman.be(PASS);

    // Defects in the two places that have the token at hand.
    for point in ["intake-before-commit:1", "outbox-wire-done:1"] {
        let before = world.logged("telexd has a fault");
        user.send_text(USER, "/help");
        let daemon = world.start_with(&[("TELEXD_PANIC_AT", point), ("RUST_BACKTRACE", "full")]);
        wait_until(
            "it panicked",
            || world.logged("telexd has a fault") > before,
            || world.log(),
        )
        .await;
        daemon.kill();
    }
    assert!(
        world.log().contains("a test asked for this panic"),
        "{}",
        world.log()
    );

    // The other verbs of the program.
    let mut said = Vec::new();
    for verb in [
        &["check"][..],
        &["config"],
        &["--help"],
        &["migrate", "--to", "1"],
        &["nonsense"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_telexd"))
            .args(verb)
            .arg("--config")
            .arg(world.path("telexd.toml"))
            .output()
            .unwrap();
        said.extend(output.stdout);
        said.extend(output.stderr);
    }
    assert!(contains(&said, "token_file"));

    // All is well again, and everything is looked through.
    let daemon = world.start();
    user.send_text(USER, "say over");
    wait_long(
        "it is answered",
        || shows(&world.api.view(|v| v.bot_messages(USER)), "over"),
        || world.log(),
    )
    .await;
    daemon.stop().await;
    world.end_all().await;
    assert_eq!(
        holding(world.dir.path(), part),
        [world.path("token")],
        "files"
    );
    assert!(!contains(&processes, part), "processes");
    assert!(!contains(&said, part), "output of the program");
    for call in world.api.calls() {
        assert!(
            !call.params.to_string().contains(part),
            "what was sent: {call:?}"
        );
    }
    let seen: Vec<String> = holding(world.dir.path(), "say over")
        .iter()
        .map(|p| p.display().to_string())
        .collect();
    assert!(
        seen.iter().any(|p| p.contains("telexd.db"))
            && seen.iter().any(|p| p.contains("input.jsonl")),
        "the search finds what is there: {seen:?}"
    );
}
