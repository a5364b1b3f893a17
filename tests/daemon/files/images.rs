//! What the agent is shown.

use std::fs;

use serde_json::Value;

use super::{path_in, prompts};
use crate::support::{USER, World, wait_until};

/// The head of a PNG of this size, and no more.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0]);
    bytes
}

/// Content of the last prompt, as it was written for the agent.
fn content(world: &World) -> Value {
    let directory = world.run_directories().pop().unwrap();
    let input = fs::read_to_string(directory.join("input.jsonl")).unwrap();
    let line: Value = input
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .rfind(|line: &Value| line["type"] == "user")
        .unwrap();
    line["message"]["content"].clone()
}

#[tokio::test]
async fn an_image_goes_along_and_what_only_looks_like_one_does_not() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_photo(USER, png(640, 480), "@fake say seen");
    world.wait_shows(USER, "seen").await;
    let sent = content(&world);
    assert_eq!(sent[0]["source"]["media_type"], "image/png");
    let text = sent[1]["text"].as_str().unwrap();
    assert!(text.contains("shown here as well"), "{text}");
    assert!(fs::read(path_in(text)).unwrap() == png(640, 480));

    let bomb = png(100_000, 100_000);
    let huge = [png(100, 100), vec![0; 4_000_000]].concat();
    let named: Vec<(&str, Vec<u8>)> = vec![
        ("bomb.png", bomb),
        ("huge.png", huge),
        ("text.png", b"just text".to_vec()),
    ];
    for (n, (name, bytes)) in named.into_iter().enumerate() {
        user.send_document(USER, name, "image/png", bytes.clone(), "");
        wait_until(
            "it is given",
            || prompts(&world).len() == n + 2,
            || world.log(),
        )
        .await;
        let sent = content(&world);
        let text = sent.as_str().unwrap_or_else(|| panic!("{name} went along"));
        assert!(!text.contains("shown here"), "{text}");
        assert!(fs::read(path_in(text)).unwrap() == bytes);
    }
    daemon.stop().await;
    world.end_all().await;
}
