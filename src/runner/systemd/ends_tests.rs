use super::*;

const UNIT: &str = "telexd-agent@abcdefghijklmn27.service";
const TEMPLATE: &str = "telexd-agent@.service";

fn facts(result: &str) -> Facts {
    Facts {
        load: "loaded".to_owned(),
        active: "failed".to_owned(),
        result: result.to_owned(),
        files: vec![
            "/usr/lib/systemd/system/telexd-agent@.service".to_owned(),
            "/etc/systemd/system/telexd-agent@.service.d/override.conf".to_owned(),
        ],
        user: "telexd-agent".to_owned(),
        ..Facts::default()
    }
}

fn exited(status: i32) -> Facts {
    Facts {
        code: nix::libc::CLD_EXITED,
        status,
        ..facts("exit-code")
    }
}

#[test]
fn a_limit_is_told_as_the_limit_that_it_is() {
    let mut all = facts("oom-kill");
    all.memory_max = Some(1 << 30);
    assert_eq!(
        all.ended(),
        Some(Exit::OutOfMemory {
            limit: Some(1 << 30)
        })
    );
    let mut all = facts("timeout");
    all.runtime_max = Some(6 * 3600 * 1_000_000);
    all.ran = Some(6 * 3600 * 1_000_000 + 17);
    assert_eq!(all.ended(), Some(Exit::TimeLimit { seconds: 6 * 3600 }));
    for other in ["success", "signal", "core-dump", "exit-code", ""] {
        let all = Facts {
            result: other.to_owned(),
            ..all.clone()
        };
        assert_eq!(all.ended(), None, "{other}");
        assert!(!all.was_stopped_by_force(), "{other}");
    }
}

#[test]
fn a_stop_that_took_too_long_is_no_time_limit() {
    let mut all = facts("timeout");
    all.ran = Some(5 * 1_000_000);
    // Without a limit systemd says the highest number.
    for most in [Some(6 * 1_000_000), Some(u64::MAX), None] {
        all.runtime_max = most;
        assert_eq!(all.ended(), None, "{most:?}");
        assert!(all.was_stopped_by_force(), "{most:?}");
    }
    all.runtime_max = Some(5 * 1_000_000);
    assert!(all.ended().is_some());
    assert!(!all.was_stopped_by_force());
    all.ran = None;
    assert_eq!(all.ended(), None);
    assert!(!all.was_stopped_by_force());
}

#[test]
fn what_keeps_a_unit_from_starting_names_file_and_command() {
    let load = |load: &str, error: &str| Facts {
        load: load.to_owned(),
        load_error: error.to_owned(),
        ..facts("success")
    };
    for (facts, trouble, words) in [
        (
            load("masked", ""),
            ServiceTrouble::Masked,
            &["systemctl unmask telexd-agent@.service"][..],
        ),
        (
            load("not-found", "Unit not found."),
            ServiceTrouble::Missing,
            &["telexd-agent@.service", "apt install --reinstall telexd"],
        ),
        (
            load("bad-setting", "It has no ExecStart."),
            ServiceTrouble::Broken,
            &[
                "/etc/systemd/system/telexd-agent@.service.d/override.conf",
                "systemctl edit telexd-agent@.service",
                "(It has no ExecStart)",
            ],
        ),
        (
            exited(217),
            ServiceTrouble::User,
            &["telexd-agent", "systemd-sysusers"],
        ),
        (
            exited(243),
            ServiceTrouble::Credentials,
            &["/etc/telexd/agent.env", "install -m 600"],
        ),
        (
            exited(203),
            ServiceTrouble::Sandbox,
            &["ExecStart=", "--reinstall"],
        ),
        (
            exited(226),
            ServiceTrouble::Sandbox,
            &["ReadWritePaths=", "systemctl edit"],
        ),
        (
            exited(1),
            ServiceTrouble::Other,
            &["journalctl -u telexd-agent@abcdefghijklmn27.service"],
        ),
    ] {
        let NotStarted::Service {
            trouble: told,
            detail,
        } = facts.not_started(UNIT, TEMPLATE)
        else {
            panic!("{facts:?}");
        };
        assert_eq!(told, trouble, "{detail}");
        for word in words {
            assert!(detail.contains(word), "{word}: {detail}");
        }
    }
}

#[test]
fn a_refusal_says_whether_polkit_is_there() {
    let denied = CallError::Refused {
        name: "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired".to_owned(),
        text: "Interactive authentication required.".to_owned(),
    };
    for (polkit, word) in [(true, "--reinstall telexd"), (false, "apt install polkitd")] {
        let Some(NotStarted::Service { trouble, detail }) = refused(&denied, UNIT, polkit) else {
            panic!("it is refused");
        };
        assert_eq!(trouble, ServiceTrouble::Refused);
        assert!(detail.contains(RULE) && detail.contains(word), "{detail}");
    }
    let gone = CallError::NoBus("connection refused".to_owned());
    let told = refused(&gone, UNIT, true).unwrap().to_string();
    assert!(told.contains("apt install dbus"), "{told}");
    let other = CallError::Refused {
        name: "org.freedesktop.systemd1.UnitMasked".to_owned(),
        text: String::new(),
    };
    assert_eq!(refused(&other, UNIT, true), None);
}
