//! The thread that tells the service manager how things stand, and feeds its watchdog.
//!
//! A thread of its own, for two reasons: a runtime that hangs must not be able to feed the watchdog, and a manager that
//! does not read its socket must not be able to hold up the runtime.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing::{error, info, warn};

use super::{
    notify,
    watchdog::{self, Feeder},
};

/// Least time between two statuses.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The one thread. Dropping it ends the thread.
pub struct Herald {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    wishes: Mutex<Wishes>,
    changed: Condvar,
}

#[derive(Default)]
struct Wishes {
    status: Option<String>,
    quit: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interval of the watchdog, where the service manager of this process wants one. What is wrong with the
/// environment is logged, and there is none.
#[must_use]
pub fn watchdog_wanted() -> Option<Duration> {
    let told = match notify::present() {
        Ok(told) => told,
        Err(why) => {
            warn!("{why}");
            false
        }
    };
    let wanted = watchdog::interval(
        std::env::var_os(watchdog::INTERVAL).as_deref(),
        std::env::var_os(watchdog::PROCESS).as_deref(),
        std::process::id(),
    );
    match wanted {
        Ok(Some(_)) if !told => {
            warn!(
                "{} is set but {} is not usable, so nobody would hear a sign of life; check NotifyAccess= of the unit; \
                 going on without a watchdog",
                watchdog::INTERVAL,
                notify::SOCKET
            );
            None
        }
        Ok(wanted) => wanted,
        Err(why) => {
            warn!("{why}");
            None
        }
    }
}

impl Herald {
    /// Starts the thread, if there is a service manager to tell. `check` says what is late, as a sentence for the log; it
    /// is asked from the thread, only for a `watchdog`, and must not block. `late_kind` is the kind of that log line.
    #[must_use]
    pub fn start(
        watchdog: Option<Duration>,
        late_kind: &'static str,
        check: impl Fn() -> Result<(), String> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = matches!(notify::present(), Ok(true))
            .then(|| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name("herald".to_owned())
                    .spawn(move || run(&shared, watchdog.map(Feeder::new), late_kind, &check))
                    .inspect_err(|cause| {
                        // With a watchdog, systemd will end this process for it; without, only the status is missing.
                        error!(%cause, "cannot start the thread that feeds the watchdog");
                    })
                    .ok()
            })
            .flatten();
        Self { shared, thread }
    }

    /// Whether somebody hears it.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.thread.is_some()
    }

    /// A sentence for `systemctl status`; sent if it differs from the last one, at most one a second, the newest.
    pub fn status(&self, text: String) {
        if self.thread.is_some() {
            self.shared.lock().status = Some(text);
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        self.shared.lock().quit = true;
        self.shared.changed.notify_one();
        // Not joined: it may hang at a socket that nobody reads.
        drop(self.thread.take());
    }
}

fn run(
    shared: &Shared,
    mut feeder: Option<Feeder>,
    late_kind: &'static str,
    check: &dyn Fn() -> Result<(), String>,
) {
    let mut said = String::new();
    let mut said_at: Option<Instant> = None;
    let mut look_at = Instant::now();
    loop {
        let now = Instant::now();
        if let Some(feeder) = feeder.as_mut().filter(|_| now >= look_at) {
            look_at = now + feeder.period();
            let found = check();
            let look = feeder.look(now, found.is_ok());
            if look.feed {
                notify::watchdog();
            }
            if look.recovered {
                info!("all parts are in time again; the watchdog is fed");
            }
            if let Err(why) = found
                && look.newly_late
            {
                error!(
                    event = late_kind,
                    "{why}; the watchdog is not fed any more, so systemd will end and restart telexd"
                );
            }
        }
        let mut wishes = shared.lock();
        let now = Instant::now();
        let may_say_at = said_at.map_or(now, |at| at + STATUS_EVERY);
        if now >= may_say_at
            && let Some(text) = wishes.status.take()
        {
            drop(wishes);
            if text != said {
                notify::status(&text);
                said = text;
                said_at = Some(Instant::now());
            }
            continue;
        }
        if wishes.quit {
            return;
        }
        let wake = [
            feeder.is_some().then_some(look_at),
            wishes.status.is_some().then_some(may_say_at),
        ]
        .into_iter()
        .flatten()
        .min();
        // Woken early it looks again, which changes nothing.
        let waited = match wake {
            Some(wake) => shared
                .changed
                .wait_timeout(wishes, wake.saturating_duration_since(now))
                .map(|(guard, _)| drop(guard))
                .is_ok(),
            None => shared.changed.wait(wishes).map(drop).is_ok(),
        };
        if !waited {
            // Only where panics unwind and one happened under the lock; nothing there can.
            return;
        }
    }
}
