//! A prompt of an administrator's in somebody's conversation.

use super::{Act, Admin, AdminError, Deed, Outcome};
use crate::{
    core::{
        Millis,
        ids::{ConversationId, TurnId},
        mark::Mark,
        policy::Role,
        prompt, words,
    },
    gateway::{
        lane::{Ack, window},
        queue::Queue,
        show,
    },
    store::{
        StoreError, Tx,
        rows::{Conversation, NewTurn, TurnPart, TurnState, Urgency},
    },
};

impl Admin {
    /// Gives a conversation a prompt of the administrator's, behind those that it has. Whoever is in that chat is shown
    /// it, and its answer. Returns the number of the turn.
    ///
    /// Who hears nothing of the call, because the daemon ended, cannot know whether it was taken: it is whole or not at
    /// all.
    ///
    /// # Errors
    /// The text cannot be taken; no such conversation; its person is not allowed any more; the store's.
    pub async fn send(
        &self,
        by: impl Into<Ack>,
        conversation: ConversationId,
        text: String,
    ) -> Result<TurnId, AdminError> {
        let ack = by.into();
        let config = self.deps.config.get();
        let checked = prompt::check(&text, &config.bot_name.get());
        let (deps, uuid) = (std::sync::Arc::clone(&self.deps), self.deps.dice.uuid());
        let turn = self
            .act(&ack, "send", move |tx, now| {
                let mut on = format!("conversation {conversation}");
                let found = tx.conversation(conversation)?;
                let done = match (checked, found) {
                    (Err(why), _) => Err(why.into()),
                    (Ok(()), None) => Err(AdminError::NoSuchConversation(conversation)),
                    (Ok(()), Some(found))
                        if config.access.role_of_id(found.key.user_id) == Role::Nobody =>
                    {
                        Err(AdminError::NobodyThere(conversation))
                    }
                    (Ok(()), Some(found)) => {
                        let queue = Queue::of(&deps, &found.key);
                        let turn = enter(tx, &found, &queue, uuid, text, now)?;
                        on = format!("{on}, turn {turn}");
                        Ok(Deed::new(turn, Outcome::Done, ""))
                    }
                };
                Ok(Act { on, done })
            })
            .await?;
        self.lanes.wake(conversation);
        Ok(turn)
    }
}

/// Makes it a turn, behind all that was written before it, and shows it.
fn enter(
    tx: &Tx<'_>,
    conversation: &Conversation,
    queue: &Queue,
    uuid: uuid::Uuid,
    text: String,
    now: Millis,
) -> Result<TurnId, StoreError> {
    // What is being collected was written before, and goes before.
    let open = tx.turns_open(conversation.id)?;
    if let Some(collecting) = open.iter().find(|turn| turn.state == TurnState::Collecting) {
        window::close(tx, queue, collecting, now)?;
    }
    for shown in show::announced(words::admin::ASKS.as_str(), &text) {
        tx.out_show(queue.target(), None, Urgency::Message, &shown, now)?;
    }
    let new = NewTurn {
        conversation: conversation.id,
        uuid: Some(uuid),
        state: TurnState::Queued,
        parts: vec![TurnPart {
            inbox: TurnPart::NO_UPDATE,
            message_id: TurnPart::NO_MESSAGE,
            text,
            received_at: now,
            mark: Mark::default(),
        }],
        run: None,
    };
    let turn = tx.turn_add(&new, now)?;
    queue.entered(tx, conversation.id, turn, now)?;
    Ok(turn)
}
