//! Asks the service manager for more time while something long goes on at the start.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::notify;

/// How often it is looked whether something moved.
const EVERY: Duration = Duration::from_secs(5);
/// For how long more is asked each time.
const MORE: Duration = Duration::from_secs(30);
/// All in all; who needs longer needs an administrator.
const MOST: Duration = Duration::from_secs(60 * 60);

/// While it lives, and as long as its counter grows, the manager is asked to wait on.
pub struct Patience(Arc<(Mutex<bool>, Condvar)>);

impl Patience {
    /// Begins, where there is a manager. `progress` counts steps of any size; one that stands still is not worth waiting
    /// for.
    #[must_use]
    pub fn begin(progress: Arc<AtomicU64>) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        if matches!(notify::present(), Ok(true)) {
            let over = Arc::clone(&over);
            // Without the thread the start merely has its ordinary time.
            drop(
                std::thread::Builder::new()
                    .name("patience".to_owned())
                    .spawn(move || wait(&over, &progress)),
            );
        }
        Self(over)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        let (over, changed) = &*self.0;
        *over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}

fn wait(over: &(Mutex<bool>, Condvar), progress: &AtomicU64) {
    let (over, changed) = over;
    let begun = Instant::now();
    let mut seen = progress.load(Ordering::Relaxed);
    let mut guard = over.lock().unwrap_or_else(PoisonError::into_inner);
    while !*guard {
        guard = match changed.wait_timeout(guard, EVERY) {
            Ok((guard, timeout)) => {
                let now = progress.load(Ordering::Relaxed);
                if timeout.timed_out() && !*guard && begun.elapsed() < MOST && now != seen {
                    seen = now;
                    notify::extend(MORE);
                    notify::status("preparing the database, which takes a while");
                }
                guard
            }
            Err(_) => return,
        };
    }
}
