//! What `docs/security.md` claims can be looked up; SQL is never built from anything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: whatever is not as it should be ends them"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between back quotes, outside of blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let mut quoted = Vec::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 0 {
            quoted.extend(part.split('`').skip(1).step_by(2));
        }
    }
    quoted
}

/// Files, and functions in files, that a text names and that are not there.
fn missing(text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for name in quoted(text) {
        let (file, function) = match name.split_once("::") {
            Some((file, function)) if file.contains('/') => (file, Some(function)),
            None if name.starts_with("src/") || name.starts_with("tests/") => (name, None),
            _ => continue,
        };
        match (fs::read_to_string(root().join(file)), function) {
            (Err(_), _) => missing.push(name.to_owned()),
            (Ok(source), Some(function)) if !source.contains(&format!("fn {function}(")) => {
                missing.push(name.to_owned());
            }
            _ => {}
        }
    }
    missing
}

#[test]
fn each_test_that_is_named_is_there() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    assert_eq!(missing(&text), Vec::<String>::new());
    let named = quoted(&text)
        .iter()
        .filter(|name| name.contains(".rs::"))
        .count();
    assert!(named > 50, "only {named} tests are named");
    assert_eq!(
        missing("`src/lib.rs::no_such` `tests/none.rs` `tests/security.rs::missing` `a::b`"),
        ["src/lib.rs::no_such", "tests/none.rs"]
    );
}

/// Sources without their tests.
fn sources(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "tests" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            found.insert(path, code.to_owned());
        }
    }
}

/// Calls of SQLite's that take a statement, and their argument where it is no literal and none of these names: a parameter
/// `sql` and the steps of the schema are `&'static str` by type, `params` are those of a statement that is made already.
fn built(source: &str) -> Vec<String> {
    const CALLS: &[&str] = &[
        ".prepare(",
        ".prepare_cached(",
        ".execute_batch(",
        ".query_row(",
        ".query_one(",
    ];
    const STATIC: &[&str] = &["sql", "step.up", "step.down", "params"];
    let mut odd = Vec::new();
    for call in CALLS {
        for (at, _) in source.match_indices(call) {
            let rest = source[at + call.len()..].trim_start();
            let end = rest.find([',', ')']).unwrap_or(rest.len());
            let argument = &rest[..end];
            if !(rest.starts_with('"')
                || rest.starts_with("r#\"")
                || STATIC.contains(&argument.trim()))
            {
                odd.push(format!("{call}{argument}"));
            }
        }
    }
    for (at, _) in source.match_indices("sql: ") {
        if !source[at..].starts_with("sql: &'static str") {
            odd.push(source[at..].lines().next().unwrap_or_default().to_owned());
        }
    }
    odd
}

#[test]
fn sql_is_never_built() {
    let mut found = BTreeMap::new();
    sources(&root().join("src"), &mut found);
    let mut users = 0;
    for (path, source) in &found {
        if !source.contains("rusqlite") && !path.starts_with(root().join("src/store")) {
            continue;
        }
        users += 1;
        assert_eq!(built(source), Vec::<String>::new(), "{}", path.display());
    }
    assert!(users > 10, "{users}");
    assert_eq!(
        built(
            "c.prepare(&format!(\"SELECT {x}\")); c.prepare(\"SELECT 1\"); c.execute_batch(&text); fn f(sql: &str) {}"
        ),
        [
            ".prepare(&format!(\"SELECT {x}\"",
            ".execute_batch(&text",
            "sql: &str) {}"
        ]
    );
}

#[test]
fn the_daemon_closes_itself_to_others_first() {
    let source = fs::read_to_string(root().join("src/bin/telexd.rs")).unwrap();
    let (_, main) = source.split_once("fn main() -> ExitCode {\n").unwrap();
    let first = main
        .lines()
        .find(|line| !line.trim_start().starts_with("//"));
    assert_eq!(first.map(str::trim), Some("cli::close_to_others();"));
}
