//! Sending, editing, deleting, buttons, chats: effects and Telegram's own error texts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod common;

use common::{ANN, Bench};
use serde_json::{Value, json};
use telexd_botapi::{Change, Clock, Config, FloodLimits, ManualClock, Origin, Outgoing};

fn keyboard(data: &str) -> Value {
    json!({"inline_keyboard": [[{"text": "Go", "callback_data": data}]]})
}

#[tokio::test]
async fn get_me_has_the_full_shape_whatever_the_case_of_the_method() {
    let bench = Bench::new().await;
    let me = bench.ok("GETME", json!({})).await;
    assert_eq!(me["id"], bench.api.bot_id());
    for field in [
        "is_bot",
        "can_join_groups",
        "can_read_all_group_messages",
        "supports_inline_queries",
        "can_connect_to_business",
        "has_main_web_app",
        "has_topics_enabled",
    ] {
        assert!(me[field].is_boolean(), "{field}");
    }
    assert_eq!(bench.api.calls()[0].method, "getMe");
}

#[tokio::test]
async fn tokens_and_methods_that_are_wrong() {
    let bench = Bench::new().await;
    let call = async |path: &str| -> Value {
        let answer = bench
            .client
            .get(format!("{}{path}", bench.api.url()))
            .send()
            .await
            .unwrap();
        let status = i64::from(answer.status().as_u16());
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error_code"], status);
        body["description"].clone()
    };
    assert_eq!(call("/bot777:AAAA/getMe").await, "Unauthorized");
    assert_eq!(call("/botnonsense/getMe").await, "Not Found");
    assert_eq!(call("/").await, "Not Found");
    assert_eq!(
        bench.refused("getNothing", json!({})).await,
        (404, "Not Found: method not found".to_owned())
    );
}

#[tokio::test]
async fn query_and_form_count_like_json() {
    let bench = Bench::with_ann().await;
    let query = format!(
        "{}?chat_id={ANN}&text=from+the+query",
        bench.method_url("sendMessage")
    );
    bench.client.get(query).send().await.unwrap();
    let form = r#"chat_id=1001&text=a%26b&entities=%5B%7B%22type%22%3A%22bold%22%2C%22offset%22%3A0%2C%22length%22%3A1%7D%5D"#;
    bench
        .client
        .post(bench.method_url("sendMessage"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(
        bench.api.view(|v| v.bot_texts(ANN)),
        ["from the query", "a&b"]
    );
    assert_eq!(bench.api.messages(ANN)[2].entities[0].kind, "bold");
}

#[tokio::test]
async fn texts_that_are_refused() {
    let bench = Bench::with_ann().await;
    let send = async |text: &str| {
        bench
            .refused("sendMessage", json!({"chat_id": ANN, "text": text}))
            .await
            .1
    };
    assert_eq!(send("").await, "Bad Request: message text is empty");
    assert_eq!(send(" \n ").await, "Bad Request: text must be non-empty");
    assert_eq!(
        send(&"x".repeat(4097)).await,
        "Bad Request: message is too long"
    );
    assert_eq!(
        send(&"😀".repeat(2049)).await,
        "Bad Request: message is too long"
    );
    bench
        .ok(
            "sendMessage",
            json!({"chat_id": ANN, "text": format!("{}  ", "😀".repeat(2048))}),
        )
        .await;
    let lone = bench
        .client
        .post(bench.method_url("sendMessage"))
        .header("content-type", "application/json")
        .body(r#"{"chat_id":1001,"text":"\ud800"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(lone.status(), 400);
    let markup = bench
        .refused(
            "sendMessage",
            json!({"chat_id": ANN, "text": "*a*", "parse_mode": "HTML"}),
        )
        .await;
    assert!(
        markup.1.starts_with("Bad Request: can't parse entities"),
        "{}",
        markup.1
    );
    assert_eq!(bench.api.view(|v| v.bot_texts(ANN).len()), 1);
}

#[tokio::test]
async fn chats_that_cannot_be_written_to() {
    let bench = Bench::with_ann().await;
    let send = async |chat: Value| {
        bench
            .refused("sendMessage", json!({"chat_id": chat, "text": "hi"}))
            .await
    };
    assert_eq!(send(json!("")).await.1, "Bad Request: chat_id is empty");
    assert_eq!(send(json!(5)).await.1, "Bad Request: chat not found");
    assert_eq!(
        send(json!("@nobody")).await.1,
        "Bad Request: chat not found"
    );
    bench.api.user(ANN, "Ann").block_bot();
    assert_eq!(
        send(json!(ANN)).await,
        (403, "Forbidden: bot was blocked by the user".to_owned())
    );
    bench.api.supergroup(-1_000_000_000_005, "team", false);
    bench.api.kick(-1_000_000_000_005);
    assert_eq!(
        send(json!(-1_000_000_000_005_i64)).await.1,
        "Forbidden: bot was kicked from the supergroup chat"
    );
    bench.api.group(-7, "old");
    bench.api.migrate(-7, -1_000_000_000_007);
    let moved = bench
        .call("sendMessage", json!({"chat_id": -7, "text": "hi"}))
        .await;
    assert_eq!(
        moved["parameters"]["migrate_to_chat_id"],
        -1_000_000_000_007_i64
    );
    assert_eq!(
        moved["description"],
        "Bad Request: group chat was upgraded to a supergroup chat"
    );
    bench
        .ok(
            "sendMessage",
            json!({"chat_id": -1_000_000_000_007_i64, "text": "hi"}),
        )
        .await;
}

#[tokio::test]
async fn replies_and_topics_must_exist() {
    let bench = Bench::with_ann().await;
    let lost = json!({"chat_id": ANN, "text": "hi", "reply_parameters": {"message_id": 99}});
    assert_eq!(
        bench.refused("sendMessage", lost).await.1,
        "Bad Request: message to be replied not found"
    );
    let lenient = json!({"chat_id": ANN, "text": "hi",
        "reply_parameters": {"message_id": 99, "allow_sending_without_reply": true}});
    assert!(bench.ok("sendMessage", lenient).await["reply_to_message"].is_null());
    let good = json!({"chat_id": ANN, "text": "hi", "reply_parameters": {"message_id": 1}});
    assert_eq!(
        bench.ok("sendMessage", good).await["reply_to_message"]["text"],
        "/start"
    );
    let topic = json!({"chat_id": ANN, "text": "hi", "message_thread_id": 8});
    assert_eq!(
        bench.refused("sendMessage", topic.clone()).await.1,
        "Bad Request: message thread not found"
    );
    bench
        .api
        .user(ANN, "Ann")
        .send_in_topic(ANN, 8, "in a topic");
    assert_eq!(bench.ok("sendMessage", topic).await["message_thread_id"], 8);
}

#[tokio::test]
async fn edits_keep_their_history_and_take_the_keyboard_away() {
    let bench = Bench::with_ann().await;
    let mut news = bench.api.subscribe();
    let sent = bench
        .ok(
            "sendMessage",
            json!({"chat_id": ANN, "text": "one", "reply_markup": keyboard("go")}),
        )
        .await;
    let id = sent["message_id"].as_i64().unwrap();
    let edited = bench
        .ok(
            "editMessageText",
            json!({"chat_id": ANN, "message_id": id, "text": "two"}),
        )
        .await;
    assert!(edited["edit_date"].is_i64());
    let shown = bench.api.view(|v| v.message(ANN, id)).unwrap();
    let texts: Vec<_> = shown
        .history
        .iter()
        .map(|v| (v.text.as_str(), v.buttons.len()))
        .collect();
    assert_eq!(texts, [("one", 1), ("two", 0)]);
    let same = bench
        .refused(
            "editMessageText",
            json!({"chat_id": ANN, "message_id": id, "text": " two "}),
        )
        .await;
    assert!(
        same.1
            .starts_with("Bad Request: message is not modified: specified new message content"),
        "{}",
        same.1
    );
    let markup = json!({"chat_id": ANN, "message_id": id, "reply_markup": keyboard("stop")});
    bench.ok("editMessageReplyMarkup", markup.clone()).await;
    assert!(
        bench
            .refused("editMessageReplyMarkup", markup)
            .await
            .1
            .contains("message is not modified")
    );
    assert!(matches!(news.recv().await.unwrap(), Change::Sent(m) if m.text == "one"));
    assert!(matches!(news.recv().await.unwrap(), Change::Edited(m) if m.text == "two"));
}

#[tokio::test]
async fn what_cannot_be_edited_or_deleted() {
    let clock = ManualClock::new(1_800_000_000_000);
    let bench = Bench::with(Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    })
    .await;
    bench.api.user(ANN, "Ann").send_text(ANN, "mine");
    let edit = async |id: i64| {
        bench
            .refused(
                "editMessageText",
                json!({"chat_id": ANN, "message_id": id, "text": "x"}),
            )
            .await
            .1
    };
    assert_eq!(edit(1).await, "Bad Request: message can't be edited");
    assert_eq!(edit(99).await, "Bad Request: message to edit not found");
    assert_eq!(
        edit(0).await,
        "Bad Request: message identifier is not specified"
    );
    let delete = json!({"chat_id": ANN, "message_id": 1});
    bench.ok("deleteMessage", delete.clone()).await;
    assert_eq!(
        bench.refused("deleteMessage", delete).await.1,
        "Bad Request: message to delete not found"
    );
    assert!(bench.api.messages(ANN)[0].deleted);
    let sent = bench
        .ok("sendMessage", json!({"chat_id": ANN, "text": "x"}))
        .await;
    clock.advance_ms(48 * 3600 * 1000 + 1);
    let old = json!({"chat_id": ANN, "message_id": sent["message_id"]});
    assert_eq!(
        bench.refused("deleteMessage", old).await.1,
        "Bad Request: message can't be deleted"
    );
}

#[tokio::test]
async fn buttons_carry_64_bytes_and_are_answered_once_known() {
    let bench = Bench::with_ann().await;
    let send = async |data: &str| {
        bench
            .call(
                "sendMessage",
                json!({"chat_id": ANN, "text": "?", "reply_markup": keyboard(data)}),
            )
            .await
    };
    assert_eq!(
        send(&"ä".repeat(33)).await["description"],
        "Bad Request: BUTTON_DATA_INVALID"
    );
    assert_eq!(
        send("").await["description"],
        "Bad Request: BUTTON_DATA_INVALID"
    );
    let id = send(&"ä".repeat(32)).await["result"]["message_id"]
        .as_i64()
        .unwrap();
    let no_text = json!({"chat_id": ANN, "text": "?", "reply_markup": {"inline_keyboard": [[{"callback_data": "a"}]]}});
    assert!(
        bench
            .refused("sendMessage", no_text)
            .await
            .1
            .contains("\"text\"")
    );
    let ann = bench.api.user(ANN, "Ann");
    assert!(
        ann.press(ANN, id, "other")
            .unwrap_err()
            .to_string()
            .contains("Go")
    );
    let query = ann.press(ANN, id, &"ä".repeat(32)).unwrap();
    let updates = bench.ok("getUpdates", json!({"offset": 1})).await;
    let update = &updates[1]["callback_query"];
    assert_eq!(
        (update["id"].as_str(), &update["message"]["message_id"]),
        (Some(query.as_str()), &json!(id))
    );
    bench
        .ok(
            "answerCallbackQuery",
            json!({"callback_query_id": query, "text": "ok"}),
        )
        .await;
    assert_eq!(bench.api.callback_answers()[0].text.as_deref(), Some("ok"));
    let old = bench
        .refused("answerCallbackQuery", json!({"callback_query_id": "1"}))
        .await;
    assert_eq!(
        old.1,
        "Bad Request: query is too old and response timeout expired or query ID is invalid"
    );
}

#[tokio::test]
async fn actions_and_commands() {
    let bench = Bench::with_ann().await;
    bench
        .ok(
            "sendChatAction",
            json!({"chat_id": ANN, "action": "typing"}),
        )
        .await;
    assert_eq!(bench.api.chat_actions(ANN)[0].action, "typing");
    let wrong = bench
        .refused(
            "sendChatAction",
            json!({"chat_id": ANN, "action": "thinking"}),
        )
        .await;
    assert_eq!(wrong.1, "Bad Request: wrong parameter action in request");

    let commands = json!([{"command": "/help", "description": "shows help"}]);
    bench
        .ok(
            "setMyCommands",
            json!({"commands": commands, "scope": {"type": "all_private_chats"}}),
        )
        .await;
    assert_eq!(bench.ok("getMyCommands", json!({})).await, json!([]));
    let scoped = json!({"scope": {"type": "all_private_chats"}});
    assert_eq!(
        bench.ok("getMyCommands", scoped.clone()).await[0]["command"],
        "help"
    );
    assert_eq!(
        bench
            .api
            .view(|v| v.commands(Some(&scoped["scope"]), ""))
            .len(),
        1
    );
    bench.ok("deleteMyCommands", scoped.clone()).await;
    assert_eq!(bench.ok("getMyCommands", scoped).await, json!([]));
    let bad = json!({"commands": [{"command": "Not Good", "description": "x"}]});
    assert_eq!(
        bench.refused("setMyCommands", bad).await.1,
        "Bad Request: BOT_COMMAND_INVALID"
    );
}

#[tokio::test]
async fn files_go_both_ways() {
    let bench = Bench::with_ann().await;
    let ann = bench.api.user(ANN, "Ann");
    ann.send_document(
        ANN,
        "notes.txt",
        "text/plain",
        &b"some notes"[..],
        "see there",
    );
    let updates = bench.ok("getUpdates", json!({})).await;
    let document = &updates[1]["message"]["document"];
    assert_eq!(updates[1]["message"]["caption"], "see there");
    let file = bench
        .ok("getFile", json!({"file_id": document["file_id"]}))
        .await;
    let url = format!(
        "{}/file/bot{}/{}",
        bench.api.url(),
        bench.api.token(),
        file["file_path"].as_str().unwrap()
    );
    assert_eq!(
        bench
            .client
            .get(&url)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        &b"some notes"[..]
    );
    assert_eq!(
        bench
            .client
            .get(format!("{url}.no"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert!(
        bench
            .refused("getFile", json!({"file_id": "x"}))
            .await
            .1
            .starts_with("Bad Request: wrong file_id")
    );

    ann.send(
        ANN,
        Outgoing::claimed_document("big.bin", "application/octet-stream", 20_000_001),
    );
    let big = bench.api.messages(ANN).pop().unwrap().file.unwrap();
    assert_eq!(
        bench
            .refused("getFile", json!({"file_id": big.file_id}))
            .await
            .1,
        "Bad Request: file is too big"
    );

    let body = "--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n1001\r\n--b\r\nContent-Disposition: form-data; name=\"document\"; filename=\"out.txt\"\r\nContent-Type: text/plain\r\n\r\nresult\r\n--b--\r\n";
    let sent: Value = bench
        .client
        .post(bench.method_url("sendDocument"))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(sent["result"]["document"]["file_name"], "out.txt", "{sent}");
    let id = sent["result"]["document"]["file_id"].as_str().unwrap();
    assert_eq!(bench.api.file(id).unwrap(), &b"result"[..]);
    bench
        .ok("sendDocument", json!({"chat_id": ANN, "document": id}))
        .await;
    let none = bench.refused("sendDocument", json!({"chat_id": ANN})).await;
    assert_eq!(none.1, "Bad Request: there is no document in the request");
    let caption = bench
        .refused(
            "sendDocument",
            json!({"chat_id": ANN, "document": id, "caption": "x".repeat(1025)}),
        )
        .await;
    assert_eq!(caption.1, "Bad Request: message caption is too long");
}

#[tokio::test]
async fn people_write_commands_paste_and_stay_unheard_in_private_groups() {
    let bench = Bench::with(Config {
        can_read_all_group_messages: false,
        ..Config::default()
    })
    .await;
    let ann = bench.api.user(ANN, "Ann");
    ann.send_text(ANN, "😀 /help@telexd_test_bot now");
    let updates = bench.ok("getUpdates", json!({})).await;
    assert_eq!(
        updates[0]["message"]["entities"][0],
        json!({"type": "bot_command", "offset": 3, "length": 21})
    );
    let parts = ann.paste(ANN, &"y".repeat(5000));
    assert_eq!(parts.len(), 2);
    assert_eq!(bench.api.messages(ANN)[1].text.len(), 4096);
    let before = bench.api.pending_updates().len();
    ann.send_group(-1_000_000_000_009, "among people");
    assert_eq!(bench.api.pending_updates().len(), before);
    ann.send_group(-1_000_000_000_009, "/status");
    assert_eq!(bench.api.pending_updates().len(), before + 1);
}

#[tokio::test]
async fn what_people_forward_answer_and_change_is_told_as_telegram_does() {
    let bench = Bench::new().await;
    let ann = bench.api.user(ANN, "Ann");
    let first = ann.send_text(ANN, "😀 all of it");
    ann.send(ANN, Outgoing::text("why?").reply_to(first).quoting("of it"));
    ann.send(
        ANN,
        Outgoing::text("/help").forwarded(Origin::hidden("Eve")),
    );
    let bob = Origin::User {
        id: 7,
        name: "Bob".to_owned(),
        username: Some("bob".to_owned()),
    };
    ann.send(ANN, Outgoing::text("hi").forwarded(bob));
    let channel = Origin::Channel {
        id: -1_000_000_000_003,
        title: "News".to_owned(),
        signature: Some("Dan".to_owned()),
    };
    ann.send(ANN, Outgoing::text("new").forwarded(channel));
    let team = Origin::Chat {
        id: -1_000_000_000_004,
        title: "Team".to_owned(),
    };
    ann.send(ANN, Outgoing::text("we").forwarded(team));
    let album = ann.send_album(
        ANN,
        vec![Outgoing::photo("a").caption("both"), Outgoing::photo("b")],
    );
    let other = ann.send_album(ANN, vec![Outgoing::photo("c"); 11]);
    assert_eq!((album.len(), other.len()), (2, 10));
    ann.edit(ANN, album[0], "/help both");
    ann.edit_file(ANN, first, Outgoing::photo("d"));
    ann.touch(ANN, album[1]);

    let updates = bench.ok("getUpdates", json!({})).await;
    let message = |n: usize| updates[n]["message"].clone();
    assert_eq!(message(1)["reply_to_message"]["message_id"], json!(first));
    let quote = json!({"text": "of it", "position": 7, "is_manual": true});
    assert_eq!(message(1)["quote"], quote);
    assert_eq!(message(2)["entities"], Value::Null);
    assert_eq!(message(2)["forward_origin"]["sender_user_name"], "Eve");
    assert_eq!(
        message(3)["forward_origin"]["sender_user"]["username"],
        "bob"
    );
    assert_eq!(message(4)["forward_origin"]["chat"]["type"], "channel");
    assert_eq!(message(4)["forward_origin"]["author_signature"], "Dan");
    assert_eq!(message(5)["forward_origin"]["sender_chat"]["title"], "Team");
    let group = |n: usize| message(n)["media_group_id"].as_str().unwrap().to_owned();
    assert_eq!((group(6), group(8)), (group(7), group(9)));
    assert_ne!(group(6), group(8));
    assert_eq!(message(6)["caption"], "both");
    assert_eq!(message(7)["caption"], Value::Null);
    let edited = |n: usize| updates[n]["edited_message"].clone();
    assert_eq!(edited(18)["caption"], "/help both");
    assert_eq!(edited(18)["caption_entities"], Value::Null);
    assert_eq!(edited(18)["media_group_id"].as_str().unwrap(), group(6));
    assert_eq!(edited(19)["message_id"], json!(first));
    assert!(edited(19)["photo"].is_array() && edited(19)["caption"] == "😀 all of it");
    assert_eq!(edited(20)["photo"], message(7)["photo"]);
}

#[tokio::test]
async fn flood_limits_hold_when_they_are_set() {
    let clock = ManualClock::new(1_800_000_000_000);
    let bench = Bench::with(Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    })
    .await;
    bench.api.user(ANN, "Ann").send_text(ANN, "hi");
    let send = async || {
        bench
            .call("sendMessage", json!({"chat_id": ANN, "text": "x"}))
            .await
    };
    for _ in 0..40 {
        assert_eq!(send().await["ok"], true, "no limits unless set");
    }
    bench.api.set_flood_limits(FloodLimits {
        per_chat_per_second: Some(1),
        least_retry_after: 3,
        ..FloodLimits::default()
    });
    assert_eq!(send().await["ok"], true);
    let refused = send().await;
    assert_eq!(refused["parameters"]["retry_after"], 3);
    assert_eq!(refused["description"], "Too Many Requests: retry after 3");
    clock.advance_ms(1_000);
    assert_eq!(send().await["ok"], true);
    bench.api.supergroup(-1_000_000_000_005, "team", false);
    bench.api.set_flood_limits(FloodLimits {
        per_group_per_minute: Some(2),
        ..FloodLimits::default()
    });
    let group = async || {
        bench
            .call(
                "sendMessage",
                json!({"chat_id": -1_000_000_000_005_i64, "text": "x"}),
            )
            .await
    };
    assert_eq!(
        (group().await["ok"].clone(), group().await["ok"].clone()),
        (json!(true), json!(true))
    );
    clock.advance_ms(20_500);
    assert_eq!(group().await["parameters"]["retry_after"], 40);
}
