//! Who gets a run, and who does not.

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use telexd::{
    gateway::ports::{Exit, Remains, Runner, SupervisorCommand},
    runner::Engine,
};

use crate::rig::{PATIENCE, Reading, Rig, launch, run_id, supervisor, wait_for};

/// A runner whose supervisors are started and stay, but never ask for the run. They end with the rig.
fn forgetful(rig: &Rig) -> Engine {
    let program = rig.path("forgetful");
    let stay = rig.path("stay");
    std::fs::write(&stay, "").unwrap();
    let script = format!(
        "#!/bin/sh\nwhile [ -e '{}' ]; do sleep 0.05; done\n",
        stay.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let command = SupervisorCommand {
        program: program.into(),
        args: Vec::new(),
    };
    Engine::direct(rig.state(), rig.socket(), command).unwrap()
}

/// Starts a supervisor by hand.
fn supervise(rig: &Rig, number: u8) -> Child {
    Command::new(supervisor().program)
        .arg(run_id(number).as_str())
        .arg(rig.socket())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for it without holding up the runtime; its code and its words.
async fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut status = None;
    wait_for("the supervisor to end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    let mut words = String::new();
    child.stderr.unwrap().read_to_string(&mut words).unwrap();
    (status.unwrap().code(), words)
}

/// What the daemon answers, without the length in front. Empty: it closed.
async fn ask(socket: &Path, request: Vec<u8>) -> String {
    let socket = socket.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may have seen enough before the end.
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        // A reset counts as closed.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(answer.get(4..).unwrap_or_default()).into_owned()
    })
    .await
    .unwrap()
}

fn request(number: u8) -> Vec<u8> {
    format!("{{\"run\":\"{}\"}}\n", run_id(number)).into_bytes()
}

#[tokio::test]
async fn a_withdrawn_run_is_refused_for_ever() {
    let rig = Rig::new();
    let runner = forgetful(&rig);
    let mut reading = launch(&runner, &rig.spec(1, "touch ran")).await;
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::NeverStarted);
    // The launch of this daemon hears of it too.
    reading.followed.control.terminate();
    let (_, exit) = reading.end().await;
    assert!(matches!(exit, Some(Exit::NotStarted { .. })), "{exit:?}");
    let (code, words) = ended(supervise(&rig, 1)).await;
    assert_eq!(code, Some(1));
    assert!(words.contains("withdrawn"), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    runner.shutdown().await;

    let runner = rig.runner();
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::NeverStarted);
    let (code, words) = ended(supervise(&rig, 1)).await;
    assert_eq!(code, Some(1));
    assert!(words.contains("withdrawn"), "{words}");
    assert!(!rig.path("ran").exists());
    runner.remove(&run_id(1)).await;
    let (_, words) = ended(supervise(&rig, 1)).await;
    assert!(words.contains("no such run"), "{words}");
    runner.shutdown().await;
}

#[tokio::test]
async fn a_supervisor_may_come_to_a_later_daemon() {
    let rig = Rig::new();
    let runner = forgetful(&rig);
    let reading = launch(&runner, &rig.spec(1, "echo ran")).await;
    runner.shutdown().await;
    drop(reading);

    // It comes while no daemon serves it, and comes again.
    std::fs::remove_file(rig.socket()).unwrap();
    let deaf = tokio::net::UnixListener::bind(rig.socket()).unwrap();
    let late = supervise(&rig, 1);
    let came = tokio::time::timeout(PATIENCE, deaf.accept()).await;
    drop((came.unwrap().unwrap(), deaf));
    let runner = rig.runner();
    let mut reading = Reading::new(runner.attach(&run_id(1), 0).await.unwrap());
    assert_eq!(
        reading.end().await,
        (vec!["ran".to_owned()], Some(Exit::Code { code: 0 }))
    );
    assert_eq!(ended(late).await, (Some(0), String::new()));
    runner.shutdown().await;
}

#[tokio::test]
async fn nobody_gets_a_run_twice() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, "read -r _; exit 0")).await;
    reading.started().await;
    let (code, words) = ended(supervise(&rig, 1)).await;
    assert_eq!(code, Some(1));
    assert!(words.contains("has a supervisor already"), "{words}");
    reading.say("go\n");
    reading.end().await;
    let (code, words) = ended(supervise(&rig, 1)).await;
    assert_eq!(code, Some(1));
    assert!(words.contains("is over"), "{words}");
    runner.shutdown().await;
}

#[tokio::test]
async fn whoever_takes_the_files_and_dies_leaves_the_run_to_the_next() {
    let rig = Rig::new();
    let runner = forgetful(&rig);
    let mut reading = launch(&runner, &rig.spec(1, "echo ran; exit 0")).await;
    // Not read, so the descriptors stay on their way; then the peer is gone.
    let mut peer = UnixStream::connect(rig.socket()).unwrap();
    peer.write_all(&request(1)).unwrap();
    wait_for("the files to be sent", || rig.is_alive(&run_id(1))).await;
    let second = ask(&rig.socket(), request(1)).await;
    assert!(second.contains("has a supervisor already"), "{second}");
    drop(peer);
    wait_for("the files to be gone", || !rig.is_alive(&run_id(1))).await;
    let (code, _) = ended(supervise(&rig, 1)).await;
    assert_eq!(code, Some(0));
    assert_eq!(
        reading.end().await,
        (vec!["ran".to_owned()], Some(Exit::Code { code: 0 }))
    );
    runner.shutdown().await;
}

#[tokio::test]
async fn bad_peers_harm_nobody() {
    let rig = Rig::new();
    let runner = rig.runner();
    let socket = rig.socket();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(ask(&socket, request(9)).await.contains("no such run"));
    for garbage in [
        b"garbage\n".to_vec(),
        b"{\"run\":\"../../../etc/cron.d\"}\n".to_vec(),
        vec![b'\n'],
        vec![0xff; 100_000],
        [vec![b'x'; 5000], vec![b'\n']].concat(),
    ] {
        let answer = ask(&socket, garbage).await;
        assert!(
            answer.is_empty() || answer.contains("cannot be read"),
            "{answer}"
        );
    }
    // More silent ones than are served at once.
    let silent: Vec<UnixStream> = (0..100)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let mut reading = launch(&runner, &rig.spec(1, "echo ran")).await;
    assert_eq!(reading.end().await.0, ["ran"]);
    drop(silent);
    runner.shutdown().await;
}

#[tokio::test]
async fn a_long_socket_path_works() {
    let rig = Rig::new();
    let deep = rig.path(&"d".repeat(90)).join("e".repeat(90));
    std::fs::create_dir_all(&deep).unwrap();
    let runner = Engine::direct(rig.state(), deep.join("handoff.sock"), supervisor()).unwrap();
    let mut reading = launch(&runner, &rig.spec(1, "echo ran")).await;
    assert_eq!(reading.end().await.0, ["ran"]);
    runner.shutdown().await;
}

#[test]
fn wrong_arguments_are_refused() {
    for args in [&[][..], &["x"], &["../../x", "s"], &["a", "b", "c"]] {
        let out = Command::new(supervisor().program)
            .args(args)
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("usage"));
    }
}
