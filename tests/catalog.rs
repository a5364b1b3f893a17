//! The kinds of message, their texts for `journalctl -x`, and their use in the sources agree.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: whatever is not as it should be ends them"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use telexd::core::messages;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn catalog() -> String {
    fs::read_to_string(root().join("systemd/telexd.catalog")).unwrap()
}

/// An entry of the catalogue: id, header, text.
fn entries() -> Vec<(u128, String, String)> {
    let text = catalog();
    let mut entries = Vec::new();
    for part in text.split("\n-- ").skip(1) {
        let (id, rest) = part.split_once('\n').unwrap();
        let (header, body) = rest.split_once("\n\n").unwrap();
        let body = body.rsplit_once("\n\n# ").map_or(body, |(body, _)| body);
        let id = u128::from_str_radix(id, 16).unwrap();
        entries.push((id, header.to_owned(), body.trim().to_owned()));
    }
    entries
}

#[test]
fn each_kind_has_its_text() {
    let entries = entries();
    let ids: Vec<u128> = entries.iter().map(|entry| entry.0).collect();
    let kinds: Vec<u128> = messages::ALL.iter().map(|kind| kind.id).collect();
    assert_eq!(ids, kinds, "the same ids in the same order");
    for (id, header, body) in entries {
        for field in ["Subject: ", "Defined-By: telexd", "Documentation: man:"] {
            let found = header.lines().any(|line| line.starts_with(field));
            assert!(found, "{id:032x}: no {field}");
        }
        assert!(body.len() > 60, "{id:032x} says nothing: {body}");
        for line in body.lines() {
            assert!(line.len() <= 132, "too long: {line}");
        }
    }
}

#[test]
fn each_kind_is_used() {
    let mut sources = String::new();
    collect(&root().join("src"), &mut sources);
    let unused: Vec<_> = messages::CONSTANTS
        .iter()
        .filter(|name| {
            !sources
                .split(&format!("messages::{name}"))
                .skip(1)
                .any(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
        .collect();
    assert!(unused.is_empty(), "nobody logs these: {unused:?}");
}

fn collect(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

/// By systemd's own tool, which every machine has that can run the system tests.
#[test]
fn systemd_takes_the_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&place).unwrap();
    fs::create_dir_all(dir.path().join("var/lib/systemd/catalog")).unwrap();
    fs::write(place.join("telexd.catalog"), catalog()).unwrap();
    journalctl(dir.path(), "--update-catalog");
    let listed = journalctl(dir.path(), "--list-catalog");
    for kind in messages::ALL {
        let line = format!("{:032x} telexd: ", kind.id);
        assert!(listed.contains(&line), "no {line} in\n{listed}");
    }
}

fn journalctl(root: &Path, what: &str) -> String {
    let mut arg = PathBuf::from("--root=").into_os_string();
    arg.push(root);
    let output = Command::new("journalctl")
        .arg(arg)
        .args(["--no-pager", what])
        .output()
        .expect("journalctl can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{what}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
