//! What an agent says, in neutral terms: the codec's output and the turn's input.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::mode::PermissionMode;

/// Life of a prompt inside the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PromptState {
    /// Read, waiting for its turn.
    Queued,
    /// Being worked on.
    Started,
    /// Done.
    Completed,
    /// Dropped.
    Cancelled,
}

/// What a content block is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Block {
    /// Words for the person.
    Text,
    /// Thinking.
    Thinking,
    /// Call of a tool.
    Tool {
        /// Id of the call.
        id: String,
        /// Name of the tool.
        name: String,
    },
    /// A kind that this version does not know.
    Other,
}

/// A question of the agent whether it may use a tool.
///
/// Those that an older version stored must load for ever: a field that is added has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Id by which it is answered.
    pub request_id: String,
    /// Tool that it is about.
    pub tool: String,
    /// What the tool would be given.
    pub input: Value,
    /// One line about it, by the agent.
    pub description: Option<String>,
    /// Id of the call.
    pub tool_use_id: Option<String>,
    /// Rules that the agent proposes to remember (`updatedPermissions`), as it sent them.
    pub suggestions: Vec<Value>,
    /// Why it asks, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it asks because it takes this for dangerous whatever is allowed to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dangerous: bool,
    /// What it would reach that is not open to it: where a link leads, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_path: Option<String>,
    /// The rule of the configuration that wants it to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where it works, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Where an agent works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its directory when the turn began.
    pub directory: String,
    /// Whether a command has run since that may have changed it.
    pub moved: bool,
}

/// How a turn ended, as the agent tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnResult {
    /// `success`, `error_during_execution`, `error_max_turns`, …
    pub subtype: String,
    /// Whether it failed. True also for API errors that come as `success`.
    pub is_error: bool,
    /// `completed`, `api_error`, `aborted_streaming`, `aborted_tools`, `max_turns`, …; the field to decide on.
    pub terminal_reason: Option<String>,
    /// Final text, or the text of an API error.
    pub text: Option<String>,
    /// Internal diagnostics, not for people.
    pub errors: Vec<String>,
    /// Why the agent refused to start, e.g. `config_file_invalid`.
    pub startup_failure_reason: Option<String>,
    /// HTTP status of an API error.
    pub api_error_status: Option<u16>,
    /// Running total of the session in US dollars, not of the turn.
    pub total_cost_usd: Option<f64>,
    /// Duration in milliseconds.
    pub duration_ms: Option<u64>,
    /// Prompts that the turn consumed.
    pub prompts: Vec<Uuid>,
    /// Session that it belongs to.
    pub session_id: Option<Uuid>,
    /// Calls of tools that were denied, by whomever.
    #[serde(default)]
    pub denials: Vec<Denial>,
}

/// A call of a tool that was denied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Denial {
    /// Tool.
    pub tool: String,
    /// What it would have been given.
    pub input: Value,
}

/// One thing that the agent said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgentEvent {
    /// Start of each turn.
    Init {
        /// Session.
        session_id: Option<Uuid>,
        /// Model.
        model: Option<String>,
        /// Version of the agent.
        version: Option<String>,
        /// Directory that it works in.
        directory: Option<String>,
    },
    /// Life of a prompt.
    Prompt {
        /// Its uuid.
        uuid: Uuid,
        /// State.
        state: PromptState,
    },
    /// It works, until it says that it is idle.
    Busy,
    /// Nothing of a turn comes after this until the next prompt.
    Idle,
    /// A message of the model begins.
    MessageStart {
        /// Its id.
        message_id: String,
    },
    /// A block of it begins.
    BlockStart {
        /// Index in the message.
        index: u32,
        /// What it is.
        block: Block,
    },
    /// More of a text block.
    TextDelta {
        /// Index in the message.
        index: u32,
        /// The addition.
        text: String,
    },
    /// More of a block of thinking. Nothing that is said: whoever takes events decides who may see it.
    ThoughtDelta {
        /// The addition.
        text: String,
    },
    /// A whole block of thinking; repeats what was streamed.
    Thought {
        /// Text.
        text: String,
    },
    /// The stream of this message broke: what was shown of it from this block on is void.
    Abandoned {
        /// Message.
        message_id: String,
        /// First void block.
        from_index: u32,
    },
    /// A whole block of text of a message; repeats what was streamed, or replaces it where nothing was.
    Text {
        /// Message.
        message_id: String,
        /// Text.
        text: String,
    },
    /// A whole tool call of a message.
    Tool {
        /// Message.
        message_id: String,
        /// Id of the call.
        id: String,
        /// Name of the tool.
        name: String,
        /// What it is given.
        input: Value,
    },
    /// A message of the assistant that is an error, e.g. `authentication_failed`.
    AssistantError {
        /// The agent's own name of the class.
        class: String,
        /// Its text.
        text: String,
        /// When a limit is lifted, seconds since the Unix epoch.
        resets_at: Option<i64>,
    },
    /// A tool came back.
    ToolResult {
        /// Id of the call.
        id: String,
        /// Whether it failed.
        is_error: bool,
    },
    /// The model's service is tried again.
    Retry {
        /// Which try.
        attempt: u32,
        /// Of how many.
        max: u32,
        /// Wait before it, in milliseconds.
        delay_ms: u64,
        /// HTTP status, absent for a broken connection.
        status: Option<u16>,
        /// The agent's own name of the class.
        error: String,
    },
    /// May a tool be used?
    Asked(Question),
    /// A question is withdrawn.
    Withdrawn {
        /// Which.
        request_id: String,
    },
    /// Answer to a control request of ours.
    Reply {
        /// Which.
        request_id: String,
        /// Error text, where it failed.
        error: Option<String>,
        /// Its name in the agent's own terms.
        code: Option<String>,
    },
    /// The permission mode is this one from here on.
    Mode(PermissionMode),
    /// The agent compacts its history: it is silent for a while.
    Compacting,
    /// The session has another id from here on.
    SessionReset {
        /// The new one.
        session_id: Option<Uuid>,
    },
    /// End of a turn.
    Result(TurnResult),
    /// A line of a kind that asks nothing of us.
    Ignored,
    /// A line that could not be read; the reason, without its text.
    Malformed(String),
}
