//! No room: nothing is acknowledged that is not there, and it works again when there is room.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use super::*;

/// Environment variable that makes this test binary the writer of a test.
const WRITER: &str = "TELEXD_TEST_FULL_DIRECTORY";

/// Limits the file to the pages that it has, or lifts that.
fn limit_pages(db: &Db, limited: bool) {
    db.tx(move |tx| {
        let connection = tx.connection();
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        let most = if limited { pages } else { 1_000_000_000 };
        connection
            .pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))
            .unwrap();
        Ok(())
    });
}

/// Grows the database until there is no room; returns how many values were acknowledged.
fn fill(db: &Db) -> usize {
    for n in 0..10_000 {
        let value = "x".repeat(2_000);
        match db.try_tx(move |tx| tx.setting_set(&format!("{n:05}"), &value, 1)) {
            Ok(()) => {}
            Err(StoreError::Full) => return n,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("there was always room");
}

#[test]
fn a_full_database_says_so_and_works_again_with_room() {
    let db = Db::new();
    limit_pages(&db, true);
    let acknowledged = fill(&db);
    assert!(acknowledged < 100, "{acknowledged}");
    assert_eq!(
        db.tx(|tx| tx.settings()).len(),
        acknowledged,
        "reading goes on"
    );
    assert_eq!(
        db.try_tx(|tx| tx.setting_set("more", &"x".repeat(9_000), 1)),
        Err(StoreError::Full)
    );
    // What frees room still works.
    if acknowledged > 0 {
        db.tx(|tx| tx.setting_unset("00000"));
        db.tx(|tx| tx.setting_set("00000", &"x".repeat(2_000), 1));
    }
    limit_pages(&db, false);
    db.tx(|tx| tx.setting_set("more", &"x".repeat(9_000), 1));
    let db = db.reopen();
    assert_eq!(db.tx(|tx| tx.settings()).len(), acknowledged + 1);
}

#[test]
fn a_group_without_room_is_refused_whole_or_commits_what_fits() {
    let db = Db::new();
    limit_pages(&db, true);
    let store = db.store.clone();
    let outcomes = db.runtime.block_on(async {
        let mut tasks = Vec::new();
        for n in 0..40 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let value = "x".repeat(if n % 4 == 0 { 200_000 } else { 10 });
                store
                    .tx(move |tx| tx.setting_set(&format!("{n}"), &value, 1))
                    .await
            }));
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    });
    assert!(outcomes.contains(&Err(StoreError::Full)));
    // Told and true are the same, one by one.
    let settings = db.tx(|tx| tx.settings());
    for (n, outcome) in outcomes.into_iter().enumerate() {
        let there = settings.iter().any(|(key, _, _)| *key == n.to_string());
        assert_eq!(there, outcome.is_ok(), "{n}: {outcome:?}");
        assert!(
            matches!(outcome, Ok(()) | Err(StoreError::Full)),
            "{outcome:?}"
        );
    }
}

/// The limit on the size of files stands for quotas: to SQLite these are I/O errors, not "full".
#[test]
fn a_limit_on_the_size_of_files_is_no_room_either() {
    use nix::sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigHandler, Signal, signal},
    };
    if let Some(directory) = std::env::var_os(WRITER) {
        // In a process of its own: the limit is one of the whole process.
        let (store, thread) = Store::open(Path::new(&directory)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn).unwrap() };
        let mut told = String::new();
        for (round, limit) in [400_000, 800_000].into_iter().enumerate() {
            setrlimit(Resource::RLIMIT_FSIZE, limit, hard).unwrap();
            let mut count = 0;
            loop {
                let value = "x".repeat(2_000);
                let key = format!("{round}-{count:05}");
                match runtime.block_on(store.tx(move |tx| tx.setting_set(&key, &value, 1))) {
                    Ok(()) => count += 1,
                    Err(StoreError::Full) => break,
                    Err(other) => panic!("{other}"),
                }
                assert!(count < 10_000, "there was always room");
            }
            let there = runtime
                .block_on(store.tx(|tx| tx.settings()))
                .unwrap()
                .len();
            told += &format!("{count} {there} ");
        }
        runtime.block_on(store.close());
        thread.join().unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
        println!("told: {told}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("store::tests::full::a_limit_on_the_size_of_files_is_no_room_either")
        .env(WRITER, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Vec<usize> = text
        .split_once("told: ")
        .expect(&text)
        .1
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [first, first_there, second, second_there] = told[..] else {
        panic!("{told:?}");
    };
    assert!(
        first > 0 && second > 0,
        "it worked again with more room: {told:?}"
    );
    assert_eq!(first_there, first);
    assert_eq!(second_there, first + second);
    let db = Db::at(directory);
    assert_eq!(db.tx(|tx| tx.settings()).len(), first + second);
}

#[test]
fn a_start_without_room_creates_nothing_half() {
    // `ulimit` of the shell: the limit must be there before the database is.
    let directory = tempfile::tempdir().unwrap();
    if let Some(directory) = std::env::var_os(WRITER) {
        let error = Store::open(Path::new(&directory)).err().unwrap();
        println!("told: {error}");
        return;
    }
    let mut shell = Command::new("/bin/sh");
    let mut child = shell
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("store::tests::full::a_start_without_room_creates_nothing_half")
        .env(WRITER, directory.path())
        .arg0("sh")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told: Vec<_> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.contains("told: "))
        .collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("there is no room"), "{told:?}");
    let db = Db::at(directory);
    db.tx(|tx| tx.setting_set("k", "v", 1));
}
