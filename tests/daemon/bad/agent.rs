//! An agent that cannot be started: the person reads what is wrong and who can mend it, the administrator finds the
//! details in the log, and the next message works once it is mended.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use crate::support::{USER, World};

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Sends a message, waits for the sentence, and sees to it that nothing is left in the air.
async fn told(world: &World, sentence: &str) {
    let before = world.api.view(|v| v.bot_messages(USER)).len();
    world.api.user(USER, "Uma").send_text(USER, "say never");
    let shown = world
        .wait_chat(USER, sentence, |m| {
            m.len() > before && m[before..].iter().any(|m| m.text.contains(sentence))
        })
        .await;
    assert_eq!(
        shown.len(),
        before + 1,
        "the placeholder became the sentence: {shown:#?}"
    );
    assert!(shown[before].buttons.is_empty());
    assert!(shown[before].text.starts_with('🤖'), "{shown:#?}");
    assert_eq!(
        world
            .evidence()
            .reached()
            .iter()
            .filter(|r| r.text == "say never")
            .count(),
        0
    );
}

#[tokio::test]
async fn an_absent_agent() {
    let world = World::new().await;
    let program = world.path("claude");
    world.write_config(&program, "");
    let daemon = world.start();
    told(
        &world,
        &format!(
            "The agent program `{}` is not on the server.",
            program.display()
        ),
    )
    .await;
    world.wait_log("the agent could not be started").await;
    assert!(world.log().contains("NotFound"), "{}", world.log());
    symlink(telexd_scripted_agent::binary(), &program).unwrap();
    world.says(USER, "here").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_is_too_old_or_says_no_version_or_does_not_run() {
    let world = World::new().await;
    let program = world.path("claude");
    world.write_config(&program, "");
    let daemon = world.start();
    let started = world.path("started");
    for (text, sentence) in [
        (
            format!(
                "#!/bin/sh\ncase \"$*\" in --version) echo '2.1.197 (Claude Code)';; *) touch {};; esac\n",
                started.display()
            ),
            "The agent on the server is version 2.1.197; 2.1.248 or newer is needed.",
        ),
        (
            "#!/bin/sh\necho hello\n".to_owned(),
            "The agent could not be started.",
        ),
        (
            "#!/bin/sh\nexit 3\n".to_owned(),
            "The agent could not be started.",
        ),
        (
            "#!/nowhere/interpreter\n".to_owned(),
            "The agent could not be started.",
        ),
    ] {
        script(&program, &text);
        told(&world, sentence).await;
    }
    assert!(!started.exists(), "what is too old is not run");
    let log = world.log();
    for reason in [
        "TooOld",
        "does not say its version",
        "its interpreter is missing",
    ] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    fs::remove_file(&program).unwrap();
    symlink(telexd_scripted_agent::binary(), &program).unwrap();
    world.says(USER, "new").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_missing_working_directory() {
    let world = World::new().await;
    fs::remove_dir(world.path("project")).unwrap();
    let daemon = world.start();
    told(
        &world,
        "The directory in which the agent works cannot be entered.",
    )
    .await;
    let log = world.log();
    assert!(
        log.contains("warning: ") && log.contains("create it before the agent is to work there"),
        "{log}"
    );
    assert!(
        log.contains("Directory") && log.contains(&*world.path("project").to_string_lossy()),
        "{log}"
    );
    fs::create_dir(world.path("project")).unwrap();
    world.says(USER, "here").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_environment_file_that_is_missing_or_malformed_and_its_content_is_not_told() {
    let world = World::new().await;
    let file = world.path("agent.env");
    let good = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let daemon = world.start();
    told(
        &world,
        "The agent could not be started. An administrator finds the reason",
    )
    .await;
    assert!(
        world.log().contains("agent.env: No such file or directory"),
        "{}",
        world.log()
    );
    for text in [
        "A=1\nhunter2-is-the-password\n",
        "A=1\nB=\"hunter2\n",
        "A=1\n2B=hunter2\n",
    ] {
        fs::write(&file, text).unwrap();
        let before = world.logged("agent.env, line 2");
        told(
            &world,
            "The agent could not be started. An administrator finds the reason",
        )
        .await;
        assert!(
            world.logged("agent.env, line 2") > before,
            "{}",
            world.log()
        );
    }
    assert!(!world.log().contains("hunter2"));
    for path in world.run_directories() {
        for name in ["spec.json", "exit.json", "stderr.log"] {
            let text = fs::read_to_string(path.join(name)).unwrap_or_default();
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
    fs::write(&file, good).unwrap();
    world.says(USER, "here").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_place_for_runs_that_cannot_be_written() {
    let world = World::new().await;
    let (runs, away) = (world.path("state/runs"), world.path("away"));
    fs::write(&runs, "in the way").unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("cannot make the run directories") && said.contains(&*runs.to_string_lossy()),
        "{said}"
    );
    assert_eq!(fs::read(&runs).unwrap(), b"in the way");
    fs::remove_file(&runs).unwrap();

    // The same while it runs.
    let daemon = world.start();
    world.says(USER, "one").await;
    world.api.user(USER, "Uma").send_text(USER, "/clear");
    world.wait_told(USER, "Done: the next message").await;
    crate::support::wait_until(
        "the process of the old session is gone",
        || world.evidence().of("end").count() == 1,
        || world.log(),
    )
    .await;
    fs::rename(&runs, &away).unwrap();
    fs::write(&runs, "in the way").unwrap();
    told(
        &world,
        "The agent could not be started. An administrator finds the reason",
    )
    .await;
    assert!(
        world.log().contains("cannot prepare the run directory"),
        "{}",
        world.log()
    );
    fs::remove_file(&runs).unwrap();
    fs::rename(&away, &runs).unwrap();
    world.says(USER, "two").await;
    daemon.stop().await;
    world.end_all().await;
}
