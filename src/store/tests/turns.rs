//! Turns and runs.

use super::*;
use crate::{core::mark::Who, store::rows::TurnEnd};

#[test]
fn what_stands_beside_a_part_comes_back_and_is_never_taken_for_nothing() {
    let db = Db::new();
    let mark = Mark {
        forwarded: Some(Who::Hidden { name: "Eve".into() }),
        reply: None,
        album: Some("7".into()),
    };
    let marked = TurnPart {
        mark,
        ..part(1, "one")
    };
    let wanted = [marked, part(2, "two"), part(3, "three")];
    let parts = wanted.to_vec();
    let id = db.tx(move |tx| {
        let conversation = tx.conversation_open(&key(1), 1)?.id;
        let new = NewTurn {
            parts,
            ..new_turn(conversation)
        };
        tx.turn_add(&new, 10)
    });
    let read = |id| db.tx(move |tx| tx.turn(id)).unwrap().parts;
    assert_eq!(read(id), wanted);
    // As a newer version might write it.
    db.tx(|tx| {
        let sql = "UPDATE turn_parts SET mark = '[7]' WHERE position = 3";
        tx.connection().execute(sql, []).unwrap();
        Ok(())
    });
    assert_eq!(read(id)[2].mark.forwarded, Some(Who::Unknown));
}

#[test]
fn what_is_collected_is_counted_and_an_album_finds_its_turn() {
    let db = Db::new();
    let (conversation, turn) = db.tx(|tx| turn_of(tx, 1));
    db.tx(move |tx| {
        assert_eq!(tx.collected(turn)?, None, "it has no parts");
        let of_album = |n, album: &str| TurnPart {
            mark: Mark {
                album: Some(album.to_owned()),
                ..Mark::default()
            },
            ..part(n, "é")
        };
        for part in [
            part(1, "one"),
            of_album(2, "7"),
            of_album(3, "7"),
            of_album(4, "8"),
        ] {
            tx.turn_part_add(turn, &part)?;
        }
        let there = tx.turn_collected(conversation)?.unwrap();
        assert_eq!((there.turn, there.parts, there.messages), (turn, 4, 3));
        assert_eq!((there.bytes, there.first), (9, Some(10)));
        assert_eq!(there.last, of_album(4, "8"));
        assert_eq!(tx.turn_collected(ConversationId(99))?, None);

        assert_eq!(tx.turn_held(conversation)?, None);
        for state in [TurnState::Collecting, TurnState::Held, TurnState::Queued] {
            tx.turn_state(turn, state, 2)?;
            let found = Some((turn, state));
            assert_eq!(tx.turn_of_album(conversation, "7")?, found);
            assert_eq!(tx.turn_of_album(conversation, "9")?, None);
            assert_eq!(tx.turn_of_album(ConversationId(99), "7")?, None);
            let held = (state == TurnState::Held).then_some(turn);
            assert_eq!(tx.turn_held(conversation)?, held);
        }
        // With the agent: a part would be lost.
        tx.run_add(&new_run(run_id(1), conversation, uuid(50)))?;
        tx.turn_submitted(turn, &run_id(1), uuid(2), "{}", 12)?;
        assert_eq!(tx.turn_of_album(conversation, "7")?, None);
        Ok(())
    });
}

#[test]
fn the_turn_that_was_given_last_is_the_running_one_or_else_the_one_that_was_over_last() {
    let db = Db::new();
    let (conversation, first, second) = db.tx(|tx| {
        let (conversation, first) = turn_of(tx, 1)?;
        let second = tx.turn_add(&new_turn(conversation), 2)?;
        assert_eq!(tx.turn_last_given(conversation)?, None);
        tx.run_add(&new_run(run_id(1), conversation, uuid(50)))?;
        Ok((conversation, first, second))
    });
    let end = |state| TurnEnd {
        state,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    db.tx(move |tx| {
        tx.turn_submitted(first, &run_id(1), uuid(1), "{}", 3)?;
        assert_eq!(tx.turn_last_given(conversation)?, Some(first));
        tx.turn_ended(first, &end(TurnState::Completed), 4)?;
        // One that was never run answers nothing.
        tx.turn_ended(second, &end(TurnState::Discarded), 5)?;
        assert_eq!(tx.turn_last_given(conversation)?, Some(first));
        let third = tx.turn_add(&new_turn(conversation), 6)?;
        tx.turn_submitted(third, &run_id(1), uuid(2), "{}", 7)?;
        assert_eq!(tx.turn_last_given(conversation)?, Some(third));
        Ok(())
    });
}

#[test]
fn a_turn_goes_its_way() {
    let db = Db::new();
    let (conversation, id) = db.tx(|tx| {
        let conversation = tx.conversation_open(&key(1), 1)?.id;
        let new = NewTurn {
            uuid: Some(uuid(1)),
            parts: vec![part(1, "one"), part(2, "two")],
            ..new_turn(conversation)
        };
        Ok((conversation, tx.turn_add(&new, 10)?))
    });
    db.tx(move |tx| {
        tx.turn_part_add(id, &part(3, "three"))?;
        let part = tx.part_of_message(conversation, 20, 0)?.unwrap();
        assert_eq!((part.turn, part.text.as_str()), (id, "two"));
        tx.part_edit(id, part.inbox, "TWO")?;
        assert_eq!(tx.part_of_message(conversation, 99, 0)?, None);
        assert_eq!(tx.part_of_message(ConversationId(99), 20, 0)?, None);
        assert_eq!((tx.turns_waiting()?, tx.turns_running()?), (1, 0));
        Ok(())
    });
    let row = db.tx(move |tx| tx.turn(id)).unwrap();
    assert_eq!(row.uuid, Some(uuid(1)));
    assert_eq!(row.state, TurnState::Collecting);
    assert_eq!(row.created_at, 10);
    let texts: Vec<_> = row.parts.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(texts, ["one", "TWO", "three"]);
    assert_eq!(row.parts[2], part(3, "three"));

    db.tx(move |tx| {
        tx.turn_state(id, TurnState::Queued, 11)?;
        // Its window is closed, and no agent has it yet.
        tx.part_edit(id, InboxId(2), "TWO")?;
        tx.turn_part_add(id, &part(4, "four"))?;
        tx.run_add(&new_run(run_id(1), conversation, uuid(50)))?;
        tx.turn_submitted(id, &run_id(1), uuid(2), "{\"m\":1}", 12)?;
        assert_eq!((tx.turns_waiting()?, tx.turns_running()?), (0, 1));
        tx.turn_machine(id, "{\"m\":2}")
    });
    // The prompt is with the agent: a part would be lost, or a change of one.
    assert!(
        db.try_tx(move |tx| tx.part_edit(id, InboxId(2), "late"))
            .is_err()
    );
    assert!(
        db.try_tx(move |tx| tx.turn_part_add(id, &part(5, "five")))
            .is_err()
    );
    let row = db.tx(move |tx| tx.turn(id)).unwrap();
    assert_eq!(row.state, TurnState::Submitted);
    assert_eq!(row.uuid, Some(uuid(2)));
    assert_eq!(row.run, Some(run_id(1)));
    assert_eq!(row.machine.as_deref(), Some("{\"m\":2}"));
    assert_eq!(row.submitted_at, Some(12));

    db.tx(move |tx| {
        tx.turn_attempted(id)?;
        tx.turn_requeued(id, uuid(3))
    });
    let row = db.tx(move |tx| tx.turn(id)).unwrap();
    assert_eq!(
        (row.state, row.uuid, row.run, row.machine, row.submitted_at),
        (TurnState::Queued, Some(uuid(3)), None, None, None)
    );
    assert_eq!(row.attempts, 1);

    db.tx(move |tx| {
        assert_eq!(tx.turn_last_over(conversation)?, None);
        tx.turn_submitted(id, &run_id(1), uuid(4), "{\"m\":3}", 14)?;
        let end = TurnEnd {
            state: TurnState::Completed,
            machine: None,
            cost_usd: Some(0.25),
            duration_ms: Some(1500),
        };
        tx.turn_ended(id, &end, 20)
    });
    let row = db.tx(move |tx| tx.turn_last_over(conversation)).unwrap();
    assert_eq!(row.id, id);
    assert_eq!(row.state, TurnState::Completed);
    assert_eq!(row.machine.as_deref(), Some("{\"m\":3}"));
    assert_eq!(
        (row.ended_at, row.cost_usd, row.duration_ms),
        (Some(20), Some(0.25), Some(1500))
    );
    assert_eq!(row.parts.len(), 4);
    assert_eq!(db.tx(move |tx| tx.turns_open(conversation)), []);
    assert_eq!(
        db.tx(|tx| Ok((tx.turns_waiting()?, tx.turns_running()?))),
        (0, 0)
    );
}

#[test]
fn a_turn_that_is_over_stays_over() {
    for over in [
        TurnState::Completed,
        TurnState::Failed,
        TurnState::Interrupted,
        TurnState::Discarded,
    ] {
        let db = Db::new();
        let id = db.tx(move |tx| {
            let (conversation, id) = turn_of(tx, 1)?;
            tx.run_add(&new_run(run_id(1), conversation, uuid(50)))?;
            tx.turn_state(id, over, 7)?;
            Ok(id)
        });
        let end = TurnEnd {
            state: TurnState::Completed,
            machine: None,
            cost_usd: None,
            duration_ms: None,
        };
        assert!(
            db.try_tx(move |tx| tx.turn_state(id, TurnState::Queued, 8))
                .is_err()
        );
        assert!(db.try_tx(move |tx| tx.turn_ended(id, &end, 8)).is_err());
        assert!(db.try_tx(move |tx| tx.turn_requeued(id, uuid(9))).is_err());
        assert!(db.try_tx(move |tx| tx.turn_attempted(id)).is_err());
        assert!(
            db.try_tx(move |tx| tx.turn_part_add(id, &part(1, "")))
                .is_err()
        );
        assert!(
            db.try_tx(move |tx| tx.turn_submitted(id, &run_id(1), uuid(9), "{}", 8))
                .is_err()
        );
        let row = db.tx(move |tx| tx.turn(id)).unwrap();
        assert_eq!((row.state, row.ended_at), (over, Some(7)));
    }
}

#[test]
fn a_turn_is_not_ended_by_a_state_that_is_no_end() {
    let db = Db::new();
    let (_, id) = db.tx(|tx| turn_of(tx, 1));
    let end = TurnEnd {
        state: TurnState::Asked,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    assert!(db.try_tx(move |tx| tx.turn_ended(id, &end, 8)).is_err());
    assert!(
        db.try_tx(|tx| tx.turn_state(TurnId(99), TurnState::Queued, 8))
            .is_err()
    );
    assert!(db.try_tx(|tx| tx.turn_machine(TurnId(99), "{}")).is_err());
    assert_eq!(db.tx(|tx| tx.turn(TurnId(99))), None);
}

#[test]
fn two_turns_never_share_a_uuid() {
    let db = Db::new();
    db.tx(|tx| {
        let (conversation, _) = turn_of(tx, 1)?;
        let new = NewTurn {
            uuid: Some(uuid(1)),
            ..new_turn(conversation)
        };
        tx.turn_add(&new, 1)
    });
    let again = db.try_tx(|tx| {
        let new = NewTurn {
            uuid: Some(uuid(1)),
            ..new_turn(ConversationId(1))
        };
        tx.turn_add(&new, 1)
    });
    assert!(matches!(again, Err(StoreError::Other(_))));
}

#[test]
fn a_turn_refers_to_a_run_that_is_there() {
    let db = Db::new();
    let (_, id) = db.tx(|tx| turn_of(tx, 1));
    assert!(
        db.try_tx(move |tx| tx.turn_submitted(id, &run_id(9), uuid(9), "{}", 8))
            .is_err()
    );
}

#[test]
fn turns_of_a_conversation_come_in_order() {
    let db = Db::new();
    db.tx(|tx| {
        let (conversation, first) = turn_of(tx, 1)?;
        let (_, second) = turn_of(tx, 1)?;
        let (_, other) = turn_of(tx, 2)?;
        let open: Vec<_> = tx.turns_open(conversation)?.iter().map(|t| t.id).collect();
        assert_eq!(open, [first, second]);
        tx.turn_state(second, TurnState::Discarded, 5)?;
        tx.turn_state(first, TurnState::Failed, 6)?;
        tx.turn_state(other, TurnState::Failed, 7)?;
        assert_eq!(tx.turn_last_over(conversation)?.unwrap().id, first);
        Ok(())
    });
}

#[test]
fn what_is_ahead_is_the_same_however_many_wait() {
    let db = Db::new();
    db.tx(|tx| {
        let queued = |user, n| {
            let (conversation, id) = turn_of(tx, user)?;
            tx.turn_state(id, TurnState::Queued, n)?;
            Ok::<_, StoreError>((conversation, id))
        };
        let (conversation, given) = queued(1, 1)?;
        queued(2, 1)?;
        let (_, held) = queued(1, 2)?;
        tx.turn_state(held, TurnState::Held, 2)?;
        let waiting: Vec<_> = (0..20).map(|n| queued(1, n)).collect::<Result<_, _>>()?;
        let (_, collected) = turn_of(tx, 1)?;
        tx.run_add(&new_run(run_id(1), conversation, uuid(1)))?;
        tx.turn_submitted(given, &run_id(1), uuid(2), "{}", 3)?;
        let ahead = || {
            let ahead = tx.turns_ahead(conversation, 1)?;
            assert!(
                ahead
                    .iter()
                    .all(|turn| Some(turn) == tx.turn(turn.id).unwrap().as_ref())
            );
            Ok::<_, StoreError>(ahead.iter().map(|turn| turn.id).collect::<Vec<_>>())
        };
        assert_eq!(ahead()?, [given, waiting[0].1, collected]);
        assert_eq!(tx.turns_ahead(conversation, 3)?.len(), 5);
        assert_eq!(tx.turns_ahead(conversation, 100)?.len(), 22);
        tx.turn_first(waiting[19].1)?;
        assert_eq!(ahead()?, [waiting[19].1, given, collected]);
        // All of them are the same, read one by one or together.
        for turn in tx.turns_open(conversation)? {
            assert_eq!(tx.turn(turn.id)?.as_ref(), Some(&turn));
        }
        Ok(())
    });
}

#[test]
fn who_moves_up_comes_first_and_overtakes_nobody_elses() {
    let db = Db::new();
    db.tx(|tx| {
        let queued = |user, n| {
            let (conversation, id) = turn_of(tx, user)?;
            tx.turn_state(id, TurnState::Queued, n)?;
            Ok::<_, StoreError>((conversation, id))
        };
        let (conversation, first) = queued(1, 1)?;
        let (_, second) = queued(1, 2)?;
        let (_, other) = queued(2, 3)?;
        let (_, third) = queued(1, 4)?;
        let open = || {
            let open = tx.turns_open(conversation)?;
            Ok::<_, StoreError>(open.iter().map(|t| t.id).collect::<Vec<_>>())
        };
        let line = || {
            let line = tx.turns_in_line()?;
            Ok::<_, StoreError>(line.iter().map(|t| t.turn).collect::<Vec<_>>())
        };
        tx.turn_first(third)?;
        tx.turn_first(third)?;
        assert_eq!(open()?, [third, first, second]);
        assert_eq!(line()?, [third, first, other, second]);
        assert_eq!(tx.turn(third)?.unwrap().place, -1);
        tx.turn_first(second)?;
        assert_eq!(open()?, [second, third, first]);
        for (number, turn) in (1..).zip(line()?) {
            assert_eq!(tx.turns_waiting_up_to(turn)?, number);
        }
        // What was given and comes back is before those that wait.
        tx.run_add(&new_run(run_id(1), conversation, uuid(50)))?;
        tx.turn_submitted(first, &run_id(1), uuid(2), "{}", 12)?;
        tx.turn_requeued(first, uuid(3))?;
        assert_eq!(open()?, [first, second, third]);
        // One that its agent never looked at is where it was.
        tx.turn_submitted(third, &run_id(1), uuid(4), "{}", 13)?;
        tx.turn_back(third, uuid(5), TurnState::Queued)?;
        assert_eq!(open()?, [first, second, third]);
        let row = tx.turn(third)?.unwrap();
        assert_eq!(
            (row.uuid, row.run, row.machine),
            (Some(uuid(5)), None, None)
        );
        assert!(tx.turn_back(third, uuid(6), TurnState::Asked).is_err());
        tx.turn_state(first, TurnState::Discarded, 14)?;
        assert!(tx.turn_back(first, uuid(7), TurnState::Queued).is_err());
        assert_eq!(line()?, [second, other, third]);
        assert_eq!(tx.turns_in_flight()?.len(), 3);
        Ok(())
    });
    assert!(db.try_tx(|tx| tx.turn_first(TurnId(99))).is_err());
}

#[test]
fn one_that_is_put_behind_another_passes_those_behind_that_and_no_other() {
    let db = Db::new();
    db.tx(|tx| {
        let queued = |user| {
            let (conversation, id) = turn_of(tx, user)?;
            tx.turn_state(id, TurnState::Queued, 1)?;
            Ok::<_, StoreError>((conversation, id))
        };
        let (conversation, a) = queued(1)?;
        let (b, c, d) = (queued(1)?.1, queued(1)?.1, queued(1)?.1);
        let (elsewhere, other) = queued(2)?;
        let open = |conversation| {
            let open = tx.turns_open(conversation)?;
            Ok::<_, StoreError>(open.iter().map(|t| t.id).collect::<Vec<_>>())
        };
        tx.turn_behind(d, a)?;
        assert_eq!(open(conversation)?, [a, d, b, c]);
        tx.turn_first(c)?;
        assert_eq!(open(conversation)?, [c, a, d, b]);
        // Also forwards, where its number is smaller.
        tx.turn_behind(a, d)?;
        assert_eq!(open(conversation)?, [c, d, a, b]);
        tx.turn_behind(c, b)?;
        assert_eq!(open(conversation)?, [d, a, b, c]);
        assert_eq!(open(elsewhere)?, [other]);
        for (number, turn) in (1..).zip(tx.turns_in_line()?) {
            assert_eq!(tx.turns_waiting_up_to(turn.turn)?, number);
        }
        tx.turn_state(a, TurnState::Discarded, 14)?;
        for (turn, behind) in [(a, b), (b, a), (b, other), (b, b), (TurnId(99), b)] {
            assert!(tx.turn_behind(turn, behind).is_err(), "{turn} {behind}");
        }
        assert_eq!(open(conversation)?, [d, b, c]);
        Ok(())
    });
}

#[test]
fn numbers_in_line_are_those_of_the_line() {
    let db = Db::new();
    // Whatever moves: xorshift, so that a failure comes again.
    let mut dice = 7_u64;
    let mut below = move |n: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % n
    };
    db.tx(move |tx| {
        for user in 1..=3 {
            turn_of(tx, user)?;
        }
        let conversation = tx.conversation_open(&key(1), 1)?.id;
        tx.run_add(&new_run(run_id(1), conversation, uuid(50)))?;
        for step in 0..200 {
            let line = tx.turns_in_line()?;
            let any = line[usize::try_from(below(line.len() as u64)).unwrap()].turn;
            match below(5) {
                0 if line.len() > 5 => tx.turn_state(any, TurnState::Discarded, 9)?,
                1 => tx.turn_submitted(any, &run_id(1), uuid(1000 + step), "{}", 9)?,
                2 => {
                    turn_of(tx, i64::try_from(below(3)).unwrap() + 1)?;
                }
                _ => tx.turn_first(any)?,
            }
            let line = tx.turns_in_line()?;
            let waiting = line.iter().filter(|t| t.state != TurnState::Submitted);
            for (number, turn) in (1..).zip(waiting) {
                assert_eq!(tx.turns_waiting_up_to(turn.turn)?, number);
            }
        }
        Ok(())
    });
}

#[test]
fn a_session_has_one_live_run() {
    let db = Db::new();
    db.tx(|tx| {
        let conversation = tx.conversation_open(&key(1), 1)?.id;
        tx.run_add(&new_run(run_id(1), conversation, uuid(1)))
    });
    let second = || new_run(run_id(2), ConversationId(1), uuid(1));
    let live = StoreError::LiveRun { session: uuid(1) };
    assert_eq!(
        db.try_tx(move |tx| tx.run_add(&second())),
        Err(live.clone())
    );
    db.tx(|tx| tx.run_running(&run_id(1)));
    assert_eq!(db.try_tx(move |tx| tx.run_add(&second())), Err(live));
    db.tx(|tx| tx.run_ended(&run_id(1), RunStatus::Killed, Some("{}"), 9));
    db.tx(move |tx| tx.run_add(&second()));
    let live = db.tx(|tx| tx.runs_live());
    assert_eq!(live, [second()]);
}

#[test]
fn a_run_goes_its_way() {
    let db = Db::new();
    db.tx(|tx| {
        let conversation = tx.conversation_open(&key(1), 1)?.id;
        let run = new_run(run_id(1), conversation, uuid(1));
        tx.run_add(&run)?;
        assert_eq!(tx.run(&run_id(1))?, Some(run));
        assert_eq!(tx.run(&run_id(2))?, None);
        tx.run_running(&run_id(1))?;
        tx.run_offset(&run_id(1), 100)?;
        tx.run_offset(&run_id(1), 100)
    });
    // Lines are not taken twice.
    assert!(db.try_tx(|tx| tx.run_offset(&run_id(1), 99)).is_err());
    assert!(db.try_tx(|tx| tx.run_offset(&run_id(1), u64::MAX)).is_err());
    assert!(db.try_tx(|tx| tx.run_offset(&run_id(2), 1)).is_err());
    assert!(
        db.try_tx(|tx| tx.run_ended(&run_id(1), RunStatus::Running, None, 5))
            .is_err()
    );
    assert!(
        db.try_tx(|tx| tx.run_ended(&run_id(2), RunStatus::Lost, None, 5))
            .is_err()
    );
    db.tx(|tx| {
        tx.run_ended(&run_id(1), RunStatus::Failed, Some("{\"code\":1}"), 50)?;
        // What comes late changes nothing.
        tx.run_running(&run_id(1))?;
        tx.run_ended(&run_id(1), RunStatus::Lost, None, 60)
    });
    let row = db.tx(|tx| tx.run(&run_id(1))).unwrap();
    assert_eq!(row.status, RunStatus::Failed);
    assert_eq!(row.exit.as_deref(), Some("{\"code\":1}"));
    assert_eq!((row.ended_at, row.offset), (Some(50), 100));
}

#[test]
fn a_run_directory_may_go_when_no_open_turn_needs_it() {
    let db = Db::new();
    db.tx(|tx| {
        let (conversation, open) = turn_of(tx, 1)?;
        for n in 1..=4 {
            tx.run_add(&new_run(run_id(n), conversation, uuid(u128::from(n))))?;
        }
        tx.turn_submitted(open, &run_id(1), uuid(100), "{}", 5)?;
        tx.run_ended(&run_id(1), RunStatus::Lost, None, 10)?;
        tx.run_ended(&run_id(2), RunStatus::Completed, None, 11)?;
        tx.run_ended(&run_id(3), RunStatus::Completed, None, 30)?;
        assert_eq!(tx.runs_over_before(30)?, [run_id(2)]);
        tx.turn_state(open, TurnState::Failed, 12)?;
        assert_eq!(tx.runs_over_before(30)?, [run_id(1), run_id(2)]);
        tx.run_cleared(&run_id(1))?;
        // A live one is not marked.
        tx.run_cleared(&run_id(4))?;
        assert_eq!(tx.runs_over_before(31)?, [run_id(2), run_id(3)]);
        tx.run_ended(&run_id(4), RunStatus::Completed, None, 30)?;
        assert_eq!(tx.runs_over_before(31)?.len(), 3);
        Ok(())
    });
}
