//! A value that may be replaced while others use it: settings after a reload.

use std::sync::{Arc, PoisonError, RwLock};

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
}
