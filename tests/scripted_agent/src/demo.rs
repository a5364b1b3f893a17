//! What the stand-in says in the demo.

use crate::script::Answer;

/// Answer to an ordinary prompt. `earlier` is the number of answers that the session has had.
pub fn answer(prompt: &str, earlier: usize) -> Answer {
    let quoted: Vec<String> = prompt.lines().map(|line| format!("> {line}")).collect();
    let quoted = quoted.join("\n");
    let text = if earlier == 0 {
        format!(
            "**I am a scripted stand-in, not Claude.** No model reads this; I am here so that you can see how telexd \
             behaves. You wrote:\n\n{quoted}\n\nThings to try:\n\n\
             - `long 6000`: an answer that needs more than one message\n\
             - `slow 300 x30`: an answer that takes its time; press *Stop* in the middle\n\
             - `tools 5`: work with tools\n\
             - `ask`: a question whether a tool may be used\n\
             - `error 429 x2`: the model's service is busy\n\n\
             ```rust\nfn main() {{\n    println!(\"code keeps its language\");\n}}\n```\n"
        )
    } else {
        format!(
            "Answer {} of the *scripted stand-in* (not Claude). You wrote:\n\n{quoted}\n",
            earlier + 1
        )
    };
    Answer {
        chunk: 24,
        delay_ms: 40,
        ..Answer::text(text)
    }
}
