//! Markdown to messages: Telegram takes each of them, and together they hold all that shows.

use telexd::{
    core::{
        text::{Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS},
        words,
    },
    telegram::render::{self, visible},
};

#[path = "../../../src/telegram/render/tests/hold.rs"]
mod hold;

use hold::{covered, hold, ink, ink_of};

/// The first two bytes choose limits, so that short texts are cut as well; the rest is the text.
pub fn holds(data: &[u8]) {
    let Some(([units, spans], text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let text = String::from_utf8_lossy(text);
    let whole = render::render(&text);
    hold(&whole, MESSAGE_UNITS, MESSAGE_SPANS);
    assert_eq!(
        whole.is_empty(),
        !text.chars().any(visible),
        "something that shows gives nothing, or the other way round"
    );
    for part in &whole {
        for span in &part.spans {
            covered(part, span.offset, span.length);
        }
    }
    let parcel = render::enclose(&text, 1);
    hold(&parcel.messages, MESSAGE_UNITS, MESSAGE_SPANS);
    assert_eq!(parcel.messages.is_empty(), whole.is_empty());
    for file in &parcel.files {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        assert!(file.name.chars().all(plain) && !file.name.starts_with(['.', '-']));
        let parts = render::unfold(file);
        hold(&parts, MESSAGE_UNITS, MESSAGE_SPANS);
        let of = parts.len();
        let mut left = String::new();
        for (number, part) in parts.iter().enumerate() {
            let line = match of {
                1 => file.name.clone(),
                _ => words::enclosed::part(&file.name, number + 1, of),
            };
            left += part
                .text
                .strip_prefix(&line)
                .expect("it says of what it is");
        }
        if file.text.chars().any(visible) {
            assert_eq!(ink(&left), ink(&file.text), "code is lost");
        }
    }
    let plain = render::split_plain(&text);
    hold(&plain, MESSAGE_UNITS, MESSAGE_SPANS);
    assert_eq!(ink_of(&plain), ink(&text), "plain text is lost");

    let (units, spans) = (usize::from(*units).max(2), usize::from(*spans).max(7));
    let (draft, parts) = render::render_within(&text, units, spans);
    if !text.chars().any(visible) {
        return;
    }
    hold(&parts, units, spans);
    assert_eq!(ink_of(&parts), ink(&draft), "a cut loses something");
    assert_eq!(ink_of(&whole), ink(&draft), "a cut loses something");
}
