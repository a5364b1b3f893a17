//! Files that people send, as the real agent takes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use telexd_botapi::Outgoing;
use telexd_messages_api::script::{Answer, Block, Step};

use super::{Real, SHORT};
use crate::support::USER;

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// The path that a prompt names.
fn path_in(prompt: &str) -> Option<String> {
    let rest = prompt.split("\n- ").nth(1)?;
    Some(rest.split(" (").next()?.to_owned())
}

/// All blocks of all messages of a request.
fn blocks(body: &Value) -> Vec<Value> {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    messages
        .iter()
        .filter_map(|message| message["content"].as_array().cloned())
        .flatten()
        .collect()
}

#[tokio::test]
async fn a_document_is_read_by_its_path_without_a_question() {
    let real = Real::new(SHORT).await;
    real.model.on(|ask| {
        let path = path_in(&ask.prompt).filter(|_| ask.prompt.starts_with("read it"))?;
        Some(Step::Answer(if ask.answered == 0 {
            Answer::of(vec![Block::Tool {
                name: "Read".to_owned(),
                input: json!({ "file_path": path }),
            }])
        } else {
            Answer::text(if ask.allowed {
                "It was read."
            } else {
                "It was not."
            })
        }))
    });
    let daemon = real.world.start();
    let document = Outgoing::document("notes.txt", "text/plain", "the word is xylophone");
    let user = real.world.api.user(USER, "Uma");
    user.send(USER, document.caption("read it"));
    let shown = real
        .message("the answer is there", |m| {
            m.text.starts_with("It was") && m.buttons.is_empty()
        })
        .await;
    assert_eq!(shown.text, "It was read.");
    // It was read before anybody could have been asked: nothing else was ever shown.
    let all = real.world.api.view(|v| v.bot_messages(USER));
    assert_eq!(all.len(), 1, "{all:#?}");
    let found = real
        .model
        .requests()
        .iter()
        .flat_map(|r| blocks(&r.body))
        .any(|block| {
            block["type"] == "tool_result" && block.to_string().contains("the word is xylophone")
        });
    assert!(found, "the content went to the model");
    real.end(daemon).await;
}

#[tokio::test]
async fn a_photo_is_seen_by_the_model() {
    let real = Real::new(SHORT).await;
    real.model.on(|ask| {
        ask.prompt
            .starts_with("what is it")
            .then(|| Step::Answer(Answer::text("A pixel.")))
    });
    let daemon = real.world.start();
    let pixel = STANDARD.decode(PIXEL).unwrap();
    let user = real.world.api.user(USER, "Uma");
    user.send(USER, Outgoing::photo(pixel).caption("what is it"));
    real.message("the answer is there", |m| {
        m.text == "A pixel." && m.buttons.is_empty()
    })
    .await;
    let image = real
        .model
        .requests()
        .iter()
        .flat_map(|r| blocks(&r.body))
        .find(|block| block["type"] == "image")
        .expect("an image went to the model");
    assert_eq!(image["source"]["type"], "base64");
    assert_eq!(image["source"]["media_type"], "image/png");
    let asked = real
        .asks()
        .into_iter()
        .find(|ask| ask.prompt.starts_with("what is it"));
    assert!(
        path_in(&asked.unwrap().prompt)
            .unwrap()
            .ends_with("-photo.jpg")
    );
    real.end(daemon).await;
}
