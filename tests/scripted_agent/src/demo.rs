//! What the stand-in says in the demo: slowly enough to be watched, and never without saying what it is.

use std::time::Duration;

use serde_json::json;

use crate::script::{Answer, Block, Script, Step};

/// How long a tool seems to work.
pub const TOOL_TIME: Duration = Duration::from_millis(1500);

/// What is done with an ordinary prompt. `earlier` is the number of answers that the session has had.
pub fn script(prompt: &str, earlier: usize) -> Script {
    let quoted: Vec<String> = prompt.lines().map(|line| format!("> {line}")).collect();
    let quoted = quoted.join("\n");
    if earlier == 0 {
        return Script::of(vec![Step::Answer(slowly(vec![Block::Text(format!(
            "**I am a scripted stand-in, not Claude.** No model reads this; I am here so that you can see how telexd \
             behaves. You wrote:\n\n{quoted}\n\nThings to try:\n\n\
             - `long 6000`: an answer that needs more than one message\n\
             - `slow 300 x30`: an answer that takes its time; press *Stop* in the middle\n\
             - `tools 5`: work with tools\n\
             - `ask`: a question whether a tool may be used\n\
             - `error 429 x2`: the model's service is busy\n\
             - anything else: I pretend to use tools\n\n\
             ```rust\nfn main() {{\n    println!(\"code keeps its language\");\n}}\n```\n"
        ))]))]);
    }
    let tool = |name: &str, input| Block::Tool {
        name: name.to_owned(),
        input,
    };
    Script::of(vec![
        Step::Answer(slowly(vec![
            Block::Text("I look where that is, and read it.".to_owned()),
            tool("Grep", json!({"pattern": longest_word(prompt)})),
        ])),
        Step::Answer(slowly(vec![tool(
            "Read",
            json!({"file_path": "src/main.rs"}),
        )])),
        Step::Answer(slowly(vec![Block::Text(format!(
            "Answer {} of the **scripted stand-in** (not Claude): *nothing was searched or read*, but this is how it \
             looks when an agent works. You wrote:\n\n{quoted}\n",
            earlier + 1
        ))])),
    ])
}

fn slowly(blocks: Vec<Block>) -> Answer {
    Answer {
        chunk: 24,
        delay_ms: 40,
        ..Answer::of(blocks)
    }
}

fn longest_word(prompt: &str) -> &str {
    prompt
        .split(|c: char| !c.is_alphanumeric())
        .max_by_key(|word| word.len())
        .unwrap_or_default()
}
