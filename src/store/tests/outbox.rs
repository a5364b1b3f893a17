//! What becomes of one outbox row.

use super::*;
use crate::store::rows::{
    DueRow, OutCounts, OutRow, OutState, OutboxId, Slot, Target, Urgency, Wanted,
};

pub(super) const CHAT: Target = Target {
    chat_id: 1,
    thread_id: 3,
};

pub(super) fn slot(turn: TurnId, number: i64) -> Slot {
    Slot { turn, number }
}

pub(super) fn show(tx: &Tx<'_>, slot: Slot, text: &str, now: i64) -> Result<OutboxId, StoreError> {
    tx.out_show(CHAT, Some(slot), Urgency::Message, &shown(text), now)
}

pub(super) fn row(tx: &Tx<'_>, id: OutboxId) -> OutRow {
    tx.out_row(id).unwrap().unwrap()
}

/// Runs a test inside one transaction.
pub(super) fn within(f: impl FnOnce(&Tx<'_>, TurnId) -> Result<(), StoreError> + Send + 'static) {
    let db = Db::new();
    db.tx(|tx| {
        let (_, turn) = turn_of(tx, 1)?;
        f(tx, turn)
    });
}

/// Sends a row that is due and has it confirmed.
pub(super) fn deliver(
    tx: &Tx<'_>,
    id: OutboxId,
    message_id: Option<i64>,
    now: i64,
) -> Result<(), StoreError> {
    let revision = row(tx, id).revision;
    assert!(tx.out_sending(id, revision)?);
    tx.out_sent(id, revision, message_id, now)
}

#[test]
fn a_new_message_waits_from_the_start() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "hello", 10)?;
        let expected = OutRow {
            id,
            target: CHAT,
            slot: Some(slot(turn, 0)),
            urgency: Urgency::Message,
            wanted: Wanted::Show(shown("hello")),
            revision: 1,
            sent_revision: 0,
            message_id: None,
            state: OutState::Pending,
            ambiguous: 0,
            plain: false,
            attempts: 0,
            not_before: 0,
            last_error: None,
            created_at: 10,
        };
        assert_eq!(tx.out_row(id)?, Some(expected.clone()));
        assert_eq!(tx.out_slot(slot(turn, 0))?, Some(expected.clone()));
        assert_eq!(tx.out_slot(slot(turn, 1))?, None);
        let due = DueRow {
            id,
            chat_id: Some(CHAT.chat_id),
            slot: expected.slot,
            urgency: Urgency::Message,
            message_id: None,
            first: true,
        };
        assert_eq!(tx.out_due(10, 9)?, [due]);
        assert_eq!(tx.out_backlog()?, (1, Some(10)));
        Ok(())
    });
}

#[test]
fn without_a_slot_each_is_a_message_of_its_own() {
    within(|tx, _| {
        let a = tx.out_show(CHAT, None, Urgency::Message, &shown("x"), 1)?;
        let b = tx.out_show(CHAT, None, Urgency::Message, &shown("x"), 1)?;
        assert_ne!(a, b);
        Ok(())
    });
}

#[test]
fn later_content_replaces_earlier() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        assert_eq!(show(tx, slot(turn, 0), "a", 2)?, id);
        assert_eq!(row(tx, id).revision, 1);
        assert_eq!(show(tx, slot(turn, 0), "b", 3)?, id);
        assert_eq!(row(tx, id).revision, 2);
        assert_eq!(row(tx, id).wanted, Wanted::Show(shown("b")));
        // Buttons alone make a difference, too.
        let mut buttons = shown("b");
        buttons.reply_to = Some(4);
        tx.out_show(CHAT, Some(slot(turn, 0)), Urgency::Message, &buttons, 3)?;
        assert_eq!(row(tx, id).revision, 3);
        Ok(())
    });
}

#[test]
fn what_is_confirmed_is_done_and_an_edit_begins_anew() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        deliver(tx, id, Some(77), 5)?;
        let done = row(tx, id);
        assert_eq!(
            (done.state, done.message_id, done.sent_revision),
            (OutState::Done, Some(77), 1)
        );
        assert_eq!(tx.out_at(1, 77)?, Some(done));
        assert_eq!(tx.out_at(1, 78)?, None);
        assert_eq!(tx.out_at(2, 77)?, None);
        assert_eq!(tx.out_backlog()?, (0, None));
        // The same content again is no work.
        show(tx, slot(turn, 0), "a", 6)?;
        assert_eq!(row(tx, id).state, OutState::Done);
        tx.out_show(CHAT, Some(slot(turn, 0)), Urgency::Progress, &shown("b"), 7)?;
        let edit = row(tx, id);
        assert_eq!(
            (edit.state, edit.urgency, edit.revision),
            (OutState::Pending, Urgency::Progress, 2)
        );
        // It waits since the edit was asked for, not since the message was made.
        assert_eq!(tx.out_backlog()?, (1, Some(7)));
        // An edit is confirmed without an id; the one that is known stays.
        deliver(tx, id, None, 8)?;
        assert_eq!(row(tx, id).message_id, Some(77));
        Ok(())
    });
}

#[test]
fn a_row_is_never_on_the_wire_twice() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        assert!(!tx.out_sending(id, 2)?, "a revision that is not there");
        assert!(tx.out_sending(id, 1)?);
        assert!(!tx.out_sending(id, 1)?, "on the wire already");
        // New content while it is on the wire must not make it due: it could be sent as a second message.
        show(tx, slot(turn, 0), "b", 2)?;
        assert_eq!(row(tx, id).state, OutState::Sending);
        assert_eq!(tx.out_due(9, 9)?, []);
        assert!(!tx.out_sending(id, 2)?);
        tx.out_sent(id, 1, Some(77), 3)?;
        let now = row(tx, id);
        assert_eq!(
            (now.state, now.sent_revision, now.revision),
            (OutState::Pending, 1, 2)
        );
        assert_eq!(tx.out_backlog()?, (1, Some(3)));
        assert_eq!(tx.out_due(9, 9)?.len(), 1);
        deliver(tx, id, None, 4)?;
        assert!(!tx.out_sending(id, 2)?, "done already");
        assert!(!tx.out_sending(OutboxId(99), 1)?);
        Ok(())
    });
}

#[test]
fn a_send_that_never_left_is_tried_later() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        tx.out_sending(id, 1)?;
        tx.out_later(id, "no\nroute", 500, 2)?;
        let later = row(tx, id);
        assert_eq!(
            (later.state, later.attempts, later.not_before),
            (OutState::Pending, 1, 500)
        );
        assert_eq!(later.last_error.as_deref(), Some("no route"));
        assert_eq!(later.ambiguous, 0);
        assert_eq!(tx.out_due(499, 9)?, []);
        assert_eq!(tx.out_next_due(2)?, Some(500));
        assert_eq!(tx.out_due(500, 9)?.len(), 1);
        // New content does not wait for the old content's deadline...
        show(tx, slot(turn, 0), "b", 3)?;
        assert_eq!((row(tx, id).not_before, row(tx, id).attempts), (0, 0));
        // ...unless Telegram set it.
        tx.out_sending(id, 2)?;
        tx.chat_limit_set(1, 900, 3)?;
        tx.out_later(id, "429", 900, 3)?;
        show(tx, slot(turn, 0), "c", 4)?;
        assert_eq!(row(tx, id).not_before, 900);
        assert_eq!(tx.out_due(899, 9)?, []);
        Ok(())
    });
}

#[test]
fn an_ambiguous_first_send_is_counted_and_an_edit_is_not() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        tx.out_sending(id, 1)?;
        tx.out_ambiguous(id, "reset", 50, 2)?;
        assert_eq!(row(tx, id).ambiguous, 1);
        assert_eq!(row(tx, id).state, OutState::Pending);
        tx.out_sending(id, 1)?;
        tx.out_ambiguous(id, "reset", 60, 3)?;
        assert_eq!((row(tx, id).ambiguous, row(tx, id).attempts), (2, 2));
        deliver(tx, id, Some(5), 61)?;
        show(tx, slot(turn, 0), "b", 62)?;
        tx.out_sending(id, 2)?;
        tx.out_ambiguous(id, "reset", 70, 63)?;
        assert_eq!(row(tx, id).ambiguous, 2, "an edit is simply repeated");

        let press = tx.out_press("cb", "done", 1)?;
        tx.out_sending(press, 1)?;
        tx.out_ambiguous(press, "reset", 70, 63)?;
        assert_eq!(row(tx, press).ambiguous, 0);
        assert_eq!(
            tx.out_counts()?,
            OutCounts {
                ambiguous: 2,
                rejected: 0
            }
        );
        Ok(())
    });
}

#[test]
fn what_was_refused_is_not_tried_as_it_is() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        tx.out_sending(id, 1)?;
        tx.out_rejected(id, "Bad Request: chat not found", 2)?;
        assert_eq!(row(tx, id).state, OutState::Rejected);
        assert_eq!(tx.out_counts()?.rejected, 1);
        show(tx, slot(turn, 0), "a", 3)?;
        assert_eq!(row(tx, id).state, OutState::Rejected);
        assert_eq!(tx.out_due(9, 9)?, []);
        show(tx, slot(turn, 0), "b", 4)?;
        assert_eq!(row(tx, id).state, OutState::Pending);
        // A refusal of the old content says nothing of the new.
        tx.out_sending(id, 2)?;
        show(tx, slot(turn, 0), "c", 5)?;
        tx.out_rejected(id, "Bad Request", 6)?;
        assert_eq!(row(tx, id).state, OutState::Pending);
        // Refused before it went to the wire.
        tx.out_rejected(id, "too long", 7)?;
        assert_eq!(row(tx, id).state, OutState::Rejected);
        // What comes late changes nothing.
        tx.out_later(id, "late", 1, 8)?;
        tx.out_ambiguous(id, "late", 1, 8)?;
        assert_eq!(row(tx, id).state, OutState::Rejected);
        Ok(())
    });
}

#[test]
fn what_was_refused_on_the_way_is_tried_when_it_is_final() {
    within(|tx, turn| {
        let slot = slot(turn, 0);
        let id = show(tx, slot, "a", 1)?;
        deliver(tx, id, Some(4), 1)?;
        tx.out_show(CHAT, Some(slot), Urgency::Progress, &shown("b"), 2)?;
        tx.out_sending(id, 2)?;
        tx.out_rejected(id, "Bad Request: message to edit not found", 3)?;
        tx.out_show(CHAT, Some(slot), Urgency::Progress, &shown("b"), 4)?;
        assert_eq!(row(tx, id).state, OutState::Rejected);
        show(tx, slot, "b", 5)?;
        assert_eq!(
            (row(tx, id).state, row(tx, id).revision),
            (OutState::Pending, 3)
        );
        tx.out_sending(id, 3)?;
        tx.out_rejected(id, "Bad Request", 6)?;
        show(tx, slot, "b", 7)?;
        assert_eq!(row(tx, id).state, OutState::Rejected, "not twice");
        Ok(())
    });
}

#[test]
fn a_failure_of_old_content_is_no_try_of_the_new() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        tx.out_sending(id, 1)?;
        show(tx, slot(turn, 0), "b", 2)?;
        tx.out_later(id, "no route", 50, 3)?;
        assert_eq!((row(tx, id).attempts, row(tx, id).not_before), (0, 50));
        Ok(())
    });
}

#[test]
fn a_message_goes_as_plain_text_or_anew() {
    within(|tx, turn| {
        let id = show(tx, slot(turn, 0), "a", 1)?;
        tx.out_sending(id, 1)?;
        tx.out_plain(id)?;
        assert_eq!(
            (row(tx, id).state, row(tx, id).plain),
            (OutState::Pending, true)
        );
        deliver(tx, id, Some(4), 2)?;
        show(tx, slot(turn, 0), "b", 3)?;
        assert!(row(tx, id).plain, "from now on");
        tx.out_sending(id, 2)?;
        tx.out_anew(id, false)?;
        let anew = row(tx, id);
        assert_eq!(
            (
                anew.state,
                anew.message_id,
                anew.sent_revision,
                anew.ambiguous
            ),
            (OutState::Pending, None, 0, 0)
        );
        deliver(tx, id, Some(9), 4)?;
        assert_eq!(row(tx, id).message_id, Some(9));
        Ok(())
    });
}

#[test]
fn after_a_crash_what_was_on_the_wire_is_done_again() {
    let db = Db::new();
    let ids = db.tx(|tx| {
        let (_, turn) = turn_of(tx, 1)?;
        let first = show(tx, slot(turn, 0), "first send", 1)?;
        let edit = show(tx, slot(turn, 1), "edit", 1)?;
        deliver(tx, edit, Some(5), 1)?;
        show(tx, slot(turn, 1), "edited", 2)?;
        let waiting = show(tx, slot(turn, 2), "waiting", 1)?;
        let press = tx.out_press("cb", "", 1)?;
        for id in [first, edit, press] {
            let revision = row(tx, id).revision;
            assert!(tx.out_sending(id, revision)?);
        }
        Ok([first, edit, waiting, press])
    });
    let db = db.reopen();
    assert_eq!(db.tx(|tx| tx.out_recover(50)), 1);
    assert_eq!(db.tx(|tx| tx.out_recover(50)), 0);
    let ambiguous = db.tx(move |tx| {
        Ok(ids.map(|id| {
            let row = row(tx, id);
            assert_eq!(row.state, OutState::Pending);
            row.ambiguous
        }))
    });
    assert_eq!(ambiguous, [1, 0, 0, 0]);
}

#[test]
fn a_press_is_answered_with_its_text() {
    within(|tx, _| {
        let id = tx.out_press("cb-1", "Stopped.", 4)?;
        let press = row(tx, id);
        let wanted = Wanted::PressAnswer {
            callback_id: "cb-1".to_owned(),
            text: "Stopped.".to_owned(),
        };
        assert_eq!((press.wanted, press.urgency), (wanted, Urgency::Press));
        deliver(tx, id, None, 5)?;
        assert_eq!(row(tx, id).state, OutState::Done);
        Ok(())
    });
}

#[test]
fn answers_to_presses_are_found_without_the_rest_and_by_the_same_rules() {
    within(|tx, turn| {
        show(tx, slot(turn, 0), "a message", 1)?;
        let (first, second) = (tx.out_press("a", "", 1)?, tx.out_press("b", "", 1)?);
        let found = |tx: &Tx<'_>, now| {
            let (due, next) = tx.out_due_presses(now, 9)?;
            let among = tx.out_due(now, 9)?;
            let presses = among.iter().filter(|row| row.urgency == Urgency::Press);
            assert_eq!(due, presses.copied().collect::<Vec<_>>(), "at {now}");
            Ok((due.iter().map(|row| row.id).collect::<Vec<_>>(), next))
        };
        assert_eq!(found(tx, 1)?, (vec![first, second], None));
        assert_eq!(
            tx.out_due_presses(1, 1)?.0.len(),
            1,
            "no more than asked for"
        );
        tx.out_sending(first, 1)?;
        assert_eq!(found(tx, 1)?, (vec![second], None), "on the wire");
        tx.out_later(first, "no route", 50, 2)?;
        assert_eq!(found(tx, 2)?, (vec![second], Some(50)));
        tx.chat_limit_set(1, 90, 3)?;
        assert_eq!(found(tx, 70)?, (vec![first, second], None), "of no chat");
        deliver(tx, second, None, 71)?;
        assert_eq!(found(tx, 71)?, (vec![first], None));
        Ok(())
    });
}

#[test]
fn pruning_the_outbox_keeps_open_turns_and_open_rows() {
    within(|tx, open_turn| {
        let (_, over_turn) = turn_of(tx, 2)?;
        tx.turn_state(over_turn, TurnState::Failed, 3)?;
        let done = |id| deliver(tx, id, Some(1), 10).map(|()| id);
        let of_open = done(show(tx, slot(open_turn, 0), "x", 1)?)?;
        let of_over = done(show(tx, slot(over_turn, 0), "x", 1)?)?;
        let fresh = show(tx, slot(over_turn, 1), "x", 1)?;
        deliver(tx, fresh, Some(2), 20)?;
        let waiting = show(tx, slot(over_turn, 2), "x", 1)?;
        let notice = tx.out_show(CHAT, None, Urgency::Message, &shown("n"), 1)?;
        tx.out_rejected(notice, "no", 10)?;
        assert_eq!(tx.out_prune(20)?, 2);
        for (id, stays) in [
            (of_open, true),
            (of_over, false),
            (fresh, true),
            (waiting, true),
            (notice, false),
        ] {
            assert_eq!(tx.out_row(id)?.is_some(), stays, "{id:?}");
        }
        Ok(())
    });
}

#[test]
fn a_row_that_is_not_there_is_an_error() {
    within(|tx, _| {
        let id = OutboxId(99);
        assert!(tx.out_sent(id, 1, None, 1).is_err());
        assert!(tx.out_later(id, "", 1, 1).is_err());
        assert!(tx.out_ambiguous(id, "", 1, 1).is_err());
        assert!(tx.out_rejected(id, "", 1).is_err());
        assert!(tx.out_plain(id).is_err());
        assert!(tx.out_anew(id, false).is_err());
        Ok(())
    });
}
