//! The stand-in of the service, seen by a client without any library.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use telexd_messages_api::{
    MessagesApi,
    script::{Answer, Step},
};

fn connect(api: &MessagesApi) -> TcpStream {
    let stream = TcpStream::connect(api.url().strip_prefix("http://").unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn send(stream: &mut TcpStream, method: &str, path: &str, body: &str) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nx-api-key: secret\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
}

/// The whole reply, or how it broke.
fn call(api: &MessagesApi, method: &str, path: &str, body: &Value) -> Result<String, ErrorKind> {
    let mut stream = connect(api);
    send(&mut stream, method, path, &body.to_string());
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).map_err(|e| e.kind())?;
    Ok(String::from_utf8(reply).unwrap())
}

fn ask(api: &MessagesApi, prompt: &str, stream: bool) -> Result<String, ErrorKind> {
    let body =
        json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": prompt}]});
    call(api, "POST", "/v1/messages", &body)
}

fn body(reply: &str) -> Value {
    serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn routes() {
    let api = MessagesApi::start();
    assert!(
        call(&api, "HEAD", "/api/hello", &Value::Null)
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
    let counted = call(
        &api,
        "POST",
        "/v1/messages/count_tokens",
        &json!({"messages": []}),
    )
    .unwrap();
    assert!(body(&counted)["input_tokens"].is_u64());
    let lost = call(&api, "GET", "/v1/models", &Value::Null).unwrap();
    assert!(lost.starts_with("HTTP/1.1 404"));
    assert_eq!(body(&lost)["error"]["type"], "not_found_error");
    assert!(
        call(&api, "POST", "/v1/messages", &json!({}))
            .unwrap()
            .starts_with("HTTP/1.1 400")
    );
    let requests = api.requests();
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|r| r.has_key() && !format!("{r:?}").contains("secret"))
    );
}

#[test]
fn answers() {
    let api = MessagesApi::start();
    let whole = body(&ask(&api, "say hello", false).unwrap());
    assert_eq!(
        (
            whole["content"][0]["text"].clone(),
            whole["stop_reason"].clone()
        ),
        (json!("hello"), json!("end_turn"))
    );
    let events = ask(&api, "say hello", true).unwrap();
    assert!(events.contains("text/event-stream") && events.contains("event: message_stop"));
    api.on(|ask| (ask.prompt == "mine").then(|| Step::Answer(Answer::text("decided here"))));
    assert_eq!(
        body(&ask(&api, "mine", false).unwrap())["content"][0]["text"],
        "decided here"
    );
    assert_eq!(
        body(&ask(&api, "other", false).unwrap())["content"][0]["text"],
        "echo: other"
    );
    assert!(api.block_for(Duration::ZERO, |requests| requests.len() == 4));
    assert!(!api.block_for(Duration::ZERO, |requests| requests.len() == 5));
    assert_eq!(
        api.prompts_seen(),
        [
            ("mine".to_owned(), 1),
            ("other".to_owned(), 1),
            ("say hello".to_owned(), 1)
        ]
    );
}

#[test]
fn faults() {
    let api = MessagesApi::start();
    let busy = ask(
        &api,
        r#"@fake [{"error":429,"retry_after":7,"should_retry":false,"times":1}]"#,
        true,
    )
    .unwrap();
    assert!(
        busy.starts_with("HTTP/1.1 429")
            && busy.contains("retry-after: 7")
            && busy.contains("x-should-retry: false")
    );
    assert_eq!(body(&busy)["error"]["type"], "rate_limit_error");
    assert_eq!(
        ask(&api, r#"@fake {"reset":"headers"}"#, true).unwrap_err(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        ask(&api, "reset", true).unwrap_err(),
        ErrorKind::ConnectionReset
    );
    assert!(
        ask(&api, "reset", true)
            .unwrap()
            .contains("event: message_stop"),
        "once only"
    );
    let cut = ask(&api, r#"@fake {"eof":"mid","text":"partial"}"#, true).unwrap();
    assert!(
        cut.contains("partial") && !cut.contains("message_stop") && !cut.ends_with("0\r\n\r\n")
    );
    let overloaded = ask(
        &api,
        r#"@fake {"sse_error":"overloaded_error","text":"partial"}"#,
        true,
    )
    .unwrap();
    assert!(overloaded.contains("event: error") && overloaded.contains("overloaded_error"));
    for prompt in ["die KILL", "spawn", "@fake nonsense"] {
        assert!(
            body(&ask(&api, prompt, true).unwrap())["error"]["message"]
                .as_str()
                .unwrap()
                .starts_with("bad script")
        );
    }
    assert_eq!(api.requests().iter().filter(|r| r.fault).count(), 8);
}

#[test]
fn silence_ends_with_the_server() {
    let api = MessagesApi::start();
    let mut stream = connect(&api);
    send(
        &mut stream,
        "POST",
        "/v1/messages",
        r#"{"stream":true,"messages":[{"role":"user","content":"hang"}]}"#,
    );
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("text_delta") {
        let n = stream.read(&mut buffer).unwrap();
        assert_ne!(n, 0, "it ended");
        seen.extend_from_slice(&buffer[..n]);
    }
    drop(api);
    // Whether it is a reset or an end, it is not silence any more.
    assert!(matches!(stream.read_to_end(&mut seen), Ok(_) | Err(_)));
    assert!(!String::from_utf8_lossy(&seen).contains("message_stop"));
}

#[tokio::test]
async fn waiting_without_blocking() {
    let api = MessagesApi::start();
    let url = api.url();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        send(&mut stream, "GET", "/x", "");
        stream.read_to_end(&mut Vec::new()).unwrap()
    });
    assert!(
        api.wait_for(Duration::from_secs(20), |requests| requests.len() == 1)
            .await
    );
    assert!(
        !api.wait_for(Duration::from_millis(1), |requests| requests.len() == 2)
            .await
    );
    client.join().unwrap();
}
