//! From the outbox to the chat, when the network or Telegram misbehaves.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::json;
use telexd::{
    core::{
        backoff::BackoffRule,
        text::{Button, Formatted, Look, Shown, Span},
    },
    gateway::ports::Clock,
    store::rows::Urgency,
    telegram::delivery::DeliveryConfig,
};
use telexd_botapi::{Fault, FaultKind, Network};

use crate::rig::{DEADLINE, Rig, now, quick, shown};

const MARK: &str = "(may be a repeat)\n";

#[tokio::test]
async fn a_message_goes_out_as_it_is_wanted() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let delivery = rig.deliver();
    let wanted = Shown {
        body: Formatted {
            text: "run this: x = 1".into(),
            spans: vec![
                Span {
                    offset: 0,
                    length: 3,
                    look: Look::Bold,
                },
                Span {
                    offset: 10,
                    length: 5,
                    look: Look::Pre(Some("rust".into())),
                },
            ],
        },
        buttons: vec![vec![Button {
            label: "Stop".into(),
            data: "stop:1".into(),
        }]],
        reply_to: Some(1),
        ..Shown::default()
    };
    let row = rig.show(1001, None, Urgency::Message, wanted).await;
    let row = rig.done(row).await;
    let messages = rig.api.view(|v| v.bot_messages(1001));
    assert_eq!(messages.len(), 1);
    assert_eq!(Some(messages[0].message_id), row.message_id);
    assert_eq!(messages[0].text, "run this: x = 1");
    assert_eq!(messages[0].entities.len(), 2);
    assert_eq!(messages[0].buttons[0][0].data.as_deref(), Some("stop:1"));
    assert_eq!(messages[0].reply_to, Some(1));
    assert_eq!(
        rig.api.calls().last().unwrap().params["link_preview_options"],
        json!({"is_disabled": true})
    );
    delivery.stop().await;
}

#[tokio::test]
async fn of_many_edits_only_the_newest_is_made() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    let hang = rig
        .api
        .fault(Fault::once("sendMessage", FaultKind::Hang { taken: false }));
    let delivery = rig.deliver();
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown("0"))
        .await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("sendMessage") == 1)
        .await
        .unwrap();
    for n in 1..=20 {
        rig.show(1001, Some(slot), Urgency::Progress, shown(&n.to_string()))
            .await;
    }
    rig.api.cancel_fault(hang);
    let row = rig.done(row).await;
    assert_eq!((row.revision, row.sent_revision), (21, 21));
    let messages = rig.api.view(|v| v.bot_messages(1001));
    assert_eq!(messages.len(), 1);
    let history: Vec<_> = messages[0]
        .history
        .iter()
        .map(|v| v.text.as_str())
        .collect();
    assert_eq!(history, ["0", "20"]);
    delivery.stop().await;
}

#[tokio::test]
async fn first_sends_keep_their_order() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api
        .fault(Fault::times("sendMessage", 2, FaultKind::Html(502)));
    for n in 0..20 {
        rig.say(1001, &n.to_string()).await;
    }
    let delivery = rig.deliver();
    rig.api
        .wait_for(DEADLINE, |v| v.bot_messages(1001).len() == 20)
        .await
        .unwrap();
    let texts: Vec<_> = rig.api.view(|v| v.bot_texts(1001));
    let mut wanted: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    wanted[0] = format!("{MARK}0");
    assert_eq!(texts, wanted);
    delivery.stop().await;
}

#[tokio::test]
async fn what_may_have_arrived_goes_again_marked_and_stays_so() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    rig.api
        .fault(Fault::once("sendMessage", FaultKind::ResetAfter));
    let delivery = rig.deliver();
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown("text"))
        .await;
    assert_eq!(rig.done(row).await.ambiguous, 1);
    assert_eq!(
        rig.api.view(|v| v.bot_texts(1001)),
        ["text", &format!("{MARK}text")]
    );
    rig.show(1001, Some(slot), Urgency::Message, shown("other"))
        .await;
    rig.row_when(row, |row| row.sent_revision == 2).await;
    assert_eq!(
        rig.api.view(|v| v.bot_texts(1001)),
        ["text", &format!("{MARK}other")]
    );
    delivery.stop().await;
}

#[tokio::test]
async fn every_kind_of_lost_answer_is_ambiguous_for_a_send_only() {
    for kind in [
        FaultKind::TruncatedBody,
        FaultKind::OversizedBody(6 << 20),
        FaultKind::ResetBefore,
        FaultKind::Html(500),
        FaultKind::Answer {
            status: 200,
            content_type: "text/html".into(),
            body: "<html>".into(),
        },
        FaultKind::Hang { taken: true },
    ] {
        let rig = match kind {
            FaultKind::Hang { .. } => Rig::that_gives_up_soon().await,
            _ => Rig::new().await,
        };
        rig.acquainted(1001);
        let slot = rig.slot(1001).await;
        let delivery = rig.deliver();
        let row = rig
            .show(1001, Some(slot), Urgency::Message, shown("one"))
            .await;
        rig.done(row).await;
        rig.api.fault(Fault::once("editMessageText", kind.clone()));
        rig.show(1001, Some(slot), Urgency::Message, shown("two"))
            .await;
        let edited = rig.row_when(row, |row| row.sent_revision == 2).await;
        assert_eq!(edited.ambiguous, 0, "{kind:?}");
        assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["two"], "{kind:?}");

        rig.api.fault(Fault::once("sendMessage", kind.clone()));
        let row = rig.say(1001, "three").await;
        assert_eq!(rig.done(row).await.ambiguous, 1, "{kind:?}");
        assert_eq!(
            rig.api.view(|v| v.bot_texts(1001)).pop().unwrap(),
            format!("{MARK}three")
        );
        delivery.stop().await;
    }
}

#[tokio::test]
async fn what_never_left_is_not_marked() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api.network(Network::Refused).await.unwrap();
    let delivery = rig.deliver();
    let row = rig.say(1001, "text").await;
    let tried = rig.row_when(row, |row| row.attempts >= 3).await;
    let error = tried.last_error.unwrap();
    assert!(
        error.contains("refused") && !error.contains("AAF-"),
        "{error}"
    );
    rig.api.network(Network::Up).await.unwrap();
    assert_eq!(rig.done(row).await.ambiguous, 0);
    assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["text"]);
    delivery.stop().await;
}

#[tokio::test]
async fn what_failed_for_want_of_a_network_goes_as_soon_as_there_is_one() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api.network(Network::Refused).await.unwrap();
    let hour = BackoffRule {
        base_ms: 3_600_000,
        factor: 1.0,
        cap_ms: 3_600_000,
        jitter: 0.0,
        stable_ms: 0,
    };
    let delivery = rig.deliver_with(DeliveryConfig {
        retry: hour,
        ..quick()
    });
    let row = rig.say(1001, "text").await;
    rig.row_when(row, |row| row.attempts >= 2).await;
    rig.api.network(Network::Up).await.unwrap();
    rig.done(row).await;
    // A refusal of something on the way may be of this row alone.
    rig.api
        .fault(Fault::once("sendMessage", FaultKind::Html(403)));
    let row = rig.say(1001, "more").await;
    let waits = rig.row_when(row, |row| row.attempts == 1).await;
    assert!(waits.not_before > now() + 3_000_000);
    delivery.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_delays_nothing() {
    const HOUR: i64 = 3_600_000;
    struct Set(AtomicI64);
    impl Clock for Set {
        fn now(&self) -> i64 {
            now() + self.0.load(Ordering::SeqCst)
        }
    }
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let flood = |retry_after| FaultKind::TooManyRequests {
        retry_after,
        parameters: true,
        header: false,
    };
    // While it runs. Whoever writes a row wakes it, as the next message would.
    let clock = Arc::new(Set(AtomicI64::new(3 * HOUR)));
    let delivery = rig.deliver_by(Arc::clone(&clock) as _, quick());
    rig.api.fault(Fault::once("sendMessage", flood(1)));
    let held = rig.say(1001, "held").await;
    rig.row_when(held, |row| row.attempts == 1).await;
    clock.0.store(0, Ordering::SeqCst);
    let next = rig.say(1001, "next").await;
    rig.done(held).await;
    rig.done(next).await;
    // While nobody runs.
    clock.0.store(3 * HOUR, Ordering::SeqCst);
    rig.api.fault(Fault::once("sendMessage", flood(1)));
    let held = rig.say(1001, "held again").await;
    rig.row_when(held, |row| row.attempts == 1).await;
    delivery.kill().await;
    let delivery = rig.deliver();
    rig.done(held).await;
    delivery.stop().await;
}

#[tokio::test]
async fn a_wait_that_telegram_asks_for_outlives_the_worker_and_stops_nobody_else() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.acquainted(1002);
    let flood = FaultKind::TooManyRequests {
        retry_after: 1,
        parameters: false,
        header: true,
    };
    rig.api
        .fault(Fault::once("sendMessage", flood).when(|call| call.params["chat_id"] == 1001));
    let delivery = rig.deliver();
    let held = rig.say(1001, "held").await;
    let until = rig.row_when(held, |row| row.attempts == 1).await.not_before;
    assert_eq!(rig.tx(|tx| tx.chat_limit(1001)).await, Some(until));
    delivery.kill().await;

    let delivery = rig.deliver();
    let free = rig.say(1002, "free").await;
    rig.done(free).await;
    // Another message of the same chat is not tried either.
    let behind = rig.say(1001, "behind").await;
    let commits = rig.store.commits();
    rig.api
        .wait_for(DEADLINE, |v| v.bot_messages(1001).len() == 2)
        .await
        .unwrap();
    // It slept meanwhile: two messages cost some commits, a busy loop of a second would cost thousands.
    assert!(rig.store.commits() - commits < 40);
    assert_eq!(rig.done(held).await.ambiguous, 0);
    rig.done(behind).await;
    let calls = rig.api.view(|v| v.calls_of("sendMessage"));
    let to_held: Vec<_> = calls
        .iter()
        .filter(|call| call.params["chat_id"] == 1001)
        .map(|call| call.at)
        .collect();
    assert_eq!(to_held.len(), 3);
    assert!(to_held[1] >= until, "{to_held:?} {until}");
    let to_free = calls
        .iter()
        .find(|call| call.params["chat_id"] == 1002)
        .unwrap()
        .at;
    assert!(to_free < until);
    delivery.stop().await;
}

#[tokio::test]
async fn a_press_is_answered_ahead_of_everything() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    let config = DeliveryConfig {
        parallel: 1,
        ..quick()
    };
    let delivery = rig.deliver_with(config);
    let wanted = Shown {
        buttons: vec![vec![Button {
            label: "Stop".into(),
            data: "stop".into(),
        }]],
        ..shown("x")
    };
    let row = rig.show(1001, Some(slot), Urgency::Message, wanted).await;
    let message_id = rig.done(row).await.message_id.unwrap();
    let press = rig
        .api
        .user(1001, "Ann")
        .press(1001, message_id, "stop")
        .unwrap();

    let hang = rig.api.fault(Fault::once(
        "editMessageText",
        FaultKind::Hang { taken: true },
    ));
    rig.show(1001, Some(slot), Urgency::Progress, shown("y"))
        .await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("editMessageText") == 1)
        .await
        .unwrap();
    let id = press.clone();
    let answer = rig.tx(move |tx| tx.out_press(&id, "Stopping", now())).await;
    rig.done(answer).await;
    assert_eq!(
        rig.api.callback_answers()[0].text.as_deref(),
        Some("Stopping")
    );
    rig.api.cancel_fault(hang);

    rig.api.forget_callback(&press);
    let late = rig.tx(move |tx| tx.out_press(&press, "", now())).await;
    assert_eq!(rig.done(late).await.attempts, 0);
    delivery.stop().await;
}

#[tokio::test]
async fn a_message_that_is_unwanted_meanwhile_is_deleted() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    let hang = rig
        .api
        .fault(Fault::once("sendMessage", FaultKind::Hang { taken: true }));
    let delivery = rig.deliver();
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown("x"))
        .await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("sendMessage") == 1)
        .await
        .unwrap();
    rig.tx(move |tx| tx.out_retract(slot.turn, 0, 1, now()))
        .await;
    rig.api.cancel_fault(hang);
    rig.done(row).await;
    assert!(rig.api.view(|v| v.bot_messages(1001)).is_empty());

    // The same while an edit is on the wire.
    let slot = rig.slot(1001).await;
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown("one"))
        .await;
    rig.done(row).await;
    let hang = rig.api.fault(Fault::once(
        "editMessageText",
        FaultKind::Hang { taken: true },
    ));
    rig.show(1001, Some(slot), Urgency::Progress, shown("two"))
        .await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("editMessageText") == 1)
        .await
        .unwrap();
    rig.tx(move |tx| tx.out_retract(slot.turn, 0, 1, now()))
        .await;
    rig.api.cancel_fault(hang);
    rig.done(row).await;
    assert!(rig.api.view(|v| v.bot_messages(1001)).is_empty());
    delivery.stop().await;
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent_again() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let database = rusqlite::Connection::open(rig.directory.path().join("telexd.db")).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER no_room BEFORE UPDATE ON outbox WHEN NEW.state = 'done'
             BEGIN SELECT RAISE(ABORT, 'no room'); END",
        )
        .unwrap();
    let delivery = rig.deliver();
    let row = rig.say(1001, "once").await;
    rig.api
        .wait_for(DEADLINE, |v| v.bot_messages(1001).len() == 1)
        .await
        .unwrap();
    database.execute_batch("DROP TRIGGER no_room").unwrap();
    assert_eq!(rig.done(row).await.ambiguous, 0);
    assert_eq!(rig.api.view(|v| v.count_of("sendMessage")), 1);
    delivery.stop().await;
}
