//! The methods, but for getUpdates, which waits.

mod chats;
mod commands;
mod files;
mod markup;
mod messages;
mod webhook;

pub(crate) use commands::scope_key;
pub(crate) use files::{shown, store};

use serde_json::{Value, json};

use crate::{
    answer::{ApiError, MethodResult},
    config::Config,
    request::Params,
    state::{Chat, ChatKind, State},
};

/// Methods that the server has, in Telegram's spelling.
const METHODS: &[&str] = &[
    "answerCallbackQuery",
    "deleteMessage",
    "deleteMessages",
    "deleteMyCommands",
    "deleteWebhook",
    "editMessageReplyMarkup",
    "editMessageText",
    "getChat",
    "getFile",
    "getMe",
    "getMyCommands",
    "getUpdates",
    "getWebhookInfo",
    "sendChatAction",
    "sendDocument",
    "sendMessage",
    "sendMessageDraft",
    "sendPhoto",
    "setMyCommands",
    "setWebhook",
];

/// Telegram's spelling of a method, whatever the case of its letters.
pub(crate) fn spelling(method: &str) -> Option<&'static str> {
    METHODS
        .iter()
        .find(|m| m.eq_ignore_ascii_case(method))
        .copied()
}

/// Runs a method.
pub(crate) fn run(
    state: &mut State,
    config: &Config,
    method: &str,
    params: &Params,
) -> MethodResult {
    let now_ms = config.clock.now_ms();
    match method {
        "getMe" => Ok(get_me(state, config)),
        "sendMessage" => messages::send(state, params, now_ms),
        "editMessageText" => messages::edit_text(state, params, now_ms),
        "editMessageReplyMarkup" => messages::edit_markup(state, params, now_ms),
        "deleteMessage" => messages::delete(state, params, now_ms),
        "deleteMessages" => messages::delete_many(state, params, now_ms),
        "sendMessageDraft" => messages::draft(state, params, now_ms),
        "sendChatAction" => chats::action(state, params, now_ms),
        "answerCallbackQuery" => chats::answer_callback(state, params, now_ms),
        "getChat" => chats::get_chat(state, params),
        "setMyCommands" => commands::set(state, params),
        "getMyCommands" => Ok(commands::get(state, params)),
        "deleteMyCommands" => commands::delete(state, params),
        "getFile" => files::get_file(state, config, params),
        "sendDocument" => files::send(state, config, params, "document", now_ms),
        "sendPhoto" => files::send(state, config, params, "photo", now_ms),
        "setWebhook" => webhook::set(state, params),
        "deleteWebhook" => Ok(webhook::delete(state, params)),
        "getWebhookInfo" => Ok(webhook::info(state, now_ms)),
        _ => Err(ApiError::new(404, "Not Found: method not found")),
    }
}

fn get_me(state: &State, config: &Config) -> Value {
    let mut me = state.bot_user.clone();
    me["can_join_groups"] = json!(true);
    me["can_read_all_group_messages"] = json!(config.can_read_all_group_messages);
    me["supports_inline_queries"] = json!(false);
    me["can_connect_to_business"] = json!(false);
    me["has_main_web_app"] = json!(false);
    me["has_topics_enabled"] = json!(config.has_topics_enabled);
    me["allows_users_to_create_topics"] = json!(config.has_topics_enabled);
    me
}

/// The chat that a request names, if the bot may write there.
pub(crate) fn writable_chat(state: &State, params: &Params) -> Result<i64, ApiError> {
    let id = known_chat(state, params)?;
    let Some(chat) = state.chats.get(&id) else {
        return Err(ApiError::bad_request("chat not found"));
    };
    check_writable(state, chat)?;
    Ok(id)
}

fn check_writable(state: &State, chat: &Chat) -> Result<(), ApiError> {
    if let Some(to) = chat.migrated_to {
        return Err(ApiError::migrated(to));
    }
    match chat.kind {
        ChatKind::Private if state.people.get(&chat.id).is_some_and(|p| p.blocked_bot) => {
            Err(ApiError::forbidden("bot was blocked by the user"))
        }
        ChatKind::Group if chat.kicked => {
            Err(ApiError::forbidden("bot was kicked from the group chat"))
        }
        ChatKind::Supergroup if chat.kicked => Err(ApiError::forbidden(
            "bot was kicked from the supergroup chat",
        )),
        _ => Ok(()),
    }
}

/// The chat that a request names.
pub(crate) fn known_chat(state: &State, params: &Params) -> Result<i64, ApiError> {
    let Some(text) = params.word("chat_id") else {
        return Err(ApiError::bad_request("chat_id is empty"));
    };
    let found = match text.strip_prefix('@') {
        Some(name) => state
            .chats
            .values()
            .find(|c| c.is_group() && c.username.as_deref() == Some(name)),
        None => text.parse::<i64>().ok().and_then(|id| state.chats.get(&id)),
    };
    found
        .map(|c| c.id)
        .ok_or_else(|| ApiError::bad_request("chat not found"))
}

/// The topic that a request names, if it is there.
pub(crate) fn thread(state: &State, chat: i64, params: &Params) -> Result<Option<i64>, ApiError> {
    let Some(thread) = params.number("message_thread_id").filter(|t| *t != 0) else {
        return Ok(None);
    };
    let known = state
        .chats
        .get(&chat)
        .is_some_and(|c| c.topics.contains(&thread));
    if known {
        Ok(Some(thread))
    } else {
        Err(ApiError::bad_request("message thread not found"))
    }
}
