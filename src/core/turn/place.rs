//! Where the agent works, as far as its own words tell.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bounded;
use crate::core::event::Place;

/// Longest directory that is kept, in bytes. Linux knows none that is longer.
const LONGEST: usize = 4096;

/// Commands under way that are remembered.
const MOST: usize = 16;

/// What is known of the agent's directory. It tells it when a turn begins; a command may change it after that, and what
/// it then is the agent tells with the next turn alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Whereabouts {
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    /// Whether a command that may have changed it has run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    moved: bool,
    /// Commands that may change it and have not come back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moving: Vec<String>,
}

impl Whereabouts {
    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// A turn begins.
    pub(super) fn begin(&mut self, directory: Option<&str>) {
        if let Some(directory) = directory.filter(|d| !d.is_empty() && d.len() <= LONGEST) {
            *self = Self {
                directory: Some(directory.to_owned()),
                ..Self::default()
            };
        }
    }

    /// A tool is called.
    pub(super) fn tool(&mut self, id: &str, input: &Value) {
        let command = input.get("command").and_then(Value::as_str);
        if command.is_some_and(changes_directory) {
            if self.moving.len() == MOST {
                self.moved = true;
                self.moving.clear();
            }
            self.moving.push(bounded(id).to_owned());
        }
    }

    /// A tool came back.
    pub(super) fn tool_over(&mut self, id: &str) {
        let id = bounded(id);
        let before = self.moving.len();
        self.moving.retain(|moving| moving != id);
        self.moved |= self.moving.len() < before;
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.directory.as_ref().map(|directory| Place {
            directory: directory.clone(),
            moved: self.moved,
        })
    }
}

/// Whether one of its words is a command that changes the directory, wherever it stands: rather once too often.
fn changes_directory(command: &str) -> bool {
    command
        .split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
        .any(|word| matches!(word, "cd" | "pushd" | "popd"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moved(whereabouts: &Whereabouts) -> Option<bool> {
        whereabouts.place().map(|place| place.moved)
    }

    #[test]
    fn a_command_that_came_back_may_have_changed_the_directory() {
        let mut at = Whereabouts::default();
        assert_eq!(at.place(), None);
        at.begin(Some("/srv/project"));
        at.tool("t1", &json!({"command": "ls abcd; cat cd.txt.cdr"}));
        at.tool_over("t1");
        // `cd.txt` is taken for one: rather once too often.
        assert_eq!(moved(&at), Some(true));
        at.begin(Some("/srv/project"));
        at.tool("t2", &json!({"command": "ls abcd"}));
        at.tool_over("t2");
        assert_eq!(moved(&at), Some(false));
        at.tool("t3", &json!({"command": "make && cd build"}));
        // The one that is asked about stands there for everybody to see.
        assert_eq!(moved(&at), Some(false));
        at.tool_over("t3");
        assert_eq!(moved(&at), Some(true));
        at.begin(None);
        assert_eq!(moved(&at), Some(true));
        at.begin(Some("/srv/project/build"));
        assert_eq!(at.place().unwrap().directory, "/srv/project/build");
        assert_eq!(moved(&at), Some(false));
    }

    #[test]
    fn nonsense_does_not_make_it_grow() {
        let mut at = Whereabouts::default();
        at.begin(Some(&"x".repeat(LONGEST + 1)));
        assert_eq!(at, Whereabouts::default());
        for n in 0..1000 {
            at.tool(&format!("{n}"), &json!({"command": "cd"}));
        }
        assert!(at.moving.len() <= MOST && at.moved);
    }
}
