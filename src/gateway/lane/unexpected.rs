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
    // A handful at most.
    row: Vec<Failure>,
}

/// Something that cannot be done, by the words that the log has for it.
struct Failure {
    what: String,
    /// How often in a row.
    times: u32,
    kind: &'static str,
    cause: String,
    /// Its number, once it has one.
    number: Option<String>,
    told: bool,
}

impl Failing {
    /// It worked.
    pub(super) fn works(&mut self, what: &str) {
        self.row.retain(|failure| failure.what != what);
    }

    /// It failed. Want of room and an end of the store have words of their own.
    pub(super) fn fails(&mut self, what: &str, cause: &StoreError) {
        if matches!(cause, StoreError::Full | StoreError::Closed) {
            return;
        }
        let kind = cause.kind().unwrap_or(messages::UNEXPECTED);
        let cause = cause.to_string();
        if let Some(failure) = self.row.iter_mut().find(|failure| failure.what == what) {
            failure.times = failure.times.saturating_add(1);
            failure.kind = kind;
            failure.cause = cause;
        } else {
            self.row.push(Failure {
                what: what.to_owned(),
                times: 1,
                kind,
                cause,
                number: None,
                told: false,
            });
        }
    }

    /// One that is to be told; again and again, until it is.
    fn untold(&mut self) -> Option<&mut Failure> {
        self.row
            .iter_mut()
            .find(|failure| failure.times >= TOLD_AT && !failure.told)
    }
}

impl Lane {
    /// Tells what is to be told of failures.
    pub(super) async fn tell_unexpected(&mut self) {
        let conversation = self.conversation.id.0;
        let key = &self.conversation.key;
        let admin = self.deps.config.get().access.role_of_id(key.user_id) == Role::Admin;
        let (target, now) = (self.target(), self.deps.clock.now());
        let Some(failure) = self.failing.untold() else {
            return;
        };
        let number = failure.number.get_or_insert_with(|| {
            let number = error_number(&*self.deps.dice);
            error!(
                event = failure.kind,
                error_id = number,
                conversation,
                cause = failure.cause,
                "{}, time and again",
                failure.what
            );
            number
        });
        let note = show::note(words::unexpected_at_work(number, admin), Vec::new(), None);
        // One store is behind all of it, so that this may fail as well.
        let told = self
            .deps
            .store
            .tx(move |tx| tx.out_show(target, None, Urgency::Message, &note, now))
            .await;
        match told {
            Ok(_) => failure.told = true,
            Err(cause) => {
                error!(event = cause.kind(), conversation, %cause, "cannot tell its person of it");
            }
        }
    }
}
