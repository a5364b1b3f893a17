//! Lines of the agent: each says something, and whatever comes in whatever order leaves a turn that is sound.

use std::path::PathBuf;

use serde_json::Value;
use telexd::{
    agent::claude::{Claude, ClaudeConfig},
    core::{
        event::AgentEvent,
        live::Live,
        text::{MESSAGE_SPANS, MESSAGE_UNITS},
        trouble::{Category, Trouble},
        turn::{Effect, Turn},
    },
    gateway::ports::{Answer, Backend},
    telegram::render,
};
use uuid::Uuid;

/// Longest answer that is kept, with the note that it was cut, in bytes.
const ANSWER_BYTES: usize = 600_000;

pub fn holds(data: &[u8]) {
    let agent = Claude::new(Live::new(ClaudeConfig {
        command: "claude".to_owned(),
        directory: PathBuf::from("/"),
        environment_file: None,
        trust_project: false,
        model: None,
        output_limit: 0,
    }));
    let events: Vec<AgentEvent> = data
        .split(|byte| *byte == b'\n')
        .flat_map(|line| {
            let events = agent.decode(line);
            assert!(!events.is_empty(), "a line says nothing at all");
            events
        })
        .collect();
    let asked_for = events.iter().find_map(|event| match event {
        AgentEvent::Prompt { uuid, .. } => Some(*uuid),
        _ => None,
    });
    for event in &events {
        if let AgentEvent::Asked(question) = event {
            for answer in [
                Answer::Allow {
                    input: None,
                    remember: true,
                    edits: true,
                },
                Answer::Deny {
                    message: question.tool.clone(),
                    rule: None,
                },
            ] {
                is_a_line(&agent.answer(question, &answer));
            }
        }
    }
    turn(asked_for, &events);

    let words = String::from_utf8_lossy(data);
    let uuid = Uuid::from_u128(7);
    let line = agent.prompt(uuid, &words, &[]);
    is_a_line(&line);
    assert!(agent.is_prompt(&line, uuid) && !agent.is_prompt(&line, Uuid::nil()));
}

/// The same laws as those of the turn's property tests, for events as lines give them.
fn turn(asked_for: Option<Uuid>, events: &[AgentEvent]) {
    let mut turn = Turn::new(asked_for);
    let mut ends = 0;
    for event in events {
        let before = turn.view();
        let (was_over, tools) = (turn.finished(), turn.tools_begun());
        // After a crash it goes on from what was stored.
        let stored = serde_json::to_string(&turn).expect("a turn can be stored");
        let mut loaded: Turn = serde_json::from_str(&stored).expect("a turn can be loaded");
        assert_eq!(loaded, turn);
        let effects = turn.on(event);
        assert_eq!(loaded.on(event), effects);
        assert!(!was_over || effects.is_empty());
        assert!(turn.view() == before || effects.contains(&Effect::Show));
        ends += effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Finished(_)))
            .count();
        assert!(ends <= 1 && turn.finished() == (ends == 1));
        assert!(turn.tools_begun() >= tools);
        let view = turn.view();
        assert_eq!(view.status.is_none(), turn.finished());
        assert!(view.answer.len() <= ANSWER_BYTES);
        if let Some(status) = view.status {
            assert!(!status.trim().is_empty() && !status.contains('\n'));
            assert!(status.chars().count() <= 120, "{status}");
        }
    }
    for part in render::render(&turn.view().answer) {
        assert!(part.units() <= MESSAGE_UNITS && part.spans.len() <= MESSAGE_SPANS);
    }
    let gone = turn.process_gone(Trouble::new(Category::Generic));
    assert_eq!(gone.is_some(), ends == 0);
}

/// Fails unless it is one line of JSON, whatever it takes for a line's end.
fn is_a_line(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("a line is UTF-8");
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    assert!(text.ends_with('\n') && text.chars().filter(|c| ends(*c)).count() == 1);
    assert!(serde_json::from_str::<Value>(text).is_ok());
}
