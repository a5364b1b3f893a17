//! Time limits: what passes is told to the watch of the turn that runs, and what is due is done.
//!
//! The rule is [`core::limits`](crate::core::limits). The watch is stored with the turn, so it goes on after a restart;
//! time in which no daemon was there does not count, for nobody was there to hear the agent or to tell its person.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{Ack, Lane, LaneMsg, Live, acknowledge, work};
use crate::{
    core::{
        Millis,
        event::AgentEvent,
        ids::TurnId,
        limits::{Due, Limit, Notice, Over},
        messages,
        turn::Turn,
        words::{self, limits as said, queue::too_late},
    },
    gateway::{queue, show},
    store::{
        StoreError, Tx,
        rows::{Slot, TurnState, Urgency},
    },
};

/// A lane looks at least this often while there is something to count. What passes between two looks counts as at most
/// this: a daemon that stood still has not read what the agent said meanwhile.
const STEP: Duration = Duration::from_secs(10);

/// How much of the time that passes has been counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter(Instant);

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// What has passed since the last look, in whole milliseconds; the rest counts the next time.
    fn take(&mut self, now: Instant) -> Millis {
        let passed = now.saturating_duration_since(self.0);
        let ms = passed.min(STEP).as_millis();
        if passed > STEP {
            self.0 = now;
        } else {
            self.0 += Duration::from_nanos(
                u64::try_from(passed.as_nanos() - passed.as_nanos() % 1_000_000).unwrap_or(0),
            );
        }
        Millis::try_from(ms).unwrap_or(0)
    }
}

/// Whether a process that has given its answer comes to rest. Only of one that tells when it works and when it rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    tells: bool,
    // Since its last word, where it is to rest and does not yet; in milliseconds.
    since: Option<Millis>,
}

impl Rest {
    /// The process said this, and brought the turn that it has to this state.
    pub(super) fn on(&mut self, event: &AgentEvent, turn: Option<&Turn>) {
        self.tells |= matches!(event, AgentEvent::Busy | AgentEvent::Idle);
        let works = turn.is_some_and(|turn| turn.begun() && !turn.finished());
        self.since = match event {
            AgentEvent::Busy | AgentEvent::Idle => None,
            _ if works => None,
            AgentEvent::Result(_) => self.tells.then_some(0),
            _ => self.since.map(|_| 0),
        };
    }

    fn passes(&mut self, ms: Millis) {
        self.since = self.since.map(|since| since.saturating_add(ms));
    }

    /// How much is left of this limit; `None`: nothing is waited for.
    fn left(self, limit: Option<Millis>) -> Option<Millis> {
        Some(limit?.saturating_sub(self.since?).max(0))
    }
}

/// The agent speaks again: nothing says any more that it is silent.
pub(super) fn silence_over(tx: &Tx<'_>, turn: TurnId, now: Millis) -> Result<(), StoreError> {
    let number = Slot::limit(turn, Limit::Silence).number;
    tx.out_retract(turn, number, number + 1, now)
}

/// The turn is over, or the agent does not have it any more, and with that whatever was said of its limits.
pub(in crate::gateway) fn over(tx: &Tx<'_>, turn: TurnId, now: Millis) -> Result<(), StoreError> {
    tx.out_retract(turn, Slot::FIRST_LIMIT, 0, now)
}

impl Lane {
    /// Counts what has passed since the last look. To be called whenever the lane wakes, before it does anything.
    pub(super) fn time_passes(&mut self) {
        let ms = self.counted.take(Instant::now());
        // What the agent said, or is to read, is with us: it can do nothing about that.
        let able = self.retry_at.is_none();
        let able = |live: &&mut Live| able && live.stuck.is_none() && live.unsent.is_empty();
        let Some(live) = self.run.as_mut().filter(able) else {
            return;
        };
        live.rest.passes(ms);
        if let Some(active) = &mut live.active
            && active.questions.is_empty()
        {
            active.machine.watch_mut().passes(ms);
        }
    }

    /// When something is due, or at least to be counted.
    pub(super) fn limit_deadline(&self) -> Option<Instant> {
        let turn = self.next_due().map(|(wait, _)| wait);
        let wait = turn.into_iter().chain(self.rest_left()).min()?;
        Some(self.counted.0 + super::millis(wait).min(STEP))
    }

    /// What is due next of the turn that runs, and in how many milliseconds.
    fn next_due(&self) -> Option<(Millis, Due)> {
        let live = self.run.as_ref().filter(|live| live.ending.is_none())?;
        let active = live.active.as_ref()?;
        // Who asks a person waits, and so does who was told to stop: for that there is another deadline.
        let stands = !active.questions.is_empty() || active.machine.interrupt_requested();
        if stands || self.retry_at.is_some() {
            return None;
        }
        let limits = self.deps.config.get().limits;
        active.machine.watch().next(limits, active.machine.stage())
    }

    fn rest_left(&self) -> Option<Millis> {
        let live = self.run.as_ref().filter(|live| live.ending.is_none())?;
        live.rest.left(self.deps.config.get().limits.after_result)
    }

    /// Does what is due.
    pub(super) async fn limits_due(&mut self) {
        match self.next_due() {
            Some((0, Due::Tell(notice))) => self.tell_limit(notice).await,
            Some((0, Due::End(over))) => self.end_turn(over).await,
            _ => {}
        }
        if self.rest_left() == Some(0) {
            self.end_restless();
        }
    }

    /// The person is told that the end is near, with a button that gives the turn longer.
    async fn tell_limit(&mut self, notice: Notice) {
        let Some(active) = self.run.as_ref().and_then(|live| live.active.as_ref()) else {
            return;
        };
        let (turn, limit) = (active.turn, notice.limit);
        let mut machine = active.machine.clone();
        machine.watch_mut().told(limit);
        let Some(json) = work::to_json(&machine) else {
            return;
        };
        let button = notice.longer_by.map(|_| {
            let data = format!("g:{turn}:{}", limit.letter());
            vec![words::button(said::GIVE_LONGER.as_str(), data)]
        });
        let buttons = button.into_iter().collect();
        let shown = show::note(said::near(&notice), buttons, active.reply_to);
        let (target, now) = (self.target(), self.deps.clock.now());
        let slot = Some(Slot::limit(turn, limit));
        let told = self
            .deps
            .store
            .tx(move |tx| {
                tx.turn_machine(turn, &json)?;
                // A new message: an edit would be noticed by nobody.
                tx.out_show(target, slot, Urgency::Message, &shown, now)
            })
            .await;
        if self
            .note_failure(told, "cannot tell that a limit is near")
            .is_some()
        {
            self.keep(turn, machine);
        }
    }

    /// The turn, or its agent's silence, took too long: it ends as by an interrupt. What it wrote stays.
    async fn end_turn(&mut self, over: Over) {
        let Some(live) = &self.run else { return };
        warn!(event = messages::LIMIT_REACHED, conversation = self.conversation.id.0, run = %live.id, limit = ?over.limit, after_ms = over.after_ms, "a turn took longer than it may and is stopped");
        self.interrupt_as(|machine| machine.interrupt_over(over))
            .await;
        if over.limit == Limit::AfterResult {
            // All that it had to say is there; there is nothing to interrupt.
            self.make_end();
        }
    }

    /// The process gave its answer and hangs: it is ended before somebody waits for it. A prompt that it was given
    /// meanwhile and never looked at goes to the next one.
    fn end_restless(&mut self) {
        let Some(live) = &mut self.run else { return };
        warn!(event = messages::LIMIT_REACHED, conversation = self.conversation.id.0, run = %live.id, limit = ?Limit::AfterResult, "an agent does not come to rest after its answer and is ended");
        live.rest = Rest::default();
        if live.active.is_some() {
            self.make_end();
        } else {
            self.escalate();
        }
    }

    /// A person gives the turn longer.
    pub(super) async fn give_longer(&mut self, turn: TurnId, limit: Option<Limit>, ack: Ack) {
        let turn = self.answering(turn);
        let active = self.run.as_ref().and_then(|live| live.active.as_ref());
        let given = active
            .filter(|active| active.turn == turn && !active.machine.interrupt_requested())
            .and_then(|active| {
                let of = |limit| {
                    let by = self.deps.config.get().limits.of(limit)?;
                    let mut machine = active.machine.clone();
                    let json =
                        (machine.watch_mut().longer(limit)).then(|| work::to_json(&machine))??;
                    let shown = show::note(said::given(by), Vec::new(), active.reply_to);
                    Some((machine, json, shown, by, limit))
                };
                let near = || active.machine.watch().near(active.machine.stage());
                of(limit.or_else(near)?)
            });
        let (target, now) = (self.target(), self.deps.clock.now());
        let (again, told) = (ack.clone(), given.clone());
        let done = self
            .deps
            .store
            .tx(move |tx| {
                let text = match told {
                    Some((_, json, shown, by, limit)) => {
                        tx.turn_machine(turn, &json)?;
                        let slot = Some(Slot::limit(turn, limit));
                        tx.out_show(target, slot, Urgency::Message, &shown, now)?;
                        said::given(by)
                    }
                    None => match tx.turn(turn)?.map(|row| row.state) {
                        Some(state) if state != TurnState::Submitted => {
                            too_late(said::GIVE_LONGER.as_str(), queue::since(state))
                        }
                        _ if limit.is_none() => said::NOTHING_NEAR.to_owned(),
                        _ => said::GIVEN_ALREADY.to_owned(),
                    },
                };
                acknowledge(tx, &ack, "longer", &format!("turn {turn}"), &text, now)
            })
            .await;
        if self
            .note_failure(done, "cannot record that a turn is given longer")
            .is_none()
        {
            let ack = again;
            self.redo.push(LaneMsg::Longer { turn, limit, ack });
        } else if let Some((machine, ..)) = given {
            self.keep(turn, machine);
        }
    }

    /// The state of the turn that runs is from now on this one.
    fn keep(&mut self, turn: TurnId, machine: Turn) {
        let active = self.run.as_mut().and_then(|live| live.active.as_mut());
        if let Some(active) = active.filter(|active| active.turn == turn) {
            active.machine = machine;
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::core::event::{PromptState, TurnResult};

    #[test]
    fn time_adds_up_and_a_standstill_counts_little() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        let (mut now, mut counted) = (begun, 0);
        for micros in [1, 999, 1500, 2_000_700, 300, 0] {
            now += Duration::from_micros(micros);
            counted += meter.take(now);
        }
        assert_eq!(counted, 2003);
        now += Duration::from_secs(3600);
        assert_eq!(meter.take(now), 10_000);
        assert_eq!(meter.take(now), 0);
        assert_eq!(meter.take(begun), 0, "never backwards");
    }

    #[test]
    fn rest_is_waited_for_after_a_result_alone() {
        let prompt = Uuid::from_u128(7);
        let mut turn = Turn::new(Some(prompt));
        let mut rest = Rest::default();
        let mut say = |event: AgentEvent| {
            turn.on(&event);
            rest.on(&event, Some(&turn));
            rest.passes(10);
            rest.left(Some(100))
        };
        let state = |state| AgentEvent::Prompt {
            uuid: prompt,
            state,
        };
        assert_eq!(say(AgentEvent::Busy), None);
        assert_eq!(say(state(PromptState::Started)), None);
        let result = AgentEvent::Result(TurnResult {
            subtype: "success".to_owned(),
            prompts: vec![prompt],
            ..TurnResult::default()
        });
        assert_eq!(say(result.clone()), Some(90));
        assert_eq!(say(state(PromptState::Completed)), Some(90), "a word more");
        assert_eq!(say(AgentEvent::Idle), None);
        assert_eq!(say(AgentEvent::Ignored), None);

        // The next prompt is taken up without a rest between.
        rest.on(&result, None);
        assert_eq!(rest.left(Some(100)), Some(100));
        assert_eq!(rest.left(None), None, "no limit");
        let mut next = Turn::new(Some(prompt));
        rest.on(&AgentEvent::Ignored, Some(&next));
        assert_eq!(rest.left(Some(100)), Some(100), "not taken up yet");
        next.on(&state(PromptState::Started));
        rest.on(&state(PromptState::Started), Some(&next));
        assert_eq!(rest.left(Some(100)), None);

        // One that never tells is left alone.
        let mut silent = Rest::default();
        silent.on(&result, None);
        assert_eq!(silent.left(Some(100)), None);
    }
}
