//! Faults on demand, and the network going and coming back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod common;

use std::time::{Duration, Instant};

use common::{ANN, Bench, SOON};
use serde_json::{Value, json};
use telexd_botapi::{BotApi, Config, Fault, FaultKind, Network, Outcome};

fn text() -> Value {
    json!({"chat_id": ANN, "text": "hello"})
}

#[tokio::test]
async fn a_429_with_and_without_parameters() {
    let bench = Bench::with_ann().await;
    for (parameters, header) in [(true, false), (false, true)] {
        bench.api.fault(Fault::once(
            "sendmessage",
            FaultKind::TooManyRequests {
                retry_after: 7,
                parameters,
                header,
            },
        ));
        let answer = bench.send("sendMessage", text()).await.unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers().contains_key("retry-after"), header);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            body["parameters"]["retry_after"].as_i64(),
            parameters.then_some(7)
        );
        assert_eq!(body["description"], "Too Many Requests: retry after 7");
    }
    assert!(bench.api.view(|v| v.bot_texts(ANN).is_empty()));
    bench.ok("sendMessage", text()).await;
    assert_eq!(bench.api.view(|v| v.faults_struck()), 2);
}

#[tokio::test]
async fn a_gateway_page_and_any_answer() {
    let bench = Bench::with_ann().await;
    bench
        .api
        .fault(Fault::times("sendMessage", 2, FaultKind::Html(502)));
    for _ in 0..2 {
        let answer = bench.send("sendMessage", text()).await.unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["content-type"].to_str().unwrap()
            ),
            (502, "text/html")
        );
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains("<h1>502 Bad Gateway</h1>")
        );
    }
    bench.api.fault(Fault::once(
        "getMe",
        FaultKind::Answer {
            status: 200,
            content_type: "text/plain".to_owned(),
            body: "nonsense".into(),
        },
    ));
    assert_eq!(
        bench
            .send("getMe", json!({}))
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "nonsense"
    );
    bench.ok("sendMessage", text()).await;
    assert_eq!(bench.api.view(|v| v.bot_texts(ANN).len()), 1);
}

#[tokio::test]
async fn a_reset_before_has_no_effect_and_one_after_has() {
    let bench = Bench::with_ann().await;
    bench
        .api
        .fault(Fault::once("sendMessage", FaultKind::ResetBefore));
    let lost = bench.send("sendMessage", text()).await.unwrap_err();
    assert!(!lost.is_connect(), "{lost:?}");
    assert!(bench.api.view(|v| v.bot_texts(ANN).is_empty()));
    bench
        .api
        .fault(Fault::once("sendMessage", FaultKind::ResetAfter));
    bench.send("sendMessage", text()).await.unwrap_err();
    assert_eq!(bench.api.view(|v| v.bot_texts(ANN)), ["hello"]);
    let outcomes: Vec<_> = bench.api.calls().into_iter().map(|c| c.outcome).collect();
    assert_eq!(outcomes, [Outcome::NotTaken, Outcome::AnswerLost]);
}

#[tokio::test]
async fn a_request_hangs_until_the_fault_is_cancelled() {
    let bench = Bench::with_ann().await;
    for taken in [false, true] {
        let before = bench.api.view(|v| v.bot_texts(ANN).len());
        let fault = bench
            .api
            .fault(Fault::once("sendMessage", FaultKind::Hang { taken }));
        let call = bench.ok("sendMessage", text());
        let free = async {
            bench
                .api
                .wait_for(SOON, |v| v.faults_armed() == 0)
                .await
                .unwrap();
            bench
                .api
                .wait_for(SOON, |v| {
                    v.bot_texts(ANN).len() == before + usize::from(taken)
                })
                .await
                .unwrap();
            bench.api.cancel_fault(fault);
        };
        tokio::join!(call, free);
        assert_eq!(bench.api.view(|v| v.bot_texts(ANN).len()), before + 1);
    }
}

#[tokio::test]
async fn bodies_that_are_cut_or_too_large() {
    let bench = Bench::with_ann().await;
    bench
        .api
        .fault(Fault::once("sendMessage", FaultKind::TruncatedBody));
    bench
        .send("sendMessage", text())
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap_err();
    assert_eq!(bench.api.view(|v| v.bot_texts(ANN)), ["hello"]);
    bench
        .api
        .fault(Fault::once("getMe", FaultKind::OversizedBody(3_000_000)));
    let body = bench
        .send("getMe", json!({}))
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(body.len(), 3_000_000);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["ok"], true);
}

#[tokio::test]
async fn a_delay_is_kept_and_a_condition_chooses() {
    let bench = Bench::with_ann().await;
    bench.api.fault(
        Fault::always("sendMessage", FaultKind::Delay(Duration::from_millis(150)))
            .when(|call| call.params["text"] == "slow"),
    );
    let began = Instant::now();
    bench
        .ok("sendMessage", json!({"chat_id": ANN, "text": "slow"}))
        .await;
    assert!(began.elapsed() >= Duration::from_millis(150));
    bench.api.clear_faults();
    bench.api.fault(
        Fault::once("x", FaultKind::Html(500))
            .any_method()
            .when(|c| c.method != "getMe"),
    );
    bench.ok("getMe", json!({})).await;
    assert_eq!(
        bench
            .send("getChat", json!({"chat_id": ANN}))
            .await
            .unwrap()
            .status(),
        500
    );
}

#[tokio::test]
async fn a_file_download_can_break_too() {
    let bench = Bench::with_ann().await;
    bench
        .api
        .user(ANN, "Ann")
        .send_document(ANN, "a.txt", "text/plain", &b"0123456789"[..], "");
    let id = bench.api.messages(ANN)[1].file.clone().unwrap().file_id;
    let path = bench.ok("getFile", json!({"file_id": id})).await["file_path"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = format!("{}/file/bot{}/{path}", bench.api.url(), bench.api.token());
    bench
        .api
        .fault(Fault::once("file", FaultKind::TruncatedBody));
    bench
        .client
        .get(&url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap_err();
    bench
        .client
        .get(&url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_network_goes_and_comes_back_and_nothing_is_lost() {
    let bench = Bench::with_ann().await;
    let url = bench.api.url();
    bench.api.network(Network::Refused).await.unwrap();
    assert!(
        bench
            .send("getMe", json!({}))
            .await
            .unwrap_err()
            .is_connect()
    );
    bench.api.user(ANN, "Ann").send_text(ANN, "meanwhile");
    bench.api.network(Network::Silent).await.unwrap();
    let silent =
        tokio::time::timeout(Duration::from_millis(200), bench.send("getMe", json!({}))).await;
    assert!(silent.is_err());
    bench.api.network(Network::Up).await.unwrap();
    assert_eq!(bench.api.url(), url);
    assert_eq!(bench.poll(json!({})).await.len(), 2);
}

#[tokio::test]
async fn going_down_ends_a_waiting_poll() {
    let bench = Bench::new().await;
    let poll = bench.send("getUpdates", json!({"timeout": 50}));
    let down = async {
        bench.api.wait_for(SOON, |v| v.is_polled()).await.unwrap();
        bench.api.network(Network::Refused).await.unwrap();
    };
    let (poll, ()) = tokio::join!(poll, down);
    poll.unwrap_err();
    bench.api.wait_for(SOON, |v| !v.is_polled()).await.unwrap();
}

#[tokio::test]
async fn calls_are_written_to_the_file() {
    let file =
        std::env::temp_dir().join(format!("telexd-botapi-calls-{}.jsonl", std::process::id()));
    let bench = Bench::with(Config {
        calls_file: Some(file.clone()),
        ..Config::default()
    })
    .await;
    bench.ok("getMe", json!({})).await;
    bench.call("sendMessage", text()).await;
    let lines = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let calls: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (&calls[1]["method"], &calls[1]["params"]["text"]),
        (&json!("sendMessage"), &json!("hello"))
    );
    assert_eq!(
        bench
            .api
            .view(|v| v.calls_file_trouble().map(str::to_owned)),
        None
    );
}

#[tokio::test]
async fn starting_fails_with_a_reason() {
    let token = BotApi::start(Config {
        token: "secret".to_owned(),
        ..Config::default()
    })
    .await
    .err()
    .unwrap();
    assert!(token.to_string().contains("NUMBER:SECRET"));
    let path = BotApi::start(Config {
        calls_file: Some("/nonexistent/calls".into()),
        ..Config::default()
    })
    .await;
    assert!(path.is_err());
}
