//! What a request is about: the prompt, and how far its answer is. Pure.

use serde_json::Value;

/// What the agent asks of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// Session id, where the agent sends one.
    pub session: Option<String>,
    /// The last prompt. Several that waited together are one text, joined by line ends; one that was broken off before
    /// its first word stands before it in the same message and is not part of it.
    pub prompt: String,
    /// Messages of the model after it.
    pub answered: usize,
    /// Whether the last tool came back without an error.
    pub allowed: bool,
    /// What that came back with, as text.
    pub told: String,
    /// Prompts that came while the agent worked on the last one, and were put into the conversation between its tools.
    pub folded: Vec<String>,
    /// Every prompt of the conversation, in order; a text that was given twice is there twice.
    pub prompts: Vec<String>,
    /// Model that is asked.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// Beginnings of what the CLI itself puts into the conversation as the user's words.
const NOT_PROMPTS: &[&str] = &[
    "<system-reminder>",
    "<task-notification>",
    "<local-command",
    "[Request interrupted by user",
    // Where it keeps its own copy of an image.
    "[Image: source:",
    "Output token limit hit",
    "Your response above was stopped",
];

/// What the CLI puts around a prompt that comes while it works.
const FOLDED: (&str, &str) = (
    "The user sent a new message while you were working:\n",
    "\n\nThis is how Claude Code surfaces messages",
);

/// The texts of a message.
fn texts_of(message: &Value) -> Vec<&str> {
    match &message["content"] {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks
            .iter()
            .filter(|b| b["type"] == "text")
            .filter_map(|b| b["text"].as_str())
            .collect(),
        _ => Vec::new(),
    }
}

/// The texts of a message that are prompts.
fn prompts_of(message: &Value) -> Vec<String> {
    let prompt = |text: &&str| {
        !NOT_PROMPTS
            .iter()
            .any(|start| text.trim_start().starts_with(start))
            && !text.trim().is_empty()
    };
    texts_of(message)
        .into_iter()
        .filter(prompt)
        .map(str::to_owned)
        .collect()
}

impl Ask {
    /// Reads the body of a request.
    #[must_use]
    pub fn read(body: &Value, session: Option<String>) -> Self {
        let mut ask = Self {
            session,
            allowed: true,
            told: String::new(),
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            ..Self::default()
        };
        for message in body["messages"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
        {
            if message["role"] == "assistant" {
                ask.answered += 1;
                continue;
            }
            for block in message["content"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default()
            {
                if block["type"] == "tool_result" {
                    ask.allowed = block["is_error"] != true;
                    let parts = block["content"].as_array().into_iter().flatten();
                    let parts: String = parts.filter_map(|part| part["text"].as_str()).collect();
                    let whole = block["content"].as_str().map(str::to_owned);
                    ask.told = whole.unwrap_or(parts);
                }
            }
            let inner = |part: &str| Some(part.split_once(FOLDED.1)?.0.to_owned());
            let folded: Vec<String> = texts_of(message)
                .iter()
                .flat_map(|text| text.split(FOLDED.0).skip(1))
                .filter_map(inner)
                .collect();
            ask.prompts.extend(folded.iter().cloned());
            ask.folded.extend(folded);
            // The CLI also sends messages of the role `system`.
            if message["role"] != "user" {
                continue;
            }
            let prompts = prompts_of(message);
            if let Some(last) = prompts.last() {
                ask.prompt.clone_from(last);
                ask.answered = 0;
                ask.folded.clear();
                ask.prompts.extend(prompts);
            }
        }
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_prompt_and_the_answers_after_it() {
        let body = json!({"model": "m", "stream": true, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "one"}]},
            {"role": "system", "content": [{"type": "text", "text": "not a prompt"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
            {"role": "user", "content": [{"type": "text", "text": "[Request interrupted by user]"}, {"type": "text", "text": "two"}, {"type": "text", "text": "three"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "is_error": true, "content": "no"}]},
            {"role": "system", "content": "The user sent a new message while you were working:\nfour\nlines\n\nThis is how Claude Code surfaces messages the user sends mid-turn."},
        ]});
        let ask = Ask::read(&body, None);
        assert_eq!((ask.prompt.as_str(), ask.answered), ("three", 1));
        assert_eq!(ask.prompts, ["one", "two", "three", "four\nlines"]);
        assert_eq!(ask.folded, ["four\nlines"]);
        assert!(!ask.allowed && ask.stream);
    }

    #[test]
    fn odd_bodies() {
        for body in [
            json!(null),
            json!({}),
            json!({"messages": 3}),
            json!({"messages": [1, {"role": "user"}]}),
        ] {
            assert_eq!(Ask::read(&body, None).prompt, "");
        }
        let plain = json!({"messages": [{"role": "user", "content": "hello"}]});
        assert_eq!(Ask::read(&plain, None).prompt, "hello");
    }
}
