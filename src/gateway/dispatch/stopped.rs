//! The stop button of a draft. It comes from outside and says little: which chat, which draft. Who pressed is whose
//! private chat it is; what the draft is of is looked up.

use tracing::info;

use super::Desk;
use crate::{
    core::{
        ids::TurnId,
        inbound::{ChatKind, Stopped},
        messages, policy,
        policy::Role,
    },
    gateway::lane::{Ack, LaneMsg, Reply},
    store::{StoreError, rows::Verdict},
};

/// Acts on a press of the stop button of a draft.
pub(super) async fn take(desk: &Desk<'_>, stopped: &Stopped) -> Result<(), StoreError> {
    let Stopped { place, draft_id } = *stopped;
    let person = place.chat_id;
    // Only a private chat tells who it was, and only there are drafts.
    let role = match place.kind {
        ChatKind::Private => desk.deps.config.get().access.role_of_id(person),
        _ => Role::Nobody,
    };
    if policy::may_prompt(role).is_err() {
        info!(
            event = messages::STRANGER_REFUSED,
            update = desk.id.0,
            chat = person,
            "refused: not a known person"
        );
        return desk.done(Verdict::Refused).await;
    }
    let (turn, bot_id) = (TurnId(draft_id), desk.bot_id);
    let found = desk
        .deps
        .store
        .tx(move |tx| {
            let Some(turn) = tx.turn(turn)? else {
                return Ok(None);
            };
            tx.conversation(turn.conversation)
        })
        .await?;
    let ours = found.filter(|conversation| {
        let key = conversation.key;
        (key.bot_id, key.chat_id, key.user_id, key.thread_id)
            == (bot_id, person, person, place.thread_id)
    });
    let Some(conversation) = ours else {
        // There is nobody to answer: the button is gone with the draft.
        info!(
            update = desk.id.0,
            chat = person,
            draft = draft_id,
            "a stop of a draft that is not of that chat"
        );
        return desk.done(Verdict::Ignored).await;
    };
    let ack = Ack::update(desk.id, person, Reply::Silence);
    desk.lanes
        .send(conversation.id, LaneMsg::Interrupt { ack, turn })
        .await;
    Ok(())
}
