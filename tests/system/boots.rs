//! The rig itself: machines come up, do what they are told, and leave nothing behind.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{
    host::{Host as _, PATIENCE, Release},
    machine::{Layer, Machine, script},
    on_each_release,
    shared::wait_within,
};

/// Set for the process that a test starts of this binary, to be killed.
const VICTIM: &str = "TELEXD_TEST_VICTIM";

on_each_release!(
    a_machine_boots_and_runs_what_it_is_told,
    a_machine_keeps_its_files_over_a_reboot_and_a_kill,
    nothing_is_left_of_machines_that_are_gone,
    nothing_is_left_of_a_test_that_is_killed,
    a_shell_for_people_is_one_as_root_in_such_a_machine,
);

async fn a_machine_boots_and_runs_what_it_is_told(release: Release) {
    let machine = Machine::boot(release, Layer::Plain).await;
    assert_eq!(machine.state().await, "running");
    let version = machine.ok("systemctl --version").await;
    let first = format!("systemd {} ", release.systemd());
    assert!(version.starts_with(&first), "{version}");
    assert_eq!(machine.ok("cat /proc/1/comm").await, "systemd");
    let output = machine
        .sh("echo out; echo \"$((1 + 1)) 5%\" >&2; exit 3")
        .await;
    assert_eq!(
        (output.code, &*output.stdout, &*output.stderr),
        (3, "out\n", "2 5%\n")
    );
    machine
        .put_file(
            "/etc/new folder/file",
            b"\x00content",
            0o640,
            "root:systemd-journal",
        )
        .await;
    let seen = machine
        .ok("cd '/etc/new folder'; stat -c '%a %U:%G' file; od -An -c file")
        .await;
    assert!(
        seen.starts_with("640 root:systemd-journal") && seen.ends_with("n   t"),
        "{seen}"
    );
    machine
        .ok("systemd-cat --identifier=here echo 'two words'")
        .await;
    assert_eq!(machine.messages("-t here").await, "two words");
}

async fn a_machine_keeps_its_files_over_a_reboot_and_a_kill(release: Release) {
    let mut machine = Machine::boot(release, Layer::Plain).await;
    machine.ok("echo kept >/root/note").await;
    let id = machine.ok("cat /proc/sys/kernel/random/boot_id; systemctl show --value -p UserspaceTimestampMonotonic").await;
    machine.reboot().await;
    assert_eq!(machine.ok("cat /root/note").await, "kept");
    let after = machine.ok("cat /proc/sys/kernel/random/boot_id; systemctl show --value -p UserspaceTimestampMonotonic").await;
    assert_ne!(id, after);
    machine.kill_hard().await;
    machine.start().await;
    assert_eq!(machine.ok("cat /root/note").await, "kept");
    machine.power_off().await;
    machine.start().await;
    assert_eq!(machine.state().await, "running");
}

async fn nothing_is_left_of_machines_that_are_gone(release: Release) {
    for _ in 0..3 {
        let machine = Machine::boot(release, Layer::Plain).await;
        machine.ok("systemd-run --quiet setsid sleep 1000").await;
        let (name, traces) = (machine.name().to_owned(), machine.traces());
        assert!(
            traces.len() >= 3 && traces.iter().all(|path| path.exists()),
            "{traces:?}"
        );
        drop(machine);
        for path in traces {
            assert!(!path.exists(), "{} is left", path.display());
        }
        assert_eq!(mentions(&name), [""; 0]);
    }
}

/// What the next test kills: says which machine it has, and waits.
async fn wait_to_be_killed(release: Release) {
    let machine = Machine::boot(release, Layer::Plain).await;
    for path in machine.traces() {
        eprintln!("trace {}", path.display());
    }
    eprintln!("keeper {}", machine.keeper());
    std::future::pending::<()>().await;
}

async fn nothing_is_left_of_a_test_that_is_killed(release: Release) {
    if env::var_os(VICTIM).is_some() {
        return wait_to_be_killed(release).await;
    }
    let own_name = format!(
        "boots::{}::nothing_is_left_of_a_test_that_is_killed",
        release.name()
    );
    for keeper_too in [false, true] {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([&own_name, "--exact", "--nocapture"])
            .env(VICTIM, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut traces: Vec<PathBuf> = Vec::new();
        let mut keeper = None;
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(path) = line.strip_prefix("trace ") {
                traces.push(path.into());
            } else if let Some(pid) = line.strip_prefix("keeper ") {
                keeper = Some(Pid::from_raw(pid.parse().unwrap()));
                break;
            }
        }
        let keeper = keeper.expect("the other test has a machine");
        assert!(traces.iter().all(|path| path.exists()), "{traces:?}");
        if keeper_too {
            killpg(keeper, Signal::SIGSTOP).unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if keeper_too {
            killpg(keeper, Signal::SIGKILL).unwrap();
            wait_gone(&[format!("/proc/{keeper}").into()]).await;
            let folder = traces
                .iter()
                .find(|path| path.join("upper").exists())
                .unwrap();
            // The next machine finds it, once it is old enough not to be one that is just being made.
            let long_ago = SystemTime::now() - Duration::from_secs(120);
            fs::File::open(folder)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
            drop(Machine::boot(release, Layer::Plain).await);
        }
        wait_gone(&traces).await;
    }
}

async fn wait_gone(paths: &[PathBuf]) {
    let left = || {
        paths
            .iter()
            .filter(|path| path.exists())
            .collect::<Vec<_>>()
    };
    wait_within(
        PATIENCE,
        "nothing is left",
        || left().is_empty(),
        || format!("{:?}", left()),
    )
    .await;
}

async fn a_shell_for_people_is_one_as_root_in_such_a_machine(release: Release) {
    let mut child = tokio::process::Command::new(script("shell"))
        .arg(release.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = b"id -un; cat /proc/1/comm; . /etc/os-release; echo $VERSION_CODENAME; exit 7";
    tokio::io::AsyncWriteExt::write_all(&mut input, lines)
        .await
        .unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("root\nsystemd\n{}\n", release.name()));
    assert_eq!(output.status.code(), Some(7));
}

/// Processes and mounts on this host that have to do with a machine.
fn mentions(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cgroup", "mounts", "cmdline"] {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(name) {
                found.push(format!("{} in {}", name, entry.path().join(file).display()));
            }
        }
    }
    found
}
