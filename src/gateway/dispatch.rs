//! From an update in the inbox to what it asks for: policy, commands, prompts.
//!
//! One task takes the updates in order. Whatever an update brings about is committed in one transaction with
//! the mark that its row is done, so that a crash repeats it whole or not at all.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::{
    Deps,
    lane::{self, Ack, LaneMsg, Reply},
    lanes::Lanes,
    press, show,
};
use crate::{
    core::{
        Millis,
        command::{self, Command, Reading},
        ids::{ConversationId, ConversationKey, InboxId, TurnId},
        inbound::{ChatKind, Inbound, Message, Person},
        policy::{self, Role},
        turn::Turn,
        words,
    },
    store::{
        StoreError, Tx,
        rows::{NewTurn, Slot, Target, TurnPart, TurnState, Urgency, Verdict},
    },
};

/// Files beyond this are not given to bots by Telegram's own servers, in bytes.
const LARGEST_FILE: u64 = 20 * 1024 * 1024;

/// Waits before an update is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often the store may refuse one update for another reason than want of space.
const MOST_REFUSALS: u32 = 5;

/// An update on its way to the dispatcher.
pub(super) struct Arrival {
    pub(super) id: InboxId,
    pub(super) bot_id: i64,
    pub(super) inbound: Inbound,
}

/// Takes updates until the daemon stops. What is still queued then is in the inbox and comes again.
pub(super) async fn run(deps: Arc<Deps>, lanes: Lanes, mut arrivals: mpsc::Receiver<Arrival>) {
    loop {
        let arrival = tokio::select! {
            biased;
            () = deps.shutdown.cancelled() => return,
            arrival = arrivals.recv() => arrival,
        };
        let Some(arrival) = arrival else { return };
        let desk = Desk {
            deps: &deps,
            lanes: &lanes,
            id: arrival.id,
            bot_id: arrival.bot_id,
        };
        if desk.insist(&arrival.inbound).await.is_break() {
            return;
        }
    }
}

/// One update at the desk.
pub(super) struct Desk<'a> {
    pub(super) deps: &'a Arc<Deps>,
    pub(super) lanes: &'a Lanes,
    pub(super) id: InboxId,
    pub(super) bot_id: i64,
}

impl Desk<'_> {
    /// Takes an update, whatever the disk does: later ones wait until the store has taken this one. Only what the
    /// store refuses for a reason that waiting does not mend is passed over, until the next start. Breaks when the
    /// daemon stops.
    async fn insist(&self, inbound: &Inbound) -> ControlFlow<()> {
        let mut wait = FIRST_WAIT;
        let mut refused = 0;
        while let Err(cause) = self.take(inbound).await {
            if matches!(cause, StoreError::Closed) {
                return ControlFlow::Break(());
            }
            if !matches!(cause, StoreError::Full) {
                refused += 1;
            }
            if refused == MOST_REFUSALS {
                error!(update = self.id.0, %cause, "cannot act on an update; it stays in the inbox until the next start");
                return ControlFlow::Continue(());
            }
            error!(update = self.id.0, %cause, "cannot act on an update; it is tried again");
            tokio::select! {
                () = self.deps.shutdown.cancelled() => return ControlFlow::Break(()),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        ControlFlow::Continue(())
    }

    async fn take(&self, inbound: &Inbound) -> Result<(), StoreError> {
        match inbound {
            Inbound::Message(message) => self.message(message).await,
            Inbound::Press(press) => press::take(self, press).await,
            Inbound::Migrated { from, to } => {
                let (id, now, from, to) = (self.id, self.deps.clock.now(), *from, *to);
                info!(from, to, "a group has moved to another chat id");
                self.deps
                    .store
                    .tx(move |tx| {
                        tx.chat_migrated(from, to)?;
                        tx.inbox_done(id, Verdict::Command, now)
                    })
                    .await
            }
            Inbound::Other(kind) => {
                debug!(
                    update = self.id.0,
                    kind, "an update that asks nothing of us"
                );
                self.done(Verdict::Ignored).await
            }
            Inbound::Unreadable(why) => {
                warn!(
                    update = self.id.0,
                    why, "an update could not be read; it is kept in the inbox"
                );
                self.done(Verdict::Unreadable).await
            }
        }
    }

    pub(super) async fn done(&self, verdict: Verdict) -> Result<(), StoreError> {
        let (id, now) = (self.id, self.deps.clock.now());
        self.deps
            .store
            .tx(move |tx| tx.inbox_done(id, verdict, now))
            .await
    }

    async fn message(&self, message: &Message) -> Result<(), StoreError> {
        let access = &self.deps.config.access;
        let role = access.role_of_message(message);
        let Some(person) = message
            .from
            .as_ref()
            .filter(|_| policy::may_prompt(role).is_ok())
        else {
            // Nothing is run, nothing is revealed: not even that somebody is here.
            info!(
                update = self.id.0,
                person = message.from.as_ref().map(|p| p.id),
                chat = message.place.chat_id,
                "refused: not a known person"
            );
            return self.done(Verdict::Refused).await;
        };
        if message.edited {
            return self.edited(message, person).await;
        }
        match command::read(&message.text, &self.deps.config.bot_name.get()) {
            Reading::NotOurs => self.done(Verdict::Ignored).await,
            Reading::Command {
                command: Command::Unknown(_),
                addressed: false,
                ..
            } if message.place.kind != ChatKind::Private => {
                // Another bot's, most likely.
                self.done(Verdict::Ignored).await
            }
            Reading::Command { command, .. } => self.command(message, person, role, &command).await,
            Reading::Prompt => self.prompt(message, person).await,
        }
    }

    fn key(&self, message: &Message, person: &Person) -> ConversationKey {
        ConversationKey {
            bot_id: self.bot_id,
            chat_id: message.place.chat_id,
            thread_id: message.place.thread_id,
            user_id: person.id,
        }
    }

    async fn edited(&self, message: &Message, person: &Person) -> Result<(), StoreError> {
        let (key, id, now) = (self.key(message, person), self.id, self.deps.clock.now());
        let (message_id, text) = (message.message_id, message.text.clone());
        self.deps
            .store
            .tx(move |tx| {
                let conversation = tx.conversation_open(&key, now)?;
                // Only what has not been given to the agent can still be changed.
                let replaced = tx.turn_part_replace(conversation.id, message_id, &text)?;
                tx.inbox_done(
                    id,
                    if replaced {
                        Verdict::Prompt
                    } else {
                        Verdict::Ignored
                    },
                    now,
                )
            })
            .await
    }

    async fn command(
        &self,
        message: &Message,
        person: &Person,
        role: Role,
        command: &Command,
    ) -> Result<(), StoreError> {
        let private = message.place.kind == ChatKind::Private;
        let target = Target {
            chat_id: message.place.chat_id,
            thread_id: message.place.thread_id,
        };
        let ack = Ack {
            inbox: self.id,
            reply: Reply::Message {
                target,
                reply_to: (!private).then_some(message.message_id),
            },
            who: person.id,
        };
        let conversation = self.conversation(message, person).await?;
        // A command never waits in the window, and what was collected so far goes its way.
        self.lanes.nudge(conversation, LaneMsg::CloseWindow);
        if policy::may_run(role, command).is_err() {
            return self
                .answer(ack, command.name(), words::NOT_YOURS.to_owned())
                .await;
        }
        match command {
            Command::Start => self.answer(ack, "start", words::GREETING.to_owned()).await,
            Command::Help => {
                self.answer(ack, "help", words::help(command::commands_for(role)))
                    .await
            }
            Command::Unknown(name) => {
                let text = words::unknown_command(name, command::nearest(name, role));
                self.answer(ack, "unknown", text).await
            }
            Command::Status => {
                let text = self.status(conversation).await?;
                self.answer(ack, "status", text).await
            }
            Command::Interrupt => self.interrupt(conversation, ack).await,
            Command::Clear => self.clear(conversation, ack).await,
        }
    }

    /// Which turn is meant is settled here, where updates are in order: one that a later message begins is not.
    async fn interrupt(&self, conversation: ConversationId, ack: Ack) -> Result<(), StoreError> {
        let (now, nothing) = (self.deps.clock.now(), ack.clone());
        let running = self
            .deps
            .store
            .tx(move |tx| {
                let open = tx.turns_open(conversation)?;
                let running = open
                    .iter()
                    .find(|t| t.state == TurnState::Submitted)
                    .map(|t| t.id);
                if running.is_none() {
                    lane::acknowledge(tx, &nothing, "interrupt", "", words::NOTHING_RUNS, now)?;
                }
                Ok(running)
            })
            .await?;
        if let Some(turn) = running {
            self.lanes
                .send(conversation, LaneMsg::Interrupt { ack, turn })
                .await;
        }
        Ok(())
    }

    /// The session is forgotten here, before any later message is looked at. The lane, and after a crash the next
    /// one, sees that its process holds another session than the current one and ends what it does.
    async fn clear(&self, conversation: ConversationId, ack: Ack) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        self.deps
            .store
            .tx(move |tx| {
                let running = tx
                    .turns_open(conversation)?
                    .iter()
                    .any(|t| t.state == TurnState::Submitted);
                tx.session_forget(conversation)?;
                let text = if running {
                    words::CLEARED_RUNNING
                } else {
                    words::CLEARED
                };
                lane::acknowledge(
                    tx,
                    &ack,
                    "clear",
                    &format!("conversation {conversation}"),
                    text,
                    now,
                )
            })
            .await?;
        self.lanes.send(conversation, LaneMsg::Woken).await;
        Ok(())
    }

    async fn conversation(
        &self,
        message: &Message,
        person: &Person,
    ) -> Result<ConversationId, StoreError> {
        let (key, now, person) = (
            self.key(message, person),
            self.deps.clock.now(),
            person.clone(),
        );
        self.deps
            .store
            .tx(move |tx| {
                tx.person_seen(person.id, &person.name, now)?;
                Ok(tx.conversation_open(&key, now)?.id)
            })
            .await
    }

    async fn answer(&self, ack: Ack, action: &str, text: String) -> Result<(), StoreError> {
        let (now, action) = (self.deps.clock.now(), action.to_owned());
        self.deps
            .store
            .tx(move |tx| lane::acknowledge(tx, &ack, &action, "", &text, now))
            .await
    }

    async fn status(&self, conversation: ConversationId) -> Result<String, StoreError> {
        let now = self.deps.clock.now();
        let up = now.saturating_sub(self.deps.started_at);
        self.deps
            .store
            .tx(move |tx| {
                let open = tx.turns_open(conversation)?;
                let running = open.iter().find(|t| t.state == TurnState::Submitted);
                Ok(words::status(&words::Status {
                    running: running.map(|turn| {
                        let machine: Option<Turn> = turn
                            .machine
                            .as_deref()
                            .and_then(|json| serde_json::from_str(json).ok());
                        let what = machine.and_then(|m| m.view().status).unwrap_or_default();
                        (what, now.saturating_sub(turn.submitted_at.unwrap_or(now)))
                    }),
                    waiting: open
                        .iter()
                        .filter(|t| matches!(t.state, TurnState::Queued | TurnState::Collecting))
                        .count(),
                    last: tx
                        .turn_last_over(conversation)?
                        .map(|turn| (turn.duration_ms, turn.cost_usd)),
                    session: tx.session_current(conversation)?.map(|s| {
                        (
                            s.session_id.to_string().chars().take(8).collect(),
                            s.metadata.total_cost_usd,
                            s.metadata.model,
                        )
                    }),
                    up,
                }))
            })
            .await
    }

    async fn prompt(&self, message: &Message, person: &Person) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        let private = message.place.kind == ChatKind::Private;
        let target = Target {
            chat_id: message.place.chat_id,
            thread_id: message.place.thread_id,
        };
        let reply_to = (!private).then_some(message.message_id);
        let id = self.id;
        let notice = notice_about_files(message);
        if message.text.trim().is_empty() {
            let text = notice.or(private.then_some(words::NOTHING_TO_PASS_ON));
            return self
                .deps
                .store
                .tx(move |tx| {
                    if let Some(text) = text {
                        tx.out_show(
                            target,
                            None,
                            Urgency::Message,
                            &show::note(text, Vec::new(), reply_to),
                            now,
                        )?;
                    }
                    tx.inbox_done(id, Verdict::Ignored, now)
                })
                .await;
        }
        let arriving = Arriving {
            key: self.key(message, person),
            person: person.clone(),
            part: TurnPart {
                inbox: id,
                message_id: message.message_id,
                text: message.text.clone(),
                received_at: now,
            },
            target,
            reply_to,
            notice,
            // The age by two clocks: a server whose clock is wrong must not hold everything, so the future counts as now.
            age: now.saturating_sub(message.date.saturating_mul(1000)).max(0),
            stale_after: self.deps.config.stale_after,
            batching: self.deps.config.batching.is_some(),
            uuid: self.deps.dice.uuid(),
            now,
        };
        fail::fail_point!("dispatch-before-commit");
        let conversation = self.deps.store.tx(move |tx| arriving.enter(tx)).await?;
        fail::fail_point!("dispatch-after-commit");
        self.lanes.send(conversation, LaneMsg::Woken).await;
        Ok(())
    }
}

/// A prompt about to become (part of) a turn.
struct Arriving {
    key: ConversationKey,
    person: Person,
    part: TurnPart,
    target: Target,
    reply_to: Option<i64>,
    notice: Option<&'static str>,
    age: Millis,
    stale_after: Millis,
    batching: bool,
    uuid: uuid::Uuid,
    now: Millis,
}

impl Arriving {
    fn enter(self, tx: &Tx<'_>) -> Result<ConversationId, StoreError> {
        let now = self.now;
        tx.person_seen(self.person.id, &self.person.name, now)?;
        let conversation = tx.conversation_open(&self.key, now)?.id;
        if let Some(notice) = self.notice {
            tx.out_show(
                self.target,
                None,
                Urgency::Message,
                &show::note(notice, Vec::new(), self.reply_to),
                now,
            )?;
        }
        let open = tx.turns_open(conversation)?;
        let inbox = self.part.inbox;
        if self.age > self.stale_after {
            let text = words::late(self.age, &self.part.text);
            let turn = self.add(tx, conversation, TurnState::Held)?;
            let buttons = vec![vec![
                words::button(words::RUN, format!("r:{turn}")),
                words::button(words::DISCARD, format!("d:{turn}")),
            ]];
            let shown = show::note(text, buttons, self.reply_to);
            tx.out_show(
                self.target,
                Some(Slot { turn, number: 0 }),
                Urgency::Message,
                &shown,
                now,
            )?;
        } else if !self.batching {
            let before = open
                .iter()
                .filter(|t| matches!(t.state, TurnState::Queued | TurnState::Submitted))
                .count();
            let turn = self.add(tx, conversation, TurnState::Queued)?;
            lane::placeholder(tx, self.target, turn, before, self.reply_to, now)?;
        } else if let Some(collecting) = open.iter().find(|t| t.state == TurnState::Collecting) {
            tx.turn_part_add(collecting.id, &self.part)?;
        } else {
            self.add(tx, conversation, TurnState::Collecting)?;
        }
        tx.inbox_done(inbox, Verdict::Prompt, now)?;
        Ok(conversation)
    }

    fn add(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        state: TurnState,
    ) -> Result<TurnId, StoreError> {
        let new = NewTurn {
            conversation,
            uuid: Some(self.uuid),
            state,
            parts: vec![self.part.clone()],
            run: None,
        };
        tx.turn_add(&new, self.now)
    }
}

fn notice_about_files(message: &Message) -> Option<&'static str> {
    if message.attachments.is_empty() {
        return None;
    }
    if message
        .attachments
        .iter()
        .any(|a| a.size.is_some_and(|size| size > LARGEST_FILE))
    {
        return Some(words::FILE_TOO_LARGE);
    }
    Some(if message.text.trim().is_empty() {
        words::NO_FILES_YET
    } else {
        words::TEXT_ONLY
    })
}
