//! Tells people, once, that an earlier life of the daemon ended badly: those who wait for an answer, where they wait, and
//! administrators as of whatever else is not well ([`super::alerts`]).
//!
//! The record of this life and the notices about the one before are one transaction: killed before it, the next start
//! finds the same end and tells of it; killed after it, the notices are in the outbox. How rarely somebody is told, and
//! how an end is judged, stands in [`crate::core::life`].

use std::collections::{BTreeMap, BTreeSet};

use tracing::warn;

use super::{
    alerts::{self, Alerting},
    show,
};
use crate::{
    core::{
        Millis,
        alerts::{Alert, Figures, Seen, Step, Watch, step},
        life::{Before, LOOP, Life, Starved},
        messages,
        policy::{Access, Role},
        words,
    },
    store::{
        Store, StoreError, Tx,
        rows::{Target, Urgency},
    },
};

/// Setting that holds the record of a life.
const KEY: &str = "life";

/// What is known of a start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Names this start of the machine, where that can be known.
    pub boot: Option<String>,
    /// What a life left that the watchdog was about to end, if one did.
    pub starved: Option<Starved>,
    /// Now.
    pub now: Millis,
}

/// A life that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// How the one before ended.
    pub before: Before,
    /// Its number, from 1.
    pub number: u64,
}

/// Begins this life: records it and puts the notices about the end of the one before into the outbox. To be called
/// once, early; before [`end`].
///
/// # Errors
/// The store's.
pub async fn begin(
    store: &Store,
    access: &Access,
    alerting: &Alerting,
    start: Start,
) -> Result<Begun, StoreError> {
    let (access, alerting) = (access.clone(), alerting.clone());
    let starved = start.starved.clone();
    let (before, told, life) = store
        .tx(move |tx| enter(tx, &access, &alerting, &start))
        .await?;
    store.tally().lives(life.starts, life.crashes);
    match before {
        Before::InOrder => {}
        Before::Crashed => warn!(
            event = messages::CRASH_NOTICED,
            told,
            about = starved.map(|mark| mark.about),
            "telexd ended unexpectedly before this start"
        ),
        Before::MachineLost => warn!(
            event = messages::CRASH_NOTICED,
            told, "the machine went down without a shutdown before this start"
        ),
    }
    Ok(Begun {
        before,
        number: life.starts,
    })
}

/// This life ends by order, or by its own decision: nobody needs to be told at the next start.
///
/// # Errors
/// The store's.
pub async fn end(store: &Store, now: Millis) -> Result<(), StoreError> {
    store
        .tx(move |tx| {
            let mut life = read(tx)?.unwrap_or_default();
            life.ended = true;
            write(tx, &life, now)
        })
        .await
}

fn enter(
    tx: &Tx<'_>,
    access: &Access,
    alerting: &Alerting,
    start: &Start,
) -> Result<(Before, usize, Life), StoreError> {
    let now = start.now;
    let last = read(tx)?;
    let boot = start.boot.as_deref();
    let before = Life::end_of(last.as_ref(), boot);
    let mut life = Life::begin(last.as_ref(), boot, now);
    let mut told = BTreeSet::new();
    if before != Before::InOrder {
        for (person, (target, waits)) in concerned(tx, access, before)? {
            if !life.tell(person, now) {
                continue;
            }
            let admin = access.role_of_id(person) == Role::Admin;
            let text = words::came_back(before == Before::MachineLost, waits, admin);
            let shown = show::note(text, Vec::new(), None);
            tx.out_show(target, None, Urgency::Message, &shown, now)?;
            told.insert(person);
        }
    }
    let mut count = told.len();
    if before == Before::Crashed {
        let starved = start.starved.as_ref();
        let starved = starved.filter(|mark| Life::was_starved(last.as_ref(), mark));
        let step = crashed(tx, access, alerting, &life, starved, told, now)?;
        count += step.tell.len();
    }
    write(tx, &life, now)?;
    Ok((before, count, life))
}

/// Tells the administrators of a crash, but those who were told just now because they wait for an answer.
fn crashed(
    tx: &Tx<'_>,
    access: &Access,
    alerting: &Alerting,
    life: &Life,
    starved: Option<&Starved>,
    told: BTreeSet<i64>,
    now: Millis,
) -> Result<Step, StoreError> {
    let crashes = life.crashed_lately();
    let about = starved.map(|mark| mark.about.clone());
    let seen = |alert, value| Seen {
        alert,
        bad: Some(true),
        evidence: 0,
        figures: Figures {
            value,
            limit: None,
            about: about.clone(),
        },
    };
    let mut all = vec![match starved {
        Some(_) => seen(Alert::Watchdog, None),
        None => seen(Alert::Crash, None),
    }];
    if crashes >= LOOP {
        let crashes = u32::try_from(crashes).unwrap_or(u32::MAX);
        all.push(seen(Alert::CrashLoop, Some(f64::from(crashes))));
    }
    let mut rule = alerting.rule(access);
    rule.know = told;
    let before = alerts::read(tx)?;
    // What began with an earlier life is suspected anew.
    let moment = alerting.moment(now, 0);
    let step = step(&before, &mut Watch::default(), moment, &all, &rule);
    alerts::write(tx, &step, alerting, moment.at, now)?;
    Ok(step)
}

/// Who is to be told, where, and whether they wait for an answer. One place for each person: that of the oldest turn
/// that they wait for, else the private chat.
fn concerned(
    tx: &Tx<'_>,
    access: &Access,
    before: Before,
) -> Result<BTreeMap<i64, (Target, bool)>, StoreError> {
    let mut people = BTreeMap::new();
    // Where the agents went down with the machine, each of their conversations is told for itself what becomes of its
    // turn.
    if before == Before::Crashed {
        for key in tx.turns_in_flight()? {
            let target = Target {
                chat_id: key.chat_id,
                thread_id: key.thread_id,
            };
            if access.role_of_id(key.user_id) != Role::Nobody {
                people.entry(key.user_id).or_insert((target, true));
            }
        }
    }
    // Of a crash they are told as of whatever else is not well.
    let admins = (before == Before::MachineLost).then(|| access.admins());
    for admin in admins.into_iter().flatten() {
        // The private chat with a person has the person's id.
        let target = Target {
            chat_id: admin,
            thread_id: 0,
        };
        if access.role_of_id(admin) == Role::Admin {
            people.entry(admin).or_insert((target, false));
        }
    }
    Ok(people)
}

fn read(tx: &Tx<'_>) -> Result<Option<Life>, StoreError> {
    Ok(tx.setting(KEY)?.and_then(|json| {
        serde_json::from_str(&json)
            .inspect_err(|cause| warn!(%cause, "the record of the life before is not readable"))
            .ok()
    }))
}

fn write(tx: &Tx<'_>, life: &Life, now: Millis) -> Result<(), StoreError> {
    let json = serde_json::to_string(life)
        .map_err(|cause| StoreError::Other(format!("the record of this life: {cause}")))?;
    tx.setting_set(KEY, &json, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{ids::ConversationKey, policy::Access},
        store::rows::{NewTurn, OutRow, TurnState, Wanted},
    };

    const START: Millis = 1_700_000_000_000;
    const MINUTE: Millis = 60_000;

    struct Place {
        _dir: tempfile::TempDir,
        store: Store,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let (store, _thread) = Store::open(dir.path()).unwrap();
        Place { _dir: dir, store }
    }

    impl Place {
        async fn begin(&self, boot: &str, now: Millis) -> Before {
            self.begin_with(boot, now, &Alerting::default(), None).await
        }

        async fn begin_with(
            &self,
            boot: &str,
            now: Millis,
            alerting: &Alerting,
            starved: Option<Starved>,
        ) -> Before {
            let access = Access::new([1], [2, 3]);
            let start = Start {
                boot: Some(boot.to_owned()),
                starved,
                now,
            };
            let begun = begin(&self.store, &access, alerting, start).await;
            begun.unwrap().before
        }

        async fn turn(&self, chat_id: i64, user_id: i64, state: TurnState) {
            let key = ConversationKey {
                bot_id: 7,
                chat_id,
                thread_id: 0,
                user_id,
            };
            let new = move |tx: &Tx<'_>| {
                let conversation = tx.conversation_open(&key, START)?.id;
                tx.turn_add(
                    &NewTurn {
                        conversation,
                        uuid: None,
                        state,
                        parts: Vec::new(),
                        run: None,
                    },
                    START,
                )
            };
            self.store.tx(new).await.unwrap();
        }

        /// Takes what is due: chat and text.
        async fn told(&self) -> Vec<(i64, String)> {
            let mut told = Vec::new();
            loop {
                let rows: Vec<OutRow> = self
                    .store
                    .tx(|tx| {
                        let due = tx.out_due(START + 100 * MINUTE, 100)?;
                        let rows: Vec<_> = due
                            .iter()
                            .filter_map(|row| tx.out_row(row.id).transpose())
                            .collect::<Result<_, _>>()?;
                        for row in &rows {
                            tx.out_sending(row.id, START)?;
                            tx.out_sent(row.id, row.revision, Some(row.id.0), START)?;
                        }
                        Ok(rows)
                    })
                    .await
                    .unwrap();
                if rows.is_empty() {
                    told.sort();
                    return told;
                }
                for row in rows {
                    let Wanted::Show(shown) = row.wanted else {
                        panic!("{row:?}");
                    };
                    told.push((row.target.chat_id, shown.body.text));
                }
            }
        }
    }

    #[tokio::test]
    async fn a_crash_is_told_once_to_admins_and_to_those_who_wait() {
        let place = place();
        assert_eq!(place.begin("a", START).await, Before::InOrder);
        assert_eq!(place.told().await, []);
        place.turn(-100, 2, TurnState::Submitted).await;
        place.turn(2, 2, TurnState::Queued).await;
        place.turn(3, 3, TurnState::Held).await;
        // A stranger now, whatever they were.
        place.turn(4, 4, TurnState::Submitted).await;

        assert_eq!(place.begin("a", START + MINUTE).await, Before::Crashed);
        let told = place.told().await;
        let chats: Vec<i64> = told.iter().map(|(chat, _)| *chat).collect();
        assert_eq!(chats, [-100, 1], "{told:?}");
        assert!(told[0].1.contains("goes on"), "{told:?}");
        assert!(told[1].1.contains("journalctl"), "{told:?}");

        // Again and again: who waits is told once in ten minutes, administrators once that it does not end.
        for n in 2..11 {
            assert_eq!(place.begin("a", START + n * MINUTE).await, Before::Crashed);
            let told = place.told().await;
            if n == 3 {
                assert_eq!(told.len(), 1, "{told:?}");
                assert!(
                    told[0].0 == 1 && told[0].1.contains("3 crashes"),
                    "{told:?}"
                );
            } else {
                assert_eq!(told, [], "{n}");
            }
        }
        place.begin("a", START + 11 * MINUTE).await;
        let told = place.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, -100);

        // In order.
        end(&place.store, START + 30 * MINUTE).await.unwrap();
        assert_eq!(place.begin("a", START + 31 * MINUTE).await, Before::InOrder);
        assert_eq!(place.told().await, []);
    }

    #[tokio::test]
    async fn an_administrator_who_waits_is_told_once() {
        let place = place();
        place.begin("a", START).await;
        place.turn(1, 1, TurnState::Submitted).await;
        place.begin("a", START + MINUTE).await;
        let told = place.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].1.contains("Your work goes on"), "{told:?}");
        // And nobody else is left to be told.
        let state = place.store.tx(alerts::read).await.unwrap();
        assert_eq!(state.open[&Alert::Crash].told, Some(BTreeSet::new()));
    }

    #[tokio::test]
    async fn what_the_watchdog_ended_is_told_as_such() {
        let mark = |life| {
            Some(Starved {
                life,
                about: "the database has not answered for 31.0 s".to_owned(),
            })
        };
        let usual = Alerting::default();
        let place = place();
        place.begin("a", START).await;
        place.begin_with("a", START + MINUTE, &usual, mark(1)).await;
        let told = place.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].1.contains("stood still: the database has not"),
            "{told:?}"
        );
        // A mark that was left over says nothing of the life after.
        place
            .begin_with("a", START + 2 * MINUTE, &usual, mark(1))
            .await;
        let told = place.told().await;
        assert!(told[0].1.contains("after a crash"), "{told:?}");
    }

    #[tokio::test]
    async fn at_night_and_where_it_is_off_administrators_are_not_told_but_those_who_wait_are() {
        let place = place();
        place.begin("a", START).await;
        place.turn(2, 2, TurnState::Submitted).await;
        let night = Alerting {
            quiet: crate::core::alerts::Quiet::parse("00:00-23:59"),
            ..Alerting::default()
        };
        place.begin_with("a", START + MINUTE, &night, None).await;
        let told = place.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, 2);
        let state = place.store.tx(alerts::read).await.unwrap();
        assert_eq!(
            state.open[&Alert::Crash].told,
            None,
            "it is told in the morning"
        );
        let off = Alerting {
            off: [Alert::Crash].into(),
            ..Alerting::default()
        };
        place.begin_with("a", START + 20 * MINUTE, &off, None).await;
        assert_eq!(place.told().await.len(), 1);
        let state = place.store.tx(alerts::read).await.unwrap();
        assert!(state.open.is_empty());
    }

    #[tokio::test]
    async fn a_machine_that_went_down_is_told_to_admins_alone() {
        let place = place();
        place.begin("a", START).await;
        place.turn(2, 2, TurnState::Submitted).await;
        assert_eq!(place.begin("b", START + MINUTE).await, Before::MachineLost);
        let told = place.told().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, 1);
        assert!(told[0].1.contains("without a shutdown"), "{told:?}");
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_harms_nobody() {
        let place = place();
        place
            .store
            .tx(|tx| tx.setting_set(KEY, "{\"told\":7}", START))
            .await
            .unwrap();
        assert_eq!(place.begin("a", START).await, Before::InOrder);
        assert_eq!(place.begin("a", START).await, Before::Crashed);
    }
}
