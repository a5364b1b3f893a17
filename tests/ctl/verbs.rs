//! Verbs that change something or list something.

use serde_json::json;

use crate::rig::{Answer, Dict, finish, wait_until, well};

/// Verbs, what the daemon answers, what it was called with, and what people read.
#[tokio::test]
async fn verbs_call_their_methods() {
    let rig = well().await;
    let hostile = || {
        Dict::from([
            ("person", 7_i64.into()),
            ("name", "a\x1b[2J\u{202e}b\nc".into()),
            ("role", "user".into()),
        ])
    };
    for (args, method, answer, call, said) in [
        (
            &["ps"][..],
            "ListRuns",
            Answer::Dicts(vec![]),
            "ListRuns()",
            "No agent runs.",
        ),
        (
            &["kill", "abcd"],
            "Kill",
            Answer::Text("done"),
            "Kill(\"abcd\")",
            "Run abcd was ended.",
        ),
        (
            &["kill", "abcd"],
            "Kill",
            Answer::Text("no-change"),
            "Kill(\"abcd\")",
            "had ended already",
        ),
        (
            &["killall"],
            "KillAll",
            Answer::Count(2),
            "KillAll()",
            "2 runs were ended.",
        ),
        (
            &["pause", "for a while"],
            "Pause",
            Answer::Text("done"),
            "Pause(\"for a while\")",
            "Paused:",
        ),
        (
            &["pause"],
            "Pause",
            Answer::Text("no-change"),
            "Pause(\"\")",
            "nothing changed",
        ),
        (
            &["resume"],
            "Resume",
            Answer::Text("done"),
            "Resume()",
            "Resumed",
        ),
        (
            &["interrupt", "3"],
            "Interrupt",
            Answer::Text("done"),
            "Interrupt(3)",
            "Interrupted.",
        ),
        (
            &["clear", "3"],
            "Clear",
            Answer::Text("done"),
            "Clear(3)",
            "Cleared",
        ),
        (
            &["send", "3", "what", "is", "--up"],
            "Send",
            Answer::Id(12),
            "Send((3, \"what is --up\"))",
            "turn 12",
        ),
        (
            &["reload"],
            "Reload",
            Answer::Reload("after-restart", vec!["state.directory"]),
            "Reload()",
            "state.directory",
        ),
        (
            &["config", "set", "agent.model", "-x"],
            "SetConfig",
            Answer::Text("after-restart"),
            "SetConfig((\"agent.model\", \"-x\"))",
            "telexctl restart",
        ),
        (
            &["config", "reset", "a.b"],
            "ResetConfig",
            Answer::Text("done"),
            "ResetConfig(\"a.b\")",
            "what the files say",
        ),
        (
            &["config", "get", "--value", "a.b"],
            "GetConfig",
            Answer::Dict(Dict::from([("value", "7".into())])),
            "GetConfig(\"a.b\")",
            "7",
        ),
        (
            &["config"],
            "ListConfig",
            Answer::Dicts(vec![]),
            "ListConfig()",
            "There is no such setting.",
        ),
        (
            &["people"],
            "ListPeople",
            Answer::Dicts(vec![hostile()]),
            "ListPeople()",
            "a\\u{1b}[2J\\u{202e}b\\nc",
        ),
        (
            &["people", "remove", "7"],
            "RemovePerson",
            Answer::Text("done"),
            "RemovePerson(7)",
            "Removed.",
        ),
        (
            &["conversations"],
            "ListConversations",
            Answer::Dicts(vec![hostile()]),
            "ListConversations()",
            "a\\u{1b}[2J\\u{202e}b\\nc",
        ),
        (
            &["questions"],
            "ListQuestions",
            Answer::Dicts(vec![]),
            "ListQuestions()",
            "No agent asks",
        ),
        (
            &["approve", "5"],
            "Approve",
            Answer::Text("done"),
            "Approve(5)",
            "Allowed.",
        ),
        (
            &["deny", "5"],
            "Deny",
            Answer::Text("no-change"),
            "Deny(5)",
            "nothing changed",
        ),
        (
            &["pair"],
            "ListPairings",
            Answer::Dicts(vec![hostile()]),
            "ListPairings()",
            "a\\u{1b}[2J",
        ),
        (
            &["pair", "accept", "X1"],
            "AcceptPairing",
            Answer::Text("done"),
            "AcceptPairing(\"X1\")",
            "Let in.",
        ),
        (
            &["pair", "reject", "X1"],
            "RejectPairing",
            Answer::Text("done"),
            "RejectPairing(\"X1\")",
            "Rejected.",
        ),
        (
            &["audit", "-n", "7", "--before", "9"],
            "ListAudit",
            Answer::Dicts(vec![]),
            "ListAudit(before=I64(9),limit=U32(7))",
            "Nothing was administered.",
        ),
    ] {
        let json = match &answer {
            Answer::Text(text) => json!({"outcome": text}),
            Answer::Count(n) => json!({"count": n}),
            Answer::Id(n) => json!({"turn": n}),
            _ => json!(null),
        };
        rig.answer([(method, answer)]);
        let (code, out, err) = rig.telexctl(args).await;
        assert_eq!((code, &*err), (0, ""), "{args:?}: {out}");
        assert!(out.contains(said), "{args:?}: {out}");
        assert!(
            !out.contains(|c: char| c.is_control() && c != '\n'),
            "{args:?}: {out:?}"
        );
        assert_eq!(rig.calls().last().unwrap(), call, "{args:?}");
        let told = rig.json(args).await;
        if !json.is_null() && args[0] != "kill" {
            assert_eq!(told, json, "{args:?}");
        }
    }
}

#[tokio::test]
async fn lists_as_json_have_the_names_of_the_interface() {
    let rig = well().await;
    assert_eq!(
        rig.json(&["ps"]).await,
        json!([{"id": "abcdefgh23456777", "conversation": 3, "person": 1001, "status": "running", "turn": 9,
            "started_at": 1_700_000_000_000_000_u64}])
    );
    // What is not known here passes through, and control characters arrive as such, escaped by JSON alone.
    rig.answer([(
        "ListPeople",
        Answer::Dicts(vec![Dict::from([
            ("name", "\x1b\n".into()),
            ("of_the_future", 1_u32.into()),
        ])]),
    )]);
    assert_eq!(
        rig.json(&["people"]).await,
        json!([{"name": "\x1b\n", "of_the_future": 1}])
    );
}

#[tokio::test]
async fn of_several_runs_each_is_tried() {
    let rig = well().await;
    rig.answer([(
        "Kill",
        Answer::Error("org.telexd1.Error.NoSuchRun", "no such run"),
    )]);
    let (code, out, err) = rig.telexctl(&["kill", "aaaa", "bb\x1bbb"]).await;
    assert_eq!((code, &*err), (5, ""));
    assert_eq!(out, "Run aaaa: no such run\nRun bb\\u{1b}bb: no such run\n");
}

#[tokio::test]
async fn a_restart_waits_for_the_next_life() {
    let mut rig = well().await;
    rig.answer([("Restart", Answer::Nothing)]);
    let before = rig.calls().len();
    let restart = tokio::spawn(finish(rig.command(&["restart"])));
    let calls = || rig.calls().len() > before;
    wait_until("it is asked", calls).await;
    rig.daemon_down().await;
    assert!(!restart.is_finished());
    rig.daemon_up().await;
    assert_eq!(
        restart.await.unwrap(),
        (0, "Restarted.\n".to_owned(), String::new())
    );
    assert_eq!(
        rig.json(&["restart", "--no-wait"]).await,
        json!({"outcome": "done"})
    );
}
