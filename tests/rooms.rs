//! The rooms of `src/` and who may use whom. Reads every path in the sources that leads to another room, whether in a `use`
//! or in an expression, and fails where one leads to what it may not. Why the rooms are cut so: `docs/architecture.md`.

// The lint allows it in tests, but not in functions beside them.
#![allow(clippy::expect_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// For each room (folder or file of `src/`) what it may use besides itself.
const MAY_USE: &[(&str, Uses)] = &[
    ("core", Uses::Only(&[])),
    ("config", Uses::Only(&["core"])),
    // The gateway and delivery speak to the store directly: it has one implementation, and each test has a real file.
    ("store", Uses::Only(&["core"])),
    ("gateway", Uses::Only(&["core", "store"])),
    ("telegram", Uses::Only(&["core", "store", "gateway::ports"])),
    ("agent", Uses::Only(&["core", "gateway::ports"])),
    ("runner", Uses::Only(&["core", "gateway::ports"])),
    ("dbus", Uses::Only(&["core", "gateway::handle", "health"])),
    // Knows the daemon by its interface alone: it may be another version, or on another machine.
    ("ctl", Uses::Only(&["core"])),
    ("systemd", Uses::Only(&[])),
    // Speaks for the daemon when that is down, so it takes only what works without it.
    (
        "alert",
        Uses::Only(&["config", "core", "telegram", "gateway::ports"]),
    ),
    ("health", Uses::Only(&["core", "gateway::handle"])),
    ("failpoints", Uses::Only(&[])),
    ("lib", Uses::Only(&[])),
    ("app", Uses::All),
    ("cli", Uses::All),
    ("bin", Uses::All),
];

/// What `core` must not know, for it decides and does nothing: no runtime, no wire, no database, no clock.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "tokio_util",
    "teloxide_core",
    "reqwest",
    "zbus",
    "rusqlite",
    "nix",
    "SystemTime",
    "Instant",
];

#[derive(Clone, Copy)]
enum Uses {
    All,
    Only(&'static [&'static str]),
}

#[test]
fn rooms_use_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(
        files.len() > 30,
        "only {} sources found in {}",
        files.len(),
        root.display()
    );
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for file in &files {
        let source = fs::read_to_string(file).expect("a source can be read");
        let place = file.strip_prefix(&root).expect("it is under the root");
        *seen.entry(module(place).0).or_default() += 1;
        wrong.extend(violations(place, &source));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    for room in ["core", "store", "gateway", "telegram", "agent", "runner"] {
        assert!(seen.contains_key(room), "no source of {room} was read");
    }
}

#[test]
fn a_violation_is_caught() {
    for (file, source) in [
        ("core/turn.rs", "use crate::store::Store;"),
        (
            "core/turn.rs",
            "pub use crate::{\n  core::ids,\n  gateway::ports::Clock,\n};",
        ),
        ("core/turn.rs", "fn f() { let x = crate::store::open(); }"),
        ("core/turn.rs", "use super::super::store;"),
        (
            "core/turn/deep.rs",
            "use super::super::super::{config::Settings};",
        ),
        (
            "core/turn.rs",
            "mod tests { use super::super::super::store::Store; }",
        ),
        ("core/turn.rs", "use tokio::sync::mpsc;"),
        ("core/turn.rs", "fn f() { std::time::SystemTime::now(); }"),
        ("store/mod.rs", "use crate::gateway::ports::Clock;"),
        (
            "gateway/lane/mod.rs",
            "use crate::{core::{ids, text}, telegram::render};",
        ),
        (
            "gateway/lane/mod.rs",
            "macro_rules! m { () => { $crate::telegram::x() } }",
        ),
        ("telegram/intake.rs", "use crate::gateway::handle::Handle;"),
        ("telegram/intake.rs", "use crate::gateway;"),
        (
            "telegram/intake.rs",
            "use crate::gateway::{ports, handle as h};",
        ),
        ("telegram/intake.rs", "use crate::*;"),
        ("agent/mod.rs", "use crate::runner;"),
        ("dbus/manager.rs", "use crate::gateway::ports::Clock;"),
        ("ctl/verbs/ps.rs", "use crate::dbus::Error;"),
        ("systemd/notify.rs", "use crate::core::Millis;"),
        ("health/mod.rs", "let c = 'x'; /* \" */ use crate::app;"),
        (
            "health/mod.rs",
            "const S: &str = r#\"\"\"#; use crate::app;",
        ),
        ("newroom/mod.rs", "fn f() {}"),
        ("core/x.rs", "use crate::newroom::X;"),
    ] {
        assert!(
            !violations(Path::new(file), source).is_empty(),
            "not caught in {file}: {source}"
        );
    }
}

#[test]
fn what_is_allowed_passes() {
    for (file, source) in [
        (
            "core/turn.rs",
            "use crate::core::ids::RunId; use super::text; use std::fmt;",
        ),
        (
            "core/turn.rs",
            "// use crate::store;\n/* crate::store /* crate::app */ */\nconst S: &str = \"crate::store \\\" x\";",
        ),
        (
            "core/turn.rs",
            "fn f<'a>(x: &'a str) { let c = '\"'; } pub(crate) fn g() {} pub(in crate::core) fn h() {}",
        ),
        (
            "core/turn/deep.rs",
            "mod tests { use super::super::super::ids; }",
        ),
        (
            "telegram/intake.rs",
            "use crate::{gateway::ports::{Clock, Dice}, store::{self, Store}, telegram::client};",
        ),
        (
            "dbus/manager.rs",
            "use crate::gateway::handle::{Handle, Refusal};",
        ),
        ("app.rs", "use crate::{telegram, dbus::manager};"),
        ("bin/telexd.rs", "use telexd::app;"),
        ("lib.rs", "pub mod core;"),
    ] {
        assert_eq!(
            violations(Path::new(file), source),
            Vec::<String>::new(),
            "{file}: {source}"
        );
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources can be read") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Room of a file (relative to `src/`), and its module path.
fn module(file: &Path) -> (String, Vec<String>) {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let room = path[0].clone();
    if path.len() > 1 && path.last().is_some_and(|name| name == "mod") {
        path.pop();
    }
    (room, path)
}

/// A sentence for each path that leads where it may not.
fn violations(file: &Path, source: &str) -> Vec<String> {
    let (room, path) = module(file);
    let Some((_, uses)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{}: room `{room}` is not in the table of tests/rooms.rs",
            file.display()
        )];
    };
    let Uses::Only(allowed) = uses else {
        return Vec::new();
    };
    let tokens = tokens(source);
    let mut wrong = Vec::new();
    for (line, target) in paths(&tokens, &path) {
        let own = target.first().is_some_and(|first| *first == room);
        let fits = |rule: &&str| {
            let rule: Vec<&str> = rule.split("::").collect();
            target.len() >= rule.len() && rule.iter().zip(&target).all(|(rule, part)| rule == part)
        };
        if !own && !allowed.iter().any(fits) {
            wrong.push(format!(
                "{}:{line}: `{room}` may not use `{}`",
                file.display(),
                target.join("::")
            ));
        }
    }
    if room == "core" {
        for (line, token) in &tokens {
            if NOT_IN_CORE.contains(&token.as_str()) {
                wrong.push(format!(
                    "{}:{line}: `core` may not use `{token}`",
                    file.display()
                ));
            }
        }
    }
    wrong
}

/// Words, `::` and single signs with their lines; comments, strings and characters are left out.
fn tokens(source: &str) -> Vec<(usize, String)> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut index, mut line) = (0, 1);
    while index < chars.len() {
        let start = index;
        match chars[index] {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                index += 1;
                while index < chars.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                index += 1;
            }
            '\'' if at(index + 1) == '\\' => {
                index += 3;
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            '\'' if at(index + 2) == '\'' => index += 3,
            c if c.is_alphanumeric() || c == '_' => {
                while at(index).is_alphanumeric() || at(index) == '_' {
                    index += 1;
                }
                let word: String = chars[start..index].iter().collect();
                let hashes = (index..chars.len()).take_while(|&i| at(i) == '#').count();
                if matches!(word.as_str(), "r" | "br" | "cr") && at(index + hashes) == '"' {
                    index += hashes + 1;
                    while index < chars.len()
                        && !(at(index) == '"' && (1..=hashes).all(|n| at(index + n) == '#'))
                    {
                        index += 1;
                    }
                    index += hashes + 1;
                } else {
                    tokens.push((line, word));
                }
            }
            ':' if at(index + 1) == ':' => {
                tokens.push((line, "::".to_owned()));
                index += 2;
            }
            c if c.is_whitespace() => index += 1,
            c => {
                tokens.push((line, c.to_string()));
                index += 1;
            }
        }
        line += chars[start..index.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    tokens
}

/// Paths that start at the root of the crate or climb by `super`, seen from the root, with their lines.
fn paths(tokens: &[(usize, String)], module: &[String]) -> Vec<(usize, Vec<String>)> {
    let word = |index: usize| tokens.get(index).map_or("", |(_, token)| token.as_str());
    let mut found = Vec::new();
    // Modules within the file: at which depth of braces each began.
    let mut inner: Vec<usize> = Vec::new();
    let mut depth = 0;
    let mut index = 0;
    while index < tokens.len() {
        let before = if index == 0 { "" } else { word(index - 1) };
        match word(index) {
            "mod" if word(index + 2) == "{" => {
                inner.push(depth);
                depth += 1;
                index += 2;
            }
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inner.last() == Some(&depth) {
                    inner.pop();
                }
            }
            "crate" if word(index + 1) == "::" && before != "in" => {
                tree(tokens, index + 2, &mut Vec::new(), &mut found);
            }
            "super" if before != "::" && word(index + 1) == "::" => {
                let mut climbed = 0;
                while word(index) == "super" && word(index + 1) == "::" {
                    climbed += 1;
                    index += 2;
                }
                if climbed > inner.len() {
                    let kept = module.len().saturating_sub(climbed - inner.len());
                    tree(tokens, index, &mut module[..kept].to_vec(), &mut found);
                }
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    found
}

/// Follows a path, or a tree of paths in braces, from `index` on; returns where it ends.
fn tree(
    tokens: &[(usize, String)],
    mut index: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let before = prefix.len();
    let word = |index: usize| tokens.get(index).map_or("", |(_, token)| token.as_str());
    loop {
        if word(index) == "{" {
            index += 1;
            while index < tokens.len() && word(index) != "}" {
                if word(index) == "," {
                    index += 1;
                } else {
                    index = tree(tokens, index, prefix, found);
                }
            }
            index += 1;
            break;
        }
        let line = tokens.get(index).map_or(0, |(line, _)| *line);
        match word(index) {
            "self" => {}
            part => prefix.push(part.to_owned()),
        }
        index += 1;
        if word(index) != "::" {
            found.push((line, prefix.clone()));
            if word(index) == "as" {
                index += 2;
            }
            break;
        }
        index += 1;
    }
    prefix.truncate(before);
    index
}
