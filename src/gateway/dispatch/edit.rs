//! Messages that are changed after they were sent.
//!
//! As long as no agent has a message, it counts as it was last. Later the person is told, once for each turn, that the
//! change came too late. What changes nothing that an agent reads (a preview of a link, a reaction) is not noticed, and
//! a message that becomes a command by it is none.

use super::{Desk, prompt, reading};
use crate::{
    core::{
        Millis,
        command::Reading,
        files::plain_name,
        inbound::{Message, Person},
        words,
    },
    gateway::{
        files::{Brought, missing},
        queue::Queue,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{AttachmentRow, PartOf, Slot, TurnState, Urgency, Verdict},
    },
};

/// What a message has become.
struct Edit {
    text: String,
    brought: Brought,
    command: bool,
    age: Millis,
    queue: Queue,
    now: Millis,
}

impl Desk<'_> {
    pub(super) async fn edited(
        &self,
        message: &Message,
        person: &Person,
    ) -> Result<(), StoreError> {
        let (key, id, now) = (self.key(message, person), self.id, self.deps.clock.now());
        let config = self.deps.config.get();
        let edit = Edit {
            text: message.text.clone(),
            brought: Brought::of(
                message,
                person.id,
                &config.features,
                config.files.largest,
                id.0,
            ),
            command: reading(message, &config.bot_name.get()) != Reading::Prompt,
            age: now.saturating_sub(message.date.saturating_mul(1000)).max(0),
            queue: Queue::of(self.deps, &key),
            now,
        };
        let message_id = message.message_id;
        let conversation = self
            .deps
            .store
            .tx(move |tx| {
                let conversation = tx.conversation_open(&key, now)?.id;
                let replaced = match tx.part_of_message(conversation, message_id, now)? {
                    Some(part) => edit.take(tx, &part)?,
                    None => false,
                };
                let verdict = if replaced {
                    Verdict::Prompt
                } else {
                    Verdict::Ignored
                };
                tx.inbox_done(id, verdict, now)?;
                Ok(replaced.then_some(conversation))
            })
            .await?;
        if let Some(conversation) = conversation {
            self.deps.files.bell.notify_one();
            self.lanes.wake(conversation);
        }
        Ok(())
    }
}

impl Edit {
    /// Whether the part is as the message is now.
    fn take(self, tx: &Tx<'_>, part: &PartOf) -> Result<bool, StoreError> {
        let rows = tx.attachments(part.turn)?;
        let rows: Vec<_> = rows.iter().filter(|row| row.inbox == part.inbox).collect();
        let same_files = self.same_files(&rows);
        // The words that go on after a restart stand for the message, and are not it.
        if (self.text == part.text && same_files) || part.text == words::CONTINUE_PROMPT {
            return Ok(false);
        }
        match part.state {
            TurnState::Collecting | TurnState::Held | TurnState::Queued => {}
            TurnState::Discarded => return Ok(false),
            _ => {
                self.say(tx, part, words::EDIT_TOO_LATE.as_str())?;
                return Ok(false);
            }
        }
        if self.command {
            self.say(tx, part, words::EDIT_IS_NO_COMMAND.as_str())?;
            return Ok(false);
        }
        if self.text.trim().is_empty() && self.brought.rows.is_empty() {
            return Ok(false);
        }
        tx.part_edit(part.turn, part.inbox, &self.text)?;
        if !same_files {
            self.replace_files(tx, part)?;
        }
        if part.state == TurnState::Held {
            if prompt::is_asked(tx, part.turn)? {
                prompt::ask(tx, &self.queue, part.turn, self.age, self.now)?;
            } else {
                self.queue.changed(tx, part.turn, self.now)?;
            }
        }
        // Lists show how it begins.
        self.queue.refresh(tx, part.conversation, self.now)?;
        Ok(true)
    }

    /// Ids of files change with each update, so these are compared by what is told of them.
    fn same_files(&self, rows: &[&AttachmentRow]) -> bool {
        let new = &self.brought.rows;
        rows.len() == new.len()
            && rows.iter().zip(new).all(|(old, new)| {
                let size = new.size.is_none() || old.size == new.size;
                old.kind == new.kind
                    && old.mime == new.mime
                    && size
                    && plain_name(&old.name) == plain_name(&new.name)
            })
    }

    /// What was fetched of the old ones stands in no row any more, and is swept.
    fn replace_files(&self, tx: &Tx<'_>, part: &PartOf) -> Result<(), StoreError> {
        tx.attachments_drop(part.turn, part.inbox)?;
        for file in &self.brought.rows {
            tx.attachment_add(part.turn, part.conversation, part.inbox, file, self.now)?;
        }
        if self.brought.lacks_part()
            && let Some(turn) = tx.turn(part.turn)?
        {
            let reply_to = self.queue.reply_to(&turn);
            missing::show(tx, self.queue.target(), part.turn, reply_to, self.now)?;
        }
        if let Some(notice) = self.brought.notice {
            let shown = show::note(notice, Vec::new(), None);
            tx.out_show(
                self.queue.target(),
                None,
                Urgency::Message,
                &shown,
                self.now,
            )?;
        }
        Ok(())
    }

    /// Once for each turn: the same is not said again.
    fn say(&self, tx: &Tx<'_>, part: &PartOf, text: &str) -> Result<(), StoreError> {
        let reply_to = tx
            .turn(part.turn)?
            .and_then(|turn| self.queue.reply_to(&turn));
        let shown = show::note(text, Vec::new(), reply_to);
        let slot = Some(Slot::edited(part.turn));
        tx.out_show(
            self.queue.target(),
            slot,
            Urgency::Message,
            &shown,
            self.now,
        )?;
        Ok(())
    }
}
