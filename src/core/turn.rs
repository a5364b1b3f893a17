//! One turn, as seen from what the agent says: a state machine without I/O.
//!
//! It is stored as JSON beside the offset in `output.jsonl` up to which it has read, in one
//! transaction, so that a restarted daemon goes on in the middle of an answer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    event::{AgentEvent, Question},
    trouble::Trouble,
};

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an answer.
    Completed,
    /// By the person's will; the answer so far stays.
    Interrupted,
    /// With a trouble; the answer so far stays.
    Failed(Trouble),
}

/// Facts about an ended turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub ending: Ending,
    /// Session's running total in US dollars, where the agent told it.
    pub total_cost_usd: Option<f64>,
    /// Duration in milliseconds by the agent's clock, where it told it.
    pub duration_ms: Option<u64>,
    /// Session id from here on, where the agent told it.
    pub session_id: Option<Uuid>,
}

/// What the daemon is to do after an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The view changed.
    Show,
    /// Ask the person.
    Ask(Question),
    /// Withdraw a question.
    Withdraw {
        /// Which.
        request_id: String,
    },
    /// The turn is over. Comes once, and nothing but [`AgentEvent::Idle`]-like noise after it changes anything.
    Finished(Outcome),
}

/// What to show of a turn now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The answer so far, Markdown. Empty before the first word.
    pub answer: String,
    /// What the agent does at the moment, one short plain line ("Reading src/main.rs · 3 tools"); none when it is over.
    pub status: Option<String>,
}

/// State of one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    uuid: Option<Uuid>,
    // the rest is the implementation's
}

impl Turn {
    /// A turn whose prompt has this uuid; `None` for a turn that nobody asked for (background work reports).
    #[must_use]
    pub fn new(_uuid: Option<Uuid>) -> Self {
        todo!()
    }

    /// Takes one event, in the order of the agent's output. Never panics, whatever comes.
    pub fn on(&mut self, _event: &AgentEvent) -> Vec<Effect> {
        todo!()
    }

    /// The person asked for an end: a result with an `aborted_*` reason, or the end of the process, is then [`Ending::Interrupted`].
    pub fn interrupt(&mut self) {
        todo!()
    }

    /// The process is gone and its output is read to the end. `Some` if the turn was still open:
    /// then it is over, with [`Ending::Interrupted`] if that was asked for, else [`Ending::Failed`] with the given trouble.
    pub fn process_gone(&mut self, _why: Trouble) -> Option<Outcome> {
        todo!()
    }

    /// What to show now.
    #[must_use]
    pub fn view(&self) -> View {
        todo!()
    }

    /// Number of tool calls that the agent began (subagents' included): above 0 the turn may have had effects.
    #[must_use]
    pub fn tools_begun(&self) -> u32 {
        todo!()
    }

    /// Whether the agent was seen to have taken the prompt up (lifecycle `started`, init, or any output of the turn).
    #[must_use]
    pub fn begun(&self) -> bool {
        todo!()
    }

    /// Whether it is over.
    #[must_use]
    pub fn finished(&self) -> bool {
        todo!()
    }
}
