//! Chat actions, pressed buttons, chats themselves.

use serde_json::json;

use super::{known_chat, thread, writable_chat};
use crate::{
    answer::{ApiError, MethodResult},
    observe::{CallbackAnswer, ShownAction},
    request::Params,
    state::{CALLBACK_TTL_MS, ChatKind, State},
    text::utf16_len,
};

const ACTIONS: &[&str] = &[
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

pub(super) fn action(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let Some(action) = params
        .word("action")
        .filter(|a| ACTIONS.contains(&a.as_str()))
    else {
        return Err(ApiError::bad_request("wrong parameter action in request"));
    };
    let chat_id = writable_chat(state, params)?;
    let thread_id = thread(state, chat_id, params)?;
    state.note_action(ShownAction {
        chat_id,
        thread_id,
        action,
        at: now_ms,
    });
    Ok(json!(true))
}

pub(super) fn answer_callback(state: &mut State, params: &Params, now_ms: i64) -> MethodResult {
    let id = params.text("callback_query_id").unwrap_or_default();
    let text = params.word("text");
    let known = state
        .callbacks
        .get(&id)
        .filter(|c| now_ms - c.at_ms <= CALLBACK_TTL_MS)
        .map(|c| c.user);
    let Some(user_id) = known else {
        return Err(ApiError::bad_request(
            "query is too old and response timeout expired or query ID is invalid",
        ));
    };
    if text.as_deref().is_some_and(|t| utf16_len(t) > 200) {
        return Err(ApiError::bad_request("MESSAGE_TOO_LONG"));
    }
    state.note_callback_answer(CallbackAnswer {
        id,
        user_id,
        text,
        show_alert: params.flag("show_alert"),
        at: now_ms,
    });
    Ok(json!(true))
}

pub(super) fn get_chat(state: &State, params: &Params) -> MethodResult {
    let id = known_chat(state, params)?;
    let Some(chat) = state.chats.get(&id) else {
        return Err(ApiError::bad_request("chat not found"));
    };
    let mut body = chat.json();
    body["accent_color_id"] = json!(0);
    body["max_reaction_count"] = json!(11);
    body["accepted_gift_types"] = json!({
        "unlimited_gifts": true, "limited_gifts": true, "unique_gifts": true,
        "premium_subscription": true, "gifts_from_channels": true,
    });
    match chat.kind {
        ChatKind::Private => {
            if let Some(name) = state.people.get(&id).and_then(|p| p.username.as_ref()) {
                body["username"] = json!(name);
                body["active_usernames"] = json!([name]);
            }
        }
        ChatKind::Group | ChatKind::Supergroup => {
            body["permissions"] = json!({
                "can_send_messages": true, "can_send_audios": true, "can_send_documents": true,
                "can_send_photos": true, "can_send_videos": true, "can_send_video_notes": true,
                "can_send_voice_notes": true, "can_send_polls": true, "can_send_other_messages": true,
                "can_add_web_page_previews": true, "can_change_info": false, "can_invite_users": true,
                "can_pin_messages": false, "can_manage_topics": false,
            });
            body["join_to_send_messages"] = json!(true);
        }
    }
    Ok(body)
}
