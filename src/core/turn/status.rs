//! What the agent does at the moment, as one short plain line.

use serde::{Deserialize, Serialize};

use super::bounded;
use crate::core::{
    event::{Block, Question},
    trouble::shortened,
    words::{self, doing},
};

/// Open tool calls and questions that are remembered; of more, the newest.
const OPEN: usize = 64;

/// Longest line, in characters.
const LINE_CHARS: usize = 120;

/// What goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Doing {
    /// Not yet taken up.
    #[default]
    Starting,
    /// Nothing to be seen: the model works, or a tool.
    Thinking,
    /// Text comes.
    Writing,
    /// The call of a tool comes.
    Calling(String),
    /// The history is made shorter.
    Compacting,
    /// The model's service is tried again.
    Retrying(String),
}

/// A tool that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenTool {
    id: String,
    line: String,
}

/// A question that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenQuestion {
    request_id: String,
    tool_use_id: Option<String>,
    line: String,
}

/// Activity of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    doing: Doing,
    tools: Vec<OpenTool>,
    questions: Vec<OpenQuestion>,
    begun: u32,
    stopping: bool,
}

/// A time as a clock that was started shows it: minutes and seconds, with hours where there are some.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

impl Status {
    /// What goes on and, where it is given, for how long (seconds).
    pub(super) fn line(&self, elapsed_s: Option<u64>) -> String {
        if self.stopping {
            return words::STOPPING.as_str().to_owned();
        }
        let what = if let Some(question) = self.questions.last() {
            &question.line
        } else {
            match (&self.doing, self.tools.last()) {
                (Doing::Retrying(line) | Doing::Calling(line), _) => line,
                (Doing::Compacting, _) => doing::COMPACTING.as_str(),
                (Doing::Writing, _) => doing::WRITING.as_str(),
                (_, Some(tool)) => &tool.line,
                (Doing::Starting, None) => doing::STARTING.as_str(),
                (Doing::Thinking, None) => doing::THINKING.as_str(),
            }
        };
        let tools = |what: &str| match self.begun {
            0 | 1 => what.to_owned(),
            begun => doing::with_tools(what, begun),
        };
        let time = elapsed_s.map_or_else(String::new, |s| format!(" · {}", clock(s)));
        // It is what the agent named that is too long.
        let rest = tools("").chars().count() + time.chars().count();
        tools(&shortened(what, LINE_CHARS.saturating_sub(rest))) + &time
    }

    /// Number of tool calls so far. Never falls.
    pub(super) fn begun(&self) -> u32 {
        self.begun
    }

    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Back to the start, but for the count of tools.
    pub(super) fn reset(&mut self) {
        *self = Self {
            begun: self.begun,
            stopping: self.stopping,
            ..Self::default()
        };
    }

    pub(super) fn thinking(&mut self) {
        self.doing = Doing::Thinking;
    }

    pub(super) fn compacting(&mut self) {
        self.doing = Doing::Compacting;
    }

    pub(super) fn writing(&mut self) {
        self.doing = Doing::Writing;
    }

    pub(super) fn block(&mut self, block: &Block) {
        self.doing = match block {
            Block::Text => return,
            Block::Thinking | Block::Other => Doing::Thinking,
            Block::Tool { name, .. } => Doing::Calling(words::tools::in_preparation(name)),
        };
    }

    pub(super) fn retry(
        &mut self,
        attempt: u32,
        max: u32,
        delay_ms: u64,
        status: Option<u16>,
        error: &str,
    ) {
        let why = match (error, status) {
            ("authentication_failed", _) | (_, Some(401 | 403)) => doing::LOGIN_REFUSED.as_str(),
            ("rate_limit" | "overloaded", _) | (_, Some(429 | 529)) => doing::BUSY.as_str(),
            (_, Some(_)) => doing::FAULT.as_str(),
            (_, None) => doing::UNREACHABLE.as_str(),
        };
        let wait = delay_ms.div_ceil(1000).max(1);
        self.doing = Doing::Retrying(doing::tries_again(why, wait, attempt, max));
    }

    /// A tool is called.
    pub(super) fn tool(&mut self, id: &str, name: &str, input: &serde_json::Value) {
        self.thinking();
        let id = bounded(id);
        let line = words::tools::line(name, input);
        if let Some(tool) = self.tools.iter_mut().find(|t| t.id == id) {
            tool.line = line;
            return;
        }
        self.begun = self.begun.saturating_add(1);
        if self.tools.len() == OPEN {
            self.tools.remove(0);
        }
        self.tools.push(OpenTool {
            id: id.to_owned(),
            line,
        });
    }

    /// A tool came back.
    pub(super) fn tool_over(&mut self, id: &str) {
        let id = bounded(id);
        self.tools.retain(|t| t.id != id);
        self.questions
            .retain(|q| q.tool_use_id.as_deref() != Some(id));
        self.thinking();
    }

    /// Takes a question; whether it is a new one.
    pub(super) fn ask(&mut self, question: &Question) -> bool {
        let request_id = bounded(&question.request_id);
        if self.questions.iter().any(|q| q.request_id == request_id) {
            return false;
        }
        if self.questions.len() == OPEN {
            self.questions.remove(0);
        }
        self.questions.push(OpenQuestion {
            request_id: request_id.to_owned(),
            tool_use_id: question
                .tool_use_id
                .as_deref()
                .map(|id| bounded(id).to_owned()),
            line: match question.tool.as_str() {
                "AskUserQuestion" => doing::WAITS_FOR_ANSWER.as_str(),
                _ => doing::WAITS_FOR_APPROVAL.as_str(),
            }
            .to_owned(),
        });
        true
    }

    /// A question is answered or withdrawn; whether it was open.
    pub(super) fn settle(&mut self, request_id: &str) -> bool {
        let request_id = bounded(request_id);
        let Some(at) = self
            .questions
            .iter()
            .position(|q| q.request_id == request_id)
        else {
            return false;
        };
        let question = self.questions.remove(at);
        // Of several calls, the one that was asked about is the one that runs now.
        if let Some(tool) = self
            .tools
            .iter()
            .position(|t| Some(&t.id) == question.tool_use_id.as_ref())
        {
            self.tools[tool..].rotate_left(1);
        }
        true
    }

    /// Questions that nobody answered.
    pub(super) fn open_questions(&self) -> impl Iterator<Item = &str> {
        self.questions.iter().map(|q| q.request_id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_counts_up() {
        for (seconds, shown) in [
            (0, "0:00"),
            (42, "0:42"),
            (60, "1:00"),
            (3599, "59:59"),
            (3600, "1:00:00"),
            (90_061, "25:01:01"),
        ] {
            assert_eq!(clock(seconds), shown);
        }
    }

    #[test]
    fn the_end_of_the_line_stays_however_long_its_beginning_is() {
        let mut status = Status::default();
        for id in ["1", "2", "3"] {
            status.tool(id, "Bash", &serde_json::json!({"command": "x".repeat(500)}));
        }
        let line = status.line(Some(42));
        assert!(line.ends_with("… · 3 tools · 0:42"), "{line}");
        status.doing = Doing::Retrying("x".repeat(500));
        let line = status.line(Some(42));
        assert!(line.ends_with("x… · 3 tools · 0:42"), "{line}");
        assert_eq!(line.chars().count(), LINE_CHARS);
        status.thinking();
        assert!(status.line(None).ends_with("… · 3 tools"));
        status.stop();
        assert_eq!(status.line(Some(42)), "Stopping…");
    }
}
