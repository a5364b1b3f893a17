//! No room on the disk: what cannot be given to an agent stays in the queue, its person is told, and it is tried again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::error;

use super::{Lane, RETRY, work};
use crate::{
    core::{
        backoff::BackoffRule,
        ids::{RunId, TurnId},
        words,
    },
    gateway::show,
    store::rows::{RunStatus, TurnState, Urgency},
};

/// How long until a launch is tried again for which there was no room; each leaves a row, so ever more rarely.
const ROOM: BackoffRule = BackoffRule {
    base_ms: 2_000,
    factor: 1.5,
    cap_ms: 60_000,
    jitter: 0.0,
    stable_ms: 0,
};

impl Lane {
    /// The disk has no room for a run: the turn that wanted it stays in the queue, and the person is told.
    pub(super) async fn no_room_to_launch(&mut self, run: RunId, cause: String) -> bool {
        let (id, now, target) = (self.conversation.id, self.deps.clock.now(), self.target());
        let private = self.conversation.key.chat_id == self.conversation.key.user_id;
        let exit = work::not_started(cause);
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.run_ended(&run, RunStatus::Failed, Some(&exit), now)?;
                let open = tx.turns_ahead(id, 1)?;
                let Some(turn) = open.iter().find(|t| t.state == TurnState::Queued) else {
                    return Ok(());
                };
                let reply_to = turn.message().filter(|_| !private);
                let shown = show::note(words::DISK_FULL.as_str(), Vec::new(), reply_to);
                work::put(tx, target, turn.id, &[shown], Urgency::Progress, now)
            })
            .await;
        self.note_failure(done, "cannot record a failed launch");
        self.no_room = self.no_room.saturating_add(1);
        let wait = Duration::from_millis(ROOM.delay_ms(self.no_room, 0.0));
        self.retry_at = Some(Instant::now() + wait);
        false
    }

    /// The disk refused the prompt: it goes back into the queue and the person is told.
    pub(super) async fn not_submitted(&mut self, turn: TurnId, reply_to: Option<i64>) -> bool {
        let (fresh, now, target) = (self.deps.dice.uuid(), self.deps.clock.now(), self.target());
        let done = self
            .deps
            .store
            .tx(move |tx| {
                tx.turn_requeued(turn, fresh)?;
                work::put(
                    tx,
                    target,
                    turn,
                    &[show::note(words::DISK_FULL.as_str(), Vec::new(), reply_to)],
                    Urgency::Progress,
                    now,
                )
            })
            .await;
        self.note_failure(done, "cannot put a prompt back into the queue");
        self.retry_at = Some(Instant::now() + RETRY);
        false
    }

    /// What the agent says from here on may be lost, also that it has finished: its person is told, once a turn.
    pub(super) async fn no_room_for_output(&mut self) {
        let Some((live, active)) = self
            .run
            .as_ref()
            .and_then(|live| Some((live, live.active.as_ref()?)))
        else {
            return;
        };
        let (turn, reply_to) = (active.turn, active.reply_to);
        if self.warned == Some(turn) {
            return;
        }
        error!(conversation = self.conversation.id.0, run = %live.id, "the disk has no room for what the agent says");
        let (target, now) = (self.target(), self.deps.clock.now());
        let told = self
            .deps
            .store
            .tx(move |tx| {
                let note = show::note(words::DISK_FULL_ANSWER.as_str(), Vec::new(), reply_to);
                tx.out_show(target, None, Urgency::Message, &note, now)
            })
            .await;
        // Where the store has no room either, it is told when that is said again.
        if told.is_ok() {
            self.warned = Some(turn);
        }
    }
}
