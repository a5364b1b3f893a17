//! What the client makes of answers and of their absence.

use std::sync::Arc;

use telexd::{
    core::trouble::CallClass,
    telegram::{
        BotToken,
        classify::Reason,
        client::{CallError, Client, ClientOptions},
        files::{self, FileError},
    },
};
use telexd_botapi::{Config, Fault, FaultKind, Network, Outgoing};
use teloxide_core::{
    payloads::SendMessage,
    types::{ChatId, Recipient},
};

use crate::rig::{Rig, SystemClock, client, now};

async fn send(client: &Client) -> Result<i64, CallError> {
    client
        .send_message(&SendMessage::new(
            Recipient::Id(ChatId(1001)),
            "secret words",
        ))
        .await
}

/// The error, after a look at what it shows.
async fn failure(client: &Client) -> CallError {
    let error = send(client).await.unwrap_err();
    for shown in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{client:?}"),
    ] {
        assert!(
            !shown.contains("AAF-") && !shown.contains("secret words") && !shown.contains('\n'),
            "{shown}"
        );
    }
    error
}

#[tokio::test]
async fn who_the_bot_is() {
    let rig = Rig::new().await;
    let me = rig.client.get_me().await.unwrap();
    assert_eq!(
        (me.id, me.username.as_deref()),
        (4242, Some("telexd_test_bot"))
    );
    assert_eq!(rig.client.bot_id(), 4242);
}

#[tokio::test]
async fn faults_and_their_classes() {
    let rig = Rig::that_gives_up_soon().await;
    rig.acquainted(1001);
    let json = |status: u16, body: &str| FaultKind::Answer {
        status,
        content_type: "application/json".into(),
        body: body.to_owned().into(),
    };
    for (kind, class, http) in [
        (FaultKind::ResetBefore, CallClass::Ambiguous, None),
        (FaultKind::ResetAfter, CallClass::Ambiguous, None),
        (FaultKind::TruncatedBody, CallClass::Ambiguous, Some(200)),
        (
            FaultKind::OversizedBody(6 << 20),
            CallClass::Ambiguous,
            Some(200),
        ),
        (FaultKind::Html(502), CallClass::Ambiguous, Some(502)),
        (FaultKind::Html(403), CallClass::Safe, Some(403)),
        (FaultKind::Html(200), CallClass::Ambiguous, Some(200)),
        (FaultKind::Hang { taken: true }, CallClass::Ambiguous, None),
        (
            json(
                500,
                r#"{"ok":false,"error_code":500,"description":"Internal Server Error"}"#,
            ),
            CallClass::Ambiguous,
            Some(500),
        ),
        (
            json(200, r#"{"ok":true,"result":{"odd":1}}"#),
            CallClass::Ambiguous,
            Some(200),
        ),
        (json(200, r#"{"ok":true}"#), CallClass::Ambiguous, Some(200)),
        (
            json(
                400,
                r#"{"ok":false,"error_code":400,"description":"Bad \ud83d","parameters":{}}"#,
            ),
            CallClass::Rejected,
            Some(400),
        ),
        (
            json(
                400,
                r#"{"ok":false,"error_code":"x","description":7,"parameters":[1]}"#,
            ),
            CallClass::Rejected,
            Some(400),
        ),
        (
            json(
                401,
                r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
            ),
            CallClass::Unauthorized,
            Some(401),
        ),
    ] {
        rig.api.fault(Fault::once("sendMessage", kind.clone()));
        let error = failure(&rig.client).await;
        assert_eq!(
            (&error.class, error.http),
            (&class, http),
            "{kind:?}: {error}"
        );
        rig.api.clear_faults();
    }
    assert!(send(&rig.client).await.is_ok());
}

#[tokio::test]
async fn a_description_that_carries_the_token_is_cleaned() {
    let rig = Rig::new().await;
    let body = format!(
        r#"{{"ok":false,"error_code":400,"description":"no /bot{}/x\nhere"}}"#,
        rig.api.token()
    );
    rig.api.fault(Fault::once(
        "sendMessage",
        FaultKind::Answer {
            status: 400,
            content_type: "application/json".into(),
            body: body.into(),
        },
    ));
    let error = failure(&rig.client).await;
    assert!(
        error.to_string().contains("no /bot(token)/x here"),
        "{error}"
    );
}

#[tokio::test]
async fn waits_in_every_form() {
    let rig = Rig::new().await;
    for (parameters, header) in [(true, false), (false, true), (true, true), (false, false)] {
        rig.api.fault(Fault::once(
            "sendMessage",
            FaultKind::TooManyRequests {
                retry_after: 100,
                parameters,
                header,
            },
        ));
        let before = now();
        match failure(&rig.client).await.class {
            CallClass::WaitUntil(until) => {
                assert!((before + 100_000..before + 110_000).contains(&until));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_network() {
    let rig = Rig::that_gives_up_soon().await;
    rig.api.network(Network::Refused).await.unwrap();
    let error = failure(&rig.client).await;
    assert_eq!(error.class, CallClass::Safe);
    assert!(
        error.to_string().contains("refused"),
        "the causes are named: {error}"
    );
    rig.api.network(Network::Silent).await.unwrap();
    assert_eq!(failure(&rig.client).await.class, CallClass::Ambiguous);
}

#[tokio::test]
async fn another_bots_token() {
    let rig = Rig::with(Config::default()).await;
    let other = client(&rig.api, "4242:AAF-another-token-of-35-characters");
    let error = failure(&other).await;
    assert_eq!(
        (error.class, error.reason),
        (CallClass::Unauthorized, Reason::Other)
    );
}

/// File id of the newest message of a person.
fn sent_file(rig: &Rig) -> String {
    let message = rig.api.messages(1001).pop().unwrap();
    message.file.unwrap().file_id
}

#[tokio::test]
async fn a_file_is_fetched_whole_or_told_why_not() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    ann.send(
        1001,
        Outgoing::document("a.bin", "application/octet-stream", bytes.clone()),
    );
    let id = sent_file(&rig);
    let mut got = Vec::new();
    assert_eq!(
        files::fetch(&rig.client, &id, 1 << 20, &mut got)
            .await
            .unwrap(),
        300_000
    );
    assert_eq!(got, bytes);

    let small = files::fetch(&rig.client, &id, 299_999, &mut Vec::new()).await;
    assert!(
        matches!(small, Err(FileError::TooLarge { limit: 299_999 })),
        "{small:?}"
    );

    for (kind, class) in [
        (FaultKind::Html(502), CallClass::Ambiguous),
        (FaultKind::TruncatedBody, CallClass::Ambiguous),
        (FaultKind::ResetBefore, CallClass::Ambiguous),
    ] {
        rig.api.fault(Fault::once("file", kind.clone()));
        match files::fetch(&rig.client, &id, 1 << 20, &mut Vec::new()).await {
            Err(FileError::Call(error)) => {
                assert_eq!(error.class, class, "{kind:?}");
                assert!(!format!("{error} {error:?}").contains("AAF-"), "{error}");
            }
            other => panic!("{kind:?}: {other:?}"),
        }
    }
    // More than was announced.
    rig.api
        .fault(Fault::once("file", FaultKind::OversizedBody(2 << 20)));
    let grown = files::fetch(&rig.client, &id, 1 << 20, &mut Vec::new()).await;
    assert!(
        matches!(grown, Err(FileError::TooLarge { .. })),
        "{grown:?}"
    );

    ann.send(1001, Outgoing::claimed_document("b.iso", "x/y", 21_000_000));
    match files::fetch(&rig.client, &sent_file(&rig), u64::MAX, &mut Vec::new()).await {
        Err(FileError::Call(error)) => assert_eq!(error.reason, Reason::FileGone, "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn files_of_a_server_on_this_machine_are_read_from_its_folder_and_nowhere_else() {
    let rig = Rig::new().await;
    let server = tempfile::tempdir().unwrap();
    let folder = server.path().join("files");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("voice.ogg"), b"its content").unwrap();
    std::fs::write(server.path().join("secret"), b"not for anybody").unwrap();
    std::os::unix::fs::symlink(server.path().join("secret"), folder.join("link")).unwrap();
    let fetch = async |client: &Client, path: &std::path::Path, limit: u64| {
        let body = serde_json::json!({
            "ok": true, "result": {"file_id": "x", "file_unique_id": "x", "file_path": path},
        });
        rig.api.fault(Fault::once(
            "getFile",
            FaultKind::Answer {
                status: 200,
                content_type: "application/json".into(),
                body: body.to_string().into(),
            },
        ));
        let mut sink = Vec::new();
        let fetched = files::fetch(client, "x", limit, &mut sink).await;
        fetched.map(|size| (size, sink))
    };
    let mut options = ClientOptions::new(rig.api.url().parse().unwrap());
    options.local_files = Some(folder.clone());
    let token = BotToken::new(rig.api.token()).unwrap();
    let local = Client::new(token, &options, Arc::new(SystemClock)).unwrap();

    let path = folder.join("voice.ogg");
    let (size, content) = fetch(&local, &path, 100).await.unwrap();
    assert_eq!((size, &content[..]), (11, &b"its content"[..]));
    let large = fetch(&local, &path, 10).await;
    assert!(
        matches!(large, Err(FileError::TooLarge { limit: 10 })),
        "{large:?}"
    );
    for elsewhere in [
        server.path().join("secret"),
        folder.join("../secret"),
        folder.join("link"),
        folder.clone(),
        "/dev/zero".into(),
    ] {
        let fetched = fetch(&local, &elsewhere, 100).await;
        assert!(
            matches!(fetched, Err(FileError::Astray)),
            "{elsewhere:?} {fetched:?}"
        );
    }
    let gone = fetch(&local, &folder.join("gone"), 100).await;
    assert!(matches!(gone, Err(FileError::Local(_))), "{gone:?}");
    // Who has set no folder reads nothing of this machine.
    let fetched = fetch(&rig.client, &path, 100).await;
    assert!(matches!(fetched, Err(FileError::Astray)), "{fetched:?}");
}
