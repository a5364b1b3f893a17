//! The machine itself: it is what the other tests take it for.

use telexd_botapi::BotApi;

use super::qemu::Vm;
use crate::host::Host as _;

/// Orders, files, limits and the network of a machine that has just come up.
pub async fn works(vm: &Vm, api: &BotApi) {
    assert_eq!(vm.ok("systemctl is-system-running").await, "running");
    let version = vm.ok("systemctl --version").await;
    assert!(version.starts_with("systemd 252 "), "{version}");
    let output = vm.sh("cat; echo \"$((1 + 1)) 5%\" >&2; exit 3").await;
    assert_eq!(
        (output.code, &*output.stdout, &*output.stderr),
        (3, "", "2 5%\n")
    );
    let big = vec![b'x'; 3 << 20];
    vm.put_file("/etc/new folder/file", &big, 0o640, "root:systemd-journal")
        .await;
    let seen = vm.ok("stat -c '%a %U:%G %s' '/etc/new folder/file'").await;
    assert_eq!(seen, "640 root:systemd-journal 3145728");
    limits_hold(vm).await;
    network(vm, api).await;
}

/// Without these all other tests of limits would show nothing.
async fn limits_hold(vm: &Vm) {
    let limited = |property: &str, script: &str| {
        format!(
            "systemd-run --quiet --wait --pipe --collect -p {property} /bin/bash -c '{script}' 2>&1"
        )
    };
    let killed = vm
        .sh(&limited("MemoryMax=30M", "head -c 100M /dev/zero | tail"))
        .await;
    assert_ne!(killed.code, 0, "{killed}");
    vm.wait_sh(
        "the kernel says that it ended it",
        "journalctl --quiet -k -o cat | grep 'Memory cgroup out of memory'",
    )
    .await;
    let forks = vm
        .sh(&limited(
            "TasksMax=8",
            "for i in {1..30}; do sleep 5 & done; wait",
        ))
        .await;
    assert!(
        forks.stdout.contains("Resource temporarily unavailable"),
        "{forks}"
    );
    let spent = vm
        .ok(&limited(
            "CPUQuota=20%",
            "timeout 2 bash -c \"while :; do :; done\"; times",
        ))
        .await;
    // user and system time of the children stand in the second line
    let seconds = spent.lines().last().unwrap().to_owned();
    assert!(
        seconds.starts_with("0m0."),
        "of 2 s it may have 0.4: {spent}"
    );
}

async fn network(vm: &Vm, api: &BotApi) {
    let port = super::port(api);
    // Several at once, as a bot that polls and sends.
    let ask = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /bot{}/getMe HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3 | tail -n 1",
        api.token()
    );
    let answers = vm
        .ok(&format!(
            "for i in 1 2 3 4; do (exec 5<>/dev/tcp/127.0.0.1/{port}; {ask}; sleep 1) & done; wait"
        ))
        .await;
    assert_eq!(answers.matches("telexd_test_bot").count(), 4, "{answers}");
    // The host, its loopback under QEMU's name for it, QEMU's own name server, and the world.
    for address in [
        format!("10.0.2.2/{port}"),
        "10.0.2.3/53".to_owned(),
        "192.0.2.1/80".to_owned(),
    ] {
        let output = vm
            .sh(&format!("timeout 3 bash -c ': </dev/tcp/{address}'"))
            .await;
        assert_ne!(output.code, 0, "{address} can be reached");
    }
}
