//! The inputs that the fuzzer keeps (`tests/fuzz`) break no law. Among them are those that once did.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests: whatever is not as it should be ends them"
)]

use std::{fs, path::Path};

#[path = "fuzz/laws/mod.rs"]
mod laws;

#[test]
fn kept_inputs_break_no_law() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut folders: Vec<String> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut names: Vec<&str> = laws::ALL.iter().map(|law| law.name).collect();
    names.sort_unstable();
    assert_eq!(folders, names, "a folder for each law");
    for law in laws::ALL {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(law.name)).unwrap() {
            let path = entry.unwrap().path();
            let data = fs::read(&path).unwrap();
            inputs += 1;
            if std::panic::catch_unwind(|| (law.holds)(&data)).is_err() {
                panic!("{} breaks the law {}", path.display(), law.name);
            }
        }
        assert!(inputs >= 5, "{} has only {inputs} inputs", law.name);
        (law.holds)(b"");
    }
}
