//! The line that is being written.

/// A line with a cursor, and the lines before it.
#[derive(Clone, Debug, Default)]
pub struct Input {
    text: String,
    /// Byte offset, always between two characters.
    cursor: usize,
    earlier: Vec<String>,
    /// Which of the earlier lines is shown, counted from the newest; 0: none.
    back: usize,
}

impl Input {
    /// What is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Writes at the cursor. Control characters other than line ends are left out.
    pub fn insert(&mut self, text: &str) {
        let text: String = text
            .replace("\r\n", "\n")
            .replace(['\r', '\n'], "\n")
            .replace('\t', "    ")
            .chars()
            .filter(|c| *c == '\n' || !c.is_control())
            .collect();
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    /// Deletes the character before the cursor.
    pub fn backspace(&mut self) {
        if let Some(c) = self.before().chars().next_back() {
            self.cursor -= c.len_utf8();
            self.text.remove(self.cursor);
        }
    }

    /// Deletes the character at the cursor.
    pub fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    /// Deletes the word before the cursor.
    pub fn delete_word(&mut self) {
        let kept = self.before().trim_end();
        let kept = kept
            .char_indices()
            .rfind(|(_, c)| c.is_whitespace())
            .map_or(0, |(at, c)| at + c.len_utf8());
        self.text.replace_range(kept..self.cursor, "");
        self.cursor = kept;
    }

    /// Deletes everything.
    pub fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
        self.back = 0;
    }

    /// One character to the left.
    pub fn left(&mut self) {
        self.cursor -= self.before().chars().next_back().map_or(0, char::len_utf8);
    }

    /// One character to the right.
    pub fn right(&mut self) {
        self.cursor += self.text[self.cursor..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
    }

    /// To the beginning.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// To an earlier line (1) or a later one (-1).
    pub fn recall(&mut self, step: isize) {
        let back = self
            .back
            .saturating_add_signed(step)
            .min(self.earlier.len());
        if back == self.back {
            return;
        }
        self.back = back;
        self.text = match self.earlier.len().checked_sub(back) {
            Some(at) if back > 0 => self.earlier[at].clone(),
            _ => String::new(),
        };
        self.end();
    }

    /// Takes the line away to be sent. `None` where it is blank.
    pub fn take(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.text);
        self.clear();
        if text.trim().is_empty() {
            return None;
        }
        if self.earlier.last() != Some(&text) {
            self.earlier.push(text.clone());
        }
        Some(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn editing() {
        let mut input = Input::default();
        input.insert("grüße an\x1b alle");
        input.delete_word();
        assert_eq!(input.text(), "grüße an ");
        input.home();
        input.right();
        input.right();
        input.right();
        input.backspace();
        input.delete();
        assert_eq!((input.text(), input.before()), ("gre an ", "gr"));
        assert_eq!(input.take().as_deref(), Some("gre an"));
        assert_eq!(input.take(), None);
        input.insert("two");
        input.take();
        input.recall(1);
        input.recall(1);
        input.recall(1);
        assert_eq!(input.text(), "gre an ");
        input.recall(-1);
        assert_eq!(input.text(), "two");
        input.recall(-1);
        assert_eq!(input.text(), "");
    }

    #[test]
    fn pasted_lines_stay_lines() {
        let mut input = Input::default();
        input.insert("a\r\nb\rc\td");
        assert_eq!(input.text(), "a\nb\nc    d");
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_between_characters(steps in prop::collection::vec((0_u8..9, "[aé😀 ]{0,3}"), 0..40)) {
            let mut input = Input::default();
            for (step, text) in steps {
                match step {
                    0 => input.insert(&text),
                    1 => input.backspace(),
                    2 => input.delete(),
                    3 => input.delete_word(),
                    4 => input.left(),
                    5 => input.right(),
                    6 => input.home(),
                    7 => input.recall(1),
                    _ => { input.take(); }
                }
                prop_assert!(input.text().is_char_boundary(input.before().len()));
            }
        }
    }
}
