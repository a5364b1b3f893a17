//! Places for agent processes: at most N at once, first come, first served.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::{Millis, ids::ConversationId};

/// Counts places and remembers which lanes hold one without using it.
#[derive(Clone)]
pub struct Slots(Arc<Inner>);

struct Inner {
    places: Arc<Semaphore>,
    total: AtomicUsize,
    /// Places that are to go as soon as they become free.
    surplus: AtomicUsize,
    waiting: AtomicUsize,
    // Held for a look-up only, never over an await.
    idle: Mutex<HashMap<ConversationId, Millis>>,
}

/// Counts one who waits, for as long as it lives.
struct Waiting(Arc<Inner>);

impl Waiting {
    fn new(inner: &Arc<Inner>) -> Self {
        inner.waiting.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(inner))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place in use. Dropping it frees it.
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<Inner>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let owed = self
            .slots
            .surplus
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |owed| {
                owed.checked_sub(1)
            });
        if owed.is_ok() {
            permit.forget();
        }
    }
}

impl Slots {
    /// `total` places, at least one.
    #[must_use]
    pub fn new(total: usize) -> Self {
        let total = total.max(1);
        Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(total)),
            total: AtomicUsize::new(total),
            surplus: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(HashMap::new()),
        }))
    }

    /// Number of places.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.total.load(Ordering::SeqCst)
    }

    /// From now on `total` places, at least one. Where there were more, those in use go when they become free: nobody is
    /// ended for it. Not to be called twice at the same time.
    pub fn resize(&self, total: usize) {
        let inner = &self.0;
        let total = total.max(1);
        let before = inner.total.swap(total, Ordering::SeqCst);
        if total >= before {
            let more = total - before;
            // What was still to go may stay instead.
            let owed = inner
                .surplus
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |owed| {
                    Some(owed.saturating_sub(more))
                })
                .unwrap_or_default();
            inner.places.add_permits(more.saturating_sub(owed));
        } else {
            let fewer = before - total;
            let gone = inner.places.forget_permits(fewer);
            inner.surplus.fetch_add(fewer - gone, Ordering::SeqCst);
        }
    }

    /// How many lanes wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::SeqCst)
    }

    /// A place, if one is free at once.
    #[must_use]
    pub fn try_take(&self) -> Option<Place> {
        Arc::clone(&self.0.places)
            .try_acquire_owned()
            .ok()
            .map(|permit| self.place(Some(permit)))
    }

    /// A place for a process of an earlier daemon that is already there: beyond the limit if need be.
    #[must_use]
    pub fn take_for_running(&self) -> Place {
        self.place(Arc::clone(&self.0.places).try_acquire_owned().ok())
    }

    fn place(&self, permit: Option<OwnedSemaphorePermit>) -> Place {
        Place {
            permit,
            slots: Arc::clone(&self.0),
        }
    }

    /// Lines up for a place. It counts as waiting from this call on, not from the first poll: whoever becomes idle
    /// after it sees that a place is wanted. Dropping the future gives the place in line up.
    pub fn take(&self) -> impl Future<Output = Place> + Send + Sync + use<> {
        let waiting = Waiting::new(&self.0);
        async move {
            let places = Arc::clone(&waiting.0.places);
            // The semaphore is never closed; were it, the limit would not hold but nothing would hang.
            let place = Place {
                permit: places.acquire_owned().await.ok(),
                slots: Arc::clone(&waiting.0),
            };
            drop(waiting);
            place
        }
    }

    /// Notes that a lane holds a place without using it.
    pub fn idle(&self, lane: ConversationId, since: Millis) {
        self.0
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lane, since);
    }

    /// Notes that a lane uses its place, or gave it back.
    pub fn busy(&self, lane: ConversationId) {
        self.0
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&lane);
    }

    /// The lane that has been idle for longest, which is then no longer listed.
    #[must_use]
    pub fn evict(&self) -> Option<ConversationId> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = idle
            .iter()
            .min_by_key(|(lane, since)| (**since, **lane))
            .map(|(lane, _)| *lane)?;
        idle.remove(&oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let slots = Slots::new(1);
        let first = slots.try_take();
        assert!(first.is_some());
        assert!(slots.try_take().is_none());
        let mut second = Box::pin(slots.take());
        assert_eq!(slots.waiting(), 1, "it counts before it is polled");
        assert!(futures_pending(&mut second).await);
        drop(first);
        let _second = second.await;
        assert_eq!(slots.waiting(), 0);
    }

    #[test]
    fn the_number_of_places_changes_while_they_are_in_use() {
        let slots = Slots::new(3);
        let held: Vec<_> = (0..3).map(|_| slots.try_take().unwrap()).collect();
        slots.resize(1);
        assert_eq!(slots.total(), 1);
        let mut held = held.into_iter();
        drop(held.next());
        drop(held.next());
        assert!(slots.try_take().is_none(), "two are gone, one is in use");
        drop(held.next());
        let one = slots.try_take();
        assert!(one.is_some() && slots.try_take().is_none());
        // More again while one is still owed: what is owed goes first against what is given.
        slots.resize(3);
        let two = slots.try_take();
        slots.resize(1);
        slots.resize(2);
        drop((one, two));
        let all: Vec<_> = (0..9).map_while(|_| slots.try_take()).collect();
        assert_eq!(all.len(), 2);
        slots.resize(0);
        assert_eq!(slots.total(), 1);
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        tokio::select! { biased; _ = future => false, () = std::future::ready(()) => true }
    }

    #[test]
    fn the_longest_idle_goes_first() {
        let slots = Slots::new(2);
        slots.idle(ConversationId(1), 20);
        slots.idle(ConversationId(2), 10);
        slots.idle(ConversationId(3), 5);
        slots.busy(ConversationId(3));
        assert_eq!(slots.evict(), Some(ConversationId(2)));
        assert_eq!(slots.evict(), Some(ConversationId(1)));
        assert_eq!(slots.evict(), None);
    }
}
