//! Recordings, and what makes text of them.

use std::{fs, os::unix::fs::PermissionsExt as _};

use telexd_botapi::Outgoing;

use super::{kept, path_in, prompts};
use crate::support::{USER, World, wait_until};

/// A transcriber that runs this shell script, with the recording as `$1`.
fn transcriber(world: &World, script: &str, limit_s: u32) {
    let program = world.path("transcriber");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    world.drop_in(
        "20-voice",
        &format!(
            "[files]\ntranscriber = [\"{}\"]\ntranscriber_timeout_s = {limit_s}\n",
            program.display()
        ),
    );
}

fn voice() -> Outgoing {
    Outgoing::file("voice", Some("audio/ogg"), "OggS recording")
}

#[tokio::test]
async fn a_recording_becomes_a_prompt_that_its_speaker_sees() {
    let world = World::new().await;
    transcriber(
        &world,
        "printf '@fake say heard\\n'; cat \"$1\" >&2; env >&2",
        20,
    );
    let daemon = world.start();
    world.api.user(USER, "Uma").send(USER, voice());
    world.wait_shows(USER, "heard").await;
    world
        .wait_shows(USER, "🎤 I understood:\n\n@fake say heard")
        .await;
    let given = prompts(&world);
    assert_eq!(given.len(), 1);
    assert!(
        given[0].starts_with("@fake say heard\n\n[A file was sent"),
        "{}",
        given[0]
    );
    // The recording itself is there as well.
    assert_eq!(fs::read(path_in(&given[0])).unwrap(), b"OggS recording");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn without_a_transcriber_the_file_is_handed_over() {
    let world = World::new().await;
    let daemon = world.start();
    world.api.user(USER, "Uma").send(USER, voice());
    world.wait_told(USER, "cannot turn voice into text").await;
    wait_until("it is given", || prompts(&world).len() == 1, || world.log()).await;
    assert_eq!(kept(&world), [path_in(&prompts(&world)[0])]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_transcriber_that_hangs_is_ended_with_all_that_it_started() {
    let world = World::new().await;
    transcriber(&world, "sleep 600 & sleep 600", 1);
    let daemon = world.start();
    world.api.user(USER, "Uma").send(USER, voice());
    world.wait_told(USER, "took too long").await;
    wait_until("it is given", || prompts(&world).len() == 1, || world.log()).await;
    let sleeping = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            // Its children have no variable of this world: known by what they are and whose they were.
            read("cmdline") == b"sleep\x00600\x00"
                && read("environ").starts_with(b"HOME=/nonexistent")
        })
    };
    wait_until("nothing of it is left", || !sleeping(), || world.log()).await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_transcriber_that_fails_or_finds_nothing_is_told_of() {
    let world = World::new().await;
    transcriber(&world, "exit 7", 20);
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send(USER, voice());
    world.wait_told(USER, "could not be turned into text").await;
    transcriber(&world, "echo ' '", 20);
    user.send(USER, voice());
    world.wait_told(USER, "I found no words").await;
    wait_until(
        "both are given",
        || prompts(&world).len() == 2,
        || world.log(),
    )
    .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn voice_may_be_off() {
    let world = World::new().await;
    transcriber(&world, "echo words", 20);
    world.drop_in("21-off", "[features]\nvoice = false\n");
    let daemon = world.start();
    world.api.user(USER, "Uma").send(USER, voice());
    world
        .wait_told(USER, "Voice is not turned into text for you")
        .await;
    wait_until("it is given", || prompts(&world).len() == 1, || world.log()).await;
    assert!(!prompts(&world)[0].contains("words"));
    daemon.stop().await;
    world.end_all().await;
}
