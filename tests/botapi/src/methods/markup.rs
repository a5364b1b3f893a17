//! Keyboards.

use serde_json::{Map, Value};

use crate::{answer::ApiError, request::Params};

/// Most bytes of `callback_data`.
const MAX_DATA: usize = 64;
/// Most buttons below a message.
const MAX_BUTTONS: usize = 100;

/// Reads `reply_markup`; an inline keyboard without buttons is none.
pub(crate) fn parse(params: &Params) -> Result<Option<Value>, ApiError> {
    let Some(value) = params.json("reply_markup") else {
        return Ok(None);
    };
    let Some(object) = value.as_object() else {
        return Err(ApiError::bad_request("object expected as reply markup"));
    };
    let Some(rows) = object.get("inline_keyboard") else {
        // Other keyboards change nothing that is observed here.
        return Ok(Some(value.clone()));
    };
    let Some(rows) = rows.as_array() else {
        return Err(ApiError::bad_request(
            "field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays",
        ));
    };
    let mut kept = Vec::new();
    let mut count = 0;
    for row in rows {
        let Some(row) = row.as_array() else {
            return Err(ApiError::bad_request(
                "field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays",
            ));
        };
        let buttons = row.iter().map(button).collect::<Result<Vec<_>, _>>()?;
        count += buttons.len();
        if !buttons.is_empty() {
            kept.push(Value::Array(buttons));
        }
    }
    if count > MAX_BUTTONS {
        return Err(ApiError::bad_request("reply markup is too long"));
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let mut markup = Map::new();
    markup.insert("inline_keyboard".to_owned(), Value::Array(kept));
    Ok(Some(Value::Object(markup)))
}

fn button(value: &Value) -> Result<Value, ApiError> {
    let Some(object) = value.as_object() else {
        return Err(ApiError::bad_request(
            "can't parse inline keyboard button: InlineKeyboardButton must be an Object",
        ));
    };
    let Some(text) = object.get("text").and_then(Value::as_str) else {
        return Err(ApiError::bad_request(
            "can't parse inline keyboard button: Can't find field \"text\"",
        ));
    };
    if text.trim().is_empty() {
        return Err(ApiError::bad_request(
            "inline keyboard button text must be non-empty",
        ));
    }
    if let Some(data) = object.get("callback_data") {
        let length = data.as_str().map_or(0, str::len);
        if length == 0 || length > MAX_DATA {
            return Err(ApiError::bad_request("BUTTON_DATA_INVALID"));
        }
        return Ok(value.clone());
    }
    if let Some(url) = object.get("url") {
        let good = url.as_str().is_some_and(|u| {
            ["http://", "https://", "tg://"]
                .iter()
                .any(|scheme| u.starts_with(scheme))
                || (u.contains('.') && !u.contains(' '))
        });
        return if good {
            Ok(value.clone())
        } else {
            Err(ApiError::bad_request("BUTTON_URL_INVALID"))
        };
    }
    if let Some(copy) = object.get("copy_text") {
        let units = copy
            .get("text")
            .and_then(Value::as_str)
            .map_or(0, crate::text::utf16_len);
        return if (1..=256).contains(&units) {
            Ok(value.clone())
        } else {
            Err(ApiError::bad_request("BUTTON_COPY_TEXT_INVALID"))
        };
    }
    for known in [
        "login_url",
        "web_app",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "pay",
        "callback_game",
    ] {
        if object.contains_key(known) {
            return Ok(value.clone());
        }
    }
    Err(ApiError::bad_request(
        "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    ))
}
