//! Killed at the named points of intake and delivery: what the next life makes of it.
//!
//! A program of its own, as failpoints hold for a whole process.
#![cfg(feature = "failpoints")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: whatever is not as it should be ends them"
)]

#[allow(
    dead_code,
    reason = "shared with another test program that uses the rest"
)]
#[path = "telegram/rig.rs"]
mod rig;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use fail::FailScenario;
use rig::{DEADLINE, Gateway, Rig, eventually, shown};
use telexd::store::rows::{OutState, Urgency};

const MARK: &str = "(may be a repeat)\n";

/// Dies at the point, once. Tells whether it has.
fn die_at(point: &str) -> Arc<AtomicBool> {
    let dead = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&dead);
    fail::cfg_callback(point, move || {
        assert!(flag.swap(true, Ordering::SeqCst), "killed here");
    })
    .unwrap();
    dead
}

async fn when(dead: &AtomicBool) {
    eventually(|| async { dead.load(Ordering::SeqCst).then_some(()) }).await;
}

#[tokio::test]
async fn a_first_send() {
    for (point, texts) in [
        // Claimed, so it may have gone out; that it did not, nobody can know.
        (
            "outbox-claimed",
            vec![format!("{MARK}one"), "two".to_owned()],
        ),
        (
            "outbox-wire-done",
            vec!["one".to_owned(), format!("{MARK}one"), "two".to_owned()],
        ),
        ("outbox-recorded", vec!["one".to_owned(), "two".to_owned()]),
    ] {
        let scenario = FailScenario::setup();
        let rig = Rig::new().await;
        rig.acquainted(1001);
        let dead = die_at(point);
        let one = rig.say(1001, "one").await;
        let first = rig.deliver();
        when(&dead).await;
        let state = if point == "outbox-recorded" {
            OutState::Done
        } else {
            OutState::Sending
        };
        assert_eq!(rig.row(one).await.state, state, "{point}");
        let sent = usize::from(point != "outbox-claimed");
        assert_eq!(rig.api.view(|v| v.count_of("sendMessage")), sent, "{point}");
        first.kill().await;

        let two = rig.say(1001, "two").await;
        let second = rig.deliver();
        rig.done(two).await;
        assert_eq!(rig.api.view(|v| v.bot_texts(1001)), texts, "{point}");
        second.stop().await;
        scenario.teardown();
    }
}

#[tokio::test]
async fn an_edit_shows_once_wherever_it_dies() {
    for point in ["outbox-wire-done", "outbox-recorded"] {
        let scenario = FailScenario::setup();
        let rig = Rig::new().await;
        rig.acquainted(1001);
        let slot = rig.slot(1001).await;
        let first = rig.deliver();
        let row = rig
            .show(1001, Some(slot), Urgency::Message, shown("one"))
            .await;
        rig.done(row).await;
        let dead = die_at(point);
        rig.show(1001, Some(slot), Urgency::Message, shown("two"))
            .await;
        when(&dead).await;
        first.kill().await;
        let second = rig.deliver();
        let row = rig.row_when(row, |row| row.sent_revision == 2).await;
        assert_eq!(row.ambiguous, 0);
        assert_eq!(rig.api.view(|v| v.bot_texts(1001)), ["two"], "{point}");
        second.stop().await;
        scenario.teardown();
    }
}

#[tokio::test]
async fn a_batch() {
    for point in [
        "intake-before-commit",
        "intake-after-commit",
        "intake-accepted",
    ] {
        let scenario = FailScenario::setup();
        let rig = Rig::new().await;
        let ann = rig.api.user(1001, "Ann");
        for n in 0..5 {
            ann.send_text(1001, &n.to_string());
        }
        die_at(point);
        let gateway = Arc::new(Gateway::default());
        let (first, _health) = rig.take_in(&gateway);
        first.died().await;
        assert_eq!(
            rig.api.pending_updates().len(),
            5,
            "{point}: confirmed before it was handed over"
        );
        let kept = if point == "intake-before-commit" {
            0
        } else {
            5
        };
        assert_eq!(rig.tx(|tx| tx.inbox_backlog()).await.0, kept, "{point}");
        // The gateway acts on what it was given before it dies as well.
        gateway.act(&rig).await;

        ann.send_text(1001, "5");
        let (second, _health) = rig.take_in(&gateway);
        gateway.taken(6).await;
        assert_eq!(gateway.texts(), ["0", "1", "2", "3", "4", "5"], "{point}");
        rig.api
            .wait_for(DEADLINE, |v| v.pending_updates().is_empty())
            .await
            .unwrap();
        second.stop().await;
        scenario.teardown();
    }
}
