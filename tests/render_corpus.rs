//! Renders every text of a corpus and writes the outcome as JSON, for `tests/foreign/markdown`, which compares it with
//! what a foreign renderer makes of the same texts.
//!
//! Environment: `TELEXD_RENDER_CORPUS` folder with `.md` files (default: the corpus of this repository),
//! `TELEXD_RENDER_TO` file to write (default: none). Format: `{"name.md": [{"text": …, "spans": […]}, …], …}`.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use telexd::{core::text::Formatted, telegram::render::render};

#[test]
fn renders_the_corpus() {
    let corpus = env::var_os("TELEXD_RENDER_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/markdown"),
        PathBuf::from,
    );
    let mut rendered: BTreeMap<String, Vec<Formatted>> = BTreeMap::new();
    for entry in fs::read_dir(&corpus).expect("the corpus is there") {
        let path = entry.expect("the corpus can be listed").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path
                .file_name()
                .expect("files have names")
                .to_string_lossy()
                .into_owned();
            let text = fs::read_to_string(&path).expect("a text can be read");
            rendered.insert(name, render(&text));
        }
    }
    assert!(!rendered.is_empty(), "no text in {}", corpus.display());
    for (name, parts) in &rendered {
        assert!(!parts.is_empty(), "{name} renders as nothing");
    }
    if let Some(target) = env::var_os("TELEXD_RENDER_TO") {
        let json = serde_json::to_string(&rendered).expect("messages can be written as JSON");
        fs::write(target, json).expect("the outcome can be written");
    }
}
