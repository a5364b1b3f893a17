//! What is counted.

use std::fmt;

use telexd_botapi::{ShownMessage, View};

use super::{LATER, OTHER, prompt};
use crate::support::{ADMIN, MARK, USER, World};

/// What came of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub prompts_lost: usize,
    pub prompts_doubled: usize,
    pub answers_lost: usize,
    pub answers_doubled: usize,
    pub out_of_order: usize,
    pub marked: usize,
    pub sessions_shared: usize,
    pub processes_left: usize,
    /// Messages that still look as if something were to come.
    pub unfinished: usize,
    /// Messages that were on their way when they were not wanted any more: nobody knows which they are.
    pub withdrawn: usize,
}

/// What may not be, then what may: `0 0 0 0 0 +2` with two messages that are marked.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {}",
            self.prompts_lost,
            self.prompts_doubled,
            self.answers_lost,
            self.answers_doubled,
            self.processes_left
        )?;
        if self.marked > 0 {
            write!(f, " +{}", self.marked)?;
        }
        Ok(())
    }
}

/// Questions that can be answered: message, and what its first button says.
pub fn questions(view: &View) -> Vec<(i64, String)> {
    view.bot_messages(USER)
        .into_iter()
        .filter(|m| m.text.contains("May the agent use"))
        .filter_map(|m| Some((m.message_id, m.buttons.first()?.first()?.data.clone()?)))
        .collect()
}

/// Whether a message says that it may be a repeat: a full one has no room for that in its text, and has a button for it.
fn marked(message: &ShownMessage) -> bool {
    let mut buttons = message.buttons.iter().flatten();
    message.text.contains(MARK) || buttons.any(|button| button.text == MARK)
}

/// Whether a message is no longer under way.
fn finished(message: &ShownMessage) -> bool {
    let mut buttons = message.buttons.iter().flatten();
    buttons.all(|button| button.text == MARK)
}

/// How often the word of the long answer is shown in messages that are finished.
fn words(messages: &[ShownMessage], repeats: bool) -> usize {
    messages
        .iter()
        .filter(|m| finished(m) && (repeats || !marked(m)))
        .map(|m| {
            m.text
                .split_whitespace()
                .filter(|w| *w == "allowed")
                .count()
        })
        .sum()
}

/// The messages with this answer of one word.
fn short(messages: &[ShownMessage], word: &str) -> Vec<ShownMessage> {
    messages
        .iter()
        .filter(|m| finished(m))
        .filter(|m| m.text.replace(MARK, "").trim() == word)
        .cloned()
        .collect()
}

fn word(prompt: &str) -> &str {
    prompt.strip_prefix("say ").unwrap()
}

/// Whether every prompt has its answer.
pub fn all_answered(view: &View, count: usize) -> bool {
    let mine = view.bot_messages(USER);
    words(&mine, true) >= count
        && !short(&mine, word(LATER)).is_empty()
        && !short(&view.bot_messages(ADMIN), word(OTHER)).is_empty()
}

impl Tally {
    /// Counts in a world that is at rest. `count`: how often the word stands in the long answer.
    pub fn count(world: &World, count: usize) -> Self {
        let (mine, other) = world
            .api
            .view(|v| (v.bot_messages(USER), v.bot_messages(ADMIN)));
        let mut tally = Self::default();
        for prompt in [&*prompt(), LATER, OTHER] {
            let reached = usize::try_from(world.reached(prompt)).unwrap();
            tally.prompts_lost += usize::from(reached == 0);
            tally.prompts_doubled += reached.saturating_sub(1);
        }
        tally.answers_lost += usize::from(words(&mine, true) < count);
        tally.answers_doubled += usize::from(words(&mine, false) > count);
        for (messages, prompt) in [(&mine, LATER), (&other, OTHER)] {
            let shown = short(messages, word(prompt));
            let plain = shown.iter().filter(|m| !marked(m)).count();
            tally.answers_lost += usize::from(shown.is_empty());
            tally.answers_doubled += plain.saturating_sub(1);
        }
        // Only beginnings stand in the order of the prompts: what does not fit into one message goes on below what came
        // meanwhile. And what may be a repeat may come late.
        let long = mine.iter().find(|m| m.text.contains("piece-"));
        let later = short(&mine, word(LATER));
        if let (Some(long), [later]) = (long, later.as_slice())
            && !marked(long)
            && !marked(later)
        {
            tally.out_of_order += usize::from(long.message_id > later.message_id);
        }
        for message in mine.iter().chain(&other) {
            tally.marked += usize::from(marked(message));
            tally.unfinished += usize::from(!finished(message) || message.text == "…");
        }
        let withdrawn = "SELECT count(*) FROM outbox WHERE kind = 'gone' AND ambiguous > 0 AND message_id IS NULL";
        tally.withdrawn = usize::try_from(world.query(withdrawn).unwrap()).unwrap();
        tally.sessions_shared = world.evidence().violations();
        tally.processes_left = world.processes().len();
        tally
    }

    /// Everything that the design does not name as ambiguous is zero.
    pub fn clean(&self) -> bool {
        let zero = [
            self.prompts_lost,
            self.prompts_doubled,
            self.answers_lost,
            self.answers_doubled,
            self.out_of_order,
            self.sessions_shared,
            self.processes_left,
        ];
        zero.iter().all(|n| *n == 0) && self.unfinished <= self.marked + self.withdrawn
    }
}
