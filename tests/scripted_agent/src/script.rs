//! What a stand-in is to do, written in the prompt itself.
//!
//! Two notations, one meaning. A *directive* is the whole prompt, or any line of it after `@fake `:
//!
//! | directive | meaning |
//! |---|---|
//! | `say TEXT` | answers TEXT |
//! | `think TEXT` | a thinking block, then an answer |
//! | `long N` | N characters of Markdown, streamed |
//! | `slow MS xN` | N pieces of text, MS milliseconds apart |
//! | `tools N` | N tool calls that need no permission, one after another, then an answer |
//! | `ask` | a tool call that needs permission; the answer is `allowed` or `denied` |
//! | `error STATUS [xN]` | the model's service answers with that HTTP status, for ever or N times |
//! | `reset [xN]` | the connection breaks in mid-answer, once or N times |
//! | `hang` | silence in mid-answer |
//! | `die CODE\|SIGNAL [once]` | the agent ends in mid-answer; with `once`, only the first time that the session sees this prompt |
//! | `spawn [SECONDS]` | leaves a process behind that has left the agent's session (scripted agent only) |
//! | `background [MS]` | answers, and later reports a second time without being asked (scripted agent only) |
//!
//! A *script* is a line `@fake ` and JSON: one step or a list of steps; [`Script::parse`] says which keys a step may have.
//! Anything else is an ordinary prompt and is answered with an echo.

use serde_json::{Map, Value};

mod markdown;

pub use markdown::markdown;

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
}

impl Script {
    /// A script of these steps.
    #[must_use]
    pub fn of(steps: Vec<Step>) -> Self {
        Self {
            steps,
            spawn: None,
            background: None,
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
    /// Keys of a step: `text`, `repeat`, `chunk` (characters), `delay_ms`, `thinking`, `tool` and `input`, `tools`
    /// (list of `[name, input]`), `stop_reason`; `error` (status), `class`, `message`, `retry_after`, `should_retry`;
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

/// A harmless tool call that is allowed without a question.
fn harmless(number: u64, of: u64) -> Block {
    Block::Tool {
        name: "Bash".to_owned(),
        input: serde_json::json!({"command": format!("echo tool {number} of {of}"), "description": format!("Count to {number}")}),
    }
}

/// A directive. `None` if the words are not one.
fn words(prompt: &str) -> Option<Result<Script, String>> {
    let prompt = prompt.trim();
    let (verb, rest) = prompt
        .split_once(char::is_whitespace)
        .unwrap_or((prompt, ""));
    let rest = rest.trim();
    if !matches!(verb, "say" | "think") && prompt.lines().count() > 1 {
        return None;
    }
    let args: Vec<&str> = rest.split_whitespace().collect();
    let number = |text: &str| text.parse::<u64>().ok();
    let times = |text: &str| text.strip_prefix('x').and_then(|n| n.parse::<u32>().ok());
    let answer = |answer: Answer| Step::Answer(answer);
    let script = match (verb, args.as_slice()) {
        ("say", [_, ..]) => Script::of(vec![answer(Answer::text(rest))]),
        ("think", [_, ..]) => Script::of(vec![answer(Answer::of(vec![
            Block::Thinking(rest.to_owned()),
            Block::Text("thought about it".to_owned()),
        ]))]),
        ("long", [n]) => {
            let n = usize::try_from(number(n)?).ok()?;
            Script::of(vec![answer(Answer::text(markdown(n)))])
        }
        ("slow", [ms, n]) => {
            let (delay_ms, n) = (number(ms)?, times(n)?);
            let text: String = (1..=n).map(|i| format!("piece {i:05} ")).collect();
            Script::of(vec![answer(Answer {
                chunk: "piece 00000 ".len(),
                delay_ms,
                ..Answer::text(text)
            })])
        }
        ("tools", [n]) => {
            let n = number(n)?;
            let mut steps: Vec<Step> = (1..=n)
                .map(|i| answer(Answer::of(vec![harmless(i, n)])))
                .collect();
            steps.push(answer(Answer::text(format!("used {n} tools"))));
            Script::of(steps)
        }
        ("ask", []) => Script::of(vec![
            answer(Answer::of(vec![
                Block::Text("I should like to make a file.".to_owned()),
                Block::Tool {
                    name: "Bash".to_owned(),
                    input: serde_json::json!({"command": "touch asked.txt", "description": "Make a file"}),
                },
            ])),
            answer(Answer::text("{outcome}")),
        ]),
        ("error", [status, more @ ..]) if more.len() < 2 => {
            let status = status
                .parse::<u16>()
                .ok()
                .filter(|s| (400..600).contains(s))?;
            let n = match more.first() {
                Some(n) => Some(times(n)?),
                None => None,
            };
            Script::of(vec![
                Step::Fault(http(status, format!("scripted error {status}")), n),
                answer(Answer::text("ok after the error")),
            ])
        }
        ("reset", more) if more.len() < 2 => {
            let n = more.first().map_or(Some(1), |n| times(n))?;
            Script::of(vec![
                Step::Fault(
                    Trouble::Mid(Answer::text("words of an answer that breaks"), Cut::Reset),
                    Some(n),
                ),
                answer(Answer::text("ok after the reset")),
            ])
        }
        ("hang", []) => Script::of(vec![Step::Fault(
            Trouble::Mid(
                Answer::text("words of an answer that never ends"),
                Cut::Hang,
            ),
            None,
        )]),
        ("die", [how, more @ ..]) if more.is_empty() || more == ["once"] => {
            let how = death(how)?;
            let once = !more.is_empty();
            Script::of(vec![
                Step::Fault(
                    Trouble::Mid(
                        Answer::text("words of an answer that dies"),
                        Cut::Die { how, once },
                    ),
                    Some(1),
                ),
                answer(Answer::text("alive again")),
            ])
        }
        ("spawn", more) if more.len() < 2 => Script {
            spawn: Some(more.first().map_or(Some(300), |n| number(n))?),
            ..Script::of(vec![answer(Answer::text("left a process behind"))])
        },
        ("background", more) if more.len() < 2 => Script {
            background: Some(Background {
                delay_ms: more.first().map_or(Some(200), |n| number(n))?,
                text: "the background work is done".to_owned(),
            }),
            ..Script::of(vec![answer(Answer::text("started"))])
        },
        _ => return None,
    };
    Some(Ok(script))
}

/// An exit code, or the name of a signal with or without `SIG`.
fn death(text: &str) -> Option<Death> {
    if let Ok(code) = text.parse::<u8>() {
        return Some(Death::Code(code.into()));
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    (!name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
    .then(|| Death::Signal(name.to_owned()))
}

fn json(text: &str) -> Result<Script, String> {
    // What follows the JSON (a further paragraph of the same message) is not part of it.
    let value = serde_json::Deserializer::from_str(text)
        .into_iter::<Value>()
        .next()
        .ok_or("empty")?
        .map_err(|e| e.to_string())?;
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut script = Script::of(Vec::new());
    for (at, item) in list.into_iter().enumerate() {
        let Value::Object(map) = item else {
            return Err(format!("step {at} is not an object"));
        };
        step(&mut script, map).map_err(|why| format!("step {at}: {why}"))?;
    }
    Ok(script)
}

/// Takes the keys of a step out of its map, so that what is left over can be complained about.
struct Keys(Map<String, Value>);

impl Keys {
    fn text(&mut self, key: &str) -> Result<Option<String>, String> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{key} is not a text")),
        }
    }

    fn number(&mut self, key: &str) -> Result<Option<u64>, String> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or(format!("{key} is not a number")),
        }
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_bool()
                .map(Some)
                .ok_or(format!("{key} is not true or false")),
        }
    }

    /// `times`: a number, or -1 for ever.
    fn times(&mut self, absent: Option<u32>) -> Result<Option<u32>, String> {
        match self.0.remove("times") {
            None => Ok(absent),
            Some(value) => match value.as_i64() {
                Some(-1) => Ok(None),
                Some(n) => u32::try_from(n)
                    .map(Some)
                    .map_err(|_| "times is out of range".to_owned()),
                None => Err("times is not a number".to_owned()),
            },
        }
    }

    /// Where a connection breaks: `"headers"` is true, `"mid"` is false.
    fn place(&mut self, key: &str) -> Result<Option<bool>, String> {
        match self.text(key)?.as_deref() {
            None => Ok(None),
            Some("headers") => Ok(Some(true)),
            Some("mid") => Ok(Some(false)),
            Some(other) => Err(format!("{key} is headers or mid, not {other}")),
        }
    }
}

fn step(script: &mut Script, map: Map<String, Value>) -> Result<(), String> {
    let mut keys = Keys(map);
    if let Some(seconds) = keys.number("spawn")? {
        script.spawn = Some(seconds);
    }
    if let Some(delay_ms) = keys.number("background")? {
        script.background = Some(Background {
            delay_ms,
            text: "the background work is done".to_owned(),
        });
    }
    let trouble = trouble(&mut keys)?;
    let times = keys.times(None)?;
    let answer = answer(&mut keys)?;
    if let Some(key) = keys.0.keys().next() {
        return Err(format!("unknown key {key}"));
    }
    let step = match trouble {
        None => Step::Answer(answer),
        Some(Found::Whole(trouble)) => Step::Fault(trouble, times),
        Some(Found::Cut(cut)) => Step::Fault(Trouble::Mid(answer, cut), times),
    };
    script.steps.push(step);
    Ok(())
}

enum Found {
    Whole(Trouble),
    Cut(Cut),
}

fn trouble(keys: &mut Keys) -> Result<Option<Found>, String> {
    let once = keys.flag("once")?.unwrap_or(false);
    if let Some(status) = keys.number("error")? {
        let status = u16::try_from(status)
            .ok()
            .filter(|s| (400..600).contains(s))
            .ok_or("error is not a status from 400 to 599")?;
        let Trouble::Http { class, message, .. } = http(status, format!("scripted error {status}"))
        else {
            return Err("no HTTP error".to_owned());
        };
        return Ok(Some(Found::Whole(Trouble::Http {
            status,
            class: keys.text("class")?.unwrap_or(class),
            message: keys.text("message")?.unwrap_or(message),
            retry_after: keys.number("retry_after")?,
            should_retry: keys.flag("should_retry")?,
        })));
    }
    if let Some(class) = keys.text("sse_error")? {
        return Ok(Some(Found::Cut(Cut::SseError(class))));
    }
    if let Some(how) = keys.0.remove("die") {
        let text = how.as_str().map_or_else(|| how.to_string(), str::to_owned);
        let how = death(&text).ok_or("die is neither an exit code nor a signal")?;
        return Ok(Some(Found::Cut(Cut::Die { how, once })));
    }
    if keys.place("eof")?.is_some() {
        return Ok(Some(Found::Cut(Cut::Eof)));
    }
    if let Some(headers) = keys.place("reset")? {
        return Ok(Some(if headers {
            Found::Whole(Trouble::ResetAtOnce)
        } else {
            Found::Cut(Cut::Reset)
        }));
    }
    if let Some(headers) = keys.place("hang")? {
        return Ok(Some(if headers {
            Found::Whole(Trouble::HangAtOnce)
        } else {
            Found::Cut(Cut::Hang)
        }));
    }
    Ok(None)
}

fn answer(keys: &mut Keys) -> Result<Answer, String> {
    let mut answer = Answer::of(Vec::new());
    if let Some(thinking) = keys.text("thinking")? {
        answer.blocks.push(Block::Thinking(thinking));
    }
    let repeat = keys.number("repeat")?.unwrap_or(1);
    if let Some(text) = keys.text("text")? {
        let repeat = usize::try_from(repeat).map_err(|_| "repeat is out of range")?;
        answer.blocks.push(Block::Text(text.repeat(repeat)));
    }
    if let Some(name) = keys.text("tool")? {
        let input = keys
            .0
            .remove("input")
            .unwrap_or_else(|| Value::Object(Map::new()));
        answer.blocks.push(Block::Tool { name, input });
    }
    if let Some(tools) = keys.0.remove("tools") {
        for tool in tools.as_array().ok_or("tools is not a list")? {
            let (Some(name), Some(input)) = (tool.get(0).and_then(Value::as_str), tool.get(1))
            else {
                return Err("tools is not a list of [name, input]".to_owned());
            };
            answer.blocks.push(Block::Tool {
                name: name.to_owned(),
                input: input.clone(),
            });
        }
    }
    if let Some(chunk) = keys.number("chunk")? {
        answer.chunk = usize::try_from(chunk).map_err(|_| "chunk is out of range")?;
    }
    answer.delay_ms = keys.number("delay_ms")?.unwrap_or(0);
    answer.stop_reason = keys.text("stop_reason")?;
    if answer.blocks.is_empty() {
        answer.blocks.push(Block::Text("done".to_owned()));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
