//! What is counted: what is committed, once, and nothing else.

use prometheus_client::{encoding::text::encode, registry::Registry};

use super::*;
use crate::store::rows::{RawUpdate, Target, TurnEnd, Urgency, Verdict};

/// Lines of the counters that are neither zero nor about the database itself.
fn counted(db: &Db) -> Vec<String> {
    // Whoever asked is answered before it is counted, but not before the next one is served.
    db.tx(|_| Ok(()));
    let mut registry = Registry::default();
    db.store.tally().register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let of_interest = |line: &&str| {
        !line.starts_with('#')
            && !line.starts_with("database")
            && !line.contains("_bucket")
            && !line.ends_with(" 0")
            && !line.ends_with(" 0.0")
    };
    text.lines()
        .filter(of_interest)
        .map(str::to_owned)
        .collect()
}

fn all(tx: &Tx<'_>) -> Result<(), StoreError> {
    let raw = |n: i64| RawUpdate {
        update_id: n,
        raw: format!("{{\"update_id\":{n}}}"),
    };
    let inbox = tx.inbox_add(7, &[raw(1), raw(2), raw(1)], 10)?;
    tx.inbox_done(inbox[0], Verdict::Prompt, 20)?;
    let (conversation, turn) = turn_of(tx, 1001)?;
    tx.session_start(conversation, uuid(1), 5)?;
    let run = run_id(1);
    tx.run_add(&new_run(run.clone(), conversation, uuid(1)))?;
    tx.turn_submitted(turn, &run, uuid(2), "{}", 1_501)?;
    let end = TurnEnd {
        state: TurnState::Failed,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, 4_501)?;
    let exit = "{\"how\":\"out_of_memory\",\"limit\":null}";
    tx.run_ended(&run, RunStatus::Failed, Some(exit), 5_000)?;
    tx.run_ended(&run, RunStatus::Failed, Some(exit), 5_000)?;
    let target = Target {
        chat_id: 1001,
        thread_id: 0,
    };
    let row = tx.out_show(target, None, Urgency::Message, &shown("x"), 6_000)?;
    tx.out_sending(row, 1)?;
    tx.chat_limit_set(1001, 9_000, 7_000)?;
    // Of a person's orders, not Telegram's.
    tx.pace_set("restart:1001", 9_000, 7_000)?;
    tx.out_later(row, "429", 9_000, 7_000)?;
    tx.out_sent(row, 1, Some(5), 10_000)?;
    tx.out_sent(row, 1, Some(5), 10_000)?;
    let refused = tx.out_press("p", "", 10_000)?;
    tx.out_rejected(refused, "no", 10_000)
}

#[test]
fn what_is_committed_is_counted_once() {
    let db = Db::new();
    db.tx(all);
    assert_eq!(
        counted(&db),
        [
            "updates_received_total 2",
            "updates_done_total{verdict=\"prompt\"} 1",
            "prompts_total 1",
            "prompt_wait_seconds_sum 1.5",
            "prompt_wait_seconds_count 1",
            "turns_total{result=\"failed\"} 1",
            "turn_duration_seconds_sum 3.0",
            "turn_duration_seconds_count 1",
            "runs_started_total 1",
            "runs_ended_total{how=\"out_of_memory\"} 1",
            "sent_total{kind=\"message\"} 1",
            "outbox_age_seconds_sum 4.0",
            "outbox_age_seconds_count 1",
            "retries_total{why=\"later\"} 1",
            "refused_total 1",
            "throttles_total 1",
            "throttle_seconds_total 2.0",
        ]
    );
}

#[test]
fn what_is_taken_back_is_not() {
    let db = Db::new();
    let failed = db.try_tx(|tx| {
        all(tx)?;
        Err::<(), _>(StoreError::Other("no".to_owned()))
    });
    assert!(failed.is_err());
    assert_eq!(counted(&db), Vec::<String>::new());
    // In a group, too, where each has a savepoint of its own.
    db.runtime.block_on(async {
        let one = db.store.tx(|tx| {
            all(tx)?;
            Err::<(), _>(StoreError::Other("no".to_owned()))
        });
        let other = db.store.tx(|tx| tx.out_press("q", "", 1));
        let (one, other) = tokio::join!(one, other);
        assert!(one.is_err() && other.is_ok());
    });
    assert_eq!(counted(&db), Vec::<String>::new());
}

#[test]
fn runs_without_memory_are_told_from_others() {
    let db = Db::new();
    let ended = |n: u8, exit: Option<&'static str>, at: i64| {
        db.tx(move |tx| {
            let (conversation, _) = turn_of(tx, 1001)?;
            tx.session_start(conversation, uuid(n.into()), 5)?;
            let run = run_id(n);
            tx.run_add(&new_run(run.clone(), conversation, uuid(n.into())))?;
            tx.run_ended(&run, RunStatus::Failed, exit, at)
        });
    };
    ended(1, Some("{\"how\":\"out_of_memory\",\"limit\":5}"), 100);
    ended(2, Some("{\"how\":\"out_of_memory\",\"limit\":null}"), 200);
    ended(3, Some("{\"how\":\"signal\",\"signal\":9}"), 200);
    ended(4, Some("{\"how\":\"out_of_mem"), 200);
    ended(5, None, 200);
    let since = |at| db.tx(move |tx| tx.runs_out_of_memory(at));
    assert_eq!([since(0), since(100), since(101), since(201)], [2, 2, 1, 0]);
}
