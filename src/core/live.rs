//! A value that may be replaced while others use it: settings after a reload.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Shared by all its clones. Who reads gets the value as it is at that moment and keeps it for as long as it wants.
#[derive(Debug, Default)]
pub struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Live<T> {
    /// Begins with this value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        // Held for the clone only, never over an await.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it, for all clones.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What follows from such a value: worked out once for each value that there is. Shared by all its clones.
#[derive(Debug)]
pub struct Derived<T, V>(Arc<Mutex<Known<T, V>>>);

/// A value, and what follows from it.
type Known<T, V> = Option<(Arc<T>, V)>;

impl<T, V: Copy> Derived<T, V> {
    /// What follows from the value as it is now. `from` must depend on nothing else.
    pub fn of(&self, live: &Live<T>, from: impl FnOnce(&T) -> V) -> V {
        let now = live.get();
        // Held for that alone, never over an await.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((of, value)) if Arc::ptr_eq(of, &now) => *value,
            _ => {
                let value = from(&now);
                *known = Some((now, value));
                value
            }
        }
    }
}

impl<T, V> Default for Derived<T, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T, V> Clone for Derived<T, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_a_new_value_and_readers_keep_theirs() {
        let one = Live::new(1);
        let other = one.clone();
        let held = other.get();
        one.set(2);
        assert_eq!((*held, *other.get()), (1, 2));
    }

    #[test]
    fn what_follows_is_worked_out_once_for_each_value() {
        let (live, derived) = (Live::new(2), Derived::default());
        let worked = std::cell::Cell::new(0);
        let twice = |n: &i32| {
            worked.set(worked.get() + 1);
            2 * n
        };
        let of = || derived.clone().of(&live, twice);
        assert_eq!((of(), of(), worked.get()), (4, 4, 1));
        live.set(3);
        assert_eq!((of(), of(), worked.get()), (6, 6, 2));
        // The same again is another value.
        live.set(3);
        assert_eq!((of(), worked.get()), (6, 3));
    }
}
