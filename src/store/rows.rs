//! Rows, as the rest of the house sees them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::core::{
    Millis,
    batching::Held,
    event::Question,
    ids::{ConversationId, ConversationKey, InboxId, RunId, TurnId},
    limits::Limit,
    mark::Mark,
    pairing::Request,
    text::Shown,
};

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

/// Row id of an outbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutboxId(pub i64);

/// How urgent an outbox row is; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Answer to the press of a button: worthless after seconds.
    Press = 0,
    /// A new message, or the last edit of an answer.
    Message = 1,
    /// An edit on the way.
    Progress = 2,
}

impl Urgency {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Press => "press",
            Self::Message => "message",
            Self::Progress => "progress",
        }
    }
}

/// What an outbox row is to bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A message with this content.
    Show(Shown),
    /// That the message is not there any more.
    Gone,
    /// An answer to a press.
    PressAnswer {
        /// Telegram's id of the press.
        callback_id: String,
        /// At most 200 characters; may be empty.
        text: String,
    },
}

/// Where an outbox row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Chat.
    pub chat_id: i64,
    /// Topic, 0 where there is none.
    pub thread_id: i64,
}

/// Which message of which turn a row is. A row with a slot is one message for ever: later content replaces earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Turn.
    pub turn: TurnId,
    /// 0, 1, …: messages of the answer, in order. Below, and from [`Slot::NOTICE`] on: others.
    pub number: i64,
}

impl Slot {
    /// First number of messages that are not the answer itself (notices, questions).
    pub const NOTICE: i64 = 1000;
    /// First number of messages of the answer that are files; they end below [`Slot::NOTICE`]. Those of its text never
    /// reach it ([`ANSWER_MESSAGES`](crate::core::text::ANSWER_MESSAGES)).
    pub const FILE: i64 = 900;
    /// First number of notices about limits of the turn; they end below 0.
    pub const FIRST_LIMIT: i64 = -2;

    /// The first message of the turn: it says how it waits, and becomes its answer.
    #[must_use]
    pub fn first(turn: TurnId) -> Self {
        Self { turn, number: 0 }
    }

    /// The message that tells that a limit of the turn is near: one about the turn, one about its agent's silence.
    #[must_use]
    pub fn limit(turn: TurnId, limit: Limit) -> Self {
        let number = match limit {
            Limit::Turn => -1,
            Limit::FirstOutput | Limit::Silence | Limit::AfterResult => Self::FIRST_LIMIT,
        };
        Self { turn, number }
    }

    /// The message that tells which parts of an album are missing; it stands for ever.
    #[must_use]
    pub fn missing(turn: TurnId) -> Self {
        Self { turn, number: -10 }
    }

    /// The message that tells that a change of a message was not taken.
    #[must_use]
    pub fn edited(turn: TurnId) -> Self {
        Self { turn, number: -11 }
    }

    /// The message that tells by which rules something was denied to the agent.
    #[must_use]
    pub fn denied(turn: TurnId) -> Self {
        Self { turn, number: -12 }
    }

    /// The message that tells how many messages of a prompt are collected so far. (Questions are numbered by their rows,
    /// from the next number on.)
    #[must_use]
    pub fn collecting(turn: TurnId) -> Self {
        Self {
            turn,
            number: Self::NOTICE,
        }
    }
}

/// State of an outbox row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutState {
    /// To be done.
    Pending,
    /// On the wire, or was when the daemon died.
    Sending,
    /// What is wanted is there.
    Done,
    /// Telegram refused it for good.
    Rejected,
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRow {
    /// Row id; new messages of a chat go out in this order.
    pub id: OutboxId,
    /// Where.
    pub target: Target,
    /// Which message of which turn, for answers.
    pub slot: Option<Slot>,
    /// How urgent.
    pub urgency: Urgency,
    /// What is wanted.
    pub wanted: Wanted,
    /// Grows with each change of `wanted`.
    pub revision: i64,
    /// Revision that Telegram has, 0 before the first.
    pub sent_revision: i64,
    /// Message id, once it is known.
    pub message_id: Option<i64>,
    /// State.
    pub state: OutState,
    /// How often a send ended ambiguously. Above 0 the text carries a mark ("may be a repeat").
    pub ambiguous: i64,
    /// Whether it goes as plain text because its entities were refused.
    pub plain: bool,
    /// Tries so far, of the present revision.
    pub attempts: i64,
    /// Not before.
    pub not_before: Millis,
    /// Last error, one line.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Millis,
}

/// A row of the outbox that may go out: what decides about its turn, not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// Row id.
    pub id: OutboxId,
    /// Chat; an answer to a press belongs to none.
    pub chat_id: Option<i64>,
    /// Which message of which turn, for answers.
    pub slot: Option<Slot>,
    /// How urgent.
    pub urgency: Urgency,
    /// Message id, once it is known.
    pub message_id: Option<i64>,
    /// Whether it is a message that was never sent.
    pub first: bool,
}

/// What went wrong in the outbox, among the rows that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutCounts {
    /// How many sends ended ambiguously.
    pub ambiguous: u64,
    /// How many rows Telegram refused.
    pub rejected: u64,
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
