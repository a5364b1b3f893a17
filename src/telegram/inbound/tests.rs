use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::{inbound::Replied, mark::Who};

fn message(extra: Value) -> Value {
    let mut message = json!({
        "message_id": 7,
        "date": 1_700_000_000,
        "chat": {"id": 1001, "type": "private"},
        "from": {"id": 1001, "is_bot": false, "first_name": "Ada", "last_name": "L"},
    });
    let Value::Object(extra) = extra else {
        unreachable!("tests pass objects")
    };
    message.as_object_mut().unwrap().extend(extra);
    message
}

fn read_message(extra: Value) -> Message {
    let raw = json!({"update_id": 1, "message": message(extra)}).to_string();
    match read(&raw) {
        Inbound::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_message() {
    assert_eq!(
        read_message(json!({"text": "hello"})),
        Message {
            place: Place {
                chat_id: 1001,
                thread_id: 0,
                kind: ChatKind::Private
            },
            from: Some(Person {
                id: 1001,
                name: "Ada L".into(),
                is_bot: false
            }),
            message_id: 7,
            date: 1_700_000_000,
            text: "hello".into(),
            attachments: vec![],
            album: None,
            forwarded: None,
            reply: None,
            edited: false,
        }
    );
}

#[test]
fn a_text_outlives_whatever_stands_beside_it() {
    for beside in [
        json!({"entities": [{"type": "date_time", "offset": 0, "length": 2, "unix_time": 1}]}),
        json!({"entities": "not even a list"}),
        json!({"forward_origin": {"type": "from_the_future"}}),
        json!({"external_reply": {"rich_message": {}}, "date": "yesterday"}),
        json!({"some_new_thing": {"a": 1}}),
        json!({"reply_to_message": {"text": "another text"}}),
        json!({"from": {"id": 1001, "is_bot": "no", "first_name": 5}}),
        json!({"message_thread_id": "x", "is_topic_message": true}),
    ] {
        let mut extra = beside.clone();
        extra["text"] = json!("kept");
        assert_eq!(read_message(extra).text, "kept", "{beside}");
    }
}

#[test]
fn captions_and_files_of_all_kinds() {
    let file = json!({"file_id": "F", "file_name": "a.bin", "mime_type": "x/y", "file_size": 5_000_000_000_u64});
    for kind in FILES {
        let read = read_message(json!({"caption": "look", *kind: file}));
        assert_eq!(read.text, "look");
        assert_eq!(
            read.attachments,
            [Attachment {
                kind: (*kind).into(),
                file_id: "F".into(),
                file_name: Some("a.bin".into()),
                mime: Some("x/y".into()),
                size: Some(5_000_000_000),
            }]
        );
    }
    let bare = read_message(json!({"voice": {"file_id": "V", "mime_type": "", "duration": 1}}));
    assert_eq!(bare.attachments[0].file_id, "V");
}

#[test]
fn the_largest_photo_is_taken_and_an_animation_counts_once() {
    let photo = read_message(json!({"media_group_id": "g1", "photo": [
        {"file_id": "s", "width": 90, "height": 90},
        {"file_id": "l", "width": 900, "height": 900, "file_size": 1},
        {"file_id": "m", "width": 320, "height": 320},
        {"nonsense": true},
    ]}));
    assert_eq!(photo.attachments.len(), 1);
    assert_eq!(photo.attachments[0].file_id, "l");
    assert_eq!(photo.album.as_deref(), Some("g1"));

    let animation =
        read_message(json!({"animation": {"file_id": "a"}, "document": {"file_id": "d"}}));
    assert_eq!(animation.attachments.len(), 1);
    assert_eq!(animation.attachments[0].kind, "animation");
}

#[test]
fn whose_message_was_forwarded() {
    let chat = json!({"id": -100, "type": "supergroup", "title": "Team", "username": "team"});
    let channel = json!({"id": -101, "type": "channel", "title": "News"});
    let ann = json!({"id": 7, "is_bot": false, "first_name": "Ann", "username": "ann"});
    let account = Who::Account {
        id: 7,
        name: "Ann".into(),
        username: Some("ann".into()),
    };
    let team = Who::Chat {
        title: "Team".into(),
        username: Some("team".into()),
    };
    let hidden = Who::Hidden { name: "Eve".into() };
    let news = |signed: Option<&str>| Who::Channel {
        title: "News".into(),
        username: None,
        signed: signed.map(str::to_owned),
    };
    for (about, who) in [
        (
            json!({"forward_origin": {"type": "user", "date": 1, "sender_user": ann}}),
            account.clone(),
        ),
        (
            json!({"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Eve"}}),
            hidden.clone(),
        ),
        (
            json!({"forward_origin": {"type": "chat", "date": 1, "sender_chat": chat}}),
            team,
        ),
        (
            json!({"forward_origin": {"type": "channel", "date": 1, "chat": channel, "message_id": 3, "author_signature": "Bob"}}),
            news(Some("Bob")),
        ),
        (
            json!({"forward_origin": {"type": "of_2030", "robot": {}}}),
            Who::Unknown,
        ),
        (
            json!({"forward_origin": {"type": "user", "sender_user": "Ann"}}),
            Who::Unknown,
        ),
        (json!({"forward_origin": 5}), Who::Unknown),
        // As it was told before Bot API 7.0.
        (json!({"forward_from": ann, "forward_date": 1}), account),
        (
            json!({"forward_sender_name": "Eve", "forward_date": 1}),
            hidden,
        ),
        (
            json!({"forward_from_chat": channel, "forward_date": 1}),
            news(None),
        ),
        (json!({"forward_date": 1}), Who::Unknown),
    ] {
        let mut extra = about.clone();
        extra["text"] = json!("x");
        assert_eq!(
            read_message(extra).forwarded.as_deref(),
            Some(&who),
            "{about}"
        );
    }
    assert_eq!(read_message(json!({"text": "x"})).forwarded, None);
}

#[test]
fn what_a_message_replies_to() {
    let ann = json!({"id": 7, "is_bot": false, "first_name": "Ann"});
    let account = Who::Account {
        id: 7,
        name: "Ann".into(),
        username: None,
    };
    let replied = |text: &str, chosen, kind: Option<&str>| Replied {
        message_id: Some(5),
        who: account.clone(),
        text: text.into(),
        chosen,
        kind: kind.map(str::to_owned),
    };
    let original = json!({"message_id": 5, "from": ann, "text": "all of it"});
    let photo =
        json!({"message_id": 5, "from": ann, "caption": "look", "photo": [{"file_id": "p"}]});
    for (about, reply) in [
        (
            json!({"reply_to_message": original}),
            Some(replied("all of it", false, None)),
        ),
        (
            json!({"reply_to_message": original, "quote": {"text": "of", "position": 4, "is_manual": true}}),
            Some(replied("of", true, None)),
        ),
        // Telegram chose that, for the looks.
        (
            json!({"reply_to_message": original, "quote": {"text": "of", "position": 4}}),
            Some(replied("all of it", false, None)),
        ),
        (
            json!({"reply_to_message": photo}),
            Some(replied("look", false, Some("photo"))),
        ),
        (
            json!({
                "external_reply": {"origin": {"type": "user", "sender_user": ann}, "voice": {"file_id": "v"}},
                "quote": {"text": "of", "position": 4, "is_manual": true},
            }),
            Some(Replied {
                message_id: None,
                ..replied("of", true, Some("voice"))
            }),
        ),
        (json!({"reply_to_message": "odd", "quote": 5}), None),
        // Whatever stands in a topic replies to its beginning.
        (
            json!({"is_topic_message": true, "message_thread_id": 5, "reply_to_message": original}),
            None,
        ),
        (
            json!({"reply_to_message": {"message_id": 5, "from": ann, "forum_topic_created": {"name": "T"}}}),
            None,
        ),
    ] {
        let mut extra = about.clone();
        extra["text"] = json!("x");
        assert_eq!(
            read_message(extra).reply.map(|reply| *reply),
            reply,
            "{about}"
        );
    }
    let nobody = read_message(json!({"text": "x", "reply_to_message": {}})).reply;
    assert_eq!(nobody.unwrap().who, Who::Unknown);
    let channel = json!({"message_id": 5, "sender_chat": {"id": -1, "type": "channel", "title": "News"}, "text": "a"});
    let news = read_message(json!({"text": "x", "reply_to_message": channel})).reply;
    assert!(matches!(news.unwrap().who, Who::Channel { .. }));
}

#[test]
fn what_is_neither_text_nor_file_is_named() {
    for kind in ["location", "contact", "poll", "dice", "something_of_2030"] {
        let read = read_message(json!({kind: {"x": 1}, "a_flag": true}));
        assert_eq!(read.attachments[0].kind, kind);
        assert_eq!(read.attachments[0].file_id, "");
    }
    assert_eq!(read_message(json!({"a_flag": true})).attachments, []);
    assert_eq!(
        read_message(json!({"rich_message": {"blocks": [{"type": "p", "text": "one"}, {"items": [{"text": "two"}]}]}})).text,
        "one\ntwo"
    );
}

#[test]
fn topics_are_told_from_chains_of_replies() {
    let group = json!({"id": -100_123, "type": "supergroup"});
    let topic = read_message(
        json!({"text": "x", "chat": group, "message_thread_id": 42, "is_topic_message": true}),
    );
    assert_eq!(
        topic.place,
        Place {
            chat_id: -100_123,
            thread_id: 42,
            kind: ChatKind::Group
        }
    );
    let chain = read_message(json!({"text": "x", "chat": group, "message_thread_id": 42}));
    assert_eq!(chain.place.thread_id, 0);
}

#[test]
fn nobody_speaks_where_a_chat_speaks() {
    let anonymous = read_message(json!({
        "text": "x",
        "chat": {"id": -5, "type": "group"},
        "from": {"id": 1_087_968_824, "is_bot": true, "first_name": "Group"},
        "sender_chat": {"id": -5, "type": "group"},
    }));
    assert_eq!(anonymous.from, None);
}

#[test]
fn edits_presses_and_the_rest() {
    let edit =
        json!({"update_id": 1, "edited_message": message(json!({"text": "better"}))}).to_string();
    assert!(matches!(
        read(&edit),
        Inbound::Message(Message { edited: true, .. })
    ));

    let press = json!({"update_id": 1, "callback_query": {
        "id": "777", "from": {"id": 1001, "first_name": "Ada"}, "data": "stop:1",
        "message": {"message_id": 9, "date": 0, "chat": {"id": 1001, "type": "private"}},
    }})
    .to_string();
    assert_eq!(
        read(&press),
        Inbound::Press(Press {
            callback_id: "777".into(),
            from: Person {
                id: 1001,
                name: "Ada".into(),
                is_bot: false
            },
            place: Some(Place {
                chat_id: 1001,
                thread_id: 0,
                kind: ChatKind::Private
            }),
            message_id: Some(9),
            data: "stop:1".into(),
        })
    );

    for (raw, wanted) in [
        (
            json!({"update_id": 1, "channel_post": {"text": "x"}}),
            "channel_post",
        ),
        (
            json!({"update_id": 1, "business_message": {"text": "x"}}),
            "business_message",
        ),
        (json!({"new_kind": 1, "update_id": 1}), "new_kind"),
        (json!({"Bad kind\n": 1, "update_id": 1}), "unknown"),
        (
            json!({"update_id": 1, "message": message(json!({"pinned_message": {"text": "x"}}))}),
            "message/pinned_message",
        ),
        (
            json!({"update_id": 1, "message": message(json!({"new_chat_title": "x"}))}),
            "message/new_chat_title",
        ),
    ] {
        assert_eq!(read(&raw.to_string()), Inbound::Other(wanted.into()));
    }
}

#[test]
fn a_move_of_a_group_is_told() {
    let raw = json!({"update_id": 1, "message": message(json!({
        "chat": {"id": -5, "type": "group"}, "migrate_to_chat_id": -1_000_000_000_005_i64,
    }))});
    assert_eq!(
        read(&raw.to_string()),
        Inbound::Migrated {
            from: -5,
            to: -1_000_000_000_005
        }
    );
}

#[test]
fn a_stopped_draft() {
    let read_stop = |mut stopped: Value, more: Value| {
        for (name, value) in more.as_object().unwrap() {
            stopped[name] = value.clone();
        }
        read(&json!({"update_id": 1, "stopped_message_generation": stopped}).to_string())
    };
    let bare = json!({"chat": {"id": 5, "type": "private"}, "draft_id": 9_000_000_000_i64});
    let stopped = |thread_id, kind| {
        Inbound::Stopped(Stopped {
            place: Place {
                chat_id: 5,
                thread_id,
                kind,
            },
            draft_id: 9_000_000_000,
        })
    };
    assert_eq!(
        read_stop(bare.clone(), json!({})),
        stopped(0, ChatKind::Private)
    );
    assert_eq!(
        read_stop(bare.clone(), json!({"message_thread_id": 7})),
        stopped(7, ChatKind::Private)
    );
    assert_eq!(
        read_stop(bare.clone(), json!({"chat": {"id": 5, "type": "odd"}})),
        stopped(0, ChatKind::Other)
    );
    for odd in [
        json!({"chat": 5}),
        json!({"chat": {}}),
        json!({"draft_id": "9"}),
    ] {
        assert!(matches!(
            read_stop(bare.clone(), odd),
            Inbound::Unreadable(_)
        ));
    }
}

#[test]
fn what_cannot_be_read_is_said_without_its_text() {
    for raw in [
        "",
        "secret words",
        "[\"secret words\"]",
        "{\"message\":{\"text\":\"secret words\"",
        "{\"update_id\":1}",
        "{\"update_id\":1,\"message\":\"secret words\"}",
        "{\"update_id\":1,\"message\":{\"text\":\"secret words\",\"message_id\":1}}",
        "{\"update_id\":1,\"message\":{\"text\":\"secret words\",\"chat\":{\"id\":1}}}",
        "{\"update_id\":1,\"callback_query\":{\"id\":\"1\",\"data\":\"secret words\"}}",
    ] {
        match read(raw) {
            Inbound::Unreadable(why) => assert!(!why.contains("secret"), "{why}"),
            other => panic!("{raw}: {other:?}"),
        }
    }
    let deep = format!("{{\"message\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    assert!(matches!(read(&deep), Inbound::Unreadable(_)));
}

#[test]
fn half_an_emoji_does_not_cost_the_message() {
    let raw = r#"{"update_id":1,"message":{"message_id":1,"chat":{"id":5},"text":"cut \ud83d"}}"#;
    match read(raw) {
        Inbound::Message(message) => assert_eq!(message.text, "cut \u{fffd}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_of_any_size() {
    assert_eq!(
        update_id("{\"x\":{},\"update_id\":9223372036854775807}"),
        Some(i64::MAX)
    );
    assert_eq!(update_id("{\"update_id\":-3}"), Some(-3));
    for odd in [
        "{}",
        "{\"update_id\":\"1\"}",
        "{\"update_id\":1e30}",
        "{\"update_id\":9223372036854775808}",
        "7",
        "",
    ] {
        assert_eq!(update_id(odd), None, "{odd}");
    }
    assert_eq!(update_id(r#"{"t":"\ud83d","update_id":4}"#), Some(4));
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        proptest::sample::select(vec![
            "message",
            "edited_message",
            "callback_query",
            "stopped_message_generation",
            "draft_id",
            "chat",
            "id",
            "from",
            "text",
            "caption",
            "photo",
            "document",
            "message_id",
            "date",
            "type",
            "file_id",
            "sender_chat",
            "migrate_to_chat_id",
            "rich_message",
            "data",
            "is_topic_message",
            "message_thread_id",
            "media_group_id",
            "animation",
            "location",
            "forward_origin",
            "forward_from_chat",
            "sender_user",
            "reply_to_message",
            "external_reply",
            "quote",
            "origin",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z_]{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(update in any_json(), inner in any_json()) {
        let _ = read(&update.to_string());
        for kind in ["message", "edited_message", "callback_query", "stopped_message_generation"] {
            let _ = read(&json!({"update_id": 1, kind: inner}).to_string());
        }
    }

    #[test]
    fn no_garbage_makes_it_panic(raw in ".{0,200}") {
        let _ = read(&raw);
        let _ = update_id(&raw);
    }

    #[test]
    fn no_text_is_lost(text in "\\PC{1,80}", beside in any_json()) {
        let mut extra = Map::new();
        if let Value::Object(fields) = beside {
            extra = fields;
        }
        for key in ["chat", "message_id", "migrate_to_chat_id"] {
            extra.remove(key);
        }
        extra.insert("text".into(), Value::from(text.clone()));
        prop_assert_eq!(read_message(Value::Object(extra)).text, text);
    }
}
