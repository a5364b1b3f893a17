//! Input, output, and taking up again.

use telexd::gateway::ports::{Exit, Notice, Remains, Runner};

use crate::rig::{Reading, Rig, launch, run_id, wait_for};

const ECHO: &str = r#"while read -r line; do echo "got $line"; [ "$line" = end ] && exit 0; done"#;

#[tokio::test]
async fn input_comes_back_in_order() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, ECHO)).await;
    // Before anybody can have taken the run.
    reading.say("one\n");
    reading.started().await;
    assert_eq!(reading.line().await, "got one");
    reading.say("two\nthree\n");
    assert_eq!(reading.line().await, "got two");
    assert_eq!(reading.line().await, "got three");
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::Alive);
    reading.say("end\n");
    let (rest, exit) = reading.end().await;
    assert_eq!(rest, ["got end"]);
    assert_eq!(exit, Some(Exit::Code { code: 0 }));
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::Over);
    assert_eq!(runner.list().await, [run_id(1)]);
    runner.remove(&run_id(1)).await;
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::Missing);
    assert!(runner.list().await.is_empty());
    runner.shutdown().await;
}

#[tokio::test]
async fn output_while_nobody_follows_comes_once_after_taking_up() {
    let rig = Rig::new();
    let runner = rig.runner();
    let script = r#"
        read -r _; echo first
        read -r _; i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done
        touch "$BASE/written"
        read -r _; echo -n last"#;
    let mut reading = launch(&runner, &rig.spec(1, script)).await;
    reading.started().await;
    reading.say("go\n");
    assert_eq!(reading.line().await, "first");
    let offset = reading.lines.last().unwrap().end;
    assert_eq!(offset, 6);
    reading.say("go\n");
    runner.shutdown().await;
    drop(reading);
    drop(runner);
    wait_for("the agent to write on", || rig.path("written").exists()).await;

    let runner = rig.runner();
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::Alive);
    let mut reading = Reading::new(runner.attach(&run_id(1), offset).await.unwrap());
    for i in 0..2000 {
        assert_eq!(reading.line().await, format!("line {i}"));
    }
    reading.say("go\n");
    let (rest, exit) = reading.end().await;
    assert_eq!(rest, ["last"]);
    assert_eq!(exit, Some(Exit::Code { code: 0 }));
    let size = std::fs::metadata(rig.run_file(&run_id(1), "output.jsonl"))
        .unwrap()
        .len();
    assert_eq!(reading.lines.last().unwrap().end, size);

    // Over: everything again from any line end, and nothing from the end.
    let mut again = Reading::new(runner.attach(&run_id(1), offset).await.unwrap());
    assert_eq!(again.end().await.0.len(), 2001);
    let mut at_end = Reading::new(runner.attach(&run_id(1), size).await.unwrap());
    assert_eq!(at_end.end().await, (vec![], exit));
    runner.shutdown().await;
}

#[tokio::test]
async fn a_line_of_12_mb_goes_in_and_out() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, "head -n 1")).await;
    let mut line: String = "0123456789abcdef".repeat(12 * 1024 * 1024 / 16);
    line.push('\n');
    reading.say(&line);
    reading.started().await;
    let (lines, exit) = reading.end().await;
    assert_eq!(lines.len(), 1);
    assert!(lines[0] == line.trim_end(), "the line was changed");
    assert_eq!(exit, Some(Exit::Code { code: 0 }));
    runner.shutdown().await;
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody() {
    let rig = Rig::new();
    let runner = rig.runner();
    let script = r#"i=0; while [ $i -lt 300 ]; do head -c 20000 /dev/zero | tr '\0' x; echo " $i"; i=$((i+1)); done"#;
    let mut reading = launch(&runner, &rig.spec(1, script)).await;
    let record = rig.run_file(&run_id(1), "exit.json");
    wait_for("the agent to end", || {
        std::fs::read(&record).unwrap().len() > 1
    })
    .await;
    let (lines, _) = reading.end().await;
    assert_eq!(lines.len(), 300);
    for (i, line) in lines.iter().enumerate() {
        assert!(line.ends_with(&format!("x {i}")));
        assert_eq!(line.len(), 20_001 + i.to_string().len());
    }
    runner.shutdown().await;
}

#[tokio::test]
async fn a_torn_tail_of_an_earlier_daemon_is_cut() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, ECHO)).await;
    reading.say("one\n");
    reading.started().await;
    assert_eq!(reading.line().await, "got one");
    runner.shutdown().await;
    let input = rig.run_file(&run_id(1), "input.jsonl");
    let torn = [std::fs::read(&input).unwrap(), b"half a li".to_vec()].concat();
    std::fs::write(&input, torn).unwrap();

    let runner = rig.runner();
    let offset = reading.lines.last().unwrap().end;
    let mut reading = Reading::new(runner.attach(&run_id(1), offset).await.unwrap());
    let control = &reading.followed.control;
    assert!(control.input_contains(&|l| l == b"one").unwrap());
    assert!(!control.input_contains(&|l| l.starts_with(b"half")).unwrap());
    reading.say("two\n");
    assert_eq!(reading.line().await, "got two");
    assert_eq!(std::fs::read(&input).unwrap(), b"one\ntwo\n");
    reading.say("end\n");
    reading.end().await;
    runner.shutdown().await;
}

#[tokio::test]
async fn input_without_a_newline_is_refused() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, ECHO)).await;
    assert!(reading.followed.control.append(b"no newline").is_err());
    reading.say("end\n");
    assert_eq!(reading.end().await.0, ["got end"]);
    runner.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_cuts_its_output_is_told_as_such() {
    let rig = Rig::new();
    let runner = rig.runner();
    let script = r"echo a long first line; read -r _; truncate -s 0 /proc/self/fd/1; echo b; read -r _; echo c";
    let mut reading = launch(&runner, &rig.spec(1, script)).await;
    reading.started().await;
    assert_eq!(reading.line().await, "a long first line");
    reading.say("go\n");
    let Some(Notice::Tampered { offset, size }) = reading.notice().await else {
        panic!("tampering was not seen");
    };
    assert_eq!(offset, 18);
    assert!(size < 18);
    reading.say("go\n");
    // What comes after is nobody's output any more, but the end is told.
    assert_eq!(reading.end().await, (vec![], Some(Exit::Code { code: 0 })));
    runner.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_closes_its_stdin_goes_on() {
    let rig = Rig::new();
    let runner = rig.runner();
    let script =
        r#"exec 0<&-; echo closed; while [ ! -e "$BASE/go" ]; do sleep 0.05; done; echo done"#;
    let mut reading = launch(&runner, &rig.spec(1, script)).await;
    reading.started().await;
    assert_eq!(reading.line().await, "closed");
    reading.say("one\n");
    reading.say("two\n");
    std::fs::write(rig.path("go"), "").unwrap();
    assert_eq!(reading.end().await.0, ["done"]);
    runner.shutdown().await;
}

#[tokio::test]
async fn dropping_the_following_leaves_the_run() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, ECHO)).await;
    reading.started().await;
    drop(reading);
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::Alive);
    let mut reading = Reading::new(runner.attach(&run_id(1), 0).await.unwrap());
    reading.say("end\n");
    assert_eq!(reading.end().await.0, ["got end"]);
    runner.shutdown().await;
}
