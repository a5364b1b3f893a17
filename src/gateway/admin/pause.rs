//! Pause and resume.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use super::{Act, Admin, AdminError, Deed, Outcome};
use crate::{
    core::{
        Millis,
        actor::Actor,
        ids::ConversationId,
        pause::{self, Pause},
        words,
    },
    gateway::{
        Deps, gate,
        lane::{Ack, LaneMsg},
        lanes::Lanes,
        queue::{At, Queue},
    },
    store::{
        StoreError, Tx,
        rows::{InLine, Slot, TurnState, Urgency, Wanted},
    },
};

/// How long the next lane waits for the one before it, when a pause is over.
const TURN_ABOUT: Duration = Duration::from_secs(2);

/// What came of a pause.
#[derive(Clone, Debug)]
pub struct Paused {
    /// Whether it is new.
    pub outcome: Outcome,
    /// The pause that holds.
    pub pause: Arc<Pause>,
}

/// What came of a resumption.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// Whether there was a pause.
    pub outcome: Outcome,
    /// How many turns waited.
    pub waiting: u64,
}

impl Admin {
    /// The pause that holds. Asks nobody.
    #[must_use]
    pub fn paused(&self) -> Option<Arc<Pause>> {
        self.deps.gate.pause()
    }

    /// From now on messages are kept and no agent is given one; what runs goes on. Survives a restart. A second pause
    /// changes nothing, not even the reason.
    ///
    /// # Errors
    /// A reason that cannot be taken; the store's.
    pub async fn pause(&self, by: impl Into<Ack>, reason: &str) -> Result<Paused, AdminError> {
        let ack = by.into();
        let name = self.name_of(&ack.who).await?;
        let reason = pause::reason(reason);
        // Made here, so that it can be taken back when the transaction fails.
        let new = Arc::new(Pause {
            by: ack.who.to_string(),
            name,
            since: self.deps.clock.now(),
            reason: reason.clone().unwrap_or_default(),
        });
        let (deps, before) = (Arc::clone(&self.deps), self.deps.gate.pause());
        let wanted = Arc::clone(&new);
        let done = self
            .act(&ack, "pause", move |tx, now| {
                let done = match reason {
                    Err(why) => Err(why.into()),
                    Ok(_) => Ok(close(tx, &deps, wanted, now)?),
                };
                Ok(Act {
                    on: String::new(),
                    done,
                })
            })
            .await;
        if matches!(done, Err(AdminError::Store(_))) {
            self.deps.gate.undo(&new, before);
        }
        done
    }

    /// Agents are given messages again, in the order in which those came. Without a pause nothing changes.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume(&self, by: impl Into<Ack>) -> Result<Resumed, AdminError> {
        let ack = by.into();
        let deps = Arc::clone(&self.deps);
        let (over, line, resumed) = self
            .act(&ack, "resume", move |tx, now| {
                let over = deps.gate.end(tx)?;
                let line = tx.turns_in_line()?;
                let waiting = line.iter().filter(|turn| waits(turn)).count() as u64;
                let (outcome, text) = match &over {
                    Some(_) => {
                        show_places(tx, &deps, &line, None, now)?;
                        (Outcome::Done, words::admin::resumed(waiting))
                    }
                    None => (Outcome::NoChange, words::admin::NOT_PAUSED.to_owned()),
                };
                let resumed = Resumed { outcome, waiting };
                Ok(Act {
                    on: String::new(),
                    done: Ok(Deed::new((over, line, resumed), outcome, text)),
                })
            })
            .await?;
        if let Some(over) = over {
            self.deps.gate.open(&over);
            let mut next: Vec<ConversationId> = Vec::new();
            for turn in line {
                if waits(&turn) && !next.contains(&turn.conversation) {
                    next.push(turn.conversation);
                }
            }
            self.deps
                .tasks
                .spawn(go_on(Arc::clone(&self.deps), self.lanes.clone(), next));
        }
        Ok(resumed)
    }

    /// How people are told of somebody.
    pub(super) async fn name_of(&self, who: &Actor) -> Result<String, StoreError> {
        let name = match who {
            Actor::Telegram(id) => {
                let id = *id;
                self.deps.store.tx(move |tx| tx.person_name(id)).await?
            }
            _ => None,
        };
        Ok(who.for_people(name.as_deref()))
    }
}

fn waits(turn: &InLine) -> bool {
    matches!(turn.state, TurnState::Collecting | TurnState::Queued)
}

fn close(
    tx: &Tx<'_>,
    deps: &Deps,
    new: Arc<Pause>,
    now: Millis,
) -> Result<Deed<Paused>, StoreError> {
    if let Some(there) = gate::stored(tx)? {
        let text = words::admin::paused_already(&there);
        let paused = Paused {
            outcome: Outcome::NoChange,
            pause: Arc::new(there),
        };
        return Ok(Deed::new(paused, Outcome::NoChange, text));
    }
    let line = tx.turns_in_line()?;
    let running = line.iter().filter(|turn| !waits(turn)).count() as u64;
    show_places(tx, deps, &line, Some(&new), now)?;
    // Last: from here on whoever comes after this sees it.
    deps.gate.close(tx, &new, now)?;
    let paused = Paused {
        outcome: Outcome::Done,
        pause: new,
    };
    Ok(Deed::new(
        paused,
        Outcome::Done,
        words::admin::paused(running),
    ))
}

/// Tells those who wait what they wait for.
fn show_places(
    tx: &Tx<'_>,
    deps: &Deps,
    line: &[InLine],
    pause: Option<&Pause>,
    now: Millis,
) -> Result<(), StoreError> {
    let mut number = 0;
    let (mut before, mut running) = (HashMap::new(), HashMap::new());
    for turn in line.iter().filter(|turn| !waits(turn)) {
        *running.entry(turn.conversation).or_default() += 1;
    }
    for turn in line.iter().filter(|turn| waits(turn)) {
        number += 1;
        let queued: &mut usize = before.entry(turn.conversation).or_default();
        let before = *queued;
        *queued += usize::from(turn.state == TurnState::Queued);
        // One that is run again says so.
        if turn.state != TurnState::Queued || turn.attempts > 0 {
            continue;
        }
        let at = At {
            before,
            running: running.get(&turn.conversation).copied().unwrap_or(0),
            pause: pause.map(|pause| (pause, number)),
            fetching: tx.attachments_awaited(turn.turn)?,
            does: None,
        };
        let slot = Slot::first(turn.turn);
        if let Some(row) = tx.out_slot(slot)?
            && let Wanted::Show(shown) = row.wanted
        {
            let queue = Queue::of(deps, &turn.key);
            let shown = queue.message(turn.turn, &at, shown.reply_to);
            tx.out_show(queue.target(), Some(slot), Urgency::Progress, &shown, now)?;
        }
    }
    Ok(())
}

/// Has lanes look again, one after the other: the one whose turn is older gets a place before the others.
async fn go_on(deps: Arc<Deps>, lanes: Lanes, next: Vec<ConversationId>) {
    for conversation in next {
        let (done, is_done) = oneshot::channel();
        tokio::select! {
            () = deps.shutdown.cancelled() => return,
            () = lanes.send(conversation, LaneMsg::Go(done)) => {}
        }
        // One that takes long holds up no other for ever.
        let _ = tokio::time::timeout(TURN_ABOUT, is_done).await;
    }
}
