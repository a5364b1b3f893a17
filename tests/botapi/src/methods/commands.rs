//! The command list.

use serde_json::{Value, json};

use crate::{
    answer::{ApiError, MethodResult},
    observe::Change,
    request::Params,
    state::State,
    text::utf16_len,
};

const MAX_COMMANDS: usize = 100;
const SCOPES: &[&str] = &[
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
];

/// Key of a scope in the list: its JSON, `{"type":"default"}` where there is none.
pub(crate) fn scope_key(scope: Option<&Value>) -> String {
    scope
        .cloned()
        .unwrap_or_else(|| json!({"type": "default"}))
        .to_string()
}

fn key(params: &Params) -> Result<(String, String), ApiError> {
    let scope = params.json("scope");
    if let Some(scope) = scope {
        let kind = scope
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !SCOPES.contains(&kind) {
            return Err(ApiError::bad_request(
                "can't parse BotCommandScope: Unsupported type specified",
            ));
        }
    }
    Ok((
        scope_key(scope),
        params.text("language_code").unwrap_or_default(),
    ))
}

/// A list of a chat needs the chat.
fn check_chat(state: &State, params: &Params) -> Result<(), ApiError> {
    let chat = params
        .json("scope")
        .and_then(|scope| scope.get("chat_id"))
        .and_then(Value::as_i64);
    match chat {
        Some(id) if !state.chats.contains_key(&id) => Err(ApiError::bad_request("chat not found")),
        _ => Ok(()),
    }
}

pub(super) fn set(state: &mut State, params: &Params) -> MethodResult {
    check_chat(state, params)?;
    let Some(Value::Array(list)) = params.json("commands") else {
        return Err(ApiError::bad_request("expected an Array of BotCommand"));
    };
    if list.len() > MAX_COMMANDS {
        return Err(ApiError::bad_request("BOT_COMMANDS_TOO_MUCH"));
    }
    let mut commands = Vec::new();
    for item in list {
        let field = |name: &str| item.get(name).and_then(Value::as_str);
        let (Some(command), Some(description)) = (field("command"), field("description")) else {
            return Err(ApiError::bad_request(
                "can't parse BotCommand: Can't find field \"command\"",
            ));
        };
        let name = command.trim().trim_start_matches('/');
        let good = (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !good {
            return Err(ApiError::bad_request("BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&utf16_len(description.trim())) {
            return Err(ApiError::bad_request("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
        commands.push(json!({"command": name, "description": description.trim()}));
    }
    state.commands.insert(key(params)?, commands);
    state.news.push(Change::Commands);
    Ok(json!(true))
}

pub(super) fn get(state: &State, params: &Params) -> Value {
    let list = key(params)
        .ok()
        .and_then(|key| state.commands.get(&key))
        .cloned()
        .unwrap_or_default();
    Value::Array(list)
}

pub(super) fn delete(state: &mut State, params: &Params) -> MethodResult {
    check_chat(state, params)?;
    state.commands.remove(&key(params)?);
    state.news.push(Change::Commands);
    Ok(json!(true))
}
