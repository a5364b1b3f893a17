//! What a stand-in is to do, written in the prompt itself.
//!
//! Two notations, one meaning. A *directive* is the whole prompt, or any line of it after `@fake `:
//!
//! | directive | meaning |
//! |---|---|
//! | `say TEXT` | answers TEXT |
//! | `think TEXT` | a thinking block, then an answer |
//! | `long N` | N characters of Markdown, streamed |
//! | `code N` | N lines of code, as those of `src/main.rs`, between two sentences |
//! | `slow MS xN` | N pieces of text, MS milliseconds apart |
//! | `tools N` | N tool calls that need no permission, one after another, then an answer |
//! | `ask` | a tool call that needs permission; the answer is `allowed` or `denied` |
//! | `error STATUS [xN]` | the model's service answers with that HTTP status, for ever or N times |
//! | `reset [xN]` | the connection breaks in mid-answer, once or N times |
//! | `beat MS xN` | a tool call that takes N signs of life (`tool_progress`), MS milliseconds apart; then an answer (scripted agent only) |
//! | `hang [deaf]` | silence in mid-answer; `deaf`: it hears nothing of its input any more (scripted agent only) |
//! | `mute [deaf]` | silence from the beginning, not even a sign that the prompt was read (scripted agent only) |
//! | `limp TEXT` | answers TEXT, and neither rests nor hears anything after that (scripted agent only) |
//! | `die CODE\|SIGNAL [once]` | the agent ends in mid-answer; with `once`, only the first time that the session sees this prompt |
//! | `spawn [SECONDS]` | leaves a process behind that has left the agent's session (scripted agent only) |
//! | `load WHAT` | a tool call that needs no permission and takes `memory MIB`, `processors SECONDS [THREADS]` or, without end, `processes SECONDS`; then an answer (scripted agent only) |
//! | `background [MS]` | answers, and later reports a second time without being asked (scripted agent only) |
//!
//! `{outcome}` in a text becomes `allowed` or `denied` (the last tool), `{told}` what that tool came back with;
//! `{mode}` the permission mode (scripted agent only); `{surrogate}` becomes the escape of half a
//! surrogate pair, which is not valid in JSON (scripted agent only).
//!
//! A *script* is a line `@fake ` and JSON: one step or a list of steps; [`Script::parse`] says which keys a step may have.
//! Anything else is an ordinary prompt and is answered with an echo.

use serde_json::Value;

mod json;
mod markdown;
mod words;

pub use markdown::markdown;

use json::json;
use words::words;

/// A block of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Words. `{outcome}` in them is replaced by `allowed` or `denied`, after the last tool call.
    Text(String),
    /// Thinking.
    Thinking(String),
    /// Call of a tool.
    Tool {
        /// Name.
        name: String,
        /// Input.
        input: Value,
    },
}

/// One message of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
    /// Why it stops; by default `tool_use` where a tool is called, else `end_turn`.
    pub stop_reason: Option<String>,
    /// Characters per streamed piece.
    pub chunk: usize,
    /// Milliseconds between two pieces.
    pub delay_ms: u64,
}

impl Answer {
    /// An answer of one text, streamed without pauses.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(vec![Block::Text(text.into())])
    }

    /// An answer of these blocks, streamed without pauses.
    #[must_use]
    pub fn of(blocks: Vec<Block>) -> Self {
        Self {
            blocks,
            stop_reason: None,
            chunk: 40,
            delay_ms: 0,
        }
    }

    /// Why it stops.
    #[must_use]
    pub fn stop_reason(&self) -> &str {
        let tool = self.blocks.iter().any(|b| matches!(b, Block::Tool { .. }));
        match &self.stop_reason {
            Some(reason) => reason,
            None if tool => "tool_use",
            None => "end_turn",
        }
    }

    /// A text in the pieces in which it is streamed.
    #[must_use]
    pub fn pieces(&self, text: &str) -> Vec<String> {
        let all: Vec<char> = text.chars().collect();
        all.chunks(self.chunk.max(1))
            .map(|c| c.iter().collect())
            .collect()
    }
}

/// How a process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// With an exit code.
    Code(i32),
    /// By a signal, e.g. `KILL`.
    Signal(String),
}

/// How an answer is cut off in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The connection is reset.
    Reset,
    /// The connection ends.
    Eof,
    /// Silence.
    Hang,
    /// An `error` event of that type, e.g. `overloaded_error`.
    SseError(String),
    /// The agent itself ends.
    Die {
        /// How.
        how: Death,
        /// Only the first time that the session sees this prompt.
        once: bool,
    },
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// An HTTP error.
    Http {
        /// Status.
        status: u16,
        /// The service's name of the class, e.g. `rate_limit_error`.
        class: String,
        /// Text.
        message: String,
        /// `retry-after` in seconds.
        retry_after: Option<u64>,
        /// `x-should-retry`.
        should_retry: Option<bool>,
    },
    /// The connection is reset before any header of the reply.
    ResetAtOnce,
    /// Silence before any header of the reply.
    HangAtOnce,
    /// An answer that is cut off.
    Mid(Answer, Cut),
}

/// One step: what one request of the agent to the model leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An answer.
    Answer(Answer),
    /// A fault, so many times (`None`: for ever), then the next step.
    Fault(Trouble, Option<u32>),
}

/// A report that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Background {
    /// Milliseconds after the end of the turn.
    pub delay_ms: u64,
    /// What it says.
    pub text: String,
}

/// What to do with one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// The steps.
    pub steps: Vec<Step>,
    /// A process to leave behind, for so many seconds.
    pub spawn: Option<u64>,
    /// A second report.
    pub background: Option<Background>,
    /// Whether nothing at all is said.
    pub mute: bool,
    /// Whether nothing of the input is heard until the turn is over.
    pub deaf: bool,
    /// Whether it hangs after the result.
    pub limp: bool,
}

impl Script {
    /// A script of these steps.
    #[must_use]
    pub fn of(steps: Vec<Step>) -> Self {
        Self {
            steps,
            spawn: None,
            background: None,
            mute: false,
            deaf: false,
            limp: false,
        }
    }

    /// The step for a request that comes after `answered` answers to the prompt (so that tool loops and resumed sessions
    /// land where they belong) and for which `failed` faults were already served. Behind the end: an answer `done`.
    #[must_use]
    pub fn step(&self, answered: usize, failed: u32) -> Step {
        let mut answers = 0;
        let mut failed = failed;
        for step in &self.steps {
            match step {
                Step::Answer(_) if answers < answered => answers += 1,
                Step::Answer(_) => return step.clone(),
                Step::Fault(_, times) if answers == answered => match times {
                    Some(n) if failed >= *n => failed -= n,
                    _ => return step.clone(),
                },
                Step::Fault(..) => {}
            }
        }
        Step::Answer(Answer::text("done"))
    }

    /// Reads a prompt. A prompt without a directive gives an echo; a faulty one gives an HTTP error 400 that says why,
    /// so that a mistake in a test is seen.
    ///
    /// Keys of a step: `text`, `thinking`, `repeat` (of both, and of the texts in `input`), `chunk` (characters), `delay_ms`, `tool` and `input`,
    /// `tools` (list of `[name, input]`), `stop_reason`; `error` (status), `class`, `message`, `retry_after`, `should_retry`;
    /// `reset` and `hang` (`"headers"` or `"mid"`), `eof` (`"mid"`), `sse_error` (class), `die` (code or signal), `once`;
    /// `times` (-1: for ever); `spawn` (seconds), `background` (milliseconds).
    #[must_use]
    pub fn parse(prompt: &str) -> Self {
        let found = match marked(prompt) {
            Some(rest) => match rest.trim_start().as_bytes().first() {
                Some(b'[' | b'{') => json(rest),
                _ => words(rest).unwrap_or_else(|| Err(format!("no such directive: {rest}"))),
            },
            None => words(prompt).unwrap_or_else(|| {
                Ok(Self::of(vec![Step::Answer(Answer::text(format!(
                    "echo: {prompt}"
                )))]))
            }),
        };
        found.unwrap_or_else(|why| {
            Self::of(vec![Step::Fault(
                http(400, format!("bad script: {why}")),
                None,
            )])
        })
    }

    /// Whether the prompt holds a directive or a script.
    #[must_use]
    pub fn is_directive(prompt: &str) -> bool {
        marked(prompt).is_some() || words(prompt).is_some()
    }
}

/// The rest of the prompt behind `@fake ` at the start of a line. JSON may go on over further lines.
fn marked(prompt: &str) -> Option<&str> {
    let at = if prompt.starts_with("@fake ") {
        0
    } else {
        prompt.find("\n@fake ")? + 1
    };
    let rest = prompt.get(at + "@fake ".len()..)?;
    match rest.trim_start().as_bytes().first() {
        Some(b'[' | b'{') => Some(rest),
        _ => rest.lines().next(),
    }
}

/// An HTTP error with the class that the service uses for that status.
#[must_use]
pub fn http(status: u16, message: impl Into<String>) -> Trouble {
    let class = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    Trouble::Http {
        status,
        class: class.to_owned(),
        message: message.into(),
        retry_after: None,
        should_retry: None,
    }
}

#[cfg(test)]
mod tests;
