//! From the outbox to the chat, when Telegram refuses.

use telexd::{
    core::text::{Button, Formatted, Look, Shown, Span},
    store::rows::{OutState, OutboxId, Slot, Target, Urgency},
};
use telexd_botapi::{Fault, FaultKind};

use crate::rig::{DEADLINE, Rig, Running, now, shown};

fn refusal(description: &str) -> FaultKind {
    FaultKind::refused(400, description)
}

fn bold(text: &str) -> Shown {
    let spans = vec![Span {
        offset: 0,
        length: 1,
        look: Look::Bold,
    }];
    Shown {
        body: Formatted {
            text: text.into(),
            spans,
        },
        ..Shown::default()
    }
}

/// A message of an answer that is there, and a delivery that goes on.
async fn standing(text: &str) -> (Rig, Running, Slot, OutboxId) {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    let delivery = rig.deliver();
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown(text))
        .await;
    rig.done(row).await;
    (rig, delivery, slot, row)
}

#[tokio::test]
async fn an_edit_that_changes_nothing_is_done() {
    let (rig, delivery, slot, row) = standing("same ").await;
    // Telegram drops white space at the end, so this is what it has already.
    rig.show(1001, Some(slot), Urgency::Message, shown("same"))
        .await;
    let row = rig.row_when(row, |row| row.sent_revision == 2).await;
    assert_eq!((row.state, row.attempts), (OutState::Done, 0));
    delivery.stop().await;
}

#[tokio::test]
async fn refused_entities_cost_the_look_not_the_text() {
    for description in [
        "Bad Request: can't parse entities: no end",
        "Bad Request: something new",
    ] {
        let rig = Rig::new().await;
        rig.acquainted(1001);
        rig.api.fault(
            Fault::always("sendMessage", refusal(description))
                .when(|call| call.params.get("entities").is_some()),
        );
        let delivery = rig.deliver();
        let row = rig.show(1001, None, Urgency::Message, bold("text")).await;
        let row = rig.done(row).await;
        assert!(row.plain && row.ambiguous == 0);
        assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["text"]);
        assert_eq!(rig.api.view(|v| v.count_of("sendMessage")), 2);
        delivery.stop().await;
    }
}

#[tokio::test]
async fn an_answer_whose_message_is_gone_comes_anew_a_step_of_it_does_not() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    let delivery = rig.deliver();
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown("one"))
        .await;
    let first = rig.done(row).await.message_id.unwrap();
    rig.api.user(1001, "Ann").delete(1001, first);
    rig.show(1001, Some(slot), Urgency::Progress, shown("two"))
        .await;
    rig.row_when(row, |row| row.state == OutState::Rejected)
        .await;
    assert!(rig.api.view(|v| v.bot_messages(1001)).is_empty());
    // The first of several messages: whole already, so that the last of its edits has nothing new.
    rig.show(1001, Some(slot), Urgency::Message, shown("two"))
        .await;
    let anew = rig.row_when(row, |row| row.sent_revision == 3).await;
    assert_ne!(anew.message_id, Some(first));
    assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["two"]);
    delivery.stop().await;
}

#[tokio::test]
async fn a_finished_answer_is_not_kept_back_whatever_the_edit_is_refused_for() {
    for description in [
        "Bad Request: message can't be edited",
        "Bad Request: MESSAGE_EDIT_TIME_EXPIRED",
        "Bad Request: MESSAGE_ID_INVALID",
        "Bad Request: not enough rights to edit the message",
        "Bad Request: message thread not found",
        "Bad Request: something that nobody thought of",
    ] {
        let (rig, delivery, slot, row) = standing("so far").await;
        rig.api
            .fault(Fault::always("editMessageText", refusal(description)));
        rig.show(1001, Some(slot), Urgency::Message, bold("the whole answer"))
            .await;
        let row = rig.row_when(row, |row| row.sent_revision == 2).await;
        assert_eq!((row.state, row.ambiguous), (OutState::Done, 0));
        let messages = rig.api.view(|v| v.bot_messages(1001));
        let last = messages.last().unwrap();
        assert_eq!(last.text, "the whole answer", "{description}");
        assert_eq!(Some(last.message_id), row.message_id);
        delivery.stop().await;
    }
}

#[tokio::test]
async fn a_finished_answer_is_not_kept_back_by_a_server_that_fails_at_its_edit() {
    let (rig, delivery, slot, row) = standing("so far").await;
    rig.api
        .fault(Fault::always("editMessageText", FaultKind::Html(502)));
    rig.show(1001, Some(slot), Urgency::Message, bold("the whole answer"))
        .await;
    let row = rig.row_when(row, |row| row.sent_revision == 2).await;
    // The edit may have been made, so it has the mark.
    assert_eq!((row.state, row.ambiguous), (OutState::Done, 1));
    let messages = rig.api.view(|v| v.bot_messages(1001));
    let last = messages.last().unwrap();
    assert!(last.text.ends_with("the whole answer"), "{}", last.text);
    assert!(last.text.starts_with("(may be a repeat)"), "{}", last.text);
    assert_eq!(Some(last.message_id), row.message_id);
    delivery.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_gone_is_left_for_the_chat() {
    let rig = Rig::new().await;
    rig.api.supergroup(-1_000_000_000_007, "forum", true);
    let delivery = rig.deliver();
    let target = Target {
        chat_id: -1_000_000_000_007,
        thread_id: 99,
    };
    let row = rig
        .tx(move |tx| tx.out_show(target, None, Urgency::Message, &shown("x"), now()))
        .await;
    rig.done(row).await;
    let messages = rig.api.view(|v| v.bot_messages(-1_000_000_000_007));
    assert_eq!(
        (messages[0].text.as_str(), messages[0].thread_id),
        ("x", None)
    );
    delivery.stop().await;
}

#[tokio::test]
async fn a_group_that_moved_is_followed() {
    let rig = Rig::new().await;
    rig.api.group(-7, "group");
    rig.api.migrate(-7, -1_000_000_000_007);
    let delivery = rig.deliver();
    let one = rig.say(-7, "one").await;
    let two = rig.say(-7, "two").await;
    rig.done(one).await;
    rig.done(two).await;
    assert_eq!(
        rig.api.view(|v| v.bot_texts(-1_000_000_000_007)),
        ["one", "two"]
    );
    assert_eq!(rig.row(two).await.ambiguous, 0);
    delivery.stop().await;
}

#[tokio::test]
async fn who_blocked_the_bot_is_not_tried_again() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api.user(1001, "Ann").block_bot();
    let delivery = rig.deliver();
    let row = rig.say(1001, "x").await;
    let row = rig
        .row_when(row, |row| row.state == OutState::Rejected)
        .await;
    assert!(row.last_error.unwrap().contains("blocked"));
    assert_eq!(rig.api.view(|v| v.count_of("sendMessage")), 1);
    delivery.stop().await;
}

#[tokio::test]
async fn too_long_a_text_is_cut_and_not_lost() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let delivery = rig.deliver();
    // Over the limit that is known here.
    let long = rig.say(1001, &"long ".repeat(1000)).await;
    rig.done(long).await;
    // Over one that only the server knows.
    rig.api.fault(
        Fault::always("sendMessage", refusal("Bad Request: message is too long")).when(|call| {
            call.params["text"]
                .as_str()
                .is_some_and(|text| text.len() > 3700)
        }),
    );
    let dense = rig.say(1001, &"x".repeat(4000)).await;
    rig.done(dense).await;
    for text in rig.api.view(|v| v.bot_texts(1001)) {
        assert!(text.len() > 3000 && text.ends_with("too long.)"), "{text}");
    }
    delivery.stop().await;
}

#[tokio::test]
async fn refused_buttons_and_replies_are_left_out() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api.fault(
        Fault::always("sendMessage", refusal("Bad Request: BUTTON_DATA_INVALID"))
            .when(|call| call.params.get("reply_markup").is_some()),
    );
    rig.api.fault(
        Fault::always(
            "sendMessage",
            refusal("Bad Request: message to be replied not found"),
        )
        .when(|call| call.params.get("reply_parameters").is_some()),
    );
    let delivery = rig.deliver();
    let wanted = Shown {
        buttons: vec![vec![Button {
            label: "b".into(),
            data: "d".into(),
        }]],
        reply_to: Some(4711),
        ..shown("text")
    };
    let row = rig.show(1001, None, Urgency::Message, wanted).await;
    rig.done(row).await;
    assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["text"]);
    delivery.stop().await;
}

#[tokio::test]
async fn a_refusal_does_not_bury_newer_content() {
    let (rig, delivery, slot, row) = standing("one").await;
    rig.api.fault(
        Fault::always("editMessageText", refusal("Bad Request: not this"))
            .when(|call| call.params["text"] == "two"),
    );
    let hang = rig.api.fault(Fault::once(
        "editMessageText",
        FaultKind::Delay(std::time::Duration::from_millis(150)),
    ));
    rig.show(1001, Some(slot), Urgency::Progress, shown("two"))
        .await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("editMessageText") == 1)
        .await
        .unwrap();
    rig.api.cancel_fault(hang);
    rig.show(1001, Some(slot), Urgency::Message, shown("three"))
        .await;
    rig.row_when(row, |row| row.sent_revision == 3).await;
    assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["three"]);

    // As a step on the way it is left out, as what is final it comes anew.
    rig.show(1001, Some(slot), Urgency::Progress, shown("two"))
        .await;
    rig.row_when(row, |row| row.state == OutState::Rejected)
        .await;
    assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["three"]);
    rig.show(1001, Some(slot), Urgency::Message, shown("two"))
        .await;
    rig.done(row).await;
    assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["three", "two"]);
    delivery.stop().await;
}
