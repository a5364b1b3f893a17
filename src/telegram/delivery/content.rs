//! What is wanted, as the calls of the Bot API that bring it about. Pure.

use serde::Serialize;
use teloxide_core::{
    payloads::{EditMessageText, SendMessage},
    types::{
        ChatId, InlineKeyboardButton, InlineKeyboardButtonKind, InlineKeyboardMarkup,
        LinkPreviewOptions, MessageEntity, MessageEntityKind, MessageId, Recipient, ReplyMarkup,
        ReplyParameters, ThreadId,
    },
};
use url::Url;

use crate::{
    core::{
        text::{Formatted, Look, MESSAGE_SPANS, MESSAGE_UNITS, Shown, Span, units},
        words::{CUT_NOTE, REPEAT_MARK},
    },
    gateway::ports::DraftPlace,
    store::rows::Target,
};

/// What the mark brings back where it has to be a button.
const REPEAT_DATA: &str = "noop";

/// UTF-16 units that are kept of a text that Telegram refused as too long.
const CUT_UNITS: usize = 3500;

/// Most UTF-16 units of a caption.
const CAPTION_UNITS: usize = 1024;

/// Shown in place of an empty text, which Telegram refuses.
const NOTHING: &str = "…";

/// How a message goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dress {
    /// Without entities.
    pub plain: bool,
    /// With the mark that it may be a second copy.
    pub repeat: bool,
    /// Cut to a length that is surely taken.
    pub cut: bool,
    /// Into the chat instead of the topic.
    pub no_thread: bool,
    /// Without reference to the message that it answers.
    pub no_reply: bool,
    /// Without buttons.
    pub no_buttons: bool,
}

/// An id that does not fit the Bot API's 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id {0} is not one of Telegram's")]
pub struct BadId(pub i64);

/// A message id in the library's form.
///
/// # Errors
/// [`BadId`] if it is larger than Telegram's can be.
pub fn message_id(id: i64) -> Result<MessageId, BadId> {
    i32::try_from(id).map(MessageId).map_err(|_| BadId(id))
}

/// A chat in the library's form.
#[must_use]
pub fn recipient(chat_id: i64) -> Recipient {
    Recipient::Id(ChatId(chat_id))
}

/// A topic in the library's form; none for 0.
///
/// # Errors
/// [`BadId`] if it is larger than Telegram's can be.
pub fn thread(thread_id: i64) -> Result<Option<ThreadId>, BadId> {
    if thread_id == 0 {
        return Ok(None);
    }
    message_id(thread_id).map(|id| Some(ThreadId(id)))
}

/// A new message.
///
/// # Errors
/// [`BadId`] if topic or reply have impossible ids.
pub fn new_message(target: Target, shown: &Shown, dress: Dress) -> Result<SendMessage, BadId> {
    let (text, entities, markup) = parts(shown, dress);
    let mut message = SendMessage::new(recipient(target.chat_id), text);
    message.entities = entities;
    message.reply_markup = markup.map(ReplyMarkup::InlineKeyboard);
    message.link_preview_options = Some(no_preview());
    if !dress.no_thread {
        message.message_thread_id = thread(target.thread_id)?;
    }
    if let Some(reply_to) = shown.reply_to.filter(|_| !dress.no_reply) {
        message.reply_parameters =
            Some(ReplyParameters::new(message_id(reply_to)?).allow_sending_without_reply());
    }
    Ok(message)
}

/// What goes beside a file. Our own, because the library's holds the file itself.
#[derive(Clone, Debug, Serialize)]
pub struct DocumentFields {
    chat_id: i64,
    caption: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<ThreadId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_parameters: Option<ReplyParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<InlineKeyboardMarkup>,
    /// Else a server guesses what the file might be, from its name.
    disable_content_type_detection: bool,
}

/// A new message that is a file.
///
/// # Errors
/// [`BadId`] if topic or reply have impossible ids.
pub fn document(target: Target, shown: &Shown, dress: Dress) -> Result<DocumentFields, BadId> {
    let (text, _, reply_markup) = parts(shown, dress);
    let reply_to = shown.reply_to.filter(|_| !dress.no_reply);
    let reply_to = reply_to.map(message_id).transpose()?;
    Ok(DocumentFields {
        chat_id: target.chat_id,
        caption: first_units(&text, CAPTION_UNITS).to_owned(),
        message_thread_id: if dress.no_thread {
            None
        } else {
            thread(target.thread_id)?
        },
        reply_parameters: reply_to.map(|id| ReplyParameters::new(id).allow_sending_without_reply()),
        reply_markup,
        disable_content_type_detection: true,
    })
}

/// New content of a message.
///
/// # Errors
/// [`BadId`] if the message id is impossible.
pub fn edited_message(
    chat_id: i64,
    id: i64,
    shown: &Shown,
    dress: Dress,
) -> Result<EditMessageText, BadId> {
    let (text, entities, markup) = parts(shown, dress);
    let mut edit = EditMessageText::new(recipient(chat_id), message_id(id)?, text);
    edit.entities = entities;
    edit.reply_markup = markup;
    edit.link_preview_options = Some(no_preview());
    Ok(edit)
}

/// A draft. Our own, because the library is of a time before them.
#[derive(Clone, Debug, Serialize)]
pub struct SendMessageDraft {
    chat_id: i64,
    draft_id: i64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<ThreadId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<Vec<MessageEntity>>,
    can_stop: bool,
    /// What is there stays until the whole answer comes, however far it is.
    keep_on_stop: bool,
}

/// The draft that shows this.
///
/// # Errors
/// [`BadId`] if the topic has an impossible id.
pub fn draft(place: DraftPlace, body: &Formatted) -> Result<SendMessageDraft, BadId> {
    let shown = Shown {
        body: body.clone(),
        ..Shown::default()
    };
    let (text, entities, _) = parts(&shown, Dress::default());
    Ok(SendMessageDraft {
        chat_id: place.chat_id,
        draft_id: place.id,
        text,
        message_thread_id: thread(place.thread_id)?,
        entities,
        can_stop: place.can_stop,
        keep_on_stop: place.can_stop,
    })
}

/// Text of an answer to a press: at most 200 UTF-16 units; none where it is empty.
#[must_use]
pub fn press_text(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| first_units(text, 200).to_owned())
}

fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

fn parts(
    shown: &Shown,
    dress: Dress,
) -> (
    String,
    Option<Vec<MessageEntity>>,
    Option<InlineKeyboardMarkup>,
) {
    let mut body = shown.body.clone();
    if body.text.trim().is_empty() {
        body = Formatted::plain(NOTHING);
    }
    // What does not fit is never handed out like this by the gateway; rather a part than nothing at all.
    if dress.cut || body.units() > MESSAGE_UNITS {
        let keep = if dress.cut {
            CUT_UNITS
        } else {
            MESSAGE_UNITS - units(&CUT_NOTE)
        };
        if body.units() > keep {
            body = Formatted::plain(format!(
                "{}{}",
                first_units(&body.text, keep),
                CUT_NOTE.as_str()
            ));
        }
    }
    let mut buttons: Vec<Vec<InlineKeyboardButton>> = Vec::new();
    if !dress.no_buttons {
        buttons.extend(shown.buttons.iter().map(|row| {
            row.iter()
                .map(|button| callback_button(&button.label, &button.data))
                .collect()
        }));
    }
    if dress.repeat {
        let shift = units(&REPEAT_MARK) + 1;
        if body.units() + shift <= MESSAGE_UNITS {
            body.text
                .insert_str(0, &format!("{}\n", REPEAT_MARK.as_str()));
            for span in &mut body.spans {
                span.offset += shift;
            }
        } else {
            // No room in the text: the mark hangs below it.
            buttons.push(vec![callback_button(&REPEAT_MARK, REPEAT_DATA)]);
        }
    }
    buttons.retain(|row: &Vec<_>| !row.is_empty());

    let whole = body.units();
    let entities: Vec<MessageEntity> = body
        .spans
        .iter()
        .filter(|_| !dress.plain)
        .filter_map(|span| entity(span, whole))
        .take(MESSAGE_SPANS)
        .collect();
    (
        body.text,
        (!entities.is_empty()).then_some(entities),
        (!buttons.is_empty()).then(|| InlineKeyboardMarkup::new(buttons)),
    )
}

fn callback_button(label: &str, data: &str) -> InlineKeyboardButton {
    InlineKeyboardButton {
        text: label.to_owned(),
        kind: InlineKeyboardButtonKind::CallbackData(data.to_owned()),
    }
}

/// A span as Telegram's entity; none where it does not lie in the text or its link is none.
fn entity(span: &Span, whole: usize) -> Option<MessageEntity> {
    if span.length == 0 || span.offset.checked_add(span.length)? > whole {
        return None;
    }
    let kind = match &span.look {
        Look::Bold => MessageEntityKind::Bold,
        Look::Italic => MessageEntityKind::Italic,
        Look::Strikethrough => MessageEntityKind::Strikethrough,
        Look::Code => MessageEntityKind::Code,
        Look::Pre(language) => MessageEntityKind::Pre {
            language: language.clone(),
        },
        Look::Link(url) => MessageEntityKind::TextLink {
            url: Url::parse(url).ok()?,
        },
        Look::Quote => MessageEntityKind::Blockquote,
        Look::ExpandableQuote => MessageEntityKind::ExpandableBlockquote,
    };
    Some(MessageEntity {
        kind,
        offset: span.offset,
        length: span.length,
    })
}

/// The beginning of a text, at most so many UTF-16 units, never half a character.
fn first_units(text: &str, most: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.len_utf16();
        if used > most {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::core::text::Button;

    const TARGET: Target = Target {
        chat_id: -5,
        thread_id: 42,
    };

    fn shown(text: &str) -> Shown {
        Shown {
            body: Formatted::plain(text),
            ..Shown::default()
        }
    }

    fn sent(shown: &Shown, dress: Dress) -> Value {
        serde_json::to_value(new_message(TARGET, shown, dress).unwrap()).unwrap()
    }

    #[test]
    fn a_message_with_everything() {
        let shown = Shown {
            body: Formatted {
                text: "ab cd".into(),
                spans: vec![
                    Span {
                        offset: 0,
                        length: 2,
                        look: Look::Pre(Some("rust".into())),
                    },
                    Span {
                        offset: 3,
                        length: 2,
                        look: Look::Link("https://example.org/x".into()),
                    },
                    Span {
                        offset: 3,
                        length: 2,
                        look: Look::Link("no url".into()),
                    },
                    Span {
                        offset: 4,
                        length: 9,
                        look: Look::Bold,
                    },
                ],
            },
            buttons: vec![
                vec![Button {
                    label: "Stop".into(),
                    data: "stop:1".into(),
                }],
                vec![],
            ],
            reply_to: Some(9),
            ..Shown::default()
        };
        assert_eq!(
            sent(&shown, Dress::default()),
            json!({
                "chat_id": -5, "text": "ab cd", "message_thread_id": 42,
                "entities": [
                    {"type": "pre", "language": "rust", "offset": 0, "length": 2},
                    {"type": "text_link", "url": "https://example.org/x", "offset": 3, "length": 2},
                ],
                "link_preview_options": {"is_disabled": true},
                "reply_parameters": {"message_id": 9, "allow_sending_without_reply": true},
                "reply_markup": {"inline_keyboard": [[{"text": "Stop", "callback_data": "stop:1"}]]},
            })
        );
        let bare = Dress {
            plain: true,
            no_thread: true,
            no_reply: true,
            no_buttons: true,
            ..Dress::default()
        };
        assert_eq!(
            sent(&shown, bare),
            json!({"chat_id": -5, "text": "ab cd", "link_preview_options": {"is_disabled": true}})
        );
        assert_eq!(
            serde_json::to_value(edited_message(-5, 77, &shown, bare).unwrap()).unwrap(),
            json!({"chat_id": -5, "message_id": 77, "text": "ab cd", "link_preview_options": {"is_disabled": true}})
        );
    }

    #[test]
    fn a_repeat_says_so() {
        let mut short = shown("x");
        short.body.spans.push(Span {
            offset: 0,
            length: 1,
            look: Look::Bold,
        });
        let repeat = Dress {
            repeat: true,
            ..Dress::default()
        };
        let sent_short = sent(&short, repeat);
        assert_eq!(sent_short["text"], "(may be a repeat)\nx");
        assert_eq!(sent_short["entities"][0]["offset"], 18);

        let long = sent(&shown(&"x".repeat(4096)), repeat);
        assert_eq!(long["text"].as_str().unwrap().len(), 4096);
        assert_eq!(
            long["reply_markup"]["inline_keyboard"][0][0]["text"],
            REPEAT_MARK.as_str()
        );
    }

    #[test]
    fn nothing_is_sent_as_nothing() {
        for text in ["", " \n"] {
            assert_eq!(sent(&shown(text), Dress::default())["text"], "…");
        }
        assert_eq!(press_text(" "), None);
        assert_eq!(press_text(&"ä".repeat(300)).unwrap().chars().count(), 200);
    }

    #[test]
    fn too_long_a_text_is_cut_and_says_so() {
        for (units, cut) in [(5000, false), (4000, true)] {
            let sent = sent(
                &shown(&"x".repeat(units)),
                Dress {
                    cut,
                    ..Dress::default()
                },
            );
            let text = sent["text"].as_str().unwrap();
            assert!(
                text.ends_with(CUT_NOTE.as_str()) && text.starts_with("xxx"),
                "{text}"
            );
        }
        assert_eq!(
            sent(
                &shown("short"),
                Dress {
                    cut: true,
                    ..Dress::default()
                }
            )["text"],
            "short"
        );
    }

    #[test]
    fn impossible_ids_are_refused() {
        let far = Target {
            chat_id: 1,
            thread_id: i64::MAX,
        };
        assert_eq!(
            new_message(far, &shown("x"), Dress::default()).unwrap_err(),
            BadId(i64::MAX)
        );
        assert_eq!(
            edited_message(1, 1 << 40, &shown("x"), Dress::default()).unwrap_err(),
            BadId(1 << 40)
        );
    }

    proptest! {
        #[test]
        fn what_goes_out_always_fits(
            text in "(\\PC|😀|\n){0,80}", times in 1_usize..120, plain: bool, repeat: bool, cut: bool,
            spans in prop::collection::vec((any::<u16>(), any::<u16>()), 0..150),
        ) {
            let mut shown = shown(&text.repeat(times));
            shown.body.spans = spans.into_iter()
                .map(|(offset, length)| Span { offset: offset.into(), length: length.into(), look: Look::Bold })
                .collect();
            let sent = new_message(TARGET, &shown, Dress { plain, repeat, cut, ..Dress::default() }).unwrap();
            let whole = units(&sent.text);
            prop_assert!(whole <= MESSAGE_UNITS && !sent.text.trim().is_empty());
            for entity in sent.entities.into_iter().flatten() {
                prop_assert!(entity.length > 0 && entity.offset + entity.length <= whole);
            }
        }
    }
}
