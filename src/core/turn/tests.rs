mod activity;
mod ends;
mod properties;
mod words;

use serde_json::Value;

use super::*;

const PROMPT: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn turn() -> Turn {
    Turn::new(Some(PROMPT))
}

fn prompt(state: PromptState) -> AgentEvent {
    AgentEvent::Prompt {
        uuid: PROMPT,
        state,
    }
}

fn init() -> AgentEvent {
    AgentEvent::Init {
        session_id: Some(Uuid::from_u128(77)),
        model: None,
        version: None,
        directory: Some("/srv/project".to_owned()),
    }
}

fn message(id: &str) -> AgentEvent {
    AgentEvent::MessageStart {
        message_id: id.to_owned(),
    }
}

fn block(index: u32) -> AgentEvent {
    AgentEvent::BlockStart {
        index,
        block: Block::Text,
    }
}

fn delta(index: u32, text: &str) -> AgentEvent {
    AgentEvent::TextDelta {
        index,
        text: text.to_owned(),
    }
}

fn text(message: &str, text: &str) -> AgentEvent {
    AgentEvent::Text {
        message_id: message.to_owned(),
        text: text.to_owned(),
    }
}

fn abandoned(message: &str, from_index: u32) -> AgentEvent {
    AgentEvent::Abandoned {
        message_id: message.to_owned(),
        from_index,
    }
}

fn tool(id: &str, name: &str, input: Value) -> AgentEvent {
    AgentEvent::Tool {
        message_id: "m".to_owned(),
        id: id.to_owned(),
        name: name.to_owned(),
        input,
    }
}

fn tool_result(id: &str) -> AgentEvent {
    AgentEvent::ToolResult {
        id: id.to_owned(),
        is_error: false,
    }
}

fn retry() -> AgentEvent {
    AgentEvent::Retry {
        attempt: 2,
        max: 3,
        delay_ms: 7_001,
        status: Some(529),
        error: "overloaded".to_owned(),
    }
}

fn asked(id: &str, tool: &str, call: &str) -> AgentEvent {
    AgentEvent::Asked(Question {
        request_id: id.to_owned(),
        tool: tool.to_owned(),
        input: Value::Null,
        tool_use_id: Some(call.to_owned()),
        ..Question::default()
    })
}

fn completed(words: &str) -> TurnResult {
    TurnResult {
        subtype: "success".to_owned(),
        terminal_reason: Some("completed".to_owned()),
        text: Some(words.to_owned()),
        prompts: vec![PROMPT],
        total_cost_usd: Some(0.5),
        duration_ms: Some(12),
        ..TurnResult::default()
    }
}

fn failed(subtype: &str, reason: Option<&str>) -> TurnResult {
    TurnResult {
        subtype: subtype.to_owned(),
        is_error: true,
        terminal_reason: reason.map(str::to_owned),
        prompts: vec![PROMPT],
        ..TurnResult::default()
    }
}

/// All effects of these events.
fn feed(turn: &mut Turn, events: &[AgentEvent]) -> Vec<Effect> {
    events.iter().flat_map(|event| turn.on(event)).collect()
}

/// The answer after these events.
fn answer(events: &[AgentEvent]) -> String {
    let mut turn = turn();
    feed(&mut turn, events);
    turn.view().answer
}

/// The ending after these events, the last of which must end the turn.
fn ending(events: &[AgentEvent]) -> Ending {
    let mut turn = turn();
    let effects = feed(&mut turn, events);
    let [.., Effect::Finished(outcome)] = &effects[..] else {
        panic!("{effects:?}");
    };
    outcome.ending.clone()
}

fn sentence(ending: Ending) -> String {
    match ending {
        Ending::Failed(trouble) => trouble.sentence(),
        other => panic!("{other:?}"),
    }
}

fn status(turn: &Turn) -> String {
    turn.view().status.unwrap()
}
