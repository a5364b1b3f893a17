//! Every method but those of turns, runs and the outbox, which have files of their own.

use super::*;
use crate::{
    core::{event::Question, pairing::Answer},
    store::rows::{AuditEntry, PairedRow, RawUpdate, SessionMetadata, Verdict},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

fn update(update_id: i64, raw: &str) -> RawUpdate {
    RawUpdate {
        update_id,
        raw: raw.to_owned(),
    }
}

#[test]
fn the_inbox_takes_each_update_once_and_in_order() {
    let db = Db::new();
    let first =
        db.tx(|tx| tx.inbox_add(7, &[update(10, "a"), update(11, "b"), update(10, "a")], 1));
    assert_eq!(first.len(), 2);
    assert!(first[0] < first[1]);
    // The same batch again (not confirmed before a crash), with one more.
    let again =
        db.tx(|tx| tx.inbox_add(7, &[update(10, "a"), update(11, "b"), update(12, "c")], 2));
    assert_eq!(again.len(), 1);
    // Ids that fell back: the same id with other content is new, and comes after what was there.
    let fallen = db.tx(|tx| tx.inbox_add(7, &[update(10, "other"), update(3, "low")], 3));
    assert_eq!(fallen.len(), 2);
    // Another bot has ids of its own.
    assert_eq!(db.tx(|tx| tx.inbox_add(8, &[update(10, "a")], 3)).len(), 1);

    let pending = db.tx(|tx| tx.inbox_pending(100));
    let seen: Vec<_> = pending
        .iter()
        .map(|row| (row.bot_id, row.update_id, row.raw.as_str(), row.received_at))
        .collect();
    assert_eq!(
        seen,
        [
            (7, 10, "a", 1),
            (7, 11, "b", 1),
            (7, 12, "c", 2),
            (7, 10, "other", 3),
            (7, 3, "low", 3),
            (8, 10, "a", 3)
        ]
    );
    assert_eq!(db.tx(|tx| tx.inbox_pending(2)).len(), 2);
    assert_eq!(db.tx(|tx| tx.inbox_backlog()), (6, Some(1)));
}

#[test]
fn an_update_keeps_its_text_to_the_letter() {
    let db = Db::new();
    let raws = [
        r#"{"text":"\ud83d lone"}"#.to_owned(),
        "nul \0 inside".to_owned(),
        "x".repeat(64 * 1024),
        String::new(),
    ];
    for (n, raw) in raws.iter().enumerate() {
        let (n, raw) = (i64::try_from(n).unwrap(), raw.clone());
        db.tx(move |tx| tx.inbox_add(7, &[RawUpdate { update_id: n, raw }], 1));
    }
    let db = db.reopen();
    let kept: Vec<_> = db
        .tx(|tx| tx.inbox_pending(100))
        .into_iter()
        .map(|row| row.raw)
        .collect();
    assert_eq!(kept, raws);
}

#[test]
fn an_update_is_acted_on_once() {
    let db = Db::new();
    let ids = db.tx(|tx| tx.inbox_add(7, &[update(1, "a"), update(2, "b")], 10));
    let (a, b) = (ids[0], ids[1]);
    db.tx(move |tx| tx.inbox_done(a, Verdict::Command, 20));
    let twice = db.try_tx(move |tx| {
        tx.setting_set("effect", "twice", 1)?;
        tx.inbox_done(a, Verdict::Prompt, 21)
    });
    assert!(matches!(twice, Err(StoreError::Other(_))), "{twice:?}");
    assert_eq!(db.tx(|tx| tx.setting("effect")), None);
    let absent = db.try_tx(|tx| tx.inbox_done(InboxId(99), Verdict::Prompt, 21));
    assert!(matches!(absent, Err(StoreError::Other(_))));
    let pending = db.tx(|tx| tx.inbox_pending(9));
    assert_eq!(pending.iter().map(|row| row.id).collect::<Vec<_>>(), [b]);
    assert_eq!(db.tx(|tx| tx.inbox_backlog()), (1, Some(10)));
}

#[test]
fn pruning_the_inbox_keeps_what_is_still_needed() {
    let db = Db::new();
    let left = db.tx(|tx| {
        let ids = tx.inbox_add(
            7,
            &[
                update(1, "pending"),
                update(2, "refused"),
                update(3, "unreadable"),
                update(4, "part of an open turn"),
                update(5, "part of a turn that is over"),
                update(6, "fresh"),
            ],
            0,
        )?;
        tx.inbox_done(ids[1], Verdict::Refused, 10)?;
        tx.inbox_done(ids[2], Verdict::Unreadable, 10)?;
        for (n, over) in [(3, false), (4, true)] {
            tx.inbox_done(ids[n], Verdict::Prompt, 10)?;
            let (_, turn) = turn_of(tx, 1)?;
            tx.turn_part_add(turn, &part(ids[n].0, "text"))?;
            if over {
                tx.turn_state(turn, TurnState::Discarded, 11)?;
            }
        }
        tx.inbox_done(ids[5], Verdict::Ignored, 500)?;
        assert_eq!(tx.inbox_prune(500)?, 2);
        // Seen 30 days later the unreadable one goes, too, with the fresh one; what is needed stays.
        assert_eq!(tx.inbox_prune(30 * DAY + 10)?, 1);
        assert_eq!(tx.inbox_prune(30 * DAY + 11)?, 1);
        // Ids are not given twice.
        let next = tx.inbox_add(7, &[update(9, "next")], 0)?;
        assert!(next[0] > ids[5]);
        tx.inbox_done(ids[0], Verdict::Command, 1)?;
        tx.inbox_backlog()
    });
    assert_eq!(left, (1, Some(0)));
}

#[test]
fn the_poll_offset_may_fall() {
    let db = Db::new();
    assert_eq!(db.tx(|tx| tx.poll_offset(7)), None);
    db.tx(|tx| tx.set_poll_offset(7, 100));
    db.tx(|tx| tx.set_poll_offset(8, 5));
    db.tx(|tx| tx.set_poll_offset(7, 3));
    let db = db.reopen();
    assert_eq!(db.tx(|tx| tx.poll_offset(7)), Some(3));
    assert_eq!(db.tx(|tx| tx.poll_offset(8)), Some(5));
}

#[test]
fn a_conversation_is_made_once_per_key() {
    let db = Db::new();
    let first = db.tx(|tx| tx.conversation_open(&key(1), 10));
    assert_eq!(db.tx(|tx| tx.conversation_open(&key(1), 99)), first);
    let topic = ConversationKey {
        thread_id: 4,
        ..key(1)
    };
    let other = db.tx(move |tx| tx.conversation_open(&topic, 11));
    assert_ne!(other.id, first.id);
    assert_eq!(other.key, topic);
    let id = first.id;
    assert_eq!(db.tx(move |tx| tx.conversation(id)), Some(first));
    assert_eq!(db.tx(|tx| tx.conversation(ConversationId(99))), None);
    assert_eq!(db.tx(|tx| tx.conversation_count()), 2);
}

#[test]
fn conversations_with_work_have_an_open_turn_or_a_live_run() {
    let db = Db::new();
    let with = db.tx(|tx| {
        let idle = tx.conversation_open(&key(1), 1)?;
        let (over, turn) = turn_of(tx, 2)?;
        tx.turn_state(turn, TurnState::Discarded, 2)?;
        let (open, _) = turn_of(tx, 3)?;
        let live = tx.conversation_open(&key(4), 1)?;
        tx.run_add(&new_run(run_id(4), live.id, uuid(4)))?;
        let ended = tx.conversation_open(&key(5), 1)?;
        tx.run_add(&new_run(run_id(5), ended.id, uuid(5)))?;
        tx.run_ended(&run_id(5), RunStatus::Completed, None, 9)?;
        let with = tx.conversations_with_work()?;
        assert!(
            !with
                .iter()
                .any(|c| [idle.id, over, ended.id].contains(&c.id))
        );
        assert_eq!(
            with.iter().map(|c| c.id).collect::<Vec<_>>(),
            [open, live.id]
        );
        Ok(with.len())
    });
    assert_eq!(with, 2);
}

#[test]
fn a_person_has_the_name_that_was_seen_last() {
    let db = Db::new();
    assert_eq!(db.tx(|tx| tx.person_name(1)), None);
    db.tx(|tx| tx.person_seen(1, "Ann", 1));
    db.tx(|tx| tx.person_seen(1, "Ann B.", 2));
    assert_eq!(db.tx(|tx| tx.person_name(1)).as_deref(), Some("Ann B."));
}

#[test]
fn one_session_of_a_conversation_is_current() {
    let db = Db::new();
    db.tx(|tx| {
        let one = tx.conversation_open(&key(1), 1)?.id;
        let two = tx.conversation_open(&key(2), 1)?.id;
        assert_eq!(tx.session_current(one)?, None);
        let first = tx.session_start(one, uuid(1), 5)?;
        assert_eq!((first.created_at, first.last_used), (5, 5));
        assert_eq!(tx.session_current(one)?, Some(first));
        tx.session_start(two, uuid(2), 5)?;

        let facts = SessionMetadata {
            begun: true,
            total_cost_usd: 0.1 + 0.2,
            model: Some("m \"quoted\"".to_owned()),
        };
        tx.session_metadata(uuid(1), &facts)?;
        tx.session_used(uuid(1), 6)?;
        tx.session_start(one, uuid(3), 7)?;
        assert_eq!(tx.session_current(one)?.unwrap().session_id, uuid(3));
        // Back to an earlier one, with its facts.
        let back = tx.session_start(one, uuid(1), 8)?;
        assert_eq!(
            (back.metadata, back.created_at, back.last_used),
            (facts, 5, 8)
        );

        tx.session_forget(one)?;
        assert_eq!(tx.session_current(one)?, None);
        assert_eq!(tx.session_current(two)?.unwrap().session_id, uuid(2));
        Ok(())
    });
    let foreign = db.try_tx(|tx| tx.session_start(ConversationId(2), uuid(1), 9));
    assert!(matches!(foreign, Err(StoreError::Other(_))), "{foreign:?}");
    // That failure took back the forgetting of the current one as well.
    let current = db.tx(|tx| tx.session_current(ConversationId(2)));
    assert_eq!(current.unwrap().session_id, uuid(2));
    assert!(db.try_tx(|tx| tx.session_used(uuid(77), 1)).is_err());
    assert!(
        db.try_tx(|tx| tx.session_metadata(uuid(77), &SessionMetadata::default()))
            .is_err()
    );
}

#[test]
fn a_row_that_cannot_be_read_is_told_without_its_content() {
    let db = Db::new();
    let error = db.try_tx(|tx| {
        let one = tx.conversation_open(&key(1), 1)?.id;
        tx.session_start(one, uuid(1), 5)?;
        tx.change(
            "UPDATE sessions SET metadata = '{\"begun\": \"private words\"}' WHERE conversation = 1 AND current = 1",
            [],
        )?;
        tx.session_current(one)
    });
    let text = error.unwrap_err().to_string();
    assert!(text.contains("line 1"), "{text}");
    assert!(!text.contains("private"), "{text}");
}

#[test]
fn a_cost_that_is_not_a_number_does_not_spoil_a_session() {
    let db = Db::new();
    let facts = db.tx(|tx| {
        let one = tx.conversation_open(&key(1), 1)?.id;
        tx.session_start(one, uuid(1), 5)?;
        let facts = SessionMetadata {
            begun: true,
            total_cost_usd: f64::NAN,
            model: None,
        };
        tx.session_metadata(uuid(1), &facts)?;
        tx.session_current(one)
    });
    let facts = facts.unwrap().metadata;
    assert!(facts.begun);
    assert!(facts.total_cost_usd.abs() < f64::EPSILON);
}

fn question(request_id: &str) -> Question {
    Question {
        request_id: request_id.to_owned(),
        tool: "Bash".to_owned(),
        input: serde_json::json!({"command": "ls", "n": [1, 2.5, null]}),
        description: Some("list".to_owned()),
        tool_use_id: None,
        suggestions: vec![serde_json::json!({"type": "addRules"})],
        ..Question::default()
    }
}

#[test]
fn a_question_is_answered_once() {
    let db = Db::new();
    let (turn, id) = db.tx(|tx| {
        let (conversation, turn) = turn_of(tx, 1)?;
        tx.run_add(&new_run(run_id(1), conversation, uuid(1)))?;
        let id = tx.question_add(turn, &run_id(1), &question("r1"), 5)?;
        assert_eq!(tx.question_add(turn, &run_id(1), &question("r1"), 6)?, id);
        let other = tx.question_add(turn, &run_id(1), &question("r2"), 6)?;
        assert_ne!(other, id);
        Ok((turn, id))
    });
    let row = db.tx(move |tx| tx.question(id)).unwrap();
    assert_eq!(row.question, question("r1"));
    assert_eq!(
        (row.turn, row.run, row.asked_at, row.answer),
        (turn, run_id(1), 5, None)
    );
    assert_eq!(db.tx(move |tx| tx.questions_open(turn)).len(), 2);
    let target = crate::store::rows::Target {
        chat_id: 1,
        thread_id: 0,
    };
    let under_way = |db: &Db, target| {
        let rows = db.tx(move |tx| tx.questions_under_way(7, target));
        rows.into_iter()
            .map(|row| (row.id, row.progress))
            .collect::<Vec<_>>()
    };
    assert_eq!(under_way(&db, target), []);
    assert!(db.tx(move |tx| tx.question_progress(id, "{\"a\":1}")));
    let progress = Some("{\"a\":1}".to_owned());
    assert_eq!(under_way(&db, target), [(id, progress.clone())]);
    assert_eq!(db.tx(move |tx| tx.question(id)).unwrap().progress, progress);
    let elsewhere = crate::store::rows::Target {
        thread_id: target.thread_id + 1,
        ..target
    };
    assert_eq!(under_way(&db, elsewhere), []);
    assert!(db.tx(move |tx| tx.question_answered(id, "\"yes\"", 7)));
    assert_eq!(under_way(&db, target), []);
    assert!(!db.tx(move |tx| tx.question_progress(id, "{}")));
    assert!(!db.tx(|tx| tx.question_progress(99, "{}")));
    assert!(!db.tx(move |tx| tx.question_answered(id, "\"no\"", 8)));
    assert!(!db.tx(|tx| tx.question_answered(99, "\"no\"", 8)));
    let open = db.tx(move |tx| tx.questions_open(turn));
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].question.request_id, "r2");
    let all = db.tx(move |tx| tx.questions_of(turn));
    let requests: Vec<_> = all
        .iter()
        .map(|row| row.question.request_id.as_str())
        .collect();
    assert_eq!(requests, ["r1", "r2"]);
    let found = db
        .tx(|tx| tx.question_by_request(&run_id(1), "r1"))
        .unwrap();
    assert_eq!((found.id, found.answer.as_deref()), (id, Some("\"yes\"")));
    assert_eq!(db.tx(|tx| tx.question_by_request(&run_id(1), "r9")), None);
    // An agent that uses a request id again is heard again.
    let again = db.tx(move |tx| tx.question_add(turn, &run_id(1), &question("r1"), 9));
    assert_ne!(again, id);
    assert_eq!(
        db.tx(|tx| tx.question_by_request(&run_id(1), "r1"))
            .unwrap()
            .id,
        again
    );
}

#[test]
fn settings_are_written_through() {
    let db = Db::new();
    db.tx(|tx| tx.setting_set("b", "1", 1));
    db.tx(|tx| tx.setting_set("a", "x'; DROP TABLE settings; --", 2));
    db.tx(|tx| tx.setting_set("b", "2", 3));
    let db = db.reopen();
    assert_eq!(
        db.tx(|tx| tx.settings()),
        [
            ("a".to_owned(), "x'; DROP TABLE settings; --".to_owned(), 2),
            ("b".to_owned(), "2".to_owned(), 3)
        ]
    );
    assert_eq!(db.tx(|tx| tx.setting("b")).as_deref(), Some("2"));
    db.tx(|tx| tx.setting_unset("b"));
    db.tx(|tx| tx.setting_unset("never set"));
    assert_eq!(db.tx(|tx| tx.setting("b")), None);
}

#[test]
fn the_audit_tells_the_last_acts_in_order() {
    let db = Db::new();
    let entry = |n: i64| AuditEntry {
        at: n,
        who: "telegram:1001".to_owned(),
        action: "interrupt".to_owned(),
        target: format!("turn {n}"),
        result: "ok".to_owned(),
    };
    for n in 1..=5 {
        db.tx(move |tx| tx.audit_add(&entry(n)));
    }
    assert_eq!(db.tx(|tx| tx.audit_tail(2)), [entry(4), entry(5)]);
    assert_eq!(db.tx(|tx| tx.audit_tail(0)), []);
    assert_eq!(db.tx(|tx| tx.audit_tail(usize::MAX)).len(), 5);
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_longer_than_it_was_to_wait() {
    const HOUR: i64 = 3_600_000;
    let db = Db::new();
    const AHEAD: i64 = 10 * HOUR;
    db.tx(|tx| tx.chat_limit_set(1, AHEAD + 5_000, AHEAD));
    assert_eq!(db.tx(|tx| tx.clock_set_back(None, AHEAD)), 0);
    assert_eq!(db.tx(|tx| tx.clock_set_back(Some(AHEAD - 1), AHEAD)), 0);
    // By what is entered, where nobody remembers the clock.
    assert_eq!(db.tx(|tx| tx.clock_set_back(None, 7 * HOUR)), 3 * HOUR);
    assert_eq!(db.tx(|tx| tx.chat_limit(1)), Some(7 * HOUR + 5_000));
    assert_eq!(db.tx(|tx| tx.clock_set_back(None, 7 * HOUR)), 0, "once");
    // By who remembers it.
    const SEEN: Option<i64> = Some(7 * HOUR + 1_000);
    assert_eq!(db.tx(|tx| tx.clock_set_back(SEEN, 7 * HOUR)), 1_000);
    assert_eq!(db.tx(|tx| tx.chat_limit(1)), Some(7 * HOUR + 4_000));
}

#[test]
fn the_longer_limit_counts() {
    let db = Db::new();
    assert_eq!(db.tx(|tx| tx.chat_limit(1)), None);
    db.tx(|tx| tx.chat_limit_set(1, 100, 1));
    db.tx(|tx| tx.chat_limit_set(1, 50, 2));
    db.tx(|tx| tx.chat_limit_set(5, 200, 2));
    let db = db.reopen();
    assert_eq!(db.tx(|tx| tx.chat_limit(1)), Some(100));
    db.tx(|tx| tx.limits_prune(3_600_001));
    assert_eq!(db.tx(|tx| tx.chat_limit(1)), Some(100), "set lately");
    db.tx(|tx| tx.limits_prune(3_600_002));
    assert_eq!(db.tx(|tx| tx.chat_limit(1)), None);
    db.tx(|tx| tx.chat_limit_set(6, 9_000_000, 2));
    db.tx(|tx| tx.limits_prune(8_000_000));
    assert_eq!(db.tx(|tx| tx.chat_limit(6)), Some(9_000_000));
}

#[test]
fn a_pace_is_what_was_set_last_and_disturbs_nobody() {
    let db = Db::new();
    assert_eq!(db.tx(|tx| tx.pace("prompt:7")), None);
    db.tx(|tx| tx.pace_set("prompt:7", 100, 1));
    db.tx(|tx| tx.pace_set("prompt:7", 50, 2));
    let db = db.reopen();
    assert_eq!(db.tx(|tx| tx.pace("prompt:7")), Some(50));
    assert_eq!(db.tx(|tx| tx.pace("prompt:8")), None);
}

#[test]
fn a_request_is_kept_per_person_and_found_by_its_code() {
    let db = Db::new();
    db.tx(|tx| {
        tx.pairing_new(&asks(2))?;
        tx.pairing_new(&asks(1))?;
        assert_eq!(tx.pairing_of(2)?, Some(asks(2)));
        assert_eq!(tx.pairing(&asks(1).request.code)?, Some(asks(1)));
        assert_eq!(tx.pairing(&asks(3).request.code)?, None);
        let mut again = asks(1);
        again.request.code = Code::of(77);
        again.request.answer = Some(Answer::Rejected);
        tx.pairing_put(&again)?;
        assert_eq!(tx.pairings()?, [again, asks(2)]);
        assert_eq!(tx.pairing(&asks(1).request.code)?, None, "the old code");
        tx.pairing_forget(1)?;
        assert_eq!(tx.pairing_of(1)?, None);
        Ok(())
    });
    // A code names one person.
    let mut stolen = asks(9);
    stolen.request.code = asks(2).request.code;
    assert!(db.try_tx(move |tx| tx.pairing_put(&stolen)).is_err());
    assert_eq!(db.tx(|tx| tx.pairings()).len(), 1);
}

#[test]
fn who_was_let_in_stays_so_until_removed() {
    let db = Db::new();
    assert!(db.tx(|tx| tx.paired_add(5, "telegram:1", 7)));
    let db = db.reopen();
    assert!(!db.tx(|tx| tx.paired_add(5, "telegram:2", 8)), "already");
    let row = PairedRow {
        person: 5,
        accepted_at: 7,
        accepted_by: "telegram:1".to_owned(),
    };
    assert_eq!(db.tx(|tx| tx.paired()), [row]);
    assert!(db.tx(|tx| tx.paired_remove(5)));
    assert!(!db.tx(|tx| tx.paired_remove(5)));
    assert!(db.tx(|tx| tx.paired()).is_empty());
}

#[test]
fn what_waits_for_a_person_does_not_wait_for_an_agent() {
    let db = Db::new();
    let queued = || db.tx(|tx| tx.turns_queued());
    let (first, second, other) = db.tx(|tx| {
        let (conversation, first) = turn_of(tx, 1001)?;
        tx.session_start(conversation, uuid(1), 5)?;
        tx.run_add(&new_run(run_id(1), conversation, uuid(1)))?;
        tx.turn_state(first, TurnState::Queued, 2)?;
        tx.turn_submitted(first, &run_id(1), uuid(2), "{}", 3)?;
        let second = tx.turn_add(&new_turn(conversation), 7)?;
        tx.turn_state(second, TurnState::Queued, 8)?;
        let (_, other) = turn_of(tx, 1002)?;
        tx.turn_state(other, TurnState::Queued, 2)?;
        Ok((first, second, other))
    });
    assert_eq!(queued(), [(second, 7), (other, 1)]);
    let asked = db.tx(move |tx| tx.question_add(first, &run_id(1), &question("r"), 9));
    assert_eq!(queued(), [(other, 1)]);
    db.tx(move |tx| tx.question_answered(asked, "{}", 10));
    assert_eq!(queued(), [(second, 7), (other, 1)]);
    db.tx(move |tx| tx.turn_state(second, TurnState::Held, 11));
    assert_eq!(queued(), [(other, 1)]);
}
