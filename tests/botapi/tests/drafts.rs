//! Drafts: messages that are being written.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod common;

use common::{ANN, Bench};
use serde_json::json;
use telexd_botapi::{Change, Clock, Config, ManualClock, NoDraft};

#[tokio::test]
async fn a_draft_is_shown_until_the_message_comes() {
    let bench = Bench::with_ann().await;
    let mut news = bench.api.subscribe();
    for text in ["", "thin", "thinking *aloud*"] {
        let draft = json!({"chat_id": ANN, "draft_id": 3, "text": text});
        assert_eq!(bench.ok("sendMessageDraft", draft).await, json!(true));
        assert!(matches!(news.recv().await.unwrap(), Change::Draft(draft) if draft.text == text));
        assert_eq!(bench.api.draft(ANN).unwrap().text, text);
    }
    assert_eq!(bench.api.messages(ANN).len(), 1, "a draft is no message");
    // Another one takes its place.
    bench
        .ok(
            "sendMessageDraft",
            json!({"chat_id": ANN, "draft_id": -4, "text": "x"}),
        )
        .await;
    assert_eq!(bench.api.draft(ANN).unwrap().draft_id, -4);
    bench
        .ok("sendMessage", json!({"chat_id": ANN, "text": "thought"}))
        .await;
    assert_eq!(bench.api.draft(ANN), None);
    assert_eq!(bench.api.view(|v| v.drafts(ANN).len()), 4);
    // A message of the person's own leaves it there.
    bench
        .ok(
            "sendMessageDraft",
            json!({"chat_id": ANN, "draft_id": 5, "text": "x"}),
        )
        .await;
    bench.api.user(ANN, "Ann").send_text(ANN, "hm");
    assert!(bench.api.draft(ANN).is_some());
}

#[tokio::test]
async fn a_draft_that_is_not_renewed_vanishes() {
    let clock = ManualClock::new(1_800_000_000_000);
    let bench = Bench::with(Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    })
    .await;
    bench.api.user(ANN, "Ann").send_text(ANN, "/start");
    let draft = json!({"chat_id": ANN, "draft_id": 3, "text": "x", "can_stop": true});
    bench.ok("sendMessageDraft", draft.clone()).await;
    clock.advance_ms(29_999);
    bench.ok("sendMessageDraft", draft).await;
    clock.advance_ms(29_999);
    assert!(bench.api.draft(ANN).is_some());
    clock.advance_ms(1);
    assert_eq!(bench.api.draft(ANN), None);
    assert_eq!(
        bench.api.user(ANN, "Ann").stop_draft(None),
        Err(NoDraft),
        "there is nothing to press any more"
    );
}

#[tokio::test]
async fn drafts_are_checked() {
    let bench = Bench::with_ann().await;
    bench.api.supergroup(-1_000_000_000_005, "team", false);
    let long = "x".repeat(4097);
    let crossing = json!([{"type": "bold", "offset": 0, "length": 9}]);
    for (draft, why) in [
        (
            json!({"chat_id": -1_000_000_000_005_i64, "draft_id": 3, "text": "x"}),
            "Bad Request: TEXTDRAFT_PEER_INVALID",
        ),
        (
            json!({"chat_id": ANN, "draft_id": 0, "text": "x"}),
            "Bad Request: draft identifier must be non-zero",
        ),
        (
            json!({"chat_id": ANN, "draft_id": 3, "text": long}),
            "Bad Request: message is too long",
        ),
        (
            json!({"chat_id": 77, "draft_id": 3, "text": "x"}),
            "Bad Request: chat not found",
        ),
        (
            json!({"chat_id": ANN, "draft_id": 3, "text": "x", "message_thread_id": 9}),
            "Bad Request: message thread not found",
        ),
    ] {
        assert_eq!(bench.refused("sendMessageDraft", draft).await.1, why);
    }
    let outside = json!({"chat_id": ANN, "draft_id": 3, "text": "x", "entities": crossing});
    let refusal = bench.refused("sendMessageDraft", outside).await.1;
    assert!(refusal.contains("entit"), "{refusal}");
    bench.api.user(ANN, "Ann").block_bot();
    let refused = bench.refused(
        "sendMessageDraft",
        json!({"chat_id": ANN, "draft_id": 3, "text": "x"}),
    );
    assert_eq!(refused.await.0, 403);
    assert_eq!(bench.api.view(|v| v.drafts(ANN)), []);
}

#[tokio::test]
async fn a_person_can_stop_what_may_be_stopped() {
    let bench = Bench::with_ann().await;
    let ann = bench.api.user(ANN, "Ann");
    let draft = |id: i64, more: serde_json::Value| {
        let mut draft = json!({"chat_id": ANN, "draft_id": id, "text": "x"});
        for (name, value) in more.as_object().unwrap() {
            draft[name] = value.clone();
        }
        draft
    };
    bench
        .poll(json!({"allowed_updates": ["message", "stopped_message_generation"], "offset": -1}))
        .await;
    bench.ok("sendMessageDraft", draft(3, json!({}))).await;
    assert_eq!(ann.stop_draft(None), Err(NoDraft), "it has no such button");
    let kept = json!({"can_stop": true, "keep_on_stop": true});
    bench.ok("sendMessageDraft", draft(4, kept.clone())).await;
    assert_eq!(ann.stop_draft(None), Ok(4));
    assert_eq!(bench.api.draft(ANN).unwrap().draft_id, 4, "it is kept");
    assert_eq!(ann.stop_draft(None), Err(NoDraft), "it is stopped already");
    let gone = json!({"can_stop": true});
    bench.ok("sendMessageDraft", draft(5, gone)).await;
    assert_eq!(ann.stop_draft(None), Ok(5));
    assert_eq!(bench.api.draft(ANN), None);
    // More of what was stopped is not shown.
    bench.ok("sendMessageDraft", draft(5, kept)).await;
    assert_eq!(bench.api.draft(ANN), None);
    ann.stop_draft_stale(99, Some(7));

    let updates = bench
        .ok(
            "getUpdates",
            json!({"allowed_updates": ["stopped_message_generation"]}),
        )
        .await;
    let stops: Vec<_> = updates
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|u| u.get("stopped_message_generation"))
        .collect();
    let ids: Vec<_> = stops.iter().map(|s| s["draft_id"].as_i64()).collect();
    assert_eq!(ids, [Some(4), Some(5), Some(99)]);
    assert_eq!(stops[0]["chat"]["id"], ANN);
    assert_eq!(stops[0].get("message_thread_id"), None);
    assert_eq!(stops[2]["message_thread_id"], 7);
}
