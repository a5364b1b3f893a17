//! What Telegram takes. `tests/fuzz` includes this file, too, so it names nothing but what stands above it.

use super::{Formatted, Look, visible};

/// Fails unless Telegram would take these messages as they are.
#[track_caller]
pub fn hold(parts: &[Formatted], most_units: usize, most_spans: usize) {
    for part in parts {
        assert!(part.text.chars().any(visible), "nothing to see in {part:?}");
        assert!(part.units() <= most_units, "{} units", part.units());
        assert!(part.spans.len() <= most_spans, "{} spans", part.spans.len());
        assert_eq!(part.text.trim_end(), part.text, "white space at the end");
        let mut open: Vec<(usize, &Look)> = Vec::new();
        let mut last = 0;
        for span in &part.spans {
            assert!(span.offset >= last, "out of order: {part:?}");
            last = span.offset;
            assert!(span.length > 0, "empty span");
            let end = span.offset + span.length;
            assert!(end <= part.units(), "beyond the text: {part:?}");
            let text = covered(part, span.offset, span.length);
            assert_eq!(text.trim_end(), text, "white space at the end of {span:?}");
            if matches!(span.look, Look::Pre(_) | Look::Quote) {
                // Code keeps its indentation, but not blank lines.
                assert!(!text[..text.len() - text.trim_start().len()].contains('\n'));
            } else {
                assert_eq!(
                    text.trim_start(),
                    text,
                    "white space at the start of {span:?}"
                );
            }
            open.retain(|(outer_end, _)| *outer_end > span.offset);
            let kind = std::mem::discriminant(&span.look);
            for (outer_end, outer) in &open {
                assert!(*outer_end >= end, "crossing spans: {part:?}");
                assert_ne!(
                    std::mem::discriminant(*outer),
                    kind,
                    "nested in itself: {part:?}"
                );
                assert!(
                    !matches!(outer, Look::Pre(_) | Look::Code),
                    "in code: {part:?}"
                );
                if matches!(span.look, Look::Pre(_) | Look::Code) {
                    assert_eq!(*outer, &Look::Quote, "code in something: {part:?}");
                }
            }
            open.push((end, &span.look));
        }
    }
}

/// The text that a span covers.
pub fn covered(part: &Formatted, offset: usize, length: usize) -> String {
    let encoded: Vec<u16> = part.text.encode_utf16().collect();
    String::from_utf16(&encoded[offset..offset + length]).expect("a span cuts a character")
}

/// Everything that shows, in order.
pub fn ink(text: &str) -> String {
    text.chars().filter(|&c| visible(c)).collect()
}

pub fn ink_of(parts: &[Formatted]) -> String {
    parts.iter().map(|part| ink(&part.text)).collect()
}
