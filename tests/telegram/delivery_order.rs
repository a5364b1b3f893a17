//! Which message goes when: side by side, paced, and at the order to stop.

use std::time::Duration;

use telexd::{
    core::live::Live,
    store::rows::{OutState, Target, Urgency},
    telegram::delivery::{DeliveryConfig, pacing::PacingRule},
};
use telexd_botapi::{Fault, FaultKind};

use crate::rig::{DEADLINE, Rig, now, quick, shown};

const MARK: &str = "(may be a repeat)\n";

#[tokio::test]
async fn one_chat_that_hangs_stops_nobody_else() {
    let rig = Rig::new().await;
    for chat in 1001..=1020 {
        rig.acquainted(chat);
    }
    let hang = rig.api.fault(
        Fault::once("sendMessage", FaultKind::Hang { taken: true })
            .when(|call| call.params["chat_id"] == 1001),
    );
    let delivery = rig.deliver();
    rig.say(1001, "hangs").await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("sendMessage") == 1)
        .await
        .unwrap();
    for chat in 1002..=1020 {
        rig.say(chat, "x").await;
    }
    // Long before the call that hangs is given up.
    rig.api
        .wait_for(DEADLINE / 2, |v| {
            (1002..=1020).all(|chat| v.bot_messages(chat).len() == 1)
        })
        .await
        .unwrap();
    rig.api.cancel_fault(hang);
    delivery.stop().await;
}

#[tokio::test]
async fn one_chat_sees_one_call_at_a_time() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    let delivery = rig.deliver();
    let row = rig
        .show(1001, Some(slot), Urgency::Message, shown("one"))
        .await;
    rig.done(row).await;
    let delay = Duration::from_millis(200);
    rig.api
        .fault(Fault::once("editMessageText", FaultKind::Delay(delay)));
    rig.show(1001, Some(slot), Urgency::Progress, shown("two"))
        .await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("editMessageText") == 1)
        .await
        .unwrap();
    let other = rig.say(1001, "three").await;
    rig.show(1001, Some(slot), Urgency::Progress, shown("four"))
        .await;
    rig.done(other).await;
    rig.row_when(row, |row| row.sent_revision == 3).await;
    let calls = rig.api.calls();
    let slow = calls
        .iter()
        .position(|call| call.params["text"] == "two")
        .unwrap();
    for call in &calls[slow + 1..] {
        let between = u128::try_from(call.at - calls[slow].at).unwrap();
        assert!(
            between >= delay.as_millis(),
            "{call:?} came {between} ms after an edit that took longer"
        );
    }
    delivery.stop().await;
}

#[tokio::test]
async fn an_order_to_stop_flushes_what_is_due_and_leaves_the_rest() {
    let rig = Rig::new().await;
    for chat in 1001..=1005 {
        rig.acquainted(chat);
        rig.say(chat, "due").await;
    }
    let later = rig.say(1001, "not in time").await;
    let config = DeliveryConfig {
        pacing: Live::new(PacingRule {
            chat_interval_ms: 3_600_000,
            chat_burst: 1,
            ..*quick().pacing.get()
        }),
        ..quick()
    };
    let delivery = rig.deliver_with(config);
    let before = tokio::time::Instant::now();
    delivery.stop().await;
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "it waited for what cannot go out in time"
    );
    for chat in 1001..=1005 {
        assert_eq!(rig.api.view(|v| v.bot_texts(chat)), ["due"]);
    }
    assert_eq!(rig.row(later).await.state, OutState::Pending);
}

#[tokio::test]
async fn an_order_to_stop_does_not_wait_for_a_call_that_hangs() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api
        .fault(Fault::once("sendMessage", FaultKind::Hang { taken: true }));
    let config = DeliveryConfig {
        flush: Duration::from_millis(100),
        landing: Duration::from_millis(100),
        ..quick()
    };
    let delivery = rig.deliver_with(config);
    let row = rig.say(1001, "x").await;
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("sendMessage") == 1)
        .await
        .unwrap();
    let before = tokio::time::Instant::now();
    delivery.stop().await;
    assert!(before.elapsed() < Duration::from_secs(1));
    rig.api.clear_faults();

    let delivery = rig.deliver();
    assert_eq!(rig.done(row).await.ambiguous, 1);
    assert_eq!(
        rig.api.view(|v| v.bot_texts(1001)),
        ["x", &format!("{MARK}x")]
    );
    delivery.stop().await;
}

#[tokio::test]
async fn calls_to_one_chat_keep_their_distance() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let config = DeliveryConfig {
        pacing: Live::new(PacingRule {
            chat_interval_ms: 150,
            chat_burst: 2,
            ..*quick().pacing.get()
        }),
        ..quick()
    };
    for n in 0..5 {
        rig.say(1001, &n.to_string()).await;
    }
    let delivery = rig.deliver_with(config);
    rig.api
        .wait_for(DEADLINE, |v| v.bot_messages(1001).len() == 5)
        .await
        .unwrap();
    let at: Vec<_> = rig
        .api
        .view(|v| v.calls_of("sendMessage"))
        .iter()
        .map(|call| call.at)
        .collect();
    // Two at once, then one per interval; a few milliseconds for the way there.
    assert!(at[4] - at[1] >= 3 * 150 - 40, "{at:?}");
    delivery.stop().await;
}

#[tokio::test]
async fn many_chats_are_served() {
    let rig = Rig::new().await;
    for chat in 1..=300 {
        rig.acquainted(chat);
    }
    rig.tx(|tx| {
        for chat_id in 1..=300 {
            for n in 0..3 {
                tx.out_show(
                    Target {
                        chat_id,
                        thread_id: 0,
                    },
                    None,
                    Urgency::Message,
                    &shown(&n.to_string()),
                    now(),
                )?;
            }
        }
        Ok(())
    })
    .await;
    let delivery = rig.deliver();
    // They are 900 messages: a second alone, and many on a machine that has much else to do.
    rig.api
        .wait_for(4 * DEADLINE, |v| v.count_of("sendMessage") == 900)
        .await
        .unwrap();
    for chat in 1..=300 {
        rig.api
            .wait_for(DEADLINE, |v| v.bot_texts(chat) == ["0", "1", "2"])
            .await
            .unwrap();
    }
    delivery.stop().await;
}
