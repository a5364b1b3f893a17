//! The order in which the outbox goes out, against a model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    core::Millis,
    store::rows::{DueRow, OutRow, OutState, OutboxId, Slot, Target, Urgency, Wanted},
};

/// What may happen to an outbox. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Notice {
        chat: i64,
        urgency: Urgency,
    },
    Show {
        turn: usize,
        number: i64,
        text: u8,
        urgency: Urgency,
    },
    Retract {
        turn: usize,
        from: i64,
        below: i64,
    },
    Press,
    /// Takes a row that is due to the wire.
    Send(usize),
    /// A row that is on the wire comes back.
    End {
        which: usize,
        how: End,
        wait: i64,
    },
    Limit {
        chat: i64,
        wait: i64,
    },
    Pass(i64),
    Crash,
    Prune,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Sent,
    Later,
    Ambiguous,
    Rejected,
    Plain,
    Anew,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let urgency = || prop_oneof![Just(Urgency::Message), Just(Urgency::Progress)];
    let end = prop_oneof![
        4 => Just(End::Sent),
        2 => Just(End::Later),
        2 => Just(End::Ambiguous),
        1 => Just(End::Rejected),
        1 => Just(End::Plain),
        1 => Just(End::Anew),
    ];
    let step = prop_oneof![
        2 => (1..4_i64, urgency()).prop_map(|(chat, urgency)| Step::Notice { chat, urgency }),
        4 => (0..4_usize, 0..3_i64, 0..4_u8, urgency())
            .prop_map(|(turn, number, text, urgency)| Step::Show { turn, number, text, urgency }),
        1 => (0..4_usize, 0..3_i64, 1..4_i64).prop_map(|(turn, from, below)| Step::Retract { turn, from, below }),
        1 => Just(Step::Press),
        6 => any::<prop::sample::Index>().prop_map(|n| Step::Send(n.index(1 << 16))),
        5 => (0..8_usize, end, 0..50_i64).prop_map(|(which, how, wait)| Step::End { which, how, wait }),
        1 => (1..4_i64, 0..50_i64).prop_map(|(chat, wait)| Step::Limit { chat, wait }),
        2 => (1..40_i64).prop_map(Step::Pass),
        1 => Just(Step::Crash),
        1 => Just(Step::Prune),
    ];
    prop::collection::vec(step, 1..60)
}

/// All rows, by id.
fn rows(tx: &Tx<'_>, last: i64) -> Vec<OutRow> {
    (1..=last)
        .filter_map(|id| tx.out_row(OutboxId(id)).unwrap())
        .collect()
}

fn is_press(row: &OutRow) -> bool {
    matches!(row.wanted, Wanted::PressAnswer { .. })
}

fn never_sent(row: &OutRow) -> bool {
    matches!(row.wanted, Wanted::Show(_)) && row.message_id.is_none()
}

fn open(row: &OutRow) -> bool {
    matches!(row.state, OutState::Pending | OutState::Sending)
}

/// Limits of chats as the model knows them.
type Limits = BTreeMap<i64, Millis>;

fn held_until(row: &OutRow, limits: &Limits) -> Millis {
    let chat = (!is_press(row))
        .then(|| limits.get(&row.target.chat_id).copied())
        .flatten()
        .unwrap_or(Millis::MIN);
    row.not_before.max(chat)
}

/// Whether only time can hold the row.
fn in_line(row: &OutRow, rows: &[OutRow]) -> bool {
    if row.state != OutState::Pending {
        return false;
    }
    // The other messages of its chat that are not over.
    let mut others = rows.iter().filter(|other| {
        !is_press(row)
            && !is_press(other)
            && open(other)
            && other.id != row.id
            && other.target.chat_id == row.target.chat_id
    });
    others.all(|other| {
        let overtakes = never_sent(row) && never_sent(other) && other.id < row.id;
        other.state != OutState::Sending && !overtakes
    })
}

/// The rules once more, row by row.
fn due(rows: &[OutRow], limits: &Limits, now: Millis) -> Vec<OutboxId> {
    let mut found: Vec<_> = rows
        .iter()
        .filter(|row| in_line(row, rows) && held_until(row, limits) <= now)
        .collect();
    found.sort_by_key(|row| (row.urgency, row.id));
    let mut chats = BTreeSet::new();
    found.retain(|row| is_press(row) || chats.insert(row.target.chat_id));
    found.into_iter().map(|row| row.id).collect()
}

fn next_due(rows: &[OutRow], limits: &Limits, now: Millis) -> Option<Millis> {
    rows.iter()
        .filter(|row| in_line(row, rows))
        .map(|row| held_until(row, limits))
        .filter(|until| *until > now)
        .min()
}

/// Plays the steps; panics where a rule is broken.
fn play(tx: &Tx<'_>, steps: &[Step]) -> Result<(), StoreError> {
    let mut turns = Vec::new();
    for n in 0..4 {
        // Two turns each in two chats.
        turns.push((turn_of(tx, n / 2 + 1)?.1, n / 2 + 1));
    }
    let (mut now, mut last, mut messages) = (1000, 0, 0);
    let mut limits = Limits::new();
    for step in steps {
        let before = rows(tx, last);
        match *step {
            Step::Notice { chat, urgency } => {
                let target = Target {
                    chat_id: chat,
                    thread_id: 0,
                };
                last = last.max(tx.out_show(target, None, urgency, &shown("notice"), now)?.0);
            }
            Step::Show {
                turn,
                number,
                text,
                urgency,
            } => {
                let (turn, chat_id) = turns[turn];
                let target = Target {
                    chat_id,
                    thread_id: 0,
                };
                let slot = Some(Slot { turn, number });
                let content = shown(&text.to_string());
                last = last.max(tx.out_show(target, slot, urgency, &content, now)?.0);
            }
            Step::Retract { turn, from, below } => {
                tx.out_retract(turns[turn].0, from, below, now)?;
            }
            Step::Press => last = last.max(tx.out_press("cb", "", now)?.0),
            Step::Send(n) => {
                let due = tx.out_due(now, usize::MAX)?;
                if let Some(row) = due.get(n % due.len().max(1)) {
                    let row = &tx.out_row(row.id)?.unwrap();
                    // The promises, said without the model: nothing of this chat is on the wire, and no earlier message
                    // of it waits for its first send.
                    for other in before.iter().filter(|other| {
                        !is_press(row)
                            && !is_press(other)
                            && other.target.chat_id == row.target.chat_id
                    }) {
                        assert_ne!(other.state, OutState::Sending);
                        assert!(
                            !(never_sent(row)
                                && never_sent(other)
                                && open(other)
                                && other.id < row.id),
                            "{row:?} overtakes {other:?}"
                        );
                    }
                    assert!(tx.out_sending(row.id, row.revision)?);
                }
            }
            Step::End { which, how, wait } => {
                let flying: Vec<_> = before
                    .iter()
                    .filter(|row| row.state == OutState::Sending)
                    .collect();
                if let Some(row) = flying.get(which % flying.len().max(1)) {
                    let id = row.id;
                    match how {
                        End::Sent => {
                            messages += 1;
                            let message = (!is_press(row)).then_some(messages);
                            // Which revision was on the wire is not told by the row: the newest or the one before.
                            let revision = (row.revision - i64::from(wait % 2 == 0))
                                .max(row.sent_revision)
                                .max(1);
                            tx.out_sent(id, revision, message, now)?;
                        }
                        End::Later => tx.out_later(id, "later", now + wait, now)?,
                        End::Ambiguous => tx.out_ambiguous(id, "ambiguous", now + wait, now)?,
                        End::Rejected => tx.out_rejected(id, "rejected", now)?,
                        End::Plain => tx.out_plain(id)?,
                        End::Anew => tx.out_anew(id, false)?,
                    }
                }
            }
            Step::Limit { chat, wait } => {
                let until = now + wait;
                tx.chat_limit_set(chat, until, now)?;
                let known = limits.entry(chat).or_insert(until);
                *known = until.max(*known);
            }
            Step::Pass(ms) => {
                now += ms;
                tx.limits_prune(now)?;
                limits.retain(|_, until| *until > now);
            }
            Step::Crash => {
                let unsure = before
                    .iter()
                    .filter(|row| {
                        row.state == OutState::Sending && row.message_id.is_none() && !is_press(row)
                    })
                    .count();
                assert!(tx.out_recover(now)? <= unsure as u64);
                assert!(
                    rows(tx, last)
                        .iter()
                        .all(|row| row.state != OutState::Sending)
                );
            }
            Step::Prune => {
                tx.out_prune(now)?;
            }
        }
        check(tx, &before, last, &limits, now)?;
    }
    Ok(())
}

fn check(
    tx: &Tx<'_>,
    before: &[OutRow],
    last: i64,
    limits: &Limits,
    now: Millis,
) -> Result<(), StoreError> {
    let after = rows(tx, last);
    let ids = |rows: Vec<DueRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let expected = due(&after, limits, now);
    assert_eq!(ids(tx.out_due(now, usize::MAX)?), expected);
    assert_eq!(ids(tx.out_due(now, 2)?), expected[..expected.len().min(2)]);
    assert_eq!(ids(tx.out_due(now, 0)?), []);
    assert_eq!(tx.out_next_due(now)?, next_due(&after, limits, now));
    assert_eq!(
        tx.out_backlog()?.0,
        after.iter().filter(|row| open(row)).count() as u64
    );
    for row in &after {
        let old = before.iter().find(|old| old.id == row.id);
        // Content never changes without a new revision, and no revision is taken back.
        if let Some(old) = old {
            assert!(row.revision >= old.revision);
            // Only what was refused may be tried again as it was, once it is final.
            let again = old.state == OutState::Rejected && row.urgency != old.urgency;
            assert!(row.revision > old.revision || row.wanted == old.wanted);
            assert!(row.revision == old.revision || row.wanted != old.wanted || again);
            assert!(row.ambiguous >= old.ambiguous);
        }
        // An unwanted message that is not there is no work.
        assert!(
            !(row.state == OutState::Pending
                && row.wanted == Wanted::Gone
                && row.message_id.is_none()),
            "{row:?}"
        );
    }
    // What is still to be shown is never deleted by anything but a retraction of what never went out.
    for old in before.iter().filter(|old| open(old)) {
        if !after.iter().any(|row| row.id == old.id) {
            assert!(old.slot.is_some() && never_sent(old) && old.state == OutState::Pending);
        }
    }
    Ok(())
}

#[test]
fn the_outbox_goes_out_by_its_rules() {
    let db = Db::new();
    // Each case is a few hundred queries: 64 of them keep the test near ten seconds on a slow machine.
    proptest!(ProptestConfig::with_cases(64), |(steps in steps())| {
        // A failing closure is taken back: each case begins with an empty database.
        let end = StoreError::Other("end of the case".to_owned());
        let expected = end.clone();
        let outcome = db.try_tx(move |tx| {
            play(tx, &steps)?;
            Err::<(), _>(end)
        });
        prop_assert_eq!(outcome, Err(expected));
    });
}

fn notice(tx: &Tx<'_>, chat: i64, urgency: Urgency) -> OutboxId {
    let target = Target {
        chat_id: chat,
        thread_id: 0,
    };
    tx.out_show(target, None, urgency, &shown("x"), 1).unwrap()
}

fn due_ids(tx: &Tx<'_>, now: Millis) -> Vec<OutboxId> {
    let due = tx.out_due(now, 99).unwrap();
    due.into_iter().map(|row| row.id).collect()
}

#[test]
fn a_first_send_waits_for_an_earlier_one_that_has_a_later_deadline() {
    let db = Db::new();
    db.tx(|tx| {
        let early = notice(tx, 1, Urgency::Progress);
        let late = notice(tx, 1, Urgency::Message);
        let other_chat = notice(tx, 2, Urgency::Message);
        assert_eq!(due_ids(tx, 1), [other_chat, early]);
        tx.out_later(early, "no route", 100, 1)?;
        assert_eq!(due_ids(tx, 1), [other_chat]);
        assert_eq!(tx.out_next_due(1)?, Some(100));
        assert_eq!(due_ids(tx, 100), [other_chat, early]);
        tx.out_sending(early, 1)?;
        assert_eq!(due_ids(tx, 100), [other_chat], "one at a time in a chat");
        tx.out_sent(early, 1, Some(1), 100)?;
        assert_eq!(due_ids(tx, 100), [late, other_chat]);
        Ok(())
    });
}

#[test]
fn an_edit_may_go_before_a_first_send_that_has_to_wait() {
    let db = Db::new();
    db.tx(|tx| {
        let (_, turn) = turn_of(tx, 1)?;
        let target = Target {
            chat_id: 1,
            thread_id: 0,
        };
        let slot = Some(Slot { turn, number: 0 });
        let edit = tx.out_show(target, slot, Urgency::Message, &shown("a"), 1)?;
        tx.out_sending(edit, 1)?;
        tx.out_sent(edit, 1, Some(5), 1)?;
        let waits = notice(tx, 1, Urgency::Message);
        tx.out_later(waits, "no route", 100, 1)?;
        tx.out_show(target, slot, Urgency::Progress, &shown("b"), 1)?;
        assert_eq!(due_ids(tx, 1), [edit]);
        assert_eq!(due_ids(tx, 100), [waits], "urgency first");
        Ok(())
    });
}

#[test]
fn limits_hold_what_they_name() {
    let db = Db::new();
    db.tx(|tx| {
        let one = notice(tx, 1, Urgency::Message);
        let two = notice(tx, 2, Urgency::Message);
        let press = tx.out_press("cb", "", 1)?;
        tx.chat_limit_set(1, 50, 1)?;
        assert_eq!(due_ids(tx, 49), [press, two]);
        assert_eq!(due_ids(tx, 50), [press, one, two]);
        tx.chat_limit_set(1, 200, 1)?;
        assert_eq!(due_ids(tx, 199), [press, two]);
        assert_eq!(tx.out_next_due(1)?, Some(200));
        assert_eq!(due_ids(tx, 200), [press, one, two]);
        Ok(())
    });
}

#[test]
fn presses_are_free_of_the_order_of_chats() {
    let db = Db::new();
    db.tx(|tx| {
        let first = notice(tx, 1, Urgency::Message);
        tx.out_sending(first, 1)?;
        let presses = [
            tx.out_press("a", "", 1)?,
            tx.out_press("b", "", 1)?,
            tx.out_press("c", "", 1)?,
        ];
        assert_eq!(due_ids(tx, 1), presses);
        Ok(())
    });
}
