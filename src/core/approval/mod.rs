//! Questions of agents: what they ask, how they are shown to whoever decides, and what an answer to them is.
//!
//! | file | what it does |
//! |---|---|
//! | `detail.rs` | what a tool would do, for people |
//! | `diff.rs` | a change of a text, for people |
//! | `session.rs` | what an agent proposes to allow for its session |
//! | `choice.rs` | questions that want a choice or words, and answers to them |
//! | `progress.rs` | what a person has answered so far |
//! | `rules/` | rules of the configuration: allowed, asked, denied |
//! | `step.rs` | what a press, a command or a message makes of a question |

pub mod choice;
pub mod detail;
mod diff;
pub mod progress;
pub mod rules;
pub mod session;
pub mod step;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::choice::Choice;
use super::event::Question;

/// Name of the tool by which an agent asks a person to choose.
pub const CHOICE: &str = "AskUserQuestion";
/// Name of the tool by which an agent shows its plan.
pub const PLAN: &str = "ExitPlanMode";

/// What kind of an answer a question wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whether a tool may be used.
    Use,
    /// What a person chooses, or says.
    Choice(Choice),
    /// Whether a plan is to be carried out: the plan, in Markdown, where the agent has written one down.
    Plan(Option<String>),
}

impl Kind {
    /// Kind of this question. What asks for a choice and cannot be understood is asked like any other tool.
    #[must_use]
    pub fn of(question: &Question) -> Self {
        match question.tool.as_str() {
            CHOICE => Choice::read(&question.input).map_or(Self::Use, Self::Choice),
            PLAN => {
                let plan = question.input.get("plan").and_then(Value::as_str);
                let plan = plan.filter(|plan| !plan.trim().is_empty());
                Self::Plan(plan.map(str::to_owned))
            }
            _ => Self::Use,
        }
    }
}

/// Answer to a question, as the agent is told it.
///
/// Those that an older version stored must load for ever: a field that is added has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes; with another input where given; remembered for the session where asked for.
    Allow {
        /// Replacement of the tool's input.
        input: Option<Value>,
        /// Whether to remember what the agent proposed for the session: [`session::offer`].
        remember: bool,
        /// Whether files may be changed without a question from here on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        edits: bool,
    },
    /// No, and what the agent is told.
    Deny {
        /// Reason for the agent.
        message: String,
        /// The rule of the configuration that says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
}

impl Answer {
    /// Yes, this time.
    pub const YES: Self = Self::Allow {
        input: None,
        remember: false,
        edits: false,
    };
}
