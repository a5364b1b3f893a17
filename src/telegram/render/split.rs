//! Cuts a draft into messages.

use unicode_segmentation::GraphemeCursor;

use super::{Draft, Stretch, trimmed, visible};
use crate::core::text::{Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS, Span, units};

/// Whether a person takes what is before this place and what is behind it for two characters.
fn is_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0) != Ok(false)
}

/// Most that one message holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// UTF-16 units; at least 2, or a character might not fit.
    pub(super) units: usize,
    /// Spans; at least 7, for so many may lie over one character.
    pub(super) spans: usize,
}

/// Cuts by Telegram's limits.
pub(super) fn split(draft: &Draft) -> Vec<Formatted> {
    split_to(
        draft,
        Limits {
            units: MESSAGE_UNITS,
            spans: MESSAGE_SPANS,
        },
    )
}

/// Cuts by these limits. Nothing but white space at the cuts is left out (and parts in which nothing shows).
pub(super) fn split_to(draft: &Draft, limits: Limits) -> Vec<Formatted> {
    let code: Vec<(usize, usize)> = (draft.stretches.iter())
        .filter(|stretch| matches!(stretch.look, Look::Pre(_)))
        .map(|stretch| (stretch.start, stretch.end))
        .collect();
    let mut cutter = Cutter {
        text: &draft.text,
        stretches: &draft.stretches,
        code,
        reaching: Vec::new(),
        next: 0,
    };
    let mut parts = Vec::new();
    let mut start = 0;
    while let Some(begin) = cutter.skip_space(start) {
        cutter.advance(begin);
        let end = cutter.end(begin, limits);
        let part = cutter.part(begin, end);
        if part.text.chars().any(visible) {
            parts.push(part);
        }
        start = end;
    }
    parts
}

struct Cutter<'a> {
    text: &'a str,
    stretches: &'a [Stretch],
    /// Code blocks, in order.
    code: Vec<(usize, usize)>,
    /// Stretches that began before the present part and reach into it.
    reaching: Vec<usize>,
    /// First stretch that begins in the present part or later.
    next: usize,
}

impl<'a> Cutter<'a> {
    /// Where the next part begins: white space before it is left out, but the indentation of code stays.
    fn skip_space(&self, start: usize) -> Option<usize> {
        let rest = &self.text[start..];
        let mut space = rest.len() - rest.trim_start().len();
        if space == rest.len() {
            return None;
        }
        // A space that carries a mark is no white space to a person.
        if let Some(last) = rest[..space].chars().next_back()
            && !is_boundary(rest, space)
        {
            space -= last.len_utf8();
        }
        let first = start + space;
        match self
            .code
            .get(self.code.partition_point(|code| code.1 <= start))
        {
            // In code: from the start of the line.
            Some(code) if code.0 < start => Some(
                self.text[start..first]
                    .rfind('\n')
                    .map_or(start, |at| start + at + 1),
            ),
            Some(code) if code.0 < first => Some(code.0),
            _ => Some(first),
        }
    }

    /// Takes the stretches before this place out of the way.
    fn advance(&mut self, begin: usize) {
        while let Some(stretch) = self.stretches.get(self.next)
            && stretch.start < begin
        {
            self.reaching.push(self.next);
            self.next += 1;
        }
        self.reaching
            .retain(|&index| self.stretches[index].end > begin);
    }

    /// Where the part that begins here ends.
    fn end(&self, begin: usize, limits: Limits) -> usize {
        let mut end = self.text.len();
        let mut room = limits.units;
        for (index, c) in self.text[begin..].char_indices() {
            match room.checked_sub(c.len_utf16()) {
                Some(left) => room = left,
                None => {
                    end = begin + index;
                    break;
                }
            }
        }
        let spans = limits.spans.saturating_sub(self.reaching.len());
        if let Some(beyond) = self.stretches.get(self.next + spans) {
            end = end.min(beyond.start);
        }
        let least = self.text[begin..]
            .chars()
            .next()
            .map_or(begin, |c| begin + c.len_utf8());
        let end = end.max(least);
        if end == self.text.len() {
            end
        } else {
            self.cut(begin, end)
        }
    }

    /// The best place for a cut in `begin..=end`: the last end of a paragraph (outside code), else of a line, else of
    /// a word, else between two characters. For the first two, not so early that the part would be short.
    fn cut(&self, begin: usize, end: usize) -> usize {
        let text = self.text;
        // A break may begin right at the end.
        let beyond = text[end..]
            .char_indices()
            .take_while(|(_, c)| c.is_whitespace())
            .nth(1);
        let probe = match beyond {
            Some((index, c)) => end + index + c.len_utf8(),
            None => {
                end + text[end..]
                    .chars()
                    .next()
                    .filter(|c| c.is_whitespace())
                    .map_or(0, char::len_utf8)
            }
        };
        let window = &text[begin..probe];
        let first = window.len() - window.trim_start().len();
        let fits = |at: usize| at > first && begin + at <= end;
        let floor = (end - begin) / 4;

        let paragraph = (window.rmatch_indices("\n\n").map(|(at, _)| at))
            .take_while(|&at| at >= floor)
            .find(|&at| fits(at) && !self.in_code(begin + at));
        let line = || {
            window
                .rmatch_indices('\n')
                .map(|(at, _)| at)
                .find(|&at| fits(at))
        };
        let word = || {
            let space =
                |c: char| c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}');
            window
                .rmatch_indices(space)
                .find(|(at, found)| fits(*at) && is_boundary(window, at + found.len()))
                .map(|(at, _)| at)
        };
        match paragraph.or_else(line).or_else(word) {
            Some(at) => begin + at,
            None => self.between_characters(begin, end),
        }
    }

    /// The last place up to `end` that is not inside of what a person takes for one character.
    fn between_characters(&self, begin: usize, end: usize) -> usize {
        let after = self.text[end..].chars().next().map_or(0, char::len_utf8);
        let chunk = &self.text[begin..end + after];
        let mut cursor = GraphemeCursor::new(end - begin, chunk.len(), true);
        if cursor.is_boundary(chunk, 0) == Ok(true) {
            return end;
        }
        match cursor.prev_boundary(chunk, 0) {
            Ok(Some(at)) if at > 0 => begin + at,
            // One that alone is too long for a message.
            _ => end,
        }
    }

    fn in_code(&self, at: usize) -> bool {
        let code = self
            .code
            .get(self.code.partition_point(|code| code.1 <= at));
        code.is_some_and(|code| code.0 < at)
    }

    /// The message from here to there.
    fn part(&self, begin: usize, end: usize) -> Formatted {
        let end = begin + self.text[begin..end].trim_end().len();
        let coming = self.stretches[self.next..]
            .iter()
            .take_while(|stretch| stretch.start < end);
        let mut counted = (begin, 0);
        let spans = (self.reaching.iter().map(|&index| &self.stretches[index]))
            .chain(coming)
            .filter_map(|stretch| {
                let clipped = (stretch.start.max(begin), stretch.end.min(end));
                let (from, to) = trimmed(
                    self.text,
                    clipped.0,
                    clipped.1.max(clipped.0),
                    &stretch.look,
                );
                // Starts only grow; a step back (there is none) would be counted anew.
                if from < counted.0 {
                    counted = (begin, 0);
                }
                counted = (from, counted.1 + units(&self.text[counted.0..from]));
                (from < to).then(|| Span {
                    offset: counted.1,
                    length: units(&self.text[from..to]),
                    look: stretch.look.clone(),
                })
            })
            .collect();
        Formatted {
            text: self.text[begin..end].to_owned(),
            spans,
        }
    }
}
