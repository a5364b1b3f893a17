use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{
    list::{LINES, listed, setting},
    *,
};
use crate::{
    core::{ids::RunId, limits::Limit, mark::Mark, turn::Turn},
    store::{
        Store,
        rows::{NewTurn, OutboxId, RunRow, RunStatus, TurnPart},
    },
};

pub(in crate::gateway) const NOW: Millis = 1_700_000_000_000;
const KEY: ConversationKey = ConversationKey {
    bot_id: 7,
    chat_id: 1,
    thread_id: 0,
    user_id: 1,
};

/// A person's queue in a store of its own.
pub(in crate::gateway) struct Place {
    _dir: tempfile::TempDir,
    store: Store,
    pub(in crate::gateway) queue: Queue,
    pub(in crate::gateway) gate: Gate,
}

pub(in crate::gateway) fn place(busy: Busy) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (store, _thread) = Store::open(dir.path()).unwrap();
    let gate = Gate::default();
    let queue = Queue {
        gate: gate.clone(),
        key: KEY,
        stop_button: true,
        buttons: true,
        drafts: false,
        busy,
    };
    Place {
        _dir: dir,
        store,
        queue,
        gate,
    }
}

impl Place {
    /// One transaction that must succeed.
    pub(in crate::gateway) async fn tx<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>, &Queue, ConversationId) -> Result<R, StoreError> + Send + 'static,
    ) -> R {
        let queue = self.queue.clone();
        let in_conversation = move |tx: &Tx<'_>| {
            let conversation = tx.conversation_open(&KEY, NOW)?.id;
            f(tx, &queue, conversation)
        };
        self.store.tx(in_conversation).await.unwrap()
    }
}

/// A turn with this number as its text.
pub(in crate::gateway) fn turn(
    tx: &Tx<'_>,
    conversation: ConversationId,
    n: u128,
    state: TurnState,
) -> Result<TurnId, StoreError> {
    let part = TurnPart {
        inbox: InboxId(i64::try_from(n).unwrap()),
        message_id: 10,
        text: format!("say {n}"),
        received_at: NOW,
        mark: Mark::default(),
    };
    let new = NewTurn {
        conversation,
        uuid: Some(Uuid::from_u128(n)),
        state,
        parts: vec![part],
        run: None,
    };
    tx.turn_add(&new, NOW)
}

#[tokio::test]
async fn all_are_dropped_with_one_look_at_what_is_shown() {
    let place = place(Busy::Queue);
    let (revisions, left) = place
        .tx(|tx, queue, conversation| {
            for n in 1..=40 {
                turn(tx, conversation, n, TurnState::Held)?;
            }
            queue.list(tx, conversation, LINES, NOW)?;
            let row = listed(tx, &setting(conversation))?.unwrap().row;
            let revision = || Ok::<_, StoreError>(tx.out_row(OutboxId(row))?.unwrap().revision);
            let before = revision()?;
            let all = tx.turns_open(conversation)?;
            queue.drop_all(tx, conversation, &all, NOW)?;
            let left = tx.turns_open(conversation)?.len();
            assert!(listed(tx, &setting(conversation))?.is_none());
            Ok((revision()? - before, left))
        })
        .await;
    assert_eq!((revisions, left), (1, 0));
}

#[tokio::test]
async fn a_list_counts_all_and_reads_what_it_shows() {
    let place = place(Busy::Queue);
    let (text, labels, lists, reads) = place
        .tx(|tx, queue, conversation| {
            turn(tx, conversation, 1, TurnState::Queued)?;
            for n in 2..=3000 {
                turn(tx, conversation, n, TurnState::Held)?;
            }
            let (text, buttons) = queue.asked_for(tx, conversation)?;
            let labels: Vec<_> = buttons.concat().into_iter().map(|b| b.label).collect();
            queue.list(tx, conversation, LINES, NOW)?;
            let timed = |what: &dyn Fn() -> Result<(), StoreError>| {
                let begun = Instant::now();
                for _ in 0..10 {
                    what()?;
                }
                Ok::<Duration, StoreError>(begun.elapsed())
            };
            let lists = timed(&|| queue.refresh(tx, conversation, NOW))?;
            let reads = timed(&|| tx.turns_open(conversation).map(drop))?;
            Ok((text, labels, lists, reads))
        })
        .await;
    let begin = "1 message in line:\n#1 “say 1”\n\n\
                 2999 messages are kept and wait for your word:\n#2 “say 2”\n";
    assert!(text.starts_with(begin), "{text}");
    assert!(
        text.contains("\n#20 “say 20”\n… and 2980 more\n\n/queue lists them."),
        "{text}"
    );
    assert_eq!(labels.len(), 2 * BUTTONS + 1);
    assert_eq!(
        (&labels[0][..], &labels[10][..]),
        ("Run next #1", "Run all")
    );
    assert!(
        4 * lists < reads,
        "{lists:?}, and all are read within {reads:?}"
    );
}

/// The run that has what is given.
pub(in crate::gateway) fn run() -> RunId {
    RunId::parse("abcdefghijklmnop").unwrap()
}

/// The session of that run.
pub(in crate::gateway) const SESSION: Uuid = Uuid::from_u128(99);

/// The agent is given a turn: alone, or beside another.
pub(in crate::gateway) fn give(
    tx: &Tx<'_>,
    turn: TurnId,
    beside: bool,
    at: Millis,
) -> Result<(), StoreError> {
    let row = tx.turn(turn)?.unwrap();
    let run = run();
    if tx.run(&run)?.is_none() {
        let new = RunRow {
            id: run.clone(),
            conversation: row.conversation,
            session_id: SESSION,
            who: 1,
            command: String::new(),
            status: RunStatus::Running,
            offset: 0,
            started_at: NOW,
            ended_at: None,
            exit: None,
        };
        tx.run_add(&new)?;
    }
    let uuid = row.uuid.unwrap();
    let machine = if beside {
        Turn::beside(uuid)
    } else {
        Turn::new(Some(uuid))
    };
    let json = serde_json::to_string(&machine).unwrap();
    tx.turn_submitted(turn, &run, uuid, &json, at)
}

/// Numbers of the turns that wait, in their order.
fn line(tx: &Tx<'_>, conversation: ConversationId) -> Result<Vec<i64>, StoreError> {
    let open = tx.turns_open(conversation)?.into_iter();
    Ok(open.filter(waits).map(|turn| turn.id.0).collect())
}

#[tokio::test]
async fn newer_messages_over_one_answer_run_in_the_order_in_which_they_came() {
    let place = place(Busy::Interrupt);
    let (came, moved, back) = place
        .tx(|tx, queue, conversation| {
            let queued = |n| turn(tx, conversation, n, TurnState::Queued);
            let arrives = |n| {
                let new = queued(n)?;
                queue.arrives(tx, conversation, new, NOW)?;
                Ok::<_, StoreError>(new)
            };
            give(tx, queued(1)?, false, NOW)?;
            let given = queued(2)?;
            give(tx, given, true, NOW)?;
            queued(3)?;
            for n in 4..=6 {
                arrives(n)?;
            }
            let came = line(tx, conversation)?;
            // What its person moves before them stays there.
            queue.next(tx, &tx.turn(TurnId(3))?.unwrap(), NOW)?;
            arrives(7)?;
            let moved = line(tx, conversation)?;
            // What was given into the answer that they end comes after them.
            let given = tx.turn(given)?.unwrap();
            queue.comes_back(tx, &given, Uuid::from_u128(77), false, NOW)?;
            Ok((came, moved, line(tx, conversation)?))
        })
        .await;
    assert_eq!(came, [4, 5, 6, 3]);
    assert_eq!(moved, [3, 4, 5, 6, 7]);
    assert_eq!(back, [3, 4, 5, 6, 7, 2]);
}

/// Where it had been moved far ahead, those that ended its answer have places behind it.
#[tokio::test]
async fn what_comes_back_is_behind_all_that_ended_its_answer() {
    let place = place(Busy::Interrupt);
    let back = place
        .tx(|tx, queue, conversation| {
            let queued = |n| turn(tx, conversation, n, TurnState::Queued);
            let row = |turn| Ok::<_, StoreError>(tx.turn(turn)?.unwrap());
            give(tx, queued(1)?, false, NOW)?;
            queued(2)?;
            let (given, dropped) = (queued(3)?, queued(4)?);
            for _ in 0..5 {
                queue.next(tx, &row(dropped)?, NOW)?;
                queue.next(tx, &row(given)?, NOW)?;
            }
            give(tx, given, true, NOW)?;
            queue.drop(tx, &row(dropped)?, NOW)?;
            for n in 5..=7 {
                queue.arrives(tx, conversation, queued(n)?, NOW)?;
            }
            queue.comes_back(tx, &row(given)?, Uuid::from_u128(77), false, NOW)?;
            line(tx, conversation)
        })
        .await;
    assert_eq!(back, [5, 6, 7, 3, 2]);
}

/// What the message of a turn says.
pub(in crate::gateway) fn says(tx: &Tx<'_>, turn: TurnId) -> Result<String, StoreError> {
    let row = tx.out_slot(Slot::first(turn))?.unwrap();
    match row.wanted {
        Wanted::Show(shown) => Ok(shown.body.text),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_more_than_one_answer_takes_waits_in_line() {
    let place = place(Busy::Steer);
    let (told, recorded) = place
        .tx(|tx, queue, conversation| {
            let queued = |n| turn(tx, conversation, n, TurnState::Queued);
            give(tx, queued(1)?, false, NOW)?;
            // Some are given already, the others are about to be.
            for n in 2..=5 {
                give(tx, queued(n)?, true, NOW)?;
            }
            let mut told = Vec::new();
            for n in 6..=30 {
                let new = queued(n)?;
                queue.arrives(tx, conversation, new, NOW)?;
                told.push(says(tx, new)?);
            }
            Ok((told, newer::all(tx, conversation)?.len()))
        })
        .await;
    assert_eq!(recorded, 12);
    let given = told
        .iter()
        .filter(|text| *text == said::GOES_TO_AGENT.as_str());
    assert_eq!(given.count(), 12);
    assert!(
        told[11..]
            .iter()
            .skip(1)
            .all(|text| text.starts_with("In line")),
        "{told:#?}"
    );
}

/// Whatever a person moved, and however the clock was set.
#[tokio::test]
async fn the_turn_that_runs_is_the_one_that_was_given_alone() {
    let place = place(Busy::Steer);
    let running = place
        .tx(|tx, queue, conversation| {
            let queued = |n| turn(tx, conversation, n, TurnState::Queued);
            let running = || {
                let open = tx.turns_open(conversation)?;
                Ok::<_, StoreError>(newer::running(&open).map(|turn| turn.id.0))
            };
            let mut seen = vec![running()?];
            let (one, two, three) = (queued(1)?, queued(2)?, queued(3)?);
            give(tx, one, false, NOW)?;
            seen.push(running()?);
            queue.next(tx, &tx.turn(three)?.unwrap(), NOW)?;
            give(tx, three, true, NOW - 3_600_000)?;
            give(tx, two, true, NOW - 3_500_000)?;
            seen.push(running()?);
            // It is over: the first of the others is, also before it is recorded that it goes alone.
            let end = TurnEnd {
                state: TurnState::Completed,
                machine: None,
                cost_usd: None,
                duration_ms: None,
            };
            tx.turn_ended(one, &end, NOW)?;
            seen.push(running()?);
            let mut machine = Turn::beside(Uuid::from_u128(3));
            machine.goes_alone();
            tx.turn_machine(three, &serde_json::to_string(&machine).unwrap())?;
            seen.push(running()?);
            Ok(seen)
        })
        .await;
    assert_eq!(running, [None, Some(1), Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn what_goes_back_takes_what_was_said_of_its_limits_with_it() {
    let place = place(Busy::Steer);
    let left = place
        .tx(|tx, queue, conversation| {
            let mut left = Vec::new();
            for n in 1..=3 {
                let given = turn(tx, conversation, n, TurnState::Queued)?;
                give(tx, given, false, NOW)?;
                let near = show::note("the end is near", Vec::new(), None);
                let slot = Slot::limit(given, Limit::FirstOutput);
                tx.out_show(queue.target(), Some(slot), Urgency::Message, &near, NOW)?;
                let row = tx.turn(given)?.unwrap();
                let fresh = Uuid::from_u128(70 + n);
                match n {
                    1 => queue.comes_back(tx, &row, fresh, false, NOW)?,
                    2 => queue.comes_back(tx, &row, fresh, true, NOW)?,
                    _ => queue.asks_again(tx, &row, fresh, NOW)?,
                }
                left.push(has_message(tx, slot)?);
            }
            Ok(left)
        })
        .await;
    assert_eq!(left, [false; 3]);
}
