//! A message that is no prompt: the words for which somebody was asked when they pressed a button under a question.

use super::Desk;
use crate::{
    core::{
        Millis,
        approval::step::Act,
        ids::{ConversationId, InboxId},
        inbound::{Message, Person},
    },
    gateway::{
        Deps,
        approval::{self, Asker, Boards},
        lane::{Ack, Reply},
    },
    store::{StoreError, Tx},
};

/// What somebody has written that may be such words.
pub(super) struct Speech {
    asker: Asker,
    // By Telegram's clock.
    sent: Millis,
    text: String,
    reply_to: Option<i64>,
    boards: Boards,
}

impl Speech {
    /// `None` for what is never taken for that: files, and what somebody else wrote.
    pub(super) fn of(deps: &Deps, bot_id: i64, message: &Message, person: &Person) -> Option<Self> {
        let own = message.attachments.is_empty() && message.forwarded.is_none();
        (own && !message.text.trim().is_empty()).then(|| Self {
            asker: Asker {
                bot_id,
                target: Desk::target(message),
                person: person.id,
                role: deps.config.get().access.role_of_message(message),
            },
            sent: message.date.saturating_mul(1000),
            text: message.text.clone(),
            reply_to: Desk::reply_to(message),
            boards: Boards::new(deps),
        })
    }

    /// Takes it as the words that a question waits for, if one does, and marks the message's row in the inbox. Returns the
    /// question's conversation, whose lane is to be woken after the commit.
    pub(super) fn heard(
        self,
        tx: &Tx<'_>,
        inbox: InboxId,
    ) -> Result<Option<ConversationId>, StoreError> {
        let found = approval::awaits_words(tx, &self.asker, self.sent)?;
        let Some((question, conversation)) = found else {
            return Ok(None);
        };
        // Not any more, perhaps.
        if !self.boards.may(&self.asker, &conversation.key) {
            return Ok(None);
        }
        let reply = Reply::Message {
            target: self.asker.target,
            reply_to: self.reply_to,
        };
        let ack = Ack::update(inbox, self.asker.person, reply);
        let board = self.boards.of(&conversation.key);
        approval::order(tx, question, Act::Words(self.text), &board, &ack)?;
        Ok(Some(conversation.id))
    }
}
