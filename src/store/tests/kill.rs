//! Killed while it writes: what was acknowledged is there, and nothing is there by half.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::*;
use crate::store::rows::AuditEntry;

/// Environment variable that makes this test binary the process to kill.
const VICTIM: &str = "TELEXD_TEST_KILL_DIRECTORY";

/// One transaction over two tables.
fn write(tx: &Tx<'_>, key: &str) -> Result<(), StoreError> {
    tx.setting_set(key, "v", 1)?;
    tx.audit_add(&AuditEntry {
        at: 1,
        who: "test".to_owned(),
        action: "write".to_owned(),
        target: key.to_owned(),
        result: "x".repeat(500),
    })?;
    Ok(())
}

/// Starts this test anew as a process of its own, which works on the directory.
fn victim(test: &str, directory: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(VICTIM, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Writes from four lanes and tells each acknowledged key, until it is killed.
fn write_for_ever(directory: &Path) {
    let (store, _thread) = Store::open(directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let run = Uuid::new_v4();
        let mut lanes = Vec::new();
        for lane in 0..4 {
            let store = store.clone();
            lanes.push(tokio::spawn(async move {
                for n in 0.. {
                    let key = format!("{run}-{lane}-{n}");
                    let told = key.clone();
                    store.tx(move |tx| write(tx, &key)).await.unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ok {told}").unwrap();
                    out.flush().unwrap();
                }
            }));
        }
        for lane in lanes {
            lane.await.unwrap();
        }
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(directory) = std::env::var_os(VICTIM) {
        write_for_ever(Path::new(&directory));
        return;
    }
    let mut directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..12 {
        let mut child = victim(
            "store::tests::kill::what_was_acknowledged_survives_a_kill",
            directory.path(),
        );
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut until = 1 + round * 17 % 90;
        for line in lines {
            // After the kill the pipe still holds what was acknowledged before it.
            let line = line.unwrap();
            let Some(key) = line.strip_prefix("ok ") else {
                continue;
            };
            assert!(acknowledged.insert(key.to_owned()));
            until -= 1;
            if until == 0 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        let db = Db::at(directory);
        let there: BTreeSet<_> = db
            .tx(|tx| tx.settings())
            .into_iter()
            .map(|(key, _, _)| key)
            .collect();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        let audited: BTreeSet<_> = db
            .tx(|tx| tx.audit_tail(usize::MAX))
            .into_iter()
            .map(|entry| entry.target)
            .collect();
        assert_eq!(audited, there, "round {round}: half of a transaction");
        let intact: String = db.tx(|tx| {
            Ok(tx
                .connection()
                .pragma_query_value(None, "integrity_check", |row| row.get(0))
                .unwrap())
        });
        assert_eq!(intact, "ok");
        directory = db.close();
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
}

/// Killed exactly before, or exactly after, the commit.
#[cfg(feature = "failpoints")]
#[test]
fn the_commit_decides() {
    use std::os::unix::process::ExitStatusExt;

    const POINT: &str = "TELEXD_TEST_KILL_POINT";
    if let Some(directory) = std::env::var_os(VICTIM) {
        let (store, _thread) = Store::open(Path::new(&directory)).unwrap();
        fail::cfg_callback(std::env::var(POINT).unwrap(), || {
            nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::SIGKILL).unwrap();
        })
        .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let outcome = runtime.block_on(store.tx(|tx| write(tx, "k")));
        panic!("it was to be killed: {outcome:?}");
    }
    for (point, there) in [("store-before-commit", false), ("store-after-commit", true)] {
        let directory = tempfile::tempdir().unwrap();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::the_commit_decides"])
            .env(VICTIM, directory.path())
            .env(POINT, point)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "{point}");
        let db = Db::at(directory);
        assert_eq!(db.tx(|tx| tx.setting("k")).is_some(), there, "{point}");
        assert_eq!(!db.tx(|tx| tx.audit_tail(9)).is_empty(), there, "{point}");
    }
}
