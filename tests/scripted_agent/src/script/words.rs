//! Directives.

use super::{Answer, Background, Block, Cut, Death, Script, Step, Trouble, http, markdown};

/// A harmless tool call that is allowed without a question.
fn harmless(number: u64, of: u64) -> Block {
    Block::Tool {
        name: "Bash".to_owned(),
        input: serde_json::json!({"command": format!("echo tool {number} of {of}"), "description": format!("Count to {number}")}),
    }
}

/// A directive. `None` if the words are not one.
pub fn words(prompt: &str) -> Option<Result<Script, String>> {
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
        ("code", [n]) => {
            let lines: String = (1..=number(n)?.min(20_000))
                .map(|i| format!("let number_{i} = compute_it({i});\n"))
                .collect();
            let text =
                format!("Here is `src/main.rs`:\n\n```rust\n{lines}```\n\nThat is all of it.");
            Script::of(vec![answer(Answer {
                chunk: 400,
                ..Answer::text(text)
            })])
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
        ("beat", [ms, n]) => {
            let (ms, n) = (number(ms)?, times(n)?);
            Script::of(vec![
                answer(Answer::of(vec![Block::Tool {
                    name: "Bash".to_owned(),
                    input: serde_json::json!({"command": format!("echo {rest}"), "beats": n, "beat_ms": ms}),
                }])),
                answer(Answer::text("the tool is done")),
            ])
        }
        ("hang", more) if more.is_empty() || more == ["deaf"] => Script {
            deaf: !more.is_empty(),
            ..Script::of(vec![Step::Fault(
                Trouble::Mid(
                    Answer::text("words of an answer that never ends"),
                    Cut::Hang,
                ),
                None,
            )])
        },
        ("mute", more) if more.is_empty() || more == ["deaf"] => Script {
            mute: true,
            deaf: !more.is_empty(),
            ..Script::of(Vec::new())
        },
        ("limp", [_, ..]) => Script {
            limp: true,
            ..Script::of(vec![answer(Answer::text(rest))])
        },
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
        ("load", ["memory" | "processors" | "processes", _, ..]) => Script::of(vec![
            answer(Answer::of(vec![
                Block::Text("words before the load".to_owned()),
                Block::Tool {
                    name: "Bash".to_owned(),
                    input: serde_json::json!({"command": format!("echo {rest}"), "load": rest}),
                },
            ])),
            answer(Answer::text(format!("carried the load: {rest}"))),
        ]),
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
pub fn death(text: &str) -> Option<Death> {
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
