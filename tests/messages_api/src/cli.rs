//! Where the real CLI is.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Version on which the tests rely; `tests/agent/install` installs it.
pub const CLAUDE_VERSION: &str = "2.1.330";

/// The native program of the real CLI: `TELEXD_TEST_CLAUDE`, else what `tests/agent/install` put into the cache folder.
///
/// # Panics
/// Where it is absent: tests with the real CLI fail then, they are never skipped.
#[must_use]
#[allow(clippy::panic, reason = "for tests")]
pub fn real_claude() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = match env::var_os("TELEXD_TEST_CLAUDE") {
        Some(path) => PathBuf::from(path),
        None => {
            let cache =
                env::var_os("TELEXD_CACHE").map_or_else(|| workspace.join(".cache"), PathBuf::from);
            // Written by the script, last: it holds the path and is there only when all is installed.
            let note = cache
                .join(format!("claude-code-{CLAUDE_VERSION}"))
                .join("path");
            match std::fs::read_to_string(&note) {
                Ok(path) => PathBuf::from(path.trim_end()),
                Err(error) => panic!(
                    "the Claude Code CLI {CLAUDE_VERSION} is not installed ({}: {error}): run tests/agent/install",
                    note.display()
                ),
            }
        }
    };
    assert!(
        path.is_file(),
        "no Claude Code CLI at {}: run tests/agent/install",
        path.display()
    );
    path
}
