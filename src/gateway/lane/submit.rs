//! From the queue to the agent's input: recorded first, then written.

use std::sync::Arc;

use tracing::error;
use uuid::Uuid;

use super::{
    Active, Lane,
    draft::{self, Face},
    rules::Handed,
    work,
};
use crate::{
    core::{
        Millis,
        ids::{RunId, TurnId},
        policy::Role,
        turn::Turn,
    },
    gateway::{files, gate::Gate, mode, ports::Renderer, queue::Queue, show},
    store::{
        StoreError, Tx,
        rows::{AttachmentRow, AttachmentState, Session, Target, TurnRow, TurnState, Urgency},
    },
};

/// A process that waits for a prompt.
pub(super) struct Ready {
    run: RunId,
    session: Uuid,
    renderer: Arc<dyn Renderer>,
    target: Target,
    private: bool,
    gate: Gate,
    queue: Queue,
    // The newest choice of a permission mode that it was told.
    told: Option<String>,
    handed: Handed,
}

/// How a prompt is given.
#[derive(Clone, Copy)]
pub(in crate::gateway) struct Giving {
    /// When.
    pub(in crate::gateway) now: Millis,
    /// Whether its answer has a button that stops it.
    pub(in crate::gateway) stop_button: bool,
    /// Whether its answer is a draft while it is written, if it has no message yet.
    pub(in crate::gateway) drafts: bool,
    /// Of its first message.
    pub(in crate::gateway) urgency: Urgency,
}

/// A turn that is recorded as given to the process, and whose prompt is to be written.
pub(super) struct Given {
    turn: TurnRow,
    uuid: Uuid,
    machine: Turn,
    reply_to: Option<i64>,
    files: Vec<AttachmentRow>,
    draft: bool,
    at: Millis,
}

impl Given {
    pub(super) fn turn(&self) -> TurnId {
        self.turn.id
    }

    /// One that the agent is given while it works.
    pub(super) fn beside(
        turn: TurnRow,
        uuid: Uuid,
        machine: Turn,
        reply_to: Option<i64>,
        files: Vec<AttachmentRow>,
        at: Millis,
    ) -> Self {
        Self {
            turn,
            uuid,
            machine,
            reply_to,
            files,
            draft: false,
            at,
        }
    }

    /// Turn, uuid, machine, the message that it answers, files.
    pub(super) fn into_parts(self) -> (TurnRow, Uuid, Turn, Option<i64>, Vec<AttachmentRow>) {
        (
            self.turn,
            self.uuid,
            self.machine,
            self.reply_to,
            self.files,
        )
    }
}

impl Ready {
    /// Records the next turn as given to this process, if there is one and the process holds the current session.
    pub(super) fn give(
        &self,
        tx: &Tx<'_>,
        open: &[TurnRow],
        session: Option<&Session>,
        giving: Giving,
    ) -> Result<Option<Given>, StoreError> {
        let Some(session) = session.filter(|s| s.session_id == self.session) else {
            return Ok(None);
        };
        // It may have been laid out before a reload.
        if self.handed.outdated() {
            return Ok(None);
        }
        if self.gate.closed() || open.iter().any(|turn| turn.state == TurnState::Submitted) {
            return Ok(None);
        }
        let next = open.iter().find(|turn| turn.state == TurnState::Queued);
        let Some((turn, uuid)) = next.and_then(|turn| Some((turn, turn.uuid?))) else {
            return Ok(None);
        };
        // What was chosen before a message holds for it; its lane tells the agent.
        let chosen = mode::chosen(tx, turn.conversation)?;
        if chosen.is_some_and(|chosen| !chosen.lets_begin(self.told.as_deref())) {
            return Ok(None);
        }
        let files = tx.attachments(turn.id)?;
        // Whoever fetches them has this lane look again.
        if files
            .iter()
            .any(|file| file.state == AttachmentState::Wanted)
        {
            return Ok(None);
        }
        let machine = Turn::new(Some(uuid));
        let json = work::to_json(&machine)
            .ok_or_else(|| StoreError::Other("a turn's state cannot be written".to_owned()))?;
        tx.turn_submitted(turn.id, &self.run, uuid, &json, giving.now)?;
        let mut metadata = session.metadata.clone();
        metadata.begun = true;
        tx.session_metadata(self.session, &metadata)?;
        tx.session_used(self.session, giving.now)?;
        let reply_to = turn.message().filter(|_| !self.private);
        if giving.drafts && turn.attempts == 0 {
            // What said that it waits goes: the answer comes as a new message, below what came meanwhile.
            draft::release(tx, turn.id, giving.now)?;
        }
        let draft = giving.drafts && draft::is_free(tx, turn.id)?;
        // One that is run again says so until its answer begins.
        if turn.attempts == 0 && !draft {
            let view = machine.view();
            let shown = show::running(
                self.renderer.as_ref(),
                &view,
                giving.stop_button.then_some(turn.id),
                reply_to,
            );
            work::put(tx, self.target, turn.id, &shown, giving.urgency, giving.now)?;
        }
        self.queue
            .given(tx, turn.conversation, turn.id, giving.now)?;
        Ok(Some(Given {
            turn: turn.clone(),
            uuid,
            machine,
            reply_to,
            files,
            draft,
            at: giving.now,
        }))
    }
}

impl Lane {
    /// Whether the person of this conversation is not allowed any more.
    pub(super) fn revoked(&self) -> bool {
        let person = self.conversation.key.user_id;
        self.deps.config.get().access.role_of_id(person) == Role::Nobody
    }

    /// How what waits here is shown.
    pub(super) fn queue(&self) -> Queue {
        Queue::of(&self.deps, &self.conversation.key)
    }

    /// Whether this person's running answers have a button that stops them.
    fn stop_button(&self) -> bool {
        let person = self.conversation.key.user_id;
        self.deps.config.get().features.stop_button.is_on(person)
    }

    /// The turn, for its button, where there is to be one.
    pub(super) fn stoppable(&self, turn: TurnId) -> Option<TurnId> {
        self.stop_button().then_some(turn)
    }

    /// How a turn of the queue is given now: it has its first message already.
    pub(super) fn giving(&self) -> Giving {
        Giving {
            now: self.deps.clock.now(),
            stop_button: self.stop_button(),
            drafts: self.drafts(),
            urgency: Urgency::Progress,
        }
    }

    /// The process, if it can be given a prompt now.
    pub(super) fn ready(&self) -> Option<Ready> {
        let live = self.run.as_ref()?;
        let waits = live.active.is_none() && live.ending.is_none() && live.stuck.is_none();
        // Lines that come before a prompt are before it.
        let waits = waits && live.unsent.is_empty() && !live.outdated();
        if !waits || self.unsettled.is_some() || self.comeback.is_some() || self.revoked() {
            return None;
        }
        let key = &self.conversation.key;
        Some(Ready {
            run: live.id.clone(),
            session: live.session,
            renderer: Arc::clone(&self.deps.renderer),
            target: self.target(),
            private: key.chat_id == key.user_id,
            gate: self.deps.gate.clone(),
            queue: self.queue(),
            told: live.mode.request().map(str::to_owned),
            handed: live.handed.clone(),
        })
    }

    /// The input line of a turn's prompt.
    pub(super) async fn prompt_line(
        &self,
        uuid: Uuid,
        turn: &TurnRow,
        files: Vec<AttachmentRow>,
    ) -> Vec<u8> {
        let backend = &self.deps.backend;
        if files.is_empty() {
            return backend.prompt(uuid, &files::prompt::plain(turn), &[]);
        }
        let (places, conversation, copy) = (
            self.deps.files.places.clone(),
            self.conversation.clone(),
            turn.clone(),
        );
        // Reads images.
        let composed = tokio::task::spawn_blocking(move || {
            files::prompt::compose(&places, &conversation, &copy, &files)
        })
        .await;
        match composed {
            Ok((text, images)) => backend.prompt(uuid, &text, &images),
            Err(cause) => {
                error!(%cause, "cannot tell the agent of files");
                backend.prompt(uuid, &files::prompt::plain(turn), &[])
            }
        }
    }

    /// Writes the prompt of a turn that is recorded as given. False: the disk refused it.
    pub(super) async fn write_prompt(&mut self, given: Given) -> bool {
        fail::fail_point!("lane-submitted");
        let Given {
            turn,
            uuid,
            machine,
            reply_to,
            files,
            draft,
            at,
        } = given;
        let line = self.prompt_line(uuid, &turn, files).await;
        let Some(live) = &self.run else { return false };
        if !self.append(live, &line) {
            let backend = &self.deps.backend;
            let control = &live.followed.control;
            match control.input_contains(&|line| backend.is_prompt(line, uuid)) {
                // It is in after all; only what came behind it failed.
                Ok(true) => {}
                Ok(false) => return self.not_submitted(turn.id, reply_to).await,
                Err(cause) => {
                    // Whether the agent has it cannot be told as long as it lives. It did not begin, so the end of
                    // its process puts the turn back into the queue.
                    error!(run = %live.id, %cause, "cannot read the agent's input; the run is ended");
                    self.make_end();
                }
            }
        }
        fail::fail_point!("lane-appended");
        self.deps.slots.busy(self.conversation.id);
        if let Some(live) = &mut self.run {
            let face = Face::of(draft);
            live.active = Some(Active {
                unheard: Some(turn.created_at),
                ..Active::begun(turn.id, machine, reply_to, face, at)
            });
        }
        self.begin_draft().await;
        self.type_on();
        true
    }
}
