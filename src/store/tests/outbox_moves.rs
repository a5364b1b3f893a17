//! Outbox rows whose message is not wanted any more, or whose chat moved.

use super::{
    outbox::{CHAT, deliver, row, show, slot, within},
    *,
};
use crate::store::rows::{OutState, OutboxId, Target, Wanted};

#[test]
fn a_retracted_message_that_never_went_out_is_forgotten() {
    within(|tx, turn| {
        let ids: Vec<_> = (0..4)
            .map(|n| show(tx, slot(turn, n), "x", 1))
            .collect::<Result<_, _>>()?;
        let (_, other_turn) = turn_of(tx, 2)?;
        let other = show(tx, slot(other_turn, 1), "x", 1)?;
        tx.out_retract(turn, 1, 3, 2)?;
        let left: Vec<_> = ids
            .iter()
            .map(|id| tx.out_row(*id).unwrap().is_some())
            .collect();
        assert_eq!(left, [true, false, false, true]);
        assert!(tx.out_row(other)?.is_some());
        Ok(())
    });
}

#[test]
fn a_retracted_message_that_is_there_is_deleted_there() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "x", 1)?;
        deliver(tx, id, Some(4), 1)?;
        tx.out_retract(turn, 0, 9, 2)?;
        let gone = row(tx, id);
        assert_eq!(
            (gone.wanted.clone(), gone.state, gone.revision),
            (Wanted::Gone, OutState::Pending, 2)
        );
        tx.out_retract(turn, 0, 9, 3)?;
        assert_eq!(row(tx, id), gone, "once is enough");
        deliver(tx, id, None, 4)?;
        assert_eq!(
            (row(tx, id).state, row(tx, id).message_id),
            (OutState::Done, None)
        );
        // Wanted again: a new message, since the old one is not there.
        show(tx, slot(turn, 0), "x", 5)?;
        let again = row(tx, id);
        assert_eq!(
            (again.state, again.message_id, again.sent_revision),
            (OutState::Pending, None, 0)
        );
        Ok(())
    });
}

#[test]
fn a_slot_that_is_released_takes_a_message_of_its_own() {
    within(|tx, turn| {
        // One that never went out is forgotten; nothing there is nothing to do.
        let id = show(tx, slot(turn, 0), "waits", 1)?;
        tx.out_release(slot(turn, 0), 2)?;
        assert!(tx.out_row(id)?.is_none());
        tx.out_release(slot(turn, 0), 2)?;
        // One that is there is deleted there, and one that is on the wire once it has arrived.
        let there = show(tx, slot(turn, 0), "waits", 3)?;
        deliver(tx, there, Some(4), 3)?;
        tx.out_release(slot(turn, 0), 4)?;
        let on_its_way = show(tx, slot(turn, 0), "waits again", 5)?;
        deliver(tx, there, None, 5)?;
        assert!(tx.out_sending(on_its_way, 1)?);
        tx.out_release(slot(turn, 0), 6)?;
        tx.out_sent(on_its_way, 1, Some(7), 7)?;
        let (gone, answer) = (row(tx, on_its_way), show(tx, slot(turn, 0), "answer", 8)?);
        assert_eq!(
            (&gone.wanted, gone.state),
            (&Wanted::Gone, OutState::Pending)
        );
        assert_eq!((gone.message_id, gone.slot), (Some(7), None));
        assert!(![there, on_its_way].contains(&answer));
        assert_eq!(tx.out_slot(slot(turn, 0))?.unwrap().id, answer);
        Ok(())
    });
}

#[test]
fn a_message_that_is_retracted_while_it_goes_out_is_deleted_afterwards() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "x", 1)?;
        tx.out_sending(id, 1)?;
        tx.out_retract(turn, 0, 1, 2)?;
        assert_eq!(
            (row(tx, id).state, row(tx, id).wanted),
            (OutState::Sending, Wanted::Gone)
        );
        tx.out_sent(id, 1, Some(8), 3)?;
        let there = row(tx, id);
        assert_eq!(
            (there.state, there.message_id, there.wanted),
            (OutState::Pending, Some(8), Wanted::Gone)
        );
        Ok(())
    });
}

#[test]
fn nothing_is_left_to_do_for_an_unwanted_message_that_did_not_arrive() {
    type Fail = fn(&Tx<'_>, OutboxId) -> Result<(), StoreError>;
    let fails: [(Fail, i64); 4] = [
        (|tx, id| tx.out_later(id, "no route", 9, 3), 0),
        (|tx, id| tx.out_ambiguous(id, "reset", 9, 3), 1),
        (|tx, id| tx.out_rejected(id, "Bad Request", 3), 0),
        (|tx, _| tx.out_recover(3).map(drop), 1),
    ];
    for (fail, ambiguous) in fails {
        within(move |tx, turn| {
            let id = show(tx, slot(turn, 0), "x", 1)?;
            tx.out_sending(id, 1)?;
            tx.out_retract(turn, 0, 1, 2)?;
            fail(tx, id)?;
            let row = row(tx, id);
            assert_eq!((row.state, row.ambiguous), (OutState::Done, ambiguous));
            assert_eq!(tx.out_due(99, 9)?, []);
            Ok(())
        });
    }
}

#[test]
fn a_retracted_message_that_may_have_arrived_stays_on_record() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "x", 1)?;
        tx.out_sending(id, 1)?;
        tx.out_ambiguous(id, "reset", 50, 2)?;
        tx.out_retract(turn, 0, 1, 3)?;
        assert_eq!(
            (row(tx, id).state, row(tx, id).ambiguous),
            (OutState::Done, 1)
        );
        assert_eq!(tx.out_counts()?.ambiguous, 1);
        Ok(())
    });
}

#[test]
fn wanted_again_while_it_is_being_deleted_it_is_sent_anew() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "x", 1)?;
        deliver(tx, id, Some(4), 1)?;
        tx.out_retract(turn, 0, 1, 2)?;
        tx.out_sending(id, 2)?;
        show(tx, slot(turn, 0), "y", 3)?;
        tx.out_sent(id, 2, None, 4)?;
        let row = row(tx, id);
        assert_eq!(
            (row.state, row.message_id, row.sent_revision),
            (OutState::Pending, None, 0)
        );
        assert_eq!(row.wanted, Wanted::Show(shown("y")));
        Ok(())
    });
}

#[test]
fn a_group_that_moved_takes_everything_along() {
    let db = Db::new();
    db.tx(|tx| {
        let (conversation, turn) = turn_of(tx, 1)?;
        let there = show(tx, slot(turn, 0), "placeholder", 1)?;
        deliver(tx, there, Some(5), 1)?;
        let waiting = show(tx, slot(turn, 1), "waiting", 1)?;
        let deleted = show(tx, slot(turn, 2), "to be deleted", 1)?;
        deliver(tx, deleted, Some(6), 1)?;
        tx.out_retract(turn, 2, 3, 1)?;
        let (_, over) = turn_of(tx, 1)?;
        tx.turn_state(over, TurnState::Completed, 2)?;
        let old = show(tx, slot(over, 0), "history", 1)?;
        deliver(tx, old, Some(7), 1)?;
        tx.chat_limit_set(1, 900, 1)?;
        tx.chat_limit_set(-100, 400, 1)?;

        tx.chat_migrated(1, -100)?;

        assert_eq!(tx.conversation(conversation)?.unwrap().key.chat_id, -100);
        let placeholder = row(tx, there);
        assert_eq!(
            (placeholder.target.chat_id, placeholder.message_id),
            (-100, None)
        );
        assert_eq!(placeholder.state, OutState::Done);
        show(tx, slot(turn, 0), "answer", 2)?;
        assert_eq!(
            row(tx, there).target.chat_id,
            -100,
            "a later edit goes to the new chat"
        );
        assert_eq!(
            row(tx, waiting).target,
            Target {
                chat_id: -100,
                ..CHAT
            }
        );
        assert_eq!(
            row(tx, deleted).state,
            OutState::Done,
            "its message is not in the new chat"
        );
        assert_eq!(row(tx, old).target.chat_id, 1);
        assert_eq!((tx.chat_limit(-100)?, tx.chat_limit(1)?), (Some(900), None));
        tx.chat_migrated(-100, -100)?;
        assert_eq!(tx.chat_limit(-100)?, Some(900));
        Ok(())
    });
}

#[test]
fn a_group_that_moved_where_its_people_are_already_loses_nothing() {
    let db = Db::new();
    db.tx(|tx| {
        let (old, turn) = turn_of(tx, 1)?;
        let new = tx.conversation_open(
            &ConversationKey {
                chat_id: -100,
                ..key(1)
            },
            1,
        )?;
        tx.chat_migrated(1, -100)?;
        assert_eq!(tx.conversation(old)?.unwrap().key.chat_id, 1);
        assert_eq!(tx.conversation(new.id)?, Some(new));
        assert_eq!(tx.turns_open(old)?[0].id, turn);
        Ok(())
    });
}
