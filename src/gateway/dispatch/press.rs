//! Presses of buttons. What a button carries comes from outside: it is checked against the store, each time.

use std::sync::Arc;

use tracing::{info, warn};
use uuid::Uuid;

use super::Desk;
use crate::{
    core::{
        Millis,
        ids::{InboxId, TurnId},
        inbound::Press,
        limits::Limit,
        mark::Mark,
        messages,
        pairing::Code,
        policy::{self, Denied, Role},
        text::{Formatted, Shown, units},
        words,
    },
    gateway::{
        admin::{self, Admin},
        gate::Gate,
        lane::{self, Ack, Decision, LaneMsg, Reply, window},
        show,
    },
    store::{
        StoreError, Tx,
        rows::{
            Conversation, NewTurn, Slot, Target, TurnEnd, TurnPart, TurnRow, TurnState, Urgency,
            Verdict, Wanted,
        },
    },
};

/// What a button of ours asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Stop(TurnId),
    Run(TurnId),
    Discard(TurnId),
    SendNow(TurnId),
    Continue(TurnId),
    Leave(TurnId),
    Longer(TurnId, Limit),
    Decide(i64, Decision),
}

/// Whether it is about a question that was asked before an order of an administrator's: the question's number, and yes.
fn confirmation(data: &str) -> Option<(Uuid, bool)> {
    let (nonce, answer) = data.strip_prefix("a:")?.split_once(':')?;
    let yes = match answer {
        "y" => true,
        "n" => false,
        _ => return None,
    };
    Some((Uuid::try_parse(nonce).ok()?, yes))
}

/// Whether it is about somebody who asks to be let in: the code, and yes.
fn pairing(data: &str) -> Option<(Code, bool)> {
    let (code, answer) = data.strip_prefix("p:")?.split_once(':')?;
    let yes = match answer {
        "y" => true,
        "n" => false,
        _ => return None,
    };
    Some((Code::parse(code)?, yes))
}

fn wish(data: &str) -> Option<Wish> {
    let (kind, rest) = data.split_once(':')?;
    if kind == "q" {
        let (row, decision) = rest.split_once(':')?;
        let decision = match decision {
            "y" => Decision::Once,
            "a" => Decision::Session,
            "n" => Decision::Deny,
            _ => return None,
        };
        return Some(Wish::Decide(row.parse().ok()?, decision));
    }
    if kind == "g" {
        let (turn, limit) = rest.split_once(':')?;
        let turn = TurnId(turn.parse().ok()?);
        return Some(Wish::Longer(turn, Limit::of_letter(limit)?));
    }
    let turn = TurnId(rest.parse().ok()?);
    Some(match kind {
        "s" => Wish::Stop(turn),
        "r" => Wish::Run(turn),
        "d" => Wish::Discard(turn),
        "n" => Wish::SendNow(turn),
        "c" => Wish::Continue(turn),
        "l" => Wish::Leave(turn),
        _ => return None,
    })
}

/// What the data of a button means, in words of the code: exactly what a press with it would be taken for. `None` for what
/// no button of ours carries.
#[must_use]
pub fn meaning(data: &str) -> Option<String> {
    if let Some(question) = confirmation(data) {
        return Some(format!("confirmation {question:?}"));
    }
    if let Some(request) = pairing(data) {
        return Some(format!("pairing {request:?}"));
    }
    wish(data).map(|wish| format!("{wish:?}"))
}

/// What a press is about, as the store knows it.
struct Subject {
    conversation: Conversation,
    turn: TurnRow,
}

/// Acts on a press.
pub(super) async fn take(desk: &Desk<'_>, press: &Press) -> Result<(), StoreError> {
    let config = desk.deps.config.get();
    let role = config.access.role_of_press(press);
    if policy::may_prompt(role).is_err() {
        // Not answered: the button of a stranger keeps turning until Telegram gives up on it. Nothing is revealed.
        info!(
            event = messages::STRANGER_REFUSED,
            update = desk.id.0,
            person = press.from.id,
            "refused: not a known person"
        );
        return desk.done(Verdict::Refused).await;
    }
    let reply = Reply::Press {
        callback_id: press.callback_id.clone(),
    };
    let ack = Ack::update(desk.id, press.from.id, reply);
    if let (Some((nonce, yes)), Some(place)) = (confirmation(&press.data), press.place) {
        if role < Role::Admin {
            return answer(desk, ack, "press-refused", words::NOT_YOURS).await;
        }
        let message = press.message_id.map(|id| (place.chat_id, id));
        let admin = Admin::new(Arc::clone(desk.deps), desk.lanes.clone());
        return admin::answered(admin.pressed(ack, nonce, yes, message).await);
    }
    if let Some((code, yes)) = pairing(&press.data) {
        if role < Role::Admin {
            return answer(desk, ack, "press-refused", words::NOT_YOURS).await;
        }
        let admin = Admin::new(Arc::clone(desk.deps), desk.lanes.clone());
        return admin::answered(if yes {
            admin.accept(ack, code.as_str()).await
        } else {
            admin.reject(ack, code.as_str()).await
        });
    }
    let (Some(wish), Some(place)) = (wish(&press.data), press.place) else {
        warn!(
            update = desk.id.0,
            person = press.from.id,
            "a press that carries nothing of ours"
        );
        return answer(desk, ack, "press", words::OLD_BUTTON).await;
    };
    let wanted = wish.clone();
    let found = desk
        .deps
        .store
        .tx(move |tx| {
            let turn = match wanted {
                Wish::Decide(row, _) => tx.question(row)?.map(|q| q.turn),
                Wish::Stop(t)
                | Wish::Run(t)
                | Wish::Discard(t)
                | Wish::SendNow(t)
                | Wish::Continue(t)
                | Wish::Leave(t)
                | Wish::Longer(t, _) => Some(t),
            };
            let Some(turn) = turn.map(|t| tx.turn(t)).transpose()?.flatten() else {
                return Ok(None);
            };
            Ok(tx
                .conversation(turn.conversation)?
                .map(|conversation| Subject { conversation, turn }))
        })
        .await?;
    // A button that stands in another chat than its turn was never ours.
    let Some(subject) = found.filter(|s| {
        s.conversation.key.chat_id == place.chat_id && s.conversation.key.bot_id == desk.bot_id
    }) else {
        warn!(
            update = desk.id.0,
            person = press.from.id,
            chat = place.chat_id,
            "a press about something that is not in that chat"
        );
        return answer(desk, ack, "press", words::OLD_BUTTON).await;
    };
    let owner = subject.conversation.key.user_id;
    let allowed: Result<(), Denied> = match &wish {
        Wish::Decide(..) => policy::may_approve(role, press.from.id, owner, config.approvers),
        _ => policy::may_press(role, press.from.id, owner),
    };
    if let Err(why) = allowed {
        info!(update = desk.id.0, person = press.from.id, %why, "a press was refused");
        return answer(desk, ack, "press-refused", words::NOT_YOURS).await;
    }
    let conversation = subject.conversation.id;
    match wish {
        Wish::Stop(turn) => {
            desk.lanes
                .send(conversation, LaneMsg::Interrupt { ack, turn })
                .await;
            return Ok(());
        }
        Wish::Longer(turn, limit) => {
            desk.lanes
                .send(conversation, LaneMsg::Longer { turn, limit, ack })
                .await;
            return Ok(());
        }
        Wish::Decide(question, decision) => {
            desk.lanes
                .send(
                    conversation,
                    LaneMsg::Decide {
                        question,
                        decision,
                        ack,
                    },
                )
                .await;
            return Ok(());
        }
        Wish::Run(_) => change(desk, ack, subject, "run", words::RUN, run_held).await?,
        Wish::Discard(_) => change(desk, ack, subject, "discard", words::DISCARD, discard).await?,
        Wish::SendNow(_) => change(desk, ack, subject, "send-now", words::SENT, send_now).await?,
        Wish::Continue(_) => change(desk, ack, subject, "continue", words::CONTINUE, go_on).await?,
        Wish::Leave(_) => change(desk, ack, subject, "leave", words::LEAVE_IT, leave).await?,
    }
    desk.lanes.wake(conversation);
    Ok(())
}

async fn answer(
    desk: &Desk<'_>,
    ack: Ack,
    action: &'static str,
    text: &'static str,
) -> Result<(), StoreError> {
    let now = desk.deps.clock.now();
    desk.deps
        .store
        .tx(move |tx| lane::acknowledge(tx, &ack, action, "", text, now))
        .await
}

/// What a change may need that is new.
struct New {
    uuid: Uuid,
    inbox: InboxId,
    gate: Gate,
    now: Millis,
}

/// What a button changes; false if it is not of use any more.
type Changing = fn(&Tx<'_>, &Subject, &New) -> Result<bool, StoreError>;

async fn change(
    desk: &Desk<'_>,
    ack: Ack,
    subject: Subject,
    action: &'static str,
    text: &'static str,
    f: Changing,
) -> Result<(), StoreError> {
    let new = New {
        uuid: desk.deps.dice.uuid(),
        inbox: desk.id,
        gate: desk.deps.gate.clone(),
        now: desk.deps.clock.now(),
    };
    desk.deps
        .store
        .tx(move |tx| {
            let done = f(tx, &subject, &new)?;
            let on = format!("turn {}", subject.turn.id);
            let text = if done { text } else { words::OLD_BUTTON };
            lane::acknowledge(tx, &ack, action, &on, text, new.now)
        })
        .await
}

/// Whether the turn of a button is still in the state that the button is for.
fn still(tx: &Tx<'_>, subject: &Subject, state: TurnState) -> Result<bool, StoreError> {
    Ok(tx.turn(subject.turn.id)?.is_some_and(|t| t.state == state))
}

fn run_held(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    if !still(tx, subject, TurnState::Held)? {
        return Ok(false);
    }
    let turn = &subject.turn;
    tx.turn_state(turn.id, TurnState::Queued, new.now)?;
    let open = tx.turns_open(turn.conversation)?;
    let reply_to = reply_to(subject);
    lane::placeholder(
        tx,
        &new.gate,
        target(subject),
        turn.id,
        &open,
        reply_to,
        new.now,
    )?;
    Ok(true)
}

fn discard(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    let turn = subject.turn.id;
    let shown = show::note(words::DISCARDED, Vec::new(), reply_to(subject));
    if still(tx, subject, TurnState::Collecting)? {
        end(tx, turn, TurnState::Discarded, new.now)?;
        let slot = Some(Slot::collecting(turn));
        tx.out_show(target(subject), slot, Urgency::Message, &shown, new.now)?;
        return Ok(true);
    }
    if !still(tx, subject, TurnState::Held)? {
        return Ok(false);
    }
    end(tx, turn, TurnState::Discarded, new.now)?;
    lane::put(
        tx,
        target(subject),
        turn,
        &[shown],
        Urgency::Message,
        new.now,
    )?;
    Ok(true)
}

fn send_now(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    // As it is now: parts may have come since the look.
    let Some(turn) = tx
        .turn(subject.turn.id)?
        .filter(|t| t.state == TurnState::Collecting)
    else {
        return Ok(false);
    };
    let reply_to = reply_to(subject);
    window::close(tx, &new.gate, target(subject), &turn, reply_to, new.now)?;
    Ok(true)
}

fn go_on(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    if !still(tx, subject, TurnState::Asked)? {
        return Ok(false);
    }
    let turn = &subject.turn;
    end(tx, turn.id, TurnState::Interrupted, new.now)?;
    close_asked(tx, subject, words::CONTINUED, new.now)?;
    let part = TurnPart {
        inbox: new.inbox,
        message_id: turn.message().unwrap_or(TurnPart::NO_MESSAGE),
        text: words::CONTINUE_PROMPT.to_owned(),
        received_at: new.now,
        mark: Mark::default(),
    };
    let next = NewTurn {
        conversation: turn.conversation,
        uuid: Some(new.uuid),
        state: TurnState::Queued,
        parts: vec![part],
        run: None,
    };
    let next = tx.turn_add(&next, new.now)?;
    let open = tx.turns_open(turn.conversation)?;
    lane::placeholder(
        tx,
        &new.gate,
        target(subject),
        next,
        &open,
        reply_to(subject),
        new.now,
    )?;
    Ok(true)
}

fn leave(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    if !still(tx, subject, TurnState::Asked)? {
        return Ok(false);
    }
    end(tx, subject.turn.id, TurnState::Interrupted, new.now)?;
    close_asked(tx, subject, words::LEFT, new.now)?;
    Ok(true)
}

fn end(tx: &Tx<'_>, turn: TurnId, state: TurnState, now: Millis) -> Result<(), StoreError> {
    let end = TurnEnd {
        state,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, now)
}

/// The last message of the interrupted answer loses its buttons; its question becomes a statement.
fn close_asked(tx: &Tx<'_>, subject: &Subject, line: &str, now: Millis) -> Result<(), StoreError> {
    let turn = subject.turn.id;
    for number in 0..Slot::NOTICE {
        let slot = Slot { turn, number };
        let Some(row) = tx.out_slot(slot)? else { break };
        let Wanted::Show(shown) = row.wanted else {
            break;
        };
        if shown.buttons.is_empty() {
            continue;
        }
        let mut body = shown.body;
        // The question is the last line; what stands before it, looks included, stays as it is.
        if let Some(at) = body.text.rfind("\n\n") {
            let kept = units(&body.text[..at]);
            body.text.truncate(at);
            body.spans.retain(|s| s.offset + s.length <= kept);
            body.text.push_str("\n\n");
        } else {
            body = Formatted::default();
        }
        body.text.push_str(line);
        tx.out_show(
            target(subject),
            Some(slot),
            Urgency::Message,
            &Shown {
                body,
                buttons: Vec::new(),
                reply_to: shown.reply_to,
            },
            now,
        )?;
    }
    Ok(())
}

fn target(subject: &Subject) -> Target {
    Target {
        chat_id: subject.conversation.key.chat_id,
        thread_id: subject.conversation.key.thread_id,
    }
}

fn reply_to(subject: &Subject) -> Option<i64> {
    let key = &subject.conversation.key;
    subject
        .turn
        .message()
        .filter(|_| key.chat_id != key.user_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_button_carries_is_read_strictly() {
        assert_eq!(wish("s:12"), Some(Wish::Stop(TurnId(12))));
        assert_eq!(wish("q:3:a"), Some(Wish::Decide(3, Decision::Session)));
        assert_eq!(
            wish("g:12:s"),
            Some(Wish::Longer(TurnId(12), Limit::Silence))
        );
        for foreign in [
            "",
            "s",
            "s:",
            "s:x",
            "s:1:2",
            "g:3",
            "g:3:",
            "g:3:ts",
            "g:3:z",
            "q:3",
            "q:3:z",
            "q::y",
            "z:1",
            "s:99999999999999999999",
            "q:1:y:n",
        ] {
            assert_eq!(wish(foreign), None, "{foreign}");
        }
        assert_eq!(
            pairing("p:BCDFGHJK:n"),
            Some((Code::parse("BCDFGHJK").unwrap(), false))
        );
        for foreign in ["p:", "p:BCDFGHJK", "p:BCDFGHJK:x", "p:BCD:y", "p::y"] {
            assert_eq!(pairing(foreign), None, "{foreign}");
        }
        let nonce = Uuid::from_u128(7);
        assert_eq!(confirmation(&format!("a:{nonce}:y")), Some((nonce, true)));
        assert_eq!(confirmation(&format!("a:{nonce}:n")), Some((nonce, false)));
        for foreign in [
            "a:",
            "a:7:y",
            "a::y",
            &format!("a:{nonce}"),
            &format!("b:{nonce}:y"),
        ] {
            assert_eq!(confirmation(foreign), None, "{foreign}");
        }
    }
}
