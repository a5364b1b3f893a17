//! The permission mode of the agent that runs: it is told what its person has chosen, and what it comes to is kept.

use tracing::{error, info};

use super::{Lane, Live};
use crate::{
    core::{
        Millis, event::AgentEvent, ids::ConversationId, mode::PermissionMode, words::mode as said,
    },
    gateway::{
        mode::{self, Chosen},
        show,
    },
    store::{
        StoreError, Tx,
        rows::{Target, Urgency},
    },
};

/// The agent cannot come to this mode, but another process of it can.
const NOT_LAUNCHED: &str = "bypass_not_launched";

/// What the process was told of modes.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    // The newest request that is in its input.
    request: Option<String>,
    // Another process is to serve the next prompt.
    outdated: bool,
}

impl Told {
    /// The request that the process has got.
    pub(super) fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Whether another process is to serve the next prompt.
    pub(super) fn outdated(&self) -> bool {
        self.outdated
    }

    /// It is of no use for the next prompt.
    pub(super) fn outdate(&mut self) {
        self.outdated = true;
    }

    /// What an event tells of modes.
    pub(super) fn news(&self, event: &AgentEvent) -> Option<News> {
        match event {
            AgentEvent::Mode(mode) => Some(News::Is(*mode)),
            AgentEvent::Reply {
                request_id,
                error,
                code,
            } if self.request() == Some(request_id) => Some(match error {
                None => News::Taken,
                Some(_) => News::Refused {
                    another: code.as_deref() == Some(NOT_LAUNCHED),
                },
            }),
            _ => None,
        }
    }
}

/// What the agent tells of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is in this one.
    Is(PermissionMode),
    /// It took the one that it was told.
    Taken,
    /// It did not take it.
    Refused {
        /// Whether another process would.
        another: bool,
    },
}

/// Keeps what the agent tells, after it was told `request`.
pub(super) fn heard(
    tx: &Tx<'_>,
    (conversation, target): (ConversationId, Target),
    request: Option<&str>,
    news: News,
    now: Millis,
) -> Result<(), StoreError> {
    let chosen = mode::chosen(tx, conversation)?;
    if let News::Is(mode) = news {
        // Of what is on its way to the agent another line tells.
        let settled = chosen
            .as_ref()
            .is_none_or(|chosen| chosen.request.is_none() && !chosen.another);
        if settled && chosen.map(|chosen| chosen.mode) != Some(mode) {
            mode::choose(tx, conversation, &Chosen::known(mode), now)?;
        }
        return Ok(());
    }
    // Only of the newest choice.
    let Some(chosen) = chosen.filter(|c| c.request.is_some() && c.request.as_deref() == request)
    else {
        return Ok(());
    };
    let mode = chosen.mode;
    let text = match news {
        News::Is(_) | News::Taken => {
            return mode::choose(tx, conversation, &Chosen::known(mode), now);
        }
        News::Refused { another: true } => {
            let chosen = Chosen {
                another: true,
                ..Chosen::known(mode)
            };
            mode::choose(tx, conversation, &chosen, now)?;
            said::after_rest(mode)
        }
        News::Refused { another: false } => {
            mode::forget(tx, conversation)?;
            said::refused(mode)
        }
    };
    let note = show::note(text, Vec::new(), None);
    tx.out_show(target, None, Urgency::Message, &note, now)?;
    Ok(())
}

impl Lane {
    /// Tells the process what was chosen, if it was not told yet. True: it was now.
    pub(super) fn tell_mode(&mut self, chosen: Option<Chosen>) -> bool {
        if chosen.as_ref().is_some_and(|chosen| chosen.another)
            && let Some(live) = &mut self.run
        {
            live.mode.outdate();
        }
        let Some((mode, request)) = chosen.and_then(|chosen| Some((chosen.mode, chosen.request?)))
        else {
            return false;
        };
        let hears = |live: &&mut Live| {
            live.ending.is_none() && live.mode.request() != Some(request.as_str())
        };
        let Some(live) = self.run.as_mut().filter(hears) else {
            return false;
        };
        info!(conversation = self.conversation.id.0, run = %live.id, mode = mode.as_str(), "the agent is told another permission mode");
        live.mode.request = Some(request.clone());
        let line = self.deps.backend.mode(&request, mode);
        self.send(&line);
        fail::fail_point!("mode-told");
        true
    }

    /// Whether the process of an earlier daemon was told what was chosen.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn told_before(
        &self,
        live: &Live,
        chosen: Option<&Chosen>,
    ) -> std::io::Result<Told> {
        let mut told = Told::default();
        if let Some((mode, request)) =
            chosen.and_then(|chosen| Some((chosen.mode, chosen.request.as_ref()?)))
        {
            let line = self.deps.backend.mode(request, mode);
            let bare = line.strip_suffix(b"\n").unwrap_or(&line);
            if live
                .followed
                .control
                .input_contains(&|written| written == bare)?
            {
                told.request = Some(request.clone());
            }
        }
        Ok(told)
    }

    /// The mode with which a process is launched. `None`: the store refuses.
    pub(super) async fn launch_mode(&mut self) -> Option<PermissionMode> {
        let (id, now) = (self.conversation.id, self.deps.clock.now());
        let modes = self.deps.config.get().modes.clone();
        let read = self
            .deps
            .store
            .tx(move |tx| {
                let chosen = mode::chosen(tx, id)?;
                let effective = modes.effective(chosen.as_ref().map(|chosen| chosen.mode));
                match chosen {
                    // It is not allowed any more.
                    Some(chosen) if chosen.mode != effective => mode::forget(tx, id)?,
                    // The command line tells it.
                    Some(chosen) if chosen != Chosen::known(effective) => {
                        mode::choose(tx, id, &Chosen::known(effective), now)?;
                    }
                    _ => {}
                }
                Ok(effective)
            })
            .await;
        if let Err(cause) = &read {
            error!(conversation = id.0, %cause, "cannot read the permission mode");
        }
        self.note_failure(read, "cannot read the permission mode")
    }
}
