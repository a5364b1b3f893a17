//! Files up and down.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{markup, messages, thread, writable_chat};
use crate::{
    answer::{ApiError, MethodResult},
    config::Config,
    observe::ShownFile,
    request::Params,
    state::{Message, State, StoredFile},
};

/// Largest photo that a bot may send.
const MAX_PHOTO: u64 = 10_000_000;
/// Files that are kept; then the oldest go.
const MAX_FILES: usize = 10_000;

/// Keeps a file and gives its `file_id`.
pub(crate) fn store(
    state: &mut State,
    kind: &'static str,
    name: Option<&str>,
    mime: Option<&str>,
    bytes: Bytes,
    claimed: Option<u64>,
) -> String {
    let number = state.next_file;
    state.next_file += 1;
    let extension = name.and_then(|n| n.rsplit_once('.')).map_or_else(
        || {
            if kind == "photo" {
                ".jpg".to_owned()
            } else {
                String::new()
            }
        },
        |(_, e)| format!(".{e}"),
    );
    let folder = if kind == "photo" {
        "photos"
    } else {
        "documents"
    };
    let (width, height) = image_size(&bytes).unwrap_or((800, 600));
    let id = format!("BQACAgIAAxk{number:08}file");
    let file = StoredFile {
        kind,
        unique_id: format!("AgAD{number:08}"),
        path: format!("{folder}/file_{number}{extension}"),
        name: name.map(str::to_owned),
        mime: mime.map(str::to_owned),
        size: claimed.unwrap_or(bytes.len() as u64),
        bytes,
        width,
        height,
    };
    if state.files.len() >= MAX_FILES {
        // Their names count up, so this is the oldest.
        state.files.pop_first();
    }
    state.files.insert(id.clone(), file);
    id
}

/// Width and height in a PNG's head.
fn image_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some((word(16)?, word(20)?))
}

fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
        || bytes.starts_with(&[0xff, 0xd8, 0xff])
        || bytes.starts_with(b"GIF8")
        || bytes.get(8..12) == Some(b"WEBP")
}

/// What a message shows of its file.
pub(crate) fn shown(state: &State, file_id: &str) -> Option<ShownFile> {
    let file = state.files.get(file_id)?;
    Some(ShownFile {
        kind: file.kind.to_owned(),
        file_id: file_id.to_owned(),
        name: file.name.clone(),
        size: file.size,
    })
}

pub(super) fn get_file(state: &State, config: &Config, params: &Params) -> MethodResult {
    let Some(id) = params.word("file_id") else {
        return Err(ApiError::bad_request("file_id not specified"));
    };
    let Some(file) = state.files.get(&id) else {
        return Err(ApiError::bad_request(
            "wrong file_id or the file is temporarily unavailable",
        ));
    };
    if file.size > config.max_download {
        return Err(ApiError::bad_request("file is too big"));
    }
    Ok(
        json!({"file_id": id, "file_unique_id": file.unique_id, "file_size": file.size, "file_path": file.path}),
    )
}

pub(super) fn send(
    state: &mut State,
    config: &Config,
    params: &Params,
    kind: &'static str,
    now_ms: i64,
) -> MethodResult {
    let caption = messages::read_text(params, messages::Field::Caption)?;
    let markup = markup::parse(params)?;
    let word = params.text(kind).unwrap_or_default();
    let part = word.strip_prefix("attach://").unwrap_or(kind);
    let file_id = if let Some(upload) = params.files.get(part) {
        if upload.bytes.is_empty() {
            return Err(ApiError::bad_request("file must be non-empty"));
        }
        let size = upload.bytes.len() as u64;
        if kind == "photo" && size > MAX_PHOTO {
            return Err(ApiError::bad_request(format!(
                "file of size {size} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes"
            )));
        }
        if size > config.max_upload {
            return Err(ApiError::new(413, "Request Entity Too Large"));
        }
        if kind == "photo" && !is_image(&upload.bytes) {
            return Err(ApiError::bad_request("IMAGE_PROCESS_FAILED"));
        }
        Err(upload.clone())
    } else if word.is_empty() || word.starts_with("attach://") {
        return Err(ApiError::bad_request(format!(
            "there is no {kind} in the request"
        )));
    } else if word.starts_with("http://") || word.starts_with("https://") {
        return Err(ApiError::bad_request("failed to get HTTP URL content"));
    } else if state.files.contains_key(&word) {
        Ok(word)
    } else {
        return Err(ApiError::bad_request(
            "wrong file identifier/HTTP URL specified",
        ));
    };
    let chat = writable_chat(state, params)?;
    let thread = thread(state, chat, params)?;
    let reply_to = messages::reply_target(state, chat, params)?;
    messages::admit(state, chat, now_ms)?;
    let file_id = match file_id {
        Ok(known) => known,
        Err(upload) => {
            let name = (kind != "photo").then_some(upload.name.as_str());
            store(
                state,
                kind,
                name,
                upload.mime.as_deref(),
                upload.bytes,
                None,
            )
        }
    };
    let id = state.take_message_id(chat);
    let mut message = Message::new(id, now_ms, state.bot_id, true, caption.0, caption.1);
    message.thread = thread;
    message.reply_to = reply_to;
    message.markup = markup;
    message.shown_file = shown(state, &file_id);
    message.file = Some(file_id);
    state.put_message(chat, message);
    let body: Value = state.message_json(chat, id);
    Ok(body)
}
