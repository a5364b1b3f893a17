use std::sync::Arc;

use super::*;
use crate::{
    core::{
        busy::Busy,
        pause::Pause,
        trouble::{Category, Trouble},
    },
    gateway::lane::draft::Face,
    gateway::queue::tests::{NOW, Place, SESSION, give, place, run, says, turn},
};

const UUID: Uuid = Uuid::from_u128(7);

fn one(taken: bool, written: bool) -> Beside {
    let mut machine = Turn::beside(UUID);
    if taken {
        machine.hears_beside(PromptState::Started);
    }
    Beside {
        turn: TurnId(2),
        machine,
        reply_to: None,
        written,
    }
}

fn failed() -> Fate {
    Fate::Over(Ending::Failed(Trouble::new(Category::Agent)))
}

#[test]
fn what_was_taken_in_shares_the_fate_of_the_answer() {
    let exit = Some(&Exit::Signal { signal: 9 });
    let taken = one(true, true);
    for (other, wanted) in [
        (Some(failed()), Left::With(TurnState::Failed)),
        (
            Some(Fate::Over(Ending::Interrupted)),
            Left::With(TurnState::Interrupted),
        ),
        (Some(Fate::Again), Left::Back),
        (Some(Fate::Ask(2)), Left::Unsure),
        (None, Left::Unsure),
    ] {
        let other = other.as_ref().map(|fate| (fate, 2));
        assert_eq!(left(&taken, other, exit, true), wanted, "{other:?}");
    }
}

#[test]
fn what_was_not_begun_with_goes_back_where_that_is_certain() {
    let waits = one(false, true);
    let gone = Exit::Code { code: 0 };
    for (other, exit, readable, wanted) in [
        // The process said all that it did before it ended.
        (Some((failed(), 3)), Some(&gone), true, Left::Back),
        (None, Some(&gone), true, Left::Back),
        // It was lost before anything could have an effect.
        (Some((Fate::Again, 0)), None, true, Left::Back),
        // It was lost while it used tools.
        (Some((Fate::Ask(3), 3)), None, true, Left::Unsure),
        // What it said cannot be read.
        (Some((failed(), 0)), None, false, Left::Unsure),
    ] {
        let other = other.as_ref().map(|(fate, tools)| (fate, *tools));
        assert_eq!(left(&waits, other, exit, readable), wanted, "{other:?}");
        // What is not in its input it never had.
        assert_eq!(left(&one(false, false), other, exit, readable), Left::Back);
    }
}

#[test]
fn an_answer_ends_with_what_was_taken_into_it_and_the_next_follows() {
    let mut along = Along {
        beside: vec![one(true, true), one(false, true), one(false, true)],
        ..Along::default()
    };
    along.beside[1].turn = TurnId(3);
    along.beside[2].turn = TurnId(4);
    along.over(Some(&Ending::Interrupted));
    let ended: Vec<_> = along.ended.iter().map(|(b, s)| (b.turn, *s)).collect();
    assert_eq!(ended, [(TurnId(2), TurnState::Interrupted)]);
    let next = along.promoted().unwrap();
    assert_eq!(next.turn, TurnId(3));
    assert!(!next.machine.is_beside() && next.machine.may_go_back());
    let waits: Vec<_> = along.beside.iter().map(|b| b.turn).collect();
    assert_eq!(waits, [TurnId(4)]);
}

#[test]
fn what_a_process_had_and_did_not_begin_with_is_none_that_ran() {
    let active = |machine| Active::begun(TurnId(2), machine, None, Face::of(false), NOW);
    let mut machine = one(false, true).machine;
    machine.goes_alone();
    let (late, ran) = Beside::late(Some(&active(machine.clone())));
    assert_eq!(
        late.map(|one| (one.turn, one.written)),
        Some((TurnId(2), true))
    );
    assert!(ran.is_none());
    machine.interrupt();
    for machine in [machine, Turn::new(Some(UUID))] {
        let (late, ran) = Beside::late(Some(&active(machine)));
        assert!(late.is_none() && ran.is_some_and(|ran| ran.turn == TurnId(2)));
    }
    let (late, ran) = Beside::late(None);
    assert!(late.is_none() && ran.is_none());
}

/// What the door sees of a turn that runs, and into which so many were given.
fn door(place: &Place, over: TurnId, beside: usize) -> Door {
    Door {
        run: run(),
        session: SESSION,
        gate: place.gate.clone(),
        queue: place.queue.clone(),
        told: None,
        over,
        beside,
        ends: true,
        takes: true,
    }
}

/// A turn that runs, and these that come meanwhile.
async fn come(place: &Place, newer: &'static [u128]) -> TurnId {
    let all = place.tx(move |tx, queue, conversation| {
        tx.session_start(conversation, SESSION, NOW)?;
        let over = turn(tx, conversation, 1, TurnState::Queued)?;
        give(tx, over, false, NOW)?;
        for n in newer {
            let new = turn(tx, conversation, *n, TurnState::Queued)?;
            queue.arrives(tx, conversation, new, NOW)?;
        }
        Ok(over)
    });
    all.await
}

async fn look(place: &Place, door: Door) -> Next {
    let look = place.tx(move |tx, _, conversation| {
        let session = tx.session_current(conversation)?;
        door.look(tx, conversation, session.as_ref(), NOW)
    });
    look.await
}

async fn recorded(place: &Place) -> Vec<i64> {
    let all = place.tx(|tx, _, conversation| newer::all(tx, conversation));
    all.await.iter().map(|one| one.turn.0).collect()
}

#[tokio::test]
async fn what_the_agent_was_given_is_recorded_no_more_and_what_is_too_much_waits() {
    let place = place(Busy::Steer);
    let over = come(&place, &[2, 3]).await;
    let next = look(&place, door(&place, over, 0)).await;
    assert!(matches!(next, Next::Hand(given) if given.turn() == TurnId(2)));
    assert_eq!(recorded(&place).await, [3]);
    let next = look(&place, door(&place, over, busy::MOST_BESIDE)).await;
    assert!(matches!(next, Next::Nothing));
    assert_eq!(recorded(&place).await, [0; 0]);
    let told = place.tx(|tx, _, _| says(tx, TurnId(3))).await;
    assert_eq!(told, "In line: number 3.");
}

#[tokio::test]
async fn during_a_pause_no_answer_ends_for_a_newer_message() {
    let place = place(Busy::Interrupt);
    let over = come(&place, &[2]).await;
    let pause = Arc::new(Pause {
        by: "a".to_owned(),
        name: "a".to_owned(),
        since: NOW,
        reason: None,
    });
    let (gate, one) = (place.gate.clone(), Arc::clone(&pause));
    place.tx(move |tx, _, _| gate.close(tx, &one, NOW)).await;
    let next = look(&place, door(&place, over, 0)).await;
    assert!(matches!(next, Next::Nothing));
    place.gate.open(&pause);
    let next = look(&place, door(&place, over, 0)).await;
    assert!(
        matches!(next, Next::Interrupt),
        "what was recorded still holds"
    );
}
