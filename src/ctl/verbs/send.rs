//! `telexctl send`: a prompt of the administrator's.

use std::io::Read as _;

use serde_json::json;

use crate::ctl::{Ctl, exit, failure::Failure};

/// Bytes of standard input at most; the daemon takes 4096 characters, which says what is too long.
const MOST: u64 = 64 * 1024;

pub(super) async fn run(
    ctl: &mut Ctl<'_>,
    conversation: i64,
    words: &[String],
) -> Result<u8, Failure> {
    let text = if words == ["-"] {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(MOST)
            .read_to_string(&mut text)?;
        text.trim_end().to_owned()
    } else {
        words.join(" ")
    };
    if text.trim().is_empty() {
        return Err(Failure::usage("there is no text to send"));
    }
    let turn: i64 = ctl
        .bus()
        .await?
        .telexd("Send", &(conversation, text))
        .await?;
    let text = if ctl.look.json {
        ctl.look.as_json(&json!({"turn": turn}))
    } else {
        format!("Sent: it is turn {turn} of conversation {conversation}.\n")
    };
    ctl.say(&text)?;
    Ok(exit::OK)
}
