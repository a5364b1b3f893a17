//! The clock of a running answer: how long it takes, said with whatever else is shown of it, and alone where nothing is.
//!
//! The rule is [`core::clock`](crate::core::clock). A turn counts from when it was given to its agent, which its row tells,
//! so a daemon that starts anew goes on from there. One that was given into another's answer counts from the end of that one, or,
//! after a start, from when it was given.

use tokio::time::Instant;

use super::{Active, Lane, draft::Face, millis};
use crate::{
    core::{
        Millis,
        clock::{ClockRule, Stir},
        text::Shown,
        turn::View,
    },
    gateway::show,
    store::{
        StoreError, Tx,
        rows::{OutState, Slot, Target, Urgency},
    },
};

/// How a running turn is shown.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    rule: ClockRule,
    /// Whether its person wants to see what the agent thinks.
    pub(super) thinking: bool,
}

impl Manner {
    /// What is shown of it now, with the time that it has taken so far.
    pub(super) fn view(self, active: &Active, now: Millis) -> View {
        let elapsed = self.rule.elapsed_s(active.since, now);
        let view = active.machine.view_after(elapsed);
        View {
            thoughts: view.thoughts.filter(|_| self.thinking),
            ..view
        }
    }
}

/// The message that holds the status line, with a new time.
struct Tick {
    target: Target,
    slot: Slot,
    shown: Shown,
    every: Millis,
    now: Millis,
}

impl Tick {
    /// Enters it, if nothing else goes on in its chat; tells in how many milliseconds the next is to be tried.
    fn enter(&self, tx: &Tx<'_>) -> Result<Millis, StoreError> {
        let chat = self.target.chat_id;
        let since = self.now.saturating_sub(self.every);
        let stir = Stir {
            held_until: tx.chat_limit(chat)?,
            ..tx.out_stir(chat, since)?
        };
        if let Err(wait) = ClockRule::admit(self.every, stir, self.now) {
            return Ok(wait);
        }
        // What was not shown, or was refused, is not for a clock to try.
        let there = tx
            .out_slot(self.slot)?
            .is_some_and(|row| row.state == OutState::Done && row.message_id.is_some());
        if there {
            let slot = Some(self.slot);
            tx.out_show(self.target, slot, Urgency::Progress, &self.shown, self.now)?;
        }
        Ok(ClockRule::after_one(self.every))
    }
}

impl Lane {
    /// How often the clock goes in this chat; `None`: never.
    fn clock_every(&self) -> Option<Millis> {
        let key = &self.conversation.key;
        let rule = self.deps.config.get().clock;
        rule.every(key.chat_id != key.user_id)
    }

    /// How running turns are shown to this person.
    pub(super) fn manner(&self) -> Manner {
        let (config, person) = (self.deps.config.get(), self.conversation.key.user_id);
        Manner {
            rule: config.clock,
            thinking: config.features.show_thinking.is_on(person),
        }
    }

    /// Whether the clock of the running turn is to go on now: while a person is waited for it is not.
    fn clock_goes(&self, active: &Active) -> bool {
        self.retry_at.is_none()
            && active.questions.is_empty()
            && !active.machine.interrupt_requested()
            && !active.machine.finished()
    }

    /// Plans the next look, where none is planned. To be called before the lane waits.
    pub(super) fn plan_clock(&mut self) {
        let every = self.clock_every();
        let next = every.map(|every| Instant::now() + millis(every));
        if let Some(active) = self.run.as_mut().and_then(|live| live.active.as_mut()) {
            active.tick = active.tick.or(next);
        }
    }

    /// When the clock of the running turn is to go on.
    pub(super) fn clock_deadline(&self) -> Option<Instant> {
        let active = self.run.as_ref()?.active.as_ref()?;
        active.tick.filter(|_| self.clock_goes(active))
    }

    /// Says anew how long the turn takes, where its chat is still.
    pub(super) async fn clock_due(&mut self) {
        let Some(mut active) = self.run.as_ref().and_then(|live| live.active.clone()) else {
            return;
        };
        active.tick = None;
        if let Some(every) = self.clock_every() {
            let now = self.deps.clock.now();
            let view = self.manner().view(&active, now);
            let wait = match active.face {
                // Drafts give way to all else by themselves.
                Face::Draft(_) => {
                    self.sketch(&view);
                    every
                }
                Face::Messages => self.tick(&active, &view, every, now).await,
            };
            active.tick = Some(Instant::now() + millis(wait));
        }
        if let Some(live) = &mut self.run {
            live.active = Some(active);
        }
    }

    async fn tick(&mut self, active: &Active, view: &View, every: Millis, now: Millis) -> Millis {
        let (renderer, stop) = (self.deps.renderer.as_ref(), self.stoppable(active.turn));
        let mut messages = show::running(renderer, view, stop, active.reply_to);
        let number = i64::try_from(messages.len()).unwrap_or(0) - 1;
        let Some(shown) = messages.pop() else {
            return every;
        };
        let tick = Tick {
            target: self.target(),
            slot: Slot {
                turn: active.turn,
                number,
            },
            shown,
            every,
            now,
        };
        let entered = self.deps.store.tx(move |tx| tick.enter(tx)).await;
        // Nothing is lost by one that could not be entered: the next is tried as if it had been.
        entered.unwrap_or_else(|cause| {
            tracing::debug!(%cause, "the time that a turn takes is not shown anew");
            every
        })
    }
}
