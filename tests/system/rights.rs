//! What the daemon may ask of systemd: to start and end its own agents, and nothing else.
//!
//! A script takes the place of the daemon's program in its unit, with all of its sandbox, and tries.

use std::fmt::Write as _;

use crate::{
    host::{Host as _, Release},
    machine::{Layer, Machine},
    on_each_release,
};

on_each_release!(
    the_daemon_may_start_and_end_agents_and_nothing_else,
    its_user_alone_may_nothing_where_polkit_can_tell,
    a_profile_of_ones_own_is_allowed_as_the_manual_page_says,
);

const ID: &str = "abcdefgh22334455";

/// A call of the manager's, as busctl takes it.
fn call(what: &str) -> String {
    format!(
        "busctl --timeout=20 call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
         org.freedesktop.systemd1.Manager {what}"
    )
}

/// Starts a transient unit that says who it is.
fn transient(name: &str) -> String {
    call(&format!(
        "StartTransientUnit 'ssa(sv)a(sa(sv))' {name} fail 1 ExecStart 'a(sasb)' 1 \
         /bin/touch 2 /bin/touch /root/was-here false 0"
    ))
}

/// What must work, and what must not.
fn attempts() -> (Vec<String>, Vec<String>) {
    let mut allowed = Vec::new();
    for profile in ["", "-strict", "-open"] {
        let unit = format!("telexd-agent{profile}@{ID}.service");
        // Each waits until the one before has had its effect.
        let is = |state: &str| {
            format!("until [[ $(systemctl is-active {unit}) == {state} ]]; do :; done; ")
        };
        let (active, inactive) = (is("active"), is("inactive"));
        allowed.extend([
            call(&format!("StartUnit ss {unit} replace")),
            active.clone() + &call(&format!("KillUnit ssi {unit} all 18")),
            call(&format!("StopUnit ss {unit} replace")),
            inactive + &call(&format!("StartUnit ss {unit} replace")),
            active + &call(&format!("KillUnit ssi {unit} all 9")),
            is("failed") + &call(&format!("ResetFailedUnit s {unit}")),
        ]);
    }
    let agent = format!("telexd-agent@{ID}.service");
    let mut denied = vec![
        call("StartUnit ss console-getty.service fail"),
        call("StopUnit ss dbus.service replace"),
        call("StopUnit ss telexd.service replace"),
        call("KillUnit ssi systemd-journald.service all 9"),
        call("RestartUnit ss systemd-journald.service fail"),
        call("StopUnit ss telexd-agents.slice fail"),
        call("StartUnit ss telexd-alert@x.service fail"),
        call(&format!("RestartUnit ss {agent} fail")),
        call(&format!("ReloadUnit ss {agent} fail")),
        call(&format!("FreezeUnit s {agent}")),
        call(&format!("CleanUnit sas {agent} 1 state")),
        call(&format!(
            "SetUnitProperties 'sba(sv)' {agent} true 1 MemoryMax t 1000000"
        )),
        call("Reload"),
        call("Reexecute"),
        call("PowerOff"),
        call("SetEnvironment as 1 PATH=/tmp"),
        call("LinkUnitFiles asbb 1 /tmp/evil.service true true"),
        call(&format!("EnableUnitFiles asbb 1 {agent} true true")),
        call("MaskUnitFiles asbb 1 dbus.service true true"),
        call("ResetFailed"),
        // One unit, and with it others.
        call(&format!("StartUnit ss {agent} isolate")),
        transient("evil.service"),
        transient(&agent),
        transient(&format!("telexd-agent-open@{ID}.service")),
        // Named like an instance, of a template that nobody has installed.
        transient(&format!("telexd-agent-evil@{ID}.service")),
        transient(&format!("telexd-agent-strict-evil@{ID}.service")),
        transient(&format!("telexd-agent-@{ID}.service")),
        transient(&format!("telexd-agent{ID}.service")),
    ];
    for name in [
        "telexd-agent@.service",
        "telexd-agent@a.service",
        "telexd-agent@abcdefgh2233445.service",
        "telexd-agent@abcdefgh223344556.service",
        "telexd-agent@ABCDEFGH22334455.service",
        "telexd-agent@abcdefgh22334451.service",
        "telexd-agent@..-etc-passwd-xxxx.service",
        "telexd-agent@abcdefgh22334455.timer",
        "telexd-agent@abcdefgh22334455.service.service",
        "xtelexd-agent@abcdefgh22334455.service",
        "telexd-agent-evil@abcdefgh22334455.service",
        "telexd.service",
    ] {
        denied.push(call(&format!("StartUnit ss '{name}' fail")));
        denied.push(transient(&format!("'{name}'")));
    }
    (allowed, denied)
}

/// Puts a script into the place of the daemon that runs these commands and writes a line for each: its exit code and what
/// it said.
async fn prepare(release: Release, commands: &[String]) -> Machine {
    let machine = Machine::boot(release, Layer::Installed).await;
    let mut script = "#!/bin/bash\n".to_owned();
    for (number, command) in commands.iter().enumerate() {
        writeln!(
            script,
            "said=$({{ {command}; }} 2>&1); echo \"{number} $? ${{said//$'\\n'/ }}\""
        )
        .unwrap();
    }
    machine
        .put_file("/opt/tries", script.as_bytes(), 0o755, "root:root")
        .await;
    let tries = "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nRestartForceExitStatus=\nExecStart=\n\
                 ExecStart=/opt/tries\n\
                 StandardOutput=file:/root/tried\n";
    let sleeps = "[Service]\nExecStart=\nExecStart=/bin/sleep 1000\n";
    for (unit, text) in [
        ("telexd", tries),
        ("telexd-agent@", sleeps),
        ("telexd-agent-strict@", sleeps),
        ("telexd-agent-open@", sleeps),
    ] {
        machine
            .put_file(
                &format!("/etc/systemd/system/{unit}.service.d/test.conf"),
                text.as_bytes(),
                0o644,
                "root:root",
            )
            .await;
    }
    machine.ok("systemctl daemon-reload").await;
    machine
}

/// Exit code and words of each command.
fn results(tried: &str, commands: &[String]) -> Vec<(i32, String)> {
    let results: Vec<_> = tried
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, ' ').skip(1);
            let code = parts.next().unwrap().parse().unwrap();
            (code, parts.next().unwrap_or_default().to_owned())
        })
        .collect();
    assert_eq!(results.len(), commands.len(), "{tried}");
    results
}

fn refused(said: &str) -> bool {
    [
        "Access denied",
        "Interactive authentication required",
        "Permission denied",
    ]
    .iter()
    .any(|words| said.contains(words))
}

/// What fails before anybody is asked: a template without a name, what cannot be isolated, what is there already.
fn impossible(said: &str) -> bool {
    [
        "is missing the instance name",
        "may not be isolated",
        "was already loaded or has a fragment file",
    ]
    .iter()
    .any(|words| said.contains(words))
}

async fn the_daemon_may_start_and_end_agents_and_nothing_else(release: Release) {
    let (allowed, denied) = attempts();
    let commands: Vec<_> = allowed.iter().chain(&denied).cloned().collect();
    let machine = prepare(release, &commands).await;
    let boot = machine.ok("cat /proc/1/stat | cut -d' ' -f22").await;
    machine.ok("systemctl start telexd").await;
    let tried = machine.ok("cat /root/tried").await;
    let results = results(&tried, &commands);
    for ((code, said), command) in results.iter().zip(&commands).take(allowed.len()) {
        assert!(*code == 0, "should be allowed: {command}\n{said}");
    }
    let mut asked = 0;
    for ((code, said), command) in results.iter().zip(&commands).skip(allowed.len()) {
        assert!(*code != 0, "should be denied: {command}\n{said}");
        // For what is asked, and not for how it is written.
        assert!(
            refused(said) || impossible(said),
            "fails for another reason: {command}\n{said}"
        );
        asked += usize::from(refused(said));
    }
    // Most are refused by the rule and not because they make no sense.
    assert!(asked * 3 > denied.len() * 2, "only {asked}:\n{tried}");
    assert_eq!(machine.sh("ls /root/was-here").await.code, 2);
    assert_eq!(machine.ok("cat /proc/1/stat | cut -d' ' -f22").await, boot);
    assert_eq!(
        machine
            .property(&format!("telexd-agent@{ID}"), "ActiveState")
            .await,
        "inactive"
    );
}

/// Whoever becomes the daemon's user in some other way has none of its rights, from Debian 13 on.
async fn its_user_alone_may_nothing_where_polkit_can_tell(release: Release) {
    let machine = prepare(release, &[]).await;
    let start = call(&format!("StartUnit ss telexd-agent@{ID}.service fail"));
    let output = machine
        .sh(&format!(
            "systemd-run --quiet --wait --pipe --uid=telexd /bin/bash -c \"{start}\""
        ))
        .await;
    match release {
        Release::Bookworm => assert!(output.code == 0, "{output}"),
        Release::Trixie => assert!(output.code != 0 && refused(&output.stderr), "{output}"),
    }
    // Agents have none, wherever.
    let output = machine
        .sh(&format!(
            "systemd-run --quiet --wait --pipe --uid=telexd-agent /bin/bash -c \"{start}\""
        ))
        .await;
    assert!(output.code != 0 && refused(&output.stderr), "{output}");
}

async fn a_profile_of_ones_own_is_allowed_as_the_manual_page_says(release: Release) {
    let commands = ["mine", "other"].map(|profile| {
        call(&format!(
            "StartUnit ss telexd-agent-{profile}@{ID}.service replace"
        ))
    });
    let machine = prepare(release, &commands).await;
    let page = include_str!("../../docs/man/telexd.8");
    let rule = page.split("polkit.addRule").nth(1).unwrap();
    let rule = rule.split(".Ed").next().unwrap();
    let rule = format!("polkit.addRule{rule}")
        .replace("\\e", "\\")
        .replace("NAME", "mine");
    let template = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n";
    for (path, text) in [
        ("/etc/polkit-1/rules.d/40-telexd-mine.rules", &*rule),
        ("/etc/systemd/system/telexd-agent-mine@.service", template),
        ("/etc/systemd/system/telexd-agent-other@.service", template),
    ] {
        machine
            .put_file(path, text.as_bytes(), 0o644, "root:root")
            .await;
    }
    machine
        .ok("systemctl daemon-reload; systemctl try-restart polkit; systemctl start telexd")
        .await;
    let tried = machine.ok("cat /root/tried").await;
    let results = results(&tried, &commands);
    assert!(results[0].0 == 0, "{tried}");
    assert!(results[1].0 != 0 && refused(&results[1].1), "{tried}");
    // The same for the daemon's user elsewhere, where polkit can tell.
    let output = machine
        .sh(&format!(
            "systemd-run --quiet --wait --pipe --uid=telexd /bin/bash -c \"{}\"",
            commands[0]
        ))
        .await;
    match release {
        Release::Bookworm => assert!(output.code == 0, "{output}"),
        Release::Trixie => assert!(output.code != 0 && refused(&output.stderr), "{output}"),
    }
}
