//! Prompts: a message becomes a turn, or part of one.

use super::{
    super::Deps,
    Desk,
    beside::{Around, Beside},
    speech::Speech,
};
use crate::{
    core::{
        Millis,
        batching::{Held, WindowRule},
        ids::{ConversationId, ConversationKey, InboxId, TurnId},
        inbound::{ChatKind, Message, Person},
        pace::{Flow, Pace, Standing},
        words::{self, queue as queue_words},
    },
    gateway::{
        files::{Brought, missing},
        lane::{Giving, Handed, Lent, window},
        lanes::Lanes,
        queue::Queue,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{NewTurn, Slot, Target, TurnPart, TurnState, Urgency, Verdict, Wanted},
    },
};

/// How long somebody who wrote too much has to be silent before what they write runs again, in milliseconds.
const CALM: Millis = 10_000;

impl Desk<'_> {
    pub(super) async fn prompt(
        &self,
        message: &Message,
        person: &Person,
    ) -> Result<(), StoreError> {
        let id = self.id;
        let files = !message.attachments.is_empty();
        let config = self.deps.config.get();
        let largest = config.files.largest;
        let brought = Brought::of(message, person.id, &config.features, largest, id.0);
        if message.text.trim().is_empty() && !brought.gives_something() {
            let now = self.deps.clock.now();
            let (target, reply_to) = (Self::target(message), Self::reply_to(message));
            let private = message.place.kind == ChatKind::Private;
            let text = brought
                .notice
                .or(private.then_some(words::NOTHING_TO_PASS_ON.as_str()));
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
    sent_at: Millis,
    pace: Option<Pace>,
    window: WindowRule,
    uuid: uuid::Uuid,
    queue: Queue,
    now: Millis,
    stop_button: bool,
    // Taken for words that a question waits for, where one does.
    speech: Option<Speech>,
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
        let (window, beside) = (config.window(person.id), Beside::of(message));
        let passes = window.passes(&Held::of(now, &message.text, &beside.known()));
        Self {
            key,
            person: person.clone(),
            message_id: message.message_id,
            text: message.text.clone(),
            beside,
            target: Desk::target(message),
            reply_to: Desk::reply_to(message),
            brought: Brought::default(),
            // The age by two clocks: a server whose clock is wrong must not hold everything, so the future counts as now.
            age: now.saturating_sub(message.date.saturating_mul(1000)).max(0),
            stale_after: config.stale_after,
            // As Telegram says, so that what was sent while nobody was there is no flood; but never later than now.
            sent_at: message.date.saturating_mul(1000).min(now),
            pace: config.messages,
            window,
            uuid: deps.dice.uuid(),
            queue: Queue::of(deps, &key),
            now,
            stop_button: config.features.stop_button.is_on(person.id),
            speech: Speech::of(deps, bot_id, message, person),
            lent: passes.then(|| lanes.standing().take(&key)).flatten(),
        }
    }

    /// Makes it a turn, or a part of the one that is being collected, and marks its row in the inbox.
    pub(super) fn enter(mut self, tx: &Tx<'_>, inbox: InboxId) -> Result<Entered, StoreError> {
        let now = self.now;
        tx.person_seen(self.person.id, &self.person.name, now)?;
        if let Some(speech) = self.speech.take()
            && let Some(conversation) = speech.heard(tx, inbox)?
        {
            return Ok(Entered {
                conversation,
                handed: None,
            });
        }
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
        let handed = if let Some((turn, state)) = self.rest_of_album(tx, conversation, &part)? {
            self.join(tx, conversation, turn, state, part)?;
            None
        } else if let Flow::Kept { first } = self.flow(tx, conversation)? {
            self.keep(tx, conversation, part, first)?;
            None
        } else if self.age > self.stale_after {
            self.hold(tx, conversation, part)?;
            None
        } else {
            self.line_up(tx, conversation, part)?
        };
        tx.inbox_done(inbox, Verdict::Prompt, now)?;
        Ok(Entered {
            conversation,
            handed,
        })
    }

    /// The turn that has the other parts of an album, if it can still take one.
    fn rest_of_album(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        part: &TurnPart,
    ) -> Result<Option<(TurnId, TurnState)>, StoreError> {
        let Some(album) = &part.mark.album else {
            return Ok(None);
        };
        let Some((turn, state)) = tx.turn_of_album(conversation, album)? else {
            return Ok(None);
        };
        let fits = tx.collected(turn)?.is_some_and(|there| {
            let (parts, bytes) = (there.parts, there.bytes);
            self.window.fits(parts, bytes, part.text.len(), true)
        });
        Ok(fits.then_some((turn, state)))
    }

    /// Whether this person's messages come too fast. What one conversation keeps is no matter of the person's others, and
    /// once they have decided about all of it, it keeps no more.
    fn flow(&self, tx: &Tx<'_>, conversation: ConversationId) -> Result<Flow, StoreError> {
        let Some(pace) = self.pace else {
            return Ok(Flow::On);
        };
        let (ahead, keeps) = (
            format!("prompt:{}", self.person.id),
            format!("kept:{}:{}", self.person.id, conversation.0),
        );
        let keeps_until = match tx.pace(&keeps)? {
            Some(until) if tx.turn_held(conversation)?.is_some() => Some(until),
            _ => None,
        };
        let standing = Standing {
            ahead: tx.pace(&ahead)?,
            keeps_until,
        };
        let (flow, next) = pace.flow(standing, self.sent_at, CALM);
        for (scope, until) in [(ahead, next.ahead), (keeps, next.keeps_until)] {
            if let Some(until) = until {
                tx.pace_set(&scope, until, self.now)?;
            }
        }
        Ok(flow)
    }

    /// Makes it a turn that is kept until its person says so; or a part of one, where it goes on with that. They are told once,
    /// however many there are.
    fn keep(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        part: TurnPart,
        first: bool,
    ) -> Result<(), StoreError> {
        if !first && let Some(held) = self.goes_on_with_held(tx, conversation, &part, false)? {
            return self.join(tx, conversation, held, TurnState::Held, part);
        }
        self.add(tx, conversation, part, TurnState::Held)?;
        if first {
            let note = show::note(queue_words::TOO_FAST.as_str(), Vec::new(), self.reply_to);
            tx.out_show(self.target, None, Urgency::Message, &note, self.now)?;
        }
        self.queue.refresh_list(tx, conversation, self.now)
    }

    /// The newest turn that is held, where this goes on with it and it has room. `asked`: whether its person was asked about it,
    /// as it is old, or it came too fast.
    fn goes_on_with_held(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        part: &TurnPart,
        asked: bool,
    ) -> Result<Option<TurnId>, StoreError> {
        let Some(turn) = tx.turn_held(conversation)? else {
            return Ok(None);
        };
        let Some(held) = tx.collected(turn)? else {
            return Ok(None);
        };
        let goes_on = held.last.held().goes_on_with(&part.held())
            && self
                .window
                .fits(held.parts, held.bytes, part.text.len(), false)
            && is_asked(tx, held.turn)? == asked;
        Ok(goes_on.then_some(held.turn))
    }

    /// Makes it a turn that its person is asked about, for it is old; or a part of one, where it goes on with that.
    fn hold(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        part: TurnPart,
    ) -> Result<(), StoreError> {
        if let Some(held) = self.goes_on_with_held(tx, conversation, &part, true)? {
            return self.join(tx, conversation, held, TurnState::Held, part);
        }
        let turn = self.add(tx, conversation, part, TurnState::Held)?;
        ask(tx, &self.queue, turn, self.age, self.now)?;
        self.queue.refresh_list(tx, conversation, self.now)
    }

    /// Makes it a part of the turn that is being collected, or a turn, which the agent is given if it waits for one.
    fn line_up(
        &mut self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        part: TurnPart,
    ) -> Result<Option<Handed>, StoreError> {
        if let Some(collected) = tx.turn_collected(conversation)? {
            let takes = self.window.takes(&collected.last.held(), &part.held())
                && self
                    .window
                    .fits(collected.parts, collected.bytes, part.text.len(), false);
            if takes {
                self.join(
                    tx,
                    conversation,
                    collected.turn,
                    TurnState::Collecting,
                    part,
                )?;
                return Ok(None);
            }
            // Full, or another thing: what comes now is the next turn's.
            if let Some(turn) = tx.turn(collected.turn)? {
                window::close(tx, &self.queue, &turn, self.now)?;
            }
        }
        if !self.window.passes(&part.held()) {
            self.add(tx, conversation, part, TurnState::Collecting)?;
            return Ok(None);
        }
        let turn = self.add(tx, conversation, part, TurnState::Queued)?;
        let handed = match self.lent.take() {
            Some(lent) => lent.give(tx, conversation, self.giving())?,
            None => None,
        };
        if !handed.as_ref().is_some_and(|handed| handed.is(turn)) {
            self.queue.arrives(tx, conversation, turn, self.now)?;
        }
        Ok(handed)
    }

    /// Makes it a part of a turn that no agent has yet.
    fn join(
        &self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        turn: TurnId,
        state: TurnState,
        part: TurnPart,
    ) -> Result<(), StoreError> {
        tx.turn_part_add(turn, &part)?;
        self.bring(tx, turn, conversation, part.inbox)?;
        if state == TurnState::Held && is_asked(tx, turn)? {
            return ask(tx, &self.queue, turn, self.age, self.now);
        }
        if state == TurnState::Collecting
            && !self.window.is_apart()
            && let Some(there) = tx.collected(turn)?
        {
            let reply_to = self.reply_to.and(there.first);
            window::show_collected(tx, self.target, turn, there.messages, reply_to, self.now)?;
        }
        Ok(())
    }

    fn giving(&self) -> Giving {
        Giving {
            now: self.now,
            stop_button: self.stop_button,
            drafts: self.queue.drafts(),
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
        if self.brought.lacks_part() {
            missing::show(tx, self.target, turn, self.reply_to, self.now)?;
        }
        Ok(())
    }
}

/// Whether a turn that is held has a question of its own, for it is old. (One that is kept after a stop stands in a list, and
/// one that an agent was given is asked about for that.)
pub(super) fn is_asked(tx: &Tx<'_>, turn: TurnId) -> Result<bool, StoreError> {
    let row = tx.out_slot(Slot::first(turn))?;
    let asked = row.is_some_and(|row| matches!(row.wanted, Wanted::Show(_)));
    Ok(asked && !crate::gateway::queue::newer::perhaps_taken(tx, turn)?)
}

/// Asks whether a turn of this age that is held is to be run, or asks it as it is now.
pub(super) fn ask(
    tx: &Tx<'_>,
    queue: &Queue,
    turn: TurnId,
    age: Millis,
    now: Millis,
) -> Result<(), StoreError> {
    let (Some(row), Some(there)) = (tx.turn(turn)?, tx.collected(turn)?) else {
        return Ok(());
    };
    let texts = row.parts.iter().map(|part| part.text.as_str());
    let text = texts.into_iter().find(|text| !text.trim().is_empty());
    let text = words::late(age, there.messages, text.unwrap_or_default());
    let buttons = vec![vec![
        words::button(words::RUN.as_str(), format!("r:{turn}")),
        words::button(words::DISCARD.as_str(), format!("d:{turn}")),
    ]];
    let shown = show::note(text, buttons, queue.reply_to(&row));
    let slot = Some(Slot::first(turn));
    tx.out_show(queue.target(), slot, Urgency::Message, &shown, now)?;
    Ok(())
}
