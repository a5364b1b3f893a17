//! How runs end, and what is left of them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use telexd::{
    gateway::ports::{Exit, NotStarted, Remains, Runner, Spec, SupervisorCommand, VersionGate},
    runner::Engine,
};

use crate::rig::{Rig, is_running, launch, no_zombies, pid_in, run_id, wait_for};

fn code(code: i32) -> Option<Exit> {
    Some(Exit::Code { code })
}

async fn exit_of(runner: &Engine, spec: &Spec) -> (Vec<String>, Option<Exit>) {
    launch(runner, spec).await.end().await
}

async fn not_started(runner: &Engine, spec: &Spec) -> NotStarted {
    match exit_of(runner, spec).await {
        (lines, Some(Exit::NotStarted { why })) if lines.is_empty() => why,
        other => panic!("it should not have started: {other:?}"),
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn codes_and_signals_are_recorded() {
    let rig = Rig::new();
    let runner = rig.runner();
    assert_eq!(exit_of(&runner, &rig.spec(1, "exit 7")).await.1, code(7));
    let killed = exit_of(&runner, &rig.spec(2, "echo a; kill -9 $$")).await;
    assert_eq!(
        killed,
        (vec!["a".to_owned()], Some(Exit::Signal { signal: 9 }))
    );
    let record = fs::read_to_string(rig.run_file(&run_id(2), "exit.json")).unwrap();
    assert_eq!(record, "\n{\"how\":\"signal\",\"signal\":9}\n");
    runner.shutdown().await;
    no_zombies().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let rig = Rig::new();
    let runner = rig.runner();

    let mut spec = rig.spec(1, "");
    spec.argv = vec!["no-such-program".to_owned()];
    let expected = NotStarted::NotFound {
        program: "no-such-program".to_owned(),
    };
    assert_eq!(not_started(&runner, &spec).await, expected);

    let mut spec = rig.spec(2, "");
    spec.directory = rig.path("absent");
    let NotStarted::Directory { detail } = not_started(&runner, &spec).await else {
        panic!("not about the directory");
    };
    assert!(detail.contains("absent"), "{detail}");

    let mut spec = rig.spec(3, "");
    spec.environment_file = Some(rig.path("agent.env"));
    let NotStarted::EnvironmentFile { detail } = not_started(&runner, &spec).await else {
        panic!("not about the environment file");
    };
    assert!(detail.contains("agent.env"), "{detail}");

    fs::write(rig.path("agent.env"), "A=1\nhush-hush\n").unwrap();
    spec.run = run_id(4);
    let NotStarted::EnvironmentFile { detail } = not_started(&runner, &spec).await else {
        panic!("not about the environment file");
    };
    assert!(detail.contains("line 2"), "{detail}");
    let dir = rig.run_file(&run_id(4), "");
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("hush"), "{}", path.display());
        }
    }

    let mut spec = rig.spec(5, "");
    program(&rig.path("orphan"), "#!/no/such/interpreter\n");
    spec.argv = vec![rig.path("orphan").to_str().unwrap().to_owned()];
    let NotStarted::Other { detail } = not_started(&runner, &spec).await else {
        panic!("not about the interpreter");
    };
    assert!(detail.contains("interpreter"), "{detail}");
    runner.shutdown().await;
    no_zombies().await;
}

#[tokio::test]
async fn the_version_is_checked() {
    let rig = Rig::new();
    let runner = rig.runner();
    let agent = rig.path("agent");
    program(
        &agent,
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo \"2.1.330 (Agent)\"; else echo runs; fi\n",
    );
    let mut spec = rig.spec(1, "");
    spec.argv = vec![agent.to_str().unwrap().to_owned()];
    let gate = |oldest| {
        Some(VersionGate {
            args: vec!["--version".to_owned()],
            oldest,
        })
    };
    spec.version_gate = gate((2, 1, 330));
    assert_eq!(
        exit_of(&runner, &spec).await,
        (vec!["runs".to_owned()], code(0))
    );

    spec.run = run_id(2);
    spec.version_gate = gate((2, 2, 0));
    let expected = NotStarted::TooOld {
        found: "2.1.330".to_owned(),
        oldest: "2.2.0".to_owned(),
    };
    assert_eq!(not_started(&runner, &spec).await, expected);

    // It says nothing, and leaves somebody behind who holds the pipe.
    program(&agent, "#!/bin/sh\necho none\nexit 0\n");
    spec.run = run_id(3);
    let NotStarted::Other { detail } = not_started(&runner, &spec).await else {
        panic!("not about the missing version");
    };
    assert!(detail.contains("does not say its version"), "{detail}");

    // It hangs: it can be ended all the same.
    program(
        &agent,
        "#!/bin/sh\necho $$ > \"$BASE/pid\"\nexec sleep 1000\n",
    );
    spec.run = run_id(4);
    let mut reading = launch(&runner, &spec).await;
    reading.started().await;
    let pid = pid_in(&rig.path("pid")).await;
    reading.followed.control.terminate();
    let (_, exit) = reading.end().await;
    assert!(matches!(exit, Some(Exit::NotStarted { .. })), "{exit:?}");
    assert!(!is_running(pid));
    runner.shutdown().await;
}

#[tokio::test]
async fn the_environment_is_built_from_nothing() {
    let rig = Rig::new();
    let runner = rig.runner();
    fs::write(rig.path("agent.env"), "KEY='from file'\nBOTH=file\n").unwrap();
    let mut spec = rig.spec(1, "env | sort; pwd");
    spec.env.push(("BOTH".to_owned(), "spec".to_owned()));
    spec.env.push(("TERM".to_owned(), "special".to_owned()));
    spec.environment_file = Some(rig.path("agent.env"));
    let (lines, exit) = exit_of(&runner, &spec).await;
    assert_eq!(exit, code(0));
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|l| Some(l.split_once('=')?.0))
        // The shell's own.
        .filter(|n| !["PWD", "OLDPWD", "SHLVL", "_"].contains(n))
        .collect();
    assert_eq!(
        names,
        [
            "BASE", "BOTH", "HOME", "KEY", "LANG", "PATH", "SHELL", "TERM"
        ]
    );
    for line in ["KEY=from file", "BOTH=file", "TERM=special"] {
        assert!(lines.iter().any(|l| l == line), "{line} in {lines:?}");
    }
    let base = rig.base.path().canonicalize().unwrap();
    assert_eq!(lines.last().unwrap(), base.to_str().unwrap());
    runner.shutdown().await;
}

#[tokio::test]
async fn the_output_is_limited() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut spec = rig.spec(1, "");
    spec.argv = ["head", "-c", "1000000", "/dev/zero"]
        .map(str::to_owned)
        .to_vec();
    spec.output_limit = 100_000;
    let (lines, exit) = exit_of(&runner, &spec).await;
    let signal = Signal::SIGXFSZ as i32;
    assert_eq!(exit, Some(Exit::Signal { signal }));
    assert_eq!(lines.concat().len(), 100_000);
    runner.shutdown().await;
}

/// A stubborn agent with a child and a grandchild that left its session, all deaf to SIGTERM.
const STUBBORN: &str = r#"
    trap '' TERM
    sh -c 'trap "" TERM; echo $$ > "$BASE/child"; while :; do sleep 1; done' &
    setsid sh -c 'sh -c "trap \"\" TERM; echo \$\$ > \"\$BASE/grandchild\"; while :; do sleep 1; done" & exit 0'
    echo $$ > "$BASE/agent"
    while :; do sleep 1; done"#;

#[tokio::test]
async fn terminate_leaves_nothing() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, STUBBORN)).await;
    reading.started().await;
    let mut pids = Vec::new();
    for name in ["agent", "child", "grandchild"] {
        pids.push(pid_in(&rig.path(name)).await);
    }
    assert!(pids.iter().all(|p| is_running(*p)));
    reading.followed.control.terminate();
    reading.followed.control.terminate();
    let (_, exit) = reading.end().await;
    assert_eq!(exit, Some(Exit::Signal { signal: 9 }));
    for pid in pids {
        assert!(!is_running(pid), "{pid} is left");
    }
    runner.shutdown().await;
    no_zombies().await;
}

#[tokio::test]
async fn what_an_agent_leaves_behind_is_ended_before_the_end_is_told() {
    let rig = Rig::new();
    let runner = rig.runner();
    let script = r#"
        setsid sh -c 'sh -c "trap \"\" TERM; echo \$\$ > \"\$BASE/deaf\"; while :; do sleep 1; done" & exit 0'
        setsid sh -c 'trap "echo goodbye; exit 0" TERM; echo $$ > "$BASE/polite"; while :; do sleep 0.05; done' &
        while [ ! -s "$BASE/deaf" ] || [ ! -s "$BASE/polite" ]; do sleep 0.05; done
        exit 3"#;
    let (lines, exit) = exit_of(&runner, &rig.spec(1, script)).await;
    assert_eq!(exit, code(3));
    assert_eq!(lines, ["goodbye"]);
    for name in ["deaf", "polite"] {
        let pid = pid_in(&rig.path(name)).await;
        assert!(!is_running(pid), "{name} is left");
    }
    runner.shutdown().await;
}

#[tokio::test]
async fn a_signal_to_the_supervisor_ends_the_run_in_order() {
    let rig = Rig::new();
    let runner = rig.runner();
    let mut reading = launch(&runner, &rig.spec(1, r#"echo $PPID; exec cat"#)).await;
    reading.started().await;
    let supervisor: i32 = reading.line().await.parse().unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGTERM).unwrap();
    let (_, exit) = reading.end().await;
    assert_eq!(exit, Some(Exit::Signal { signal: 15 }));
    runner.shutdown().await;
}

#[tokio::test]
async fn a_killed_supervisor_takes_the_agent_with_it() {
    let rig = Rig::new();
    let runner = rig.runner();
    // It needs a while to end and writes until then: nothing of that is lost.
    let script = r#"
        trap 'sleep 0.5; echo "said late"; exit 0' TERM
        echo $PPID; echo $$; while :; do sleep 0.05; done"#;
    let mut reading = launch(&runner, &rig.spec(1, script)).await;
    reading.started().await;
    let supervisor: i32 = reading.line().await.parse().unwrap();
    let agent: i32 = reading.line().await.parse().unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    assert_eq!(reading.end().await, (vec!["said late".to_owned()], None));
    wait_for("the agent to end", || !is_running(agent)).await;
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::Over);
    runner.shutdown().await;
}

#[tokio::test]
async fn terminate_before_the_start_withdraws_the_run() {
    let rig = Rig::new();
    let runner = rig.runner();
    // No await between the two: nobody can have asked for the hand-off yet.
    let mut reading = launch(&runner, &rig.spec(1, r#"touch "$BASE/ran""#)).await;
    reading.followed.control.terminate();
    let (lines, exit) = reading.end().await;
    assert!(lines.is_empty());
    assert!(
        matches!(
            exit,
            Some(Exit::NotStarted { .. } | Exit::Signal { signal: 15 })
        ),
        "{exit:?}"
    );
    if matches!(exit, Some(Exit::NotStarted { .. })) {
        assert!(!rig.path("ran").exists());
    }
    runner.shutdown().await;
}

#[tokio::test]
async fn a_supervisor_that_never_takes_the_run_is_told() {
    let rig = Rig::new();
    program(
        &rig.path("supervisor"),
        "#!/bin/sh\necho 'no luck today' >&2\nexit 4\n",
    );
    let command = SupervisorCommand {
        program: rig.path("supervisor").into(),
        args: Vec::new(),
    };
    let runner = Engine::direct(rig.state(), rig.socket(), command).unwrap();
    let NotStarted::Other { detail } = not_started(&runner, &rig.spec(1, "true")).await else {
        panic!("not about the supervisor");
    };
    assert!(detail.contains("exit status: 4"), "{detail}");
    assert!(detail.contains("no luck today"), "{detail}");
    assert_eq!(runner.inspect(&run_id(1)).await, Remains::NeverStarted);
    runner.shutdown().await;
    no_zombies().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_place_is_a_sentence() {
    let rig = Rig::new();
    let open = |state: &str, socket: &str, program: &str| {
        let command = SupervisorCommand {
            program: program.into(),
            args: Vec::new(),
        };
        match Engine::direct(rig.path(state), rig.path(socket), command) {
            Ok(_) => panic!("it should have been refused"),
            Err(error) => error.to_string(),
        }
    };
    let good = env!("CARGO_BIN_EXE_telexd-run");
    fs::write(rig.path("file"), "").unwrap();
    let said = open("file", "s", good);
    assert!(
        said.contains("file/runs") && said.contains("directory"),
        "{said}"
    );
    let said = open("state", "s", "/no/such/telexd-run");
    assert!(said.contains("/no/such/telexd-run"), "{said}");
    let said = open("state", "absent/s", good);
    assert!(said.contains("absent/s"), "{said}");

    let first = rig.runner();
    let said = open("state", "other", good);
    assert!(said.contains("another telexd"), "{said}");
    first.shutdown().await;
}
