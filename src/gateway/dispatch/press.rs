//! Presses of buttons. What a button carries comes from outside: it is checked against the store, each time.

use std::sync::Arc;

use tracing::{info, warn};
use uuid::Uuid;

use super::{Desk, decide, mode};
use crate::{
    core::{
        Millis,
        approval::step::Act,
        ids::{InboxId, TurnId},
        inbound::Press,
        limits::Limit,
        mark::Mark,
        messages,
        pairing::Code,
        policy::{self, Denied, Role},
        text::{Formatted, Shown, units},
        words::{self, Phrase, queue as said},
    },
    gateway::{
        admin::{self, Admin},
        lane::{self, Ack, LaneMsg, Reply, Said, window},
        queue::{self, Queue},
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
    RunNext(TurnId),
    Cancel(TurnId),
    Drop(TurnId),
    RunAll(TurnId),
    Decide(i64, Act),
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

/// What it asks for when this person presses it.
fn wish(data: &str, by: i64) -> Option<Wish> {
    let (kind, rest) = data.split_once(':')?;
    if kind == "q" {
        return decide::pressed(rest, by).map(|(row, act)| Wish::Decide(row, act));
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
        "u" => Wish::RunNext(turn),
        "x" => Wish::Cancel(turn),
        "k" => Wish::Drop(turn),
        "w" => Wish::RunAll(turn),
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
    wish(data, 1).map(|wish| format!("{wish:?}"))
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
            return answer(desk, ack, "press-refused", words::NOT_YOURS.as_str()).await;
        }
        let message = press.message_id.map(|id| (place.chat_id, id));
        let admin = Admin::new(Arc::clone(desk.deps), desk.lanes.clone());
        return admin::answered(admin.pressed(ack, nonce, yes, message).await);
    }
    if let Some((code, yes)) = pairing(&press.data) {
        if role < Role::Admin {
            return answer(desk, ack, "press-refused", words::NOT_YOURS.as_str()).await;
        }
        let admin = Admin::new(Arc::clone(desk.deps), desk.lanes.clone());
        return admin::answered(if yes {
            admin.accept(ack, code.as_str()).await
        } else {
            admin.reject(ack, code.as_str()).await
        });
    }
    if let Some(wish) = mode::wish(&press.data) {
        return desk.press_mode(press, role, ack, wish).await;
    }
    let (Some(wish), Some(place)) = (wish(&press.data, press.from.id), press.place) else {
        warn!(
            update = desk.id.0,
            person = press.from.id,
            "a press that carries nothing of ours"
        );
        return answer(desk, ack, "press", words::OLD_BUTTON.as_str()).await;
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
                | Wish::Longer(t, _)
                | Wish::RunNext(t)
                | Wish::Cancel(t)
                | Wish::Drop(t)
                | Wish::RunAll(t) => Some(t),
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
        return answer(desk, ack, "press", words::OLD_BUTTON.as_str()).await;
    };
    let owner = subject.conversation.key.user_id;
    let allowed: Result<(), Denied> = match &wish {
        Wish::Decide(..) => policy::may_approve(role, press.from.id, owner, config.approvers),
        _ => policy::may_press(role, press.from.id, owner),
    };
    if let Err(why) = allowed {
        info!(update = desk.id.0, person = press.from.id, %why, "a press was refused");
        return answer(desk, ack, "press-refused", words::NOT_YOURS.as_str()).await;
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
                .send(
                    conversation,
                    LaneMsg::Longer {
                        turn,
                        limit: Some(limit),
                        ack,
                    },
                )
                .await;
            return Ok(());
        }
        Wish::Decide(question, act) => {
            let pressed = (question, act);
            return desk.pressed(&subject.conversation, pressed, ack).await;
        }
        Wish::Run(_) => change(desk, ack, subject, &RUN).await?,
        Wish::Discard(_) => change(desk, ack, subject, &DISCARD).await?,
        Wish::SendNow(_) => change(desk, ack, subject, &SEND_NOW).await?,
        Wish::Continue(_) => change(desk, ack, subject, &CONTINUE).await?,
        Wish::Leave(_) => change(desk, ack, subject, &LEAVE).await?,
        Wish::RunNext(_) => change(desk, ack, subject, &RUN_NEXT).await?,
        Wish::Cancel(_) => change(desk, ack, subject, &CANCEL).await?,
        Wish::Drop(_) => change(desk, ack, subject, &DROP).await?,
        Wish::RunAll(_) => change(desk, ack, subject, &RUN_ALL).await?,
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
    queue: Queue,
    now: Millis,
}

/// What a button changes; false if it is not of use any more.
type Changing = fn(&Tx<'_>, &Subject, &New) -> Result<bool, StoreError>;

/// What a button does.
struct Does {
    /// Its name in the audit.
    action: &'static str,
    /// What stands on it.
    label: &'static Phrase,
    /// Answer to a press that was of use.
    text: &'static Phrase,
    change: Changing,
}

macro_rules! does {
    ($($name:ident: $action:literal, $label:expr, $text:expr, $change:expr;)+) => {
        $(const $name: Does = Does { action: $action, label: $label, text: $text, change: $change };)+
    };
}

does! {
    RUN: "run", &words::RUN, &words::RUN, run_held;
    DISCARD: "discard", &words::DISCARD, &words::DISCARD, discard;
    SEND_NOW: "send-now", &words::SEND_NOW, &words::SENT, send_now;
    CONTINUE: "continue", &words::CONTINUE, &words::CONTINUE, go_on;
    LEAVE: "leave", &words::LEAVE_IT, &words::LEAVE_IT, leave;
    RUN_NEXT: "run-next", &said::RUN_NEXT, &said::RUNS_NEXT, run_next;
    CANCEL: "drop", &said::CANCEL, &said::DROPPED, drop_one;
    DROP: "drop", &said::DROP, &said::DROPPED, drop_one;
    RUN_ALL: "run-all", &said::RUN_ALL, &said::ALL_RUN, run_all;
}

async fn change(
    desk: &Desk<'_>,
    ack: Ack,
    subject: Subject,
    does: &'static Does,
) -> Result<(), StoreError> {
    let new = New {
        uuid: desk.deps.dice.uuid(),
        inbox: desk.id,
        queue: Queue::of(desk.deps, &subject.conversation.key),
        now: desk.deps.clock.now(),
    };
    desk.deps
        .store
        .tx(move |tx| {
            let Some(turn) = tx.turn(subject.turn.id)? else {
                return Err(StoreError::Other("a turn is gone".to_owned()));
            };
            // As it is now: it may have changed since the look.
            let subject = Subject { turn, ..subject };
            let since = queue::since(subject.turn.state);
            let done = (does.change)(tx, &subject, &new)?;
            let (result, text) = if done {
                ("ok", does.text.as_str().to_owned())
            } else {
                ("no-change", said::too_late(does.label, since))
            };
            let pressed = Said {
                action: does.action,
                on: &format!("turn {}", subject.turn.id),
                result,
                text: &text,
                buttons: Vec::new(),
            };
            lane::acknowledge_as(tx, &ack, &pressed, new.now)
        })
        .await?;
    fail::fail_point!("press-committed");
    Ok(())
}

fn run_held(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    let turn = &subject.turn;
    if turn.state != TurnState::Held {
        return Ok(false);
    }
    tx.turn_state(turn.id, TurnState::Queued, new.now)?;
    new.queue.entered(tx, turn.conversation, turn.id, new.now)?;
    Ok(true)
}

fn discard(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    let turn = &subject.turn;
    let slot = match turn.state {
        TurnState::Collecting => Slot::collecting(turn.id),
        TurnState::Held => Slot::first(turn.id),
        _ => return Ok(false),
    };
    end(tx, turn.id, TurnState::Discarded, new.now)?;
    let shown = show::note(words::DISCARDED.as_str(), Vec::new(), reply_to(subject));
    let target = new.queue.target();
    tx.out_show(target, Some(slot), Urgency::Message, &shown, new.now)?;
    if turn.state == TurnState::Held {
        new.queue.refresh(tx, turn.conversation, new.now)?;
    }
    Ok(true)
}

fn send_now(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    if subject.turn.state != TurnState::Collecting {
        return Ok(false);
    }
    window::close(tx, &new.queue, &subject.turn, new.now)?;
    Ok(true)
}

fn run_next(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    new.queue.next(tx, &subject.turn, new.now)
}

fn drop_one(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    new.queue.drop(tx, &subject.turn, new.now)
}

/// The turn is one of those that were kept, to tell whose; it need not be kept any more.
fn run_all(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    let ran = new.queue.run_all(tx, subject.turn.conversation, new.now)?;
    Ok(ran > 0)
}

fn go_on(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    if subject.turn.state != TurnState::Asked {
        return Ok(false);
    }
    let turn = &subject.turn;
    end(tx, turn.id, TurnState::Interrupted, new.now)?;
    close_asked(tx, subject, words::CONTINUED.as_str(), new.now)?;
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
    new.queue.entered(tx, turn.conversation, next, new.now)?;
    Ok(true)
}

fn leave(tx: &Tx<'_>, subject: &Subject, new: &New) -> Result<bool, StoreError> {
    if subject.turn.state != TurnState::Asked {
        return Ok(false);
    }
    end(tx, subject.turn.id, TurnState::Interrupted, new.now)?;
    close_asked(tx, subject, words::LEFT.as_str(), new.now)?;
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
                reply_to: shown.reply_to,
                ..Shown::default()
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
        assert_eq!(wish("s:12", 7), Some(Wish::Stop(TurnId(12))));
        assert_eq!(wish("q:3:a", 7), Some(Wish::Decide(3, Act::AllowSession)));
        assert_eq!(
            wish("g:12:s", 7),
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
            assert_eq!(wish(foreign, 7), None, "{foreign}");
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
