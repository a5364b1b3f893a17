//! `/queue`: what waits, and what becomes of it; and the word that stops.

use super::Desk;
use crate::{
    core::{
        Millis,
        ids::{ConversationId, TurnId},
        inbound::{Message, Person},
        queue::{Order, order},
        words::queue as said,
    },
    gateway::{
        lane::{self, Ack, Reply, Said},
        queue::{self, Queue},
    },
    store::{
        StoreError, Tx,
        rows::{Conversation, TurnRow, TurnState},
    },
};

/// What came of an order.
struct Came {
    action: &'static str,
    on: String,
    result: &'static str,
    text: String,
}

impl Desk<'_> {
    pub(super) async fn queue(
        &self,
        conversation: &Conversation,
        ack: Ack,
        args: &str,
    ) -> Result<(), StoreError> {
        let Some(order) = order(args) else {
            return self.answer(ack, "queue", said::HOW.to_owned()).await;
        };
        let (id, now) = (conversation.id, self.deps.clock.now());
        let queue = Queue::of(self.deps, &conversation.key);
        self.deps
            .store
            .tx(move |tx| {
                if order == Order::List {
                    return list(tx, &queue, id, &ack, now);
                }
                // Answered first: what runs is shown below that.
                let (came, rows) = look(tx, id, order)?;
                let told = Said {
                    action: came.action,
                    on: &came.on,
                    result: came.result,
                    text: &came.text,
                    buttons: Vec::new(),
                };
                lane::acknowledge_as(tx, &ack, &told, now)?;
                match order {
                    Order::Next(_) => {
                        for row in rows {
                            queue.next(tx, &row, now)?;
                        }
                    }
                    Order::Drop(_) | Order::DropAll => queue.drop_all(tx, id, &rows, now)?,
                    Order::RunAll => {
                        queue.run_all(tx, id, now)?;
                    }
                    Order::List => {}
                }
                Ok(())
            })
            .await?;
        fail::fail_point!("press-committed");
        self.lanes.wake(id);
        Ok(())
    }

    /// The word that stops: as `/interrupt` where something runs or waits, else words for the agent like any other.
    pub(super) async fn stop_word(
        &self,
        message: &Message,
        person: &Person,
    ) -> Result<(), StoreError> {
        let conversation = self.conversation(message, person).await?;
        let (id, inbox) = (conversation.id, self.id);
        let stops = self
            .deps
            .store
            .tx(move |tx| {
                let open = tx.turns_open(id)?;
                let stops = |turn: &TurnRow| {
                    turn.state == TurnState::Submitted || queue::waited(turn, inbox)
                };
                Ok(open.iter().any(stops))
            })
            .await?;
        if !stops {
            return self.prompt(message, person).await;
        }
        let reply = Reply::Message {
            target: Self::target(message),
            reply_to: Self::reply_to(message),
        };
        let ack = Ack::update(self.id, person.id, reply);
        self.interrupt(&conversation, ack).await
    }
}

/// Shows the list, which is the one that is kept true from now on.
fn list(
    tx: &Tx<'_>,
    queue: &Queue,
    conversation: ConversationId,
    ack: &Ack,
    now: Millis,
) -> Result<(), StoreError> {
    let (text, buttons) = queue.asked_for(tx, conversation)?;
    let told = Said {
        action: "queue",
        on: "",
        result: "ok",
        text: &text,
        buttons,
    };
    match lane::acknowledge_by(tx, ack, &told, now)? {
        Some(row) => queue.is_list(tx, conversation, row, now),
        None => Ok(()),
    }
}

/// What is to come of an order, and the turns that are to be moved or dropped.
fn look(
    tx: &Tx<'_>,
    conversation: ConversationId,
    order: Order,
) -> Result<(Came, Vec<TurnRow>), StoreError> {
    let open = tx.turns_open(conversation)?;
    let all = |action, count: usize, text| Came {
        action,
        on: format!("conversation {conversation}"),
        result: if count == 0 { "no-change" } else { "ok" },
        text,
    };
    let one = |action, turn: TurnId, told: fn(&str) -> String| {
        // What is in another conversation is not there.
        let row = open
            .iter()
            .find(|row| row.id == turn && queue::waits(row))
            .cloned();
        let (result, text) = match &row {
            Some(row) => ("ok", told(&queue::excerpt(row))),
            None => ("refused: NotWaiting", said::not_waiting(turn.0)),
        };
        let came = Came {
            action,
            on: format!("turn {turn}"),
            result,
            text,
        };
        (came, row.into_iter().collect())
    };
    Ok(match order {
        Order::Next(turn) => one("run-next", turn, said::runs_next),
        Order::Drop(turn) => one("drop", turn, said::dropped),
        Order::DropAll => {
            let rows: Vec<_> = open.into_iter().filter(queue::waits).collect();
            let text = said::dropped_all(rows.len());
            (all("drop-all", rows.len(), text), rows)
        }
        // (A list changes nothing and does not come here.)
        Order::RunAll | Order::List => {
            let kept = open.iter().filter(|row| row.state == TurnState::Held);
            let kept = kept.count();
            (all("run-all", kept, said::all_run(kept)), Vec::new())
        }
    })
}
