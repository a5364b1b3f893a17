//! Verbs that change something or list something.

use serde_json::json;

use crate::rig::{Answer, well};

/// Verbs, what the daemon answers, what it was called with, and what people read.
#[tokio::test]
async fn verbs_call_their_methods() {
    let rig = well().await;
    for (args, method, answer, call, said) in [
        (
            &["pause", "for a while"][..],
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
