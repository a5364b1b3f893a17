//! The daemon is killed, at named points and anywhere; the next one carries on.
//!
//! The daemon of these tests is this test binary, started again with [`BASE`] set: then [`killed_anywhere`] is the daemon
//! instead of the test. What it has taken is kept as a real daemon would: lines and offset are committed together.

use std::{
    fs,
    mem::ManuallyDrop,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use telexd::{
    core::ids::RunId,
    gateway::ports::{Exit, Followed, Notice, Remains, Runner},
    runner::Engine,
};

use crate::rig::{PATIENCE, Rig, is_running, run_id, supervisors_of, wait_for};

/// Directory of the rig, for a process that a test has started of this binary; not set in the test itself.
const BASE: &str = "TELEXD_TEST_BASE";
/// Failpoint and the hit at which it kills, as `NAME:HIT`.
const KILL_AT: &str = "TELEXD_TEST_KILL_AT";

/// What the agent is to get, each once.
const PROMPTS: [&str; 4] = ["one", "two", "three", "end"];

/// Answers each line, keeps a record of its own, and writes a lot besides.
const AGENT: &str = r#"
    echo $$ >> "$BASE/agents"
    i=0
    while read -r line; do
        echo "$line" >> "$BASE/seen"
        n=0; while [ $n -lt 300 ]; do i=$((i+1)); n=$((n+1)); echo "line $i"; done
        echo "got $line"
        [ "$line" = end ] && exit 0
    done"#;

/// What a daemon has taken: lines, and the offset behind them, replaced together.
struct Taken<'a> {
    base: &'a Path,
    offset: u64,
    lines: Vec<String>,
}

impl<'a> Taken<'a> {
    fn load(base: &'a Path) -> Self {
        let text = fs::read_to_string(base.join("taken")).unwrap_or_else(|_| "0\n".to_owned());
        let mut all = text.lines().map(str::to_owned);
        let offset = all.next().unwrap().parse().unwrap();
        Self {
            base,
            offset,
            lines: all.collect(),
        }
    }

    fn commit(&self) {
        let mut text = format!("{}\n", self.offset);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        fs::write(self.base.join("taken.new"), text).unwrap();
        fs::rename(self.base.join("taken.new"), self.base.join("taken")).unwrap();
    }

    fn take(&mut self, notice: &Notice) {
        if let Notice::Lines(lines) = notice {
            for line in lines {
                assert!(line.end > self.offset);
                self.offset = line.end;
                self.lines
                    .push(String::from_utf8(line.bytes.clone()).unwrap());
            }
            self.commit();
        }
    }

    fn has_answer(&self, prompt: &str) -> bool {
        self.lines.iter().any(|l| *l == format!("got {prompt}"))
    }
}

/// One life of a daemon: finds or starts the run and gives it all prompts, one after the answer to the other.
async fn live(rig: &Rig, runner: &Engine) -> Option<Exit> {
    let mut taken = Taken::load(rig.base.path());
    let mut number = 1;
    let mut followed: Option<Followed> = None;
    // The id is known before the launch, as a real daemon has a row for it.
    while followed.is_none() {
        let run: RunId = run_id(number);
        match runner.inspect(&run).await {
            Remains::Alive | Remains::Over => {
                followed = Some(runner.attach(&run, taken.offset).await.unwrap());
            }
            Remains::NeverStarted => number += 1,
            Remains::Missing => {
                followed = Some(runner.launch(&rig.spec(number, AGENT)).await.unwrap());
            }
        }
    }
    let mut followed = followed.unwrap();
    let mut prompts = PROMPTS.iter().peekable();
    loop {
        while prompts.peek().is_some_and(|p| taken.has_answer(p)) {
            prompts.next();
        }
        if let Some(prompt) = prompts.peek() {
            let control = &followed.control;
            if !control.input_contains(&|l| l == prompt.as_bytes()).unwrap() {
                control.append(format!("{prompt}\n").as_bytes()).unwrap();
            }
        }
        let notice = tokio::time::timeout(PATIENCE, followed.notices.recv())
            .await
            .expect("no notice came")
            .expect("no end came");
        taken.take(&notice);
        if let Notice::Ended(exit) = notice {
            return exit;
        }
    }
}

/// The rig of the test that has started this process, if one has.
fn rig_of_the_test() -> Option<ManuallyDrop<Rig>> {
    let base = std::env::var_os(BASE)?;
    Some(ManuallyDrop::new(Rig::at(Path::new(&base))))
}

/// This binary once more, to play another part of one of its tests.
fn again(test: &str, rig: &Rig) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture"])
        .env(BASE, rig.base.path())
        .stdin(Stdio::null());
    command
}

/// The daemon that the tests kill.
async fn daemon(rig: &Rig) {
    #[cfg(feature = "failpoints")]
    if let Ok(point) = std::env::var(KILL_AT) {
        let (name, hit) = point.split_once(':').unwrap();
        let left = std::sync::atomic::AtomicUsize::new(hit.parse().unwrap());
        fail::cfg_callback(name, move || {
            if left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
                let own = nix::unistd::getpid();
                let _ = nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL);
            }
        })
        .unwrap();
    }
    let runner = rig.runner();
    live(rig, &runner).await;
    runner.shutdown().await;
}

fn start_daemon(rig: &Rig, kill_at: Option<&str>) -> Child {
    let mut command = again("crash::killed_anywhere", rig);
    command.stdout(Stdio::null());
    if let Some(point) = kill_at {
        command.env(KILL_AT, point);
    }
    command.spawn().unwrap()
}

/// The last daemon; then everything must have happened exactly once.
async fn finish(rig: &Rig) {
    let runner = rig.runner();
    let exit = live(rig, &runner).await;
    assert_eq!(exit, Some(Exit::Code { code: 0 }));
    // Those whose run was withdrawn before they came are sent away.
    wait_for("every supervisor to end", || {
        supervisors_of(rig.base.path()).is_empty()
    })
    .await;
    runner.shutdown().await;

    let seen = fs::read_to_string(rig.path("seen")).unwrap();
    assert_eq!(seen.lines().collect::<Vec<_>>(), PROMPTS);
    let mut expected = Vec::new();
    for (at, prompt) in PROMPTS.iter().enumerate() {
        expected.extend((at * 300 + 1..=(at + 1) * 300).map(|i| format!("line {i}")));
        expected.push(format!("got {prompt}"));
    }
    assert_eq!(Taken::load(rig.base.path()).lines, expected);
    let agents = fs::read_to_string(rig.path("agents")).unwrap();
    assert_eq!(agents.lines().count(), 1, "more than one agent ran");
    assert!(!is_running(agents.trim().parse().unwrap()));
}

#[cfg(feature = "failpoints")]
async fn killed_at(point: &str) {
    let rig = Rig::new();
    let status = start_daemon(&rig, Some(point)).wait().unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(9), "{point} was not reached");
    finish(&rig).await;
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn killed_while_launching() {
    for point in [
        "runner-dir-made:1",
        "runner-spawned:1",
        "runner-handed-off:1",
    ] {
        killed_at(point).await;
    }
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn killed_while_writing_input() {
    for point in ["before", "torn", "after"] {
        for hit in [1, 2, 4] {
            killed_at(&format!("runner-append-{point}:{hit}")).await;
        }
    }
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn killed_while_reading_output() {
    for hit in [1, 2, 3] {
        killed_at(&format!("runner-lines-read:{hit}")).await;
    }
}

#[tokio::test]
async fn killed_anywhere() {
    if let Some(rig) = rig_of_the_test() {
        return daemon(&rig).await;
    }
    // From the first look on; later lives are killed when they have taken a little more than the one before.
    let rig = Rig::new();
    let mut goal = 0;
    for life in 0..8 {
        let mut child = start_daemon(&rig, None);
        let deadline = Instant::now() + PATIENCE;
        let taken = rig.path("taken");
        loop {
            let size = fs::metadata(&taken).map_or(0, |m| m.len());
            if size >= goal {
                goal = size + 200 * (life % 4);
                break;
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < deadline, "life {life} takes nothing");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(rig.path("taken").exists(), "no daemon has ever worked");
    finish(&rig).await;
}

/// The daemon of the test below.
#[cfg(feature = "failpoints")]
async fn full_disk(rig: &Rig) {
    let runner = rig.runner();
    let mut reading = crate::rig::launch(&runner, &rig.spec(1, "cat")).await;
    reading.started().await;
    reading.say("one\n");
    assert_eq!(reading.line().await, "one");
    fail::cfg("runner-append-torn", "1*return").unwrap();
    let control = &reading.followed.control;
    let error = control.append(b"a line that is cut in half\n").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let input = fs::read(rig.run_file(&run_id(1), "input.jsonl")).unwrap();
    assert_eq!(input, b"one\n");
    // Two lines, of which the first got in as a whole: the agent may have it, so it stays.
    fail::cfg("runner-append-torn", "1*return").unwrap();
    let control = &reading.followed.control;
    control.append(b"two\nthree three three\n").unwrap_err();
    assert!(control.input_contains(&|l| l == b"two").unwrap());
    reading.say("four\n");
    assert_eq!(reading.line().await, "two");
    assert_eq!(reading.line().await, "four");
    reading.followed.control.terminate();
    reading.end().await;
    runner.shutdown().await;
    fs::write(rig.path("all-seen"), "").unwrap();
}

/// In a process of its own, as a failpoint holds for the whole process.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_failed_write_leaves_no_half_line() {
    if let Some(rig) = rig_of_the_test() {
        return full_disk(&rig).await;
    }
    let rig = Rig::new();
    let output = again("crash::a_failed_write_leaves_no_half_line", &rig)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && rig.path("all-seen").exists(),
        "{text}"
    );
}
