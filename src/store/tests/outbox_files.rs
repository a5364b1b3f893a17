//! Outbox rows that are files, and what goes on in a chat.

use super::{
    outbox::{CHAT, deliver, row, slot, within},
    *,
};
use crate::{
    core::{clock::Stir, text::Enclosed},
    store::rows::{OutState, Urgency, Wanted},
};

fn file() -> Shown {
    Shown {
        file: Some(Enclosed {
            name: "main.rs".to_owned(),
            language: None,
            text: "fn main() {}\n".to_owned(),
        }),
        ..shown("main.rs (1 line)")
    }
}

#[test]
fn a_file_is_kept_whole_and_may_become_messages_in_its_place() {
    within(|tx, turn| {
        let id = tx.out_show(CHAT, Some(slot(turn, 900)), Urgency::Message, &file(), 1)?;
        let behind = tx.out_show(CHAT, None, Urgency::Message, &shown("behind"), 1)?;
        assert_eq!(row(tx, id).wanted, Wanted::Show(file()));
        assert!(tx.out_sending(id, 1)?);
        let parts = [shown("one"), shown("two"), shown("three")];
        tx.out_unfold(id, "refused", &parts, 2)?;
        let first = row(tx, id);
        assert_eq!(
            (first.wanted, first.state, first.revision),
            (Wanted::Show(shown("one")), OutState::Pending, 2)
        );
        let mut went = Vec::new();
        while let [due] = &tx.out_due(3, 9)?[..] {
            let Wanted::Show(shown) = row(tx, due.id).wanted else {
                panic!("{due:?}");
            };
            went.push(shown.body.text.clone());
            deliver(tx, due.id, Some(due.id.0), 3)?;
        }
        // The first in its place, the others behind what waited already.
        assert_eq!(went, ["one", "behind", "two", "three"]);
        assert_eq!(row(tx, behind).state, OutState::Done);
        Ok(())
    });
}

#[test]
fn one_that_nobody_wants_any_more_becomes_nothing() {
    within(|tx, turn| {
        let id = tx.out_show(CHAT, Some(slot(turn, 900)), Urgency::Message, &file(), 1)?;
        assert!(tx.out_sending(id, 1)?);
        tx.out_retract(turn, 900, 901, 2)?;
        tx.out_unfold(id, "refused", &[shown("one"), shown("two")], 3)?;
        let gone = row(tx, id);
        assert_eq!((gone.wanted, gone.state), (Wanted::Gone, OutState::Done));
        assert_eq!(tx.out_due(9, 9)?, []);
        // Nothing to be seen in it.
        let id = tx.out_show(CHAT, None, Urgency::Message, &file(), 4)?;
        assert!(tx.out_sending(id, 1)?);
        tx.out_unfold(id, "refused", &[], 5)?;
        assert_eq!(row(tx, id).state, OutState::Rejected);
        Ok(())
    });
}

#[test]
fn what_it_is_to_be_by_now_is_tried() {
    within(|tx, turn| {
        let place = Some(slot(turn, 900));
        let id = tx.out_show(CHAT, place, Urgency::Message, &file(), 1)?;
        assert!(tx.out_sending(id, 1)?);
        tx.out_show(CHAT, place, Urgency::Message, &shown("newer"), 2)?;
        tx.out_unfold(id, "refused", &[shown("one"), shown("two")], 3)?;
        let due = tx.out_due(3, 9)?;
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].id, due[0].revision), (id, 2));
        assert_eq!(due[0].wanted, Wanted::Show(shown("newer")));
        deliver(tx, id, Some(7), 4)?;
        assert_eq!(tx.out_due(9, 9)?, [], "nothing of the file");
        Ok(())
    });
}

#[test]
fn what_goes_on_in_a_chat() {
    within(|tx, turn| {
        let still = Stir::default();
        assert_eq!(tx.out_stir(CHAT.chat_id, 0)?, still);
        let id = tx.out_show(CHAT, Some(slot(turn, 0)), Urgency::Message, &shown("x"), 10)?;
        let busy = Stir {
            busy: true,
            ..still
        };
        assert_eq!(tx.out_stir(CHAT.chat_id, 0)?, busy);
        assert_eq!(tx.out_stir(CHAT.chat_id + 1, 0)?, still);
        deliver(tx, id, Some(4), 20)?;
        let last = Stir {
            last: Some(20),
            ..still
        };
        assert_eq!(tx.out_stir(CHAT.chat_id, 19)?, last);
        assert_eq!(tx.out_stir(CHAT.chat_id, 20)?, still, "long ago");
        assert_eq!(tx.out_stir(CHAT.chat_id + 1, 0)?, still);
        Ok(())
    });
}
