//! Somebody who is not known writes in a private chat, while strangers may ask to be let in. Nothing of what they write
//! is looked at.

use std::collections::BTreeSet;

use tracing::info;
use uuid::Uuid;

use super::Desk;
use crate::{
    core::{
        Millis,
        ids::InboxId,
        inbound::{ChatKind, Message, Person},
        messages,
        pairing::{GOOD_FOR, KEPT, Request, Step, step},
        policy::{NOT_PEOPLE, Role},
        text::{Shown, one_line},
        words::{self, pairing as said},
    },
    gateway::admin,
    store::{
        StoreError, Tx,
        rows::{PairingRow, Target, Urgency, Verdict},
    },
};

/// Scope of the pace of new codes.
const SCOPE: &str = "pairing";

/// What became of the message.
pub(super) enum Stranger {
    /// Its update is done.
    Done,
    /// Its author was let in a moment ago: it is to be looked at as theirs.
    LetIn,
}

/// Somebody who may ask: a person who writes in their own private chat.
pub(super) fn may_ask(message: &Message) -> Option<&Person> {
    message.from.as_ref().filter(|person| {
        message.place.kind == ChatKind::Private
            && !message.edited
            && !person.is_bot
            && person.id > 0
            && person.id == message.place.chat_id
            && !NOT_PEOPLE.contains(&person.id)
    })
}

impl Desk<'_> {
    pub(super) async fn stranger(&self, person: &Person) -> Result<Stranger, StoreError> {
        let config = self.deps.config.get();
        let access = &config.access;
        let asking = Asking {
            person: person.id,
            name: one_line(person.name.trim(), said::NAME),
            admins: access
                .admins()
                .filter(|id| access.role_of_id(*id) == Role::Admin)
                .collect(),
            chance: self.deps.dice.uuid(),
            inbox: self.id,
            now: self.deps.clock.now(),
        };
        let tunables = std::sync::Arc::clone(&self.deps.tunables);
        let came_of = self
            .deps
            .store
            .tx(move |tx| {
                let let_in = admin::let_in(tx)?;
                if let_in.contains(&asking.person) {
                    return Ok(CameOf::LetIn(tunables.revision(), let_in));
                }
                asking.enter(tx)
            })
            .await?;
        fail::fail_point!("pairing-committed");
        match came_of {
            CameOf::LetIn(revision, people) => {
                self.deps.tunables.let_in(revision, people);
                return Ok(Stranger::LetIn);
            }
            CameOf::Asked(true) => info!(
                event = messages::PAIRING_REQUESTED,
                person = person.id,
                "somebody asks to be let in; telexctl pair lists who does"
            ),
            CameOf::Asked(false) => info!(
                event = messages::STRANGER_REFUSED,
                update = self.id.0,
                person = person.id,
                "refused: not a known person"
            ),
        }
        Ok(Stranger::Done)
    }
}

enum CameOf {
    LetIn(u64, BTreeSet<i64>),
    /// Whether there is a new code.
    Asked(bool),
}

/// A message of a stranger.
struct Asking {
    person: i64,
    name: String,
    admins: Vec<i64>,
    chance: Uuid,
    inbox: InboxId,
    now: Millis,
}

impl Asking {
    /// Remembers it, answers it, tells the administrators, as far as there is room; and marks its update.
    fn enter(self, tx: &Tx<'_>) -> Result<CameOf, StoreError> {
        let now = self.now;
        admin::tidy(tx, now)?;
        let there = tx.pairing_of(self.person)?;
        let open = tx
            .pairings()?
            .iter()
            .filter(|row| row.person != self.person && row.request.is_open(now))
            .count();
        let request = there.as_ref().map(|row| &row.request);
        let step = step(request, open, tx.pace(SCOPE)?, now);
        let new = matches!(step, Step::New { .. });
        match (step, there) {
            (Step::Silence, _) | (Step::Again { .. }, None) => {}
            (Step::Again { ahead }, Some(mut row)) => {
                row.request.ahead = ahead;
                self.tell(tx, &row.request)?;
                tx.pairing_put(&row)?;
            }
            (
                Step::New {
                    codes,
                    ahead,
                    all_ahead,
                },
                _,
            ) => {
                tx.pace_set(SCOPE, all_ahead, now)?;
                let request = Request {
                    code: admin::free_code(tx, self.chance)?,
                    expires_at: now.saturating_add(GOOD_FOR),
                    codes,
                    ahead,
                    answer: None,
                };
                self.tell(tx, &request)?;
                let mut row = PairingRow {
                    person: self.person,
                    name: self.name.clone(),
                    asked_at: now,
                    request,
                    notices: Vec::new(),
                    kept_until: now.saturating_add(KEPT),
                };
                for admin in &self.admins {
                    let shown = news(&row);
                    let id = tx.out_show(chat_with(*admin), None, Urgency::Message, &shown, now)?;
                    row.notices.push(id);
                }
                tx.pairing_new(&row)?;
            }
        }
        tx.inbox_done(self.inbox, Verdict::Refused, now)?;
        Ok(CameOf::Asked(new))
    }

    fn tell(&self, tx: &Tx<'_>, request: &Request) -> Result<(), StoreError> {
        let left = request.expires_at.saturating_sub(self.now);
        let shown = Shown {
            body: said::code(&request.code, left),
            ..Shown::default()
        };
        let target = chat_with(self.person);
        tx.out_show(target, None, Urgency::Message, &shown, self.now)?;
        Ok(())
    }
}

/// The private chat with a person has the person's id.
fn chat_with(person: i64) -> Target {
    Target {
        chat_id: person,
        thread_id: 0,
    }
}

fn news(row: &PairingRow) -> Shown {
    let code = &row.request.code;
    Shown {
        body: said::asks(&row.name, row.person, code),
        buttons: vec![vec![
            words::button(said::ACCEPT.as_str(), format!("p:{code}:y")),
            words::button(said::REJECT.as_str(), format!("p:{code}:n")),
        ]],
        ..Shown::default()
    }
}
