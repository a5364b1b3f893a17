//! Every verb against answers of every kind.

use std::process::Command;

use crate::rig::{Answer, Dict, Rig, finish, health, wait_until, well};

#[tokio::test]
async fn status_is_one_screen_and_json() {
    let rig = well().await;
    let (code, out, err) = rig.telexctl(&["status"]).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
    for part in [
        "● telexd 0.1.0\n",
        "Status: polling, 1 conversation, 1 turn running\n",
        "abcdefgh23456777 ",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(out.lines().count() < 20 && !out.contains('\x1b'), "{out}");
    // Without a verb it is the same.
    assert_eq!(rig.telexctl(&[]).await.0, 0);
    let json = rig.json(&["status"]).await;
    assert_eq!(
        json["health"]["summary"],
        "polling, 1 conversation, 1 turn running"
    );
    assert_eq!(json["properties"]["Version"], "0.1.0");
    assert_eq!(json["runs"][0]["id"], "abcdefgh23456777");
}

#[tokio::test]
async fn a_daemon_that_is_not_well_shows_in_the_exit_code() {
    let rig = well().await;
    let mut ill = health();
    ill.insert("ok", false.into());
    ill.insert("summary", "Telegram unreachable".into());
    rig.answer([("Health", Answer::Dict(ill))]);
    let (code, out, _) = rig.telexctl(&["status"]).await;
    assert_eq!(code, 1);
    assert!(out.starts_with("× telexd"), "{out}");
}

#[tokio::test]
async fn errors_have_their_exit_codes_and_are_sentences() {
    let rig = well().await;
    for (name, words, code) in [
        (
            "org.telexd1.Error.NoSuchRun",
            "No run begins with abcd: telexctl ps lists them.",
            5,
        ),
        (
            "org.telexd1.Error.Ambiguous",
            "Two runs begin with abcd.",
            5,
        ),
        (
            "org.telexd1.Error.InvalidArgument",
            "At least four characters.",
            2,
        ),
        ("org.telexd1.Error.NotAllowed", "polkit says no.", 4),
        ("org.telexd1.Error.NoPolkit", "apt install polkitd", 4),
        ("org.telexd1.Error.Refused", "Not now.", 1),
        ("org.telexd1.Error.Failed", "The database is full.", 1),
        ("org.telexd1.Error.Stopping", "It is stopping.", 3),
        (
            "org.freedesktop.DBus.Error.AccessDenied",
            "Rejected send message",
            4,
        ),
        ("org.freedesktop.DBus.Error.UnknownMethod", "Unknown", 1),
        ("org.telexd1.Error.Failed", "hostile \x1b[31m\n words", 1),
    ] {
        rig.answer([("Health", Answer::Error(name, words))]);
        let (exit, out, err) = rig.telexctl(&["status"]).await;
        assert_eq!((exit, &*out), (code, ""), "{name}");
        assert!(
            err.starts_with("telexctl: ") && err.lines().count() == 1 && !err.contains('\x1b'),
            "{err:?}"
        );
        let (exit, out, err) = rig.telexctl(&["--json", "status"]).await;
        assert_eq!((exit, &*out), (code, ""), "{name}");
        let told: serde_json::Value = serde_json::from_str(&err).unwrap();
        assert_eq!(told["error"], name);
        assert!(told["message"].as_str().unwrap().contains(words), "{told}");
    }
}

#[tokio::test]
async fn no_daemon_and_no_bus_are_3() {
    let mut rig = Rig::new().await;
    for args in [&["status"][..], &[], &["--json", "status"]] {
        let (code, out, err) = rig.telexctl(args).await;
        assert_eq!((code, &*out), (3, ""), "{args:?}");
        assert!(err.contains("systemctl status telexd"), "{err}");
    }
    rig.end_bus();
    let (code, _, err) = rig.telexctl(&["status"]).await;
    assert_eq!(code, 3);
    assert!(
        err.contains("the system bus cannot be reached") && err.contains("systemctl status dbus"),
        "{err}"
    );
    let (code, _, err) = rig.telexctl(&["--session", "status"]).await;
    assert_eq!(code, 3);
    assert!(err.contains("DBUS_SESSION_BUS_ADDRESS"), "{err}");
    let (code, _, err) = rig.telexctl(&["--json", "status"]).await;
    assert_eq!(code, 3);
    assert!(serde_json::from_str::<serde_json::Value>(&err).unwrap()["error"].is_string());
}

#[tokio::test]
async fn systemd_tells_of_memory_and_why_the_daemon_is_away() {
    let mut rig = well().await;
    let unit = |active: &'static str| {
        Dict::from([
            ("LoadState", "loaded".into()),
            ("ActiveState", active.into()),
            ("Result", "exit-code".into()),
            ("MemoryCurrent", 12_345_678_u64.into()),
        ])
    };
    rig.systemd(unit("active")).await;
    let (_, out, _) = rig.telexctl(&["status"]).await;
    assert!(
        out.contains("Memory: telexd 12.3 MB, agents 12.3 MB\n")
            && out.trim_end().ends_with(" 12.3 MB"),
        "{out}"
    );
    rig.daemon_down().await;
    for (active, part) in [
        ("failed", "has failed (exit-code)"),
        ("inactive", "systemctl start telexd"),
    ] {
        rig.answer([("unit", Answer::Dict(unit(active)))]);
        let (code, _, err) = rig.telexctl(&["status"]).await;
        assert!(code == 3 && err.contains(part), "{err}");
    }
    // Unlimited stands for unknown.
    rig.daemon_up().await;
    rig.answer([(
        "unit",
        Answer::Dict(Dict::from([("MemoryCurrent", u64::MAX.into())])),
    )]);
    let told = rig.json(&["status"]).await;
    assert!(told["memory"]["telexd"].is_null(), "{told}");
}

#[tokio::test]
async fn the_session_bus_is_another_one() {
    let rig = well().await;
    let mut command = rig.command(&["--session", "status"]);
    command
        .env("DBUS_SESSION_BUS_ADDRESS", rig.address())
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere");
    let (code, out, err) = finish(command).await;
    assert_eq!((code, &*err), (0, ""), "{out}");
}

#[tokio::test]
async fn a_daemon_that_ends_while_it_is_asked_is_3() {
    let mut rig = well().await;
    rig.answer([("Health", Answer::Silence)]);
    let before = rig.calls().len();
    let status = tokio::spawn(finish(rig.command(&["status"])));
    let calls = || rig.calls().len() > before;
    wait_until("it is asked", calls).await;
    rig.daemon_down().await;
    let (code, _, err) = status.await.unwrap();
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("does not answer"), "{err}");
}

#[tokio::test]
async fn answers_of_other_types_are_no_crash() {
    let rig = well().await;
    for (method, answer) in [
        ("ListRuns", Answer::Text("x")),
        ("GetAll", Answer::Count(1)),
        ("Health", Answer::Dicts(vec![])),
        ("Health", Answer::Nothing),
    ] {
        rig.answer([(method, answer)]);
        let (code, out, err) = rig.telexctl(&["status"]).await;
        assert_eq!((code, &*out), (1, ""), "{method} {err}");
        assert!(err.contains("another version"), "{err}");
    }
}

#[tokio::test]
async fn logs_are_journalctls() {
    let rig = well().await;
    rig.program("journalctl", "printf '<%s>' \"$@\"");
    for (args, wanted) in [
        (&["logs"][..], "<--pager-end><--unit=telexd.service>"),
        (
            &["logs", "-f", "-r", "abcd"],
            "<--follow><TELEXD_RUN=abcdefgh23456777>",
        ),
        (
            &["logs", "-n", "5", "-c", "3", "--since", "1 hour ago"],
            "<--pager-end><--lines=5><--since=1 hour ago><TELEXD_CONVERSATION=3>",
        ),
        (
            &["--json", "logs"],
            "<--pager-end><--output=json><--unit=telexd.service>",
        ),
    ] {
        assert_eq!(
            rig.telexctl(args).await,
            (0, wanted.to_owned(), String::new()),
            "{args:?}"
        );
    }
    let (code, _, err) = rig.telexctl(&["logs", "-r", "zzzz"]).await;
    assert_eq!(code, 5, "{err}");
    rig.program("journalctl", "exit 7");
    assert_eq!(rig.telexctl(&["logs"]).await.0, 7);
    let mut without: Command = rig.command(&["logs"]);
    without.env("PATH", "/nowhere");
    let (code, _, err) = finish(without).await;
    assert_eq!(code, 1);
    assert!(err.contains("journalctl cannot be started"), "{err}");
}
