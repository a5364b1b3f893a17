//! One turn, as seen from what the agent says: a state machine without I/O.
//!
//! It is stored as JSON beside the offset in `output.jsonl` up to which it has read, in one
//! transaction, so that a restarted daemon goes on in the middle of an answer.

mod answer;
mod beside;
mod place;
mod status;
#[cfg(test)]
mod tests;
mod thoughts;
mod verdict;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::beside::Heard;
use self::{
    answer::Answer,
    beside::Way,
    place::Whereabouts,
    status::Status,
    thoughts::Thoughts,
    verdict::{AgentError, ending, startup_failure},
};
use super::{
    event::{AgentEvent, Block, PromptState, Question, TurnResult},
    limits::{Limit, Over, Stage, Watch},
    trouble::{Category, Trouble},
    words,
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
    /// What the agent does at the moment, one short plain line ("Reading src/main.rs · 3 tools · 0:42"); none when it is over.
    pub status: Option<String>,
    /// What the agent thinks at the moment; none when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thoughts: Option<String>,
    /// Whether it was an administrator who wanted its end.
    #[serde(default)]
    pub by_admin: bool,
    /// Whether it was to make room for a newer message of its person.
    #[serde(default)]
    pub for_newer: bool,
}

/// State of one turn.
///
/// States that an older version stored must load for ever: a field that is added has a default, and none changes
/// its meaning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    uuid: Option<Uuid>,
    /// Last that was heard of the prompt.
    prompt: Option<PromptState>,
    /// Whether the agent said anything that belongs to a turn.
    output: bool,
    /// Whether an end was asked for.
    interrupted: bool,
    /// Whether that was by an administrator.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    by_admin: bool,
    /// Whether that was for a newer message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    for_newer: bool,
    /// How its prompt was given.
    #[serde(skip_serializing_if = "Way::is_alone")]
    way: Way,
    /// Of one that was given to an agent that worked: whether the agent has begun with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    taken: bool,
    /// And whether it waits for its person's word if it goes back into the queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
    answer: Answer,
    status: Status,
    /// What it thinks; empty where nobody is to see that, for then it is not told.
    #[serde(skip_serializing_if = "Thoughts::is_empty")]
    thoughts: Thoughts,
    /// Where the agent works.
    #[serde(skip_serializing_if = "Whereabouts::is_unknown")]
    whereabouts: Whereabouts,
    /// Error message in place of an answer.
    error: Option<AgentError>,
    session_id: Option<Uuid>,
    /// A result that names no prompt, while nothing was heard of ours: ours, if the agent then comes to rest.
    unclaimed: Option<Outcome>,
    finished: bool,
    /// How much of its limits it has used.
    #[serde(skip_serializing_if = "Watch::is_fresh")]
    watch: Watch,
    /// The limit that it came to, so that its end was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    over: Option<Over>,
}

impl Turn {
    /// A turn whose prompt has this uuid; `None` for a turn that nobody asked for (background work reports).
    #[must_use]
    pub fn new(uuid: Option<Uuid>) -> Self {
        Self {
            uuid,
            ..Self::default()
        }
    }

    /// Takes one event, in the order of the agent's output. Never panics, whatever comes.
    ///
    /// [`Effect::Finished`] is the last effect of a turn; questions that are still open are withdrawn before it.
    pub fn on(&mut self, event: &AgentEvent) -> Vec<Effect> {
        if self.finished {
            return Vec::new();
        }
        // An answer to a request of ours tells that the agent hears, not that it works.
        if !matches!(event, AgentEvent::Reply { .. }) {
            self.watch.heard();
        }
        let line = self.status.line(None);
        let mut effects = Vec::new();
        let thought = self.think(event);
        let shown = self.take(event, &mut effects) || thought;
        if shown || self.finished || self.status.line(None) != line {
            let at = effects
                .iter()
                .position(|e| matches!(e, Effect::Finished(_)))
                .unwrap_or(effects.len());
            effects.insert(at, Effect::Show);
        }
        effects
    }

    /// The person asked for an end: a result with an `aborted_*` reason, or the end of the process, is then [`Ending::Interrupted`].
    pub fn interrupt(&mut self) {
        self.interrupted = true;
        self.status.stop();
    }

    /// The same, by an administrator: its person is told so.
    pub fn interrupt_by_admin(&mut self) {
        self.by_admin = true;
        self.interrupt();
    }

    /// The same, to make room for a newer message of its person.
    pub fn interrupt_for_newer(&mut self) {
        self.for_newer = true;
        self.interrupt();
    }

    /// The same, because it came to a limit: then it is [`Ending::Failed`] with a trouble that says so.
    pub fn interrupt_over(&mut self, over: Over) {
        self.over = Some(over);
        self.interrupt();
    }

    /// The watch over its limits.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The same, to be told what passes.
    pub fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// How far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        if self.unclaimed.is_some() || self.prompt == Some(PromptState::Completed) {
            Stage::Resting
        } else if self.begun() {
            Stage::Working
        } else {
            Stage::Starting
        }
    }

    /// Whether [`Turn::interrupt`] was called.
    #[must_use]
    pub fn interrupt_requested(&self) -> bool {
        self.interrupted
    }

    /// A question was answered, so that it is waited for no longer. Without this call the status says so only at the
    /// end of the tool.
    pub fn answered(&mut self, request_id: &str) -> Vec<Effect> {
        let shown = self.status.settle(request_id) && !self.finished;
        shown.then_some(Effect::Show).into_iter().collect()
    }

    /// The process is gone and its output is read to the end. `Some` if the turn was still open:
    /// then it is over, with [`Ending::Interrupted`] if that was asked for, else [`Ending::Failed`] with the given trouble
    /// (or with the one that the agent itself had told), but [`Ending::Completed`] if the prompt was already done.
    /// Questions that are still open are the caller's to withdraw.
    pub fn process_gone(&mut self, why: Trouble) -> Option<Outcome> {
        if self.finished {
            return None;
        }
        self.finished = true;
        self.thoughts.over();
        let ending = if self.was_interrupted() {
            self.stopped()
        } else if let Some(error) = &self.error {
            Ending::Failed(error.trouble(None))
        } else if self.prompt == Some(PromptState::Completed) && !self.answer.is_blank() {
            Ending::Completed
        } else {
            Ending::Failed(why)
        };
        Some(self.outcome(ending))
    }

    /// What to show now, without a time.
    #[must_use]
    pub fn view(&self) -> View {
        self.view_after(None)
    }

    /// What to show after so many seconds of it.
    #[must_use]
    pub fn view_after(&self, elapsed_s: Option<u64>) -> View {
        View {
            answer: self.answer.text(),
            status: (!self.finished).then(|| self.status.line(elapsed_s)),
            thoughts: self
                .thoughts
                .shown()
                .filter(|_| !self.finished && !self.interrupted)
                .map(str::to_owned),
            by_admin: self.by_admin,
            for_newer: self.for_newer,
        }
    }

    /// Number of tool calls that the agent began (subagents' included): above 0 the turn may have had effects.
    #[must_use]
    pub fn tools_begun(&self) -> u32 {
        self.status.begun()
    }

    /// Whether the agent was seen to have taken the prompt up (lifecycle `started`, init, or any output of the turn).
    #[must_use]
    pub fn begun(&self) -> bool {
        self.output || self.started()
    }

    /// Whether it is over.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Takes what an event tells of the agent's thinking; whether what is shown of that changed.
    fn think(&mut self, event: &AgentEvent) -> bool {
        match event {
            AgentEvent::BlockStart {
                block: Block::Thinking,
                ..
            } => {
                self.thoughts.block();
                false
            }
            AgentEvent::ThoughtDelta { text } => self.thoughts.delta(text),
            AgentEvent::Thought { text } => self.thoughts.whole(text),
            AgentEvent::MessageStart { .. }
            | AgentEvent::BlockStart { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::Text { .. }
            | AgentEvent::Tool { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::Abandoned { .. }
            | AgentEvent::Retry { .. }
            | AgentEvent::AssistantError { .. }
            | AgentEvent::Asked(_)
            | AgentEvent::Result(_)
            | AgentEvent::Idle => self.thoughts.over(),
            _ => false,
        }
    }

    /// Takes an event; whether the answer changed.
    fn take(&mut self, event: &AgentEvent, effects: &mut Vec<Effect>) -> bool {
        match event {
            AgentEvent::Init {
                session_id,
                directory,
                ..
            } => {
                self.output();
                self.session_id = session_id.or(self.session_id);
                self.whereabouts.begin(directory.as_deref());
            }
            AgentEvent::SessionReset { session_id } => {
                self.session_id = session_id.or(self.session_id);
            }
            AgentEvent::Prompt { uuid, state } => {
                if self.uuid == Some(*uuid) {
                    self.prompt_state(*state, effects);
                }
            }
            AgentEvent::Idle => self.idle(effects),
            AgentEvent::MessageStart { message_id } => {
                self.output();
                self.status.thinking();
                self.answer.message(message_id);
            }
            AgentEvent::BlockStart { index, block } => {
                self.output();
                self.status.block(block);
                if *block == Block::Text {
                    return self.answer.block(*index);
                }
            }
            AgentEvent::TextDelta { index, text } => {
                self.output();
                self.status.writing();
                return self.answer.delta(*index, text);
            }
            AgentEvent::Text { message_id, text } => {
                self.output();
                self.status.thinking();
                return self.answer.whole(message_id, text);
            }
            AgentEvent::Abandoned {
                message_id,
                from_index,
            } => {
                self.status.thinking();
                return self.answer.abandon(message_id, *from_index);
            }
            AgentEvent::Tool {
                id, name, input, ..
            } => {
                self.output();
                self.status.tool(id, name, input);
                self.whereabouts.tool(id, input);
            }
            AgentEvent::ToolResult { id, .. } => {
                self.output();
                self.status.tool_over(id);
                self.whereabouts.tool_over(id);
            }
            AgentEvent::AssistantError {
                class,
                text,
                resets_at,
            } => {
                self.output();
                self.error = Some(AgentError::new(class, text, *resets_at));
            }
            AgentEvent::Retry {
                attempt,
                max,
                delay_ms,
                status,
                error,
            } => {
                self.output();
                self.status.retry(*attempt, *max, *delay_ms, *status, error);
                return self.answer.again();
            }
            AgentEvent::Compacting => self.status.compacting(),
            AgentEvent::Asked(question) => {
                self.output();
                if self.status.ask(question) {
                    effects.push(Effect::Ask(Question {
                        place: self.whereabouts.place(),
                        ..question.clone()
                    }));
                }
            }
            AgentEvent::Withdrawn { request_id } => {
                if self.status.settle(request_id) {
                    effects.push(Effect::Withdraw {
                        request_id: request_id.clone(),
                    });
                }
            }
            AgentEvent::Result(result) => return self.result(result, effects),
            AgentEvent::ThoughtDelta { .. } | AgentEvent::Thought { .. } => self.output(),
            AgentEvent::Busy
            | AgentEvent::Mode(_)
            | AgentEvent::Reply { .. }
            | AgentEvent::Ignored
            | AgentEvent::Malformed(_) => {}
        }
        false
    }

    /// Something of a turn was said.
    fn output(&mut self) {
        if !self.output {
            self.output = true;
            self.status.thinking();
        }
        self.unclaimed = None;
    }

    fn started(&self) -> bool {
        matches!(
            self.prompt,
            Some(PromptState::Started | PromptState::Completed)
        )
    }

    fn was_interrupted(&self) -> bool {
        self.interrupted || self.prompt == Some(PromptState::Cancelled)
    }

    fn prompt_state(&mut self, state: PromptState, effects: &mut Vec<Effect>) {
        let started = self.started();
        if state == PromptState::Queued && self.prompt.is_some() {
            return;
        }
        self.prompt = Some(state);
        self.unclaimed = None;
        self.taken |= !self.way.is_alone() && self.started();
        match state {
            PromptState::Started => self.status.thinking(),
            // Dropped from the queue: no result will come. Where it had started, one comes, or the agent rests.
            PromptState::Cancelled if !started => {
                let outcome = self.outcome(self.stopped());
                self.finish(outcome, effects);
            }
            _ => {}
        }
    }

    /// How a turn ends whose end was asked for.
    fn stopped(&self) -> Ending {
        match self.over {
            // It had said all that it had to say.
            Some(over)
                if over.limit == Limit::AfterResult
                    && self.prompt == Some(PromptState::Completed)
                    && !self.answer.is_blank() =>
            {
                Ending::Completed
            }
            Some(over) => {
                Ending::Failed(Trouble::with(Category::Timeout, words::limits::over(over)))
            }
            None => Ending::Interrupted,
        }
    }

    fn result(&mut self, result: &TurnResult, effects: &mut Vec<Effect>) -> bool {
        let ending = match ending(result, self.error.as_ref()) {
            Ending::Completed => Ending::Completed,
            // Whatever the agent says of that: it was the limit.
            _ if self.over.is_some() => self.stopped(),
            ending => ending,
        };
        let failed_to_start = startup_failure(result);
        let others = match self.uuid {
            Some(uuid) => !result.prompts.is_empty() && !result.prompts.contains(&uuid),
            None => false,
        };
        if others {
            if !self.started() {
                // What came so far was of a turn that was shown as its own.
                self.withdraw_all(effects);
                self.answer.clear();
                self.status.reset();
                self.output = false;
                self.error = None;
                return true;
            }
            return false;
        }
        let mut shown = false;
        if ending == Ending::Completed
            && let Some(text) = &result.text
        {
            shown = self.answer.last_words(text);
        }
        if !failed_to_start {
            // A process that did not start may tell an id that nothing was kept under.
            self.session_id = result.session_id.or(self.session_id);
        }
        let outcome = Outcome {
            total_cost_usd: result.total_cost_usd,
            duration_ms: result.duration_ms,
            ..self.outcome(ending)
        };
        let claimed = self.uuid.is_none()
            || self.started()
            || self.prompt == Some(PromptState::Cancelled)
            || !result.prompts.is_empty()
            || failed_to_start;
        if claimed {
            self.finish(outcome, effects);
        } else if self.prompt.is_none() {
            // A turn that nobody asked for, while our prompt is under way to the agent; or an agent that tells
            // nothing of prompts.
            self.unclaimed = Some(outcome);
            self.error = None;
        } else {
            // A turn that nobody asked for, while our prompt waits. Its words stay, as the start of ours.
            self.error = None;
        }
        shown
    }

    /// The agent rests. A turn that it had taken up and told no result of is over then.
    fn idle(&mut self, effects: &mut Vec<Effect>) {
        if let Some(outcome) = self.unclaimed.take() {
            self.finish(outcome, effects);
            return;
        }
        let taken_up = match self.prompt {
            Some(PromptState::Queued) => false,
            Some(_) => true,
            None => self.output,
        };
        if !taken_up {
            return;
        }
        let ending = if self.was_interrupted() {
            self.stopped()
        } else if let Some(error) = &self.error {
            Ending::Failed(error.trouble(None))
        } else if self.uuid.is_some() && self.answer.is_blank() {
            Ending::Failed(Trouble::with(
                Category::Agent,
                words::model::NO_ANSWER.as_str(),
            ))
        } else {
            Ending::Completed
        };
        let outcome = self.outcome(ending);
        self.finish(outcome, effects);
    }

    fn outcome(&self, ending: Ending) -> Outcome {
        Outcome {
            ending,
            total_cost_usd: None,
            duration_ms: None,
            session_id: self.session_id,
        }
    }

    fn finish(&mut self, outcome: Outcome, effects: &mut Vec<Effect>) {
        self.finished = true;
        self.thoughts.over();
        self.withdraw_all(effects);
        effects.push(Effect::Finished(outcome));
    }

    fn withdraw_all(&self, effects: &mut Vec<Effect>) {
        effects.extend(self.status.open_questions().map(|id| Effect::Withdraw {
            request_id: id.to_owned(),
        }));
    }
}

/// Most bytes of the agent's ids that are kept. Real ones have at most 36.
const ID_BYTES: usize = 128;

/// An id of the agent's as it is kept: cut, so that nonsense from outside cannot make the state grow.
fn bounded(id: &str) -> &str {
    &id[..id.floor_char_boundary(ID_BYTES)]
}
