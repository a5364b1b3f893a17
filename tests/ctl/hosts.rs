//! `-H`: a program `ssh` that bridges to the bus here, with the bridge that is at the other end of a real one.

use std::fs;

use crate::rig::{Rig, well};

/// Puts an `ssh` in place that writes down its arguments and does what is asked for.
fn ssh(rig: &Rig) {
    let script = format!(
        "printf '%s\\n' \"$@\" >{dir}/ssh-said\nwhile [ \"$1\" != -- ]; do shift; done; shift 2\n\
         case $1 in systemd-stdio-bridge) exec systemd-stdio-bridge --bus-path={address} ;; *) exec sh -c \"$*\" ;; esac",
        dir = rig.dir.path().display(),
        address = rig.address()
    );
    rig.program("ssh", &script);
}

fn said(rig: &Rig) -> Vec<String> {
    let text = fs::read_to_string(rig.dir.path().join("ssh-said")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn another_machine_is_asked_over_ssh() {
    let rig = well().await;
    ssh(&rig);
    let (code, out, err) = rig.telexctl(&["-H", "root@box:2222", "status"]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(out.contains("telexd 0.1.0"), "{out}");
    assert_eq!(
        said(&rig),
        [
            "-x",
            "-T",
            "-p",
            "2222",
            "--",
            "root@box",
            "systemd-stdio-bridge"
        ]
    );
    let json = rig.json(&["-H", "box", "status"]).await;
    assert_eq!(json["runs"][0]["id"], "abcdefgh23456777");
}

#[tokio::test]
async fn logs_of_another_machine_are_read_there() {
    let rig = well().await;
    ssh(&rig);
    rig.program("journalctl", "printf '<%s>' \"$@\"");
    let (code, out, err) = rig
        .telexctl(&["-H", "box", "logs", "--since", "it's 1 h; ago"])
        .await;
    assert_eq!(
        (code, &*out, &*err),
        (
            0,
            "<--pager-end><--since=it's 1 h; ago><--unit=telexd.service>",
            ""
        )
    );
}

#[tokio::test]
async fn an_ssh_that_fails_is_told() {
    let rig = well().await;
    rig.program("ssh", "echo 'ssh: no route' >&2; exit 255");
    let (code, out, err) = rig.telexctl(&["-H", "box", "status"]).await;
    assert_eq!((code, &*out), (3, ""));
    assert!(
        err.contains("ssh: no route")
            && err.contains("exit status: 255")
            && err.contains("the system bus of box"),
        "{err}"
    );
    let (code, _, err) = rig.telexctl(&["-H", "box", "watch"]).await;
    assert_eq!(code, 3, "{err}");
    let mut command = rig.command(&["-H", "box", "status"]);
    command.env("PATH", "/nowhere");
    let (code, _, err) = crate::rig::finish(command).await;
    assert_eq!(code, 3);
    assert!(err.contains("apt install openssh-client"), "{err}");
}
