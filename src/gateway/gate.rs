//! Whether agents are given prompts, or all is paused.
//!
//! A pause stands in the settings; here is what of it the way of a message looks at, so that it asks the database nothing.
//! It is set within the transaction that records it, on the thread of the store: whatever transaction comes after that
//! one sees it. It is taken back only after the commit that ends it.

use std::sync::{Arc, PoisonError, RwLock};

use tracing::error;

use crate::{
    core::{Millis, pause::Pause},
    store::{StoreError, Tx},
};

/// Setting that holds the pause.
const KEY: &str = "pause";

/// Shared by all its clones.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<RwLock<Option<Arc<Pause>>>>);

impl Gate {
    /// The pause, while there is one.
    #[must_use]
    pub fn pause(&self) -> Option<Arc<Pause>> {
        // Held for the clone only, never over an await.
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether prompts wait.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// From the store, at the start.
    pub(super) fn load(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.set(stored(tx)?.map(Arc::new));
        Ok(())
    }

    /// Records a pause and has it hold. Where the transaction fails after all, [`Gate::undo`] is to follow.
    pub(super) fn close(
        &self,
        tx: &Tx<'_>,
        pause: &Arc<Pause>,
        now: Millis,
    ) -> Result<(), StoreError> {
        let json = serde_json::to_string(pause.as_ref())
            .map_err(|cause| StoreError::Other(format!("the record of the pause: {cause}")))?;
        tx.setting_set(KEY, &json, now)?;
        self.set(Some(Arc::clone(pause)));
        Ok(())
    }

    /// Records that the pause is over; returns it. [`Gate::open`] is to follow after the commit.
    pub(super) fn end(&self, tx: &Tx<'_>) -> Result<Option<Arc<Pause>>, StoreError> {
        let Some(pause) = stored(tx)? else {
            return Ok(None);
        };
        tx.setting_unset(KEY)?;
        Ok(Some(Arc::new(pause)))
    }

    /// The end of this pause is recorded. Another one that began meanwhile goes on.
    pub(super) fn open(&self, over: &Pause) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_deref() == Some(over) {
            *held = None;
        }
    }

    /// The transaction that was to record this pause failed: what held before holds again.
    pub(super) fn undo(&self, failed: &Arc<Pause>, before: Option<Arc<Pause>>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, failed)) {
            *held = before;
        }
    }

    fn set(&self, pause: Option<Arc<Pause>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pause;
    }
}

/// The pause that is recorded. One that cannot be read is one all the same: rather too much care than too little.
pub(super) fn stored(tx: &Tx<'_>) -> Result<Option<Pause>, StoreError> {
    Ok(tx.setting(KEY)?.map(|json| {
        serde_json::from_str(&json).unwrap_or_else(|cause| {
            error!(%cause, "the record of the pause is not readable; it holds all the same, until somebody resumes");
            Pause {
                by: "unknown".to_owned(),
                name: "an administrator".to_owned(),
                since: -1,
                reason: None,
            }
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn pause(by: &str) -> Arc<Pause> {
        Arc::new(Pause {
            by: by.to_owned(),
            name: by.to_owned(),
            since: 7,
            reason: None,
        })
    }

    #[tokio::test]
    async fn a_pause_is_kept_and_read_back_also_where_its_record_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _thread) = Store::open(dir.path()).unwrap();
        let gate = Gate::default();
        let (inner, one) = (gate.clone(), pause("a"));
        store.tx(move |tx| inner.close(tx, &one, 1)).await.unwrap();
        assert_eq!(gate.pause(), Some(pause("a")));
        let other = Gate::default();
        let inner = other.clone();
        store.tx(move |tx| inner.load(tx)).await.unwrap();
        assert_eq!(other.pause(), Some(pause("a")));
        store
            .tx(|tx| tx.setting_set(KEY, "{\"by\":7", 2))
            .await
            .unwrap();
        let inner = other.clone();
        store.tx(move |tx| inner.load(tx)).await.unwrap();
        let odd = other.pause().expect("it holds");
        let inner = other.clone();
        let over = store.tx(move |tx| inner.end(tx)).await.unwrap().unwrap();
        assert!(other.closed(), "not before the commit is known");
        other.open(&over);
        assert_eq!((odd, other.pause()), (over, None));
        let inner = other.clone();
        assert!(store.tx(move |tx| inner.end(tx)).await.unwrap().is_none());
    }

    #[test]
    fn what_failed_is_taken_back_and_what_came_meanwhile_stays() {
        let gate = Gate::default();
        let (a, b) = (pause("a"), pause("b"));
        gate.set(Some(Arc::clone(&b)));
        gate.undo(&b, Some(Arc::clone(&a)));
        assert_eq!(gate.pause(), Some(Arc::clone(&a)));
        gate.undo(&b, None);
        assert!(gate.closed(), "another one");
        gate.set(Some(Arc::clone(&b)));
        gate.open(&a);
        assert!(gate.closed(), "b began after a was over");
        gate.open(&b);
        assert!(!gate.closed());
    }
}
