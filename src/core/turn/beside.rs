//! Prompts that the agent was given while it worked on another: taken into that one's answer, or answered afterwards.
//!
//! Such a prompt is a turn of its own from the beginning, with its own uuid, so that whatever becomes of the other one it is
//! known what became of this: the agent tells of each when it begins with it. As long as it has not, the prompt can go back
//! into the queue as if nothing had been.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Turn;
use crate::core::event::PromptState;

/// How a prompt was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// To an agent that waited for it.
    #[default]
    Alone,
    /// To one that works on another, which is not over.
    Beside,
    /// It was given beside another, which is over by now.
    After,
}

impl Way {
    pub(super) fn is_alone(&self) -> bool {
        *self == Self::Alone
    }
}

/// What was heard of such a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that changes anything.
    Nothing,
    /// The agent has taken it into what it works on.
    Taken,
    /// The agent does not have it any more, and never looked at it.
    Back,
}

impl Turn {
    /// A turn whose prompt is given to an agent that works on another.
    #[must_use]
    pub fn beside(uuid: Uuid) -> Self {
        Self {
            way: Way::Beside,
            ..Self::new(Some(uuid))
        }
    }

    /// Uuid of its prompt.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        self.uuid
    }

    /// Whether its prompt has this uuid.
    #[must_use]
    pub fn is_of(&self, uuid: Uuid) -> bool {
        self.uuid == Some(uuid)
    }

    /// Whether a turn that is stored so is beside another that is not over. Nothing else is read of it; what cannot be read
    /// is not.
    #[must_use]
    pub fn is_stored_beside(json: &str) -> bool {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Given {
            way: Way,
        }
        serde_json::from_str(json).is_ok_and(|given: Given| given.way == Way::Beside)
    }

    /// Whether it is beside another that is not over.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        self.way == Way::Beside
    }

    /// The other is over, and this was not taken into it: from now on all that the agent says is of this.
    pub fn goes_alone(&mut self) {
        if self.way == Way::Beside {
            self.way = Way::After;
        }
    }

    /// What the agent tells of its prompt while it is beside another.
    pub fn hears_beside(&mut self, state: PromptState) -> Heard {
        match state {
            PromptState::Queued => Heard::Nothing,
            PromptState::Started | PromptState::Completed if self.taken => Heard::Nothing,
            PromptState::Started | PromptState::Completed => {
                self.prompt = Some(state);
                self.taken = true;
                Heard::Taken
            }
            // It ends with the answer that it was taken into.
            PromptState::Cancelled if self.taken => Heard::Nothing,
            PromptState::Cancelled => Heard::Back,
        }
    }

    /// Whether the agent has taken it up, as far as it has told.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.taken || self.begun()
    }

    /// Whether it was given to an agent that worked, and goes back into the queue if that does not take it up.
    #[must_use]
    pub fn may_go_back(&self) -> bool {
        !self.way.is_alone() && !self.is_taken() && !self.interrupted
    }

    /// If it goes back, it waits for its person's word.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// Whether it does.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        event::{AgentEvent, TurnResult},
        trouble::{Category, Trouble},
        turn::{Effect, Ending},
    };

    const UUID: Uuid = Uuid::from_u128(7);

    fn prompt(state: PromptState) -> AgentEvent {
        AgentEvent::Prompt { uuid: UUID, state }
    }

    #[test]
    fn what_is_taken_does_not_come_back() {
        let mut turn = Turn::beside(UUID);
        assert_eq!(turn.hears_beside(PromptState::Queued), Heard::Nothing);
        assert!(turn.may_go_back() && !turn.is_taken());
        assert_eq!(
            turn.clone().hears_beside(PromptState::Cancelled),
            Heard::Back
        );
        assert_eq!(turn.hears_beside(PromptState::Started), Heard::Taken);
        assert_eq!(turn.hears_beside(PromptState::Completed), Heard::Nothing);
        assert_eq!(turn.hears_beside(PromptState::Cancelled), Heard::Nothing);
        assert!(turn.is_taken() && !turn.may_go_back());
    }

    #[test]
    fn one_that_goes_alone_is_a_turn_like_any_other() {
        let mut turn = Turn::beside(UUID);
        turn.goes_alone();
        assert!(!turn.is_beside() && turn.may_go_back());
        // The end of the one before.
        let others = TurnResult {
            subtype: "success".to_owned(),
            prompts: vec![Uuid::from_u128(1)],
            ..TurnResult::default()
        };
        for event in [AgentEvent::Result(others), AgentEvent::Idle] {
            turn.on(&event);
            assert!(!turn.finished() && turn.may_go_back(), "{event:?}");
        }
        turn.on(&prompt(PromptState::Started));
        assert!(!turn.may_go_back());
        let own = TurnResult {
            subtype: "success".to_owned(),
            text: Some("mine".to_owned()),
            prompts: vec![UUID],
            ..TurnResult::default()
        };
        let effects = turn.on(&AgentEvent::Result(own));
        assert!(
            matches!(effects.last(), Some(Effect::Finished(end)) if end.ending == Ending::Completed)
        );
        assert_eq!(turn.view().answer, "mine");
    }

    #[test]
    fn one_that_was_begun_and_broken_off_does_not_go_back() {
        let mut turn = Turn::beside(UUID);
        turn.goes_alone();
        turn.on(&prompt(PromptState::Started));
        turn.on(&prompt(PromptState::Cancelled));
        assert!(!turn.may_go_back());
        let mut stopped = Turn::beside(UUID);
        stopped.goes_alone();
        stopped.interrupt();
        assert!(!stopped.may_go_back());
        let end = stopped.process_gone(Trouble::new(Category::Agent)).unwrap();
        assert_eq!(end.ending, Ending::Interrupted);
    }

    #[test]
    fn how_it_was_given_is_stored_and_absent_where_it_was_given_alone() {
        let alone = serde_json::to_string(&Turn::new(Some(UUID))).unwrap();
        for name in ["way", "taken", "kept"] {
            assert!(!alone.contains(&format!("\"{name}\"")), "{alone}");
        }
        let mut turn = Turn::beside(UUID);
        turn.keep();
        turn.hears_beside(PromptState::Started);
        let stored = serde_json::to_string(&turn).unwrap();
        let read: Turn = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, turn);
        assert!(read.is_beside() && read.is_kept() && read.is_taken());
        assert!(Turn::is_stored_beside(&stored));
        turn.goes_alone();
        let after = serde_json::to_string(&turn).unwrap();
        for other in [&alone[..], &after, "{}", "", "{\"way\":7}"] {
            assert!(!Turn::is_stored_beside(other), "{other}");
        }
    }
}
