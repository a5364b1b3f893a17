//! From the poll to the inbox and the gateway.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use telexd::{
    core::{inbound::Inbound, trouble::CallClass},
    telegram::intake::{NO_ID, PollHealth, PollTrouble},
};
use telexd_botapi::{Config, Fault, FaultKind, Network};
use tokio::sync::watch;

use crate::rig::{BROKEN, DEADLINE, Gateway, Rig, client};

async fn health_when(
    watched: &mut watch::Receiver<PollHealth>,
    what: impl FnMut(&PollHealth) -> bool,
) -> PollHealth {
    tokio::time::timeout(DEADLINE, watched.wait_for(what))
        .await
        .expect("health does not come to that")
        .unwrap()
        .clone()
}

#[tokio::test]
async fn updates_are_kept_handed_over_in_order_and_confirmed() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    for n in 0..30 {
        ann.send_text(1001, &format!("message {n}"));
    }
    gateway.taken(30).await;
    assert_eq!(
        gateway.texts(),
        (0..30).map(|n| format!("message {n}")).collect::<Vec<_>>()
    );
    rig.api
        .wait_for(DEADLINE, |v| v.pending_updates().is_empty())
        .await
        .unwrap();
    assert_eq!(rig.tx(|tx| tx.inbox_backlog()).await.0, 30);
    let last = rig.api.confirmed_offset();
    assert!(rig.tx(|tx| tx.poll_offset(4242)).await >= last, "{last:?}");
    let told = health_when(&mut health, |h| h.last_completed_at.is_some()).await;
    assert_eq!((told.failures, told.trouble), (0, None));

    for poll in rig
        .api
        .calls()
        .iter()
        .filter(|call| call.method == "getUpdates")
    {
        assert_eq!(
            poll.params["allowed_updates"],
            json!([
                "message",
                "edited_message",
                "callback_query",
                "stopped_message_generation"
            ])
        );
    }
    intake.stop().await;
}

#[tokio::test]
async fn a_message_alone_is_acted_on_as_it_is_entered_and_kept_where_that_fails() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let gateway = Arc::new(Gateway {
        admits: true,
        ..Gateway::default()
    });
    let (intake, _health) = rig.take_in(&gateway);
    ann.send_text(1001, "at once");
    gateway.admitted(1).await;
    assert_eq!(rig.tx(|tx| tx.inbox_pending(9)).await.len(), 0);
    assert_eq!(rig.tx(|tx| tx.inbox_backlog()).await.0, 0);

    ann.send_text(1001, BROKEN);
    gateway.taken(1).await;
    assert_eq!(gateway.texts(), [BROKEN]);
    assert_eq!(rig.tx(|tx| tx.inbox_pending(9)).await.len(), 1);

    ann.send_text(1001, "once more");
    gateway.admitted(2).await;
    rig.api
        .wait_for(DEADLINE, |v| v.pending_updates().is_empty())
        .await
        .unwrap();
    intake.stop().await;
}

#[tokio::test]
async fn stops_at_once_in_the_middle_of_a_poll() {
    let rig = Rig::new().await;
    let gateway = Arc::new(Gateway::default());
    let (intake, _health) = rig.take_in(&gateway);
    rig.api
        .wait_for(DEADLINE, telexd_botapi::View::is_polled)
        .await
        .unwrap();
    let before = tokio::time::Instant::now();
    intake.stop().await;
    assert!(before.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn what_an_earlier_life_left_comes_first_and_in_order() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    for n in 0..300 {
        ann.send_text(1001, &format!("{n}"));
    }
    let stalled = Arc::new(Gateway {
        stall_after: Some(3),
        ..Gateway::default()
    });
    let (first, _health) = rig.take_in(&stalled);
    stalled.taken(3).await;
    first.kill().await;
    stalled.act(&rig).await;

    // The rest of the first batch waits in the inbox, the rest of the messages at the server.
    ann.send_text(1001, "300");
    let gateway = Arc::new(Gateway::default());
    let (second, _health) = rig.take_in(&gateway);
    gateway.taken(298).await;
    assert_eq!(
        gateway.texts(),
        (3..=300).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    second.kill().await;

    // Nothing of that was acted on, and it is more than is read at once: all of it comes again.
    let again = Arc::new(Gateway::default());
    let (third, _health) = rig.take_in(&again);
    again.taken(298).await;
    assert_eq!(again.texts(), gateway.texts());
    third.stop().await;
}

#[tokio::test]
async fn a_lost_answer_repeats_nothing() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    for kind in [
        FaultKind::ResetAfter,
        FaultKind::ResetBefore,
        FaultKind::TruncatedBody,
        FaultKind::Html(502),
        FaultKind::OversizedBody(6 << 20),
        FaultKind::Answer {
            status: 200,
            content_type: "text/html".into(),
            body: "<html>log in</html>".into(),
        },
        FaultKind::Answer {
            status: 500,
            content_type: "application/json".into(),
            body: "{\"ok\":false}".into(),
        },
    ] {
        rig.api.fault(Fault::once("getUpdates", kind));
    }
    for n in 0..5 {
        ann.send_text(1001, &format!("{n}"));
    }
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    health_when(&mut health, |h| h.failures >= 3).await;
    gateway.taken(5).await;
    ann.send_text(1001, "5");
    gateway.taken(6).await;
    assert_eq!(gateway.texts(), ["0", "1", "2", "3", "4", "5"]);
    health_when(&mut health, |h| h.failures == 0 && h.trouble.is_none()).await;
    intake.stop().await;
}

#[tokio::test]
async fn a_flood_limit_is_waited_for() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    rig.api.fault(Fault::once(
        "getUpdates",
        FaultKind::TooManyRequests {
            retry_after: 1,
            parameters: true,
            header: false,
        },
    ));
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    health_when(&mut health, |h| {
        matches!(h.trouble, Some(PollTrouble::Call(CallClass::WaitUntil(_))))
    })
    .await;
    ann.send_text(1001, "x");
    gateway.taken(1).await;
    let polls = rig.api.view(|v| v.calls_of("getUpdates"));
    assert!(polls[1].at - polls[0].at >= 1000, "{polls:?}");
    intake.stop().await;
}

#[tokio::test]
async fn a_network_that_goes_and_comes() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    rig.api
        .wait_for(DEADLINE, telexd_botapi::View::is_polled)
        .await
        .unwrap();
    rig.api.network(Network::Refused).await.unwrap();
    let down = health_when(&mut health, |h| {
        h.trouble == Some(PollTrouble::Call(CallClass::Safe))
    })
    .await;
    assert!(down.failing_since.is_some());
    let error = down.error.unwrap();
    assert!(!error.contains("loopback-bot-token"), "{error}");
    ann.send_text(1001, "while away");
    rig.api.network(Network::Up).await.unwrap();
    gateway.taken(1).await;
    health_when(&mut health, |h| h.trouble.is_none() && h.failures == 0).await;
    intake.stop().await;
}

#[tokio::test]
async fn ids_may_fall_back() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let gateway = Arc::new(Gateway::default());
    let (intake, _health) = rig.take_in(&gateway);
    ann.send_text(1001, "before");
    gateway.taken(1).await;
    rig.api
        .wait_for(DEADLINE, |v| v.pending_updates().is_empty())
        .await
        .unwrap();
    rig.api.reset_update_ids(501);
    ann.send_text(1001, "after");
    ann.send_text(1001, "after that");
    gateway.taken(3).await;
    assert_eq!(gateway.texts(), ["before", "after", "after that"]);
    rig.api
        .wait_for(DEADLINE, |v| v.pending_updates().is_empty())
        .await
        .unwrap();
    assert_eq!(rig.tx(|tx| tx.poll_offset(4242)).await, Some(503));
    intake.stop().await;
}

#[tokio::test]
async fn odd_updates_are_kept_and_hold_up_nothing() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let chat = json!({"id": 1001, "type": "private"});
    let long = "x".repeat(64 * 1024);
    rig.api
        .inject(&json!({"from_the_future": {"a": [1, 2]}}).to_string())
        .unwrap();
    rig.api
        .inject(&json!({"message": "not an object"}).to_string())
        .unwrap();
    rig.api
        .inject(
            &json!({"message": {"message_id": 50, "chat": chat, "date": 1, "text": long}})
                .to_string(),
        )
        .unwrap();
    rig.api
        .inject(r#"{"message":{"message_id":51,"chat":{"id":1001,"type":"private"},"date":1,"text":"cut \ud83d"}}"#)
        .unwrap();
    let gateway = Arc::new(Gateway::default());
    let (intake, _health) = rig.take_in(&gateway);
    gateway.taken(4).await;
    {
        let accepted = gateway.accepted.lock().unwrap();
        assert_eq!(accepted[0].1, Inbound::Other("from_the_future".into()));
        assert!(matches!(accepted[1].1, Inbound::Unreadable(_)));
    }
    assert_eq!(gateway.texts(), [long, "cut \u{fffd}".to_owned()]);
    ann.send_text(1001, "still here");
    gateway.taken(5).await;
    intake.stop().await;
}

#[tokio::test]
async fn an_update_without_an_id_is_kept_once() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    rig.api
        .inject_verbatim(900_000_001, r#"{"odd":{"update_id":"gone"}}"#)
        .unwrap();
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    health_when(&mut health, |h| h.trouble == Some(PollTrouble::NoProgress)).await;
    ann.send_text(1001, "next");
    gateway.taken(2).await;
    rig.api
        .wait_for(DEADLINE, |v| v.pending_updates().is_empty())
        .await
        .unwrap();
    let rows = rig.tx(|tx| tx.inbox_pending(10)).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].update_id, rows[0].raw.as_str()),
        (NO_ID, r#"{"odd":{"update_id":"gone"}}"#)
    );
    health_when(&mut health, |h| h.trouble.is_none()).await;
    intake.stop().await;
}

#[tokio::test]
async fn another_poller_is_told_of_and_outlived() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    rig.api
        .wait_for(DEADLINE, telexd_botapi::View::is_polled)
        .await
        .unwrap();
    let other = client(&rig.api, rig.api.token());
    let rival = tokio::spawn(async move { other.get_updates(None, 100).await });
    health_when(&mut health, |h| {
        h.trouble == Some(PollTrouble::Call(CallClass::Conflict))
    })
    .await;
    assert_eq!(rival.await.unwrap().unwrap_err().class, CallClass::Conflict);
    ann.send_text(1001, "x");
    gateway.taken(1).await;
    health_when(&mut health, |h| h.trouble.is_none()).await;
    intake.stop().await;
}

#[tokio::test]
async fn a_webhook_is_removed_and_nothing_with_it() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    ann.send_text(1001, "kept");
    let hook = json!({"url": "https://example.org/hook"});
    rig.client
        .call::<_, bool>("setWebhook", &hook)
        .await
        .unwrap();
    let gateway = Arc::new(Gateway::default());
    let (intake, _health) = rig.take_in(&gateway);
    gateway.taken(1).await;
    assert_eq!(gateway.texts(), ["kept"]);
    intake.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_told_and_does_not_show() {
    let rig = Rig::with(Config::default()).await;
    let wrong = client(&rig.api, "4242:AAF-another-token-of-35-characters");
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in_with(&gateway, wrong);
    let told = health_when(&mut health, |h| {
        h.trouble == Some(PollTrouble::Call(CallClass::Unauthorized))
    })
    .await;
    assert!(!told.error.unwrap().contains("another-token"));
    intake.stop().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_confirmed() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    let database = rusqlite::Connection::open(rig.directory.path().join("telexd.db")).unwrap();
    database
        .execute_batch("CREATE TRIGGER no_room BEFORE INSERT ON inbox BEGIN SELECT RAISE(ABORT, 'no room'); END")
        .unwrap();
    ann.send_text(1001, "one");
    ann.send_text(1001, "two");
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    health_when(&mut health, |h| {
        h.trouble == Some(PollTrouble::Storage) && h.failures >= 3
    })
    .await;
    assert_eq!(rig.api.pending_updates().len(), 2);
    assert_eq!(gateway.count(), 0);
    database.execute_batch("DROP TRIGGER no_room").unwrap();
    gateway.taken(2).await;
    assert_eq!(gateway.texts(), ["one", "two"]);
    health_when(&mut health, |h| h.trouble.is_none()).await;
    intake.stop().await;
}
