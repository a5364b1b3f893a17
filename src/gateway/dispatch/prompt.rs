//! Prompts: a message becomes a turn, or part of one.

use super::{
    super::Deps,
    Desk,
    beside::{Around, Beside},
};
use crate::{
    core::{
        Millis,
        ids::{ConversationId, ConversationKey, InboxId, TurnId},
        inbound::{ChatKind, Message, Person},
        words,
    },
    gateway::{
        files::Brought,
        lane::{Giving, Handed, Lent, window},
        lanes::Lanes,
        queue::Queue,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{NewTurn, Slot, Target, TurnPart, TurnState, Urgency, Verdict},
    },
};

impl Desk<'_> {
    pub(super) async fn prompt(
        &self,
        message: &Message,
        person: &Person,
    ) -> Result<(), StoreError> {
        let id = self.id;
        let files = !message.attachments.is_empty();
        let brought = Brought::of(message, person.id, &self.deps.config.get().features, id.0);
        if message.text.trim().is_empty() && !brought.gives_something() {
            let now = self.deps.clock.now();
            let (target, reply_to) = (Self::target(message), Self::reply_to(message));
            let private = message.place.kind == ChatKind::Private;
            let text = brought
                .notice
                .or(private.then_some(words::NOTHING_TO_PASS_ON));
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
        let mut arriving = Arriving::new(self.deps, self.lanes, self.bot_id, message, person);
        arriving.brought = brought;
        fail::fail_point!("dispatch-before-commit");
        let entered = self.deps.store.tx(move |tx| arriving.enter(tx, id)).await?;
        fail::fail_point!("dispatch-after-commit");
        entered.tell(self.lanes);
        if files {
            self.deps.files.bell.notify_one();
        }
        Ok(())
    }
}

/// A prompt about to become (part of) a turn.
pub(super) struct Arriving {
    key: ConversationKey,
    person: Person,
    message_id: i64,
    text: String,
    beside: Beside,
    target: Target,
    reply_to: Option<i64>,
    brought: Brought,
    age: Millis,
    stale_after: Millis,
    batching: bool,
    uuid: uuid::Uuid,
    queue: Queue,
    now: Millis,
    stop_button: bool,
    // The agent of this conversation, if it waits for a prompt.
    lent: Option<Lent>,
}

/// A prompt that is entered; its lane is to be told after the commit.
pub(super) struct Entered {
    conversation: ConversationId,
    handed: Option<Handed>,
}

impl Entered {
    /// Never waits.
    pub(super) fn tell(self, lanes: &Lanes) {
        match self.handed {
            Some(handed) => handed.tell(),
            None => lanes.wake(self.conversation),
        }
    }
}

impl Arriving {
    /// Of a message with text and without files.
    pub(super) fn new(
        deps: &Deps,
        lanes: &Lanes,
        bot_id: i64,
        message: &Message,
        person: &Person,
    ) -> Self {
        let (config, now) = (deps.config.get(), deps.clock.now());
        let key = super::key(bot_id, message, person);
        let batching = config.window(person.id).is_some();
        Self {
            key,
            person: person.clone(),
            message_id: message.message_id,
            text: message.text.clone(),
            beside: Beside::of(message),
            target: Desk::target(message),
            reply_to: Desk::reply_to(message),
            brought: Brought::default(),
            // The age by two clocks: a server whose clock is wrong must not hold everything, so the future counts as now.
            age: now.saturating_sub(message.date.saturating_mul(1000)).max(0),
            stale_after: config.stale_after,
            batching,
            uuid: deps.dice.uuid(),
            queue: Queue::of(deps, &key),
            now,
            stop_button: config.features.stop_button.is_on(person.id),
            lent: (!batching).then(|| lanes.standing().take(&key)).flatten(),
        }
    }

    /// Makes it a turn, or a part of the one that is being collected, and marks its row in the inbox.
    pub(super) fn enter(mut self, tx: &Tx<'_>, inbox: InboxId) -> Result<Entered, StoreError> {
        let now = self.now;
        tx.person_seen(self.person.id, &self.person.name, now)?;
        let conversation = tx.conversation_open(&self.key, now)?.id;
        let around = Around {
            bot: self.key.bot_id,
            person: self.person.id,
            chat: self.key.chat_id,
        };
        let part = TurnPart {
            inbox,
            message_id: self.message_id,
            text: self.text.clone(),
            received_at: now,
            mark: std::mem::take(&mut self.beside).mark(tx, conversation, around)?,
        };
        if let Some(notice) = self.brought.notice {
            tx.out_show(
                self.target,
                None,
                Urgency::Message,
                &show::note(notice, Vec::new(), self.reply_to),
                now,
            )?;
        }
        let open = tx.turns_open(conversation)?;
        let mut handed = None;
        if self.age > self.stale_after {
            let text = words::late(self.age, &self.text);
            let turn = self.add(tx, conversation, part, TurnState::Held)?;
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
            let turn = self.add(tx, conversation, part, TurnState::Queued)?;
            handed = match self.lent.take() {
                Some(lent) => lent.give(tx, conversation, self.giving())?,
                None => None,
            };
            if !handed.as_ref().is_some_and(|handed| handed.is(turn)) {
                self.queue.entered(tx, conversation, turn, now)?;
            }
        } else if let Some(collecting) = open.iter().find(|t| t.state == TurnState::Collecting) {
            tx.turn_part_add(collecting.id, &part)?;
            self.bring(tx, collecting.id, conversation, inbox)?;
            let reply_to = self.reply_to.and(collecting.message());
            let parts = collecting.parts.len() + 1;
            window::show_collected(tx, self.target, collecting.id, parts, reply_to, now)?;
        } else {
            self.add(tx, conversation, part, TurnState::Collecting)?;
        }
        tx.inbox_done(inbox, Verdict::Prompt, now)?;
        Ok(Entered {
            conversation,
            handed,
        })
    }

    fn giving(&self) -> Giving {
        Giving {
            now: self.now,
            stop_button: self.stop_button,
            urgency: Urgency::Message,
        }
    }

    fn add(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        part: TurnPart,
        state: TurnState,
    ) -> Result<TurnId, StoreError> {
        let inbox = part.inbox;
        let new = NewTurn {
            conversation,
            uuid: Some(self.uuid),
            state,
            parts: vec![part],
            run: None,
        };
        let turn = tx.turn_add(&new, self.now)?;
        // Before anybody looks whether the turn can be given.
        self.bring(tx, turn, conversation, inbox)?;
        Ok(turn)
    }

    fn bring(
        &self,
        tx: &Tx<'_>,
        turn: TurnId,
        conversation: ConversationId,
        inbox: InboxId,
    ) -> Result<(), StoreError> {
        for file in &self.brought.rows {
            tx.attachment_add(turn, conversation, inbox, file, self.now)?;
        }
        Ok(())
    }
}
