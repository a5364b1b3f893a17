//! A full disk: nothing is confirmed that could not be kept, people are told where that is possible, and when there
//! is room all goes on, once.
//!
//! The disk is a small file system in memory, in a mount namespace of its own that ends with the test: each test
//! runs itself again inside one, by `unshare` of util-linux. Where that is not possible these tests fail.

use std::{
    env, fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    rig::wait_long,
    support::{ADMIN, USER, World, shows, texts, wait_until},
};

/// Names, to the inner of the two processes, the file in which it leaves the proof that it ran.
const INSIDE: &str = "TELEXD_TEST_INSIDE_NAMESPACE";
const FULL: &str =
    "The server's disk is full. Your message is kept and runs as soon as there is room.";

/// Whether this process is inside a namespace. If not, runs the test of this name inside one, and fails if that fails.
pub fn inside_namespace(test: &str) -> bool {
    if let Some(proof) = env::var_os(INSIDE) {
        fs::write(proof, test).unwrap();
        return true;
    }
    let plain: &[&str] = &["--mount"];
    // For who is not root.
    let mapped: &[&str] = &["--mount", "--user", "--map-root-user"];
    let works = |args: &[&str]| {
        let tried = Command::new("unshare").args(args).arg("true").output();
        tried
            .expect("unshare, of util-linux, is needed")
            .status
            .success()
    };
    let args = if works(plain) { plain } else { mapped };
    let proof = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new("unshare")
        .args(args)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, proof.path())
        .status()
        .unwrap();
    assert!(
        status.success(),
        "{test} inside a mount namespace: {status}"
    );
    // A name that no test has runs nothing, and that ends well.
    assert_eq!(
        fs::read_to_string(proof.path()).unwrap(),
        test,
        "no test of this name was run"
    );
    false
}

/// A small file system.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(at: &Path, options: &str) -> Self {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "telexd-test"])
            .arg(at)
            .status()
            .unwrap();
        assert!(done.success(), "cannot mount");
        Self(at.to_owned())
    }

    fn filler(&self) -> PathBuf {
        self.0.join("somebody-elses-file")
    }

    /// Takes all room that there is, to the last page.
    fn fill(&self) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.filler())
            .unwrap();
        let page = [7; 4096];
        loop {
            match file.write_all(&page) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes so many bytes.
    pub fn take(&self, bytes: usize) {
        fs::write(self.filler(), vec![7; bytes]).unwrap();
    }

    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It would go with the namespace, but the directory below it is to be removed before.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn with_no_room_for_the_database_nothing_is_confirmed_and_nothing_lost() {
    if !inside_namespace(
        "bad::disk::with_no_room_for_the_database_nothing_is_confirmed_and_nothing_lost",
    ) {
        return;
    }
    let world = World::new().await;
    let disk = Disk::mount(&world.path("state"), "size=4m,mode=700");

    // At the very start: told, and nothing half made is left.
    disk.fill();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("there is no room") && said.contains("free some space"),
        "{said}"
    );
    disk.free();

    let mut daemon = world.start();
    world.says(USER, "before").await;
    disk.fill();
    world.api.user(USER, "Uma").send_text(USER, "say during");
    world.api.user(ADMIN, "Ada").send_text(ADMIN, "say also");
    world.wait_log("no room left for the database").await;
    assert!(!world.api.pending_updates().is_empty(), "not confirmed");
    assert!(daemon.ended().is_none());
    disk.free();
    wait_long(
        "both are answered",
        || {
            shows(&world.api.view(|v| v.bot_messages(USER)), "during")
                && shows(&world.api.view(|v| v.bot_messages(ADMIN)), "also")
        },
        || world.log(),
    )
    .await;

    // A stop while it is full is in time, and the next life takes up what waits. (Whether something that is still on its way
    // has arrived could not be recorded now.)
    world.wait_sent().await;
    disk.fill();
    world.api.user(USER, "Uma").send_text(USER, "say late");
    let told = world.logged("no room left for the database");
    wait_long(
        "it is told again",
        || world.logged("no room left for the database") > told,
        || world.log(),
    )
    .await;
    assert!(daemon.stop().await.as_secs() < 5);
    disk.free();
    let daemon = world.start();
    world.wait_shows(USER, "late").await;
    assert_eq!(
        texts(&world.api.view(|v| v.bot_messages(USER))),
        ["before", "during", "late"]
    );
    assert!(world.evidence().reached().iter().all(|r| r.times == 1));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_waits_for_room() {
    if !inside_namespace("bad::disk::an_answer_that_cannot_be_recorded_waits_for_room") {
        return;
    }
    let world = World::new().await;
    let disk = Disk::mount(&world.path("state"), "size=4m,mode=700");
    // The agent itself has room for its output: the two may lie on different disks.
    fs::create_dir(world.path("state/runs")).unwrap();
    let runs = Disk::mount(&world.path("state/runs"), "size=16m,mode=700");
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(USER, "slow 20 x80");
    world
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    disk.fill();
    wait_until(
        "the agent has ended its answer alone",
        || world.evidence().reached().iter().any(|r| r.answered == 1),
        || world.log(),
    )
    .await;
    world
        .wait_log("cannot record what the agent said; it is tried again")
        .await;
    disk.free();
    let whole: String = (1..=80).map(|n| format!("piece {n:05} ")).collect();
    let done = || {
        let shown = world.api.view(|v| v.bot_messages(USER));
        shown.len() == 1 && shown[0].text == whole.trim_end() && shown[0].buttons.is_empty()
    };
    wait_long("the whole answer is there", done, || world.log()).await;
    world.says(USER, "next").await;
    assert!(world.evidence().reached().iter().all(|r| r.times == 1));
    daemon.stop().await;
    world.end_all().await;
    drop(runs);
}

#[tokio::test]
async fn with_no_room_for_a_run_people_are_told_and_their_messages_kept() {
    if !inside_namespace(
        "bad::disk::with_no_room_for_a_run_people_are_told_and_their_messages_kept",
    ) {
        return;
    }
    let world = World::new().await;
    fs::create_dir(world.path("state/runs")).unwrap();
    let disk = Disk::mount(&world.path("state/runs"), "size=1m,mode=700");
    let daemon = world.start();

    // No process can be started.
    disk.fill();
    world.api.user(USER, "Uma").send_text(USER, "say first");
    world.wait_shows(USER, FULL).await;
    world.wait_log("cannot prepare the run directory").await;
    world.api.user(USER, "Uma").send_text(USER, "/status");
    world.wait_told(USER, "1 message in line.").await;
    disk.free();
    let first = || shows(&world.api.view(|v| v.bot_messages(USER)), "first");
    wait_long("it was run", first, || world.log()).await;

    // A process is there, but the prompt cannot be written to it.
    disk.fill();
    let long = format!("say {}", "long ".repeat(20_000));
    world.api.user(USER, "Uma").send_text(USER, &long);
    world.wait_shows(USER, FULL).await;
    disk.free();
    let second = || {
        world
            .api
            .view(|v| v.bot_messages(USER))
            .last()
            .is_some_and(|m| m.text.ends_with("long long") && m.buttons.is_empty())
    };
    wait_long("it was run", second, || world.log()).await;
    assert_eq!(world.reached("say first"), 1);
    assert_eq!(world.reached(&long), 1);
    assert!(
        !shows(&world.api.view(|v| v.bot_messages(USER)), FULL),
        "the notice became the answer"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_fetched_when_there_is_some() {
    if !inside_namespace(
        "bad::disk::a_file_for_which_there_is_no_room_is_fetched_when_there_is_some",
    ) {
        return;
    }
    let world = World::new().await;
    fs::create_dir(world.path("state/files")).unwrap();
    let disk = Disk::mount(&world.path("state/files"), "size=1m,mode=700");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    disk.fill();
    let content = "a".repeat(500_000);
    user.send_document(
        USER,
        "a.txt",
        "text/plain",
        content.clone(),
        "@fake say file",
    );
    let no_room = "The server's disk is full. Your file is fetched, and your message runs, as soon as there is room.";
    world.wait_shows(USER, no_room).await;
    // Half of it fits, and a daemon that is killed over that knows what it has said.
    daemon.kill();
    disk.free();
    disk.take(800_000);
    let daemon = world.start_ready().await;
    world.wait_log("no room for a file").await;
    let fetched = || {
        world
            .api
            .calls()
            .iter()
            .filter(|call| call.method == "file")
            .count()
    };
    let before = fetched();
    wait_long("it is tried again", || fetched() > before, || world.log()).await;
    disk.free();
    let read = || shows(&world.api.view(|v| v.bot_messages(USER)), "file");
    wait_long("it was run", read, || world.log()).await;
    let told = texts(&world.api.view(|v| v.bot_messages(USER)));
    assert_eq!(
        told.iter().filter(|text| *text == no_room).count(),
        1,
        "{told:#?}"
    );
    let kept: Vec<_> = fs::read_dir(world.path("state/files"))
        .unwrap()
        .flatten()
        .flat_map(|inbox| fs::read_dir(inbox.path()).unwrap().flatten())
        .map(|file| fs::read_to_string(file.path()).unwrap())
        .collect();
    assert!(kept == [content], "{} files", kept.len());
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_answer_for_which_room_was_kept_is_whole_on_a_full_disk() {
    if !inside_namespace("bad::disk::an_answer_for_which_room_was_kept_is_whole_on_a_full_disk") {
        return;
    }
    let world = World::new().await;
    fs::create_dir(world.path("state/runs")).unwrap();
    let disk = Disk::mount(&world.path("state/runs"), "size=1m,mode=700");
    let daemon = world.start();
    world.api.user(USER, "Uma").send_text(USER, "slow 20 x100");
    world.wait_told(USER, "piece 00002").await;
    disk.fill();
    let shown = world.wait_told(USER, "piece 00100").await;
    assert_eq!(shown.len(), 1, "{:?}", texts(&shown));
    disk.free();
    world.says(USER, "on").await;
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_answer_that_may_be_lost_is_told_and_can_be_interrupted() {
    if !inside_namespace("bad::disk::an_answer_that_may_be_lost_is_told_and_can_be_interrupted") {
        return;
    }
    let world = World::new().await;
    fs::create_dir(world.path("state/runs")).unwrap();
    let disk = Disk::mount(&world.path("state/runs"), "size=1m,mode=700");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    world.says(USER, "begun").await;
    disk.fill();
    user.send_text(USER, "long 80000");
    let lost = "The server's disk is full, so the rest of this answer may be lost.";
    world.wait_told(USER, lost).await;
    wait_until(
        "the agent has ended its answer, unheard",
        || world.evidence().reached().iter().all(|r| r.answered == 1),
        || world.log(),
    )
    .await;
    disk.free();
    user.send_text(USER, "say queued");
    user.send_text(USER, "/interrupt");
    world.wait_told(USER, "— Interrupted").await;
    user.send_text(USER, "/queue run");
    world.wait_shows(USER, "queued").await;
    let told = world.api.view(|v| v.bot_messages(USER));
    assert_eq!(told.iter().filter(|m| m.text.starts_with(lost)).count(), 1);
    assert!(world.evidence().reached().iter().all(|r| r.times == 1));
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_state_directory_that_is_read_only_is_told() {
    if !inside_namespace("bad::disk::a_state_directory_that_is_read_only_is_told") {
        return;
    }
    let world = World::new().await;
    let disk = Disk::mount(&world.path("state"), "ro,size=4m,mode=700");
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("cannot be written") && said.contains("not read-only"),
        "{said}"
    );
    drop(disk);
    let daemon = world.start();
    world.says(USER, "mended").await;
    daemon.stop().await;
    world.end_all().await;
}
