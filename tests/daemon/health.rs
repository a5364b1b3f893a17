//! How the daemon stands, over HTTP: what it tells, when it turns red, what it costs.

use std::{
    io::{Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            net::{UnixListener, UnixStream},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use telexd_botapi::{Fault, FaultKind, Network};

use crate::support::{USER, World, wait_until};

/// An answer: its status and its body.
struct Answer {
    status: u16,
    body: String,
}

/// Asks at a socket. `None`: nobody listens there (yet), or the connection broke off.
fn ask(socket: &Path, path: &str) -> Option<Answer> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: telexd\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

fn document(socket: &Path) -> (u16, Value) {
    let answer = ask(socket, "/readyz").unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

/// The value of a metric, by its whole name with labels.
fn metric(socket: &Path, name: &str) -> Option<f64> {
    let text = ask(socket, "/metrics")?.body;
    let line = text
        .lines()
        .find(|line| line.rsplit_once(' ').is_some_and(|(n, _)| n == name))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn wait_ready(socket: &Path, world: &World) {
    let ready = || ask(socket, "/readyz").is_some_and(|a| a.status == 200);
    let otherwise = || {
        let seen = ask(socket, "/readyz").map(|a| a.body);
        format!("{seen:?}\n{}", world.log())
    };
    wait_until("it is ready", ready, otherwise).await;
}

async fn world() -> (World, PathBuf) {
    let world = World::new().await;
    let socket = world.path("health.sock");
    world.drop_in(
        "30-health",
        &format!("[health]\nlisten = \"unix:{}\"\n", socket.display()),
    );
    world.drop_in("20-poll", "[telegram]\npoll_timeout_s = 1\n");
    (world, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told() {
    let (world, socket) = world().await;
    let daemon = world.start();
    wait_ready(&socket, &world).await;
    assert_eq!(ask(&socket, "/livez").unwrap().body, "ok\n");
    assert_eq!(ask(&socket, "/").unwrap().status, 404);
    world.says(USER, "hello").await;

    let counted = |name: &str| metric(&socket, name);
    let over = || counted("telexd_turns_total{result=\"completed\"}") == Some(1.0);
    wait_until("the turn is counted", over, || world.log()).await;
    for (name, value) in [
        ("telexd_prompts_total", 1.0),
        ("telexd_updates_received_total", 1.0),
        ("telexd_updates_done_total{verdict=\"prompt\"}", 1.0),
        ("telexd_prompt_wait_seconds_count", 1.0),
        ("telexd_first_output_seconds_count", 1.0),
        ("telexd_turn_duration_seconds_count", 1.0),
        ("telexd_runs_started_total", 1.0),
        ("telexd_starts_total", 1.0),
        ("telexd_crashes_total", 0.0),
        ("telexd_ready", 1.0),
        (
            "telexd_telegram_calls_total{method=\"sendMessage\",outcome=\"ok\"}",
            1.0,
        ),
    ] {
        assert_eq!(counted(name), Some(value), "{name}");
    }
    assert!(counted("telexd_polls_total{outcome=\"ok\"}").unwrap() >= 1.0);
    // The agent and its supervisor live, and take something. (What is measured may be a second old.)
    let agents = || counted("telexd_agents") == Some(1.0);
    wait_until("the agent is told of", agents, || world.log()).await;
    let memory = || counted("telexd_agents_memory_bytes").unwrap_or(0.0) > 100_000.0;
    wait_until("the agent's memory is told", memory, || world.log()).await;
    assert!(counted("telexd_memory_bytes").unwrap() > 1_000_000.0);
    assert!(counted("telexd_disk_free_bytes").unwrap() > 0.0);

    // For a parser that is not ours: tests/foreign/metrics.
    if let Some(path) = std::env::var_os("TELEXD_METRICS_TO") {
        std::fs::write(path, ask(&socket, "/metrics").unwrap().body).unwrap();
    }

    let (status, told) = document(&socket);
    assert_eq!(status, 200, "{told:#}");
    assert_eq!(told["ready"], true);
    assert_eq!(told["counts"]["processes"], 1);
    assert!(told["memory"]["agents"].as_u64().unwrap() > 100_000);
    assert!(told["conditions"]["telegram"]["since"].as_f64().unwrap() > 1e9);
    daemon.stop().await;
    assert!(ask(&socket, "/livez").is_none());
    world.end_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_turns_red_when_updates_stay_away_and_green_again() {
    let (world, socket) = world().await;
    let daemon = world.start();
    wait_ready(&socket, &world).await;
    // Everything else is answered: what counts are the updates.
    world.api.fault(Fault::always(
        "getUpdates",
        FaultKind::Answer {
            status: 502,
            content_type: "text/html".to_owned(),
            body: "<html>Bad Gateway</html>".into(),
        },
    ));
    let red = || ask(&socket, "/readyz").is_some_and(|a| a.status == 503);
    wait_until("it turns red", red, || world.log()).await;
    let (_, told) = document(&socket);
    assert_eq!(told["ready"], false);
    assert_eq!(told["failing"], serde_json::json!(["telegram"]), "{told:#}");
    assert_eq!(told["telegram"]["trouble"], "unreachable");
    assert_eq!(told["telegram"]["connected"], false);
    assert_eq!(metric(&socket, "telexd_ready"), Some(0.0));
    assert_eq!(
        metric(&socket, "telexd_condition_ok{condition=\"telegram\"}"),
        Some(0.0)
    );
    // A restart would mend nothing.
    assert_eq!(ask(&socket, "/livez").unwrap().status, 200);
    world.api.clear_faults();
    wait_ready(&socket, &world).await;
    assert!(metric(&socket, "telexd_polls_total{outcome=\"ambiguous\"}").unwrap() >= 1.0);

    world.api.network(Network::Refused).await.unwrap();
    wait_until("it turns red", red, || world.log()).await;
    world.api.network(Network::Up).await.unwrap();
    wait_ready(&socket, &world).await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_probes_is_measured_once_a_second() {
    let (world, socket) = world().await;
    let daemon = world.start();
    wait_ready(&socket, &world).await;
    let evaluations = || metric(&socket, "telexd_health_evaluations_total").unwrap();
    let begun = Instant::now();
    let before = evaluations();
    let storm: Vec<_> = (0..4)
        .map(|_| {
            let socket = socket.clone();
            std::thread::spawn(move || {
                let mut answered = 0;
                for n in 0..250 {
                    let path = if n % 2 == 0 { "/readyz" } else { "/metrics" };
                    answered += u32::from(ask(&socket, path).is_some_and(|a| a.status == 200));
                }
                answered
            })
        })
        .collect();
    let answered: u32 = storm.into_iter().map(|t| t.join().unwrap()).sum();
    assert_eq!(answered, 1000);
    let measured = evaluations() - before;
    // One a second, and one every five seconds that nobody asks for; and where the seconds begin.
    let most = begun.elapsed().as_secs_f64() * 1.2 + 2.0;
    assert!(measured <= most, "{measured} of {most}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_stands_still_is_told_by_livez() {
    let (world, socket) = world().await;
    let daemon = world.start_with(&[("TELEXD_FREEZE_AT", "runtime-frozen:3")]);
    let dead = || ask(&socket, "/livez").is_some_and(|a| a.status == 503);
    let otherwise = || world.log();
    crate::rig::wait_long("it is not alive", dead, otherwise).await;
    let told = ask(&socket, "/livez").unwrap().body;
    assert!(told.contains("the runtime has not answered"), "{told}");
    // It is told without the runtime's help.
    let (status, told) = document(&socket);
    assert_eq!(status, 503);
    let failing = told["failing"].as_array().unwrap();
    assert!(failing.contains(&"runtime".into()), "{told:#}");
    daemon.kill();
    world.end_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_makes_it_red() {
    let (world, socket) = world().await;
    let daemon = world.start_with(&[("TELEXD_FREEZE_AT", "store-frozen:8")]);
    let failing = || {
        let seen = ask(&socket, "/readyz");
        seen.is_some_and(|a| a.status == 503 && a.body.contains("the database has not answered"))
    };
    crate::rig::wait_long("it is red", failing, || world.log()).await;
    daemon.kill();
    world.end_all().await;
}

/// Starts the daemon with a socket that somebody else holds, as systemd does.
fn start_with_socket(world: &World, socket: &UnixListener, name: &str) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(world.path("daemon.log"))
        .unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "export LISTEN_PID=$$; exec \"$0\" --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_telexd"))
        .arg(world.path("telexd.toml"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", world.path("home"))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", name)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    let fd = socket.as_raw_fd();
    // SAFETY: between fork and exec only a call that is allowed there; the new descriptor is not closed at exec.
    unsafe {
        command.pre_exec(move || {
            if nix::libc::dup2(fd, 3) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command.spawn().unwrap()
}

fn end(mut daemon: Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_systemd_holds_outlives_the_daemon() {
    let world = World::new().await;
    world.drop_in("20-poll", "[telegram]\npoll_timeout_s = 1\n");
    let path = world.path("passed.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let first = start_with_socket(&world, &socket, "health");
    wait_ready(&path, &world).await;
    world.wait_log("the health is told at unix:").await;
    end(first);
    // Nobody serves it now; who comes waits for the next life.
    let asking = std::thread::spawn({
        let path = path.clone();
        move || ask(&path, "/livez")
    });
    let second = start_with_socket(&world, &socket, "health");
    wait_ready(&path, &world).await;
    assert_eq!(asking.join().unwrap().unwrap().status, 200);
    end(second);
    // One of another name is not ours.
    let third = start_with_socket(&world, &socket, "other");
    world
        .wait_log("a socket that was passed is not known here")
        .await;
    end(third);
    world.end_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_had_is_told_and_messages_go_on() {
    let (world, socket) = world().await;
    std::fs::write(&socket, "in the way").unwrap();
    let daemon = world.start();
    world.wait_log("nobody can ask for the health at").await;
    world.says(USER, "hello").await;
    daemon.stop().await;
    world.end_all().await;
}
