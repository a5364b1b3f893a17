mod properties;
mod reading;
mod writing;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    core::{
        event::{AgentEvent, Block, Denial, PromptState, Question, TurnResult},
        mode::PermissionMode,
    },
    gateway::ports::Answer,
};

fn text(line: Vec<u8>) -> String {
    String::from_utf8(line).unwrap()
}

fn question(suggestions: Vec<Value>) -> Question {
    Question {
        request_id: "q-1".to_owned(),
        tool: "Bash".to_owned(),
        input: json!({ "command": "touch x" }),
        suggestions,
        ..Question::default()
    }
}
