//! Odd texts from end to end: the agent gets exactly what was written, and of what it says nothing is lost; no cut is inside
//! of what a person takes for one character, and no stretch reaches out of its message.

use serde_json::json;
use telexd_botapi::{Entity, ShownMessage};
use unicode_segmentation::GraphemeCursor;

use crate::support::{USER, World};

const FAMILY: &str = "👨‍👩‍👧‍👦";

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// An answer of the agent's: this text so often.
fn script(text: &str, repeat: usize) -> String {
    format!(
        "@fake {}",
        json!({"text": text, "repeat": repeat, "chunk": 500})
    )
}

/// What of a text can be seen, and is not dropped by Telegram's server, as some marks of direction are.
fn ink(text: &str) -> String {
    let dropped = |c: &char| c.is_whitespace() || matches!(c, '\u{202a}'..='\u{202e}');
    text.chars().filter(|c| !dropped(c)).collect()
}

/// The messages behind so many of the bot's, once they show all of this text.
async fn answer(world: &World, before: usize, text: &str) -> Vec<ShownMessage> {
    let of_bot = |m: &[ShownMessage]| -> Vec<ShownMessage> {
        let there = m.iter().filter(|m| m.from_bot && !m.deleted);
        there.skip(before).cloned().collect()
    };
    let wanted = ink(text);
    let shown = world
        .wait_chat(USER, "the answer is whole", |m| {
            let there = of_bot(m);
            let joined: String = there.iter().map(|m| ink(&m.text)).collect();
            there.iter().all(|m| m.buttons.is_empty()) && joined == wanted
        })
        .await;
    of_bot(&shown)
}

fn bound(message: &ShownMessage) {
    let whole = units(&message.text);
    assert!(whole <= 4096);
    let inside = |e: &Entity| e.length > 0 && e.offset + e.length <= whole;
    assert!(message.entities.iter().all(inside), "{message:?}");
}

/// Whether the parts are the text, but for white space at the cuts, and cut between characters.
fn is_cut_well(parts: &[ShownMessage], text: &str) {
    let text: String = text
        .chars()
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}'))
        .collect();
    let text = text.as_str();
    let mut at = 0;
    for part in parts {
        bound(part);
        let found = text[at..]
            .find(&part.text)
            .unwrap_or_else(|| panic!("changed: {:?}", part.text));
        assert_eq!(text[at..at + found].trim(), "", "lost");
        for place in [at + found, at + found + part.text.len()] {
            let mut cursor = GraphemeCursor::new(place, text.len(), true);
            assert_eq!(cursor.is_boundary(text, 0), Ok(true), "cut at {place}");
        }
        at += found + part.text.len();
    }
    assert_eq!(text[at..].trim(), "", "lost at the end");
}

#[tokio::test]
async fn a_full_message_of_odd_characters_reaches_the_agent_to_the_letter() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let full = |one: &str| one.repeat(4096 / units(one));
    let mut before = 0;
    for text in [
        full("😀"),
        full(FAMILY),
        full("🇩🇪"),
        full("e\u{301}"),
        format!("a{}", "\u{301}".repeat(4095)),
        full("שלום \u{202e}abc\u{202c} \u{2067}עולם\u{2069} "),
        full("العربية \u{200f}- \u{61c}١٢٣ "),
        full("ก็\u{200b}\u{feff}"),
        full("Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢ "),
    ] {
        let text = text.trim().to_owned();
        user.send_text(USER, &text);
        let echo = format!("echo: {text}");
        let parts = answer(&world, before, &echo).await;
        assert_eq!(
            world.reached(&text),
            1,
            "{}",
            text.chars().take(20).collect::<String>()
        );
        // But for the one character that is longer than a message.
        if !text.contains(&"\u{301}".repeat(4000)) {
            is_cut_well(&parts, &echo);
        }
        before += parts.len();
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn long_answers_of_odd_characters_are_cut_between_them() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let mut before = 0;
    for (text, repeat) in [
        ("😀", 5000),
        (FAMILY, 1200),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 900),
        ("x\u{300}\u{301}\u{302}", 3000),
        ("שלום\u{202e}abc\u{202c} ", 1500),
        ("**😀** _ש_ `\u{301}` ", 800),
    ] {
        user.send_text(USER, &script(text, repeat));
        let plain = text
            .replace("**", "")
            .replace(['_', '`'], "")
            .repeat(repeat);
        let plain = plain.trim();
        let parts = answer(&world, before, plain).await;
        if text.starts_with("**") {
            parts.iter().for_each(bound);
        } else {
            is_cut_well(&parts, plain);
        }
        before += parts.len();
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn control_characters_and_half_surrogates_cost_nothing_but_themselves() {
    let world = World::new().await;
    let daemon = world.start();
    let odd = "say a\\u0000b\\u0001c\\u001b[31md\\u007fe\\u0085f\\ufffeg\\udc00h";
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let update = format!(
        r#"{{"message":{{"message_id":900,"date":{now},"from":{{"id":{USER},"is_bot":false,"first_name":"Uma"}},"chat":{{"id":{USER},"type":"private","first_name":"Uma"}},"text":"{odd}"}}}}"#
    );
    world.api.inject(&update).unwrap();
    let exact = "say a\0b\u{1}c\u{1b}[31md\u{7f}e\u{85}f\u{fffe}g\u{fffd}h";
    let parts = answer(&world, 0, "a b c [31md e\u{85}f\u{fffe}g\u{fffd}h").await;
    assert_eq!(world.reached(exact), 1, "the agent gets all of it");
    let text = &parts[0].text;
    assert!(
        text.starts_with("a b c [31md e") && !text.contains(|c: char| c.is_ascii_control()),
        "{text:?}"
    );
    // The agent's own output.
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, &script("x {surrogate} y\u{0}\u{8}z ", 700));
    let plain = "x \u{fffd} y  z ".repeat(700);
    let parts = answer(&world, 1, plain.trim()).await;
    assert!(parts.len() > 1);
    let joined: Vec<&str> = parts
        .iter()
        .flat_map(|m| m.text.split_whitespace())
        .collect();
    assert_eq!(joined.len(), 4 * 700, "{:?}", &joined[..8]);
    for four in joined.chunks(4) {
        assert_eq!(
            (four[0], four[1], four[2], four[3]),
            ("x", "\u{fffd}", "y", "z")
        );
    }
    daemon.stop().await;
    world.end_all().await;
}
