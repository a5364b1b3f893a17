//! What the agent thinks at the moment, for those who want to see it. It is nothing that it says: it goes as soon as
//! something is said or done, and is no part of any answer.

use serde::{Deserialize, Serialize};

/// Most bytes that are kept: the end.
const MOST: usize = 4096;

/// Between two blocks.
const GAP: &str = "\n\n";

/// Thinking since something was last said or done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Thoughts {
    text: String,
    /// Whether the block that comes was streamed.
    streamed: bool,
}

impl Thoughts {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.streamed
    }

    /// The end of it, where there is something to be seen.
    pub(super) fn shown(&self) -> Option<&str> {
        let text = self.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// Something is said or done; whether that changes what is shown. Like all below.
    pub(super) fn over(&mut self) -> bool {
        let shown = self.shown().is_some();
        *self = Self::default();
        shown
    }

    /// A block begins.
    pub(super) fn block(&mut self) {
        self.streamed = false;
        self.text.truncate(self.text.trim_end().len());
        if !self.text.is_empty() {
            self.text.push_str(GAP);
        }
    }

    /// More of a block.
    pub(super) fn delta(&mut self, more: &str) -> bool {
        self.streamed = true;
        self.add(more)
    }

    /// A whole block: repeats what was streamed, or comes in place of that.
    pub(super) fn whole(&mut self, text: &str) -> bool {
        if std::mem::take(&mut self.streamed) {
            return false;
        }
        self.block();
        self.add(text)
    }

    fn add(&mut self, more: &str) -> bool {
        self.text.push_str(more);
        if let Some(excess) = self.text.len().checked_sub(MOST) {
            self.text.drain(..self.text.ceil_char_boundary(excess));
        }
        !more.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_one_another_and_go() {
        let mut thoughts = Thoughts::default();
        assert_eq!(thoughts.shown(), None);
        thoughts.block();
        assert!(thoughts.delta("I "));
        assert!(thoughts.delta("think"));
        assert!(!thoughts.delta(""));
        assert!(!thoughts.whole("I think"), "it was streamed");
        assert_eq!(thoughts.shown(), Some("I think"));
        assert!(thoughts.whole("again"), "it was not");
        assert_eq!(thoughts.shown(), Some("I think\n\nagain"));
        assert!(thoughts.over());
        assert!(thoughts.is_empty() && !thoughts.over());
    }

    #[test]
    fn however_long_it_is_the_end_is_kept() {
        let mut thoughts = Thoughts::default();
        for _ in 0..3000 {
            thoughts.delta("😀b");
        }
        assert!(thoughts.text.len() <= MOST && thoughts.text.ends_with("😀b"));
        assert!(thoughts.text.len() > MOST - 4);
    }
}
