//! The owning thread: group commit, failures, the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::*;
use crate::store::rows::{Target, Urgency};

/// One deadline for whatever is waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// Holds the owning thread in a transaction until it is let go.
struct Hold {
    go: mpsc::Sender<()>,
    done: tokio::task::JoinHandle<Result<(), StoreError>>,
}

async fn hold(store: &Store) -> Hold {
    let (go, wait) = mpsc::channel();
    let (held, is_held) = tokio::sync::oneshot::channel();
    let store = store.clone();
    let done = tokio::spawn(async move {
        store
            .tx(move |_| {
                held.send(()).unwrap();
                wait.recv_timeout(DEADLINE).unwrap();
                Ok(())
            })
            .await
    });
    is_held.await.unwrap();
    Hold { go, done }
}

impl Hold {
    async fn release(self) {
        self.go.send(()).unwrap();
        self.done.await.unwrap().unwrap();
    }
}

/// Starts a request and returns once it stands in the queue.
async fn queued<R: Send + 'static>(
    store: &Store,
    f: impl FnOnce(&Tx<'_>) -> Result<R, StoreError> + Send + 'static,
) -> tokio::task::JoinHandle<Result<R, StoreError>> {
    let before = store.requests.capacity();
    let task = tokio::spawn({
        let store = store.clone();
        async move { store.tx(f).await }
    });
    tokio::time::timeout(DEADLINE, async {
        while store.requests.capacity() == before {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    task
}

#[test]
fn what_waits_together_is_committed_together() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let before = store.commits();
        let held = hold(&store).await;
        let mut tasks = Vec::new();
        for n in 0..20 {
            tasks.push(queued(&store, move |tx| tx.setting_set(&format!("k{n}"), "v", 1)).await);
        }
        held.release().await;
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        // One for the transaction that held the thread, one for the twenty.
        assert_eq!(store.commits() - before, 2);
        assert_eq!(store.tx(|tx| tx.settings()).await.unwrap().len(), 20);
    });
}

#[test]
fn a_group_has_a_bound() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let before = store.commits();
        let held = hold(&store).await;
        let mut tasks = Vec::new();
        for n in 0..130 {
            tasks.push(queued(&store, move |tx| tx.setting_set(&format!("k{n}"), "v", 1)).await);
        }
        held.release().await;
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(store.commits() - before, 1 + 3, "130 in groups of 64");
    });
}

#[test]
fn one_that_fails_takes_back_only_itself() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let held = hold(&store).await;
        let good = queued(&store, |tx| tx.setting_set("good", "1", 1)).await;
        let bad = queued(&store, |tx| {
            tx.setting_set("bad", "1", 1)?;
            Err::<(), _>(StoreError::Other("no".to_owned()))
        })
        .await;
        let broken = queued(&store, |tx| {
            tx.setting_set("broken", "1", 1)?;
            // Violates a CHECK.
            tx.change("UPDATE settings SET value = NULL WHERE key = 'broken'", [])
        })
        .await;
        let panicking = queued(&store, |tx| {
            tx.setting_set("panicking", "1", 1)?;
            if tx.setting("good")?.is_some() {
                panic!("on purpose");
            }
            Ok(())
        })
        .await;
        let last = queued(&store, |tx| tx.setting_set("last", "1", 1)).await;
        held.release().await;
        good.await.unwrap().unwrap();
        assert_eq!(bad.await.unwrap(), Err(StoreError::Other("no".to_owned())));
        assert!(matches!(broken.await.unwrap(), Err(StoreError::Other(_))));
        let panicked = panicking.await.unwrap().unwrap_err().to_string();
        assert!(panicked.contains("on purpose"), "{panicked}");
        last.await.unwrap().unwrap();
        let keys: Vec<_> = store.tx(|tx| tx.settings()).await.unwrap();
        let keys: Vec<_> = keys.into_iter().map(|(key, _, _)| key).collect();
        assert_eq!(keys, ["good", "last"]);
    });
}

#[test]
fn a_dropped_future_leaves_no_half_transaction() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let held = hold(&store).await;
        let abandoned = queued(&store, |tx| {
            tx.setting_set("a", "1", 1)?;
            tx.setting_set("b", "1", 1)
        })
        .await;
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        held.release().await;
        // It stood in the queue, so it happens.
        assert_eq!(store.tx(|tx| tx.settings()).await.unwrap().len(), 2);
    });
}

#[test]
fn a_request_that_never_got_into_the_queue_does_not_happen() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let ran = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ran);
        let request = store.tx(move |_| {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        });
        drop(request);
        store.tx(|_| Ok(())).await.unwrap();
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn the_delivery_is_woken_by_what_is_committed_and_by_nothing_else() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let target = Target {
            chat_id: 1,
            thread_id: 0,
        };
        let show = move |tx: &Tx<'_>| tx.out_show(target, None, Urgency::Message, &shown("x"), 1);
        let woken = || async {
            // Delivery is told after the answers; behind this one it has been.
            store.tx(|_| Ok(())).await.unwrap();
            let none = Duration::from_millis(0);
            tokio::time::timeout(none, store.outbox_touched())
                .await
                .is_ok()
        };
        assert!(!woken().await);
        store.tx(|tx| tx.setting_set("k", "v", 1)).await.unwrap();
        assert!(!woken().await, "another table");
        let failed = store.tx(move |tx| {
            show(tx)?;
            Err::<(), _>(StoreError::Other("no".to_owned()))
        });
        failed.await.unwrap_err();
        assert!(!woken().await, "taken back");
        let id = store.tx(show).await.unwrap();
        assert!(woken().await, "told although nobody waited at that moment");
        assert!(!woken().await, "once");
        store.tx(move |tx| tx.out_sending(id, 1)).await.unwrap();
        assert!(!woken().await, "on its way");
        store
            .tx(move |tx| tx.out_later(id, "no route", 9, 1))
            .await
            .unwrap();
        assert!(woken().await, "its time changed");
        store.tx(|tx| tx.chat_limit_set(1, 9, 1)).await.unwrap();
        assert!(woken().await, "the chat's time changed");
    });
}

#[test]
fn what_was_asked_before_the_end_is_done_and_what_comes_after_is_refused() {
    let db = Db::new();
    let store = db.store.clone();
    db.runtime.block_on(async {
        let held = hold(&store).await;
        let before = queued(&store, |tx| tx.setting_set("before", "1", 1)).await;
        let close = tokio::spawn({
            let store = store.clone();
            async move { store.close().await }
        });
        tokio::task::yield_now().await;
        held.release().await;
        before.await.unwrap().unwrap();
        close.await.unwrap();
        let after = store.tx(|tx| tx.setting_set("after", "1", 1)).await;
        assert_eq!(after, Err(StoreError::Closed));
        store.close().await;
        // The log is taken in and the lock is free.
        assert!(!db.path().join("telexd.db-wal").exists());
    });
    let db = db.reopen();
    assert_eq!(db.tx(|tx| tx.settings()).len(), 1);
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let Db {
        directory,
        store,
        thread,
        runtime: _runtime,
    } = Db::new();
    let second = store.clone();
    drop(store);
    assert!(!thread.is_finished());
    drop(second);
    thread.join().unwrap();
    drop(Db::at(directory));
}

#[test]
fn the_connection_is_set_up_as_promised() {
    let db = Db::new();
    let settings = db.tx(|tx| {
        let ask = |name| {
            tx.connection()
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                .map_err(|error| StoreError::Other(error.to_string()))
        };
        [
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "cache_size",
            "mmap_size",
            "trusted_schema",
            "user_version",
        ]
        .into_iter()
        .map(ask)
        .collect::<Result<Vec<_>, _>>()
    });
    use rusqlite::types::Value::{Integer, Text};
    assert_eq!(
        settings,
        [
            Text("wal".to_owned()),
            Integer(2),
            Integer(1),
            Integer(-2048),
            Integer(0),
            Integer(0),
            Integer(i64::from(crate::store::schema::NEWEST))
        ]
    );
}

#[test]
fn the_size_counts_the_log() {
    let db = Db::new();
    let before = db.store.size_bytes();
    assert!(before > 0);
    db.tx(|tx| tx.setting_set("big", &"x".repeat(100_000), 1));
    assert!(db.store.size_bytes() >= before + 100_000);
}

#[test]
fn the_log_is_taken_into_the_database_while_nothing_is_asked() {
    let db = Db::new();
    let file = db.path().join("telexd.db");
    let size = || std::fs::metadata(&file).unwrap().len();
    for n in 0..100 {
        db.tx(move |tx| tx.setting_set(&format!("key {n}"), &"x".repeat(4000), 1));
    }
    let deadline = std::time::Instant::now() + DEADLINE;
    // Every value has a page of its own. None is asked for meanwhile, and the log is far too short for SQLite itself.
    while size() < 64 * 4096 {
        assert!(
            std::time::Instant::now() < deadline,
            "only {} bytes came to the database",
            size()
        );
        std::thread::yield_now();
    }
    // Where it then begins anew, nothing is lost.
    db.tx(|tx| tx.setting_set("last", "y", 2));
    let db = db.reopen();
    assert_eq!(
        db.tx(|tx| tx.setting("key 99")).map(|v| v.len()),
        Some(4000)
    );
    assert_eq!(db.tx(|tx| tx.setting("last")).as_deref(), Some("y"));
}
