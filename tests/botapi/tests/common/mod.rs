//! A bare client for the tests of the server.
#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use std::time::Duration;

use serde_json::{Value, json};
use telexd_botapi::{BotApi, Config};

/// Deadline of every wait.
pub const SOON: Duration = Duration::from_secs(10);
/// The person of the tests.
pub const ANN: i64 = 1001;

/// A server and a client that calls it.
pub struct Bench {
    pub api: BotApi,
    pub client: reqwest::Client,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let api = BotApi::start(config).await.unwrap();
        Self {
            api,
            client: reqwest::Client::new(),
        }
    }

    /// A bench where Ann has written, so that the bot may answer.
    pub async fn with_ann() -> Self {
        let bench = Self::new().await;
        bench.api.user(ANN, "Ann").send_text(ANN, "/start");
        bench
    }

    pub fn method_url(&self, method: &str) -> String {
        format!("{}/bot{}/{method}", self.api.url(), self.api.token())
    }

    /// Sends a request with a JSON body.
    pub async fn send(&self, method: &str, params: Value) -> reqwest::Result<reqwest::Response> {
        self.client
            .post(self.method_url(method))
            .json(&params)
            .send()
            .await
    }

    /// The whole answer.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        self.send(method, params)
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// The result of a call that must succeed.
    pub async fn ok(&self, method: &str, params: Value) -> Value {
        let answer = self.call(method, params).await;
        assert_eq!(answer["ok"], json!(true), "{answer}");
        answer["result"].clone()
    }

    /// Code and description of a call that must fail.
    pub async fn refused(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.call(method, params).await;
        assert_eq!(answer["ok"], json!(false), "{answer}");
        (
            answer["error_code"].as_i64().unwrap(),
            answer["description"].as_str().unwrap().to_owned(),
        )
    }

    /// Update ids of one getUpdates.
    pub async fn poll(&self, params: Value) -> Vec<i64> {
        let result = self.ok("getUpdates", params).await;
        result
            .as_array()
            .unwrap()
            .iter()
            .map(|u| u["update_id"].as_i64().unwrap())
            .collect()
    }
}
