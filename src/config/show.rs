//! The effective settings as TOML with comments, for people.

use std::fmt::Write as _;

use super::{inputs::Inputs, token::Source};

/// Every key with its value and where it comes from. Is itself valid TOML, and never holds the token.
#[must_use]
pub fn show(inputs: &Inputs, token: Option<&Source>) -> String {
    let mut text = String::from("# Effective settings of telexd, read from");
    for file in &inputs.files {
        // Writing to a String does not fail; neither below.
        let _ = write!(text, " {}", file.display());
    }
    text.push('\n');
    let mut section = "";
    for entry in inputs.merged.entries() {
        if entry.section != section {
            section = entry.section;
            let _ = writeln!(text, "\n[{section}]");
            if section == "telegram" {
                let source = token.map_or_else(
                    || "no file is set, and there is no systemd credential here".to_owned(),
                    ToString::to_string,
                );
                let _ = writeln!(text, "# token: {source}");
            }
        }
        let _ = match entry.value {
            Some((value, origin)) => writeln!(text, "{} = {value}  # {origin}", entry.name),
            None => writeln!(text, "# {} is not set", entry.name),
        };
    }
    text
}
