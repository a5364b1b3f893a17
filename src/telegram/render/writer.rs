//! Puts down text: keeps the distance between blocks, the margin of lists, and which looks are on.

use super::{Draft, Stretch, trimmed};
use crate::core::text::Look;

/// Deepest level of lists and inner quotes that still moves the text to the right.
const DEEPEST_MARGIN: usize = 6;

/// A draft in the making.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
    stretches: Vec<Stretch>,
    /// Newlines that must stand before the next text.
    gap: usize,
    /// Newlines at the end of the text.
    newlines: usize,
    /// Whether the present line has its margin.
    begun: bool,
    /// What begins each line.
    margin: String,
    /// For each level that moves text to the right: length of the margin outside it.
    levels: Vec<usize>,
    /// Looks that are on, outer first. Each at most once, so there are never more than five.
    on: Vec<On>,
    /// For each open element: whether it is one of `on`.
    elements: Vec<bool>,
}

struct On {
    look: Look,
    /// Its stretch, once there is text.
    stretch: Option<usize>,
}

impl Writer {
    /// Where the next text comes.
    pub(super) fn position(&self) -> usize {
        self.text.len()
    }

    /// What was written from there.
    pub(super) fn since(&self, position: usize) -> &str {
        &self.text[position..]
    }

    /// Asks for at least so many newlines before the next text.
    pub(super) fn space(&mut self, newlines: usize) {
        self.gap = self.gap.max(newlines);
    }

    /// Asks for exactly so many newlines before the next text.
    pub(super) fn exact_space(&mut self, newlines: usize) {
        self.gap = newlines;
    }

    /// Moves the lines that follow to the right.
    pub(super) fn indent(&mut self, by: &str) {
        self.levels.push(self.margin.len());
        if self.levels.len() <= DEEPEST_MARGIN {
            self.margin.push_str(by);
        }
    }

    /// Undoes the last [`indent`](Self::indent).
    pub(super) fn outdent(&mut self) {
        if let Some(length) = self.levels.pop() {
            self.margin.truncate(length);
        }
    }

    /// Takes the margin away, for what has to begin at the line's start. Give it back with
    /// [`restore_margin`](Self::restore_margin).
    pub(super) fn take_margin(&mut self) -> (String, Vec<usize>) {
        (
            std::mem::take(&mut self.margin),
            std::mem::take(&mut self.levels),
        )
    }

    /// Gives a margin back.
    pub(super) fn restore_margin(&mut self, (margin, levels): (String, Vec<usize>)) {
        self.margin = margin;
        self.levels = levels;
    }

    /// Turns a look on for an element. Within the same look, and a link within a link, it changes nothing.
    pub(super) fn enter(&mut self, look: Look) {
        let kind = std::mem::discriminant(&look);
        let fresh = !self
            .on
            .iter()
            .any(|on| std::mem::discriminant(&on.look) == kind);
        self.elements.push(fresh);
        if fresh {
            self.on.push(On {
                look,
                stretch: None,
            });
        }
    }

    /// Opens an element without a look.
    pub(super) fn enter_plain(&mut self) {
        self.elements.push(false);
    }

    /// Ends the innermost element.
    pub(super) fn leave(&mut self) {
        if self.elements.pop() == Some(true)
            && let Some(on) = self.on.pop()
        {
            self.close(on.stretch);
        }
    }

    /// Writes text with the looks that are on.
    pub(super) fn put(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.newline();
            }
            if line.is_empty() {
                continue;
            }
            self.settle();
            let start = self.text.len();
            for on in &mut self.on {
                on.stretch.get_or_insert_with(|| {
                    self.stretches.push(Stretch {
                        start,
                        end: start,
                        look: on.look.clone(),
                    });
                    self.stretches.len() - 1
                });
            }
            self.text.push_str(line);
            self.newlines = 0;
        }
    }

    /// Writes code within a line. Telegram lets it stand in nothing but a quote: other looks are broken off around
    /// it, but in a link the link wins, for its address would be lost.
    pub(super) fn put_code(&mut self, code: &str) {
        if code.is_empty() {
            return;
        }
        if self.on.iter().any(|on| matches!(on.look, Look::Link(_))) {
            self.put(code);
            return;
        }
        for index in 0..self.on.len() {
            if self.on[index].look != Look::Quote {
                let stretch = self.on[index].stretch.take();
                self.close(stretch);
            }
        }
        self.enter(Look::Code);
        // Of what is on, only a quote and the code itself may reach over this text.
        let outside = self
            .on
            .extract_if(.., |on| !matches!(on.look, Look::Quote | Look::Code));
        let outside: Vec<On> = outside.collect();
        self.put(code);
        self.leave();
        self.on.extend(outside);
    }

    /// Writes a code block: no margin, nothing within it, and nothing around it but a quote. Blocks of code stand
    /// between paragraphs, where no other look is on.
    pub(super) fn put_pre(&mut self, code: &str, language: Option<String>) {
        let margin = self.take_margin();
        self.space(1);
        self.enter(Look::Pre(language));
        self.put(code);
        self.leave();
        self.restore_margin(margin);
    }

    /// Takes the end of the text back if it is this.
    pub(super) fn take_back(&mut self, end: &str) {
        if self.text.ends_with(end) {
            self.text.truncate(self.text.len() - end.len());
        }
    }

    /// The draft. What is still open ends here.
    pub(super) fn finish(mut self) -> Draft {
        while !self.elements.is_empty() {
            self.leave();
        }
        let text = self.text;
        let mut stretches = self.stretches;
        stretches.retain_mut(|stretch| {
            let end = stretch.end.min(text.len());
            if stretch.start >= end {
                return false;
            }
            (stretch.start, stretch.end) = trimmed(&text, stretch.start, end, &stretch.look);
            stretch.start < stretch.end
        });
        Draft { text, stretches }
    }

    fn newline(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
            self.newlines += 1;
            self.begun = false;
        }
    }

    /// Writes the newlines that are due, and the margin at a line's start.
    fn settle(&mut self) {
        while self.newlines < self.gap && !self.text.is_empty() {
            self.newline();
        }
        self.gap = 0;
        if !self.begun {
            self.text.push_str(&self.margin);
            self.begun = true;
        }
    }

    fn close(&mut self, stretch: Option<usize>) {
        if let Some(index) = stretch {
            self.stretches[index].end = self.text.len();
        }
    }
}
