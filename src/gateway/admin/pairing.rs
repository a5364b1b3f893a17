//! People who ask to be let in: what administrators decide about them, and how those who were let in are removed.
//!
//! Who was let in stands in a table; what of it the way of a message must know is published with the settings
//! ([`Tunables::let_in`](crate::gateway::ports::Tunables::let_in)) after the commit, in the order of the commits.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Act, Admin, AdminError, Deed, Outcome};
use crate::{
    core::{
        Millis,
        ids::{ConversationId, RunId},
        pairing::{Answer, Code, KEPT, Request},
        policy::{Access, Role},
        text::{Formatted, Shown, one_line},
        words::pairing as said,
    },
    gateway::{
        Deps,
        lane::{self, Ack},
        show,
    },
    store::{
        StoreError, Tx,
        rows::{PairingRow, Target, Urgency},
    },
};

/// Somebody who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingInfo {
    /// The code by which they are named.
    pub code: Code,
    /// Telegram user id.
    pub person: i64,
    /// Name that the chat showed, on one line; may be empty.
    pub name: String,
    /// When the code was given.
    pub asked_at: Millis,
    /// Until when it is good.
    pub expires_at: Millis,
}

/// Those who were let in beside the lists.
///
/// # Errors
/// The database's.
pub fn let_in(tx: &Tx<'_>) -> Result<BTreeSet<i64>, StoreError> {
    Ok(tx.paired()?.into_iter().map(|row| row.person).collect())
}

/// Forgets requests that are long over, and tells administrators of codes that are not good any more.
pub(in crate::gateway) fn tidy(tx: &Tx<'_>, now: Millis) -> Result<(), StoreError> {
    for mut row in tx.pairings()? {
        // A clock that was set back keeps nothing for longer than ever was meant.
        if row.kept_until <= now || row.kept_until > now.saturating_add(2 * KEPT) {
            close(tx, &mut row, &Formatted::plain(said::EXPIRED.as_str()), now)?;
            tx.pairing_forget(row.person)?;
        } else if row.request.answer.is_none()
            && !row.request.is_open(now)
            && !row.notices.is_empty()
        {
            close(tx, &mut row, &Formatted::plain(said::EXPIRED.as_str()), now)?;
            tx.pairing_put(&row)?;
        }
    }
    Ok(())
}

/// The news of a request lose their buttons and say what came of it.
fn close(
    tx: &Tx<'_>,
    row: &mut PairingRow,
    text: &Formatted,
    now: Millis,
) -> Result<(), StoreError> {
    for notice in std::mem::take(&mut row.notices) {
        // Rows that were sent long ago are cleared away.
        if tx.out_row(notice)?.is_some() {
            let shown = Shown {
                body: text.clone(),
                ..Shown::default()
            };
            tx.out_again(notice, &shown, now)?;
        }
    }
    Ok(())
}

/// What is to be published after the commit.
struct Publish {
    revision: u64,
    people: BTreeSet<i64>,
}

fn publish(tx: &Tx<'_>, deps: &Deps) -> Result<Publish, StoreError> {
    Ok(Publish {
        // On the thread of the store: in the order of the transactions.
        revision: deps.tunables.revision(),
        people: let_in(tx)?,
    })
}

impl Admin {
    /// Who asks to be let in, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn pairings(&self) -> Result<Vec<PairingInfo>, AdminError> {
        let now = self.deps.clock.now();
        let rows = self.deps.store.tx(|tx| tx.pairings()).await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.request.is_open(now))
            .map(|row| PairingInfo {
                code: row.request.code,
                person: row.person,
                name: row.name,
                asked_at: row.asked_at,
                expires_at: row.request.expires_at,
            })
            .collect())
    }

    /// Lets the person in to whom this code was given. From then on they are a user, over restarts, until they are
    /// removed. They are told.
    ///
    /// # Errors
    /// No such code, or one that is not good any more; rejected already; nobody may ask at present; the store's.
    pub async fn accept(&self, by: impl Into<Ack>, code: &str) -> Result<Outcome, AdminError> {
        self.answer_pairing(by.into(), code, Answer::Accepted).await
    }

    /// Does not let that person in. They are told, and given no other code for a day.
    ///
    /// # Errors
    /// As for [`Admin::accept`]; accepted already.
    pub async fn reject(&self, by: impl Into<Ack>, code: &str) -> Result<Outcome, AdminError> {
        self.answer_pairing(by.into(), code, Answer::Rejected).await
    }

    async fn answer_pairing(
        &self,
        ack: Ack,
        code: &str,
        answer: Answer,
    ) -> Result<Outcome, AdminError> {
        let action = match answer {
            Answer::Accepted => "pairing-accept",
            Answer::Rejected => "pairing-reject",
        };
        let by = self.name_of(&ack.who).await?;
        let (code, who) = (Code::parse(code), ack.who.to_string());
        let (deps, on) = (
            std::sync::Arc::clone(&self.deps),
            self.deps.config.get().pairing,
        );
        let (outcome, publish) = self
            .act(&ack, action, move |tx, now| {
                let refused = |why| {
                    Ok(Act {
                        on: String::new(),
                        done: Err(why),
                    })
                };
                let Some(code) = code else {
                    return refused(AdminError::NotACode);
                };
                let Some(row) = tx.pairing(&code)? else {
                    return refused(AdminError::NoSuchPairing(code));
                };
                let target = format!("person {}", row.person);
                let done = match row.request.answer {
                    Some(before) if before == answer => Ok(same(row, answer)),
                    Some(_) => Err(AdminError::PairingAnswered(code)),
                    None if !row.request.is_open(now) => Err(AdminError::NoSuchPairing(code)),
                    None if !on => Err(AdminError::PairingOff),
                    None => Ok(decide(tx, &deps, row, answer, (&who, &by), now)?),
                };
                Ok(Act { on: target, done })
            })
            .await?;
        self.publish(publish);
        Ok(outcome)
    }

    /// Somebody who was let in is not any more, at once: what they have in line is not run, and their agents end. Who is
    /// listed in the settings as well stays what those say.
    ///
    /// # Errors
    /// Nobody known has this id; they are listed in the settings and nowhere else; the store's.
    pub async fn remove_person(
        &self,
        by: impl Into<Ack>,
        person: i64,
    ) -> Result<Outcome, AdminError> {
        let ack = by.into();
        let (deps, who) = (std::sync::Arc::clone(&self.deps), ack.who.to_string());
        let removed = self
            .act(&ack, "remove-person", move |tx, now| {
                Ok(Act {
                    on: format!("person {person}"),
                    done: remove(tx, &deps, person, &who, now)?,
                })
            })
            .await?;
        self.publish(removed.publish);
        for conversation in removed.waiting {
            self.lanes.wake(conversation);
        }
        self.end(&ack, removed.ending).await;
        Ok(removed.outcome)
    }

    fn publish(&self, publish: Option<Publish>) {
        if let Some(Publish { revision, people }) = publish {
            self.deps.tunables.let_in(revision, people);
        }
    }
}

/// A code that nobody has.
pub(in crate::gateway) fn free_code(tx: &Tx<'_>, chance: Uuid) -> Result<Code, StoreError> {
    let mut n = chance.as_u128();
    loop {
        let code = Code::of(n);
        // Few codes are remembered, so this comes to an end.
        if tx.pairing(&code)?.is_none() {
            return Ok(code);
        }
        n = n.wrapping_add(1);
    }
}

type Decided = (Outcome, Option<Publish>);

/// It was decided so before.
fn same(row: PairingRow, answer: Answer) -> Deed<Decided> {
    let text = match answer {
        Answer::Accepted => said::accepted_already(&row.name, row.person),
        Answer::Rejected => said::rejected_already(&row.name, row.person),
    };
    Deed::new((Outcome::NoChange, None), Outcome::NoChange, text)
}

/// `by`: for the record, and for people.
fn decide(
    tx: &Tx<'_>,
    deps: &Deps,
    mut row: PairingRow,
    answer: Answer,
    by: (&str, &str),
    now: Millis,
) -> Result<Deed<Decided>, StoreError> {
    let accepted = answer == Answer::Accepted;
    let (told, text) = if accepted {
        tx.paired_add(row.person, by.0, now)?;
        // From now on they are somebody whom lists show by name.
        tx.person_seen(row.person, &row.name, now)?;
        (
            said::WELCOME.as_str(),
            said::accepted(&row.name, row.person),
        )
    } else {
        (
            said::NOT_LET_IN.as_str(),
            said::rejected(&row.name, row.person),
        )
    };
    let text_of_news = said::decided(&row.name, row.person, accepted, by.1);
    close(tx, &mut row, &text_of_news, now)?;
    row.request.answer = Some(answer);
    row.kept_until = now.saturating_add(KEPT);
    tx.pairing_put(&row)?;
    // The private chat with a person has the person's id.
    let target = Target {
        chat_id: row.person,
        thread_id: 0,
    };
    let told = show::note(told, Vec::new(), None);
    tx.out_show(target, None, Urgency::Message, &told, now)?;
    let publish = accepted.then(|| publish(tx, deps)).transpose()?;
    Ok(Deed::new((Outcome::Done, publish), Outcome::Done, text))
}

/// What follows from a removal.
struct Removed {
    outcome: Outcome,
    publish: Option<Publish>,
    waiting: Vec<ConversationId>,
    ending: Vec<(ConversationId, RunId)>,
}

fn remove(
    tx: &Tx<'_>,
    deps: &Deps,
    person: i64,
    by: &str,
    now: Millis,
) -> Result<Result<Deed<Removed>, AdminError>, StoreError> {
    let access = deps.config.get().access.clone();
    let listed = listed(access, person);
    let name = tx.person_name(person)?;
    let mut removed = Removed {
        outcome: Outcome::Done,
        publish: None,
        waiting: Vec::new(),
        ending: Vec::new(),
    };
    if !tx.paired_remove(person)? {
        if listed {
            return Ok(Err(AdminError::ListedPerson(person)));
        }
        if name.is_none() {
            return Ok(Err(AdminError::NoSuchPerson(person)));
        }
        removed.outcome = Outcome::NoChange;
        let text = said::removed_already(name.as_deref(), person);
        return Ok(Ok(Deed::new(removed, Outcome::NoChange, text)));
    }
    removed.publish = Some(publish(tx, deps)?);
    if !listed {
        keep_away(tx, deps, person, name.as_deref().unwrap_or(""), now)?;
        for run in tx.runs_live()? {
            if run.who == person {
                lane::order_kill(tx, &run.id, by, now)?;
                removed.ending.push((run.conversation, run.id));
            }
        }
        removed.waiting = tx
            .conversations_with_work()?
            .into_iter()
            .filter(|conversation| conversation.key.user_id == person)
            .map(|conversation| conversation.id)
            .collect();
    }
    let text = said::removed(name.as_deref(), person, listed, removed.ending.len());
    Ok(Ok(Deed::new(removed, Outcome::Done, text)))
}

/// Whoever was removed is not back with a new code at once.
fn keep_away(
    tx: &Tx<'_>,
    deps: &Deps,
    person: i64,
    name: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let code = match tx.pairing_of(person)? {
        Some(row) => row.request.code,
        None => free_code(tx, deps.dice.uuid())?,
    };
    tx.pairing_put(&PairingRow {
        person,
        name: one_line(name, said::NAME),
        asked_at: now,
        request: Request {
            code,
            expires_at: now,
            codes: 0,
            ahead: now,
            answer: Some(Answer::Rejected),
        },
        notices: Vec::new(),
        kept_until: now.saturating_add(KEPT),
    })
}

/// Whether the lists of the settings alone let somebody in.
fn listed(access: Access, person: i64) -> bool {
    access.with_paired(BTreeSet::new()).role_of_id(person) != Role::Nobody
}
