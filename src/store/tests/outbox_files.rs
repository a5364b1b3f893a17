//! Outbox rows that are files, and what goes on in a chat.

use proptest::prelude::*;

use super::{
    outbox::{CHAT, deliver, row, slot, within},
    *,
};
use crate::{
    core::{clock::Stir, text::Enclosed},
    store::rows::{OutRow, OutState, Slot, Urgency, Wanted},
};

fn file() -> Shown {
    file_of("one\ntwo\nthree\n")
}

fn file_of(text: &str) -> Shown {
    Shown {
        file: Some(Enclosed {
            name: "main.rs".to_owned(),
            language: None,
            text: text.to_owned(),
        }),
        ..shown("main.rs")
    }
}

/// A message for each line.
fn unfold(file: &Shown) -> Vec<Shown> {
    let text = &file.file.as_ref().unwrap().text;
    text.lines().map(shown).collect()
}

/// What is sent next.
fn next_of(tx: &Tx<'_>) -> Option<OutRow> {
    let mut due = tx.out_due(9, 9).unwrap();
    assert!(due.len() < 2, "one at a time");
    due.pop().map(|due| row(tx, due.id))
}

fn content(row: &OutRow) -> &Shown {
    match &row.wanted {
        Wanted::Show(shown) => shown,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_kept_whole_and_may_become_messages_in_its_place() {
    within(|tx, turn| {
        let id = tx.out_show(CHAT, Some(slot(turn, 900)), Urgency::Message, &file(), 1)?;
        let behind = tx.out_show(CHAT, None, Urgency::Message, &shown("behind"), 1)?;
        assert_eq!(row(tx, id).wanted, Wanted::Show(file()));
        assert!(tx.out_sending(id, 1)?);
        tx.out_unfold(id, "refused", unfold, 2)?;
        let first = row(tx, id);
        assert_eq!(
            (first.wanted, first.state, first.revision),
            (Wanted::Show(shown("one")), OutState::Pending, 2)
        );
        let mut went = Vec::new();
        while let Some(due) = next_of(tx) {
            went.push(content(&due).body.text.clone());
            deliver(tx, due.id, Some(due.id.0), 3)?;
        }
        // The first in its place, the others behind what waited already.
        assert_eq!(went, ["one", "behind", "two", "three"]);
        assert_eq!(row(tx, behind).state, OutState::Done);
        Ok(())
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whichever of them are refused: all there is in its order, and nothing between the parts of one.
    #[test]
    fn files_of_one_answer_are_not_mixed_up(
        sizes in prop::collection::vec(1_usize..4, 1..5), refused in prop::collection::vec(any::<bool>(), 5),
    ) {
        within(move |tx, turn| {
            let lines = |file: usize| -> Vec<String> {
                (0..sizes[file]).map(|part| format!("{file}.{part}")).collect()
            };
            for file in 0..sizes.len() {
                let place = Some(slot(turn, Slot::FILE + i64::try_from(file).unwrap()));
                tx.out_show(CHAT, place, Urgency::Message, &file_of(&lines(file).join("\n")), 1)?;
            }
            let mut refused = refused.into_iter();
            let mut went = Vec::new();
            while let Some(due) = next_of(tx) {
                if let Some(file) = &content(&due).file {
                    if refused.next().unwrap() {
                        assert!(tx.out_sending(due.id, due.revision)?);
                        tx.out_unfold(due.id, "refused", unfold, 2)?;
                        continue;
                    }
                    went.extend(file.text.lines().map(str::to_owned));
                } else {
                    went.push(content(&due).body.text.clone());
                }
                deliver(tx, due.id, Some(due.id.0), 3)?;
            }
            let wanted: Vec<String> = (0..sizes.len()).flat_map(lines).collect();
            assert_eq!(went, wanted);
            Ok(())
        });
    }
}

#[test]
fn files_of_others_stay_files() {
    within(|tx, turn| {
        let (_, other) = turn_of(tx, 2)?;
        let place = |turn, number| Some(slot(turn, number));
        let gone = tx.out_show(
            CHAT,
            place(turn, 900),
            Urgency::Message,
            &file_of("a\nb"),
            1,
        )?;
        deliver(tx, gone, Some(5), 1)?;
        let id = tx.out_show(
            CHAT,
            place(turn, 901),
            Urgency::Message,
            &file_of("c\nd"),
            1,
        )?;
        let theirs = tx.out_show(CHAT, place(other, 900), Urgency::Message, &file(), 1)?;
        let last = tx.out_show(CHAT, place(turn, 902), Urgency::Message, &file_of("e"), 1)?;
        assert!(tx.out_sending(id, 1)?);
        tx.out_unfold(id, "refused", unfold, 2)?;
        assert_eq!(row(tx, gone).wanted, Wanted::Show(file_of("a\nb")));
        assert_eq!(row(tx, theirs).wanted, Wanted::Show(file()));
        assert_eq!(row(tx, id).wanted, Wanted::Show(shown("c")));
        assert_eq!(row(tx, last).wanted, Wanted::Show(shown("d")));
        Ok(())
    });
}

#[test]
fn one_that_nobody_wants_any_more_becomes_nothing() {
    within(|tx, turn| {
        let id = tx.out_show(CHAT, Some(slot(turn, 900)), Urgency::Message, &file(), 1)?;
        assert!(tx.out_sending(id, 1)?);
        tx.out_retract(turn, 900, 901, 2)?;
        tx.out_unfold(id, "refused", unfold, 3)?;
        let gone = row(tx, id);
        assert_eq!((gone.wanted, gone.state), (Wanted::Gone, OutState::Done));
        assert_eq!(tx.out_due(9, 9)?, []);
        // Nothing to be seen in it.
        let id = tx.out_show(CHAT, None, Urgency::Message, &file(), 4)?;
        assert!(tx.out_sending(id, 1)?);
        tx.out_unfold(id, "refused", |_| Vec::new(), 5)?;
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
        tx.out_unfold(id, "refused", unfold, 3)?;
        let due = tx.out_due(3, 9)?;
        assert_eq!(due.len(), 1);
        let newer = row(tx, due[0].id);
        assert_eq!((newer.id, newer.revision), (id, 2));
        assert_eq!(newer.wanted, Wanted::Show(shown("newer")));
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
