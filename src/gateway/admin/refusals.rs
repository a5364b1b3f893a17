//! Calls that were refused to their callers before they came to be orders: a line in the audit, and not too many of them.

use std::sync::Arc;

use tracing::info;

use super::Admin;
use crate::{
    core::{Millis, actor::Actor, messages},
    store::{StoreError, Tx, rows::AuditEntry},
};

/// Setting that holds the numbers of the lines about refusals, oldest first.
const KEY: &str = "refusals";
/// How many of them are kept: who can be refused must not fill the database. The oldest go first.
const KEPT: usize = 2000;

/// A call that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who called; `None`: several, who are too many to be told apart.
    pub who: Option<Actor>,
    /// What they called, as `interface.member`.
    pub call: String,
    /// Name of the error that they got.
    pub reason: &'static str,
    /// 0: the first of its kind; else how many more there were after it.
    pub more: u64,
}

impl Refusal {
    fn result(&self) -> String {
        match self.more {
            0 => format!("refused: {}", self.reason),
            more => format!("refused: {}, {more} more times", self.reason),
        }
    }

    fn who(&self) -> String {
        self.who
            .as_ref()
            .map_or_else(|| "others".to_owned(), ToString::to_string)
    }
}

impl Admin {
    /// Notes refused calls, in the audit and in the journal.
    ///
    /// # Errors
    /// The store's; then nothing is noted.
    pub async fn refused(&self, refusals: Arc<[Refusal]>) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        let noted = Arc::clone(&refusals);
        self.deps
            .store
            .tx(move |tx| note(tx, &noted, KEPT, now))
            .await?;
        for refusal in &*refusals {
            info!(
                event = messages::CALL_REFUSED,
                who = refusal.who(),
                action = refusal.call,
                result = refusal.result(),
                "a call was refused"
            );
        }
        Ok(())
    }
}

/// At most `kept` lines are left.
fn note(tx: &Tx<'_>, refusals: &[Refusal], kept: usize, now: Millis) -> Result<(), StoreError> {
    // What cannot be read is begun anew: then some lines stay for good.
    let mut ids: Vec<i64> = tx
        .setting(KEY)?
        .and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default();
    for refusal in refusals {
        ids.push(tx.audit_add(&AuditEntry {
            at: now,
            who: refusal.who(),
            action: "call".to_owned(),
            target: refusal.call.clone(),
            result: refusal.result(),
        })?);
    }
    for old in ids.drain(..ids.len().saturating_sub(kept)) {
        tx.audit_remove(old)?;
    }
    let json = serde_json::to_string(&ids)
        .map_err(|cause| StoreError::Other(format!("the list of refused calls: {cause}")))?;
    tx.setting_set(KEY, &json, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn so_many_are_kept_and_acts_are_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _thread) = Store::open(dir.path()).unwrap();
        let refusal = |more| Refusal {
            who: Some(Actor::Bus {
                uid: 7,
                pid: 8,
                exe: Some("/x\ny".to_owned()),
            }),
            call: "Manager.Pause".to_owned(),
            reason: "NotAllowed",
            more,
        };
        store
            .tx(move |tx| {
                tx.audit_add(&AuditEntry {
                    at: 1,
                    who: "signal".to_owned(),
                    action: "reload".to_owned(),
                    target: String::new(),
                    result: "done".to_owned(),
                })?;
                note(tx, &[refusal(0), refusal(5)], 3, 2)?;
                note(tx, &[refusal(6), refusal(7)], 3, 3)
            })
            .await
            .unwrap();
        let rows = store.tx(|tx| tx.audit_tail(10)).await.unwrap();
        let results: Vec<&str> = rows.iter().map(|row| row.result.as_str()).collect();
        assert_eq!(
            results,
            [
                "done",
                "refused: NotAllowed, 5 more times",
                "refused: NotAllowed, 6 more times",
                "refused: NotAllowed, 7 more times"
            ]
        );
        assert_eq!(rows[1].who, "uid:7 pid:8 exe:/x\\ny");
        store.close().await;
    }
}
