//! The package: what installing it does, and what systemd thinks of its units.

use crate::{
    host::{Host as _, Release},
    layers::package,
    machine::{Layer, Machine},
    on_each_release,
};

on_each_release!(
    installing_without_a_token_starts_nothing_and_says_what_comes_next,
    in_a_chroot_without_anything_it_installs_in_silence,
    systemd_finds_no_fault_with_any_unit,
    the_daemon_is_hardly_exposed,
    the_daemon_has_names_for_a_backtrace,
);

/// A tenth of what `systemd-analyze security` may give the daemon: 1.3, as it counts.
const THRESHOLD: u32 = 13;

async fn installing_without_a_token_starts_nothing_and_says_what_comes_next(release: Release) {
    let machine = Machine::boot(release, Layer::Plain).await;
    let bytes = std::fs::read(package()).unwrap();
    machine
        .put_file("/root/telexd.deb", &bytes, 0o644, "root:root")
        .await;
    let said = machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get install --yes /root/telexd.deb 2>&1")
        .await;
    let next = "install -m 0600 /dev/stdin /etc/telexd/token";
    assert!(said.lines().any(|line| line.trim() == next), "{said}");
    assert_eq!(machine.property("telexd", "ActiveState").await, "inactive");
    assert_eq!(
        machine.sh("systemctl is-enabled telexd").await.stdout,
        "disabled\n"
    );
    assert_eq!(machine.state().await, "running");
    let units = machine
        .ok("systemctl list-units --no-legend --plain --all 'telexd*'")
        .await;
    assert!(!units.contains(" active "), "{units}");
    assert_eq!(machine.sh("pgrep --list-full telexd").await.stdout, "");
    let files = machine
        .ok("stat -c '%U:%G %a %n' /etc/telexd/agent.env /var/lib/telexd-agent")
        .await;
    assert_eq!(
        files,
        "root:root 600 /etc/telexd/agent.env\ntelexd-agent:telexd-agent 700 /var/lib/telexd-agent"
    );
}

async fn in_a_chroot_without_anything_it_installs_in_silence(release: Release) {
    let mut machine = Machine::boot(release, Layer::Plain).await;
    let bytes = std::fs::read(package()).unwrap();
    machine
        .put_file("/root/telexd.deb", &bytes, 0o644, "root:root")
        .await;
    // The machine's own root, but without what is mounted in it: /proc, /dev, /run, and with that its systemd.
    let said = machine
        .ok("mkdir /tmp/root && mount --bind / /tmp/root && \
             chroot /tmp/root dpkg --install /root/telexd.deb 2>&1 && umount /tmp/root")
        .await;
    let own: Vec<&str> = said
        .lines()
        .skip_while(|line| !line.starts_with("Setting up telexd"))
        .skip(1)
        .take_while(|line| !line.starts_with("telexd is installed"))
        .filter(|line| !line.starts_with("Creating "))
        .collect();
    assert!(own.is_empty(), "{said}");
    machine.reboot().await;
    let folders = machine
        .ok("stat -c '%U %a' /var/lib/telexd /var/lib/telexd-agent")
        .await;
    assert_eq!(folders, "telexd 700\ntelexd-agent 700");
    assert_eq!(machine.state().await, "running");
}

async fn systemd_finds_no_fault_with_any_unit(release: Release) {
    let machine = Machine::boot(release, Layer::Installed).await;
    let listed = machine
        .ok(r"dpkg-query --listfiles telexd | grep -E '/systemd/system/[^/]+\.[a-z]+$' | xargs -n 1 basename")
        .await;
    let units: Vec<String> = listed
        .lines()
        .map(|unit| unit.replace('@', "@aaaaaaaaaaaaaaaa"))
        .collect();
    for unit in [
        "telexd.service",
        "telexd-agents.slice",
        "telexd-agent@aaaaaaaaaaaaaaaa.service",
    ] {
        assert!(
            units.iter().any(|u| u == unit),
            "{unit} is not in {units:?}"
        );
    }
    let output = machine
        .sh(&format!(
            "systemd-analyze verify --man=no {}",
            units.join(" ")
        ))
        .await;
    assert!(output.code == 0, "{output}");
    // A key that 252 does not have yet, and whose absence does no harm there.
    let complaint = |line: &&str| {
        !(release == Release::Bookworm
            && line.contains("Unknown key 'RestartMode' in section [Service], ignoring."))
    };
    let rest: Vec<&str> = output.stderr.lines().filter(complaint).collect();
    assert!(rest.is_empty(), "{rest:#?}");
}

async fn the_daemon_is_hardly_exposed(release: Release) {
    let machine = Machine::boot(release, Layer::Installed).await;
    let judge = |threshold: u32| {
        format!("systemd-analyze security --no-pager --threshold={threshold} telexd.service")
    };
    let output = machine.sh(&judge(THRESHOLD)).await;
    assert!(output.code == 0, "{output}");
    // It does judge.
    assert_ne!(machine.sh(&judge(1)).await.code, 0);
}

async fn the_daemon_has_names_for_a_backtrace(release: Release) {
    let machine = Machine::boot(release, Layer::Installed).await;
    // As compilers write the path of a module in the names of its functions; a stripped program has no such name.
    machine
        .ok("grep --text --quiet telexd7systemd3log /usr/bin/telexd")
        .await;
}
