//! Files that people send: what becomes of them, whatever they are called, however large, and whatever dies meanwhile.
//!
//! | file | what |
//! |---|---|
//! | `taking.rs` | documents, odd and bad files, features that are off |
//! | `albums.rs` | albums, whole and not, over a kill |
//! | `trouble.rs` | a network that fails, a daemon that is killed, a slow file beside quick ones |
//! | `voice.rs` | recordings |
//! | `images.rs` | what the agent is shown |
//! | `keeping.rs` | quota and age |

mod albums;
mod images;
mod keeping;
mod taking;
mod trouble;
mod voice;

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use crate::support::World;

/// What the agent was given, in order.
fn prompts(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    evidence
        .of("prompt")
        .map(|p| p["text"].as_str().unwrap().to_owned())
        .collect()
}

/// Files in the inboxes, whole ones and others.
fn kept(world: &World) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(inboxes) = fs::read_dir(world.path("state/files")) else {
        return found;
    };
    for inbox in inboxes.flatten() {
        found.extend(
            fs::read_dir(inbox.path())
                .unwrap()
                .flatten()
                .map(|e| e.path()),
        );
    }
    found.sort();
    found
}

/// The path that a prompt names.
fn path_in(prompt: &str) -> PathBuf {
    let rest = prompt
        .split("\n- ")
        .nth(1)
        .unwrap_or_else(|| panic!("no file in {prompt:?}"));
    PathBuf::from(rest.split(" (").next().unwrap())
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}
