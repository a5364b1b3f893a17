//! Tests of the room.

mod attachments;
mod counts;
mod due;
mod full;
mod kill;
mod methods;
mod migrations;
mod open;
mod outbox;
mod outbox_files;
mod outbox_moves;
mod past;
pub(super) mod plans;
mod thread;
mod turns;

use std::path::Path;

use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Store, StoreError, StoreThread, Tx,
    rows::{NewAttachment, NewTurn, OutboxId, PairingRow, RunRow, RunStatus, TurnPart, TurnState},
};
use crate::core::{
    ids::{ConversationId, ConversationKey, InboxId, RunId, TurnId},
    mark::Mark,
    pairing::{Code, Request},
    text::{Formatted, Shown},
};

/// A store in a directory of its own.
struct Db {
    directory: TempDir,
    store: Store,
    thread: StoreThread,
    runtime: tokio::runtime::Runtime,
}

impl Db {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(directory: TempDir) -> Self {
        let (store, thread) = Store::open(directory.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            directory,
            store,
            thread,
            runtime,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// One transaction that must succeed.
    fn tx<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> R {
        self.try_tx(f).unwrap()
    }

    fn try_tx<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Tx<'_>) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.runtime.block_on(self.store.tx(f))
    }

    /// Closes the store and gives its directory back.
    fn close(self) -> TempDir {
        self.runtime.block_on(self.store.close());
        self.thread.join().unwrap();
        self.directory
    }

    fn reopen(self) -> Self {
        Self::at(self.close())
    }
}

fn key(user: i64) -> ConversationKey {
    ConversationKey {
        bot_id: 7,
        chat_id: user,
        thread_id: 0,
        user_id: user,
    }
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn run_id(n: u8) -> RunId {
    RunId::from_random([n; 16])
}

fn part(inbox: i64, text: &str) -> TurnPart {
    TurnPart {
        inbox: InboxId(inbox),
        message_id: inbox * 10,
        text: text.to_owned(),
        received_at: 5,
        mark: Mark::default(),
    }
}

fn new_turn(conversation: ConversationId) -> NewTurn {
    NewTurn {
        conversation,
        uuid: None,
        state: TurnState::Collecting,
        parts: Vec::new(),
        run: None,
    }
}

fn new_run(id: RunId, conversation: ConversationId, session: Uuid) -> RunRow {
    RunRow {
        id,
        conversation,
        session_id: session,
        who: 1001,
        command: "claude -p".to_owned(),
        status: RunStatus::Starting,
        offset: 0,
        started_at: 100,
        ended_at: None,
        exit: None,
    }
}

fn shown(text: &str) -> Shown {
    Shown {
        body: Formatted::plain(text),
        ..Shown::default()
    }
}

/// A conversation of this person and an empty turn in it.
fn turn_of(tx: &Tx<'_>, user: i64) -> Result<(ConversationId, TurnId), StoreError> {
    let conversation = tx.conversation_open(&key(user), 1)?.id;
    Ok((conversation, tx.turn_add(&new_turn(conversation), 1)?))
}

/// Somebody who asks to be let in.
fn asks(person: i64) -> PairingRow {
    PairingRow {
        person,
        name: format!("person {person}"),
        asked_at: 5,
        request: Request {
            code: Code::of(u128::try_from(person).unwrap()),
            expires_at: 9,
            codes: 1,
            ahead: 7,
            answer: None,
        },
        notices: vec![OutboxId(4)],
        kept_until: 99,
    }
}

fn new_attachment(name: &str, size: Option<u64>) -> NewAttachment {
    NewAttachment {
        kind: "document".to_owned(),
        file_id: "f".to_owned(),
        name: name.to_owned(),
        mime: None,
        size,
        refused: None,
    }
}
