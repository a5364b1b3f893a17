//! Scripts in JSON.

use serde_json::{Map, Value};

use super::{Answer, Background, Block, Cut, Script, Step, Trouble, http, words::death};

/// Reads a script.
pub fn json(text: &str) -> Result<Script, String> {
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
    let repeat = keys.number("repeat")?.unwrap_or(1);
    let repeat = usize::try_from(repeat).map_err(|_| "repeat is out of range")?;
    if let Some(thinking) = keys.text("thinking")? {
        answer.blocks.push(Block::Thinking(thinking.repeat(repeat)));
    }
    if let Some(text) = keys.text("text")? {
        answer.blocks.push(Block::Text(text.repeat(repeat)));
    }
    if let Some(name) = keys.text("tool")? {
        let mut input = keys
            .0
            .remove("input")
            .unwrap_or_else(|| Value::Object(Map::new()));
        for value in input.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Value::String(text) = value {
                *text = text.repeat(repeat);
            }
        }
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
