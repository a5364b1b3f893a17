//! Waking up when a file grows: one inotify instance for all runs.

use std::{
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

use super::fds;

type Listeners = HashMap<WatchDescriptor, Vec<Arc<Notify>>>;

/// Wakes whoever waits for a file to change. Where the system has no watches left, nobody is woken: users look
/// from time to time anyway.
#[derive(Debug)]
pub(crate) struct Watches {
    instance: Option<Arc<Inotify>>,
    /// The same descriptor, in the form that tokio waits for.
    ready: Option<AsyncFd<OwnedFd>>,
    listeners: Arc<Mutex<Listeners>>,
}

/// A watch; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watch {
    instance: Arc<Inotify>,
    listeners: Arc<Mutex<Listeners>>,
    descriptor: WatchDescriptor,
    wake: Arc<Notify>,
}

fn locked(listeners: &Mutex<Listeners>) -> MutexGuard<'_, Listeners> {
    // The map is changed by single calls; a panic elsewhere leaves it whole.
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watches {
    /// Needs a tokio runtime.
    pub(crate) fn new() -> Self {
        let made = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .map_err(std::io::Error::from)
            .and_then(|instance| {
                let copy = instance.as_fd().try_clone_to_owned()?;
                Ok((instance, fds::register(copy, Interest::READABLE)?))
            });
        let (instance, ready) = match made {
            Ok((instance, ready)) => (Some(Arc::new(instance)), Some(ready)),
            Err(error) => {
                tracing::warn!(%error, "no file watches: output of agents is looked at from time to time only");
                (None, None)
            }
        };
        Self {
            instance,
            ready,
            listeners: Arc::default(),
        }
    }

    /// Hands out wake-ups until it is dropped.
    pub(crate) async fn serve(&self) {
        let (Some(instance), Some(ready)) = (&self.instance, &self.ready) else {
            return std::future::pending().await;
        };
        loop {
            let Ok(mut guard) = ready.readable().await else {
                return;
            };
            let events = match instance.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => {
                    guard.clear_ready();
                    continue;
                }
                Err(Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!(%error, "file watches ended");
                    return;
                }
            };
            let listeners = locked(&self.listeners);
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    listeners.values().flatten().for_each(|w| w.notify_one());
                } else if let Some(all) = listeners.get(&event.wd) {
                    all.iter().for_each(|w| w.notify_one());
                }
            }
        }
    }

    /// Wakes `wake` whenever the file is written to or cut.
    pub(crate) fn add(&self, path: &Path, wake: &Arc<Notify>) -> Option<Watch> {
        let instance = self.instance.as_ref()?;
        let mut listeners = locked(&self.listeners);
        match instance.add_watch(path, AddWatchFlags::IN_MODIFY) {
            Ok(descriptor) => {
                listeners
                    .entry(descriptor)
                    .or_default()
                    .push(Arc::clone(wake));
                Some(Watch {
                    instance: Arc::clone(instance),
                    listeners: Arc::clone(&self.listeners),
                    descriptor,
                    wake: Arc::clone(wake),
                })
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot watch a file; it is looked at from time to time");
                None
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut listeners = locked(&self.listeners);
        if let Some(all) = listeners.get_mut(&self.descriptor) {
            if let Some(at) = all.iter().position(|w| Arc::ptr_eq(w, &self.wake)) {
                all.swap_remove(at);
            }
            if all.is_empty() {
                listeners.remove(&self.descriptor);
                // Fails where the file is gone: then the kernel has ended the watch itself.
                let _ = self.instance.rm_watch(self.descriptor);
            }
        }
    }
}
