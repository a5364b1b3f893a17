//! What the stand-in says in the demo: slowly enough to be watched, and never without saying what it is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::script::{Answer, Block, Script, Step};

/// How long a tool seems to work.
pub const TOOL_TIME: Duration = Duration::from_millis(1500);

/// Words that lead to what the real program asks people. `None`: they are none of these.
pub fn words(prompt: &str) -> Option<Script> {
    let words: Vec<&str> = prompt.split_whitespace().collect();
    let (about, tool) = match words.as_slice() {
        ["edit"] => ("I should like to change a file.", edit()),
        ["choose"] => (FIRST, choice(vec![database()])),
        ["choose", "several"] => (FIRST, choice(vec![checks(), database()])),
        ["plan"] => ("I have looked around, and this is my plan.", plan()),
        ["table"] => return Some(answer(TABLE.to_owned())),
        _ => return None,
    };
    Some(Script::of(vec![
        Step::Answer(slowly(vec![Block::Text(about.to_owned()), tool])),
        Step::Answer(slowly(vec![Block::Text(
            "The **scripted stand-in** (not Claude) was told:\n\n> {told}\n\n*Nothing is done.*"
                .to_owned(),
        )])),
    ]))
}

/// Before a choice.
const FIRST: &str = "Before I begin, I should like to know something.";

const TABLE: &str = "A table of the **scripted stand-in**; nothing in it was measured:\n\n\
    | Service | State | Memory |\n|:--|:-:|--:|\n| web | runs | 112 MB |\n| database | runs | 1.2 GB |\n\
    | mail | stopped | – |\n";

fn answer(text: String) -> Script {
    Script::of(vec![Step::Answer(slowly(vec![Block::Text(text)]))])
}

fn edit() -> Block {
    Block::Tool {
        name: "Edit".to_owned(),
        input: json!({
            "file_path": "src/retry.rs",
            "old_string": "fn wait(attempt: u32) -> Duration {\n    Duration::from_secs(1)\n}",
            "new_string": "fn wait(attempt: u32) -> Duration {\n    // Twice as long each time.\n    \
                Duration::from_secs(1 << attempt.min(6))\n}",
        }),
    }
}

fn choice(questions: Vec<Value>) -> Block {
    Block::Tool {
        name: "AskUserQuestion".to_owned(),
        input: json!({"questions": questions}),
    }
}

fn database() -> Value {
    json!({"question": "Which database shall it use?", "header": "Database", "multiSelect": false, "options": [
        {"label": "SQLite", "description": "one file, nothing to run"},
        {"label": "PostgreSQL", "description": "a server, for many at once"},
    ]})
}

fn checks() -> Value {
    json!({"question": "What shall be checked?", "header": "Checks", "multiSelect": true, "options": [
        {"label": "Format", "description": "cargo fmt"}, {"label": "Lints", "description": "cargo clippy"},
        {"label": "Tests", "description": "cargo nextest"},
    ]})
}

fn plan() -> Block {
    Block::Tool {
        name: "ExitPlanMode".to_owned(),
        input: json!({"plan": "# Slower retries\n\n1. Let `wait` double with each attempt.\n2. End at **64 s**.\n3. \
            Test the first and the last step.\n"}),
    }
}

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
             - `ask`, `edit`: a question whether a tool may be used\n\
             - `choose`, `choose several`, `plan`: questions of other kinds\n\
             - `table`, `code 1000`: answers that need care on a phone\n\
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
