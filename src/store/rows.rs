//! Rows, as the rest of the house sees them. Those of the outbox are in `rows/outbox.rs`.

mod outbox;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::core::{
    Millis,
    batching::Held,
    event::Question,
    ids::{ConversationId, ConversationKey, InboxId, RunId, TurnId},
    mark::Mark,
    pairing::Request,
};

pub use outbox::{DueRow, OutCounts, OutRow, OutState, OutboxId, Slot, Target, Urgency, Wanted};

/// An update as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUpdate {
    /// Telegram's id, whatever its size.
    pub update_id: i64,
    /// The JSON of the update, to the letter.
    pub raw: String,
}

/// An update that waits to be acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// Row id.
    pub id: InboxId,
    /// Bot that got it.
    pub bot_id: i64,
    /// Telegram's id.
    pub update_id: i64,
    /// The JSON of the update, to the letter.
    pub raw: String,
    /// When it was committed here.
    pub received_at: Millis,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is (part of) a prompt.
    Prompt,
    /// It was a command or a press.
    Command,
    /// Its author may not.
    Refused,
    /// It asks nothing of us.
    Ignored,
    /// It could not be read; it is kept.
    Unreadable,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Row id.
    pub id: ConversationId,
    /// What it is keyed by.
    pub key: ConversationKey,
    /// When it began.
    pub created_at: Millis,
}

/// A session of the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Id, as the agent knows it.
    pub session_id: Uuid,
    /// Conversation that it belongs to.
    pub conversation: ConversationId,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last used.
    pub last_used: Millis,
    /// Free facts.
    pub metadata: SessionMetadata,
}

/// Free facts of a session; stored as JSON, unknown fields are kept out, absent ones default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionMetadata {
    /// Whether the agent has ever taken a prompt in it, so that it must be resumed and not created.
    pub begun: bool,
    /// Running total in US dollars.
    pub total_cost_usd: f64,
    /// Model, as the agent told it.
    pub model: Option<String>,
}

/// State of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TurnState {
    /// Its batching window is open: parts may be added.
    Collecting,
    /// It came late (see `stale_after`) and waits for the person's word.
    Held,
    /// It waits for the agent.
    Queued,
    /// Its prompt is in the input of a run.
    Submitted,
    /// Its process was lost after tool use began: the person is asked whether to continue.
    Asked,
    /// Over, with an answer.
    Completed,
    /// Over, with a trouble.
    Failed,
    /// Over, by the person's will.
    Interrupted,
    /// Never run, by the person's will.
    Discarded,
}

impl TurnState {
    /// Whether nothing more is to come.
    #[must_use]
    pub fn over(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Interrupted | Self::Discarded
        )
    }
}

/// A turn.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnRow {
    /// Row id; turns of a conversation came in this order.
    pub id: TurnId,
    /// Conversation.
    pub conversation: ConversationId,
    /// Uuid of its prompt in the agent's input; fresh for each run of it. `None`: nobody asked for it.
    pub uuid: Option<Uuid>,
    /// State.
    pub state: TurnState,
    /// Parts of the prompt, in order.
    pub parts: Vec<TurnPart>,
    /// Run that has it, where one has or had.
    pub run: Option<RunId>,
    /// State machine as JSON, where it was submitted.
    pub machine: Option<String>,
    /// How often it went back into the queue because its process was lost.
    pub attempts: i64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was given to the agent.
    pub submitted_at: Option<Millis>,
    /// When it was over.
    pub ended_at: Option<Millis>,
    /// Cost of this turn in US dollars, where known.
    pub cost_usd: Option<f64>,
    /// Duration in milliseconds, where known.
    pub duration_ms: Option<u64>,
    /// Place in the queue: turns of a conversation run by it, those of one place in the order in which they came.
    pub place: i64,
}

impl TurnRow {
    /// The message that it began with; none for one that came from the server itself.
    #[must_use]
    pub fn message(&self) -> Option<i64> {
        let first = self.parts.first().map(|part| part.message_id);
        first.filter(|id| *id != TurnPart::NO_MESSAGE)
    }
}

/// Part of a prompt: one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnPart {
    /// Update that brought it.
    pub inbox: InboxId,
    /// Message id in its chat.
    pub message_id: i64,
    /// Text.
    pub text: String,
    /// When it was received.
    pub received_at: Millis,
    /// What stands beside it.
    pub mark: Mark,
}

impl TurnPart {
    /// As the rule of the window looks at it.
    #[must_use]
    pub fn held(&self) -> Held<'_> {
        Held::of(self.received_at, &self.text, &self.mark)
    }

    /// In the place of a message's id where no message brought it: Telegram counts from 1.
    pub const NO_MESSAGE: i64 = 0;
    /// In the place of the update where none brought it: rows are counted from 1.
    pub const NO_UPDATE: InboxId = InboxId(0);
}

/// A part of a prompt, found by its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartOf {
    /// Turn.
    pub turn: TurnId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// State of the turn.
    pub state: TurnState,
    /// Update that brought the part.
    pub inbox: InboxId,
    /// Its text.
    pub text: String,
}

/// What is known of the turn that is being collected without reading it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// Turn.
    pub turn: TurnId,
    /// Its parts, each a message.
    pub parts: usize,
    /// How many messages people would count: an album is one.
    pub messages: usize,
    /// Bytes of their texts.
    pub bytes: u64,
    /// The message that it began with.
    pub first: Option<i64>,
    /// Its newest part.
    pub last: TurnPart,
}

/// A turn that waits for the agent or is with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InLine {
    /// Turn.
    pub turn: TurnId,
    /// State.
    pub state: TurnState,
    /// How often it went back into the queue because its process was lost.
    pub attempts: i64,
    /// Place in the queue of its conversation.
    pub place: i64,
    /// Conversation.
    pub conversation: ConversationId,
    /// Whose that is, and where.
    pub key: ConversationKey,
}

/// A turn to be made.
#[derive(Clone, Debug)]
pub struct NewTurn {
    /// Conversation.
    pub conversation: ConversationId,
    /// Uuid of the prompt.
    pub uuid: Option<Uuid>,
    /// First state.
    pub state: TurnState,
    /// Parts; empty for a turn that nobody asked for.
    pub parts: Vec<TurnPart>,
    /// Run, for a turn that nobody asked for.
    pub run: Option<RunId>,
}

/// End of a turn.
#[derive(Clone, Debug)]
pub struct TurnEnd {
    /// Last state; [`TurnState::over`] holds.
    pub state: TurnState,
    /// State machine as JSON.
    pub machine: Option<String>,
    /// Cost in US dollars.
    pub cost_usd: Option<f64>,
    /// Duration in milliseconds.
    pub duration_ms: Option<u64>,
}

/// Status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Directory made or being made, hand-off not yet seen.
    Starting,
    /// Supervisor seen.
    Running,
    /// Ended by itself or by our order.
    Completed,
    /// Ended by a signal.
    Killed,
    /// Ended with an error, or never started.
    Failed,
    /// Gone without a record (power loss, supervisor killed).
    Lost,
}

impl RunStatus {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Killed => "killed",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// A run: one agent process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// Id.
    pub id: RunId,
    /// Conversation that it serves.
    pub conversation: ConversationId,
    /// Session that it holds.
    pub session_id: Uuid,
    /// Telegram user id of the person for whom it was started.
    pub who: i64,
    /// Command line, for people (no secret is ever in it).
    pub command: String,
    /// Status.
    pub status: RunStatus,
    /// Offset in `output.jsonl` up to which its lines were taken.
    pub offset: u64,
    /// When it was made.
    pub started_at: Millis,
    /// When it was over.
    pub ended_at: Option<Millis>,
    /// How it ended, as JSON of `Exit`.
    pub exit: Option<String>,
}

/// A question that waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionRow {
    /// Row id; stands in the buttons.
    pub id: i64,
    /// Turn.
    pub turn: TurnId,
    /// Run whose agent asks.
    pub run: RunId,
    /// The question.
    pub question: Question,
    /// When it was asked.
    pub asked_at: Millis,
    /// Answer as JSON of `Answer`, or `"withdrawn"`; `None` while open.
    pub answer: Option<String>,
    /// What was answered so far, as JSON of `Progress`; `None` before anything was.
    pub progress: Option<String>,
}

/// One act, for the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Millis,
    /// Who: `telegram:1001`, `uid:0`, `signal`, …
    pub who: String,
    /// What: `interrupt`, `clear`, `approve`, …
    pub action: String,
    /// On what.
    pub target: String,
    /// Result: `ok`, `refused`, or an error.
    pub result: String,
}

/// The same with its number in the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Row id; later acts have greater ones.
    pub id: i64,
    /// The act.
    pub entry: AuditEntry,
}

/// A conversation with what hangs on it, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationRow {
    /// Row id.
    pub id: ConversationId,
    /// What it is keyed by.
    pub key: ConversationKey,
    /// When it began.
    pub created_at: Millis,
    /// Name of its person, as last seen.
    pub name: Option<String>,
    /// Session that the next prompt goes to.
    pub session: Option<Uuid>,
    /// When that was last used.
    pub last_used: Option<Millis>,
}

/// A person, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// Telegram user id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// When they were first let in.
    pub first_seen: Millis,
    /// When they were last let in.
    pub last_seen: Millis,
}

/// A question that waits for an answer, without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingQuestion {
    /// Row id.
    pub id: i64,
    /// Conversation.
    pub conversation: ConversationId,
    /// Turn.
    pub turn: TurnId,
    /// Run whose agent asks.
    pub run: RunId,
    /// Tool that the agent wants to use.
    pub tool: String,
    /// When it was asked.
    pub asked_at: Millis,
}

/// Somebody who asks, or asked lately, to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingRow {
    /// Telegram user id.
    pub person: i64,
    /// Name that the chat showed, on one line.
    pub name: String,
    /// When the code was given.
    pub asked_at: Millis,
    /// How it stands.
    pub request: Request,
    /// Outbox rows by which administrators were told of the code.
    pub notices: Vec<OutboxId>,
    /// When it may be forgotten.
    pub kept_until: Millis,
}

/// Somebody who was let in beside the lists of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairedRow {
    /// Telegram user id.
    pub person: i64,
    /// When.
    pub accepted_at: Millis,
    /// By whom, as in the audit.
    pub accepted_by: String,
}

/// State of a file that somebody sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachmentState {
    /// It is to be fetched.
    Wanted,
    /// It is in the inbox of its conversation.
    Here,
    /// It could not be had, or is not taken; the row says why.
    Refused,
    /// It was there and was deleted for its age or for room.
    Gone,
}

/// A file that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Row id.
    pub id: i64,
    /// Turn that it belongs to.
    pub turn: TurnId,
    /// Update that brought it.
    pub inbox: InboxId,
    /// `photo`, `document`, … as Telegram names it.
    pub kind: String,
    /// Telegram's id of it.
    pub file_id: String,
    /// Name in the inbox directory: safe, unique in it.
    pub name: String,
    /// Media type as the sender's app gave it.
    pub mime: Option<String>,
    /// Size in bytes: as announced, then as it is.
    pub size: Option<u64>,
    /// State.
    pub state: AttachmentState,
    /// Why it is not there, a clause for the agent; or, while it is wanted, what it waits for.
    pub trouble: Option<String>,
    /// What is said in it.
    pub transcript: Option<String>,
    /// Tries so far.
    pub attempts: i64,
}

/// A file that is to be fetched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentJob {
    /// The file.
    pub row: AttachmentRow,
    /// Its conversation.
    pub conversation: Conversation,
}

/// A file that is about to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAttachment {
    /// As Telegram names the field.
    pub kind: String,
    /// Telegram's id of it.
    pub file_id: String,
    /// Safe name, unique in its conversation.
    pub name: String,
    /// Media type as the sender's app gave it.
    pub mime: Option<String>,
    /// Announced size in bytes.
    pub size: Option<u64>,
    /// Why it is not even fetched, a clause for the agent.
    pub refused: Option<String>,
}
