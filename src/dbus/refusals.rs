//! Calls that were refused to their callers, for the audit.
//!
//! Whoever is on the bus can be refused as often as they like, and must fill neither database nor journal with that. So the
//! first refusal of a kind is noted at once, and what follows of it is counted: one user, one call and one reason have two
//! lines in an hour at most. What more a user is refused than [`OF_ONE`] such kinds is one kind, and what more all of them
//! are refused than [`OF_ALL`] is one as well. How many lines are kept is up to the gateway.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tracing::debug;

use super::desk::Desk;
use crate::{core::actor::Actor, gateway::handle::Refusal};

/// How long is counted before it is noted how much it was.
const WINDOW: Duration = Duration::from_secs(60 * 60);
/// Most kinds of one user within that.
const OF_ONE: usize = 12;
/// Most kinds of all.
const OF_ALL: usize = 48;
/// Between two tries to note them, where the database does not take them; and two looks for windows that are over.
const AGAIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(60);

/// What stands for calls, or callers, that are too many to be told apart.
const OTHERS: &str = "others";

/// User, call, reason. Without a user: all of those that are too many.
type Key = (Option<u32>, String, &'static str);

/// A kind of refusal that was noted and is counted.
struct Window {
    since: Instant,
    who: Option<Actor>,
    more: u64,
}

#[derive(Default)]
struct Ledger {
    windows: HashMap<Key, Window>,
    /// To be noted. Two for each window at most, and windows end only when these are taken.
    due: Vec<Refusal>,
}

/// Refusals that wait to be noted.
#[derive(Default)]
pub(super) struct Refusals {
    ledger: Mutex<Ledger>,
    noted: Notify,
}

impl Ledger {
    /// Counts a refusal; true: there is something to be noted. `who` is asked for where it is.
    fn add(
        &mut self,
        uid: u32,
        call: String,
        reason: &'static str,
        now: Instant,
        who: impl FnOnce() -> Actor,
    ) -> bool {
        let mut key: Key = (Some(uid), call, reason);
        let known = |windows: &mut HashMap<Key, Window>, key: &Key| match windows.get_mut(key) {
            Some(window) => {
                window.more = window.more.saturating_add(1);
                true
            }
            None => false,
        };
        if known(&mut self.windows, &key) {
            return false;
        }
        let own = self.windows.keys().filter(|key| key.0 == Some(uid)).count();
        let named = self.windows.len() < OF_ALL;
        if !named {
            key = (None, OTHERS.to_owned(), OTHERS);
        } else if own >= OF_ONE {
            key = (Some(uid), OTHERS.to_owned(), OTHERS);
        }
        if known(&mut self.windows, &key) {
            return false;
        }
        let who = named.then(who);
        self.due.push(Refusal {
            who: who.clone(),
            call: key.1.clone(),
            reason: key.2,
            more: 0,
        });
        let window = Window {
            since: now,
            who,
            more: 0,
        };
        self.windows.insert(key, window);
        true
    }

    /// What is to be noted: all that is new, and how much there was of each kind whose window is over.
    fn take(&mut self, over: impl Fn(Instant) -> bool) -> Vec<Refusal> {
        let mut due = std::mem::take(&mut self.due);
        for ((_, call, reason), window) in self.windows.extract_if(|_, window| over(window.since)) {
            if window.more > 0 {
                due.push(Refusal {
                    who: window.who,
                    call,
                    reason,
                    more: window.more,
                });
            }
        }
        due
    }
}

impl Refusals {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was refused. `call` is a name of ours, never of theirs.
    pub(super) fn add(
        &self,
        uid: u32,
        call: String,
        reason: &'static str,
        who: impl FnOnce() -> Actor,
    ) {
        if self.ledger().add(uid, call, reason, Instant::now(), who) {
            self.noted.notify_one();
        }
    }

    /// Has them noted, for as long as it is waited for.
    pub(super) async fn keep(&self, desk: &Desk) {
        loop {
            tokio::select! {
                () = self.noted.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let due = self.ledger().take(|since| since.elapsed() >= WINDOW);
            // Meanwhile it is counted on; nothing grows.
            while !due.is_empty() && !note(desk, &due).await {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Has noted what is left, at the end.
    pub(super) async fn finish(&self, desk: &Desk) {
        let due = self.ledger().take(|_| true);
        if !due.is_empty() {
            note(desk, &due).await;
        }
    }
}

async fn note(desk: &Desk, due: &[Refusal]) -> bool {
    let (admin, due) = (desk.admin.clone(), Arc::<[Refusal]>::from(due));
    let noted = desk.gateway.spawn(async move { admin.refused(due).await });
    match noted.await {
        Ok(Ok(())) => true,
        Ok(Err(cause)) => {
            debug!(%cause, "refused calls cannot be noted yet");
            false
        }
        // The daemon is ending.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn who(uid: u32) -> Actor {
        Actor::Bus {
            uid,
            pid: 1,
            exe: None,
        }
    }

    fn add(ledger: &mut Ledger, uid: u32, call: usize, now: Instant) -> bool {
        ledger.add(uid, format!("Manager.M{call}"), "NotAllowed", now, || {
            who(uid)
        })
    }

    #[tokio::test]
    async fn the_first_is_noted_at_once_and_the_others_are_counted() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        assert!(add(&mut ledger, 7, 1, now));
        assert!((0..500).all(|_| !add(&mut ledger, 7, 1, now)));
        assert!(add(&mut ledger, 8, 1, now) && add(&mut ledger, 7, 2, now));
        let noted = |due: Vec<Refusal>| -> Vec<(Option<Actor>, String, u64)> {
            due.into_iter().map(|r| (r.who, r.call, r.more)).collect()
        };
        let one = |uid, call: &str, more| (Some(who(uid)), format!("Manager.{call}"), more);
        assert_eq!(
            noted(ledger.take(|_| false)),
            Vec::from([one(7, "M1", 0), one(8, "M1", 0), one(7, "M2", 0)])
        );
        assert!(ledger.take(|_| false).is_empty());
        // What was the only one is not noted again.
        assert_eq!(
            noted(ledger.take(|since| since == now)),
            Vec::from([one(7, "M1", 500)])
        );
        assert!(add(&mut ledger, 7, 1, now), "a new hour");
    }

    #[tokio::test]
    async fn who_calls_everything_is_noted_as_others_and_hides_nobody() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        for call in 0..100 {
            add(&mut ledger, 7, call, now);
        }
        assert!(add(&mut ledger, 8, 1, now));
        let due = ledger.take(|_| false);
        assert_eq!(due.len(), OF_ONE + 2);
        assert_eq!(
            (&*due[OF_ONE].call, &due[OF_ONE].who),
            (OTHERS, &Some(who(7)))
        );
        assert_eq!(due[OF_ONE + 1].who, Some(who(8)));
        let rest = ledger.take(|_| true);
        assert_eq!((rest.len(), rest[0].more), (1, 100 - OF_ONE as u64 - 1));
    }

    proptest! {
        /// Whatever comes from whomever, nothing grows beyond what is meant, and nothing is left uncounted.
        #[test]
        fn it_is_bounded_and_counts_all(calls in prop::collection::vec((0_u32..200, 0_usize..40), 0..3000)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _inside = runtime.enter();
            let (mut ledger, now) = (Ledger::default(), Instant::now());
            for (uid, call) in &calls {
                add(&mut ledger, *uid, *call, now);
            }
            prop_assert!(ledger.windows.len() <= OF_ALL + 1);
            let first = ledger.take(|_| false);
            let more = ledger.take(|_| true);
            prop_assert!(first.len() + more.len() <= 2 * (OF_ALL + 1));
            let counted: u64 = more.iter().map(|r| r.more).sum();
            prop_assert_eq!(first.len() as u64 + counted, calls.len() as u64);
            prop_assert!(ledger.windows.is_empty() && ledger.due.is_empty());
        }
    }
}
