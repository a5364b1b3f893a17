//! Following one run: its output and its end, as notices in order.

use std::{
    future::Future,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use fail::fail_point;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    control::Control,
    directory::{Ended, Record, RunDirs, RunPaths, Standing},
    engine::Launcher,
    fds,
    output::{Output, Step},
    room::OutputRoom,
    watch::Watches,
};
use crate::{
    core::ids::RunId,
    gateway::ports::{Exit, NotStarted, Notice},
};

/// Most notices that wait for the reader.
pub(crate) const MOST_NOTICES: usize = 4;
/// Time between two looks without any sign: a safety net, should a wake-up be lost.
const RECHECK: Duration = Duration::from_secs(3);
/// How long a supervisor may take to come. It gives up itself after 60 s.
const WAIT_FOR_SUPERVISOR: Duration = Duration::from_secs(75);
/// How long processes that outlived their supervisor may take to let go of the output.
const WAIT_FOR_WRITERS: Duration = Duration::from_secs(10);

/// Resolves, with what the launcher knows of the reason, when no supervisor will come any more. Never, where the launcher
/// cannot tell.
pub(crate) type Departure = Pin<Box<dyn Future<Output = NotStarted> + Send>>;

/// Follows one run until it has ended, nobody listens any more, or the daemon shuts down.
pub(crate) struct Follower {
    pub(crate) run: RunId,
    pub(crate) dirs: Arc<RunDirs>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) paths: RunPaths,
    pub(crate) control: Arc<Control>,
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) watches: Arc<Watches>,
    pub(crate) output: Output,
    pub(crate) room: OutputRoom,
    pub(crate) stop: CancellationToken,
    /// Whether this daemon launched it: then it is told that it started.
    pub(crate) launched: bool,
}

/// The following ended early: nobody listens, or the daemon shuts down.
struct Stopped;

impl Follower {
    /// Runs to the end.
    pub(crate) async fn follow(mut self, departure: Departure) {
        let run = self.run.clone();
        // Held as long as we follow; made before the first look, so that nothing is missed between the two.
        let _watches = [self.paths.output(), self.paths.record()]
            .map(|path| self.watches.add(&path, &self.wake));
        let stop = self.stop.clone();
        let notices = self.notices.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = notices.closed() => {}
            _ = self.all(departure) => {}
        }
        tracing::debug!(%run, "followed no longer");
    }

    async fn all(&mut self, departure: Departure) -> Result<(), Stopped> {
        if let Some(end) = self.wait_for_supervisor(departure).await {
            self.launcher
                .discard(&self.run, &self.dirs.profile(&self.run));
            return self.tell(Notice::Ended(end)).await;
        }
        if self.launched {
            self.tell(Notice::Started).await?;
        } else {
            // An earlier daemon may have been killed between writing input and ringing.
            self.control.look();
        }
        let trusted = self.lines_until_over().await?;
        let ended = self.settle().await;
        if trusted {
            self.drain().await?;
        }
        let asked = self.control.was_asked_to_end();
        let about = self.dirs.about(&self.run);
        let end = self.launcher.verdict(&self.run, &about, ended, asked).await;
        self.tell(Notice::Ended(end)).await
    }

    async fn tell(&self, notice: Notice) -> Result<(), Stopped> {
        self.notices.send(notice).await.map_err(|_| Stopped)
    }

    /// Returns `None` once a supervisor has taken the run, and how it ended if none ever will.
    async fn wait_for_supervisor(&self, mut departure: Departure) -> Option<Option<Exit>> {
        let never = |why: NotStarted| Some(Some(Exit::NotStarted { why }));
        let other = |detail: &str| NotStarted::Other {
            detail: detail.to_owned(),
        };
        let deadline = Instant::now() + WAIT_FOR_SUPERVISOR;
        loop {
            match self.dirs.standing(&self.run) {
                Ok(Standing::Prepared) => {}
                // The descriptors may still be on their way to a supervisor that dies: then it is Prepared again.
                Ok(Standing::Alive) => match self.paths.read_record() {
                    Ok(Record::Untouched) => {}
                    _ => return None,
                },
                Ok(Standing::Over) => return None,
                Ok(Standing::Withdrawn) => {
                    return never(other("it was ended before it started"));
                }
                Ok(Standing::Missing) => return Some(None),
                Err(error) => {
                    tracing::error!(run = %self.run, %error, "cannot tell how the run stands");
                }
            }
            let gone = tokio::select! {
                () = self.wake.notified() => continue,
                why = &mut departure => why,
                () = tokio::time::sleep_until(deadline) => other("its supervisor did not come"),
                () = tokio::time::sleep(RECHECK) => {
                    self.control.ring_again();
                    continue;
                }
            };
            departure = Box::pin(std::future::pending());
            match self.dirs.withdraw(&self.run) {
                Ok(Standing::Withdrawn) => {
                    return never(match (gone, self.paths.last_words()) {
                        (NotStarted::Other { detail }, Some(words)) => {
                            other(&format!("{detail}: {words}"))
                        }
                        (gone, _) => gone,
                    });
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(run = %self.run, %error, "cannot withdraw the run");
                    return never(gone);
                }
            }
        }
    }

    /// Delivers lines as they come; returns when the run is over, with lines perhaps left in the file. `false`: the
    /// output was tampered with, and nothing in it is taken any more.
    async fn lines_until_over(&mut self) -> Result<bool, Stopped> {
        let mut bell = Bell::open(&self.paths);
        let mut tampered = false;
        let mut deleted = false;
        let mut recheck = Instant::now() + RECHECK;
        loop {
            let mut idle = true;
            if !tampered {
                match self.output.step() {
                    Ok(Step::Lines(lines)) => {
                        fail_point!("runner-lines-read", |_| Err(Stopped));
                        self.tell(Notice::Lines(lines)).await?;
                        self.keep_room();
                        idle = false;
                    }
                    Ok(Step::More) => idle = false,
                    Ok(Step::Nothing) => {}
                    Ok(Step::Shorter { size }) => {
                        if self.is_over(&bell) {
                            return Ok(false);
                        }
                        tampered = true;
                        let offset = self.output.taken();
                        self.tell(Notice::Tampered { offset, size }).await?;
                    }
                    Err(error) => {
                        tracing::error!(run = %self.run, %error, "cannot read the output; tried again");
                    }
                }
            }
            // A record is the last act of the supervisor, so while there is news the bell is enough.
            if bell.is_gone() || (idle && self.is_over(&bell)) {
                return Ok(!tampered);
            }
            if Instant::now() >= recheck {
                recheck = Instant::now() + RECHECK;
                self.control.ring_again();
                if !tampered && !self.keep_room() {
                    // Again and again while it is so: whoever is told may be unable to act on it for the same reason.
                    self.tell(Notice::NoRoom).await?;
                }
                // What comes of it is told as of any run that is lost; its supervisor sees it, too, and ends.
                if !deleted && matches!(self.dirs.standing(&self.run), Ok(Standing::Missing)) {
                    deleted = true;
                    tracing::error!(run = %self.run, directory = %self.paths.dir().display(), "the directory of a run was deleted from outside; its agent is ended");
                }
            }
            if !idle {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = bell.silent() => {}
                () = tokio::time::sleep_until(recheck) => {}
            }
        }
    }

    /// False: the disk has no room for more of the output.
    fn keep_room(&mut self) -> bool {
        let size = self.output.read();
        self.room.keep_up(&self.paths.output(), size)
    }

    fn is_over(&self, bell: &Bell) -> bool {
        bell.is_gone() || matches!(self.paths.read_record(), Ok(Record::Over(_)))
    }

    /// The exit record of a run that is over. Where its supervisor was killed, waits a little for what it left
    /// behind to let go of the output.
    async fn settle(&self) -> Option<Ended> {
        let deadline = Instant::now() + WAIT_FOR_WRITERS;
        loop {
            match self.paths.read_record() {
                Ok(Record::Over(ended)) => {
                    if ended.is_none() {
                        tracing::error!(run = %self.run, "the exit record cannot be read");
                    }
                    return ended;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(run = %self.run, %error, "cannot read the exit record");
                    return None;
                }
            }
            if fds::has_writers(self.output.file()) != Some(true) {
                return None;
            }
            if Instant::now() >= deadline {
                tracing::warn!(run = %self.run, "processes of the run outlived its supervisor and still hold its output");
                return None;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Delivers what is left.
    async fn drain(&mut self) -> Result<(), Stopped> {
        let size = self.output.file().metadata().map_or(u64::MAX, |m| m.len());
        while self.output.read() < size {
            match self.output.step() {
                Ok(Step::Lines(lines)) => self.tell(Notice::Lines(lines)).await?,
                Ok(Step::More) => {}
                Ok(Step::Nothing) => break,
                Ok(Step::Shorter { size }) => {
                    tracing::warn!(run = %self.run, size, "the output is shorter than what was taken of it");
                    return Ok(());
                }
                Err(error) => {
                    tracing::error!(run = %self.run, %error, "cannot read the rest of the output");
                    return Ok(());
                }
            }
        }
        match self.output.rest() {
            Some(line) => self.tell(Notice::Lines(vec![line])).await,
            None => Ok(()),
        }
    }
}

/// Our write end of the bell, which tells when its last reader is gone.
enum Bell {
    Held(AsyncFd<OwnedFd>),
    Gone,
    /// It could not be opened or waited for, for a reason that says nothing about the supervisor.
    Unknown(RunPaths),
}

impl Bell {
    fn open(paths: &RunPaths) -> Self {
        match paths.open_bell() {
            Ok(Some(file)) => match fds::register(file.into(), Interest::ERROR) {
                Ok(fd) => Self::Held(fd),
                Err(error) => {
                    tracing::error!(%error, "cannot wait for the bell; it is looked at from time to time");
                    Self::Unknown(paths.clone())
                }
            },
            Ok(None) => Self::Gone,
            Err(error) => {
                tracing::error!(%error, "cannot open the bell");
                Self::Unknown(paths.clone())
            }
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Held(fd) => no_reader(fd.get_ref()),
            Self::Gone => true,
            Self::Unknown(paths) => matches!(paths.open_bell(), Ok(None)),
        }
    }

    /// Returns when the last reader is gone.
    async fn silent(&mut self) {
        if let Self::Held(fd) = self {
            loop {
                match fd.ready(Interest::ERROR).await {
                    Ok(_) if no_reader(fd.get_ref()) => return,
                    Ok(mut guard) => guard.clear_ready(),
                    // The runtime is going down.
                    Err(_) => break,
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

fn no_reader(bell: &OwnedFd) -> bool {
    let mut asked = [PollFd::new(bell.as_fd(), PollFlags::empty())];
    match poll(&mut asked, PollTimeout::ZERO) {
        Ok(_) => asked[0]
            .revents()
            .is_some_and(|r| r.contains(PollFlags::POLLERR)),
        Err(_) => false,
    }
}
