//! getUpdates: order, confirmation, waiting, conflicts, retention.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod common;

use std::time::{Duration, Instant};

use common::{ANN, Bench, SOON};
use serde_json::json;
use telexd_botapi::{BotApi, Clock, Config, ManualClock};

#[tokio::test]
async fn updates_stay_until_a_higher_offset_confirms_them() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    ann.send_text(ANN, "one");
    ann.send_text(ANN, "two");
    let first = bench.poll(json!({})).await;
    assert_eq!(first.len(), 2);
    assert_eq!(
        bench.api.confirmed_offset(),
        None,
        "reading confirms nothing"
    );
    let again = bench.poll(json!({"offset": first[0]})).await;
    assert_eq!(again, first, "an offset confirms only what is below it");
    assert_eq!(
        bench.poll(json!({"offset": first[0] + 1})).await,
        vec![first[1]]
    );
    assert_eq!(bench.api.confirmed_offset(), Some(first[0]));
    bench.poll(json!({"offset": first[1] + 1})).await;
    assert!(bench.api.pending_updates().is_empty());
}

#[tokio::test]
async fn a_negative_offset_forgets_all_but_the_last() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    for n in 0..5 {
        ann.send_text(ANN, &format!("{n}"));
    }
    let all = bench.api.pending_updates();
    assert_eq!(bench.poll(json!({"offset": -1})).await, vec![all[4]]);
    assert_eq!(bench.api.pending_updates(), vec![all[4]]);
}

#[tokio::test]
async fn an_offset_of_the_far_future_reads_from_the_beginning() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    bench.api.reset_update_ids(501);
    ann.send_text(ANN, "after the reset");
    assert_eq!(bench.poll(json!({"offset": 900_000_123})).await, vec![501]);
    assert_eq!(bench.poll(json!({"offset": 502})).await, Vec::<i64>::new());
    assert!(bench.api.pending_updates().is_empty());
}

#[tokio::test]
async fn limit_bounds_a_batch() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    for n in 0..150 {
        ann.send_text(ANN, &format!("{n}"));
    }
    assert_eq!(bench.poll(json!({})).await.len(), 100);
    assert_eq!(
        bench
            .poll(json!({"offset": bench.api.pending_updates()[0], "limit": 7}))
            .await
            .len(),
        7
    );
}

#[tokio::test]
async fn a_poll_waits_for_an_update_and_no_longer() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    let poll = bench.poll(json!({"timeout": 50}));
    let write = async {
        bench
            .api
            .wait_for(SOON, telexd_botapi::View::is_polled)
            .await
            .unwrap();
        ann.send_text(ANN, "hello");
    };
    let began = Instant::now();
    let (ids, ()) = tokio::join!(poll, write);
    assert_eq!(ids.len(), 1);
    assert!(began.elapsed() < SOON);
    assert!(!bench.api.view(|v| v.is_polled()));
}

#[tokio::test]
async fn a_poll_ends_empty_at_its_timeout() {
    let bench = Bench::new().await;
    let began = Instant::now();
    assert!(bench.poll(json!({"timeout": 1})).await.is_empty());
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_older_of_two_waiting_polls_gets_409() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    let older = bench.refused("getUpdates", json!({"timeout": 50}));
    let newer = async {
        bench.api.wait_for(SOON, |v| v.is_polled()).await.unwrap();
        bench.poll(json!({"timeout": 50})).await
    };
    let write = async {
        bench
            .api
            .wait_for(SOON, |v| {
                v.calls()
                    .iter()
                    .any(|c| matches!(c.outcome, telexd_botapi::Outcome::Refused(409, _)))
            })
            .await
            .unwrap();
        ann.send_text(ANN, "for the newer");
    };
    let (older, newer, ()) = tokio::join!(older, newer, write);
    assert_eq!(older.0, 409);
    assert_eq!(
        older.1,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
    );
    assert_eq!(newer.len(), 1);
}

#[tokio::test]
async fn a_webhook_stands_in_the_way() {
    let bench = Bench::new().await;
    let waiting = bench.refused("getUpdates", json!({"timeout": 50}));
    let set = async {
        bench.api.wait_for(SOON, |v| v.is_polled()).await.unwrap();
        bench
            .ok("setWebhook", json!({"url": "https://example.org/hook"}))
            .await;
    };
    let (waiting, ()) = tokio::join!(waiting, set);
    assert_eq!(
        waiting,
        (409, "Conflict: terminated by setWebhook request".to_owned())
    );
    let refused = bench.refused("getUpdates", json!({"offset": 3})).await;
    assert_eq!(
        refused.1,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
    );
    assert_eq!(
        bench.ok("getWebhookInfo", json!({})).await["url"],
        "https://example.org/hook"
    );
    bench
        .ok("deleteWebhook", json!({"drop_pending_updates": false}))
        .await;
    // Another offset than before, else the brake on repeated polls waits.
    assert!(bench.poll(json!({"offset": 4})).await.is_empty());
}

#[tokio::test]
async fn messages_wait_a_day_and_pressed_buttons_150_seconds() {
    let clock = ManualClock::new(1_800_000_000_000);
    let bench = Bench::with(Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    })
    .await;
    let ann = bench.api.user(ANN, "Ann");
    ann.send_text(ANN, "hello");
    let markup = json!({"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]});
    let sent = bench
        .ok(
            "sendMessage",
            json!({"chat_id": ANN, "text": "press", "reply_markup": markup}),
        )
        .await;
    ann.press(ANN, sent["message_id"].as_i64().unwrap(), "go")
        .unwrap();
    assert_eq!(bench.poll(json!({})).await.len(), 2);
    clock.advance_ms(150_000);
    assert_eq!(
        bench
            .poll(json!({"offset": bench.api.pending_updates()[0]}))
            .await
            .len(),
        1
    );
    clock.advance_ms(24 * 3600 * 1000);
    assert!(bench.poll(json!({"offset": 1})).await.is_empty());
    assert_eq!(bench.api.view(|v| v.expired_updates()), 2);
}

#[tokio::test]
async fn allowed_updates_stick_and_hold_for_what_comes_later() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    let id = ann.send_text(ANN, "hello");
    bench
        .poll(json!({"allowed_updates": ["callback_query"]}))
        .await;
    ann.edit(ANN, id, "not asked for");
    assert_eq!(bench.api.pending_updates().len(), 1);
    bench.poll(json!({"offset": 1})).await;
    ann.edit(ANN, id, "still not asked for");
    assert_eq!(bench.api.pending_updates().len(), 1);
    bench
        .poll(json!({"offset": 1, "allowed_updates": []}))
        .await;
    ann.edit(ANN, id, "asked for");
    assert_eq!(bench.api.pending_updates().len(), 2);
}

#[tokio::test]
async fn injected_updates_arrive_byte_for_byte() {
    let bench = Bench::new().await;
    let big = "x".repeat(64 << 10);
    let lone = format!(
        r#"{{"message":{{"message_id":77,"chat":{{"id":5,"type":"private"}},"text":"\ud83d {big}"}}}}"#
    );
    let id = bench.api.inject(&lone).unwrap();
    bench
        .api
        .inject(r#"{"thing_of_tomorrow":{"a":1}}"#)
        .unwrap();
    bench
        .api
        .inject_verbatim(12, r#"{"update_id":12}"#)
        .unwrap();
    assert!(bench.api.inject("[1]").is_err());
    let text = bench
        .send("getUpdates", json!({}))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        text.contains(&format!(
            r#"{{"update_id":{id},"message":{{"message_id":77"#
        )),
        "{}",
        &text[..200]
    );
    assert!(text.contains(r"\ud83d xxx"));
    assert!(text.contains("thing_of_tomorrow"));
    assert!(text.ends_with(r#"{"update_id":12}]}"#));
    bench
        .ok(
            "sendMessage",
            json!({"chat_id": 5, "text": "answer", "reply_parameters": {"message_id": 77}}),
        )
        .await;
}

#[tokio::test]
async fn an_abandoned_poll_leaves_its_place() {
    let bench = Bench::new().await;
    let poll = bench
        .client
        .get(format!("{}?timeout=50", bench.method_url("getUpdates")))
        .send();
    tokio::select! {
        _ = poll => panic!("nothing to answer with"),
        waited = bench.api.wait_for(SOON, |v| v.is_polled()) => waited.unwrap(),
    }
    bench.api.wait_for(SOON, |v| !v.is_polled()).await.unwrap();
}

#[tokio::test]
async fn a_wait_that_fails_says_what_there_was() {
    let api = BotApi::start(Config::default()).await.unwrap();
    api.user(ANN, "Ann").send_text(ANN, "a clue");
    let late = api
        .wait_for(Duration::from_millis(20), |_| false)
        .await
        .unwrap_err();
    assert!(late.to_string().contains("a clue"), "{late}");
    api.shutdown().await;
}
