//! Runs over run directories, whatever launches their supervisors.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use fail::fail_point;
use tokio::sync::{Notify, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    control::Control,
    directory::{About, Ended, RunDirs, RunPaths, Standing, trouble},
    follow::{Departure, Follower, MOST_NOTICES},
    handoff::{self, Doors, PeerCheck},
    output::Output,
    room::OutputRoom,
    watch::Watches,
};
use crate::{
    core::{ids::RunId, profile::Profile},
    gateway::ports::{Exit, Followed, Remains, Runner, RunnerError, Spec, Usage},
};

/// Starts the supervisor of a run whose directory is ready, and knows what can be known of a run besides its directory.
#[async_trait]
pub(crate) trait Launcher: Send + Sync {
    /// # Errors
    /// A sentence for the administrator; then no supervisor will come.
    async fn start(&self, spec: &Spec, paths: &RunPaths) -> Result<Departure, RunnerError>;

    /// Ends a run whose supervisor was told to end it over the bell, should that not be able to. Returns at once.
    fn end(&self, _run: &RunId, _profile: &Profile) {}

    /// How a run that is over really ended. `asked`: this daemon had told its supervisor to end it.
    async fn verdict(
        &self,
        _run: &RunId,
        _about: &About,
        ended: Option<Ended>,
        _asked: bool,
    ) -> Option<Exit> {
        ended.map(|ended| ended.exit)
    }

    /// Nobody took the run, and nobody can any more: nothing of its launch is to be left. Returns at once.
    fn discard(&self, _run: &RunId, _profile: &Profile) {}

    /// See [`Runner::expect`].
    fn expect(&self, _live: Vec<RunId>) {}

    /// See [`Runner::usage`].
    async fn usage(&self) -> Usage {
        Usage::default()
    }

    /// How the unit of a run is named, where each is one.
    fn units(&self) -> Option<fn(&Profile, &RunId) -> String> {
        None
    }
}

/// The runner. How supervisors are started and how those who come are checked is a matter of its constructor:
/// [`Engine::direct`] or [`Engine::by_systemd`].
pub struct Engine {
    dirs: Arc<RunDirs>,
    watches: Arc<Watches>,
    launcher: Arc<dyn Launcher>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Engine {
    /// Opens the run directories, listens for supervisors and starts the tasks on the current runtime.
    ///
    /// # Errors
    /// A sentence for the administrator.
    pub(super) fn new(
        dirs: RunDirs,
        socket: &Path,
        doors: Doors,
        launcher: Arc<dyn Launcher>,
        check: Arc<dyn PeerCheck>,
    ) -> Result<Self, RunnerError> {
        let listener = handoff::listen(socket, doors)?;
        let engine = Self {
            dirs: Arc::new(dirs),
            watches: Arc::new(Watches::new()),
            launcher,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let stop = engine.stop.clone();
        let dirs = Arc::clone(&engine.dirs);
        engine.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = handoff::serve(listener, dirs, check) => {}
            }
        });
        let stop = engine.stop.clone();
        let watches = Arc::clone(&engine.watches);
        engine.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watches.serve() => {}
            }
        });
        Ok(engine)
    }

    /// Stops listening and following; the runs go on. Lets the next daemon have the directories.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.dirs.unlock();
    }

    fn follow(
        &self,
        run: &RunId,
        paths: RunPaths,
        output: Output,
        wake: Arc<Notify>,
        departure: Option<Departure>,
    ) -> Followed {
        let control = Arc::new(Control::new(
            run.clone(),
            Arc::clone(&self.dirs),
            Arc::clone(&self.launcher),
            Arc::clone(&wake),
        ));
        let (sender, notices) = mpsc::channel(MOST_NOTICES);
        let follower = Follower {
            run: run.clone(),
            dirs: Arc::clone(&self.dirs),
            launcher: Arc::clone(&self.launcher),
            paths,
            control: Arc::clone(&control),
            notices: sender,
            wake,
            watches: Arc::clone(&self.watches),
            output,
            room: OutputRoom::default(),
            stop: self.stop.clone(),
            launched: departure.is_some(),
        };
        let departure = departure.unwrap_or_else(|| Box::pin(std::future::pending()));
        self.tasks.spawn(follower.follow(departure));
        Followed { notices, control }
    }

    /// Runs blocking work on the file system away from the runtime's own threads.
    async fn on_disk<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&RunDirs) -> T + Send + 'static,
    ) -> Result<T, RunnerError> {
        let dirs = Arc::clone(&self.dirs);
        tokio::task::spawn_blocking(move || work(&dirs))
            .await
            .map_err(|e| RunnerError {
                what: format!("cannot {what}"),
                cause: e.to_string(),
                remedy: "this is a defect of telexd: please report it".to_owned(),
                no_room: false,
            })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl Runner for Engine {
    async fn launch(&self, spec: &Spec) -> Result<Followed, RunnerError> {
        let run = spec.run.clone();
        let copy = spec.clone();
        let paths = self
            .on_disk("prepare a run", move |dirs| dirs.prepare(&copy))
            .await??;
        fail_point!("runner-dir-made", |_| Err(failpoint()));
        let opened = Output::open(&paths.output(), 0)
            .map_err(|e| trouble("open the output", &paths.output(), &e));
        let started = match opened {
            Ok(output) => self
                .launcher
                .start(spec, &paths)
                .await
                .map(|departure| (output, departure)),
            Err(error) => Err(error),
        };
        let (output, departure) = match started {
            Ok(started) => started,
            Err(error) => {
                self.remove(&run).await;
                return Err(error);
            }
        };
        fail_point!("runner-spawned", |_| Err(failpoint()));
        let wake = Arc::new(Notify::new());
        Ok(self.follow(&run, paths, output, wake, Some(departure)))
    }

    async fn attach(&self, run: &RunId, offset: u64) -> Result<Followed, RunnerError> {
        let paths = self.dirs.paths(run);
        let output = Output::open(&paths.output(), offset)
            .map_err(|e| trouble("take up the run in", paths.dir(), &e))?;
        let wake = Arc::new(Notify::new());
        Ok(self.follow(run, paths, output, wake, None))
    }

    async fn usage(&self) -> Usage {
        self.launcher.usage().await
    }

    async fn inspect(&self, run: &RunId) -> Remains {
        match self.dirs.withdraw(run) {
            Ok(Standing::Missing) => Remains::Missing,
            Ok(Standing::Prepared | Standing::Withdrawn) => {
                self.launcher.discard(run, &self.dirs.profile(run));
                Remains::NeverStarted
            }
            Ok(Standing::Alive) => Remains::Alive,
            Ok(Standing::Over) => Remains::Over,
            Err(error) => {
                // Never an answer after which the work would be done a second time.
                tracing::error!(%run, %error, "cannot tell how the run stands; taken as over");
                Remains::Over
            }
        }
    }

    async fn remove(&self, run: &RunId) {
        let copy = run.clone();
        let removed = self
            .on_disk("delete a run", move |dirs| dirs.remove(&copy))
            .await;
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%run, %error, "cannot delete the run directory"),
            Err(error) => tracing::error!(%run, %error, "cannot delete the run directory"),
        }
    }

    async fn list(&self) -> Vec<RunId> {
        self.dirs.list()
    }

    fn expect(&self, live: Vec<RunId>) {
        self.launcher.expect(live);
    }

    async fn unit(&self, run: &RunId) -> Option<String> {
        let named = self.launcher.units()?;
        let copy = run.clone();
        let profile = self
            .on_disk("read a run", move |dirs| dirs.profile(&copy))
            .await
            .ok()?;
        Some(named(&profile, run))
    }
}

#[cfg(feature = "failpoints")]
fn failpoint() -> RunnerError {
    RunnerError {
        what: "failpoint".to_owned(),
        cause: "failpoint".to_owned(),
        remedy: "none".to_owned(),
        no_room: false,
    }
}
