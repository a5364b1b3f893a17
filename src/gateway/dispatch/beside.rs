//! What stands beside a message, as its agent is to be told of it.

use crate::{
    core::{
        ids::ConversationId,
        inbound::{Message, Replied},
        mark::{Mark, Reply, Who},
    },
    store::{StoreError, Tx, rows::Slot},
};

/// Bot, person and chat of a message.
#[derive(Clone, Copy)]
pub(super) struct Around {
    pub(super) bot: i64,
    pub(super) person: i64,
    pub(super) chat: i64,
}

/// What of a message is known before the database is asked.
#[derive(Default)]
pub(super) struct Beside {
    forwarded: Option<Box<Who>>,
    reply: Option<Box<Replied>>,
    album: Option<String>,
}

impl Beside {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            forwarded: message.forwarded.clone(),
            reply: message.reply.clone(),
            album: message.album.clone(),
        }
    }

    /// As much of the mark as decides what may follow the message.
    pub(super) fn known(&self) -> Mark {
        Mark {
            forwarded: self.forwarded.as_deref().cloned(),
            reply: None,
            album: self.album.clone(),
        }
    }

    pub(super) fn mark(
        self,
        tx: &Tx<'_>,
        conversation: ConversationId,
        around: Around,
    ) -> Result<Mark, StoreError> {
        let forwarded = self
            .forwarded
            .map(|who| who.seen_by(around.bot, around.person));
        let reply = match self.reply {
            // Whoever wrote what was forwarded did not reply to anything here.
            Some(replied) if forwarded.is_none() => reply(tx, conversation, around, *replied)?,
            _ => None,
        };
        Ok(Mark {
            forwarded,
            reply,
            album: self.album,
        })
    }
}

/// What a reply is to, where the agent does not know that anyway: whoever replies to the newest answer goes on talking.
fn reply(
    tx: &Tx<'_>,
    conversation: ConversationId,
    around: Around,
    replied: Replied,
) -> Result<Option<Reply>, StoreError> {
    let who = replied.who.seen_by(around.bot, around.person);
    let mut kind = replied.kind;
    if let (Who::Bot, Some(message)) = (&who, replied.message_id)
        && let Some(row) = tx.out_at(around.chat, message)?
    {
        let answer = row
            .slot
            .filter(|slot| (0..Slot::NOTICE).contains(&slot.number));
        let turn = answer.map(|slot| tx.turn(slot.turn)).transpose()?.flatten();
        match turn {
            None => kind = Some(Reply::NOTICE.to_owned()),
            Some(turn) if turn.conversation != conversation => {
                kind = Some(Reply::ELSEWHERE.to_owned());
            }
            Some(turn) if !replied.chosen && tx.turn_last_given(conversation)? == Some(turn.id) => {
                return Ok(None);
            }
            Some(_) => {}
        }
    }
    let reply = Reply {
        who,
        text: replied.text,
        chosen: replied.chosen,
        kind,
    };
    Ok(Some(reply.shortened()))
}
