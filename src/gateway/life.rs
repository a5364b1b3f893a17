//! Tells people, once, that an earlier life of the daemon ended badly.
//!
//! The record of this life and the notices about the one before are one transaction: killed before it, the next start
//! finds the same end and tells of it; killed after it, the notices are in the outbox. How rarely somebody is told, and
//! how an end is judged, stands in [`crate::core::life`].

use std::collections::BTreeMap;

use tracing::warn;

use super::show;
use crate::{
    core::{
        Millis,
        life::{Before, Life},
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

/// Begins this life: records it and puts the notices about the end of the one before into the outbox. To be called
/// once, early; before [`end`]. `boot` names this start of the machine, where that can be known.
///
/// # Errors
/// The store's.
pub async fn begin(
    store: &Store,
    access: &Access,
    boot: Option<String>,
    now: Millis,
) -> Result<Before, StoreError> {
    let access = access.clone();
    let (before, told, life) = store
        .tx(move |tx| enter(tx, &access, boot.as_deref(), now))
        .await?;
    store.tally().lives(life.starts, life.crashes);
    match before {
        Before::InOrder => {}
        Before::Crashed => warn!(
            event = messages::CRASH_NOTICED,
            told, "telexd ended unexpectedly before this start"
        ),
        Before::MachineLost => warn!(
            event = messages::CRASH_NOTICED,
            told, "the machine went down without a shutdown before this start"
        ),
    }
    Ok(before)
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
    boot: Option<&str>,
    now: Millis,
) -> Result<(Before, usize, Life), StoreError> {
    let last = read(tx)?;
    let before = Life::end_of(last.as_ref(), boot);
    let mut life = Life::begin(last.as_ref(), boot, now);
    let mut told = 0;
    if before != Before::InOrder {
        for (person, (target, waits)) in concerned(tx, access, before)? {
            if !life.tell(person, now) {
                continue;
            }
            let admin = access.role_of_id(person) == Role::Admin;
            let text = words::came_back(before == Before::MachineLost, waits, admin);
            let shown = show::note(text, Vec::new(), None);
            tx.out_show(target, None, Urgency::Message, &shown, now)?;
            told += 1;
        }
    }
    write(tx, &life, now)?;
    Ok((before, told, life))
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
    for admin in access.admins() {
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
            let access = Access::new([1], [2, 3]);
            begin(&self.store, &access, Some(boot.to_owned()), now)
                .await
                .unwrap()
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
                        let rows = tx.out_due(START + 100 * MINUTE, 100)?;
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

        // Again and again: once in ten minutes.
        for n in 2..11 {
            assert_eq!(place.begin("a", START + n * MINUTE).await, Before::Crashed);
            assert_eq!(place.told().await, []);
        }
        place.begin("a", START + 11 * MINUTE).await;
        assert_eq!(place.told().await.len(), 2);

        // In order.
        end(&place.store, START + 30 * MINUTE).await.unwrap();
        assert_eq!(place.begin("a", START + 31 * MINUTE).await, Before::InOrder);
        assert_eq!(place.told().await, []);
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
