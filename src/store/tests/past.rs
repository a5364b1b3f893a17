//! What is deleted for its age, and what is not.

use super::*;
use crate::{
    core::{Millis, event::Question},
    store::rows::{Slot, Target, TurnEnd, Urgency},
};

const OLD: Millis = 1_000;
const NOW: Millis = 2_000;

fn count(tx: &Tx<'_>, sql: &'static str) -> Result<i64, StoreError> {
    tx.only(sql, [], |row| row.get(0))
}

/// A turn that a run of its own answered at that time, with a question that was asked in it.
fn over(tx: &Tx<'_>, user: i64, n: u8, at: Millis) -> Result<TurnId, StoreError> {
    let (conversation, turn) = turn_of(tx, user)?;
    tx.turn_part_add(turn, &part(i64::from(n), "x"))?;
    tx.session_start(conversation, uuid(n.into()), at)?;
    tx.run_add(&new_run(run_id(n), conversation, uuid(n.into())))?;
    tx.turn_submitted(turn, &run_id(n), uuid(100 + u128::from(n)), "{}", at)?;
    let question = Question {
        request_id: "r".to_owned(),
        tool: "Bash".to_owned(),
        ..Question::default()
    };
    tx.question_add(turn, &run_id(n), &question, at)?;
    let end = TurnEnd {
        state: TurnState::Completed,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, at)?;
    tx.run_ended(&run_id(n), RunStatus::Completed, None, at)?;
    Ok(turn)
}

#[test]
fn what_is_old_goes_with_all_that_belongs_to_it() {
    let db = Db::new();
    db.tx(|tx| {
        let turns: Vec<_> = (1..=5)
            .map(|n| over(tx, 1, n, OLD + i64::from(n)))
            .collect::<Result<_, _>>()?;
        let young = over(tx, 1, 6, NOW)?;
        for n in 1..=5 {
            tx.run_cleared(&run_id(n))?;
        }
        // Two at a time.
        assert!(tx.past_prune(NOW, 2)?);
        assert!(tx.past_prune(NOW, 2)?);
        while tx.past_prune(NOW, 2)? {}
        for turn in turns {
            assert_eq!(tx.turn(turn)?, None);
        }
        assert!(tx.turn(young)?.is_some());
        assert_eq!(count(tx, "SELECT count(*) FROM turn_parts")?, 1);
        assert_eq!(count(tx, "SELECT count(*) FROM questions")?, 1);
        assert_eq!(count(tx, "SELECT count(*) FROM runs")?, 1);
        assert_eq!(count(tx, "SELECT count(*) FROM sessions")?, 1);
        Ok(())
    });
}

#[test]
fn what_somebody_may_still_ask_for_stays() {
    let db = Db::new();
    db.tx(|tx| {
        // The last one of its conversation; one that has something in the outbox; one that waits; a run whose directory is there.
        let last = over(tx, 1, 1, OLD)?;
        tx.run_cleared(&run_id(1))?;
        let shown = over(tx, 2, 2, OLD)?;
        tx.run_cleared(&run_id(2))?;
        let target = Target {
            chat_id: 2,
            thread_id: 0,
        };
        let slot = Slot {
            turn: shown,
            number: 0,
        };
        tx.out_show(target, Some(slot), Urgency::Message, &Shown::default(), OLD)?;
        over(tx, 2, 3, OLD + 1)?;
        let (_, waiting) = turn_of(tx, 3)?;
        tx.turn_state(waiting, TurnState::Queued, OLD)?;
        assert!(!tx.past_prune(NOW, 100)?);
        for turn in [last, shown, waiting] {
            assert!(tx.turn(turn)?.is_some(), "{turn}");
        }
        assert!(tx.run(&run_id(3))?.is_some());
        // Of the sessions only those that are in use.
        assert_eq!(
            count(tx, "SELECT count(*) FROM sessions WHERE current = 0")?,
            0
        );
        assert_eq!(count(tx, "SELECT count(*) FROM sessions")?, 2);
        Ok(())
    });
}
