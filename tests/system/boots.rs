//! The rig itself: machines come up, do what they are told, and leave nothing behind.

use std::fs;

use crate::{
    host::{Host as _, Release},
    machine::{Layer, Machine},
    on_each_release,
};

on_each_release!(
    a_machine_boots_and_runs_what_it_is_told,
    a_machine_keeps_its_files_over_a_reboot_and_a_kill,
    nothing_is_left_of_machines_that_are_gone,
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
