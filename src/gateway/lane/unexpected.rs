//! What the store refuses a lane again and again, for a reason that nobody thought of: its person is told a number, by which
//! the log has it, and the lane goes on trying.

use tracing::error;

use super::Lane;
use crate::{
    core::{messages, policy::Role, words},
    gateway::{error_number, show},
    store::{StoreError, rows::Urgency},
};

/// So many failures in a row at the same thing are told.
const TOLD_AT: u32 = 3;

/// What fails at the moment.
#[derive(Default)]
pub(super) struct Failing {
    // By what cannot be done: how often in a row. A handful at most.
    row: Vec<(String, u32)>,
    untold: Option<Untold>,
}

struct Untold {
    what: String,
    kind: &'static str,
    cause: String,
}

impl Failing {
    /// It worked.
    pub(super) fn works(&mut self, what: &str) {
        self.row.retain(|(failing, _)| failing != what);
    }

    /// It failed. Want of room and an end of the store have words of their own.
    pub(super) fn fails(&mut self, what: &str, cause: &StoreError) {
        if matches!(cause, StoreError::Full | StoreError::Closed) {
            return;
        }
        let count = match self.row.iter_mut().find(|(failing, _)| failing == what) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.row.push((what.to_owned(), 1));
                1
            }
        };
        if count == TOLD_AT {
            self.untold = Some(Untold {
                what: what.to_owned(),
                kind: cause.kind().unwrap_or(messages::UNEXPECTED),
                cause: cause.to_string(),
            });
        }
    }
}

impl Lane {
    /// Tells what is to be told of failures.
    pub(super) async fn tell_unexpected(&mut self) {
        let Some(Untold { what, kind, cause }) = self.failing.untold.take() else {
            return;
        };
        let number = error_number(&*self.deps.dice);
        let conversation = self.conversation.id.0;
        error!(
            event = kind,
            error_id = number,
            conversation,
            cause,
            "{what}, time and again"
        );
        let key = &self.conversation.key;
        let admin = self.deps.config.get().access.role_of_id(key.user_id) == Role::Admin;
        let note = show::note(words::unexpected_at_work(&number, admin), Vec::new(), None);
        let (target, now) = (self.target(), self.deps.clock.now());
        let told = self
            .deps
            .store
            .tx(move |tx| tx.out_show(target, None, Urgency::Message, &note, now))
            .await;
        if let Err(cause) = told {
            error!(event = cause.kind(), conversation, %cause, "cannot tell its person of it");
        }
    }
}
